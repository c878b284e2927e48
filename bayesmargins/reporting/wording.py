"""Numbers of a summary in sentences: the same cells as in the tables, never typed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bayesmargins.estimands.sentence import factors_worded
from bayesmargins.labelling import index_for_readers, joined
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.effects_asked import POLICIES, Effect
from bayesmargins.tables.cells import cells, labels
from bayesmargins.tables.notes import legend

__all__ = ["counted", "interval_words", "listing", "results_of", "signed", "under_policy"]

_CELL = re.compile(r"(\S+) \[(\S+), (\S+)\]")
_MINUS = re.compile(r"(?<![\w)\]])-(?=\d)")
_POINT = re.compile(r"(\w+) \[(\S+%) (ETI|HDI)\]")
_FIRST = 6  # entries that a sentence takes; the table has all


def signed(text: str) -> str:
    """A hyphen before a number is its sign."""
    return _MINUS.sub("−", text)


def counted(n: int, one: str, many: str = "") -> str:
    """``1 row``, ``1,908 rows``."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def listing(texts: Sequence[str]) -> str:
    """``a, b and c``."""
    return joined(texts)


def under_policy(post: Posterior, words: str) -> str:
    """What is done with groups, as a sentence begins with it."""
    of = factors_worded(post.design.factors, post.design)
    return {
        POLICIES["new"]: f"On average over new groups of {of}",
        POLICIES["existing"]: f"Averaged over the fitted groups of {of}",
        POLICIES["zero"]: f"At b = 0, a group in the middle of the distribution of {of} and no average",
    }.get(words, "Averaged over the rows")


def interval_words(summary: pd.DataFrame) -> str:
    """``posterior medians and 89% equal-tailed intervals``, as the legend of the table says it."""
    found = legend(summary)
    return found[0].rstrip(".") if found else "Numbers as in the tables"


def results_of(post: Posterior, effect: Effect, words: str) -> str:
    """One sentence with the numbers of a result; empty where its cells are no point with one interval."""
    numbers = effect.summaries[words]
    entries = list(_entries(numbers))
    if not entries:
        return ""
    noun = str(numbers.attrs.get("noun", numbers.columns.name))
    of = f"{noun} of {post.response_words}" if effect.computed else noun
    lead = f"{under_policy(post, words)}, the" if effect.computed else "The"
    shown = entries if len(entries) <= _FIRST + 1 else entries[:_FIRST]
    rest = len(entries) - len(shown)
    more = f"; the table has {rest:,} more" if rest else ""
    return f"{lead} {of} was {'; '.join(shown)}{more}."


def _entries(summary: pd.DataFrame) -> Iterator[str]:
    """``−0.036 (89% interval −0.091 to 0.019) for treatment, terbinafine - itraconazole``."""
    text = cells(summary)
    first = _POINT.fullmatch(str(text.columns[0]))
    if first is None:
        return
    above = next((c for c in text.columns if str(c).startswith("P(> ")), None)
    index = index_for_readers(summary.index, summary)
    names = [str(name or "") for name in index.names]
    for label, cell, chance in zip(
        labels(index), text.iloc[:, 0], [None] * len(text) if above is None else text[above], strict=True
    ):
        found = _CELL.fullmatch(str(cell).strip())
        if found is None:
            return
        of = _label(names, label)
        yield signed(
            f"{found[1]} ({first[2]} interval {found[2]} to {found[3]}{_chance(chance, str(above)[4:-1])})"
            f"{f' for {of}' if of else ''}"
        )


def _chance(chance: Any, null: str) -> str:
    if chance is None or chance == "NaN":
        return ""
    return f"; share of draws above {null}: {chance}"


def _label(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels of an entry: ``drug - placebo (trt)``, ``week +1``, ``drug - placebo (trt), category good``."""
    found = {name: value for name, value in zip(names, values, strict=True) if value != "estimate"}
    term, contrast = found.pop("term", ""), found.pop("contrast", "")
    first = f"{contrast} ({term})" if contrast and term and term not in contrast else contrast or term
    return ", ".join(filter(None, [first, *(f"{name} {value}".strip() for name, value in found.items())]))
