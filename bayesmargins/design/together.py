"""Fitted groups of several factors that are averaged over together, and which of them are a row's own population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmargins.design.grouping import Factor
from bayesmargins.errors import GroupsError, listed

__all__ = ["MixtureStrata", "mixture_strata"]


@dataclass(frozen=True)
class MixtureStrata:
    """Numbers of strata, of all factors that have some: of each row, and of each combination of fitted groups."""

    of_rows: np.ndarray
    of_combinations: np.ndarray


def mixture_strata(factors: Sequence[Factor], codes: np.ndarray, frame: pd.DataFrame) -> MixtureStrata | None:
    """Which combinations (combination, factor) each row is averaged over; None where no factor has strata."""
    found = [(f.strata, own) for f, own in zip(factors, codes.T, strict=True) if f.strata is not None]
    if not found:
        return None
    of_rows, of_groups = np.zeros(len(frame), dtype=np.intp), np.zeros(len(codes), dtype=np.intp)
    for strata, own in found:
        of_rows = of_rows * len(strata.labels) + np.where(frame[strata.by].isna(), 0, strata.codes(frame))
        of_groups = of_groups * len(strata.labels) + strata.of_levels[own]
    alone = np.flatnonzero(~np.isin(of_rows, of_groups))
    if len(alone):
        row = frame.iloc[alone[0]]
        said = [f"{s.by} = {row[s.by]}" for s, _ in found]
        raise GroupsError(
            f"groups='existing' averages each row over the fitted groups of its own {listed(s.by for s, _ in found)}, "
            f"and no fitted groups have {' and '.join(said)} together. Ask for 'new', or leave such rows out."
        )
    return MixtureStrata(of_rows, of_groups)
