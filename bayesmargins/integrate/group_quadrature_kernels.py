"""Compiled likelihood with the effects of one factor integrated out group by group, its gradient, and draws of b."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, kernel
from bayesmargins.integrate.group_nodes import MOST, lattice, peak
from bayesmargins.integrate.group_rows import LANES, Rows, add_base, add_values, averaged
from bayesmargins.integrate.small_kernels import add_row, dot

__all__ = ["Model", "derivatives", "draw_effects", "group_values", "marginal"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FAR = 700.0  # a threshold where there is none: exp() of it is finite


class Model(NamedTuple):
    """Rows, and what their linear predictors are made of.

    Attributes
    ----------
    rows : Rows
    F : (coordinate, row) float
    offset : (row,) float
    reads : (2, row) int
        Which of the family's parameters u and v are; two more stand behind the last: one far below, one far above.
    at_rest : (group, term) float
        Where the search for each group's peak begins, at eta = `eta_at_rest`, and by how much the effects then weigh.
    """

    rows: Rows
    F: Array
    offset: Array
    reads: Integers
    widest: Array
    tolerance: float


@njit(**APART)
def _predictors(model: Model, phi: Array, eta: Array) -> None:
    """eta (row,) without b."""
    eta[:] = model.offset
    for c in range(len(phi)):
        add_row(eta, model.F[c], phi[c], len(eta))


@njit(**APART)
def _own(tag: Any, model: Model, aux: Array, u: Array, v: Array) -> None:
    """The family's parameters of each row."""
    if tag.reads > 0:
        count = len(aux)
        for i in range(len(u)):
            for j in range(tag.reads):
                k = model.reads[j, i]
                value = aux[k] if k < count else (-_FAR if k == count else _FAR)
                if j == 0:
                    u[i] = value
                else:
                    v[i] = value


@njit(**APART)
def _nodes(
    tag: Any,
    model: Model,
    eta: Array,
    u: Array,
    v: Array,
    group: int,
    L: Array,
    z: Array,
    A: Array,
    B: Array,
    V: Array,
    shares: Array,
) -> tuple[float, float, int, float, float]:
    z[:] = 0.0
    peak(tag, model.rows, eta, u, v, group, L, model.widest[group], z, A)
    sd = 1.0 / math.sqrt(A[0, 0])
    return lattice(tag, model.rows, eta, u, v, group, L[0, 0], z[0], sd, model.tolerance, B, V, shares)


@njit(**APART)
def marginal(tag: Any, model: Model, phi: Array, L: Array, aux: Array) -> tuple[float, Array, Array, Array, float]:
    """log likelihood, its derivatives in phi, L and the family's parameters, and the error of the integrals."""
    rows, q, n = model.rows, len(L), len(model.offset)
    groups = len(rows.starts) - 1
    eta, u, v = np.empty(n), np.zeros(n), np.zeros(n)
    _predictors(model, phi, eta)
    _own(tag, model, aux, u, v)
    r, D = np.empty((3, n)), np.zeros((q, q))
    z, A, B, V = np.empty(q), np.empty((q, q)), np.empty((q, 2 * MOST + LANES)), np.empty(2 * MOST + LANES)
    P, work, values, error = np.empty((1 + q, MOST + LANES)), np.empty((3, MOST + LANES)), np.zeros(groups), 0.0
    for g in range(groups):
        if rows.starts[g] == rows.starts[g + 1]:
            continue
        start, h, count, values[g], missed = _nodes(tag, model, eta, u, v, g, L, z, A, B, V, P[0])
        error += missed
        total = 0.0
        for k in range(count):
            total += P[0, k]
        padded = (count + LANES - 1) // LANES * LANES
        for k in range(padded):
            at = start + k * h
            B[0, k] = L[0, 0] * at
            P[0, k] = P[0, k] / total if k < count else 0.0
            P[1, k] = P[0, k] * at
        averaged(tag, rows, eta, u, v, g, B, P, 0, padded, work, r, D)
    add_base(tag, rows, u, v, values, r)
    total = values.sum()
    d_phi, d_aux = np.empty(len(phi)), np.zeros(len(aux))
    for c in range(len(phi)):
        d_phi[c] = dot(model.F[c], r[0], n)
    if tag.reads > 0:
        for i in range(n):
            for j in range(tag.reads):
                k = model.reads[j, i]
                if k < len(aux):
                    d_aux[k] += r[1 + j, i]
    return total, d_phi, D, d_aux, error


