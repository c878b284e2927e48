"""Results over one to four columns: curves over a number, points over levels, by colour and panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.plots.fitting_text import measured, short, small_letters, spread_apart
from bayesmargins.plots.marks import axis_of_ratios, bars, curve, dodge, null_line
from bayesmargins.plots.panels import WIDE, Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.placement import Placement
from bayesmargins.plots.styles import MANY, Style, style_of, thin
from bayesmargins.values import is_number, is_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Behind", "draw", "is_same", "of_what"]

Behind = Callable[["Axes", Mapping[str, Any], Placement, "list[Any] | None", Style, tuple[int, int]], None]
_UPRIGHT = 12  # more levels stand below each other
_CLOSE = 60  # more of them stand close, in small letters
_SPEAKING = ("contrast", "coef", "quantity")
_SAID = ("contrast", "category", "groups", "statistic", "term", "quantity")


def draw(
    cells: Cells,
    placement: Placement,
    ax: Any = None,
    figsize: Any = None,
    highlight: Any = None,
    behind: Behind | None = None,
    said: str = "",
    y: str = "",
    beneath: Callable[[Panels], None] | None = None,
) -> Axes | Figure:
    """One picture: every entry is drawn once, at its x, in its colour, in its panel.

    `y` names the axis in other words than the scale; `beneath` adds what stands under the axes, before the caption.
    """
    levels = None if placement.x in cells.numbers else cells.levels(placement.x)
    flat = levels is not None and len(levels) > _UPRIGHT
    usual = _usual(levels) if levels is not None and flat and not placement.across else None
    panels = Panels.of(cells, placement.across, placement.down, ax, figsize, usual)
    colours = [None] if placement.colour is None else cells.levels(placement.colour)
    _check_highlight(highlight, colours, placement)
    crowded = len(colours) > MANY or highlight is not None
    for panel, (axes, some) in zip(panels.axes, panels.each(cells), strict=True):
        for k, colour in enumerate(colours):
            part = some if placement.colour is None else some.where(placement.colour, colour)
            style = thin(colour == highlight) if crowded else style_of(k)
            label = None if colour is None else short(colour)
            if behind is not None:
                at = panel[1] | ({} if placement.colour is None else {placement.colour: colour})
                behind(axes, at, placement, levels, style, (k, len(colours)))
            if len(part):
                faint = crowded and colour != highlight
                _one(axes, part, placement, levels, style, label, (k, len(colours)), flat, faint)
        null_line(axes, cells.null, "x" if flat else "y")
        axis_of_ratios(axes, cells, "x" if flat else "y")
    bare = crowded and levels is None and highlight is None
    drawn = cells.said.partition(" and ")[0].partition(",")[0] if bare else cells.said
    words = drawn, said, y or of_what(cells, placement.columns)
    return _furnished(panels, cells, placement, levels, flat, crowded, words, beneath)


def _usual(levels: list[Any]) -> tuple[float, float]:
    """Inches for so many levels below each other."""
    return WIDE, (0.11 if len(levels) > _CLOSE else 0.19) * len(levels) + 1.4


def _one(
    axes: Axes,
    part: Cells,
    placement: Placement,
    levels: list[Any] | None,
    style: Style,
    label: str | None,
    place: tuple[int, int],
    flat: bool,
    faint: bool,
) -> None:
    """The entries of one colour in one panel."""
    column = part.columns[placement.x]
    if levels is None and placement.joined:
        curve(axes, column.to_numpy(dtype=np.float64), part, style, label, banded=not faint)
        return
    if levels is None:
        at = column.to_numpy(dtype=np.float64)
    else:
        at = column.map({v: i for i, v in enumerate(levels)}).to_numpy(dtype=np.float64) + dodge(*place)
    bars(axes, at, part, style, label, flat)


def _furnished(
    panels: Panels,
    cells: Cells,
    placement: Placement,
    levels: list[Any] | None,
    flat: bool,
    many: bool,
    words: tuple[str, str, str],
    beneath: Callable[[Panels], None] | None,
) -> Axes | Figure:
    """Axes, legend and caption of what was drawn."""
    x, (drawn, said, y) = cells.name(placement.x), words
    panels.label(*((y, x) if flat else (x, y)))
    if levels is not None and flat:
        for axes, _ in panels.axes:
            size = 5.0 if len(levels) > _CLOSE else small_letters(panels.figure)
            axes.set_yticks(range(len(levels)), [short(v) for v in levels], fontsize=size)
            axes.set_ylim(len(levels) - 0.4, -0.6)
    elif levels is not None:
        panels.levels(levels)
    lines = [drawn, *([said] if said else [])]
    if placement.colour is not None and not many:
        panels.legend(cells.name(placement.colour))
    elif many and levels is None:
        _named_at_ends(panels)
        lines.append(f"one line for each {cells.name(placement.colour or '')}")
    if beneath is not None:
        beneath(panels)
    panels.caption("; ".join(lines), cells.left_out)
    return panels.finished(levels is not None and not flat)


def of_what(cells: Cells, columns: Sequence[str]) -> str:
    """The scale, and what every entry shares beside the columns that have a place: ``probability (category 2)``."""
    shared = [
        short(cells.columns[c].iloc[0])
        for c in _SAID
        if c in cells.columns and c not in columns and cells.columns[c].nunique() == 1
        and not (c == "term" and "contrast" in cells.columns)
    ]  # fmt: skip
    shared += [short(v) if c in _SPEAKING else f"{cells.name(c)} {short(v)}" for c, v in cells.selected.items()]
    said = ", ".join(dict.fromkeys(shared))
    return f"{cells.worded_scale} ({said})" if said else cells.worded_scale


def is_same(known: Any, value: Any) -> bool:
    """Whether a value that a user wrote is this one of a result's."""
    return is_word(value, [known]) if isinstance(known, str) else is_number(value) and bool(known == value)


def _check_highlight(highlight: Any, colours: list[Any], placement: Placement) -> None:
    if highlight is not None and not any(is_same(known, highlight) for known in colours):
        raise ResultError(
            f"highlight={shown(highlight)}; it must be one of the curves: {listed(colours)} of {placement.colour}."
            f"{close_matches(highlight, colours)}"
        )


def _named_at_ends(panels: Panels) -> None:
    """The name of each of many curves at its right end, where there is room for all of them."""
    measured(panels.figure)
    if len(panels.axes) > 1:
        return
    ax = panels.axes[0][0]
    lines = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    ends = np.array([np.asarray(line.get_xydata())[-1] for line in lines], dtype=np.float64)
    pixels = np.asarray(ax.transData.transform(ends))[:, 1]
    box, size, points = ax.get_window_extent(), 6.5, 72 / ax.figure.dpi
    places = spread_apart(pixels, 1.15 * size / points, box.y0, box.y1)
    if places is None:
        return
    ax.set_xlim(right=float(ends[:, 0].max()))
    for line, end, move in zip(lines, ends, (places - pixels) * points, strict=True):
        look: dict[str, Any] = {"fontsize": size, "va": "center", "color": line.get_color()}
        ax.annotate(
            str(line.get_label()), tuple(end), (4, move), textcoords="offset points", annotation_clip=False, **look
        )
