"""A posterior of Bambi: the model's own design and its idata, put into the design of the same formula here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.adapters.arrays_of_draws import posterior_of
from bayesmargins.adapters.bambi.bambi_columns import Places, check_response, places_of
from bayesmargins.adapters.bambi.bambi_draws import Drawn
from bayesmargins.adapters.bambi.bambi_names import Spelling
from bayesmargins.adapters.bambi.model import BambiModel, group_terms
from bayesmargins.adapters.imported_checks import checked
from bayesmargins.design import Design, build_design, build_part
from bayesmargins.errors import ModelError, PosteriorError, listed
from bayesmargins.family import get_family, resolve_link
from bayesmargins.habits import taught_as
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import functions

__all__ = ["from_bambi"]

# Draws that tell a centred intercept from a real one.
_COMPARED = 5


@taught_as(PosteriorError)
def from_bambi(model: Any, idata: Any, *, namespace: Mapping[str, Callable[..., Any]] | None = None) -> Posterior:
    """How can you ask a fit of Bambi for margins? This reads it as a `Posterior`.

    Parameters
    ----------
    model : bambi.Model
        The model that was fitted, of a family that this package has.
    idata : InferenceData or DataTree
        What ``model.fit()`` gave. What ``model.prior_predictive()`` gave makes draws of the prior. Group
        effects in chunks of dask are not loaded: questions read them some draws at a time.
    namespace : dict, optional
        Own functions that the formula calls, in place of those that Bambi found where the model was made.

    Returns
    -------
    Posterior
        Its formula is Bambi's in the spelling of this package. Its data are the rows of the fit, and factors have
        Bambi's order of levels. A response of text has become 0 and 1: ``info["success"]`` says what 1 is. If idata
        has no group effects, the posterior has none: then you can ask for ``"new"`` and ``"zero"``. Formulas of the
        family's own parameters are in ``post.parts``, under their names here.

    Raises
    ------
    FormulaError
        A term that this package has no word for: a Gaussian process, a censored or weighted response.
    ModelError
        A family, a link or a prior of group effects (other than Normal around 0) that this package does not have.
    DataError
        A level of a factor without rows.
    PosteriorError
        Draws of another model or of other data (with what was looked for and the nearest names), or a column of the
        design that differs from Bambi's own.

    Warns
    -----
    BayesmarginsWarning
        As for `from_draws`; draws that diverged.

    Notes
    -----
    Every column of the design, every group, the offset and the response are held against those that Bambi holds, to
    1e-10. Group effects are independent in Bambi, so Sigma is diagonal. Of an interaction of factors only the groups
    with rows are kept; Bambi also draws effects for the combinations that never occur.

    Bambi samples the intercept of centred predictors and turns it back after ``fit``. Draws that were taken from its
    PyMC model in another way (``prior_predictive``, variational inference) are turned back here.

    Examples
    --------
    >>> import bambi  # doctest: +SKIP
    >>> data = bm.load_dataset("bacteria")  # doctest: +SKIP
    >>> model = bambi.Model("yb ~ trt + week + (1|ID)", data, family="bernoulli")  # doctest: +SKIP
    >>> post = from_bambi(model, model.fit())  # doctest: +SKIP
    """
    there = BambiModel.of(model)
    family, spelling = there.family, Spelling(there.model.data.columns)
    drawn = Drawn.of(idata, there)
    texts = _texts(there, spelling)
    context = {**spelling.namespace, **functions(namespace)}
    design = build_design(texts["mean"], there.data, missing="refuse", namespace=context, categories=there.categories)
    check_response(design, there.y)
    if get_family(family).shares is not None:
        return _of_categories(there, design, drawn, spelling, context)
    predictors = {"mean": _Predictor.read(there.component, design, drawn, spelling)}
    for name, component in there.parts.items():
        part = build_part(name, texts[name], design, namespace=context)
        predictors[name] = _Predictor.read(component, part, drawn, spelling)
    aux = {name: drawn.constant(component) for name, component in there.constants.items()}
    drawn.refuse_the_rest()
    aux, beside = _as_here(there, aux, design)

    def made(turned: bool) -> Posterior:
        given = {n: p.draws(turned) for n, p in predictors.items()}
        parts = {n: {"formula": texts[n], "link": there.link_of(there.parts[n]), **given[n]} for n in there.parts}
        rest: dict[str, Any] = {"aux": aux, "parts": parts, "namespace": context}
        return posterior_of(texts["mean"], there.data, family=family, link=there.link, **given["mean"], **rest)

    centred = any(p.uncentred is not p.beta for p in predictors.values())
    found = _with_real_intercepts(made, drawn) if centred else made(False)
    return _finished(found if beside is None else _moved(found, beside), drawn)


def _of_categories(
    there: BambiModel, design: Design, drawn: Drawn, spelling: Spelling, context: dict[str, Any]
) -> Posterior:
    """Of a linear predictor for each category but the first."""
    each = [
        _Predictor.read(there.component, design, drawn.of_category(k), spelling)
        for k in range(len(design.response.categories) - 1)
    ]
    drawn.refuse_the_rest()

    def made(turned: bool) -> Posterior:
        given = [p.draws(turned) for p in each]
        beta = np.stack([of["beta"] for of in given], axis=2)
        b, Sigma = ({f: np.stack([of[n][f] for of in given], axis=2) for f in given[0][n]} for n in ("b", "Sigma"))
        rest: dict[str, Any] = {"family": there.family, "link": there.link, "namespace": context}
        return posterior_of(design.formula, there.data, beta=beta, b=b, Sigma=Sigma, **rest)

    centred = any(p.uncentred is not p.beta for p in each)
    return _finished(_with_real_intercepts(made, drawn) if centred else made(False), drawn)


def _as_here(
    there: BambiModel, aux: dict[str, np.ndarray], design: Design
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The family's parameters as they are meant here, and what Bambi's mu lacks to be mu here.

    ModelError where that is not one number a draw, or mu has no intercept that it could be added to.
    """
    family = get_family(there.family)
    read = family.elsewhere.get("bambi")
    if read is None:
        return aux, None
    if there.parts:
        raise ModelError(
            f"Parameters of Bambi's family {there.model.family.name!r} are other ones than those here, and "
            f"{listed(there.parts)} has a formula: it cannot be read. Give the draws to from_draws, row by row."
        )
    beside = None if read.beside is None else read.beside(aux)
    if beside is not None and not (resolve_link(family, there.link).linear and "Intercept" in design.coef):
        raise ModelError(
            f"mu of Bambi's family {there.model.family.name!r} is not the mean. It becomes the mean by what is added "
            "to the intercept: that needs the identity link and an intercept."
        )
    return read.aux(aux), beside


