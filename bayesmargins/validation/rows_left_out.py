"""Leave one row out: its Pareto k, and where its y lies in what the other rows predict of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from bayesmargins.family import Outcome, Values
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.validation.importance import LeftOut, leave_out

__all__ = ["RowsLeftOut"]

_DRAWS = 1000
_NUMBERS = 2e7  # of log densities that are kept


@dataclass
class RowsLeftOut:
    """Gathered from blocks of replicates of the same groups, at most 1,000 of different draws.

    Attributes
    ----------
    keep : (replicate,) bool
        Which replicates.
    log_likelihood : list of (draw, row) float
        Blocks.
    below : list of (draw, row) float
        Whether the replicate lies below the observed y; of equal ones a part drawn at random.
    """

    keep: np.ndarray
    log_likelihood: list[np.ndarray] = field(default_factory=list)
    below: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, index: np.ndarray, rows: int) -> RowsLeftOut:
        """None is kept of so many rows that they would not fit into memory."""
        first = np.zeros(len(index), dtype=bool)
        first[np.unique(index, return_index=True)[1]] = True
        places = np.flatnonzero(first)
        chosen = places[np.unique(np.arange(_DRAWS) * len(places) // _DRAWS)]
        keep = np.zeros(len(index), dtype=bool)
        keep[chosen] = len(chosen) * rows <= _NUMBERS
        return cls(keep)

    def add(self, post: Posterior, block: slice, p: Values, o: Outcome, y: np.ndarray, rng: np.random.Generator) -> None:
        """The replicates of a block that are kept."""
        some = self.keep[block]
        if not some.any():
            return
        self.log_likelihood.append(np.asarray(post.family.log_likelihood(p, o))[some])
        part = rng.uniform(size=y.shape[1])  # one number a row, so that equal values are parted alike in every draw
        self.below.append(np.where(y[some] < o.y, 1.0, np.where(y[some] == o.y, part, 0.0)))

    def found(self) -> tuple[LeftOut, np.ndarray] | None:
        """With the PIT of every row."""
        if not self.log_likelihood:
            return None
        values = np.concatenate(self.log_likelihood)
        left = leave_out(xr.DataArray(values[None], dims=(*SAMPLE_DIMS, "obs")))
        weights = np.exp(left.log_weights)
        return left, np.asarray((weights * np.concatenate(self.below)).sum(axis=0))
