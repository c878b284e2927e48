"""Counterfactual copies of the rows: what is set on all of them, and the two that a contrast compares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations, product
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.computed_columns import functions_of, with_computed
from bayesmargins.design import Column, Design, held_type, require_columns
from bayesmargins.errors import DataError, EstimandError, close_matches, listed, shown, warn
from bayesmargins.settable import check_value, column_of, hint_of
from bayesmargins.spreads import PAIRS, spread_values
from bayesmargins.values import is_number, is_word, plain_value, value_label, value_list

__all__ = [
    "Contrast",
    "Setting",
    "Settings",
    "apply_settings",
    "contrasts",
    "derived_settings",
    "every_variable",
    "named_variables",
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
    changed = frame.copy(deep=False)  # `assign` knows no column "self"
    for s in settings:
        if s.compute is None:
            changed[s.variable] = s.value if s.step is None else _stepped(frame, s.variable, s.step, s.room)
    functions = {s.variable: s.compute for s in settings if s.compute is not None}
    return with_computed(changed, functions) if functions else changed


def _stepped(frame: pd.DataFrame, name: str, step: float, room: Room | None) -> np.ndarray:
    """In float64, whatever the column's own precision: a small step would be lost in float32."""
    require_columns(frame, [name], "newdata", f"a step of {name!r}")
    x = _as_float(frame[name])
    return x + step if room is None else room.moved(x, step)


def _as_float(series: pd.Series) -> np.ndarray:
    try:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"A step is added to numbers, and column {series.name!r} holds {held_type(series)}, starting with "
            f"{shown(series.iloc[0])}. Convert it with pandas.to_numeric."
        ) from None


def derived_settings(at: Mapping[str, Any], design: Design, trials: Collection[str] = ()) -> Settings:
    """What `at` computes again from the other columns, on every counterfactual copy of the rows, by its functions."""
    functions = functions_of(at)
    for name in functions:
        if name not in trials:
            column_of(name, design, "at")
    return tuple([Setting(name, compute=function) for name, function in functions.items()])


@dataclass(frozen=True)
class Contrast:
    """Two counterfactual copies of the rows, compared as high against low."""

    term: str  # variable (or variables) that differ
    # the two sides
    low: Settings
    high: Settings
    # how they read
    low_label: str
    high_label: str
    # the contrasts that are made at once, where several variables change together
    together: tuple[Contrast, ...] = ()


def named_variables(variables: Any, design: Design, *, derived: bool = False) -> dict[str, Any]:
    """The variables that a question names, and what it says of each; None where the default holds.

    `derived`: columns are computed again from others, so any column of the data may be the one that changes.
    """
    names = [variables] if isinstance(variables, str) else value_list(variables)
    if isinstance(variables, Mapping):
        names = list(variables)
    elif variables is None:
        names = []
    if names is None:
        rows = " Rows are newdata=." if hasattr(type(variables), "columns") else ""
        raise EstimandError(
            f"variables={shown(variables)}; it must be a name, a list of names, or a dict of name to specification, "
            f"out of {listed(design.columns)}.{rows or hint_of(variables)}"
        )
    if not names:
        raise EstimandError(f"variables is empty; name what changes, one or more of {listed(design.columns)}.")
    for name in names:
        if not (isinstance(name, str) and name in design.columns):
            column_of(name, design, "variables", derived=derived)
    if len(set(names)) < len(names):
        raise EstimandError(f"variables={shown(names)} names a variable twice; name each once.")
    return dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(names)


def every_variable(design: Design, fixed: Collection[str] = ()) -> dict[str, None]:
    """All columns that the formula names, each with its default; groups are none, nor is what `at` fixes."""
    means = [m.of.name for m in design.means]  # with x held, their effect is the contextual one: asked for by name
    names = [n for n in design.columns if n not in fixed and n not in means]
    if not names:
        but = f" beside {listed(sorted(fixed))}, which at fixes" if fixed else ""
        raise EstimandError(f"{design.formula!r} names no column that could change{but}: there is nothing to compare.")
    return dict.fromkeys(names)


