"""Compiled likelihood of normal group effects, integrated out, and their draws given the parameters.

The innermost loops run over the groups of a block, so that processors take several groups at once: arrays have the
group last. Names are those of `NormalGroups`, in units of sigma: e are the coordinates less their centre, then the
small effects; L and the roots of the small factors are divided by sigma, t = 1 / sigma. H = R L, P = I + H H' = C C',
v = a t - B e.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, PASTED, kernel
from bayesmargins.integrate.small_kernels import add_row, copy_row, dot, inverted, rooted, small_system

__all__ = ["draw_groups", "draw_small", "each_group", "group_marginal", "group_marginals"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BLOCK = 128


@njit(**APART)
def _add(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] += x[g] * y[g]


@njit(**APART)
def _subtract(out: Array, x: Array, y: Array, n: int) -> None:
    for g in range(n):
        out[g] -= x[g] * y[g]


@njit(**APART)
def _residuals(a: Array, B: Array, e: Array, t: float, first: int, n: int, v: Array) -> None:
    """v (term, group); coordinates that `e` does not have are 0."""
    for i in range(len(a)):
        v[i, :n] = 0.0
        add_row(v[i], a[i, first:], t, n)
        for k in range(len(e)):
            if e[k] != 0.0:
                add_row(v[i], B[i, k, first:], -e[k], n)


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
def _forward(C: Array, x: Array, n: int) -> None:
    """x (term, group) = C^-1 x."""
    for i in range(len(x)):
        for m in range(i):
            _subtract(x[i], C[i, m], x[m], n)
        for g in range(n):
            x[i, g] *= C[i, i, g]


@njit(**APART)
def _backward(C: Array, x: Array, n: int) -> None:
    """x (term, group) = C'^-1 x."""
    for i in range(len(x) - 1, -1, -1):
        for m in range(i + 1, len(x)):
            _subtract(x[i], C[m, i], x[m], n)
        for g in range(n):
            x[i, g] *= C[i, i, g]


@njit(**APART)
def _whitened(
    R: Array, L: Array, a: Array, B: Array, e: Array, t: float, first: int, n: int, H: Array, C: Array, v: Array
) -> None:
    """H, C of P = C C', and v (term, group) = C^-1 (a t - B e)."""
    _residuals(a, B, e, t, first, n, v)
    _products(R, L, first, n, H)
    _factored(H, n, False, C)
    _forward(C, v, n)


@njit(**APART)
def _small_columns(B: Array, C: Array, p: int, first: int, n: int, U: Array, used: Integers) -> int:
    """U (small effect, term, group) = C^-1 E for those effects that a group of the block has; how many, and which."""
    count = 0
    for k in range(p, B.shape[1]):
        found = False
        for i in range(len(B)):
            for g in range(first, first + n):
                found = found or B[i, k, g] != 0.0
        if found:
            for i in range(len(B)):
                copy_row(U[count, i], B[i, k, first:], n)
            _forward(C, U[count], n)
            used[count] = k - p
            count += 1
    return count


@njit(**APART)
def _small_moments(e: Array, L: Array, t: float, R: Array, a: Array, B: Array, K: Array, h: Array) -> None:
    """Adds E' P^-1 E to the lower triangle of K, and E' P^-1 v to h, over all groups; `e` is of the coordinates."""
    q, groups = a.shape
    p, m = len(e), len(h)
    H, C, v = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)), np.empty((q, BLOCK))
    U, used = np.empty((m, q, BLOCK)), np.empty(m, np.int64)
    for first in range(0, groups, BLOCK):
        n = min(BLOCK, groups - first)
        _whitened(R, L, a, B, e, t, first, n, H, C, v)
        count = _small_columns(B, C, p, first, n, U, used)
        for j in range(count):
            for i in range(q):
                h[used[j]] += dot(U[j, i], v[i], n)
                for k in range(j + 1):
                    K[used[j], used[k]] += dot(U[j, i], U[k, i], n)


@njit(**APART)
def _shrunk(w: Array, U: Array, used: Integers, count: int, V: Array, n: int, Y: Array, work: Array) -> None:
    """Y (term, term, group) = I - w w' - U' V U, V the covariance of the small effects."""
    q = len(w)
    for i in range(q):
        for k in range(i + 1):
            Y[i, k, :n] = 1.0 if i == k else 0.0
            _subtract(Y[i, k], w[i], w[k], n)
    for j in range(count):
        work[:, :n] = 0.0
        for k in range(count):
            for i in range(q):
                add_row(work[i], U[k, i], V[used[j], used[k]], n)
        for i in range(q):
            for k in range(i + 1):
                _subtract(Y[i, k], work[i], U[j, k], n)


@njit(**APART)
def _add_to_root(R: Array, C: Array, Y: Array, first: int, n: int, N: Array, work: Array, D: Array) -> None:
    """Adds (C^-1 R)' Y (C^-1 R) to D: what the derivative in L is made of."""
    q = len(C)
    for k in range(q):
        for i in range(q):
            copy_row(N[k, i], R[i, k, first:], n)
        _forward(C, N[k], n)
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


