"""A posterior of a model written by hand, in PyMC or what ArviZ reads: the user's variables, by their roles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.adapters.arrays_of_draws import posterior_of
from bayesmargins.adapters.imported_checks import checked
from bayesmargins.adapters.pymc.pymc_effects import Groups
from bayesmargins.adapters.pymc.pymc_variables import along_parts, rest_of, take, with_shape
from bayesmargins.adapters.pymc.roles import Role, read_roles
from bayesmargins.adapters.sources_of_draws import read_posterior
from bayesmargins.design import Design, build_design
from bayesmargins.errors import ModelError, PosteriorError, close_matches, listed, shown
from bayesmargins.explained import FAMILY, explained
from bayesmargins.family import get_family
from bayesmargins.habits import taught_as
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import value_list

__all__ = ["from_pymc"]

# Draws of JAX are in single precision, and sums are off by that of their terms; a wrong order by far more. Means that
# are probabilities are often computed as 1 - (1 - p), which rounds them to single precision of 1.
_CHECK_RTOL, _CHECK_ATOL = 1e-5, 1e-6
_CHECK_DRAWS = 20


@taught_as(PosteriorError)
@explained(FAMILY)
def from_pymc(
    idata: Any,
    formula: str,
    data: Any,
    *,
    family: str,
    link: str | None = None,
    names: Mapping[Any, Any],
    levels: Mapping[str, Sequence[Any]] | None = None,
    group: str = "posterior",
    namespace: Mapping[str, Callable[..., Any]] | None = None,
) -> Posterior:
    """How can you ask a PyMC model of your own for margins? This reads its draws as a `Posterior`.

    Parameters
    ----------
    idata : InferenceData, DataTree, Dataset, path, dict or numpyro.infer.MCMC
        Draws of PyMC, nutpie, NumPyro, BlackJAX or other software: ArviZ's objects of either generation, a Dataset with
        the dims chain and draw, a netCDF file or zarr folder that ArviZ wrote, a dict of arrays (chain, draw, ...).
        Group effects in chunks of dask (``xr.open_zarr``) are not loaded: questions read them some draws at a time.
    formula : str
        The same model as an lme4-style formula: ``"y ~ x + (1 + x | g)"``.
    data : DataFrame
        The fitted rows.
    names : dict
        Which variable plays which role; the roles and what they may be taken from stand under Notes.
    levels : dict, optional
        The order of groups in variables whose labels are not the levels, a factor:
        ``{"g": pd.factorize(data["g"])[1]}``. Needed without labels where sorted levels and the order of the rows
        differ, for both are usual: also of groups that are numbers from 0, where ``{"g": range(6)}`` says that these
        numbers index the variable, ``b[data["g"]]``. ``"eta"`` or ``"mean"`` among `names` settles it too.
    group : {"posterior", "prior"}
        Which draws of `idata`.

    Returns
    -------
    Posterior
        With the sampler's statistics, and divergences, r-hat and effective sample size in ``info``.

    Raises
    ------
    FormulaError, DataError, ModelError
        As for `GLMM`.
    PosteriorError
        A role that the model does not have, is left out or is given twice; a variable that the draws do not have; a
        shape, labels or levels that do not fit; values that are NaN; predictions that are not those of ``"eta"`` or
        ``"mean"``.

    Warns
    -----
    BayesmarginsWarning
        Draws that diverged, chains that did not mix, by the rule of `GLMM.fit`; group effects whose mean is far from 0
        (they contain a coefficient), or whose spread is not what ``sd`` says.

    Notes
    -----
    Roles, in the words of the formula:

    ==========================================  =======================================================================
    ``"Intercept"``, ``"x"``, ``"trt[drug]"``    a coefficient, link scale
    ``"trt"``, ``("x", "z")``                    the coefficients of a factor's levels; these two, in this order
    ``"beta"``                                   all coefficients that no other role names
    ``"1|g"``, ``"x|g"``, ``"b(g)"``             group effects b of one term; of all terms, (level, term)
    ``"Intercept + 1|g"``, ``"beta + b(g)"``     values that contain the coefficient: b is what is left without it
    ``"Intercept + u + 1|g"``                    the same with a predictor of groups
    ``"z(g)"``, ``"z(1|g)"``                     standardised effects z: b = L z, with L the Cholesky factor
    ``"sd(g)"``, ``"sd(1|g)"``                   standard deviations of all terms, of one
    ``"cor(g)"``                                 correlations: a matrix, or the values above its diagonal
    ``"chol(g)"``                                Cholesky factor of the covariance, a matrix or packed as PyMC keeps it
    ``"Sigma(g)"``                               the covariance
    ``"sigma"``, ``"shape"``, ...                a parameter of the family by its name here, whatever PyMC calls it
    ``"eta"``, ``"mean"``                        the model's own predictor or mean of the rows, to check the rest by
    ==========================================  =======================================================================

    ``sd``, ``cor``, ``chol``, ``Sigma``, ``b`` and ``z`` take terms too: ``"chol(1, x|g)"`` is that of these two, in
    this order. ``None`` says that there are no draws of group effects or of the family's parameter.

    What a role is taken from: a variable (``"beta"``), a part of one by label or position (``"beta[x]"``,
    ``"ab[:, 0]"``, ``("beta", "x")``, ``("ab", {"param": "x"})``), a function of the Dataset of draws
    (``lambda draws: np.exp(draws["log_sd"])``), a DataArray, a number.

    Labels decide wherever a dimension has them. Coefficients and terms without labels are in the order of the design,
    ``GLMM(formula, data, family).design.coef``, or in that of the role where it lists them.

    ``"mean"`` checks more than ``"eta"``: the linear predictor is the same under every family and link. Neither depends
    on ``sd``, ``cor``, ``chol`` or ``Sigma``, on which ``groups="new"`` rests; these are held against the spread of b.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> data = pd.DataFrame({"y": [0, 1, 0, 1], "x": [0.0, 1, 2, 3], "g": ["a", "a", "b", "b"]})
    >>> draws = {"mu": np.zeros((2, 5)), "slope": np.ones((2, 5)), "alpha": np.ones((2, 5, 2)), "tau": np.ones((2, 5))}
    >>> post = from_pymc(draws, "y ~ x + (1 | g)", data, family="bernoulli",
    ...                  names={"Intercept": "mu", "x": "slope", "Intercept + 1|g": "alpha", "sd(g)": "tau"})
    >>> post.b["g"].sizes["g"], float(post.b["g"].max())
    (2, 1.0)
    """
    draws, stats = read_posterior(idata, group)
    kind = get_family(family)
    if kind.shares is not None:
        raise ModelError(
            f"family={kind.name!r} has a linear predictor for each category but the first, and names= is of one. Give "
            "the draws to from_draws: beta (chain, draw, category, coef)."
        )
    design = build_design(formula, data, missing="refuse", namespace=namespace, categories=kind.categories)
    if design.degrees:
        raise ModelError(
            f"{formula!r} has Student-t group effects, and names= has no role for their degrees of freedom. Give the "
            "draws to from_draws: aux={'df_g': ...}."
        )
    roles = read_roles(names, design, kind)
    orders = _orders(levels, design)
    checks = {role: source for role, source in roles.items() if role.kind == "check"}
    beta = _values(roles, draws, "coef")
    groups = {
        name: Groups(factor, design, roles, draws, orders.get(name), bool(checks))
        for name, factor in design.factors.items()
    }
    b = {name: effects for name, of in groups.items() if (effects := of.b) is not None}
    made = posterior_of(
        formula,
        data,
        family=family,
        link=link,
        beta=np.stack([beta[c] for c in design.coef], axis=-1),
        b=b,
        Sigma={name: of.Sigma for name, of in groups.items()},
        aux=_values(roles, draws, "parameter", {p.name for p in kind.parameters if p.along}),
        namespace=namespace,
    )
    post = _as_drawn(made, draws, stats, group)
    for role, source in checks.items():
        _check(post, take(draws, role, source), role)
    return checked(post, post.info["source"])


def _values(
    roles: Mapping[Role, Any], draws: xr.Dataset, kind: str, vectors: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Draws of coefficients or of the family's parameters by name, (chain, draw) each; `vectors` (chain, draw, k)."""
    out: dict[str, np.ndarray] = {}
    for role, source in roles.items():
        if role.kind == kind and not (kind == "parameter" and source is None):
            values = take(draws, role, source)
            out |= {role.text: values.to_numpy()} if role.text in vectors else along_parts(values, role)
    return out


