"""One effect a group, integrated out at eight points at once: what `group_quadrature_kernels` does, for logit rows.

Where many points are asked for, each lane is a point. All lanes have the same rows, and as many nodes, placed by
`Model.rest`. No node takes an exponential: from one to the next exp(b) is multiplied by a number, and so is what the
prior is multiplied by. Eight rows are a polynomial in exp(b), whose coefficients serve all nodes. A lane whose nodes do
not do is searched for by itself.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.entry import SIGNATURE
from bayesmargins.integrate.group_loops import LOOPS, Loops, call_add_base
from bayesmargins.integrate.group_model import Model, unpacked
from bayesmargins.integrate.group_nodes import SEARCHED, STEEP, call_search, drop_of
from bayesmargins.integrate.group_quadrature_kernels import SPARED, clear, draw, finite
from bayesmargins.integrate.group_rows import LANES, ROOM, Floats, Integers, Lattices, Point
from bayesmargins.integrate.group_tasks import COLUMNS, DRAW, POINTS, TASK, WIDTH
from bayesmargins.integrate.lanes import if_less, lanes_at, lanes_of, larger, root, set_lanes, size_of
from bayesmargins.integrate.pointers import after, as_integers, leave, room_for
from bayesmargins.integrate.vector_math import another, vector_exp, vector_log

__all__ = ["call_together", "name_of_together"]

_TOGETHER = 8  # factors of a polynomial
_LARGEST = (
    80.0  # of eta, b and their sum: coefficients and polynomials are finite, and what is lost is nothing beside 1
)
_FARTHEST = 600.0  # from the middle node in log density, without the factors: exp() of it is finite


class Block(NamedTuple):
    """Eight points, and at them a group's rows and nodes."""

    points: Floats  # (variable, lane)
    eta: Floats  # (row, lane), without b
    power: Floats  # (row, lane), exp() of it; a row more has power 0
    factors: Integers  # (factor,), rows whose power is x of a factor 1 + x exp(b), in whole polynomials
    P: Floats  # (node, lane), densities, relative to the same for all nodes of a lane
    told: Floats  # (lane,), uniform numbers, then what is asked for; room for two numbers more a lane
    errors: Floats  # (lane,), of all groups so far


class Line(NamedTuple):
    """Nodes z = first + k step of one group, k below `nodes`, in lanes, where the effect is b = s z.

    `linear` is the sum of the rows' y, `factors` how many there are.
    """

    s: Any
    first: Any
    step: Any
    nodes: int
    linear: float
    factors: int


@njit(**APART)
def _set_points(block: Block, x: Floats, width: int, points: int) -> None:
    """The first of so many points, and the last one again where there are no more; 0 for what is no number."""
    for lane in range(WIDTH):
        own = after(x, (lane if lane < points else points - 1) * width)
        for k in range(width):
            block.points[k * WIDTH + lane] = own[k] if own[k] - own[k] == 0.0 else 0.0


@njit(**APART)
def _set_factors(model: Model, group: int, block: Block) -> tuple[int, float]:
    """How many there are, and the sum of y."""
    rows, begin, count, linear = model.rows, model.rows.starts[group], 0, 0.0
    own = rows.starts[group + 1] - begin
    for i in range(own):
        linear += rows.weights[begin + i] * rows.y[begin + i]
        for _ in range(int(rows.weights[begin + i] * rows.n[begin + i])):
            block.factors[count] = i
            count += 1
    set_lanes(block.power, WIDTH * own, lanes_of(0.0))
    while count % _TOGETHER > 0:
        block.factors[count] = own
        count += 1
    return count, linear


@njit(**APART)
def _set_rows(model: Model, group: int, block: Block) -> tuple[Any, Any, Any]:
    """eta of the group's rows: the mean, the largest, and the sum of y eta."""
    rows, begin, end = model.rows, model.rows.starts[group], model.rows.starts[group + 1]
    total, most, constant = lanes_of(0.0), lanes_of(-math.inf), lanes_of(0.0)
    for i in range(begin, end):
        eta = lanes_of(model.offset[i])
        for c in range(model.coordinates):
            eta += lanes_at(block.points, WIDTH * c) * model.F[c * rows.rows + i]
        total, most, constant = total + eta, larger(eta, most), constant + rows.weights[i] * rows.y[i] * eta
        set_lanes(block.eta, WIDTH * (i - begin), eta)
        set_lanes(block.power, WIDTH * (i - begin), vector_exp(eta))
    return total / float(end - begin), most, constant


