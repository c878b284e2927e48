"""Kinds of arguments that are checked alike everywhere: a word, a switch, a whole number, a dict, a user's function."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import BayesmarginsError, EstimandError, FormulaError, close_matches, listed, shown, written

__all__ = [
    "array_of",
    "called",
    "entries",
    "functions",
    "numbers",
    "one_of",
    "raised_by_argument",
    "switch",
    "whole_number",
]

Refusal = type[BayesmarginsError]


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


def array_of(what: str, values: Any, refused: Refusal) -> np.ndarray:
    """Any object as an array, of whatever type."""
    try:
        return np.asarray(values)
    except Exception as error:  # NumPy asks the object, which may raise anything
        raise refused(f"{what} is {shown(values)}, which makes no array: {written(error)}") from error


def numbers(values: Any) -> np.ndarray:
    """Any object as an array of float64.

    Raises
    ------
    ValueError
        It is none: that one error, whatever the object raises when it is asked for its numbers.
    """
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


def raised_by_argument(error: Exception) -> str:
    """Which method of a user's object raised this when it was compared or looked at; empty where none did.

    Python may ask an object anything: whether it equals a word, has a hash, or an attribute.
    """
    frame, trace = None, error.__traceback__
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
    if frame is None or str(frame.f_globals.get("__name__", "")).partition(".")[0] == "bayesmargins":
        return ""
    file = frame.f_code.co_filename
    return "" if file.startswith(("<frozen", *_LIBRARIES)) else frame.f_code.co_qualname


_LIBRARIES = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})


def _described(value: Any) -> str:
    """What a function got: arrays and tables by their sizes, anything else as it is."""
    if isinstance(value, pd.DataFrame):
        return f"a DataFrame ({len(value)} rows, with the columns {listed(value.columns, 30)})"
    sizes, shape = getattr(value, "sizes", None), getattr(value, "shape", None)
    if isinstance(sizes, Mapping):
        return f"a {type(value).__name__} ({', '.join(f'{dim}: {n}' for dim, n in sizes.items())})"
    return f"a {type(value).__name__} of shape {shape}" if isinstance(shape, tuple) else shown(value)
