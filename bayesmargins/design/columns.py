"""Columns of the data and of the design: what the fit has frozen of them, and how they read other rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd

from bayesmargins.design.formula_reading import (
    bending_columns,
    bounded_columns,
    guarded,
    python_parts,
    required_columns,
    term_label,
)
from bayesmargins.design.monotonic import Monotonic, is_monotonic, monotonic_terms
from bayesmargins.design.smooth import Penalised, is_smooth, penalised_terms
from bayesmargins.errors import DataError, FormulaError, close_matches, listed, shown, written
from bayesmargins.values import numbers

if TYPE_CHECKING:
    import formulaic

__all__ = [
    "Column",
    "Matrix",
    "held_type",
    "holds_numbers",
    "missing_rows",
    "numbers_from",
    "refuse_infinite",
    "require_columns",
]

Piece = tuple[str, Any]  # a column of numbers and None, or a factor and the level where it is 1


@dataclass(frozen=True)
class Column:
    """What a column was at the fit, so that new data can be read the same way."""

    name: str  # column of the data
    kind: str  # {"number", "logical", "factor"}: how the formula reads it
    # levels of a factor in order, as the formula states them or as the data have them, those without rows left out;
    # empty otherwise
    levels: tuple[Any, ...] = ()
    # range of a number at the fit
    lower: float = np.nan
    upper: float = np.nan
    coded: str = ""  # the call that makes a number a factor, such as "C(arm)"; empty for any other column
    # levels of text and categories in the order of the data, by which terms that state no order are coded
    coding: tuple[Any, ...] = ()

    @property
    def reason(self) -> str:
        """Why a column of numbers is a factor, for a message; empty where the values themselves say it."""
        return f" {self.name!r} is a factor in the formula, by {self.coded}." if self.coded else ""

    def replay(self, series: pd.Series) -> pd.Series:
        """A column of new data (row,) as a categorical with the levels of the fit, float64 or bool.

        Missing values stay missing. A number that the formula makes a factor stays a number, for another term may
        read it as one.
        """
        if self.kind == "factor" and not self.coded:
            codes = pd.Index(self.coding).get_indexer(pd.Index(series, dtype=object))
            if (codes < 0).any():
                self._refuse_unseen(series[codes < 0].dropna())
            return pd.Series(pd.Categorical.from_codes(codes, list(self.coding)), index=series.index)
        if series.isna().all():
            series = pd.Series(np.nan, index=series.index)  # whichever type a column without a value has
        if not holds_numbers(series):
            raise DataError(
                f"Column {self.name!r} held numbers at the fit and holds {held_type(series)} here, "
                f"{_no_numbers_among(series)}. {numbers_from(series)}"
            )
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            refuse_infinite(values, self.name)
        if self.kind == "logical" and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            raise DataError(f"Column {self.name!r} held true and false at the fit and holds other numbers here.")
        if self.coded:
            codes = pd.Index(self.levels).get_indexer(pd.Index(values, dtype=object))
            self._refuse_unseen(series[codes < 0].dropna())
        return pd.Series(values, index=series.index, name=self.name)

    def _refuse_unseen(self, without_code: pd.Series) -> None:
        unseen = pd.unique(without_code)
        if len(unseen):
            raise DataError(
                f"Column {self.name!r} has the levels {listed(unseen)} that the fit has not seen; it knows "
                f"{listed(self.levels)}.{close_matches(unseen[0], self.levels)}{self._type_hint(unseen)} A level "
                f"without data has no coefficient, so no prediction can be made for it.{self.reason}"
            )

    def _type_hint(self, unseen: Iterable[Any]) -> str:
        if {written(u) for u in unseen} & {str(level) for level in self.levels}:
            return " The same labels are there as another type (text against numbers): convert the column."
        return ""


@dataclass(frozen=True)
class Matrix:
    """Some columns of the design, as a formula with its state frozen at the fit."""

    text: str  # the formula
    spec: formulaic.ModelSpec  # formulaic's state of transforms and codings
    labels: tuple[str, ...]  # names of the columns
    context: Mapping[str, Any]  # functions that the formula calls
    # whether the constant is among the columns, where the formula has one; thresholds stand in its place
    constant: bool = True

    @cached_property
    def variables(self) -> frozenset[str]:
        """Columns of the data that the formula reads."""
        return frozenset(required_columns(self.text, self.context))

    @cached_property
    def bending(self) -> frozenset[str]:
        """Columns of the data that a Python expression reads: in all others the design is a straight line."""
        return frozenset(bending_columns(self.text))

    @cached_property
    def bounded(self) -> frozenset[str]:
        """Columns of the data that a spline reads which has no values beyond those of the fit."""
        return frozenset(bounded_columns(self.text))

    @cached_property
    def monotonic(self) -> tuple[Monotonic, ...]:
        """Columns that are steps of ``mo()``, by term."""
        calls = [name for name, tree in python_parts(self.text) if is_monotonic(tree, self.context)]
        return monotonic_terms(self.spec.structure, calls, term_label)

    @cached_property
    def penalised(self) -> tuple[Penalised, ...]:
        """Columns of splines that bend, by what has one standard deviation."""
        calls = [name for name, tree in python_parts(self.text) if is_smooth(tree, self.context)]
        return penalised_terms(self.spec.structure, calls, term_label)

    @cached_property
    def products(self) -> tuple[tuple[Piece, ...], ...] | None:
        """What each column is the product of, where all are of columns as they are: no need then to ask formulaic."""
        products: list[tuple[Piece, ...]] = []
        for term in [scoped for part in self.spec.structure for scoped in part.scoped_terms]:
            each = [self._pieces(scoped) for scoped in term.factors]
            if term.scale != 1 or not all(each):
                return None
            products += [of[::-1] for of in product(*reversed(each))]  # the first factor changes fastest
        return tuple(products if self.constant else products[1:])

    def _pieces(self, scoped: Any) -> list[Piece]:
        """Those of a column of the data as it is, all levels or all but the reference level; none of anything else."""
        name = scoped.factor.expr
        if scoped.factor.factor.eval_method.value != "lookup":
            return []
        kind, state = self.spec.encoder_state[name]
        if kind.value == "numerical":
            return [(name, None)]
        return [(name, level) for level in state["categories"][scoped.reduced :]]

    def values(self, frame: pd.DataFrame, what: str) -> np.ndarray:
        """Values of the columns for complete rows, (row, column); DataError where a transform has none, as log(-1)."""
        values = self.evaluate(frame)
        bad = ~np.isfinite(values)
        if bad.any():
            where = [self.labels[j] for j in np.flatnonzero(bad.any(axis=0))]
            raise DataError(
                f"{listed(where)} has no finite value in {int(bad.any(axis=1).sum())} rows of {what}, the first being "
                f"row {int(np.flatnonzero(bad.any(axis=1))[0])}. Check the values that the transform is given."
            )
        return values

    def evaluate(self, frame: pd.DataFrame) -> np.ndarray:
        """The same, whatever numbers come out."""
        if self.products is None:
            return self._by_formulaic(frame)
        columns = {
            (name, level): frame[name].to_numpy(np.float64) if level is None else (frame[name] == level).to_numpy(bool)
            for name, level in set().union(*self.products)
        }
        values = np.ones((len(frame), len(self.products)), order="F")
        for j, pieces in enumerate(self.products):
            for piece in pieces:
                values[:, j] *= columns[piece]
        return values

    def _by_formulaic(self, frame: pd.DataFrame) -> np.ndarray:
        values: np.ndarray = guarded(
            self.text, lambda: numbers(self.spec.get_model_matrix(frame, context=self.context))
        )
        return values if self.constant else values[:, 1:]

    def without_constant(self) -> Matrix:
        """The same columns but the constant, which codes the factors as if it were there.

        FormulaError where the formula has none.
        """
        if self.labels[:1] != ("Intercept",):
            raise FormulaError(
                f"The formula {self.text!r} leaves the constant out, and thresholds, which are always there, stand in "
                "its place. Leave '0 +' or '- 1' out."
            )
        return replace(self, labels=self.labels[1:], constant=False)


def require_columns(frame: pd.DataFrame, names: Iterable[str], what: str = "data", why: str = "the formula") -> None:
    """Refuse a frame that lacks columns which will be read, or has lists or complex numbers in them.

    `what` is the frame and `why` the reader, in the message.
    """
    names = list(names)
    absent = [n for n in names if n not in frame.columns]
    if absent:
        hints = "".join(close_matches(n, frame.columns) for n in absent)
        noun = "column" if len(absent) == 1 else "columns"
        raise DataError(
            f"{why} needs the {noun} {listed(absent)}, which {what} does not have.{hints} It has "
            f"{listed(frame.columns, 30)}."
        )
    for name in names:
        dtype = frame[name].dtype
        if pd.api.types.is_object_dtype(dtype) or dtype.kind == "c" or isinstance(dtype, pd.ArrowDtype):
            _check_cells(frame[name], what, why)


def _check_cells(series: pd.Series, what: str, why: str) -> None:
    """One value a cell, of a kind that can be a label or a number."""
    if pd.api.types.is_complex_dtype(series.dtype):
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds {series.dtype} there; numbers are real. Take a "
            "part of it: .to_numpy().real."
        )
    odd = [v for v in series if not _is_cell(v)]
    if odd:
        each = "in each row" if len(odd) == len(series) else f"in {len(odd)} of {len(series)} rows"
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds a {type(odd[0]).__name__} {each} there, "
            f"such as {shown(odd[0])}; a cell holds one number, text or truth value. Give each of its parts a column, "
            "or .explode() it into rows."
        )
    try:
        "".join(v for v in series if isinstance(v, str)).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{why} reads the column {series.name!r}, and {what} holds text there with half of a character (a lone "
            "surrogate), as wrongly decoded files have. Read the file again with its own encoding."
        ) from None


def _is_cell(value: Any) -> bool:
    """One value that can be told from another."""
    try:
        hash(value)
    except Exception:  # whatever the object says
        return False
    return isinstance(value, tuple) or not (pd.api.types.is_list_like(value) or isinstance(value, np.void))


def missing_rows(frame: pd.DataFrame, names: Iterable[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Where any of the columns is missing, (row,) bool, and how often each is, those without any left out."""
    mask, counts = np.zeros(len(frame), dtype=bool), {}
    for name in names:  # column by column: a frame of them would be a copy
        missing = frame[name].isna().to_numpy()
        if missing.any():
            mask |= missing
            counts[str(name)] = int(missing.sum())
    return mask, counts


