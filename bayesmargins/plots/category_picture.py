"""Probabilities of ordered categories: stacked bars over levels, stacked areas or curves over a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.explained import PICTURE, QUESTION, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import (
    Rows,
    asked_on_rows,
    axis_values,
    first_of,
    is_posterior,
    name_of,
    places_asked,
    refuse_rows,
)
from bayesmargins.plots.behind import Observed, binned, circles, observed
from bayesmargins.plots.fitting_text import measured, short, small_letters, wrapped
from bayesmargins.plots.marks import bars, curve, dodge
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.placement import place
from bayesmargins.plots.styles import Style, style_of
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name
from bayesmargins.values import one_of, switch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_categories"]

KINDS = ("bars", "areas", "curves")
_FEW = 5  # a number with no more values has bars
_ALL = ""  # the column of a picture without any
_DARK, _LIGHT = 0.0, 0.87  # of the map of colours; white paper swallows what is lighter


@taught
@explained(QUESTION, PICTURE)
def plot_categories(
    ds: Posterior | Imputed | xr.Dataset,
    x: str | Mapping[str, Any] | None = None,
    *,
    by: str | Mapping[str, Any] | None = None,
    facet: str | Sequence[str] | None = None,
    kind: str | None = None,
    data: bool = False,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    group_weights: str | None = None,
    wts: Any = None,
    random_seed: int | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How probable is each category of a response?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: what `x`, `by` and `facet` name is set on all rows, which are then averaged within each draw. Or a
        result with the dimension ``category``.
    x : str or dict, optional
        ...
        Without it the picture of a posterior has one bar, the average over the rows.
    by : str or dict, optional
        Bars of its values stand beside each other at each x. Areas and curves have a panel for each value.
    kind : {"bars", "areas", "curves"}, optional
        ``"bars"`` and ``"areas"`` stack the categories, the lowest one at the bottom; their default is bars over
        levels and over up to five numbers, areas otherwise. ``"curves"`` draws each category by itself, with a band.
    data : bool
        Of a posterior: circles at the observed shares, by their number of rows; where categories are stacked the
        shares are summed too. A number with more than twelve values has ten bins.
    point : {"median", "mean", "mode"}
        Of curves: point estimate over draws, the median by default. Stacks show posterior means, because means add up
        to 1 and medians do not.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        Colours run from light (the lowest category) to dark, so that grey print keeps the order.

    Raises
    ------
    ResultError
        The response has no categories, or more columns vary than a picture has places.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_predictions`.

    Examples
    --------
    >>> beta, thresholds = [[[-0.8], [-0.7]]], [[[0.4, 3.0, 4.2], [0.5, 2.9, 4.4]]]
    >>> few = from_draws("rating ~ treat + (1 | subject)", load_dataset("inhaler"), family="cumulative", beta=beta,
    ...                  Sigma={"subject": [[[[1.2]], [[1.5]]]]}, aux={"thresholds": thresholds})
    >>> plot_categories(few, "treat", data=True).get_ylabel()
    'probability of rating'
    """
    rows = Rows(newdata, at, groups, group_weights, None, wts, random_seed)
    kind = None if kind is None else one_of("kind", kind, KINDS, ResultError)
    data = switch("data", data, ResultError)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    x, by = (by, None) if x is None else (x, by)
    if not is_posterior(ds):
        rows.refuse("plot_categories", {"data": data})
        cells = _with_categories(Cells.of(ds, **how))
        return _drawn(cells, _placed(cells, name_of(x, "x"), name_of(by, "by"), facet, kind), ci_prob, ax, figsize)
    one = first_of(ds)
    if not one.family.categories:
        raise ResultError(
            f"plot_categories draws the probability of each category, and family={one.family.name!r} has none: "
            "plot_predictions draws the expected response."
        )
    refuse_rows("plot_categories", ds, {"data": data})
    axes = axis_values(one, x, places_asked(by, facet), rows)
    cells = _with_categories(Cells.of(asked_on_rows(avg_predictions, ds, axes, rows), **how))
    names = [None if asked is None else public_name(str(name_of(asked, "x"))) for asked in (x, by)]
    pair = facet if isinstance(facet, list | tuple) else [facet]
    panels = [public_name(str(name_of(one, "facet"))) for one in pair if one is not None]
    asked = _placed(cells, names[0], names[1], panels or None, kind)
    seen = observed(one, cells).nearest({_ALL: [], **axes} if asked.kind == "bars" else axes) if data else None
    return _drawn(cells, replace(asked, seen=seen), ci_prob, ax, figsize)


