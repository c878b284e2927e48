"""The figure: panels side by side, their axes and titles, one legend, and the line that says what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmargins.errors import ResultError, shown
from bayesmargins.plots.fitting_text import (
    by_clauses,
    fit_ticks,
    letters,
    measured,
    short,
    small_letters,
    thin_numbers,
    wrapped,
)
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.title_room import under_suptitle, under_title
from bayesmargins.values import is_number, value_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WIDE", "Panels", "check_size", "new_figure"]

WIDE = 6.7  # inches: 170 mm, the width of a page; a column has 85 mm
_MOST = 25  # panels
_ABREAST = 6  # entries of a legend
_CAPTION, _ABOVE = "bayesmargins-caption", "bayesmargins-above"


def check_size(figsize: Any) -> tuple[float, float] | None:
    """Width and height in inches, or None."""
    pair = None if figsize is None else value_list(figsize)
    if figsize is None:
        return None
    if pair is None or len(pair) != 2 or not all(is_number(v) and 1 <= v <= 100 for v in pair):
        raise ResultError(f"figsize={shown(figsize)}; it must be width and height in inches, such as (3.35, 2.6).")
    return float(pair[0]), float(pair[1])


def new_figure(figsize: Any, usual: tuple[float, float], rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """A figure of the asked size, or of the usual one, and its axes, (rows, columns)."""
    import matplotlib.pyplot as plt

    size = check_size(figsize) or usual
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    for ax in grid.flat:
        ax.tick_params(labelsize=letters(figure))
    return figure, grid


@dataclass
class Panels:
    """Axes by the values of the columns that have panels."""

    figure: Figure  # that holds them
    axes: list[tuple[Axes, dict[str, Any]]]  # each with the values of the columns that it shows
    own: bool  # whether the figure was made here, so that it may be laid out
    columns: int = 1  # of panels
    beneath: float = 0.0  # points that something takes between the name of the x axis and the caption of one panel
    aside: float = 0.0  # inches that something takes at the right of one panel

    @classmethod
    def of(
        cls,
        cells: Cells,
        across: str | None = None,
        down: str | None = None,
        ax: Any = None,
        figsize: Any = None,
        usual: tuple[float, float] | None = None,
        same_x: bool = True,
    ) -> Panels:
        """One panel for each value of up to two columns; `ax` itself where there is one panel."""
        if ax is not None:
            return cls._given(ax, figsize, across or down)
        firsts: list[Any] = [None] if across is None else cells.levels(across)
        seconds: list[Any] = [None] if down is None else cells.levels(down)
        n = len(firsts) * len(seconds)
        if n > _MOST:
            named = " and ".join(c for c in (across, down) if c is not None)
            raise ResultError(
                f"{named} would have {n} panels, and a page has room for {_MOST}. Select some of the values, or let "
                "another column have panels: facet=..."
            )
        columns = len(firsts) if down is not None else min(n, {5: 3, 6: 3, 9: 3}.get(n, 4))
        rows = -(-n // columns)
        usual = usual or ((6.4, 4.2) if n == 1 else (WIDE, 2.4 * rows + 0.9))
        figure, grid = new_figure(figsize, usual, rows, columns, sharex=same_x, sharey=True)
        values = [{c: v for c, v in ((across, a), (down, d)) if c is not None} for d in seconds for a in firsts]
        flat = list(grid.flat)
        for empty in flat[n:]:
            empty.remove()
        made = cls(figure, list(zip(flat[:n], values, strict=True)), True, columns)
        made._titles(cells, across, down)
        return made

    @classmethod
    def _given(cls, ax: Any, figsize: Any, facet: str | None) -> Panels:
        if not hasattr(ax, "errorbar"):
            raise ResultError(
                f"ax={shown(ax)}; it must be one matplotlib Axes, such as plt.subplots()[1] or one entry of axes."
            )
        if facet is not None:
            raise ResultError(
                f"ax= is one Axes, and {facet!r} has a panel for each value: leave ax out, or select one value first."
            )
        if figsize is not None:
            raise ResultError(f"figsize={shown(figsize)} and ax=; an Axes that is given has its size already.")
        return cls(ax.figure, [(ax, {})], False)

    def _titles(self, cells: Cells, across: str | None, down: str | None) -> None:
        """The value of the panels beside each other above them; that of the panels below each other at their right."""
        room, size = self.figure.get_size_inches()[0] / self.columns - 0.4, letters(self.figure)
        for k, (ax, values) in enumerate(self.axes):
            if across is not None and (down is None or k < self.columns):
                said = f"{cells.name(across)}: {short(values[across])}"
                ax.set_title(wrapped(said, room, size), fontsize=size, loc="left")
            if down is not None and (k + 1) % self.columns == 0:
                said = f"{cells.name(down)}: {short(values[down])}"
                place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
                ax.annotate(said, (1.0, 0.5), (5, 0), **place, rotation=-90, va="center", ha="left", fontsize=size)

    def each(self, cells: Cells) -> Iterator[tuple[Axes, Cells]]:
        """Every panel with its entries."""
        for ax, values in self.axes:
            some = cells
            for column, value in values.items():
                some = some.where(column, value)
            yield ax, some

    def label(self, x: str, y: str) -> None:
        """Names of the axes: below the lowest panels, beside the first ones."""
        for k, (ax, _) in enumerate(self.axes):
            lowest = k + self.columns >= len(self.axes)
            ax.set_xlabel(x if lowest else "", fontsize=letters(self.figure))
            if lowest:
                ax.tick_params(axis="x", labelbottom=True)
        height, size = self.figure.get_size_inches()[1], letters(self.figure)
        if len(self.axes) > 1:
            self.figure.supylabel(wrapped(y, height - 0.8, size), fontsize=size)
        else:
            room = height if self.own else self.axes[0][0].get_position().height * height
            self.axes[0][0].set_ylabel(wrapped(y, max(room - 0.6, 1.0), size), fontsize=size)

    def levels(self, values: Sequence[Any], labels: Sequence[Any] | None = None) -> None:
        """Levels along x, at 0, 1, 2, ..."""
        for ax, _ in self.axes:
            ax.set_xticks(range(len(values)), [short(v) for v in (values if labels is None else labels)])
            ax.set_xlim(-0.6, len(values) - 0.4)

    def legend(self, title: str, handles: Sequence[Any] | None = None) -> None:
        """One legend, above the panels; curves of the same name stand in it once."""
        found: dict[str, Any] = {}
        for ax, _ in self.axes:
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        marks = list(found.values()) if handles is None else list(handles)
        names = list(found) if handles is None else [str(h.get_label()) for h in handles]
        if not marks:
            return
        names = [wrapped(name, max(self._room() - 0.8, 1.0), small_letters(self.figure)) for name in names]
        narrow = self._legend(marks, names, title, 1)
        narrow.set_in_layout(False)
        measured(self.figure)
        width = narrow.get_window_extent().width / self.figure.dpi
        narrow.remove()
        made = self._legend(marks, names, title, int(np.clip(self._room() / width, 1, min(len(marks), _ABREAST))))
        if len(self.axes) > 1:
            measured(self.figure)
            under_suptitle(self.figure, self.axes[0][0], made)
        else:
            under_title(self.axes[0][0], [made])

    def _legend(self, marks: list[Any], names: list[str], title: str, columns: int) -> Any:
        size = small_letters(self.figure)
        look: dict[str, Any] = {"frameon": False, "fontsize": size, "ncols": columns, "title_fontsize": size}
        look |= {"title": title, "alignment": "left", "borderaxespad": 0.2, "handlelength": 2.6, "columnspacing": 1.2}
        if len(self.axes) > 1:
            return self.figure.legend(marks, names, loc="upper left", **look)
        return self.axes[0][0].legend(marks, names, loc="lower left", bbox_to_anchor=(0.0, 1.0), **look)

    def above(self, said: str) -> None:
        """Say above the one panel what is drawn; a title has room above that."""
        ax = self.axes[0][0]
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        size = small_letters(self.figure)
        text = ax.annotate(said, (0.0, 1.0), (0, 4), **place, va="bottom", ha="left", fontsize=size, gid=_ABOVE)
        under_title(ax, [text])

    def _room(self) -> float:
        """Inches for what stands above and below the panels."""
        width = float(self.figure.get_size_inches()[0])
        return width - 0.3 - self.aside if self.own else float(self.axes[0][0].get_position().width) * width

    def caption(self, said: str, left_out: Sequence[str] = ()) -> None:
        """Say beneath the picture what is drawn; what earlier pictures on these axes said stays."""
        size = small_letters(self.figure)
        lines = [said, *([f"not drawn, on another scale: {', '.join(left_out)}"] if left_out else [])]
        if len(self.axes) > 1:
            text = by_clauses("\n".join(lines), self.figure.get_size_inches()[0] - 0.3, size)
            made = self.figure.supxlabel(text, x=0.99, ha="right", fontsize=size, color="0.35")
            made.set_gid(_CAPTION)
            return
        ax = self.axes[0][0]
        before = next((t for t in ax.texts if t.get_gid() == _CAPTION), None)
        if before is not None:
            drawn = before.get_text().split("\n")
            before.set_text("\n".join([*drawn, *(line for line in lines if line not in drawn)]))
            return
        ax.annotate(
            by_clauses("\n".join(lines), self._room(), size),
            xy=(1.0, 0.0),
            xycoords=("axes fraction", ax.xaxis.label),  # type: ignore[arg-type]
            xytext=(0, -3 - self.beneath),
            textcoords="offset points",
            ha="right",
            va="top",
            color="0.35",
            fontsize=size,
            gid=_CAPTION,
        )

    def finished(self, levels: bool = False) -> Axes | Figure:
        """The Axes of one panel, the Figure of several; `levels` along x are turned where they would overlap."""
        if levels:
            fit_ticks(self.figure, [ax for ax, _ in self.axes])
        self._fit(levels)
        return self.axes[0][0] if len(self.axes) == 1 else self.figure

    def _fit(self, levels: bool) -> None:
        """Fold names of axes that would run out of the figure, and leave out numbers along x that would touch."""
        measured(self.figure)
        if not levels:
            thin_numbers([ax for ax, _ in self.axes])
        whole, alone = self.figure.bbox, self.own and len(self.axes) == 1
        for ax, _ in self.axes:
            box = ax.get_window_extent()
            sides = ((ax.xaxis, box.x0, box.x1, whole.width), (ax.yaxis, box.y0, box.y1, whole.height))
            for axis, low, high, most in sides:
                room = 2 * min((low + high) / 2, most - (low + high) / 2) if alone else high - low
                if text := axis.label.get_text():
                    axis.label.set_text(text.replace("\n", " "))
                    extent = axis.label.get_window_extent()
                    if (extent.width if axis is ax.xaxis else extent.height) > room:
                        inches = max(room / self.figure.dpi - 0.1, 0.8)
                        axis.label.set_text(wrapped(axis.label.get_text(), inches, letters(self.figure)))
