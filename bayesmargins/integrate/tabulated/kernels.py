"""Compiled look-ups in the tables of curves and surfaces, to be called from other compiled loops.

The tile functions are what other kernels call. They have no branch: outside the cells, and for what is not a number,
they give 0 and say how often; the far functions then sum the nodes of a trapezoid rule there. A value depends on its
own eta and s only, bit for bit, whatever the tiles and threads. Inside a loop over single values, handing over the
arrays costs more than the value: use tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import INNER, INNER_SUM
from bayesmargins.integrate.kernels import closed, one_node
from bayesmargins.integrate.tabulated.bands import BAND_BITS, LEAST
from bayesmargins.integrate.tabulated.eight_rows import start_of_row, tile_of, times, whole_bits, whole_number, within
from bayesmargins.integrate.vector_math import ROUND, middle_of

__all__ = [
    "CurveArrays",
    "Rules",
    "SurfaceArrays",
    "curve_far",
    "curve_tile",
    "curve_tile_all",
    "exact_value",
    "surface_far",
    "surface_tile",
    "surface_tile_all",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TERMS = 8  # coefficients a cell
_JIT: Any = INNER  # numba's own annotation leaves some of them out


class Rules(NamedTuple):
    """Which trapezoid rule is used outside the cells? Rule j serves s up to 2^((lowest + j) / per_octave)."""

    link: Any  # the tag of what is averaged, from `Link.tags`; one with a closed form has no rules
    # which rule serves which s
    per_octave: int
    lowest: int
    steps: Array  # (rule,) float: distance between nodes
    halves: Integers  # (rule,) int: nodes on each side
    offsets: Integers  # (rule,) int: where in weights each rule begins
    node_weights: Array  # (node,) float: the weights of all rules


class CurveArrays(NamedTuple):
    """What do compiled loops read of curves?"""

    coef: Array  # (draw, cell, 8) float: coefficients of 1, u, ..., u^7 with u in [-1, 1] over the cell
    # (draw,) float: cells per unit of eta; the range of eta that the cells serve, empty for a draw without cells
    per: Array
    low: Array
    high: Array
    s: Array  # (draw,) float: standard deviation
    # (draw, group), (group,) float: the groups that are averaged; one group without shift where none are
    shifts: Array
    weights: Array
    rules: Rules  # for values outside the cells


class SurfaceArrays(NamedTuple):
    """What do compiled loops read of a surface?"""

    # (band x row, 8) float: coefficients of heat polynomials around the middle of a row's cell. What lies outside looks
    # them up in the band after the last, or in the cell after the last: there, and where a cell is not accurate, they
    # are NaN
    coef: Array
    rows: int  # of a band: one for each cell, and some to spare
    cells: int
    bands: int
    first: int  # number of the first band
    per: float  # cells per unit of eta
    rules: Rules  # for values outside the cells


@njit(**INNER)
def _rule_sum(part: int, eta: float, s: float, rules: Rules) -> float:
    """E[f(eta + s Z)] node by node; NaN where no rule serves s."""
    if s == 0.0:
        return one_node(rules.link, part, eta)
    j = max(math.ceil(rules.per_octave * math.log2(s)) - rules.lowest, 0)
    if j >= rules.steps.size:
        return np.nan
    step, half, start = rules.steps[j], rules.halves[j], rules.offsets[j]
    total = 0.0
    for k in range(-half, half + 1):
        total += rules.node_weights[start + abs(k)] * one_node(rules.link, part, eta + s * (k * step))
    return total


def _average(link: Any, part: int, eta: float, s: float, rules: Rules) -> float:
    """E[f(eta + s Z)], in closed form or node by node."""
    raise TypeError("Compiled code calls this: there the overload below takes its place.")


@overload(_average, strict=False, jit_options=_JIT)
def _average_of(link: Any, part: int, eta: float, s: float, rules: Any) -> Any:
    if hasattr(link.instance_class, "average"):
        return lambda link, part, eta, s, rules: closed(link, part, eta, s * s)
    return lambda link, part, eta, s, rules: _rule_sum(part, eta, s, rules)


@njit(**INNER)
def exact_value(order: int, eta: float, s: float, rules: Rules) -> float:
    """E[f(eta + s Z)] or its derivative in eta of order 1 or 2, without a table."""
    if not s >= 0.0 or math.isnan(eta):
        return np.nan
    part = rules.link.part if order == 0 else order + 1
    sign = -1.0 if order > 0 and rules.link.part == 1 else 1.0
    return sign * _average(rules.link, part, eta, s, rules)


@njit(**INNER)
def curve_far(arrays: CurveArrays, draw: int, order: int, eta: float) -> float:
    """A value, or derivative, outside a draw's cells: the weighted sum over groups of exact values. 0 inside."""
    if arrays.low[draw] <= eta < arrays.high[draw]:
        return 0.0
    total = lost = 0.0
    for g in range(arrays.weights.size):
        shifted = eta + arrays.shifts[draw, g]
        term = arrays.weights[g] * exact_value(order, shifted, arrays.s[draw], arrays.rules) - lost
        joined = total + term
        lost = (joined - total) - term
        total = joined
    return total


