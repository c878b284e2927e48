"""Entries below each other: labels without what repeats, headings, order, places, and type that fits the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.plots.fitting_text import letters_in, measured, short, small_letters, wrapped
from bayesmargins.plots.over import is_same, of_what
from bayesmargins.plots.panels import Panels
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.schema import ESTIMATE
from bayesmargins.values import is_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LARGEST", "Line", "Listing", "furnish", "standing_out"]

LARGEST = 200
"""More entries than that have no labels."""

_SPEAKING = ("contrast", "term", "coef", "quantity", "")  # labels that say what they are; the last: results of a dict
_SMALLEST = 4.5  # points: smaller type is not read
_LEADING = 1.15  # lines of type are so much higher than the type
_SHARE = 0.42  # of the figure's width, that labels may take
_TALLEST = 10.0  # inches, before lines get lower than usual
_UNLABELLED = 7.0  # inches, of entries without labels
_LOWEST = 0.115  # inches: a line of the smallest type, and some air
_SORTS = (False, True, "descending")


@dataclass(frozen=True)
class Line:
    """One label: its place, downward from 0, its text, and whether it is a heading."""

    at: float
    text: str
    heading: bool = False


@dataclass(frozen=True)
class Listing:
    """Where the entries of a picture stand, and what is written beside them."""

    at: np.ndarray  # (entry,): places, downward
    lines: tuple[Line, ...]  # labels, from above
    column: str  # the one that tells the rows apart, or ""
    columns: tuple[str, ...]  # all that are written
    height: float  # lines in all
    said: str = ""  # how the entries are ordered, where they have no labels

    @classmethod
    def of(
        cls, cells: Cells, beside: str | None = None, sort: Any = False, headings: Any = None, heading: float = 1.0
    ) -> Listing:
        """Rows in the order of the result or by their points; entries that differ in `beside` share a row."""
        columns = [c for c in cells.varies if c != beside]
        block = _headings(cells, columns, headings)
        rest = [c for c in columns if c != block and not (block == "term" and c == "contrast")]
        rest += ["contrast"] if block == "term" and "contrast" in columns else []
        labels, blocks = _labels(cells, rest, block), _texts(cells, block)
        many = len(set(zip(blocks, labels, strict=True))) > LARGEST
        order = _ordered(cells, blocks, labels, _check_sort(sort) or many)
        places, lines = _placed(order, 0.0 if many else heading, bool(block))
        at = np.array([places[key] for key in zip(blocks, labels, strict=True)])
        lonely = rest[0] if len(rest) == 1 and rest[0] not in _SPEAKING else ""
        written = (*([block] if block else []), *rest)
        said = f"{len(order)} entries, sorted; too many for labels" if many else ""
        return cls(at, () if many else lines, lonely, written, float(at.max()) + 1.0, said)

    def size(self, line: float = 0.26, width: float = 6.4) -> tuple[float, float]:
        """Width and height in inches of a figure with room for every line; many lines are lower."""
        if not self.lines:
            return width, _UNLABELLED
        return width, 1.3 + self.height * float(np.clip(_TALLEST / self.height, min(line, _LOWEST), line))


def _check_sort(sort: Any) -> Any:
    """How rows are ordered: True, False or ``"descending"``."""
    if not isinstance(sort, bool) and not is_word(sort, ("descending",)):
        raise ResultError(f"sort={shown(sort)}; it must be one of {listed(_SORTS)}: by the points, from above.")
    return sort


def _headings(cells: Cells, columns: Sequence[str], asked: Any) -> str | None:
    """The column whose values stand above blocks of rows."""
    if asked is False:
        return None
    if asked is None:
        return _usual_headings(cells, columns)
    known = [str(c) for c in cells.columns if c != ""]
    if not is_word(asked, known):
        raise ResultError(
            f"headings={shown(asked)}; it must be a column of the result, one of {listed(known)}, or False for none."
            f"{close_matches(asked, known)}"
        )
    if not [c for c in columns if c != asked]:
        raise ResultError(f"headings={asked!r} leaves no label to the rows: it is all that the result varies over.")
    return str(asked)


def _usual_headings(cells: Cells, columns: Sequence[str]) -> str | None:
    """`contrast`, or else the column with the fewest values, where every value has several rows."""
    keys = cells.columns[list(columns)].drop_duplicates() if columns else cells.columns
    several = [c for c in columns if keys[c].nunique() > 1 and keys[c].value_counts().min() > 1]
    if len(columns) < 2 or not several:
        return None
    return min(several, key=lambda c: (c != "contrast", keys[c].nunique()))


def _labels(cells: Cells, columns: Sequence[str], block: str | None) -> list[str]:
    if not columns:
        return [ESTIMATE] * len(cells)
    if len(columns) == 1:
        labels = [short(v) for v in cells.columns[columns[0]]]
    else:
        labels = [", ".join(_said(cells, n, v) for n, v in zip(columns, row, strict=True) if v == v)
                  for row in cells.columns[list(columns)].itertuples(index=False)]  # fmt: skip
    if block == "term" and "contrast" in columns:
        labels = [x.replace(f"{t}: ", "", 1) for t, x in zip(cells.columns["term"], labels, strict=True)]
    return labels


def _texts(cells: Cells, block: str | None) -> list[str]:
    return [""] * len(cells) if block is None else [_said(cells, block, v) for v in cells.columns[block]]


def _said(cells: Cells, column: str, value: Any) -> str:
    return short(value) if column in _SPEAKING else f"{cells.name(column)} {short(value)}"


def _ordered(cells: Cells, blocks: Sequence[str], labels: Sequence[str], sort: Any) -> list[tuple[str, str]]:
    """Rows, block by block; sorted within the blocks, by the first of the entries that share a row."""
    first: dict[tuple[str, str], float] = {}
    for key, point in zip(zip(blocks, labels, strict=True), cells.point, strict=True):
        first.setdefault(key, float(point))
    names = list(dict.fromkeys(blocks))
    sign = -1.0 if sort == "descending" else float(bool(sort))
    return sorted(first, key=lambda key: (names.index(key[0]), *_ranked(sign * first[key])))


def _ranked(point: float) -> tuple[bool, float]:
    """What is not finite comes last."""
    return (False, point) if np.isfinite(point) else (True, 0.0)


def _placed(
    order: Sequence[tuple[str, str]], heading: float, blocks: bool
) -> tuple[dict[tuple[str, str], float], tuple[Line, ...]]:
    """Places of the rows and all lines, one below the other; a heading takes so many rows."""
    places: dict[tuple[str, str], float] = {}
    lines: list[Line] = []
    at, last = 0.0, None
    for block, label in order:
        if blocks and block != last:
            if heading:
                at += 0.3 * heading if lines else 0.0
                lines.append(Line(at - 0.5 + heading / 2, block, heading=True))
                at += heading
            last = block
        places[block, label] = at
        lines.append(Line(at, label))
        at += 1.0
    return places, tuple(lines)


def standing_out(cells: Cells, columns: Sequence[str], value: Any) -> np.ndarray:
    """Which entries stand out: (entry,) bool; all of them where nothing was asked for."""
    if value is None:
        return np.ones(len(cells), dtype=bool)
    known = [v for c in columns if c in cells.columns for v in cells.levels(c)]
    chosen = np.zeros(len(cells), dtype=bool)
    for column in (c for c in columns if c in cells.columns):
        chosen |= np.array([is_same(v, value) for v in cells.columns[column]], dtype=bool)
    if not chosen.any():
        raise ResultError(
            f"highlight={shown(value)}; it must be the value of a row: {listed(known)}.{close_matches(value, known)}"
        )
    return chosen


def furnish(
    panels: Panels, listing: Listing, cells: Cells, said: Sequence[str] = (), title: str | None = None
) -> Axes | Figure:
    """Labels, names of the axes, legend and caption of entries that are drawn."""
    scale = of_what(cells, listing.columns)
    panels.label(scale, cells.name(listing.column) if listing.column and listing.lines else "")
    for ax, _ in panels.axes:
        ax.set_ylim(listing.height - 0.5, -0.5)
        ax.set_yticks(
            [line.at for line in listing.lines],
            [line.text for line in listing.lines],
            fontsize=small_letters(panels.figure),
        )
        ax.tick_params(axis="y", length=0)
    told = "; ".join(s for s in (cells.said, *said, listing.said) if s)
    panels.caption(told, cells.left_out)
    if title is not None:
        panels.legend(title)
    if not _fit_labels(panels, listing):
        more = "too many rows for labels at this height"
        panels.caption(f"{told}; {more}" if panels.own else more, cells.left_out)
    return panels.finished()


def _fit_labels(panels: Panels, listing: Listing) -> bool:
    """Type as large as the rows are high; long labels are folded; False where it could not be read."""
    ax = panels.axes[0][0]
    if not listing.lines:
        ax.set_yticks([])
        return True
    measured(panels.figure)
    row = 72 * ax.get_window_extent().height / panels.figure.dpi / listing.height * _closest(listing)
    size = min(row / _LEADING, small_letters(panels.figure))
    if size < _SMALLEST:
        ax.set_yticks([])
        ax.set_ylabel("")
        return False
    room = _SHARE * (panels.figure.get_size_inches()[0] if panels.own else 1.5 * _width(panels, ax))
    blocks = any(line.heading for line in listing.lines)
    texts = [_folded(line, room, size, max(int(row / (_LEADING * size)), 1), blocks) for line in listing.lines]
    for first, _ in panels.axes[:: panels.columns]:
        first.set_yticks([line.at for line in listing.lines], texts, fontsize=size)
        for line, label in zip(listing.lines, first.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if line.heading else "normal")
        if blocks:
            _flush_left(panels, first)
    return True


def _width(panels: Panels, ax: Axes) -> float:
    return float(ax.get_window_extent().width / panels.figure.dpi)


def _closest(listing: Listing) -> float:
    """The least distance of two lines."""
    return float(np.diff([line.at for line in listing.lines]).min()) if len(listing.lines) > 1 else 1.0


def _folded(line: Line, room: float, size: float, folds: int, blocks: bool) -> str:
    indent = "" if line.heading or not blocks else "  "
    rows = wrapped(line.text, room, size).split("\n")
    if len(rows) > folds:
        rows = wrapped(line.text[: letters_in(room, size) * folds - 1].rstrip() + "…", room * 1.1, size).split("\n")
    return "\n".join(f"{indent}{row}" for row in rows)


def _flush_left(panels: Panels, ax: Axes) -> None:
    measured(panels.figure)
    widest = max(label.get_window_extent().width for label in ax.get_yticklabels())
    ax.tick_params(axis="y", pad=72 * widest / panels.figure.dpi + 4)
    for label in ax.get_yticklabels():
        label.set_horizontalalignment("left")
