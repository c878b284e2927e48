"""A posterior of Bambi: the model's own design and its idata, put into the design of the same formula here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmargins.adapters.bambi_check import Places, check_response, places_of
from bayesmargins.adapters.bambi_draws import Drawn
from bayesmargins.adapters.bambi_model import BambiModel
from bayesmargins.adapters.bambi_names import Spelling
from bayesmargins.adapters.draws import from_draws
from bayesmargins.design import Design, build_design
from bayesmargins.errors import PosteriorError, listed
from bayesmargins.habits import taught
from bayesmargins.model.sampling import convergence
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS

__all__ = ["from_bambi"]

# Draws and rows that tell a centred intercept from a real one.
_COMPARED = 5


@taught
def from_bambi(model: Any, idata: Any, *, namespace: Mapping[str, Callable[..., Any]] | None = None) -> Posterior:
    """Which posterior is this fit of Bambi?

    Parameters
    ----------
    model : bambi.Model
        The model that was fitted: family gaussian, bernoulli, binomial, poisson or negativebinomial.
    idata : InferenceData or DataTree
        What ``model.fit()`` gave. What ``model.prior_predictive()`` gave makes draws of the prior.
    namespace : dict, optional
        Own functions that the formula calls, in place of those that Bambi found where the model was made.

    Returns
    -------
    Posterior
        Its formula is Bambi's in the spelling of this package, its data are the rows of the fit, factors with Bambi's
        order of levels. A response of text has become 0 and 1: ``info["success"]`` says what 1 is. Without group
        effects where idata has none: then ``"new"`` and ``"zero"`` can be asked for.

    Raises
    ------
    FormulaError
        A term that this package has no word for: a Gaussian process, a censored or weighted response.
    ModelError
        A family, a link or a prior of group effects (other than Normal around 0) that this package does not have;
        formulas of sigma, alpha and the like.
    DataError
        A level of a factor without rows.
    PosteriorError
        Draws of another model or of other data (with what was looked for and the nearest names), or a column of the
        design that differs from Bambi's own.

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
    family, link = there.family, there.link
    spelling = Spelling(there.model.data.columns)
    formula = _formula(there, spelling)
    functions = {**spelling.namespace, **(namespace or {})}
    drawn = Drawn.of(idata, there)
    design = build_design(formula, there.data, namespace=functions)
    check_response(design, there.y)
    places = places_of(design, there.design, {n: _plain(spelling.factor(t)) for n, t in there.group_terms.items()})
    beta = drawn.fixed(places, len(design.coef))
    b, Sigma = _of_groups(drawn, places, design)
    aux = {ours: drawn.constant(component) for ours, component in there.constants.items()}
    drawn.refuse_the_rest()
    rest: dict[str, Any] = {"family": family, "link": link, "b": b, "Sigma": Sigma, "aux": aux, "namespace": functions}
    made = from_draws(formula, there.data, beta=beta, **rest)
    return _finished(_with_real_intercept(made, drawn, places, beta), drawn)


def _formula(there: BambiModel, spelling: Spelling) -> str:
    response = there.design.response.term.term.components[0]
    return f"{spelling.response(response)} ~ {spelling.right(there.design)}"


def _plain(factor: str) -> str:
    return factor.replace("`", "")


def _of_groups(drawn: Drawn, places: Places, design: Design) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """b and Sigma of every factor, put together from Bambi's independent terms."""
    effects = {name: drawn.effects(name, places) for name in places.terms}
    absent = [name for name, values in effects.items() if values is None]
    if absent and len(absent) < len(effects):
        raise PosteriorError(
            f"idata has no group effects of {listed(absent)}, but those of "
            f"{listed(n for n in effects if n not in absent)}: give all of them, or none for 'new' and 'zero' alone."
        )
    b, Sigma = {}, {}
    for factor, of in design.factors.items():
        terms = {n: at for n, at in places.terms.items() if places.factors[n] == factor}
        sd = [(at, drawn.spread(n, len(at))) for n, at in terms.items()]
        Sigma[factor] = np.zeros((*sd[0][1].shape[:2], len(of.terms), len(of.terms)))
        for at, values in sd:
            Sigma[factor][..., at, at] = values**2
        if not absent:
            b[factor] = np.zeros((*sd[0][1].shape[:2], len(of.levels), len(of.terms)))
            for name, at in terms.items():
                b[factor][..., at] = effects[name]
    return b, Sigma


def _with_real_intercept(post: Posterior, drawn: Drawn, places: Places, beta: np.ndarray) -> Posterior:
    """The intercept of the predictors as they are, whichever of the two idata holds."""
    X = post.design.rows(post.design.data, (), what="data").X
    shift = drawn.centring(places, beta, X)
    if shift is None or drawn.turned_back():
        return post
    real = post.beta.copy()
    real[..., places.fixed["Intercept"][0]] -= shift
    turned = replace(post, beta=real)
    mean = drawn.parent()
    if mean is None and drawn.kind == "prior":  # as prior_predictive gives it
        return turned
    if mean is not None:
        agreeing = [p for p in (turned, post) if _agrees(p, mean)]
        if agreeing:
            return agreeing[0]
    raise PosteriorError(
        "idata does not say whether its intercept is that of centred predictors (Bambi marks what its fit turned back "
        "with the attribute modeling_interface='bambi', which the group 'posterior' lacks). Give what model.fit() "
        f"gave, or draws that hold {drawn.there.parent!r} of the fitted rows as well."
    )


def _agrees(post: Posterior, mean: np.ndarray) -> bool:
    drawn = mean.reshape(-1, mean.shape[-1])[:_COMPARED]
    if post.design.factors and not post.b:
        return False
    here = post.link.inverse(post.linear_predictor(slice(0, _COMPARED)))
    return bool(np.allclose(here, drawn, rtol=1e-6, atol=1e-9))


def _finished(post: Posterior, drawn: Drawn) -> Posterior:
    """With the chains and draws of idata, what the sampler said, and how the chains mixed."""
    coords = {d: drawn.variables[d].to_numpy() for d in SAMPLE_DIMS}

    def of(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: v.assign_coords(coords) for name, v in values.items()}

    success = drawn.there.success
    info: dict[str, Any] = {"source": "Bambi"} | ({} if success is None else {"success": str(success)})
    made = replace(
        post, beta=post.beta.assign_coords(coords), b=of(post.b), Sigma=of(post.Sigma), aux=of(post.aux),
        sample_stats=drawn.stats, info=info,
    )  # fmt: skip
    if drawn.kind == "prior":
        made.info["draws"] = "prior"
    else:
        made.info.update(convergence(made.parameters, drawn.stats))
    return made
