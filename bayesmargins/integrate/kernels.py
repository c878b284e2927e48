"""Compiled trapezoid sums over the nodes of `rules`.

Rows that share a rule are taken in blocks, and the loop over a block's rows is the inner one: it vectorises without
reordering a sum, so that a value depends on its own eta and s only, bit for bit, whatever the blocks and threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import APART, INNER, kernel_with_memory
from bayesmargins.integrate.pointers import after, as_integers, leave, room_for, start_of
from bayesmargins.integrate.vector_math import vectorised

__all__ = ["BLOCK", "CHUNK", "FAR", "add_group", "closed", "factor", "one_node", "plain", "trapezoid"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Pointer = Any  # see `pointers`

BLOCK = 64
CHUNK = 1024
FAR = 600.0  # beyond this abs(eta), values are computed node by node
_HUGE, _TINY = 1e300, 1e-300  # exp(+-s z) stops here: with abs(eta) <= 600 the link is 0 or 1 to 39 digits by then


# What a link's tag type has is compiled here, for that link alone: `family.links` is plain Python.
_JIT: Any = APART  # numba's own annotation leaves some of them out
_INLINE: Any = INNER
_COMPILED = "Compiled code calls this: there the overload below puts the link's own function in its place."


def one_node(link: Any, part: int, x: float) -> float:
    """f(x) of one node, for any x."""
    raise TypeError(_COMPILED)


def closed(link: Any, part: int, eta: float, s2: float) -> float:
    """E[f(eta + s Z)] in closed form; h itself where the link has none, which is for s2 = 0 only."""
    raise TypeError(_COMPILED)


def plain(link: Any, eta: float, s2: float) -> float:
    """`closed` of the mean, in a form that vectorises where the link has one."""
    raise TypeError(_COMPILED)


def factor(link: Any, x: float) -> float:
    """What eta, or a group's shift, multiplies a row's t by; of a link that only knows single nodes, itself."""
    raise TypeError(_COMPILED)


def add_group(link: Any, m: int, w: float, g: float, work: Array, bits: Integers) -> None:
    """Add one group to every row: t in work[0], the sums in work[1], room in work[4:7]."""
    raise TypeError(_COMPILED)


def _start(link: Any, x: float) -> tuple[float, float]:
    """What a row's nodes have in common."""
    raise TypeError(_COMPILED)


def _add_nodes(link: Any, m: int, w: float, work: Pointer) -> None:
    """Add the two nodes +-z of every row, whose numbers `_block` keeps."""
    raise TypeError(_COMPILED)


def _far(link: Any, x: float, reach: float) -> bool:
    """Is a row, whose nodes lie within `reach` of x, for `_slowly`? All are, of a link that only knows single nodes."""
    raise TypeError(_COMPILED)


def _finish(link: Any, x: float, total: float) -> float:
    """The value of a row from the sum of its terms."""
    raise TypeError(_COMPILED)


@njit(**INNER)
def _of_rows(work: Pointer) -> tuple[Pointer, Pointer, Pointer, Pointer, Pointer]:
    """What is kept of each row of a block: t, alpha, the sum of the terms, and exp(s z) and exp(- s z)."""
    return work, after(work, BLOCK), after(work, 2 * BLOCK), after(work, 3 * BLOCK), after(work, 4 * BLOCK)


@overload(one_node, strict=False, jit_options=_INLINE)
def _one_node(link: Any, part: int, x: float) -> Any:
    return link.instance_class.node


@overload(closed, strict=False, jit_options=_INLINE)
def _closed(link: Any, part: int, eta: float, s2: float) -> Any:
    own = getattr(link.instance_class, "average", None)
    return own or (lambda link, part, eta, s2: one_node(link, part, eta))


@overload(plain, strict=False, jit_options=_INLINE)
def _plain(link: Any, eta: float, s2: float) -> Any:
    own = getattr(link.instance_class, "plain", None)
    if own is None:
        return lambda link, eta, s2: closed(link, 0, eta, s2)
    return vectorised(own)


@overload(factor, strict=False, jit_options=_INLINE)
def _factor(link: Any, x: float) -> Any:
    return getattr(link.instance_class, "factor", None) or (lambda link, x: x)


@overload(_start, strict=False, jit_options=_INLINE)
def _start_of(link: Any, x: float) -> Any:
    return getattr(link.instance_class, "start", None) or (lambda link, x: (0.0, 0.0))


