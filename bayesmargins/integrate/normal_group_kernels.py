"""Compiled likelihood of normal group effects, integrated out, and their draws given the parameters.

The innermost loops run over the groups of a block, so that processors take several groups at once: arrays have the
group last. Names are those of `NormalGroups`, in units of sigma: c are the coordinates less their centre, s the small
effects; L and the roots of the small factors are divided by sigma, t = 1 / sigma. H = R L, P = I + H H' = C C',
v = a t - B c - E s. Of E a block reads what its patches have: see `effect_pattern`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from bayesmargins.integrate.by_name import by_name, caller
from bayesmargins.integrate.compiled import APART, PASTED, kernel
from bayesmargins.integrate.effect_pattern import BLOCK, Loops
from bayesmargins.integrate.envelope_kernels import plus_product, rooted, small_system, solved, times_roots
from bayesmargins.integrate.small_kernels import add_row, copy_row, dot

__all__ = ["Known", "draw_groups", "draw_small", "each_group", "group_marginal", "name_of_small_effects"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Known(NamedTuple):
    """Statistics of `NormalGroups`, the group last in R, a and B, with the pattern of the small effects."""

    R: Array
    a: Array
    B: Array
    G: Array
    J: Array
    K: Array
    r: Array
    E: Array
    rss: float
    pattern: Loops


@njit(**APART)
def _add(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] += x[g] * y[g]


@njit(**APART)
def _subtract(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] -= x[g] * y[g]


@njit(**APART)
def _multiply(out: Array, x: Array, n: int) -> None:
    for g in range(n):
        out[g] *= x[g]


@njit(**APART)
def _residuals(a: Array, B: Array, c: Array, t: float, first: int, n: int, v: Array) -> None:
    """v (term, group) = a t - B c."""
    for i in range(len(a)):
        v[i, :n] = 0.0
        add_row(v[i], a[i, first:], t, n)
        for k in range(len(c)):
            add_row(v[i], B[i, k, first:], -c[k], n)


@njit(**APART)
def _less_small(E: Array, p: Loops, s: Array, first: int, n: int, at: Integers, v: Array) -> None:
    """v -= E s. `at` has the block's first patch and its place in E, and gets those of the next block."""
    patch, place = at
    while patch < len(p.lanes) - 1 and p.lanes[patch] < first + n:
        begin, size = p.lanes[patch] - first, p.lanes[patch + 1] - p.lanes[patch]
        for k in range(p.begins[patch], p.begins[patch + 1]):
            for i in range(len(v)):
                add_row(v[i, begin:], E[place:], -s[p.used[k]], size)
                place += size
        patch += 1
    at[0], at[1] = patch, place


@njit(**APART)
def _products(R: Array, L: Array, first: int, n: int, H: Array) -> None:
    """H (term, term, group)."""
    q = len(L)
    for i in range(q):
        for k in range(q):
            H[i, k, :n] = 0.0
            for m in range(max(i, k), q):
                add_row(H[i, k], R[i, m, first:], L[m, k], n)


@njit(**APART)
def _factored(H: Array, n: int, inner: bool, C: Array) -> None:
    """C of I + H'H where `inner`, else of I + H H'; the diagonal holds its own inverse."""
    q = len(H)
    for i in range(q):
        for k in range(i + 1):
            C[i, k, :n] = 1.0 if i == k else 0.0
            for m in range(q):
                if inner:
                    _add(C[i, k], H[m, i], H[m, k], n)
                else:
                    _add(C[i, k], H[i, m], H[k, m], n)
            for m in range(k):
                _subtract(C[i, k], C[i, m], C[k, m], n)
            for g in range(n):
                C[i, k, g] = 1.0 / math.sqrt(C[i, k, g]) if i == k else C[i, k, g] * C[k, k, g]


@njit(**APART)
def _forward(C: Array, begin: int, x: Array, n: int) -> None:
    """x (term, group) = C^-1 x; C's groups from `begin` on."""
    for i in range(len(x)):
        for m in range(i):
            _subtract(x[i], C[i, m, begin:], x[m], n)
        _multiply(x[i], C[i, i, begin:], n)


@njit(**APART)
def _backward(C: Array, x: Array, n: int) -> None:
    """x (term, group) = C'^-1 x."""
    for i in range(len(x) - 1, -1, -1):
        for m in range(i + 1, len(x)):
            _subtract(x[i], C[m, i], x[m], n)
        _multiply(x[i], C[i, i], n)


