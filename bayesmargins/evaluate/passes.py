"""One pass over the rows of a question, chunk by chunk: through tables where they pay, else the exact engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate import exact, scaled
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk, subset
from bayesmargins.evaluate.tabled import Tables
from bayesmargins.evaluate.tails import add_tails
from bayesmargins.family.link import Link
from bayesmargins.grid import Cells
from bayesmargins.limits import options

__all__ = ["Predictor", "complete"]

# Below either, making a table costs more than it saves.
MANY_ROWS = 512
MANY_VALUES = 2**21
_GROUPS = 16  # fitted groups that a row is averaged over at the price of one integral, or more
TOLD_VALUES = 2**17  # done before a bar is told of them, each group counted: a hundredth of a second
_BLOCK_VALUES = 2**21  # quotients at a time
_BYTES_A_VALUE = 2**7  # of these: slope, mean, quotient, bound and what the engine holds besides


@dataclass(eq=False)
class Predictor:
    """What do these draws predict, with b treated as planned and rows averaged?"""

    draws: Draws
    link: Link
    tick: Callable[[int], None] = lambda done: None  # is told of values that are done
    untold: int = field(default=0, init=False)  # values that are done and that it was not told of yet

    @cached_property
    def tables(self) -> Tables:
        """Kept for all chunks."""
        return Tables(self.draws, self.link, self.tick)

    def values(
        self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",), careful: bool = False
    ) -> Passed:
        """The mean response of these rows, or 1 less it, by part: (draw, cell).

        `rows` are those of all chunks: they decide whether tables pay. `careful`: values are divided by; of sums of
        averages more is computed then.
        """
        passed = Passed({part: np.zeros((len(self.draws.beta), cells)) for part in parts})
        multiplied = 1.0
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            if not len(chunk.cells.index):
                continue
            if chunk.multiplier is not None:
                multiplied = max(multiplied, float(np.nanmax(np.abs(chunk.multiplier), initial=0.0)))
            tabled = rows >= MANY_ROWS and self._many(rows, chunk) and "second" not in parts
            for part in parts:
                if tabled:
                    self._add(chunk, part, passed)
                else:
                    self._add_exactly(self.draws, chunk, part, passed, passed.values[part])
        passed.error_bound *= multiplied
        passed.multiplied = multiplied
        return passed

    def add_tails(self, passed: Passed, chunks: Iterable[Chunk]) -> None:
        """Put on record the logarithms of values of the same chunks that are too small to be divided by."""
        add_tails(self.draws, self.link, chunks, passed, self.tick)

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """How does the mean response of these rows change with a variable? ``values["slope"]``, (draw, cell)."""
        return self.values(chunks, rows, cells, ("slope",))

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """How do the slopes of these rows change with a second variable? ``values["second"]``, (draw, cell)."""
        return self.values(chunks, rows, cells, ("second",))

    def relative_slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """Slopes relative to the mean response: ``values["slope"]``, (draw, cell); not finite where a mean is 0.

        Each row's slope is divided by its mean before rows are averaged: a block of rows at a time, so that draws x
        rows are never stored where an average is asked for.
        """
        passed = Passed({"slope": np.zeros((len(self.draws.beta), cells))})
        size = max(1, min(_BLOCK_VALUES, options.bytes // _BYTES_A_VALUE) // len(self.draws.beta))
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            for start in range(0, len(chunk.cells.index), size):
                some = chunk.take(np.arange(start, min(start + size, len(chunk.cells.index))))
                some.cells.add(passed.values["slope"], self._quotients(some, rows, passed), slice(None))
        return passed

    def _quotients(self, chunk: Chunk, rows: int, passed: Passed) -> np.ndarray:
        """Slope / mean of every row and draw, times the multiplier; a bound on the error goes on record."""
        n = len(chunk.cells.index)
        alone = replace(chunk, cells=Cells(np.arange(n), np.ones(n), n, unit=True), multiplier=None)
        slopes, means = (self.values([alone], rows, n, (part,)) for part in ("slope", "mean"))
        mean = means.values["mean"]
        factor = 1.0 if chunk.multiplier is None else chunk.multiplier
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where a mean is 0
            quotient = slopes.values["slope"] / mean
            bound = (slopes.error_bound + np.abs(quotient) * means.error_bound) / (np.abs(mean) - means.error_bound)
            bound = np.where(bound >= 0, bound, np.inf) * np.abs(factor)
            values = quotient * factor
        known = np.isfinite(values) & ~np.isnan(bound)
        for method in slopes.methods | means.methods:
            passed.note(method, float(np.max(bound, where=known, initial=0.0)), max(slopes.nodes, means.nodes))
        return np.asarray(values)

    def _many(self, rows: int, chunk: Chunk) -> bool:
        """Do tables pay?"""
        mixture = chunk.plan.mixture
        groups = 1.0 if mixture is None else max(1.0, len(mixture.weights) / _GROUPS)
        return rows >= MANY_ROWS and rows * len(self.draws.beta) * groups >= MANY_VALUES

    def _add(self, chunk: Chunk, part: str, passed: Passed) -> None:
        """Through tables, and the draws that none covers exactly."""
        left = self.tables.add(chunk, part, passed)
        if not len(left):
            return
        if len(left) == len(self.draws.beta):
            self._add_exactly(self.draws, chunk, part, passed, passed.values[part])
        else:
            draws, some = subset(self.draws, chunk, left)
            out = np.zeros((len(left), passed.values[part].shape[1]))
            self._add_exactly(draws, some, part, passed, out)
            passed.values[part][left] += out

    def _add_exactly(self, draws: Draws, chunk: Chunk, part: str, passed: Passed, out: np.ndarray) -> None:
        by = exact if chunk.scale is None else scaled
        engine = {"slope": by.slopes, "second": by.second_derivatives}.get(part, by.values)
        groups = 1 if chunk.plan.mixture is None else len(chunk.plan.mixture.weights)
        for block, values in engine(draws, self.link, chunk, part, passed):
            if chunk.multiplier is not None:
                values = values * chunk.multiplier[block]
            chunk.cells.add(out, values, block)
            self.untold += values.size
            if self.untold * groups >= TOLD_VALUES:
                self.tick(self.untold)
                self.untold = 0


def complete(chunk: Chunk, passed: Passed) -> Chunk:
    """The rows that can be computed; the others are NaN in the result (averages have refused them already)."""
    assert chunk.complete is not None
    for values in passed.values.values():
        values[..., chunk.cells.index[~chunk.complete]] = np.nan
    return replace(chunk.take(np.flatnonzero(chunk.complete)), complete=None)
