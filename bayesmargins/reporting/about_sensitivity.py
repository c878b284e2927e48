"""Whether the priors move the effects."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bayesmargins.errors import BayesmarginsError
from bayesmargins.labelling import index_for_readers
from bayesmargins.plots import plot_sensitivity
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.drawing import drawn
from bayesmargins.reporting.effects_asked import Effect
from bayesmargins.reporting.page_blocks import Block, Grid, Picture, Section, said
from bayesmargins.tables.cells import labels
from bayesmargins.validation import sensitivity

__all__ = ["Moved", "sensitivities_of", "sensitivity_section"]

Moved = dict[str, pd.DataFrame | str]
"""By the title of an effect: its table, or why there is none."""


def sensitivities_of(post: Posterior, effects: list[Effect]) -> Moved:
    """Of each effect under its first policy, once."""
    found: Moved = {}
    if post.origin is None:
        return found
    for effect in effects:
        try:
            found[effect.title] = sensitivity(next(iter(effect.results.values())), post)
        except BayesmarginsError as error:
            found[effect.title] = str(error)
    return found


def sensitivity_section(moved: Moved) -> Section:
    """A table an effect."""
    return Section("Sensitivity", "sensitivity", tuple(_blocks(moved)))


def _blocks(moved: Moved) -> Iterator[Block]:
    if not moved:
        yield said(
            "Not looked at: it takes the priors, and draws from other software, or from a file, come without them."
        )
        return
    yield said(
        "Each effect was computed again from the same draws, weighed as if the prior, or the likelihood, were a little "
        "stronger or weaker (power-scaling). Numbers are how far its distribution moves; from 0.05 on that is worth a "
        "look."
    )
    for title, table in moved.items():
        if isinstance(table, str):
            yield said(f"{title}: not looked at. {table}")
            continue
        yield from _picture(title, table)
        yield _grid(title, table)


def _picture(title: str, table: pd.DataFrame) -> Iterator[Block]:
    try:
        svg = drawn(lambda: plot_sensitivity(table))
    except BayesmarginsError:
        return
    alt = f"Picture of how far prior and likelihood move the entries of {title}. The table beneath has the numbers."
    yield Picture(svg, alt, f"{title}: how far prior and likelihood move it.")


def _grid(title: str, table: pd.DataFrame) -> Grid:
    index = index_for_readers(table.index, table)
    of = labels(index)
    names = [str(name or "entry") for name in index.names]
    rows = [
        [*label, *(value if isinstance(value, str) else f"{value:.3f}" for value in row)]
        for label, row in zip(of, table.to_numpy(dtype=object), strict=True)
    ]
    caption = f"{title}: how far prior and likelihood move it"
    return Grid(caption, [*names, *map(str, table.columns)], rows, len(names), str(table.attrs.get("said", "")))