def _orders(levels: Mapping[str, Sequence[Any]] | None, design: Design) -> dict[str, list[Any]]:
    if levels is not None and not isinstance(levels, Mapping):
        raise PosteriorError(f"levels is {shown(levels)}; it must be a dict, {{'g': labels in the variable's order}}.")
    unknown = [name for name in levels or {} if name not in design.factors]
    if unknown:
        raise PosteriorError(
            f"levels names {listed(unknown)}; the grouping factors are {listed(design.factors) or 'none'}."
            f"{close_matches(unknown[0], design.factors)}"
        )
    orders = {name: value_list(order) for name, order in (levels or {}).items()}
    for name, order in orders.items():
        if order is None or not all(isinstance(v, str | int | float) for v in order):
            raise PosteriorError(
                f"levels[{name!r}] is {shown((levels or {})[name])}; it must be a list of labels, in order."
            )
    return {name: order for name, order in orders.items() if order is not None}


def _as_drawn(post: Posterior, draws: xr.Dataset, stats: xr.Dataset | None, group: str) -> Posterior:
    """With the chains and draws numbered as they came, and with what is known of the sampler."""
    coords = {d: draws[d].to_numpy() for d in SAMPLE_DIMS}
    library = " ".join(
        str(draws.attrs[k]) for k in ("inference_library", "inference_library_version") if k in draws.attrs
    )
    info: dict[str, Any] = {"source": f"a model written by hand{f', {library}' if library else ''}"}
    if group == "prior":
        info["draws"] = "prior"
    return replace(
        post,
        beta=post.beta.assign_coords(coords),
        b={f: v.assign_coords(coords) for f, v in post.b.items()},
        Sigma={f: v.assign_coords(coords) for f, v in post.Sigma.items()},
        aux={k: v.assign_coords(coords) for k, v in post.aux.items()},
        sample_stats=stats,
        info=info,
    )


