"""Effects under the policies for groups: a picture, a table, and what each number is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bayesmargins.errors import BayesmarginsError
from bayesmargins.labelling import worded
from bayesmargins.plots import picture_of, plot_forest, plot_predictions
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.about_sampler import grid_of
from bayesmargins.reporting.asked import POLICIES, Effect, Expected, Intervals
from bayesmargins.reporting.blocks import Block, Notice, Picture, Section, said
from bayesmargins.reporting.drawing import drawn
from bayesmargins.reporting.wording import under_policy
from bayesmargins.tables import describe, table

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
    yield _table(effect)
    for words, why in effect.failed.items():
        yield Notice((f"{under_policy(post, words)} there is no answer: {why}",))
    for expected in effect.expected:
        yield from _expected(post, expected, how)


def _table(effect: Effect) -> Block:
    if len(effect.results) == 1:
        return grid_of(table(next(iter(effect.summaries.values()))))
    null = 0.0 if any(str(c).startswith("p_gt_") for s in effect.summaries.values() for c in s.columns) else None
    return grid_of(side_by_side(effect, null))


def side_by_side(effect: Effect, null: float | None) -> Any:
    """The policies as columns of one table."""
    first = next(iter(effect.summaries.values()))
    interval = [str(c) for c in first.columns if str(c).endswith("_lb")]
    return table(effect.results, null=null, **_asked(interval))


def _asked(limits: list[str]) -> dict[str, Any]:
    """The intervals that a summary has, as keywords."""
    kinds = {name[:3] for name in limits}
    return {"ci_prob": [float(name[3:-3]) / 100 for name in limits], "ci_kind": kinds.pop()} if limits else {}


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
    names = "" if single else f" for {', '.join(effect.results)}, one colour each"
    alt = f"Picture of the {of}, {entries} entries with their intervals{names}. The table beneath has the numbers."
    yield Picture(svg, alt, f"{effect.title}: {of}, point estimates and intervals{names}.")


def _expected(post: Posterior, expected: Expected, how: Intervals) -> Iterator[Block]:
    """Averages at each value: curves, a panel a policy, or a table of levels."""
    name = worded(expected.variable, post.design.labels)
    if not expected.curved:
        yield grid_of(table(expected.results, **how.asked), f"Averages with {name} set to each level on all rows")
        return
    try:
        svg = drawn(lambda: _panels(expected, how))
    except BayesmarginsError:
        return
    first = next(iter(expected.results.values()))
    noun = str(first.attrs.get("scale", "estimate"))
    alt = (
        f"Curves of the average {noun} over {name} with bands, {len(expected.results)} panels: "
        f"{', '.join(expected.results)}. {_ends(expected)}"
    )
    yield Picture(svg, alt, f"Average {noun} with {name} set to each value on all rows, with intervals.")
    yield said(describe(first))


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
        if "category" in ds.dims:
            return ""
        first, last = (float(ds["estimate"].isel({expected.variable: k}).median()) for k in (0, -1))
        said.append(f"{words} from {first:.3g} to {last:.3g}")
    return f"Medians: {'; '.join(said)}."
