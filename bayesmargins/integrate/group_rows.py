"""Compiled sums over the rows of groups: log densities at the nodes of a lattice, and averages of their derivatives.

A family's rows are a tag, whose type has plain functions; they are compiled here, for that type alone. Columns are
unpacked once for many groups: a group has a few rows, and taking arrays out of a tuple costs as much as these.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, typeof, types
from numba.extending import overload

from bayesmargins.integrate.by_name import by_name
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.small_kernels import dot
from bayesmargins.integrate.vector_math import vector_exp, vector_log, vectorised

__all__ = [
    "FLOATS",
    "LANES",
    "LATTICES",
    "POINT",
    "ROWS",
    "TABLE",
    "Lattices",
    "Point",
    "Rows",
    "add_base",
    "averages",
    "log_densities",
    "powers",
    "ready",
    "slopes",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LANES = 8  # nodes come in multiples of it: what is left over would run one by one
_TOGETHER = 8  # rows under one logarithm
_LARGEST = 80.0  # eta of each of them: their product is finite
_COMPILED = "Compiled code calls this: there the overload below puts the family's own function in its place."


class Rows(NamedTuple):
    """Rows of y, sorted by group.

    Attributes
    ----------
    y, n, weights : (row,) float
    W : (term, row) float
        What the group effects multiply.
    starts : (group + 1,) int
        Where each group's rows begin.
    kinds : (row,) int
        Rows with the same number have the same y, n and u, v.
    samples : (kind,) int
        One row of each kind.
    shifts, plain : bool
        Is the group effect one number that is added to eta? Has every row the weight 1, and n of 1?
    """

    y: Array
    n: Array
    weights: Array
    W: Array
    starts: Integers
    kinds: Integers
    samples: Integers
    shifts: bool
    plain: bool


class Point(NamedTuple):
    """What rows have at given parameters.

    Attributes
    ----------
    eta : (row,) float
        Linear predictor without the group effects.
    power : (row,) float
        exp(sign eta), where the tag has a sign.
    u, v : (row,) float
        The family's own parameters.
    """

    eta: Array
    power: Array
    u: Array
    v: Array


class Lattices(NamedTuple):
    """Nodes of each group: z = first + k step, k below counts, in whole lanes from `places` on in `values`.

    Attributes
    ----------
    first, step : (group,) float
    counts, places : (group,) int
    values : (node,) float
    """

    first: Array
    step: Array
    counts: Integers
    places: Integers
    values: Array


def node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
    """log density of a row, two derivatives in eta, and those in u and v."""
    raise TypeError(_COMPILED)


def base(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
    """What of it does not depend on eta, and its derivatives in u and v."""
    raise TypeError(_COMPILED)


def summed(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
    """a and c of a eta - c exp(sign eta), if the log density is that, and their derivatives in u."""
    raise TypeError(_COMPILED)


@overload(node, strict=False, jit_options=INNER)
def _node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.node)


@overload(base, strict=False, jit_options=INNER)
def _base(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.base)


@overload(summed, strict=False, jit_options=INNER)
def _summed(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    own = getattr(tag.instance_class, "summed", None)
    return own or (lambda tag, y, n, u, v: (0.0, 0.0, 0.0, 0.0))


def _sums(tag: Any) -> bool:
    """Does the log density of a group need the sum of its rows only?"""
    raise TypeError(_COMPILED)


def _multiplies(tag: Any) -> bool:
    """Is the log density of a row y eta - n log(1 + exp(eta))?"""
    raise TypeError(_COMPILED)


@overload(_sums, strict=False, jit_options=INNER)
def _sums_of(tag: Any) -> Any:
    return (lambda tag: True) if hasattr(tag.instance_class, "summed") else (lambda tag: False)


@overload(_multiplies, strict=False, jit_options=INNER)
def _multiplies_of(tag: Any) -> Any:
    return (lambda tag: True) if hasattr(tag.instance_class, "multiplies") else (lambda tag: False)


FLOATS, INTEGERS, TABLE = (
    types.Array(t, d, "C") for t, d in ((types.float64, 1), (types.int64, 1), (types.float64, 2))
)
ROWS = types.NamedTuple([*[FLOATS] * 3, TABLE, *[INTEGERS] * 3, types.boolean, types.boolean], Rows)
POINT = types.NamedUniTuple(FLOATS, 4, Point)
LATTICES = types.NamedTuple([FLOATS, FLOATS, INTEGERS, INTEGERS, FLOATS], Lattices)


def ready(tag: Any) -> None:
    """Compiles what others call by name, or finds it on disk."""
    first = (typeof(tag), ROWS, POINT, types.int64)
    by_name(_log_densities, (*first, types.int64, types.float64, LATTICES))
    by_name(_averages, (*first, types.int64, types.float64, LATTICES, TABLE, TABLE))
    by_name(_slopes, (*first, FLOATS, FLOATS, TABLE), reordered=True)


@njit(**APART)
def powers(tag: Any, eta: Array) -> Array:
    """`Point.power`."""
    power, sign = np.empty_like(eta), float(tag.sign)
    if sign != 0.0:
        for i in range(len(eta)):
            power[i] = vector_exp(sign * eta[i])
    return power


def slopes(tag: Any, rows: Rows, at: Point, group: int, b: Array, g: Array, H: Array) -> None:
    """Derivatives of the group's log density in its effects: g (term,) and the lower triangle of H (term, term)."""
    raise TypeError(_COMPILED)


