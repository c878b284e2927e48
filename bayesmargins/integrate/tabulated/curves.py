"""E[h(eta + s Z)] from tables, at about the price of h itself: a curve in eta for each draw.

A table costs milliseconds once; `expectation` stays the exact engine that it is made from. Links need a strip, as
every link with a numerical rule has. Rows whose s differ look up `surfaces`, fitted groups `group_curves`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.aligned import aligned
from bayesmargins.integrate.rules import EPS, strip_of
from bayesmargins.integrate.tabulated.bounds import (
    CURVE_POINTS,
    chebyshev_points,
    heat_polynomials,
    interpolation_bounds,
    monomials_from_points,
)
from bayesmargins.integrate.tabulated.rows import (
    ROW_WIDTH,
    S_MAX,
    TERMS,
    RowTable,
    cell_width,
    row_of,
    row_table,
)
from bayesmargins.integrate.tabulated.table_rules import make_rules
from bayesmargins.limits import in_threads

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.kernels import CurveArrays

__all__ = [
    "REACH",
    "Curves",
    "checked_part",
    "checked_s",
    "covers",
    "curves",
    "row_curves",
    "trusted_cells",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bounds = tuple[float, float, float]

REACH = 40.0
INSIDE = 1.0 - 1e-12  # the last cell ends a rounding error early, so that no eta is rounded into the cell after it
_TOGETHER = 2048  # cells times draws in one product of matrices: larger ones would wait for a second thread
_RARE = 1e-5  # where what falls steeply is smaller, its cells lose relative accuracy


@dataclass(frozen=True, eq=False)
class Curves:
    """What is the average of each draw, as a function of eta?"""

    link: Link  # the inverse link h
    part: str  # {"mean", "complement"}: averages h or 1 - h
    arrays: CurveArrays = field(repr=False)  # for the compiled look-ups of `kernels`
    # (draw,) bool: whether a draw has cells; the others are computed exactly and slowly
    covers: npt.NDArray[np.bool_] = field(repr=False)
    # no value, first or second derivative in eta is further than this from the truth (absolute)
    error_bound: float
    error_bound_d1: float
    error_bound_d2: float

    def __call__(self, eta: npt.ArrayLike, order: int = 0) -> Array:
        """Values at eta (draw, row), or derivatives in eta of this order, at most 2; NaN where eta is NaN."""
        from bayesmargins.integrate.tabulated.table_passes import evaluate_curves

        eta = np.ascontiguousarray(eta, dtype=np.float64)
        if eta.ndim != 2 or len(eta) != len(self.covers):
            raise IntegrationError(f"eta has shape {eta.shape}: it must be ({len(self.covers)}, row), a line per draw.")
        out = np.empty_like(eta)
        in_threads(evaluate_curves, len(eta), self.arrays, order or None, eta, out)
        return out


def covers(s: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which standard deviations of z'b have a table: False from 16 on, and for NaN.

    >>> covers([0.0, 15.9, 16.0]).tolist()
    [True, True, False]
    """
    s = np.asarray(s, dtype=np.float64)
    return (s >= 0.0) & (s < S_MAX)


def checked_part(link: Link, part: str) -> None:
    """Refuse what has no table: other parts than "mean" and "complement", and unbounded links without a strip."""
    if part not in ("mean", "complement"):
        raise IntegrationError(
            f"part={part!r}: tables hold 'mean' and 'complement'; derivatives come from the same look-up."
        )
    if not link.tabled:
        raise IntegrationError(f"The {link.name} link is unbounded and has no strip: there is no table of it.")


def curves(link: Link, s: npt.ArrayLike, part: str = "mean", reach: float = REACH) -> Curves:
    """The mean response over new groups, or 1 less it, as a function of eta, for each draw's s (draw,).

    Cells lie on [-reach, reach], reach a multiple of 8 and at most 40. Beyond, and for draws with s >= 16, values are
    exact sums, and NaN for s above 4096.

    >>> from bayesmargins.family import get_link
    >>> made = curves(get_link("logit"), [0.0, 2.0])
    >>> made([[2.0], [2.0]]).round(6)
    array([[0.880797],
           [0.7752  ]])
    >>> made.error_bound < 2e-12
    True
    """
    checked_part(link, part)
    strip_of(link)
    return row_curves(link, checked_s(s), part, reach)


