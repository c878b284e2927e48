"""Predictions over one or two variables: curves with bands over a number, points with intervals over a factor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.habits import taught
from bayesmargins.plots.drawing import (
    COLOURS,
    caption,
    dodge,
    new_axes,
    points_and_limits,
    variables_of,
)
from bayesmargins.schema import check_result
from bayesmargins.tables import in_words, on_one_scale, scale_of
from bayesmargins.values import is_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["has_curves", "plot_predictions"]


@taught
def plot_predictions(
    ds: xr.Dataset,
    x: str | None = None,
    colour: str | None = None,
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How does the expected response run over a variable?

    Parameters
    ----------
    ds : Dataset
        Averaged predictions with one or two dimensions beside chain and draw (`at` or `by`), or predictions of rows
        with the columns of newdata as coordinates.
    x : str, optional
        Dimension or coordinate along the axis; the numeric dimension with the most values by default.
    colour : str, optional
        Dimension or coordinate that tells curves apart; the other dimension by default.
    point, ci_prob, ci_kind
        As for `summary`.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes
        Curves with interval bands over a number, points with intervals over a factor. A line beneath says which point
        estimate and interval they are, and what is not drawn because it is on another scale.

    Raises
    ------
    ResultError
        No result of this package, more dimensions than a picture has, or names that it does not have.

    Examples
    --------
    >>> plot_predictions(avg_predictions(post, at={"week": [0, 6], "trt": ["placebo", "drug"]})).get_xlabel()
    'week'
    """
    ds, others = on_one_scale(check_result(ds))
    table = points_and_limits(ds, point, ci_prob, ci_kind)
    x, colour = _axes_of(ds, table, x, colour)
    ax = new_axes(ax, (6.4, 4.2))
    numeric = _is_number(ds, table[x])
    curves = [(None, table)] if colour is None else list(table.groupby(colour, sort=False))
    order = list(dict.fromkeys(table[x]))
    for k, (label, curve) in enumerate(curves):
        style = {"color": COLOURS[k % len(COLOURS)], "label": None if label is None else str(label)}
        if numeric:
            _curve(ax, curve.sort_values(x), x, style)
        else:
            _points(ax, curve, np.array([order.index(v) for v in curve[x]]) + dodge(k, len(curves)), style)
    if not numeric:
        ax.set_xticks(range(len(order)), [str(v) for v in order])
    ax.set(xlabel=x, ylabel=scale_of(ds))
    if colour is not None:
        ax.legend(title=colour, frameon=False)
    caption(ax, in_words(point, ci_prob, ci_kind), others)
    return ax


def _axes_of(ds: xr.Dataset, table: pd.DataFrame, x: str | None, colour: str | None) -> tuple[str, str | None]:
    """x and colour as given; of what varies, the number with the most values is x and another variable the colour."""
    names = [c for c in table.columns if c not in ("point", "lower", "upper")]
    for name in (x, colour):
        if name is not None and not is_word(name, names):
            raise ResultError(f"The result has no {shown(name)}; it has {listed(names)}.{close_matches(name, names)}")
    varies = variables_of(ds)
    if not has_curves(ds) and not (x and (colour or varies == ["row"])):
        raise ResultError(
            f"The result varies over {listed(varies) or 'nothing'}; a picture shows one or two dimensions. Give at= "
            "or by=, average or select the others, or name x and colour. plot_forest takes any result."
        )
    free = [v for v in varies if v not in (x, colour) and v != "row"]
    if x is None and not free:
        raise ResultError(f"colour={shown(colour)} is all that the result varies over: name it as x, x={colour!r}.")
    if x is None:
        x = max(free, key=lambda d: (_is_number(ds, table[d]), table[d].nunique()))
        free.remove(x)
    return x, free[0] if colour is None and free else colour


def has_curves(ds: xr.Dataset) -> bool:
    """Whether `plot_predictions` can draw this result without being told the axes."""
    varies = variables_of(ds)
    return 1 <= len(varies) <= 2 and "row" not in varies


def _is_number(ds: xr.Dataset, series: pd.Series) -> bool:
    """A number that the model's formula makes a factor has levels, and no values between them."""
    if series.name in json.loads(ds.attrs.get("factors", "[]")):
        return False
    return pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)


def _curve(ax: Axes, table: pd.DataFrame, x: str, style: dict[str, Any]) -> None:
    ax.fill_between(table[x], table["lower"], table["upper"], color=style["color"], alpha=0.18, linewidth=0)
    ax.plot(table[x], table["point"], **style)


def _points(ax: Axes, table: pd.DataFrame, at: np.ndarray, style: dict[str, Any]) -> None:
    reach = np.abs(table[["lower", "upper"]].to_numpy().T - table["point"].to_numpy())
    ax.errorbar(at, table["point"], yerr=reach, fmt="o", capsize=3, **style)
