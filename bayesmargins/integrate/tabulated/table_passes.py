"""Compiled passes over whole arrays: the values of curves and surfaces."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import PASTED, kernel_with_memory
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


@njit(**PASTED)
def _square(s: float) -> float:
    """NaN of what is no standard deviation."""
    return s * s if s >= 0.0 else np.nan


@kernel_with_memory
def evaluate_curves(begin: int, end: int, arrays: CurveArrays, order: int | None, eta: Array, out: Array) -> None:
    """Values of every draw's curve at eta (draw, row), or derivatives of this order, into out (draw, row).

    begin, end : which draws, see `in_threads`. Order None is that of values, for which derivatives are then not
    compiled.

    >>> import numpy as np
    >>> from bayesmargins.integrate.tabulated.curves import curves
    >>> from bayesmargins.family import get_link
    >>> out = np.empty((1, 1))
    >>> evaluate_curves(0, 1, curves(get_link("logit"), [1.0]).arrays, None, np.zeros((1, 1)), out)
    >>> round(float(out[0, 0]), 12)
    0.5
    """
    for draw in range(begin, end):
        work = np.empty((3, _TILE))
        for start in range(0, eta.shape[1], _TILE):
            x, values = eta[draw, start : start + _TILE], out[draw, start : start + _TILE]
            if order is None:
                if curve_tile(arrays, draw, x, values, work[0, : x.size]) > 0:
                    for i in range(x.size):
                        values[i] += curve_far(arrays, draw, 0, x[i])
            else:
                outside = curve_tile_all(arrays, draw, x, work[0, : x.size], work[1, : x.size], work[2, : x.size])
                for i in range(x.size):
                    values[i] = work[order, i] + (curve_far(arrays, draw, order, x[i]) if outside > 0 else 0.0)


@kernel_with_memory
def evaluate_surface(
    begin: int, end: int, arrays: SurfaceArrays, order: int | None, eta: Array, s: Array, out: Array
) -> None:
    """Values of the surface at eta and s (draw, row), or derivatives in eta of this order, into out (draw, row).

    begin, end : which draws, see `in_threads`. Order None is that of values, for which derivatives are then not
    compiled.

    >>> import numpy as np
    >>> from bayesmargins.integrate.tabulated.surfaces import surface
    >>> from bayesmargins.family import get_link
    >>> out = np.empty((1, 1))
    >>> made, one = surface(get_link("logit"), 0.9, 1.1).arrays, np.ones((1, 1))
    >>> evaluate_surface(0, 1, made, None, 0.0 * one, one, out)
    >>> round(float(out[0, 0]), 10)
    0.5
    """
    for draw in range(begin, end):
        work = np.empty((5, _TILE))
        for start in range(0, eta.shape[1], _TILE):
            stop = start + _TILE
            x, y, values = eta[draw, start:stop], s[draw, start:stop], out[draw, start:stop]
            u, t = work[3, : x.size], work[4, : x.size]
            for i in range(x.size):
                u[i], t[i] = x[i], _square(y[i])
            if order is None:
                if surface_tile(arrays, u, t, values) > 0:
                    for i in range(x.size):
                        values[i] += surface_far(arrays, 0, x[i], _square(y[i]))
            else:
                outside = surface_tile_all(arrays, u, t, work[0, : x.size], work[1, : x.size], work[2, : x.size])
                for i in range(x.size):
                    far = surface_far(arrays, order, x[i], _square(y[i])) if outside > 0 else 0.0
                    values[i] = work[order, i] + far
