"""Two effects of a group integrated out: the lines of `group_lines`, fine enough, of all groups, for all families."""

from __future__ import annotations

import math
from typing import Any

from numba import njit, types

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.entry import SIGNATURE
from bayesmargins.integrate.group_lines import FEW, MOST, TOGETHER, Columns, Nodes, peak, sweep
from bayesmargins.integrate.group_loops import LOOPS, Loops, call_add_base, call_set_parts
from bayesmargins.integrate.group_model import Model, unpacked
from bayesmargins.integrate.group_rows import Floats, Integers, Point, Rows
from bayesmargins.integrate.group_tasks import DRAW, GRADIENT, POINTS, TASK, VALUES
from bayesmargins.integrate.pointers import after, as_integers, leave, room_for
from bayesmargins.integrate.small_kernels import add_row, dot, sum_of
from bayesmargins.integrate.vector_math import another

__all__ = ["call_planes", "name_of_planes"]

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
    own: Columns, nodes: Nodes, of: Integers, sums: Floats, rows: int, s: float, sign: float, product: bool,
    steps: Floats, found: Floats, tolerance: float, task: int,
) -> tuple[float, float]:  # fmt: skip
    """Log of a group's integral, and its error; the rest stays in `own` and `sums`."""
    # Half of the error is what is left out.
    half, drop = 0.5 * tolerance, -math.log(0.5 * tolerance)
    value, error, uniform, linear = 0.0, 0.0, sums[15], 0.0
    for i in range(rows):
        linear += own.a[i] * own.eta[i]
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
def _add_linear(own: Columns, sums: Floats, rows: int, s: float) -> None:
    """Averages of the derivatives, from sums without those of the linear part; those in U are sums[3:6]."""
    total, alpha, beta = sums[0], 0.0, 0.0
    for i in range(rows):
        a = own.a[i]
        moved = (own.across[i] * sums[2] + s * sums[1]) / total
        own.of_eta[i] = a + own.of_eta[i] / total
        own.of_u[i] = own.d_a[i] * (own.eta[i] + moved) + own.of_u[i] / total
        alpha, beta = alpha + a, beta + a * own.beside[i]
    sums[3] = (sums[3] + alpha * sums[1]) / total
    sums[4] = (sums[4] + alpha * sums[2]) / total
    sums[5] = (sums[5] + beta * sums[2]) / total


@njit(**INNER)
def _of_group(table: Columns, low: int) -> Columns:
    """Its columns from row `low` on."""
    return Columns(
        after(table.a, low), after(table.c, low), after(table.d_a, low), after(table.d_c, low), after(table.eta, low),
        after(table.across, low), after(table.beside, low), after(table.x, low), after(table.of_eta, low),
        after(table.of_u, low),
    )  # fmt: skip


@njit(**APART)
def _planes(
    table: Columns, rows: Rows, sign: float, product: bool, root: Floats, tolerance: float, values: Floats,
    of_root: Floats, task: int, out: Floats, room: Floats,
) -> None:  # fmt: skip
    """Logs of the integrals to values (group,), then the sum of their errors, and what the task asks for.

    Derivatives go to the table and of_root (4,), draws of b to `out`, which holds two uniform numbers a group.
    """
    most, scale, error = _most(rows), math.hypot(root[2], root[3]), 0.0
    cosine, sine = (root[3] / scale, root[2] / scale) if scale > 0.0 else (1.0, 0.0)
    s, mixed = root[0] * cosine, root[0] * sine
    factors = most * FEW + TOGETHER
    nodes = Nodes(room, after(room, MOST), after(room, 2 * MOST), after(room, 3 * MOST))
    of, sums = as_integers(after(nodes.y, factors)), after(nodes.y, 2 * factors)
    steps, found, of_upper = after(sums, 16), after(sums, 20), after(sums, 25)
    steps[2], steps[3], sums[15] = 0.0, 0.0, 0.0
    for k in range(3):
        of_upper[k] = 0.0
    for i in range(rows.rows):
        table.across[i] = mixed + table.beside[i] * scale
    for g in range(rows.groups):
        own, many = _of_group(table, rows.starts[g]), rows.starts[g + 1] - rows.starts[g]
        if many == 0 and task != DRAW:
            values[g] = 0.0
            continue
        if task == DRAW:
            steps[2], steps[3], sums[15] = out[2 * g] - 0.5, out[2 * g + 1] - 0.5, another(out[2 * g])
        values[g], missed = _group(own, nodes, of, sums, many, s, sign, product, steps, found, tolerance, task)
        error += missed
        if task == DRAW:
            out[2 * g], out[2 * g + 1] = s * sums[13] + mixed * sums[14], scale * sums[14]
        elif task == GRADIENT:
            _add_linear(own, sums, many, s)
            for k in range(3):
                of_upper[k] += sums[3 + k]
    values[rows.groups] = error
    # From the entries 11, 12, 22 of the upper triangle to those of the lower one.
    turned = root[0] * (of_upper[1] * cosine - of_upper[0] * sine) / max(scale, 1e-300)
    of_root[0], of_root[1] = of_upper[0] * cosine + of_upper[1] * sine, 0.0
    of_root[2], of_root[3] = turned * cosine + of_upper[2] * sine, of_upper[2] * cosine - turned * sine