def _check(post: Posterior, own: xr.DataArray, role: Role) -> None:
    """Are the predictions of the rows those that the model itself made?"""
    n = len(post.design.data)
    if [own.sizes[d] for d in rest_of(own)] != [n]:
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(own)}; one for each of the {n} rows is needed."
        )
    every = max(1, own.sizes["chain"] * own.sizes["draw"] // _CHECK_DRAWS)
    theirs = own.to_numpy().reshape(-1, n)[::every]
    ours = post.linear_predictor(slice(None, None, every))
    allowed = _CHECK_RTOL * _terms(post, slice(None, None, every))
    if role.text == "mean":
        allowed = np.abs(post.link.derivative(ours)) * allowed + (
            _CHECK_ATOL if post.link.bounded else _CHECK_RTOL * np.abs(theirs)
        )
        ours = post.link.inverse(ours)
    off = np.abs(ours - theirs) - np.where(np.isfinite(allowed), allowed, 0.0)
    if off.max() > 0:
        draw, row = np.unravel_index(off.argmax(), off.shape)
        what, link = ("mean", "at family and link, ") if role.text == "mean" else ("linear predictor", "")
        raise PosteriorError(
            f"The {what} of row {row} in draw {draw * every} is {ours[draw, row]:.6g} by formula and names, and "
            f"{theirs[draw, row]:.6g} by {role.text!r}, the model itself. Look at the order of levels (levels=), at "
            f"centred columns and offsets (the formula has to have them too), {link}and at group effects that "
            "contain their mean ('Intercept + 1|g')."
        )


def _terms(post: Posterior, block: slice) -> np.ndarray:
    """How large are the terms that sum up to eta, (sample, row)? Each value has to be right on its own scale."""
    rows = post.design.rows(post.design.data, what="data")
    size: np.ndarray = np.abs(post.draws.beta[block]) @ np.abs(rows.X).T + np.abs(rows.offset)
    for name, factor in post.design.factors.items():
        b = np.abs(post.draws.b[name][block])[:, factor.codes, :]
        size += np.einsum("srq,rq->sr", b, np.abs(rows.Z[name]))
    return size
