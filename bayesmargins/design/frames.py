"""Data frames in: any library's frame to pandas, the columns a formula needs, their kinds frozen at the fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, close_matches, listed

__all__ = ["Column", "freeze_column", "missing_rows", "require_columns", "to_pandas"]


@dataclass(frozen=True)
class Column:
    """What a column was at the fit, so that new data can be read the same way.

    Attributes
    ----------
    name : str
        Column of the data.
    kind : {"number", "logical", "factor"}
        How the formula reads it.
    levels : tuple
        Levels of a factor in order, those without rows left out; empty otherwise.
    lower, upper : float
        Range of a number at the fit.
    """

    name: str
    kind: str
    levels: tuple[Any, ...] = ()
    lower: float = np.nan
    upper: float = np.nan

    def replay(self, series: pd.Series) -> pd.Series:
        """How does this column of new data read with the levels of the fit?

        Parameters
        ----------
        series : pandas.Series, shape (row,)
            The column of new data.

        Returns
        -------
        pandas.Series, shape (row,)
            A categorical with the levels of the fit, or float64, or bool; missing values stay missing.

        Raises
        ------
        DataError
            A level that the fit has not seen; text where numbers are needed.
        """
        if self.kind == "factor":
            return self._replay_factor(series)
        if not (pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype)):
            raise DataError(
                f"Column {self.name!r} held numbers at the fit and holds {series.dtype} here, starting with "
                f"{listed(series.iloc[:3])}. Convert it with pandas.to_numeric."
            )
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if self.kind == "logical" and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise DataError(f"Column {self.name!r} held true and false at the fit and holds other numbers here.")
        return pd.Series(values, index=series.index, name=self.name)

    def _replay_factor(self, series: pd.Series) -> pd.Series:
        codes = pd.Index(self.levels).get_indexer(pd.Index(series.astype(object)))
        unseen = pd.unique(series[(codes < 0) & series.notna().to_numpy()])
        if len(unseen):
            raise DataError(
                f"Column {self.name!r} has the levels {listed(unseen)} that the fit has not seen; it knows "
                f"{listed(self.levels)}.{close_matches(unseen[0], self.levels)}{self._type_hint(unseen)} A level "
                "without data has no coefficient, so no prediction can be made for it."
            )
        return pd.Series(pd.Categorical.from_codes(codes, categories=list(self.levels)), index=series.index)

    def _type_hint(self, unseen: Iterable[Any]) -> str:
        if {str(u) for u in unseen} & {str(level) for level in self.levels}:
            return " The same labels are there as another type (text against numbers): convert the column."
        return ""


def to_pandas(data: Any, what: str = "data") -> pd.DataFrame:
    """How does a frame of any library become the pandas frame that a formula is evaluated on?

    Parameters
    ----------
    data : DataFrame or mapping
        pandas, polars, pyarrow or any frame that narwhals reads; or a dict of columns.
    what : str
        How the message names it.

    Returns
    -------
    pandas.DataFrame
        The same columns with a fresh row index; the caller's frame is not touched.

    Raises
    ------
    DataError
        Not a frame, no rows, or column names that repeat or are not text.
    """
    frame = _as_frame(data, what)
    names = list(frame.columns)
    if len(frame) == 0:
        raise DataError(f"{what} has no rows (columns: {listed(names)}). At least one row is needed.")
    if not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        twice = [n for n in names if names.count(n) > 1 or not isinstance(n, str)]
        raise DataError(f"{what} has column names that repeat or are not text: {listed(twice)}. Rename them.")
    return frame.reset_index(drop=True)


def _as_frame(data: Any, what: str) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame(data)
    import narwhals.stable.v2 as nw

    try:
        frame: pd.DataFrame = nw.from_native(data, eager_only=True).to_pandas()
    except TypeError:
        raise DataError(
            f"{what} is {type(data).__name__}; allowed are a pandas, polars or pyarrow table, or a dict of columns."
        ) from None
    return frame


def require_columns(frame: pd.DataFrame, names: Iterable[str], what: str = "data", why: str = "the formula") -> None:
    """Are all the columns there that will be read?

    Parameters
    ----------
    frame : pandas.DataFrame
        Where they should be.
    names : iterable of str
        What will be read.
    what, why : str
        The frame and the reader, for the message.

    Returns
    -------
    None

    Raises
    ------
    DataError
        Names each missing column, close matches and what is there.
    """
    absent = [n for n in names if n not in frame.columns]
    if absent:
        hints = "".join(close_matches(n, frame.columns) for n in absent)
        noun = "column" if len(absent) == 1 else "columns"
        raise DataError(
            f"{why} needs the {noun} {listed(absent)}, which {what} does not have.{hints} It has "
            f"{listed(frame.columns, 30)}."
        )


def freeze_column(series: pd.Series, name: str) -> Column:
    """What kind of variable is this, and what will new data be held against?

    Parameters
    ----------
    series : pandas.Series, shape (row,)
        The column at the fit, without missing values.
    name : str
        Its name.

    Returns
    -------
    Column
        Kind, levels (of a categorical in its order; of text in alphabetical order) and range.

    Raises
    ------
    DataError
        Infinite numbers, or a type that is neither number, truth value nor category.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        present = set(series.unique())
        return Column(name, "factor", tuple(c for c in dtype.categories if c in present))
    if pd.api.types.is_bool_dtype(dtype):
        return Column(name, "logical", (), 0.0, 1.0)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        values = series.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            raise DataError(
                f"Column {name!r} holds {int((~np.isfinite(values)).sum())} infinite values. Drop or mend them."
            )
        return Column(name, "number", (), float(values.min()), float(values.max()))
    if pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype):
        return Column(name, "factor", _text_levels(series, name))
    raise DataError(f"Column {name!r} has the type {dtype}; a formula reads numbers, truth values and categories.")


def _text_levels(series: pd.Series, name: str) -> tuple[Any, ...]:
    levels = list(pd.unique(series))
    kinds = sorted({type(v).__name__ for v in levels})
    if len(kinds) > 1 or kinds[0] not in ("str", "bool"):
        raise DataError(
            f"Column {name!r} holds values of the types {kinds}; a factor holds text. Convert it with astype."
        )
    return tuple(sorted(levels))


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Which rows cannot be used, and because of which columns?

    Parameters
    ----------
    frame : pandas.DataFrame
        Any frame.
    names : iterable of str
        Columns that are read.

    Returns
    -------
    mask : ndarray of bool, shape (row,)
        True where any of the columns is missing.
    counts : dict
        Missing values a column, those without any left out.

    Raises
    ------
    Nothing.
    """
    missing = frame[list(names)].isna()
    counts = {str(n): int(c) for n, c in missing.sum().items() if c}
    return missing.to_numpy().any(axis=1), counts
