"""A prediction or an effect over two numbers: a map of colours with labelled contour lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import EstimandError, ResultError, shown
from bayesmargins.estimands import avg_predictions
from bayesmargins.explained import PICTURE, QUESTION, explained
from bayesmargins.habits import taught
from bayesmargins.imputations import Imputed
from bayesmargins.plots.axes_asked import (
    Rows,
    asked_on_rows,
    axis_values,
    first_of,
    fitted_rows,
    is_posterior,
    name_of,
    refuse_rows,
)
from bayesmargins.plots.fitting_text import letters, measured, short, small_letters, wrapped
from bayesmargins.plots.over import of_what
from bayesmargins.plots.panels import WIDE, Panels, check_size
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.posterior import Posterior
from bayesmargins.schema import public_name
from bayesmargins.settable import column_of
from bayesmargins.values import is_number, one_of, switch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_surface"]

KINDS = ("heat", "contour")
_MOST, _FEWEST = 25, 12  # values along an axis
_WORK = 400_000  # rows times values that are set on them
_VEIL = 120  # points along each axis of the veil
_SHOWN = "what is shown"  # the column of a picture with a second map
_LINES = 7


@taught
@explained(QUESTION, PICTURE)
def plot_surface(
    ds: Posterior | Imputed | xr.Dataset,
    x: str | Mapping[str, Any] | None = None,
    y: str | Mapping[str, Any] | None = None,
    *,
    kind: str = "heat",
    facet: str | None = None,
    data: bool = False,
    width: bool = False,
    too_far: float | None = None,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    groups: Any = None,
    group_weights: str | None = None,
    target: Any = None,
    wts: Any = None,
    random_seed: int | None = None,
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes | Figure:
    """How does the expected response, or an effect, change over two numbers at once?

    Parameters
    ----------
    ds : Posterior, Imputed or Dataset
        A posterior: `x` and `y` are set on all rows, which are then averaged within each draw, as
        ``avg_predictions(post, at=...)`` does. Or a result, of comparisons too, over two numbers.
    kind : {"heat", "contour"}
        Colours that change from value to value under contour lines, the default, or an even colour between two lines.
    facet : str, optional
        One panel a value.
    data : bool
        Of a posterior: draws where the rows are.
    width : bool
        Adds a second map, of the width of the interval.
    too_far : float, optional
        Of a posterior: what is farther than this from every row is veiled, where each axis counts from 0 at its lowest
        to 1 at its highest value. 0.1 by default, the rule of ``mgcv::vis.gam``; a large number veils nothing.
    x : str or dict, optional
        The number along the horizontal axis, or ``{"age": [20, 40, 60]}``; up to 25 values over the range of the rows.
        Of a result by default the one of its two numbers that has more values.
    y : str or dict, optional
        The number along the vertical axis, likewise. Of a result by default the other one.
    point : {"median", "mean", "mode"}
        Point estimate over draws, which is the surface; the median by default.
    ci_prob : float, optional
        Probability of the interval whose width `width` shows; ArviZ's setting (0.89) by default.

    Returns
    -------
    matplotlib Axes, or Figure where there are several panels
        With a bar of colours named by the scale. Effects have a thick line where there is none.

    Raises
    ------
    ResultError
        No result over two numbers, or more columns than two and that of the panels.
    EstimandError, DataError, GroupsError
        Of a posterior: as `avg_predictions`.

    Examples
    --------
    >>> frame = {"y": [1, 2, 4, 3], "age": [20, 30, 40, 50], "dose": [0, 2, 1, 3], "id": ["a", "a", "b", "b"]}
    >>> beta, Sigma = [[[1.0, 0.1, 0.2], [0.9, 0.1, 0.3]]], {"id": [[[[0.5]], [[0.4]]]]}
    >>> few = from_draws("y ~ age + dose + (1 | id)", frame, family="gaussian", beta=beta, Sigma=Sigma,
    ...                  aux={"sigma": [[1.0, 1.0]]})
    >>> plot_surface(few, "age", "dose").get_ylabel()
    'dose'
    """
    rows = Rows(newdata, at, groups, group_weights, target, wts, random_seed)
    kind = one_of("kind", kind, KINDS, ResultError)
    data, width = switch("data", data, ResultError), switch("width", width, ResultError)
    how: dict[str, Any] = {"point": point, "ci_prob": ci_prob, "ci_kind": ci_kind, "labels": labels}
    if not is_posterior(ds):
        rows.refuse("plot_surface", {"data": data, "too_far": too_far})
        cells = Cells.of(ds, **how)
        there = _placed(cells, name_of(x, "x"), name_of(y, "y"), facet)
        return _Map(cells, *there, kind).drawn(width, ax, figsize)
    far = 0.1 if too_far is None else too_far
    if not is_number(far) or not far > 0:
        raise ResultError(f"too_far={shown(too_far)}; it must be a number above 0: shares of the ranges of the axes.")
    refuse_rows("plot_surface", ds, {"data": data})
    axes = _axes(first_of(ds), x, y, facet, rows)
    cells = Cells.of(asked_on_rows(avg_predictions, ds, axes, rows), **how)
    named = [public_name(str(name_of(asked, "x"))) for asked in (x, y)]
    panel = None if facet is None else public_name(str(name_of(facet, "facet")))
    seen = fitted_rows(first_of(ds), rows)
    seen = seen.rename(columns={str(c): public_name(str(c)) for c in seen.columns})
    there = _placed(cells, named[0], named[1], panel)
    return _Map(cells, *there, kind=kind, seen=seen, too_far=float(far), points=data).drawn(width, ax, figsize)


def _axes(post: Posterior, x: Any, y: Any, facet: Any, rows: Rows) -> dict[str, list[Any]]:
    """Values of the two numbers, and those of the panels."""
    if x is None or y is None:
        raise EstimandError("plot_surface(post, x, y) needs the two numbers along its axes.")
    panels = axis_values(post, None, [("facet", facet)], rows)
    frame = fitted_rows(post, rows)
    room = _WORK / max(len(frame) * max(len(v) for v in panels.values()) if panels else len(frame), 1)
    n = int(np.clip(np.sqrt(room), _FEWEST, _MOST))
    asked = [_spread(post, frame, given, place, n) for given, place in ((x, "x"), (y, "y"))]
    return {**axis_values(post, asked[0], [("y", asked[1])], rows), **_others(panels, asked)}


def _others(panels: dict[str, list[Any]], asked: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    for name in panels:
        if any(name in one for one in asked):
            raise EstimandError(f"{name!r} was given two places in the picture; each variable has one.")
    return panels


def _spread(post: Posterior, frame: pd.DataFrame, given: Any, place: str, n: int) -> dict[str, Any]:
    """Even steps over the range of the rows, unless values were given."""
    name = str(name_of(given, place))
    column = column_of(name, post.design, place)
    if column.kind != "number":
        raise EstimandError(f"{place}={name!r} has levels, and a surface runs over two numbers: plot_predictions.")
    if isinstance(given, Mapping):
        return dict(given)
    values = (
        frame[name].dropna().to_numpy(dtype=np.float64) if name in frame else np.array([column.lower, column.upper])
    )
    return {name: np.linspace(values.min(), values.max(), n).tolist()}


def _placed(cells: Cells, x: str | None, y: str | None, facet: Any) -> tuple[str, str, str | None]:
    """The columns of the two axes and of the panels, which are all that varies."""
    facet = name_of(facet, "facet")
    free = [c for c in cells.varies if c in cells.numbers and c not in (x, y, facet)]
    free.sort(key=lambda c: -cells.columns[c].nunique())
    x = x or (free.pop(0) if free else None)
    y = y or (free.pop(0) if free else None)
    left = [c for c in cells.varies if c not in (x, y, facet)]
    if facet is None and len(left) == 1:
        facet, left = left[0], []
    numbers = [c for c in (x, y) if c in cells.numbers and cells.columns[c].nunique() > 1]
    known = facet is None or facet in cells.columns
    if (
        left
        or len(set(numbers)) < 2
        or not known
        or cells.columns.duplicated([x, y, *([facet] if facet else [])]).any()
    ):
        raise ResultError(
            f"x={shown(x)}, y={shown(y)}, facet={shown(facet)}; a surface needs two numbers with several values each "
            f"and at most one other column for panels, and this result varies over {', '.join(cells.varies)}. "
            "avg_predictions(post, at={'age': [...], 'dose': [...]}) has two, and plot_surface(post, 'age', 'dose') "
            "asks for them."
        )
    return str(x), str(y), facet


@dataclass(frozen=True)
class _Map:
    """What is drawn: the entries, their two axes and panels, and the rows that were seen."""

    cells: Cells
    x: str
    y: str
    facet: str | None
    kind: str
    seen: pd.DataFrame | None = None
    too_far: float = 0.1
    points: bool = False

    def drawn(self, width: bool, ax: Any, figsize: Any) -> Axes | Figure:
        """The maps, their bars of colours, and the caption."""
        if width and ax is not None:
            raise ResultError("ax= is one Axes, and width=True draws two maps: leave one of the two out.")
        size = check_size(figsize)
        narrow = width and size is not None and size[0] < 5
        cells = self._with_width() if width else self.cells
        places: Any = (None, _SHOWN) if narrow else (_SHOWN, self.facet) if width else (self.facet, None)
        if narrow and self.facet:
            places = (self.facet, _SHOWN)
        usual = (WIDE, 3.1) if width and not self.facet else None
        panels = Panels.of(cells, places[0], places[1], ax, figsize, usual)
        maps = [cells] if not width else [cells.where(_SHOWN, name) for name in cells.levels(_SHOWN)]
        ranges = [(float(np.nanmin(m.point)), float(np.nanmax(m.point))) for m in maps]
        panels.label(self.cells.name(self.x), self.cells.name(self.y))
        drawn: dict[int, list[Any]] = {}
        for (axes, _), (_, some) in zip(panels.axes, panels.each(cells), strict=True):
            which = 0 if not width else cells.levels(_SHOWN).index(some.columns[_SHOWN].iloc[0])
            colours = self._one(axes, some, ranges[which], width and which == 1)
            drawn.setdefault(which, []).append((axes, colours))
        said = [self.cells.said.partition(" and ")[0] if not width else self.cells.said]
        if self.seen is not None and self.too_far < 2**0.5:
            said.append(f"veiled: farther than {self.too_far:g} of the ranges from every row")
        self._bars(panels, drawn, width)
        self._lines(panels, cells, ranges, width)
        right = panels.axes[0][0].get_window_extent().x1
        panels.aside = (panels.figure.bbox.width - right) / panels.figure.dpi
        panels.caption("; ".join([*said, *(["points: the rows"] if self.points else [])]), self.cells.left_out)
        return panels.finished()

    def _with_width(self) -> Cells:
        """The entries, and below them the same with the width of their interval."""
        one, (lower, upper) = self.cells, self.cells.limits[0]
        names = (of_what(one, [self.x, self.y]), "width of the interval")
        two = [one.columns.assign(**{_SHOWN: name}) for name in names]
        twice = np.concatenate([one.point, upper - lower])
        limits = tuple((np.tile(a, 2), np.tile(b, 2)) for a, b in one.limits)
        draws = np.concatenate([one.draws, one.draws], axis=1)
        return replace(one, columns=pd.concat(two, ignore_index=True), point=twice, limits=limits, draws=draws)

    def _grid(self, some: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = some.columns.assign(z=some.point).pivot(index=self.y, columns=self.x, values="z")
        return table.columns.to_numpy(dtype=np.float64), table.index.to_numpy(dtype=np.float64), table.to_numpy()

    def _one(self, axes: Axes, some: Cells, reach: tuple[float, float], of_width: bool) -> Any:
        x, y, z = self._grid(some)
        look: dict[str, Any] = {"cmap": "cividis" if of_width else "viridis"}
        if self.kind == "contour":
            made: Any = axes.contourf(x, y, z, levels=_levels(reach), **look)
        else:
            made = axes.pcolormesh(x, y, z, shading="gouraud", vmin=reach[0], vmax=reach[1], rasterized=True, **look)
        axes.set_xlim(x.min(), x.max())
        axes.set_ylim(y.min(), y.max())
        if self.seen is not None and self.x in self.seen and self.y in self.seen:
            rows = self._rows_of(some)
            self._veil(axes, x, y, rows)
            if self.points:
                axes.plot(rows[:, 0], rows[:, 1], "o", markersize=2.2, color="black", alpha=0.6, linewidth=0)
        return made

    def _rows_of(self, some: Cells) -> np.ndarray:
        """Where the rows of this panel are."""
        assert self.seen is not None
        seen = self.seen
        if self.facet in seen:
            value = some.columns[self.facet].iloc[0]
            mine = (seen[self.facet] == value).to_numpy()
            seen = seen[mine] if mine.any() else seen
        return seen[[self.x, self.y]].dropna().to_numpy(dtype=np.float64)

    def _veil(self, axes: Axes, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> None:
        """White over what no row is near to."""
        from scipy.spatial import cKDTree

        low, reach = np.array([x.min(), y.min()]), np.array([np.ptp(x), np.ptp(y)])
        at = np.linspace(0.0, 1.0, _VEIL)
        fine = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        away = cKDTree((rows - low) / reach).query(fine)[0].reshape(_VEIL, _VEIL)
        gx, gy = low[0] + reach[0] * at, low[1] + reach[1] * at
        if away.max() > self.too_far:
            levels = [self.too_far, 10.0]
            axes.contourf(gx, gy, away, levels=levels, colors="white", alpha=0.7)
            lines = axes.contourf(gx, gy, away, levels=levels, colors="none", hatches=["////"])  # pale is high in grey
            lines.set(edgecolor="0.6", linewidth=0.0)

    def _bars(self, panels: Panels, drawn: Mapping[int, list[Any]], width: bool) -> None:
        """A bar of colours for each kind of map, named by the scale."""
        names = [of_what(self.cells, [self.x, self.y]), "width of the interval"]
        for which, made in drawn.items():
            bar = panels.figure.colorbar(made[0][1], ax=[one for one, _ in made], shrink=1.0, aspect=22, pad=0.02)
            bar.outline.set_linewidth(0.5)  # type: ignore[operator]
            bar.ax.tick_params(labelsize=small_letters(panels.figure))
            room = panels.figure.get_size_inches()[1] / max(1, len(panels.axes) // panels.columns) - 0.9
            size = letters(panels.figure)
            bar.set_label(wrapped(names[which], max(room, 1.0), size), fontsize=size)
        if width:
            for axes, _ in panels.axes:
                said = axes.get_title(loc="left")
                axes.set_title("" if said.startswith(_SHOWN) else said, loc="left", fontsize=letters(panels.figure))
                for text in [t for t in axes.texts if t.get_text().startswith(_SHOWN)]:
                    text.remove()

    def _lines(self, panels: Panels, cells: Cells, reaches: Sequence[tuple[float, float]], width: bool) -> None:
        """Contour lines with their values, once the axes have their size."""
        from matplotlib.patheffects import withStroke

        measured(panels.figure)
        for (axes, _), (_, some) in zip(panels.axes, panels.each(cells), strict=True):
            x, y, z = self._grid(some)
            which = 0 if not width else cells.levels(_SHOWN).index(some.columns[_SHOWN].iloc[0])
            levels = _levels(reaches[which])
            inside = levels[(levels > np.nanmin(z)) & (levels < np.nanmax(z))]
            if inside.size:
                lines = axes.contour(x, y, z, levels=inside, colors="white", linewidths=0.9, linestyles="solid")
                axes.contour(x, y, z, levels=inside, colors="black", linewidths=0.35, linestyles="solid")
                for text in axes.clabel(
                    lines, fmt=short, fontsize=small_letters(panels.figure), colors="white", inline=False
                ):
                    text.set_path_effects([withStroke(linewidth=1.2, foreground="black")])
            null = None if which else self.cells.null
            if null is not None and np.nanmin(z) < null < np.nanmax(z):
                axes.contour(x, y, z, levels=[null], colors="black", linewidths=2.0)


def _levels(reach: tuple[float, float]) -> np.ndarray:
    from matplotlib.ticker import MaxNLocator

    return np.round(MaxNLocator(_LINES, steps=[1, 2, 2.5, 5, 10]).tick_values(*reach), 12)
