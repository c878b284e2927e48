"""The whole posterior of every entry: half-eyes, densities, and dots that can be counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError
from bayesmargins.explained import PICTURE, explained
from bayesmargins.habits import taught
from bayesmargins.plots.fitting_text import measured
from bayesmargins.plots.listing import LARGEST, Listing, furnish
from bayesmargins.plots.marks import axis_of_ratios, bars, null_line, rope_area
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.shapes import Density, density, dots, finite_draws, reach, stacks
from bayesmargins.plots.styles import COLOURS, Style
from bayesmargins.tables import check_null
from bayesmargins.tables.arguments import interval_of, rope_of
from bayesmargins.values import one_of, whole_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_densities"]

KINDS = ("halfeye", "density", "dots")
HEIGHTS = ("area", "own")
_UNEQUAL = 8.0  # times as high as another: at equal areas the lower one is not seen
_FLOOR = 0.3  # rows from the middle of a row down to the line that densities stand on
_TALL = 0.72  # rows, of the highest density
_PALE, _FULL = 0.22, 0.55  # shades beyond no effect, and on the side of the point
_HALF = 0.5  # the inner interval, where none was asked for


@taught
@explained(PICTURE)
def plot_densities(
    ds: xr.Dataset,
    *,
    kind: str = "halfeye",
    quantiles: int = 100,
    heights: str | None = None,
    point: str = "median",
    ci_prob: float | Sequence[float] | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    rope: Sequence[float] | None = None,
    sort: bool | str = False,
    headings: str | bool | None = None,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
) -> Axes:
    """How is the posterior of every entry distributed, in full?

    Parameters
    ----------
    ds : Dataset
        A result.
    kind : {"halfeye", "density", "dots"}
        A density with point and intervals beneath, the default; the density alone; or a quantile dotplot (Kay et al.
        2016), in which each dot is the same share of the posterior.
    quantiles : int
        How many dots; 100 by default.
    heights : {"area", "own"}, optional
        Of all densities the area is the same, so that heights compare: the highest one fills its row. Or each fills its
        own row, and heights compare nothing. Dots likewise: all of one size, or as large as their row allows. By
        default areas are the same unless one density is more than eight times as high as another; the line beneath
        says which it is.
    null : float, optional
        ...
        What lies on its other side than the point is pale.
    rope : (float, float), optional
        Region of practical equivalence, shaded; what lies within is pale.
    ci_prob : float or list of float, optional
        Probability of the interval, or of several; by default two, of 50 % and of ArviZ's own probability (0.89).

    Returns
    -------
    matplotlib Axes
        Densities are kernel estimates of arviz-stats; on the logarithmic axis of ratios, of the logarithms.

    Raises
    ------
    ResultError
        No result of this package, more than 200 entries, or something asked for that there is not.

    References
    ----------
    Kay, Kola, Hullman & Munson (2016), "When (ish) is my bus?", CHI '16, 5092-5103.

    Examples
    --------
    >>> plot_densities(avg_comparisons(post, "trt")).get_xlabel()
    'difference in probability'
    >>> dots = plot_densities(avg_comparisons(post, "trt"), kind="dots", quantiles=50).collections
    >>> [len(of.get_offsets()) for of in dots if of.get_offsets().size > 2]
    [50, 50]
    """
    check_null(null)
    one_of("kind", kind, KINDS, ResultError)
    if heights is not None:
        one_of("heights", heights, HEIGHTS, ResultError)
    n = whole_number("quantiles", quantiles, 1, ResultError)
    area = rope_of(rope)
    both = [_HALF, interval_of(None, ci_kind)[0]] if ci_prob is None else ci_prob
    cells = Cells.of(ds, point, both, ci_kind, labels)
    if len(cells) > LARGEST:
        raise ResultError(
            f"The result has {len(cells)} entries, and {LARGEST} densities are the most that can be seen: select some, "
            "or take plot_forest(ds)."
        )
    listing = Listing.of(cells, None, sort, headings, heading=0.45)
    panels = Panels.of(cells, ax=ax, figsize=figsize, usual=listing.size(0.55))
    axes = panels.axes[0][0]
    line = cells.null if null is None else null
    axis_of_ratios(axes, cells, "x")
    found = [density(values, axes.get_xscale() == "log") for values in finite_draws(cells.draws)]
    own = heights == "own" or (heights is None and _unequal(found))
    limits = reach(cells.draws, [*cells.limits, _kept_in_sight(line, area)])
    axes.set_xlim(limits)
    null_line(axes, line, "x")
    said, floor, bright = [_said(kind, own, n), rope_area(axes, area)], listing.at + _FLOOR, _Bright(line, area)
    if kind != "dots":
        _draw_densities(axes, cells, found, floor, own, bright)
    if kind == "halfeye":
        bars(axes, floor + 0.08, cells, Style(), flat=True)
    axes.set_xlim(limits)
    furnish(panels, listing, cells if kind == "halfeye" else replace(cells, said=""), said)
    if kind == "dots":
        _draw_dots(axes, cells, floor, n, own, bright)
    return axes


def _kept_in_sight(null: float | None, rope: tuple[float, float] | None) -> tuple[np.ndarray, ...]:
    """No effect and the ends of the region, as limits of the axis."""
    return np.array([] if null is None else [float(null)]), np.array(rope or [])


def _said(kind: str, own: bool, n: int) -> str:
    if kind == "dots":
        return f"each dot is 1/{n} of the posterior{', of a size for each row' if own else ''}"
    return "densities of equal height" if own else "densities of equal area"


def _unequal(found: Sequence[Density | None]) -> bool:
    tops = [float(f[1].max()) for f in found if f is not None]
    return bool(tops) and max(tops) > _UNEQUAL * min(tops)


class _Bright:
    """Which places lie beyond no effect, on the side of the point, and outside of the region of equivalence?"""

    def __init__(self, null: float | None, rope: tuple[float, float] | None) -> None:
        self._null, self._rope = null, rope

    def __call__(self, places: np.ndarray, point: float) -> np.ndarray:
        if self._rope is not None:
            return np.asarray((places < self._rope[0]) | (places > self._rope[1]))
        if self._null is None:
            return np.ones(len(places), dtype=bool)
        return np.asarray((places > self._null) == (point > self._null))


def _draw_densities(
    ax: Axes, cells: Cells, found: Sequence[Density | None], floor: np.ndarray, own: bool, bright: _Bright
) -> None:
    top = max((float(f[1].max()) for f in found if f is not None), default=1.0)
    for base, point, of in zip(floor, cells.point, found, strict=True):
        if of is None:
            continue
        grid, heights = of
        edge = base - _TALL * heights / (heights.max() if own else top)
        ax.fill_between(grid, base, edge, color=COLOURS[0], alpha=_PALE, linewidth=0)
        ax.fill_between(
            grid,
            base,
            edge,
            where=bright(grid, point),  # type: ignore[arg-type]
            color=COLOURS[0],
            alpha=_FULL - _PALE,
            linewidth=0,
        )
        ax.plot(grid, edge, color=COLOURS[0], linewidth=0.8)


def _draw_dots(ax: Axes, cells: Cells, floor: np.ndarray, n: int, own: bool, bright: _Bright) -> None:
    """Dots as large as the highest stack allows in its row; the picture is laid out by now."""
    from matplotlib.colors import to_rgba

    measured(ax.figure)  # type: ignore[arg-type]
    probs = (np.arange(n) + 0.5) / n
    values = [np.quantile(v, probs) if len(v) else v for v in finite_draws(cells.draws)]
    low, high = ax.transData.transform([(ax.get_xlim()[0], 0.0), (ax.get_xlim()[0], 1.0)])
    room = 0.95 * (_TALL + 0.15) * abs(high[1] - low[1])
    widths = [_width(ax, v, room) for v in values if len(v)]
    shared = min(widths, default=1.0)
    for k, of in enumerate(values):
        if len(of):
            shade = np.where(bright(of, float(cells.point[k])), 0.9, 0.4)
            colours = np.array([to_rgba(COLOURS[0], a) for a in shade])
            dots(ax, of, float(floor[k]) + 0.1, _width(ax, of, room) if own else shared, colours)


def _width(ax: Axes, values: np.ndarray, room: float) -> float:
    """The largest dots, in pixels, whose highest stack fits into the room."""
    along = ax.transData.transform(np.column_stack([values, np.zeros(len(values))]))[:, 0]
    low, high = room / len(values), room
    for _ in range(30):
        middle = (low + high) / 2
        fits = (stacks(along, middle)[1].max() + 1) * middle <= room
        low, high = (middle, high) if fits else (low, middle)
    return low