@njit(**APART)
def _placed(model: Model, group: int, block: Block, mean: Any) -> Line:
    """Where nodes lie by what is known of the group, as of `group_nodes.around`."""
    rest, s = after(model.rest, group * COLUMNS), lanes_at(block.points, WIDTH * model.coordinates)
    factors, linear = _set_factors(model, group, block)
    count, precision = int(rest[4]), 1.0 + s * s * rest[0]
    sd, centre = 1.0 / root(precision), s * (rest[1] - rest[0] * mean) / precision
    unit = (rest[2] + rest[3]) / (count - 1.5)
    first = centre - sd * (unit * (0.25 + 0.5 * math.ceil(2.0 * rest[2] / unit - 0.5)))
    return Line(s, first, sd * unit, count, linear, factors)


@njit(**INNER)
def _polynomial(block: Block, f: int) -> tuple[Any, ...]:
    """Coefficients of the product of factors 1 + x c from the f-th on, beside 1: none is below 0, nothing cancels."""
    a1, a2, a3, a4 = lanes_of(0.0), lanes_of(0.0), lanes_of(0.0), lanes_of(0.0)
    a5, a6, a7, a8 = a1, a2, a3, a4
    for j in range(f, f + _TOGETHER):
        x = lanes_at(block.power, WIDTH * block.factors[j])
        a8, a7, a6, a5 = a8 + x * a7, a7 + x * a6, a6 + x * a5, a5 + x * a4
        a4, a3, a2, a1 = a4 + x * a3, a3 + x * a2, a2 + x * a1, a1 + x
    return a1, a2, a3, a4, a5, a6, a7, a8


@njit(**INNER)
def _product(a: tuple[Any, ...], c: Any) -> Any:
    """Of the factors of `_polynomial`."""
    high = (((a[7] * c + a[6]) * c + a[5]) * c + a[4]) * c + a[3]
    return (((high * c + a[2]) * c + a[1]) * c + a[0]) * c + 1.0


