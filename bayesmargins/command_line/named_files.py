"""Data files and saved fits, by name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import bayesmargins as bm
from bayesmargins.command_line.typed import items, pairs
from bayesmargins.errors import DataError, close_matches, listed, shown, written

__all__ = ["Source", "is_data", "read_fit"]

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_SUFFIXES = (*_SEPARATORS, ".parquet")
_PACKED = (".gz", ".bz2", ".xz", ".zip")
_ENDINGS = ".csv, .tsv and .txt (packed too: .csv.gz) and .parquet"


@dataclass(frozen=True)
class Source:
    """Data by name, and how they are read: a file, or a data set of the package where there is no such file."""

    name: str
    separator: str | None = None
    decimal: str = "."
    as_category: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    label: tuple[str, ...] = ()

    @property
    def orders(self) -> dict[str, list[str] | None]:
        """Columns that become categories, with the order of their levels where it was typed."""
        ordered = pairs(self.levels, "--levels", "trt=placebo,drug")
        return {**dict.fromkeys(self.as_category), **{name: items(text) for name, text in ordered.items()}}

    @property
    def labels(self) -> dict[str, str]:
        """Words for columns."""
        return pairs(self.label, "--label", '"week=weeks since the start"')

    def read(self) -> pd.DataFrame:
        """The rows, columns made categories, labels attached."""
        frame = _read(self.name, self.separator, self.decimal)
        for name, order in self.orders.items():
            frame[name] = _categories(_column(frame, name, self.name), order)
        return bm.label(frame, self.labels) if self.labels else frame

    def code(self, frame: pd.DataFrame) -> str:
        """The Python that reads the same."""
        code = _code(self.name, self.separator, self.decimal)
        made = [
            f"{name}=lambda rows: pd.Categorical(rows[{name!r}].astype(str), {list(frame[name].cat.categories)!r})"
            for name in self.orders
        ]
        code = f"{code}.assign({', '.join(made)})" if made else code
        return f"bm.label({code}, {self.labels!r})" if self.labels else code


def read_fit(path: str) -> bm.Posterior:
    """A saved fit; what looks like data is told apart."""
    if is_data(path):
        raise DataError(
            f"{path!r} is data and no saved fit. Fit it first: bayesmargins fit {path} FORMULA --out fit.nc, and then "
            "name fit.nc here."
        )
    if not Path(path).exists():
        raise DataError(f"There is no file {path!r}. bayesmargins fit DATA FORMULA --out {path} makes one.")
    return bm.load(path)


def is_data(path: str) -> bool:
    """Whether a name is that of a data file or of a data set of the package."""
    known = path in set(bm.list_datasets()["name"])
    return _suffix(path) in _SUFFIXES or (known and not Path(path).exists())


def _suffix(path: str) -> str:
    suffixes = [s.lower() for s in Path(path).suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in _PACKED else suffixes[-1] if suffixes else ""


def _read(source: str, separator: str | None, decimal: str) -> pd.DataFrame:
    path = Path(source)
    if not path.exists():
        return _shipped(source)
    if path.is_dir():
        raise DataError(f"{source!r} is a folder. Name a file in it: {_ENDINGS} are read.")
    suffix = _suffix(source)
    if suffix not in _SUFFIXES:
        raise DataError(f"{source!r} ends in {shown(path.suffix)}; files that end in {_ENDINGS} are read.")
    if suffix == ".parquet":
        return _guarded(source, lambda: pd.read_parquet(path, engine="pyarrow"))
    sep = separator or _SEPARATORS[suffix]
    frame = _guarded(source, lambda: pd.read_csv(path, sep=sep, decimal=decimal))
    _refuse_one_column(frame, source, sep)
    return frame


def _code(source: str, separator: str | None, decimal: str) -> str:
    if not Path(source).exists():
        return f"bm.load_dataset({source!r})"
    suffix = _suffix(source)
    if suffix == ".parquet":
        return f"pd.read_parquet({source!r})"
    sep = separator or _SEPARATORS[suffix]
    options = {"sep": (sep, ","), "decimal": (decimal, ".")}
    said = "".join(f", {name}={value!r}" for name, (value, usual) in options.items() if value != usual)
    return f"pd.read_csv({source!r}{said})"


def _guarded(source: str, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return read()
    except ImportError:
        raise DataError(
            f"{source!r} is a Parquet file, which takes the package pyarrow: pip install pyarrow, or give a .csv."
        ) from None
    except (OSError, ValueError, EOFError, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else written(error)
        raise DataError(f"{source!r} cannot be read as a table: {said.rstrip('.')}.") from error


def _refuse_one_column(frame: pd.DataFrame, source: str, separator: str) -> None:
    """Most often a file with another separator than its ending says."""
    others = [s for s in (";", "\t", ",", "|") if s != separator and s in str(frame.columns[0])]
    if frame.shape[1] == 1 and others:
        raise DataError(
            f"{source!r} has the one column {shown(str(frame.columns[0]))} with {shown(separator)} between columns. "
            f"Is it {shown(others[0])}? Then add --separator {shown(others[0])}."
        )


def _shipped(source: str) -> pd.DataFrame:
    names = bm.list_datasets()["name"]
    if source in set(names):
        return bm.load_dataset(source)
    near = close_matches(source, names) if Path(source).name == source else ""
    raise DataError(f"There is no file {source!r}, and no data set of the package of that name: {listed(names)}.{near}")


def _column(frame: pd.DataFrame, name: str, source: str) -> pd.Series:
    if name not in frame:
        near = close_matches(name, frame.columns)
        raise DataError(f"{source!r} has no column {shown(name)}; it has {listed(frame.columns)}.{near}")
    return frame[name]


def _categories(column: pd.Series, order: list[str] | None) -> pd.Categorical:
    """Text for every value, in the order that was given or else by size or spelling; missing ones stay missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = list(column.cat.categories)
    else:
        column = column.convert_dtypes()  # whole numbers that stand beside missing ones
        values = sorted(column.dropna().unique())
    texts: Mapping[Any, str] = {value: str(value) for value in values}
    unknown = [text for text in texts.values() if order is not None and text not in order]
    if order is not None and (unknown or len(set(order)) < len(order)):
        raise DataError(
            f"--levels {column.name}={','.join(order)} must name every value of the column once; the column has "
            f"{listed(texts.values())}."
        )
    return pd.Categorical(
        [texts.get(v) if pd.notna(v) else None for v in column], categories=order or [*texts.values()]
    )
