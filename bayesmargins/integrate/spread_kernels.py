"""Compiled: the distribution of g(Z), Z ~ N(0, 1), from values of g on an even grid."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, kernel_with_memory

__all__ = ["STENCIL", "quantiles_of"]

Array = npt.NDArray[np.float64]

STENCIL = 6  # points of the polynomial between two grid points
_HALVINGS = 150
_ROOTS = 60
_NEAR = 1e-15
_FLAT = 1e-13  # of its size: a function that varies no more is constant


@njit(**APART)
def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@njit(**APART)
def _mass(begin: float, end: float) -> float:
    """P(begin < Z < end): of two tails the smaller one is taken, the other has lost its digits."""
    return _cdf(end) - _cdf(begin) if end <= 0.0 else _cdf(-begin) - _cdf(-end)


@njit(**APART)
def _value(c: Array, x: float) -> float:
    total = 0.0
    for j in range(c.size - 1, -1, -1):
        total = total * x + c[j]
    return total


@njit(**APART)
def _slope(c: Array, x: float) -> float:
    total = 0.0
    for j in range(c.size - 1, 0, -1):
        total = total * x + j * c[j]
    return total


@njit(**APART)
def _fit(g: Array, cell: int, powers: Array, c: Array) -> float:
    """Coefficients of the polynomial through the points around a cell; where the cell begins in its coordinate."""
    start = min(max(cell - STENCIL // 2 + 1, 0), g.size - STENCIL)
    for j in range(STENCIL):
        c[j] = 0.0
        for i in range(STENCIL):
            c[j] += powers[j, i] * g[start + i]
    return float(cell - start)


@njit(**APART)
def _turning(c: Array, low: float, high: float) -> float:
    """Where the slope changes its sign."""
    rises = _slope(c, low) > 0.0
    for _ in range(_ROOTS):
        middle = 0.5 * (low + high)
        if (_slope(c, middle) > 0.0) == rises:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(**APART)
def _pieces(g: Array, powers: Array, first: float, step: float, points: Array, mass: Array, c: Array) -> int:
    """Points between which g is monotone (the grid, and where it turns), and the probabilities in between. How many."""
    x, y, cell = points[0], points[1], points[2]
    n = 0
    for k in range(g.size - 1):
        begin = _fit(g, k, powers, c)
        x[n], y[n], cell[n] = first + k * step, g[k], k
        n += 1
        if _slope(c, begin) * _slope(c, begin + 1.0) < 0.0:
            at = _turning(c, begin, begin + 1.0)
            x[n], y[n], cell[n] = first + (k + at - begin) * step, _value(c, at), k
            n += 1
    x[n], y[n], cell[n] = first + (g.size - 1) * step, g[-1], g.size - 2
    for i in range(n):
        mass[i] = _mass(x[i], x[i + 1])
    return n + 1


@njit(**APART)
def _crossing(
    g: Array, powers: Array, cell: int, left: float, right: float, level: float, falls: bool, c: Array
) -> float:
    """Where g passes the level, between two points of a cell (in steps from the beginning of the cell).

    Whether it falls there is known from its values: where one of them is the level itself, the polynomial cannot tell.
    """
    begin = _fit(g, cell, powers, c)
    low, high = begin + left, begin + right
    x = 0.5 * (low + high)
    for _ in range(_ROOTS):  # Newton's steps, inside the bracket
        ahead = _value(c, x) - level
        if (ahead > 0.0) == falls:
            low = x
        else:
            high = x
        slope = _slope(c, x)
        then = x - ahead / slope if slope != 0.0 else low
        if not low < then < high:
            then = 0.5 * (low + high)
        near = abs(then - x) < _NEAR
        x = then
        if near:
            break
    return x - begin


@njit(**APART)
def _share_to(
    level: float, g: Array, powers: Array, first: float, step: float, n: int, points: Array, mass: Array, c: Array
) -> float:
    """P(g(Z) <= level); points are (Z, g, cell) of the pieces, mass their probabilities."""
    total = 0.0
    x, y, cell = points[0], points[1], points[2]
    for i in range(n - 1):
        below = y[i] <= level
        if below == (y[i + 1] <= level):
            if below:
                total += mass[i]
            continue
        k = int(cell[i])
        start = first + k * step
        ends = (x[i] - start) / step, (x[i + 1] - start) / step
        at = start + step * _crossing(g, powers, k, ends[0], ends[1], level, not below, c)
        total += _mass(x[i], at) if below else _mass(at, x[i + 1])
    return total


@kernel_with_memory
def quantiles_of(
    begin: int, end: int, values: Array, powers: Array, first: float, step: float, probs: Array, null: float, out: Array
) -> None:
    """Quantiles of g(Z) and P(g(Z) > null) for lines from begin to before end: out (line, quantile and share)."""
    size = values.shape[1]
    points, mass, c = np.empty((3, 2 * size)), np.empty(2 * size), np.empty(STENCIL)
    for line in range(begin, end):
        g = values[line]
        lowest, highest = np.inf, -np.inf
        finite = True
        for k in range(size):
            finite = finite and math.isfinite(g[k])
            lowest, highest = min(lowest, g[k]), max(highest, g[k])
        if not finite:
            out[line, :] = np.nan
            continue
        if highest - lowest <= _FLAT * max(abs(lowest), abs(highest)):
            out[line, :] = 0.5 * (lowest + highest)
            out[line, probs.size] = 1.0 if lowest - null > _FLAT * abs(null) else 0.0
            continue
        n = _pieces(g, powers, first, step, points, mass, c)
        for k in range(n):
            lowest, highest = min(lowest, points[1, k]), max(highest, points[1, k])
        everything = _share_to(highest, g, powers, first, step, n, points, mass, c)  # 1 but for the ends of the grid
        out[line, probs.size] = 1.0 - _share_to(null, g, powers, first, step, n, points, mass, c) / everything
        for q in range(probs.size):
            wanted = probs[q] * everything
            low, high, below, above = lowest, highest, -wanted, everything - wanted
            for k in range(_HALVINGS):  # two steps of regula falsi, then a halving
                middle = low - (high - low) * below / (above - below) if k % 3 < 2 else 0.5 * (low + high)
                if not low < middle < high:
                    middle = 0.5 * (low + high)
                if high - low <= _NEAR * (highest - lowest) or not low < middle < high:
                    break
                ahead = _share_to(middle, g, powers, first, step, n, points, mass, c) - wanted
                if ahead < 0.0:
                    low, below, above = middle, ahead, 0.5 * above
                else:
                    high, above, below = middle, ahead, 0.5 * below
            out[line, q] = 0.5 * (low + high)
