"""Effects with their intervals, one below the other."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.habits import taught
from bayesmargins.plots.drawing import (
    COLOURS,
    all_on_one_scale,
    caption,
    common_scale,
    dodge,
    new_axes,
    null_of,
    points_and_limits,
    row_labels,
)
from bayesmargins.tables import check_null, check_same_rows, in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_forest"]


@taught
def plot_forest(
    ds: xr.Dataset | dict[str, xr.Dataset],
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Which effects are there, with which intervals, one below the other?

    Parameters
    ----------
    ds : Dataset, or dict of str to Dataset
        A result; a dict puts several results with the same entries side by side, in one colour each.
    point, ci_prob, ci_kind
        As for `summary`.
    null : float, optional
        Where the reference line stands; 0 for differences, slopes and logarithms, 1 for ratios by default.
    ax : matplotlib Axes, optional
        Drawn on, in place of a new one.

    Returns
    -------
    matplotlib Axes
        A line beneath says which point estimate and interval are drawn, and which entries are not, because they are on
        another scale (the ratio of an attenuation).

    Raises
    ------
    ResultError
        No result of this package, none at all, results on different scales, or rows that read the same and are others.

    Examples
    --------
    >>> plot_forest(avg_comparisons(post, "trt")).get_xlabel()
    'difference in probability'
    """
    check_null(null)
    results, others = all_on_one_scale(ds if isinstance(ds, dict) else {"": ds})
    scale = common_scale(results)
    tables = {name: points_and_limits(d, point, ci_prob, ci_kind) for name, d in results.items()}
    labels = {name: row_labels(results[name], t) for name, t in tables.items()}
    if len(results) > 1 and all(len(t) == 1 for t in tables.values()):
        # One entry each: the results themselves are the rows.
        tables, labels = {"": pd.concat(tables.values())}, {"": list(results)}
    elif len(results) > 1:
        for (name0, first), (name, other) in combinations(results.items(), 2):
            check_same_rows(name0, first, name, other)
    order = list(dict.fromkeys(label for of_result in labels.values() for label in of_result))
    ax = new_axes(ax, (7.2, 1.1 + 0.36 * len(order) * max(1.0, 0.6 * len(tables))))
    for k, (name, table) in enumerate(tables.items()):
        y = np.array([order.index(label) for label in labels[name]]) + dodge(k, len(tables))
        reach = np.abs(table[["lower", "upper"]].to_numpy().T - table["point"].to_numpy())
        ax.errorbar(table["point"], y, xerr=reach, fmt="o", color=COLOURS[k % len(COLOURS)], capsize=3, label=name)
    line = null_of(results) if null is None else null
    if line is not None:
        ax.axvline(line, color="0.6", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(order)), order)
    ax.set(xlabel=scale, ylim=(len(order) - 0.5, -0.5))
    if len(tables) > 1:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    caption(ax, in_words(point, ci_prob, ci_kind), others)
    return ax
