"""The integral over two effects of one group, one of which is an intercept: nodes on lines along which it alone moves.

b = U z with an upper triangle U, so that z_1 = z moves the intercept alone and z_2 = t both effects. On a line of equal
t all linear predictors move by the same s z, and exp(eta_i + s z) is a product: what there is to compute for each row
and line is one number. The nodes of a line are a lattice about where the lines before lead, as far as they count; the
lines are a lattice too. As rows are log-concave, so are the nodes of a line and the sums of lines (Prékopa 1973): the
last two bound what is left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from bayesmargins.integrate.compiled import APART, INNER, SUM
from bayesmargins.integrate.group_rows import LANES, Floats, Integers
from bayesmargins.integrate.group_tasks import DRAW, GRADIENT
from bayesmargins.integrate.vector_math import another, vector_exp, vector_log

__all__ = ["FEW", "MOST", "TOGETHER", "Columns", "Group", "Nodes", "peak", "sweep"]

MOST, _FARTHEST, _LINES = 32, 512, 3000  # nodes at once, nodes from a line's centre, lines on a side
_NOTHING = 1e-300  # exp() gives no less than some 1e-308
_STEEP, _FINEST = 1.0, 0.04  # the largest step in eta, but for variances so large that steps were smaller than this
_NEAR, _FAR = 0.05, 3.0  # squared distance to the peak at which the search stops; change of eta in one step of it
TOGETHER, FEW = 8, 4  # factors in one loop, and those of a row among them, at most
_LARGEST, _FULL = 1e17, 1e120  # power of a factor, and product, from which on a logarithm is taken


class Columns(NamedTuple):
    """What there is to know and to compute of each row, (row,); behind the last one `x` has a place more."""

    a: Floats  # the log density of a row is a eta - c exp(sign eta), or a eta - c log(1 + exp(eta))
    c: Floats
    d_a: Floats  # derivatives in u
    d_c: Floats
    eta: Floats  # without b
    across: Floats  # what t multiplies
    beside: Floats  # what the second effect multiplies
    x: Floats  # power at a line's centre
    of_eta: Floats  # averages of derivatives
    of_u: Floats


class Nodes(NamedTuple):
    """Those of a line, (node,), and its factors."""

    p: Floats  # density
    t: Floats  # product
    power: Floats  # exp(sign s z), from the first node on
    y: Floats  # (factor,)


class Group(NamedTuple):
    """A group's rows in sum, and where its nodes lie."""

    rows: int
    factors: int  # in whole loops of `TOGETHER`
    product: bool  # has a row log(1 + exp(eta))?
    plain: bool  # are all rows factors?
    s: float  # by how much z changes eta
    sign: float  # the log density has exp(sign eta)
    alpha: float  # derivatives of the linear part in z and t
    beta: float
    constant: float  # the log density at the peak without its value at 0
    z: float  # this and the next four are of `peak`
    t: float
    moves: float
    inner: float
    outer: float
    h: float  # step on a line
    H: float  # step between lines
    phase: float  # by how much nodes and lines are moved, in steps
    lines: float
    drop: float  # down to where nodes count, in log density
    least: float  # exp of it


@njit(**APART)
def peak(own: Columns, rows: int, s: float, sign: float, product: bool, found: Floats) -> None:
    """z and t near the peak, by Newton's method from 0; how z moves with t there; precision of z given t, and of t.

    Its steps are those of the search for one effect's peak in `group_nodes`.
    """
    z, t, before, beside, ahead, scale, pace, grows = 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, True
    for attempt in range(100):
        first, other, bend, mixed, across = -z, -t, 0.0, 0.0, 0.0
        for i in range(rows):
            x, c = own.across[i], own.c[i]
            e = vector_exp(sign * (own.eta[i] + s * z + x * t))
            q = 1.0 / (1.0 + e)
            mean, curve = (c * (1.0 - q), c * q * (1.0 - q)) if product else (sign * c * e, c * e)
            slope = own.a[i] - mean
            first, other = first + s * slope, other + x * slope
            bend, mixed, across = bend + curve, mixed + x * curve, across + x * x * curve
        if attempt > 0:
            along = first * before + other * beside
            if not along > 0.0:
                pace, grows = 1.0, False
            elif grows and (pace > 1.0 or along > 0.2 * ahead):
                pace *= 2.0
            if along < -0.5 * ahead:
                back = scale * max(ahead / (ahead - along), 0.25)
                z, t = z + (back - scale) * before, t + (back - scale) * beside
                scale = back
                continue
        inner = 1.0 + s * s * bend
        moves = -s * mixed / inner
        outer = max(1.0 + across + moves * s * mixed, 1.0)
        beside = (other + moves * first) / outer
        before = first / inner + moves * beside
        ahead, most = before * first + beside * other, 0.0
        for i in range(rows):
            most = max(most, abs(s * before + own.across[i] * beside))
        scale = pace * min(1.0, _FAR / max(most, 1e-300)) if ahead > _NEAR else 1.0
        z, t = z + scale * before, t + scale * beside
        found[0], found[1], found[2], found[3], found[4] = z, t, moves, inner, outer
        if not ahead > _NEAR:
            break


