"""Rows laid out for a compiled pass, in the order that suits the table that they look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.sources import Source
from bayesmargins.family.link import Link
from bayesmargins.integrate.aligned import aligned

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.evaluate.terms import Shift
    from bayesmargins.evaluate.tiles import Groups, Scales, Terms, Variance, Weights

__all__ = ["Laid", "lay_out"]

_LINES = 4096  # draws that are done between two looks at the clock
_RUN = 4096  # rows a cell, from which on they are sorted by cell, so that the sum of a tile is added at once
_GROUP_VALUES = 2**23  # draws x fitted groups at a time: 64 MiB


class Laid(NamedTuple):
    """What does a pass go over?"""

    terms: Terms  # of eta
    variance: Variance | None  # s2, where rows have one
    changes: Terms | None  # their derivatives, for slopes
    changes_of_variance: Variance | None
    # fitted groups that are looked up one by one, without their effects, which differ from draw to draw
    groups: Groups | None
    scales: Scales | None  # what averages are multiplied by
    weights: Weights  # how rows become cells
    reach: float  # no abs(eta) is larger
    size: int  # draws at a time


def lay_out(draws: Draws, link: Link, chunk: Chunk, source: Source, part: str, which: np.ndarray) -> Laid:
    """How are a chunk's rows laid out for these draws? "rise" is the average times the slope of its scale's log."""
    from bayesmargins.evaluate.terms import largest, terms_of, variance_of

    terms = terms_of(draws, chunk.rows, chunk.plan, source.shifts)
    variance = variance_of(draws, chunk.rows, chunk.plan) if source.kind == "bare" else None
    turned = part == "slope" and chunk.scale is not None  # what is looked up falls where the inverse link rises
    weights, scales = _weights(chunk, -1.0 if turned else 1.0), _scales(chunk, part)
    order, size = None, _LINES
    if source.spread is not None:
        # Rows with like s one after the other: a tile looks up a few lines of the surface, and they stay in cache.
        variance, order = source.spread.variance, source.spread.order
    if source.z is not None and chunk.plan.mixture is not None:
        size = int(np.clip(_GROUP_VALUES // len(chunk.plan.mixture.weights), 64, _LINES))
    changes, changes_of_variance = _changes(draws, link, chunk) if part == "slope" else (None, None)
    groups = _groups(chunk) if source.one_by_one else None
    if groups is not None:
        size = int(np.clip(_LINES // len(groups.weights), 64, _LINES))
    if weights.cells.size >= _RUN * chunk.cells.n and not chunk.cells.unit:  # rows of a cell one after the other
        order = _by_cell(weights.cells, order)
    reach = largest(terms, which)
    laid = Laid(terms, variance, changes, changes_of_variance, groups, scales, weights, reach, size)
    return laid if order is None else _in_order(laid, order)


def _in_order(laid: Laid, order: np.ndarray) -> Laid:
    """The same rows in another order."""
    from bayesmargins.evaluate.terms import in_order, variance_in_order
    from bayesmargins.evaluate.tiles import Scales

    scales, groups = laid.scales, laid.groups
    return laid._replace(
        terms=in_order(laid.terms, order),
        variance=variance_in_order(laid.variance, order),
        changes=laid.changes and in_order(laid.changes, order),
        changes_of_variance=variance_in_order(laid.changes_of_variance, order),
        groups=groups and groups._replace(Z=groups.Z[:, order], changes=groups.changes[:, order]),
        scales=scales and Scales(*(in_order(of, order) if len(of.base) else of for of in scales)),
        weights=laid.weights.in_order(order),
    )


def _by_cell(cells: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    if order is None:
        return np.argsort(cells, kind="stable")
    return order[np.argsort(cells[order], kind="stable")]


def _changes(draws: Draws, link: Link, chunk: Chunk) -> tuple[Terms, Variance | None]:
    """The derivatives of eta and of s2."""
    from bayesmargins.evaluate.terms import change_of_variance, terms_of

    assert chunk.d_rows is not None
    shifts = _changes_of_shifts(draws, link, chunk)
    of_variance = change_of_variance(draws, chunk.rows, chunk.d_rows, chunk.plan)
    return terms_of(draws, chunk.d_rows, chunk.plan, shifts), of_variance


def _groups(chunk: Chunk) -> Groups:
    from bayesmargins.evaluate.tiles import Groups

    mixture, d_rows = chunk.plan.mixture, chunk.d_rows
    assert mixture is not None
    Z = np.hstack([chunk.rows.Z[f] for f in mixture.factors]).T
    changes = np.zeros_like(Z) if d_rows is None else np.hstack([d_rows.Z[f] for f in mixture.factors]).T
    weights = np.ascontiguousarray(mixture.weights, dtype=np.float64)
    return Groups(np.ascontiguousarray(Z), np.ascontiguousarray(changes), np.empty((0, len(weights), len(Z))), weights)


def _changes_of_shifts(draws: Draws, link: Link, chunk: Chunk) -> tuple[Shift, ...]:
    """Only under the identity do averaged groups move eta by more than a constant."""
    from bayesmargins.evaluate.terms import mean_effects

    if chunk.plan.mixture is None or not link.linear:
        return ()
    assert chunk.d_rows is not None
    return mean_effects(draws, chunk.d_rows, chunk.plan.mixture)


def _scales(chunk: Chunk, part: str) -> Scales | None:
    """exp of a linear predictor, and for "rise" its derivative."""
    from bayesmargins.evaluate.terms import no_terms, terms_of
    from bayesmargins.evaluate.tiles import Scales

    scale = chunk.scale
    if scale is None:
        return None
    log = terms_of(scale.draws, scale.rows, scale.plan)
    if part != "rise":
        return Scales(log, no_terms())
    assert scale.d_rows is not None
    return Scales(log, terms_of(scale.draws, scale.d_rows, scale.plan))


def _weights(chunk: Chunk, sign: float) -> Weights:
    """What rows count for, with a sign."""
    from bayesmargins.evaluate.tiles import Weights

    cells = chunk.cells
    weights = aligned(len(chunk.weights))
    np.multiply(sign, chunk.weights, out=weights)
    index = np.ascontiguousarray(cells.index, dtype=np.int64)
    if cells.unit and len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return Weights(weights, index[:0], int(index[0]))
    return Weights(weights, index[:0] if cells.n == 1 else index, -1)
