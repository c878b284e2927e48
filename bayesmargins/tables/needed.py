"""Numbers needed to treat: a difference of probabilities and its interval, told as how many are treated for one event.

1 / difference has no mean over draws, and where the difference can be 0 its interval is no stretch between two numbers.
So nothing is computed of it: point and limits are those of the difference, inverted as Altman (1998) writes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.estimands.comparison import COMPARISONS
from bayesmargins.provenance import is_original, provenance_of
from bayesmargins.tables.digits import fixed

__all__ = ["columns_of_needed", "event_of", "interval_needed", "legend_of_needed", "needed"]

_LARGE = 1e7  # beyond, a power of ten is shorter than digits
_NONE = 1e-12  # a smaller difference is one of rounding
# What stands before the number: where the difference is above 0, and below.
_WORDS = {
    "neutral": ("one more in", "one fewer in"),
    "benefit": ("NNTB", "NNTH"),
    "harm": ("NNTH", "NNTB"),
}
_LEGENDS = {
    "neutral": "How many are treated for one more event, or for one fewer",
    "benefit": "NNTB: number needed to treat for one event more, as events are a benefit; NNTH: for one fewer",
    "harm": "NNTB: number needed to treat for one event fewer, as events are a harm; NNTH: for one more",
}


def event_of(ds: xr.Dataset) -> str:
    """What one more event is, where this result is told as numbers needed to treat; empty where it is not."""
    how = COMPARISONS.get(provenance_of(ds).comparison or "")
    return how.event if how is not None and provenance_of(ds).kind == "comparisons" and is_original(ds) else ""


def legend_of_needed(event: str) -> str:
    """What the words in the cells mean."""
    return _LEGENDS[event]


def columns_of_needed(
    table: dict[str, np.ndarray], point: str, intervals: Sequence[str], event: str
) -> dict[str, np.ndarray]:
    """Columns of text, ``nnt`` and ``nnt_eti89``, from those of the difference."""
    points = table[point]
    out = {"nnt": [needed(p, event) for p in points]}
    for name in intervals:
        limits = zip(points, table[f"{name}_lb"], table[f"{name}_ub"], strict=True)
        out[f"nnt_{name}"] = [interval_needed(p, low, high, event) for p, low, high in limits]
    return {name: np.array(texts, dtype=object) for name, texts in out.items()}


def needed(difference: float, event: str, digits: int | None = None) -> str:
    """The number needed to treat of one difference.

    >>> needed(0.1, "benefit"), needed(-0.35, "neutral"), needed(0.0, "harm")
    ('NNTB 10', 'one fewer in 2.9', '∞')
    """
    if pd.isna(difference):
        return "NaN"
    if abs(difference) < _NONE:
        return "∞"
    return f"{_WORDS[event][int(difference < 0)]} {_number(difference, digits)}"


def interval_needed(point: float, low: float, high: float, event: str, digits: int | None = None) -> str:
    """The interval of a number needed to treat, from that of the difference, beginning on the side of the point.

    >>> interval_needed(0.1, -0.05, 0.25, "benefit"), interval_needed(0.166, 0.009, 0.322, "benefit")
    ('NNTB 4.0 to ∞ to NNTH 20', '3.1 to 111')
    """
    if pd.isna([low, high]).any():
        return "NaN"
    low, high = (0.0 if abs(limit) < _NONE else limit for limit in (low, high))
    near, far = (low, high) if point < 0 else (high, low)
    if near * far < 0:
        return f"{needed(near, event, digits)} to ∞ to {needed(far, event, digits)}"
    near, far = sorted((near, far), key=abs, reverse=True)
    if near * point <= 0:  # not on the side of the point, or no difference
        return f"{needed(near, event, digits)} to {_number(far, digits)}" if near else "∞"
    return f"{_number(near, digits)} to {_number(far, digits)}"


def _number(difference: float, digits: int | None) -> str:
    """Whole numbers from 10 on, one decimal below."""
    if difference == 0:
        return "∞"
    number = 1 / abs(difference)
    if number >= _LARGE:
        return f"{number:.1e}"
    return fixed(number, (1 if number < 9.95 else 0) if digits is None else digits)
