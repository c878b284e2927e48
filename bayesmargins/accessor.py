"""The accessor `ds.margins`: the reporting functions on any result, reloaded or derived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins import contrasts, plots, tables
from bayesmargins.habits import taught

__all__ = ["Margins"]


@xr.register_dataset_accessor("margins")
class Margins:
    """Which reports can be made of this result?

    Parameters
    ----------
    ds : Dataset
        A result of this package.

    Raises
    ------
    Nothing
        Until a report is asked for.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    @taught
    def summary(
        self,
        point: str = "median",
        ci_prob: float | Sequence[float] | None = None,
        ci_kind: str | None = None,
        null: float | None = None,
        rope: Sequence[float] | None = None,
        diagnostics: bool = False,
    ) -> pd.DataFrame:
        """See `bayesmargins.summary`."""
        return tables.summary(self._ds, point, ci_prob, ci_kind, null, rope, diagnostics)

    @taught
    def hypotheses(
        self, spec: Any = "pairwise", along: str | None = None, *, comparison: str = "difference"
    ) -> xr.Dataset:
        """See `bayesmargins.hypotheses`."""
        return contrasts.hypotheses(self._ds, spec, along, comparison=comparison)

    @taught
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
        """See `bayesmargins.table`."""
        return tables.table(self._ds, point, ci_prob, ci_kind, null, rope, digits, diagnostics)

    def describe(self) -> str:
        """See `bayesmargins.describe`."""
        return tables.describe(self._ds)

    def to_frame(self) -> pd.DataFrame:
        """Draws as a tidy table: one row a draw, with what varies as columns."""
        return tables.to_frame(self._ds)

    def plot(self, **options: Any) -> Any:
        """The picture that fits this result: curves, points, a forest, or what its kind has.

        Raises
        ------
        EstimandError
            An option that the picture does not take.
        ResultError
            As for the two functions.
        """
        return plots.picture_of(self._ds)(self._ds, **options)
