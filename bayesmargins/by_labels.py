"""The words of `by=`: columns within whose values rows are averaged, and new labels of these values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from bayesmargins.design import require_columns
from bayesmargins.errors import EstimandError, listed, shown, written
from bayesmargins.values import called, plain_value, value_list, with_columns

__all__ = ["Relabelled", "by_columns", "relabelled"]

Relabelled = dict[str, dict[Any, str]]  # by column: what each of its values is called


def by_columns(by: Any, frame: pd.DataFrame, what: str) -> tuple[list[str], Relabelled]:
    """Within the values of which columns are rows averaged, and what are these values called?

    A dict maps a column to new labels of its values, which may join several: a dict of value to label, or a function of
    the value. None keeps the values.
    """
    given = by if isinstance(by, Mapping) else {}
    names = (
        list(by) if isinstance(by, Mapping) else [by] if isinstance(by, str) else [] if by is None else value_list(by)
    )
    if names is None or not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        raise EstimandError(
            f"by={shown(by)}; it must be the name of a column, or a list of different names, such as ['trt', 'week'], "
            "or a dict of column to new labels, such as {'trt': {'placebo': 'none', 'drug': 'any', 'drug+': 'any'}}."
        )
    require_columns(frame, names, what, f"by={names!r}")
    return names, {n: _labels_of(n, labels, frame[n]) for n, labels in given.items() if labels is not None}


def _labels_of(name: str, labels: Any, series: pd.Series) -> dict[Any, str]:
    values = [plain_value(v) for v in pd.unique(series.dropna())]
    if callable(labels):
        labels = _called(name, labels, sorted(values, key=_sortable))
    if not isinstance(labels, Mapping):
        raise EstimandError(
            f"by={{{name!r}: {shown(labels)}}}; it must be a dict of value to label, or a function of a value."
        )
    labels = {plain_value(value): label for value, label in labels.items()}
    _refuse_unlabelled(name, labels, series)
    texts = {value: written(plain_value(label)) for value, label in labels.items()}
    unwritten = [value for value in texts if not (texts[value] or isinstance(labels[value], str))]
    if unwritten:
        raise EstimandError(f"by={{{name!r}: ...}} calls {listed(unwritten)} what has no text. Give labels as text.")
    return texts


def _refuse_unlabelled(name: str, labels: Mapping[Any, Any], series: pd.Series) -> None:
    values = [plain_value(v) for v in pd.unique(series.dropna())]
    absent = sorted((v for v in values if v not in labels), key=_sortable)
    if absent:
        raise EstimandError(
            f"by={{{name!r}: ...}} gives no label to {listed(absent)}; every value of the column needs one, or its "
            "rows would be in no average. A dict goes from value to label: {0: 'early', 11: 'late'}. Drop rows that "
            "shall not count from newdata."
        )


def _called(name: str, function: Callable[[Any], Any], values: list[Any]) -> dict[Any, Any]:
    what = f"by={{{name!r}: <function>}}, a function of one value of the column,"
    return {value: called(what, function, value) for value in values}


def _sortable(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def relabelled(frame: pd.DataFrame, labels: Relabelled) -> pd.DataFrame:
    """In the order in which the labels were given."""
    for name, of in labels.items():
        _refuse_unlabelled(name, of, frame[name])
    new = {n: [of[plain_value(v)] for v in frame[n]] for n, of in labels.items()}
    order = {n: list(dict.fromkeys(of.values())) for n, of in labels.items()}
    return with_columns(frame, {n: pd.Categorical(values, order[n]) for n, values in new.items()})
