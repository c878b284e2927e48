"""Coordinates in which skewed entries are nearly symmetric: the long side of each is drawn in by a parabola.

The logarithm of a standard deviation that may be 0 has a density like exp(u) far to the left, whatever the data say: a
side that no t distribution follows, let alone several at once. Under u = v - v^2 / 2 it becomes exp(-v^2 / 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Straight", "straightened"]

Array = npt.NDArray[np.float64]

_PROB, _QUANTILE = 0.025, 1.96  # where the two sides are measured
_SKEWED, _MOST = 1.1, 6.0  # ratios of the sides: below, nothing is done; above, no more


@dataclass(frozen=True)
class Straight:
    """u = centre + unit (v + bend v |v| / 2 on the long side), all (entry,).

    The sign of `bend` says which side is long; `unit` is the standard deviation that the short side would have.
    """

    centre: Array
    unit: Array
    bend: Array

    def _bent(self, z: Array) -> Array:
        """How much each entry is bent: 0 on the short side."""
        return np.where(z * self.bend > 0.0, np.abs(self.bend), 0.0)

    def out(self, v: Array) -> tuple[Array, Array]:
        """u (draw, entry), and log |du / dv| (draw,)."""
        steep = self._bent(v) * np.abs(v)
        return self.centre + self.unit * v * (1.0 + 0.5 * steep), np.log(self.unit * (1.0 + steep)).sum(axis=1)

    def into(self, u: Array) -> Array:
        """v (draw, entry)."""
        z = (u - self.centre) / self.unit
        return 2.0 * z / (1.0 + np.sqrt(1.0 + 2.0 * self._bent(z) * np.abs(z)))


def straightened(points: Array, weights: Array) -> Straight:
    """From weighted points (draw, entry), by the quantiles of each entry."""
    at = [_PROB, 0.5, 1.0 - _PROB]
    low, centre, high = np.array([_quantiles(x, weights, at) for x in points.T]).T
    left, right = centre - low, high - centre
    long = np.where(np.maximum(left, right) > 0.0, np.maximum(left, right), 1.0)
    short = np.maximum(np.minimum(left, right), long / _MOST)
    ratio = long / short
    bend = np.where(ratio > _SKEWED, 2.0 * (ratio - 1.0) / _QUANTILE, 0.0) * np.where(left > right, -1.0, 1.0)
    return Straight(centre, short / _QUANTILE, bend)


def _quantiles(x: Array, weights: Array, at: list[float]) -> Array:
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weights[order])
    return np.interp(at, reached / reached[-1], x[order])