@njit(**PASTED)
def group_marginal(
    c: Array,
    L: Array,
    t: float,
    roots: Array,
    R: Array,
    a: Array,
    B: Array,
    G: Array,
    r: Array,
    rss: float,
    layout: Integers,
    slopes: bool,
) -> tuple[float, Array, Array, float, Array]:
    """-2 log likelihood less count log(2 pi sigma^2), and its derivatives in c, L (lower triangle), t and roots.

    The small effects are set to their conditional mean s: there the quadratic form has derivative 0 in them. Without
    `slopes` the value alone is right.
    """
    q, groups = a.shape
    p, m = len(c), len(r)
    K, h = G[p:, p:].copy(), r * t
    for k in range(m):
        h[k] -= dot(G[p + k], c, p)
    if m > 0:
        _small_moments(c, L, t, R, a, B, K, h)
    s, z, V, log_det, d_roots = small_system(K, h, roots, layout)
    e = np.concatenate((c, s))
    total, dt = log_det + dot(z, z, m) + rss * t * t - 2.0 * t * dot(r, s, m), 2.0 * (rss * t - dot(r, s, m))
    dc, D = np.zeros(p), np.zeros((q, q))
    for k in range(p + m):
        share = dot(G[k], e, p + m)
        total += e[k] * share
        if k < p:
            dc[k] = 2.0 * share
    H, C, Y, N = (np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK)))
    w, work = np.empty((q, BLOCK)), np.empty((q, BLOCK))
    U, used = np.empty((m, q, BLOCK)), np.empty(m, np.int64)
    for first in range(0, groups, BLOCK):
        n = min(BLOCK, groups - first)
        _whitened(R, L, a, B, e, t, first, n, H, C, w)
        if slopes:
            count = _small_columns(B, C, p, first, n, U, used) if m > 0 else 0
            _shrunk(w, U, used, count, V, n, Y, work)
            _add_to_root(R, C, Y, first, n, N, work, D)
        work[0, :n] = 1.0
        for i in range(q):
            total += dot(w[i], w[i], n)
            for g in range(n):
                work[0, g] *= C[i, i, g]
        for g in range(n):
            total -= 2.0 * math.log(work[0, g])
        if not slopes:
            continue
        _backward(C, w, n)
        for i in range(q):
            dt += 2.0 * dot(a[i, first:], w[i], n)
            for k in range(p):
                dc[k] -= 2.0 * dot(B[i, k, first:], w[i], n)
    return total, dc, _of_root(D, L), dt, d_roots


@kernel
def group_marginals(
    begin: int,
    end: int,
    c: Array,
    L: Array,
    t: Array,
    roots: Array,
    R: Array,
    a: Array,
    B: Array,
    G: Array,
    r: Array,
    rss: float,
    layout: Integers,
    slopes: bool,
    value: Array,
    dc: Array,
    dL: Array,
    dt: Array,
    d_roots: Array,
) -> None:
    """`group_marginal` of many draws, which the first axis is of; derivatives only with `slopes`."""
    for d in range(begin, end):
        found = group_marginal(c[d], L[d], t[d], roots[d], R, a, B, G, r, rss, layout, slopes)
        value[d] = found[0]
        if slopes:
            dt[d] = found[3]
            copy_row(dc[d], found[1], found[1].size)
            copy_row(dL[d].ravel(), found[2].ravel(), found[2].size)
            copy_row(d_roots[d].ravel(), found[4].ravel(), found[4].size)


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
            _whitened(R, L[d], a, B, c[d], t[d], first, n, H, C, v)
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
def draw_small(
    begin: int,
    end: int,
    c: Array,
    L: Array,
    sigma: Array,
    roots: Array,
    R: Array,
    a: Array,
    B: Array,
    G: Array,
    r: Array,
    layout: Integers,
    out: Array,
) -> None:
    """Standard normal out (draw, small effect) becomes draws of the small effects, in units of sigma."""
    p, m = c.shape[1], len(r)
    for d in range(begin, end):
        t = 1.0 / sigma[d]
        K, h = G[p:, p:].copy(), r * t
        for k in range(m):
            h[k] -= dot(G[p + k], c[d], p)
        _small_moments(c[d], L[d], t, R, a, B, K, h)
        rooted(K, h, roots[d], layout)
        inverse, _ = inverted(K)
        z = np.zeros(m)
        for k in range(m):  # inverse is that of the Cholesky factor
            add_row(z, inverse[k], dot(inverse[k], h, k + 1) + out[d, k], k + 1)
        out[d] = 0.0
        first = 0
        for f in range(len(layout)):
            q = layout[f, 1]
            for _ in range(layout[f, 0]):
                for i in range(q):
                    out[d, first + i] = dot(roots[d, f, i], z[first:], i + 1)
                first += q


@kernel
def draw_groups(
    begin: int, end: int, e: Array, L: Array, sigma: Array, R: Array, a: Array, B: Array, back: Array, out: Array
) -> None:
    """Standard normal out (draw, group, term) becomes draws of back b given the parameters and the small effects."""
    q, groups = a.shape
    H, C = np.empty((q, q, BLOCK)), np.empty((q, q, BLOCK))
    v, z, T = np.empty((q, BLOCK)), np.empty((q, BLOCK)), np.empty((q, q))
    for d in range(begin, end):
        for i in range(q):
            for k in range(q):
                T[i, k] = 0.0
                for m in range(k, q):
                    T[i, k] += back[i, m] * L[d, m, k] * sigma[d]
        for first in range(0, groups, BLOCK):
            n = min(BLOCK, groups - first)
            _residuals(a, B, e[d], 1.0 / sigma[d], first, n, v)
            _products(R, L[d], first, n, H)
            _factored(H, n, True, C)
            for i in range(q):
                z[i, :n] = 0.0
                for m in range(q):
                    _add(z[i], H[m, i], v[m], n)
            _forward(C, z, n)
            for i in range(q):
                for g in range(n):
                    z[i, g] += out[d, first + g, i]
            _backward(C, z, n)
            for i in range(q):
                v[i, :n] = 0.0
                for k in range(q):
                    add_row(v[i], z[k], T[i, k], n)
                for g in range(n):
                    out[d, first + g, i] = v[i, g]
