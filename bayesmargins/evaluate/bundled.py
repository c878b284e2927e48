"""One pass over the rows of a question for several functions of one eta at once: values (output, draw, cell).

Many rows that have the same z are looked up in a table of each draw; others go through the exact engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk, subset
from bayesmargins.evaluate.passes import complete
from bayesmargins.family.curve import Bundle
from bayesmargins.integrate import BundleAverages, BundleTable, bundle_table
from bayesmargins.limits import in_threads

__all__ = ["BundlePredictor"]

Engine = Callable[..., Iterator[tuple[slice, np.ndarray]]]

_MANY_ROWS = 64  # of the same z: below, a table costs more than it saves
_DRAWS, _ROWS = 8, 4096  # of a block of eta: 256 KiB
_TABLE_VALUES = 2**23  # 64 MiB
_CELLS = 6.0 * 64.0  # numbers of an output for each unit of eta, at most


class BundlePredictor:
    """What do these draws say of the functions of a bundle, with b treated as planned and rows averaged?"""

    def __init__(self, draws: Draws, bundle: Bundle, tick: Callable[[int], None]) -> None:
        self.draws, self.tick = draws, tick
        self.averages = BundleAverages(bundle, {name: draws.aux[name] for name in bundle.reads})

    def values(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["mean"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "mean", exact.values)

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["slope"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "slope", exact.slopes)

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["second"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "second", exact.second_derivatives)

    def _pass(self, chunks: Iterable[Chunk], cells: int, part: str, engine: Engine) -> Passed:
        out = np.zeros((self.averages.bundle.outputs, len(self.draws.beta), cells))
        passed = Passed({part: out})
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            if chunk.multiplier is not None:
                passed.multiplied = max(passed.multiplied, float(np.nanmax(np.abs(chunk.multiplier), initial=0.0)))
            if part == "second" or _z_moves(chunk):
                self._add_exactly(chunk, part, engine, passed, self.draws, self.averages, slice(None))
                continue
            for piece, same_z in _pieces(chunk):
                if same_z and len(piece.cells.index) >= _MANY_ROWS:
                    self._add_looked_up(piece, part, engine, passed)
                else:
                    self._add_exactly(piece, part, engine, passed, self.draws, self.averages, slice(None))
        passed.error_bound *= passed.multiplied
        return passed

    def _add_exactly(
        self,
        chunk: Chunk,
        part: str,
        engine: Engine,
        passed: Passed,
        draws: Draws,
        averages: BundleAverages,
        which: slice,
    ) -> None:
        for block, values in engine(draws, averages, chunk, part, passed):
            factor = 1.0 if chunk.multiplier is None else chunk.multiplier[block]
            for total, of_output in zip(passed.values[part], values, strict=True):
                chunk.cells.add(total[which], of_output * factor, block)
            self.tick(values[0].size)

    def _add_looked_up(self, chunk: Chunk, part: str, engine: Engine, passed: Passed) -> None:
        """Rows of the same z: a table of as many draws at a time as memory is given to."""
        n = len(self.draws.beta)
        low, high = np.empty(n), np.empty(n)
        self._by_draws(chunk, slice(0, n), lambda eta, which, rows: _widen(low, high, which, eta, rows.start == 0))
        spans = float(np.max(high - low, initial=0.0))
        size = max(1, int(_TABLE_VALUES / (self.averages.bundle.outputs * max(spans, 1.0) * _CELLS)))
        for start in range(0, n, size):
            which = slice(start, min(start + size, n))
            draws, some = subset(self.draws, chunk, which)
            averages, one = self.averages.take(which), slice(0, 1)
            s2, groups = (
                exact.variance(draws, some.rows, some.plan, one),
                exact.group_shifts(draws, some.rows, some.plan),
            )
            ends = low[which], high[which]
            known = bool(np.isfinite(ends).all())
            table = bundle_table(averages, ends, s2, int(part == "slope"), groups) if known else None
            if table is None:
                self._add_exactly(some, part, engine, passed, draws, averages, which)
            else:
                self._look_up(chunk, part, passed, table, which)

    def _look_up(self, chunk: Chunk, part: str, passed: Passed, table: BundleTable, which: slice) -> None:
        out, largest = passed.values[part], [1.0]

        def add(eta: np.ndarray, some: slice, rows: slice) -> None:
            weights = chunk.weights[None, rows]
            if part == "slope":
                assert chunk.d_rows is not None
                draws, moved = subset(self.draws, chunk, some)
                d_eta = exact.linear(draws, chunk.d_rows, moved.plan, rows)
                weights = weights * d_eta
                largest.append(float(np.abs(d_eta).max(initial=0.0)))
            here = slice(some.start - which.start, some.stop - which.start)
            table.add(here, eta, weights, chunk.cells.index[rows], out[:, some])
            self.tick(eta.size)

        self._by_draws(chunk, which, add)
        size = max(largest) if part == "slope" else 1.0
        passed.note("table of the trapezoid rule" if table.nodes else "table", table.error_bound * size, table.nodes)

    def _by_draws(self, chunk: Chunk, which: slice, do: Callable[[np.ndarray, slice, slice], None]) -> None:
        """``do(eta, draws, rows)`` for blocks of eta (draw, row) that stay in the processor's cache, on all threads."""
        n, rows = which.stop - which.start, len(chunk.cells.index)

        def work(first: int, last: int) -> None:
            for start in range(first * _DRAWS, min(last * _DRAWS, n), _DRAWS):
                some = slice(which.start + start, which.start + min(start + _DRAWS, n))
                draws, own = subset(self.draws, chunk, some)
                for row in range(0, rows, _ROWS):
                    block = slice(row, min(row + _ROWS, rows))
                    do(exact.linear(draws, own.rows, own.plan, block), some, block)

        in_threads(work, -(-n // _DRAWS))


def _widen(low: np.ndarray, high: np.ndarray, which: slice, eta: np.ndarray, first: bool) -> None:
    """The lowest and highest eta of some draws, with more rows."""
    least, most = eta.min(axis=1), eta.max(axis=1)
    low[which] = least if first else np.minimum(low[which], least)
    high[which] = most if first else np.maximum(high[which], most)


def _averaged(chunk: Chunk) -> tuple[str, ...]:
    """Factors that are averaged over."""
    plan = chunk.plan
    return (*plan.integrated, *(() if plan.mixture is None else plan.mixture.factors))


def _z_moves(chunk: Chunk) -> bool:
    """Whether a slope's variable is in z of what is averaged over."""
    return chunk.d_rows is not None and exact.moves(chunk.d_rows, _averaged(chunk))


def _pieces(chunk: Chunk) -> Iterator[tuple[Chunk, bool]]:
    """The rows by their z of what is averaged over, and whether it is one; all together where few rows share one."""
    n = len(chunk.cells.index)
    z = np.column_stack([np.zeros((n, 1)), *(chunk.rows.Z[f] for f in _averaged(chunk))])
    if (z == z[:1]).all():
        yield chunk, True
        return
    kinds, of_row = np.unique(z, axis=0, return_inverse=True)
    if n < _MANY_ROWS * len(kinds):
        yield chunk, False
        return
    for k in range(len(kinds)):
        yield chunk.take(np.flatnonzero(of_row.ravel() == k)), True
