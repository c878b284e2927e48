"""The table behind curves and surfaces: eta-derivatives of E[h(eta + s Z)] on cells of eta, for rows of s.

A row is built from the rule of its s: values at Chebyshev points of panels twice as wide as what they serve,
differentiated in the panel's middle. A panel is wider where s is larger, since F is smoother there and the heat
polynomials of a row grow.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Link
from bayesmargins.integrate.rules import EPS, apply_rule, rule_for
from bayesmargins.integrate.tabulated.bounds import chebyshev_points, derivative_bound, heat_polynomials, taylor_bounds

__all__ = ["ROW_WIDTH", "S_MAX", "TERMS", "RowTable", "cell_width", "row_of", "row_table"]

Array = npt.NDArray[np.float64]

TERMS = 12  # derivatives 0 to 11 in each cell
S_MAX = 16.0
ROW_WIDTH = 1.0 / 64.0  # in s
Panel = tuple[float, int]  # half-width, and how many Chebyshev points


def cell_width(link: Link) -> float:
    """How wide a cell is in eta: a power of two.

    Examples
    --------
    >>> from bayesmargins.family import get_link
    >>> cell_width(get_link("logit"))
    0.25
    """
    return link.cells.width


def row_of(s: Array) -> npt.NDArray[np.int64]:
    """Which row serves each standard deviation: row r from r / 64 to (r + 1) / 64.

    Examples
    --------
    >>> row_of(np.array([0.0, 1.0])).tolist()
    [0, 64]
    """
    return (np.asarray(s) / ROW_WIDTH).astype(np.int64)


def _panel(link: Link, s: float) -> Panel:
    return max((start, panel) for start, panel in link.cells.panels if s >= start)[1]


def _chebyshev_derivatives(panel: Panel, width: float, count: int) -> Array:
    """(j, cell, n): T_j^(n) / n! at the centres of the cells in the middle of a panel, j below count."""
    half = panel[0]
    x = ((-0.5 * half + width * (np.arange(round(half / width)) + 0.5)) / half)[:, None]
    values = np.zeros((count, len(x), TERMS))
    values[0, :, 0] = 1.0
    values[1, :, 0], values[1, :, 1] = x[:, 0], 1.0
    for j in range(1, count - 1):  # T_{j+1} = 2 x T_j - T_{j-1}, differentiated
        values[j + 1] = 2.0 * x * values[j] - values[j - 1]
        values[j + 1, :, 1:] += 2.0 * values[j, :, :-1]
    return values / half ** np.arange(TERMS)


@lru_cache(maxsize=32)
def _differentiation(panel: Panel, width: float) -> Array:
    """(point, cell, n): F^(n) / n! at the centres of a panel's cells, from its values at the points."""
    points = panel[1]
    # discrete orthogonality of the T_j at their own points
    coefficients = np.cos(np.outer(np.arange(points), np.arccos(chebyshev_points(points)))) * (2.0 / points)
    coefficients[0] *= 0.5
    return np.tensordot(coefficients.T, _chebyshev_derivatives(panel, width, points), axes=1)


@lru_cache(maxsize=32)
def _growth(panel: Panel, width: float) -> Array:
    """(n,): how much errors of the values at the points can add to the n-th derivative over n!."""
    return np.abs(_differentiation(panel, width)).sum(axis=0).max(axis=0)


@lru_cache(maxsize=32)
def _steepness(panel: Panel, width: float) -> Array:
    """(j, n): how large abs(T_j^(n)) / n! gets at the centres, for the degrees j that the points do not resolve."""
    steep: Array = np.abs(_chebyshev_derivatives(panel, width, 2 * panel[1])[panel[1] :]).max(axis=1)
    return steep


@lru_cache(maxsize=1024)
def _unresolved(link: Link, s: float, panel: Panel) -> Array:
    """(n,): what the Chebyshev series beyond the points adds to each derivative, itself and by its alias at the points.

    The j-th coefficient is at most sup abs(F^(j)) half^j / (2^{j-1} j!); beyond twice the points they are negligible.
    """
    half, points = panel
    degrees = range(points, 2 * points)
    sizes = [derivative_bound(link, j, s) * (0.5 * half) ** j * 2.0 / math.factorial(j) for j in degrees]
    return np.array(sizes) @ (_steepness(panel, cell_width(link)) + _growth(panel, cell_width(link)))


