"""What a user hands over: made plain, checked alike everywhere, and refused by the error of its stage."""

from __future__ import annotations

import datetime
import enum
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import BayesmarginsError, EstimandError, FormulaError, close_matches, listed, shown, written

__all__ = [
    "array_of",
    "by_row_labels",
    "called",
    "chunked",
    "entries",
    "functions",
    "is_infinite",
    "is_number",
    "is_word",
    "kept",
    "numbers",
    "one_of",
    "plain",
    "plain_value",
    "switch",
    "value_label",
    "value_list",
    "whole_number",
    "with_columns",
]

Refusal = type[BayesmarginsError]

_MOST = 1_000_000  # values that are taken from what does not say how many it has
_LABELS = (pd.Interval, pd.Period, datetime.date, datetime.timedelta, uuid.UUID, enum.Enum)


def plain_value(value: Any) -> Any:
    """A value without its library: text, a number or a truth value; itself, where it is nothing of the kind.

    A NumPy scalar, Decimal or Fraction becomes a Python number; an Interval (of ``pandas.cut``), a Period, a time, a
    UUID or a member of an Enum becomes its text, as in the coordinates of results.

    >>> plain_value(np.int64(3)), plain_value(pd.Interval(0, 1))
    (3, '(0, 1]')
    """
    if value is pd.NaT:
        return value
    if isinstance(value, np.datetime64):
        return str(pd.Timestamp(value))
    if isinstance(value, np.timedelta64):
        return str(pd.Timedelta(value))
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, Decimal | Fraction):
        return _as_float(value)
    return str(value) if isinstance(value, _LABELS) else value


def _as_float(value: Decimal | Fraction) -> Any:
    """A fraction beyond the range of numbers, and a Decimal that signals, stay what they are: no number."""
    try:
        return float(value)
    except (OverflowError, ValueError):
        return value


def value_list(given: Any) -> list[Any] | None:
    """The plain values of a list, tuple, range, generator, array, Series, Index or column of another library, in order.

    None for a single value, and for what has no order or more than one dimension: sets, dicts, frames, nested lists.
    EstimandError of a generator that raises, or that does not end.

    >>> value_list(range(2)), value_list("ab"), value_list({"a", "b"})
    ([0, 1], None, None)
    """
    flat = isinstance(given, Iterable) and not isinstance(given, str | bytes | set | frozenset | Mapping | pd.DataFrame)
    if not flat or getattr(given, "ndim", 1) != 1:
        return None
    column = isinstance(given, pd.Series | pd.Index) or type(given) is np.ndarray
    if column and isinstance(given.dtype, np.dtype) and given.dtype.kind in "biuf":
        return list(given.tolist())  # a column may be long
    values = [str(v) if isinstance(v, tuple) else plain_value(v) for v in _taken(given)]
    return None if any(pd.api.types.is_list_like(v) for v in values) else values


def kept(given: Any) -> Any:
    """The same to be read more than once: a generator, also one in a dict, as the list of its values."""
    if isinstance(given, Mapping) and any(isinstance(v, Iterator) for v in given.values()):
        return {name: kept(value) for name, value in given.items()}
    return _taken(given) if isinstance(given, Iterator) else given


def _taken(given: Iterable[Any]) -> Iterable[Any]:
    """What an iterable gives, all of it."""
    if isinstance(given, Collection):
        return given
    try:
        values = list(islice(given, _MOST + 1))
    except Exception as error:
        raise EstimandError(
            f"{shown(given)} stands where values are expected, and raised {type(error).__name__}: "
            f"{written(error)} Give a list."
        ) from error
    if len(values) > _MOST:
        raise EstimandError(f"{shown(given)} gives more than {_MOST:,} values, perhaps without end. Give a list.")
    return values


def is_number(value: Any) -> bool:
    """Whether this, from `plain_value`, is one finite number (a truth value is none).

    >>> is_number(1.5), is_number(True), is_number(float("nan"))
    (True, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:
        return False


def is_infinite(value: Any) -> bool:
    """Whether this is infinity, of either sign."""
    return isinstance(value, float) and np.isinf(value)


def is_word(value: Any, allowed: Collection[str]) -> bool:
    """Whether this is one of the words; anything may be asked, also what has no hash or no truth value.

    >>> is_word("eti", ("eti", "hdi")), is_word(["eti"], ("eti", "hdi"))
    (True, False)
    """
    return isinstance(value, str) and value in allowed


def by_row_labels(values: Any, labels: pd.Index, what: str, of: str) -> tuple[Any, str]:
    """A Series or DataFrame in the order of these row labels, and the message of a refusal, empty where all match.

    Anything else is paired by position, as it is. `what` and `of` are what a message calls the values and the rows.

    >>> by_row_labels(pd.Series([1, 2], ["b", "a"]), pd.Index(["a", "b"]), "wts", "newdata")[0].tolist()
    [2, 1]
    """
    if not isinstance(values, pd.Series | pd.DataFrame) or values.index.equals(labels):
        return values, ""
    said = f"{what} is a {type(values).__name__} with an index, and is paired with the rows of {of} by it; "
    way = f" {what}.to_numpy() is paired by position."
    for index, whose in ((values.index, what), (labels, of)):
        if not index.is_unique:
            twice = index[index.duplicated()].unique().tolist()
            return values, f"{said}the index of {whose} has {listed(twice)} more than once.{way}"
    absent, idle = labels.difference(values.index, sort=False), values.index.difference(labels, sort=False)
    if len(absent) or len(idle):
        lacks = [f"it lacks {listed(absent.tolist())}"] if len(absent) else []
        lacks += [f"no row of {of} is called {listed(idle.tolist())}"] if len(idle) else []
        return values, f"{said}{', and '.join(lacks)}.{way}"
    return values.reindex(labels), ""


def with_columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with columns set, whatever they are called: ``assign`` knows no column "self".

    >>> with_columns(pd.DataFrame({"x": [1]}), {"self": 2}).to_dict("records")
    [{'x': 1, 'self': 2}]
    """
    made = frame.copy(deep=False)
    for name, values in columns.items():
        made[name] = values
    return made


