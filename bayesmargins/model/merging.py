"""Rows with the same covariates and groups as one row: the same likelihood from fewer rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesmargins.family import Family, Outcome

__all__ = ["MOST", "Merged", "merged"]

MOST = 0.8  # of the rows: above it, merging them does not pay


class Merged(NamedTuple):
    """Rows that stand for all rows."""

    kept: np.ndarray  # (kept,): the first row of each cell; columns, codes and offset of the others are the same
    cell: np.ndarray  # (row,): which of these each row belongs to
    outcome: Outcome  # what was observed in each cell
    family: Family  # and its distribution
    constant: float  # log p of the rows less that of the cells, whatever the parameters are
    rate: np.ndarray | None = None  # (kept,): what multiplies the mean of one row


def merged(
    columns: Sequence[np.ndarray], codes: Sequence[np.ndarray], outcome: Outcome, family: Family, add_up: bool = True
) -> Merged | None:
    """Rows alike in all columns (row,) and codes (row,); None where more than `MOST` of the rows would stay.

    A family says how such rows add up. Where it does not or is not asked, or rows have more to say than y, those that
    say the same are one row that counts as many times.
    """
    counted = not add_up or outcome.weights is not None or outcome.partial or family.summed is None
    names = [f.name for f in fields(outcome) if f.name not in ("weights", "known_error")]
    observed = {name: v for name in names if (v := getattr(outcome, name)) is not None}
    seen = [column for v in observed.values() for column in np.atleast_2d(v.T)]
    found = _cells([*codes, *columns, *(seen if counted else [])])
    if found is None:
        return None
    kept, cell = found
    if not counted:
        assert family.summed is not None
        of = family.summed(outcome, cell, len(kept))
        return Merged(kept, cell, of.outcome, of.family, of.constant, of.rate)
    weights = np.bincount(cell, outcome.weights, minlength=len(kept)).astype(np.float64)
    values = {name: v[kept] for name, v in observed.items()}
    return Merged(kept, cell, replace(outcome, **values, weights=weights), family, 0.0)


def _cells(keys: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """First row of each combination of values, in order, and each row's combination; None where there are too many."""
    rows = len(keys[0])
    cell, cells = np.zeros(rows, dtype=np.int64), 1
    for key in keys:
        value, values = pd.factorize(key)
        # Both are below the number of rows, so their product is a number.
        cell, combinations = pd.factorize(cell * len(values) + value)
        cells = len(combinations)
        if cells > MOST * rows:
            return None
    kept = np.empty(cells, dtype=np.int64)
    kept[cell[::-1]] = np.arange(rows - 1, -1, -1)
    return kept, cell
