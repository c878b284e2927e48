"""Wide cells of a curve: one polynomial for a tile of rows whose eta lie close together.

Rows that are sorted by their typical eta come in tiles of narrow range. A wide cell holds a whole tile, so that nothing
is looked up row by row and nothing branches.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER, kernel
from bayesmargins.integrate.tabulated.kernels import CurveArrays, curve_tile

__all__ = ["POINTS", "WIDEST_TILE", "WideCells", "fill_wide_cells", "wide_tile"]

Array = npt.NDArray[np.float64]

POINTS = 20
WIDEST_TILE = 0.9  # in halves of a cell: so that no row comes near a cell's end, where slopes are least accurate
# NaN need not be told apart here: a row whose eta is NaN gets NaN from the polynomial.
_ANY_ORDER: dict[str, Any] = {**INNER, "fastmath": {"contract", "nnan", "nsz"}}


class WideCells(NamedTuple):
    """A curve, or its derivative, in cells that overlap: cell k serves eta from (k - 1) half to (k + 1) half.

    Attributes
    ----------
    coef : (draw, cell, 20) float
        Coefficients of 1, u, ..., u^19, u from -1 to 1 over the cell. The middle cell is that of k = 0; a cell that
        would lose digits begins with NaN.
    half : float
        Half the width of a cell. A tile that is no wider than 0.9 of it lies well within one of them, wherever it is.
    """

    coef: Array
    half: float


@njit(**_ANY_ORDER)
def _range(eta: Array) -> tuple[float, float]:
    low = high = eta[0]
    for i in range(eta.size):
        low = min(low, eta[i])
        high = max(high, eta[i])
    return low, high


@njit(**INNER)
def wide_tile(wide: WideCells, draw: int, eta: Array, out: Array) -> bool:
    """Values at a tile of eta by one polynomial; False, and nothing done, where no cell holds the tile."""
    low, high = _range(eta)
    half, most = wide.half, wide.coef.shape[1] // 2
    k = np.rint(0.5 * (low + high) / half) if half > 0.0 else np.inf
    if not ((abs(k) <= most) & (high - low <= WIDEST_TILE * half)):
        return False
    c, centre, scale = wide.coef[draw, most + int(k)], k * half, 1.0 / half
    if math.isnan(c[0]):
        return False
    for i in range(eta.size):
        u = (eta[i] - centre) * scale
        square = u * u
        even, odd = c[POINTS - 2], c[POINTS - 1]
        for n in range(POINTS - 4, -1, -2):  # two chains of products: one would wait for itself
            even = even * square + c[n]
            odd = odd * square + c[n + 1]
        out[i] = even + u * odd
    return True


@kernel
def fill_wide_cells(
    begin: int,
    end: int,
    curves: CurveArrays,
    order: int,
    half: float,
    least: float,
    points: Array,
    to_chebyshev: Array,
    to_monomials: Array,
    coef: Array,
) -> None:
    """Which polynomials pass through each draw's curve at the Chebyshev points of wide cells, or what are their slopes?

    Parameters
    ----------
    begin, end : int
        Which draws: see `in_threads`.
    curves : CurveArrays
        The curves.
    order : int
        0 for the polynomials, 1 for their derivatives.
    half : float
        Half the width of a cell.
    least : float
        Cells with smaller values are left out.
    points : (20,) float
        Chebyshev points of [-1, 1].
    to_chebyshev, to_monomials : (20, 20) float
        From values (first axis) to coefficients of T_n, and on to those of u^n: in two steps, because the second matrix
        has large entries, which then meet small coefficients.
    coef : (draw, cell, 20) float
        Receives the polynomials.
    """
    work = np.empty((3, POINTS))
    eta, values, between = work[0], work[1], work[2]
    most = coef.shape[1] // 2
    for draw in range(begin, end):
        for cell in range(coef.shape[1]):
            for p in range(POINTS):
                eta[p] = half * (cell - most + points[p])
            curve_tile(curves, draw, eta, values)
            smallest = values.min()
            between[:] = 0.0
            for p in range(POINTS):
                for k in range(POINTS):
                    between[k] += to_chebyshev[p, k] * values[p]
            out = coef[draw, cell]
            out[:] = 0.0
            if smallest < least:
                out[0] = np.nan
                continue
            for p in range(POINTS):
                for k in range(POINTS):
                    out[k] += to_monomials[p, k] * between[p]
            if order == 1:
                for k in range(1, POINTS):
                    out[k - 1] = k * out[k] / half
                out[POINTS - 1] = 0.0
