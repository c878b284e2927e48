"""How many digits does a number deserve? As many as the width of its interval, or the number of draws, can tell."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesmargins.errors import ResultError, shown
from bayesmargins.values import plain_value

__all__ = ["aligned", "check_digits", "decimals", "fixed", "in_columns", "share"]

_MOST_DECIMALS = 7  # beyond, a power of ten is shorter than zeros
_MOST_DIGITS = 15
_MORE = 2  # decimals, for limits that would read as 0, and beyond those that the widest interval of a column needs
_NUMBER = re.compile(r"([<>]?-?(?:\d+|NaN|inf))((?:\.\d+)?(?:e[+-]\d+)?)")


def decimals(limits: np.ndarray, digits: int | None = None, scales: np.ndarray | None = None) -> np.ndarray:
    """How many decimals, (row,) int, does a column with limits (row, 2 * interval) have?

    Two significant digits of the narrowest interval are shown, up to two more than the widest needs; a limit that is
    not 0 and would read as 0 has up to two more. A row that needs still more keeps its own, for it would read as a row
    of zeros. A constant needs none, where anything else varies. `digits` are what the reader said; every one of the
    `scales` (row,) has decimals of its own.

    >>> decimals(np.array([[0.062, 0.204], [0.31, 0.35]]))
    array([3, 3])
    >>> decimals(np.array([[0.062, 0.204], [0.31, 0.35], [0.000012, 0.000043]]))
    array([3, 3, 6])
    """
    if digits is not None:
        return np.full(len(limits), digits)
    width = (limits[:, 1::2] - limits[:, ::2]).min(axis=1)
    base = np.array([_of_width(row, w) for row, w in zip(limits, width, strict=True)], dtype=int)
    smallest = np.array([_of_smallest(row) for row in limits], dtype=int)
    needed = np.where((smallest > base) & (smallest <= base + _MORE), smallest, base)
    return in_columns(needed, width > 0, np.minimum(smallest, base), scales)


def in_columns(
    needed: np.ndarray, telling: np.ndarray, least: np.ndarray, scales: np.ndarray | None = None
) -> np.ndarray:
    """One number of decimals a scale, from what rows need, (row,); rows that tell nothing need their least only."""
    out = np.empty(len(needed), dtype=int)
    scales = np.zeros(len(needed)) if scales is None else scales
    for scale in np.unique(scales):
        of = scales == scale
        counts = telling[of] if telling[of].any() else np.ones(of.sum(), dtype=bool)
        own = np.where(counts, needed[of], least[of])
        common = own[counts & (own <= own[counts].min() + _MORE)].max()
        out[of] = np.maximum(own, common)
    return out


def _of_width(row: np.ndarray, width: float) -> int:
    if width > 0:
        return max(1 - math.floor(math.log10(width)), 0)
    size = np.abs(row[np.isfinite(row) & (row != 0)])
    return max(2 - math.floor(math.log10(size.max())), 0) if size.size else 2  # a constant: three digits


def _of_smallest(row: np.ndarray) -> int:
    """Decimals at which no limit reads as 0 that is not."""
    size = np.abs(row[np.isfinite(row) & (row != 0)])
    return max(math.ceil(-math.log10(2 * size.min())), 0) if size.size else 0


def fixed(value: float, places: int) -> str:
    """A number with so many decimals, without the sign of a zero; with a power of ten where it needs very many.

    >>> fixed(-0.001, 2), fixed(1234.5, 0), fixed(2.51e-9, 10), fixed(float("nan"), 2)
    ('0.00', '1234', '2.5e-09', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if places <= _MOST_DECIMALS or value == 0 or math.isinf(value):
        return f"{value:z.{min(places, _MOST_DIGITS)}f}"
    return f"{value:.{max(places + math.floor(math.log10(abs(value))), 0)}e}"


def share(value: float, n: float) -> str:
    """A share of draws, with the decimals that so many draws can tell; never 0 or 1, which no sample shows.

    >>> share(0.9755, 4000), share(1.0, 4000), share(0.0, 200)
    ('0.976', '>0.999', '<0.01')
    """
    if math.isnan(value):
        return "NaN"
    places = min(max(int(math.log10(max(n, 1))), 1), 3)
    text = f"{value:.{places}f}"
    step = 10**-places
    return {f"{1:.{places}f}": f">{1 - step:.{places}f}", f"{0:.{places}f}": f"<{step:.{places}f}"}.get(text, text)


def aligned(texts: Sequence[str], pad: str = " ") -> list[str]:
    """A column of cells whose numbers stand below each other, decimal point below decimal point.

    Cells that differ in what stands between their numbers are left as they are.

    >>> aligned(["0.13 [-0.06, 0.20]", "12.10 [9.00, 15.00]"])
    [' 0.13 [-0.06,  0.20]', '12.10 [ 9.00, 15.00]']
    """
    between = {tuple(_NUMBER.sub("#", text).split("#")) for text in texts}
    if len(between) != 1:
        return list(texts)
    first, *others = between.pop()
    numbers = [_NUMBER.findall(text) for text in texts]
    widths = [
        (max(len(number[0]) for number in column), max(len(number[1]) for number in column))
        for column in zip(*numbers, strict=True)
    ]
    out = []
    for row in numbers:
        padded = [_padded(number, width, pad) for number, width in zip(row, widths, strict=True)]
        out.append(first + "".join(a + b for a, b in zip(padded, others, strict=True)))
    return out


def _padded(number: tuple[str, str], width: tuple[int, int], pad: str) -> str:
    """A number filled up on both sides of its decimal point; what is none, on the left."""
    (whole, rest), (left, right) = number, width
    if whole in ("NaN", "inf", "-inf"):
        return whole.rjust(left + right, pad)
    return f"{whole.rjust(left, pad)}{rest.ljust(right, pad)}"


def check_digits(digits: Any) -> int | None:
    """Decimals as they were given."""
    number = plain_value(digits)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST_DIGITS:
        raise ResultError(
            f"digits={shown(digits)}; it must be a whole number of decimals from 0 to {_MOST_DIGITS}, or None for what "
            "the widths of the intervals support."
        )
    return number