@njit(**APART)
def _whitened(R: Array, L: Array, first: int, n: int, H: Array, C: Array, v: Array) -> None:
    """H, C of P = C C', and v (term, group) becomes C^-1 v."""
    _products(R, L, first, n, H)
    _factored(H, n, False, C)
    _forward(C, 0, v, n)


@njit(**APART)
def _white_effects(E: Array, place: int, C: Array, begin: int, n: int, count: int, U: Array) -> int:
    """U (small effect, term, group) = C^-1 E of a patch, whose groups begin there; the place in E of the next one."""
    for j in range(count):
        for i in range(len(C)):
            copy_row(U[j, i], E[place:], n)
            place += n
        _forward(C, begin, U[j], n)
    return place


@njit(**PASTED)
def _small_moments(
    c: Array, L: Array, t: float, R: Array, a: Array, B: Array, E: Array, p: Loops, K: Array, h: Array
) -> None:
    """Adds E' P^-1 E to K, in its diagonal blocks to the lower triangle, and E' P^-1 v to h, over all groups."""
    q, groups = a.shape
    H, C, v = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)), np.empty((q, BLOCK))
    U, patch, place = np.empty((_most_used(p), q, BLOCK)), 0, 0
    for first in range(0, groups, BLOCK):
        n = min(BLOCK, groups - first)
        _residuals(a, B, c, t, first, n, v)
        _whitened(R, L, first, n, H, C, v)
        while patch < len(p.lanes) - 1 and p.lanes[patch] < first + n:
            begin, size = p.lanes[patch] - first, p.lanes[patch + 1] - p.lanes[patch]
            used = p.used[p.begins[patch] : p.begins[patch + 1]]
            place = _white_effects(E, place, C, begin, size, len(used), U)
            for j in range(len(used)):
                low, row = p.low[used[j]], p.row[used[j]]
                for i in range(q):
                    h[used[j]] += dot(U[j, i], v[i, begin:], size)
                for k in range(j + 1):
                    if used[k] >= low:  # no group has both otherwise
                        for i in range(q):
                            K[row + used[k]] += dot(U[j, i], U[k, i], size)
            patch += 1


@njit(**APART)
def _most_used(p: Loops) -> int:
    most = 0
    for k in range(len(p.begins) - 1):
        most = max(most, p.begins[k + 1] - p.begins[k])
    return most


@njit(**APART)
def _less_own(w: Array, n: int, Y: Array) -> None:
    """Y (term, term, group) = I - w w'."""
    for i in range(len(w)):
        for k in range(i + 1):
            Y[i, k, :n] = 1.0 if i == k else 0.0
            _subtract(Y[i, k], w[i], w[k], n)


@njit(**APART)
def _less_shared(U: Array, used: Integers, V: Array, p: Loops, begin: int, n: int, Y: Array, work: Array) -> None:
    """Y (term, term, group) -= U' V U from group `begin` on, V the covariance of the small effects.

    V's lower triangle, and that turned.
    """
    q = len(work)
    for j in range(len(used)):
        low, row = p.low[used[j]], p.row[used[j]]
        for i in range(q):
            for g in range(n):
                work[i, g] = U[j, i, g] * (0.5 * V[row + used[j]])
        for k in range(j):
            if used[k] >= low:
                for i in range(q):
                    add_row(work[i], U[k, i], V[row + used[k]], n)
        for i in range(q):
            for k in range(i + 1):
                _subtract(Y[i, k, begin:], work[i], U[j, k], n)
                _subtract(Y[i, k, begin:], work[k], U[j, i], n)


@njit(**APART)
def _add_to_root(R: Array, C: Array, Y: Array, first: int, n: int, N: Array, work: Array, D: Array) -> None:
    """Adds (C^-1 R)' Y (C^-1 R) to D: what the derivative in L is made of."""
    q = len(C)
    for k in range(q):
        for i in range(q):
            copy_row(N[k, i], R[i, k, first:], n)
        _forward(C, 0, N[k], n)
    for k in range(q):
        work[:, :n] = 0.0
        for i in range(q):
            for m in range(q):
                _add(work[i], Y[max(i, m), min(i, m)], N[k, m], n)
        for r in range(q):
            for i in range(q):
                D[r, k] += dot(N[r, i], work[i], n)


@njit(**APART)
def _of_root(D: Array, L: Array) -> Array:
    """The lower triangle of 2 D L."""
    q = len(L)
    out = np.zeros((q, q))
    for i in range(q):
        for k in range(i + 1):
            for m in range(k, q):
                out[i, k] += 2.0 * D[i, m] * L[m, k]
    return out


