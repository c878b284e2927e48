"""Where the nodes of a group's integral lie: around the peak of its posterior, on a lattice halved until it stands.

The integrand is exp(V(z)), V(z) = - z'z / 2 + log density of the group's rows at b = s z, and has one peak. For
smooth integrands that vanish at both ends the trapezoid rule converges faster than any power of the step, and its
error with step h is about the square of D, the difference between its two halves with step 2h. A steep one, as a large
variance makes of rows that are all 0 or all 1, has no such luck until h is as small as the steep part: the difference
Q between its fourths is little more than D then. D^2 max(1, D / Q^2) is about D^2 in the first case, and D / 4 in the
second.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit, types

from bayesmargins.integrate.by_name import by_name, caller, taken
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.group_loops import LOOPS, Loops, call_log_densities, call_slopes
from bayesmargins.integrate.group_rows import (
    LANES,
    LATTICES,
    POINT,
    ROOM,
    ROWS,
    WORK,
    Floats,
    Lattices,
    Point,
    Rows,
)
from bayesmargins.integrate.pointers import FLOATS, after
from bayesmargins.integrate.vector_math import vector_exp

__all__ = [
    "DROP",
    "FIRST",
    "SEARCHED",
    "STEEP",
    "around",
    "call_search",
    "drop_of",
    "largest",
    "name_of_search",
    "settled",
]

DROP = 18.0  # nodes this far below the peak in log density are left out at most: 2e-9 of the integral lies beyond
SEARCHED = WORK + ROOM + LANES + 2  # room for what a search computes
FIRST, _REACH = 16, 5.33  # nodes of the first lattice, and how far they reach, in standard deviations at the peak
_ATTEMPTS = 300  # at nodes, beyond which values are no numbers
STEEP = 1.0  # the largest step in eta: a steep part that is small beside the whole would be seen too late
_FARTHEST_REACH = 1e9  # of these nodes
_NEAR = 0.05  # squared distance to the peak, in the same units, at which the search stops
_FARTHEST = 3.0  # change of a row's eta in one step of the search


@njit(**APART)
def _peak(of: Loops, rows: Rows, at: Point, group: int, s: float, widest: float, found: Floats) -> tuple[float, float]:
    """z near the peak of V, by Newton's method from 0, and - V'' there.

    The first step changes no eta by more than `_FARTHEST`, `widest` being the largest W of the group's rows. Steps grow
    twofold until one has gone too far: beyond a peak that is far away, Newton's own go on by 1 in eta. One that has
    gone too far goes back to where V' along it is 0 by the secant, or to a fourth where that is nearer.
    """
    z, precision, before = 0.0, 1.0, 0.0
    ahead, scale, pace, grows = 0.0, 1.0, 1.0, True
    for attempt in range(100):
        call_slopes(of.slopes, (of.tag, rows, at, group, s * z, found))
        slope = s * found[0] - z
        if attempt > 0:
            along = slope * before
            if not along > 0.0:
                pace, grows = 1.0, False
            elif grows and (pace > 1.0 or along > 0.2 * ahead):
                pace *= 2.0
            if along < -0.5 * ahead:
                back = scale * max(ahead / (ahead - along), 0.25)
                z += (back - scale) * before
                scale = back
                continue
        precision = 1.0 - s * s * found[1]
        before = slope / precision
        ahead = slope * before
        if not ahead > _NEAR:
            break
        scale = pace * min(1.0, _FARTHEST / max(abs(s * before) * widest, 1e-300))
        z += scale * before
    return z, precision


@njit(**APART)
def _missing(outer: float, inner: float, top: float, drop: float) -> int:
    """How many nodes, in whole lanes, are missing at an end whose last two values are these.

    V falls there at least as fast.
    """
    rest = drop - (top - outer)
    if not (rest > 0.0 and inner - outer < math.inf):
        return 0
    more = 1 + int(min(64.0, rest / max(inner - outer, 0.05)))
    return (more + LANES - 1) // LANES * LANES


@njit(**APART)
def around(centre: float, left: float, right: float, count: int) -> tuple[float, float]:
    """First of `count` nodes that reach at least from centre - left to centre + right, and their step.

    The centre is a quarter of a step from a node. Halfway between two, the two halves of a symmetric integrand would be
    equal, whatever their error.
    """
    step = (left + right) / (count - 1.5)
    return centre - step * (0.25 + 0.5 * math.ceil(2.0 * left / step - 0.5)), step


@njit(**APART)
def _count(width: float, steepness: float) -> int:
    """How many nodes over a width of z where eta changes by `steepness` z."""
    least = 1.5 + min(width * steepness / STEEP, 0.25 * ROOM)
    return max(FIRST, (int(least) + LANES) // LANES * LANES) if least > 0.0 else FIRST


@njit(**APART)
def drop_of(tolerance: float) -> float:
    """How far below the peak in log density the outermost nodes lie, for an integral of this relative error."""
    return min(DROP, -math.log(tolerance))


@njit(**INNER)
def largest(V: Floats, count: int) -> float:
    """Of the first values: four at a time, as each comparison waits for the one before."""
    a, b, c, d = V[0], V[0], V[0], V[0]
    for k in range(0, count - 3, 4):
        a = V[k] if V[k] > a else a
        b = V[k + 1] if V[k + 1] > b else b
        c = V[k + 2] if V[k + 2] > c else c
        d = V[k + 3] if V[k + 3] > d else d
    for k in range(count // 4 * 4, count):
        a = V[k] if V[k] > a else a
    return max(max(a, b), max(c, d))


@njit(**APART)
def settled(lattices: Lattices, group: int, tolerance: float, drop: float, shares: Floats) -> tuple[int, float, float]:
    """What the nodes of a group need, log of the integral, and its error, relative.

    0: nothing, and `values` are in proportion to the integrand now; 1, 2: more nodes to the left, to the right; 3:
    nodes in between; 4: other ones, as the peak is not near these. For 1 to 4, the second number is the largest value.
    Ends lie `drop` below it, and nothing is asked of them where that is - inf; nodes far from the peak are left out.
    `shares` is room for the nodes.
    """
    place, count, h = lattices.places[group], lattices.counts[group], lattices.step[group]
    V = after(lattices.values, place)
    top, far = largest(V, count), min(DROP, drop + 1.0) if drop > -math.inf else DROP
    if drop > -math.inf and not (V[1] < top - 1.0 and V[count - 2] < top - 1.0):
        return 4, top, 0.0
    if top - V[0] < drop:
        return 1, top, 0.0
    if top - V[count - 1] < drop:
        return 2, top, 0.0
    first = 0
    while count > 2 and V[first + 1] < top - far:
        first, count = first + 1, count - 1
    while count > 2 and V[first + count - 2] < top - far:
        count -= 1
    lattices.places[group], lattices.counts[group] = place + first, count
    lattices.first[group] += first * h
    V = after(V, first)
    for k in range((count + LANES - 1) // LANES * LANES):
        shares[k] = vector_exp(V[k] - top) if k < count else 0.0
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    for k in range(0, count, 4):
        s0, s1, s2, s3 = s0 + shares[k], s1 + shares[k + 1], s2 + shares[k + 2], s3 + shares[k + 3]
    total = s0 + s1 + s2 + s3
    half = abs(s0 + s2 - s1 - s3) / total
    fourth = ((s0 - s2) * (s0 - s2) + (s1 - s3) * (s1 - s3)) / (total * total)
    error = half * half * max(1.0, half / max(fourth, 1e-300))
    if error > tolerance:
        return 3, top, 0.0
    for k in range(count):
        V[k] = shares[k]
    return 0, top + math.log(total * h) - 0.9189385332046727, error + (V[0] + V[count - 1]) / total


@njit(**APART)
def _halved(V: Floats, middle: Floats, count: int) -> None:
    """V of `count` nodes and of those in between, in order."""
    for k in range(count - 1, 0, -1):
        V[2 * k] = V[k]
    for k in range(count - 1):
        V[2 * k + 1] = middle[k]


@njit(**APART)
def _placed(lattices: Lattices, group: int, centre: float, reach: float, steepness: float) -> None:
    """A first lattice around the centre."""
    count = _count(2.0 * reach, steepness)
    lattices.first[group], lattices.step[group] = around(centre, reach, reach, count)
    lattices.counts[group], lattices.places[group] = count, ROOM // 8


@njit(**APART)
def _evaluated(
    of: Loops, rows: Rows, at: Point, group: int, s: float, lattices: Lattices, begin: float, count: int, place: int,
    work: Floats,
) -> None:  # fmt: skip
    """Values of some of the group's nodes: `count` of them from `begin` on, to `place`."""
    first, counts, places = lattices.first[group], lattices.counts[group], lattices.places[group]
    lattices.first[group], lattices.counts[group], lattices.places[group] = begin, count, place
    call_log_densities(of.log_densities, (of.tag, rows, at, group, group + 1, s, lattices, work))
    lattices.first[group], lattices.counts[group], lattices.places[group] = first, counts, places


