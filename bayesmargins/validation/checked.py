"""What `check` gives: a table, findings in words, and the draws that its picture shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import xarray as xr

from bayesmargins.displays import as_html, folded

__all__ = ["Check"]


@dataclass(frozen=True, eq=False)
class Check:
    """Observed rows against those that the model would have observed, from `bayesmargins.check`.

    Attributes
    ----------
    table : DataFrame
        A row a statistic: ``observed``, the median ``predicted`` with its central 95 % from ``lower`` to ``upper``,
        ``p``, and ``finding``, whether p is so small that it is one. ``groups`` says of which groups the replicates
        are, ``about`` where it stands out most.
    findings : list of str
        What does not fit, what it means and what to try, the most telling first; empty where nothing was found.
    sentences : str
        What is printed.
    dataset : Dataset
        Observed numbers and replicates, with dims chain and draw, by value, predictor and group.
    """

    table: pd.DataFrame
    findings: list[str]
    sentences: str
    dataset: xr.Dataset = field(repr=False)

    def __str__(self) -> str:
        return folded(self.sentences)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, *others = self.sentences.splitlines()
        shown = self.table.round(3).to_html(index=False, border=0)
        return f"{as_html(chr(10).join([first, *(line.removeprefix('- ') for line in others)]))}\n{shown}"
