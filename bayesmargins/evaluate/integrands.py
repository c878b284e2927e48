"""What a compiled pass looks up for a tile of rows: h itself, closed forms, curves or a surface.

One kernel serves them all and is compiled for each; which functions it calls follows from the integrand's type.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.kernels import closed, plain
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

__all__ = ["Bare", "Far", "derivatives", "values", "within_tables"]

Array = npt.NDArray[np.float64]

_COMPILED = "Compiled code calls this: there the overload below puts the integrand's own function in its place."


class Bare(NamedTuple):
    """A link that needs no table: h itself, or a closed form of its average."""

    # the tag of the mean or its complement, from `Link.tags`; at s2 = 0 only where the link has no closed form
    link: Any


class Far(NamedTuple):
    """What a table left out because it lies too far away: exact there, and 0 where the table has been."""

    of: Any  # the table


def within_tables(integrand: Any) -> Any:
    """The same without what values outside the cells are made of: one compiled pass then serves all links."""
    none: Any = ()
    return integrand._replace(rules=none) if isinstance(integrand, CurveArrays | SurfaceArrays) else integrand


@njit(**INNER)
def _bare_tile(integrand: Bare, line: int, eta: Array, s2: Array, out: Array) -> int:
    link = integrand.link
    if link.part == 0:
        for i in range(eta.size):
            out[i] = plain(link, eta[i], s2[i])
        return 0
    for i in range(eta.size):
        out[i] = closed(link, link.part, eta[i], s2[i])
    return 0


@njit(**INNER)
def _bare_both(integrand: Bare, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> int:
    for i in range(eta.size):
        d1[i] = closed(integrand.link, 2, eta[i], s2[i])
        d2[i] = closed(integrand.link, 3, eta[i], s2[i])
    return 0


@njit(**INNER)
def _curve_tile(integrand: CurveArrays, line: int, eta: Array, s2: Array, out: Array) -> int:
    return curve_tile(integrand, line, eta, out, s2[: eta.size])  # s2 is the same in all rows: there is room to work


@njit(**INNER)
def _curve_both(integrand: CurveArrays, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> int:
    return curve_tile_all(integrand, line, eta, s2[: eta.size], d1, d2)


@njit(**INNER)
def _curve_value_far(integrand: CurveArrays, line: int, eta: float, s2: float) -> float:
    return curve_far(integrand, line, 0, eta)


@njit(**INNER)
def _curve_both_far(integrand: CurveArrays, line: int, eta: float, s2: float) -> tuple[float, float]:
    return curve_far(integrand, line, 1, eta), curve_far(integrand, line, 2, eta)


@njit(**INNER)
def _surface_tile(integrand: SurfaceArrays, line: int, eta: Array, s2: Array, out: Array) -> int:
    return surface_tile(integrand, eta, s2[: eta.size], out)


@njit(**INNER)
def _surface_both(integrand: SurfaceArrays, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> int:
    return surface_tile_all(integrand, eta, s2[: eta.size], d1, d1, d2)


@njit(**INNER)
def _surface_value_far(integrand: SurfaceArrays, line: int, eta: float, s2: float) -> float:
    return surface_far(integrand, 0, eta, s2)


@njit(**INNER)
def _surface_both_far(integrand: SurfaceArrays, line: int, eta: float, s2: float) -> tuple[float, float]:
    return surface_far(integrand, 1, eta, s2), surface_far(integrand, 2, eta, s2)


@njit(**INNER)
def _far_tile(integrand: Far, line: int, eta: Array, s2: Array, out: Array) -> int:
    for i in range(eta.size):
        out[i] = value_far(integrand.of, line, eta[i], s2[i])
    return 0


@njit(**INNER)
def _far_both(integrand: Far, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> int:
    for i in range(eta.size):
        d1[i], d2[i] = derivatives_far(integrand.of, line, eta[i], s2[i])
    return 0


def values(integrand: Any, line: int, eta: Array, s2: Array, out: Array) -> int:
    """The average over groups of a tile, and how many of its rows lie too far out: they get 0."""
    raise TypeError(_COMPILED)


def derivatives(integrand: Any, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> int:
    """Its first and second derivative in eta, and how many rows lie too far out."""
    raise TypeError(_COMPILED)


def value_far(integrand: Any, line: int, eta: float, s2: float) -> float:
    """The average of one row that lies too far out; 0 for the others."""
    raise TypeError(_COMPILED)


def derivatives_far(integrand: Any, line: int, eta: float, s2: float) -> tuple[float, float]:
    """Its derivatives; 0 for the others."""
    raise TypeError(_COMPILED)


_JIT: Any = APART  # numba's own annotation leaves some of them out
_VALUES = {Bare: _bare_tile, CurveArrays: _curve_tile, SurfaceArrays: _surface_tile, Far: _far_tile}
_DERIVATIVES = {Bare: _bare_both, CurveArrays: _curve_both, SurfaceArrays: _surface_both, Far: _far_both}
_VALUE_FAR = {CurveArrays: _curve_value_far, SurfaceArrays: _surface_value_far}
_DERIVATIVES_FAR = {CurveArrays: _curve_both_far, SurfaceArrays: _surface_both_far}


@overload(values, strict=False, inline="always", jit_options=_JIT)
def _values(integrand: Any, line: int, eta: Array, s2: Array, out: Array) -> Any:
    return _VALUES[integrand.instance_class].py_func


@overload(derivatives, strict=False, jit_options=_JIT)
def _derivatives(integrand: Any, line: int, eta: Array, s2: Array, d1: Array, d2: Array) -> Any:
    return _DERIVATIVES[integrand.instance_class].py_func


@overload(value_far, strict=False, jit_options=_JIT)
def _value_far(integrand: Any, line: int, eta: float, s2: float) -> Any:
    return _VALUE_FAR[integrand.instance_class].py_func


@overload(derivatives_far, strict=False, jit_options=_JIT)
def _derivatives_far(integrand: Any, line: int, eta: float, s2: float) -> Any:
    return _DERIVATIVES_FAR[integrand.instance_class].py_func
