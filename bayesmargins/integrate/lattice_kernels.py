"""Compiled sums over a lattice that all rows of a draw share: Gaussian weights of each row, and a product an output."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import SUM, kernel

__all__ = ["lattice_sums"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

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
    """h times the density at z + k h for k = -half, ..., half: each is the last times a ratio, which changes by bend."""
    for start in range(-half, half + 1, _RUN):
        x = z + start * h
        w, ratio = h * _DENSITY * math.exp(-0.5 * x * x), math.exp(-h * (x + 0.5 * h))
        for k in range(start + half, min(start + _RUN, half + 1) + half):
            weights[k] = w
            w *= ratio
            ratio *= bend


@kernel
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
            half = int(math.ceil(reach / h))
            n = 2 * half + 1
            if n > len(weights):
                weights = np.empty(n)
            centre = int(round(eta[d, i] / step))
            _weights(half, (centre * step - eta[d, i]) / s[d, at], h, math.exp(-h * h), weights)
            first = centre - half - left[d]
            for o in range(values.shape[1]):
                out[o, d, i] = _dot(n, weights, values[d, o], first)
