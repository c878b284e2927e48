"""Counterfactual copies of the rows: values set by `at`, steps, and columns that are computed again from others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Column, Design, freeze_column, require_columns
from bayesmargins.errors import DataError, EstimandError, close_matches, listed, shown, written
from bayesmargins.spreads import SPREADS, spread_values
from bayesmargins.values import array_of, called, is_number, is_word, plain_value, value_list, with_columns

__all__ = [
    "Room",
    "Setting",
    "Settings",
    "apply_settings",
    "at_settings",
    "at_values",
    "check_row_by_row",
    "check_value",
    "column_of",
    "derived_settings",
    "hint_of",
]


@dataclass(frozen=True)
class Room:
    """The values within which a step stays: it is the one nearest to the row's own value that fits between them."""

    lower: float
    upper: float
    step: float

    def leaving(self, x: np.ndarray) -> np.ndarray:
        """Which values would leave by the step? What lies beyond already is for the design to refuse."""
        inside = (x >= self.lower) & (x <= self.upper)
        return inside & ((x + self.step < self.lower) | (x + self.step > self.upper))

    def moved(self, x: np.ndarray, by: float) -> np.ndarray:
        """Values moved by the step, or by 0: where it begins."""
        begin = np.clip(x, self.lower - min(self.step, 0.0), self.upper - max(self.step, 0.0))
        # clipped again: upper - step + step may be a rounding error above upper
        return np.where(self.leaving(x), np.clip(begin + by, self.lower, self.upper), x + by)


@dataclass(frozen=True)
class Setting:
    """What a variable is set to on every row: a value, its own value plus a step, or what is computed from the row."""

    variable: str  # column of the rows
    value: Any = None  # the value
    step: float | None = None  # added to what is there
    room: Room | None = None  # the step stays inside it
    # `compute(frame)` gives the column, from the rows with everything else set
    compute: Callable[[pd.DataFrame], Any] | None = None


Settings = tuple[Setting, ...]


def apply_settings(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows with these variables set, every other column untouched; columns that are computed come last."""
    changed: dict[str, Any] = {}
    for s in settings:
        if s.compute is not None:
            continue
        if s.step is not None:
            require_columns(frame, [s.variable], "newdata", f"a step of {s.variable!r}")
        # In float64, whatever the column's own precision: a small step would be lost in float32.
        changed[s.variable] = s.value if s.step is None else _stepped(s.step, s.room, _as_float(frame[s.variable]))
    frame = with_columns(frame, changed) if changed else frame
    computed = [s for s in settings if s.compute is not None]
    return _with_computed(frame, computed) if computed else frame


def _stepped(step: float, room: Room | None, x: np.ndarray) -> np.ndarray:
    return x + step if room is None else room.moved(x, step)


def _with_computed(frame: pd.DataFrame, computed: Sequence[Setting]) -> pd.DataFrame:
    """Columns computed from the others, until each agrees with what the others have become."""
    if len(computed) == 1:
        return with_columns(frame, {computed[0].variable: _computed(computed[0], frame)})
    made = frame
    for _ in range(len(computed) + 1):
        # each sees its own column as it was: a function of itself is applied once
        found = {s.variable: _computed(s, with_columns(made, _original(frame, s.variable))) for s in computed}
        again = with_columns(made, found)
        if all(s.variable in made and _same(made[s.variable], again[s.variable]) for s in computed):
            return again
        made = again
    raise EstimandError(
        f"at= computes {listed([s.variable for s in computed])} from each other in a circle. Compute each from columns "
        "that do not depend on it."
    )


def _original(frame: pd.DataFrame, name: str) -> dict[str, Any]:
    return {name: frame[name]} if name in frame else {}


def _same(one: pd.Series, other: pd.Series) -> bool:
    return one.reset_index(drop=True).equals(other.reset_index(drop=True)) or _close(one, other)


def _computed(setting: Setting, frame: pd.DataFrame) -> Any:
    assert setting.compute is not None
    what = f"at={{{setting.variable!r}: <function>}}"
    # rows are numbered afresh: their numbers would be those of a part of the rows
    values = called(what, setting.compute, frame.reset_index(drop=True), refused=DataError)
    shape = array_of(f"What {what} gave", values, DataError).shape
    single = shape == () and isinstance(plain_value(values), str | int | float | None)
    if not single and shape != (len(frame),):
        raise DataError(
            f"{what} gave {shown(values)} of the shape {shape} for {len(frame)} rows; one value a row is needed (or "
            "one for all)."
        )
    return values.to_numpy() if isinstance(values, pd.Series) else values


def _as_float(series: pd.Series) -> np.ndarray:
    try:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"A step is added to numbers, and column {series.name!r} holds {series.dtype}, starting with "
            f"{shown(series.iloc[0])}. Convert it with pandas.to_numeric."
        ) from None


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


def derived_settings(at: Mapping[str, Any], design: Design, trials: Collection[str] = ()) -> Settings:
    """What `at` computes again from the other columns, on every counterfactual copy of the rows, by its functions."""
    functions = {name: given for name, given in at.items() if callable(given)}
    for name in functions:
        if name not in trials:
            column_of(name, design, "at")
    return tuple([Setting(name, compute=function) for name, function in functions.items()])


def check_row_by_row(derived: Settings, frame: pd.DataFrame) -> None:
    """Refuse a function that looks at other rows: a mean over rows would change with those that are asked about."""
    some = np.unique(np.linspace(0, len(frame) - 1, 7).astype(int))
    for setting in derived:
        whole = pd.Series(np.broadcast_to(_computed(setting, frame), len(frame))).iloc[some].reset_index(drop=True)
        single = pd.Series([_beside_another(setting, frame.iloc[[k]]) for k in some])
        if not _same(whole, single):
            raise EstimandError(
                f"at={{{setting.variable!r}: <function>}} gives other values for the same rows beside other rows: "
                "it looks at other rows. Give what it needs a column of its own first, such as "
                "data['x_mean'] = data.groupby('id')['x'].transform('mean')."
            )


def _beside_another(setting: Setting, row: pd.DataFrame) -> Any:
    """The value of a row when the only other row has other numbers."""
    numbers = row.select_dtypes("number")
    other = with_columns(row, {n: numbers[n].astype(float) + 1.0 for n in numbers})
    try:
        return np.broadcast_to(_computed(setting, pd.concat([row, other])), 2)[0]
    except DataError:  # such numbers may be beyond what the function takes
        return np.broadcast_to(_computed(setting, row), 1)[0]


def _close(one: pd.Series, other: pd.Series) -> bool:
    try:
        return bool(np.allclose(one.astype(float), other.astype(float), rtol=1e-8, atol=0.0, equal_nan=True))
    except (TypeError, ValueError):
        return False


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
