"""Compiled draws of normal group effects given the parameters, and the likelihood of each group's rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, kernel_with_memory
from bayesmargins.integrate.effect_pattern import BLOCK
from bayesmargins.integrate.envelope_kernels import rooted, solved, times_roots
from bayesmargins.integrate.group_rows import Floats
from bayesmargins.integrate.normal_group_kernels import (
    add_products,
    backward,
    call_less_small,
    factored,
    forward,
    products,
    residuals,
    room,
    row_of,
    small_moments,
    whitened,
)
from bayesmargins.integrate.normal_model import POINTS, unpacked
from bayesmargins.integrate.pointers import after, as_integers, keep, start_of
from bayesmargins.integrate.small_kernels import add_row, copy_row, fill

__all__ = ["draw_groups", "draw_small", "each_group"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# What gives the `Small` of a model: see `normal_entry`.
small_ones: Any = None


@kernel_with_memory
def each_group(
    begin: int, end: int, x: Array, data: Array, sizes: Integers, counts: Array, sums: Array, out: Array
) -> None:
    """Log likelihood of the rows of every group, (draw, group), without small effects; x has c, L and t.

    `sums` are products of the residuals at the centre and of the columns within groups, (column, column, group).
    """
    of = unpacked(start_of(data), start_of(sizes))
    q, p, groups = of.terms, of.coordinates, of.groups
    memory = np.empty((2 * q * q + q + 1) * BLOCK)
    H = start_of(memory)
    C = row_of(H, q * q)
    v = row_of(C, q * q)
    form = row_of(v, q)
    for d in range(begin, end):
        c, own = after(start_of(x), d * x.shape[1]), after(start_of(out), d * groups)
        t = c[p + q * q]
        for first in range(0, groups, BLOCK):
            n = min(BLOCK, groups - first)
            residuals(of, c, t, first, n, v)
            whitened(of, after(c, p), first, n, H, C, v)
            fill(form, 0.0, n)
            for i in range(p + 1):
                for k in range(p + 1):
                    left, right = t if i == 0 else -c[i - 1], t if k == 0 else -c[k - 1]
                    add_row(form, after(start_of(sums), (i * (p + 1) + k) * groups + first), left * right, n)
            for i in range(q):
                add_products(form, row_of(v, i), row_of(v, i), n)
                for g in range(n):
                    form[g] -= 2.0 * math.log(row_of(C, i * q + i)[g])
            for g in range(n):
                size = counts[first + g] * math.log(2.0 * math.pi / t**2)
                own[first + g] = -0.5 * (size + form[g])
    keep(memory)
    keep(x)
    keep(data)
    keep(sizes)
    keep(sums)
    keep(out)


def draw_small(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Standard normal out (draw, small effect) becomes draws of the small effects, in units of sigma.

    x has c, L, t and the roots, as in `group_marginal`.
    """
    of = unpacked(data, sizes)
    p, square, m, entries, pattern = of.coordinates, of.terms**2, of.pattern.effects, of.entries, of.pattern
    size = p + square + 1 + pattern.factors * pattern.widest**2
    memory = np.empty(3 * entries + m + room(of))
    K = start_of(memory)
    M = after(K, entries)
    A = after(M, entries)
    h = after(A, entries)
    for d in range(sizes[POINTS]):
        own, noise = after(x, d * size), after(out, d * m)
        roots = after(own, p + square + 1)
        small_moments(own, after(own, p), own[p + square], of, K, h, after(h, m))
        rooted(K, roots, pattern, entries, M, A)
        times_roots(h, 0, pattern.levels, roots, pattern, False)
        solved(A, h, noise, pattern)
        times_roots(h, 0, pattern.levels, roots, pattern, True)
        copy_row(noise, h, m)
    keep(memory)


@njit(**APART)
def _turn(H: Floats, q: int, n: int) -> None:
    """H (term, term, group) becomes H'."""
    for i in range(q):
        for k in range(i):
            left, right = row_of(H, i * q + k), row_of(H, k * q + i)
            for g in range(n):
                left[g], right[g] = right[g], left[g]


def draw_groups(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Standard normal out (draw, group, term) becomes draws of T b given the parameters and the small effects.

    b are standard normal without data. x has c, L, t, T (term, term) and the small effects s.
    """
    of, small = unpacked(data, sizes), small_ones()
    q, p, square, m = of.terms, of.coordinates, of.terms**2, of.pattern.effects
    memory = np.empty(2 + (2 * square + 2 * q) * BLOCK)
    at = as_integers(start_of(memory))
    H = after(start_of(memory), 2)
    C = row_of(H, square)
    v = row_of(C, square)
    z = row_of(v, q)
    for d in range(sizes[POINTS]):
        own, drawn = after(x, d * (p + 2 * square + 1 + m)), after(out, d * of.groups * q)
        L, T, s = after(own, p), after(own, p + square + 1), after(own, p + 2 * square + 1)
        at[0] = at[1] = 0
        for first in range(0, of.groups, BLOCK):
            n, order = min(BLOCK, of.groups - first), after(of.order, first)
            residuals(of, own, own[p + square], first, n, v)
            if m > 0:
                call_less_small(small.less, (of, s, first, n, at, v))
            products(of, L, first, n, H)
            _turn(H, q, n)
            factored(H, q, n, C)
            for i in range(q):
                fill(row_of(z, i), 0.0, n)
                for k in range(q):
                    add_products(row_of(z, i), row_of(H, i * q + k), row_of(v, k), n)
            forward(C, q, z, n)
            for g in range(n):
                for i in range(q):
                    row_of(z, i)[g] += drawn[order[g] * q + i]
            backward(C, q, z, n)
            for i in range(q):
                fill(row_of(v, i), 0.0, n)
                for k in range(q):
                    add_row(row_of(v, i), row_of(z, k), T[i * q + k], n)
                for g in range(n):
                    drawn[order[g] * q + i] = row_of(v, i)[g]
    keep(memory)
