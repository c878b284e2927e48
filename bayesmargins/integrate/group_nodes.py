"""Where the nodes of a group's integral lie: around the peak of its posterior, on a lattice halved until it stands.

The integrand is exp(V(z)), V(z) = - z'z / 2 + log density of the group's rows at b = L z, and has one peak. For
smooth integrands that vanish at both ends the trapezoid rule converges faster than any power of the step, and its
error with step h is about the square of the difference between its two halves with step 2h.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART
from bayesmargins.integrate.group_rows import LANES, Rows, add_values, slopes
from bayesmargins.integrate.vector_math import vector_exp

__all__ = ["DROP", "MOST", "lattice", "peak"]

Array = npt.NDArray[np.float64]

DROP = 14.0  # nodes this far below the peak in log density are left out: 1e-7 of the integral lies beyond
MOST = 1024  # nodes of a group
_STEP = 0.71  # first step, in units of the standard deviation at the peak
_NEAR = 0.05  # squared distance to the peak, in the same units, at which the search stops
_FARTHEST = 3.0  # change of a row's eta in one step of the search


@njit(**APART)
def _toward_peak(L: Array, z: Array, g: Array, H: Array, A: Array, d: Array) -> float:
    """A = I - L' H L, d = A^-1 (L' g - z), and d' A d; terms are 1 or 2."""
    q = len(z)
    for a in range(q):
        d[a] = -z[a]
        for i in range(a, q):
            d[a] += L[i, a] * g[i]
        for c in range(a + 1):
            A[a, c] = 1.0 if a == c else 0.0
            for i in range(a, q):
                for j in range(c, q):
                    A[a, c] -= L[i, a] * L[j, c] * H[max(i, j), min(i, j)]
    if q == 1:
        decrement = d[0] * d[0] / A[0, 0]
        d[0] /= A[0, 0]
        return decrement
    det = A[0, 0] * A[1, 1] - A[1, 0] * A[1, 0]
    first, second = d[0], d[1]
    d[0] = (A[1, 1] * first - A[1, 0] * second) / det
    d[1] = (A[0, 0] * second - A[1, 0] * first) / det
    return first * d[0] + second * d[1]


@njit(**APART)
def _moved(L: Array, z: Array, b: Array) -> None:
    for a in range(len(z)):
        b[a] = 0.0
        for c in range(a + 1):
            b[a] += L[a, c] * z[c]


@njit(**APART)
def peak(tag: Any, rows: Rows, eta: Array, u: Array, v: Array, group: int, L: Array, widest: float, z: Array, A: Array) -> None:
    """Moves z near the peak of V by Newton's method, and sets A = - V'' there.

    A step changes no eta by more than `_FARTHEST`, `widest` being the largest W of the group's rows; where it has gone
    too far, it goes back to where V' along it is 0 by the secant.
    """
    q = len(z)
    b, g, H, d, before = np.empty(q), np.empty(q), np.empty((q, q)), np.empty(q), np.empty(q)
    ahead, scale = 0.0, 1.0
    for attempt in range(100):
        _moved(L, z, b)
        slopes(tag, rows, eta, u, v, group, b, g, H)
        if attempt > 0:
            along = 0.0  # V' in the direction of the last step
            for a in range(q):
                share = -z[a]
                for i in range(a, q):
                    share += L[i, a] * g[i]
                along += share * before[a]
            if along < -0.5 * ahead:
                back = scale * ahead / (ahead - along)
                for a in range(q):
                    z[a] += (back - scale) * before[a]
                scale = back
                continue
        decrement = _toward_peak(L, z, g, H, A, d)
        if not decrement > _NEAR:
            return
        reach = 0.0
        for a in range(q):
            share = 0.0
            for c in range(a + 1):
                share += L[a, c] * d[c]
            reach += abs(share)
        scale = min(1.0, _FARTHEST / max(reach * widest, 1e-300))
        ahead = 0.0
        for a in range(q):
            before[a] = d[a]
            z[a] += scale * d[a]
        ahead = decrement