@njit(**APART)
def _extended(lattices: Lattices, group: int, need: int, top: float, drop: float) -> tuple[int, float, int, int]:
    """Makes room for what the group's nodes need; then what that is, and which nodes: `_evaluated`. -1: no room."""
    left, count, h = lattices.places[group], lattices.counts[group], lattices.step[group]
    values, right, start, ahead = lattices.values, left + count, lattices.first[group], 1
    if need == 4:
        need = 1 if values[left] > values[right - 1] else 2
    if need == 1:
        ahead = _missing(values[left], values[left + 1], top, drop)
    elif need == 2:
        ahead = _missing(values[right - 1], values[right - 2], top, drop)
    if ahead == 0 or top != top:  # the end falls within one step, or nothing has a value
        need = 3
    if need == 1 and ahead <= left:
        lattices.first[group], lattices.counts[group] = start - ahead * h, count + ahead
        lattices.places[group] = left - ahead
        return need, start - ahead * h, ahead, left - ahead
    if need == 2 and right + ahead <= ROOM // 2 - LANES:
        lattices.counts[group] = count + ahead
        return need, start + count * h, ahead, right
    if need == 3 and left + 2 * count <= ROOM // 2:
        return need, start + 0.5 * h, count - 1, ROOM // 2
    return (-1 if need < 3 else -2), start, count, left