@overload(slopes, strict=False, jit_options=INNER)
def _slopes_of(tag: Any, rows: Rows, at: Point, group: int, b: Array, g: Array, H: Array) -> Any:
    call = by_name(_slopes, (tag, rows, at, group, b, g, H), reordered=True)
    return lambda tag, rows, at, group, b, g, H: call((tag, rows, at, group, b, g, H))


def _slopes(tag: Any, rows: Rows, at: Point, group: int, b: Array, g: Array, H: Array) -> None:
    y, n, weights, W, eta, u, v = rows.y, rows.n, rows.weights, rows.W, at.eta, at.u, at.v
    second, b0, b1 = len(b) - 1, b[0], b[len(b) - 1]
    slope_0, slope_1, own, cross, other = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(rows.starts[group], rows.starts[group + 1]):
        w, x = W[0, i], W[second, i] * second
        _, slope, bend, _, _ = node(tag, y[i], n[i], eta[i] + w * b0 + x * b1, u[i], v[i])
        slope, bend = weights[i] * slope, weights[i] * bend
        slope_0 += w * slope
        slope_1 += x * slope
        own += w * w * bend
        cross += w * x * bend
        other += x * x * bend
    g[second], H[second, 0], H[second, second] = slope_1, cross, other
    g[0], H[0, 0] = slope_0, own


def log_densities(tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices) -> None:
    """Log density of a group's rows and of z at the nodes of the groups from begin to before end, effects b = s z."""
    raise TypeError(_COMPILED)


@overload(log_densities, strict=False, jit_options=INNER)
def _log_densities_of(tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices) -> Any:
    call = by_name(_log_densities, (tag, rows, at, begin, end, s, lattices))
    return lambda tag, rows, at, begin, end, s, lattices: call((tag, rows, at, begin, end, s, lattices))


def _log_densities(tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices) -> None:
    y, n, weights, W, starts = rows.y, rows.n, rows.weights, rows.W[0], rows.starts
    eta, power, u, v, sign = at.eta, at.power, at.u, at.v, float(tag.sign)
    first, step, counts, place, values = lattices
    largest = 0
    for g in range(begin, end):
        largest = max(largest, counts[g] + LANES)
    b, out, C, T = np.empty(largest), np.empty(largest), np.empty(largest), np.empty(largest)
    for g in range(begin, end):
        count = (counts[g] + LANES - 1) // LANES * LANES
        z, h, low, high = first[g], step[g], starts[g], starts[g + 1]
        for k in range(count):
            here = z + k * h
            b[k] = s * here
            out[k] = -0.5 * here * here
        if _sums(tag) and rows.shifts:
            constant, linear, amounts = 0.0, 0.0, 0.0
            for i in range(low, high):
                a, c, _, _ = summed(tag, y[i], n[i], u[i], v[i])
                constant += weights[i] * a * eta[i]
                linear += weights[i] * a
                amounts += weights[i] * c * power[i]
            for k in range(count):
                out[k] += constant + linear * b[k] - amounts * vector_exp(sign * b[k])
        elif _multiplies(tag) and rows.shifts and rows.plain and _bounded(eta, low, high, b, counts[g]):
            constant, linear = 0.0, 0.0
            for i in range(low, high):
                constant += y[i] * eta[i]
                linear += y[i]
            for k in range(count):
                out[k] += constant + linear * b[k]
                C[k] = vector_exp(b[k])
            for i in range(low, high):
                x = power[i]
                if (i - low) % _TOGETHER == 0:
                    for k in range(count):
                        T[k] = 1.0 + x * C[k]
                else:
                    for k in range(count):
                        T[k] *= 1.0 + x * C[k]
                if (i - low) % _TOGETHER == _TOGETHER - 1 or i == high - 1:
                    for k in range(count):
                        out[k] -= vector_log(T[k])
        else:
            for i in range(low, high):
                yi, ni, weight, e, ui, vi, w = y[i], n[i], weights[i], eta[i], u[i], v[i], W[i]
                for k in range(count):
                    out[k] += weight * node(tag, yi, ni, e + w * b[k], ui, vi)[0]
        for k in range(count):
            values[place[g] + k] = out[k]