@njit(**APART)
def _set_densities(block: Block, line: Line) -> tuple[Any, Any]:
    """P relative to the middle node; its log density without the sum of y eta; the largest distance to it.

    The last is without the factors. Those take P from there towards what it will be, without going further.
    """
    s, first, step, count, linear, factors = line
    end, middle = first + step * (count - 1.0), first + step * (count // 2 + 0.0)
    scale = (linear * s - 0.5 * middle) * middle
    left, right = (linear * s - 0.5 * first) * first - scale, (linear * s - 0.5 * end) * end - scale
    P, bend = vector_exp(left), vector_exp(0.0 - step * step)
    slope = vector_exp(step * (linear * s - first - 0.5 * step))
    start, ratio = vector_exp(s * first), vector_exp(s * step)
    for f in range(0, factors, _TOGETHER):
        a, c = _polynomial(block, f), start
        if f == 0:
            for k in range(count):
                set_lanes(block.P, WIDTH * k, P / _product(a, c))
                P, slope, c = P * slope, slope * bend, c * ratio
        else:
            P = lanes_at(block.P, WIDTH * (count // 2))
            scale, P = scale + vector_log(P), 1.0 / P
            for k in range(count):
                set_lanes(block.P, WIDTH * k, lanes_at(block.P, WIDTH * k) * P / _product(a, c))
                c = c * ratio
    return scale, larger(size_of(left), size_of(right))


@njit(**APART)
def _settled(block: Block, count: int, tolerance: float) -> tuple[Any, Any, Any]:
    """Do so many nodes, in whole lanes, do (1: yes)? Their sum and its error, relative: `group_nodes.settled`."""
    s0, s1, s2, s3 = lanes_of(0.0), lanes_of(0.0), lanes_of(0.0), lanes_of(0.0)
    top = s0
    for k in range(0, WIDTH * count, 4 * WIDTH):
        p0, p1 = lanes_at(block.P, k), lanes_at(block.P, k + WIDTH)
        p2, p3 = lanes_at(block.P, k + 2 * WIDTH), lanes_at(block.P, k + 3 * WIDTH)
        s0, s1, s2, s3 = s0 + p0, s1 + p1, s2 + p2, s3 + p3
        top = larger(larger(larger(p0, p1), larger(p2, p3)), top)
    total = s0 + s1 + s2 + s3
    half = size_of(s0 + s2 - s1 - s3) / total
    fourth = ((s0 - s2) * (s0 - s2) + (s1 - s3) * (s1 - s3)) / (total * total)
    error = half * half * larger(half / larger(fourth, lanes_of(1e-300)), lanes_of(1.0))
    last = WIDTH * (count - 1)
    left, right = lanes_at(block.P, 0), lanes_at(block.P, last)
    inner, least = larger(lanes_at(block.P, WIDTH), lanes_at(block.P, last - WIDTH)), drop_of(tolerance) - SPARED
    good = if_less(error, lanes_of(tolerance), lanes_of(1.0))
    good = if_less(inner, top * math.exp(-1.0), if_less(larger(left, right), top * math.exp(-least), good))
    return if_less(top, lanes_of(1e150), if_less(lanes_of(1e-150), top, good)), total, error + (left + right) / total


@njit(**APART)
def _drawn(block: Block, line: Line) -> Any:
    """b at a node that a uniform number, `told`, chooses: `group_quadrature_kernels.draw`."""
    for lane in range(WIDTH):
        block.told[WIDTH + lane] = another(block.told[lane]) - 1.0
    first, count = line.first + lanes_at(block.told, WIDTH) * line.step, line.nodes + 1
    _set_densities(block, Line(line.s, first, line.step, count, line.linear, line.factors))
    total, chosen = lanes_of(0.0), lanes_of(0.0)
    for k in range(count):
        total += lanes_at(block.P, WIDTH * k)
    left = total * lanes_at(block.told, 0)
    for k in range(count - 1):
        left -= lanes_at(block.P, WIDTH * k)
        chosen += 1.0 - if_less(left, lanes_of(0.0), lanes_of(1.0))
    return line.s * (first + chosen * line.step)


@njit(**APART)
def _alone(
    of: Loops, model: Model, block: Block, at: Point, group: int, lane: int, task: int, lattices: Lattices,
    found: Floats, room: Floats,
) -> float:  # fmt: skip
    """Of one lane what is asked for, by a search, which `found` is of."""
    rows, begin, end = model.rows, model.rows.starts[group], model.rows.starts[group + 1]
    found[0], found[1], s = 0.0, 0.0, block.points[model.coordinates * WIDTH + lane]
    for i in range(begin, end):
        at.eta[i], at.power[i] = block.eta[(i - begin) * WIDTH + lane], block.power[(i - begin) * WIDTH + lane]
    if begin < end or task == DRAW:
        call_search(of.search, (of, rows, at, group, s, model.widest[group], model.tolerance, lattices, found, room))
    return draw(of, model, at, s, group, lattices, block.told[lane], room) if task == DRAW else found[0]


@njit(**APART)
def _tell(
    of: Loops, model: Model, block: Block, at: Point, group: int, task: int, lattices: Lattices, found: Floats,
    room: Floats,
) -> None:  # fmt: skip
    """`told` becomes the logs of the group's integrals, or draws of its b."""
    good, told = lanes_of(0.0), lanes_of(0.0)
    mean, most, constant = _set_rows(model, group, block)
    if model.rest[group * COLUMNS + 4] > 0.0:
        line = _placed(model, group, block, mean)
        scale, far = _set_densities(block, line)
        good, total, error = _settled(block, line.nodes, model.tolerance)
        largest = larger(line.s * (line.first - line.step), line.s * (line.first + line.step * (line.nodes + 0.0)))
        good = if_less(size_of(line.s) * line.step, lanes_of(2.0 * STEEP), if_less(far, lanes_of(_FARTHEST), good))
        good = if_less(larger(larger(most, largest), most + largest), lanes_of(_LARGEST), good)
        set_lanes(block.errors, 0, lanes_at(block.errors, 0) + if_less(lanes_of(0.0), good, error))
        if task == DRAW:
            told = _drawn(block, line)
        else:
            told = constant + scale + vector_log(total * line.step) - 0.9189385332046727
    set_lanes(block.told, WIDTH, good)
    set_lanes(block.told, 2 * WIDTH, told)
    for lane in range(WIDTH):
        if block.told[WIDTH + lane] > 0.0:
            block.told[lane] = block.told[2 * WIDTH + lane]
        else:
            block.told[lane] = _alone(of, model, block, at, group, lane, task, lattices, found, room)
            block.errors[lane] += found[1]


@njit(**APART)
def _most(model: Model) -> tuple[int, int, int]:
    """Rows of a group, factors, and nodes."""
    rows, factors, nodes = 0, 0, 0
    for g in range(model.rows.groups):
        begin, end, own = model.rows.starts[g], model.rows.starts[g + 1], 0
        for i in range(begin, end):
            own += int(model.rows.weights[i] * model.rows.n[i])
        rows, factors, nodes = max(rows, end - begin), max(factors, own), max(nodes, int(model.rest[g * COLUMNS + 4]))
    return rows, factors + _TOGETHER, nodes


def _answer_together(asked: Any) -> None:
    """VALUES and DRAW of `group_quadrature_kernels`: rows have a few factors each, and b is added to their eta."""
    x, data, sizes, out, of = taken(asked)
    model, task, points = unpacked(data, sizes, 1), sizes[TASK], sizes[POINTS]
    n, groups, width = model.rows.rows, model.rows.groups, model.coordinates + 1
    size, (rows, factors, nodes) = groups if task == DRAW else groups + 1, _most(model)
    lanes = WIDTH * (width + 2 * (rows + 1) + nodes + 1 + 4)
    eta = room_for(7 * n + 5 * groups + lanes + factors + SEARCHED + 4 + ROOM + LANES)
    at, base = Point(eta, after(eta, n), after(eta, 2 * n), after(eta, 3 * n)), after(eta, 4 * n)
    fixed = after(base, 3 * n)
    first, step = after(fixed, groups), after(fixed, 2 * groups)
    counts, places = as_integers(after(fixed, 3 * groups)), as_integers(after(fixed, 4 * groups))
    own = after(fixed, 5 * groups)
    etas, powers = after(own, WIDTH * width), after(own, WIDTH * (width + rows + 1))
    P = after(powers, WIDTH * (rows + 1))
    told = after(P, WIDTH * (nodes + 1))
    room = after(own, lanes + factors)
    found = after(room, SEARCHED)
    block = Block(own, etas, powers, as_integers(after(own, lanes)), P, told, after(told, 3 * WIDTH))
    lattices = Lattices(first, step, counts, places, after(found, 4))
    clear(at.u, 2 * n)
    clear(fixed, groups)
    call_add_base(of.base, (of.tag, model.rows, at, fixed, base, base))
    for d in range(0, points, WIDTH):
        _set_points(block, after(x, d * width), width, points - d)
        set_lanes(block.errors, 0, lanes_of(0.0))
        here = min(WIDTH, points - d)
        for g in range(groups):
            for lane in range(WIDTH):
                told[lane] = out[(d + min(lane, here - 1)) * size + g] if task == DRAW else 0.0
            _tell(of, model, block, at, g, task, lattices, found, room)
            for lane in range(here):
                out[(d + lane) * size + g] = told[lane] if task == DRAW else told[lane] + fixed[g]
        for lane in range(here):
            if task != DRAW:
                out[(d + lane) * size + groups] = block.errors[lane]
            if not finite(after(x, (d + lane) * width), width):
                for k in range(size):
                    out[(d + lane) * size + k] = math.nan
    leave(eta)


_TAKEN = (*SIGNATURE.args, LOOPS)
call_together = caller(*_TAKEN)


def name_of_together() -> str:
    """The name of `_answer_together`, which is compiled now or found on disk."""
    return by_name(_answer_together, _TAKEN).name