def _cell_value(c: Sequence[Any], u: Any) -> tuple[Any]:
    """The value in a cell of a curve, u from -1 to 1 over the cell."""
    return (
        c[0] + u * (c[1] + u * (c[2] + u * (c[3] + u * (c[4] + u * (c[5] + u * (c[6] + u * c[7])))))),
    )  # fmt: skip


def _cell_all(c: Sequence[Any], u: Any) -> tuple[Any, Any, Any]:
    """Value, first and half the second derivative in u, by one Horner pass."""
    v5, d5 = c[5] + u * (c[6] + u * c[7]), c[6] + 2.0 * (u * c[7])
    v4, d4, e4 = c[4] + u * v5, v5 + u * d5, d5 + u * c[7]
    v3, d3, e3 = c[3] + u * v4, v4 + u * d4, d4 + u * e4
    v2, d2, e2 = c[2] + u * v3, v3 + u * d3, d3 + u * e3
    v1, d1, e1 = c[1] + u * v2, v2 + u * d2, d2 + u * e2
    return c[0] + u * v1, v1 + u * d1, d1 + u * e1


@njit(**INNER)
def _curve_places(arrays: CurveArrays, draw: int, eta: Array, place: Array, u: Array) -> int:
    """In which cell of a draw a tile of eta lies, and where within, from -1 to 1; how many lie outside: u is NaN."""
    low, high, outside = arrays.low[draw], arrays.high[draw], 0
    per, origin = 2.0 * arrays.per[draw], arrays.coef.shape[1] - 1.0
    for i in range(eta.size):
        inside = low <= eta[i] < high
        outside += not inside
        x = eta[i] * per + origin  # in half cells, from the middle of the first
        cell = 0.5 * x + ROUND
        place[i] = start_of_row(whole_number(cell)) if inside else 0.0
        u[i] = x - 2.0 * (cell - ROUND) if inside else np.nan
    return outside


@njit(**INNER_SUM)
def _total(out: Array) -> float:
    """No number where one of these is none."""
    total = 0.0
    for i in range(out.size):
        total += out[i]
    return total


@njit(**INNER)
def _nothing_outside(out: Array) -> int:
    """0 where there is no number, and how often that is."""
    outside, total = 0, _total(out)
    if total != total:
        for i in range(out.size):
            outside += out[i] != out[i]
            out[i] = out[i] if out[i] == out[i] else 0.0
    return outside


_curve_values, _curve_all = tile_of(_cell_value), tile_of(_cell_all)


@njit(**INNER)
def curve_tile(arrays: CurveArrays, draw: int, eta: Array, out: Array, work: Array) -> int:
    """The values of a draw's curve at a tile of eta; how many lie outside its cells, which get 0: see `curve_far`."""
    outside = _curve_places(arrays, draw, eta, out, work)
    _curve_values(arrays.coef[draw], out, (work,), (out,))
    if outside > 0:
        _nothing_outside(out)
    return outside


@njit(**INNER)
def curve_tile_all(arrays: CurveArrays, draw: int, eta: Array, out: Array, d1: Array, d2: Array) -> int:
    """Values and two derivatives in eta of a draw's curve at a tile of eta; else as `curve_tile`."""
    outside, scale = _curve_places(arrays, draw, eta, d1, d2), 2.0 * arrays.per[draw]
    _curve_all(arrays.coef[draw], d1, (d2,), (out, d1, d2))
    for i in range(eta.size):
        d1[i] *= scale
        d2[i] *= 2.0 * scale * scale
    if outside > 0:
        for values in (out, d1, d2):
            _nothing_outside(values)
    return outside


