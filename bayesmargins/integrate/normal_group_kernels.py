"""Compiled likelihood of normal group effects, integrated out.

The innermost loops run over the groups of a block, so that processors take several groups at once: tables have the
group last, `BLOCK` numbers a row. Names are those of `NormalGroups`, in units of sigma: c are the coordinates less
their centre, s the small effects; L and the roots of the small factors are divided by sigma, t = 1 / sigma. H = R L,
P = I + H H' = C C', v = a t - B c - E s. Of E a block reads what its patches have: see `effect_pattern`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.effect_pattern import BLOCK
from bayesmargins.integrate.envelope_kernels import inverse, plus_product, root_slopes, rooted, solved, times_roots
from bayesmargins.integrate.group_rows import Floats, Integers
from bayesmargins.integrate.normal_model import KNOWN, Known
from bayesmargins.integrate.pointers import FLOATS, after, as_integers, keep, start_of
from bayesmargins.integrate.small_kernels import add_row, copy_row, dot, fill

__all__ = ["add_products", "backward", "factored", "forward", "group_marginal", "less_small", "name_of_small_effects"]
__all__ += ["products", "residuals", "row_of", "room", "small_moments", "whitened"]


@njit(**INNER)
def row_of(table: Floats, i: int) -> Floats:
    """Row i of a table (row, group of a block)."""
    return after(table, i * BLOCK)


@njit(**APART)
def add_products(out: Floats, x: Floats, y: Floats, n: int) -> None:
    """out += x y, entry by entry."""
    for g in range(n):
        out[g] += x[g] * y[g]


@njit(**APART)
def _subtract(out: Floats, x: Floats, y: Floats, n: int) -> None:
    for g in range(n):
        out[g] -= x[g] * y[g]


@njit(**APART)
def _multiply(out: Floats, x: Floats, n: int) -> None:
    for g in range(n):
        out[g] *= x[g]


@njit(**APART)
def residuals(of: Known, c: Floats, t: float, first: int, n: int, v: Floats) -> None:
    """v (term, group) = a t - B c."""
    for i in range(of.terms):
        own, row = row_of(v, i), i * of.groups + first
        fill(own, 0.0, n)
        add_row(own, after(of.a, row), t, n)
        for k in range(of.coordinates):
            add_row(own, after(of.B, (i * of.coordinates + k) * of.groups + first), -c[k], n)


@njit(**APART)
def less_small(of: Known, s: Floats, first: int, n: int, at: Integers, v: Floats) -> None:
    """v -= E s. `at` has the block's first patch and its place in E, and gets those of the next block."""
    patch, place = at[0], at[1]
    while patch < of.patches and of.lanes[patch] < first + n:
        begin, size = of.lanes[patch] - first, of.lanes[patch + 1] - of.lanes[patch]
        for k in range(of.begins[patch], of.begins[patch + 1]):
            for i in range(of.terms):
                add_row(after(v, i * BLOCK + begin), after(of.E, place), -s[of.used[k]], size)
                place += size
        patch += 1
    at[0], at[1] = patch, place


@njit(**APART)
def products(of: Known, L: Floats, first: int, n: int, H: Floats) -> None:
    """H (term, term, group)."""
    q = of.terms
    for i in range(q):
        for k in range(q):
            own = row_of(H, i * q + k)
            fill(own, 0.0, n)
            for m in range(max(i, k), q):
                add_row(own, after(of.R, (i * q + m) * of.groups + first), L[m * q + k], n)


@njit(**APART)
def factored(H: Floats, q: int, along: int, across: int, n: int, C: Floats) -> None:
    """C of I + H H', the diagonal holds its own inverse.

    From an entry of H to the next in its row are `along` rows of the table, to that in the next row `across`.
    """
    for i in range(q):
        for k in range(i + 1):
            own = row_of(C, i * q + k)
            fill(own, 1.0 if i == k else 0.0, n)
            for m in range(q):
                add_products(own, row_of(H, i * across + m * along), row_of(H, k * across + m * along), n)
            for m in range(k):
                _subtract(own, row_of(C, i * q + m), row_of(C, k * q + m), n)
            if i == k:
                for g in range(n):
                    own[g] = 1.0 / math.sqrt(own[g])
            else:
                _multiply(own, row_of(C, k * q + k), n)


