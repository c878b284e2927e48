"""Averages of softmax where effects on different categories are independent, compiled: by a race.

The probability of a category is that it is the first of exponential times of rates exp(eta). At the logarithm u of a
time the share of groups in which category k has not come yet is F(u + eta_k) = E[exp(-exp(u + eta_k + s Z))], and G =
-F' is the density of its coming. So P(k) is the integral of G_k over u times the product of the other F: one dimension,
whatever the number of categories. Where many rows of a draw have the same s, F and G are looked up.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, kernel_with_memory

__all__ = ["CELLS", "softmax_races"]

Array = npt.NDArray[np.float64]

CELLS = 32.0  # of a table, for each unit of u
_LATE = 40.0  # exp(-exp(40)) is 0
_OVER = 1e-20  # when nobody is left in the race
_LATEST = 4.0  # by then the first category has come


@njit(**APART)
def _average(v: float, sd: float, points: Array, weights: Array, out: Array) -> None:
    """F, G and the first four derivatives of G at v; those of t exp(-t), t = exp(v), are t times polynomials in t."""
    for m in range(6):
        out[m] = 0.0
    for n in range(points.size):
        t = math.exp(min(v + sd * points[n], _LATE))
        p = weights[n] * math.exp(-t)
        out[0] += p
        p *= t
        out[1] += p
        out[2] += p * (1.0 - t)
        out[3] += p * (1.0 + t * (t - 3.0))
        out[4] += p * (1.0 + t * (-7.0 + t * (6.0 - t)))
        out[5] += p * (1.0 + t * (-15.0 + t * (25.0 + t * (t - 10.0))))


@njit(**APART)
def _look_up(table: Array, v: float, low: float, out: Array) -> None:
    """F, G and the first two derivatives of G, by polynomials of degree 5 through values and two derivatives."""
    at = (v - low) * CELLS
    i = min(max(int(at), 0), len(table) - 2)
    x, h = at - i, 1.0 / CELLS
    x3 = x * x * x
    right = x3 * (10.0 + x * (6.0 * x - 15.0))
    slope0, slope1 = h * (x + x3 * (-6.0 + x * (8.0 - 3.0 * x))), h * x3 * (-4.0 + x * (7.0 - 3.0 * x))
    bend0 = 0.5 * h * h * x * x * (1.0 + x * (-3.0 + x * (3.0 - x)))
    bend1 = 0.5 * h * h * x3 * (1.0 + x * (x - 2.0))
    a, b = table[i], table[i + 1]
    out[0] = a[0] + right * (b[0] - a[0]) - slope0 * a[1] - slope1 * b[1] - bend0 * a[2] - bend1 * b[2]  # F' is -G
    for m in range(1, 4):
        out[m] = (
            a[m] + right * (b[m] - a[m]) + slope0 * a[m + 1] + slope1 * b[m + 1] + bend0 * a[m + 2] + bend1 * b[m + 2]
        )


@njit(**APART)
def _start(etas: Array, draw: int, row: int, sd: Array, left: float, reach: float) -> float:
    """Before anybody has come: rates may be as high as that."""
    at = -left
    for k in range(len(sd)):
        at = min(at, -left - etas[k, draw, row] - sd[k] * reach)
    return at


@njit(**APART)
def _add(F: Array, alive: float, d: Array, v: Array, changes: bool, out: Array) -> None:
    """What one moment adds to the probabilities, or to their derivatives; F (category, 6)."""
    K = len(F) - 1
    if not changes:
        for k in range(K + 1):
            out[k] += alive * F[k, 1] / F[k, 0]
        return
    lost = 0.0
    for k in range(K):
        lost += (F[k + 1, 1] * d[k] + 0.5 * F[k + 1, 2] * v[k]) / F[k + 1, 0]
    out[0] -= alive * F[0, 1] / F[0, 0] * lost
    for k in range(K):
        of = F[k + 1]
        own = (of[1] * d[k] + 0.5 * of[2] * v[k]) / of[0]
        out[k + 1] += alive * ((of[2] * d[k] + 0.5 * of[3] * v[k]) / of[0] - of[1] / of[0] * (lost - own))


@kernel_with_memory
def softmax_races(
    first: int,
    last: int,
    etas: Array,
    sds: Array,
    step: float,
    left: float,
    points: Array,
    weights: Array,
    cells: int,
    d_etas: Array,
    d_V: Array,
    out: Array,
) -> None:
    """out (category, draw, row): probabilities, or their derivatives where `d_etas` has draws.

    sds and d_V (draw, 1 or row, predictor) are standard deviations and derivatives of variances. Tables have this many
    `cells` at most; with 0 there are none. A task is a draw.
    """
    K, rows = len(etas), etas.shape[2]
    changes, reach = d_etas.shape[1] > 0, points[-1]
    F, d, total = np.ones((K + 1, 6)), np.zeros(K), np.empty(K + 1)
    none = np.zeros(K)
    for draw in range(first, last):
        low, high = 0.0, 0.0
        for row in range(rows if cells > 0 else 0):
            begin = _start(etas, draw, row, sds[draw, 0], left, reach)
            for k in range(K):
                low, high = min(low, begin + etas[k, draw, row]), max(high, _LATEST + etas[k, draw, row])
        size = int((high - low) * CELLS) + 3
        tabled = 0 < size <= cells
        table = np.empty((K if tabled else 0, size if tabled else 0, 6))
        for k in range(len(table)):
            for i in range(size):
                _average(low + i / CELLS, sds[draw, 0, k], points, weights, table[k, i])
        for row in range(rows):
            sd = sds[draw, min(row, sds.shape[1] - 1)]
            v = d_V[draw, min(row, d_V.shape[1] - 1)] if changes else none
            for k in range(K):
                d[k] = d_etas[k, draw, row] if changes else 0.0
            total[:] = 0.0
            at, alive = _start(etas, draw, row, sd, left, reach), 1.0
            while alive > _OVER:
                at += step
                t = math.exp(at)
                F[0, 0] = alive = math.exp(-t)
                F[0, 1] = t * alive
                for k in range(K):
                    if tabled:
                        _look_up(table[k], at + etas[k, draw, row], low, F[k + 1])
                    else:
                        _average(at + etas[k, draw, row], sd[k], points, weights, F[k + 1])
                    F[k + 1, 0] = max(F[k + 1, 0], 1e-60)
                    alive *= F[k + 1, 0]
                _add(F, alive, d, v, changes, total)
            for k in range(K + 1):
                out[k, draw, row] = step * total[k]