def value_label(value: Any, other: Any = None) -> str:
    """How a level, number or truth value reads in a label, perhaps beside another one on the other side of a contrast.

    A computed number has four digits, or as many as tell it from the other; what a person would write stays whole.

    >>> value_label(0.5), value_label("drug+"), value_label(2.529421532024875)
    ('0.5', 'drug+', '2.529')
    """
    if not isinstance(value, float):
        return str(value)
    if f"{value:.6g}" == f"{value:.12g}":
        return f"{value:.6g}"
    other = float(other) if isinstance(other, int | float) else np.nan
    least = len(f"{abs(value):.0f}")  # digits before the point are all shown
    digits = [min(max(d, least), 17) for d in (4, 6, 8, 12)]
    return next((f"{value:.{d}g}" for d in digits if f"{value:.{d}g}" != f"{other:.{d}g}"), f"{value:.17g}")


def plain(values: Any) -> np.ndarray:
    """Labels or covariates (n,) as str, int64, float64 or bool, which netCDF gives back the same.

    A missing number is NaN, a missing text ``""``.

    >>> plain(["b", "a"]).dtype.kind
    'U'
    """
    series = pd.Series(values) if not isinstance(values, pd.Series) else values
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=bool)
    wraps = pd.api.types.is_unsigned_integer_dtype(series.dtype) and series.max() > np.iinfo(np.int64).max
    if wraps:
        return np.array([str(v) for v in series], dtype=str)
    if pd.api.types.is_integer_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=np.int64)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = [v if isinstance(v, str) else written(v) for v in series]
    return np.array(["" if gone else text for text, gone in zip(texts, series.isna(), strict=True)], dtype=str)


def one_of(name: str, value: Any, allowed: Collection[str], refused: Refusal = EstimandError) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in allowed:
        raise refused(f"{name}={shown(value)}; allowed are {', '.join(allowed)}.{close_matches(value, allowed)}")
    return value


def switch(name: str, value: Any, refused: Refusal = EstimandError, meaning: str = "True or False") -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, bool | np.bool_):
        raise refused(f"{name}={shown(value)}; it must be {meaning}.")
    return bool(value)


def whole_number(name: str, value: Any, least: int, refused: Refusal = EstimandError, rest: str = "") -> int:
    """A count or a seed: an integer of Python or NumPy from `least` to 2**63 - 1; `rest` ends the message."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value < 2**63:
        above = " below 2**63" if whole and value >= 2**63 else ""
        raise refused(f"{name}={shown(value)}; it must be a whole number from {least}{above}{rest}.")
    return int(value)


def entries(name: str, given: Any, example: str, refused: Refusal) -> dict[Any, Any]:
    """A dict of the user's, empty where there is none."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise refused(f"{name} is {shown(given)}; it must be a dict, {name}={{{example}}}.")
    return dict(given)


def functions(namespace: Any) -> dict[str, Any]:
    """What a formula may call beside the functions of the package, by name."""
    given = entries("namespace", namespace, "'name': function", FormulaError)
    bad = [
        name for name in given if not (isinstance(name, str) and all(part.isidentifier() for part in name.split(".")))
    ]
    if bad:
        raise FormulaError(
            f"namespace calls a function {shown(bad[0])}; a formula calls it by a name, such as 'logit'."
        )
    return given


def chunked(values: Any) -> bool:
    """Are these numbers in dask's chunks, which are read where they are asked for?"""
    if "dask" not in sys.modules:
        return False
    from dask.base import is_dask_collection

    return bool(is_dask_collection(values))


def array_of(what: str, values: Any, refused: Refusal) -> np.ndarray:
    """Any object as an array, of whatever type."""
    try:
        return np.asarray(values)
    except Exception as error:  # NumPy asks the object, which may raise anything
        raise refused(f"{what} is {shown(values)}, which makes no array: {written(error)}") from error


def numbers(values: Any) -> np.ndarray:
    """Any object as an array of float64; ValueError, whatever the object raises when it is asked for its numbers."""
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise ValueError("complex numbers have a part that nothing here would use")
        return np.asarray(array, dtype=np.float64)
    except Exception as error:
        raise ValueError(written(error)) from error


def called(what: str, function: Callable[..., Any], *given: Any, refused: Refusal = EstimandError) -> Any:
    """What a user's function gives; where it raises, an error that says what it was called with."""
    try:
        return function(*given)
    except Exception as error:
        raise refused(
            f"{what} was called with {', '.join(map(_described, given))} and raised {type(error).__name__}: "
            f"{written(error)}"
        ) from error


def _described(value: Any) -> str:
    """What a function got: arrays and tables by their sizes, anything else as it is."""
    if isinstance(value, pd.DataFrame):
        return f"a DataFrame ({len(value)} rows, with the columns {listed(value.columns, 30)})"
    sizes, shape = getattr(value, "sizes", None), getattr(value, "shape", None)
    if isinstance(sizes, Mapping):
        return f"a {type(value).__name__} ({', '.join(f'{dim}: {n}' for dim, n in sizes.items())})"
    return f"a {type(value).__name__} of shape {shape}" if isinstance(shape, tuple) else shown(value)