@overload(_far, strict=False, jit_options=_INLINE)
def _far_of(link: Any, x: float, reach: float) -> Any:
    if not hasattr(link.instance_class, "start"):
        return lambda link, x, reach: True
    return getattr(link.instance_class, "far", None) or (lambda link, x, reach: not abs(x) <= FAR)


@overload(_finish, strict=False, jit_options=_INLINE)
def _finish_of(link: Any, x: float, total: float) -> Any:
    return getattr(link.instance_class, "finish", None) or (lambda link, x, total: total)


@overload(_add_nodes, strict=False, jit_options=_JIT)
def _add_nodes_of(link: Any, m: int, w: float, work: Pointer) -> Any:
    pair = getattr(link.instance_class, "pair", None)
    if pair is not None:
        both = njit(**INNER)(pair)

        def add(link: Any, m: int, w: float, work: Pointer) -> None:
            t, alpha, total, up, down = _of_rows(work)
            both(link, m, w, up, down, t, alpha, total)
    elif not hasattr(link.instance_class, "start"):

        def add(link: Any, m: int, w: float, work: Pointer) -> None:
            pass
    else:
        terms = njit(**INNER)(link.instance_class.terms)

        def add(link: Any, m: int, w: float, work: Pointer) -> None:
            t, _, total, up, _ = _of_rows(work)
            for side in range(2):
                mantissa, power = after(work, 7 * BLOCK), after(work, 8 * BLOCK)
                terms(link, m, w, after(up, side * BLOCK), t, mantissa, power, as_integers(power), total)

    return add


@overload(add_group, strict=False, jit_options=_JIT)
def _add_group_of(link: Any, m: int, w: float, g: float, work: Array, bits: Integers) -> Any:
    group = getattr(link.instance_class, "group", None)
    if group is not None:
        one = njit(**INNER)(group)

        def add(link: Any, m: int, w: float, g: float, work: Array, bits: Integers) -> None:
            one(link, m, w, g, work[0], work[1])
    elif not hasattr(link.instance_class, "terms"):

        def add(link: Any, m: int, w: float, g: float, work: Array, bits: Integers) -> None:
            for i in range(m):
                work[1, i] += w * one_node(link, link.part, work[0, i] + g)
    else:
        terms = njit(**INNER)(link.instance_class.terms)

        def add(link: Any, m: int, w: float, g: float, work: Array, bits: Integers) -> None:
            for i in range(m):
                work[4, i] = g
            terms(link, m, w, work[4], work[0], work[5], work[6], bits, work[1])

    return add


@njit(**INNER)
def _slowly(link: Any, eta: float, s: float, step: float, half: int, weights: Pointer) -> float:
    """One value, node by node: where exp(eta) or exp(s z) is out of range, infinite or not a number."""
    if math.isnan(eta):
        return np.nan
    total = 0.0
    for k in range(-half, half + 1):
        total += weights[abs(k)] * one_node(link, link.part, eta + s * (k * step))
    return total


@njit(**INNER)
def _prepare(
    link: Any, eta: Pointer, s: Pointer, shared: bool, rows: Pointer, m: int, step: float, half: int, work: Pointer
) -> None:
    """exp of the linear predictor of every row, and the factor by which its nodes advance."""
    t, alpha, total, up, down = _of_rows(work)
    rise, fall = after(work, 5 * BLOCK), after(work, 6 * BLOCK)
    for i in range(m):
        x = eta[rows[i]]
        if _far(link, x, s[0 if shared else rows[i]] * (step * half)):
            x = 0.0  # _slowly does this row
        total[i] = 0.0
        up[i] = down[i] = 1.0
        if not shared:
            rise[i] = math.exp(s[rows[i]] * step)
            fall[i] = 1.0 / rise[i]
        t[i], alpha[i] = _start(link, x)


@njit(**INNER)
def _block(
    link: Any, eta: Pointer, s: Pointer, shared: bool, rows: Pointer, m: int, step: float, half: int, weights: Pointer,
    work: Pointer, out: Pointer,
) -> None:  # fmt: skip
    """The rows of one block, all with the same rule."""
    _, _, total, up, down = _of_rows(work)
    rise, fall = after(work, 5 * BLOCK), after(work, 6 * BLOCK)
    _prepare(link, eta, s, shared, rows, m, step, half, work)
    g, g_down, factor = 1.0, 1.0, math.exp(s[0] * step) if shared else 1.0
    factor_down = 1.0 / factor
    for k in range(half + 1):
        if shared:
            if k > 0:  # the same products as for rows of their own, so that both layouts agree to the bit
                g, g_down = min(g * factor, _HUGE), max(g_down * factor_down, _TINY)
            for i in range(m):
                up[i] = g
                down[i] = g_down
        elif k > 0:
            for i in range(m):
                up[i] = min(up[i] * rise[i], _HUGE)
                down[i] = max(down[i] * fall[i], _TINY)
        w = 0.5 * weights[k] if k == 0 else weights[k]  # z = 0 is both of its pair
        _add_nodes(link, m, w, work)
    for i in range(m):
        x, sd = eta[rows[i]], s[0 if shared else rows[i]]
        if _far(link, x, sd * (step * half)):
            out[rows[i]] = _slowly(link, x, sd, step, half, weights)
        else:
            out[rows[i]] = _finish(link, x, total[i])


