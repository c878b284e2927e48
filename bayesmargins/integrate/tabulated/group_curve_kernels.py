"""Compiled construction of curves for averages over existing groups: groups to a grid, the grid to cells."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER, MEMORY, kernel, kernel_with_memory

__all__ = ["grid_weights", "mix_groups", "shifted_values"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


_PAIRS = 5  # powers of the moments, two by two: as many as the interpolation has points
_BLOCK = 512  # values whose sums stay in the nearest cache


@njit(**INNER)
def _convolve(grid: Array, place: int, source: Array, total: Array) -> None:
    """Add grid weight times values moved by as many steps, block by block of the values."""
    phases, size = source.shape[0], total.size
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        for k in range(grid.size):
            weight = grid[k]
            if weight != 0.0:
                ahead = 8 * ((place + k) // phases)
                some = source[(place + k) % phases, ahead + start : ahead + stop]
                sums = total[start:stop]  # slices: an index that could be negative would stop vectorisation
                for j in range(sums.size):
                    sums[j] += weight * some[j]


@njit(**INNER | MEMORY)
def grid_weights(shifts: Array, weights: Array, scale: float, first: int, lagrange: Array, grid: Array) -> int:
    """Replace the groups by weights of grid points; how many groups the fullest bin has.

    Bin k holds the shifts between grid points k and k + 1, by their moments about its middle: one matrix then serves
    all groups of a bin. Polynomials up to degree 9 have the same sum over the grid as over the groups.
    """
    points = 2 * _PAIRS
    moments = np.zeros((grid.size, points))
    count = np.zeros(grid.size, dtype=np.int64)
    for g in range(weights.size):
        y = shifts[g] * scale
        k = math.floor(y)
        t, row = y - k - 0.5, k - first
        even, odd, square = weights[g], weights[g] * t, t * t
        count[row] += 1
        for j in range(_PAIRS):  # two short chains of products instead of a long one
            moments[row, 2 * j] += even
            moments[row, 2 * j + 1] += odd
            even *= square
            odd *= square
    grid[:] = 0.0
    for b in range(points // 2 - 1, grid.size - points // 2):
        if count[b] > 0:
            for i in range(points):
                total = 0.0
                for j in range(points):
                    total += lagrange[i, j] * moments[b, j]
                grid[b + i - (points // 2 - 1)] += total
    fullest = 0
    for b in range(count.size):  # count.max() takes longer to compile
        if count[b] > fullest:
            fullest = count[b]
    return fullest


@kernel_with_memory
def mix_groups(
    begin: int,
    end: int,
    values: Array,
    origin: int,
    shifts: Array,
    weights: Array,
    scale: Array,
    which: Integers,
    lagrange: Array,
    transform: Array,
    coef: Array,
    crowd: Integers,
) -> None:
    """The weighted sum over groups of a function shifted by each, as polynomials on cells: coef (draw, cell, 8).

    begin, end : which entries of `which` (some draws,), see `in_threads`. values (1 or draw, phase, cell, 8): the
    function at the 8 points of each cell, and of cells moved by 1, 2, ... grid steps, for all draws or for each entry
    of `which`. origin : grid steps from the first cell of values to that of coef. shifts (draw, group), weights
    (group,). scale (draw,): grid steps per unit of shift. lagrange (point, point): interpolation weights of the grid
    points around a bin, by powers of the distance from its middle. transform (8, 8): from values at the points to
    coefficients. crowd (draw,) receives the number of groups in the fullest bin.
    """
    phases, cells, points = values.shape[1], coef.shape[1], lagrange.shape[0]
    for i in range(begin, end):
        draw = which[i]
        first = np.int64(math.floor(shifts[draw].min() * scale[draw])) - points // 2
        last = np.int64(math.floor(shifts[draw].max() * scale[draw])) + points // 2 + 1
        grid = np.empty(last - first + 1)
        crowd[draw] = grid_weights(shifts[draw], weights, scale[draw], first, lagrange, grid)
        source = values[i if values.shape[0] > 1 else 0]
        total = np.zeros(cells * 8)
        _convolve(grid, origin + first, source.reshape(phases, source.shape[1] * 8), total)
        for cell in range(cells):
            for j in range(8):
                value = 0.0
                for p in range(8):
                    value += transform[j, p] * total[8 * cell + p]
                coef[draw, cell, j] = value


@kernel
def shifted_values(begin: int, end: int, coef: Array, ahead: Integers, powers: Array, values: Array) -> None:
    """Values of curves coef (draw, cell, 8) at the points of cells moved by parts of a cell, into values.

    begin, end : which draws, see `in_threads`. ahead (phase, 8): whether a point lies in the next cell (1) or not
    (0). powers (phase, 8, 8): 1, u, ..., u^7 of each point within its cell. values (draw, phase, cell, 8): the last
    cell stays as it is, since the one after it is unknown.
    """
    phases, cells = values.shape[1], values.shape[2]
    for draw in range(begin, end):
        for phase in range(phases):
            for cell in range(cells - 1):
                for p in range(8):
                    c, u = coef[draw, cell + ahead[phase, p]], powers[phase, p]
                    total = 0.0
                    for j in range(8):
                        total += c[j] * u[j]
                    values[draw, phase, cell, p] = total
