"""Groups in strata, ``gr(g, by = trt)``: each stratum has terms of its own, whose z is 0 in all others.

So a covariance for each stratum is one covariance in blocks, and all that reads z and Sigma need not know of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import Matrix
from bayesmargins.design.members import codes_in
from bayesmargins.errors import DataError, listed

__all__ = ["Strata", "StratumMatrix", "in_strata", "strata_of", "stratum_of_groups", "worded"]


@dataclass(frozen=True)
class StratumMatrix(Matrix):
    """Columns of z that are those of the block in rows of one stratum, and 0 in all others."""

    by: str = ""  # column that says the stratum
    strata: tuple[Any, ...] = ()  # its values at the fit
    stratum: Any = None  # this one's

    @property
    def variables(self) -> frozenset[str]:  # type: ignore[override]
        """Columns of the data that they read."""
        return super().variables | {self.by}

    @property
    def bending(self) -> frozenset[str]:  # type: ignore[override]
        """Those in which they are no straight line."""
        return super().bending | {self.by}

    def evaluate(self, frame: pd.DataFrame) -> np.ndarray:
        """Values of the columns for complete rows: (row, column) float."""
        values = super().evaluate(frame)
        within = stratum_codes(frame[self.by], self.by, self.strata) == self.strata.index(self.stratum)
        return np.where(within[:, None], values, 0.0)


def stratum_codes(column: pd.Series, by: str, strata: tuple[Any, ...]) -> np.ndarray:
    """Which stratum each row is in, (row,) int; DataError for a value that the fit has not seen."""
    codes = codes_in(strata, column)
    unseen = pd.unique(column[codes < 0].dropna())
    if len(unseen):
        raise DataError(
            f"{by!r} has the value {listed(unseen.tolist())}, and the groups have a covariance for each of "
            f"{listed(strata)}: what it would be elsewhere the fit has not seen."
        )
    return codes


@dataclass(frozen=True)
class Strata:
    """Groups in strata, each of which has terms of its own."""

    by: str  # column that says the stratum
    labels: tuple[Any, ...]  # its values
    of_levels: np.ndarray = field(repr=False)  # (level,): stratum of each fitted group; empty where there are no rows
    twins: np.ndarray = field(repr=False)  # (term of the block, stratum): where the factor's terms stand

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Stratum of each row."""
        values = frame[self.by]
        return stratum_codes(values, self.by, self.labels)

    def copied(self, b: np.ndarray) -> np.ndarray:
        """b (..., level, term) of each group's own stratum in the place of all: a group keeps its b wherever it is.

        `b` may have the terms of one stratum alone.
        """
        own = np.arange(len(self.of_levels))[:, None]
        at = self.twins[:, self.of_levels].T  # (level, term of the block)
        within = b if b.shape[-1] == len(self.twins) != self.twins.size else b[..., own, at]
        out = np.empty((*b.shape[:-1], self.twins.size))
        for k, places in enumerate(self.twins):
            out[..., places] = within[..., k, None]
        return out

    def levels_of(self, term: int) -> np.ndarray:
        """Positions of the fitted groups that this term is of."""
        stratum = int(np.flatnonzero((self.twins == term).any(axis=0))[0])
        return np.flatnonzero(self.of_levels == stratum)


def in_strata(matrix: Matrix, by: str, strata: tuple[Any, ...]) -> list[StratumMatrix]:
    """The columns of a block once for each stratum."""
    return [
        StratumMatrix(
            matrix.text,
            matrix.spec,
            tuple(f"{label}:{by}[{worded(stratum)}]" for label in matrix.labels),
            matrix.context,
            matrix.constant,
            by,
            strata,
            stratum,
        )
        for stratum in strata
    ]


def worded(stratum: Any) -> str:
    """A stratum as names of terms have it."""
    return f"{stratum:g}" if isinstance(stratum, float) else str(stratum)


def strata_of(by: str, frame: pd.DataFrame) -> tuple[Any, ...]:
    """Levels of the column in their order, those without rows left out."""
    column = frame[by]
    if isinstance(column.dtype, pd.CategoricalDtype):
        seen = set(column.dropna())
        return tuple(v for v in column.cat.categories.tolist() if v in seen)
    return tuple(sorted(pd.unique(column.dropna()).tolist()))


def stratum_of_groups(
    factor: str, by: str, strata: tuple[Any, ...], levels: tuple[Any, ...], codes: np.ndarray, frame: pd.DataFrame
) -> np.ndarray:
    """Stratum of each group, (level,) int; DataError where rows of one group are in two."""
    of_rows = stratum_codes(frame[by], by, strata)
    of_levels = np.zeros(len(levels), dtype=np.intp)
    of_levels[codes] = of_rows
    apart = np.flatnonzero(of_levels[codes] != of_rows)
    if len(apart):
        group = levels[codes[apart[0]]]
        both = [strata[k] for k in sorted({int(of_levels[codes[apart[0]]]), int(of_rows[apart[0]])})]
        raise DataError(
            f"gr({factor}, by = {by}) says that each group of {factor!r} has one {by!r}, and the group {group!r} has "
            f"{listed(both)}: its effects would have two covariances. Where groups have rows of each, "
            f"(0 + {by} || {factor}) gives a group an effect for each."
        )
    return of_levels
