"""A likelihood and its gradient as a C function under a name of its own.

What calls a compiled function by its code compiles that code again with its own. What calls it by name does not, and so
a model that holds it compiles no longer than one without it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from numba import types

from bayesmargins.integrate.compiled import c_function, digest

__all__ = ["SIGNATURE", "Entry", "entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_DOUBLES, _INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)
SIGNATURE = types.void(_DOUBLES, _DOUBLES, _INTEGERS, _DOUBLES)


@dataclass(frozen=True)
class Entry:
    """The name that compiled models call, and the function: variables, data, sizes, out."""

    name: str
    compiled: Any

    def __call__(self, x: Array, data: Array, sizes: Integers) -> Array:
        """The value, then its derivatives in x."""
        out = np.empty(len(x) + 1)
        self.into(np.ascontiguousarray(x), np.ascontiguousarray(data), np.ascontiguousarray(sizes), out)
        return out

    def into(self, x: Array, data: Array, sizes: Integers, out: Array) -> None:
        """The same, written to `out`; all are contiguous. Other threads go on meanwhile."""
        doubles = [v.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for v in (x, data, out)]
        self.compiled.ctypes(*doubles[:2], sizes.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)), doubles[2])


def entry(name: str, function: Callable[..., None]) -> Entry:
    """Compile the function, or find it on disk, and make its name known to what is compiled from now on."""
    compiled = c_function(SIGNATURE, function)
    name = f"bayesmargins_{name}_{digest()}"
    llvmlite.binding.add_symbol(name, compiled.address)
    return Entry(name, compiled)