def _heat_value(c: Sequence[Any], u: Any, t: Any) -> tuple[Any]:
    """A cell's heat expansion by Clenshaw's recurrence: b_n = c_n + u b_{n+1} + (n + 1) t b_{n+2}.

    u is the distance from the cell's middle in eta, t that in s^2, twice the one in s^2 / 2.
    """
    b6 = c[6] + u * c[7]
    b5 = (c[5] + (6.0 * t) * c[7]) + u * b6
    b4 = (c[4] + (5.0 * t) * b6) + u * b5
    b3 = (c[3] + (4.0 * t) * b5) + u * b4
    b2 = (c[2] + (3.0 * t) * b4) + u * b3
    b1 = (c[1] + (2.0 * t) * b3) + u * b2
    return ((c[0] + t * b2) + u * b1,)


def _heat_all(c: Sequence[Any], u: Any, t: Any) -> tuple[Any, Any, Any]:
    """Value, first and second derivative in eta of a cell's heat expansion, by d/du P_n = n P_{n-1}."""
    p2 = u * u + t
    p3 = u * p2 + (2.0 * t) * u
    p4 = u * p3 + (3.0 * t) * p2
    p5 = u * p4 + (4.0 * t) * p3
    p6 = u * p5 + (5.0 * t) * p4
    p7 = u * p6 + (6.0 * t) * p5
    c2, c3, c4, c5, c6, c7 = c[2:TERMS]
    value = c[0] + c[1] * u + c2 * p2 + c3 * p3 + c4 * p4 + c5 * p5 + c6 * p6 + c7 * p7
    c2, c3, c4, c5, c6, c7 = 2.0 * c2, 3.0 * c3, 4.0 * c4, 5.0 * c5, 6.0 * c6, 7.0 * c7
    d1 = c[1] + c2 * u + c3 * p2 + c4 * p3 + c5 * p4 + c6 * p5 + c7 * p6
    c3, c4, c5, c6, c7 = 2.0 * c3, 3.0 * c4, 4.0 * c5, 5.0 * c6, 6.0 * c7
    return value, d1, c2 + c3 * u + c4 * p2 + c5 * p3 + c6 * p4 + c7 * p5


@njit(**INNER)
def _row_of(arrays: SurfaceArrays, cell: float, y: float) -> int:
    """Which coefficients belong to a cell, its number + `ROUND`, and to 1/4 + s^2? Those of NaN outside.

    An s^2 that rounding has put below 0 lies outside.
    """
    band = within(whole_bits(y, BAND_BITS) - arrays.first, arrays.bands)
    return times(band, arrays.rows) + within(whole_number(cell), arrays.cells)


@njit(**INNER)
def surface_far(arrays: SurfaceArrays, order: int, eta: float, s2: float) -> float:
    """A value, or derivative, outside the surface's cells, exactly. 0 inside."""
    cell = (eta * arrays.per + (0.5 * arrays.cells - 0.5)) + ROUND
    if not math.isnan(arrays.coef[_row_of(arrays, cell, s2 + LEAST), 0]):
        return 0.0
    return exact_value(order, eta, math.sqrt(s2 if s2 > 0.0 else 0.0 * s2), arrays.rules)


@njit(**INNER)
def _surface_places(arrays: SurfaceArrays, eta: Array, s2: Array, place: Array) -> None:
    """A tile of eta and s2 becomes distances from the middles of its cells, as `_heat_value` takes them.

    `place` receives where the coefficients of each cell are.
    """
    per, width, origin = arrays.per, 1.0 / arrays.per, 0.5 * arrays.cells - 0.5
    for i in range(eta.size):
        x, y = eta[i] * per + origin, s2[i] + LEAST
        cell = x + ROUND
        place[i] = start_of_row(_row_of(arrays, cell, y))
        eta[i] = (x - (cell - ROUND)) * width
        s2[i] = y - middle_of(y, BAND_BITS)


_surface_values, _surface_all = tile_of(_heat_value), tile_of(_heat_all)


@njit(**INNER)
def surface_tile(arrays: SurfaceArrays, eta: Array, s2: Array, out: Array) -> int:
    """The values of the surface at a tile of eta and s2; how many lie outside its cells and get 0: see `surface_far`.

    eta and s2 are overwritten.
    """
    _surface_places(arrays, eta, s2, out)
    _surface_values(arrays.coef, out, (eta, s2), (out,))
    return _nothing_outside(out)


@njit(**INNER)
def surface_tile_all(arrays: SurfaceArrays, eta: Array, s2: Array, out: Array, d1: Array, d2: Array) -> int:
    """Values and two derivatives in eta of the surface at a tile of eta and s2; else as `surface_tile`."""
    _surface_places(arrays, eta, s2, out)
    _surface_all(arrays.coef, out, (eta, s2), (out, d1, d2))
    outside = 0
    for values in (out, d1, d2):
        outside = _nothing_outside(values)
    return outside
