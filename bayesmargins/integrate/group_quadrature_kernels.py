"""Compiled likelihood with the effects of one factor integrated out group by group, its gradient, and draws of b."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.group_loops import Loops, add_base, averages, log_densities, powers
from bayesmargins.integrate.group_nodes import ROOM, STEEP, around, drop_of, largest, search, settled
from bayesmargins.integrate.group_rows import LANES, Lattices, Point, Rows
from bayesmargins.integrate.group_tasks import COLUMNS, DRAW, GRADIENT, PILOT, VALUES
from bayesmargins.integrate.small_kernels import add_row, dot, sum_of
from bayesmargins.integrate.vector_math import another, vector_exp

__all__ = ["Model", "answer"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_FAR = 1e9  # a threshold where there is none: no eta is near it
_MARGIN = 1.12  # by how much more than at the pilot point the first nodes reach
_WIDER = (1.8, 1.5, 1.25)  # the same, where as many nodes do: they come in lanes, and some are not needed
_MOST = 1.6  # times as many nodes as there, so that they also do where their sum is a little less exact
_SPARED = 1.0  # of the drop to these ends, where a little more is not worth a search


class Model(NamedTuple):
    """Rows, and what their linear predictors are made of.

    Attributes
    ----------
    rows : Rows
    F : (coordinate, row) float
    offset : (row,) float
    reads : (2, row) int
        Which of the family's parameters u and v are; two more stand behind the last: one far below, one far above.
    widest : (group,) float
        The largest W of the group's rows.
    rest : (group, `COLUMNS`) float
        What a pilot point says of one effect's posterior, in place of a search: its precision without the prior tau,
        tau times where it would be at a mean eta of 0, how far nodes reach to the left and to the right in its standard
        deviations, how many there are (0: nothing is known).
    tolerance : float
        Of a group's integral, relative.
    """

    rows: Rows
    F: Array
    offset: Array
    reads: Integers
    widest: Array
    rest: Array
    tolerance: float


@njit(**APART)
def _zeros(n: int) -> Array:
    """In place of NumPy's, which takes longer to compile."""
    out = np.empty(n)
    for i in range(n):
        out[i] = 0.0
    return out


@njit(**APART)
def _table(n: int, m: int) -> Array:
    """Of zeros."""
    return _zeros(n * m).reshape(n, m)


@njit(**APART)
def _point(of: Loops, model: Model, phi: Array, aux: Array) -> Point:
    """eta without b, and the family's parameters of each row."""
    n = len(model.offset)
    eta, u, v = _zeros(n), _zeros(n), _zeros(n)
    add_row(eta, model.offset, 1.0, n)
    for c in range(len(phi)):
        add_row(eta, model.F[c], phi[c], n)
    if of.tag[0] > 0:
        count = len(aux)
        for i in range(n):
            j, k = model.reads[0, i], model.reads[1, i]
            u[i] = aux[j] if j < count else -_FAR
            v[i] = aux[k] if k < count else _FAR
    return Point(eta, powers(of, eta), u, v)


@njit(**APART)
def _at_rest(model: Model, at: Point, s: float) -> Lattices:
    """Where nodes of each group lie by what is known of it; none of a group of which nothing is."""
    groups, starts, rest = len(model.rest), model.rows.starts, model.rest
    place = 2 * LANES
    for g in range(groups):
        place += int(rest[g, 4])
    counts, places = np.empty(groups, np.int64), np.empty(groups, np.int64)
    lattices = Lattices(_zeros(groups), _zeros(groups), counts, places, np.empty(place))
    place = 0
    for g in range(groups):
        count = int(rest[g, 4])
        if count > 0:
            eta = 0.0
            for i in range(starts[g], starts[g + 1]):
                eta += at.eta[i]
            precision = 1.0 + s * s * rest[g, 0]
            sd = 1.0 / math.sqrt(precision)
            centre = s * (rest[g, 1] - rest[g, 0] * eta / (starts[g + 1] - starts[g])) / precision
            lattices.first[g], lattices.step[g] = around(centre, rest[g, 2] * sd, rest[g, 3] * sd, count)
        lattices.counts[g], lattices.places[g] = count, place
        place += count
    return lattices


