"""Compiled passes over whole arrays: the values of curves and surfaces, and the making of curves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesmargins.integrate.compiled import kernel
from bayesmargins.integrate.table_kernels import (
    CurveArrays,
    SurfaceArrays,
    curve_tile,
    curve_tile_all,
    surface_tile,
    surface_tile_all,
)

__all__ = ["collapse", "evaluate_curves", "evaluate_surface"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TILE = 256


@kernel
def evaluate_curves(begin: int, end: int, arrays: CurveArrays, order: int, eta: Array, out: Array) -> None:
    """What are the values of every draw's curve, or its derivatives of order 1 or 2?

    Parameters
    ----------
    begin, end : int
        Which draws: see `in_threads`.
    arrays : CurveArrays
        The curves.
    order : int
        0, 1 or 2.
    eta : (draw, row) float
        Where.
    out : (draw, row) float
        Receives the values.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmargins.integrate.tables import curves
    >>> from bayesmargins.links import get_link
    >>> out = np.empty((1, 1))
    >>> evaluate_curves(0, 1, curves(get_link("logit"), [1.0]).arrays, 0, np.zeros((1, 1)), out)
    >>> round(float(out[0, 0]), 12)
    0.5
    """
    for draw in range(begin, end):
        work = np.empty((3, _TILE))
        for start in range(0, eta.shape[1], _TILE):
            x, values = eta[draw, start : start + _TILE], out[draw, start : start + _TILE]
            if order == 0:
                curve_tile(arrays, draw, x, values)
            else:
                curve_tile_all(arrays, draw, x, work[0], work[1], work[2])
                values[:] = work[order, : x.size]


@kernel
def evaluate_surface(begin: int, end: int, arrays: SurfaceArrays, order: int, eta: Array, s: Array, out: Array) -> None:
    """What are the values of the surface, or its derivatives in eta of order 1 or 2?

    Parameters
    ----------
    begin, end : int
        Which draws: see `in_threads`.
    arrays : SurfaceArrays
        The surface.
    order : int
        0, 1 or 2.
    eta, s : (draw, row) float
        Where.
    out : (draw, row) float
        Receives the values.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmargins.integrate.tables import surface
    >>> from bayesmargins.links import get_link
    >>> out = np.empty((1, 1))
    >>> evaluate_surface(0, 1, surface(get_link("logit"), 0.9, 1.1).arrays, 0, np.zeros((1, 1)), np.ones((1, 1)), out)
    >>> round(float(out[0, 0]), 10)
    0.5
    """
    for draw in range(begin, end):
        work = np.empty((3, _TILE))
        for start in range(0, eta.shape[1], _TILE):
            stop = start + _TILE
            x, y, values = eta[draw, start:stop], s[draw, start:stop], out[draw, start:stop]
            if order == 0:
                surface_tile(arrays, x, y, values)
            else:
                surface_tile_all(arrays, x, y, work[0], work[1], work[2])
                values[:] = work[order, : x.size]


@kernel
def collapse(begin: int, end: int, rows: Array, which: Integers, matrix: Array, coef: Array) -> None:
    """What is the curve of each draw: which polynomial in each cell, given the row of the table for its s?

    Parameters
    ----------
    begin, end : int
        Which draws: see `in_threads`.
    rows : (row, cell, term) float
        The table.
    which : (draw,) int
        The row of each draw; negative leaves the draw as it is.
    matrix : (draw, term, 8) float
        From the terms to the coefficients of 1, u, ..., u^7, by draw.
    coef : (draw, cell, 8) float
        Receives the coefficients.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> import numpy as np
    >>> coef = np.zeros((1, 1, 8))
    >>> collapse(0, 1, np.ones((1, 1, 12)), np.zeros(1, dtype=np.int64), np.ones((1, 12, 8)), coef)
    >>> float(coef[0, 0, 0])
    12.0
    """
    for draw in range(begin, end):
        if which[draw] >= 0:
            source, by = rows[which[draw]], matrix[draw]
            for cell in range(coef.shape[1]):
                # eight sums side by side: one after the other, each would wait for its own last product
                c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = 0.0
                for n in range(source.shape[1]):
                    x = source[cell, n]
                    c0 += x * by[n, 0]
                    c1 += x * by[n, 1]
                    c2 += x * by[n, 2]
                    c3 += x * by[n, 3]
                    c4 += x * by[n, 4]
                    c5 += x * by[n, 5]
                    c6 += x * by[n, 6]
                    c7 += x * by[n, 7]
                out = coef[draw, cell]
                out[0], out[1], out[2], out[3] = c0, c1, c2, c3
                out[4], out[5], out[6], out[7] = c4, c5, c6, c7