@kernel
def group_values(
    begin: int, end: int, tag: Any, model: Model, phi: Array, L: Array, aux: Array, out: Array, error: Array
) -> None:
    """log likelihood of each group, out (draw, group), and the sum of the integrals' errors (draw,)."""
    rows, q, n = model.rows, L.shape[1], len(model.offset)
    eta, u, v, r = np.empty(n), np.zeros(n), np.zeros(n), np.zeros((3, n))
    z, A, B, V = np.empty(q), np.empty((q, q)), np.empty((q, 2 * MOST + LANES)), np.empty(2 * MOST + LANES)
    shares = np.empty(MOST)
    for d in range(begin, end):
        _predictors(model, phi[d], eta)
        _own(tag, model, aux[d], u, v)
        out[d] = 0.0
        error[d] = 0.0
        for g in range(len(rows.starts) - 1):
            if rows.starts[g] < rows.starts[g + 1]:
                found = _nodes(tag, model, eta, u, v, g, L[d], z, A, B, V, shares)
                out[d, g] = found[3]
                error[d] += found[4]
        add_base(tag, rows, u, v, out[d], r)


@njit(**APART)
def _second(x: float) -> float:
    """Another uniform number from the bits of one (splitmix64; Steele, Lea & Flood 2014)."""
    m = np.uint64(x * 9007199254740992.0) + np.uint64(0x9E3779B97F4A7C15)
    m = (m ^ (m >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    m = (m ^ (m >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    m = m ^ (m >> np.uint64(31))
    return float(m >> np.uint64(11)) / 9007199254740992.0


@kernel
def draw_effects(begin: int, end: int, tag: Any, model: Model, phi: Array, L: Array, aux: Array, out: Array) -> None:
    """Uniform out (draw, group, term) becomes draws of b given the parameters.

    With x uniform on (0, h), node k is chosen with a probability proportional to the density at x + k h, and x + k h
    returned: its distribution is that of the density, exactly as far as the sum over nodes is the integral.
    """
    rows, q, n = model.rows, L.shape[1], len(model.offset)
    eta, u, v = np.empty(n), np.zeros(n), np.zeros(n)
    z, A, B, V = np.empty(q), np.empty((q, q)), np.empty((q, 2 * MOST + LANES)), np.empty(2 * MOST + LANES)
    shares = np.empty(MOST)
    for d in range(begin, end):
        _predictors(model, phi[d], eta)
        _own(tag, model, aux[d], u, v)
        for g in range(len(rows.starts) - 1):
            start, h, count, value, _ = _nodes(tag, model, eta, u, v, g, L[d], z, A, B, V, shares)
            start += (_second(out[d, g, 0]) - 1.0) * h
            count = (count + LANES) // LANES * LANES
            for k in range(count):
                at = start + k * h
                B[0, k] = L[d, 0, 0] * at
                V[k] = -0.5 * at * at
            add_values(tag, rows, eta, u, v, g, B, 0, count, V)
            total = 0.0
            for k in range(count):
                V[k] = math.exp(V[k] - value)
                total += V[k]
            left, k = total * out[d, g, 0], 0
            while k < count - 1 and left >= V[k]:
                left -= V[k]
                k += 1
            out[d, g, 0] = B[0, k]


@kernel
def derivatives(
    begin: int,
    end: int,
    tag: Any,
    model: Model,
    phi: Array,
    L: Array,
    aux: Array,
    value: Array,
    d_phi: Array,
    d_L: Array,
    d_aux: Array,
) -> None:
    """The log likelihood (draw,) and its derivatives, of many points."""
    for d in range(begin, end):
        value[d], d_phi[d], d_L[d], d_aux[d], _ = marginal(tag, model, phi[d], L[d], aux[d])