@njit(**APART)
def forward(C: Floats, q: int, x: Floats, n: int) -> None:
    """x (term, group) = C^-1 x."""
    for i in range(q):
        for m in range(i):
            _subtract(row_of(x, i), row_of(C, i * q + m), row_of(x, m), n)
        _multiply(row_of(x, i), row_of(C, i * q + i), n)


@njit(**APART)
def backward(C: Floats, q: int, x: Floats, n: int) -> None:
    """x (term, group) = C'^-1 x."""
    for i in range(q - 1, -1, -1):
        for m in range(i + 1, q):
            _subtract(row_of(x, i), row_of(C, m * q + i), row_of(x, m), n)
        _multiply(row_of(x, i), row_of(C, i * q + i), n)


@njit(**APART)
def whitened(of: Known, L: Floats, first: int, n: int, H: Floats, C: Floats, v: Floats) -> None:
    """H, C of P = C C', and v (term, group) becomes C^-1 v."""
    products(of, L, first, n, H)
    factored(H, of.terms, 1, of.terms, n, C)
    forward(C, of.terms, v, n)


@njit(**APART)
def _white_effects(of: Known, place: int, C: Floats, n: int, count: int, U: Floats) -> int:
    """U (small effect, term, group) = C^-1 E of a patch, whose groups begin at C; the place in E of the next one."""
    for j in range(count):
        own = row_of(U, j * of.terms)
        for i in range(of.terms):
            copy_row(row_of(own, i), after(of.E, place), n)
            place += n
        forward(C, of.terms, own, n)
    return place


@njit(**APART)
def room(of: Known) -> int:
    """Numbers that `small_moments` needs."""
    q = of.terms
    return (2 * q * q + q + of.most * q) * BLOCK


@njit(**APART)
def small_moments(c: Floats, L: Floats, t: float, of: Known, K: Floats, h: Floats, work: Floats) -> None:
    """K = K + E' P^-1 E, of its diagonal blocks the lower triangle, and h = r t - J'c + E' P^-1 v."""
    q, m, p = of.terms, of.pattern.effects, of.pattern
    C = row_of(work, q * q)
    v = row_of(C, q * q)
    U, patch, place = row_of(v, q), 0, 0
    copy_row(K, of.K, of.entries)
    for k in range(m):
        h[k] = of.r[k] * t
    for k in range(of.coordinates):
        add_row(h, after(of.J, k * m), -c[k], m)
    for first in range(0, of.groups, BLOCK):
        n = min(BLOCK, of.groups - first)
        residuals(of, c, t, first, n, v)
        whitened(of, L, first, n, work, C, v)
        while patch < of.patches and of.lanes[patch] < first + n:
            begin, size = of.lanes[patch] - first, of.lanes[patch + 1] - of.lanes[patch]
            used, count = after(of.used, of.begins[patch]), of.begins[patch + 1] - of.begins[patch]
            place = _white_effects(of, place, after(C, begin), size, count, U)
            for j in range(count):
                low, row, own = p.low[used[j]], after(K, p.row[used[j]]), row_of(U, j * q)
                for i in range(q):
                    h[used[j]] += dot(row_of(own, i), after(v, i * BLOCK + begin), size)
                for k in range(j + 1):
                    if used[k] >= low:  # no group has both otherwise
                        for i in range(q):
                            row[used[k]] += dot(row_of(own, i), row_of(U, k * q + i), size)
            patch += 1


@njit(**APART)
def _less_own(w: Floats, q: int, n: int, Y: Floats) -> None:
    """Y (term, term, group) = I - w w'."""
    for i in range(q):
        for k in range(i + 1):
            fill(row_of(Y, i * q + k), 1.0 if i == k else 0.0, n)
            _subtract(row_of(Y, i * q + k), row_of(w, i), row_of(w, k), n)