def holds_numbers(series: pd.Series) -> bool:
    """Numbers and truth values; complex numbers have an imaginary part that nothing here would use."""
    number = pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype)
    return bool(number) and not pd.api.types.is_complex_dtype(series.dtype)


def held_type(series: pd.Series) -> str:
    """What a column holds: text is ``str``, whichever type a version of pandas gives it; objects by their types."""
    if pd.api.types.infer_dtype(series, skipna=True) == "string":
        return "str"
    if not pd.api.types.is_object_dtype(series.dtype):
        return str(series.dtype)
    kinds = sorted({type(v).__name__ for v in series.dropna()})
    return f"values of the types {kinds}" if kinds else "no value"


def refuse_infinite(values: np.ndarray, name: str) -> NoReturn:
    """Say how many values (row,) of a column are infinite, and which is the first."""
    infinite = np.flatnonzero(np.isinf(values))
    raise DataError(
        f"Column {name!r} is infinite in {len(infinite)} of {len(values)} rows, the first being row {infinite[0]}; "
        "numbers must be finite. Drop these rows, or mend them (a missing value is NaN)."
    )


def _no_numbers_among(series: pd.Series) -> str:
    """``starting with 'low'``; of text that stands among numbers ``among them 'low'``."""
    none = pd.to_numeric(series, errors="coerce").isna().to_numpy() & series.notna().to_numpy()
    texts = none if none.any() else series.map(type).eq(str).to_numpy()
    among = texts.any() and not texts[0]
    return f"{'among them' if among else 'starting with'} {listed((series[texts] if among else series).iloc[:3])}"


def numbers_from(series: pd.Series) -> str:
    """What to do where a column holds no numbers."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if "date" in kind or kind in ("period", "timedelta", "timedelta64"):
        return "A time is no number by itself: count from a start, such as (t - t.min()).dt.days."
    if pd.api.types.is_complex_dtype(series.dtype):
        return "Take its real part: .to_numpy().real."
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "Convert it with .astype(float)."
    return "Convert it with pandas.to_numeric."
