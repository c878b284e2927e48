"""A response of categories: which there are, in which order, and which of them each row has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import held_type, require_columns
from bayesmargins.design.frozen import Design
from bayesmargins.errors import DataError, FormulaError, listed
from bayesmargins.values import plain_value

__all__ = ["category_response", "designs_by_category"]


def category_response(
    text: str, frame: pd.DataFrame, formula: str, ordered: bool
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Numbers of the categories from 1, (row,), and the categories that occur, in order.

    FormulaError where the left-hand side is no column, DataError where its values are all the same, or shall be
    `ordered` and have no order.
    """
    name = text.strip("`")
    if name not in frame.columns and name.isidentifier():
        require_columns(frame, [name], "data", f"The left-hand side {text!r}")
    if name not in frame.columns:
        what = "an ordered response is a column of the data, with ordered categories or whole numbers"
        what = what if ordered else "a response of categories is a column of the data"
        raise FormulaError(f"{formula!r} has {text!r} on its left; {what}. Compute it beforehand.")
    column = frame[name]
    values, codes = _in_order(column, name, ordered)
    if len(values) < 2:
        kind = "an ordered response" if ordered else "a response of categories"
        raise DataError(f"The response {name!r} is {listed(values)} in every row; {kind} has two categories or more.")
    return codes + 1.0, values


def _in_order(column: pd.Series, name: str, ordered: bool) -> tuple[tuple[Any, ...], np.ndarray]:
    """The values that occur, and the position of each row's."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        if ordered and not column.cat.ordered:
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
    if not ordered and (pd.api.types.is_bool_dtype(column.dtype) or isinstance(column.iloc[0], str)):
        found, codes = np.unique(column.to_numpy(dtype=str), return_inverse=True)
        return tuple(map(str, found)), codes.astype(np.float64)
    if not ordered:
        raise DataError(
            f"The response {name!r} holds {held_type(column)}; categories are text, whole numbers or pd.Categorical."
        )
    raise DataError(
        f"The response {name!r} holds {held_type(column)}, with the values {listed(pd.unique(column))}, whose order "
        f"nobody knows. Say it: pd.Categorical(data[{name!r}], [lowest, ..., highest], ordered=True)."
    )


def designs_by_category(design: Design, parameter: str) -> dict[str, Design]:
    """By name, ``mu[yes]``, the designs of the linear predictors of all categories but the first.

    They have one formula: the first is the design itself, the others have no response of their own.
    """
    if design.degrees:
        raise FormulaError(
            f"{design.formula!r} has Student-t group effects, and they are there for one linear predictor; categories "
            "without an order have several. Write (1 | g)."
        )
    first, *others = (f"{parameter}[{label}]" for label in design.response.categories[1:])
    right = design.formula.split("~", 1)[1]
    without = replace(design.response, y=np.full(len(design.response.y), np.nan))
    return {first: design} | {n: replace(design, formula=f"{n} ~{right}", response=without) for n in others}
