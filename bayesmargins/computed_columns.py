"""Columns that `at` computes again from the others, by functions of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, EstimandError, listed, shown
from bayesmargins.values import array_of, called, plain_value, with_columns

__all__ = ["Functions", "check_row_by_row", "functions_of", "with_computed"]

# By column: `compute(frame)` gives it, from the rows with everything else set.
Functions = Mapping[str, Callable[[pd.DataFrame], Any]]


def functions_of(at: Mapping[str, Any]) -> Functions:
    """Those among what `at` says of its variables."""
    return {name: given for name, given in at.items() if callable(given)}


def with_computed(frame: pd.DataFrame, functions: Functions) -> pd.DataFrame:
    """Columns computed from the others, until each agrees with what the others have become."""
    if len(functions) == 1:
        return with_columns(frame, {name: _computed(name, compute, frame) for name, compute in functions.items()})
    made = frame
    for _ in range(len(functions) + 1):
        # each sees its own column as it was: a function of itself is applied once
        found = {n: _computed(n, of, with_columns(made, _original(frame, n))) for n, of in functions.items()}
        again = with_columns(made, found)
        if all(n in made and _same(made[n], again[n]) for n in functions):
            return again
        made = again
    raise EstimandError(
        f"at= computes {listed(functions)} from each other in a circle. Compute each from columns "
        "that do not depend on it."
    )


def _original(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    return {name: frame[name]} if name in frame else {}


def _same(one: pd.Series, other: pd.Series) -> bool:
    return one.reset_index(drop=True).equals(other.reset_index(drop=True)) or _close(one, other)


def _close(one: pd.Series, other: pd.Series) -> bool:
    try:
        return bool(np.allclose(one.astype(float), other.astype(float), rtol=1e-8, atol=0.0, equal_nan=True))
    except (TypeError, ValueError):
        return False


def _computed(name: str, compute: Callable[[pd.DataFrame], Any], frame: pd.DataFrame) -> Any:
    what = f"at={{{name!r}: <function>}}"
    # rows are numbered afresh: their numbers would be those of a part of the rows
    values = called(what, compute, frame.reset_index(drop=True), refused=DataError)
    shape = array_of(f"What {what} gave", values, DataError).shape
    single = shape == () and isinstance(plain_value(values), str | int | float | None)
    if not single and shape != (len(frame),):
        raise DataError(
            f"{what} gave {shown(values)} of the shape {shape} for {len(frame)} rows; one value a row is needed (or "
            "one for all)."
        )
    return values.to_numpy() if isinstance(values, pd.Series) else values


def check_row_by_row(functions: Functions, frame: pd.DataFrame) -> None:
    """Refuse a function that looks at other rows: a mean over rows would change with those that are asked about."""
    some = np.unique(np.linspace(0, len(frame) - 1, 7).astype(int))
    for name, compute in functions.items():
        values = np.broadcast_to(_computed(name, compute, frame), len(frame))
        whole = pd.Series(values).iloc[some].reset_index(drop=True)
        single = pd.Series([_beside_another(name, compute, frame.iloc[[k]]) for k in some])
        if not _same(whole, single):
            raise EstimandError(
                f"at={{{name!r}: <function>}} gives other values for the same rows beside other rows: "
                "it looks at other rows. Give what it needs a column of its own first, such as "
                "data['x_mean'] = data.groupby('id')['x'].transform('mean')."
            )


def _beside_another(name: str, compute: Callable[[pd.DataFrame], Any], row: pd.DataFrame) -> Any:
    """The value of a row when the only other row has other numbers."""
    numbers = row.select_dtypes("number")
    other = with_columns(row, {n: numbers[n].astype(float) + 1.0 for n in numbers})
    try:
        return np.broadcast_to(_computed(name, compute, pd.concat([row, other])), 2)[0]
    except DataError:  # such numbers may be beyond what the function takes
        return np.broadcast_to(_computed(name, compute, row), 1)[0]
