"""Sums of y that pictures show: how often each value occurs, and means by predictor and by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmargins.validation.binned_predictors import Predictor
from bayesmargins.validation.replicates import Replicates

__all__ = ["DISTRIBUTION", "Tally", "far_apart", "out_of_order", "tallies_of"]

DISTRIBUTION = "value"
_BARS = 40
_POINTS = 99


@dataclass(frozen=True)
class Tally:
    """A row of sums of y, or of whether y has a value."""

    name: str  # predictor, grouping factor, or `DISTRIBUTION`
    labels: tuple[Any, ...]  # of its entries
    # {"bars", "ecdf", "mean", "groups"}: what the entries are: numbers of rows with a value; shares of rows up to
    # a value; means
    kind: str
    # (entry,): where a value begins (bars), or ends (ecdf)
    edges: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    # (row,): entry of each row, for means; -1 for none
    codes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.intp), repr=False)
    size: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)  # (row,): how many observations a row is

    @property
    def sizes(self) -> np.ndarray:
        """Observations by entry of a mean."""
        known = self.codes >= 0
        return np.bincount(self.codes[known], self.size[known], len(self.labels))

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """y (replicate, row) -> (replicate, entry)."""
        if self.kind == "ecdf":
            ordered = np.sort(y / self.size, axis=1)
            return np.stack([np.searchsorted(row, self.edges, side="right") / y.shape[1] for row in ordered])
        if self.kind == "bars":
            at = np.searchsorted(self.edges, y, side="right") - 1
            flat = at + len(self.edges) * np.arange(len(y))[:, None]
            return np.bincount(flat.ravel(), minlength=len(y) * len(self.edges)).reshape(len(y), -1).astype(np.float64)
        from scipy.sparse import csr_array

        rows = np.flatnonzero(self.codes >= 0)
        shape = (len(self.labels), y.shape[1])
        indicator = csr_array((np.ones(len(rows)), (self.codes[rows], rows)), shape=shape)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((indicator @ y.T).T / self.sizes)


def tallies_of(replicates: Replicates, predictors: Sequence[Predictor]) -> list[Tally]:
    """Of the distribution, every predictor, every grouping factor."""
    post, o = replicates.post, replicates.outcome
    size = np.ones(len(o.y)) if o.trials is None else np.asarray(o.trials, dtype=np.float64)
    found = [_distribution(replicates, size)]
    found += [Tally(p.name, p.labels, "mean", codes=p.codes, size=size) for p in predictors]
    factors = [f for f in post.design.factors.values() if f.members is None]  # a row in several groups is of none
    return found + [Tally(f.name, tuple(f.levels), "groups", codes=f.codes, size=size) for f in factors]


def _distribution(replicates: Replicates, size: np.ndarray) -> Tally:
    post, y = replicates.post, replicates.outcome.y
    assert post.family.support is not None
    if post.family.ordinal:
        categories = post.categories
        return Tally(DISTRIBUTION, tuple(categories), "bars", np.arange(1.0, len(categories) + 1.0), size=size)
    if post.family.discrete and (size == 1.0).all():
        top = float(y.max(initial=0.0))
        assert post.family.support is not None
        highest = np.broadcast_to(np.asarray(post.family.support.highest(replicates.outcome)), y.shape)
        last = float(highest.max()) if np.isfinite(highest).all() else 1.3 * top + 2.0
        width = max(1, int(np.ceil((last + 1.0) / _BARS)))
        edges = np.arange(0.0, last + 1.0, width)
        return Tally(DISTRIBUTION, tuple(edges.astype(int).tolist()), "bars", edges, size=size)
    edges = np.unique(np.quantile(y / size, np.linspace(0.0, 1.0, _POINTS + 2)[1:-1]))
    return Tally(DISTRIBUTION, tuple(edges.tolist()), "ecdf", edges, size=size)


def far_apart(tally: Tally, values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """How far each row of values (any, entry) lies from the mean of those predicted: (any,)."""
    middle = predicted.mean(axis=0)
    if tally.kind == "ecdf":
        return np.asarray(np.abs(values - middle).max(axis=1))
    spread = middle + 1.0 if tally.kind == "bars" else predicted.var(axis=0)
    known = np.isfinite(middle) & np.isfinite(spread) & (spread > 0.0)
    if not known.any():
        return np.zeros(len(values))
    return np.asarray(((values - middle)[:, known] ** 2 / spread[known]).mean(axis=1))


def out_of_order(seen: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the ordered effects of groups lie from those of replicates, whatever their mean and spread.

    From (group,) and (replicate, group): (1,) and (replicate,).
    """
    sides = [np.sort((b - b.mean(axis=1, keepdims=True)) / np.maximum(b.std(axis=1, keepdims=True), 1e-300), axis=1)
             for b in (seen[None], drawn)]  # fmt: skip
    middle, spread = sides[1].mean(axis=0), np.maximum(sides[1].var(axis=0), 1e-12)
    observed, predicted = (((b - middle) ** 2 / spread).mean(axis=1) for b in sides)
    return observed, predicted
