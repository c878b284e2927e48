"""Compiled averages over existing groups: weighted sums of h at eta shifted by each group.

The loop over a block's rows is the inner one and groups are taken in their order, as in `kernels`: a value depends on
its own eta and on the shifts of its draw only, bit for bit, whatever the blocks and threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER, kernel, kernel_with_memory
from bayesmargins.integrate.kernels import BLOCK, CHUNK, FAR, add_group, factor, one_node

__all__ = ["mixture_plug_in", "mixture_probit"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BATCH = 32  # groups added up before they join the total
_FLAT = 40.0  # phi(40) underflows to 0: stopping there turns inf * 0 into the limit, 0
_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit(**INNER)
def _join(m: int, some: Array, total: Array, lost: Array) -> None:
    """Add the sums of a batch of groups to the totals and empty them, carrying what rounding loses (Kahan)."""
    for i in range(m):
        term = some[i] - lost[i]
        joined = total[i] + term
        lost[i] = (joined - total[i]) - term
        total[i] = joined
        some[i] = 0.0


@njit(**INNER)
def _slowly(link: Any, eta: float, shifts: Array, weights: Array) -> float:
    """One value, group by group: where exp(eta) or exp(shift) is out of range, infinite or not a number."""
    total = lost = 0.0
    for c in range(weights.size):
        x = eta + shifts[c]
        if math.isnan(x):
            return np.nan
        term = weights[c] * one_node(link, link.part, x) - lost
        joined = total + term
        lost = (joined - total) - term
        total = joined
    return total


@njit(**INNER)
def _factors(link: Any, shifts: Array, g: Array) -> float:
    """The factor of every group's shift into g; the largest abs(shift), NaN where one is NaN."""
    farthest = 0.0
    for c in range(shifts.size):
        if math.isnan(shifts[c]):
            return np.nan
        farthest = max(farthest, abs(shifts[c]))
        g[c] = factor(link, shifts[c])
    return farthest


@njit(**INNER)
def _block(
    link: Any,
    eta: Array,
    shifts: Array,
    weights: Array,
    g: Array,
    farthest: float,
    work: Array,
    bits: Integers,
    out: Array,
) -> None:
    """The rows of one block: exp once per row and once per group, and none per row and group."""
    m = eta.size
    t, some, total, lost = work[0], work[1], work[2], work[3]
    near = 0
    for i in range(m):
        inside = abs(eta[i]) + farthest <= FAR  # else _slowly does this row
        near += inside
        x = eta[i] if inside else 0.0
        t[i] = factor(link, x)
        some[i] = total[i] = lost[i] = 0.0
    if near > 0:
        for first in range(0, weights.size, _BATCH):
            for c in range(first, min(first + _BATCH, weights.size)):
                add_group(link, m, weights[c], g[c], work, bits)
            _join(m, some, total, lost)
    for i in range(m):
        inside = abs(eta[i]) + farthest <= FAR
        out[i] = total[i] if inside else _slowly(link, eta[i], shifts, weights)


@kernel_with_memory
def mixture_plug_in(begin: int, end: int, link: Any, eta: Array, shifts: Array, weights: Array, out: Array) -> None:
    """Into out (draw, row): the sum over groups of weight (group,) times f(eta + shift), f the one of the tag `link`.

    eta is (draw, row), shifts (draw, group); `begin` to `end` are chunks of rows of draws.

    >>> import numpy as np
    >>> from bayesmargins.family import get_link
    >>> out = np.zeros((1, 1))
    >>> logit, groups = get_link("logit").tags["mean"], np.array([[-1.0, 1.0]])
    >>> mixture_plug_in(0, 1, logit, np.zeros((1, 1)), groups, np.array([0.5, 0.5]), out)
    >>> float(out[0, 0])
    0.5
    """
    n_rows = eta.shape[1]
    chunks = (n_rows + CHUNK - 1) // CHUNK
    for task in range(begin, end):
        draw = task // chunks
        start = (task % chunks) * CHUNK
        stop = min(start + CHUNK, n_rows)
        work = np.empty((7, BLOCK))
        bits = work[6].view(np.int64)
        g = np.empty(weights.size)
        farthest = _factors(link, shifts[draw], g)
        for first in range(start, stop, BLOCK):
            last = min(first + BLOCK, stop)
            x, values = eta[draw, first:last], out[draw, first:last]
            _block(link, x, shifts[draw], weights, g, farthest, work, bits, values)


@njit(**INNER)
def _normal(part: int, x: float, root: float) -> float:
    """The probit average at x = (eta + shift) / tau, root = 1 / tau; erfc of the small side keeps its digits."""
    if part == 0:
        return 0.5 * math.erfc(-x * _ROOT_HALF)
    if part == 1:
        return 0.5 * math.erfc(x * _ROOT_HALF)
    if abs(x) > _FLAT:
        return 0.0
    density = _DENSITY * math.exp(-0.5 * x * x) * root
    return density if part == 2 else -x * density * root


@kernel
def mixture_probit(
    begin: int, end: int, part: int, eta: Array, s2: Array, shifts: Array, weights: Array, out: Array
) -> None:
    """The same of E[f(eta + shift + s Z)] for the probit link, s2 (draw, 1) or (draw, row), f by place in `PARTS`.

    >>> import numpy as np
    >>> out = np.zeros((1, 1))
    >>> mixture_probit(0, 1, 0, np.zeros((1, 1)), np.ones((1, 1)), np.array([[-1.0, 1.0]]), np.array([0.5, 0.5]), out)
    >>> round(float(out[0, 0]), 15)
    0.5
    """
    n_rows = eta.shape[1]
    shared = s2.shape[1] == 1
    chunks = (n_rows + CHUNK - 1) // CHUNK
    for task in range(begin, end):
        draw = task // chunks
        start = (task % chunks) * CHUNK
        for row in range(start, min(start + CHUNK, n_rows)):
            tau = math.sqrt(1.0 + s2[draw, 0 if shared else row])
            total = lost = 0.0
            for c in range(weights.size):
                term = weights[c] * _normal(part, (eta[draw, row] + shifts[draw, c]) / tau, 1.0 / tau) - lost
                joined = total + term
                lost = (joined - total) - term
                total = joined
            out[draw, row] = total
