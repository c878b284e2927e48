"""Reference grids: the rows that a question is about, made from the columns of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Column, Design, require_columns
from bayesmargins.errors import DataError, EstimandError, PosteriorError, close_matches, listed, shown
from bayesmargins.explained import QUESTION, explained
from bayesmargins.grid import frame_of
from bayesmargins.habits import ask_one, lesson, taught_by
from bayesmargins.posterior import Posterior
from bayesmargins.settable import at_values, column_of
from bayesmargins.spreads import SPREADS
from bayesmargins.values import called, is_word, one_of, plain_value, value_list, with_columns

__all__ = ["datagrid"]

GRIDS = ("mean_or_mode", "balanced", "observed", "counterfactual")


def _lesson(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Columns, which are keywords in other packages, go into one dict."""
    said = lesson(name, value, allowed)
    if said.startswith("Here it is called"):
        return said
    return f"{said} Values of a column are datagrid(post, {{{name!r}: {shown(value)}}}).".lstrip()


@taught_by(_lesson)
@explained(QUESTION)
def datagrid(post: Posterior, columns: Any = None, *, grid: str = "mean_or_mode", newdata: Any = None) -> pd.DataFrame:
    """Which rows show the values of interest, with all other variables held where you say?

    Parameters
    ----------
    columns : dict, optional
        What varies: column to a value, values, a function of the column (such as ``numpy.median``), or a word:
        ``"all"`` (levels of a factor), ``"sd"``, ``"2sd"``, ``"iqr"``, ``"minmax"``, ``"quartiles"``, ``"mean"``,
        ``"median"`` (numbers, in the data of the fit). Every combination gives a row. Any column of the data may be
        named, that of a grouping factor too.
    grid : {"mean_or_mode", "balanced", "observed", "counterfactual"}
        What happens to the variables of the model that `columns` does not name. ``"mean_or_mode"``: numbers at their
        mean, factors (and numbers that are 0 or 1) at their most frequent value. ``"balanced"``: every level of every
        factor, numbers at their mean. ``"observed"``: as mean_or_mode, and of the combinations of `columns` only those
        that the rows have. ``"counterfactual"``: every row of the data, once for each combination.
    newdata : DataFrame, optional
        Rows to take means, modes and combinations from; the fitted rows by default.

    Returns
    -------
    DataFrame
        The variables of the model and the columns named. Columns of grouping factors, of trials and of the response are
        there only if they are named (or the grid is counterfactual): no group is picked in silence.

    Raises
    ------
    EstimandError
        An unknown grid, a column that is not there, or a value that the fit has not seen.
    DataError
        newdata is no table; without fitted rows, and without newdata, a variable of the model that `columns` does not
        name.

    Examples
    --------
    >>> datagrid(post, {"trt": "all"}).round(3).to_dict("list")
    {'trt': ['placebo', 'drug', 'drug+'], 'week': [4.455, 4.455, 4.455]}
    """
    if not isinstance(post, Posterior):
        raise PosteriorError(
            f"The first argument is {type(post).__name__}; datagrid needs a Posterior: {ask_one('datagrid', post)}."
        )
    one_of("grid", grid, GRIDS)
    designs = [post.design, *(part.design for part in post.parts.values())]
    design, read = post.design.beside(designs[1:]), frozenset().union(*(d.variables() for d in designs))
    if newdata is None and design.frame is None and grid != "counterfactual":
        return _without_rows(_columns(columns), design, read, grid)
    frame, what = frame_of(design, newdata)
    require_columns(frame, [n for n in sorted(read) if n not in _columns(columns)], what, "datagrid")
    named = {name: _values(name, given, design, frame) for name, given in _columns(columns).items()}
    follow = {m.of.name for m in design.means if m.of.name not in named and named.keys() & set(m.of.groups)}
    if grid == "counterfactual":
        return _copies(frame.drop(columns=follow), named)
    rest = {n: _held(frame[n], design.columns[n], grid) for n in sorted(read - follow) if n not in named}
    rows = _observed(frame, named, columns) if grid == "observed" else list(product(*named.values()))
    made = pd.DataFrame([(*row, *held) for row in rows for held in product(*rest.values())], columns=[*named, *rest])
    return _with_categories(made, frame)


