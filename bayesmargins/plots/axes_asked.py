"""From a posterior to the result that a picture shows: the variables along its axes set on all rows, and averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.design import Column
from bayesmargins.errors import DataError, EstimandError, ResultError, listed, shown
from bayesmargins.grid import frame_of
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior
from bayesmargins.schema import check_result
from bayesmargins.settable import at_values, column_of

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "Rows",
    "asked_on_rows",
    "axis_values",
    "first_of",
    "fitted_rows",
    "is_posterior",
    "name_of",
    "places_asked",
    "refuse_rows",
    "set_on_rows",
]

_POINTS = 50  # along a curve
_FEWEST = 21
_WORK = 2_000_000  # rows times values that are set on them
_DISTINCT = 12  # a number with no more values is set to these
_LARGEST = 1e150  # beyond, matplotlib finds no ticks
_CURVES = 5  # a number with no more values has a curve, or a panel, each


@dataclass(frozen=True)
class Rows:
    """What a picture's question says beside its axes: arguments of `avg_predictions`, None where nothing was said."""

    newdata: Any = None
    at: Any = None
    groups: Any = None
    group_weights: Any = None
    target: Any = None
    wts: Any = None
    random_seed: Any = None

    def given(self) -> dict[str, Any]:
        """What was said."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def question(self, axes: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the question, with the axes among the values that are set."""
        at = {} if self.at is None else self.at
        if not isinstance(at, Mapping):
            raise EstimandError(f"at={shown(at)}; it must be a dict of variable to value, such as {{'week': 6}}.")
        both = [str(name) for name in at if name in axes]
        if both:
            raise EstimandError(
                f"{both[0]!r} has a place in the picture, and at= sets it too. Leave one of the two out."
            )
        together = {**axes, **at}
        return {**self.given(), "at": together} if together else self.given()

    def refuse(self, function: str, more: Mapping[str, Any]) -> None:
        """A result has been asked already: what belongs to the question cannot be said again."""
        if said := _said({**self.given(), **more}):
            raise ResultError(
                f"{function} was given a result and {listed(said)}, which belongs to the question: {function}(post, "
                "...) asks it, or ask avg_predictions, avg_comparisons, avg_slopes and draw what they return."
            )


def _said(given: Mapping[str, Any]) -> list[str]:
    """Names of arguments that were given, whatever their types: None and False say nothing."""
    return [n for n, v in given.items() if v is not None and not (isinstance(v, bool | np.bool_) and not v)]


def is_posterior(source: Posterior | Imputed | xr.Dataset) -> TypeIs[Posterior | Imputed]:
    """Whether this is a posterior, or those of several imputations, and not a result."""
    if isinstance(source, Posterior | Imputed):
        return True
    check_result(source)
    return False


def first_of(post: Posterior | Imputed) -> Posterior:
    """Of several imputations the first: its variables, levels and rows say what stands along axes."""
    return post.posteriors[0] if isinstance(post, Imputed) else post


def refuse_rows(function: str, post: Posterior | Imputed, wanted: Mapping[str, Any]) -> None:
    """ResultError where the rows of the fit are to be drawn, and there are several fits."""
    said = [f"{name}=" for name in _said(wanted)]
    if said and isinstance(post, Imputed):
        raise ResultError(
            f"{function} was given {len(post.posteriors)} imputations and {listed(said)}, which draws the rows of a "
            f"fit; each imputation has rows of its own. Leave it out, or draw one of them: {function}("
            "post.posteriors[0], ...)."
        )


def name_of(asked: Any, place: str) -> str | None:
    """The variable that an axis shows, from its name or from a dict with its values."""
    if asked is None or isinstance(asked, str):
        return asked
    if isinstance(asked, Mapping) and len(asked) == 1 and isinstance(next(iter(asked)), str):
        return str(next(iter(asked)))
    raise EstimandError(
        f"{place}={shown(asked)}; it is the name of a variable, or a dict with its values, such as "
        "{'age': [20, 40, 60]}."
    )


def places_asked(by: Any, facet: Any) -> list[tuple[str, Any]]:
    """The variables of colour and panels, each with the argument that named it; a facet is one or a pair."""
    pair = facet if isinstance(facet, list | tuple) else [facet]
    if not 0 < len(pair) <= 2:
        raise EstimandError(f"facet={shown(facet)}; it is one variable, or two: columns and rows of panels.")
    return [("by", by), *(("facet", one) for one in pair)]


