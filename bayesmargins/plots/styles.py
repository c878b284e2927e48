"""Colours, lines and markers: the k-th curve is told apart with any colour vision, and in grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["COLOURS", "GREY", "MANY", "PALE", "Style", "style_of", "thin"]

# Okabe & Ito (2008), without the yellow that white paper swallows; in turn dark and light, for grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#8C510A", "#E69F00")
GREY = "0.45"
PALE = "0.72"  # of what stands beside a highlight, also in grey print
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (1, 1.2)),
    (0, (6, 2, 1, 2)),
    (0, (3, 1.5)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (10, 2, 3, 2)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

MANY = 8
"""More curves than that have no colour of their own."""


@dataclass(frozen=True)
class Style:
    """How one curve, or one set of points, looks."""

    colour: str = COLOURS[0]  # of the line, its band and its markers
    line: Any = "-"  # dashes, as matplotlib takes them
    marker: str = "o"  # of points
    width: float = 1.6  # of the line, points
    alpha: float = 1.0  # of the line


def style_of(k: int) -> Style:
    """The style of the k-th of up to `MANY`."""
    k %= MANY
    return Style(COLOURS[k], _DASHES[k], _MARKERS[k])


def thin(highlighted: bool = False) -> Style:
    """The style of one among many curves."""
    return Style(width=2.2) if highlighted else Style(GREY, width=0.7, alpha=0.6)
