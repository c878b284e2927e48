"""What is drawn into one panel: curves with bands, points with bars, the line of no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.styles import GREY, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["INTERVAL", "POINT", "axis_of_ratios", "bars", "curve", "dodge", "null_line", "rope_area"]

POINT, INTERVAL = "bayesmargins-point", "bayesmargins-interval"
"""What an artist holds, as its gid: entries' points, or one of their intervals."""

_FEW = 12  # places along a curve that still have markers
_SHADE = 0.18  # of the widest band


def curve(ax: Axes, x: np.ndarray, cells: Cells, style: Style, label: str | None, banded: bool = True) -> None:
    """A line through the points and a band an interval, in increasing x."""
    order = np.argsort(x, kind="stable")
    x, cells = x[order], cells.take(order)
    if banded:
        for lower, upper in cells.limits:
            ax.fill_between(x, lower, upper, color=style.colour, alpha=_SHADE, linewidth=0, gid=INTERVAL)
    marker = style.marker if len(x) <= _FEW and banded else None
    line = {"color": style.colour, "linestyle": style.line, "linewidth": style.width, "alpha": style.alpha}
    ax.plot(x, cells.point, marker=marker, markersize=4, label=label, gid=POINT, **line)


def bars(ax: Axes, at: np.ndarray, cells: Cells, style: Style, label: str | None = None, flat: bool = False) -> None:
    """A point an entry, with a bar an interval, the narrower the thicker; `flat` bars lie along x.

    A bar runs from limit to limit also where the point, a mean or a mode, lies outside of them.
    """
    for k, (lower, upper) in enumerate(cells.limits):
        reach = np.abs(np.stack([lower, upper]) - cells.point)
        x, y = (cells.point, at) if flat else (at, cells.point)
        said: dict[str, Any] = {"xerr" if flat else "yerr": reach}
        drawn = ax.errorbar(
            x,
            y,
            **said,
            fmt=style.marker if k == 0 else "none",
            markersize=4.5,
            color=style.colour,
            elinewidth=1.2 + 1.6 * k,
            label=label if k == 0 else None,
        )
        ends = [[(a, t), (b, t)] if flat else [(t, a), (t, b)] for a, b, t in zip(lower, upper, at, strict=True)]
        drawn.lines[2][0].set_segments(ends)
        for artist in drawn.lines[2]:
            artist.set_gid(INTERVAL)
        if k == 0:
            drawn.lines[0].set_gid(POINT)


def dodge(k: int, n: int) -> float:
    """How far the k-th of n points at one place stands from it."""
    return 0.0 if n == 1 else (k - (n - 1) / 2) * min(0.18, 0.7 / n)


def null_line(ax: Axes, null: float | None, along: str = "y") -> None:
    """No effect; `along` is the axis on which effects are."""
    if null is not None:
        draw = ax.axhline if along == "y" else ax.axvline
        draw(null, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)


def rope_area(ax: Axes, rope: tuple[float, float] | None) -> str:
    """Shade the region of practical equivalence along x, and say so; what lies beyond the axis is cut off."""
    if rope is None:
        return ""
    least, most = sorted(ax.get_xlim())
    low, high = (v if np.isfinite(v) else min(max(v, least), most) for v in rope)
    ax.axvspan(low, high, color=GREY, alpha=0.14, linewidth=0, zorder=0)
    return f"shaded: practically no effect, {rope[0]:g} to {rope[1]:g}"


def axis_of_ratios(ax: Axes, cells: Cells, along: str = "y") -> None:
    """Twice is as far from 1 as half: a logarithmic axis with plain numbers, where all that is drawn is above 0."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    drawn = np.concatenate([cells.point, *(v for pair in cells.limits for v in pair)])
    drawn = drawn[np.isfinite(drawn)]
    if not cells.is_ratio or not drawn.size or drawn.min() <= 0:
        return
    (ax.set_yscale if along == "y" else ax.set_xscale)("log")
    axis = ax.yaxis if along == "y" else ax.xaxis
    reach = drawn.max() / drawn.min()
    wide = LogLocator(subs=(1.0, 2.0, 5.0)) if reach < 1e3 else LogLocator(numticks=8)
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]) if reach < 8 else wide)
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_locator(NullLocator())
