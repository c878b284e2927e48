"""Rows by the stratum of the fitted groups that each is averaged over: those of other strata are another population."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.groups import GroupPlan

__all__ = ["in_strata"]


def in_strata(chunk: Chunk) -> Iterator[Chunk]:
    """The rows of each stratum, with the fitted groups that are in it; the chunk as it is where there are no strata."""
    of_rows = next((p.mixture.strata.of_rows for p in _plans(chunk) if p.mixture and p.mixture.strata), None)
    if of_rows is None:
        yield chunk
        return
    for stratum in np.unique(of_rows):
        some = chunk.take(np.flatnonzero(of_rows == stratum))
        parts = tuple(replace(part, plan=_within(part.plan, stratum)) for part in some.parts)
        yield replace(some, plan=_within(some.plan, stratum), parts=parts)


def _plans(chunk: Chunk) -> tuple[GroupPlan, ...]:
    return (chunk.plan, *(part.plan for part in chunk.parts))


def _within(plan: GroupPlan, stratum: int) -> GroupPlan:
    """The plan with the combinations of one stratum."""
    mixture = plan.mixture
    if mixture is None or mixture.strata is None:
        return plan
    some = np.flatnonzero(mixture.strata.of_combinations == stratum)
    weights = mixture.weights[some]
    return replace(
        plan, mixture=replace(mixture, codes=mixture.codes[some], weights=weights / weights.sum(), strata=None)
    )
