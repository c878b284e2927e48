"""Rows through compiled passes with the average over groups looked up in tables: for many rows.

What is looked up depends on what the rows hold (`sources`). Draws that no table covers, and rows that none fits, are
left to the exact engine.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.layout import Laid, lay_out
from bayesmargins.evaluate.lookups import Found, Lookups
from bayesmargins.evaluate.sources import Source, Sources
from bayesmargins.family.link import Link
from bayesmargins.integrate.aligned import zeros
from bayesmargins.limits import in_threads

__all__ = ["Tables"]

_MANY_A_CELL = 64  # rows of a chunk in each cell, from which on they are added up among themselves


class Tables:
    """How are chunks of rows passed through tables? Made once, kept for all chunks of a question."""

    def __init__(self, draws: Draws, link: Link, tick: Callable[[int], None]) -> None:
        self.draws, self.link, self.tick = draws, link, tick
        self.sources, self.lookups = Sources(draws, link), Lookups(draws, link)

    def add(self, chunk: Chunk, part: str, passed: Passed) -> np.ndarray:
        """Add a chunk's values, or its slopes, to the pass; draws that no table serves are left over."""
        everything = np.arange(len(self.draws.beta))
        pieces = self.sources.of(chunk)
        if any(source.kind == "exact" for _, source in pieces):
            return everything
        covered = np.ones(len(everything), dtype=bool)
        for _, source in pieces:
            covered &= self.sources.covered(source)
        looked_up = (part, "rise") if part == "slope" and chunk.scale is not None else (part,)
        for (piece, source), one in product(pieces, looked_up):
            self._pass(piece, source, one, everything[covered], passed)
        return everything[~covered]

    def _pass(
        self,
        chunk: Chunk,
        source: Source,
        part: str,
        draws: np.ndarray,
        passed: Passed,
    ) -> None:
        from bayesmargins.evaluate.terms import largest, largest_variance

        laid = lay_out(self.draws, self.link, chunk, source, part, draws)
        out = whole = passed.values["slope" if part == "rise" else part]
        if chunk.cells.n > 1 and len(chunk.cells.index) >= _MANY_A_CELL * chunk.cells.n:
            out = np.zeros_like(
                whole
            )  # a sum of chunks: adding row by row to what is large already would round each time
        steep = 1.0 if laid.changes is None else largest(laid.changes, draws)
        widening = largest_variance(laid.changes_of_variance, draws)
        for start in range(0, len(draws), laid.size):
            lines = draws[start : start + laid.size]
            here, moved, rises = _with_effects(laid, self.draws, chunk, lines)
            found = self.lookups.found(source, chunk, part, lines, laid.reach + moved)
            _run(here, found, lines, out)
            value, d1, d2 = found.bounds
            bound = value if laid.changes is None else d1 * (steep + rises) + d2 * widening / 2
            passed.note(found.method, bound * _size(laid, lines), found.nodes)
            self.tick(len(lines) * len(chunk.rows.offset))
        if out is not whole:
            whole += out


def _size(laid: Laid, lines: np.ndarray) -> float:
    """No average is multiplied by more."""
    from bayesmargins.evaluate.terms import highest, largest

    if laid.scales is None:
        return 1.0
    with np.errstate(over="ignore"):
        size = float(np.exp(highest(laid.scales.log, lines)))
    return size * largest(laid.scales.times, lines) if len(laid.scales.times.base) else size


def _with_effects(laid: Laid, draws: Draws, chunk: Chunk, lines: np.ndarray) -> tuple[Laid, float, float]:
    """The effects of some draws, and what groups add to eta, and to its derivative, at most."""
    if laid.groups is None:
        return laid, 0.0, 0.0
    from bayesmargins.evaluate.terms import group_effects

    assert chunk.plan.mixture is not None
    b = group_effects(draws, lines, chunk.plan.mixture)
    most = np.nan_to_num(np.abs(b)).max(axis=(0, 1), initial=0.0)
    moved, rises = (float(most @ np.abs(of).max(axis=1, initial=0.0)) for of in (laid.groups.Z, laid.groups.changes))
    return laid._replace(groups=laid.groups._replace(b=b)), moved, rises


def _run(laid: Laid, found: Found, draws: np.ndarray, out: np.ndarray) -> None:
    """One block of draws: what lies in the tables, and then what lies too far out."""
    from bayesmargins.evaluate.integrands import Far, within_tables
    from bayesmargins.evaluate.kernels import TOGETHER, WORK, pass_of_slopes, pass_of_values

    over = pass_of_values if laid.changes is None else pass_of_slopes
    values = laid.terms, laid.variance
    terms = values if laid.changes is None else (*values, laid.changes, laid.changes_of_variance)
    far = np.zeros(len(draws), dtype=np.int64)

    def run(integrand: Any, lines: np.ndarray) -> None:
        rest = *terms, laid.groups, laid.scales, integrand, draws, lines, laid.weights, far, out
        in_threads(lambda begin, end: over(begin, end, zeros(*WORK), *rest), -(-len(lines) // TOGETHER))

    run(within_tables(found.integrand), np.arange(len(draws)))
    if far.any():
        run(Far(found.integrand), np.flatnonzero(far))
