"""Rows that belong to several groups of one factor, ``mm(g1, g2, weights = cbind(w1, w2))``.

eta has the sum over members of weight times z'b. A row has one look-up a member, with z times its weight. Over new
groups that sum has the variance c^2 z' Sigma z, with c^2 the sum over different groups of the square of their weights'
sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, listed

__all__ = ["Members", "codes_in"]


@dataclass(frozen=True)
class Members:
    """What says which groups a row belongs to, and by how much."""

    columns: tuple[str, ...]  # a column of names for each member
    weights: tuple[str, ...]  # a column of weights for each; all count the same where there are none
    scaled: bool  # whether the weights of a row are divided by their sum
    codes: np.ndarray  # (row, member): groups of the fitted rows
    shares: np.ndarray  # (row, member): their weights, divided by c

    @property
    def said(self) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """What the formula says of them: columns of names, of weights, and whether these are divided by their sum."""
        return self.columns, self.weights, self.scaled

    def take(self, rows: np.ndarray) -> Members:
        """The same for some of the fitted rows."""
        return replace(self, codes=self.codes[rows], shares=self.shares[rows])

    def of_rows(self, frame: pd.DataFrame, what: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights (row, member), and c (row,); NaN where something is missing.

        Without the columns of names each member is another group.
        """
        W = np.ones((len(frame), len(self.columns)))
        for k, name in enumerate(self.weights):
            try:
                W[:, k] = pd.to_numeric(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError):
                raise DataError(f"The weights {name!r} of mm() are no numbers in {what}.") from None
        W = self._scaled(W, what)
        if not all(name in frame.columns for name in self.columns):
            return W, np.sqrt((W**2).sum(axis=1))
        names = np.column_stack([_texts(frame[name]) for name in self.columns])
        same = names[:, :, None] == names[:, None, :]
        c = np.sqrt(np.einsum("rm,rmk,rk->r", W, same, W))
        return W, np.where(pd.isna(frame[list(self.columns)]).any(axis=1).to_numpy(), np.nan, c)

    def _scaled(self, W: np.ndarray, what: str) -> np.ndarray:
        if not self.scaled:
            return W
        total = W.sum(axis=1)
        bad = ~np.isnan(total) & ((total <= 0.0) | (W < 0.0).any(axis=1))
        if bad.any():
            raise DataError(
                f"The weights {listed(self.weights)} of mm() are negative, or add up to 0, in {int(bad.sum())} rows of "
                f"{what}, the first being row {int(np.flatnonzero(bad)[0])}: they are divided by their sum. With "
                "scale = FALSE they count as they are."
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(W / total[:, None])

    def with_codes(self, levels: tuple[Any, ...], frame: pd.DataFrame) -> Members:
        """Those of the fit."""
        codes = np.column_stack([codes_in(levels, frame[name]) for name in self.columns])
        W, c = self.of_rows(frame, "data")
        return replace(self, codes=codes, shares=W / np.where(c > 0.0, c, 1.0)[:, None])


def codes_in(levels: tuple[Any, ...], column: pd.Series) -> np.ndarray:
    """Position of each label among the levels; -1 where it is none."""
    return pd.Index(levels, dtype=object).get_indexer(pd.Index(column.astype(object)))


def _texts(column: pd.Series) -> np.ndarray:
    return column.astype(object).map(lambda v: v if isinstance(v, str) else repr(v)).to_numpy()
