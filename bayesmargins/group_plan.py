"""What a policy of `groups=` comes to for some rows: b that is looked up, averaged over, or integrated out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmargins.design import MixtureStrata

__all__ = ["Gather", "GroupPlan", "Mixture"]


@dataclass(frozen=True)
class Gather:
    """A factor whose b is looked up, row by row."""

    factor: str
    b: np.ndarray  # (sample, level, term)
    codes: np.ndarray  # (row,)


@dataclass(frozen=True)
class Mixture:
    """Combinations of fitted levels to average over; where they are in strata, each row over those of its own."""

    factors: tuple[str, ...]
    codes: np.ndarray  # (combination, factor)
    weights: np.ndarray  # (combination,), sum 1
    strata: MixtureStrata | None = None


@dataclass(frozen=True)
class GroupPlan:
    """What the predictor does with b of these rows."""

    integrated: tuple[str, ...]  # factors whose b is integrated out over N(0, Sigma)
    gathers: tuple[Gather, ...]  # factors whose b is looked up
    mixture: Mixture | None  # factors that are averaged over their fitted levels, jointly
    missing: np.ndarray  # (row,): rows whose group is needed and missing
    # factors whose b is that of named groups, whichever the row: one code for each combination of named groups
    named: tuple[Gather, ...] = ()
