"""How many digits does a number deserve? As many as the width of its interval, or the number of draws, can tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bayesmargins.errors import ResultError, shown
from bayesmargins.values import plain_value

__all__ = ["check_digits", "decimals", "fixed", "share"]

_MOST_DECIMALS = 7  # beyond, a power of ten is shorter than zeros
_MOST_DIGITS = 15
_MORE = 2  # decimals, for limits that would read as 0


def decimals(limits: np.ndarray, digits: int | None = None) -> np.ndarray:
    """How many decimals does each row need?

    Parameters
    ----------
    limits : ndarray, shape (row, 2 * interval)
        Lower and upper limit of one or several intervals: two significant digits of the narrowest width are shown.
    digits : int, optional
        Decimals of all rows, where the reader has said so.

    Returns
    -------
    ndarray of int, shape (row,)
        Each row's own, whatever stands beside it, so that a row reads the same in every table; up to two more where a
        limit that is not 0 would read as 0.

    Examples
    --------
    >>> decimals(np.array([[0.062, 0.204]])), decimals(np.array([[0.0004, 0.02]]))
    (array([2]), array([4]))
    >>> decimals(np.array([[0.062, 0.204], [0.31, 0.35]]))
    array([2, 3])
    """
    if digits is not None:
        return np.full(len(limits), digits)
    width = (limits[:, 1::2] - limits[:, ::2]).min(axis=1)
    base = np.array([_of_width(row, w) for row, w in zip(limits, width, strict=True)], dtype=int)
    needed = np.array([_of_smallest(row) for row in limits], dtype=int)
    return np.where((needed > base) & (needed <= base + _MORE), needed, base)


def _of_width(row: np.ndarray, width: float) -> int:
    if width > 0:
        return max(1 - math.floor(math.log10(width)), 0)
    size = np.abs(row[np.isfinite(row) & (row != 0)])
    return max(2 - math.floor(math.log10(size.max())), 0) if size.size else 2  # a constant: three digits


def _of_smallest(row: np.ndarray) -> int:
    """Decimals at which no limit reads as 0 that is not."""
    size = np.abs(row[np.isfinite(row) & (row != 0)])
    return math.ceil(-math.log10(2 * size.min())) if size.size else 0


def fixed(value: float, places: int) -> str:
    """A number with so many decimals, without the sign of a zero; with a power of ten where it needs very many.

    Examples
    --------
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

    Examples
    --------
    >>> share(0.9755, 4000), share(1.0, 4000), share(0.0, 200)
    ('0.976', '>0.999', '<0.01')
    """
    if math.isnan(value):
        return "NaN"
    places = min(max(int(math.log10(max(n, 1))), 1), 3)
    text = f"{value:.{places}f}"
    step = 10**-places
    return {f"{1:.{places}f}": f">{1 - step:.{places}f}", f"{0:.{places}f}": f"<{step:.{places}f}"}.get(text, text)


def check_digits(digits: Any) -> int | None:
    """Decimals as they were given.

    Raises
    ------
    ResultError
        No whole number from 0 to 15.
    """
    number = plain_value(digits)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MOST_DIGITS:
        raise ResultError(
            f"digits={shown(digits)}; it must be a whole number of decimals from 0 to {_MOST_DIGITS}, or None for what "
            "the width of the interval supports."
        )
    return number