def _small_effects(
    c: Array, L: Array, t: float, roots: Array, of: Known, slopes: bool, s: Array, V: Array, d_roots: Array, form: Array
) -> None:
    """Their mean s, covariance V and the derivatives of `small_system`; form (1,) is what they add without data."""
    K, h, m = of.K.copy(), of.r * t, len(of.r)
    for k in range(len(c)):
        add_row(h, of.J[k], -c[k], m)
    _small_moments(c, L, t, of.R, of.a, of.B, of.E, of.pattern, K, h)
    mean, z, covariance, log_det, derivatives = small_system(K, h, roots, of.pattern, slopes)
    copy_row(s, mean, m)
    copy_row(V, covariance, len(V))
    copy_row(d_roots.ravel(), derivatives.ravel(), d_roots.size)
    Ks = np.zeros(m)
    plus_product(of.K, s, of.pattern, Ks)
    form[0] = log_det + dot(z, z, m) + dot(s, Ks, m)


_INTEGERS = types.Array(types.int64, 1, "C")
_ROW, _TABLE, _CUBE = (types.Array(types.float64, d, "C") for d in (1, 2, 3))
_PATTERN = types.NamedUniTuple(_INTEGERS, len(Loops.__annotations__), Loops)
_KNOWN = types.NamedTuple([_CUBE, _TABLE, _CUBE, _TABLE, _TABLE, _ROW, _ROW, _ROW, types.float64, _PATTERN], Known)
_TAKEN = (_ROW, _TABLE, types.float64, _CUBE, _KNOWN, types.boolean, _ROW, _ROW, _CUBE, _ROW)
_call_small_effects = caller(*_TAKEN)


def name_of_small_effects() -> str:
    """The name of `_small_effects`, which is compiled now or found on disk."""
    return by_name(_small_effects, _TAKEN).name


@njit(**APART)
def _shared_part(c: Array, t: float, form: float, s: Array, of: Known) -> tuple[float, float, Array]:
    """The part that is no sum over groups, and its derivatives in t and c; `form` is what s adds without data."""
    coordinates, m = len(c), len(of.r)
    told = dot(of.r, s, m)
    total, dt = form + t * (of.rss * t - 2.0 * told), 2.0 * (of.rss * t - told)
    dc = np.zeros(coordinates)
    for k in range(coordinates):
        own, others = dot(of.G[k], c, coordinates), dot(of.J[k], s, m)
        total += c[k] * (own + 2.0 * others)
        dc[k] = 2.0 * (own + others)
    return total, dt, dc


@njit(**APART)
def _plus_block(total: float, C: Array, w: Array, n: int, work: Array) -> float:
    """total + w'w + log det P, summed over the groups of a block; the diagonal of C holds reciprocals."""
    work[0, :n] = 1.0
    for i in range(len(w)):
        total += dot(w[i], w[i], n)
        for g in range(n):
            work[0, g] *= C[i, i, g]
    for g in range(n):
        total -= 2.0 * math.log(work[0, g])
    return total


@njit(**PASTED)
def group_marginal(
    c: Array, L: Array, t: float, roots: Array, of: Known, slopes: bool, small: int
) -> tuple[float, Array, Array, float, Array]:
    """-2 log likelihood less count log(2 pi sigma^2), and its derivatives in c, L (lower triangle), t and roots.

    The small effects are set to their conditional mean s: there the quadratic form has derivative 0 in them. Without
    `slopes` the value alone is right. `small` is where `_small_effects` lies: a model without them does not have it.
    """
    R, a, B, p = of.R, of.a, of.B, of.pattern
    (q, groups), coordinates, m = a.shape, len(c), len(of.r)
    s, V, d_roots, form = np.zeros(m), np.zeros(len(of.K)), np.zeros_like(roots), np.zeros(1)
    if m > 0:
        _call_small_effects(small, (c, L, t, roots, of, slopes, s, V, d_roots, form))
    total, dt, dc = _shared_part(c, t, form[0], s, of)
    D, H, C = np.zeros((q, q)), np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    Y, N = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    w, work = np.empty((q, BLOCK)), np.empty((q, BLOCK))
    U, at, patch, place = np.empty((_most_used(p), q, BLOCK)), np.zeros(2, np.int64), 0, 0
    for first in range(0, groups, BLOCK):
        n = min(BLOCK, groups - first)
        _residuals(a, B, c, t, first, n, w)
        _less_small(of.E, p, s, first, n, at, w)
        _whitened(R, L, first, n, H, C, w)
        if slopes:
            _less_own(w, n, Y)
            while patch < at[0]:
                begin, size = p.lanes[patch] - first, p.lanes[patch + 1] - p.lanes[patch]
                used = p.used[p.begins[patch] : p.begins[patch + 1]]
                place = _white_effects(of.E, place, C, begin, size, len(used), U)
                _less_shared(U, used, V, p, begin, size, Y, work)
                patch += 1
            _add_to_root(R, C, Y, first, n, N, work, D)
        total = _plus_block(total, C, w, n, work)
        if not slopes:
            continue
        _backward(C, w, n)
        for i in range(q):
            dt += 2.0 * dot(a[i, first:], w[i], n)
            for k in range(coordinates):
                dc[k] -= 2.0 * dot(B[i, k, first:], w[i], n)
    return total, dc, _of_root(D, L), dt, d_roots


