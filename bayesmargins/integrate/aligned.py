"""Arrays that begin where a line of a processor's cache does: numbers that lie across two take a fifth longer to read."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["LINE", "aligned", "columns_of"]

Array = npt.NDArray[np.float64]

LINE = 8  # numbers in a line


def aligned(*shape: int) -> Array:
    """Room for numbers."""
    room = np.empty(math.prod(shape) + LINE)
    return room[-room.ctypes.data % 64 // 8 :][: math.prod(shape)].reshape(shape)


def columns_of(columns: int, rows: int) -> Array:
    """(column, row): room for columns that begin with a line each. There are more rows than asked, up to a whole line."""
    return aligned(columns, -(-rows // LINE) * LINE)
