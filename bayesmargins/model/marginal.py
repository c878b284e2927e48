"""What the rows say once their group effects are integrated out: a likelihood of coefficients and covariances.

No PyMC here: the sampled model and the log posterior of `log_posterior` both read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bayesmargins.design import Design
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.group_likelihood import volume
from bayesmargins.integrate.group_quadrature import GroupQuadrature, group_quadrature
from bayesmargins.integrate.normal_groups import Effects, NormalGroups, normal_rows
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.merging import merged
from bayesmargins.model.treatment import closed_form

__all__ = ["Likelihood", "error_of", "largest_first", "likelihood_without_b"]

Likelihood = NormalGroups | GroupQuadrature

_LOOKS = 50  # draws whose integrals are asked for their error
_FAR = 4.0  # the pilot point's log standard deviation, and those of the family's parameters, at most
_PULL = 100.0  # variance of the normal prior of the pilot point, so that what the data do not know stays where it is


def largest_first(parts: Mapping[str, GroupPart]) -> tuple[GroupPart, ...]:
    """The factor with most effects first: its cost is that of a sum over groups, that of the others of a matrix."""
    return tuple(sorted(parts.values(), key=lambda part: -len(part.factor.levels) * part.W.shape[1]))


def likelihood_without_b(
    design: Design, family: Family, link: Link, fixed: FixedPart, ordered: Sequence[GroupPart], outcome: Outcome
) -> Likelihood:
    """Of the columns of `fixed`, and factors in the order of `largest_first`."""
    offset = design.rows(design.data, (), what="data").offset
    if closed_form(family, link):
        large, *small = (Effects(p.W, p.factor.codes, len(p.factor.levels)) for p in ordered)
        if family.measured is None:
            return normal_rows(outcome.y - offset, fixed.columns, large, small, outcome, family.normal_sd)
        y = family.measured(outcome.y)
        rows = normal_rows(y - offset, fixed.columns, large, small, outcome, family.normal_sd)
        of_y = volume(family, link, outcome.y, y) * (1.0 if outcome.weights is None else outcome.weights)
        return replace(rows, constant=rows.constant + float(of_y.sum()))
    (part,) = ordered
    # Where thresholds stand in its place, the constant is no coordinate.
    F, codes, W = fixed.columns[:, int(fixed.constant and not design.fixed.constant) :], part.factor.codes, part.W
    fewer, constant = merged([*F.T, *W.T, offset], [codes], outcome, family), 0.0
    if fewer is not None:
        F, codes, W, offset = F[fewer.kept], codes[fewer.kept], W[fewer.kept], offset[fewer.kept]
        outcome, family, constant = fewer.outcome, fewer.family, fewer.constant
        offset = offset if fewer.rate is None else offset + np.log(fewer.rate)
    outcome = outcome.events()
    effects, tag = Effects(W, codes, len(part.factor.levels)), family.compiled_rows(link)
    thresholds = link.link(outcome.reached()) if family.ordinal else np.empty(0)
    summed = group_quadrature(tag, family.aux, outcome, F, effects, offset, len(thresholds), constant)
    return placed(summed, thresholds) if summed.terms == 1 else summed


def error_of(
    likelihood: Likelihood, phi: np.ndarray, roots: Sequence[np.ndarray], aux: Mapping[str, np.ndarray]
) -> dict:
    """For a posterior's ``info``: the largest error of the log likelihood among some draws; none of a closed form."""
    if isinstance(likelihood, NormalGroups):
        return {}
    some = np.linspace(0, len(phi) - 1, min(len(phi), _LOOKS)).astype(int)
    error = likelihood.error(phi[some], [root[some] for root in roots], {k: v[some] for k, v in aux.items()})
    return {"integration_error": float(error.max())}


def placed(rows: GroupQuadrature, thresholds: np.ndarray) -> GroupQuadrature:
    """With nodes placed by what the most likely point says; thresholds, of ordered rows, are not sought with it."""
    from scipy.optimize import minimize

    p, own = len(rows.F), 0 if len(thresholds) else len(rows.names)

    def point(x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
        logs = np.clip(x[p:], -_FAR, _FAR)
        values = [thresholds[None]] if len(thresholds) else np.exp(logs[1:]).reshape(-1, 1)
        return x[None, :p], [np.exp(logs[0]).reshape(1, 1, 1)], dict(zip(rows.names, values, strict=True))

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        phi, roots, aux = point(x)
        value, d_phi, d_roots, d_aux = rows.derivatives(phi, roots, aux)
        of_logs = [(d_roots[0] * roots[0]).ravel(), *(d_aux[n] * aux[n] for n in rows.names[:own])]
        slopes = np.concatenate([d_phi[0], *of_logs])
        slopes[p:][np.abs(x[p:]) > _FAR] = 0.0
        return float(0.5 * x @ x / _PULL - value[0]), x / _PULL - slopes

    # L-BFGS-B would solve triangles of three by BLAS, whose threads take longer to begin than all of the work.
    options = {"maxiter": 60, "gtol": 1e-2}
    found = minimize(loss, np.zeros(p + 1 + own), jac=True, method="BFGS", options=options)
    return rows.at_rest(*point(found.x))
