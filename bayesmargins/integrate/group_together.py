"""One effect a group, integrated out at eight points at once: what `group_quadrature_kernels` computes, in lanes.

Where many points are asked for, each lane is a point: all of them have the same rows, and as many nodes each, placed by
`Model.rest`. There is no exponential a node: exp(b) is a geometric sequence, and so is what one node's prior is to the
next. A lane whose nodes do not do is computed by itself, as elsewhere.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.entry import SIGNATURE
from bayesmargins.integrate.group_loops import LOOPS, Loops, call_add_base
from bayesmargins.integrate.group_model import Model, unpacked
from bayesmargins.integrate.group_nodes import SEARCHED, STEEP, call_search, drop_of
from bayesmargins.integrate.group_quadrature_kernels import SPARED, draw
from bayesmargins.integrate.group_rows import LANES, ROOM, Floats, Integers, Lattices, Point
from bayesmargins.integrate.group_tasks import COLUMNS, DRAW, POINTS, TASK
from bayesmargins.integrate.lanes import WIDTH, lanes_at, lanes_of, larger, root, set_lanes, where_less
from bayesmargins.integrate.pointers import after, as_integers, keep, start_of
from bayesmargins.integrate.vector_math import another, vector_exp, vector_log

__all__ = ["call_together", "name_of_together"]

_TOGETHER, _FEW = 8, 4  # factors in one loop, and those of a row among them, at most
_LARGEST = 80.0  # eta of each of them: their product is finite
_FARTHEST = 600.0  # from the middle node, in log prior and linear part: exp() of it is finite


class Block(NamedTuple):
    """Eight points, and a group's rows and nodes at them.

    Attributes
    ----------
    points : (variable, lane) float
    eta, power : (row, lane) float
        Without b, and exp() of it; a row more has power 0.
    factors : (factor,) int
        Rows whose power is a factor 1 + power exp(b), in whole loops of `_TOGETHER`.
    P : (node, lane) float
        Densities of the nodes, times the same for all of a lane.
    told : (lane,) float
        Room.
    """

    points: Floats
    eta: Floats
    power: Floats
    factors: Integers
    P: Floats
    told: Floats


@njit(**APART)
def _set_points(block: Block, x: Floats, width: int, points: int) -> None:
    """The first points, or the last one again; 0 in place of what is no number."""
    for lane in range(WIDTH):
        own = after(x, min(lane, points - 1) * width)
        for k in range(width):
            block.points[k * WIDTH + lane] = own[k] if own[k] - own[k] == 0.0 else 0.0


@njit(**APART)
def _set_factors(model: Model, g: int, block: Block) -> int:
    """How many there are."""
    begin, end, count = model.rows.starts[g], model.rows.starts[g + 1], 0
    for i in range(begin, end):
        for _ in range(int(model.rows.weights[i] * model.rows.n[i])):
            block.factors[count] = i - begin
            count += 1
    set_lanes(block.power, WIDTH * (end - begin), lanes_of(0.0))
    while count % _TOGETHER > 0:
        block.factors[count] = end - begin
        count += 1
    return count


@njit(**APART)
def _set_rows(model: Model, g: int, block: Block) -> tuple[Any, Any, Any]:
    """eta of the group's rows: the mean, the largest, and the sum of y eta."""
    rows, begin, end = model.rows, model.rows.starts[g], model.rows.starts[g + 1]
    total, most, constant = lanes_of(0.0), lanes_of(-math.inf), lanes_of(0.0)
    for i in range(begin, end):
        eta = lanes_of(model.offset[i])
        for c in range(model.coordinates):
            eta += lanes_at(block.points, WIDTH * c) * model.F[c * rows.rows + i]
        total, most, constant = total + eta, larger(eta, most), constant + rows.weights[i] * rows.y[i] * eta
        set_lanes(block.eta, WIDTH * (i - begin), eta)
        set_lanes(block.power, WIDTH * (i - begin), vector_exp(eta))
    return total / float(end - begin), most, constant


