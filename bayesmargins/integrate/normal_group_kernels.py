"""Compiled likelihood of normal group effects, integrated out.

The innermost loops run over the groups of a block, so that processors take several groups at once: tables have the
group last, `BLOCK` numbers a row. Names are those of `NormalGroups`, in units of sigma: c are the coordinates less
their centre, s the small effects; L and the roots of the small factors are divided by sigma, t = 1 / sigma. H = R L,
P = I + H H' = C C', v = a t - B c - E s. Of E a block reads what its patches have: see `effect_pattern`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.effect_pattern import BLOCK
from bayesmargins.integrate.envelope_kernels import inverse, plus_product, root_slopes, rooted, solved, times_roots
from bayesmargins.integrate.group_rows import Floats, Integers
from bayesmargins.integrate.normal_groups import GRADIENT
from bayesmargins.integrate.normal_model import KNOWN, POINTS, TASK, Known, unpacked
from bayesmargins.integrate.pointers import FLOATS, INTEGERS, after, as_integers, keep, start_of
from bayesmargins.integrate.small_kernels import add_row, copy_row, dot, fill

__all__ = ["Small", "add_products", "backward", "call_less_small", "factored", "forward", "group_marginal"]
__all__ += ["names_of_small", "products", "residuals", "room", "row_of", "small_moments", "whitened"]

# What gives the `Small` of a model: see `normal_entry`.
small_ones: Any = None


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
def factored(H: Floats, q: int, n: int, C: Floats) -> None:
    """C of I + H H'; the diagonal holds its own inverse."""
    for i in range(q):
        for k in range(i + 1):
            own = row_of(C, i * q + k)
            fill(own, 1.0 if i == k else 0.0, n)
            for m in range(q):
                add_products(own, row_of(H, i * q + m), row_of(H, k * q + m), n)
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
    factored(H, of.terms, n, C)
    forward(C, of.terms, v, n)


def _less_small(asked: Any) -> None:
    """v (term, group) -= E s for a block; `at` has its first patch and its place in E, and gets those of the next."""
    of, s, first, n, at, v = taken(asked)
    p = of.pattern
    while at[0] < p.patches and p.lanes[at[0]] < first + n:
        begin, size = p.lanes[at[0]] - first, p.lanes[at[0] + 1] - p.lanes[at[0]]
        for k in range(p.begins[at[0]], p.begins[at[0] + 1]):
            for i in range(of.terms):
                add_row(after(v, i * BLOCK + begin), after(of.E, at[1]), -s[p.used[k]], size)
                at[1] += size
        at[0] += 1


@njit(**APART)
def _white_effects(of: Known, at: Integers, C: Floats, n: int, U: Floats) -> int:
    """U (small effect, term, group) = C^-1 E of a patch, whose groups begin at C; how many effects it has."""
    count = of.pattern.begins[at[0] + 1] - of.pattern.begins[at[0]]
    for j in range(count):
        own = row_of(U, j * of.terms)
        for i in range(of.terms):
            copy_row(row_of(own, i), after(of.E, at[1]), n)
            at[1] += n
        forward(C, of.terms, own, n)
    return count


@njit(**APART)
def room(of: Known) -> int:
    """Numbers that `small_moments` needs."""
    q = of.terms
    return 2 + (2 * q * q + q + of.pattern.most * q) * BLOCK


@njit(**APART)
def small_moments(c: Floats, L: Floats, t: float, of: Known, K: Floats, h: Floats, work: Floats) -> None:
    """K = K + E' P^-1 E, of its diagonal blocks the lower triangle, and h = r t - J'c + E' P^-1 v."""
    q, m, p = of.terms, of.pattern.effects, of.pattern
    at, H = as_integers(work), after(work, 2)
    C = row_of(H, q * q)
    v = row_of(C, q * q)
    U = row_of(v, q)
    at[0] = at[1] = 0
    copy_row(K, of.K, of.entries)
    for k in range(m):
        h[k] = of.r[k] * t
    for k in range(of.coordinates):
        add_row(h, after(of.J, k * m), -c[k], m)
    for first in range(0, of.groups, BLOCK):
        n = min(BLOCK, of.groups - first)
        residuals(of, c, t, first, n, v)
        whitened(of, L, first, n, H, C, v)
        while at[0] < p.patches and p.lanes[at[0]] < first + n:
            begin, size = p.lanes[at[0]] - first, p.lanes[at[0] + 1] - p.lanes[at[0]]
            used, count = after(p.used, p.begins[at[0]]), _white_effects(of, at, after(C, begin), size, U)
            for j in range(count):
                low, row, own = p.low[used[j]], after(K, p.row[used[j]]), row_of(U, j * q)
                for i in range(q):
                    h[used[j]] += dot(row_of(own, i), after(v, i * BLOCK + begin), size)
                for k in range(j + 1):
                    if used[k] >= low:  # no group has both otherwise
                        for i in range(q):
                            row[used[k]] += dot(row_of(own, i), row_of(U, k * q + i), size)
            at[0] += 1


