"""Which column of a result is x, which is told apart by colour, and which has panels of its own.

The number with the most values is x; where no column is a number, that with the most levels (contrasts last). Of the
columns that are left the first one is colour, the next one panels beside each other, the last one panels below each
other; columns with many levels come last. What is named is as named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.errors import ResultError, close_matches, listed, shown
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.plots.styles import MANY
from bayesmargins.values import is_word, value_list

__all__ = ["Placement", "place"]

_WORDS = ("contrast", "category", "groups", "statistic")  # columns that say what an entry is, not where it is
_PLACES = 4


@dataclass(frozen=True)
class Placement:
    """Where the columns of a result are shown."""

    x: str  # along the axis
    colour: str | None = None  # one curve, or one set of points, a value
    across: str | None = None  # one panel a value, beside and below each other
    down: str | None = None  # one panel a value, beside and below each other
    joined: bool = True  # whether one entry stands at each x of a curve, so that a line may join them

    @property
    def columns(self) -> list[str]:
        """All that are shown."""
        return [c for c in (self.x, self.colour, self.across, self.down) if c is not None]


def place(cells: Cells, x: Any, colour: Any, facet: Any) -> Placement:
    """Every column that varies has one place."""
    across, down = _facets(facet)
    given = [c for c in (x, colour, across, down) if c is not None]
    _check(cells, given)
    rows = "row" in cells.varies
    free = [c for c in cells.varies if c not in given and c != "row"]
    if rows and x is None:
        raise ResultError(
            f"The result has {len(cells)} rows of data, and a picture needs to know what runs along its axis: name it, "
            f"x={_first_number(cells)!r}. Averages are of avg_predictions(post, at=...); plot_forest takes any result."
        )
    if len(given) + len(free) > _PLACES:
        raise ResultError(_too_many(cells))
    if not given and not free:
        raise ResultError("The result is one number, and a curve needs something to run over. plot_forest draws it.")
    if x is None and not free:
        raise ResultError(f"{shown(given[0])} is all that the result varies over: name it as x, x={given[0]!r}.")
    if x is None:
        x = max(free, key=lambda c: _rank(cells, c))
        free.remove(x)
    free.sort(key=lambda c: cells.columns[c].nunique() > MANY)  # a stable sort: otherwise in the order of the result
    colour, across, down = (c if c is not None else (free.pop(0) if free else None) for c in (colour, across, down))
    names = [c for c in (x, colour, across, down) if c is not None]
    return Placement(x, colour, across, down, joined=not cells.columns.duplicated(names).any())


def _rank(cells: Cells, column: str) -> tuple[bool, bool, int]:
    return column in cells.numbers, column not in _WORDS, int(cells.columns[column].nunique())


def _facets(facet: Any) -> tuple[str | None, str | None]:
    """The column of panels beside each other, and that of panels below each other."""
    names = [facet] if facet is None or isinstance(facet, str) else value_list(facet)
    if names is None or not 0 < len(names) <= 2:
        raise ResultError(
            f"facet={shown(facet)}; it is one column, or two: ('severity', 'sex') has a column of panels for each "
            "severity and a row for each sex."
        )
    return names[0], names[1] if len(names) == 2 else None


def _check(cells: Cells, given: list[str]) -> None:
    names = [str(c) for c in cells.columns]
    for name in given:
        if not is_word(name, names):
            raise ResultError(f"The result has no {shown(name)}; it has {listed(names)}.{close_matches(name, names)}")
    twice = [n for n in given if given.count(n) > 1]
    if twice:
        raise ResultError(f"{twice[0]!r} was given two places; each column has one.")


def _first_number(cells: Cells) -> str:
    varying = [str(c) for c in cells.columns if c in cells.numbers and cells.columns[c].nunique() > 1]
    return max(varying, key=lambda c: cells.columns[c].nunique(), default=str(cells.columns.columns[-1]))


def _too_many(cells: Cells) -> str:
    kept = sorted(cells.varies, key=lambda c: _rank(cells, c), reverse=True)
    selected = ", ".join(f"{c}={_plain(cells.columns[c].iloc[0])!r}" for c in kept[_PLACES:])
    return (
        f"The result varies over {listed(cells.varies)}, and a picture has {_PLACES} places (x, colour, two of panels)."
        f" Average or select the others first, such as ds.sel({selected}), or name fewer in at= and by=."
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