@njit(**APART)
def _less_shared(of: Known, patch: int, U: Floats, V: Floats, begin: int, n: int, Y: Floats, work: Floats) -> None:
    """Y (term, term, group) -= U' V U from group `begin` on, V the covariance of the small effects.

    V's lower triangle, and that turned.
    """
    q, p, used = of.terms, of.pattern, after(of.used, of.begins[patch])
    Y = after(Y, begin)
    for j in range(of.begins[patch + 1] - of.begins[patch]):
        low, row, own = p.low[used[j]], after(V, p.row[used[j]]), row_of(U, j * q)
        half = 0.5 * row[used[j]]
        for i in range(q):
            fill(row_of(work, i), 0.0, n)
            add_row(row_of(work, i), row_of(own, i), half, n)
        for k in range(j):
            if used[k] >= low:
                for i in range(q):
                    add_row(row_of(work, i), row_of(U, k * q + i), row[used[k]], n)
        for i in range(q):
            for k in range(i + 1):
                _subtract(row_of(Y, i * q + k), row_of(work, i), row_of(own, k), n)
                _subtract(row_of(Y, i * q + k), row_of(work, k), row_of(own, i), n)


@njit(**APART)
def _add_to_root(of: Known, C: Floats, Y: Floats, first: int, n: int, N: Floats, work: Floats, D: Floats) -> None:
    """Adds (C^-1 R)' Y (C^-1 R) to D: what the derivative in L is made of."""
    q = of.terms
    for k in range(q):
        own = row_of(N, k * q)
        for i in range(q):
            copy_row(row_of(own, i), after(of.R, (i * q + k) * of.groups + first), n)
        forward(C, q, own, n)
    for k in range(q):
        for i in range(q):
            fill(row_of(work, i), 0.0, n)
            for m in range(q):
                add_products(row_of(work, i), row_of(Y, max(i, m) * q + min(i, m)), row_of(N, k * q + m), n)
        for r in range(q):
            for i in range(q):
                D[r * q + k] += dot(row_of(N, r * q + i), row_of(work, i), n)


@njit(**APART)
def _of_root(D: Floats, L: Floats, q: int, out: Floats) -> None:
    """The lower triangle of 2 D L, added to `out`."""
    for i in range(q):
        for k in range(i + 1):
            for m in range(k, q):
                out[i * q + k] += 2.0 * D[i * q + m] * L[m * q + k]


def _small_effects(asked: Any) -> None:
    """Mean s and covariance V of the small effects, V within the envelope.

    Adds to `d_roots` the derivatives of log det A - h' Lambda A^-1 Lambda' h, where K and h are held: they are what the
    data say of the effects, and A = I + Lambda' K Lambda. total (1,) is what s adds without data. Without `slopes` V
    and the derivatives are not made.
    """
    c, L, t, roots, of, slopes, s, V, d_roots, total = taken(asked)
    m, entries, p = of.pattern.effects, of.entries, of.pattern
    memory = np.zeros(3 * entries + 4 * m + room(of))
    K = start_of(memory)
    M = after(K, entries)
    A = after(M, entries)
    h = after(A, entries)
    z = after(h, m)
    others = after(z, m)
    noise = after(others, m)
    small_moments(c, L, t, of, K, h, after(noise, m))
    rooted(K, roots, p, entries, M, A)
    copy_row(z, h, m)
    times_roots(z, 0, p.levels, roots, p, False)
    solved(A, z, noise, p)
    copy_row(s, z, m)
    times_roots(s, 0, p.levels, roots, p, True)
    plus_product(of.K, s, p, others)
    total[0] = dot(z, z, m) + dot(s, others, m)
    for a in range(m):
        total[0] += 2.0 * math.log(A[p.row[a] + a])
    if slopes:
        inverse(A, p, entries, V)
        root_slopes(K, M, V, roots, p, d_roots)
        for a in range(m):
            h[a] = -h[a]
        plus_product(K, s, p, h)
        for v in range(p.levels):
            first, f = p.first[v], p.factor[v]
            own = after(d_roots, f * p.widest * p.widest)
            for i in range(p.terms[f]):
                for j in range(p.terms[f]):
                    own[i * p.widest + j] += 2.0 * h[first + i] * z[first + j]
    keep(memory)


_TAKEN = (FLOATS, FLOATS, types.float64, FLOATS, KNOWN, types.boolean, *[FLOATS] * 4)
_call_small_effects = caller(*_TAKEN)


