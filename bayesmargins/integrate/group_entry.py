"""The likelihood of `group_quadrature` as a function that compiled models call, one for each family and link."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.np.numpy_support import carray

from bayesmargins.integrate.by_name import address_of, by_name, caller, with_globals
from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.entry import SIGNATURE, Entry, entry
from bayesmargins.integrate.group_loops import LOOPS, Loops, names_of
from bayesmargins.integrate.group_nodes import name_of_search
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.integrate.group_quadrature_kernels import Model, answer
from bayesmargins.integrate.group_rows import Rows
from bayesmargins.integrate.group_tasks import COLUMNS, GRADIENT, PILOT, VALUES

__all__ = ["flat_rows", "group_entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def flat_rows(groups: GroupQuadrature) -> tuple[Array, Integers]:
    """All columns one after the other; what is asked (the gradient), sizes, for how many points, all whole numbers."""
    model = groups.model
    rows: Rows = model.rows
    floats = (rows.y, rows.n, rows.weights, model.offset, rows.W, model.F, model.widest, model.rest, [model.tolerance])
    sizes = [GRADIENT, len(rows.y), groups.groups, len(model.F), groups.parameters, len(rows.samples)]
    sizes += [rows.shifts, 1]
    whole = (sizes, rows.starts, rows.kinds, rows.samples, model.reads)
    return np.concatenate([np.ravel(x) for x in floats]), np.concatenate([np.ravel(x) for x in whole])


def _answer(x: Any, data: Any, sizes: Any, out: Any, of: Loops) -> None:
    """An `Entry`, of these loops."""
    head = carray(sizes, 8)
    task, n, groups, p = head[0], head[1], head[2], head[3]
    parameters, kinds, shifts, points = head[4], head[5], head[6], head[7]
    whole = carray(sizes, 8 + groups + 1 + n + kinds + 2 * n)[8:]
    starts, of_kind = whole[: groups + 1], whole[groups + 1 : groups + 1 + n]
    samples, read = whole[groups + 1 + n : groups + 1 + n + kinds], whole[groups + 1 + n + kinds :].reshape(2, n)
    columns, rest = (5 + p) * n, (1 + COLUMNS) * groups
    every = carray(data, columns + rest + 1)
    of_rows = every[: 3 * n].reshape(3, n)
    W, F = every[4 * n : 5 * n], every[5 * n : columns].reshape(p, n)
    rows = Rows(of_rows[0], of_rows[1], of_rows[2], W, starts, of_kind, samples, shifts == 1)
    known = every[columns + groups : columns + rest].reshape(groups, COLUMNS)
    widest = every[columns : columns + groups]
    model = Model(rows, F, every[3 * n : 4 * n], read, widest, known, every[-1])
    width, size = p + 1 + parameters, 1 + p + 1 + parameters
    if task == VALUES:
        size = groups + 1
    elif task != GRADIENT:
        size = groups * (COLUMNS if task == PILOT else 1)
    variables, values = carray(x, (points, width)), carray(out, (points, size))
    for d in range(points):
        own = variables[d]
        answer(of, model, own[:p], own[p], own[p + 1 :], task, values[d])


_TAKEN = (*SIGNATURE.args, LOOPS)
_call_answer = caller(*_TAKEN)

# Each family's rows have their own: see `group_entry`.
_answer_at: Any = None
_loops: Any = None


def _run(x: Any, data: Any, sizes: Any, out: Any) -> None:
    _call_answer(_answer_at(), (x, data, sizes, out, _loops()))


@lru_cache(maxsize=None, typed=True)  # tuples of other types are equal
def group_entry(tag: Any) -> Entry:
    """That of the rows with this tag: all families share the loops over groups and hand them those over rows."""
    label = f"group_marginal_{type(tag).__name__}"
    names = [by_name(_answer, _TAKEN).name, name_of_search(), *names_of(tag)]
    answer, search, log_densities, averages, slopes, base = map(address_of, names)
    reads, sign = tag.reads, tag.sign

    @njit(**INNER)
    def loops() -> Loops:
        return Loops((reads, sign), search(), log_densities(), averages(), slopes(), base())

    return entry(label, with_globals(_run, label, {**globals(), "_answer_at": answer, "_loops": loops}))
