"""Which columns of a summary are its point estimate and its intervals."""

from __future__ import annotations

import re

import pandas as pd

from bayesmargins.errors import ResultError, listed
from bayesmargins.tables.arguments import POINTS

__all__ = ["intervals_of", "located"]

_INTERVAL = re.compile(r"(eti|hdi)([\d.e+-]+)_lb")


def intervals_of(summary: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """``89% ETI`` -> its two columns."""
    found = [(m, str(c)) for c in summary.columns if (m := _INTERVAL.fullmatch(str(c)))]
    return {
        f"{m[2]}% {m[1].upper()}": (name, f"{name[:-2]}ub") for m, name in found if f"{name[:-2]}ub" in summary.columns
    }


def located(summary: pd.DataFrame) -> tuple[str, dict[str, tuple[str, str]]]:
    """The point estimate and the intervals, ResultError where either is missing."""
    point = next((p for p in POINTS if p in summary.columns), None)
    intervals = intervals_of(summary)
    if point is None or not intervals:
        raise ResultError(
            f"A table needs a point estimate ({', '.join(POINTS)}) and an interval (eti89_lb, eti89_ub), and the "
            f"columns are {listed(summary.columns)}. Give it what bayesmargins.summary returned, or rows of it."
        )
    return point, intervals
