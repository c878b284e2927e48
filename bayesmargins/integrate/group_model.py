"""Rows and what their linear predictors are made of, as one array of numbers and one of whole numbers, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.integrate.group_rows import Floats, Integers, Rows
from bayesmargins.integrate.group_tasks import COLUMNS, GRADIENT, POINTS, TASK
from bayesmargins.integrate.pointers import after

__all__ = ["Model", "flat_rows", "unpacked"]

_ROWS, _GROUPS, _COORDINATES, _PARAMETERS, _KINDS, _SHIFTS, _HEAD = range(TASK + 1, POINTS + 1)


class Model(NamedTuple):
    """Rows, and what their linear predictors are made of."""

    rows: Rows
    F: Floats  # (coordinate, row)
    coordinates: int
    offset: Floats  # (row,)
    beside: Floats  # (row,), W of the last effect
    # (2, row), which of the family's parameters u and v are; behind the last stand one far below, one far above
    reads: Integers
    parameters: int  # how many numbers these are
    widest: Floats  # (group,), the largest W of its rows
    # (group, `COLUMNS`), what a pilot point says of one effect's posterior, in place of a search: its precision without
    # the prior tau, tau times where it would be at a mean eta of 0, how far nodes reach to the left and to the right in
    # its standard deviations, how many there are (0: nothing is known)
    rest: Floats
    tolerance: float  # of a group's integral, relative


def flat_rows(groups: GroupQuadrature) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """All columns one after the other; what is asked (the gradient), sizes, for how many points, all whole numbers."""
    rows = (groups.y, groups.n, groups.weights, groups.offset, groups.W, groups.F)
    floats = (*rows, groups.widest, groups.rest, [groups.tolerance])
    shifts = int((groups.W[0] == 1.0).all())
    sizes = [GRADIENT, len(groups.y), groups.groups, len(groups.F), groups.parameters, len(groups.samples), shifts, 1]
    whole = (sizes, groups.starts, groups.kinds, groups.samples, groups.reads)
    return np.concatenate([np.ravel(x) for x in floats]), np.concatenate([np.ravel(x) for x in whole])


@njit(**APART)
def unpacked(data: Floats, sizes: Integers, terms: int) -> Model:
    """Of `flat_rows`, for so many effects of a group."""
    n, groups, p, kinds = sizes[_ROWS], sizes[_GROUPS], sizes[_COORDINATES], sizes[_KINDS]
    starts = after(sizes, _HEAD + 1)
    of_kind = after(starts, groups + 1)
    samples = after(of_kind, n)
    of_n, weights, W = after(data, n), after(data, 2 * n), after(data, 4 * n)
    rows = Rows(data, of_n, weights, W, starts, of_kind, samples, n, groups, kinds, sizes[_SHIFTS] == 1)
    F = after(data, (4 + terms) * n)
    widest = after(F, p * n)
    rest = after(widest, groups)
    offset, beside, reads = after(data, 3 * n), after(data, (3 + terms) * n), after(samples, kinds)
    return Model(rows, F, p, offset, beside, reads, sizes[_PARAMETERS], widest, rest, after(rest, COLUMNS * groups)[0])
