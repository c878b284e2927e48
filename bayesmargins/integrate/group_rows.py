"""Compiled sums over the rows of a group: log density and derivatives at given group effects, or at many nodes.

A family's rows are a tag, whose type has plain functions; they are compiled here, for that type alone. Nodes come in
multiples of `LANES`: what is left over would run one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.small_kernels import SUM, dot
from bayesmargins.integrate.vector_math import vectorised

__all__ = ["LANES", "Rows", "add_base", "add_values", "averaged", "slopes"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LANES = 8
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
    """

    y: Array
    n: Array
    weights: Array
    W: Array
    starts: Integers
    kinds: Integers
    samples: Integers


def node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
    """log density of a row, two derivatives in eta, and those in u and v."""
    raise TypeError(_COMPILED)


def base(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
    """What of it does not depend on eta, and its derivatives in u and v."""
    raise TypeError(_COMPILED)


@overload(node, strict=False, jit_options=INNER)
def _node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.node)


@overload(base, strict=False, jit_options=INNER)
def _base(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.base)


@njit(**SUM)
def slopes(tag: Any, rows: Rows, eta: Array, u: Array, v: Array, group: int, b: Array, g: Array, H: Array) -> None:
    """Derivatives of the group's log density in its effects: g (term,) and the lower triangle of H (term, term)."""
    first, second, b0, b1 = 0.0, 0.0, b[0], b[len(b) - 1]
    own, cross, other = 0.0, 0.0, 0.0
    if len(b) == 1:
        for i in range(rows.starts[group], rows.starts[group + 1]):
            w = rows.W[0, i]
            _, slope, bend, _, _ = node(tag, rows.y[i], rows.n[i], eta[i] + w * b0, u[i], v[i])
            first += rows.weights[i] * w * slope
            own += rows.weights[i] * w * w * bend
        g[0], H[0, 0] = first, own
        return
    for i in range(rows.starts[group], rows.starts[group + 1]):
        w, x = rows.W[0, i], rows.W[1, i]
        _, slope, bend, _, _ = node(tag, rows.y[i], rows.n[i], eta[i] + w * b0 + x * b1, u[i], v[i])
        first += rows.weights[i] * w * slope
        second += rows.weights[i] * x * slope
        own += rows.weights[i] * w * w * bend
        cross += rows.weights[i] * w * x * bend
        other += rows.weights[i] * x * x * bend
    g[0], g[1], H[0, 0], H[1, 0], H[1, 1] = first, second, own, cross, other


@njit(**APART)
def add_values(
    tag: Any, rows: Rows, eta: Array, u: Array, v: Array, group: int, B: Array, begin: int, count: int, V: Array
) -> None:
    """Adds the group's log density at effects B (term, node) to V, at `count` nodes from `begin`."""
    out, b, c = V[begin:], B[0, begin:], B[len(B) - 1, begin:]  # an index that may be negative would not vectorise
    for i in range(rows.starts[group], rows.starts[group + 1]):
        y, n, w, e, ui, vi, slope = rows.y[i], rows.n[i], rows.weights[i], eta[i], u[i], v[i], rows.W[0, i]
        if len(B) == 1:
            for k in range(count):
                out[k] += w * node(tag, y, n, e + slope * b[k], ui, vi)[0]
        else:
            other = rows.W[1, i]
            for k in range(count):
                out[k] += w * node(tag, y, n, e + slope * b[k] + other * c[k], ui, vi)[0]


@njit(**APART)
def averaged(
    tag: Any,
    rows: Rows,
    eta: Array,
    u: Array,
    v: Array,
    group: int,
    B: Array,
    P: Array,
    begin: int,
    count: int,
    work: Array,
    r: Array,
    D: Array,
) -> None:
    """Averages over nodes with weights P[0] of the derivatives of the rows' log density.

    In eta, u and v they go to r (3, row); D (term, term) gets those in the root of the effects' covariance, P[1:] being
    P[0] times the standard normal effects.
    """
    q = len(B)
    S, U, T = work[0, begin:], work[1, begin:], work[2, begin:]
    p, b, c = P[:, begin:], B[0, begin:], B[q - 1, begin:]
    for i in range(rows.starts[group], rows.starts[group + 1]):
        y, n, w, e, ui, vi = rows.y[i], rows.n[i], rows.weights[i], eta[i], u[i], v[i]
        slope, other = rows.W[0, i], rows.W[q - 1, i] if q > 1 else 0.0
        for k in range(count):
            x = e + slope * b[k] + other * c[k]
            _, S[k], _, U[k], T[k] = node(tag, y, n, x, ui, vi)
        r[0, i] = w * dot(S, p[0], count)
        if tag.reads > 0:
            r[1, i] = w * dot(U, p[0], count)
            r[2, i] = w * dot(T, p[0], count)
        for j in range(q):
            share = w * dot(S, p[1 + j], count)
            for a in range(q):
                D[a, j] += rows.W[a, i] * share


@njit(**APART)
def add_base(tag: Any, rows: Rows, u: Array, v: Array, values: Array, r: Array) -> None:
    """Adds to values (group,) and r (3, row) what does not depend on eta: computed once for each kind of row."""
    kinds = len(rows.samples)
    found = np.empty((3, kinds))
    for k in range(kinds):
        i = rows.samples[k]
        found[0, k], found[1, k], found[2, k] = base(tag, rows.y[i], rows.n[i], u[i], v[i])
    for g in range(len(values)):
        for i in range(rows.starts[g], rows.starts[g + 1]):
            k, w = rows.kinds[i], rows.weights[i]
            values[g] += w * found[0, k]
            if tag.reads > 0:
                r[1, i] += w * found[1, k]
                r[2, i] += w * found[2, k]
