"""Compiled likelihood of normal group effects, integrated out, and their draws given the parameters.

The innermost loops run over the groups of a block, so that processors take several groups at once: arrays have the
group last. Names are those of `NormalGroups`, in units of sigma: c = d / sigma, L / sigma, t = 1 / sigma; H = R L,
M = I + H'H = C C', v = a t - B c. With m = M^-1 H'v, the mean of b in units of L, and x = v - H m, P^-1 v is x and
v' P^-1 v is x'x + m'm.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER, kernel

__all__ = ["BLOCK", "condition", "group_marginal"]

Array = npt.NDArray[np.float64]

BLOCK = 64
# Sums over groups may be taken in any order: the processor's own is several times faster, and always the same.
_SUM: dict[str, Any] = {**INNER, "fastmath": {"contract", "reassoc"}}


@njit(**_SUM)
def _dot(x: Array, y: Array, n: int) -> float:
    total = 0.0
    for g in range(n):
        total += x[g] * y[g]
    return total


@njit(**INNER)
def _add(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] += x[g] * y[g]


@njit(**INNER)
def _subtract(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] -= x[g] * y[g]


@njit(**INNER)
def _scale(out: Array, x: Array, y: float, n: int) -> None:
    for g in range(n):
        out[g] += x[g] * y


@njit(**INNER)
def _residuals(a: Array, B: Array, c: Array, t: float, first: int, n: int, v: Array) -> None:
    """v (term, group)."""
    for i in range(len(a)):
        v[i, :n] = 0.0
        _scale(v[i], a[i, first:], t, n)
        for k in range(len(c)):
            _scale(v[i], B[i, k, first:], -c[k], n)


@njit(**INNER)
def _factored(R: Array, L: Array, first: int, n: int, H: Array, C: Array) -> None:
    """H (term, term, group), and C, lower triangular with the inverse of its diagonal on the diagonal."""
    q = len(L)
    for i in range(q):
        for k in range(q):
            H[i, k, :n] = 0.0
            for m in range(max(i, k), q):
                _scale(H[i, k], R[i, m, first:], L[m, k], n)
    for i in range(q):
        for k in range(i + 1):
            C[i, k, :n] = 1.0 if i == k else 0.0
            for m in range(q):
                _add(C[i, k], H[m, i], H[m, k], n)
            for m in range(k):
                _subtract(C[i, k], C[i, m], C[k, m], n)
            for g in range(n):
                C[i, k, g] = 1.0 / math.sqrt(C[i, k, g]) if i == k else C[i, k, g] * C[k, k, g]


@njit(**INNER)
def _forward(C: Array, x: Array, n: int) -> None:
    """x (term, group) = C^-1 x."""
    for i in range(len(x)):
        for m in range(i):
            _subtract(x[i], C[i, m], x[m], n)
        for g in range(n):
            x[i, g] *= C[i, i, g]


@njit(**INNER)
def _backward(C: Array, x: Array, n: int) -> None:
    """x (term, group) = C'^-1 x."""
    for i in range(len(x) - 1, -1, -1):
        for m in range(i + 1, len(x)):
            _subtract(x[i], C[m, i], x[m], n)
        for g in range(n):
            x[i, g] *= C[i, i, g]


@njit(**INNER)
def _half_solved(C: Array, H: Array, v: Array, n: int, w: Array) -> None:
    """w (term, group) = C^-1 H'v."""
    for i in range(len(w)):
        w[i, :n] = 0.0
        for m in range(len(w)):
            _add(w[i], H[m, i], v[m], n)
    _forward(C, w, n)


@njit(**INNER)
def _log_determinants(C: Array, n: int, work: Array) -> float:
    work[:n] = 1.0
    for i in range(len(C)):
        for g in range(n):
            work[g] *= C[i, i, g]
    total = 0.0
    for g in range(n):
        total -= 2.0 * math.log(work[g])
    return total


@njit(**INNER)
def _root_gradient(R: Array, C: Array, H: Array, x: Array, m: Array, first: int, n: int, y: Array, dL: Array) -> None:
    """Adds to dL: that of H is 2 (H M^-1 - x m'), row by row, and H = R L; y (term, group) is work space."""
    q = len(x)
    for i in range(q):
        y[:, :n] = H[i, :, :n]
        _forward(C, y, n)
        _backward(C, y, n)
        for k in range(q):
            _subtract(y[k], x[i], m[k], n)
            for r in range(max(i, k), q):
                dL[r, k] += 2.0 * _dot(R[i, r, first:], y[k], n)


@kernel
def group_marginal(c: Array, L: Array, t: float, R: Array, a: Array, B: Array) -> tuple[float, Array, Array, float]:
    """Sum over groups of log det P + v' P^-1 v, and its derivatives in c, in the lower triangle of L, and in t."""
    q, groups = a.shape
    H, C = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    v, m, y, work = np.empty((q, BLOCK)), np.empty((q, BLOCK)), np.empty((q, BLOCK)), np.empty(BLOCK)
    total, dc, dL, dt = 0.0, np.zeros(len(c)), np.zeros((q, q)), 0.0
    for first in range(0, groups, BLOCK):
        n = min(BLOCK, groups - first)
        _residuals(a, B, c, t, first, n, v)
        _factored(R, L, first, n, H, C)
        total += _log_determinants(C, n, work)
        _half_solved(C, H, v, n, m)
        _backward(C, m, n)
        for i in range(q):
            for k in range(q):
                _subtract(v[i], H[i, k], m[k], n)
            total += _dot(v[i], v[i], n) + _dot(m[i], m[i], n)
            dt += 2.0 * _dot(a[i, first:], v[i], n)
            for k in range(len(c)):
                dc[k] -= 2.0 * _dot(B[i, k, first:], v[i], n)
        _root_gradient(R, C, H, v, m, first, n, y, dL)
    return total, dc, dL, dt


@kernel
def condition(
    first: int,
    last: int,
    c: Array,
    L: Array,
    sigma: Array,
    R: Array,
    a: Array,
    B: Array,
    back: Array,
    out: Array,
) -> None:
    """Standard normal out (draw, group, term) becomes draws of back b given the parameters of each draw."""
    q, groups = a.shape
    H, C = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    v, z, T = np.empty((q, BLOCK)), np.empty((q, BLOCK)), np.empty((q, q))
    for s in range(first, last):
        for i in range(q):
            for k in range(q):
                T[i, k] = 0.0
                for m in range(k, q):
                    T[i, k] += back[i, m] * L[s, m, k] * sigma[s]
        for start in range(0, groups, BLOCK):
            n = min(BLOCK, groups - start)
            _residuals(a, B, c[s], 1.0 / sigma[s], start, n, v)
            _factored(R, L[s], start, n, H, C)
            _half_solved(C, H, v, n, z)
            for i in range(q):
                for g in range(n):
                    z[i, g] += out[s, start + g, i]
            _backward(C, z, n)
            for i in range(q):
                v[i, :n] = 0.0
                for k in range(q):
                    _scale(v[i], z[k], T[i, k], n)
                for g in range(n):
                    out[s, start + g, i] = v[i, g]
