"""The likelihood of normal group effects as a function that compiled models call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.np.numpy_support import carray

from bayesmargins.integrate.by_name import address_of, with_globals
from bayesmargins.integrate.compiled import APART, INNER
from bayesmargins.integrate.effect_pattern import Loops
from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.normal_group_kernels import Known, group_marginal, name_of_small_effects
from bayesmargins.integrate.normal_groups import GRADIENT, NormalGroups
from bayesmargins.integrate.small_kernels import copy_row

__all__ = ["POINTS", "TASK", "flat_data", "normal_entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Where the function of small effects lies: see `normal_entry`.
_small: Any = None

TASK, POINTS = 0, 1  # places in `sizes`: whether derivatives are asked for, and at how many points
_HEAD = 12


def flat_data(groups: NormalGroups) -> tuple[Array, Integers]:
    """All statistics one after the other; their sizes, then the pattern."""
    of = groups.compiled
    p = of.pattern
    lengths = [len(x) for x in (of.K, of.E, p.factor, p.terms, p.used, p.lanes)]
    data = np.concatenate([x.ravel() for x in (of.R, of.a, of.B, of.G, of.J, of.K, of.r, of.E)] + [[of.rss]])
    return data, np.concatenate([[GRADIENT, 1, *of.a.shape, *of.J.shape, *lengths], *p]).astype(np.int64)


@njit(**APART)
def _piece(x: Any, at: Any, size: int) -> Any:
    """The next of this size; `at` goes on behind it."""
    begin = at[0]
    at[0] += size
    return x[begin : begin + size]


@njit(**APART)
def _pattern(sizes: Any, levels: int, effects: int, factors: int, lanes: int, used: int) -> Any:
    at = np.zeros(1, np.int64)
    return Loops(
        _piece(sizes, at, levels + 1),
        _piece(sizes, at, levels),
        _piece(sizes, at, levels),
        _piece(sizes, at, effects),
        _piece(sizes, at, effects),
        _piece(sizes, at, factors),
        _piece(sizes, at, lanes),
        _piece(sizes, at, lanes),
        _piece(sizes, at, used),
    )


def _entry(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Reads x, which has c, L, t and the roots one after the other; out is the value and its derivatives in x."""
    head = carray(sizes, _HEAD)
    task, points, q, groups, p, m = head[0], head[1], head[2], head[3], head[4], head[5]
    entries, shared, levels, factors, used, lanes = head[6], head[7], head[8], head[9], head[10], head[11]
    length = _HEAD + 3 * levels + 1 + 2 * m + factors + 2 * lanes + used
    pattern = _pattern(carray(sizes, length)[_HEAD:], levels, m, factors, lanes, used)
    most = 1
    for f in range(factors):
        most = max(most, pattern.terms[f])
    every = carray(data, groups * q * (q + 1 + p) + p * p + p * m + entries + m + shared + 1)
    at = np.zeros(1, np.int64)
    of = Known(
        _piece(every, at, q * q * groups).reshape(q, q, groups),
        _piece(every, at, q * groups).reshape(q, groups),
        _piece(every, at, q * p * groups).reshape(q, p, groups),
        _piece(every, at, p * p).reshape(p, p),
        _piece(every, at, p * m).reshape(p, m),
        _piece(every, at, entries),
        _piece(every, at, m),
        _piece(every, at, shared),
        every[-1],
        pattern,
    )
    square, width = q * q, factors * most * most
    size, slopes, small = p + square + 1 + width, task == GRADIENT, _small()
    variables, results = carray(x, points * size), carray(out, points * (size + 1))
    for k in range(points):
        own, result = variables[k * size :], results[k * (size + 1) :]
        L = own[p : p + square].reshape(q, q)
        roots = own[p + square + 1 : size].reshape(factors, most, most)
        value, dc, dL, dt, d_roots = group_marginal(own[:p], L, own[p + square], roots, of, slopes, small)
        result[0], result[p + square + 1] = value, dt
        copy_row(result[1:], dc, p)
        copy_row(result[p + 1 :], dL.ravel(), square)
        copy_row(result[p + square + 2 :], d_roots.ravel(), width)


@njit(**INNER)
def _nowhere() -> int:
    return 0


@lru_cache(maxsize=2)
def normal_entry(small: bool) -> Entry:
    """That of all models with small effects, or of all without, which need not wait for their code."""
    label = f"normal_marginal_{'several' if small else 'one'}"
    where = address_of(name_of_small_effects()) if small else _nowhere
    return entry(label, with_globals(_entry, label, {**globals(), "_small": where}))
