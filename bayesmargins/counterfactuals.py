"""Counterfactual copies of the rows: values set by `at`, and the low and high side of every contrast."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Column, Design, require_columns
from bayesmargins.errors import DataError, EstimandError, close_matches, listed, shown
from bayesmargins.values import is_number, is_word, plain_value, value_list

__all__ = ["Contrast", "Setting", "Settings", "apply_settings", "at_settings", "contrasts", "named_variables"]


@dataclass(frozen=True)
class Setting:
    """What a variable is set to on every row: a value, or its own value plus a step."""

    variable: str
    value: Any = None
    step: float | None = None


Settings = tuple[Setting, ...]


@dataclass(frozen=True)
class Contrast:
    """Two counterfactual copies of the rows, compared as high against low.

    Attributes
    ----------
    term : str
        Variable (or variables) that differ.
    low, high : tuple of Setting
        The two sides.
    low_label, high_label : str
        How they read.
    together : tuple of Contrast
        The contrasts that are made at once, where several variables change together.
    """

    term: str
    low: Settings
    high: Settings
    low_label: str
    high_label: str
    together: tuple[Contrast, ...] = ()


def apply_settings(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """How do the rows look with these variables set?

    Parameters
    ----------
    frame : DataFrame
        Rows.
    settings : tuple of Setting
        What is set.

    Returns
    -------
    DataFrame
        A copy with every other column untouched.

    Raises
    ------
    DataError
        A step of a column that is not there, or that holds no numbers.
    """
    changed: dict[str, Any] = {}
    for s in settings:
        if s.step is not None:
            require_columns(frame, [s.variable], "newdata", f"a step of {s.variable!r}")
        # In float64, whatever the column's own precision: a small step would be lost in float32.
        changed[s.variable] = s.value if s.step is None else _as_float(frame[s.variable]) + s.step
    return frame.assign(**changed) if changed else frame


def _as_float(series: pd.Series) -> np.ndarray:
    try:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"A step is added to numbers, and column {series.name!r} holds {series.dtype}, starting with "
            f"{shown(series.iloc[0])}. Convert it with pandas.to_numeric."
        ) from None


def at_settings(at: Mapping[str, Any] | None, design: Design, trials: Collection[str] = ()) -> dict[str, list[Any]]:
    """Which values does every variable of `at` take?

    Parameters
    ----------
    at : mapping, optional
        Variable to value or values.
    design : Design
        Knows the variables of the model.
    trials : collection of str
        Columns of the trials, where the target counts: they can be set too.

    Returns
    -------
    dict
        Values by variable, in the user's order.

    Raises
    ------
    EstimandError
        A variable that does not enter the model, no values, or a value that the fit has not seen.
    """
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise EstimandError(f"at={shown(at)}; it must be a dict of variable to values, such as {{'week': [0, 6]}}.")
    values: dict[str, list[Any]] = {}
    for name, given in at.items():
        column = Column(name, "number", ()) if name in trials else _model_column(name, design, "at")
        entries = value_list(given)
        entries = [plain_value(given)] if entries is None else entries
        for value in entries:
            _check_value(column, value, "at")
        if not entries or len(set(entries)) < len(entries):
            said = f"at={{{name!r}: {shown(entries)}}}"
            raise EstimandError(f"{said} names no value, or one twice; name each value once.")
        values[name] = [bool(v) for v in entries] if column.kind == "logical" else entries
    return values


def _model_column(name: Any, design: Design, what: str) -> Column:
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
    if name == design.response.text:
        raise EstimandError(f"{what} names {name!r}, the response: it is what is predicted, and cannot be set.")
    in_data = is_word(name, list(design.data))
    there = "is a column of the data that the formula does not read" if in_data else "is no variable"
    raise EstimandError(
        f"{what} names {shown(name)}, which {there}: nothing would change with it. {design.formula!r} reads "
        f"{listed(design.columns)}.{close_matches(name, design.columns)}"
    )


def _check_value(column: Column, value: Any, what: str) -> None:
    if column.kind == "factor":
        if not isinstance(value, str | int | float) or value not in column.levels:
            raise EstimandError(
                f"{what} sets {column.name!r} to {shown(value)}; the fit knows {listed(column.levels)}."
                f"{close_matches(value, column.levels)}{_hint(value, column.levels)}"
            )
    elif column.kind == "logical":
        if not isinstance(value, int | float) or value not in (0, 1):
            raise EstimandError(f"{what} sets {column.name!r} to {shown(value)}; it is True or False.{_hint(value)}")
    elif not isinstance(value, bool) and not is_number(value):
        raise EstimandError(
            f"{what} sets {column.name!r} to {shown(value)}; it holds numbers, so give a finite number.{_hint(value)}"
        )


def _hint(value: Any, levels: Sequence[Any] = ()) -> str:
    """What to do about a value of a wrong kind."""
    if isinstance(value, set | frozenset):
        return " A set has no order: give a list."
    if pd.api.types.is_list_like(value):
        return " Several values are a flat list, such as [0, 6]."
    if str(value) in map(str, levels):
        return " The same label is there as another type (text against numbers)."
    return ""


def named_variables(variables: Any, design: Design) -> dict[str, Any]:
    """Which variables does the question name, and what does it say about each?

    Parameters
    ----------
    variables : str, list of str, or dict
        Names, or name to specification.
    design : Design
        Knows the variables of the model.

    Returns
    -------
    dict
        Specification by variable; None where the default holds.

    Raises
    ------
    EstimandError
        No variable, or one that does not enter the model.
    """
    names = [variables] if isinstance(variables, str) else value_list(variables)
    if isinstance(variables, Mapping):
        names = list(variables)
    elif variables is None:
        names = []
    if names is None:
        raise EstimandError(
            f"variables={shown(variables)}; it must be a name, a list of names, or a dict of name to specification, "
            f"out of {listed(design.columns)}.{_hint(variables)}"
        )
    if not names:
        raise EstimandError(f"variables is empty; name what changes, one or more of {listed(design.columns)}.")
    for name in names:
        _model_column(name, design, "variables")
    if len(set(names)) < len(names):
        raise EstimandError(f"variables={shown(names)} names a variable twice; name each once.")
    return dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(names)


def contrasts(variables: Mapping[str, Any], design: Design, cross: bool = False) -> list[Contrast]:
    """Which counterfactual copies are compared?

    Parameters
    ----------
    variables : mapping
        From `named_variables`.
    design : Design
        Levels and the fitted data.
    cross : bool
        All variables change together, every contrast of one with every contrast of the others.

    Returns
    -------
    list of Contrast

    Raises
    ------
    EstimandError
        A specification that this kind of variable does not take.
    """
    single = [_contrasts_of(design.columns[v], spec, design) for v, spec in variables.items()]
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


def _contrasts_of(column: Column, spec: Any, design: Design) -> list[Contrast]:
    if column.kind == "factor":
        return _factor_contrasts(column, "reference" if spec is None else spec)
    if column.kind == "logical":
        return [_logical_contrast(column, spec)]
    values = design.data[column.name]
    if spec is None and values.isin([0, 1]).all():
        return [_between(column, 0, 1)]
    return [_number_contrast(column, 1 if spec is None else spec, design)]


def _logical_contrast(column: Column, spec: Any) -> Contrast:
    low, high = (False, True) if spec is None else _pair(spec) or (None, None)
    if not (isinstance(low, int | float) and isinstance(high, int | float) and {low, high} == {0, 1}):
        raise EstimandError(
            f"variables={{{column.name!r}: {shown(spec)}}}; a true/false variable takes no specification, or the pair "
            "(False, True) or (True, False)."
        )
    return _between(column, bool(low), bool(high))


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
    labels = _value_label(low, high), _value_label(high, low)
    return Contrast(column.name, sides[0], sides[1], *labels)


def _value_label(value: Any, other: Any = None) -> str:
    """Four digits of a computed number, or as many as tell it from the other; what a person would write stays whole."""
    if not isinstance(value, float):
        return str(value)
    if f"{value:.6g}" == f"{value:.12g}":
        return f"{value:.6g}"
    other = float(other) if isinstance(other, int | float) else np.nan
    least = len(f"{abs(value):.0f}")  # digits before the point are all shown
    digits = [min(max(d, least), 17) for d in (4, 6, 8, 12)]
    return next((f"{value:.{d}g}" for d in digits if f"{value:.{d}g}" != f"{other:.{d}g}"), f"{value:.17g}")


_FACTOR_PAIRS = {
    "reference": lambda levels: [(levels[0], level) for level in levels[1:]],
    "sequential": lambda levels: list(pairwise(levels)),
    "pairwise": lambda levels: list(combinations(levels, 2)),
}


def _factor_contrasts(column: Column, spec: Any) -> list[Contrast]:
    if len(column.levels) < 2:
        raise EstimandError(f"{column.name!r} has the single level {column.levels[0]!r}: there is nothing to compare.")
    if isinstance(spec, str) and spec in _FACTOR_PAIRS:
        return [_between(column, low, high) for low, high in _FACTOR_PAIRS[spec](column.levels)]
    pair = _pair(spec)
    if pair is not None:
        for level in pair:
            _check_value(column, level, "variables")
        return [_between(column, *pair)]
    raise EstimandError(
        f"variables={{{column.name!r}: {shown(spec)}}}; a factor takes {listed(_FACTOR_PAIRS)} or a pair of levels "
        f"(low, high) out of {listed(column.levels)}.{close_matches(spec, _FACTOR_PAIRS)}{_hint_pair(spec)}"
    )


def _number_contrast(column: Column, spec: Any, design: Design) -> Contrast:
    if is_word(spec, _SPREADS):
        return _between(column, *_spread(column, spec, design))
    pair = _pair(spec)
    if pair is not None:
        for value in pair:
            _check_value(column, value, "variables")
        return _between(column, *pair)
    if is_number(plain_value(spec)) and spec != 0:
        step = float(spec)
        return Contrast(column.name, (), (Setting(column.name, step=step),), "", f"{step:+g}")
    raise EstimandError(
        f"variables={{{column.name!r}: {shown(spec)}}}; a number takes a step such as 1 or -0.5, a pair (low, high), "
        f"or one of {listed(_SPREADS)}.{close_matches(spec, _SPREADS)}{_hint_pair(spec)}"
    )


def _hint_pair(spec: Any) -> str:
    values = value_list(spec)
    if values is not None and len(values) > 2:
        return f" {len(values)} values are no pair; predictions at all of them are avg_predictions(post, at=...)."
    return " A set has no order: write the pair as (low, high)." if isinstance(spec, set | frozenset) else ""


def _spread(column: Column, spec: str, design: Design) -> tuple[float, float]:
    x = design.data[column.name].to_numpy(dtype=np.float64)
    low, high = _SPREADS[spec](x) if len(x) > 1 else (x[0], x[0])
    if not low < high:
        raise EstimandError(
            f"variables={{{column.name!r}: {spec!r}}}; both sides are {_value_label(low)} in the {len(x)} rows of the "
            "data, so nothing is compared. Give a step such as 1, or a pair (low, high)."
        )
    return low, high


def _around_mean(x: np.ndarray) -> tuple[float, float]:
    half = x.std(ddof=1) / 2
    return x.mean() - half, x.mean() + half


_SPREADS = {
    "sd": _around_mean,
    "iqr": lambda x: tuple(np.quantile(x, [0.25, 0.75])),
    "minmax": lambda x: (x.min(), x.max()),
}
