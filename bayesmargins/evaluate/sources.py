"""Where rows find their averages over groups: which kind of table, or the exact engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.exact import constant_row, moves
from bayesmargins.family.link import Link

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.evaluate.lines import LinePlan
    from bayesmargins.evaluate.terms import Shift

__all__ = ["Source", "Sources", "key_of"]

_MOST_PIECES = 64  # distinct z of fitted groups that get curves of their own


class Source(NamedTuple):
    """Where the average over groups of a piece comes from.

    Attributes
    ----------
    kind : {"bare", "curves", "surface", "lines", "exact"}
        h itself or a closed form, a curve in eta for each draw, a surface in eta and s, lines in eta and t, no table.
    shifts : tuple of Shift
        Of eta, besides the group effects of the plan.
    s : ndarray, shape (draw,), or None
        Standard deviations for curves and lines; the largest of each draw for a surface.
    low : float
        The smallest s for a surface.
    z : dict of ndarray, or None
        Of averaged fitted groups, the same in all rows: for curves.
    plan : LinePlan or None
        For lines.
    """

    kind: str  # "bare", "curves", "surface", "lines" or "exact"
    shifts: tuple[Shift, ...] = ()  # of eta, besides the group effects of the plan
    s: np.ndarray | None = None  # (draw,) for curves; the largest s of each draw for a surface
    low: float = 0.0  # the smallest s for a surface
    z: Mapping[str, np.ndarray] | None = None  # of averaged fitted groups, the same in all rows: for curves
    plan: LinePlan | None = None  # for lines


@dataclass
class Sources:
    """Which tables serve which rows? Made once for a question.

    Attributes
    ----------
    draws : Draws
        Posterior draws.
    link : Link
        Between linear predictor and the target.
    """

    draws: Draws
    link: Link
    _shifts: dict[Any, np.ndarray] = field(default_factory=dict, repr=False)
    _planned: tuple[Chunk, np.ndarray, LinePlan | None] | None = field(default=None, repr=False)

    def of(self, chunk: Chunk) -> list[tuple[Chunk, Source]]:
        """Where do these rows find their averages: all of them in lines, or else piece by piece?

        Parameters
        ----------
        chunk : Chunk
            Rows.

        Returns
        -------
        list of (Chunk, Source)
            Rows with the same z of averaged fitted groups are a piece, where they are few.
        """
        pieces = list(self._pieces(chunk))
        lines = self._lines(chunk, len(pieces))
        return [(piece, self._source(piece)) for piece in pieces] if lines is None else [(chunk, lines)]

    def _lines(self, chunk: Chunk, pieces: int) -> Source | None:
        """Where z of fitted groups moves along a line; None where it does not, or curves of the pieces are cheaper."""
        plan, rows, d_rows = chunk.plan, chunk.rows, chunk.d_rows
        constant = all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated)
        if plan.mixture is None or not self.link.tabled or not constant:
            return None
        if d_rows is not None and moves(d_rows, plan.integrated):
            return None
        from bayesmargins.evaluate.lines import direction_of, plan_lines

        direction = direction_of(rows, d_rows, plan.mixture)
        if direction is None:
            return None
        if self._planned is None or self._planned[0] is not chunk:  # the complement asks after the mean
            s = np.sqrt(self._limits(chunk)[1])
            self._planned = chunk, s, plan_lines(self.draws, self.link, chunk, direction, s)
        _, s, found = self._planned
        moves_on = d_rows is not None and moves(d_rows, plan.mixture.factors)
        if found is None or (1 < pieces <= found.curves and not moves_on):
            return None
        return Source("lines", s=s, plan=found)

    def _pieces(self, chunk: Chunk) -> Iterator[Chunk]:
        """Rows with the same z of the groups that are averaged: there the average is a curve in eta."""
        mixture = chunk.plan.mixture
        if mixture is None or self.link.linear:
            yield chunk
            return
        z = np.hstack([chunk.rows.Z[f] for f in mixture.factors])
        if len(constant_row(z)) == 1:
            yield chunk
            return
        distinct, piece = np.unique(z, axis=0, return_inverse=True)
        if len(distinct) > _MOST_PIECES:
            yield chunk
            return
        for k in range(len(distinct)):
            yield chunk.take(np.flatnonzero(piece.ravel() == k))

    def _source(self, chunk: Chunk) -> Source:
        plan, rows = chunk.plan, chunk.rows
        shifts: tuple[Shift, ...] = ()
        z = None
        if plan.mixture is not None:
            found = self._fitted_groups(chunk)
            if found is None:
                return Source("exact")
            shifts, z = found
        if z is None and (not plan.integrated or self.link.closed_form is not None):
            return Source("bare", shifts)
        if z is None and not self.link.tabled:
            return Source("exact")
        low, high = self._limits(chunk)
        if all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated):
            return Source("curves", shifts, np.sqrt(high), z=z)
        return Source("exact") if z is not None else Source("surface", shifts, np.sqrt(high), low)

    def _limits(self, chunk: Chunk) -> tuple[float, np.ndarray]:
        from bayesmargins.evaluate.terms import variance_at, variance_limits

        plan, rows = chunk.plan, chunk.rows
        if all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated):
            return 0.0, variance_at(self.draws, {f: rows.Z[f][0] for f in plan.integrated})
        low, high = variance_limits(self.draws, rows, plan.integrated)
        return float(np.sqrt(low.min(initial=np.inf))), high

    def _fitted_groups(self, chunk: Chunk) -> tuple[tuple[Shift, ...], Mapping[str, np.ndarray] | None] | None:
        """What the fitted groups add to eta: one shift where the link allows, else by their z; None for no table."""
        from bayesmargins.evaluate.terms import Shift, log_mean_exp, mean_effects

        mixture, rows = chunk.plan.mixture, chunk.rows
        assert mixture is not None
        if self.link.linear:
            return mean_effects(self.draws, rows, mixture), None
        constant = all(len(constant_row(rows.Z[f])) == 1 for f in mixture.factors)
        if not constant or (chunk.d_rows is not None and moves(chunk.d_rows, mixture.factors)):
            return None
        z = {f: rows.Z[f][0] for f in mixture.factors}
        if not self.link.exponential:
            return ((), z) if self.link.tabled else None
        key = key_of(z)
        if key not in self._shifts:
            self._shifts[key] = log_mean_exp(self.draws, z, mixture)
        return (Shift(np.ones((len(rows.offset), 1)), self._shifts[key]),), None

    def covered(self, source: Source) -> np.ndarray:
        """Which draws does a source serve? (draw,) bool."""
        if source.kind == "bare":
            return np.ones(len(self.draws.beta), dtype=bool)
        if source.plan is not None:
            return source.plan.pays
        from bayesmargins.integrate.tabulated.curves import covers

        assert source.s is not None
        return np.asarray(covers(source.s))


def key_of(z: Mapping[str, np.ndarray]) -> tuple[tuple[str, bytes], ...]:
    """What z is known by."""
    return tuple((factor, row.tobytes()) for factor, row in z.items())
