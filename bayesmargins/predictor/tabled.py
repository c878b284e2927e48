"""Rows through compiled passes with the average over groups looked up in tables: for many rows.

What is looked up depends on what the rows hold (`sources`). Draws that no table covers, and rows that none fits, are
left to the exact engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesmargins.integrate import in_threads
from bayesmargins.links import Link
from bayesmargins.posterior import Draws
from bayesmargins.predictor.chunks import Chunk, Passed
from bayesmargins.predictor.lookups import Found, Lookups
from bayesmargins.predictor.sources import Source, Sources

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.predictor.terms import Shift
    from bayesmargins.predictor.tiles import Terms, Weights

__all__ = ["Tables"]

_MANY_ROWS = 2048  # below, making wide cells costs more than it saves
_LINES = 1024  # draws that are done between two looks at the clock


class _Laid(NamedTuple):
    """Rows laid out for a pass, in the order that suits their table."""

    terms: Terms
    weights: Weights
    changes: Terms | None  # for slopes
    reach: float | None  # no abs(eta) is larger; for rows sorted by it
    size: int  # draws at a time


class Tables:
    """How are chunks of rows passed through tables? Made once, kept for all chunks of a question.

    Parameters
    ----------
    draws : Draws
        Posterior draws.
    link : Link
        Between linear predictor and the target.
    tick : callable
        Told how many values were done, from time to time.

    Raises
    ------
    Nothing.
    """

    def __init__(self, draws: Draws, link: Link, tick: Callable[[int], None]) -> None:
        self.draws, self.link, self.tick = draws, link, tick
        self.sources, self.lookups = Sources(draws, link), Lookups(draws, link)

    def add(self, chunk: Chunk, part: str, passed: Passed) -> np.ndarray:
        """Add a chunk's values, or its slopes, to those of the pass.

        Parameters
        ----------
        chunk : Chunk
            Rows.
        part : {"mean", "complement", "slope"}
            What is averaged.
        passed : Passed
            Gets values, methods and error bounds.

        Returns
        -------
        ndarray of int
            Draws that are left for the exact engine: all of them where no table fits these rows.

        Raises
        ------
        Nothing.
        """
        everything = np.arange(len(self.draws.beta))
        # 1 - h of the cloglog falls too steeply for a grid of groups: its digits are those of the exact sum.
        if self.link.name == "cloglog" and part == "complement" and chunk.plan.mixture is not None:
            return everything
        pieces = self.sources.of(chunk)
        if any(source.kind == "exact" for _, source in pieces):
            return everything
        covered = np.ones(len(everything), dtype=bool)
        for _, source in pieces:
            covered &= self.sources.covered(source)
        for piece, source in pieces:
            self._pass(piece, source, part, everything[covered], passed)
        return everything[~covered]

    def _pass(self, chunk: Chunk, source: Source, part: str, draws: np.ndarray, passed: Passed) -> None:
        from bayesmargins.predictor.terms import largest

        laid, out = self._laid(chunk, source, part, draws), passed.values[part]
        steep = (1.0, 0.0) if laid.changes is None else largest(laid.changes, draws)
        for start in range(0, len(draws), laid.size):
            lines = draws[start : start + laid.size]
            found = self.lookups.found(source, chunk, part, lines, laid.reach)
            _run(laid, found, lines, out)
            value, d1, d2 = found.bounds
            passed.note(found.method, value if laid.changes is None else d1 * steep[0] + d2 * steep[1] / 2, found.nodes)
            self.tick(len(lines) * len(chunk.rows.offset))

    def _laid(self, chunk: Chunk, source: Source, part: str, draws: np.ndarray) -> _Laid:
        from bayesmargins.predictor.terms import in_order, largest, typical_eta, typical_variance, value_terms

        size, order, reach = _LINES, None, None
        with_s2 = source.kind in ("bare", "surface")
        terms = value_terms(self.draws, chunk.rows, chunk.plan, source.shifts, with_s2=with_s2)
        weights = _weights(chunk)
        if source.kind == "surface":
            # Rows with like s one after the other: a tile looks up a few lines of the surface, and they stay in cache.
            order = np.argsort(typical_variance(self.draws, chunk.rows, chunk.plan.integrated))
        elif source.plan is not None:  # rows with like t one after the other: a tile looks up one panel
            terms, size = _with_t(terms, source.plan.direction.t), source.plan.block
            order = np.argsort(source.plan.direction.t, kind="stable")
        elif source.kind == "curves" and weights.start < 0 and len(chunk.rows.offset) >= _MANY_ROWS:
            # Rows with like eta one after the other: one polynomial serves a tile. Rows that are cells stay in order.
            order, reach = np.argsort(typical_eta(terms)), largest(terms, draws)[0]
        changes = self._changes(chunk, source) if part == "slope" else None
        if order is None:
            return _Laid(terms, weights, changes, reach, size)
        changes = None if changes is None else in_order(changes, order)
        return _Laid(in_order(terms, order), weights.in_order(order), changes, reach, size)

    def _changes(self, chunk: Chunk, source: Source) -> Terms:
        from bayesmargins.predictor.terms import change_terms

        assert chunk.d_rows is not None
        changes = change_terms(self.draws, chunk.rows, chunk.d_rows, chunk.plan, self._changes_of_shifts(chunk))
        if source.plan is not None and source.plan.direction.d_t is not None:
            return _with_t(changes, 2.0 * source.plan.direction.d_t)  # a pass takes the half
        return changes

    def _changes_of_shifts(self, chunk: Chunk) -> tuple[Shift, ...]:
        """Only under the identity do averaged groups move eta by more than a constant."""
        from bayesmargins.predictor.terms import mean_effects

        if chunk.plan.mixture is None or self.link.name != "identity":
            return ()
        assert chunk.d_rows is not None
        return mean_effects(self.draws, chunk.d_rows, chunk.plan.mixture)


def _run(laid: _Laid, found: Found, lines: np.ndarray, out: np.ndarray) -> None:
    """One block of draws: what lies in the tables, and then what lies too far out."""
    from bayesmargins.predictor.kernels import TOGETHER, far_slopes, far_values, pass_of_slopes, pass_of_values

    near, beyond = (pass_of_values, far_values) if laid.changes is None else (pass_of_slopes, far_slopes)
    terms = (laid.terms,) if laid.changes is None else (laid.terms, laid.changes)
    far = np.zeros(len(lines), dtype=np.int64)
    in_threads(near, -(-len(lines) // TOGETHER), *terms, found.integrand, lines, laid.weights, far, out)
    if far.any():
        in_threads(beyond, len(lines), *terms, found.integrand, lines, laid.weights, far, out)


def _with_t(terms: Terms, t: np.ndarray) -> Terms:
    """Lines know their s2: t, or its derivative, takes its place."""
    return terms._replace(W=t[None], Sigma=np.ones((len(terms.beta), 1)))


def _weights(chunk: Chunk) -> Weights:
    from bayesmargins.predictor.tiles import Weights

    cells = chunk.cells
    weights = np.ascontiguousarray(chunk.weights, dtype=np.float64)
    index = np.ascontiguousarray(cells.index, dtype=np.int64)
    if cells.unit and len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return Weights(weights, index[:0], int(index[0]))
    return Weights(weights, index[:0] if cells.n == 1 else index, -1)