@njit(**INNER)
def _bounded(eta: Array, low: int, high: int, b: Array, count: int) -> bool:
    """May rows be multiplied, since no exp(eta + b) is large?"""
    most = -np.inf
    for i in range(low, high):
        most = max(most, eta[i])
    return most + max(b[0], b[count - 1]) < _LARGEST


def averages(
    tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices, r: Array, D: Array
) -> None:
    """Averages over nodes, with weights in proportion to `values`, of the derivatives of the rows' log density.

    In eta, u and v they go to r (3, row); D (1, 1) gets that in s. A group without nodes is left out.
    """
    raise TypeError(_COMPILED)


@overload(averages, strict=False, jit_options=INNER)
def _averages_of(
    tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices, r: Array, D: Array
) -> Any:
    call = by_name(_averages, (tag, rows, at, begin, end, s, lattices, r, D))
    return lambda tag, rows, at, begin, end, s, lattices, r, D: call((tag, rows, at, begin, end, s, lattices, r, D))


def _averages(
    tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices, r: Array, D: Array
) -> None:
    y, n, weights, W, starts = rows.y, rows.n, rows.weights, rows.W[0], rows.starts
    eta, power, u, v, sign, own = at.eta, at.power, at.u, at.v, float(tag.sign), tag.reads > 0
    first, step, counts, place, values = lattices
    largest = 0
    for g in range(begin, end):
        largest = max(largest, counts[g] + LANES)
    b, C, P, Q = np.empty(largest), np.empty(largest), np.empty(largest), np.empty(largest)
    S, U, T = np.empty(largest), np.empty(largest), np.empty(largest)
    of_u, of_v, d_s = r[1], r[2], 0.0
    for g in range(begin, end):
        count, z, h, low, high = counts[g], first[g], step[g], starts[g], starts[g + 1]
        if count == 0:
            continue
        total, mean = 0.0, 0.0
        for k in range(count):
            P[k] = values[place[g] + k]
            total += P[k]
        for k in range(count, count + LANES):
            P[k] = 0.0
        count = (count + LANES - 1) // LANES * LANES
        for k in range(count):
            here = z + k * h
            b[k] = s * here
            P[k] = P[k] / total
            Q[k] = P[k] * here
        if _sums(tag) and rows.shifts:
            for k in range(count):
                C[k] = vector_exp(sign * b[k])
                mean += Q[k]
            of_power, of_z = dot(C, P, count), dot(C, Q, count)
            for i in range(low, high):
                a, c, d_a, d_c = summed(tag, y[i], n[i], u[i], v[i])
                x, weight = power[i], weights[i]
                r[0, i] = weight * (a - sign * c * x * of_power)
                d_s += weight * (a * mean - sign * c * x * of_z)
                if own:
                    of_u[i], of_v[i] = weight * (d_a * (eta[i] + s * mean) - d_c * x * of_power), 0.0
        elif _multiplies(tag) and rows.shifts and rows.plain and _bounded(eta, low, high, b, counts[g]):
            for k in range(count):
                C[k] = vector_exp(b[k])
                mean += Q[k]
            for i in range(low, high):
                x = power[i]
                for k in range(count):
                    S[k] = x * C[k] / (1.0 + x * C[k])
                r[0, i] = y[i] - dot(S, P, count)
                d_s += y[i] * mean - dot(S, Q, count)
        else:
            for i in range(low, high):
                yi, ni, weight, e, ui, vi, w = y[i], n[i], weights[i], eta[i], u[i], v[i], W[i]
                for k in range(count):
                    _, S[k], _, U[k], T[k] = node(tag, yi, ni, e + w * b[k], ui, vi)
                r[0, i] = weight * dot(S, P, count)
                d_s += weight * w * dot(S, Q, count)
                if own:
                    of_u[i], of_v[i] = weight * dot(U, P, count), weight * dot(T, P, count)
    D[0, 0] += d_s


@njit(**APART)
def add_base(tag: Any, rows: Rows, at: Point, values: Array, r: Array) -> None:
    """Adds to values (group,) and r (3, row) what does not depend on eta: computed once for each kind of row."""
    kinds = len(rows.samples)
    found = np.empty((3, kinds))
    for k in range(kinds):
        i = rows.samples[k]
        found[0, k], found[1, k], found[2, k] = base(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
    for g in range(len(values)):
        for i in range(rows.starts[g], rows.starts[g + 1]):
            k, w = rows.kinds[i], rows.weights[i]
            values[g] += w * found[0, k]
            if tag.reads > 0:
                r[1, i] += w * found[1, k]
                r[2, i] += w * found[2, k]
