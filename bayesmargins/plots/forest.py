"""Effects with their intervals, one below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.explained import PICTURE, explained
from bayesmargins.habits import taught
from bayesmargins.plots.fitting_text import short
from bayesmargins.plots.listing import Listing, furnish, standing_out
from bayesmargins.plots.marks import axis_of_ratios, bars, dodge, null_line, rope_area
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.side_by_side import rows_of
from bayesmargins.plots.styles import PALE, Style, style_of
from bayesmargins.tables import check_null
from bayesmargins.tables.arguments import rope_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_forest"]


@taught
@explained(PICTURE)
def plot_forest(
    ds: xr.Dataset | dict[str, xr.Dataset],
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
    *,
    sort: bool | str = False,
    headings: str | bool | None = None,
    rope: Sequence[float] | None = None,
    highlight: Any = None,
    labels: Mapping[str, str] | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """How large is each effect, with its interval, one below the other?

    Parameters
    ----------
    ds : Dataset, or dict of str to Dataset
        A result; a dict puts several results with the same entries side by side, in one colour each.
    rope : (float, float), optional
        Region of practical equivalence, shaded.
    highlight : object, optional
        A value of a column: all other rows are grey.

    Returns
    -------
    matplotlib Axes
        The axis is named by what all entries share; that of ratios is logarithmic. A line beneath says which point
        estimate and interval are drawn. It also names entries that are not drawn because they are on another scale
        (the ratio of an attenuation). More than 200 rows are sorted and have no labels.

    Raises
    ------
    ResultError
        No result of this package, none at all, results on different scales, rows that read the same and are others, or
        an order, a heading or a highlight that the result does not have.

    Examples
    --------
    >>> plot_forest(avg_comparisons(post, "trt")).get_xlabel()
    'difference in probability'
    >>> ax = plot_forest(avg_comparisons(post, "trt", by="week"), sort=True)
    >>> [t.get_text() for t in ax.get_yticklabels()][:2]
    ['drug - placebo', '  11']
    """
    check_null(null)
    area = rope_of(rope)
    cells, beside = rows_of(ds, {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels})
    return _draw(cells, beside, (sort, headings, highlight), cells.null if null is None else null, area, ax, figsize)


def _draw(
    cells: Cells,
    beside: str | None,
    order: tuple[Any, Any, Any],
    null: float | None,
    rope: tuple[float, float] | None,
    ax: Any,
    figsize: Any,
) -> Axes:
    """A row an entry, entries that differ in `beside` in one row; order is sort, headings and highlight."""
    sort, headings, highlight = order
    listing = Listing.of(cells, beside, sort, headings)
    colours = [None] if beside is None else cells.levels(beside)
    size = listing.size(0.26 * max(1.0, 0.6 * len(colours)))
    panels = Panels.of(cells, ax=ax, figsize=figsize, usual=size)
    axes = panels.axes[0][0]
    chosen = standing_out(cells, listing.columns, highlight)
    for k, colour in enumerate(colours):
        of = np.ones(len(cells), dtype=bool) if colour is None else (cells.columns[beside] == colour).to_numpy()
        for which, style in ((of & ~chosen, Style(PALE)), (of & chosen, style_of(k))):
            some = np.flatnonzero(which)
            if len(some):
                label = None if colour is None else short(colour)
                bars(axes, listing.at[some] + dodge(k, len(colours)), cells.take(some), style, label, flat=True)
    axis_of_ratios(axes, cells, "x")
    null_line(axes, null, "x")
    shaded = rope_area(axes, rope)
    title = None if beside is None else cells.name(beside)
    furnish(panels, listing, cells, [shaded], title)
    return axes
