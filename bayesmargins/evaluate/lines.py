"""Fitted groups whose z moves along a line: z = z0 + t d, with t a number of each row, as under a random slope.

What a group adds to eta is then a + c t, and the average over groups a function of eta and t, for which `integrate` has
tables: lines. Which draws they pay for is decided by counts, not by clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.exact import blocks, linear
from bayesmargins.family.link import Link
from bayesmargins.groups import Mixture

__all__ = ["Direction", "LinePlan", "direction_of", "plan_lines"]

_ROUNDING = 1e-14  # z is on a line where it misses it by no more than this, relative to its size
_GROUP_VALUES = 2**21  # draws x groups at a time: 16 MiB for each of the few arrays
_BYTES, _DRAW_BYTES = 2**27, 2**22  # of the tables of a block of draws, and of one draw
_SPREAD_BYTES = 2**18  # of values of a draw that its tables are made from, where s > 0
# ns, roughly: a row and group by the exact engine, and each node of an integral besides; a group, a bin of the grid and
# a value under each bin at one Chebyshev point; a row
_EXACT, _NODE, _GROUP, _BIN, _CELL, _ROW = 10.0, 2.0, 12.0, 20.0, 0.1, 30.0


@dataclass(frozen=True)
class Direction:
    """On which line does z of the averaged groups lie?

    Attributes
    ----------
    t : ndarray, shape (row,)
        Where.
    d_t : ndarray, shape (row,), or None
        How t moves with the variable of a slope.
    origin, along : dict of ndarray, shape (term,)
        z0 and d of each factor.
    """

    t: np.ndarray
    d_t: np.ndarray | None
    origin: dict[str, np.ndarray]
    along: dict[str, np.ndarray]

    def take(self, which: np.ndarray) -> Direction:
        """The same for some of the rows."""
        return replace(self, t=self.t[which], d_t=None if self.d_t is None else self.d_t[which])

    def groups(self, draws: Draws, mixture: Mixture, which: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """a and c of each combination of fitted groups, in some of the draws: (draw, combination) each."""
        base, slope = (
            sum((draws.b[f][which] @ of[f])[:, c] for f, c in zip(mixture.factors, mixture.codes.T, strict=True))
            for of in (self.origin, self.along)
        )
        return np.asarray(base), np.asarray(slope)


@dataclass(frozen=True)
class LinePlan:
    """Which draws look up lines, and where?

    Attributes
    ----------
    direction : Direction
        Of the rows.
    pays : ndarray of bool, shape (draw,)
        Draws that are cheaper by lines than by the exact engine.
    low, high : ndarray, shape (draw,)
        The range of eta.
    curves : float
        How many curves over all cells could be made at the price of a draw's lines, roughly.
    block : int
        Draws whose tables fit into memory.
    """

    direction: Direction
    pays: np.ndarray
    low: np.ndarray
    high: np.ndarray
    curves: float
    block: int


def direction_of(rows: Rows, d_rows: Rows | None, mixture: Mixture) -> Direction | None:
    """On which line does z of these rows lie, and does it move along it?

    Parameters
    ----------
    rows : Rows
        Design rows.
    d_rows : Rows or None
        Their derivatives.
    mixture : Mixture
        The factors that are averaged.

    Returns
    -------
    Direction or None
        None where there is no line, or where nothing moves.
    """
    z = np.hstack([rows.Z[f] for f in mixture.factors])
    d_z = None if d_rows is None else np.hstack([d_rows.Z[f] for f in mixture.factors])
    moved = z - z[0] if d_z is None or (z != z[0]).any() else d_z
    j = int(np.argmax(np.abs(moved).max(axis=0)))
    row = int(np.argmax(np.abs(moved[:, j])))
    if not moved[row, j]:
        return None
    along, t = moved[row] / moved[row, j], np.ascontiguousarray(z[:, j])
    origin = z[0] - z[0, j] * along
    d_t = None if d_z is None else np.ascontiguousarray(d_z[:, j])
    if not _follows(z, origin + t[:, None] * along) or (d_z is not None and not _follows(d_z, d_z[:, [j]] * along)):
        return None
    ends = np.cumsum([rows.Z[f].shape[1] for f in mixture.factors])[:-1]
    parts = (dict(zip(mixture.factors, np.split(of, ends), strict=True)) for of in (origin, along))
    return Direction(t, d_t, *parts)


def _follows(z: np.ndarray, line: np.ndarray) -> bool:
    return bool((np.abs(z - line) <= _ROUNDING * np.abs(z).max(axis=0)).all())  # False for what is not a number


def plan_lines(draws: Draws, link: Link, chunk: Chunk, direction: Direction, s: np.ndarray) -> LinePlan | None:
    """Which draws of a chunk should look up lines?

    Parameters
    ----------
    draws : Draws
        Posterior draws.
    link : Link
        logit, probit or cloglog.
    chunk : Chunk
        Rows.
    direction : Direction
        Of the z of the groups that are averaged.
    s : ndarray, shape (draw,)
        Standard deviation of what is integrated besides.

    Returns
    -------
    LinePlan or None
        None where they pay for no draw.
    """
    from bayesmargins.integrate.tabulated.lines import NODES, panels_of
    from bayesmargins.integrate.tabulated.rows import cell_width

    mixture = chunk.plan.mixture
    assert mixture is not None
    low, high = _range_of_eta(draws, chunk)
    n, groups, ends = len(direction.t), len(mixture.weights), (float(direction.t.min()), float(direction.t.max()))
    reach = float(np.minimum(high, 40.0).max()) - float(np.maximum(low, -40.0).min())
    cells = max(reach, 0.0) / cell_width(link) + 2.0
    panels, pays, curves = np.zeros(len(s)), np.zeros(len(s), dtype=bool), np.zeros(len(s))
    exact = n * groups * (_EXACT + np.where(s > 0.0, _NODE * _integration_nodes(link, s), 0.0))
    size = max(1, _GROUP_VALUES // groups)
    for start in range(0, len(s), size):
        some = slice(start, start + size)
        found = panels_of(link, s[some], *direction.groups(draws, mixture, some), mixture.weights, ends)
        bins = 8.0 / cell_width(link) * np.where(found.covers, found.farthest, 0.0)
        price = found.count * NODES * (groups * _GROUP + bins * (_BIN + 8.0 * _CELL * cells))
        panels[some], pays[some] = found.count, found.covers & (price + n * _ROW < exact[some])
        curves[some] = price / (groups * _GROUP + bins * (_BIN + 8.0 * _CELL * 80.0 / cell_width(link)))
    tables = 64.0 * NODES * cells * panels
    pays &= tables <= _DRAW_BYTES
    if not pays.any():
        return None
    each = float(tables[pays].max()) + 16.0 * groups + (_SPREAD_BYTES if (s > 0.0).any() else 0)
    block = max(int(_BYTES / each) // 8, 1) * 8
    return LinePlan(direction, pays, low, high, float(curves[pays].mean()), block)


def _range_of_eta(draws: Draws, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest eta of each draw."""
    n_rows, n_draws = len(chunk.rows.offset), len(draws.beta)
    low, high = np.full(n_draws, np.inf), np.full(n_draws, -np.inf)
    for block in blocks(n_rows, n_draws):
        eta = linear(draws, chunk.rows, chunk.plan, block)
        np.fmin(low, np.fmin.reduce(eta, axis=1), out=low)
        np.fmax(high, np.fmax.reduce(eta, axis=1), out=high)
    return low, high


def _integration_nodes(link: Link, s: np.ndarray) -> int:
    from bayesmargins.integrate import rule_for

    largest = float(np.nanmax(s, initial=0.0))
    return rule_for(link, min(largest, 16.0)).nodes if link.strip is not None and largest > 0.0 else 0
