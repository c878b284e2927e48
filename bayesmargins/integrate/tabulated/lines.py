"""Averages over existing groups with random slopes, as functions of eta and t: the price of a value knows no groups.

M(eta, t) = sum over groups of w E[h(eta + a + c t + s Z)] is smooth in t. 12 Chebyshev points serve a panel of t; at
each the average is a curve in eta, made from groups on a grid as in `mixtures`. Panels lie at multiples of their
width, and cells at multiples of theirs: what a value is does not depend on the other rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.mixture import checked_groups
from bayesmargins.integrate.tabulated.bounds import chebyshev_points, derivative_bound, monomials_from_points
from bayesmargins.integrate.tabulated.curves import INSIDE, REACH, checked_part, checked_s, covers
from bayesmargins.integrate.tabulated.group_grid import (
    FARTHEST,
    GRID,
    PHASES,
    group_bounds,
    lagrange_weights,
    plain_values,
    spread_values,
)
from bayesmargins.integrate.tabulated.rows import cell_width
from bayesmargins.integrate.tabulated.rules import make_rules
from bayesmargins.integrate.threads import in_threads

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.line_kernels import LineArrays

__all__ = ["NODES", "Lines", "Panels", "line_mixture", "panels_of"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Range = tuple[float, float]

NODES = 12  # Chebyshev points of a panel
_LEBESGUE = 2.6  # of interpolation at them: 2/pi log(12) + 0.963 < 2.55
_CLOSE = 3e-14  # what the interpolation in t may err by
_CLOSE_RARE = 1e-9  # relative to values that are small
_RARE = 1e-6  # where a tail falls faster than exponentially, smaller values are summed group by group
_WIDEST = 2.0**40  # of a panel, where nothing depends on t
_MOST = 4096  # panels of a draw
_STEEPER = 3.6  # sup of abs(h^(13)) over that of abs(h^(12)) under the probit
_STEPS = 4.0  # s is rounded down to quarters for the bounds that panels are made by


@dataclass(frozen=True, eq=False)
class Panels:
    """Into which ranges of t is each draw cut?

    Attributes
    ----------
    per_t : (draw,) float
        Panels per unit of t; panel 0 begins at t = 0.
    first, count : (draw,) float, int
        Number of the first panel, and how many there are.
    farthest : (draw,) float, link scale
        No group adds more than this to eta (absolute), over all panels.
    covers : (draw,) bool
        Whether a draw can be cut at all.
    """

    per_t: Array
    first: Array
    count: Integers
    farthest: Array
    covers: Flags


@dataclass(frozen=True, eq=False)
class Lines:
    """What is the average over groups of each draw, as a function of eta and t?

    Attributes
    ----------
    link : Link
        The inverse link h.
    part : {"mean", "complement"}
        Averages h or 1 - h.
    arrays : LineArrays
        For the compiled look-ups of `line_kernels`.
    covers : (draw,) bool
        Whether a draw has cells; the others are summed group by group.
    error_bound, error_bound_d_eta, error_bound_d_t : float
        No value, derivative in eta or derivative in t is further than this from the truth (absolute).
    """

    link: Link
    part: str
    arrays: LineArrays = field(repr=False)
    covers: Flags = field(repr=False)
    error_bound: float
    error_bound_d_eta: float
    error_bound_d_t: float

    def __call__(self, eta: npt.ArrayLike, t: npt.ArrayLike, order: int = 0) -> Array:
        """Which values, or derivatives, has each draw at these linear predictors and covariates?

        Parameters
        ----------
        eta : (draw, row) float, link scale
            Linear predictors without the groups.
        t : (draw, row) float
            What the slopes multiply, or what broadcasts to the shape of eta.
        order : {0, 1, 2}
            0 for values, 1 for the derivative in eta, 2 for that in t.

        Returns
        -------
        (draw, row) float
            NaN where eta or t is NaN.

        Raises
        ------
        IntegrationError
            eta has not one line per draw, or t does not broadcast to it.
        """
        from bayesmargins.integrate.tabulated.line_kernels import evaluate_lines

        eta, t = np.ascontiguousarray(eta, dtype=np.float64), np.asarray(t, dtype=np.float64)
        if eta.ndim != 2 or len(eta) != len(self.covers):
            raise IntegrationError(f"eta has shape {eta.shape}: it must be ({len(self.covers)}, row), a line per draw.")
        if np.broadcast_shapes(eta.shape, t.shape) != eta.shape:
            raise IntegrationError(f"eta has shape {eta.shape} and t {t.shape}: t must broadcast to eta.")
        out = np.empty_like(eta)
        in_threads(
            evaluate_lines, len(eta), self.arrays, order, eta, np.array(np.broadcast_to(t, eta.shape), order="C"), out
        )
        return out


def panels_of(link: Link, s: Array, base: Array, slope: Array, weights: Array, t: Range) -> Panels:
    """Into which panels must this range of t be cut, so that 12 points serve each?

    Parameters
    ----------
    link : Link
        The inverse link h.
    s : (draw,) float, link scale
        Standard deviation of what is integrated out besides.
    base, slope : (draw, group) float
        a and c: each group adds a + c t to eta.
    weights : (group,) float
        Share of each group.
    t : tuple of two float
        The smallest and the largest t.

    Returns
    -------
    Panels
        A draw depends on its own s, base and slope only.

    Notes
    -----
    The error of a value is sup of abs(h^(12)) times the mean of abs(c)^12, half^12 / (2^11 12!); that of small values
    the same with the largest c, relative, since h^(12) shrinks with h.
    """
    root = 1.0 / np.sqrt(1.0 + s * s) if link.normal else np.ones(len(s))
    usable = np.isfinite(base).all(axis=1) & (np.abs(slope) < 2.0**500).all(axis=1)
    usable &= s < np.inf if link.normal else covers(s)
    c = np.where(usable[:, None], np.abs(slope), 0.0) * root[:, None]
    largest = np.maximum(c.max(axis=1), 1.0 / _WIDEST)
    fourth = np.square(np.square(c / largest[:, None]))
    with np.errstate(under="ignore"):
        mean = (fourth * fourth * fourth) @ weights
    half = np.minimum(_half_width(link, 0.0 if link.normal else s, usable, mean) / largest, _WIDEST)
    per_t = 0.5 / half
    first = np.floor(t[0] * per_t)
    count = np.floor(t[1] * per_t) - first + 1.0
    ends = np.stack([first, first + count]) / per_t
    with np.errstate(invalid="ignore", over="ignore"):
        farthest = np.abs(base + slope * ends[:, :, None]).max(axis=(0, 2))
    usable &= (farthest * root <= FARTHEST) & (count <= _MOST)
    return Panels(per_t, first, np.where(usable, count, 0.0).astype(np.int64), farthest, usable)


def _half_width(link: Link, s: npt.ArrayLike, usable: Flags, mean: Array) -> Array:
    """(draw,): half of the widest panel that 12 points serve, times the largest c."""
    least = np.broadcast_to(np.floor(np.where(usable, s, 0.0) * _STEPS) / _STEPS, mean.shape)
    factor, half = 2.0 ** (NODES - 1) * math.factorial(NODES), np.empty(len(mean))
    for one in np.unique(least):
        which = least == one
        h = derivative_bound(link, NODES, one)
        steep = np.maximum(h * mean[which] / _CLOSE, max(1.0, 2.0 * h) / _CLOSE_RARE)
        half[which] = (factor / steep) ** (1.0 / NODES)
    return half


def line_mixture(
    link: Link,
    s: npt.ArrayLike,
    base: npt.ArrayLike,
    slope: npt.ArrayLike,
    weights: npt.ArrayLike,
    t: Range,
    eta: Range = (-REACH, REACH),
    part: str = "mean",
) -> Lines:
    """What is the mean response over existing groups with random slopes, as a function of eta and t, for each draw?

    Parameters
    ----------
    link : Link
        One with a numerical rule, or probit.
    s : (draw,) float, link scale
        Standard deviation of the part of z'b that is integrated out besides; 0 where nothing is.
    base, slope : (draw, group) float
        a and c: each group adds a + c t to eta.
    weights : (group,) float
        Share of each group.
    t : tuple of two float
        The range of t that will be asked for.
    eta : tuple of two float, link scale
        The range of linear predictors that will be asked for.
    part : {"mean", "complement"}
        Averages h or 1 - h.

    Returns
    -------
    Lines
        (eta, t) -> sum over groups of w E[f(eta + a + c t + s Z)], in cells for the ranges asked for and eta within
        [-40, 40]; summed group by group beyond, and for draws with s >= 16, shifts beyond +-64, or groups that are not
        finite.

    Raises
    ------
    IntegrationError
        Shapes that do not fit; weights that are negative or do not sum to 1; a negative s; another part or link.

    Notes
    -----
    Under the logit link, and for the mean under the cloglog link, small values keep at least 9 digits, as measured;
    other values below 1e-6 are summed group by group.

    Examples
    --------
    >>> from bayesmargins.family import get_link
    >>> groups = [[-1.0, 0.0, 1.0]], [[0.5, 0.0, -0.5]], [0.25, 0.5, 0.25]
    >>> made = line_mixture(get_link("logit"), [0.0], *groups, t=(0.0, 3.0))
    >>> made([[-2.0, 2.0]], [[0.0, 2.0]]).round(6)
    array([[0.138693, 0.880797]])
    """
    from bayesmargins.integrate.tabulated.line_kernels import LineArrays

    checked_part(link, part)
    s = checked_s(s)
    base, shares = checked_groups(s, base, weights)
    slope, shares = checked_groups(s, slope, weights)
    panels = panels_of(link, s, base, slope, shares, t)
    root = 1.0 / np.sqrt(1.0 + s * s) if link.normal else np.ones(len(s))
    low, high = _cells(link, eta, root[panels.covers])
    edge = np.where(panels.covers, INSIDE / root, 0.0) * cell_width(link)
    arrays = LineArrays(
        np.empty((int(panels.count.sum()), high - low, NODES, 8)), np.cumsum(panels.count) - panels.count, panels.count,
        panels.per_t, panels.first, root / cell_width(link), low * edge, high * edge, -float(low),
        base, slope, shares, s,
        _RARE if part in link.steep else 0.0, make_rules(link, part, s),
    )  # fmt: skip
    bounds = _fill(link, part, arrays, panels, root) if panels.covers.any() else (0.0, 0.0, 0.0)
    return Lines(link, part, arrays, panels.covers, *bounds)


def _cells(link: Link, eta: Range, root: Array) -> tuple[int, int]:
    """The first cell and the one after the last, cell 0 beginning at 0."""
    most = round(REACH / cell_width(link))
    narrow, wide = float(root.min(initial=1.0)), float(root.max(initial=0.0))
    low, high = min(eta[0] * narrow, eta[0] * wide), max(eta[1] * narrow, eta[1] * wide)
    first = int(np.clip(math.floor(max(low, -REACH) / cell_width(link)), -most, most - 1))
    return first, int(np.clip(math.floor(min(high, REACH) / cell_width(link)) + 1, first + 1, most))


def _fill(link: Link, part: str, arrays: LineArrays, panels: Panels, root: Array) -> tuple[float, float, float]:
    """Polynomials of all panels into the arrays; the bounds of values and derivatives."""
    from bayesmargins.integrate.tabulated.line_kernels import mix_lines

    width, s, covered = cell_width(link), arrays.s, panels.covers
    step, first = width / PHASES, -arrays.origin
    farthest = float(np.max((panels.farthest * root)[covered])) + GRID * step
    edge = max(-first, first + arrays.coef.shape[1]) * width
    reach = 8.0 * math.ceil((edge + farthest + 3.0 * step) / 8.0)
    spread = not link.normal and bool(s[covered].any())
    if spread:
        values, noise = spread_values(link, part, np.where(covered, s, 0.0), reach)
    else:
        values, noise = plain_values(link, part, reach), 0.0
    crowd = np.zeros(len(arrays.coef), dtype=np.int64)
    in_threads(
        mix_lines,
        len(arrays.coef),
        values.reshape(*values.shape[:2], -1),
        round((first * width + reach) / step),
        arrays,
        root / step,
        np.repeat(np.arange(len(s)), panels.count),
        chebyshev_points(NODES),
        lagrange_weights(),
        monomials_from_points(),
        *_conversions(),
        crowd,
    )
    least = float(np.floor(s[covered].min() * _STEPS) / _STEPS) if spread else 0.0
    size = link.size(reach + float(s[covered].max()))
    curve = group_bounds(link, least, step, noise, int(crowd.max()), size)
    return _line_bounds(link, least, curve, 2.0 * float(panels.per_t[covered].max()))


@lru_cache(maxsize=1)
def _conversions() -> tuple[Array, Array]:
    """From values at the nodes to coefficients of Chebyshev polynomials, and from these to those of powers."""
    angles = np.outer(np.arange(NODES), np.arccos(chebyshev_points(NODES)))
    to_chebyshev = 2.0 / NODES * np.cos(angles)
    to_chebyshev[0] *= 0.5
    columns = [np.polynomial.chebyshev.cheb2poly(row) for row in np.eye(NODES)]
    to_powers = np.transpose([np.pad(column, (0, NODES - len(column))) for column in columns])
    return to_chebyshev, np.ascontiguousarray(to_powers)


def _line_bounds(link: Link, s: float, curve: tuple[float, float, float], per: float) -> tuple[float, float, float]:
    """Interpolation in t of curves that err by so much, in panels of which `per` halves are a unit of t.

    The derivative in t: Shadrin's inequality for the interpolation, Markov's for the errors of the curves.
    """
    steeper = _STEEPER if link.normal else derivative_bound(link, NODES + 1, s) / derivative_bound(link, NODES, s)
    d_t = NODES**2 * _CLOSE + (NODES - 1) ** 2 * _LEBESGUE * curve[0]
    return _CLOSE + _LEBESGUE * curve[0], steeper * _CLOSE + _LEBESGUE * curve[1], per * d_t
