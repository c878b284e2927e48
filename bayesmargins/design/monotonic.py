"""``mo(x)``: a column for each step from a level of x to the next, so that its coefficients are these differences.

In the model they are one number times the shares of a simplex (Bürkner & Charpentier 2020), and so have one sign; in
the design they are columns like others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, listed

__all__ = ["Monotonic", "check_order", "is_monotonic", "mo", "monotonic_terms"]


@dataclass(frozen=True)
class Monotonic:
    """Coefficients that are b times the product of the shares of one simplex for each ``mo()`` of a term."""

    name: str  # "mo(x)", "mo(x):z"
    columns: tuple[str, ...]  # coefficients, the last simplex varying fastest
    sizes: tuple[int, ...]  # steps of each `mo()`
    column: str  # what formulaic would call it if x were a number
    factors: tuple[str, ...]  # of the term

    @property
    def calls(self) -> dict[str, int]:
        """The ``mo()`` of the term, in the order of `sizes`, with their steps."""
        return dict(zip((f for f in self.factors if f.startswith("mo(")), self.sizes, strict=True))

    @property
    def shares(self) -> dict[str, int]:
        """Names of the variables of shares with their sizes; one step has the whole."""
        ends = [f"_{k}" for k in range(1, len(self.sizes) + 1)] if len(self.sizes) > 1 else [""]
        return {f"simplex_{self.name}{end}": n for end, n in zip(ends, self.sizes, strict=True) if n > 1}

    def split(self, coefficients: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """b, the mean step, and each simplex, (..., step), of (..., coefficient); equal shares where b is 0."""
        b = coefficients.mean(axis=-1)
        grid = coefficients.reshape(*coefficients.shape[:-1], *self.sizes)
        first, total = coefficients.ndim - 1, coefficients.sum(axis=-1)
        shares = []
        for k, size in enumerate(self.sizes):
            others = tuple(first + j for j in range(len(self.sizes)) if j != k)
            with np.errstate(invalid="ignore", divide="ignore"):
                share = grid.sum(axis=others) / total[..., None]
            shares.append(np.where(total[..., None] == 0.0, 1.0 / size, share))
        return b, shares

    def joined(self, b: np.ndarray, simplexes: list[np.ndarray]) -> np.ndarray:
        """The coefficients, (..., coefficient), of b (...) and one simplex (..., step) for each ``mo()``."""
        found = b[..., None] * len(self.columns)
        for simplex in simplexes:
            found = (found[..., :, None] * simplex[..., None, :]).reshape(*b.shape, -1)
        return found


def mo(x: Any, *, _state: dict[str, Any] | None = None, **_: Any) -> Any:
    """Steps of x above its first level, as formulaic's stateful transforms give columns."""
    from formulaic.materializers.types import FactorValues

    state = {} if _state is None else _state
    if "steps" not in state:
        first, last = _ends(x)
        state |= {"first": first, "steps": last - first}
    count = _counted(x)
    return FactorValues(
        {k: (count >= state["first"] + k).astype(np.float64) for k in range(1, state["steps"] + 1)},
        kind="numerical",
        spans_intercept=False,
        format="{name}[{field}]",
        encoded=False,
    )


mo.__is_stateful_transform__ = True  # type: ignore[attr-defined]
mo.get_required_variables = lambda *args, **kwargs: ()  # type: ignore[attr-defined]


def _counted(x: Any) -> np.ndarray:
    series = pd.Series(x)
    return (series.cat.codes if isinstance(series.dtype, pd.CategoricalDtype) else series).to_numpy(dtype=np.float64)


def _ends(x: Any) -> tuple[int, int]:
    series = pd.Series(x)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return 0, len(series.cat.categories) - 1
    return int(series.min()), int(series.max())


def check_order(name: str, series: pd.Series, call: str) -> None:
    """Refuse what has no order, no steps, or steps that no row takes."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        _check_categories(name, series, call)
        return
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        raise DataError(
            f"{call} takes whole numbers or ordered categories, and {name!r} holds {series.dtype}. Say the order: "
            f"data[{name!r}] = pandas.Categorical(data[{name!r}], ['low', 'middle', 'high'], ordered=True)."
        )
    values = series.to_numpy(dtype=np.float64)
    odd = values[values != np.rint(values)]
    if len(odd) or np.ptp(values) > 1000:
        what = f"{odd[0]:g}, which is no whole number" if len(odd) else f"{np.ptp(values):g} steps"
        raise DataError(
            f"{call} steps from each whole number to the next, and {name!r} has {what}. Round it, or make ordered "
            "categories of it, pandas.cut(x, bins, ordered=True)."
        )
    seen = np.unique(values).astype(int)
    skipped = sorted(set(range(seen[0], seen[-1] + 1)) - set(seen.tolist()))
    if skipped or len(seen) < 2:
        said = f"no row with {listed(skipped)}" if skipped else f"the one value {seen[0]}"
        raise DataError(
            f"{call} has a step from each whole number to the next, and {name!r} has {said}: the data say nothing of "
            f"that step. Make ordered categories of the values that there are: data[{name!r}] = "
            f"pandas.Categorical(data[{name!r}], ordered=True)."
        )


def _check_categories(name: str, series: pd.Series, call: str) -> None:
    if not series.cat.ordered:
        raise DataError(
            f"{call} needs an order, and the categories {listed(series.cat.categories)} of {name!r} have none: "
            f"data[{name!r}] = data[{name!r}].cat.as_ordered(), or .cat.set_categories([...], ordered=True)."
        )
    present = set(series.unique())
    empty = [c for c in series.cat.categories if c not in present]
    if empty or len(present) < 2:
        said = f"no row with {listed(empty)}" if empty else f"the one category {series.iloc[0]!r}"
        raise DataError(
            f"{call} has a step into each category, and {name!r} has {said}: the data say nothing of that step. Leave "
            f"it out, data[{name!r}].cat.remove_unused_categories(), or join it with a neighbour."
        )


def is_monotonic(tree: ast.AST | None, context: Mapping[str, Any]) -> bool:
    """Is this part of a formula a call of ``mo()``, and not of a function of the user's?"""
    call = tree.body if isinstance(tree, ast.Expression) else tree
    named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "mo"
    return named and context.get("mo") is mo


def monotonic_terms(structure: Any, calls: Collection[str], label: Callable[[str], str]) -> tuple[Monotonic, ...]:
    """Of formulaic's structure of a formula that has these calls; one for each column of the rest of a term."""
    found = []
    for part in structure if calls else ():
        names = tuple(str(f.expr) for f in part.term.factors if f.eval_method.value != "literal")
        own = [name for name in names if name in calls]
        places: dict[str, dict[tuple[int, ...], str]] = {}
        for column in map(str, part.columns) if own else ():
            rest, at = _without_steps(column, own)
            places.setdefault(rest, {})[at] = label(column)
        for rest, columns in places.items():
            sizes = tuple(map(max, zip(*columns, strict=True)))
            order = product(*(range(1, n + 1) for n in sizes))
            found.append(Monotonic(label(rest), tuple(columns[at] for at in order), sizes, rest, names))
    return tuple(found)


def _without_steps(column: str, calls: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """``mo(x)[2]:z`` is step 2 of ``mo(x):z``."""
    at = []
    for name in calls:
        step = re.search(rf"{re.escape(name)}\[(\d+)\]", column)
        assert step is not None
        at.append(int(step[1]))
        column = f"{column[: step.start()]}{name}{column[step.end() :]}"
    return column, tuple(at)
