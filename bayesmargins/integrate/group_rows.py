"""Compiled sums over the rows of groups: log densities at the nodes of a lattice, and averages of their derivatives.

A family's rows are a tag, whose type has plain functions; they are compiled here, for that type alone. Columns are
unpacked once for many groups: a group has a few rows, and taking arrays out of a tuple costs as much as these.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.extending import overload

from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.small_kernels import dot, sum_of
from bayesmargins.integrate.vector_math import vector_exp, vector_log, vectorised

__all__ = [
    "FLOATS",
    "LANES",
    "LATTICES",
    "POINT",
    "ROWS",
    "Lattices",
    "Point",
    "Rows",
    "add_base",
    "averages",
    "log_densities",
    "multiplies",
    "node",
    "of_kinds",
    "parts",
    "slopes",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LANES = 8  # nodes come in multiples of it: what is left over would run one by one
_TOGETHER, _FEW = 8, 4  # factors under one logarithm, and those of a row among them, at most
_LARGEST = 80.0  # eta of each of them: their product is finite
_COMPILED = "Compiled code calls this: there the overload below puts the family's own function in its place."


class Rows(NamedTuple):
    """Rows of y, sorted by group.

    Attributes
    ----------
    y, n, weights : (row,) float
    W : (row,) float
        What the group effect multiplies.
    starts : (group + 1,) int
        Where each group's rows begin.
    kinds : (row,) int
        Rows with the same number have the same y, n and u, v.
    samples : (kind,) int
        One row of each kind.
    shifts : bool
        Is the group effect one number that is added to eta?
    """

    y: Array
    n: Array
    weights: Array
    W: Array
    starts: Integers
    kinds: Integers
    samples: Integers
    shifts: bool


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


def parts(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
    """a and c of a eta - c exp(sign eta), if the log density is that, and their derivatives in u."""
    raise TypeError(_COMPILED)


@overload(node, strict=False, jit_options=INNER)
def _node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.node)


@overload(base, strict=False, jit_options=INNER)
def _base(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.base)


@overload(parts, strict=False, jit_options=INNER)
def _parts(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    own = getattr(tag.instance_class, "parts", None)
    return own or (lambda tag, y, n, u, v: (0.0, 0.0, 0.0, 0.0))


def _sums(tag: Any) -> bool:
    """Does the log density of a group need the sum of its rows only?"""
    raise TypeError(_COMPILED)


def multiplies(tag: Any) -> bool:
    """Is the log density of a row y eta - n log(1 + exp(eta))?"""
    raise TypeError(_COMPILED)


@overload(_sums, strict=False, jit_options=INNER)
def _sums_of(tag: Any) -> Any:
    return (lambda tag: True) if hasattr(tag.instance_class, "parts") else (lambda tag: False)


@overload(multiplies, strict=False, jit_options=INNER)
def _multiplies_of(tag: Any) -> Any:
    return (lambda tag: True) if hasattr(tag.instance_class, "multiplies") else (lambda tag: False)


def slopes(tag: Any, rows: Rows, at: Point, group: int, b: float, found: Array) -> None:
    """Two derivatives of the group's log density in its effect."""
    y, n, weights, W, eta, u, v = rows.y, rows.n, rows.weights, rows.W, at.eta, at.u, at.v
    first, second = 0.0, 0.0
    for i in range(rows.starts[group], rows.starts[group + 1]):
        _, slope, bend, _, _ = node(tag, y[i], n[i], eta[i] + W[i] * b, u[i], v[i])
        first += weights[i] * W[i] * slope
        second += weights[i] * W[i] * W[i] * bend
    found[0], found[1] = first, second


@njit(**INNER)
def _most(counts: Integers, begin: int, end: int) -> int:
    """Room for the nodes of any of these groups, in whole lanes."""
    most = 0
    for g in range(begin, end):
        most = max(most, counts[g])
    return most + LANES


