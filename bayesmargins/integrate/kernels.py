"""Compiled trapezoid sums over the nodes of `rules`.

Rows that share a rule are taken in blocks, and the loop over a block's rows is the inner one: it vectorises without
reordering a sum, so that a value depends on its own eta and s only, bit for bit, whatever the blocks and threads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import INNER, OPTIONS, kernel
from bayesmargins.integrate.higher_kernels import (
    CloglogHigher,
    LogitHigher,
    cloglog_derivative,
    cloglog_higher,
    logit_derivative,
    logit_higher,
)

__all__ = ["BLOCK", "CHUNK", "FAR", "CloglogPart", "LogitPart", "cloglog_terms", "one_node", "trapezoid"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BLOCK = 64
CHUNK = 1024
_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it leaves an integer in the low bits of the mantissa
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LARGEST = 700.0  # exp of this neither overflows nor, negated, loses digits
FAR = 600.0  # beyond this abs(eta), values are computed node by node
_HUGE, _TINY = 1e300, 1e-300  # exp(+-s z) stops here: with abs(eta) <= 600 the link is 0 or 1 to 39 digits by then


class LogitPart(NamedTuple):
    """The logit link (code 0) and the position of the part in `links.PARTS`."""

    code: int
    part: int


class CloglogPart(NamedTuple):
    """The cloglog link (code 1) and the position of the part in `links.PARTS`."""

    code: int
    part: int


@njit(**INNER)
def _logit_terms(part: int, m: int, w: float, up: Array, down: Array, t: Array, alpha: Array, total: Array) -> None:
    """Add the two nodes +-z of every row, with t = exp(-|eta|) <= 1 and c = exp(s z) + exp(-s z).

    Over the common denominator (1 + t e^{sz})(1 + t e^{-sz}) = 1 + t c + t^2 one division serves both, and every term
    of the mean is positive: nothing cancels, however rare the event.
    """
    if part < 2:
        for i in range(m):
            tc = t[i] * (up[i] + down[i])
            total[i] += w * ((alpha[i] + tc) / (1.0 + tc + t[i] * t[i]))
    elif part == 2:
        for i in range(m):
            p = t[i] * t[i]
            tc = t[i] * (up[i] + down[i])
            r = 1.0 / (1.0 + tc + p)
            total[i] += w * ((tc * (1.0 + p) + 4.0 * p) * r * r)
    else:
        for i in range(m):
            p = t[i] * t[i]
            tc = t[i] * (up[i] + down[i])
            r = 1.0 / (1.0 + tc + p)
            q = tc * r
            total[i] += w * (r * (q * (q - (1.0 + p) * r) - 8.0 * p * r * r))


@njit(**INNER)
def cloglog_terms(
    part: int,
    m: int,
    w: float,
    g: Array,
    t: Array,
    mantissa: Array,
    power: Array,
    bits: Integers,
    total: Array,
) -> None:
    """Add the node of every row at which the linear predictor is log(t g).

    exp(-u) = 2^k (1 + p) with p = expm1 of the remainder, so 1 - exp(-u) = (1 - 2^k) - 2^k p keeps all its digits where
    u is small (k = 0); 2^k is written into the exponent bits, which vectorises where a call of exp would not.

    Raises
    ------
    Nothing.
    """
    for i in range(m):
        u = min(t[i] * g[i], 708.0)
        shifted = _MAGIC - u * _LOG2E
        k = shifted - _MAGIC
        x = -u - k * _LN2_HIGH - k * _LN2_LOW
        p = 1.0 / 6227020800.0
        p = p * x + 1.0 / 479001600.0
        p = p * x + 1.0 / 39916800.0
        p = p * x + 1.0 / 3628800.0
        p = p * x + 1.0 / 362880.0
        p = p * x + 1.0 / 40320.0
        p = p * x + 1.0 / 5040.0
        p = p * x + 1.0 / 720.0
        p = p * x + 1.0 / 120.0
        p = p * x + 1.0 / 24.0
        p = p * x + 1.0 / 6.0
        p = p * x + 0.5
        mantissa[i] = x + x * x * p
        power[i] = shifted
    for i in range(m):
        bits[i] = (bits[i] << 52) + (1023 << 52)
    if part == 0:
        for i in range(m):
            total[i] += w * ((1.0 - power[i]) - power[i] * mantissa[i])
    else:  # exp(-u) times 1, u or u - u^2
        a = 1.0 if part == 1 else 0.0
        b = 1.0 - a
        c = -1.0 if part == 3 else 0.0
        for i in range(m):
            u = min(t[i] * g[i], 708.0)
            total[i] += w * ((a + u * (b + c * u)) * (power[i] + power[i] * mantissa[i]))


@njit(**INNER)
def one_node(code: int, part: int, x: float) -> float:
    """f(x) of one node, for any x.

    Raises
    ------
    Nothing.
    """
    if code == 0:
        q = math.exp(-abs(x))
        small, large = q / (1.0 + q), 1.0 / (1.0 + q)
        if part == 0:
            return large if x >= 0.0 else small
        if part == 1:
            return small if x >= 0.0 else large
        if part == 2:
            return small * large
        return logit_derivative(part, small * large, (small - large) if x >= 0.0 else (large - small))
    u = math.exp(min(x, _LARGEST))
    if part == 0:
        return -math.expm1(-u)
    if part == 1:
        return math.exp(-u)
    return cloglog_derivative(part, u)


@njit(**INNER)
def _slowly(code: int, part: int, eta: float, s: float, step: float, half: int, weights: Array) -> float:
    """One value, node by node: where exp(eta) or exp(s z) is out of range, infinite or not a number."""
    if math.isnan(eta):
        return np.nan
    total = 0.0
    for k in range(-half, half + 1):
        total += weights[abs(k)] * one_node(code, part, eta + s * (k * step))
    return total


@njit(**INNER)
def _prepare(
    code: int,
    part: int,
    eta: Array,
    s: Array,
    shared: bool,
    rows: Integers,
    m: int,
    step: float,
    work: Array,
) -> None:
    """exp of the linear predictor of every row, and the factor by which its nodes advance."""
    t, alpha, total, up, down, rise, fall = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    for i in range(m):
        x = eta[rows[i]]
        if not abs(x) <= FAR:
            x = 0.0  # _slowly does this row
        total[i] = 0.0
        up[i] = down[i] = 1.0
        if not shared:
            rise[i] = math.exp(s[rows[i]] * step)
            fall[i] = 1.0 / rise[i]
        if code == 0:
            t[i] = math.exp(-abs(x))
            alpha[i] = 2.0 if (x >= 0.0) == (part == 0) else 2.0 * t[i] * t[i]
        else:
            t[i] = math.exp(x)


@njit(**INNER)
def _logit_nodes(link: LogitPart, m: int, w: float, work: Array, bits: Integers) -> None:
    _logit_terms(link.part, m, w, work[3], work[4], work[0], work[1], work[2])


@njit(**INNER)
def _cloglog_nodes(link: CloglogPart, m: int, w: float, work: Array, bits: Integers) -> None:
    for side in range(2):
        cloglog_terms(link.part, m, w, work[3 + side], work[0], work[7], work[8], bits, work[2])


_JIT: Any = OPTIONS  # numba's own annotation leaves some of them out


_NODES = {
    LogitPart: _logit_nodes,
    CloglogPart: _cloglog_nodes,
    LogitHigher: logit_higher,
    CloglogHigher: cloglog_higher,
}


def _add_nodes(link: Any, m: int, w: float, work: Array, bits: Integers) -> None:
    """Add the two nodes +-z of every row."""


@overload(_add_nodes, strict=False, jit_options=_JIT)
def _add_nodes_of(link: Any, m: int, w: float, work: Array, bits: Integers) -> Any:
    return _NODES[link.instance_class].py_func


@njit(**INNER)
def _block(
    link: Any,
    eta: Array,
    s: Array,
    shared: bool,
    rows: Integers,
    m: int,
    step: float,
    half: int,
    weights: Array,
    work: Array,
    bits: Integers,
    out: Array,
) -> None:
    """The rows of one block, all with the same rule."""
    total, up, down, rise, fall = work[2], work[3], work[4], work[5], work[6]
    _prepare(link.code, link.part, eta, s, shared, rows, m, step, work)
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
        _add_nodes(link, m, w, work, bits)
    for i in range(m):
        x = eta[rows[i]]
        if not abs(x) <= FAR:
            out[rows[i]] = _slowly(link.code, link.part, x, s[0] if shared else s[rows[i]], step, half, weights)
        elif link.code == 0 and link.part == 3:
            out[rows[i]] = math.copysign(1.0, x) * -math.expm1(-2.0 * abs(x)) * total[i]
        elif link.code == 0 and link.part == 5:
            out[rows[i]] = math.copysign(1.0, x) * total[i]
        else:
            out[rows[i]] = total[i]


@njit(**INNER)
def _rule_index(s: float, per_octave: int, lowest: int, widest: float) -> int:
    """Which rule serves s? -1 where none does: 0, NaN, and beyond the widest rule."""
    if not (0.0 < s <= widest):
        return -1
    return max(math.ceil(per_octave * math.log2(s)) - lowest, 0)


@njit(**INNER)
def _by_rule(
    s: Array,
    start: int,
    stop: int,
    per_octave: int,
    lowest: int,
    widest: float,
    index: Integers,
    rows: Integers,
    counts: Integers,
) -> None:
    """Sort the rows of a chunk by rule; counts[j] becomes the end of rule j - 1 in rows."""
    counts[:] = 0
    for row in range(start, stop):
        index[row - start] = _rule_index(s[row], per_octave, lowest, widest)
        counts[index[row - start] + 2] += 1
    for j in range(1, counts.size):
        counts[j] += counts[j - 1]
    for row in range(start, stop):
        j = index[row - start] + 1
        rows[counts[j]] = row
        counts[j] += 1


@kernel
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
    """What is the trapezoid sum of each value, with the rule of its s?

    Parameters
    ----------
    begin, end : int
        Which chunks of rows of which draws: see `in_threads`.
    link : LogitPart, CloglogPart, LogitHigher or CloglogHigher
        What is averaged. The kernel is compiled for each: the other's loops are not waited for.
    eta : (draw, row) float
        Linear predictors.
    s : (draw, 1) or (draw, row) float
        Standard deviations.
    per_octave, lowest : int
        Rule j serves s up to 2^((lowest + j) / per_octave).
    widest : float
        The largest s that is computed.
    steps, halves, offsets : (rule,) float, int, int
        Step, nodes on each side, and where in weights the rule begins.
    weights : (node,) float
        The weights of all rules.
    out : (draw, row) float
        Receives the values; left as it is where s is 0, NaN or beyond widest.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> import numpy as np
    >>> out, rule = np.zeros((1, 1)), (np.array([0.5]), np.array([0]), np.array([0]), np.array([1.0]))
    >>> trapezoid(0, 1, LogitPart(0, 0), np.zeros((1, 1)), np.ones((1, 1)), 4, 0, 4096.0, *rule, out)
    >>> float(out[0, 0])
    0.5
    """
    n_rows = eta.shape[1]
    shared = s.shape[1] == 1
    chunks = (n_rows + CHUNK - 1) // CHUNK
    for task in range(begin, end):
        draw = task // chunks
        start = (task % chunks) * CHUNK
        stop = min(start + CHUNK, n_rows)
        work = np.empty((9, BLOCK))
        bits = work[8].view(np.int64)
        rows = np.empty(stop - start, dtype=np.int64)
        index = np.empty(stop - start, dtype=np.int64)
        ends = np.zeros(steps.size + 2, dtype=np.int64)
        if shared:
            for row in range(start, stop):
                rows[row - start] = row
            ends[_rule_index(s[draw, 0], per_octave, lowest, widest) + 1 :] = stop - start
        else:
            _by_rule(s[draw], start, stop, per_octave, lowest, widest, index, rows, ends)
        for j in range(steps.size):
            w = weights[offsets[j] : offsets[j] + halves[j] + 1]
            for first in range(ends[j], ends[j + 1], BLOCK):
                m = min(BLOCK, ends[j + 1] - first)
                block = rows[first : first + m]
                _block(link, eta[draw], s[draw], shared, block, m, steps[j], halves[j], w, work, bits, out[draw])
