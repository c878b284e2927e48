"""Data frames as plain variables, column by column, and back to the letter: types, values, missing values."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import PosteriorError
from bayesmargins.files.netcdf import Saved, as_json

__all__ = ["frame_to_dataset", "to_frame"]

_NUMPY = re.compile(r"[<>]?(bool|u?int(8|16|32|64)|float(16|32|64)|[iuf][248])")
_NULLABLE = re.compile(r"(U?Int|Float)(8|16|32|64)|boolean")
_TIME = re.compile(r"(datetime64|timedelta64)\[(s|ms|us|ns)\]")
_ZONED = re.compile(r"datetime64\[(s|ms|us|ns), ((?!dateutil)[\w+-]+(?:/[\w+-]+)*|UTC[+-]\d\d:\d\d)\]")
_PERIOD = re.compile(r"period\[[\w-]+\]")
_ARROW = re.compile(r"bool|u?int(8|16|32|64)|double|float|halffloat|string|large_string")


def frame_to_dataset(data: pd.DataFrame) -> xr.Dataset:
    """Columns by position, so that any name can be; ``about`` says what each is, and what it is called."""
    about, variables = [], {}
    for j, name in enumerate(data.columns):
        said, arrays = _kept(data[name])
        about.append({"name": name, **said})
        for part, values in arrays.items():
            variables[f"column_{j}{part}"] = (f"column_{j}{part}_row", values)
    return xr.Dataset({"about": as_json(about), **variables})


def to_frame(saved: Saved, group: str) -> pd.DataFrame:
    """Which data frame was stored?"""

    def column(j: int, said: dict[str, Any]) -> pd.Series:
        return _read(said, lambda part: saved.numbers(f"{group}/column_{j}{part}"))

    return pd.DataFrame({said["name"]: column(j, said) for j, said in enumerate(saved.json(f"{group}/about"))})


def _kept(column: pd.Series) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        said, arrays = _packed(column)
        if _NUMPY.fullmatch(str(column.dtype)) or _same(_read(said, arrays.__getitem__), column):
            return said, arrays
        why = f"holds {column.dtype}"
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        why = str(error)
    raise PosteriorError(
        f"The column {column.name!r} of the data cannot be kept in a file as it is: it {why}. Turn it into text or "
        f"numbers, and save again: post.design.data[{column.name!r}] = post.design.data[{column.name!r}].astype(str)."
    )


def _same(found: pd.Series, column: pd.Series) -> bool:
    """To the type of each value: 1, 1.0, True and "1" are four things, and so are None and NaN."""
    if found.dtype != column.dtype or str(found.dtype) != str(column.dtype):
        return False
    return list(map(repr, found.tolist())) == list(map(repr, column.tolist()))


def _packed(column: pd.Series) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a column is, in words, and its values as numbers that netCDF holds."""
    kind = str(column.dtype)
    if isinstance(column.dtype, pd.CategoricalDtype):
        said, levels = _packed(pd.Series(column.cat.categories))
        about = {"type": "category", "ordered": bool(column.cat.ordered), "levels": said}
        return about, {"": column.cat.codes.to_numpy(), **{f"_levels{k}": v for k, v in levels.items()}}
    if _NUMPY.fullmatch(kind):
        return {"type": kind}, {"": _storable(column.to_numpy())}
    if _NULLABLE.fullmatch(kind):
        values = column.to_numpy(dtype=kind.lower().replace("boolean", "bool"), na_value=0)
        return {"type": kind}, {"": _storable(values), "_missing": column.isna().to_numpy(dtype=np.uint8)}
    if _TIME.fullmatch(kind):
        return {"type": kind}, {"": column.to_numpy().view(np.int64)}
    if _ZONED.fullmatch(kind):
        return {"type": kind}, {"": column.dt.tz_convert(None).to_numpy().view(np.int64)}
    if _PERIOD.fullmatch(kind):
        return {"type": kind}, {"": pd.PeriodIndex(column).asi8}
    listed = {"": as_json([_tagged(v) for v in column.tolist()]).to_numpy()}
    if isinstance(column.dtype, pd.ArrowDtype):
        return {"type": "arrow", "of": str(column.dtype.pyarrow_dtype)}, listed
    if kind == "string":
        return {"type": kind, "of": column.dtype.storage}, listed
    if kind in ("object", "str"):
        return {"type": kind}, listed
    raise ValueError(f"holds {kind}")


def _storable(values: np.ndarray) -> np.ndarray:
    """Types that netCDF lacks, in wider ones."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return values.astype(np.float32) if values.dtype.itemsize == 2 and values.dtype.kind == "f" else values


def _read(said: dict[str, Any], values: Callable[[str], np.ndarray]) -> pd.Series:
    """The column that `_packed` packed. Types are looked up in lists: a file names none of its own."""
    kind, found = str(said["type"]), values("")
    if kind == "category":
        levels = _read(said["levels"], lambda part: values(f"_levels{part}"))
        index = pd.Index(levels, dtype=levels.dtype)
        return pd.Series(pd.Categorical.from_codes(found, categories=index, ordered=bool(said["ordered"])))
    if _NUMPY.fullmatch(kind):
        return pd.Series(found.astype(kind))
    if _NULLABLE.fullmatch(kind):
        filled = pd.Series(found.astype(kind.lower().replace("boolean", "bool"))).astype(kind)
        return filled.mask(values("_missing").astype(bool))
    if _TIME.fullmatch(kind):
        return pd.Series(found.view(kind))
    if zoned := _ZONED.fullmatch(kind):
        return pd.Series(found.view(f"datetime64[{zoned[1]}]")).dt.tz_localize("UTC").dt.tz_convert(zoned[2])
    if _PERIOD.fullmatch(kind):
        return pd.Series(pd.PeriodIndex.from_ordinals(found, freq=kind[7:-1]))
    return pd.Series([_value(v) for v in json.loads(found.tobytes())], dtype=_listed_type(kind, str(said.get("of"))))


def _listed_type(kind: str, of: str) -> Any:
    if kind in ("object", "str"):
        return kind if kind == "object" else pd.Series([""]).dtype  # that of text, which is object in older pandas
    if kind == "string" and of in ("python", "pyarrow"):
        return pd.StringDtype(of)
    if kind == "arrow" and _ARROW.fullmatch(of):
        import pyarrow as pa

        return pd.ArrowDtype(pa.type_for_alias(of))
    raise ValueError(f"its data are of a type that files do not hold: {kind!r}")


def _tagged(value: Any) -> Any:
    """A value as JSON that says which type it has: true, 1, 1.0, "1" and null do by themselves, others by a name."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is tuple:
        return {"tuple": [_tagged(v) for v in value]}
    name = next((n for n, (known, _, _) in _TAGS.items() if kind is known), None)
    if name is None:
        raise ValueError(f"holds {kind.__name__} among its values")
    return {name: _TAGS[name][1](value)}


def _value(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    ((name, text),) = given.items()
    return tuple(map(_value, text)) if name == "tuple" else _TAGS[name][2](text)


_TAGS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "NA": (type(pd.NA), lambda v: "", lambda text: pd.NA),
    "NaT": (type(pd.NaT), lambda v: "", lambda text: pd.NaT),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "decimal": (Decimal, str, lambda text: Decimal(str(text))),
}