@njit(**INNER)
def _log_density(c: float, e: float, sign: float, product: bool) -> float:
    """Of a row what is no linear part, at this linear predictor."""
    return -c * (max(e, 0.0) + vector_log(1.0 + vector_exp(-abs(e))) if product else vector_exp(sign * e))


@njit(**INNER)
def _is_factor(c: float) -> bool:
    """May a row that counts c times be multiplied?"""
    return c <= FEW and int(c) == c


@njit(**INNER)
def _placed(
    own: Columns, nodes: Nodes, of: Integers, rows: int, s: float, sign: float, product: bool, found: Floats,
    steps: Floats, drop: float,
) -> Group:  # fmt: skip
    """Lattices about the peak, on which no eta changes by more than `_STEEP` in a step."""
    z, t, moves, inner, outer = found[0], found[1], found[2], found[3], found[4]
    most, alpha, beta, constant, factors, plain = 0.0, 0.0, 0.0, 0.5 * (z * z + t * t), 0, True
    for i in range(rows):
        a, x, c = own.a[i], own.across[i], own.c[i]
        most, alpha, beta = max(most, abs(x + moves * s)), alpha + a * s, beta + a * x
        constant -= a * (s * z + x * t) + _log_density(c, own.eta[i] + s * z + x * t, sign, product)
        plain = plain and _is_factor(c)
    h = min(steps[0], max(_STEEP * math.sqrt(inner) / max(abs(s), 1e-300), _FINEST)) / math.sqrt(inner)
    H = min(steps[1], max(_STEEP * math.sqrt(outer) / max(most, 1e-300), _FINEST)) / math.sqrt(outer)
    for k in range(MOST):
        nodes.power[k] = vector_exp(sign * s * h * k)
    for i in range(rows):
        if product and _is_factor(own.c[i]):
            for _ in range(int(own.c[i])):
                of[factors] = i
                factors += 1
    own.x[rows] = 0.0
    while factors == 0 or factors % TOGETHER != 0:
        of[factors] = rows
        factors += 1
    return Group(
        rows, factors, product, plain, s, sign, alpha, beta, constant, z, t, moves, inner, outer, h, H, steps[2],
        steps[3], drop, math.exp(-drop),
    )  # fmt: skip


@njit(**INNER)
def _moved(g: Group, own: Columns, nodes: Nodes, of: Integers, t: float, centre: float) -> tuple[float, float]:
    """Powers of the rows at the centre of a line: the largest, and the sum of c times them."""
    largest, amount = 0.0, 0.0
    for i in range(g.rows):
        x = vector_exp(g.sign * (own.eta[i] + own.across[i] * t + g.s * centre))
        own.x[i] = x
        largest, amount = max(largest, x), amount + own.c[i] * x
    if g.product:
        for f in range(g.factors):
            nodes.y[f] = own.x[of[f]]
    return largest, amount