def _moved(post: Posterior, beside: np.ndarray) -> Posterior:
    """With that added to the intercept."""
    step = np.array([name == "Intercept" for name in post.design.coef], dtype=np.float64)
    return replace(post, beta=post.beta + beside[..., None] * step)


def _texts(there: BambiModel, spelling: Spelling) -> dict[str, str]:
    """The formula of the mean, and of each parameter that has one."""
    response = spelling.response(there.design.response.term.term.components[0], there.categories == "counted")
    texts = {"mean": f"{response} ~ {spelling.right(there.design, there.categories == 'ordered')}"}
    return texts | {name: f"~ {spelling.right(component.design)}" for name, component in there.parts.items()}


@dataclass(frozen=True)
class _Predictor:
    """Draws of one linear predictor, with the intercept as it was drawn and turned back from centred predictors."""

    beta: np.ndarray
    uncentred: np.ndarray
    b: dict[str, np.ndarray]
    Sigma: dict[str, np.ndarray]

    @classmethod
    def read(cls, component: Any, design: Design, drawn: Drawn, spelling: Spelling) -> _Predictor:
        factors = {n: spelling.factor(t).replace("`", "") for n, t in group_terms(component).items()}
        places = places_of(design, component.design, factors)
        beta = drawn.fixed(component, places, len(design.coef))
        X = design.rows(design.data, (), what="data").X
        return cls(beta, drawn.uncentred(component, places, beta, X), *_of_groups(component, drawn, places, design))

    def draws(self, turned: bool) -> dict[str, Any]:
        return {"beta": self.uncentred if turned else self.beta, "b": self.b, "Sigma": self.Sigma}


