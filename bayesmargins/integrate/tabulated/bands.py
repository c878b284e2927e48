"""Bands of s^2: the first bits of 1/4 + s^2 say which one it lies in, so that no root or logarithm is taken.

From each power of two to the next 256 bands are equally wide: 1/1024 in s^2 up to s = 1/2, and some s^2 / 256 far from
0, where the average is smoother.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BAND_BITS", "LEAST", "band_of", "edge_of", "octaves"]

Integers = npt.NDArray[np.int64]

LEAST = 0.25  # is added to s^2
BAND_BITS = 44  # the last bits of a float's 64: they do not count


def band_of(s: float) -> int:
    """Which band a standard deviation lies in.

    >>> band_of(0.5) - band_of(0.0)
    256
    """
    return int(np.float64(LEAST + s * s).view(np.int64)) >> BAND_BITS


def edge_of(band: int | Integers) -> Any:
    """Where a band begins, or each of several, in 1/4 + s^2."""
    return (np.asarray(band, dtype=np.int64) << BAND_BITS).view(np.float64)


def octaves(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Bands that are equally wide, of those from first to last - 1: the first of them, and the first after them."""
    of_octave = 52 - BAND_BITS
    while first < last:
        end = min(((first >> of_octave) + 1) << of_octave, last)
        yield first, end
        first = end