def _with_categories(cells: Cells) -> Cells:
    """The entries, with a column to stand along x where only categories tell them apart."""
    if "category" not in cells.columns or cells.about.kind != "predictions":
        raise ResultError(
            "plot_categories draws predictions with the dimension 'category', and this result is of "
            f"{cells.scale}: avg_predictions of an ordered response has it. plot_predictions and plot_forest draw "
            "others."
        )
    if set(cells.varies) - {"category"}:
        return cells
    return replace(cells, columns=cells.columns.assign(**{_ALL: ""}))


@dataclass(frozen=True)
class _Asked:
    """Which columns are along x, side by side, and in panels; the kind of the picture; the data."""

    x: str
    by: str | None
    across: str | None
    down: str | None
    kind: str
    seen: Observed | None = None


def _placed(cells: Cells, x: str | None, by: str | None, facet: Any, kind: str | None) -> _Asked:
    x = _ALL if x is None and _ALL in cells.columns else x
    if x is None:
        x = place(cells, None, "category", facet if by is None else [by]).x
    if kind is None and x in cells.columns:
        kind = "areas" if x in cells.numbers and len(cells.levels(x)) > _FEW else "bars"
    pair = list(facet) if isinstance(facet, list | tuple) else ([] if facet is None else [facet])
    if by is not None and len(pair) > 1:
        raise ResultError(f"by={shown(by)} and facet={shown(facet)}; beside by= one column has panels.")
    there = place(cells, x, "category", [*([] if by is None else [by]), *pair] or None)
    if kind == "areas" and there.x not in cells.numbers:
        raise ResultError(f"kind='areas' needs a number along the axis, and {there.x!r} has levels: kind='bars'.")
    if by is not None and kind == "bars":
        return _Asked(there.x, there.across, there.down, None, "bars")
    return _Asked(there.x, None, there.across, there.down, str(kind))


def _drawn(cells: Cells, asked: _Asked, ci_prob: Any, ax: Any, figsize: Any) -> Axes | Figure:
    stacked = asked.kind != "curves"
    if stacked and ci_prob is not None:
        raise ResultError(f"ci_prob={shown(ci_prob)}; stacked categories have no intervals: kind='curves' has.")
    panels = Panels.of(cells, asked.across, asked.down, ax, figsize)
    levels = cells.levels(asked.x) if asked.kind == "bars" or asked.x not in cells.numbers else None
    categories = cells.levels("category")
    for (axes, at), (_, some) in zip(panels.axes, panels.each(cells), strict=True):
        if asked.kind == "curves":
            _curves(axes, some, asked, categories, levels)
        else:
            _stack(axes, some, asked, categories, levels)
        if asked.seen is not None:
            _circles_of(axes, asked.seen.where(at), asked, cells, levels)
    return _furnished(panels, cells, asked, levels)


def palette(n: int) -> list[Any]:
    """Colours from light to dark, as many as there are categories."""
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(_LIGHT, _DARK, n)))


def stacks(cells: Cells, categories: Sequence[Any], column: str, values: Sequence[Any]) -> np.ndarray:
    """Posterior means, (category, value): those of one value sum to 1."""
    means = cells.draws.mean(axis=0)
    place_of = {v: i for i, v in enumerate(values)}
    row_of = {c: i for i, c in enumerate(categories)}
    heights = np.full((len(categories), len(values)), np.nan)
    heights[cells.columns["category"].map(row_of), cells.columns[column].map(place_of)] = means
    return heights


def _stack(axes: Axes, some: Cells, asked: _Asked, categories: list[Any], levels: list[Any] | None) -> None:
    if levels is None:
        x = some.levels(asked.x)
        heights = stacks(some, categories, asked.x, x)
        axes.stackplot(x, heights, colors=palette(len(categories)), edgecolor="white", linewidth=0.6)
        axes.set_xlim(x[0], x[-1])
        return
    beside = [None] if asked.by is None else some.levels(asked.by)
    for k, value in enumerate(beside):
        part = some if value is None else some.where(str(asked.by), value)
        heights = stacks(part, categories, asked.x, levels)
        at, width = np.arange(len(levels)) + _shift(k, len(beside)), _width(len(beside))
        for height, below, colour in zip(
            heights, np.cumsum(heights, axis=0) - heights, palette(len(categories)), strict=True
        ):
            axes.bar(at, height, width, below, color=colour, edgecolor="white", linewidth=0.6)


def _shift(k: int, n: int) -> float:
    return (k - (n - 1) / 2) * 0.84 / n


def _width(n: int) -> float:
    return 0.7 if n == 1 else 0.76 / n


def _style(k: int, n: int) -> Style:
    return replace(style_of(k), colour=palette(n)[k])


