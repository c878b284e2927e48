"""Compiled linear algebra of small effects, whose matrix is kept by its envelope: see `effect_pattern`.

A matrix is one array, row after row: of each row, the columns from `low` to the end of its level. Below the diagonal
blocks of levels it is the lower triangle, in them it is whole. `roots` (factor, term, term) are the lower triangles by
which the effects of a level are made of standard normal ones, Lambda has them all on its diagonal. A row of the
Cholesky factor is made by sums over a range of entries, as of a full matrix, so a full matrix costs no more.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, INNER, PASTED
from bayesmargins.integrate.effect_pattern import Loops
from bayesmargins.integrate.small_kernels import add_row, dot

__all__ = ["plus_product", "rooted", "small_system", "solved", "times_roots"]

Array = npt.NDArray[np.float64]


@njit(**INNER)
def times_roots(x: Array, shift: int, begin: int, end: int, roots: Array, p: Loops, transposed: bool) -> None:
    """Entries of levels begin to end, of which effect k lies at shift + k, times Lambda, or Lambda'."""
    for v in range(begin, end):
        f, at = p.factor[v], shift + p.first[v]
        q = p.terms[f]
        for j in range(q):
            k = q - 1 - j if transposed else j  # what is overwritten is not read again
            total = 0.0
            for m in range(k + 1) if transposed else range(k, q):
                total += x[at + m] * (roots[f, k, m] if transposed else roots[f, m, k])
            x[at + k] = total


@njit(**APART)
def plus_product(K: Array, s: Array, p: Loops, out: Array) -> None:
    """out += K s."""
    for v in range(len(p.factor)):
        first, end = p.first[v], p.first[v + 1]
        for a in range(first, end):
            low, row = p.low[a], p.row[a]
            out[a] += dot(K[row + low :], s[low:], end - low)
            if low < first:
                add_row(out[low:], K[row + low :], s[a], first - low)


@njit(**APART)
def rooted(K: Array, roots: Array, p: Loops) -> tuple[Array, Array]:
    """K Lambda, and the Cholesky factor of A = I + Lambda' K Lambda; in K's diagonal blocks the lower triangle is read.

    K's diagonal blocks become whole.
    """
    for v in range(len(p.factor)):
        for a in range(p.first[v], p.first[v + 1]):
            for b in range(p.first[v], a):
                K[p.row[b] + a] = K[p.row[a] + b]
    M, A = K.copy(), np.zeros_like(K)
    for v in range(len(p.factor)):
        first, end, root = p.first[v], p.first[v + 1], roots[p.factor[v]]
        for a in range(first, end):
            times_roots(M, p.row[a], p.reach[v], v + 1, roots, p, False)
        low = p.low[first]
        for a in range(first, end):
            for b in range(a, end):
                add_row(A[p.row[a] + low :], M[p.row[b] + low :], root[b - first, a - first], end - low)
            A[p.row[a] + a] += 1.0
    for a in range(len(p.low)):
        low, row = p.low[a], p.row[a]
        for k in range(low, a):
            start = max(low, p.low[k])
            A[row + k] = (A[row + k] - dot(A[row + start :], A[p.row[k] + start :], k - start)) / A[p.row[k] + k]
        if low < a:
            A[row + a] -= dot(A[row + low :], A[row + low :], a - low)
        A[row + a] = math.sqrt(A[row + a])
    return M, A


@njit(**APART)
def solved(A: Array, x: Array, noise: Array, p: Loops) -> None:
    """x = A'^-1 (A^-1 x + noise), A a Cholesky factor."""
    for a in range(len(x)):
        low, row = p.low[a], p.row[a]
        if low < a:
            x[a] -= dot(A[row + low :], x[low:], a - low)
        x[a] /= A[row + a]
    for a in range(len(x) - 1, -1, -1):
        low, row = p.low[a], p.row[a]
        x[a] = (x[a] + noise[a]) / A[row + a]
        if low < a:
            add_row(x[low:], A[row + low :], -x[a], a - low)


