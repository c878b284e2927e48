"""Two effects of a group integrated out: the lines of `group_lines`, fine enough, of all groups, for all families."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types

from bayesmargins.integrate import group_rows
from bayesmargins.integrate.by_name import by_name, caller
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.group_lines import (
    ACROSS,
    BESIDE,
    D_A,
    D_C,
    ETA,
    FEW,
    MOST,
    OF_ETA,
    OF_U,
    ROWS_OF,
    TOGETHER,
    A,
    C,
    peak,
    sweep,
)  # fmt: skip
from bayesmargins.integrate.group_quadrature_kernels import Model
from bayesmargins.integrate.group_rows import FLOATS, INTEGERS, TABLE, Point, multiplies, parts
from bayesmargins.integrate.group_tasks import DRAW, GRADIENT, VALUES
from bayesmargins.integrate.small_kernels import add_row, dot, sum_of
from bayesmargins.integrate.vector_math import another

__all__ = ["answer_planes", "name_of_planes"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_STEPS = (0.8, 0.9)  # along and between lines, in standard deviations
_FINER, _ATTEMPTS = 0.6, 6  # by how much, and how often, steps shrink where the error is above its share
_LOG_2_PI = math.log(2.0 * math.pi)


@njit(**APART)
def _told(half: float, fourth: float) -> float:
    """The error of a step, relative, from what half and a fourth of the nodes are off by.

    Where these converge as for a normal density, each is the fourth power of the next, of a density with poles the
    square; a steep part has no such luck. No more than the third power is counted upon.
    """
    half, fourth = 0.5 * half, min(0.5 * fourth, 0.5)
    half = max(half, fourth**4, 1e-100)
    return 2.0 * half ** min(max(math.log(half) / math.log(max(fourth, 1e-100)), 1.0), 3.0)


@njit(**APART)
def _group(
    own: Array, nodes: Array, of: Integers, sums: Array, rows: int, s: float, sign: float, product: bool, steps: Array,
    tolerance: float, task: int,
) -> tuple[float, float]:  # fmt: skip
    """Log of a group's integral, and its error; the rest stays in `own` and `sums`."""
    # Half of the error is what is left out.
    half, drop = 0.5 * tolerance, -math.log(0.5 * tolerance)
    found, value, error, uniform, linear = np.empty(5), 0.0, 0.0, sums[15], 0.0
    for i in range(rows):
        linear += own[A, i] * own[ETA, i]
    peak(own, rows, s, sign, product, found)
    steps[0], steps[1] = _STEPS
    for _ in range(_ATTEMPTS):
        sums[15] = uniform
        constant, cell = sweep(own, nodes, of, sums, rows, s, sign, product, found, steps, drop, task)
        total, a, b, c, d = sums[0], sums[9], sums[10], sums[11], sums[12]
        inside = _told(sums[7] / total, sums[8] / total)
        outside = _told(abs(a + c - b - d) / total, (abs(a - c) + abs(b - d)) / total)
        value, error = linear + math.log(total * cell) - constant - _LOG_2_PI, inside + outside + sums[6] / total
        if not inside + outside > half:
            break
        steps[0] *= _FINER if inside > 0.5 * half else 1.0
        steps[1] *= _FINER if outside > 0.5 * half else 1.0
    return value, error


@njit(**APART)
def _add_linear(own: Array, sums: Array, rows: int, s: float) -> None:
    """Averages of the derivatives, from sums without those of the linear part; those in U are sums[3:6]."""
    total, alpha, beta = sums[0], 0.0, 0.0
    for i in range(rows):
        a = own[A, i]
        moved = (own[ACROSS, i] * sums[2] + s * sums[1]) / total
        own[OF_ETA, i] = a + own[OF_ETA, i] / total
        own[OF_U, i] = own[D_A, i] * (own[ETA, i] + moved) + own[OF_U, i] / total
        alpha, beta = alpha + a, beta + a * own[BESIDE, i]
    sums[3] = (sums[3] + alpha * sums[1]) / total
    sums[4] = (sums[4] + alpha * sums[2]) / total
    sums[5] = (sums[5] + beta * sums[2]) / total


