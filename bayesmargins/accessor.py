"""The accessor `ds.margins`: the reporting functions on any result, reloaded or derived."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins import hypothesis, plots, tables
from bayesmargins.errors import ResultError
from bayesmargins.explained import REPORT, explained
from bayesmargins.habits import taught
from bayesmargins.schema import ESTIMATE, check_result

__all__ = ["Margins"]

_MOST = 200  # entries that are summarised to be looked at


@xr.register_dataset_accessor("margins")
@xr.register_datatree_accessor("margins")
class Margins:
    """Which reports can be made of this result?

    Parameters
    ----------
    ds : Dataset or DataTree
        A result of this package, or a tree that holds one (``az.from_netcdf``).
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def __repr__(self) -> str:
        try:
            ds = check_result(self._ds)
        except ResultError as error:
            return str(error)
        return f"{textwrap.fill(tables.describe(ds), 100, break_on_hyphens=False)}\n\n{_table(ds, to='string')}"

    def _repr_html_(self) -> str:
        try:
            ds = check_result(self._ds)
        except ResultError as error:
            return f"<p>{html.escape(str(error))}</p>"
        said = tables.describe(ds)
        picture = plots.inline(ds, said) if 0 < ds[ESTIMATE][{"chain": 0, "draw": 0}].size <= _MOST else ""
        return f"<p>{html.escape(said)}</p>\n{_table(ds, to='html')}\n{picture}"

    @taught
    @explained(REPORT)
    def summary(
        self,
        point: str = "median",
        ci_prob: float | Sequence[float] | None = None,
        ci_kind: str | None = None,
        null: float | None = None,
        rope: Sequence[float] | None = None,
        diagnostics: bool = False,
    ) -> pd.DataFrame:
        """What do the draws say, in one table? As `bayesmargins.summary` of it."""
        return tables.summary(self._ds, point, ci_prob, ci_kind, null, rope, diagnostics)

    @taught
    def hypotheses(
        self, spec: Any = "pairwise", along: str | None = None, *, comparison: str = "difference"
    ) -> xr.Dataset:
        """How do the entries of this result differ from each other, within each draw?

        Parameters
        ----------
        spec : str, list of str, array_like, callable or dict
            What is compared: ``"pairwise"``, the default, ``"reference"``, ``"sequential"`` and the other names, text
            such as ``"b2 - b1"``, weights, or a function, all that `bayesmargins.hypotheses` takes.
        along : str, optional
            Dimension of the entries; where one alone has more than one entry, that one.
        comparison : {"difference", "ratio", "lift", "lnratio"}
            Of the two sides of a named contrast: their difference, the default, ratio, relative change or log ratio.
        """
        return hypothesis.hypotheses(self._ds, spec, along, comparison=comparison)

    @taught
    @explained(REPORT)
    def table(
        self,
        point: str = "median",
        ci_prob: float | Sequence[float] | None = None,
        ci_kind: str | None = None,
        null: float | None = None,
        rope: Sequence[float] | None = None,
        digits: int | None = None,
        diagnostics: bool = False,
    ) -> pd.DataFrame:
        """How does this result read in a report? As `bayesmargins.table` of it."""
        return tables.table(self._ds, point, ci_prob, ci_kind, null, rope, digits, diagnostics)

    def describe(self, short: bool = False) -> str:
        """What are these numbers, in one sentence? As `bayesmargins.describe` of it.

        Parameters
        ----------
        short : bool
            False, the default: the full sentence. True: a clause for captions.
        """
        return tables.describe(self._ds, short)

    def to_frame(self) -> pd.DataFrame:
        """Draws as a tidy table: one row a draw, with what varies as columns."""
        return tables.to_frame(self._ds)

    def to_idata(self) -> Any:
        """The result for ArviZ, its entries labelled by what tells them apart.

        Returns
        -------
        InferenceData (ArviZ 0.23) or DataTree (1.x)
            With the group ``posterior``, or ``prior`` where the draws are those. Rows, averages by several columns and
            contrasts of several terms have text in place of numbers, such as ``placebo, week 2``. All functions of this
            package take it too.

        Raises
        ------
        ResultError
            No result of this package.
        """
        return tables.to_idata(self._ds)

    def plot(self, **options: Any) -> Any:
        """The picture that fits this result: curves, points, a forest, or what its kind has.

        Parameters
        ----------
        **options
            Arguments of the picture's own function, such as ``ax`` or ``figsize``; the error about an unknown one names
            the function and lists them.

        Raises
        ------
        EstimandError
            An option that the picture does not take.
        ResultError
            As for that function.
        """
        return plots.picture_of(self._ds)(self._ds, **options)


def _table(ds: xr.Dataset, to: str) -> str:
    """The table of a result to look at; of many entries where to find it."""
    size = ds[ESTIMATE][{"chain": 0, "draw": 0}].size
    if not 0 < size <= _MOST:
        text = f"{size:,} entries: .summary() and .table() have them all."
        return text if to == "string" else f"<p>{text}</p>"
    frame = pd.DataFrame(tables.table(ds))
    frame.columns.name = tables.scale_of(ds)
    return str(frame.to_string(max_rows=20) if to == "string" else frame.to_html(max_rows=20))
