"""Tables in: any library's frame, or a dict of columns, to pandas; columns that hold objects made plain."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, listed, shown, written
from bayesmargins.values import plain_value, value_list, with_columns

__all__ = ["to_pandas"]

_WAYS_OUT = {
    "LazyFrame": "Collect it first: frame.collect().",
    "Series": "One row of a frame is frame.iloc[[0]], one column is frame[['x']], with two brackets each.",
    "ndarray": "Name its columns: pandas.DataFrame(array, columns=[...]).",
    "recarray": "Name its columns: pandas.DataFrame(array).",
    "Dataset": "Make it a table: ds.to_dataframe().reset_index().",
    "DataArray": "Make it a table: array.to_dataframe('x').reset_index().",
    "DataFrameGroupBy": "Give the frame itself, and by= to average within groups.",
}
_OF_A_TEXT = (
    " Averages take the path of a parquet file, or of a folder of them, too. A reference grid is bm.datagrid(post, "
    "grid='balanced')."
)


def to_pandas(data: Any, what: str = "data") -> pd.DataFrame:
    """A frame of any library, a dict of columns or of one row's values, or a list of such dicts, as a pandas frame.

    The rows are numbered afresh, and the caller's frame is not touched. Categories that are objects, such as the
    intervals of ``pandas.cut``, become text in their order; Decimals become floats. DataError where it is no frame,
    has no rows or columns, or names that repeat or are not text.

    >>> to_pandas({"dose": 1.0, "arm": pd.cut([3], [0, 2, 4])})["arm"].tolist()
    ['(2, 4]']
    """
    frame = _as_frame(data, what)
    names = list(frame.columns)
    if not names:
        raise DataError(f"{what} has no columns. Give a table with the columns that the formula reads.")
    if len(frame) == 0:
        raise DataError(f"{what} has no rows (columns: {listed(names)}). At least one row is needed.")
    if not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        twice = [n for n in names if names.count(n) > 1 or not isinstance(n, str)]
        flat = " A MultiIndex is made flat by: frame.columns = ['_'.join(map(str, c)) for c in frame.columns]."
        raise DataError(
            f"{what} has column names that repeat or are not text: {listed(twice)}. Rename them."
            f"{flat if isinstance(frame.columns, pd.MultiIndex) else ''}"
        )
    return with_columns(frame, _made_plain(frame)).reset_index(drop=True)


def _made_plain(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns that change, so that no other is copied."""
    changed = {}
    for name, column in frame.items():
        plain = _plain(column)
        if plain is not column:
            changed[str(name)] = plain
    return changed


def _as_frame(data: Any, what: str) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return pd.DataFrame(data) if data.attrs else data  # pandas copies attributes, whatever they are, at each step
    kind = type(data).__name__
    if (isinstance(data, Mapping) and kind != "Dataset") or _is_records(data):
        return _from_dicts(data, what)
    import narwhals.stable.v2 as nw

    try:
        table = nw.from_native(data, eager_only=True)
    except TypeError:
        path = str(data) if isinstance(data, str | PurePath) else None
        got, out = (kind, _WAYS_OUT.get(kind, "")) if path is None else (_of_path(kind, path), _reading(path))
        raise DataError(
            f"{what} is {got}; allowed are a pandas, polars or pyarrow table, or a dict of columns. {out}"
            f"{_OF_A_TEXT if kind == 'str' and what == 'newdata' else ''}".rstrip()
        ) from None
    frame: pd.DataFrame = table.to_pandas()
    # columns of Arrow that pandas once wrote as its index are columns still
    return frame.reset_index([name for name in frame.index.names if name in table.columns])


def _of_path(kind: str, path: str) -> str:
    there = os.path.exists(os.path.expanduser(path))
    return f"{kind}, {shown(path)}{'' if there else ', and there is no such file or folder'}"


def _reading(path: str) -> str:
    """How a file becomes a table: its columns keep the types that the user chooses there."""
    suffix = PurePath(path).suffix
    reader = "read_parquet" if suffix == ".parquet" else "read_csv"
    return f"Read the file first, for example with pandas.{reader}{f'({shown(path)})' if suffix else ''}."


