"""Posteriors from files that `Posterior.save` wrote: draws by label, the design built again and held against rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bayesmargins.design import Design, build_design, build_part, check_signs, designs_by_category, template_design
from bayesmargins.draws import canonical, smooth_sds
from bayesmargins.errors import PosteriorError, listed, shown, warn
from bayesmargins.family import get_family, resolve_link
from bayesmargins.files import Contents, Predictor, positions, read_contents, readable, refuse_another_design
from bayesmargins.habits import taught_as
from bayesmargins.labelling import LABELS
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.predictors import across_array, acting, check_posterior
from bayesmargins.schema import SAMPLE_DIMS

__all__ = ["load"]

_Namespace = Mapping[str, Callable[..., Any]] | None


@taught_as(PosteriorError)
def load(path: str | os.PathLike[str], *, namespace: _Namespace = None) -> Posterior:
    """Which posterior was saved here?

    Parameters
    ----------
    path : str or Path
        What `Posterior.save` wrote, with this version or an older one.
    namespace : dict, optional
        Own functions that the formula calls: functions are not stored. Of the rest only those of a list are evaluated
        (formulaic's transforms, and functions of NumPy such as ``np.sin`` that act on each row alone). Another
        function of NumPy is given by its dotted name, ``{"np.interp": np.interp}``.

    Returns
    -------
    Posterior
        The same draws; the design is rebuilt from the formula and the data.

    Raises
    ------
    PosteriorError
        No such file, one that `Posterior.save` did not write or that was changed or damaged since, or a design that
        comes out differently (a function of `namespace` is not the one of the fit).
    FormulaError
        The formula calls a function that is neither on the list nor in `namespace`.

    Warns
    -----
    BayesmarginsWarning
        The file is of the first format, which has no checksum.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     post.save(f"{folder}/fit.nc")
    ...     again = load(f"{folder}/fit.nc")
    >>> again.formula
    'yb ~ trt + week + (1 | ID)'
    """
    contents = read_contents(path)
    with readable(path):
        for predictor in (contents.mean, *contents.parts.values()):
            check_signs(predictor.formula, len(predictor.coef) + sum(map(len, predictor.terms.values())))
        post = _posterior(contents, namespace)
        check_posterior(post)
        post.joined.update(contents.joined)
    if not contents.sealed:
        warn(
            f"{shown(str(path))} was saved by a version whose files hold no checksum: whether it was damaged or "
            "changed since cannot be told. Save it again, post.save(path), and later changes are found."
        )
    return post


def _posterior(contents: Contents, namespace: _Namespace) -> Posterior:
    mean, family = contents.mean, get_family(contents.family)
    design = _design(contents, namespace, family.categories)
    refuse_another_design(mean.rows, design) if design.frame is not None else None
    arrays = _arrays(mean, design, contents)
    post = Posterior(
        design=design,
        family=family,
        link=resolve_link(family, mean.link),
        **arrays,
        smooth_sd=_smooth_sds(mean, design, contents),
        sample_stats=contents.sample_stats,
        info=_info(mean),
        parts={name: _part(name, part, design, contents, namespace) for name, part in contents.parts.items()},
    )
    return replace(post, across={f: _across(post, f, *of) for f, of in contents.across.items()})


def _across(post: Posterior, factor: str, effects: list[list[str]], Sigma: Any) -> Any:
    """The covariance of a factor's effects on several linear predictors, in the order of their designs."""
    terms = acting({name: p.design for name, p in post.predictors.items()}, factor)
    wanted = [repr([name, str(term)]) for name, own in terms.items() for term in own]
    order = positions([repr([str(v) for v in effect]) for effect in effects], wanted, f"{factor}_term")
    return across_array(terms, factor, Sigma[..., order, :][..., order], post.sample_coords)


def _design(contents: Contents, namespace: _Namespace, categories: str) -> Design:
    formula, levels = contents.mean.formula, contents.levels
    if levels is not None or contents.data is None:
        return template_design(formula, levels or {}, namespace=namespace, stored=True, categories=categories)
    contents.data.attrs = {LABELS: contents.labels} if contents.labels else {}
    return build_design(formula, contents.data, namespace=namespace, stored=True, categories=categories)


def _part(name: str, part: Predictor, of: Design, contents: Contents, namespace: _Namespace) -> Posterior:
    family = get_family(contents.family)
    of_categories = {} if family.shares is None else designs_by_category(of, family.parameters[0].name)
    if name not in (*family.predictable, *of_categories):
        raise PosteriorError(f"The file has a formula of {shown(name)}, which is no parameter of {family.name!r}.")
    design = of_categories.get(name) or build_part(name, part.formula, of, namespace=namespace, stored=True)
    refuse_another_design(part.rows, design) if design.frame is not None else None
    arrays = _arrays(part, design, contents)
    return make_part(family.parameter(name), design, part.link, arrays, _info(part))


def _arrays(of: Predictor, design: Design, contents: Contents) -> dict[str, Any]:
    """Draws in the order of the design, by label."""
    if list(of.Sigma) != list(design.factors) or not set(of.b) <= set(of.Sigma):
        raise PosteriorError(f"The file's draws are of other groups than its formula {shown(of.formula)} names.")
    coef = positions(of.coef, design.coef, "coef")
    b, Sigma = {}, {}
    for name, factor in design.factors.items():
        terms = positions(of.terms[name], factor.terms, f"{name}_term")
        Sigma[name] = of.Sigma[name][..., terms, :][..., terms]
        if name in of.b:
            levels = positions(of.levels[name], factor.levels, name)
            b[name] = of.b[name][..., levels, :][..., terms]
    aux = contents.aux if of is contents.mean else {}
    return canonical(design, of.beta[..., coef], b, Sigma, aux, contents.sample_coords)


def _smooth_sds(of: Predictor, design: Design, contents: Contents) -> dict[str, Any]:
    known = [t.name for t in design.fixed.penalised]
    shape = tuple(len(contents.sample_coords[d]) for d in SAMPLE_DIMS)
    odd = [name for name, v in of.smooth_sd.items() if name not in known or v.shape != shape or not (v >= 0).all()]
    if odd:
        raise PosteriorError(f"The file's standard deviations of {listed(odd)} are none of its formula's smooths.")
    return smooth_sds(of.smooth_sd, contents.sample_coords)


def _info(of: Predictor) -> dict[str, Any]:
    if not isinstance(of.info, dict) or not all(isinstance(k, str) for k in of.info):
        raise PosteriorError(f"The file says {shown(of.info)} of where its draws come from, which is no dict.")
    return of.info
