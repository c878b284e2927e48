"""Averages over existing groups as curves in eta: the price of a value does not grow with the number of groups.

The groups of a draw are moved to a uniform grid with weights that keep the sum over groups of every polynomial up to
degree 9 around each of them, the adjoint of 10-point Lagrange interpolation. The average at the points of all cells is
then a short discrete convolution with values of E[h(eta + s Z)].
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Link
from bayesmargins.integrate.aligned import aligned
from bayesmargins.integrate.fitted_groups import checked_groups
from bayesmargins.integrate.tabulated.bounds import CURVE_POINTS, monomials_from_points
from bayesmargins.integrate.tabulated.curves import (
    INSIDE,
    REACH,
    Curves,
    checked_part,
    checked_s,
    covers,
    trusted_range,
)
from bayesmargins.integrate.tabulated.group_grid import (
    FARTHEST,
    GRID,
    PHASES,
    group_bounds,
    lagrange_weights,
    plain_values,
    spread_values,
)
from bayesmargins.integrate.tabulated.rows import ROW_WIDTH, cell_width
from bayesmargins.integrate.tabulated.table_rules import make_rules
from bayesmargins.limits import in_threads

__all__ = ["mixture_curves"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CHUNK = 64  # draws whose values are in memory at a time, where s differs


def mixture_curves(
    link: Link,
    s: npt.ArrayLike,
    shifts: npt.ArrayLike,
    weights: npt.ArrayLike,
    part: str = "mean",
    reach: float = REACH,
) -> Curves:
    """eta -> the sum over groups of weight times E[f(eta + shift + s Z)] in each draw, f h or 1 - h.

    s (draw,) is the standard deviation of what is integrated out besides, shifts (draw, group) are z'b of each group,
    the same for every row, and weights (group,) sum to 1. Cells lie on [-reach, reach], reach a multiple of 8 and at
    most 40; beyond, groups are summed one by one. So are draws with s >= 16 or a shift beyond +-64 everywhere. The
    link has a numerical rule, or is the probit.

    Under the logit link, and for the mean under the cloglog link, derivatives are bounded relative to the average
    itself, so that rare events keep their relative accuracy. Probit tails and the cloglog's complement fall faster.

    >>> from bayesmargins.family import get_link
    >>> made = mixture_curves(get_link("logit"), [0.0], [[-1.0, 0.0, 1.0]], [0.25, 0.5, 0.25])
    >>> made([[-2.0, 2.0]]).round(6)
    array([[0.138693, 0.861307]])
    """
    from bayesmargins.integrate.tabulated.kernels import CurveArrays

    checked_part(link, part)
    s = checked_s(s)
    shifts, weights = checked_groups(s, shifts, weights)
    rules = make_rules(link, part, s)
    root = 1.0 / np.sqrt(1.0 + s * s) if link.normal else np.ones(len(s))
    farthest = np.maximum(shifts.max(axis=1), -shifts.min(axis=1)) * root
    covered = (s < np.inf if link.normal else covers(s)) & (farthest <= FARTHEST)
    coef = aligned(len(s), round(2.0 * reach / cell_width(link)), CURVE_POINTS)
    scale = np.where(covered, root, 0.0)
    bounds = _fill(link, part, s, shifts, weights, scale, covered, coef) if covered.any() else (0.0, 0.0, 0.0)
    edge = np.where(covered, reach * INSIDE / root, 0.0)
    low, high = (-edge, edge) if link.normal or not covered.any() else trusted_range(link, part, coef, edge)
    arrays = CurveArrays(coef, root / cell_width(link), low, high, s, shifts, weights, rules)
    return Curves(link, part, arrays, covered, *bounds)


def _fill(
    link: Link,
    part: str,
    s: Array,
    shifts: Array,
    weights: Array,
    scale: Array,
    covered: npt.NDArray[np.bool_],
    coef: Array,
) -> tuple[float, float, float]:
    """Polynomials of all covered draws into coef; their bounds."""
    from bayesmargins.integrate.tabulated.group_curve_kernels import mix_groups

    step = cell_width(link) / PHASES
    farthest = float(np.max(np.maximum(shifts.max(axis=1), -shifts.min(axis=1))[covered] * scale[covered]))
    own = 0.5 * coef.shape[1] * cell_width(link)
    reach = own + 8.0 * math.ceil((farthest + GRID * step) / 8.0)
    crowd = np.zeros(len(s), dtype=np.int64)
    noise, origin = 0.0, round((reach - own) / step)
    same = covered if link.normal else covered & (s == 0.0)
    batches = [np.flatnonzero(same)] if same.any() else []
    apart = np.flatnonzero(covered & ~same)
    batches += [apart[i : i + _CHUNK] for i in range(0, len(apart), _CHUNK)]
    for i, which in enumerate(batches):
        if i == 0 and same.any():
            values = plain_values(link, part, reach)
        else:
            values, bound = spread_values(link, part, s[which], reach)
            noise = max(noise, bound)
        in_threads(
            mix_groups,
            len(which),
            values,
            origin,
            shifts,
            weights,
            scale / step,
            which,
            lagrange_weights(),
            monomials_from_points(),
            coef,
            crowd,
        )
    smallest = 0.0 if same.any() else float(np.floor(s[covered].min() / ROW_WIDTH) * ROW_WIDTH)
    return group_bounds(link, smallest, step, noise, int(crowd.max()), link.size(reach + float(s[covered].max())))