@njit(**INNER)
def _rule_index(s: float, per_octave: int, lowest: int, widest: float) -> int:
    """Which rule serves s? -1 where none does: 0, NaN, and beyond the widest rule."""
    if not (0.0 < s <= widest):
        return -1
    return max(math.ceil(per_octave * math.log2(s)) - lowest, 0)


@njit(**INNER)
def _by_rule(
    s: Pointer, count: int, per_octave: int, lowest: int, widest: float, rules: int, index: Pointer, rows: Pointer,
    counts: Pointer,
) -> None:  # fmt: skip
    """Sort the rows of a chunk by rule; counts[j] becomes the end of rule j - 1 in rows."""
    for j in range(rules + 2):
        counts[j] = 0
    for row in range(count):
        index[row] = _rule_index(s[row], per_octave, lowest, widest)
        counts[index[row] + 2] += 1
    for j in range(1, rules + 2):
        counts[j] += counts[j - 1]
    for row in range(count):
        j = index[row] + 1
        rows[counts[j]] = row
        counts[j] += 1


@kernel_with_memory
def trapezoid(
    begin: int,
    end: int,
    link: Any,
    eta: Array,
    s: Array,
    per_octave: int,
    lowest: int,
    widest: float,
    steps: Array,
    halves: Integers,
    offsets: Integers,
    weights: Array,
    out: Array,
) -> None:
    """The trapezoid sum at each eta (draw, row), with the rule of its s (draw, 1) or (draw, row), into out (draw, row).

    begin, end : which chunks of rows of which draws, see `in_threads`. link : the tag of what is averaged, from
    `Link.tags`; the kernel is compiled for each type. Rule j serves s up to 2^((lowest + j) / per_octave), and none
    beyond `widest`; steps, halves, offsets (rule,) are its step, nodes on each side, and where it begins in the
    weights (node,) of all rules. out is left as it is where s is 0, NaN or beyond widest.

    >>> import numpy as np
    >>> out, rule = np.zeros((1, 1)), (np.array([0.5]), np.array([0]), np.array([0]), np.array([1.0]))
    >>> from bayesmargins.family import get_link
    >>> trapezoid(0, 1, get_link("logit").tags["mean"], np.zeros((1, 1)), np.ones((1, 1)), 4, 0, 4096.0, *rule, out)
    >>> float(out[0, 0])
    0.5
    """
    n_rows, rules, shared = eta.shape[1], steps.size, s.shape[1] == 1
    chunks, columns = (n_rows + CHUNK - 1) // CHUNK, 1 if shared else n_rows
    work = room_for(9 * BLOCK + 2 * CHUNK + rules + 2)
    rows = as_integers(after(work, 9 * BLOCK))
    index, ends = after(rows, CHUNK), after(rows, 2 * CHUNK)
    of_rule = start_of(weights)
    for task in range(begin, end):
        draw, first = task // chunks, task % chunks * CHUNK
        count = min(CHUNK, n_rows - first)
        own, values = after(start_of(eta), draw * n_rows + first), after(start_of(out), draw * n_rows + first)
        sds = after(start_of(s), draw * columns + (0 if shared else first))
        if shared:
            at = _rule_index(sds[0], per_octave, lowest, widest)
            for row in range(count):
                rows[row] = row
            for j in range(rules + 2):
                ends[j] = count if j > at else 0
        else:
            _by_rule(sds, count, per_octave, lowest, widest, rules, index, rows, ends)
        for j in range(rules):
            w = after(of_rule, offsets[j])
            for begun in range(ends[j], ends[j + 1], BLOCK):
                m = min(BLOCK, ends[j + 1] - begun)
                _block(link, own, sds, shared, after(rows, begun), m, steps[j], halves[j], w, work, values)
    leave(work)
