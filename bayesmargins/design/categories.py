"""An ordered response: its categories, in order, and which of them each row has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.frames import held_type, require_columns
from bayesmargins.errors import DataError, FormulaError, listed
from bayesmargins.values import plain_value

__all__ = ["ordered_response"]


def ordered_response(text: str, frame: pd.DataFrame, formula: str) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Numbers of the categories from 1, (row,), and the categories that occur, in order.

    FormulaError where the left-hand side is no column, DataError where its values have no order or are all the same.
    """
    name = text.strip("`")
    if name not in frame.columns and name.isidentifier():
        require_columns(frame, [name], "data", f"The left-hand side {text!r}")
    if name not in frame.columns:
        raise FormulaError(
            f"{formula!r} has {text!r} on its left; an ordered response is a column of the data, with ordered "
            "categories or whole numbers. Compute it beforehand."
        )
    column = frame[name]
    values, codes = _in_order(column, name)
    if len(values) < 2:
        raise DataError(f"The response {name!r} is {listed(values)} in every row; an ordered one has two categories.")
    return codes + 1.0, values


def _in_order(column: pd.Series, name: str) -> tuple[tuple[Any, ...], np.ndarray]:
    """The values that occur, and the position of each row's."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise DataError(
                f"The response {name!r} has the categories {listed(column.cat.categories)} without an order. If they "
                f"stand in order, say so: data[{name!r}].cat.as_ordered(); else pd.Categorical(data[{name!r}], "
                "[lowest, ..., highest], ordered=True)."
            )
        seen = column.cat.remove_unused_categories()
        return tuple(map(plain_value, seen.cat.categories)), seen.cat.codes.to_numpy(dtype=np.float64)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64)
        odd = numbers[~np.isfinite(numbers) | (numbers != np.floor(numbers))]
        if len(odd):
            raise DataError(
                f"The response {name!r} has values such as {odd[0]:g}; categories that are numbers are whole ones."
            )
        found, codes = np.unique(numbers, return_inverse=True)
        return tuple(map(int, found)), codes.astype(np.float64)
    raise DataError(
        f"The response {name!r} holds {held_type(column)}, with the values {listed(pd.unique(column))}, whose order "
        f"nobody knows. Say it: pd.Categorical(data[{name!r}], [lowest, ..., highest], ordered=True)."
    )
