"""Averages of a bundle as a table of each draw: polynomials of the fifth degree in eta, for many rows.

At the ends of every cell a polynomial has the average's value and first two derivatives. Between them it errs by at
most sup abs(F^(6)) width^6 / 46080 (Hermite interpolation), where F^(6) is bounded by Cauchy's estimate of f and by
what an average over a normal b smooths: F^(m + n) = E[f^(m) He_n(Z)] / s^n, and E[abs(He_n)] <= sqrt(n!).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bayesmargins.family.curve import Bundle
from bayesmargins.integrate.bundles import BundleAverages
from bayesmargins.integrate.rules import EPS
from bayesmargins.limits import in_threads

__all__ = ["BundleTable", "bundle_table"]

Array = npt.NDArray[np.float64]

_TOLERANCE = 1e-11
_WIDTHS = 2.0 ** -np.arange(2.0, 8.0)
_MOST_CELLS = 2**13
_AS_PARTS = ("mean", "d1", "d2", "d3", "d4")
_INTERPOLATED = 1.0 / 46080.0  # of width^6 and the sixth derivative
_RADII = np.geomspace(0.02, 0.98, 60)


@dataclass(frozen=True)
class BundleTable:
    """Averages, or a derivative of them, as functions of eta."""

    coef: Array  # (draw, cell, 6, output) float: of powers of the place within a cell, from 0 to 1
    left: Array  # (draw,) float, link scale: where the first cell begins
    width: float  # of a cell
    error_bound: float
    nodes: int  # of the rule that the table was made with

    def add(self, draws: slice, eta: Array, weights: Array, index: npt.NDArray[np.int64], out: Array) -> None:
        """Add weight times value at eta (draw, row) of some draws into the cells of a result (output, draw, cell).

        weights are (draw, row) or (1, row); index (row,) says to which cell a row belongs.
        """
        from bayesmargins.integrate.lattice_kernels import add_looked_up  # numba takes a second to import

        add_looked_up(self.coef[draws], self.left[draws], self.width, eta, weights, index, out)

    def over(self, eta: Array, shifts: Array, weights: Array) -> list[Array]:
        """Value, first and second derivative, averaged over groups that shift eta (draw, any): (output, draw, any)."""
        from bayesmargins.integrate.lattice_kernels import averaged_over_groups

        out = np.zeros((3, self.coef.shape[3], *eta.shape))
        in_threads(averaged_over_groups, len(eta), self.coef, self.left, self.width, eta, shifts, weights, out)
        return list(out)


def bundle_table(
    averages: BundleAverages,
    ends: tuple[Array, Array],
    s2: Array,
    order: int = 0,
    groups: tuple[Array, Array] | None = None,
) -> BundleTable | None:
    """A table from the lowest to the highest eta of each draw (draw,); None where eta lies too far apart for one.

    s2 is (draw, 1). `groups` are shifts (draw, group) and weights (group,) of fitted groups to average over besides.
    """
    low, high = ends
    width = _width(averages.bundle, float(np.sqrt(s2.min())), order)
    first = np.floor(low / width)
    cells = int((np.ceil(high / width) - first).max()) + 1
    if cells > _MOST_CELLS:
        return None
    at = np.asarray((first[:, None] + np.arange(cells + 1)) * width, dtype=np.float64)
    if groups is None:
        found = [averages.average(at, s2, part) for part in _AS_PARTS[order : order + 3]]
        derivatives, errors = [f.value for f in found], [f.error_bound for f in found]
        nodes = max(f.nodes for f in found)
    else:
        reached = at[:, 0] + groups[0].min(axis=1), at[:, -1] + groups[0].max(axis=1)
        alone = bundle_table(averages, reached, s2, order)
        if alone is None:
            return None
        derivatives, nodes = alone.over(at, *groups), alone.nodes
        errors = [alone.error_bound, 0.0, 0.0]
    made = _interpolated(averages.bundle, float(np.sqrt(s2.min())), order, width)
    bound = made + 2.0 * sum(e * width**k for k, e in enumerate(errors)) + 64.0 * EPS
    return BundleTable(_hermite(derivatives, width), first * width, width, bound, nodes)


def _hermite(derivatives: list[Array], width: float) -> Array:
    """Coefficients (draw, cell, 6, output) from value and two derivatives (output, draw, node)."""
    f, d, b = (np.moveaxis(v * width**k, 0, -1) for k, v in enumerate(derivatives))
    a0, a1, a2 = f[:, :-1], d[:, :-1], 0.5 * b[:, :-1]
    rise, bend, twist = f[:, 1:] - a0 - a1 - a2, d[:, 1:] - a1 - 2.0 * a2, 0.5 * b[:, 1:] - a2
    a3, a4 = 10.0 * rise - 4.0 * bend + twist, -15.0 * rise + 7.0 * bend - 2.0 * twist
    return np.ascontiguousarray(np.stack([a0, a1, a2, a3, a4, 6.0 * rise - 3.0 * bend + twist], axis=2))


def _width(bundle: Bundle, s: float, order: int) -> float:
    """The widest cells that err by no more than is allowed, or the narrowest there are."""
    return float(next((w for w in _WIDTHS if _interpolated(bundle, s, order, w) <= _TOLERANCE), _WIDTHS[-1]))


def _interpolated(bundle: Bundle, s: float, order: int, width: float) -> float:
    """What polynomials err by between the ends of cells."""
    with np.errstate(divide="ignore"):
        smoothed = (math.sqrt(math.factorial(n)) / np.float64(s) ** n for n in range(7))
        sixth = min(float(smooth) * _supremum(bundle, order + 6 - n) for n, smooth in enumerate(smoothed))
    return sixth * width**6 * _INTERPOLATED


@lru_cache(maxsize=1024)
def _supremum(bundle: Bundle, n: int) -> float:
    """An upper bound of the n-th derivative on the real line: n! / r^n times what abs(f) is on a circle."""
    if not n:
        return 1.0
    r = min(bundle.half_width, 4.0) * _RADII
    return math.exp(float(np.min(math.lgamma(n + 1.0) - n * np.log(r) + bundle.growth(r))))
