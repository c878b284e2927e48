"""Text in pictures that stays inside them: wrapped to the room there is, tick labels turned, names spread apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "by_clauses",
    "fit_ticks",
    "letters",
    "letters_in",
    "literal",
    "measured",
    "short",
    "small_letters",
    "spread_apart",
    "thin_numbers",
    "wrapped",
]

_WIDTH_OF_A_LETTER = 0.52  # of its height, on average
_COLUMN = 4.5  # inches; narrower figures have smaller letters


def wrapped(text: str, inches: float, points: float) -> str:
    """Text folded into lines of so many inches, at a size in points."""
    room = max(letters_in(inches, points), 8)
    return "\n".join(textwrap.fill(line, room, break_on_hyphens=False) for line in text.split("\n"))


def by_clauses(text: str, inches: float, points: float) -> str:
    """The same, where clauses end with a semicolon: no line breaks within one that fits into a line."""
    return "\n".join(_clauses_of(line, inches, points) for line in text.split("\n"))


def _clauses_of(line: str, inches: float, points: float) -> str:
    first, *rest = line.split("; ")
    folded = wrapped(first, inches, points)
    for clause in rest:
        last = folded.split("\n")[-1]
        fits = len(f"{last}; {clause}") <= letters_in(inches, points)
        folded = f"{folded}; {clause}" if fits else f"{folded};\n{wrapped(clause, inches, points)}"
    return folded


def letters_in(inches: float, points: float) -> int:
    """How many letters of a size stand in a line."""
    return int(72 * inches / (points * _WIDTH_OF_A_LETTER))


def letters(figure: Figure) -> float:
    """Size of letters in points: matplotlib's setting, four fifths of it in a figure as narrow as a column."""
    from matplotlib import rcParams

    return float(rcParams["font.size"]) * (0.8 if figure.get_size_inches()[0] < _COLUMN else 1.0)


def small_letters(figure: Figure) -> float:
    """Of legends and captions."""
    return 0.83 * letters(figure)


def literal(text: str) -> str:
    """Text that matplotlib takes letter by letter: a dollar begins no formula, and a first underscore hides nothing."""
    text = text.replace("\\$", "$").replace("$", "\\$")
    return f"\u00a0{text}" if text.startswith("_") else text


def short(value: Any) -> str:
    """A label: numbers with three digits, or all those before the point; text letter by letter."""
    if not isinstance(value, float):
        return literal(str(value))
    return f"{value:.12g}" if value == round(value, 2) else f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def measured(fig: Figure) -> None:
    """Lay the figure out, so that what is in it has a size."""
    fig.draw_without_rendering()


def fit_ticks(fig: Figure, axes: Sequence[Axes]) -> None:
    """Fold the labels of levels where they would overlap, or turn them; in all panels alike."""
    size = letters(fig)
    for turn in (None, 0, 35, 90):
        if turn == 0:
            for ax in axes:
                slot = ax.get_window_extent().width / fig.dpi / max(len(ax.get_xticks()), 1)
                ax.set_xticks(ax.get_xticks(), [wrapped(t.get_text(), slot, size) for t in ax.get_xticklabels()])
        elif turn:
            for ax in axes:
                ax.tick_params(axis="x", labelrotation=turn)
                ax.set_xticks(ax.get_xticks(), [t.get_text().replace("\n", " ") for t in ax.get_xticklabels()])
                for label in ax.get_xticklabels():
                    label.set(ha="right" if turn < 90 else "center", rotation_mode="anchor" if turn < 90 else "default")
        measured(fig)
        if turn == 90 or not any(_overlap(fig, ax, turn or 0) for ax in axes):
            return


def thin_numbers(axes: Sequence[Axes]) -> None:
    """Of the numbers along x every second, third, ... where they would touch; 1 and 0 stay. The figure is laid out."""
    for ax in axes:
        low, high = sorted(ax.get_xlim())
        ticks = [t for t in ax.xaxis.get_major_ticks() if t.label1.get_visible() and t.label1.get_text()]
        marks = [t for t in ticks if low <= t.get_loc() <= high]
        places, boxes = [float(t.get_loc()) for t in marks], [t.label1.get_window_extent() for t in marks]
        first = next((places.index(v) for v in (0.0, 1.0) if v in places), 0)
        for step in range(1, len(places)):
            kept = range(first % step, len(places), step)
            if not any(boxes[p].x1 + 4 > boxes[q].x0 for p, q in pairwise(kept)):
                if step > 1:
                    ax.set_xticks([places[k] for k in kept])
                break


def _overlap(fig: Figure, ax: Axes, turn: float) -> bool:
    boxes = [t.get_window_extent() for t in ax.get_xticklabels() if t.get_visible() and t.get_text()]
    if turn:  # parallel strips: only their distance counts
        height = 1.25 * letters(fig) * fig.dpi / 72
        places = [b.x1 for b in boxes]
        return any(abs(q - p) * np.sin(np.deg2rad(turn)) < height for p, q in pairwise(places))
    return any(p.x1 + 2 > q.x0 for p, q in pairwise(boxes))


def spread_apart(places: np.ndarray, gap: float, low: float, high: float) -> np.ndarray | None:
    """Places at least a gap apart, in the same order and near where they were; None where there is no room."""
    if gap * (len(places) - 1) > high - low:
        return None
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    # The least squares answer is the isotonic regression of what is left when the gaps are taken out.
    from scipy.optimize import isotonic_regression

    moved = np.clip(isotonic_regression(places[order] - steps).x, low, high - steps[-1]) + steps
    out = np.empty(len(places))
    out[order] = moved
    return out
