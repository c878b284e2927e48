"""What a user writes for a value, a list of values or a word: made plain, or told apart from what it is not."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import EstimandError, listed, shown, written

__all__ = [
    "by_row_labels",
    "is_infinite",
    "is_number",
    "is_word",
    "kept",
    "plain_value",
    "value_label",
    "value_list",
    "with_columns",
]

_MOST = 1_000_000  # values that are taken from what does not say how many it has
_LABELS = (pd.Interval, pd.Period, datetime.date, datetime.timedelta, uuid.UUID, enum.Enum)


def plain_value(value: Any) -> Any:
    """What is this value without its library: text, a number or a truth value?

    Parameters
    ----------
    value : object
        A NumPy scalar, Decimal or Fraction becomes a Python number; an Interval (of ``pandas.cut``), a Period, a time,
        a UUID or a member of an Enum becomes its text, as in the coordinates of results.

    Returns
    -------
    object
        The value itself, where it is nothing of the kind.

    Examples
    --------
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
    """Which values were given, in order?

    Parameters
    ----------
    given : object
        A list, tuple, range, generator, array, Series, Index or column of another library.

    Returns
    -------
    list or None
        Plain values; None for a single value, and for what has no order or more than one dimension: sets, dicts,
        frames, nested lists.

    Raises
    ------
    EstimandError
        A generator that raises, or that does not end.

    Examples
    --------
    >>> value_list(range(2)), value_list("ab"), value_list({"a", "b"})
    ([0, 1], None, None)
    """
    flat = isinstance(given, Iterable) and not isinstance(given, str | bytes | set | frozenset | Mapping | pd.DataFrame)
    if not flat or getattr(given, "ndim", 1) != 1:
        return None
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
    """Whether this is one finite number (a truth value is none).

    Parameters
    ----------
    value : object
        From `plain_value`.

    Returns
    -------
    bool

    Examples
    --------
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

    Parameters
    ----------
    value : object
        What was given.
    allowed : collection of str
        The words.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_word("eti", ("eti", "hdi")), is_word(["eti"], ("eti", "hdi"))
    (True, False)
    """
    return isinstance(value, str) and value in allowed


def by_row_labels(values: Any, labels: pd.Index, what: str, of: str) -> tuple[Any, str]:
    """A pandas object in the order of these row labels, and what stands against it; arrays and lists are as they are.

    Parameters
    ----------
    values : object
        A Series or DataFrame is matched by its index; anything else is paired by position.
    labels : Index
        Of the rows.
    what, of : str
        What a message calls the values and the rows.

    Returns
    -------
    object, str
        The values, and the message of a refusal, empty where all labels match.

    Examples
    --------
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

    Examples
    --------
    >>> with_columns(pd.DataFrame({"x": [1]}), {"self": 2}).to_dict("records")
    [{'x': 1, 'self': 2}]
    """
    made = frame.copy(deep=False)
    for name, values in columns.items():
        made[name] = values
    return made


def value_label(value: Any, other: Any = None) -> str:
    """How does a value read in a label?

    Parameters
    ----------
    value : object
        A level, number or truth value. A computed number has four digits, or as many as tell it from the other; what a
        person would write stays whole.
    other : object, optional
        The value on the other side of a contrast.

    Returns
    -------
    str

    Examples
    --------
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