@njit(**PASTED)
def _inverse(A: Array, p: Loops) -> Array:
    """The inverse within the envelope, of the matrix with Cholesky factor A.

    It is the derivative of the log determinant: the steps of the factorisation, backwards. Off the diagonal that counts
    each entry twice.
    """
    S = np.zeros_like(A)
    for a in range(len(p.low)):
        S[p.row[a] + a] = 2.0 / A[p.row[a] + a]
    for a in range(len(p.low) - 1, -1, -1):
        low, row = p.low[a], p.row[a]
        S[row + a] /= 2.0 * A[row + a]
        if low < a:
            add_row(S[row + low :], A[row + low :], -2.0 * S[row + a], a - low)
        for k in range(a - 1, low - 1, -1):
            start, other = max(low, p.low[k]), p.row[k]
            S[row + k] /= A[other + k]
            S[other + k] -= S[row + k] * A[row + k]
            add_row(S[row + start :], A[other + start :], -S[row + k], k - start)
            add_row(S[other + start :], A[row + start :], -S[row + k], k - start)
    for v in range(len(p.factor)):
        for a in range(p.first[v], p.first[v + 1]):
            for k in range(p.low[a], a):
                S[p.row[a] + k] *= 0.5
                if k >= p.first[v]:
                    S[p.row[k] + a] = S[p.row[a] + k]
    return S


@njit(**PASTED)
def _slopes(K: Array, M: Array, S: Array, roots: Array, p: Loops, out: Array) -> None:
    """Adds the derivatives of log det A in the roots to `out`; S, the inverse, becomes Lambda S Lambda'."""
    for v in range(len(p.factor)):
        first, end, f = p.first[v], p.first[v + 1], p.factor[v]
        low, q = p.low[first], end - first
        for i in range(q):
            for j in range(q):
                left, right = p.row[first + i] + low, p.row[first + j] + low
                out[f, i, j] += 2.0 * dot(M[left:], S[right:], end - low)
        for i in range(q - 1, -1, -1):  # what is overwritten is not read again
            row = p.row[first + i]
            for k in range(low, end):
                S[row + k] *= roots[f, i, i]
            for m in range(i):
                add_row(S[row + low :], S[p.row[first + m] + low :], roots[f, i, m], end - low)
        for a in range(first, end):
            row = p.row[a]
            for u in range(p.reach[v], v):
                g, at = p.factor[u], row + p.first[u]
                for i in range(p.terms[g]):
                    for j in range(p.terms[g]):
                        out[g, i, j] += 2.0 * K[at + i] * S[at + j]
            times_roots(S, row, p.reach[v], v + 1, roots, p, True)


@njit(**PASTED)
def small_system(K: Array, h: Array, roots: Array, p: Loops, slopes: bool) -> tuple[Array, Array, Array, float, Array]:
    """Mean s and covariance V of the effects, s in standard normal ones, log det A, and derivatives in the roots.

    K (lower triangles of its diagonal blocks) and h are what the data say of the effects; A = I + Lambda' K Lambda. The
    derivatives are those of log det A - h' Lambda A^-1 Lambda' h with K and h held. V is within the envelope. Without
    `slopes` s and log det A alone are right.
    """
    n, log_det, derivatives = len(h), 0.0, np.zeros_like(roots)
    M, A = rooted(K, roots, p)
    for a in range(n):
        log_det += 2.0 * math.log(A[p.row[a] + a])
    z, lack = h.copy(), -h
    times_roots(z, 0, 0, len(p.factor), roots, p, False)
    solved(A, z, np.zeros(n), p)
    s = z.copy()
    times_roots(s, 0, 0, len(p.factor), roots, p, True)
    if not slopes:
        return s, z, M, log_det, derivatives
    V = _inverse(A, p)
    _slopes(K, M, V, roots, p, derivatives)
    plus_product(K, s, p, lack)
    for v in range(len(p.factor)):
        first, f = p.first[v], p.factor[v]
        for i in range(p.terms[f]):
            for j in range(p.terms[f]):
                derivatives[f, i, j] += 2.0 * lack[first + i] * z[first + j]
    return s, z, V, log_det, derivatives