def _of_groups(
    component: Any, drawn: Drawn, places: Places, design: Design
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """b and Sigma of every factor, put together from Bambi's independent terms."""
    given = {name: drawn.effects(component, name, places) for name in places.terms}
    effects = {name: values for name, values in given.items() if values is not None}
    absent = [name for name in given if name not in effects]
    if absent and effects:
        raise PosteriorError(
            f"idata has no group effects of {listed(absent)}, but those of "
            f"{listed(effects)}: give all of them, or none for 'new' and 'zero' alone."
        )
    b, Sigma = {}, {}
    for factor, of in design.factors.items():
        terms = {n: at for n, at in places.terms.items() if places.factors[n] == factor}
        sd = [(at, drawn.spread(component, n, len(at))) for n, at in terms.items()]
        Sigma[factor] = np.zeros((*sd[0][1].shape[:2], len(of.terms), len(of.terms)))
        for at, values in sd:
            Sigma[factor][..., at, at] = values**2
        if not absent:
            columns = {k: effects[name][..., j] for name, at in terms.items() for j, k in enumerate(at)}
            b[factor] = np.stack([columns[k] for k in range(len(of.terms))], axis=-1)
    return b, Sigma


def _with_real_intercepts(made: Callable[[bool], Posterior], drawn: Drawn) -> Posterior:
    """The intercepts of the predictors as they are, whichever idata holds."""
    if drawn.turned_back():
        return made(False)
    there = drawn.there
    rows = {n: drawn.of_rows(c) for n, c in {"mean": there.component, **there.parts}.items()}
    if all(v is None for v in rows.values()) and drawn.kind == "prior":  # as prior_predictive gives it
        return made(True)
    agreeing = (post for post in map(made, (True, False)) if _agrees(post, rows))
    found = next(agreeing, None)
    if found is None:
        raise PosteriorError(
            "idata does not say whether its intercept is that of centred predictors (Bambi marks what its fit turned "
            "back with the attribute modeling_interface='bambi', which the group 'posterior' lacks). Give what "
            f"model.fit() gave, or draws that hold {there.parent!r} of the fitted rows as well."
        )
    return found


def _agrees(post: Posterior, rows: Mapping[str, np.ndarray | None]) -> bool:
    """Are the values that idata holds for the fitted rows, at least those of the mean, those of these draws?"""
    if rows["mean"] is None or any(p.design.factors and not p.b for p in (post, *post.parts.values())):
        return False
    held = {name: values for name, values in rows.items() if values is not None}
    for name, values in held.items():
        part = post if name == "mean" else post.parts[name]
        here = part.link.inverse(part.linear_predictor(slice(0, _COMPARED)))
        if not np.allclose(here, values.reshape(-1, values.shape[-1])[:_COMPARED], rtol=1e-6, atol=1e-9):
            return False
    return True


def _finished(post: Posterior, drawn: Drawn) -> Posterior:
    """With the chains and draws of idata, what the sampler said, and how the chains mixed."""
    coords = {d: drawn.variables[d].to_numpy() for d in SAMPLE_DIMS}
    success = drawn.there.success
    info: dict[str, Any] = {"source": "Bambi"} | ({} if success is None else {"success": str(success)})
    if drawn.kind == "prior":
        info["draws"] = "prior"
    parts = {name: replace(_labelled(part, coords), info=dict(info)) for name, part in post.parts.items()}
    made = replace(_labelled(post, coords), parts=parts, sample_stats=drawn.stats, info=info)
    return checked(made, "Bambi")


def _labelled(post: Posterior, coords: Mapping[str, np.ndarray]) -> Posterior:
    def of(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: v.assign_coords(coords) for name, v in values.items()}

    beta = post.beta.assign_coords(coords)
    return replace(post, beta=beta, b=of(post.b), Sigma=of(post.Sigma), aux=of(post.aux))