@njit(**APART)
def _integrals(
    of: Loops, model: Model, at: Point, s: float, values: Array, r: Array, of_s: Array, peaks: Array, task: int
) -> tuple[Lattices, float]:
    """Sets values (group,) to the logs of the integrals; the nodes, and the sum of the errors.

    For the gradient, r (3, row) and of_s (1,) get the averages of the derivatives. peaks (group, 2) get z and its
    precision at each peak that was searched for.
    """
    rows, groups, error = model.rows, len(values), 0.0
    lattices = _at_rest(model, at, s)
    log_densities(of, rows, at, 0, groups, s, lattices)
    counts, shares, drop = np.empty(groups, np.int64), np.empty(ROOM), drop_of(model.tolerance) - _SPARED
    for g in range(groups):
        counts[g] = lattices.counts[g]
        if counts[g] > 0 and lattices.step[g] * abs(s) * model.widest[g] > 2.0 * STEEP:
            counts[g] = 0
        if counts[g] > 0:
            need, values[g], missed = settled(lattices, g, model.tolerance, drop, shares)
            counts[g] = lattices.counts[g] if need == 0 else 0
            error += missed
    done = Lattices(lattices.first, lattices.step, counts, lattices.places, lattices.values)
    if task == GRADIENT:
        averages(of, rows, at, 0, groups, s, done, r, of_s)
    room = Lattices(lattices.first, lattices.step, counts, lattices.places, np.empty(ROOM))
    found = np.empty(4)
    for g in range(groups):
        if counts[g] == 0 and (rows.starts[g] < rows.starts[g + 1] or task == DRAW):
            search(of, rows, at, g, s, model.widest[g], model.tolerance, room, found)
            values[g], peaks[g, 0], peaks[g, 1] = found[0], found[2], found[3]
            error += found[1]
            if task == GRADIENT:
                averages(of, rows, at, g, g + 1, s, room, r, of_s)
    return room, error


@njit(**INNER)
def _does(of: Loops, model: Model, at: Point, s: float, g: int, count: int, lattices: Lattices, shares: Array) -> bool:
    """Would so many of the group's nodes still do a little further off?"""
    first, step, drop = lattices.first[g], lattices.step[g], drop_of(model.tolerance) - _SPARED
    if step * abs(s) * model.widest[g] > STEEP:
        return False
    for shift in (0.0, 0.5):  # halves may agree by chance; those of nodes half a step away do not then
        lattices.first[g], lattices.counts[g], lattices.places[g] = first + shift * step, count, 0
        log_densities(of, model.rows, at, g, g + 1, s, lattices)
        if settled(lattices, g, 0.1 * model.tolerance, drop, shares)[0] != 0:
            return False
    return True


@njit(**APART)
def _rest(of: Loops, model: Model, at: Point, s: float, peaks: Array, lattices: Lattices, out: Array) -> None:
    """out: `Model.rest`, from the peaks and nodes at a pilot point."""
    shares, first, step, counts = np.empty(ROOM), lattices.first, lattices.step, lattices.counts
    starts, rest = model.rows.starts, out.reshape(len(peaks), COLUMNS)
    for g in range(len(rest)):
        for k in range(COLUMNS):
            rest[g, k] = 0.0
        z, precision, count = peaks[g, 0], peaks[g, 1], counts[g]
        if count == 0 or not precision > 1.0:
            continue
        scale, eta = math.sqrt(precision), 0.0
        for i in range(starts[g], starts[g + 1]):
            eta += at.eta[i]
        rest[g, 0] = (precision - 1.0) / (s * s)
        rest[g, 1] = z * precision / s + rest[g, 0] * eta / (starts[g + 1] - starts[g])
        left, right = scale * (z - first[g]), scale * (first[g] + (count - 1) * step[g] - z)
        fewest, most, margin = LANES, (int(_MOST * count) + LANES) // LANES * LANES, _MARGIN
        while fewest < most:
            lattices.first[g], lattices.step[g] = around(z, margin * left / scale, margin * right / scale, fewest)
            if _does(of, model, at, s, g, fewest, lattices, shares):
                break
            fewest += LANES
        for wider in _WIDER:
            lattices.first[g], lattices.step[g] = around(z, wider * left / scale, wider * right / scale, fewest)
            if _does(of, model, at, s, g, fewest, lattices, shares):
                margin = wider
                break
        rest[g, 2], rest[g, 3] = margin * left, margin * right
        rest[g, 4] = fewest


