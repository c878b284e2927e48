"""Compiled likelihood with the effects of one factor integrated out group by group, its gradient, and draws of b."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.entry import SIGNATURE
from bayesmargins.integrate.group_loops import LOOPS, Loops, call_add_base, call_averages, call_log_densities
from bayesmargins.integrate.group_model import Model, unpacked
from bayesmargins.integrate.group_nodes import SEARCHED, STEEP, around, call_search, drop_of, largest, settled
from bayesmargins.integrate.group_rows import LANES, ROOM, WORK, Floats, Lattices, Point
from bayesmargins.integrate.group_tasks import COLUMNS, DRAW, GRADIENT, PILOT, POINTS, TASK, VALUES
from bayesmargins.integrate.pointers import after, as_integers, leave, room_for
from bayesmargins.integrate.small_kernels import add_row, dot, sum_of
from bayesmargins.integrate.vector_math import another, vector_exp

__all__ = ["SPARED", "call_answer", "clear", "draw", "finite", "name_of_answer"]

_FAR = 1e9  # a threshold where there is none: no eta is near it
_MARGIN = 1.12  # by how much more than at the pilot point the first nodes reach
_WIDER = (1.8, 1.5, 1.25)  # the same, where as many nodes do: they come in lanes, and some are not needed
_MOST = 1.6  # times as many nodes as there, so that they also do where their sum is a little less exact
SPARED = 1.0  # of the drop to these ends, where a little more is not worth a search


@njit(**APART)
def clear(out: Floats, n: int) -> None:
    """The first n entries."""
    for i in range(n):
        out[i] = 0.0


@njit(**APART)
def _set_point(of: Loops, model: Model, phi: Floats, aux: Floats, at: Point) -> None:
    """eta without b, and the family's parameters of each row."""
    n, count, sign = model.rows.rows, model.parameters, float(of.tag[1])
    for i in range(n):
        at.eta[i] = model.offset[i]
    for c in range(model.coordinates):
        add_row(at.eta, after(model.F, c * n), phi[c], n)
    if sign != 0.0:
        for i in range(n):
            at.power[i] = vector_exp(sign * at.eta[i])
    if of.tag[0] > 0:
        for i in range(n):
            j, k = model.reads[i], model.reads[n + i]
            at.u[i] = aux[j] if j < count else -_FAR
            at.v[i] = aux[k] if k < count else _FAR
    else:
        clear(at.u, n)
        clear(at.v, n)


@njit(**INNER)
def _mean_eta(model: Model, at: Point, group: int) -> float:
    """Of the group's rows."""
    begin, end, eta = model.rows.starts[group], model.rows.starts[group + 1], 0.0
    for i in range(begin, end):
        eta += at.eta[i]
    return eta / (end - begin)


@njit(**APART)
def _set_at_rest(model: Model, at: Point, s: float, lattices: Lattices) -> None:
    """Where nodes of each group lie by what is known of it; none of a group of which nothing is."""
    place = 0
    for g in range(model.rows.groups):
        rest = after(model.rest, g * COLUMNS)
        count = int(rest[4])
        lattices.first[g], lattices.step[g] = 0.0, 0.0
        if count > 0:
            precision = 1.0 + s * s * rest[0]
            sd = 1.0 / math.sqrt(precision)
            centre = s * (rest[1] - rest[0] * _mean_eta(model, at, g)) / precision
            lattices.first[g], lattices.step[g] = around(centre, rest[2] * sd, rest[3] * sd, count)
        lattices.counts[g], lattices.places[g] = count, place
        place += count