@njit(**APART)
def _filled(
    tag: Any,
    rows: Rows,
    eta: Array,
    u: Array,
    v: Array,
    group: int,
    s: float,
    start: float,
    h: float,
    begin: int,
    count: int,
    B: Array,
    V: Array,
) -> float:
    """V at start + k h for k of `count` nodes from `begin`, in whole lanes; its largest value."""
    b, out = B[0, begin:], V[begin:]
    for k in range(count):
        at = start + h * k
        b[k] = s * at
        out[k] = -0.5 * at * at
    add_values(tag, rows, eta, u, v, group, B, begin, count, V)
    top = out[0]
    for k in range(1, count):
        top = max(top, out[k])
    return top


@njit(**APART)
def _missing(outer: float, inner: float, top: float) -> int:
    """How many nodes, in whole lanes, are missing at an end whose last two values are these.

    V falls there at least as fast.
    """
    rest = DROP - (top - outer)
    if not rest > 0.0:
        return 0
    more = 1 + int(min(64.0, rest / max(inner - outer, 0.05)))
    return (more + LANES - 1) // LANES * LANES


@njit(**APART)
def _halves(V: Array, begin: int, count: int, top: float, shares: Array) -> tuple[float, float]:
    """shares = exp(V - top) from 0 on, and their sums over every second node."""
    from_begin = V[begin:]
    for k in range(count):
        shares[k] = vector_exp(from_begin[k] - top)
    even, odd = 0.0, 0.0
    for k in range(0, count - 1, 2):
        even += shares[k]
        odd += shares[k + 1]
    return even + (shares[count - 1] if count % 2 else 0.0), odd


@njit(**APART)
def lattice(
    tag: Any,
    rows: Rows,
    eta: Array,
    u: Array,
    v: Array,
    group: int,
    s: float,
    z: float,
    sd: float,
    tolerance: float,
    B: Array,
    V: Array,
    shares: Array,
) -> tuple[float, float, int, float, float]:
    """First node, step, how many, log of the integral and its error, relative: of one effect, b = s z.

    shares (node,) are left in proportion to the integrand. B (1, node) and V (node,) have room for `MOST` nodes and as
    many midpoints.
    """
    begin, count, h = MOST // 4, 16, _STEP * sd
    start = z - 7.5 * h
    top = _filled(tag, rows, eta, u, v, group, s, start, h, begin, count, B, V)
    while True:
        more = _missing(V[begin], V[begin + 1], top)
        if more == 0 or more > begin:
            break
        begin, count, start = begin - more, count + more, start - more * h
        top = max(top, _filled(tag, rows, eta, u, v, group, s, start, h, begin, more, B, V))
    while True:
        last = begin + count
        more = _missing(V[last - 1], V[last - 2], top)
        if more == 0 or last + more > MOST:
            break
        top = max(top, _filled(tag, rows, eta, u, v, group, s, start + count * h, h, last, more, B, V))
        count += more
    while True:
        while count > 2 and V[begin + 1] < top - DROP:
            begin, count, start = begin + 1, count - 1, start + h
        while count > 2 and V[begin + count - 2] < top - DROP:
            count -= 1
        even, odd = _halves(V, begin, count, top, shares)
        total = even + odd
        error = ((even - odd) / total) ** 2
        if not error > tolerance or begin + 2 * count > MOST:
            error += (shares[0] + shares[count - 1]) / total
            return start, h, count, top + math.log(total * h) - 0.9189385332046727, error
        middle = (count + LANES - 2) // LANES * LANES
        top = max(top, _filled(tag, rows, eta, u, v, group, s, start + 0.5 * h, h, MOST, middle, B, V))
        for k in range(count - 1, 0, -1):
            V[begin + 2 * k] = V[begin + k]
        for k in range(count - 1):
            V[begin + 2 * k + 1] = V[MOST + k]
        count, h = 2 * count - 1, 0.5 * h