def _planes(
    table: Array, starts: Integers, sign: float, product: bool, root: Array, tolerance: float, values: Array,
    of_root: Array, task: int, out: Array,
) -> None:  # fmt: skip
    """Logs of the integrals to values (group,), then the sum of their errors, and what the task asks for.

    Derivatives go to the table (`own`, row) and of_root (4,), draws of b to `out`, which holds two uniform numbers a
    group.
    """
    groups, most, scale, error = len(starts) - 1, 0, math.hypot(root[1, 0], root[1, 1]), 0.0
    cosine, sine = (root[1, 1] / scale, root[1, 0] / scale) if scale > 0.0 else (1.0, 0.0)
    s, mixed = root[0, 0] * cosine, root[0, 0] * sine
    for g in range(groups):
        most = max(most, starts[g + 1] - starts[g])
    factors = most * FEW + TOGETHER
    own, nodes, of = np.empty((ROWS_OF, most + 1)), np.empty((4, max(MOST, factors))), np.empty(factors, np.int64)
    sums, steps, of_upper = np.empty(16), np.empty(4), np.empty(3)
    steps[2], steps[3], sums[15] = 0.0, 0.0, 0.0
    for k in range(3):
        of_upper[k] = 0.0
    for g in range(groups):
        low, rows = starts[g], starts[g + 1] - starts[g]
        if rows == 0 and task != DRAW:
            values[g] = 0.0
            continue
        for k in (A, C, D_A, D_C, ETA, BESIDE):
            for i in range(rows):
                own[k, i] = table[k, low + i]
        for i in range(rows):
            own[ACROSS, i] = mixed + own[BESIDE, i] * scale
        if task == DRAW:
            steps[2], steps[3], sums[15] = out[2 * g] - 0.5, out[2 * g + 1] - 0.5, another(out[2 * g])
        values[g], missed = _group(own, nodes, of, sums, rows, s, sign, product, steps, tolerance, task)
        error += missed
        if task == DRAW:
            out[2 * g], out[2 * g + 1] = s * sums[13] + mixed * sums[14], scale * sums[14]
        elif task == GRADIENT:
            _add_linear(own, sums, rows, s)
            for k in range(3):
                of_upper[k] += sums[3 + k]
            for i in range(rows):
                table[OF_ETA, low + i], table[OF_U, low + i] = own[OF_ETA, i], own[OF_U, i]
    values[groups] = error
    # From the entries 11, 12, 22 of the upper triangle to those of the lower one.
    turned = root[0, 0] * (of_upper[1] * cosine - of_upper[0] * sine) / max(scale, 1e-300)
    of_root[0], of_root[1] = of_upper[0] * cosine + of_upper[1] * sine, 0.0
    of_root[2], of_root[3] = turned * cosine + of_upper[2] * sine, of_upper[2] * cosine - turned * sine


_TAKEN = (
    TABLE, INTEGERS, types.float64, types.boolean, TABLE, types.float64, FLOATS, FLOATS, types.int64, FLOATS,
)  # fmt: skip
_call_planes = caller(*_TAKEN)
_add_base = njit(**APART)(group_rows.add_base)


def name_of_planes() -> str:
    """The name of `_planes`, which serves all families, and is compiled now or found on disk."""
    return by_name(_planes, _TAKEN).name


@njit(**INNER)
def answer_planes(
    tag: Any, planes: int, model: Model, beside: Array, phi: Array, root: Array, aux: Array, task: int, out: Array
) -> None:
    """See `group_quadrature_kernels.answer`; PILOT is not asked for, and DRAW takes two uniform numbers a group."""
    n, p, rows, known = len(model.offset), len(phi), model.rows, root[0, 0] + root[1, 0] + root[1, 1]
    known += sum_of(phi, p) + sum_of(aux, len(aux))
    if known - known != 0.0:
        for k in range(len(out)):
            out[k] = np.nan
        return
    table, u, values, of_root = np.empty((ROWS_OF, n)), np.empty(n), np.empty(len(rows.starts)), np.empty(4)
    for i in range(n):
        u[i], w, table[ETA, i], table[BESIDE, i] = (
            aux[0] if tag.reads > 0 else 0.0,
            rows.weights[i],
            model.offset[i],
            beside[i],
        )
        a, c, d_a, d_c = rows.y[i], rows.n[i], 0.0, 0.0
        if not multiplies(tag):
            a, c, d_a, d_c = parts(tag, rows.y[i], rows.n[i], u[i], u[i])
        table[A, i], table[C, i], table[D_A, i], table[D_C, i] = w * a, w * c, w * d_a, w * d_c
    for c in range(p):
        add_row(table[ETA], model.F[c], phi[c], n)
    many, sign = multiplies(tag), float(tag.sign)
    _call_planes(planes, (table, rows.starts, sign, many, root, model.tolerance, values, of_root, task, out))
    if task == DRAW:
        return
    groups = len(values) - 1
    _add_base(tag, rows, Point(u, u, u, u), values[:groups], table[OF_ETA:])
    if task == VALUES:
        for g in range(groups + 1):
            out[g] = values[g]
        return
    out[0] = sum_of(values, groups)
    for c in range(p):
        out[1 + c] = dot(model.F[c], table[OF_ETA], n)
    for k in range(4):
        out[1 + p + k] = of_root[k]
    if tag.reads > 0:
        out[5 + p] = sum_of(table[OF_U], n)
