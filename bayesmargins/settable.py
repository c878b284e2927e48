"""What a question may set: variables of the model by name, and the values that each may have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from bayesmargins.design import Column, Design, freeze_column
from bayesmargins.errors import EstimandError, close_matches, listed, shown, written
from bayesmargins.spreads import SPREADS, spread_values
from bayesmargins.values import is_number, is_word, plain_value, value_list

__all__ = ["at_settings", "at_values", "check_value", "column_of", "hint_of"]


def column_of(name: Any, design: Design, what: str, *, derived: bool = False) -> Column:
    """The variable of the model that is called this, or a refusal that says what is called so instead.

    `derived`: any column of the data will do, because columns of the model are computed from it.
    """
    if is_word(name, design.columns):
        return design.columns[name]
    if any(is_word(name, f.columns) for f in design.factors.values()):
        raise EstimandError(
            f"{what} names {name!r}, a grouping factor; say groups={{{name!r}: [levels]}} for named groups."
        )
    if is_word(name, sorted(design.response.trials_variables)):
        raise EstimandError(
            f"{what} names {name!r}, the trials: a probability does not depend on them. at={{{name!r}: [100]}} goes "
            "with target='count', the expected number of successes."
        )
    if is_word(name, sorted(design.response.variables(["se", "lb", "ub"]))):
        raise EstimandError(
            f"{what} names {name!r}, which stands left of '~' and changes what is observed, not what is expected. "
            f"at={{{name!r}: [...]}} sets it where the target depends on it: bm.exceeds, bm.quantile, bm.sd, "
            "'observed_mean'. bm.hypotheses compares what comes out."
        )
    if is_word(name, (design.response.text,)):
        raise EstimandError(f"{what} names {name!r}, the response: it is what is predicted, and cannot be set.")
    in_data = is_word(name, [] if design.frame is None else list(design.frame))
    if in_data and derived:
        return freeze_column(design.data[name].dropna(), name)
    there = "is a column of the data that the formula does not read" if in_data else "is no variable"
    again = (
        f" If a column that it reads is computed from {name!r}, say how: at={{'column': function}}." if in_data else ""
    )
    raise EstimandError(
        f"{what} names {shown(name)}, which {there}: nothing would change with it. {design.formula!r} reads "
        f"{listed(design.columns)}.{close_matches(name, design.columns)}{again}"
    )


def at_settings(at: Mapping[str, Any], design: Design, trials: Collection[str] = ()) -> dict[str, list[Any]]:
    """The values of every variable of `at`, in the user's order; its functions are for `derived_settings`.

    `trials` are the columns of the trials, where the target counts: they can be set too.
    """
    if not isinstance(at, Mapping):
        raise EstimandError(f"at={shown(at)}; it must be a dict of variable to values, such as {{'week': [0, 6]}}.")
    derived = any(map(callable, at.values()))
    values: dict[str, list[Any]] = {}
    for name, given in at.items():
        if callable(given):
            continue
        column = Column(name, "number", ()) if name in trials else column_of(name, design, "at", derived=derived)
        values[name] = at_values(column, given, design, "at")
    return values


def at_values(column: Column, given: Any, design: Design, what: str) -> list[Any]:
    """The different values that were given for a variable: one, several, or a word for them.

    Words are ``"all"`` levels of a factor and those of `SPREADS` for a number; `what` is the argument, for messages.
    """
    entries = _entries(column, given, design)
    for value in entries:
        check_value(column, value, what)
    if not entries or len(set(entries)) < len(entries):
        said = f"{what}={{{column.name!r}: {shown(entries)}}}"
        raise EstimandError(f"{said} names no value, or one twice; name each value once.")
    if column.kind == "logical":
        return [bool(v) for v in entries]
    return [column.levels[column.levels.index(v)] for v in entries] if column.kind == "factor" else entries


def _entries(column: Column, given: Any, design: Design) -> list[Any]:
    """The values that were given, or that a word stands for."""
    entries = value_list(given)
    if entries is not None:
        return entries
    levels = column.levels if column.kind == "factor" else (False, True)
    if is_word(given, ("all",)) and column.kind != "number" and given not in levels:
        return list(levels)
    if is_word(given, SPREADS) and column.kind == "number" and column.name in design.data.columns:
        return list(spread_values(column, given, design))
    return [plain_value(given)]


def check_value(column: Column, value: Any, what: str) -> None:
    """Refuse to set a variable to a level that the fit has not seen, or to a value of another kind."""
    if column.kind == "factor":
        if not isinstance(value, str | int | float) or value not in column.levels:
            raise EstimandError(
                f"{what} sets {column.name!r} to {shown(value)}; the fit knows {listed(column.levels)}."
                f"{column.reason}{close_matches(value, column.levels)}{hint_of(value, column.levels)}"
            )
    elif column.kind == "logical":
        if not isinstance(value, int | float) or value not in (0, 1):
            raise EstimandError(f"{what} sets {column.name!r} to {shown(value)}; it is True or False.{hint_of(value)}")
    elif not isinstance(value, bool) and not is_number(value):
        raise EstimandError(
            f"{what} sets {column.name!r} to {shown(value)}; it holds numbers, so give a finite number.{hint_of(value)}"
        )


def hint_of(value: Any, levels: Sequence[Any] = ()) -> str:
    """What to do about a value of a wrong kind?"""
    if isinstance(value, set | frozenset):
        return " A set has no order: give a list."
    if pd.api.types.is_list_like(value):
        return " Several values are a flat list, such as [0, 6]."
    if written(value) in map(str, levels):
        return " The same label is there as another type (text against numbers)."
    return ""