def _is_records(data: Any) -> bool:
    return isinstance(data, list | tuple) and len(data) > 0 and all(isinstance(row, Mapping) for row in data)


def _from_dicts(data: Any, what: str) -> pd.DataFrame:
    """A dict of columns, of single values (one row) or of both; or a row a dict."""
    if isinstance(data, Mapping) and data and not any(pd.api.types.is_list_like(v) for v in data.values()):
        data = [data]
    if isinstance(data, Mapping):
        data = {name: value_list(v) if isinstance(v, Iterator) else v for name, v in data.items()}
    try:
        return pd.DataFrame(data)
    except Exception as error:  # any object may stand for a column
        columns = data if isinstance(data, Mapping) else {}
        lengths = {n: len(v) for n, v in columns.items() if isinstance(v, list | tuple | np.ndarray | pd.Series)}
        raise DataError(
            f"{what} is a dict that makes no table ({written(error)}); the columns have the lengths {shown(lengths)}. "
            "Give every column one value a row, or a single value for all rows."
        ) from error


def _plain(series: pd.Series) -> pd.Series:
    """The same column where pandas holds plain values; else one whose labels are text, in order."""
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return _from_arrow(series)
    if isinstance(dtype, pd.CategoricalDtype):
        return _with_text_categories(series)
    if isinstance(dtype, pd.IntervalDtype):
        return _with_text_categories(series.astype("category"))
    return _from_objects(series) if isinstance(dtype, np.dtype) and dtype.hasobject else series


def _from_arrow(series: pd.Series) -> pd.Series:
    kind = str(series.dtype)
    if kind.startswith("dictionary"):
        return series.astype("category")
    return series.astype("Float64") if kind.startswith(("decimal", "double", "float", "halffloat")) else series


def _with_text_categories(series: pd.Series) -> pd.Series:
    labels = [plain_value(c) for c in series.cat.categories]
    if all(isinstance(label, str | int | float | bool) for label in labels) and labels == list(series.cat.categories):
        return series
    texts = [str(label) for label in labels]
    return series.cat.rename_categories(texts) if len(set(texts)) == len(texts) else series


def _from_objects(series: pd.Series) -> pd.Series:
    """Truth values and Decimals read as what they are; a column of one other kind of label becomes a categorical."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "boolean":
        return series.astype("boolean")
    if kind == "decimal":
        return _floats(series)
    if kind not in ("interval", "mixed"):
        return series
    kinds = {type(v) for v in series[series.notna()]}
    first = next(iter(kinds), str)
    if kinds == {Fraction}:
        return _floats(series)
    if len(kinds) != 1 or issubclass(first, str | int | float | complex) or not _is_label(series):
        return series
    return _categorical(series)


def _floats(series: pd.Series) -> pd.Series:
    """Decimals and fractions as numbers; those that are none, or too large, have no place in a column."""
    try:
        return series.where(series.notna(), np.nan).map(float).astype(np.float64)
    except (ArithmeticError, ValueError) as error:
        raise DataError(f"Column {series.name!r} holds {listed(series.iloc[:3])}: {written(error)}.") from error


def _is_label(series: pd.Series) -> bool:
    first = series.dropna().iloc[0]
    return isinstance(first, tuple) or not pd.api.types.is_list_like(first)


def _factorized(series: pd.Series) -> tuple[np.ndarray, Any]:
    """Codes and labels; those without an order of their own in that of appearance."""
    try:
        return pd.factorize(series, sort=True)
    except TypeError:
        return pd.factorize(series)


def _categorical(series: pd.Series) -> pd.Series:
    try:
        codes, values = _factorized(series)
        texts = [str(v) for v in values]
    except Exception as error:  # objects of any type, which need not have a text or equal themselves
        raise DataError(
            f"Column {series.name!r} holds objects of the type {type(series.iloc[0]).__name__}, such as "
            f"{shown(series.iloc[0])}, which are no labels ({type(error).__name__}: {written(error)}). A cell holds a "
            "number, a text, a truth value or a time."
        ) from error
    if len(set(texts)) < len(texts):
        return series
    return pd.Series(pd.Categorical.from_codes(codes, texts), index=series.index, name=series.name)