@kernel
def each_group(
    begin: int,
    end: int,
    c: Array,
    L: Array,
    t: Array,
    R: Array,
    a: Array,
    B: Array,
    counts: Array,
    products: Array,
    out: Array,
) -> None:
    """Log likelihood of the rows of every group, (draw, group), without small effects.

    `products` are those of the residuals at the centre and of the columns within groups, (column, column, group).
    """
    q, groups = a.shape
    p = c.shape[1]
    H, C, v, form = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)), np.empty((q, BLOCK)), np.empty(BLOCK)
    for d in range(begin, end):
        for first in range(0, groups, BLOCK):
            n = min(BLOCK, groups - first)
            _residuals(a, B, c[d], t[d], first, n, v)
            _whitened(R, L[d], first, n, H, C, v)
            form[:n] = 0.0
            for i in range(p + 1):
                for k in range(p + 1):
                    left, right = t[d] if i == 0 else -c[d, i - 1], t[d] if k == 0 else -c[d, k - 1]
                    add_row(form, products[i, k, first:], left * right, n)
            for i in range(q):
                _add(form, v[i], v[i], n)
                for g in range(n):
                    form[g] -= 2.0 * math.log(C[i, i, g])
            for g in range(n):
                size = counts[first + g] * math.log(2.0 * math.pi / t[d] ** 2)
                out[d, first + g] = -0.5 * (size + form[g])


@kernel
def draw_small(begin: int, end: int, c: Array, L: Array, sigma: Array, roots: Array, of: Known, out: Array) -> None:
    """Standard normal out (draw, small effect) becomes draws of the small effects, in units of sigma."""
    p = of.pattern
    for d in range(begin, end):
        t = 1.0 / sigma[d]
        K, h = of.K.copy(), of.r * t
        for k in range(c.shape[1]):
            add_row(h, of.J[k], -c[d, k], len(h))
        _small_moments(c[d], L[d], t, of.R, of.a, of.B, of.E, p, K, h)
        _, A = rooted(K, roots[d], p)
        times_roots(h, 0, 0, len(p.factor), roots[d], p, False)
        solved(A, h, out[d], p)
        times_roots(h, 0, 0, len(p.factor), roots[d], p, True)
        copy_row(out[d], h, len(h))


@kernel
def draw_groups(
    begin: int,
    end: int,
    c: Array,
    s: Array,
    L: Array,
    sigma: Array,
    of: Known,
    order: Integers,
    back: Array,
    out: Array,
) -> None:
    """Standard normal out (draw, group, term) becomes draws of back b given the parameters and the small effects.

    `order` has the number of each group that the statistics have one after the other.
    """
    q, groups = of.a.shape
    H, C = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    v, z, T = np.empty((q, BLOCK)), np.empty((q, BLOCK)), np.empty((q, q))
    for d in range(begin, end):
        at = np.zeros(2, np.int64)
        for i in range(q):
            for k in range(q):
                T[i, k] = 0.0
                for m in range(k, q):
                    T[i, k] += back[i, m] * L[d, m, k] * sigma[d]
        for first in range(0, groups, BLOCK):
            n = min(BLOCK, groups - first)
            _residuals(of.a, of.B, c[d], 1.0 / sigma[d], first, n, v)
            _less_small(of.E, of.pattern, s[d], first, n, at, v)
            _products(of.R, L[d], first, n, H)
            _factored(H, n, True, C)
            for i in range(q):
                z[i, :n] = 0.0
                for m in range(q):
                    _add(z[i], H[m, i], v[m], n)
            _forward(C, 0, z, n)
            for i in range(q):
                for g in range(n):
                    z[i, g] += out[d, order[first + g], i]
            _backward(C, z, n)
            for i in range(q):
                v[i, :n] = 0.0
                for k in range(q):
                    add_row(v[i], z[k], T[i, k], n)
                for g in range(n):
                    out[d, order[first + g], i] = v[i, g]
