"""A response that counts how often each category was seen in a row: ``cbind(a, b, c)``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.formula import Parts
from bayesmargins.design.frozen import Response, left_side
from bayesmargins.design.pieces import split, whole_call
from bayesmargins.errors import DataError, FormulaError, shown

__all__ = ["counted_response", "refuse_counts"]


def refuse_counts(text: str) -> None:
    """FormulaError where a response that is one number a row is written as several."""
    if re.match(r"cbind\s*\(", text):
        raise FormulaError(
            f"The response {text!r} is another package's spelling. Write counts of successes as "
            "'successes | trials(n) ~ ...'; counts of several categories are family='multinomial'."
        )


def counted_response(
    parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any], formula: str, invented: bool
) -> Response:
    """Counts (row, category) beside how many there are in each row; the categories are called as their columns.

    FormulaError where the left-hand side is no ``cbind()`` of two and more, DataError where trials() are others.
    """
    inside = whole_call(parts.response, "cbind")
    columns = [] if inside is None else [column.strip() for column in split(inside, ",")]
    if len(columns) < 2 or not all(columns):
        raise FormulaError(
            f"{formula!r} has {parts.response!r} on its left; counts of categories are written as the columns that "
            "hold them, 'cbind(a, b, c) ~ ...', the reference first."
        )
    labels = tuple(column.strip("`") for column in columns)
    given = {"trials": " + ".join(columns)}
    if invented:
        return Response(parts.response, np.full(len(frame), np.nan), given, context=context, categories=labels)
    counts = np.column_stack([left_side(column, frame, "data", context) for column in columns])
    total = counts.sum(axis=1)
    if "trials" in parts.given:
        _check_trials(left_side(parts.given["trials"], frame, "data", context, "trials"), total, parts.given["trials"])
    beside = {"trials": total, "counts": counts}
    return Response(parts.response, total, given, beside, False, context, labels)


def _check_trials(said: np.ndarray, total: np.ndarray, text: str) -> None:
    bad = said != total
    if bad.any():
        raise DataError(
            f"trials({text}) is not the sum of the counts in {int(bad.sum())} rows, such as {shown(said[bad][0])} in "
            f"place of {shown(total[bad][0])}. Leave it out: the sum is what it is."
        )