@njit(**APART)
def _multiply(nodes: Nodes, count: int, factors: int, c: float, rises: bool) -> None:
    """All factors into T, eight at a time, or its logarithm into P before it is too large."""
    edge = count - 1 if rises else 0
    for f in range(0, factors, TOGETHER):
        if nodes.t[edge] > _FULL:
            for k in range(count):
                nodes.p[k] -= vector_log(nodes.t[k])
                nodes.t[k] = 1.0
        y0, y1, y2, y3 = c * nodes.y[f], c * nodes.y[f + 1], c * nodes.y[f + 2], c * nodes.y[f + 3]
        y4, y5, y6, y7 = c * nodes.y[f + 4], c * nodes.y[f + 5], c * nodes.y[f + 6], c * nodes.y[f + 7]
        for k in range(count):
            x = nodes.power[k]
            one = ((1.0 + y0 * x) * (1.0 + y1 * x)) * ((1.0 + y2 * x) * (1.0 + y3 * x))
            nodes.t[k] *= one * (((1.0 + y4 * x) * (1.0 + y5 * x)) * ((1.0 + y6 * x) * (1.0 + y7 * x)))


@njit(**APART)
def _add_rows(g: Group, own: Columns, nodes: Nodes, t: float, first: float, count: int, near: bool) -> None:
    """Row by row, those that are no factors; all of them where factors would be too large."""
    for i in range(g.rows):
        if not (near and _is_factor(own.c[i])):
            eta = own.eta[i] + own.across[i] * t
            for k in range(count):
                nodes.p[k] += _log_density(own.c[i], eta + g.s * (first + k * g.h), 1.0, True)


@njit(**INNER)
def _block(
    g: Group, own: Columns, nodes: Nodes, t: float, first: float, c: float, count: int, largest: float, amount: float
) -> None:
    """P of so many nodes from z = first on, relative to the peak; powers there are c times those of `_moved`."""
    linear = g.constant + g.beta * t - 0.5 * t * t
    if not g.product:
        for k in range(count):
            z = first + k * g.h
            nodes.p[k] = vector_exp(linear + g.alpha * z - 0.5 * z * z - amount * c * nodes.power[k])
        return
    near = largest * c * max(nodes.power[0], nodes.power[count - 1]) < _LARGEST
    for k in range(count):
        z = first + k * g.h
        nodes.p[k], nodes.t[k] = linear + g.alpha * z - 0.5 * z * z, 1.0
    if near:
        _multiply(nodes, count, g.factors, c, g.s > 0.0)
    if not (near and g.plain):
        _add_rows(g, own, nodes, t, first, count, near)
    for k in range(count):
        nodes.p[k] = vector_exp(nodes.p[k]) / nodes.t[k]


@njit(**SUM)
def _shares(nodes: Nodes, x: float, product: bool, count: int) -> tuple[float, float]:
    """Sums of P times x power, or the mean that has these odds; and times k."""
    one, two = 0.0, 0.0
    for k in range(count):
        e = x * nodes.power[k]
        q = nodes.p[k] * (1.0 - 1.0 / (1.0 + e) if product else e)
        one, two = one + q, two + q * k
    return one, two


@njit(**APART)
def _add_slopes(
    g: Group, own: Columns, nodes: Nodes, sums: Floats, t: float, first: float, c: float, count: int
) -> None:
    """Adds the derivatives at a block's nodes, without those of the linear part."""
    one, two = _shares(nodes, c, False, count)
    for i in range(g.rows):
        x = own.x[i]
        if g.product:
            one, two = _shares(nodes, x * c, True, count)
            x = 1.0
        x *= g.sign * own.c[i]
        own.of_eta[i] -= x * one
        own.of_u[i] -= own.d_c[i] * own.x[i] * one
        sums[3] -= x * (first * one + g.h * two)
        sums[4] -= x * t * one
        sums[5] -= x * t * one * own.beside[i]


@njit(**APART)
def _choose(nodes: Nodes, sums: Floats, block: float, t: float, first: float, h: float, count: int) -> None:
    """A node of the block in place of the one drawn so far, with the block's share of all nodes so far."""
    sums[15] = another(sums[15])
    if sums[15] * sums[0] < block:
        sums[15] = another(sums[15])
        left, k = sums[15] * block, 0
        while k < count - 1 and left >= nodes.p[k]:
            left -= nodes.p[k]
            k += 1
        sums[13], sums[14] = first + k * h, t


@njit(**INNER)
def _rest(last: float, end: float) -> float:
    """What follows the last two of a log-concave sequence, at most."""
    return end * end / (last - end) if end < last else math.inf if end > _NOTHING else 0.0