def _search(asked: Any) -> None:
    """Nodes of one effect b = s z around the peak; found: log of the integral, its error, the peak, and - V'' there.

    `lattices.values` are a room of `ROOM`, whose contents are lost, and so are those of `room`.
    """
    of, rows, at, group, s, widest, tolerance, lattices, found, room = taken(asked)
    shares = after(room, WORK)
    z, precision = _peak(of, rows, at, group, s, widest, after(shares, ROOM + LANES))
    drop, need = drop_of(tolerance), 0
    reach = _REACH * math.sqrt(drop / (DROP * precision))
    _placed(lattices, group, z, reach, abs(s) * widest)
    begin, count, place = lattices.first[group], lattices.counts[group], lattices.places[group]
    for attempt in range(_ATTEMPTS):
        _evaluated(of, rows, at, group, s, lattices, begin, count, place, room)
        if need == 3:
            home = lattices.places[group]
            _halved(after(lattices.values, home), after(lattices.values, place), lattices.counts[group])
            lattices.counts[group], lattices.step[group] = 2 * lattices.counts[group] - 1, 0.5 * lattices.step[group]
        need, value, error = settled(lattices, group, tolerance, drop, shares)
        if need > 0:
            need, begin, count, place = _extended(lattices, group, need, value, drop)
        if need == -1 and reach < _FARTHEST_REACH:  # for so small a step
            reach = 4.0 * reach
            _placed(lattices, group, z, reach, abs(s) * widest)
            begin, count, place = lattices.first[group], lattices.counts[group], lattices.places[group]
        elif need < 0 or attempt == _ATTEMPTS - 1:  # it stays as it is, and its error is told
            need, value, error = settled(lattices, group, math.inf, -math.inf, shares)
        if need == 0:
            found[0], found[1], found[2], found[3] = value, error, z, precision
            return


_TAKEN = (LOOPS, ROWS, POINT, types.int64, *[types.float64] * 3, LATTICES, FLOATS, FLOATS)
call_search = caller(*_TAKEN)


def name_of_search() -> str:
    """The name of `_search`, which is compiled now or found on disk."""
    return by_name(_search, _TAKEN).name
