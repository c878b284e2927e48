"""Predictors as numbers: columns that stand for them, and the bins or levels that pictures and sums go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.posterior import Posterior
from bayesmargins.validation.replicates import Replicates

__all__ = ["EXPECTED", "Predictor", "beyond", "checked_by", "pairs", "predictors_of"]

EXPECTED = "(predicted)"
"""The name of what stands for all predictors together: the linear predictor without group effects, in bins."""

_BINS = 10
_DISTINCT = 12  # a number with no more values needs no bins
_PAIRS = 120
_COLUMNS = 40  # that a pair takes
_TINY = 1e-6


@dataclass(frozen=True)
class Predictor:
    """One of them, in the rows of the fit."""

    name: str  # column of the data
    # (row, column): a number in standard deviations from its mean; or a column a level but the first, centred
    basis: np.ndarray = field(repr=False)
    codes: np.ndarray = field(repr=False)  # (row,): bin or level of each row
    labels: tuple[Any, ...]  # of the bins: their mean, or the level
    number: bool  # whether it is a number

    @property
    def indicators(self) -> np.ndarray:
        """A column a bin: (row, bin)."""
        return np.asarray(self.codes[:, None] == np.arange(len(self.labels)), dtype=np.float64)

    def constant_within(self, codes: np.ndarray) -> bool:
        """Whether it has one value in each of these groups."""
        groups = pd.DataFrame(self.basis).groupby(codes)
        return bool(((groups.max() - groups.min()) < _TINY).to_numpy().all())


def predictors_of(replicates: Replicates, by: Sequence[str]) -> list[Predictor]:
    """Those of the formula, then columns of `by`, then `EXPECTED`; what has one value only is none."""
    post = replicates.post
    frame = post.design.data
    names = sorted(post.design.variables().union(*(p.design.variables() for p in post.parts.values())))
    found = [_predictor(post, name) for name in [*names, *(b for b in by if b not in names)] if name in frame]
    fixed = replicates.fixed_part
    if np.ptp(fixed) > 0.0:
        found.append(_number(EXPECTED, fixed))
    return [p for p in found if len(p.labels) > 1]


def checked_by(post: Posterior, by: Any) -> tuple[str, ...]:
    """Columns of the data that were named."""
    names = [by] if isinstance(by, str) else [] if by is None else by
    columns = [str(c) for c in post.design.data.columns]
    for name in names if isinstance(names, list | tuple) else [names]:
        if not isinstance(name, str) or name not in columns:
            raise EstimandError(
                f"by={shown(by)}; it names columns of the data that the fit may miss: {listed(columns)}."
                f"{close_matches(name, columns)}"
            )
    return tuple(names)


def _predictor(post: Posterior, name: str) -> Predictor:
    series, column = post.design.data[name], post.design.columns.get(name)
    number = pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)
    if column is not None:
        number = column.kind == "number" and number
    if number:
        return _number(name, series.to_numpy(dtype=np.float64, na_value=np.nan))
    values = pd.Categorical(series.astype(object), categories=list(column.levels) if column and column.levels else None)
    levels = [k for k, v in enumerate(values.categories) if (values.codes == k).any()]
    codes = np.searchsorted(levels, values.codes) if (values.codes >= 0).all() else values.codes.astype(np.intp)
    ones = np.asarray(codes[:, None] == np.arange(1, len(levels)), dtype=np.float64)
    return Predictor(name, ones - ones.mean(axis=0), codes, tuple(values.categories[k] for k in levels), False)


def _number(name: str, x: np.ndarray) -> Predictor:
    """Missing values, which only a column of `by` has, count for the mean and lie in no bin."""
    known = np.isfinite(x)
    values, codes = np.unique(x[known], return_inverse=True)
    if len(values) > _DISTINCT:
        edges = np.unique(np.quantile(x[known], np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
        codes = np.unique(np.searchsorted(edges, x[known], side="left"), return_inverse=True)[1]
    sums, sizes = np.bincount(codes, x[known]), np.bincount(codes)
    every = np.full(len(x), -1, dtype=np.intp)
    every[known] = codes
    spread = x[known].std() if known.any() else 0.0
    basis = np.where(known, (x - x[known].mean()) / (spread if spread > 0.0 else 1.0), 0.0) if known.any() else 0.0 * x
    return Predictor(name, basis[:, None], every, tuple((sums / sizes).tolist()), True)


def pairs(predictors: Sequence[Predictor]) -> list[tuple[str, np.ndarray]]:
    """Products of the columns of two predictors: name of the pair, (row, column); none where they would be too many."""
    own = [p for p in predictors if p.name != EXPECTED]
    found = list(combinations(own, 2))
    if len(found) > _PAIRS:
        return []
    return [
        (f"{a.name} × {b.name}", (a.basis[:, :, None] * b.basis[:, None, :]).reshape(len(a.basis), -1))
        for a, b in found
        if a.basis.shape[1] * b.basis.shape[1] <= _COLUMNS
    ]


def beyond(columns: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Orthonormal directions of some columns that others do not span: (row, direction)."""
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > 0.0] / size[size > 0.0]
    if known.shape[1]:
        lengths = np.linalg.norm(known, axis=0)
        u, s, _ = np.linalg.svd(known[:, lengths > 0.0] / lengths[lengths > 0.0], full_matrices=False)
        span = u[:, s > 1e-9 * max(s.max(initial=0.0), 1e-300)]
        for _ in range(2):  # once more for what rounding leaves
            columns = columns - span @ (span.T @ columns)
    if not columns.shape[1]:
        return columns
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, s > _TINY])
