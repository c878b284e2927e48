"""Compiled sums over the rows of groups: log densities at the nodes of a lattice, and averages of their derivatives."""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numba.extending import overload

from bayesmargins.integrate.by_name import taken
from bayesmargins.integrate.compiled import INNER, SUM
from bayesmargins.integrate.group_rows import COMPILED, LANES, ROOM, Floats, Point, Rows, base, multiplies, node, parts
from bayesmargins.integrate.pointers import after
from bayesmargins.integrate.small_kernels import dot, sum_of
from bayesmargins.integrate.vector_math import vector_exp, vector_log

__all__ = ["add_base", "averages", "log_densities", "set_parts", "slopes"]

_TOGETHER, _FEW = 8, 4  # factors under one logarithm, and those of a row among them, at most
_LARGEST = 80.0  # eta of each of them: their product is finite


def _of_tag(tag: Any, of_sums: Any, of_products: Any) -> Any:
    """Which of the two the tag's rows are for; what does nothing for others. What is not for them is not compiled."""
    if hasattr(tag.instance_class, "parts"):
        return of_sums
    return of_products if hasattr(tag.instance_class, "multiplies") else lambda *arguments: False


def set_parts(asked: Any) -> None:
    """What `parts` are of each row, or y and n of rows that are multiplied, times its weight, where u is the same."""
    tag, rows, u, a, c, d_a, d_c = taken(asked)
    for i in range(rows.rows):
        linear, amount, d_linear, d_amount = rows.y[i], rows.n[i], 0.0, 0.0
        if not multiplies(tag):
            linear, amount, d_linear, d_amount = parts(tag, rows.y[i], rows.n[i], u, u)
        w = rows.weights[i]
        a[i], c[i], d_a[i], d_c[i] = w * linear, w * amount, w * d_linear, w * d_amount


def slopes(asked: Any) -> None:
    """Two derivatives of the group's log density in its effect b, to `found`."""
    tag, rows, at, group, b, found = taken(asked)
    y, n, weights, W, eta, u, v = rows.y, rows.n, rows.weights, rows.W, at.eta, at.u, at.v
    first, second = 0.0, 0.0
    for i in range(rows.starts[group], rows.starts[group + 1]):
        _, slope, bend, _, _ = node(tag, y[i], n[i], eta[i] + W[i] * b, u[i], v[i])
        first += weights[i] * W[i] * slope
        second += weights[i] * W[i] * W[i] * bend
    found[0], found[1] = first, second


@njit(**INNER)
def _next(room: Floats) -> Floats:
    """For the nodes of a group: that behind this one."""
    return after(room, ROOM + LANES)