def _with_categories(made: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as they were, with labels that are new, such as that of a group to come, behind them."""
    dtypes = {n: frame[n].dtype for n in made if n in frame and isinstance(frame[n].dtype, pd.CategoricalDtype)}
    new = {n: [v for v in made[n].unique() if not pd.isna(v) and v not in d.categories] for n, d in dtypes.items()}
    return made.astype({n: pd.CategoricalDtype([*d.categories, *new[n]], d.ordered) for n, d in dtypes.items()})


def _without_rows(columns: dict[str, Any], design: Design, read: Iterable[str], grid: str) -> pd.DataFrame:
    """Every combination of values that were all named, or are levels."""
    others = frozenset().union(*(f.columns for f in design.factors.values()), design.response.trials_variables)
    known = pd.DataFrame(columns=[*design.columns, *others], dtype=object)
    levels = [n for n in sorted(read) if grid == "balanced" and design.columns[n].kind != "number" and n not in columns]
    absent = [n for n in sorted(read) if n not in columns and n not in levels]
    asking = [
        n for n, given in columns.items() if callable(given) or (n in others and is_word(given, ("all", *SPREADS)))
    ]
    if absent or asking or grid == "observed":
        what = (
            f"leaves out {listed(absent)}" if absent else f"asks for values of {listed(asking or columns)} in the rows"
        )
        raise DataError(
            f"The posterior has no fitted rows: it was made with levels= in place of data=. columns={shown(columns)} "
            f"{what}: name the values of every variable of the model, {listed(sorted(read))}, or give rows as newdata=."
        )
    named = {name: _values(name, given, design, known) for name, given in columns.items()}
    named |= {n: list(design.columns[n].levels or (False, True)) for n in levels}
    return pd.DataFrame(list(product(*named.values())), columns=list(named))


def _columns(columns: Any) -> dict[str, Any]:
    if columns is None:
        return {}
    if not isinstance(columns, dict):
        raise EstimandError(
            f"columns={shown(columns)}; it must be a dict of column to values, such as {{'week': [0, 6]}}."
        )
    return columns


def _values(name: Any, given: Any, design: Design, frame: pd.DataFrame) -> list[Any]:
    if not is_word(name, list(frame)):
        raise EstimandError(
            f"columns names {shown(name)}, and the rows have no such column.{close_matches(name, frame.columns)} They "
            f"have {listed(frame.columns, 30)}."
        )
    if callable(given):
        given = _of_function(name, given, frame[name])
    if name in design.columns:
        return at_values(column_of(name, design, "columns"), given, design, "columns")
    if is_word(given, SPREADS) and pd.api.types.is_numeric_dtype(frame[name].dtype):
        return list(SPREADS[given](frame[name].dropna().to_numpy(dtype=np.float64)))
    entries = value_list(given)
    entries = [plain_value(given)] if entries is None else entries
    if len(entries) == 1 and is_word(entries[0], ("all",)) and "all" not in set(frame[name].astype(str)):
        return [plain_value(v) for v in _levels(frame[name])]
    odd = [v for v in entries if not isinstance(v, str | int | float)]
    if odd or not entries:
        raise EstimandError(
            f"columns={{{name!r}: {shown(given)}}}; give one value or a flat list of values, each a number, a text "
            "or a truth value."
        )
    return entries


def _of_function(name: str, function: Callable[[pd.Series], Any], series: pd.Series) -> list[Any]:
    found = called(f"columns={{{name!r}: <function>}}, a function of the column,", function, series)
    values = value_list(found)
    values = [plain_value(found)] if values is None else values
    if not values or not all(isinstance(v, str | int | float) for v in values):
        raise EstimandError(
            f"columns={{{name!r}: <function>}} gave {shown(found)}; a value or a flat list of values is needed."
        )
    return values


def _levels(series: pd.Series) -> Iterable[Any]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return [c for c in series.cat.categories if (series == c).any()]
    return sorted(series.dropna().unique())


def _held(series: pd.Series, column: Column, grid: str) -> list[Any]:
    """Where a variable is held that the user did not name."""
    known = series.dropna()
    if column.kind == "number":
        values = known.to_numpy(dtype=np.float64)
        return [float(values.mean() > 0.5 if np.isin(values, (0.0, 1.0)).all() else values.mean())]
    if column.kind == "logical":
        return [False, True] if grid == "balanced" else [bool(known.astype(float).mean() > 0.5)]
    if grid == "balanced":
        return list(column.levels)
    counts = known.value_counts()
    return [max(column.levels, key=lambda level: counts.get(level, 0))]  # the first of those that are as frequent


def _observed(frame: pd.DataFrame, named: dict[str, list[Any]], columns: Any) -> list[tuple[Any, ...]]:
    present = {
        tuple(plain_value(v) for v in row) for row in frame[list(named)].drop_duplicates().itertuples(index=False)
    }
    rows = [row for row in product(*named.values()) if row in present]
    if not rows:
        raise EstimandError(
            f"No row of the data has a combination of columns={shown(columns)}; name values that occur."
        )
    return rows


def _copies(frame: pd.DataFrame, named: dict[str, list[Any]]) -> pd.DataFrame:
    copies = [with_columns(frame, dict(zip(named, row, strict=True))) for row in product(*named.values())]
    made = pd.concat(copies, ignore_index=True).assign(rowid=np.tile(np.arange(len(frame)), len(copies)))
    return _with_categories(made, frame)
