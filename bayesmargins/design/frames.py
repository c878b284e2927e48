"""Columns: which are needed, what kind each was at the fit, and how new data are read the same way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from bayesmargins.design.tables_in import to_pandas
from bayesmargins.errors import DataError, close_matches, listed, shown, written
from bayesmargins.values import plain_value

__all__ = ["Column", "freeze_column", "held_type", "missing_rows", "require_columns", "to_pandas"]


@dataclass(frozen=True)
class Column:
    """What a column was at the fit, so that new data can be read the same way."""

    name: str  # column of the data
    kind: str  # {"number", "logical", "factor"}: how the formula reads it
    # levels of a factor in order, as the formula states them or as the data have them, those without rows left out;
    # empty otherwise
    levels: tuple[Any, ...] = ()
    # range of a number at the fit
    lower: float = np.nan
    upper: float = np.nan
    coded: str = ""  # the call that makes a number a factor, such as "C(arm)"; empty for any other column
    # levels of text and categories in the order of the data, by which terms that state no order are coded
    coding: tuple[Any, ...] = ()

    @property
    def reason(self) -> str:
        """Why a column of numbers is a factor, for a message; empty where the values themselves say it."""
        return f" {self.name!r} is a factor in the formula, by {self.coded}." if self.coded else ""

    def replay(self, series: pd.Series) -> pd.Series:
        """A column of new data (row,) as a categorical with the levels of the fit, float64 or bool.

        Missing values stay missing. A number that the formula makes a factor stays a number, for another term may
        read it as one.
        """
        if self.kind == "factor" and not self.coded:
            codes = pd.Index(self.coding).get_indexer(pd.Index(series, dtype=object))
            if (codes < 0).any():
                self._refuse_unseen(series[codes < 0].dropna())
            return pd.Series(pd.Categorical.from_codes(codes, list(self.coding)), index=series.index)
        if series.isna().all():
            series = pd.Series(np.nan, index=series.index)  # whichever type a column without a value has
        if not _holds_numbers(series):
            raise DataError(
                f"Column {self.name!r} held numbers at the fit and holds {held_type(series)} here, "
                f"{_no_numbers_among(series)}. {_numbers_from(series)}"
            )
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            _refuse_infinite(values, self.name)
        if self.kind == "logical" and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise DataError(f"Column {self.name!r} held true and false at the fit and holds other numbers here.")
        if self.coded:
            codes = pd.Index(self.levels).get_indexer(pd.Index(values, dtype=object))
            self._refuse_unseen(series[codes < 0].dropna())
        return pd.Series(values, index=series.index, name=self.name)

    def _refuse_unseen(self, without_code: pd.Series) -> None:
        unseen = pd.unique(without_code)
        if len(unseen):
            raise DataError(
                f"Column {self.name!r} has the levels {listed(unseen)} that the fit has not seen; it knows "
                f"{listed(self.levels)}.{close_matches(unseen[0], self.levels)}{self._type_hint(unseen)} A level "
                f"without data has no coefficient, so no prediction can be made for it.{self.reason}"
            )

    def _type_hint(self, unseen: Iterable[Any]) -> str:
        if {written(u) for u in unseen} & {str(level) for level in self.levels}:
            return " The same labels are there as another type (text against numbers): convert the column."
        return ""


def require_columns(frame: pd.DataFrame, names: Iterable[str], what: str = "data", why: str = "the formula") -> None:
    """Refuse a frame that lacks columns which will be read, or has lists or complex numbers in them.

    `what` is the frame and `why` the reader, in the message.
    """
    names = list(names)
    absent = [n for n in names if n not in frame.columns]
    if absent:
        hints = "".join(close_matches(n, frame.columns) for n in absent)
        noun = "column" if len(absent) == 1 else "columns"
        raise DataError(
            f"{why} needs the {noun} {listed(absent)}, which {what} does not have.{hints} It has "
            f"{listed(frame.columns, 30)}."
        )
    for name in names:
        dtype = frame[name].dtype
        if pd.api.types.is_object_dtype(dtype) or dtype.kind == "c" or isinstance(dtype, pd.ArrowDtype):
            _check_cells(frame[name], what, why)


def _check_cells(series: pd.Series, what: str, why: str) -> None:
    """One value a cell, of a kind that can be a label or a number."""
    if pd.api.types.is_complex_dtype(series.dtype):
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds {series.dtype} there; numbers are real. Take a "
            "part of it: .to_numpy().real."
        )
    odd = [v for v in series if not _is_cell(v)]
    if odd:
        each = "in each row" if len(odd) == len(series) else f"in {len(odd)} of {len(series)} rows"
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds a {type(odd[0]).__name__} {each} there, "
            f"such as {shown(odd[0])}; a cell holds one number, text or truth value. Give each of its parts a column, "
            "or .explode() it into rows."
        )
    try:
        "".join(v for v in series if isinstance(v, str)).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds text there with half of a character (a lone "
            "surrogate), as wrongly decoded files have. Read the file again with its own encoding."
        ) from None


def _is_cell(value: Any) -> bool:
    """One value that can be told from another."""
    try:
        hash(value)
    except Exception:  # whatever the object says
        return False
    return isinstance(value, tuple) or not (pd.api.types.is_list_like(value) or isinstance(value, np.void))


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
    if _holds_numbers(series):
        values = series.to_numpy(dtype=np.float64)
        if np.isinf(values).any():
            _refuse_infinite(values, name)
        sizes = tuple(sorted(plain_value(v) for v in pd.unique(series))) if coded else ()
        kind = "factor" if coded else "number"
        return Column(name, kind, _in_order(sizes, stated), float(values.min()), float(values.max()), coded)
    if pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        levels = _text_levels(series, name)
        return Column(name, "factor", _in_order(levels, stated), coding=levels)
    raise DataError(
        f"Column {name!r} has the type {dtype}; a formula reads numbers, truth values and categories. "
        f"{_numbers_from(series)} For categories: .astype(str)."
    )


def _check_levels(levels: tuple[Any, ...], name: str) -> None:
    texts = [str(level) for level in levels]
    twice = [level for level, text in zip(levels, texts, strict=True) if texts.count(text) > 1]
    if twice:
        raise DataError(
            f"The levels {listed(twice)} of {name!r} read the same as text, as they do in a result. Rename one, or "
            f"merge them: data[{name!r}].astype(str)."
        )


def _holds_numbers(series: pd.Series) -> bool:
    """Numbers and truth values; complex numbers have an imaginary part that nothing here would use."""
    number = pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype)
    return bool(number) and not pd.api.types.is_complex_dtype(series.dtype)


def held_type(series: pd.Series) -> str:
    """What a column holds, in one word: text is ``str``, whichever type a version of pandas gives it."""
    return "str" if pd.api.types.infer_dtype(series, skipna=True) == "string" else str(series.dtype)


def _refuse_infinite(values: np.ndarray, name: str) -> NoReturn:
    infinite = np.flatnonzero(np.isinf(values))
    raise DataError(
        f"Column {name!r} is infinite in {len(infinite)} of {len(values)} rows, the first being row {infinite[0]}; "
        "numbers must be finite. Drop these rows, or mend them (a missing value is NaN)."
    )


def _in_order(levels: tuple[Any, ...], stated: tuple[Any, ...]) -> tuple[Any, ...]:
    """In the order that the formula states, if it does."""
    return tuple(sorted(levels, key=stated.index)) if set(levels) <= set(stated) else levels


def _no_numbers_among(series: pd.Series) -> str:
    """``starting with 'low'``; of text that stands among numbers ``among them 'low'``."""
    none = pd.to_numeric(series, errors="coerce").isna().to_numpy() & series.notna().to_numpy()
    texts = none if none.any() else series.map(type).eq(str).to_numpy()
    among = texts.any() and not texts[0]
    return f"{'among them' if among else 'starting with'} {listed((series[texts] if among else series).iloc[:3])}"


def _numbers_from(series: pd.Series) -> str:
    """What to do where a column holds no numbers."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if "date" in kind or kind in ("period", "timedelta", "timedelta64"):
        return "A time is no number by itself: count from a start, such as (t - t.min()).dt.days."
    if pd.api.types.is_complex_dtype(series.dtype):
        return "Take its real part: .to_numpy().real."
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "Convert it with .astype(float)."
    return "Convert it with pandas.to_numeric."


def _text_levels(series: pd.Series, name: str) -> tuple[Any, ...]:
    kinds = sorted({type(v).__name__ for v in series})
    if kinds != ["str"]:
        raise DataError(
            f"Column {name!r} holds values of the types {kinds}; a factor holds text. Convert it: "
            f"pandas.to_numeric(data[{name!r}]) for a number, data[{name!r}].astype(str) for a factor."
        )
    return tuple(sorted(pd.unique(series)))


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Where any of the columns is missing, (row,) bool, and how often each is, those without any left out."""
    mask, counts = np.zeros(len(frame), dtype=bool), {}
    for name in names:  # column by column: a frame of them would be a copy
        missing = frame[name].isna().to_numpy()
        if missing.any():
            mask |= missing
            counts[str(name)] = int(missing.sum())
    return mask, counts