@njit(**APART)
def _draw(of: Loops, rows: Rows, at: Point, s: float, lattices: Lattices, out: Array) -> None:
    """Uniform out (group,) becomes a draw of b.

    With x uniform on (0, h), node k is chosen with a probability proportional to the density at x + k h, and x + k h
    returned: its distribution is that of the density, exactly as far as the sum over nodes is the integral.
    """
    groups, place = len(out), 0
    for g in range(groups):
        lattices.first[g] += (another(out[g]) - 1.0) * lattices.step[g]
        lattices.counts[g] = (lattices.counts[g] + LANES) // LANES * LANES
        lattices.places[g] = place
        place += lattices.counts[g]
    V = np.empty(place)
    log_densities(
        of, rows, at, 0, groups, s, Lattices(lattices.first, lattices.step, lattices.counts, lattices.places, V)
    )
    for g in range(groups):
        place, count = lattices.places[g], lattices.counts[g]
        own = V[place:]
        top = largest(own, count)
        for k in range(count):
            own[k] = vector_exp(own[k] - top)
        left, k = sum_of(own, count) * out[g], 0
        while k < count - 1 and left >= own[k]:
            left -= own[k]
            k += 1
        out[g] = s * (lattices.first[g] + k * lattices.step[g])


@njit(**APART)
def _finite(phi: Array, s: float, aux: Array) -> bool:
    total = s
    for k in range(len(phi)):
        total += abs(phi[k])
    for k in range(len(aux)):
        total += abs(aux[k])
    return bool(total - total == 0.0)


@njit(**APART)
def answer(of: Loops, model: Model, phi: Array, s: float, aux: Array, task: int, out: Array) -> None:
    """What `task` asks for at these parameters.

    GRADIENT: log likelihood, and its derivatives in phi, s and the family's parameters. VALUES: log likelihood of each
    group, and the error of their sum. DRAW: uniform numbers (group,) become a draw of b. PILOT: `Model.rest`.
    NaN where a parameter is not finite.
    """
    if not _finite(phi, s, aux):
        for k in range(len(out)):
            out[k] = np.nan
        return
    rows, n = model.rows, len(model.offset)
    groups = len(rows.starts) - 1
    at, values = _point(of, model, phi, aux), _zeros(groups)
    r, of_s, peaks = _table(3, n), _zeros(1), _table(groups, 2)
    lattices, error = _integrals(of, model, at, s, values, r, of_s, peaks, task)
    if task == DRAW:
        _draw(of, rows, at, s, lattices, out)
        return
    if task == PILOT:
        _rest(of, model, at, s, peaks, lattices, out)
        return
    add_base(of, rows, at, values, r)
    if task == VALUES:
        for g in range(groups):
            out[g] = values[g]
        out[groups] = error
        return
    for k in range(len(out)):
        out[k] = 0.0
    for g in range(groups):
        out[0] += values[g]
    p, k = len(phi), 1 + len(phi)
    for c in range(p):
        out[1 + c] = dot(model.F[c], r[0], n)
    out[k] = of_s[0]
    if of.tag[0] > 0:
        for i in range(n):
            for j in range(of.tag[0]):
                if model.reads[j, i] < len(aux):
                    out[k + 1 + model.reads[j, i]] += r[1 + j, i]