def _curves(axes: Axes, some: Cells, asked: _Asked, categories: list[Any], levels: list[Any] | None) -> None:
    n = len(categories)
    for k, category in enumerate(categories):
        part = some.where("category", category)
        if levels is None:
            curve(axes, part.columns[asked.x].to_numpy(dtype=np.float64), part, _style(k, n), short(category))
            continue
        codes = part.columns[asked.x].map({v: i for i, v in enumerate(levels)}).to_numpy(dtype=np.float64)
        bars(axes, codes + dodge(k, n), part, _style(k, n), short(category))


def _circles_of(axes: Axes, seen: Observed, asked: _Asked, cells: Cells, levels: list[Any] | None) -> None:
    """Observed shares; of stacks the sums of those up to each category but the last."""
    categories, n = cells.levels("category"), len(cells.levels("category"))
    beside = [None] if asked.by is None else cells.levels(asked.by)
    for j, value in enumerate(beside):
        some = seen if value is None else seen.where({str(asked.by): value})
        below: Any = 0.0
        for k, category in enumerate(categories):
            rows = some.where({"category": category})
            if asked.kind == "curves":
                shift = 0.0 if levels is None else dodge(k, n)
                circles(axes, binned(_along(rows, asked.x, levels) + shift, rows), _style(k, n))
                continue
            bins = binned(_along(rows, asked.x, levels) + (0.0 if levels is None else _shift(j, len(beside))), rows)
            below = bins["y"] + below
            if k < n - 1:
                circles(axes, bins.assign(y=below), Style("white"), 1.9, 4)
                circles(axes, bins.assign(y=below), Style("black"), 0.8, 4)


def _along(rows: Observed, column: str, levels: list[Any] | None) -> np.ndarray:
    if column == _ALL:
        return np.zeros(len(rows.y))
    values = rows.columns[column]
    if levels is None:
        return values.to_numpy(dtype=np.float64)
    return values.map({v: i for i, v in enumerate(levels)}).to_numpy(dtype=np.float64)


def _furnished(panels: Panels, cells: Cells, asked: _Asked, levels: list[Any] | None) -> Axes | Figure:
    from matplotlib.patches import Patch

    categories = [short(c) for c in cells.levels("category")]
    response = (cells.about.formula or "").split("~")[0].split("|")[0].strip() or "each category"
    named, x = cells.name(response), "" if asked.x == _ALL else cells.name(asked.x)
    panels.label(x if asked.by is None else cells.name(asked.by), f"probability of {named}")
    for axes, _ in panels.axes:
        axes.set_ylim(0.0, 1.0) if asked.kind != "curves" else axes.set_ylim(bottom=0.0)
    if levels is not None and asked.by is None:
        panels.levels(levels)
    tops = _headed(panels, cells, asked, levels or []) if asked.by is not None else []
    shades = [Patch(color=c, label=name) for c, name in zip(palette(len(categories)), categories, strict=True)]
    panels.legend(named, None if asked.kind == "curves" else shades)
    if tops and len(panels.axes) == 1:
        _above(panels.axes[0][0], tops[0])
    said = [f"{cells.pooled}posterior means" if asked.kind != "curves" else cells.said]
    if asked.seen is not None:
        said.append("circles: observed shares" + (", summed" if asked.kind != "curves" else ""))
    panels.caption("; ".join(said), cells.left_out)
    return panels.finished(levels is not None)


def _headed(panels: Panels, cells: Cells, asked: _Asked, levels: list[Any]) -> list[Any]:
    """Values of `by` under the bars, and those of x above each group of them."""
    beside, tops = cells.levels(str(asked.by)), []
    places = [i + _shift(k, len(beside)) for i in range(len(levels)) for k in range(len(beside))]
    size = small_letters(panels.figure)
    room = panels.figure.get_size_inches()[0] / panels.columns / len(levels) - 0.15
    for k, (axes, _) in enumerate(panels.axes):
        axes.set_xticks(places, [short(v) for v in beside] * len(levels), fontsize=size)
        axes.set_xlim(-0.6, len(levels) - 0.4)
        if k >= panels.columns:
            continue
        top = axes.secondary_xaxis("top")
        top.set_xticks(range(len(levels)), [wrapped(short(v), room, size) for v in levels])
        top.tick_params(length=0, labelsize=size)
        top.set_xlabel(cells.name(asked.x), fontsize=size)
        tops.append(top)
    return tops


def _above(axes: Axes, top: Any) -> None:
    """The legend of an Axes that was given stands above what is written above it."""
    from matplotlib.transforms import ScaledTranslation

    measured(axes.figure)  # type: ignore[arg-type]
    inches = (top.get_tightbbox().y1 - axes.get_window_extent().y1) / axes.figure.dpi
    there = axes.transAxes + ScaledTranslation(0.0, inches, axes.figure.dpi_scale_trans)  # type: ignore[union-attr]
    axes.get_legend().set_bbox_to_anchor((0.0, 1.0), there)  # type: ignore[union-attr]