@njit(**APART)
def _less_own(w: Floats, q: int, n: int, Y: Floats) -> None:
    """Y (term, term, group) = I - w w'."""
    for i in range(q):
        for k in range(i + 1):
            fill(row_of(Y, i * q + k), 1.0 if i == k else 0.0, n)
            _subtract(row_of(Y, i * q + k), row_of(w, i), row_of(w, k), n)


@njit(**APART)
def _less_patch(of: Known, used: Integers, count: int, U: Floats, V: Floats, n: int, Y: Floats, work: Floats) -> None:
    """Y (term, term, group) -= U' V U, V the covariance of the small effects: its lower triangle, and that turned."""
    q, p = of.terms, of.pattern
    for j in range(count):
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


def _less_shared(asked: Any) -> None:
    """Y (term, term, group) less C^-1 E V E' C'^-1 of a block, V the covariance of the small effects."""
    of, V, first, n, at, C, U, Y, work = taken(asked)
    p = of.pattern
    while at[0] < p.patches and p.lanes[at[0]] < first + n:
        begin, size = p.lanes[at[0]] - first, p.lanes[at[0] + 1] - p.lanes[at[0]]
        used, count = after(p.used, p.begins[at[0]]), _white_effects(of, at, after(C, begin), size, U)
        _less_patch(of, used, count, U, V, size, after(Y, begin), work)
        at[0] += 1


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


class Small(NamedTuple):
    """Where functions of the small effects lie: `_small_effects`, `_less_small`, `_less_shared`."""

    effects: int
    less: int
    shared: int


_WHOLE = types.int64
_TAKEN = {
    _small_effects: (FLOATS, FLOATS, types.float64, FLOATS, KNOWN, types.boolean, *[FLOATS] * 4),
    _less_small: (KNOWN, FLOATS, _WHOLE, _WHOLE, INTEGERS, FLOATS),
    _less_shared: (KNOWN, FLOATS, _WHOLE, _WHOLE, INTEGERS, *[FLOATS] * 4),
}
_call_small_effects, call_less_small, _call_less_shared = (caller(*of) for of in _TAKEN.values())


def names_of_small() -> list[str]:
    """The names of the functions of `Small`, which are compiled now or found on disk."""
    return [by_name(function, of).name for function, of in _TAKEN.items()]


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


def group_marginal(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """-2 log likelihood less count log(2 pi sigma^2), and its derivatives in x: c, L (lower triangle), t and roots.

    The small effects are set to their conditional mean s: there the quadratic form has derivative 0 in them. Unless the
    gradient is asked for, the value alone is right. A model without small effects does not have their code.
    """
    of, slopes, small = unpacked(data, sizes), sizes[TASK] == GRADIENT, small_ones()
    q, p, m, square, most = of.terms, of.coordinates, of.pattern.effects, of.terms**2, of.pattern.most
    size = p + square + 1 + of.pattern.factors * of.pattern.widest**2
    memory = np.zeros(m + of.entries + 4 + square + (4 * square + 2 * q + most * q) * BLOCK)
    s = start_of(memory)
    V = after(s, m)
    at = as_integers(after(V, of.entries))
    D = after(V, of.entries + 4)
    H = after(D, square)
    C = row_of(H, square)
    Y = row_of(C, square)
    N = row_of(Y, square)
    w = row_of(N, square)
    work = row_of(w, q)
    for _ in range(sizes[POINTS]):
        L, dL, dt = after(x, p), after(out, 1 + p), after(out, 1 + p + square)
        t = x[p + square]
        fill(out, 0.0, 1 + size)
        fill(D, 0.0, square)
        if m > 0:
            roots = after(L, square + 1)
            _call_small_effects(small.effects, (x, L, t, roots, of, slopes, s, V, after(dt, 1), out))
            at[0] = at[1] = at[2] = at[3] = 0
        _shared_part(of, x, t, s, out, dt)
        for first in range(0, of.groups, BLOCK):
            n = min(BLOCK, of.groups - first)
            residuals(of, x, t, first, n, w)
            if m > 0:
                call_less_small(small.less, (of, s, first, n, at, w))
            whitened(of, L, first, n, H, C, w)
            if slopes:
                _less_own(w, q, n, Y)
                if m > 0:
                    _call_less_shared(small.shared, (of, V, first, n, after(at, 2), C, row_of(work, q), Y, work))
                _add_to_root(of, C, Y, first, n, N, work, D)
            out[0] = _plus_block(out[0], C, w, q, n, work)
            if slopes:
                backward(C, q, w, n)
                _add_slopes(of, first, n, w, after(out, 1), dt)
        _of_root(D, L, q, dL)
        x, out = after(x, size), after(out, size + 1)
    keep(memory)
