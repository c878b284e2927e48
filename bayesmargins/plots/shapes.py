"""Densities of draws, and the dots of their quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmargins.plots.fitting_text import spread_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Density", "density", "dots", "finite_draws", "reach", "stacks"]

Density = tuple[np.ndarray, np.ndarray]
"""Places, and the density there."""

_MOST_BARS = 60  # counts that reach farther are drawn as a curve


def finite_draws(draws: np.ndarray) -> list[np.ndarray]:
    """Draws by entry, those left out that are not finite; draws is (sample, entry)."""
    return [of[np.isfinite(of)] for of in draws.T]


def density(values: np.ndarray, logarithmic: bool = False) -> Density | None:
    """Places and density there, of the logarithms on a logarithmic axis; counts have bars; None of one value alone."""
    from arviz_stats.base import array_stats

    if len(values) < 2 or np.ptp(values) == 0.0:
        return None
    if not logarithmic and np.ptp(values) <= _MOST_BARS and (values == np.floor(values)).all():
        return _bars(values)
    grid, height, _ = array_stats.kde(np.log(values) if logarithmic else values)
    return (np.exp(grid) if logarithmic else grid), height


def _bars(values: np.ndarray) -> Density:
    """Counts have a bar for each number."""
    edges = np.arange(values.min(), values.max() + 2) - 0.5
    shares = np.histogram(values, edges)[0] / len(values)
    return np.repeat(edges, 2), np.concatenate([[0.0], np.repeat(shares, 2), [0.0]])


def stacks(values: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Sorted values as dots of this width in stacks: their places, and how high in its stack each is (0, 1, ...).

    A stack begins at the lowest value that no stack holds, as in Wilkinson (1999, American Statistician 53(3)); stacks
    are moved until they do not overlap.
    """
    ordered, of = np.sort(values), np.empty(len(values), dtype=np.int64)
    middles: list[float] = []
    first = 0
    while first < len(ordered):
        last = max(int(np.searchsorted(ordered, ordered[first] + width, side="left")), first + 1)
        of[first:last] = len(middles)
        middles.append((ordered[first] + ordered[last - 1]) / 2)
        first = last
    at = spread_apart(np.array(middles), width, -np.inf, np.inf)
    assert at is not None  # there is room without end
    level = np.arange(len(ordered)) - np.searchsorted(of, of)
    return at[of], level


def dots(ax: Axes, values: np.ndarray, base: float, width: float, colours: np.ndarray) -> None:
    """One dot a value, of so many pixels, in stacks on a base line; `values` are sorted, and the axes are at rest."""
    along = ax.transData.transform(np.column_stack([values, np.full(len(values), base)]))
    at, level = stacks(along[:, 0], width)
    up = along[:, 1] + (level + 0.5) * width
    places = ax.transData.inverted().transform(np.column_stack([at, up]))
    size = (0.96 * width * 72 / ax.figure.dpi) ** 2
    ax.scatter(places[:, 0], places[:, 1], s=size, c=colours, linewidths=0, zorder=2)


def reach(draws: np.ndarray, limits: Any) -> tuple[float, float]:
    """From where to where an axis shows the draws: all but one in a thousand, and all intervals."""
    finite = draws[np.isfinite(draws)]
    ends = [np.nanquantile(np.where(np.isfinite(draws), draws, np.nan), (0.001, 0.999), axis=0)] if finite.size else []
    known = np.concatenate([*(e.ravel() for e in ends), *(v for pair in limits for v in pair)])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    margin = 0.04 * ((high - low) or abs(low) or 1.0)
    return (low - margin, high + margin) if low - margin > 0 or low <= 0 else (low * 0.9, high + margin)
