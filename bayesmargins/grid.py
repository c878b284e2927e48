"""Which rows the question is about, which of them average together, and with which weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesmargins.by_labels import Relabelled, relabelled
from bayesmargins.design import Column, Design, missing_rows, require_columns, to_pandas, with_means
from bayesmargins.errors import DataError, EstimandError, listed, shown
from bayesmargins.row_weights import checked_weights
from bayesmargins.schema import public_name, public_names
from bayesmargins.values import plain

__all__ = [
    "Averaging",
    "Cells",
    "Distinct",
    "Scheme",
    "completed",
    "frame_of",
    "repeated_rows",
]

_SAMPLE = 2000  # rows that are looked at before all are compared with each other
_MOSTLY = 0.95  # of the sample are different: hardly any row repeats


@dataclass(frozen=True)
class Cells:
    """Which rows are averaged together."""

    index: np.ndarray  # (row,): cell of every row
    share: np.ndarray  # (row,): what the row counts for in its cell: weights that sum to 1 in every cell
    n: int  # cells
    unit: bool = False  # every row is its own cell: nothing is averaged

    def add(self, out: np.ndarray, values: np.ndarray, block: slice) -> None:
        """Add a block of values (draw, row of the block) into the cells (draw, cell)."""
        if self.unit:
            out[:, self.index[block]] = values
            return
        index, share = self.index[block], self.share[block]
        if self.n == 1:
            # not @: BLAS adds up in an order that depends on how many threads it has, which workers differ in
            out[:, 0] += np.einsum("dr,r->d", values, share)
            return
        order = np.argsort(index, kind="stable")
        present, starts = np.unique(index[order], return_index=True)
        out[:, present] += np.add.reduceat((values * share)[:, order], starts, axis=1)


@dataclass(frozen=True)
class Averaging:
    """How rows become the last dimension of a result."""

    cells: Cells  # rows averaged together
    dims: tuple[str, ...]  # empty, ``row``, or that of `by`
    coords: dict[str, Any]  # coordinates of that dimension and along it
    keys: pd.DataFrame  # values of `by` in each cell; without rows where nothing is averaged
    totals: np.ndarray  # (cell,): the weights of each cell added up
    rows: int  # how many they are


@dataclass(frozen=True)
class Scheme:
    """How rows are averaged: all of them, or within each value of some columns, and with which weights."""

    average: bool  # false for one value a row
    by: tuple[str, ...]  # columns within whose values rows are averaged
    labels: Relabelled  # new labels of these values, by column
    wts: str | np.ndarray | None  # (row,): the column of the weights, or weights that were checked
    fixed: frozenset[str]  # variables that `at` sets or computes: their dimensions are there already
    design: Design  # keeps the order of levels
    what: str  # how messages call the rows

    def of(self, frame: pd.DataFrame) -> Averaging:
        """Which of these rows are averaged together, and what is the resulting dimension called?"""
        n, by = len(frame), list(self.by)
        if not self.average:
            cells = Cells(np.arange(n), np.ones(n), n, unit=True)
            return Averaging(cells, ("row",), _row_coords(frame, self.fixed), frame.iloc[:0], np.ones(n), n)
        if by:
            _check_by(frame, by, self.fixed, self.what)
        weights = np.ones(n) if self.wts is None else checked_weights(frame, self.wts, self.what)
        some, index, first = frame, np.zeros(n, dtype=np.intp), np.zeros(1, dtype=np.intp)
        dims: tuple[str, ...] = ()
        coords: dict[str, Any] = {}
        if by:
            some = relabelled(frame, self.labels) if self.labels else frame
            index, first, dims, coords = _by_cells(some, self.design, by, self.labels)
        totals = np.bincount(index, weights, minlength=len(first))
        # a cell whose rows count for nothing here may have others elsewhere
        share = weights / (totals if totals.all() else np.where(totals == 0.0, 1.0, totals))[index]
        return Averaging(Cells(index, share, len(first)), dims, coords, some[by].iloc[first], totals, n)

    def rows(self, start: int, stop: int) -> Scheme:
        """The same for some of the rows: weights that are no column are those of all."""
        return replace(self, wts=self.wts[start:stop]) if isinstance(self.wts, np.ndarray) else self

    def together(self, one: Averaging, other: Averaging) -> tuple[Averaging, np.ndarray, np.ndarray]:
        """The cells of two blocks as one, without their rows, and where those of each are among them."""
        n, rows = len(one.keys), one.rows + other.rows
        if one.keys.reset_index(drop=True).equals(other.keys.reset_index(drop=True)):
            return replace(one, totals=one.totals + other.totals, rows=rows), np.arange(n), np.arange(n)
        keys = pd.concat([one.keys, other.keys], ignore_index=True)
        index, first, dims, coords = _by_cells(keys, self.design, list(self.by), self.labels)
        totals = np.bincount(index, np.concatenate([one.totals, other.totals]), minlength=len(first))
        cells = Cells(np.arange(0), np.ones(0), len(first))
        return Averaging(cells, dims, coords, keys.iloc[first], totals, rows), index[:n], index[n:]

    def refuse_empty(self, averaging: Averaging) -> None:
        """EstimandError where the weights of an average add up to nothing."""
        none = int((averaging.totals <= 0).sum())
        if none:
            wts = self.wts if isinstance(self.wts, str) else [*self.wts] if self.wts is not None else None
            raise EstimandError(
                f"The weights of wts={shown(wts)} add up to 0 in {none} of {averaging.cells.n} averages; every "
                "average needs a row that counts. Leave rows that count for nothing out of newdata."
            )


def frame_of(design: Design, newdata: Any) -> tuple[pd.DataFrame, str]:
    """Which rows is the question about: the user's, or the fitted ones? And how messages call them."""
    if newdata is None:
        frame = design.data
        return (completed(design, frame, "the data") if design.means else frame), "the data"
    names = [newdata] if isinstance(newdata, str) else newdata
    known = design.columns if design.frame is None else design.frame
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) and n in known for n in names):
        raise DataError(
            f"newdata={shown(newdata)} names {'a column' if len(names) == 1 else 'columns'}; newdata is a table, the "
            f"rows that the question is about. Averages within each value: avg_predictions(post, by={shown(newdata)}). "
            f"All rows set to a value: at={{{names[0]!r}: [...]}}."
        )
    return completed(design, to_pandas(newdata, "newdata"), "newdata"), "newdata"


