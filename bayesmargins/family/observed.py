"""The mean of what can be observed, where a response is truncated: ``target="observed_mean"``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.outcome import OF_ROWS
from bayesmargins.family.quantity import Target

__all__ = ["ObservedMean"]


@dataclass(frozen=True, repr=False)
class ObservedMean(Target):
    """E[y | lb <= y <= ub], of each row's own bounds."""

    reading = "curved"
    needs: ClassVar[tuple[str, ...]] = ("above", "below", "variance", "mean_between")
    rows: ClassVar[tuple[str, ...]] = (*OF_ROWS, "lb", "ub")
    given_b: ClassVar[bool] = True

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"expected {response} among values that can be observed"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "observed mean"

    @property
    def written(self) -> str:
        """As for `Target`."""
        return "'observed_mean'"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`: what is integrated is how far the mean lies from a bound, or from that of all y."""
        low, high = y.bounds
        only_low = np.isinf(high) & np.isfinite(low)
        no_bound = np.isinf(high) & np.isinf(low)
        value, error, nodes = np.array(y.mean("mean").value, dtype=np.float64), np.zeros(len(y.s)), 0
        for which, sign, origin in ((only_low, 1.0, None), (~only_low & ~no_bound, -1.0, high)):
            rows = np.flatnonzero(which)
            if rows.size:
                moved = y.distance(rows, origin)
                base = value[rows] if origin is None else origin[rows]
                value[rows], error[rows] = base + sign * moved.value, moved.error
                nodes = max(nodes, moved.nodes)
        return Number(value, error, y.method, nodes)

    def __repr__(self) -> str:
        return "observed_mean"