@njit(**APART)
def _integrals(
    of: Loops, model: Model, at: Point, s: float, lattices: Lattices, values: Floats, r: Floats, of_s: Floats,
    peaks: Floats, room: Floats, task: int,
) -> tuple[Lattices, float]:  # fmt: skip
    """Sets values (group,) to the logs of the integrals; the nodes, and the sum of the errors.

    For the gradient, r (3, row) and of_s (1,) get the averages of the derivatives. peaks (group, 2) get z and its
    precision at each peak that was searched for.
    """
    rows, groups, error = model.rows, model.rows.groups, 0.0
    shares, drop, counts = after(room, WORK), drop_of(model.tolerance) - SPARED, lattices.counts
    call_log_densities(of.log_densities, (of.tag, rows, at, 0, groups, s, lattices, room))
    for g in range(groups):
        count = counts[g]
        if count > 0 and lattices.step[g] * abs(s) * model.widest[g] > 2.0 * STEEP:
            count = 0
        if count > 0:
            need, values[g], missed = settled(lattices, g, model.tolerance, drop, shares)
            count = counts[g] if need == 0 else 0
            error += missed
        counts[g] = count
    if task == GRADIENT:
        call_averages(of.averages, (of.tag, rows, at, 0, groups, s, lattices, r, of_s, room))
    found = after(room, SEARCHED)
    own = Lattices(lattices.first, lattices.step, counts, lattices.places, after(found, 4))
    for g in range(groups):
        if counts[g] == 0 and (rows.starts[g] < rows.starts[g + 1] or task == DRAW):
            call_search(of.search, (of, rows, at, g, s, model.widest[g], model.tolerance, own, found, room))
            values[g], peaks[2 * g], peaks[2 * g + 1] = found[0], found[2], found[3]
            error += found[1]
            if task == GRADIENT:
                call_averages(of.averages, (of.tag, rows, at, g, g + 1, s, own, r, of_s, room))
    return own, error


@njit(**APART)
def _does(of: Loops, model: Model, at: Point, s: float, g: int, count: int, lattices: Lattices, room: Floats) -> bool:
    """Would so many of the group's nodes still do a little further off?"""
    first, step, drop = lattices.first[g], lattices.step[g], drop_of(model.tolerance) - SPARED
    if step * abs(s) * model.widest[g] > STEEP:
        return False
    for half in range(2):  # halves may agree by chance; those of nodes half a step away do not then
        lattices.first[g], lattices.counts[g], lattices.places[g] = first + 0.5 * half * step, count, 0
        call_log_densities(of.log_densities, (of.tag, model.rows, at, g, g + 1, s, lattices, room))
        if settled(lattices, g, 0.1 * model.tolerance, drop, after(room, WORK))[0] != 0:
            return False
    return True


@njit(**APART)
def _rest(
    of: Loops, model: Model, at: Point, s: float, peaks: Floats, lattices: Lattices, out: Floats, room: Floats
) -> None:
    """out: `Model.rest`, from the peaks and nodes at a pilot point."""
    first, step, counts = lattices.first, lattices.step, lattices.counts
    for g in range(model.rows.groups):
        rest = after(out, g * COLUMNS)
        for k in range(COLUMNS):
            rest[k] = 0.0
        z, precision, count = peaks[2 * g], peaks[2 * g + 1], counts[g]
        if count == 0 or not precision > 1.0:
            continue
        scale = math.sqrt(precision)
        rest[0] = (precision - 1.0) / (s * s)
        rest[1] = z * precision / s + rest[0] * _mean_eta(model, at, g)
        left, right = scale * (z - first[g]), scale * (first[g] + (count - 1) * step[g] - z)
        most, margin = (int(_MOST * count) + LANES) // LANES * LANES, _MARGIN
        fewest = min(LANES, most)
        while fewest < most:
            lattices.first[g], lattices.step[g] = around(z, margin * left / scale, margin * right / scale, fewest)
            if _does(of, model, at, s, g, fewest, lattices, room):
                break
            fewest += LANES
        for wider in _WIDER:
            lattices.first[g], lattices.step[g] = around(z, wider * left / scale, wider * right / scale, fewest)
            if _does(of, model, at, s, g, fewest, lattices, room):
                margin = wider
                break
        rest[2], rest[3] = margin * left, margin * right
        rest[4] = fewest


@njit(**APART)
def draw(
    of: Loops, model: Model, at: Point, s: float, g: int, lattices: Lattices, uniform: float, room: Floats
) -> float:
    """A draw of a group's b.

    With x uniform on (0, h), node k is chosen with a probability proportional to the density at x + k h, and x + k h
    returned: its distribution is that of the density, exactly as far as the sum over nodes is the integral.
    """
    own = lattices.values
    lattices.first[g] += (another(uniform) - 1.0) * lattices.step[g]
    count = (lattices.counts[g] + LANES) // LANES * LANES
    lattices.counts[g], lattices.places[g] = count, 0
    call_log_densities(of.log_densities, (of.tag, model.rows, at, g, g + 1, s, lattices, room))
    top = largest(own, count)
    for k in range(count):
        own[k] = vector_exp(own[k] - top)
    left, k = sum_of(own, count) * uniform, 0
    while k < count - 1 and left >= own[k]:
        left -= own[k]
        k += 1
    return s * (lattices.first[g] + k * lattices.step[g])


