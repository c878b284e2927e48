"""Compiled sums over a lattice that rows of a draw share, and look-ups in tables of polynomials, all outputs at once.

Of a lattice, each row has Gaussian weights and a product an output; of a table, one place and a polynomial an output.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, SUM, kernel, kernel_with_memory

__all__ = ["add_looked_up", "averaged_over_groups", "lattice_sums"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TILE = 256  # rows whose places stay in the processor's cache
_RUN = 32  # weights follow from each other so far; then exp() is taken anew
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit(**SUM)
def _dot(n: int, weights: Array, values: Array, first: int) -> float:
    total = 0.0
    for k in range(n):
        total += weights[k] * values[first + k]
    return total


@njit(**SUM)
def _weights(half: int, z: float, h: float, bend: float, weights: Array) -> None:
    """h times the density at z + k h for k = -half, ..., half: each is the last times a ratio that changes by bend."""
    for start in range(-half, half + 1, _RUN):
        x = z + start * h
        w, ratio = h * _DENSITY * math.exp(-0.5 * x * x), math.exp(-h * (x + 0.5 * h))
        for k in range(start + half, min(start + _RUN, half + 1) + half):
            weights[k] = w
            w *= ratio
            ratio *= bend


@kernel_with_memory
def lattice_sums(
    values: Array, left: Integers, step: float, eta: Array, s: Array, mine: Flags, reach: float, out: Array
) -> None:
    """E[f(eta + s Z)] from f (draw, output, node) at (left + node) step, for the rows that are `mine`.

    eta is (draw, row), s and mine are (draw, row) or (draw, 1), out (output, draw, row). Nodes reach to z = +-reach.
    """
    weights = np.empty(0)
    last = s.shape[1] - 1
    for d in range(len(eta)):
        for i in range(eta.shape[1]):
            at = min(i, last)
            if not mine[d, at] or not math.isfinite(eta[d, i]):
                continue
            h = step / s[d, at]
            half = np.int64(math.ceil(reach / h))
            n = 2 * half + 1
            if n > len(weights):
                weights = np.empty(n)
            centre = np.int64(math.floor(eta[d, i] / step + 0.5))
            _weights(half, (centre * step - eta[d, i]) / s[d, at], h, math.exp(-h * h), weights)
            first = centre - half - left[d]
            for o in range(values.shape[1]):
                out[o, d, i] = _dot(n, weights, values[d, o], first)


@njit(**APART)
def _places(m: int, eta: Array, left: float, width: float, cells: int, cell: Integers, t: Array) -> None:
    """Cell of each of some rows and the place in it, from 0 to 1; NaN where eta is."""
    per_width = 1.0 / width  # a power of two
    for j in range(m):
        place = (eta[j] - left) * per_width
        inside = min(max(place, 0.0), cells - 1.0)
        cell[j] = int(inside)
        t[j] = place - cell[j]


@njit(**APART)
def _polynomials(m: int, coef: Array, o: int, cell: Integers, t: Array, out: Array) -> None:
    """One output of `coef` (cell, 6, output) at some places."""
    for j in range(m):
        c, x = cell[j], t[j]
        out[j] = (
            (((coef[c, 5, o] * x + coef[c, 4, o]) * x + coef[c, 3, o]) * x + coef[c, 2, o]) * x + coef[c, 1, o]
        ) * x + coef[c, 0, o]


@kernel_with_memory
def add_looked_up(
    coef: Array, left: Array, width: float, eta: Array, weights: Array, index: Integers, out: Array
) -> None:
    """`BundleTable.add`; NaN where eta is."""
    rows, of_draws = eta.shape[1], len(weights) > 1
    cell, t, values = np.empty(_TILE, np.int64), np.empty(_TILE), np.empty(_TILE)
    for d in range(len(eta)):
        own = weights[d] if of_draws else weights[0]
        for start in range(0, rows, _TILE):
            m = min(_TILE, rows - start)
            _places(m, eta[d, start : start + m], left[d], width, coef.shape[1], cell, t)
            for o in range(coef.shape[3]):
                _polynomials(m, coef[d], o, cell, t, values)
                if out.shape[2] == 1:
                    out[o, d, 0] += _dot(m, values, own, start)
                    continue
                for j in range(m):
                    out[o, d, index[start + j]] += own[start + j] * values[j]


@kernel
def averaged_over_groups(
    first: int, end: int, coef: Array, left: Array, width: float, eta: Array, shifts: Array, weights: Array, out: Array
) -> None:
    """`BundleTable.over`, draws from `first` to before `end`: out is (3, output, draw, node)."""
    outputs, last = coef.shape[3], coef.shape[1] - 1
    for d in range(first, end):
        for i in range(eta.shape[1]):
            for g in range(len(weights)):
                place = (eta[d, i] + shifts[d, g] - left[d]) / width
                cell = min(max(int(place), 0), last)
                t, w = place - cell, weights[g]
                for o in range(outputs):
                    value = slope = bend = 0.0
                    for k in range(5, -1, -1):
                        bend = bend * t + 2.0 * slope
                        slope = slope * t + value
                        value = value * t + coef[d, cell, k, o]
                    out[0, o, d, i] += w * value
                    out[1, o, d, i] += w * slope / width
                    out[2, o, d, i] += w * bend / (width * width)
