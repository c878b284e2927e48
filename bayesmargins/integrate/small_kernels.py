"""Compiled loops over the first entries of arrays, which other kernels are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, SUM

__all__ = ["add_row", "copy_row", "dot", "fill", "sum_of"]

Array = npt.NDArray[np.float64]


@njit(**SUM)
def dot(x: Array, y: Array, n: int) -> float:
    """Of the first n entries."""
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@njit(**SUM)
def sum_of(x: Array, n: int) -> float:
    """The first n entries."""
    total = 0.0
    for i in range(n):
        total += x[i]
    return total


@njit(**APART)
def add_row(out: Array, x: Array, factor: float, n: int) -> None:
    """Of the first n entries."""
    for i in range(n):
        out[i] += x[i] * factor


@njit(**APART)
def copy_row(out: Array, x: Array, n: int) -> None:
    """The first n entries.

    Arrays assigned to slices would compile the words of the error about their shapes: half of all compiling here.
    """
    for i in range(n):
        out[i] = x[i]


@njit(**APART)
def fill(out: Array, value: float, n: int) -> None:
    """The first n entries."""
    for i in range(n):
        out[i] = value