@njit(**INNER)
def _size(x: Any) -> Any:
    return larger(x, 0.0 - x)


@njit(**INNER)
def _if_less(good: Any, a: Any, b: Any) -> Any:
    """good where a < b, 0 elsewhere."""
    return where_less(a, b, good, lanes_of(0.0))


@njit(**APART)
def _set_densities(block: Block, factors: int, s: Any, first: Any, step: Any, linear: float, count: int) -> Any:
    """P of nodes first + k step, relative to that in the middle; log density there without `constant`.

    The second number is how far the outer ones are from it without the factors.
    """
    last, middle = first + step * (count - 1.0), first + step * (count // 2 + 0.0)
    scale = (linear * s - 0.5 * middle) * middle
    left, right = (linear * s - 0.5 * first) * first - scale, (linear * s - 0.5 * last) * last - scale
    P, far = vector_exp(left), larger(_size(left), _size(right))
    ahead, less = vector_exp(step * (linear * s - first - 0.5 * step)), vector_exp(lanes_of(0.0) - step * step)
    for k in range(count):
        set_lanes(block.P, WIDTH * k, P)
        P, ahead = P * ahead, ahead * less
    start, apart, inverse = vector_exp(s * first), vector_exp(s * step), lanes_of(1.0)
    for f in range(0, factors, _TOGETHER):
        x0, x1 = lanes_at(block.power, WIDTH * block.factors[f]), lanes_at(block.power, WIDTH * block.factors[f + 1])
        x2, x3 = lanes_at(block.power, WIDTH * block.factors[f + 2]), lanes_at(block.power, WIDTH * block.factors[f + 3])
        x4, x5 = lanes_at(block.power, WIDTH * block.factors[f + 4]), lanes_at(block.power, WIDTH * block.factors[f + 5])
        x6, x7 = lanes_at(block.power, WIDTH * block.factors[f + 6]), lanes_at(block.power, WIDTH * block.factors[f + 7])
        if f > 0:
            P = lanes_at(block.P, WIDTH * (count // 2))
            inverse, scale = 1.0 / P, scale + vector_log(P)
        c = start
        for k in range(count):
            one = ((1.0 + x0 * c) * (1.0 + x1 * c)) * ((1.0 + x2 * c) * (1.0 + x3 * c))
            two = ((1.0 + x4 * c) * (1.0 + x5 * c)) * ((1.0 + x6 * c) * (1.0 + x7 * c))
            set_lanes(block.P, WIDTH * k, lanes_at(block.P, WIDTH * k) * inverse / (one * two))
            c = c * apart
    return scale, far


@njit(**APART)
def _settled(block: Block, count: int, tolerance: float, drop: float) -> tuple[Any, Any, Any]:
    """Do the nodes do, as `group_nodes.settled` says (1: yes)? Their sum, and its error, relative."""
    last = WIDTH * (count - 1)
    s0, s1, s2, s3 = lanes_of(0.0), lanes_of(0.0), lanes_of(0.0), lanes_of(0.0)
    top = s0
    for k in range(0, WIDTH * count, 4 * WIDTH):
        p0, p1 = lanes_at(block.P, k), lanes_at(block.P, k + WIDTH)
        p2, p3 = lanes_at(block.P, k + 2 * WIDTH), lanes_at(block.P, k + 3 * WIDTH)
        s0, s1, s2, s3 = s0 + p0, s1 + p1, s2 + p2, s3 + p3
        top = larger(larger(larger(p0, p1), larger(p2, p3)), top)
    total = s0 + s1 + s2 + s3
    half = _size(s0 + s2 - s1 - s3) / total
    fourth = ((s0 - s2) * (s0 - s2) + (s1 - s3) * (s1 - s3)) / (total * total)
    error = half * half * larger(half / larger(fourth, lanes_of(1e-300)), lanes_of(1.0))
    left, right = lanes_at(block.P, 0), lanes_at(block.P, last)
    good = _if_less(lanes_of(1.0), error, lanes_of(tolerance))
    good = _if_less(good, larger(left, right), top * math.exp(-drop))
    good = _if_less(good, larger(lanes_at(block.P, WIDTH), lanes_at(block.P, last - WIDTH)), top * math.exp(-1.0))
    good = _if_less(_if_less(good, top, lanes_of(1e150)), lanes_of(1e-150), top)
    return good, total, error + (left + right) / total


@njit(**APART)
def _drawn(block: Block, s: Any, first: Any, step: Any, count: int) -> Any:
    """A node each, chosen by the uniform numbers `told` and the densities: the effect b there."""
    total, chosen = lanes_of(0.0), lanes_of(0.0)
    for k in range(count):
        total = total + lanes_at(block.P, WIDTH * k)
    left = total * lanes_at(block.told, 0)
    for k in range(count - 1):
        left = left - lanes_at(block.P, WIDTH * k)
        chosen = chosen + where_less(left, lanes_of(0.0), lanes_of(0.0), lanes_of(1.0))
    return s * (first + chosen * step)


@njit(**APART)
def _alone(
    of: Loops, model: Model, block: Block, at: Point, g: int, lane: int, task: int, lattices: Lattices, found: Floats,
    room: Floats,
) -> float:  # fmt: skip
    """Of one lane: log of the integral, or the draw of b for the uniform number `told`; `found` as of a search."""
    begin, end, s = model.rows.starts[g], model.rows.starts[g + 1], block.points[model.coordinates * WIDTH + lane]
    if begin == end and task != DRAW:
        found[0], found[1] = 0.0, 0.0
        return 0.0
    for i in range(begin, end):
        at.eta[i], at.power[i] = block.eta[(i - begin) * WIDTH + lane], block.power[(i - begin) * WIDTH + lane]
    call_search(of.search, (of, model.rows, at, g, s, model.widest[g], model.tolerance, lattices, found, room))
    return draw(of, model, at, s, g, lattices, block.told[lane], room) if task == DRAW else found[0]


@njit(**APART)
def _together(
    of: Loops, model: Model, block: Block, at: Point, g: int, task: int, lattices: Lattices, found: Floats,
    room: Floats, errors: Floats,
) -> None:  # fmt: skip
    """One group at eight points: `told` becomes the logs of the integrals, or draws of b; the errors are added."""
    rest, count, begin, end = after(model.rest, g * COLUMNS), 0, model.rows.starts[g], model.rows.starts[g + 1]
    count, good = int(rest[4]), lanes_of(0.0)
    mean, most, constant = _set_rows(model, g, block)
    told = good
    if count > 0:
        s, linear = lanes_at(block.points, WIDTH * model.coordinates), 0.0
        for i in range(begin, end):
            linear += model.rows.weights[i] * model.rows.y[i]
        precision = 1.0 + s * s * rest[0]
        sd, centre = 1.0 / root(precision), s * (rest[1] - rest[0] * mean) / precision
        unit = (rest[2] + rest[3]) / (count - 1.5)  # as of `group_nodes.around`
        step = sd * unit
        first, factors = centre - step * (0.25 + 0.5 * math.ceil(2.0 * rest[2] / unit - 0.5)), _set_factors(model, g, block)
        scale, far = _set_densities(block, factors, s, first, step, linear, count)
        good, total, error = _settled(block, count, model.tolerance, drop_of(model.tolerance) - SPARED)
        good = _if_less(good, _size(s) * step, lanes_of(2.0 * STEEP))
        end_b = larger(s * first, s * (first + step * (count + 0.0)))
        good = _if_less(good, most + end_b, lanes_of(_LARGEST))
        good = _if_less(good, far, lanes_of(_FARTHEST))
        set_lanes(errors, 0, lanes_at(errors, 0) + where_less(lanes_of(0.0), good, error, lanes_of(0.0)))
        if task == DRAW:
            for lane in range(WIDTH):
                block.told[lane + WIDTH] = another(block.told[lane]) - 1.0
            first = first + lanes_at(block.told, WIDTH) * step
            _set_densities(block, factors, s, first, step, linear, count + 1)
            told = _drawn(block, s, first, step, count + 1)
        else:
            told = constant + scale + vector_log(total * step) - 0.9189385332046727
    set_lanes(block.told, WIDTH, good)
    set_lanes(block.told, 2 * WIDTH, told)
    for lane in range(WIDTH):
        if block.told[WIDTH + lane] == 0.0:
            block.told[lane] = _alone(of, model, block, at, g, lane, task, lattices, found, room)
            errors[lane] += found[1]
        else:
            block.told[lane] = block.told[2 * WIDTH + lane]


@njit(**APART)
def _longest(model: Model) -> int:
    """Most rows of a group."""
    most = 0
    for g in range(model.rows.groups):
        most = max(most, model.rows.starts[g + 1] - model.rows.starts[g])
    return most


@njit(**APART)
def _most_nodes(model: Model) -> int:
    """Of a group."""
    most = 0
    for g in range(model.rows.groups):
        most = max(most, int(model.rest[g * COLUMNS + 4]))
    return most


def _answer_together(asked: Any) -> None:
    """VALUES and DRAW of `group_quadrature_kernels`, of rows that are multiplied and whose effect is added to eta."""
    x, data, sizes, out, of = taken(asked)
    model, task, points = unpacked(data, sizes, 1), sizes[TASK], sizes[POINTS]
    n, groups, width = model.rows.rows, model.rows.groups, model.coordinates + 1
    size, rows, nodes = groups if task == DRAW else groups + 1, _longest(model) + 1, _most_nodes(model) + 1
    memory = np.zeros(4 * n + 5 * groups + 3 * n + (width + 2 * rows + nodes + 4) * WIDTH + _FEW * rows + _TOGETHER + SEARCHED + 4 + ROOM + LANES)
    eta = start_of(memory)
    at, base = Point(eta, after(eta, n), after(eta, 2 * n), after(eta, 3 * n)), after(eta, 4 * n)
    fixed, first = after(base, 3 * n), after(base, 3 * n + groups)
    step, counts, places = after(first, groups), after(first, 2 * groups), after(first, 3 * groups)
    own = after(first, 4 * groups)
    etas, powers = after(own, width * WIDTH), after(own, (width + rows) * WIDTH)
    P, told = after(own, (width + 2 * rows) * WIDTH), after(own, (width + 2 * rows + nodes) * WIDTH)
    errors, factors = after(told, 3 * WIDTH), after(told, 4 * WIDTH)
    room = after(factors, _FEW * rows + _TOGETHER)
    found = after(room, SEARCHED)
    block = Block(own, etas, powers, as_integers(factors), P, told)
    lattices = Lattices(first, step, as_integers(counts), as_integers(places), after(found, 4))
    call_add_base(of.base, (of.tag, model.rows, at, fixed, base, base))
    for d in range(0, points, WIDTH):
        here = min(points - d, WIDTH)
        _set_points(block, after(x, d * width), width, points - d)
        set_lanes(errors, 0, lanes_of(0.0))
        for g in range(groups):
            if task == DRAW:
                for lane in range(WIDTH):
                    told[lane] = out[(d + min(lane, here - 1)) * size + g]
            _together(of, model, block, at, g, task, lattices, found, room, errors)
            for lane in range(here):
                out[(d + lane) * size + g] = told[lane] if task == DRAW else told[lane] + fixed[g]
        if task != DRAW:
            for lane in range(here):
                out[(d + lane) * size + groups] = errors[lane]
        for lane in range(here):
            total = 0.0
            for k in range(width):
                total += x[(d + lane) * width + k]
            if total - total != 0.0:
                for k in range(size):
                    out[(d + lane) * size + k] = math.nan
    keep(memory)


_TAKEN = (*SIGNATURE.args, LOOPS)
call_together = caller(*_TAKEN)


def name_of_together() -> str:
    """The name of `_answer_together`, which is compiled now or found on disk."""
    return by_name(_answer_together, _TAKEN).name
