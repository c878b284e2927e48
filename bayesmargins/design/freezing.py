"""Freezing at the fit: kinds and levels of columns of the data, and the state of the formula's transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import Column, Matrix, held_type, holds_numbers, numbers_from, refuse_infinite
from bayesmargins.design.formula import expression
from bayesmargins.design.formula_reading import guarded, term_label
from bayesmargins.errors import DataError, FormulaError, listed
from bayesmargins.values import plain_value

__all__ = ["check_row_by_row", "freeze", "freeze_column", "freeze_one"]


def freeze_column(series: pd.Series, name: str, coded: str = "", stated: tuple[Any, ...] = ()) -> Column:
    """The kind, levels and range of a column (row,) without missing values; `coded` is the call that makes it a factor.

    Levels stand as the formula has `stated` them; else a categorical keeps its order, text is sorted by alphabet, and
    numbers that the formula makes a factor by size.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        present = set(series.unique())
        levels = tuple(plain_value(c) for c in dtype.categories if c in present)
        _check_levels(levels, name)
        return Column(name, "factor", _in_order(levels, stated), coding=levels)
    if pd.api.types.is_bool_dtype(dtype):
        return Column(name, "logical", (), 0.0, 1.0)
    if holds_numbers(series):
        values = series.to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            refuse_infinite(values, name)
        sizes = tuple(sorted(plain_value(v) for v in pd.unique(series))) if coded else ()
        kind = "factor" if coded else "number"
        return Column(name, kind, _in_order(sizes, stated), float(values.min()), float(values.max()), coded)
    if pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        levels = _text_levels(series, name)
        return Column(name, "factor", _in_order(levels, stated), coding=levels)
    raise DataError(
        f"Column {name!r} has the type {dtype}; a formula reads numbers, truth values and categories. "
        f"{numbers_from(series)} For categories: .astype(str)."
    )


def _check_levels(levels: tuple[Any, ...], name: str) -> None:
    texts = [str(level) for level in levels]
    twice = [level for level, text in zip(levels, texts, strict=True) if texts.count(text) > 1]
    if twice:
        raise DataError(
            f"The levels {listed(twice)} of {name!r} read the same as text, as they do in a result. Rename one, or "
            f"merge them: data[{name!r}].astype(str)."
        )


def _in_order(levels: tuple[Any, ...], stated: tuple[Any, ...]) -> tuple[Any, ...]:
    """In the order that the formula states, if it does."""
    return tuple(sorted(levels, key=stated.index)) if set(levels) <= set(stated) else levels


def _text_levels(series: pd.Series, name: str) -> tuple[Any, ...]:
    held = held_type(series)
    if held != "str":
        raise DataError(
            f"Column {name!r} holds {held}; a factor holds text. Convert it: "
            f"pandas.to_numeric(data[{name!r}]) for a number, data[{name!r}].astype(str) for a factor."
        )
    return tuple(sorted(pd.unique(series)))


def freeze(text: str, frame: pd.DataFrame, context: Mapping[str, Any], *, invented: bool = False) -> Matrix:
    """Evaluate a formula once and keep the state of its transforms and codings.

    Values are not looked at where the rows are `invented`: a logarithm may have none there and be right of any data.
    """
    from formulaic import Formula

    spec = guarded(text, lambda: Formula(text).get_model_matrix(frame, context=context, na_action="ignore").model_spec)
    matrix = Matrix(text, spec, tuple(term_label(n) for n in spec.column_names), context)
    if not invented:
        _refuse_noise(matrix)
        check_row_by_row(matrix, frame, matrix.values(frame, "data"))
    return matrix


def freeze_one(text: str, frame: pd.DataFrame, context: Mapping[str, Any], *, invented: bool = False) -> Matrix:
    """The one column that an expression gives, such as an offset; `invented` as for `freeze`."""
    matrix = freeze(expression(text), frame, context, invented=invented)
    if len(matrix.labels) != 1:
        raise FormulaError(f"offset({text}) gives the {len(matrix.labels)} columns {matrix.labels}; it must give one.")
    return matrix


_NOISE = 1e-12  # of a number's size


def _refuse_noise(matrix: Matrix) -> None:
    """Polynomials through fewer values than they need, and units of what does not vary, are rounding errors.

    `norms2` has the squared norms of the polynomials before they are normalised: where one is that of a rounding error
    of x, x has no more values. `scale` has the mean and standard deviation.
    """
    for call, state in matrix.spec.transform_state.items():
        norms = state.get("norms2", {})
        if len(norms) > 1:
            noise = (_NOISE * (abs(state["alpha"][0]) + np.sqrt(norms[1] / norms[0]))) ** 2
            if any(not norms[k] > noise * norms[k - 1] for k in range(1, len(norms))):
                degree = next(k for k in range(1, len(norms)) if not norms[k] > noise * norms[k - 1])
                raise FormulaError(
                    f"{call} asks for a polynomial of degree {len(norms) - 1} through {degree} different "
                    f"value{'s' if degree > 1 else ''}: its columns from degree {degree} on would be rounding errors. "
                    + (f"At most degree {degree - 1} can be told from these data." if degree > 1 else "Leave it out.")
                )
        if state.get("scale") is not None and not state["scale"] > _NOISE * abs(state.get("center") or 0.0):
            raise FormulaError(
                f"{call} divides by the standard deviation of a column that does not vary in the data: what is left is "
                "a rounding error. Leave it out."
            )


def check_row_by_row(matrix: Matrix, frame: pd.DataFrame, values: np.ndarray) -> None:
    """Refuse what is not frozen: x - np.mean(x) would take the mean of newdata, as a part of the rows shows."""
    some = np.unique(np.linspace(0, len(frame) - 1, 7).astype(int))[::-1]
    again = matrix.evaluate(frame.iloc[some])
    scale = np.abs(np.where(np.isfinite(values), values, 0.0)).max(axis=0, initial=1e-300)
    if again.shape == values[some].shape and _close(again, values[some], 1e-8 * scale).all():
        return
    raise FormulaError(
        f"{matrix.text!r} gives other values for the same rows when fewer rows are evaluated: it is not frozen at the "
        "fit, and newdata would be coded differently. Use center(x), scale(x), poly(x, 2), bs(x, df=4), which remember "
        "the fit, or compute the column beforehand."
    )


def _close(a: np.ndarray, b: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Values that are not finite are close to themselves alone."""
    with np.errstate(invalid="ignore"):
        return (np.abs(a - b) <= tolerance) | (a == b) | (np.isnan(a) & np.isnan(b))
