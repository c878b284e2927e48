"""Compiled averages over existing groups with random slopes: sum over groups of w E[h(eta + a + c t + s Z)].

Made once per draw: at a few Chebyshev points of each panel of t the average is a curve in eta, and powers of t join the
curves of a panel. Then looked up, whatever the number of groups. A value depends on its own eta and t and on its draw
only, bit for bit, whatever the tiles and threads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER, kernel
from bayesmargins.integrate.tabulated.kernels import Rules, exact_value
from bayesmargins.integrate.tabulated.mixture_kernels import grid_weights

__all__ = ["LineArrays", "evaluate_lines", "line_tile", "line_tile_all", "mix_lines"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class LineArrays(NamedTuple):
    """What do compiled loops read of lines?

    Attributes
    ----------
    coef : (panel, cell, power of t, 8) float
        Coefficients of 1, u, ..., u^7 with u in [-1, 1] over the cell, for each power of the place in the panel.
    start, panels : (draw,) int
        Where in coef the panels of a draw begin, and how many they are; none for a draw without.
    per_t, first : (draw,) float
        Panels per unit of t; number of the first one, panel 0 beginning at t = 0.
    per, low, high : (draw,) float
        Cells per unit of eta; the range of eta that the cells serve.
    origin : float
        Cells from the first one to eta = 0.
    base, slope : (draw, group) float
        a and c of each group.
    weights : (group,) float
        w of each group.
    s : (draw,) float
        Standard deviation of what is integrated out besides.
    rare : float
        Smaller values are summed group by group.
    rules : Rules
        For values without cells.
    """

    coef: Array
    start: Integers
    panels: Integers
    per_t: Array
    first: Array
    per: Array
    low: Array
    high: Array
    origin: float
    base: Array
    slope: Array
    weights: Array
    s: Array
    rare: float
    rules: Rules


@njit(**INNER)
def _convolve(grid: Array, place: int, source: Array, total: Array) -> None:
    """Add grid weight times values moved by as many steps, four weights for each time that a sum is stored."""
    phases, n = source.shape[0], total.size
    for k in range(0, grid.size, 4):
        g0, g1, g2, g3 = grid[k], grid[k + 1], grid[k + 2], grid[k + 3]
        a, b, c, d = place + k, place + k + 1, place + k + 2, place + k + 3
        h0, h1 = source[a % phases, 8 * (a // phases) :][:n], source[b % phases, 8 * (b // phases) :][:n]
        h2, h3 = source[c % phases, 8 * (c // phases) :][:n], source[d % phases, 8 * (d // phases) :][:n]
        for i in range(n):
            total[i] += (g0 * h0[i] + g1 * h1[i]) + (g2 * h2[i] + g3 * h3[i])


@njit(**INNER)
def _product(matrix: Array, rows: Array) -> Array:
    """A small matrix times long rows."""
    out = np.zeros(rows.shape)
    for j in range(matrix.shape[0]):
        for k in range(matrix.shape[1]):
            weight, of, to = matrix[j, k], rows[k], out[j]
            for i in range(of.size):
                to[i] += weight * of[i]
    return out


@kernel
def mix_lines(
    begin: int,
    end: int,
    values: Array,
    origin: int,
    arrays: LineArrays,
    scale: Array,
    owner: Integers,
    nodes: Array,
    lagrange: Array,
    to_eta: Array,
    to_chebyshev: Array,
    to_powers: Array,
    crowd: Integers,
) -> None:
    """What is the weighted sum over groups of a function moved by a + c t, as polynomials in eta and t?

    Parameters
    ----------
    begin, end : int
        Which panels: see `in_threads`.
    values : (1 or draw, phase, 8 times cell) float
        The function at the 8 points of each cell, and of cells moved by 1, 2, ... grid steps.
    origin : int
        Grid steps from the first cell of values to the first cell of coef.
    arrays : LineArrays
        The groups; coef receives the polynomials.
    scale : (draw,) float
        Grid steps per unit of shift.
    owner : (panel,) int
        The draw that each panel belongs to.
    nodes : (node,) float
        Chebyshev points in [-1, 1].
    lagrange : (point, point) float
        Interpolation weights of the grid points around a bin, by powers of the distance from its middle.
    to_eta : (8, 8) float
        From values at the points of a cell to coefficients of powers.
    to_chebyshev, to_powers : (node, node) float
        From values at nodes to coefficients of Chebyshev polynomials, and from these to those of powers. In one step,
        large numbers would cancel.
    crowd : (panel,) int
        Receives the number of groups in the fullest bin.
    """
    points, cells = lagrange.shape[0], arrays.coef.shape[1]
    shifts = np.empty(arrays.weights.size)
    for panel in range(begin, end):
        draw = owner[panel]
        source, base, slope = values[draw if values.shape[0] > 1 else 0], arrays.base[draw], arrays.slope[draw]
        left, per_t = arrays.first[draw] + (panel - arrays.start[draw]), arrays.per_t[draw]
        total = np.zeros((nodes.size, cells * 8))
        low, high = np.inf, -np.inf
        for g in range(shifts.size):  # a straight line is farthest at an end
            at_left = base[g] + slope[g] * (left / per_t)
            at_right = base[g] + slope[g] * ((left + 1.0) / per_t)
            if at_left > at_right:
                at_left, at_right = at_right, at_left
            if at_left < low:
                low = at_left
            if at_right > high:
                high = at_right
        first = math.floor(low * scale[draw]) - points // 2
        grid = np.empty((math.floor(high * scale[draw]) + points // 2 + 2 - first + 3) // 4 * 4)
        for k in range(nodes.size):
            t = (left + (0.5 + 0.5 * nodes[k])) / per_t
            for g in range(shifts.size):
                shifts[g] = base[g] + slope[g] * t
            fullest = grid_weights(shifts, arrays.weights, scale[draw], first, lagrange, grid)
            if fullest > crowd[panel]:
                crowd[panel] = fullest
            _convolve(grid, origin + first, source, total[k])
        mixed = _product(to_powers, _product(to_chebyshev, total))
        for cell in range(cells):
            for k in range(nodes.size):
                of = mixed[k, 8 * cell : 8 * cell + 8]
                for j in range(8):
                    value = 0.0
                    for p in range(8):
                        value += to_eta[j, p] * of[p]
                    arrays.coef[panel, cell, k, j] = value


@njit(**INNER)
def _exact(order: int, eta: float, t: float, arrays: LineArrays, draw: int) -> tuple[float, float]:
    """The weighted sum over groups of values, or of derivatives in eta and in t."""
    total = steep = 0.0
    for g in range(arrays.weights.size):
        c = arrays.slope[draw, g]
        place = eta + (arrays.base[draw, g] + c * t)
        value = arrays.weights[g] * exact_value(order, place, arrays.s[draw], arrays.rules)
        total += value
        steep += c * value
    return total, steep


@njit(**INNER)
def line_tile(arrays: LineArrays, draw: int, eta: Array, t: Array, out: Array) -> None:
    """The averages over a draw's groups at a tile of eta and t."""
    coef, per, per_t, first = arrays.coef, arrays.per[draw], arrays.per_t[draw], arrays.first[draw]
    low, high, start, count = arrays.low[draw], arrays.high[draw], arrays.start[draw], float(arrays.panels[draw])
    origin, last, powers, outside = arrays.origin, coef.shape[1] - 1, coef.shape[2], 0
    for i in range(eta.size):
        y = t[i] * per_t - first
        inside = (low <= eta[i] < high) & (0.0 <= y < count)
        x, y = (eta[i] * per + origin, y) if inside else (0.0, 0.0)
        cell, panel = int(x), int(y)
        if cell > last:
            cell = last
        c, u, v = coef[start + panel, cell], 2.0 * (x - cell) - 1.0, 2.0 * (y - panel) - 1.0
        value = 0.0
        for k in range(powers - 1, -1, -1):
            low_half = (c[k, 0] + u * c[k, 1]) + (u * u) * (c[k, 2] + u * c[k, 3])
            high_half = (c[k, 4] + u * c[k, 5]) + (u * u) * (c[k, 6] + u * c[k, 7])
            value = value * v + (low_half + (u * u) * (u * u) * high_half)
        out[i] = value if inside else np.nan
        outside += not out[i] >= arrays.rare
    if outside > 0:
        for i in range(eta.size):
            if not out[i] >= arrays.rare:
                out[i] = _exact(0, eta[i], t[i], arrays, draw)[0]