@dataclass(eq=False)
class RowTable:
    """What are the derivatives of the average in every cell of some rows? Built when first asked for."""

    link: Link  # the inverse link h
    part: str  # {"mean", "complement"}: what is averaged
    reach: float  # cells cover [-reach, reach]; a multiple of 8
    _rows: dict[int, Array] = field(default_factory=dict, repr=False)
    _errors: dict[int, Array] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def cells(self) -> int:
        """How many cells has a row?"""
        return round(2.0 * self.reach / cell_width(self.link))

    def rows(self, first: int, last: int) -> Array:
        """F^(n) / n! at the centre of each cell, n = 0, ..., 11, of rows first, ..., last - 1: (row, cell, 12).

        Examples
        --------
        >>> from bayesmargins.family import get_link
        >>> row_table(get_link("logit"), "mean", 40.0).rows(32, 33).shape
        (1, 320, 12)
        """
        with self._lock:
            missing = [r for r in range(first, last) if r not in self._rows]
            for panel in sorted({self._panel(r) for r in missing}):
                self._build([r for r in missing if self._panel(r) == panel], panel)
            return np.stack([self._rows[r] for r in range(first, last)])

    def _centre(self, row: int) -> float:
        return (row + 0.5) * ROW_WIDTH

    def _panel(self, row: int) -> Panel:
        return _panel(self.link, self._centre(row))

    def _build(self, rows: list[int], panel: Panel) -> None:
        """Rows that share a panel width, some at a time: the engine's memory stays small and its rules are shared."""
        matrix = _differentiation(panel, cell_width(self.link))
        for i in range(0, len(rows), 32):
            some = rows[i : i + 32]
            coefficients, bound = self._coefficients(np.array([self._centre(r) for r in some]), panel, matrix)
            for r, row in zip(some, coefficients, strict=True):
                self._errors[r] = self._error(r, panel, bound)
                self._rows[r] = row  # last: a row that is there is complete, whatever interrupts this

    def _coefficients(self, s: Array, panel: Panel, matrix: Array) -> tuple[Array, float]:
        """(row, cell, n), and the bound on the values they were made from."""
        half, points = panel
        mirrored = self.link.symmetric  # h(-eta) = 1 - h(eta): half of the cells are the mirror of the others
        right = 0.0 if mirrored else self.reach
        centres = np.arange(-self.reach + 0.5 * half, right, half)
        eta = (centres[:, None] + half * chebyshev_points(points)).ravel()
        part = "mean" if mirrored else self.part
        found, bound = _averages(self.link, eta, s, part)
        # a product for each row: in one of all, the last digits of a row would depend on which others are made with it
        values = found.reshape(len(s), len(centres), points)
        left = (values @ matrix.reshape(points, -1)).reshape(len(s), -1, TERMS)
        if not mirrored:
            return left, bound
        flipped = left[:, ::-1, :] * (-1.0) ** np.arange(TERMS)
        halves = (left, _one_minus(flipped)) if self.part == "mean" else (_one_minus(left), flipped)
        return np.concatenate(halves, axis=1), bound

    def _error(self, row: int, panel: Panel, bound: float) -> Array:
        """(n,): what the coefficients of a row may err by, for errors of the values and of the panels' polynomials."""
        # rounding: of the products with the matrix; rows in fours share what is costly to bound
        error = (bound + EPS * panel[1]) * _growth(panel, cell_width(self.link))
        return error + _unresolved(self.link, row // 4 * 4 * ROW_WIDTH, panel)

    def bounds(
        self, row: int, terms: int, last: int | None = None, tau: float | None = None
    ) -> tuple[float, float, float]:
        """Absolute bounds of what the first `terms` of a row that was built, an even number, leave out.

        Of the value and of two derivatives in eta; of all rows from this to `last`, where one is given. s^2 / 2 lies up
        to tau from the row's centre: in the row, if nothing else is said.

        Examples
        --------
        >>> from bayesmargins.family import get_link
        >>> table = row_table(get_link("logit"), "mean", 40.0)
        >>> _ = table.rows(32, 33)
        >>> table.bounds(32, 12)[0] < 1e-11
        True
        """
        half, lowest, within = 0.5 * cell_width(self.link), row * ROW_WIDTH, 0.5 * ROW_WIDTH * (row + 0.75) * ROW_WIDTH
        if tau is not None:
            lowest = min(lowest, math.sqrt(max(self._centre(row) ** 2 - 2.0 * tau, 0.0)))
        tau = within if tau is None else tau
        error = np.max([self._errors[r] for r in range(row, (row if last is None else last) + 1)], axis=0)
        heat, n = heat_polynomials(half, tau, TERMS - 1), np.arange(TERMS)
        noise = [float(np.sum(error[k:] * _falling(n[k:], k) * heat[: TERMS - k])) for k in range(3)]
        value, d1, d2 = taylor_bounds(self.link, lowest, half, tau, terms)
        return value + noise[0], d1 + noise[1], d2 + noise[2]


def _averages(link: Link, eta: Array, s: Array, part: str) -> tuple[Array, float]:
    """E[f(eta + s Z)], (s, eta), and the bound on it. In NumPy: compiling a kernel takes longer than all of a table."""
    values, bound = np.empty((len(s), eta.size)), 0.0
    rules = [rule_for(link, float(one), part) for one in s]
    for rule in dict.fromkeys(rules):
        which = [i for i, other in enumerate(rules) if other == rule]
        values[which] = apply_rule(rule, eta, s[which, None])
        bound = max(bound, rule.error_bound(float(np.abs(values[which]).max())))
    return values, bound


def _falling(n: npt.NDArray[np.int64], k: int) -> Array:
    """n (n - 1) ... (n - k + 1): what k derivatives put in front of the n-th heat polynomial."""
    return np.prod([n - i for i in range(k)], axis=0) * np.ones(len(n))


def _one_minus(left: Array) -> Array:
    value = -left
    value[..., 0] += 1.0
    return value


@lru_cache(maxsize=16)
def row_table(link: Link, part: str, reach: float) -> RowTable:
    """The table of this link, part and reach (cells cover [-reach, reach], a multiple of 8): made once and kept.

    Examples
    --------
    >>> from bayesmargins.family import get_link
    >>> row_table(get_link("logit"), "mean", 40.0).cells
    320
    """
    return RowTable(link, part, reach)


if hasattr(os, "register_at_fork"):  # a table's lock may be held by a thread that the child does not have
    os.register_at_fork(after_in_child=row_table.cache_clear)