def contrasts(
    variables: Mapping[str, Any], design: Design, cross: bool = False, frame: pd.DataFrame | None = None
) -> list[Contrast]:
    """The counterfactual copies that are compared, for specifications by variable as of `named_variables`.

    `cross`: all variables change together, every contrast of one with every contrast of the others. `frame` has the
    rows that step, the fitted ones by default; steps that would leave the range of a spline are moved into it, with a
    warning.
    """
    single: list[list[Contrast]] = []
    for name, spec in variables.items():
        column = design.columns.get(name) or column_of(name, design, "variables", derived=True)
        if column.kind == "factor":
            single.append(_of_factor(column, "reference" if spec is None else spec))
        elif column.kind == "logical":
            single.append([_of_logical(column, spec)])
        else:
            single.append([_of_number(column, spec, design, frame)])
    if not cross:
        return [c for of_variable in single for c in of_variable]
    if len(single) < 2:
        raise EstimandError(f"cross=True changes several variables together, and variables names {listed(variables)}.")
    return [_joined(together) for together in product(*single)]


def _joined(together: Sequence[Contrast]) -> Contrast:
    return Contrast(
        term=", ".join(c.term for c in together),
        low=tuple(s for c in together for s in c.low),
        high=tuple(s for c in together for s in c.high),
        low_label="",
        high_label="",
        together=tuple(together),
    )


def _pair(spec: Any) -> tuple[Any, Any] | None:
    """(low, high), where two different plain values were given in a list, tuple or array."""
    values = value_list(spec)
    if values is None or len(values) != 2 or not all(isinstance(v, str | int | float) for v in values):
        return None
    if values[0] == values[1]:
        raise EstimandError(f"variables names the pair {spec!r}: low and high are the same, so nothing is compared.")
    return values[0], values[1]


def _between(column: Column, low: Any, high: Any) -> Contrast:
    sides = [(Setting(column.name, value=v),) for v in (low, high)]
    texts = isinstance(low, str) and isinstance(high, str)
    labels = (low, high) if texts else (value_label(low, high), value_label(high, low))
    return Contrast(column.name, sides[0], sides[1], *labels)


def _other_way(pairs: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(high, low) for low, high in pairs]


# (low, high): always later minus earlier, "rev" the other way
_FACTOR_PAIRS = {
    "reference": lambda levels: list(product(levels[:1], levels[1:])),
    "sequential": lambda levels: list(pairwise(levels)),
    "pairwise": lambda levels: list(combinations(levels, 2)),
    "revreference": lambda levels: _other_way(list(product(levels[:1], levels[1:]))),
    "revsequential": lambda levels: _other_way(list(pairwise(levels))),
    "revpairwise": lambda levels: _other_way(list(combinations(levels, 2))),
    "all": lambda levels: list(permutations(levels, 2)),
}


def _of_factor(column: Column, spec: Any) -> list[Contrast]:
    if len(column.levels) < 2:
        raise EstimandError(f"{column.name!r} has the single level {column.levels[0]!r}: there is nothing to compare.")
    if isinstance(spec, str) and spec in _FACTOR_PAIRS:
        return [_between(column, low, high) for low, high in _FACTOR_PAIRS[spec](column.levels)]
    pair = _pair(spec)
    if pair is not None:
        for level in pair:
            check_value(column, level, "variables")
        return [_between(column, *pair)]
    raise EstimandError(
        f"variables={{{column.name!r}: {shown(spec)}}}; a factor takes {listed(_FACTOR_PAIRS)} or a pair of levels "
        f"(low, high) out of {listed(column.levels)}.{column.reason}"
        f"{close_matches(spec, _FACTOR_PAIRS)}{_hint_pair(spec)}"
    )


