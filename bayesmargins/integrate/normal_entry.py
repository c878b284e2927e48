"""The likelihood of normal group effects as a function that compiled models call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.np.numpy_support import carray

from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.normal_group_kernels import group_marginal
from bayesmargins.integrate.normal_groups import NormalGroups
from bayesmargins.integrate.small_kernels import copy_row

__all__ = ["flat_data", "normal_entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def flat_data(groups: NormalGroups) -> tuple[Array, Integers]:
    """All statistics one after the other; terms, groups, coordinates, small effects, small factors, their layout."""
    R, a, B, G, r = groups.compiled
    sizes = [*a.shape, len(groups.centre), len(r), len(groups.layout), *groups.layout.ravel()]
    data = np.concatenate([R.ravel(), a.ravel(), B.ravel(), G.ravel(), r, [groups.rss]])
    return data, np.array(sizes, dtype=np.int64)


def _entry(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Reads x, which has c, L, t and the roots one after the other; out is the value and its derivatives in x."""
    head = carray(sizes, 5)
    q, groups, p, m, factors = head[0], head[1], head[2], head[3], head[4]
    layout = carray(sizes, 5 + 2 * factors)[5:].reshape(factors, 2)
    most = 1
    for f in range(factors):
        most = max(most, layout[f, 1])
    n, square = p + m, q * q
    every = carray(data, square * groups + q * groups + q * n * groups + n * n + m + 1)
    first = square * groups
    R = every[:first].reshape(q, q, groups)
    a = every[first : first + q * groups].reshape(q, groups)
    first += q * groups
    B = every[first : first + q * n * groups].reshape(q, n, groups)
    first += q * n * groups
    G = every[first : first + n * n].reshape(n, n)
    r = every[first + n * n : first + n * n + m]
    width = factors * most * most
    variables, result = carray(x, p + square + 1 + width), carray(out, p + square + 2 + width)
    L = variables[p : p + square].reshape(q, q)
    roots = variables[p + square + 1 :].reshape(factors, most, most)
    value, dc, dL, dt, d_roots = group_marginal(
        variables[:p], L, variables[p + square], roots, R, a, B, G, r, every[-1], layout, True
    )
    result[0], result[p + square + 1] = value, dt
    copy_row(result[1:], dc, p)
    copy_row(result[p + 1 :], dL.ravel(), square)
    copy_row(result[p + square + 2 :], d_roots.ravel(), width)


@lru_cache(maxsize=1)
def normal_entry() -> Entry:
    """The same for all models."""
    return entry("normal_marginal", _entry)
