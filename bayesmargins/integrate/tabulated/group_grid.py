"""The grid that groups are moved to: values of the integrand there, interpolation weights, and what both may err by."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Link
from bayesmargins.integrate.rules import EPS
from bayesmargins.integrate.tabulated.bounds import (
    CURVE_POINTS,
    chebyshev_points,
    derivative_bound,
    interpolation_bounds,
)
from bayesmargins.integrate.tabulated.curves import row_curves
from bayesmargins.integrate.tabulated.rows import cell_width
from bayesmargins.limits import in_threads

__all__ = ["FARTHEST", "GRID", "PHASES", "group_bounds", "lagrange_weights", "plain_values", "spread_values"]

Array = npt.NDArray[np.float64]

GRID = 10  # points of the Lagrange interpolation
PHASES = 4  # grid steps per cell
FARTHEST = 64.0  # shifts beyond this are summed exactly


def _points(link: Link, reach: float) -> Array:
    """(phase, cell, 8): eta at the points of every cell, moved by each phase."""
    width = cell_width(link)
    left = -reach + width * np.arange(round(2.0 * reach / width))
    inside = 0.5 * width * (chebyshev_points(CURVE_POINTS) + 1.0)
    return width * np.arange(PHASES)[:, None, None] / PHASES + left[:, None] + inside


def plain_values(link: Link, part: str, reach: float) -> Array:
    """h itself on the grid of [-reach, reach], where nothing is integrated besides: (1, phase, cell, point)."""
    return np.ascontiguousarray(link.part(part)(_points(link, reach)))[None]


def spread_values(link: Link, part: str, s: Array, reach: float) -> tuple[Array, float]:
    """E[f(eta + s Z)], s (draw,), on the grid, (draw, phase, cell, point), and a bound on its error."""
    from bayesmargins.integrate.tabulated.group_curve_kernels import shifted_values

    made = row_curves(link, s, part, reach)
    place = np.arange(PHASES)[:, None] / PHASES + 0.5 * (chebyshev_points(CURVE_POINTS) + 1.0)
    ahead = np.floor(place).astype(np.int64)
    powers = (2.0 * (place - ahead) - 1.0)[:, :, None] ** np.arange(CURVE_POINTS)
    coef = made.arrays.coef
    values = np.empty((len(s), PHASES, coef.shape[1], CURVE_POINTS))
    in_threads(shifted_values, len(s), coef, ahead, np.ascontiguousarray(powers), values)
    return values, made.error_bound


@lru_cache(maxsize=1)
def lagrange_weights() -> Array:
    """Weights (point, power) of the grid points -4.5, ..., 4.5, by powers of the place between them."""
    nodes = np.arange(GRID) - 0.5 * (GRID - 1)
    rows = [np.poly(np.delete(nodes, i))[::-1] / np.prod(nodes[i] - np.delete(nodes, i)) for i in range(GRID)]
    return np.ascontiguousarray(rows)


def group_bounds(
    link: Link, s: float, step: float, noise: float, crowd: int, size: float
) -> tuple[float, float, float]:
    """What averages and two derivatives may err by: interpolation between grid points and in cells, noise, rounding.

    s is the smallest standard deviation, `step` that of the grid, `noise` a bound on the values' errors, `crowd` the
    groups of the fullest bin, `size` the largest value on the grid.
    """
    nodes = np.arange(GRID) - 0.5 * (GRID - 1)
    t = np.linspace(-0.5, 0.5, 101)[:, None]
    lebesgue = float(np.abs(t ** np.arange(GRID) @ lagrange_weights().T).sum(axis=1).max()) * 1.01
    error = derivative_bound(link, GRID, s) * step**GRID * float(np.prod(np.abs(nodes))) / math.factorial(GRID)
    rounding = EPS * lebesgue * (64.0 + crowd) * max(1.0, size)
    return interpolation_bounds(link, s, cell_width(link), error + lebesgue * noise + rounding)