@njit(**INNER)
def line_tile_all(arrays: LineArrays, draw: int, eta: Array, t: Array, d_eta: Array, d_t: Array) -> None:
    """The derivatives in eta and in t of the averages over a draw's groups at a tile of eta and t."""
    coef, per, per_t, first = arrays.coef, arrays.per[draw], arrays.per_t[draw], arrays.first[draw]
    low, high, start, count = arrays.low[draw], arrays.high[draw], arrays.start[draw], float(arrays.panels[draw])
    origin, last, powers, outside = arrays.origin, coef.shape[1] - 1, coef.shape[2], 0
    for i in range(eta.size):
        y = t[i] * per_t - first
        inside = (low <= eta[i] < high) & (0.0 <= y < count)
        outside += not inside
        x, y = (eta[i] * per + origin, y) if inside else (0.0, 0.0)
        cell, panel = int(x), int(y)
        if cell > last:
            cell = last
        c, u, v = coef[start + panel, cell], 2.0 * (x - cell) - 1.0, 2.0 * (y - panel) - 1.0
        value = by_u = by_v = 0.0
        for k in range(powers - 1, -1, -1):
            p, slope = c[k, 7], 0.0
            for j in range(6, -1, -1):
                slope = slope * u + p
                p = p * u + c[k, j]
            by_v = by_v * v + value
            value, by_u = value * v + p, by_u * v + slope
        d_eta[i], d_t[i] = 2.0 * per * by_u, 2.0 * per_t * by_v
    if outside > 0:
        for i in range(eta.size):
            y = t[i] * per_t - first
            if not ((low <= eta[i] < high) & (0.0 <= y < count)):
                d_eta[i], d_t[i] = _exact(1, eta[i], t[i], arrays, draw)


@kernel
def evaluate_lines(begin: int, end: int, arrays: LineArrays, order: int, eta: Array, t: Array, out: Array) -> None:
    """What are the averages of some draws, or their derivatives in eta (order 1) or t (order 2)?

    Parameters
    ----------
    begin, end : int
        Which draws: see `in_threads`.
    arrays : LineArrays
        The groups.
    order : int
        0, 1 or 2.
    eta, t : (draw, row) float
        Where.
    out : (draw, row) float
        Receives the values.
    """
    other = np.empty(eta.shape[1])
    for draw in range(begin, end):
        if order == 0:
            line_tile(arrays, draw, eta[draw], t[draw], out[draw])
        elif order == 1:
            line_tile_all(arrays, draw, eta[draw], t[draw], out[draw], other)
        else:
            line_tile_all(arrays, draw, eta[draw], t[draw], other, out[draw])
