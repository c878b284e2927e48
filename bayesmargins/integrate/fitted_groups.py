"""Averages over existing groups: sum over groups of weight times E[h(eta + shift + s Z)], in one call.

What h allows decides how: identity and log fold the groups into one shift per draw, probit and every h without s Z are
one compiled loop over draws, and the rest takes the engine once per group.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import PARTS, Link
from bayesmargins.integrate.engine import Integral, checked, expectation, largest_of
from bayesmargins.integrate.rules import EPS
from bayesmargins.limits import in_threads

__all__ = ["checked_groups", "mixture_expectation"]

Array = npt.NDArray[np.float64]

_AT_A_TIME = 2**16  # shifts: what a processor keeps close
_SUM_TOLERANCE = 1e-8  # weights are shares of a count: a larger gap is a mistake, not rounding


def mixture_expectation(
    link: Link,
    eta: npt.ArrayLike,
    s2: npt.ArrayLike,
    shifts: npt.ArrayLike,
    weights: npt.ArrayLike,
    part: str = "mean",
) -> Integral:
    """The sum over fitted groups of weight times E[f(eta + shift + s Z)] at eta (draw, row), with a bound on its error.

    s2, the variance of what is integrated out besides, is as of `expectation`, and so are f, method and bound. shifts
    (draw, group) are z'b of each group, or combination of groups, the same for every row; weights (group,) sum to 1,
    and a group of weight 0 does not count, whatever its shift. NaN where eta, s2 or a shift is.

    Means and complements keep their relative accuracy for rare events: all terms are positive. h'' changes sign, and is
    accurate relative to h'. With s2 > 0 under the logit and cloglog links, and for the third and fourth derivative, the
    time is that of `expectation` times the number of groups.

    >>> from bayesmargins.family import get_link
    >>> result = mixture_expectation(get_link("logit"), [[-2.0, 2.0]], 0.0, [[-1.0, 0.0, 1.0]], [0.25, 0.5, 0.25])
    >>> result.value.round(6)
    array([[0.138693, 0.861307]])
    >>> result.method
    'plug-in'
    """
    eta, s2 = checked(link, eta, s2, part)
    shifts, weights = checked_groups(eta, shifts, weights)
    if link.separable:
        return expectation(link, eta + _one_shift(link, shifts, weights), s2, part)
    if part in ("d3", "d4"):
        return _group_by_group(link, eta, s2, shifts, weights, part)
    from bayesmargins.integrate.kernels import CHUNK  # numba takes a second to import

    value = np.empty(eta.shape)
    tasks = len(eta) * -(-eta.shape[1] // CHUNK)
    if link.normal:
        from bayesmargins.integrate.fitted_group_kernels import mixture_probit

        in_threads(mixture_probit, tasks, PARTS.index(part), eta, s2, shifts, weights, value)
        return Integral(value, 0.0, "closed form", 0)
    if np.any(s2 > 0.0):
        return _group_by_group(link, eta, s2, shifts, weights, part)
    from bayesmargins.integrate.fitted_group_kernels import mixture_plug_in

    in_threads(mixture_plug_in, tasks, link.tags[part], eta, shifts, weights, value)
    value[np.broadcast_to(np.isnan(s2), value.shape)] = np.nan
    return Integral(value, 0.0, "plug-in", 0)


def checked_groups(eta: Array, shifts: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[Array, Array]:
    """shifts (draw, group) and weights (group,), C-contiguous, of the groups that count; weights sum to 1."""
    shifts, weights = np.asarray(shifts, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1:
        raise IntegrationError(f"weights has shape {weights.shape}: it must be (group,).")
    if shifts.shape != (len(eta), len(weights)):
        raise IntegrationError(
            f"shifts has shape {shifts.shape}: with {len(eta)} draws of eta and {len(weights)} weights it must be "
            f"{(len(eta), len(weights))}, (draw, group). A shift that differs between rows belongs in eta."
        )
    if np.any(weights < 0.0):
        raise IntegrationError(f"weights has a negative value ({weights.min():.6g}): a share must be >= 0.")
    total = float(weights.sum())
    if not abs(total - 1.0) <= _SUM_TOLERANCE:
        raise IntegrationError(f"weights sums to {total:.10g}: it must sum to 1. Divide by the sum.")
    if not weights.all():
        shifts, weights = shifts[:, weights > 0.0], weights[weights > 0.0]
    return np.ascontiguousarray(shifts), np.ascontiguousarray(weights)


def _one_shift(link: Link, shifts: Array, weights: Array) -> Array:
    """(draw, 1): the one shift with the average of all groups, under a link that turns sums into sums or products."""
    # some draws at a time, so that no second array of draws x groups exists
    of, size = _weighted_mean if link.linear else _log_mean_exp, max(1, _AT_A_TIME // shifts.shape[1])
    with np.errstate(invalid="ignore"):  # inf - inf is NaN
        found = [of(shifts[start : start + size], weights) for start in range(0, len(shifts), size)]
    return np.concatenate([np.empty(0), *found])[:, None]


def _weighted_mean(shifts: Array, weights: Array) -> Array:
    return np.asarray(np.sum(weights * shifts, axis=1))


def _log_mean_exp(shifts: Array, weights: Array) -> Array:
    top = shifts.max(axis=1)
    inside = np.log(np.sum(weights * np.exp(shifts - top[:, None]), axis=1))
    return np.where(np.isfinite(top), top + inside, top)


def _group_by_group(link: Link, eta: Array, s2: Array, shifts: Array, weights: Array, part: str) -> Integral:
    """The engine once per group; a weighted mean errs by no more than its worst term and the rounding of the sum."""
    value, lost = np.zeros(eta.shape), np.zeros(eta.shape)
    bound, relative, nodes, method = 0.0, 0.0, 0, ""
    for shift, weight in zip(shifts.T, weights, strict=True):
        term = expectation(link, eta + shift[:, None], s2, part)
        bound, relative = max(bound, term.error_bound), max(relative, term.relative_bound)
        nodes, method = max(nodes, term.nodes), term.method
        step = weight * term.value - lost
        joined = value + step
        lost = (joined - value) - step
        value = joined
    rounding = 4.0 * EPS * largest_of(value) if value.size else 0.0
    return Integral(value, bound + rounding, method, nodes, relative + 4.0 * EPS)
