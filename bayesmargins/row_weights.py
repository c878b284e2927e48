"""Weights of rows, as the user gave them: a column, or one number a row, matched and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Design, require_columns, to_pandas
from bayesmargins.errors import EstimandError, shown
from bayesmargins.values import by_row_labels, numbers, value_list

__all__ = ["aligned_weights", "checked_weights"]


def aligned_weights(wts: Any, newdata: Any, design: Design) -> Any:
    """Weights in the order of the rows: a Series is matched by its index, anything else by position."""
    if not isinstance(wts, pd.Series):
        return wts
    labels = design.row_labels if newdata is None else getattr(newdata, "index", None)
    what = "the fit" if newdata is None else "newdata"
    if newdata is None and labels is None:
        raise EstimandError(
            "wts is a Series, whose index says which row each weight is of, and this posterior does not know the index "
            "of its rows: files do not keep it. wts.to_numpy() is paired by position; wts='w' names a column."
        )
    labels = labels if isinstance(labels, pd.Index) else pd.RangeIndex(len(to_pandas(newdata, "newdata")))
    matched, refusal = by_row_labels(wts, labels, "wts", what)
    if refusal:
        raise EstimandError(refusal)
    return matched


def checked_weights(frame: pd.DataFrame, wts: Any, what: str) -> np.ndarray:
    """Weights (row,) out of a column, or one a row; EstimandError where they are none."""
    given = shown(wts)
    if isinstance(wts, str):
        require_columns(frame, [wts], what, "wts")
        wts = frame[wts]
    listed_weights = value_list(wts)
    try:
        weights = numbers(wts if listed_weights is None else listed_weights)
    except ValueError:
        raise EstimandError(
            f"wts={given} holds no numbers; give the name of a numeric column, or one number a row."
        ) from None
    if weights.shape != (len(frame),):
        raise EstimandError(
            f"wts has the shape {weights.shape}; {what} has {len(frame)} rows, one weight each is needed. A column of "
            "it is named: wts='w'."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = weights[~(np.isfinite(weights) & (weights >= 0))]
        raise EstimandError(
            f"wts holds weights that are negative or not finite: {len(bad)} of {len(weights)}, such as {bad[0]:g}. A "
            "weight is a number from 0; a row that should not count has 0."
        )
    return weights
