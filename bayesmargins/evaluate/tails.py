"""Means and complements too small for a sum on fixed nodes, or for a float, as logarithms: for what divides by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk, subset
from bayesmargins.family.link import Link
from bayesmargins.grid import Cells
from bayesmargins.integrate import log_expectation, trusted

__all__ = ["add_tails"]

_SMALLEST, _LARGEST = 1e-290, 1e290  # beyond, floats lose digits
_TABLED = 1e-12  # tables are relatively accurate from here on


def add_tails(draws: Draws, link: Link, chunks: Iterable[Chunk], passed: Passed, tick: Callable[[int], None]) -> None:
    """Put the logarithms of all values (draw, cell) of a pass on record that are not known to relative accuracy."""
    for part, values in passed.values.items():
        rare = _rare(link, part, values, passed)
        if not rare.any():
            continue
        logs = _log_averages(draws, link, chunks, part, rare, passed, tick)
        passed.logs[part] = np.where(rare, logs, np.nan)
        with np.errstate(over="ignore"):
            values[rare] = np.exp(logs[rare])


def _rare(link: Link, part: str, values: np.ndarray, passed: Passed) -> np.ndarray:
    if link.linear:
        return np.zeros(values.shape, dtype=bool)
    least = _SMALLEST if passed.error_bound == 0.0 else trusted(link, part) * passed.multiplied
    if np.isinf(passed.relative_bound):
        least = max(least, _TABLED * passed.multiplied, 2.0 * passed.error_bound)
    return ~np.isnan(values) & ~((values >= least) & (values <= _LARGEST))


def _log_averages(
    draws: Draws,
    link: Link,
    chunks: Iterable[Chunk],
    part: str,
    rare: np.ndarray,
    passed: Passed,
    tick: Callable[[int], None],
) -> np.ndarray:
    """Logarithms of averages over rows (draw, cell), where they are rare."""
    which = np.flatnonzero(rare.any(axis=1))
    wanted = rare[which]
    cells = np.asarray(wanted.any(axis=0))
    out = np.full(wanted.shape, -np.inf)
    for whole in chunks:
        needed = cells[whole.cells.index]
        rows = np.flatnonzero(needed if whole.complete is None else needed & whole.complete)
        some, chunk = subset(draws, whole.take(rows), which)
        for block in exact.blocks(len(rows), len(which)):
            need = wanted[:, chunk.cells.index[block]]
            values = np.full(need.shape, -np.inf)
            values[need] = _log_means(some, link, chunk, part, block, need, passed)
            _add(chunk.cells, out, values + _log_weights(chunk, block), block)
            tick(int(need.sum()))
    logs = np.full(rare.shape, -np.inf)
    logs[which] = out
    return logs


def _log_means(
    draws: Draws, link: Link, chunk: Chunk, part: str, block: slice, need: np.ndarray, passed: Passed
) -> np.ndarray:
    """Of the pairs of a draw and a row that are needed: (n,)."""
    rows, plan = chunk.rows, chunk.plan
    eta = exact.linear(draws, rows, plan, block)[need]
    s2 = np.broadcast_to(exact.variance(draws, rows, plan, block), need.shape)[need]
    if plan.mixture is None:
        return passed.record_log(log_expectation(link, eta, s2, part))
    total = np.full(eta.shape, -np.inf)
    for weights, shift in exact.shifts(draws, rows.Z, plan.mixture, block):
        of_groups = np.moveaxis(shift, 1, 0)[:, need]  # (group, pair)
        terms = log_expectation(link, (eta + of_groups).ravel(), np.tile(s2, len(weights)), part)
        logs = passed.record_log(terms).reshape(of_groups.shape) + np.log(weights)[:, None]
        total = np.logaddexp(total, np.logaddexp.reduce(logs, axis=0))
    return total


def _log_weights(chunk: Chunk, block: slice) -> np.ndarray:
    weights = chunk.weights[block]
    if chunk.cells.unit:
        weights = np.ones(len(weights)) if chunk.multiplier is None else chunk.multiplier[block]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(weights))


def _add(cells: Cells, out: np.ndarray, values: np.ndarray, block: slice) -> None:
    """Add a block of logarithms into the cells."""
    index = cells.index[block]
    if cells.unit:
        out[:, index] = values
        return
    order = np.argsort(index, kind="stable")
    present, starts = np.unique(index[order], return_index=True)
    out[:, present] = np.logaddexp(out[:, present], np.logaddexp.reduceat(values[:, order], starts, axis=1))
