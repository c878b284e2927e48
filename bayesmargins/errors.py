"""What can go wrong, one class per stage, and how a message is worded.

Every message says what was asked, the value got, what is allowed and what to do next. A stage raises its own
subclass of `BayesmarginsError`, so that a caller can catch "my data" apart from "my question".
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import Any

__all__ = [
    "BayesmarginsError",
    "BayesmarginsWarning",
    "DataError",
    "EstimandError",
    "FitError",
    "FormulaError",
    "GroupsError",
    "IntegrationError",
    "ModelError",
    "PosteriorError",
    "ResultError",
    "close_matches",
    "listed",
    "shown",
    "warn",
    "written",
]

_LONGEST = 4000  # characters of a message: names, labels and formulas that are quoted may be of any length


class BayesmarginsError(ValueError):
    """Anything this package refuses to do. Catch this to catch them all."""

    def __init__(self, message: str = "") -> None:
        more = len(message) - _LONGEST
        half = _LONGEST // 2
        short = f"{message[:half]} ({more:,} characters are left out here) {message[-half:]}"
        super().__init__(short if more > 0 else message)


class FormulaError(BayesmarginsError):
    """The formula cannot be read, or does not describe a mixed model."""


class DataError(BayesmarginsError):
    """The data (or newdata) do not fit the formula: columns, types, levels, missing values."""


class ModelError(BayesmarginsError):
    """The family, the link, a prior or the response do not go together."""


class FitError(BayesmarginsError):
    """The sampler cannot be run as asked."""


class PosteriorError(BayesmarginsError):
    """Draws do not have the shape, names or values that the design needs."""


class GroupsError(BayesmarginsError):
    """`groups=` asks for something that these grouping factors cannot give."""


class IntegrationError(BayesmarginsError):
    """The average over groups does not exist, or cannot be computed to its tolerance."""


class EstimandError(BayesmarginsError):
    """The question itself is not well posed: variables, contrasts, averages, targets, weights."""


class ResultError(BayesmarginsError):
    """A Dataset is not a result of this package, or cannot be reported as asked."""


class BayesmarginsWarning(UserWarning):
    """Something was computed, and the reader should know this about it."""


def close_matches(name: object, allowed: Iterable[object]) -> str:
    """Which of the allowed names the user probably meant: ``" Did you mean 'week'?"``, or nothing where none is near.

    >>> close_matches("weeek", ["week", "trt"])
    " Did you mean 'week'?"
    >>> close_matches("id", ["ID", "i"])
    " Did you mean 'ID'?"
    """
    text = written(name)
    if text.lstrip("-").isdigit() or len(text) > 200:
        return ""  # which number is near which says nothing; of a long text it takes for ever to tell
    texts = [written(a) for a in allowed]
    same = [t for t in texts if t.casefold() == text.casefold() and t != text]
    near = same or difflib.get_close_matches(text, texts, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def listed(values: Iterable[object], limit: int = 12) -> str:
    """Many values in one line of a message, ``"'a', 'b' and 3 more"``: how many are shown is the limit.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    every = list(values)
    more = len(every) - limit
    return ", ".join(map(shown, every[:limit])) + (f" and {more} more" if more > 0 else "")


def shown(value: Any, limit: int = 80) -> str:
    """One value in a message, however large it is: its ``repr`` on one line, of at most `limit` characters.

    A NumPy scalar is the number that it is; a table, and an array that is too long, is called by its shape; what has
    no ``repr`` by its type.

    >>> shown("new"), shown([0] * 99, limit=9)
    ("'new'", '[0, 0, 0,...')
    """
    try:
        scalar = type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
        sized = _sized(value)
        if sized and hasattr(type(value), "columns"):
            return sized
        text = " ".join(repr(value.item() if scalar else value).split())
    except Exception as error:  # whatever a user's object does when it is asked: the message is about something else
        sized = ""
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= limit else sized or f"{text[:limit]}..."


def _sized(value: Any) -> str:
    """A table or an array by its shape; empty for anything else."""
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape or not all(isinstance(n, int) for n in shape):
        return ""
    return f"<{type(value).__name__} of the shape {shape}>"


def written(value: object) -> str:
    """The text of any object, to look a word up by; that of an object without one is empty."""
    try:
        return str(value)
    except Exception:  # as for `shown`
        return ""


def warn(message: str) -> None:
    """Warn at the user's own line, however deep in the package it arises.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("mind this")
    >>> str(caught[0].message)
    'mind this'
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("bayesmargins"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, BayesmarginsWarning, stacklevel=level)
