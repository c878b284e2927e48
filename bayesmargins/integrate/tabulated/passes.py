"""Compiled passes over whole arrays: the values of curves and surfaces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesmargins.integrate.compiled import kernel
from bayesmargins.integrate.tabulated.kernels import (
    CurveArrays,
    SurfaceArrays,
    curve_far,
    curve_tile,
    curve_tile_all,
    surface_far,
    surface_tile,
    surface_tile_all,
)

__all__ = ["evaluate_curves", "evaluate_surface"]

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

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmargins.integrate.tabulated.curves import curves
    >>> from bayesmargins.family import get_link
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
                outside = curve_tile(arrays, draw, x, values)
            else:
                outside = curve_tile_all(arrays, draw, x, work[0], work[1], work[2])
                values[:] = work[order, : x.size]
            if outside > 0:
                for i in range(x.size):
                    values[i] += curve_far(arrays, draw, order, x[i])


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

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmargins.integrate.tabulated.curves import surface
    >>> from bayesmargins.family import get_link
    >>> out = np.empty((1, 1))
    >>> evaluate_surface(0, 1, surface(get_link("logit"), 0.9, 1.1).arrays, 0, np.zeros((1, 1)), np.ones((1, 1)), out)
    >>> round(float(out[0, 0]), 10)
    0.5
    """
    for draw in range(begin, end):
        work = np.empty((5, _TILE))
        for start in range(0, eta.shape[1], _TILE):
            stop = start + _TILE
            x, y, values = eta[draw, start:stop], s[draw, start:stop], out[draw, start:stop]
            u, t = work[3, : x.size], work[4, : x.size]
            u[:], t[:] = x, y
            if order == 0:
                outside = surface_tile(arrays, u, t, values)
            else:
                outside = surface_tile_all(arrays, u, t, work[0], work[1], work[2])
                values[:] = work[order, : x.size]
            if outside > 0:
                for i in range(x.size):
                    values[i] += surface_far(arrays, order, x[i], y[i])
