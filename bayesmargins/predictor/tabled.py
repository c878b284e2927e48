"""Rows through compiled passes with the average over groups looked up in tables: for many rows.

What is looked up depends on what the rows hold: h itself or a closed form, a curve in eta for each draw where s (or the
set of fitted groups) is the same in all rows, a surface in eta and s where it is not, lines in eta and t where fitted
groups have a random slope. Draws that no table covers, and rows that none fits, are left to the exact engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayesmargins.integrate import in_threads, rule_for
from bayesmargins.links import PARTS, Link
from bayesmargins.posterior import Draws
from bayesmargins.predictor.chunks import Chunk, Passed
from bayesmargins.predictor.exact import constant_row, moves

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.line_mixtures import Lines
    from bayesmargins.integrate.table_wide import Wide
    from bayesmargins.integrate.tables import Curves, Surface
    from bayesmargins.predictor.kernels import CurveCells, Terms, Weights
    from bayesmargins.predictor.lines import LinePlan
    from bayesmargins.predictor.terms import Shift

__all__ = ["Tables"]

_CODES = {"logit": 0, "cloglog": 1, "probit": 2, "log": 3, "identity": 4}
_MIXED = ("logit", "probit", "cloglog")  # links whose fitted groups have tables
_MOST_PIECES = 64  # distinct z of fitted groups that get curves of their own
_LINES = 1024  # draws that are done between two looks at the clock
_KEPT_BYTES = 2**28  # curves are kept for the next chunk while they are no larger
_MANY_ROWS = 2048  # below, making wide cells costs more than it saves
_STRETCH = 8.0  # wide cells are made for so much more of eta at a time, so that the next chunk finds them
_WIDEST = 16.0  # the largest s that a surface is made for


class _Source(NamedTuple):
    """Where the average over groups of a piece comes from."""

    kind: str  # "bare", "curves", "surface", "lines" or "exact"
    shifts: tuple[Shift, ...] = ()  # of eta, besides the group effects of the plan
    s: np.ndarray | None = None  # (draw,) for curves; the largest s of each draw for a surface
    low: float = 0.0  # the smallest s for a surface
    z: Mapping[str, np.ndarray] | None = None  # of averaged fitted groups, the same in all rows: for curves
    plan: LinePlan | None = None  # for lines


@dataclass
class Tables:
    """Which tables does a question look up? Made once, kept for all its chunks.

    Attributes
    ----------
    draws : Draws
        Posterior draws.
    link : Link
        Between linear predictor and the target.
    tick : callable
        Told how many values were done, from time to time.
    """

    draws: Draws
    link: Link
    tick: Callable[[int], None]
    _kept: dict[Any, Curves | Surface | Wide] = field(default_factory=dict, repr=False)
    _shifts: dict[Any, np.ndarray] = field(default_factory=dict, repr=False)
    _planned: tuple[Chunk, np.ndarray, LinePlan | None] | None = field(default=None, repr=False)

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
        pieces = self._sources(chunk)
        if any(source.kind == "exact" for _, source in pieces):
            return everything
        covered = np.ones(len(everything), dtype=bool)
        for _, source in pieces:
            covered &= self._covered(source)
        for piece, source in pieces:
            self._pass(piece, source, part, everything[covered], passed)
        return everything[~covered]

    def _sources(self, chunk: Chunk) -> list[tuple[Chunk, _Source]]:
        """Lines for all rows, or else a source for each piece of them."""
        pieces = list(self._pieces(chunk))
        lines = self._lines(chunk, len(pieces))
        return [(piece, self._source(piece)) for piece in pieces] if lines is None else [(chunk, lines)]

    def _lines(self, chunk: Chunk, pieces: int) -> _Source | None:
        """Where z of fitted groups moves along a line; None where it does not, or curves of the pieces are cheaper."""
        plan, rows, d_rows = chunk.plan, chunk.rows, chunk.d_rows
        constant = all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated)
        if plan.mixture is None or self.link.name not in _MIXED or not constant:
            return None
        if d_rows is not None and moves(d_rows, plan.integrated):
            return None
        from bayesmargins.predictor.lines import direction_of, plan_lines

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
        return _Source("lines", s=s, plan=found)

    def _pieces(self, chunk: Chunk) -> Iterator[Chunk]:
        """Rows with the same z of the groups that are averaged: there the average is a curve in eta."""
        mixture = chunk.plan.mixture
        if mixture is None or self.link.name == "identity":
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

    def _source(self, chunk: Chunk) -> _Source:
        plan, rows = chunk.plan, chunk.rows
        shifts: tuple[Shift, ...] = ()
        z = None
        if plan.mixture is not None:
            found = self._fitted_groups(chunk)
            if found is None:
                return _Source("exact")
            shifts, z = found
        if z is None and (not plan.integrated or self.link.closed_form is not None):
            return _Source("bare", shifts)
        low, high = self._limits(chunk)
        if all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated):
            return _Source("curves", shifts, np.sqrt(high), z=z)
        return _Source("exact") if z is not None else _Source("surface", shifts, np.sqrt(high), low)

    def _limits(self, chunk: Chunk) -> tuple[float, np.ndarray]:
        from bayesmargins.predictor.terms import variance_at, variance_limits

        plan, rows = chunk.plan, chunk.rows
        if all(len(constant_row(rows.Z[f])) == 1 for f in plan.integrated):
            return 0.0, variance_at(self.draws, {f: rows.Z[f][0] for f in plan.integrated})
        low, high = variance_limits(self.draws, rows, plan.integrated)
        return float(np.sqrt(low.min(initial=np.inf))), high

    def _fitted_groups(self, chunk: Chunk) -> tuple[tuple[Shift, ...], Mapping[str, np.ndarray] | None] | None:
        """What the fitted groups add to eta: one shift where the link allows, else by their z; None for no table."""
        from bayesmargins.predictor.terms import Shift, log_mean_exp, mean_effects

        mixture, rows = chunk.plan.mixture, chunk.rows
        assert mixture is not None
        if self.link.name == "identity":
            return mean_effects(self.draws, rows, mixture), None
        constant = all(len(constant_row(rows.Z[f])) == 1 for f in mixture.factors)
        if not constant or (chunk.d_rows is not None and moves(chunk.d_rows, mixture.factors)):
            return None
        z = {f: rows.Z[f][0] for f in mixture.factors}
        if self.link.name != "log":
            return (), z
        key = _bytes(z)
        if key not in self._shifts:
            self._shifts[key] = log_mean_exp(self.draws, z, mixture)
        return (Shift(np.ones((len(rows.offset), 1)), self._shifts[key]),), None

    def _covered(self, source: _Source) -> np.ndarray:
        if source.kind == "bare":
            return np.ones(len(self.draws.beta), dtype=bool)
        if source.plan is not None:
            return source.plan.pays
        from bayesmargins.integrate.tables import covers

        assert source.s is not None
        return np.asarray(covers(source.s))

    def _pass(self, chunk: Chunk, source: _Source, part: str, draws: np.ndarray, passed: Passed) -> None:
        from bayesmargins.predictor.kernels import TOGETHER, pass_of_slopes, pass_of_values
        from bayesmargins.predictor.terms import (
            change_terms,
            in_order,
            largest,
            typical_eta,
            typical_variance,
            value_terms,
        )

        if source.kind == "surface":
            # Rows with like s one after the other: a tile looks up a few lines of the surface, and they stay in cache.
            chunk = chunk.take(np.argsort(typical_variance(self.draws, chunk.rows, chunk.plan.integrated)))
        line, size = None, _LINES
        if source.plan is not None:  # rows with like t one after the other: a tile looks up one panel
            order = np.argsort(source.plan.direction.t, kind="stable")
            chunk, line, size = chunk.take(order), source.plan.direction.take(order), source.plan.block
        with_s2 = source.kind in ("bare", "surface")
        terms = value_terms(self.draws, chunk.rows, chunk.plan, source.shifts, with_s2=with_s2)
        if line is not None:
            terms = _with_t(terms, line.t)
        weights, out = _weights(chunk), passed.values[part]
        order, reach = None, None
        if source.kind == "curves" and weights.start < 0 and len(chunk.rows.offset) >= _MANY_ROWS:
            # Rows with like eta one after the other: one polynomial serves a tile. Rows that are cells stay in order.
            order, reach = np.argsort(typical_eta(terms)), largest(terms, draws)[0]
            terms, weights = in_order(terms, order), weights.in_order(order)
        changes, steep = None, (1.0, 0.0)
        if part == "slope":
            assert chunk.d_rows is not None
            d_shifts = self._changes_of_shifts(chunk)
            changes = change_terms(self.draws, chunk.rows, chunk.d_rows, chunk.plan, d_shifts)
            if line is not None and line.d_t is not None:
                changes = _with_t(changes, 2.0 * line.d_t)  # a pass takes the half
            steep = largest(changes, draws)
            changes = changes if order is None else in_order(changes, order)
        for start in range(0, len(draws), size):
            lines = draws[start : start + size]
            blocks = -(-len(lines) // TOGETHER)
            integrand, bounds, method, nodes = self._integrand(source, chunk, part, lines, reach)
            if changes is None:
                in_threads(pass_of_values, blocks, terms, integrand, lines, weights, out)
                passed.note(method, bounds[0], nodes)
            else:
                in_threads(pass_of_slopes, blocks, terms, changes, integrand, lines, weights, out)
                passed.note(method, bounds[1] * steep[0] + bounds[2] * steep[1] / 2, nodes)
            self.tick(len(lines) * len(chunk.rows.offset))

    def _changes_of_shifts(self, chunk: Chunk) -> tuple[Shift, ...]:
        """Only under the identity do averaged groups move eta by more than a constant."""
        from bayesmargins.predictor.terms import mean_effects

        if chunk.plan.mixture is None or self.link.name != "identity":
            return ()
        assert chunk.d_rows is not None
        return mean_effects(self.draws, chunk.d_rows, chunk.plan.mixture)

    def _integrand(
        self, source: _Source, chunk: Chunk, part: str, lines: np.ndarray, reach: float | None
    ) -> tuple[Any, tuple[float, float, float], str, int]:
        """What the compiled pass looks up, its bounds (value, first and second derivative), engine and nodes."""
        order, part = (1, "mean") if part == "slope" else (0, part)
        if source.kind == "bare":
            from bayesmargins.predictor.kernels import Bare

            method = "closed form" if chunk.plan.integrated else "plug-in"
            return Bare(_CODES[self.link.name], PARTS.index(part)), (0.0, 0.0, 0.0), method, 0
        assert source.s is not None
        largest_s = float(source.s[lines].max(initial=0.0))
        nodes = rule_for(self.link, largest_s).nodes if self.link.strip is not None and largest_s > 0 else 0
        method = "table of the trapezoid rule" if nodes else "table"
        if source.plan is not None:
            made = self._made_lines(source.plan, source.s[lines], chunk, part, lines)
            return made.arrays, (made.error_bound, made.error_bound_d_eta, made.error_bound_d_t), method, nodes
        if source.kind == "surface":
            table = self._surface(source.low, largest_s, part)
            return table.arrays, (table.error_bound, table.error_bound_d1, table.error_bound_d2), method, nodes
        arrays, bounds = self._curve_cells(source, chunk, part, lines, reach, order)
        return arrays, bounds, method, nodes

    def _curve_cells(
        self, source: _Source, chunk: Chunk, part: str, lines: np.ndarray, reach: float | None, order: int
    ) -> tuple[CurveCells, tuple[float, float, float]]:
        """Curves with wide cells, if rows come in order; and their bounds."""
        from bayesmargins.integrate.table_wide import no_wide_cells, wide_cells
        from bayesmargins.predictor.kernels import CurveCells

        assert source.s is not None
        key, made = self._curves(source, chunk, part, lines)
        smallest_s, wide = float(source.s[lines].min(initial=np.inf)), no_wide_cells(len(lines))
        if reach is not None:
            far = float(_STRETCH * np.ceil(reach / _STRETCH))
            wide = self._keep(("wide", far, order, *key), lambda: wide_cells(made, smallest_s, far, order))
        value, d1 = max(made.error_bound, wide.error_bound), max(made.error_bound_d1, wide.error_bound)
        return CurveCells(made.arrays, wide.arrays), (value, d1, made.error_bound_d2)

    def _made_lines(self, plan: LinePlan, s: np.ndarray, chunk: Chunk, part: str, lines: np.ndarray) -> Lines:
        from bayesmargins.integrate.line_mixtures import line_mixture

        mixture, t = chunk.plan.mixture, plan.direction.t
        assert mixture is not None
        eta = float(plan.low[lines].min()), float(plan.high[lines].max())
        groups = plan.direction.groups(self.draws, mixture, lines)
        ends = float(t.min()), float(t.max())
        return line_mixture(self.link, s, *groups, mixture.weights, ends, eta, part)

    def _surface(self, low: float, high: float, part: str) -> Surface:
        """For a range of s in whole halves, so that the next chunk finds it."""
        from bayesmargins.integrate.tables import surface

        low, high = np.floor(2.0 * low) / 2.0, min(np.ceil(2.0 * high + 1e-9) / 2.0, _WIDEST)
        return self._keep(("surface", part, low, high), lambda: surface(self.link, low, high, part))

    def _curves(self, source: _Source, chunk: Chunk, part: str, lines: np.ndarray) -> tuple[tuple[Any, ...], Curves]:
        """Curves, and what they are known by."""
        from bayesmargins.integrate.table_mixtures import mixture_curves
        from bayesmargins.integrate.tables import curves
        from bayesmargins.predictor.terms import group_shifts

        assert source.s is not None
        s = source.s[lines]
        if source.z is None:
            key: tuple[Any, ...] = ("new", part, s.tobytes())
            return key, self._keep(key, lambda: curves(self.link, s, part))
        mixture, z = chunk.plan.mixture, source.z
        assert mixture is not None

        def made() -> Curves:
            return mixture_curves(self.link, s, group_shifts(self.draws, lines, z, mixture), mixture.weights, part)

        # The same z and draws have the same groups: their b, which may be large, is not read again to know it.
        key = ("existing", part, s.tobytes(), _bytes(z), lines.tobytes())
        return key, self._keep(key, made)

    def _keep(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            made = make()
            if sum(t.arrays.coef.nbytes for t in self._kept.values()) + made.arrays.coef.nbytes > _KEPT_BYTES:
                return made
            self._kept[key] = made
        return self._kept[key]


def _bytes(z: Mapping[str, np.ndarray]) -> tuple[tuple[str, bytes], ...]:
    return tuple((factor, row.tobytes()) for factor, row in z.items())


def _with_t(terms: Terms, t: np.ndarray) -> Terms:
    """Lines know their s2: t, or its derivative, takes its place."""
    return terms._replace(W=t[None], Sigma=np.ones((len(terms.beta), 1)))


def _weights(chunk: Chunk) -> Weights:
    from bayesmargins.predictor.kernels import Weights

    cells = chunk.cells
    weights = np.ascontiguousarray(chunk.weights, dtype=np.float64)
    index = np.ascontiguousarray(cells.index, dtype=np.int64)
    if cells.unit and len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return Weights(weights, index[:0], int(index[0]))
    return Weights(weights, index[:0] if cells.n == 1 else index, -1)
