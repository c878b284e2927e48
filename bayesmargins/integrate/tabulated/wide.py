"""Wide cells of curves, for tiles of rows whose eta lie close together: how wide they may be, and what they err by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bayesmargins.integrate.rules import EPS
from bayesmargins.integrate.tabulated.bounds import chebyshev_points, derivative_bound
from bayesmargins.integrate.tabulated.curves import Curves
from bayesmargins.integrate.threads import in_threads

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.wide_kernels import WideCells

__all__ = ["Wide", "no_wide_cells", "wide_cells"]

# where a tail falls faster than exponentially, cells with smaller values would lose relative accuracy
_RARE = 1e-5
_CLOSE = 1e-13  # what the polynomial of a wide cell may add to the errors of the values that it goes through


@dataclass(frozen=True, eq=False)
class Wide:
    """What are the curves, or their derivatives, in wide cells?

    Attributes
    ----------
    arrays : WideCells
        For the compiled look-ups of `wide_kernels`.
    error_bound : float
        No value of the polynomials is further than this from the truth (absolute).
    """

    arrays: WideCells = field(repr=False)
    error_bound: float


def no_wide_cells(lines: int) -> Wide:
    """No cells at all: every row is looked up for itself."""
    from bayesmargins.integrate.tabulated.wide_kernels import POINTS, WideCells

    return Wide(WideCells(np.empty((lines, 0, POINTS)), 0.0), 0.0)


def wide_cells(curves: Curves, s: float, reach: float, order: int = 0) -> Wide:
    """Which polynomials in wide cells stand for these curves?

    Parameters
    ----------
    curves : Curves
        One curve a draw.
    s : float, link scale
        The smallest standard deviation among them.
    reach : float, link scale
        Up to which abs(eta) cells are made; none beyond what all draws' own cells cover.
    order : {0, 1}
        Values, or first derivatives in eta.

    Returns
    -------
    Wide

    Notes
    -----
    The polynomial through f at n Chebyshev points of an interval with half-width w is wrong by at most
    2 (w / 2)^n sup abs(f^(n)) / n!, its derivative by at most n^2 / w times as much (Shadrin 1995), and both hand on
    errors of the values times the Lebesgue constant of the interpolation and of its derivative, both taken over that
    part of a cell that tiles come to lie in. Under the logit link, and for the mean under the cloglog link, all of it
    holds relative to f as well.

    Examples
    --------
    >>> from bayesmargins.integrate.tabulated.curves import curves
    >>> from bayesmargins.family import get_link
    >>> made = wide_cells(curves(get_link("logit"), [1.0]), 1.0, 10.0)
    >>> 1.5 < made.arrays.half < 2.5, made.error_bound < 1e-11
    (True, True)
    """
    from bayesmargins.integrate.tabulated.wide_kernels import POINTS, WideCells, fill_wide_cells

    points, to_chebyshev, to_monomials, lebesgue = _matrices(POINTS)
    half = _widest(curves, s, POINTS)
    lines = len(curves.covers)
    served = float(np.minimum(curves.arrays.high, -curves.arrays.low).min(initial=np.inf))
    most = min(math.ceil(reach / half), math.floor(served / half) - 1) if half > 0.0 else -1
    if most < 0:
        return no_wide_cells(lines)
    steep = curves.part in curves.link.steep
    least = _RARE if steep and order == 0 else -np.inf
    coef = np.empty((lines, 2 * most + 1, POINTS))
    in_threads(fill_wide_cells, lines, curves.arrays, order, half, least, points, to_chebyshev, to_monomials, coef)
    noise, sharpest = curves.error_bound + 4.0 * POINTS * EPS * curves.link.size(reach), POINTS**2 / half
    error = lebesgue[0] * noise + _CLOSE if order == 0 else lebesgue[1] / half * noise + sharpest * _CLOSE
    return Wide(WideCells(coef, half), error)


def _widest(curves: Curves, s: float, points: int) -> float:
    """Half-width up to which the polynomials are close enough; 0 where none is."""
    steepest = derivative_bound(curves.link, points, s)
    if not math.isfinite(steepest):
        return 0.0
    return 2.0 * (_CLOSE * math.factorial(points) / (2.0 * steepest)) ** (1.0 / points)


@lru_cache(maxsize=4)
def _matrices(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """Points, values to Chebyshev coefficients, these to monomials, and two Lebesgue constants."""
    from bayesmargins.integrate.tabulated.wide_kernels import WIDEST_TILE

    points = chebyshev_points(count)
    to_chebyshev = np.cos(np.outer(np.arccos(points), np.arange(count))) * (2.0 / count)
    to_chebyshev[:, 0] *= 0.5
    to_monomials = np.zeros((count, count))
    for k in range(count):
        to_monomials[k, : k + 1] = np.polynomial.chebyshev.cheb2poly(np.eye(count)[k])[: k + 1]
    x = np.linspace(-1.0, 1.0, 2001) * (0.5 + 0.5 * WIDEST_TILE)
    one_each = to_chebyshev.T  # the polynomial that is 1 at one of the points, for each
    through = (one_each, np.polynomial.chebyshev.chebder(one_each))
    value, d1 = (float(np.abs(np.polynomial.chebyshev.chebval(x, c)).sum(axis=0).max()) * 1.01 for c in through)
    return points, to_chebyshev, to_monomials, (value, d1)