def _add_sum(
    tag: Any, rows: Rows, at: Point, low: int, high: int, b: Floats, count: int, used: int, out: Floats, C: Floats,
    Y: Floats,
) -> bool:  # fmt: skip
    """Rows whose log densities are a eta - c exp(sign eta): their sum is one such."""
    sign, constant, linear, amounts = float(tag.sign), 0.0, 0.0, 0.0
    for i in range(low, high):
        a, c, _, _ = parts(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
        constant += rows.weights[i] * a * at.eta[i]
        linear += rows.weights[i] * a
        amounts += rows.weights[i] * c * at.power[i]
    for k in range(count):
        out[k] += constant + linear * b[k] - amounts * vector_exp(sign * b[k])
    return True


@njit(**INNER)
def _take_logarithm(Y: Floats, C: Floats, count: int, out: Floats) -> None:
    """Of the product of `_TOGETHER` factors 1 + y c, at each node."""
    y0, y1, y2, y3, y4, y5, y6, y7 = Y[0], Y[1], Y[2], Y[3], Y[4], Y[5], Y[6], Y[7]
    for k in range(count):
        c = C[k]
        one = ((1.0 + y0 * c) * (1.0 + y1 * c)) * ((1.0 + y2 * c) * (1.0 + y3 * c))
        two = ((1.0 + y4 * c) * (1.0 + y5 * c)) * ((1.0 + y6 * c) * (1.0 + y7 * c))
        out[k] -= vector_log(one * two)


def _add_product(
    tag: Any, rows: Rows, at: Point, low: int, high: int, b: Floats, count: int, used: int, out: Floats, C: Floats,
    Y: Floats,
) -> bool:  # fmt: skip
    """Rows whose log densities are y eta - n log(1 + exp(eta)): some share one logarithm, that of a product.

    Factors are collected first: a loop over a few nodes takes longer to begin than to multiply.
    """
    if not _bounded(at.eta, low, high, b, used):
        return False
    constant, linear, factors = 0.0, 0.0, 0
    for i in range(low, high):
        constant += rows.weights[i] * rows.y[i] * at.eta[i]
        linear += rows.weights[i] * rows.y[i]
    for k in range(count):
        out[k] += constant + linear * b[k]
        C[k] = vector_exp(b[k])
    for i in range(low, high):
        x, n = at.power[i], rows.weights[i] * rows.n[i]
        times = int(n)
        if n != times or times > _FEW:
            for k in range(count):
                out[k] -= n * vector_log(1.0 + x * C[k])
            continue
        for _ in range(times):
            Y[factors] = x
            factors += 1
            if factors == _TOGETHER:
                _take_logarithm(Y, C, count, out)
                factors = 0
    if factors > 0:
        while factors < _TOGETHER:
            Y[factors] = 0.0
            factors += 1
        _take_logarithm(Y, C, count, out)
    return True


def _add_all(
    tag: Any, rows: Rows, at: Point, low: int, high: int, b: Floats, count: int, used: int, out: Floats, C: Floats,
    Y: Floats,
) -> bool:  # fmt: skip
    """`_add_rows` of all rows at once, where the tag's rows and these nodes allow for it: has it been done?"""
    raise TypeError(COMPILED)


@overload(_add_all, strict=False, jit_options=INNER)
def _add_all_of(tag: Any, *arguments: Any) -> Any:
    return _of_tag(tag, _add_sum, _add_product)


@njit(**INNER)
def _add_rows(tag: Any, rows: Rows, at: Point, low: int, high: int, b: Floats, count: int, out: Floats) -> None:
    """Row by row, node by node."""
    for i in range(low, high):
        y, n, weight, w, eta, u, v = rows.y[i], rows.n[i], rows.weights[i], rows.W[i], at.eta[i], at.u[i], at.v[i]
        for k in range(count):
            out[k] += weight * node(tag, y, n, eta + w * b[k], u, v)[0]


def log_densities(asked: Any) -> None:
    """Log density of a group's rows and of z at the nodes of the groups from begin to before end, effects b = s z."""
    tag, rows, at, begin, end, s, lattices, b = taken(asked)
    first, step, counts, places, values = lattices
    out = _next(b)
    C = _next(out)
    Y = _next(C)
    for g in range(begin, end):
        count, low, high = (counts[g] + LANES - 1) // LANES * LANES, rows.starts[g], rows.starts[g + 1]
        z, h, place = first[g], step[g], places[g]
        for k in range(count):
            here = z + k * h
            b[k] = s * here
            out[k] = -0.5 * here * here
        if not (rows.shifts and _add_all(tag, rows, at, low, high, b, count, counts[g], out, C, Y)):
            _add_rows(tag, rows, at, low, high, b, count, out)
        for k in range(count):
            values[place + k] = out[k]


@njit(**INNER)
def _bounded(eta: Floats, low: int, high: int, b: Floats, count: int) -> bool:
    """May rows be multiplied, since no exp(eta + b) is large?"""
    most = -math.inf
    for i in range(low, high):
        most = max(most, eta[i])
    return most + max(b[0], b[count - 1]) < _LARGEST


def _average_sum(
    tag: Any, rows: Rows, at: Point, low: int, high: int, s: float, b: Floats, count: int, used: int, P: Floats,
    Q: Floats, C: Floats, r: Floats, of_s: Floats,
) -> bool:  # fmt: skip
    """Of `_add_sum`: what they need is the average power, and effect."""
    sign, mean, d_s = float(tag.sign), sum_of(Q, count), 0.0
    for k in range(count):
        C[k] = vector_exp(sign * b[k])
    of_power, of_z = dot(C, P, count), dot(C, Q, count)
    for i in range(low, high):
        a, c, d_a, d_c = parts(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
        x, weight = at.power[i], rows.weights[i]
        r[i] = weight * (a - sign * c * x * of_power)
        d_s += weight * (a * mean - sign * c * x * of_z)
        if tag.reads > 0:
            r[rows.rows + i] = weight * (d_a * (at.eta[i] + s * mean) - d_c * x * of_power)
            r[2 * rows.rows + i] = 0.0
    of_s[0] += d_s
    return True


@njit(**SUM)
def _shares(x: float, C: Floats, P: Floats, Q: Floats, count: int) -> tuple[float, float]:
    """Averages, under weights P and Q, of the mean of a row of this power."""
    one, two = 0.0, 0.0
    for k in range(count):
        mean = x * C[k] / (1.0 + x * C[k])
        one, two = one + mean * P[k], two + mean * Q[k]
    return one, two


def _average_product(
    tag: Any, rows: Rows, at: Point, low: int, high: int, s: float, b: Floats, count: int, used: int, P: Floats,
    Q: Floats, C: Floats, r: Floats, of_s: Floats,
) -> bool:  # fmt: skip
    """Of `_add_product`."""
    if not _bounded(at.eta, low, high, b, used):
        return False
    mean, d_s = sum_of(Q, count), 0.0
    for k in range(count):
        C[k] = vector_exp(b[k])
    for i in range(low, high):
        x, weight, y, n = at.power[i], rows.weights[i], rows.y[i], rows.n[i]
        one, two = _shares(x, C, P, Q, count)
        r[i] = weight * (y - n * one)
        d_s += weight * (y * mean - n * two)
    of_s[0] += d_s
    return True


def _average_all(
    tag: Any, rows: Rows, at: Point, low: int, high: int, s: float, b: Floats, count: int, used: int, P: Floats,
    Q: Floats, C: Floats, r: Floats, of_s: Floats,
) -> bool:  # fmt: skip
    """The same of `_average_rows`."""
    raise TypeError(COMPILED)


@overload(_average_all, strict=False, jit_options=INNER)
def _average_all_of(tag: Any, *arguments: Any) -> Any:
    return _of_tag(tag, _average_sum, _average_product)


@njit(**INNER)
def _average_rows(
    tag: Any, rows: Rows, at: Point, low: int, high: int, b: Floats, count: int, P: Floats, Q: Floats, S: Floats,
    U: Floats, V: Floats, r: Floats,
) -> float:  # fmt: skip
    """Of `_add_rows`."""
    d_s = 0.0
    for i in range(low, high):
        y, n, weight, w, eta, u, v = rows.y[i], rows.n[i], rows.weights[i], rows.W[i], at.eta[i], at.u[i], at.v[i]
        for k in range(count):
            _, S[k], _, U[k], V[k] = node(tag, y, n, eta + w * b[k], u, v)
        r[i] = weight * dot(S, P, count)
        d_s += weight * w * dot(S, Q, count)
        if tag.reads > 0:
            r[rows.rows + i], r[2 * rows.rows + i] = weight * dot(U, P, count), weight * dot(V, P, count)
    return d_s


def averages(asked: Any) -> None:
    """Averages over nodes, with weights in proportion to `values`, of the derivatives of the rows' log density.

    In eta, u and v they go to r (3, row); that in s is added to of_s (1,). A group without nodes is left out.
    """
    tag, rows, at, begin, end, s, lattices, r, of_s, b = taken(asked)
    first, step, counts, places, values = lattices
    C = _next(b)
    P = _next(C)
    Q = _next(P)
    S = _next(Q)
    U = _next(S)
    V = _next(U)
    for g in range(begin, end):
        if counts[g] == 0:
            continue
        z, h, place, low, high = first[g], step[g], places[g], rows.starts[g], rows.starts[g + 1]
        count, total = (counts[g] + LANES - 1) // LANES * LANES, 0.0
        for k in range(count):
            P[k] = values[place + k] if k < counts[g] else 0.0
            total += P[k]
        for k in range(count):
            here = z + k * h
            b[k] = s * here
            P[k] = P[k] / total
            Q[k] = P[k] * here
        if not (rows.shifts and _average_all(tag, rows, at, low, high, s, b, count, counts[g], P, Q, C, r, of_s)):
            of_s[0] += _average_rows(tag, rows, at, low, high, b, count, P, Q, S, U, V, r)


def add_base(asked: Any) -> None:
    """Adds to values (group,) and r (3, row) what does not depend on eta: computed once for each kind of row.

    `found` is room for three numbers a kind.
    """
    tag, rows, at, values, r, found = taken(asked)
    for k in range(rows.of_kinds):
        i = rows.samples[k]
        found[3 * k], found[3 * k + 1], found[3 * k + 2] = base(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
    for g in range(rows.groups):
        for i in range(rows.starts[g], rows.starts[g + 1]):
            k, w = 3 * rows.kinds[i], rows.weights[i]
            values[g] += w * found[k]
            if tag.reads > 0:
                r[rows.rows + i] += w * found[k + 1]
                r[2 * rows.rows + i] += w * found[k + 2]
