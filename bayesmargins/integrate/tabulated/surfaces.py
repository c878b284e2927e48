"""E[h(eta + s Z)] as one function of eta and s: for rows whose standard deviations differ.

In each cell of eta and of a band of s^2 eight heat polynomials, one line of a processor's cache, are fitted to the
twelve of the table. They miss no more than ten of a Taylor polynomial leave out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.aligned import aligned
from bayesmargins.integrate.rules import EPS, strip_of
from bayesmargins.integrate.tabulated.bands import LEAST, band_of, edge_of, octaves
from bayesmargins.integrate.tabulated.bounds import chebyshev_points, derivative_bound, heat_polynomials
from bayesmargins.integrate.tabulated.curves import REACH, checked_part, checked_s, trusted_cells
from bayesmargins.integrate.tabulated.rows import ROW_WIDTH, S_MAX, TERMS, RowTable, cell_width, row_of, row_table
from bayesmargins.integrate.tabulated.table_rules import make_rules
from bayesmargins.limits import in_threads

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.kernels import SurfaceArrays

__all__ = ["Surface", "surface"]

Array = npt.NDArray[np.float64]
Bounds = tuple[float, float, float]

_KEPT = 8  # heat polynomials a cell
_APART = 13  # lines of cache between bands: those of one cell would else share a place in the cache
_BOUNDED = 64  # bands that share a bound
_FIT, _GRID = (24, 16), (65, 33)  # points in eta and in s^2 of a fit, and those at which its errors are looked at
_BETWEEN = 1.07  # more than that between points of the grid no such polynomial gets (Ehlich & Zeller 1964)


@dataclass(frozen=True, eq=False)
class Surface:
    """What is the average, as a function of eta and s?"""

    link: Link  # the inverse link h
    part: str  # {"mean", "complement"}: averages h or 1 - h
    arrays: SurfaceArrays = field(repr=False)  # for the compiled look-ups of `kernels`
    # no value, first or second derivative in eta is further than this from the truth (absolute)
    error_bound: float
    error_bound_d1: float
    error_bound_d2: float

    def __call__(self, eta: npt.ArrayLike, s: npt.ArrayLike, order: int = 0) -> Array:
        """Values at eta (draw, row) and s, or derivatives in eta of this order, at most 2.

        s are standard deviations of z'b, (draw, row) or what broadcasts to it. NaN where eta or s is NaN.
        """
        from bayesmargins.integrate.tabulated.table_passes import evaluate_surface

        eta = np.ascontiguousarray(eta, dtype=np.float64)
        s = np.asarray(s, dtype=np.float64)
        if eta.ndim != 2 or np.broadcast_shapes(eta.shape, s.shape) != eta.shape:
            raise IntegrationError(f"eta has shape {eta.shape} and s {s.shape}: both must be (draw, row).")
        out = np.empty_like(eta)
        in_threads(
            evaluate_surface,
            len(eta),
            self.arrays,
            order or None,
            eta,
            np.ascontiguousarray(np.broadcast_to(s, eta.shape)),
            out,
        )
        return out


def surface(link: Link, s_low: float, s_high: float, part: str = "mean", reach: float = REACH) -> Surface:
    """The mean response over new groups, or 1 less it, as a function of eta and of the standard deviation.

    Cells lie on [-reach, reach], reach a multiple of 8 and at most 40, and from s_low to s_high, up to 16; beyond,
    values are exact sums, and slow, and NaN for s above the larger of 16 and s_high.

    >>> from bayesmargins.family import get_link
    >>> made = surface(get_link("logit"), 1.0, 3.0)
    >>> made([[2.0, 2.0]], [[1.0, 2.0]]).round(6)
    array([[0.844537, 0.7752  ]])
    >>> made.error_bound < 1e-11
    True
    """
    checked_part(link, part)
    strip_of(link)
    s_low, s_high = (float(value) for value in checked_s([s_low, s_high]))
    if not 0.0 <= s_low <= s_high < np.inf:
        raise IntegrationError(f"s_low={s_low!r} and s_high={s_high!r}: a range within 0 and infinity is needed.")
    from bayesmargins.integrate.tabulated.kernels import SurfaceArrays

    first, last = band_of(min(s_low, S_MAX)), band_of(min(s_high, S_MAX)) + 1
    table = row_table(link, part, reach)
    coef, bounds = aligned(last - first + 1, table.cells + _APART, _KEPT), []
    for begin, end in octaves(first, last):
        bounds.append(_fill(table, begin, coef[begin - first : end - first, : table.cells]))
    coef[-1], coef[:, table.cells] = np.nan, np.nan
    low, high = trusted_cells(link, part, coef[:-1, : table.cells])
    cell = np.arange(table.cells)
    coef[:-1, : table.cells][(cell < low[:, None]) | (cell >= high[:, None])] = np.nan
    rules = make_rules(link, part, np.array([1.01 * S_MAX, s_high]))  # rounding may put s a little above a bound
    bands, rows, _ = coef.shape
    arrays = SurfaceArrays(coef.reshape(-1, _KEPT), rows, table.cells, bands - 1, first, 1.0 / cell_width(link), rules)
    rounding = 64.0 * EPS * link.size(reach + math.sqrt(edge_of(last)))
    value, d1, d2 = (max(bound[k] for bound in bounds) + rounding * 16.0**k for k in range(3))
    return Surface(link, part, arrays, value, d1, d2)


def _fill(table: RowTable, first: int, out: Array) -> Bounds:
    """Coefficients of bands that are equally wide, (band, cell, 8), and bounds on their errors."""
    last = first + len(out)
    rows, moves, tau = _from_rows(first, last)
    to_bands = _fit(0.5 * cell_width(table.link), tau) @ _moved(moves)
    made = table.rows(int(rows[0]), int(rows[-1]) + 1)
    np.matmul(made[rows - rows[0]], np.swapaxes(to_bands, 1, 2), out=out)
    each = [_bounds(table, band, min(band + _BOUNDED, last)) for band in range(first, last, _BOUNDED)]
    value, d1, d2 = (max(of) for of in zip(*each, strict=True))
    return value, d1, d2


def _from_rows(first: int, last: int) -> tuple[npt.NDArray[np.int64], Array, float]:
    """Which row of the table each band is made from, how far its middle lies from it, and half of its height.

    The latter in s^2 / 2.
    """
    edges = edge_of(np.arange(first, last + 1)) - LEAST
    s2 = 0.5 * (edges[1:] + edges[:-1])
    rows = row_of(np.sqrt(s2))
    return rows, 0.5 * (s2 - ((rows + 0.5) * ROW_WIDTH) ** 2), float(0.25 * (edges[1] - edges[0]))


def _moved(tau: Array) -> Array:
    """(band, 12, 12): the coefficients of a heat expansion around another s^2 / 2, farther by tau."""
    by_power = _by_power()
    powers = tau[:, None] ** np.arange(len(by_power))
    return (powers @ by_power.reshape(len(by_power), -1)).reshape(-1, TERMS, TERMS)


@lru_cache(maxsize=1)
def _by_power() -> Array:
    """(power of tau, 12, 12): what each of them is multiplied by."""
    by_power = np.zeros((TERMS // 2, TERMS, TERMS))
    for n in range(TERMS):
        for k in range((TERMS + 1 - n) // 2):
            by_power[k, n, n + 2 * k] = math.comb(n + 2 * k, n) * math.factorial(2 * k) / math.factorial(k)
    return by_power


@lru_cache(maxsize=32)
def _fit(u: float, tau: float) -> Array:
    """(8, 12): the eight heat polynomials that are nearest to each of twelve over a cell, of half this size.

    Nearest at Chebyshev points, where errors count alike, and those of second derivatives a little.
    """
    points = u * chebyshev_points(_FIT[0])[:, None], tau * chebyshev_points(_FIT[1])
    heat = heat_polynomials(*points, TERMS - 1)
    both = np.concatenate([heat, 0.1 * u**2 * _derivative(_derivative(heat))]).reshape(-1, TERMS)
    size = np.abs(both).max(axis=0)
    nearest = np.linalg.lstsq(both[:, :_KEPT] / size[:_KEPT], both[:, _KEPT:] / size[_KEPT:], rcond=None)[0]
    return np.hstack([np.eye(_KEPT), nearest * size[_KEPT:] / size[:_KEPT, None]])


def _derivative(heat: Array) -> Array:
    """Of heat polynomials (..., 12) in eta."""
    return np.concatenate([0.0 * heat[..., :1], np.arange(1, TERMS) * heat[..., :-1]], axis=-1)


@lru_cache(maxsize=32)
def _missed(u: float, tau: float) -> tuple[Array, Array]:
    """(3, 4): how far the other heat polynomials, and two derivatives, are from the nearest eight; (3,): as shares."""
    eta, s2 = (size * np.cos(np.linspace(0.0, np.pi, count)) for size, count in zip((u, tau), _GRID, strict=True))
    heat, missed, share = heat_polynomials(eta[:, None], s2, TERMS - 1), [], []
    for _ in range(3):
        rest = heat[..., _KEPT:]
        missed.append(_BETWEEN * np.abs(rest - heat[..., :_KEPT] @ _fit(u, tau)[:, _KEPT:]).max(axis=(0, 1)))
        share.append((missed[-1] / np.abs(rest).max(axis=(0, 1))).max())
        heat = _derivative(heat)
    return np.array(missed), np.array(share)


@lru_cache(maxsize=4096)
def _bounds(table: RowTable, first: int, last: int) -> Bounds:
    """What bands that are equally wide err by, each the worst of them; the rows that they are made from are there."""
    rows, moves, tau = _from_rows(first, last)
    link, u, row, farthest = table.link, 0.5 * cell_width(table.link), int(rows[0]), float(np.abs(moves).max())
    missed, share = _missed(u, tau)
    s = min(math.sqrt(edge_of(first) - LEAST), row * ROW_WIDTH)
    size = [derivative_bound(link, n, s) / math.factorial(n) for n in range(_KEPT, TERMS)]
    moved = _moved(np.array([farthest]))[0, _KEPT:, _KEPT:] @ size
    of_rows = np.array(table.bounds(row, TERMS, last=int(rows[-1]), tau=farthest + tau))
    value, d1, d2 = missed @ moved + of_rows * (1.0 + share)  # what rows err by is fitted too
    return float(value), float(d1), float(d2)
