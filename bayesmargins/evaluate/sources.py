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
    from bayesmargins.evaluate.terms import Shift
    from bayesmargins.evaluate.tiles import Variance

__all__ = ["Source", "Sources", "key_of"]

_MOST_PIECES = 64  # distinct z of fitted groups that get curves of their own
_CURVE = 2**14  # rows times groups that are looked up one by one at the price of a curve


class Spread(NamedTuple):
    """How does s2, the variance of what is integrated out, differ between rows?"""

    low: float  # no s is smaller
    high: np.ndarray  # (draw,): the largest s2 of each draw
    variance: Variance  # what it consists of
    order: np.ndarray  # (row,): rows with like s2 one after the other


class Source(NamedTuple):
    """Where the average over groups of a piece comes from."""

    # {"bare", "curves", "surface", "exact"}, h itself or a closed form, a curve in eta for each draw, a surface in eta
    # and s, no table
    kind: str
    shifts: tuple[Shift, ...] = ()  # of eta, besides the group effects of the plan
    s: np.ndarray | None = None  # (draw,): standard deviations for curves; the largest of each draw for a surface
    spread: Spread | None = None  # for a surface
    z: Mapping[str, np.ndarray] | None = None  # of averaged fitted groups, the same in all rows: for curves
    # whether fitted groups are looked up each for itself: they add to eta what differs between rows
    one_by_one: bool = False


@dataclass
class Sources:
    """Which tables serve which rows? Made once for a question."""

    draws: Draws  # posterior draws
    link: Link  # between linear predictor and the target
    _shifts: dict[Any, np.ndarray] = field(default_factory=dict, repr=False)
    # of the last rows, whose z the other sides of a contrast and other parts have too
    _last: tuple[Mapping[str, np.ndarray], Spread] | None = field(default=None, repr=False)

    def of(self, chunk: Chunk) -> list[tuple[Chunk, Source]]:
        """Where do these rows find their averages? A piece has one z of averaged fitted groups, where these are few."""
        return [(piece, self._source(piece)) for piece in self._pieces(chunk)]

    def _pieces(self, chunk: Chunk) -> Iterator[Chunk]:
        """Rows with the same z of the groups that are averaged: there the average is a curve in eta."""
        mixture = chunk.plan.mixture
        if mixture is None or self.link.linear or self._moved(chunk):
            yield chunk
            return
        z = np.hstack([chunk.rows.Z[f] for f in mixture.factors])
        if len(constant_row(z)) == 1:
            yield chunk
            return
        distinct, piece = np.unique(z, axis=0, return_inverse=True)
        if len(distinct) > _MOST_PIECES or len(z) * len(mixture.weights) < _CURVE * len(distinct):
            yield chunk
            return
        for k in range(len(distinct)):
            yield chunk.take(np.flatnonzero(piece.ravel() == k))

    def _source(self, chunk: Chunk) -> Source:
        plan, rows = chunk.plan, chunk.rows
        same_s = all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated)
        shifts: tuple[Shift, ...] = ()
        z, one_by_one = None, False
        if plan.mixture is not None:
            shifts, z = self._fitted_groups(chunk) or ((), None)
            one_by_one = not shifts and (z is None or not same_s)
            z = None if one_by_one else z
        if one_by_one and same_s and self.link.tabled:  # a curve costs less than the exponential in h
            return Source("curves", shifts, self._same_s(chunk), one_by_one=True)
        if z is None and (not plan.integrated or self.link.closed_form is not None):
            return Source("bare", shifts, one_by_one=one_by_one)
        if z is None and not self.link.tabled:
            return Source("exact")
        if same_s:
            return Source("curves", shifts, self._same_s(chunk), z=z)
        spread = self._spread(chunk)
        return Source("surface", shifts, np.sqrt(spread.high), spread, one_by_one=one_by_one)

    @staticmethod
    def _moved(chunk: Chunk) -> bool:
        """Does the variable of a slope move what fitted groups add?"""
        assert chunk.plan.mixture is not None
        return chunk.d_rows is not None and moves(chunk.d_rows, chunk.plan.mixture.factors)

    def _same_s(self, chunk: Chunk) -> np.ndarray:
        """(draw,): s where no z of what is integrated differs between rows."""
        from bayesmargins.evaluate.terms import variance_at

        return np.sqrt(variance_at(self.draws, {f: chunk.rows.Z[f][0] for f in chunk.plan.integrated}))

    def _spread(self, chunk: Chunk) -> Spread:
        from bayesmargins.evaluate.terms import typical_variance, variance_limits, variance_of

        rows, plan = chunk.rows, chunk.plan
        z = {f: rows.Z[f] for f in plan.integrated}
        if self._last is not None and _equal(z, self._last[0]):
            return self._last[1]
        variance = variance_of(self.draws, rows, plan)
        assert variance is not None
        low, high = variance_limits(self.draws, rows, plan.integrated)
        order = np.argsort(typical_variance(variance)[: len(rows.offset)])
        spread = Spread(float(np.sqrt(low.min(initial=np.inf))), high, variance, order)
        self._last = z, spread
        return spread

    def _fitted_groups(self, chunk: Chunk) -> tuple[tuple[Shift, ...], Mapping[str, np.ndarray] | None] | None:
        """What the fitted groups add to eta: one shift where the link allows, else by their z; None if rows differ."""
        from bayesmargins.evaluate.terms import Shift, log_mean_exp, mean_effects

        mixture, rows = chunk.plan.mixture, chunk.rows
        assert mixture is not None
        if self.link.linear:
            return mean_effects(self.draws, rows, mixture), None
        if self._moved(chunk) or not all(len(constant_row(rows.Z[f])) == 1 for f in mixture.factors):
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
        from bayesmargins.integrate.tabulated.curves import covers

        assert source.s is not None
        return np.asarray(covers(source.s))


def _equal(z: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return [*z] == [*other] and all(np.array_equal(z[f], other[f]) for f in z)


def key_of(z: Mapping[str, np.ndarray]) -> tuple[tuple[str, bytes], ...]:
    """What z is known by."""
    return tuple((factor, row.tobytes()) for factor, row in z.items())