def completed(design: Design, frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """With the means of the rows' groups, unless `at` has to name them: rows that lack them are refused later."""
    try:
        return with_means(frame, design.means, what)
    except DataError:
        return frame


def _row_coords(frame: pd.DataFrame, at: Collection[str]) -> dict[str, Any]:
    names = public_names([n for n in frame.columns if n not in at])
    columns = {public: ("row", _coordinate(frame[n])) for n, public in names.items()}
    return {"row": np.arange(len(frame)), **columns}


def _coordinate(series: pd.Series) -> np.ndarray:
    """A column that rides along; a complex one as text, because netCDF and `plain` know real numbers only."""
    return plain(series.astype(str) if pd.api.types.is_complex_dtype(series.dtype) else series)


def _check_by(frame: pd.DataFrame, by: list[str], at: Collection[str], what: str) -> None:
    require_columns(frame, by, what, f"by={by!r}")
    both = [b for b in by if b in at]
    if both:
        raise EstimandError(
            f"by and at both name {listed(both)}: at sets it on all rows, so it has a dimension already."
        )
    _, counts = missing_rows(frame, by)
    if counts:
        raise DataError(f"by={by!r}: {what} has missing values, by column: {counts}. Fill them, or drop these rows.")


def _by_cells(
    frame: pd.DataFrame, design: Design, by: list[str], labels: Relabelled
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], dict[str, Any]]:
    """The cell of each row, the first row of each cell, and the dimension with its coordinates."""
    of_fit = {b: None if b in labels else design.columns.get(b) for b in by}
    codes = np.column_stack([_ordered_codes(frame[b], of_fit[b]) for b in by])
    combos, first, index = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    columns = {b: plain(frame[b].iloc[first]) for b in by}
    if len(by) == 1:
        name = public_name(by[0])
        return index.reshape(-1), first, (name,), {name: columns[by[0]]}
    coords = {public: ("by", columns[b]) for b, public in public_names(by).items()}
    return index.reshape(-1), first, ("by",), {"by": np.arange(len(combos)), **coords}


def _ordered_codes(series: pd.Series, column: Column | None) -> np.ndarray:
    if column is not None and column.kind == "factor":
        # A column that the policy does not read may have levels that the fit has not seen: they come last.
        levels = [*map(float, column.levels)] if column.coded else column.levels
        values = series.astype(float) if column.coded and pd.api.types.is_numeric_dtype(series.dtype) else series
        unseen = sorted(set(map(str, values.unique())) - set(map(str, levels)))
        return pd.Index([*map(str, levels), *unseen]).get_indexer(pd.Index(values.astype(str)))
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy()
    return pd.factorize(series, sort=True)[0]


class Distinct(NamedTuple):
    """Sets of equal rows; the first two are None where hardly any row repeats, and all are kept."""

    first: np.ndarray | None  # (set,): the first row of each
    position: np.ndarray | None  # (row,): the set that it belongs to
    cells: Cells  # of the sets


def repeated_rows(frame: pd.DataFrame, names: list[str], cells: Cells) -> Distinct:
    """Which rows are the same in all that is read of them? These are evaluated once, with their weights added up."""
    n = len(frame)
    sample = frame[names].iloc[:: max(1, n // _SAMPLE)]
    # Of rows that each repeat r times, a share of about r * sample / (2 n) of an even sample repeats.
    if n < 2 or (names and len(sample.drop_duplicates()) > _MOSTLY * len(sample)):
        return Distinct(None, None, cells)
    keys: list[Any] = [frame[name] for name in names]
    keys += [] if cells.unit or cells.n == 1 else [cells.index]
    if keys:
        position = frame.groupby(keys, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    else:
        position = np.zeros(n, dtype=np.intp)
    _, first = np.unique(position, return_index=True)
    if cells.unit:
        return Distinct(first, position, Cells(np.arange(len(first)), np.ones(len(first)), len(first), unit=True))
    share = np.bincount(position, cells.share, minlength=len(first))
    return Distinct(first, position, Cells(cells.index[first], share, cells.n))