@njit(**APART)
def finite(x: Floats, n: int) -> bool:
    """Are the first n entries all numbers?"""
    total = 0.0
    for k in range(n):
        total += abs(x[k])
    return bool(total - total == 0.0)


@njit(**APART)
def _nodes(model: Model) -> int:
    """Of all groups, by what is known of them."""
    total = 2 * LANES
    for g in range(model.rows.groups):
        total += int(model.rest[g * COLUMNS + 4])
    return total


@njit(**APART)
def _tell(of: Loops, model: Model, values: Floats, r: Floats, of_s: float, out: Floats) -> None:
    """The log likelihood, and its derivatives."""
    n, p = model.rows.rows, model.coordinates
    clear(out, 2 + p + model.parameters)
    for g in range(model.rows.groups):
        out[0] += values[g]
    for c in range(p):
        out[1 + c] = dot(after(model.F, c * n), r, n)
    out[1 + p] = of_s
    for j in range(of.tag[0]):
        for i in range(n):
            k = model.reads[j * n + i]
            if k < model.parameters:
                out[2 + p + k] += r[(1 + j) * n + i]


def _answer(asked: Any) -> None:
    """What `sizes` ask for at each point x: phi, s and the family's parameters, side by side.

    GRADIENT: log likelihood, and its derivatives in phi, s and the family's parameters. VALUES: log likelihood of each
    group, and the error of their sum. DRAW: uniform numbers (group,) become a draw of b. PILOT: `Model.rest`.
    NaN where a parameter is not finite.
    """
    x, data, sizes, out, of = taken(asked)
    model, task = unpacked(data, sizes, 1), sizes[TASK]
    n, groups, width = model.rows.rows, model.rows.groups, model.coordinates + 1 + model.parameters
    size = width + 1 if task == GRADIENT else groups + 1 if task == VALUES else groups
    size = groups * COLUMNS if task == PILOT else size
    eta = room_for(7 * n + 8 * groups + 1 + _nodes(model) + 3 * n + SEARCHED + 4 + ROOM + LANES)
    at = Point(eta, after(eta, n), after(eta, 2 * n), after(eta, 3 * n))
    r, values = after(eta, 4 * n), after(eta, 7 * n)
    peaks, first = after(values, groups), after(values, 3 * groups)
    counts, places = as_integers(after(first, 2 * groups)), as_integers(after(first, 3 * groups))
    of_s = after(first, 4 * groups)
    base, nodes = after(of_s, 1), after(of_s, 1 + 3 * n)
    room = after(nodes, _nodes(model))
    for d in range(sizes[POINTS]):
        phi, told = after(x, d * width), after(out, d * size)
        if not finite(phi, width):
            for k in range(size):
                told[k] = math.nan
            continue
        s, aux = phi[model.coordinates], after(phi, model.coordinates + 1)
        _set_point(of, model, phi, aux, at)
        clear(r, 3 * n + 3 * groups)
        of_s[0] = 0.0
        lattices = Lattices(first, after(first, groups), counts, places, nodes)
        _set_at_rest(model, at, s, lattices)
        lattices, error = _integrals(of, model, at, s, lattices, values, r, of_s, peaks, room, task)
        if task == DRAW:
            for g in range(groups):
                told[g] = draw(of, model, at, s, g, lattices, told[g], room)
        elif task == PILOT:
            _rest(of, model, at, s, peaks, lattices, told, room)
        else:
            call_add_base(of.base, (of.tag, model.rows, at, values, r, base))
            if task == GRADIENT:
                _tell(of, model, values, r, of_s[0], told)
            else:
                for g in range(groups):
                    told[g] = values[g]
                told[groups] = error
    leave(eta)


_TAKEN = (*SIGNATURE.args, LOOPS)
call_answer = caller(*_TAKEN)


def name_of_answer() -> str:
    """The name of `_answer`, which is compiled now or found on disk."""
    return by_name(_answer, _TAKEN).name