@njit(**APART)
def _most(rows: Rows) -> int:
    """Rows of a group, at most."""
    most = 0
    for g in range(rows.groups):
        most = max(most, rows.starts[g + 1] - rows.starts[g])
    return most


@njit(**APART)
def _tell(of: Loops, model: Model, table: Columns, values: Floats, of_root: Floats, out: Floats) -> None:
    """The log likelihood, and its derivatives."""
    n, p = model.rows.rows, model.coordinates
    out[0] = sum_of(values, model.rows.groups)
    for c in range(p):
        out[1 + c] = dot(after(model.F, c * n), table.of_eta, n)
    for k in range(4):
        out[1 + p + k] = of_root[k]
    if of.tag[0] > 0:
        out[5 + p] = sum_of(table.of_u, n)


def _answer_planes(asked: Any) -> None:
    """See `group_quadrature_kernels`; PILOT is not asked for, and DRAW takes two uniform numbers a group."""
    x, data, sizes, out, of, of_parts, product = taken(asked)
    model, task, u = unpacked(data, sizes, 2), sizes[TASK], 0.0
    rows, n, groups, p = model.rows, model.rows.rows, model.rows.groups, model.coordinates
    width, factors = p + 4 + model.parameters, _most(model.rows) * FEW + TOGETHER
    size = width + 1 if task == GRADIENT else groups + 1 if task == VALUES else 2 * groups
    a = room_for(14 * n + 1 + groups + 1 + 4 + 3 * MOST + 2 * factors + 28)
    eta, of_eta = after(a, 4 * n), after(a, 6 * n)
    of_u, x_of = after(a, 7 * n), after(a, 9 * n)  # between them what `add_base` says of v
    table = Columns(
        a, after(a, n), after(a, 2 * n), after(a, 3 * n), eta, after(a, 5 * n), model.beside, x_of, of_eta, of_u
    )
    of_rows, base = after(x_of, n + 1), after(x_of, 2 * n + 1)
    values = after(x_of, 5 * n + 1)
    of_root = after(values, groups + 1)
    for d in range(sizes[POINTS]):
        phi, told = after(x, d * width), after(out, d * size)
        root, known = after(phi, p), sum_of(phi, width)
        if known - known != 0.0:
            for k in range(size):
                told[k] = math.nan
            continue
        if of.tag[0] > 0:
            u = root[4]
        for i in range(n):
            eta[i], of_rows[i] = model.offset[i], u
        for c in range(p):
            add_row(eta, after(model.F, c * n), phi[c], n)
        call_set_parts(of_parts, (of.tag, rows, u, a, table.c, table.d_a, table.d_c))
        sign = float(of.tag[1])
        _planes(table, rows, sign, product, root, model.tolerance, values, of_root, task, told, after(of_root, 4))
        if task == DRAW:
            continue
        at = Point(of_rows, of_rows, of_rows, of_rows)
        call_add_base(of.base, (of.tag, rows, at, values, of_eta, base))
        if task == GRADIENT:
            _tell(of, model, table, values, of_root, told)
        else:
            for g in range(groups + 1):
                told[g] = values[g]
    leave(a)


_TAKEN = (*SIGNATURE.args, LOOPS, types.int64, types.boolean)
call_planes = caller(*_TAKEN)


def name_of_planes() -> str:
    """The name of `_answer_planes`, which serves all families, and is compiled now or found on disk."""
    return by_name(_answer_planes, _TAKEN).name
