"""Leave one row out: its Pareto k, and where its y lies in what the other rows predict of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from bayesmargins.family import Outcome, Values
from bayesmargins.posterior import Posterior
from bayesmargins.validation.importance import good_khat, smoothed

__all__ = ["Found", "RowsLeftOut"]

_DRAWS = 1000
_NUMBERS = 2e7  # of log densities that are kept
_EVEN = 0.7  # weights of more effective draws than that, relative to all, have no tail


class Found(NamedTuple):
    """Of every row."""

    khat: np.ndarray  # (row,): Pareto k; NaN where the weights are so even that there is no tail to smooth
    pit: np.ndarray  # (row,): probability, without the row, of a y below the observed one
    good: float  # up to which k that many draws can be trusted


@dataclass
class RowsLeftOut:
    """Gathered from blocks of replicates of the same groups, at most 1,000 of different draws."""

    keep: np.ndarray  # (replicate,): which of them
    log_likelihood: list[np.ndarray] = field(default_factory=list)  # (draw, row): blocks
    # (draw, row): whether the replicate lies below the observed y; of equal ones a part drawn at random
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

    def add(
        self, post: Posterior, block: slice, p: Values, o: Outcome, y: np.ndarray, rng: np.random.Generator
    ) -> None:
        """The replicates of a block that are kept."""
        some = self.keep[block]
        if not some.any():
            return
        kept = {k: v[some] if np.ndim(v) > 1 and len(v) == len(y) else v for k, v in vars(p).items()}
        self.log_likelihood.append(np.asarray(post.family.log_likelihood(Values(**kept), o)))
        part = rng.uniform(size=y.shape[1])  # one number a row, so that equal values are parted alike in every draw
        self.below.append(np.where(y[some] < o.y, 1.0, np.where(y[some] == o.y, part, 0.0)))

    def found(self) -> Found | None:
        """Of all blocks."""
        if not self.log_likelihood:
            return None
        values, below = np.concatenate(self.log_likelihood), np.concatenate(self.below)
        log_weights = -values - logsumexp(-values, axis=0)
        even = np.exp(-logsumexp(2.0 * log_weights, axis=0)) / len(values)  # effective draws over draws
        khat = np.full(values.shape[1], np.nan)
        for row in np.flatnonzero(even < _EVEN):
            log_weights[:, row], khat[row] = smoothed(values[:, row], 1.0)
        weights = np.exp(log_weights - logsumexp(log_weights, axis=0))
        return Found(khat, np.asarray((weights * below).sum(axis=0)), good_khat(len(values)))
