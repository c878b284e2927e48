"""Effects under the policies for groups: a picture, a table, and what each number is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bayesmargins.errors import BayesmarginsError
from bayesmargins.labelling import worded
from bayesmargins.plots import picture_of, plot_forest, plot_predictions
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import provenance_of
from bayesmargins.reporting.about_sampler import grid_of
from bayesmargins.reporting.drawing import drawn
from bayesmargins.reporting.effects_asked import POLICIES, Effect, Expected, Intervals
from bayesmargins.reporting.page_blocks import Block, Grid, Notice, Picture, Section, said
from bayesmargins.reporting.wording import counted, listing, signed, under_policy
from bayesmargins.tables import describe, table
from bayesmargins.tables.table_frames import written_parts

__all__ = ["effects_section"]

_TALLEST = 60  # rows of a picture that is still read
_PANEL = (3.1, 2.9)  # inches


def effects_section(post: Posterior, effects: list[Effect], how: Intervals) -> Section:
    """Each effect with its numbers under every policy."""
    within = tuple(
        Section(effect.title, f"effect-{k}", tuple(_blocks(post, effect, how))) for k, effect in enumerate(effects, 1)
    )
    return Section("Effects", "effects", tuple(_policies(post, effects)), within)


def _policies(post: Posterior, effects: list[Effect]) -> Iterator[Block]:
    """What the columns of the tables are, once."""
    used = {words for effect in effects if effect.computed for words in effect.results}
    meaning = {
        POLICIES["new"]: "integrates over the distribution of the groups' effects, and is what to expect on average in "
        "groups that are not in the data",
        POLICIES["existing"]: "averages over the groups of the data, each counted once, with its own effects",
        POLICIES["zero"]: "is one group whose effects are 0, in the middle of the distribution; it is not an average",
    }
    told = [f"“{words}” {text}" for words, text in meaning.items() if words in used]
    if told:
        yield said(f"The same effect has an answer for each thing that can be done with groups. {'; '.join(told)}.")
    if used and post.design.factors and POLICIES["zero"] not in used:
        yield said("Under this link the group in the middle gives the same numbers as the average over new groups.")


def _blocks(post: Posterior, effect: Effect, how: Intervals) -> Iterator[Block]:
    yield from _picture(effect, how)
    yield _table(effect, how)
    for words, why in effect.failed.items():
        yield Notice((f"{under_policy(post, words)} there is no answer: {why}",))
    for expected in effect.expected:
        yield from _expected(post, expected, how)


def _table(effect: Effect, how: Intervals) -> Grid:
    """A row an entry and policy; the note is that of the policies side by side."""
    parts = {words: written_parts(table(numbers)) for words, numbers in effect.summaries.items()}
    header, _, k, *_ = next(iter(parts.values()))
    if len(parts) == 1:
        return grid_of(table(next(iter(effect.summaries.values()))))
    entries = zip(*([(words, row) for row in of[1]] for words, of in parts.items()), strict=True)
    rows = [[*row[:k], words, *row[k:]] for entry in entries for words, row in entry]
    columns = [*map(list, zip(*rows, strict=True))]
    header = [*(name or "entry" for name in header[:k]), "groups", *header[k:]]
    columns[k + 1 :] = [[signed(cell) for cell in column] for column in columns[k + 1 :]]
    if effect.variable is not None and header[0] == "term" and len(set(columns[0])) == 1:  # the heading says it
        header, columns, k = header[1:], columns[1:], k - 1
    *_, note, caption = written_parts(table(effect.results, **how.asked))
    return Grid(caption, header, [*zip(*columns, strict=True)], k + 1, note)


def _picture(effect: Effect, how: Intervals) -> Iterator[Block]:
    ds = next(iter(effect.results.values()))
    entries = int(np.prod([n for d, n in ds.sizes.items() if d not in ("chain", "draw")]))
    single = len(effect.results) == 1
    if not single and entries > _TALLEST:
        return
    try:
        svg = drawn(lambda: picture_of(ds)(ds, **how.asked) if single else plot_forest(effect.results, **how.asked))
    except BayesmarginsError:  # a result that no picture shows: its table does
        return
    of = next(iter(effect.summaries.values())).attrs.get("noun", "estimate")
    names = "" if single else f", for {listing(list(effect.results))}"
    alt = (
        f"Picture of the {of}, {counted(entries, 'entry', 'entries')} with intervals{names}; the table has the numbers."
    )
    clause = describe(ds, short=True) if single else of
    yield Picture(svg, alt, f"{effect.title}: {clause}; point estimates and intervals{names}.")


def _expected(post: Posterior, expected: Expected, how: Intervals) -> Iterator[Block]:
    """Averages at each value: curves, a panel a policy, or a table of levels."""
    name = worded(expected.variable, post.design.labels)
    if not expected.curved:
        noun = provenance_of(next(iter(expected.results.values()))).scale or "estimate"
        caption = f"Average {noun} with {name} set to each level on all rows"
        yield grid_of(table(expected.results, **how.asked), caption)
        return
    try:
        svg = drawn(lambda: _panels(expected, how))
    except BayesmarginsError:
        return
    first = next(iter(expected.results.values()))
    what = f"Average {provenance_of(first).scale or 'estimate'} with {name} set to each value on all rows"
    if "category" in first.dims:
        shown = f"{what}, {next(iter(expected.results))}: the categories above each other"
        yield Picture(svg, f"Picture. {shown}.", f"{shown}.")
        return
    panels = listing(list(expected.results))
    alt = f"Curves with bands. {what}; {counted(len(expected.results), 'panel')}: {panels}. {_ends(expected)}"
    yield Picture(svg, alt, f"{what}, with intervals.")


def _panels(expected: Expected, how: Intervals) -> Any:
    import matplotlib.pyplot as plt

    n = len(expected.results)
    if "category" in next(iter(expected.results.values())).dims:
        ds = next(iter(expected.results.values()))
        return picture_of(ds)(ds, **how.asked)
    figure, axes = plt.subplots(
        1, n, figsize=(_PANEL[0] * n, _PANEL[1]), sharey=True, squeeze=False, layout="constrained"
    )
    for k, (ax, (words, ds)) in enumerate(zip(axes[0], expected.results.items(), strict=True)):
        plot_predictions(ds, x=expected.variable, ax=ax, **how.asked)
        ax.set_title(words)
        if k:
            ax.set_ylabel("")
    return figure


def _ends(expected: Expected) -> str:
    """The medians at both ends, a policy."""
    said = []
    for words, ds in expected.results.items():
        first, last = (float(ds["estimate"].isel({expected.variable: k}).median()) for k in (0, -1))
        said.append(f"{words} from {first:.3g} to {last:.3g}")
    return f"Medians: {'; '.join(said)}."