@njit(**INNER)
def _add_sum(tag: Any, rows: Rows, at: Point, low: int, high: int, b: Array, count: int, out: Array) -> None:
    """Rows whose log densities are a eta - c exp(sign eta): their sum is one such."""
    sign, constant, linear, amounts = float(tag.sign), 0.0, 0.0, 0.0
    for i in range(low, high):
        a, c, _, _ = parts(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
        constant += rows.weights[i] * a * at.eta[i]
        linear += rows.weights[i] * a
        amounts += rows.weights[i] * c * at.power[i]
    for k in range(count):
        out[k] += constant + linear * b[k] - amounts * vector_exp(sign * b[k])


@njit(**INNER)
def _add_product(
    rows: Rows, at: Point, low: int, high: int, b: Array, count: int, out: Array, C: Array, T: Array
) -> None:
    """Rows whose log densities are y eta - n log(1 + exp(eta)): some share one logarithm, that of a product."""
    constant, linear, factors = 0.0, 0.0, 0
    for i in range(low, high):
        constant += rows.weights[i] * rows.y[i] * at.eta[i]
        linear += rows.weights[i] * rows.y[i]
    for k in range(count):
        out[k] += constant + linear * b[k]
        C[k] = vector_exp(b[k])
        T[k] = 1.0
    for i in range(low, high):
        x, n = at.power[i], rows.weights[i] * rows.n[i]
        times = int(n)
        if n != times or times > _FEW:
            for k in range(count):
                out[k] -= n * vector_log(1.0 + x * C[k])
            continue
        if factors + times > _TOGETHER:
            for k in range(count):
                out[k] -= vector_log(T[k])
                T[k] = 1.0
            factors = 0
        for _ in range(times):
            for k in range(count):
                T[k] *= 1.0 + x * C[k]
        factors += times
    if factors > 0:
        for k in range(count):
            out[k] -= vector_log(T[k])


@njit(**INNER)
def _add_rows(tag: Any, rows: Rows, at: Point, low: int, high: int, b: Array, count: int, out: Array) -> None:
    """Row by row, node by node."""
    for i in range(low, high):
        y, n, weight, w, eta, u, v = rows.y[i], rows.n[i], rows.weights[i], rows.W[i], at.eta[i], at.u[i], at.v[i]
        for k in range(count):
            out[k] += weight * node(tag, y, n, eta + w * b[k], u, v)[0]


def log_densities(tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices) -> None:
    """Log density of a group's rows and of z at the nodes of the groups from begin to before end, effects b = s z."""
    first, step, counts, places, values = lattices
    room = _most(counts, begin, end)
    b, out, C, T = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    for g in range(begin, end):
        count, low, high = (counts[g] + LANES - 1) // LANES * LANES, rows.starts[g], rows.starts[g + 1]
        z, h, place = first[g], step[g], places[g]
        for k in range(count):
            here = z + k * h
            b[k] = s * here
            out[k] = -0.5 * here * here
        if _sums(tag) and rows.shifts:
            _add_sum(tag, rows, at, low, high, b, count, out)
        elif multiplies(tag) and rows.shifts and _bounded(at.eta, low, high, b, counts[g]):
            _add_product(rows, at, low, high, b, count, out, C, T)
        else:
            _add_rows(tag, rows, at, low, high, b, count, out)
        for k in range(count):
            values[place + k] = out[k]


@njit(**INNER)
def _bounded(eta: Array, low: int, high: int, b: Array, count: int) -> bool:
    """May rows be multiplied, since no exp(eta + b) is large?"""
    most = -np.inf
    for i in range(low, high):
        most = max(most, eta[i])
    return most + max(b[0], b[count - 1]) < _LARGEST


@njit(**INNER)
def _average_sum(
    tag: Any, rows: Rows, at: Point, low: int, high: int, s: float, b: Array, count: int, P: Array, Q: Array, C: Array,
    r: Array,
) -> float:  # fmt: skip
    """Of `_add_sum`: what they need is the average power, and effect."""
    sign, mean, d_s = float(tag.sign), sum_of(Q, count), 0.0
    for k in range(count):
        C[k] = vector_exp(sign * b[k])
    of_power, of_z = dot(C, P, count), dot(C, Q, count)
    for i in range(low, high):
        a, c, d_a, d_c = parts(tag, rows.y[i], rows.n[i], at.u[i], at.v[i])
        x, weight = at.power[i], rows.weights[i]
        r[0, i] = weight * (a - sign * c * x * of_power)
        d_s += weight * (a * mean - sign * c * x * of_z)
        if tag.reads > 0:
            r[1, i], r[2, i] = weight * (d_a * (at.eta[i] + s * mean) - d_c * x * of_power), 0.0
    return d_s


@njit(**INNER)
def _average_product(
    rows: Rows, at: Point, low: int, high: int, b: Array, count: int, P: Array, Q: Array, C: Array, S: Array, r: Array
) -> float:
    """Of `_add_product`."""
    mean, d_s = sum_of(Q, count), 0.0
    for k in range(count):
        C[k] = vector_exp(b[k])
    for i in range(low, high):
        x, weight, y, n = at.power[i], rows.weights[i], rows.y[i], rows.n[i]
        for k in range(count):
            S[k] = x * C[k] / (1.0 + x * C[k])
        r[0, i] = weight * (y - n * dot(S, P, count))
        d_s += weight * (y * mean - n * dot(S, Q, count))
    return d_s


@njit(**INNER)
def _average_rows(
    tag: Any, rows: Rows, at: Point, low: int, high: int, b: Array, count: int, P: Array, Q: Array, S: Array, U: Array,
    V: Array, r: Array,
) -> float:  # fmt: skip
    """Of `_add_rows`."""
    d_s = 0.0
    for i in range(low, high):
        y, n, weight, w, eta, u, v = rows.y[i], rows.n[i], rows.weights[i], rows.W[i], at.eta[i], at.u[i], at.v[i]
        for k in range(count):
            _, S[k], _, U[k], V[k] = node(tag, y, n, eta + w * b[k], u, v)
        r[0, i] = weight * dot(S, P, count)
        d_s += weight * w * dot(S, Q, count)
        if tag.reads > 0:
            r[1, i], r[2, i] = weight * dot(U, P, count), weight * dot(V, P, count)
    return d_s


def averages(
    tag: Any, rows: Rows, at: Point, begin: int, end: int, s: float, lattices: Lattices, r: Array, of_s: Array
) -> None:
    """Averages over nodes, with weights in proportion to `values`, of the derivatives of the rows' log density.

    In eta, u and v they go to r (3, row); that in s is added to of_s (1,). A group without nodes is left out.
    """
    first, step, counts, places, values = lattices
    room = _most(counts, begin, end)
    b, C, P, Q = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    S, U, V = np.empty(room), np.empty(room), np.empty(room)
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
        if _sums(tag) and rows.shifts:
            of_s[0] += _average_sum(tag, rows, at, low, high, s, b, count, P, Q, C, r)
        elif multiplies(tag) and rows.shifts and _bounded(at.eta, low, high, b, counts[g]):
            of_s[0] += _average_product(rows, at, low, high, b, count, P, Q, C, S, r)
        else:
            of_s[0] += _average_rows(tag, rows, at, low, high, b, count, P, Q, S, U, V, r)


@njit(**INNER)
def of_kinds(tag: Any, y: Array, n: Array, u: Array, v: Array, samples: Integers) -> Array:
    """`base` of each kind of row: (3, kind). What it reads lies side by side, so that processors take several."""
    m = len(samples)
    given, found = np.empty((4, m)), np.empty((3, m))
    for k in range(m):
        i = samples[k]
        given[0, k], given[1, k], given[2, k], given[3, k] = y[i], n[i], u[i], v[i]
    for k in range(m):
        found[0, k], found[1, k], found[2, k] = base(tag, given[0, k], given[1, k], given[2, k], given[3, k])
    return found


def add_base(tag: Any, rows: Rows, at: Point, values: Array, r: Array) -> None:
    """Adds to values (group,) and r (3, row) what does not depend on eta: computed once for each kind of row."""
    found = of_kinds(tag, rows.y, rows.n, at.u, at.v, rows.samples)
    for g in range(len(values)):
        for i in range(rows.starts[g], rows.starts[g + 1]):
            k, w = rows.kinds[i], rows.weights[i]
            values[g] += w * found[0, k]
            if tag.reads > 0:
                r[1, i] += w * found[1, k]
                r[2, i] += w * found[2, k]


FLOATS, INTEGERS, TABLE = (
    types.Array(t, d, "C") for t, d in ((types.float64, 1), (types.int64, 1), (types.float64, 2))
)
ROWS = types.NamedTuple([*[FLOATS] * 4, *[INTEGERS] * 3, types.boolean], Rows)
POINT = types.NamedUniTuple(FLOATS, 4, Point)
LATTICES = types.NamedTuple([FLOATS, FLOATS, INTEGERS, INTEGERS, FLOATS], Lattices)