def name_of_small_effects() -> str:
    """The name of `_small_effects`, which is compiled now or found on disk."""
    return by_name(_small_effects, _TAKEN).name


@njit(**APART)
def _shared_part(of: Known, c: Floats, t: float, s: Floats, out: Floats, dt: Floats) -> None:
    """Adds the part that is no sum over groups to the value, and its derivatives behind the value and to dt."""
    p, m = of.coordinates, of.pattern.effects
    told = dot(of.r, s, m)
    out[0] += t * (of.rss * t - 2.0 * told)
    dt[0] += 2.0 * (of.rss * t - told)
    for k in range(p):
        own, others = dot(after(of.G, k * p), c, p), dot(after(of.J, k * m), s, m)
        out[0] += c[k] * (own + 2.0 * others)
        out[1 + k] += 2.0 * (own + others)


@njit(**APART)
def _plus_block(total: float, C: Floats, w: Floats, q: int, n: int, work: Floats) -> float:
    """total + w'w + log det P, summed over the groups of a block; the diagonal of C holds reciprocals."""
    fill(work, 1.0, n)
    for i in range(q):
        total += dot(row_of(w, i), row_of(w, i), n)
        _multiply(work, row_of(C, i * q + i), n)
    for g in range(n):
        total -= 2.0 * math.log(work[g])
    return total


@njit(**APART)
def _add_slopes(of: Known, first: int, n: int, w: Floats, dc: Floats, dt: Floats) -> None:
    """What the groups of a block add to the derivatives in c and t; w = P^-1 v."""
    p = of.coordinates
    for i in range(of.terms):
        own = row_of(w, i)
        dt[0] += 2.0 * dot(after(of.a, i * of.groups + first), own, n)
        for k in range(p):
            dc[k] -= 2.0 * dot(after(of.B, (i * p + k) * of.groups + first), own, n)


@njit(**APART)
def group_marginal(x: Floats, of: Known, slopes: bool, small: int, out: Floats) -> None:
    """-2 log likelihood less count log(2 pi sigma^2), and its derivatives in x: c, L (lower triangle), t and roots.

    The small effects are set to their conditional mean s: there the quadratic form has derivative 0 in them. Without
    `slopes` the value alone is right. `small` is where `_small_effects` lies: a model without them does not have it.
    """
    q, p, m, square = of.terms, of.coordinates, of.pattern.effects, of.terms**2
    L, dL, dt = after(x, p), after(out, 1 + p), after(out, 1 + p + square)
    t, roots, d_roots = x[p + square], after(x, p + square + 1), after(dt, 1)
    memory = np.zeros(m + of.entries + 2 + square + (4 * square + 2 * q + of.most * q) * BLOCK)
    s = start_of(memory)
    V = after(s, m)
    at = as_integers(after(V, of.entries))
    D = after(V, of.entries + 2)
    H = after(D, square)
    C = row_of(H, square)
    Y = row_of(C, square)
    N = row_of(Y, square)
    w = row_of(N, square)
    work = row_of(w, q)
    U, patch, place = row_of(work, q), 0, 0
    fill(out, 0.0, 2 + p + square + of.pattern.factors * of.pattern.widest**2)
    if m > 0:
        _call_small_effects(small, (x, L, t, roots, of, slopes, s, V, d_roots, out))
    _shared_part(of, x, t, s, out, dt)
    for first in range(0, of.groups, BLOCK):
        n = min(BLOCK, of.groups - first)
        residuals(of, x, t, first, n, w)
        less_small(of, s, first, n, at, w)
        whitened(of, L, first, n, H, C, w)
        if slopes:
            _less_own(w, q, n, Y)
            while patch < at[0]:
                begin, size = of.lanes[patch] - first, of.lanes[patch + 1] - of.lanes[patch]
                place = _white_effects(of, place, after(C, begin), size, of.begins[patch + 1] - of.begins[patch], U)
                _less_shared(of, patch, U, V, begin, size, Y, work)
                patch += 1
            _add_to_root(of, C, Y, first, n, N, work, D)
        out[0] = _plus_block(out[0], C, w, q, n, work)
        if slopes:
            backward(C, q, w, n)
            _add_slopes(of, first, n, w, after(out, 1), dt)
    _of_root(D, L, q, dL)
    keep(memory)
