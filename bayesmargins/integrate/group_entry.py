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
from bayesmargins.integrate.group_planes import answer_planes, name_of_planes
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
    floats = (
        rows.y,
        rows.n,
        rows.weights,
        model.offset,
        groups.W,
        model.F,
        model.widest,
        model.rest,
        [model.tolerance],
    )
    sizes = [GRADIENT, len(rows.y), groups.groups, len(model.F), groups.parameters, len(rows.samples)]
    sizes += [rows.shifts, 1]
    whole = (sizes, rows.starts, rows.kinds, rows.samples, model.reads)
    return np.concatenate([np.ravel(x) for x in floats]), np.concatenate([np.ravel(x) for x in whole])


@njit(**INNER)
def _unpacked(x: Any, data: Any, sizes: Any, out: Any, terms: int) -> Any:
    """What is asked, the model, the last effect's W, the points, and where answers go, a row each."""
    head = carray(sizes, 8)
    task, n, groups, p = head[0], head[1], head[2], head[3]
    parameters, kinds, shifts, points = head[4], head[5], head[6], head[7]
    whole = carray(sizes, 8 + groups + 1 + n + kinds + 2 * n)[8:]
    starts, of_kind = whole[: groups + 1], whole[groups + 1 : groups + 1 + n]
    samples, read = whole[groups + 1 + n : groups + 1 + n + kinds], whole[groups + 1 + n + kinds :].reshape(2, n)
    first, rest = (4 + terms) * n, (1 + COLUMNS) * groups
    columns = first + p * n
    every = carray(data, columns + rest + 1)
    of_rows = every[: 3 * n].reshape(3, n)
    W, F = every[4 * n : 5 * n], every[first:columns].reshape(p, n)
    rows = Rows(of_rows[0], of_rows[1], of_rows[2], W, starts, of_kind, samples, shifts == 1)
    known = every[columns + groups : columns + rest].reshape(groups, COLUMNS)
    widest = every[columns : columns + groups]
    model = Model(rows, F, every[3 * n : 4 * n], read, widest, known, every[-1])
    width = p + terms * terms + parameters
    size = width + 1
    if task == VALUES:
        size = groups + 1
    elif task != GRADIENT:
        size = groups * (COLUMNS if task == PILOT else terms)
    return task, model, every[first - n : first], carray(x, (points, width)), carray(out, (points, size))


def _answer(x: Any, data: Any, sizes: Any, out: Any, of: Loops) -> None:
    """An `Entry`, of these loops."""
    task, model, _, variables, values = _unpacked(x, data, sizes, out, 1)
    p = len(model.F)
    for d in range(len(variables)):
        own = variables[d]
        answer(of, model, own[:p], own[p], own[p + 1 :], task, values[d])


_TAKEN = (*SIGNATURE.args, LOOPS)
_call_answer = caller(*_TAKEN)

# Each family's rows have their own: see `group_entry`.
_answer_at: Any = None
_loops: Any = None
_tag: Any = None
_planes: Any = None


def _run(x: Any, data: Any, sizes: Any, out: Any) -> None:
    _call_answer(_answer_at(), (x, data, sizes, out, _loops()))


def _run_planes(x: Any, data: Any, sizes: Any, out: Any) -> None:
    task, model, beside, variables, values = _unpacked(x, data, sizes, out, 2)
    p = len(model.F)
    for d in range(len(variables)):
        own = variables[d]
        root, aux = own[p : p + 4].reshape(2, 2), own[p + 4 :]
        answer_planes(_tag(), _planes(), model, beside, own[:p], root, aux, task, values[d])


@lru_cache(maxsize=None, typed=True)  # tuples of other types are equal
def group_entry(tag: Any, terms: int = 1) -> Entry:
    """That of the rows with this tag: all families share the loops over groups and hand them those over rows.

    Two effects take loops of their own, a family.
    """
    if terms == 2:
        label, kind, fields = f"group_planes_{type(tag).__name__}", type(tag), tuple(tag)

        @njit(**INNER)
        def same() -> Any:
            return kind(*fields)

        planes = address_of(name_of_planes())
        return entry(label, with_globals(_run_planes, label, {**globals(), "_tag": same, "_planes": planes}))
    label = f"group_marginal_{type(tag).__name__}"
    names = [by_name(_answer, _TAKEN).name, name_of_search(), *names_of(tag)]
    answer, search, log_densities, averages, slopes, base = map(address_of, names)
    reads, sign = tag.reads, tag.sign

    @njit(**INNER)
    def loops() -> Loops:
        return Loops((reads, sign), search(), log_densities(), averages(), slopes(), base())

    return entry(label, with_globals(_run, label, {**globals(), "_answer_at": answer, "_loops": loops}))