def _of_logical(column: Column, spec: Any) -> Contrast:
    low, high = (False, True) if spec is None else _pair(spec) or (None, None)
    if not (isinstance(low, int | float) and isinstance(high, int | float) and {low, high} == {0, 1}):
        raise EstimandError(
            f"variables={{{column.name!r}: {shown(spec)}}}; a true/false variable takes no specification, or the pair "
            "(False, True) or (True, False)."
        )
    return _between(column, bool(low), bool(high))


def _of_number(column: Column, spec: Any, design: Design, frame: pd.DataFrame | None) -> Contrast:
    if spec is None and _is_indicator(column, design):
        return _between(column, 0, 1)
    spec = 1 if spec is None else spec
    if is_word(spec, PAIRS):
        low, high = spread_values(column, spec, design)
        return _between(column, low, high)
    pair = _pair(spec)
    if pair is not None:
        for value in pair:
            check_value(column, value, "variables")
        return _between(column, *pair)
    if is_number(plain_value(spec)) and spec != 0:
        step = Contrast(column.name, (), (Setting(column.name, step=float(spec)),), "", f"{float(spec):+g}")
        rows = frame if frame is not None else design.frame
        return step if rows is None or column.name not in rows else _kept_inside(step, column, design, rows)
    raise EstimandError(
        f"variables={{{column.name!r}: {shown(spec)}}}; a number takes a step such as 1 or -0.5, a pair (low, high), "
        f"or one of {listed(PAIRS)}.{close_matches(spec, PAIRS)}{_hint_pair(spec)}"
    )


def _is_indicator(column: Column, design: Design) -> bool:
    """Other rows cannot tell: whether 0 and 1 are all that there is, those of the fit say."""
    if design.frame is None:
        name = column.name
        raise DataError(
            f"Whether {name!r} is 0 or 1 throughout is read off the fitted rows, and the posterior has none: it was "
            f"made with levels= in place of data=. Say what changes: variables={{{name!r}: 1}} adds 1, "
            f"{{{name!r}: (0, 1)}} compares 1 with 0."
        )
    return bool(design.data[column.name].isin([0, 1]).all())


def _kept_inside(contrast: Contrast, column: Column, design: Design, rows: pd.DataFrame) -> Contrast:
    """A spline has no values beyond the fit: near its edge the same step is taken as far up as it fits."""
    name, step = column.name, contrast.high[0].step or 0.0
    if not design.is_bounded(name) or not pd.api.types.is_numeric_dtype(rows[name].dtype):
        return contrast
    room = Room(column.lower, column.upper, step)
    leaving = int(room.leaving(rows[name].to_numpy(dtype=np.float64, na_value=np.nan)).sum())
    if not leaving:
        return contrast
    low, high = value_label(column.lower, column.upper), value_label(column.upper, column.lower)
    if abs(step) > column.upper - column.lower:
        raise EstimandError(
            f"A step of {step:g} in {name!r} is longer than the range of the fit, {low} to {high}, and beyond it the "
            f"spline of {name!r} is not defined. Give a shorter step, {{{name!r}: "
            f"{value_label((column.upper - column.lower) / 10)}}}, a pair of values between them, 'iqr' or 'minmax'."
        )
    warn(
        f"{leaving} of {len(rows)} rows would leave the range of the fit, {low} to {high}, by a step of {step:g} in "
        f"{name!r}, and beyond it the spline of {name!r} is not defined: their step is the last one within the range. "
        f"A pair of values, {{{name!r}: (low, high)}}, 'iqr' or 'minmax' compares the same values in all rows."
    )
    low_side, high_side = ((Setting(name, step=by, room=room),) for by in (0.0, step))
    return Contrast(name, low_side, high_side, "", f"{contrast.high_label} within [{low}, {high}]")


def _hint_pair(spec: Any) -> str:
    values = value_list(spec)
    if values is not None and len(values) > 2:
        return f" {len(values)} values are no pair; predictions at all of them are avg_predictions(post, at=...)."
    return " A set has no order: write the pair as (low, high)." if isinstance(spec, set | frozenset) else ""
