"""Arrays that begin where a line of a processor's cache does: what lies across two takes a fifth longer to read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["LINE", "aligned", "columns", "even", "zeros"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LINE = 8  # numbers in a line


def aligned(*shape: int) -> Array:
    """Room for numbers."""
    room = np.empty(math.prod(shape) + LINE)
    return room[-room.ctypes.data % 64 // 8 :][: math.prod(shape)].reshape(shape)


def zeros(*shape: int) -> Array:
    """The same, of zeros."""
    room = aligned(*shape)
    room[...] = 0.0
    return room


def even(count: int) -> int:
    """How many columns there are of so many: they are taken two at a time."""
    return max(2, count + count % 2)


def columns(of: Sequence[Array] | Array, rows: int, order: Integers | None = None) -> Array:
    """(column, row): columns (row,), some rows or all, and of zeros up to an even number of them.

    Each begins with a line: the last of its rows is repeated to its end.
    """
    made = aligned(even(len(of)), -(-rows // LINE) * LINE)
    for out, column in zip(made, of, strict=False):
        out[:rows] = column[:rows] if order is None else column[order]
        out[rows:] = out[rows - 1] if rows else 0.0
    made[len(of) :] = 0.0
    return made
