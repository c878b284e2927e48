"""Compiled linear algebra of small effects, whose matrix is kept by its envelope: see `effect_pattern`.

A matrix is one array, row after row: of each row, the columns from `low` to the end of its level. Below the diagonal
blocks of levels it is the lower triangle, in them it is whole. `roots` (factor, term, term) are the lower triangles by
which the effects of a level are made of standard normal ones, Lambda has them all on its diagonal. A row of the
Cholesky factor is made by sums over a range of entries, as of a full matrix, so a full matrix costs no more.
"""

from __future__ import annotations

import math

from numba import njit, types

from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.effect_pattern import Envelope
from bayesmargins.integrate.group_rows import Floats
from bayesmargins.integrate.pointers import INTEGERS, after
from bayesmargins.integrate.small_kernels import add_row, copy_row, dot, fill

__all__ = ["ENVELOPE", "inverse", "plus_product", "root_slopes", "rooted", "solved", "times_roots"]


ENVELOPE = types.NamedTuple([*[INTEGERS] * 9, *[types.int64] * 6], Envelope)


@njit(**INNER)
def _root(roots: Floats, p: Envelope, f: int) -> Floats:
    return after(roots, f * p.widest * p.widest)


@njit(**APART)
def times_roots(x: Floats, begin: int, end: int, roots: Floats, p: Envelope, transposed: bool) -> None:
    """Effects of levels begin to end times Lambda, or Lambda'."""
    for v in range(begin, end):
        f, own = p.factor[v], after(x, p.first[v])
        q, root = p.terms[f], _root(roots, p, f)
        for j in range(q):
            k = q - 1 - j if transposed else j  # what is overwritten is not read again
            total = 0.0
            if transposed:
                for m in range(k + 1):
                    total += own[m] * root[k * p.widest + m]
            else:
                for m in range(k, q):
                    total += own[m] * root[m * p.widest + k]
            own[k] = total


@njit(**APART)
def plus_product(K: Floats, s: Floats, p: Envelope, out: Floats) -> None:
    """out += K s."""
    for v in range(p.levels):
        first, end = p.first[v], p.first[v + 1]
        for a in range(first, end):
            low = p.low[a]
            own = after(K, p.row[a] + low)
            out[a] += dot(own, after(s, low), end - low)
            add_row(after(out, low), own, s[a], first - low)


@njit(**APART)
def rooted(K: Floats, roots: Floats, p: Envelope, entries: int, M: Floats, A: Floats) -> None:
    """M = K Lambda, and A, the Cholesky factor of I + Lambda' K Lambda.

    Of K's diagonal blocks the lower triangle is read; they become whole.
    """
    for v in range(p.levels):
        for a in range(p.first[v], p.first[v + 1]):
            for b in range(p.first[v], a):
                K[p.row[b] + a] = K[p.row[a] + b]
    copy_row(M, K, entries)
    fill(A, 0.0, entries)
    for v in range(p.levels):
        first, end, root = p.first[v], p.first[v + 1], _root(roots, p, p.factor[v])
        for a in range(first, end):
            times_roots(after(M, p.row[a]), p.reach[v], v + 1, roots, p, False)
        low = p.low[first]
        for a in range(first, end):
            for b in range(a, end):
                factor = root[(b - first) * p.widest + a - first]
                add_row(after(A, p.row[a] + low), after(M, p.row[b] + low), factor, end - low)
            A[p.row[a] + a] += 1.0
    _factorise(A, p)


@njit(**APART)
def _factorise(A: Floats, p: Envelope) -> None:
    for a in range(p.effects):
        low, own = p.low[a], after(A, p.row[a])
        for k in range(low, a):
            start, other = max(low, p.low[k]), after(A, p.row[k])
            own[k] = (own[k] - dot(after(own, start), after(other, start), k - start)) / other[k]
        own[a] = math.sqrt(own[a] - dot(after(own, low), after(own, low), a - low))


@njit(**APART)
def solved(A: Floats, x: Floats, noise: Floats, p: Envelope) -> None:
    """x = A'^-1 (A^-1 x + noise), A a Cholesky factor."""
    for a in range(p.effects):
        low, own = p.low[a], after(A, p.row[a])
        x[a] = (x[a] - dot(after(own, low), after(x, low), a - low)) / own[a]
    for a in range(p.effects - 1, -1, -1):
        low, own = p.low[a], after(A, p.row[a])
        x[a] = (x[a] + noise[a]) / own[a]
        add_row(after(x, low), after(own, low), -x[a], a - low)


@njit(**APART)
def inverse(A: Floats, p: Envelope, entries: int, S: Floats) -> None:
    """S, the inverse within the envelope, of the matrix with Cholesky factor A.

    It is the derivative of the log determinant: the steps of the factorisation, backwards. Off the diagonal that counts
    each entry twice.
    """
    fill(S, 0.0, entries)
    for a in range(p.effects):
        S[p.row[a] + a] = 2.0 / A[p.row[a] + a]
    for a in range(p.effects - 1, -1, -1):
        low, own, of = p.low[a], after(S, p.row[a]), after(A, p.row[a])
        own[a] /= 2.0 * of[a]
        add_row(after(own, low), after(of, low), -2.0 * own[a], a - low)
        for k in range(a - 1, low - 1, -1):
            start, other, of_other = max(low, p.low[k]), after(S, p.row[k]), after(A, p.row[k])
            own[k] /= of_other[k]
            other[k] -= own[k] * of[k]
            add_row(after(own, start), after(of_other, start), -own[k], k - start)
            add_row(after(other, start), after(of, start), -own[k], k - start)
    for v in range(p.levels):
        for a in range(p.first[v], p.first[v + 1]):
            for k in range(p.low[a], a):
                S[p.row[a] + k] *= 0.5
                if k >= p.first[v]:
                    S[p.row[k] + a] = S[p.row[a] + k]


@njit(**APART)
def root_slopes(K: Floats, M: Floats, S: Floats, roots: Floats, p: Envelope, out: Floats) -> None:
    """Adds the derivatives of log det A in the roots to `out`; S, the inverse, becomes Lambda S Lambda'."""
    wide = p.widest
    for v in range(p.levels):
        first, end, f = p.first[v], p.first[v + 1], p.factor[v]
        low, q, root, of = p.low[first], end - first, _root(roots, p, f), _root(out, p, f)
        for i in range(q):
            left = after(M, p.row[first + i] + low)
            for j in range(q):
                of[i * wide + j] += 2.0 * dot(left, after(S, p.row[first + j] + low), end - low)
        for i in range(q - 1, -1, -1):  # what is overwritten is not read again
            row = after(S, p.row[first + i])
            for k in range(low, end):
                row[k] *= root[i * wide + i]
            for m in range(i):
                add_row(after(row, low), after(S, p.row[first + m] + low), root[i * wide + m], end - low)
        for a in range(first, end):
            row, of_K = after(S, p.row[a]), after(K, p.row[a])
            for u in range(p.reach[v], v):
                g, at = p.factor[u], p.first[u]
                other = _root(out, p, g)
                for i in range(p.terms[g]):
                    for j in range(p.terms[g]):
                        other[i * wide + j] += 2.0 * of_K[at + i] * row[at + j]
            times_roots(row, p.reach[v], v + 1, roots, p, True)