def row_curves(link: Link, s: Array, part: str, reach: float) -> Curves:
    """Curves on [-reach, reach], reach a multiple of 8."""
    from bayesmargins.integrate.tabulated.kernels import CurveArrays

    rules = make_rules(link, part, s)
    covered = covers(s)
    which = np.where(covered, row_of(np.where(covered, s, 0.0)), -1)
    table = row_table(link, part, reach)
    coef = aligned(len(s), table.cells, CURVE_POINTS)
    bounds = (0.0, 0.0, 0.0)
    if covered.any():
        first, last = int(which[covered].min()), int(which[covered].max()) + 1
        rows = table.rows(first, last)
        centre = (np.maximum(which, 0) + 0.5) * ROW_WIDTH
        tau = 0.5 * (np.where(covered, s, centre) - centre) * (np.where(covered, s, centre) + centre)
        some = _some_of_a_row(which, max(1, _TOGETHER // table.cells))

        def fill(begin: int, end: int) -> None:
            to_monomials, done = _to_monomials(link, tau[np.concatenate(some[begin:end])]), 0
            for draws in some[begin:end]:
                side_by_side = np.swapaxes(to_monomials[done : done + len(draws)], 0, 1).reshape(TERMS, -1)
                product, done = rows[which[draws[0]] - first] @ side_by_side, done + len(draws)
                coef[draws] = np.swapaxes(product.reshape(table.cells, len(draws), CURVE_POINTS), 0, 1)

        in_threads(fill, len(some))
        bounds = _curve_bounds(link, table, np.unique(which[covered]))
    edge = np.where(covered, reach * INSIDE, 0.0)
    low, high = trusted_range(link, part, coef, edge)
    arrays = CurveArrays(
        coef, np.full(len(s), 1.0 / cell_width(link)), low, high, s, np.zeros((len(s), 1)), np.ones(1), rules
    )
    return Curves(link, part, arrays, covered, *bounds)


def _some_of_a_row(which: npt.NDArray[np.int64], together: int) -> list[npt.NDArray[np.int64]]:
    """Draws that a row serves, some at a time; -1 are those that none serves."""
    of_rows = (np.flatnonzero(which == row) for row in np.unique(which[which >= 0]))
    return [some for draws in of_rows for some in np.split(draws, range(together, len(draws), together))]


def checked_s(s: npt.ArrayLike) -> Array:
    """s as a C-contiguous (draw,) array, none of it negative."""
    s = np.ascontiguousarray(s, dtype=np.float64)
    if s.ndim != 1:
        raise IntegrationError(f"s has shape {s.shape}: it must be (draw,).")
    if np.any(s < 0.0):
        raise IntegrationError(f"s has a negative value ({np.nanmin(s):.6g}): a standard deviation must be >= 0.")
    return s


def _to_monomials(link: Link, tau: Array) -> Array:
    """(draw, term, 8): from a cell's heat expansion to the polynomial through its values at 8 points, at each tau."""
    points = 0.5 * cell_width(link) * chebyshev_points(CURVE_POINTS)
    heat = heat_polynomials(points, tau[:, None], TERMS - 1)
    return np.swapaxes(monomials_from_points() @ heat, 1, 2)


def _curve_bounds(link: Link, table: RowTable, rows: npt.NDArray[np.int64]) -> Bounds:
    """The worst of the rows in use; rounding: 12 products, the conversion to monomials, Horner, and eta's own cell."""
    value, d1, d2 = (max(of) for of in zip(*(_row_bounds(link, table, int(row)) for row in rows), strict=True))
    return value, d1, d2


@lru_cache(maxsize=4096)
def _row_bounds(link: Link, table: RowTable, row: int) -> Bounds:
    noise = table.bounds(row, TERMS)[0] + 32.0 * EPS * link.size(table.reach + (row + 1) * ROW_WIDTH)
    return interpolation_bounds(link, row * ROW_WIDTH, cell_width(link), noise)


def trusted_cells(link: Link, part: str, coef: Array) -> tuple[Integers, Integers]:
    """(line,) each: from which to before which are the cells relatively accurate? What falls too steeply ends early."""
    lines, cells, _ = coef.shape
    begin, end = np.zeros(lines, dtype=np.int64), np.full(lines, cells)
    if part in link.steep:
        small = (coef[:, :, 0] if part == "complement" else coef[:, ::-1, 0]) < _RARE
        kept = np.where(small.any(axis=1), small.argmax(axis=1), cells)
        begin, end = (begin, kept) if part == "complement" else (cells - kept, end)
    return begin, end


def trusted_range(link: Link, part: str, coef: Array, edge: Array) -> tuple[Array, Array]:
    """The same in eta (line,), not beyond `edge` (line,)."""
    ends = ((cell - 0.5 * coef.shape[1]) * cell_width(link) for cell in trusted_cells(link, part, coef))
    low, high = (np.clip(end, -edge, edge) for end in ends)
    return low, high