@njit(**INNER)
def _line(
    g: Group, own: Columns, nodes: Nodes, of: Integers, sums: Floats, line: int, centre: float, task: int
) -> tuple[float, float]:
    """The sum over the nodes of a line, and their mean."""
    t = g.t + (line + g.lines) * g.H
    largest, amount = _moved(g, own, nodes, of, t, centre)
    half = math.sqrt(max(2.0 * g.drop - g.outer * (t - g.t) ** 2, 0.0) / g.inner) / g.h
    count = min((int(2.0 * half) + LANES) // LANES * LANES, MOST)
    begin = -(count // 2)
    lower, upper, left, right, moment = begin, begin + count, 0.0, 0.0, 0.0
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    while True:
        first = centre + (begin + g.phase) * g.h
        c = vector_exp(g.sign * g.s * (first - centre))
        _block(g, own, nodes, t, first, c, count, largest, amount)
        r0, r1, r2, r3, ks = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(0, count, 4):
            p0, p1, p2, p3 = nodes.p[k], nodes.p[k + 1], nodes.p[k + 2], nodes.p[k + 3]
            r0, r1, r2, r3, ks = r0 + p0, r1 + p1, r2 + p2, r3 + p3, ks + k * (p0 + p1 + p2 + p3)
        block = r0 + r1 + r2 + r3
        moment += first * block + g.h * (ks + r1 + 2.0 * r2 + 3.0 * r3)
        s0, s1, s2, s3, sums[0] = s0 + r0, s1 + r1, s2 + r2, s3 + r3, sums[0] + block
        if task == GRADIENT:
            _add_slopes(g, own, nodes, sums, t, first, c, count)
        elif task == DRAW:
            _choose(nodes, sums, block, t, first, g.h, count)
        if begin <= lower:
            left = _rest(nodes.p[1], nodes.p[0])
        if begin + count >= upper:
            right = _rest(nodes.p[count - 2], nodes.p[count - 1])
        count = LANES
        if right > g.least and upper < _FARTHEST:
            begin, upper = upper, upper + LANES
        elif left > g.least and lower > -_FARTHEST:
            begin, lower = lower - LANES, lower - LANES
        else:
            break
    total = s0 + s1 + s2 + s3
    sums[1], sums[2], sums[6] = sums[1] + moment, sums[2] + t * total, sums[6] + left + right
    sums[7], sums[8] = sums[7] + abs(s0 + s2 - s1 - s3), sums[8] + abs(s0 - s2) + abs(s1 - s3)
    sums[9 + (line & 3)] += total
    return total, moment / total


@njit(**APART)
def sweep(
    own: Columns, nodes: Nodes, of: Integers, sums: Floats, rows: int, s: float, sign: float, product: bool,
    found: Floats, steps: Floats, drop: float, task: int,
) -> tuple[float, float]:  # fmt: skip
    """All lines that count: from the peak on to one side, then to the other. The constant, and the area of a cell.

    `steps` between nodes and lines are in standard deviations; then come phases. `sums`: 0: of the density. 1, 2: times
    z, t. 3 to 5: derivatives in the entries 11, 12, 22 of U. 6: left out. 7, 8: differences between halves and fourths
    of lines. 9 to 12: every fourth line. 13 to 15: a draw of z and t, a uniform number.
    """
    g = _placed(own, nodes, of, rows, s, sign, product, found, steps, drop)
    for k in range(15):
        sums[k] = 0.0
    for i in range(rows):
        own.of_eta[i], own.of_u[i] = 0.0, 0.0
    line, side, last, before, middle, mean, centre = 0, 1, 0.0, 0.0, 0.0, 0.0, g.z + g.lines * g.moves * g.H
    while True:
        total, here = _line(g, own, nodes, of, sums, line, centre, task)
        rest = _rest(last, total) if line != 0 else math.inf
        if line == 0:
            middle, mean, before = total, here, here - g.moves * g.H
        if line != 0 and (rest < g.least * sums[0] or not total > 0.0 or abs(line) == _LINES):
            sums[6] += rest
            if side < 0:
                break
            side, line, last, here, before = -1, 0, middle, mean, mean + g.moves * g.H
            total = middle
        line, last, centre, before = line + side, total, 2.0 * here - before, here
    return g.constant, g.h * g.H