def axis_values(
    post: Posterior, x: Any, others: Sequence[tuple[str, Any]], rows: Rows, place: str = "x"
) -> dict[str, list[Any]]:
    """Which values do the variables of a picture take? Up to 50 over the range of the rows along `x`, else quartiles.

    `others` are pairs of an argument and what it names, or None; `place` is the argument that named `x`.
    """
    values: dict[str, list[Any]] = {}
    for argument, asked in others:
        name = name_of(asked, argument)
        if name is not None:
            _refuse_twice(name, values)
            values[name] = _set_to(post, asked, name, argument, rows)
    name = name_of(x, place)
    if name is not None:
        _refuse_twice(name, values)
        cells = int(np.prod([len(v) for v in values.values()]))
        values = {name: _along(post, x, name, place, rows, cells), **values}
    return values


def _refuse_twice(name: str, values: Mapping[str, Any]) -> None:
    if name in values:
        raise EstimandError(f"{name!r} was given two places in the picture; each variable has one.")


def _set_to(post: Posterior, asked: Any, name: str, place: str, rows: Rows) -> list[Any]:
    column = column_of(name, post.design, place)
    if isinstance(asked, Mapping):
        return at_values(column, asked[name], post.design, place)
    if column.kind != "number":
        return at_values(column, "all", post.design, place)
    seen = _seen(post, column, rows)
    return seen.tolist() if len(seen) <= _CURVES else at_values(column, "quartiles", post.design, place)


def _along(post: Posterior, asked: Any, name: str, place: str, rows: Rows, cells: int) -> list[Any]:
    column = column_of(name, post.design, place)
    if isinstance(asked, Mapping):
        return at_values(column, asked[name], post.design, place)
    if column.kind != "number":
        return at_values(column, "all", post.design, place)
    seen = _seen(post, column, rows)
    if len(seen) <= _DISTINCT:
        return seen.tolist()
    n_rows = max(len(fitted_rows(post, rows)), 1)
    n = int(np.clip(_WORK / (n_rows * cells), _FEWEST, _POINTS))
    return np.linspace(seen[0], seen[-1], n).tolist()


def _seen(post: Posterior, column: Column, rows: Rows) -> np.ndarray:
    """Values of a number in the rows, each once, in order."""
    frame = fitted_rows(post, rows)
    if column.name not in frame:
        return np.linspace(column.lower, column.upper, _POINTS)
    values = column.replay(frame[column.name]).dropna().to_numpy(dtype=np.float64)
    if not len(values) or np.abs(values).max() > _LARGEST:
        raise DataError(
            f"{column.name!r} has {'no value' if not len(values) else f'values up to {np.abs(values).max():g}'} in the "
            "rows, and an axis cannot show that: leave such rows out, or name the values, x={...: [...]}."
        )
    whole = pd.api.types.is_integer_dtype(frame[column.name].dtype)
    return np.unique(values.astype(np.int64) if whole else values)


def fitted_rows(post: Posterior, rows: Rows) -> pd.DataFrame:
    """Rows of the question: newdata, or those of the fit."""
    return frame_of(post.design, rows.newdata)[0]


def asked_on_rows(
    question: Callable[..., xr.Dataset],
    post: Posterior | Imputed,
    axes: Mapping[str, Sequence[Any]],
    rows: Rows,
    *args: Any,
    **more: Any,
) -> xr.Dataset:
    """The question's answer with the axes' values set on all rows: in each imputation on its own."""
    if isinstance(post, Posterior):
        return question(post, *args, **set_on_rows(post, axes, rows), **more)

    def of_each(one: Posterior, random_seed: int) -> xr.Dataset:
        return question(one, *args, **set_on_rows(one, axes, replace(rows, random_seed=random_seed)), **more)

    return post.ask_each(of_each, random_seed=rows.random_seed)


def set_on_rows(
    post: Posterior, axes: Mapping[str, Sequence[Any]], rows: Rows, also: Sequence[str] = ()
) -> dict[str, Any]:
    """Arguments of the question: the axes' values set on all rows, which are averaged within each combination.

    One frame with a copy of the rows for every combination is read at once, where `at` reads one after the other;
    weights that are not a column go with `at`, and so do copies that would be too many.
    """
    together = rows.question(axes)
    frame = fitted_rows(post, rows) if axes else None
    n = int(np.prod([len(v) for v in axes.values()]))
    if (
        frame is None
        or not len(frame)
        or len(frame) * n > _WORK
        or not isinstance(rows.wts, str | None)
        or rows.wts in axes
    ):
        return {**together, "by": list(also)} if also else together
    copies = frame.iloc[np.tile(np.arange(len(frame)), n)].reset_index(drop=True)
    set_to = pd.DataFrame(list(product(*axes.values())), columns=list(axes)).loc[np.repeat(np.arange(n), len(frame))]
    copies[list(axes)] = set_to.reset_index(drop=True)
    at = {} if rows.at is None else {"at": dict(rows.at)}
    return {**rows.given(), **at, "newdata": copies, "by": [*axes, *also]}
