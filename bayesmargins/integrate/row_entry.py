"""Log density of rows, and its derivatives in their linear predictor, as a function that compiled models call.

Value and slopes of a row come from one pass over the rows, several at once: a third of what a graph of PyTensor takes.
Rows are those of `group_quadrature`, all of them as one group.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.np.numpy_support import carray

from bayesmargins.integrate.by_name import with_globals
from bayesmargins.integrate.compiled import INNER, MEMORY
from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.integrate.group_rows import base, node
from bayesmargins.integrate.small_kernels import sum_of

__all__ = ["flat_columns", "row_entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NOWHERE = 1e9  # a threshold where there is none: no eta is near it
_HEAD = 3

# Each family's rows have their own: see `row_entry`.
_tag: Any = None


def flat_columns(rows: GroupQuadrature) -> tuple[Array, Integers]:
    """y, n and weights one after the other; how many variables, rows and kinds, and whole numbers of each."""
    whole = ([rows.parameters + len(rows.y), len(rows.y), len(rows.samples)], rows.kinds, rows.samples, rows.reads)
    return np.concatenate([rows.y, rows.n, rows.weights]), np.concatenate([np.ravel(x) for x in whole])


@njit(**INNER | MEMORY)
def _of_kinds(tag: Any, y: Array, n: Array, u: Array, v: Array, samples: Integers) -> Array:
    """`base` of each kind of row: (3, kind). What it reads lies side by side, so that processors take several."""
    m = len(samples)
    given, found = np.empty((4, m)), np.empty((3, m))
    for k in range(m):
        i = samples[k]
        given[0, k], given[1, k], given[2, k], given[3, k] = y[i], n[i], u[i], v[i]
    for k in range(m):
        found[0, k], found[1, k], found[2, k] = base(tag, given[0, k], given[1, k], given[2, k], given[3, k])
    return found


def _answer(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """An `Entry`: x is eta (row,), then the family's parameters."""
    tag, head = _tag(), carray(sizes, _HEAD)
    variables, n, count = head[0], head[1], head[2]
    whole = carray(sizes, _HEAD + 3 * n + count)[_HEAD:]
    kinds, samples, reads = whole[:n], whole[n : n + count], whole[n + count :].reshape(2, n)
    columns, own, result = carray(data, (3, n)), carray(x, variables), carray(out, variables + 1)
    total = sum_of(own, variables)
    if total - total != 0.0:  # exp() and log() of the rows are for finite numbers
        for k in range(variables + 1):
            result[k] = np.nan
        return
    y, number, weights, aux = columns[0], columns[1], columns[2], own[n:]
    u, v, of, slopes = np.zeros(n), np.zeros(n), np.zeros((3, n)), result[1:]
    if tag.reads > 0:
        for i in range(n):
            j, k = reads[0, i], reads[1, i]
            u[i] = aux[j] if j < len(aux) else -_NOWHERE
            v[i] = aux[k] if k < len(aux) else _NOWHERE
    value, d_u, d_v = of[0], of[1], of[2]
    for i in range(n):
        w = weights[i]
        found, slope, _, to_u, to_v = node(tag, y[i], number[i], own[i], u[i], v[i])
        value[i], slopes[i], d_u[i], d_v[i] = w * found, w * slope, w * to_u, w * to_v
    bases = _of_kinds(tag, y, number, u, v, samples)
    for i in range(n):
        for j in range(3 if tag.reads > 0 else 1):
            of[j, i] += weights[i] * bases[j, kinds[i]]
    result[0] = sum_of(value, n)
    for k in range(n, variables):
        slopes[k] = 0.0
    for j in range(tag.reads):
        for i in range(n):
            if reads[j, i] < len(aux):
                slopes[n + reads[j, i]] += of[1 + j, i]


@lru_cache(maxsize=None, typed=True)  # tuples of other types are equal
def row_entry(tag: Any) -> Entry:
    """That of rows with this tag."""
    label, kind, fields = f"rows_{type(tag).__name__}", type(tag), tuple(tag)

    @njit(**INNER)
    def same() -> Any:
        return kind(*fields)

    return entry(label, with_globals(_answer, label, {**globals(), "_tag": same}))
