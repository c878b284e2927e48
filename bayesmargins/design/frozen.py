"""The frozen design: formula and data at the fit; the same coding replayed on new data.

Z is never a dense matrix over groups: each factor keeps the rows of z (what varies by group) and an integer code
(which group). States of transforms and levels of factors are those of the fit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import Column, Matrix, held_type, require_columns
from bayesmargins.design.formula import expression
from bayesmargins.design.formula_reading import guarded, required_columns
from bayesmargins.design.group_means import GroupMean, with_means
from bayesmargins.design.grouping import Factor
from bayesmargins.errors import DataError, listed
from bayesmargins.labelling import worded
from bayesmargins.reserved import PARAMETERS, VARIABLES
from bayesmargins.values import numbers

__all__ = ["Design", "Response", "Rows", "given_values", "left_side"]

_OTHER_VARIABLES = VARIABLES | {"Intercept_centred", "chain", "draw"}


@dataclass(frozen=True)
class Response:
    """The left-hand side."""

    text: str  # expression of y
    y: np.ndarray = field(repr=False)  # (row,) float: what is modelled; a y of categories has their numbers, from 1
    # expressions of what else it says of every row, by the field of an outcome
    given: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)  # (row,) float: their values
    known_error: bool = False  # whether its `se()` is all the error that y has
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)  # names that expressions may call
    categories: tuple[Any, ...] = ()  # of such a y, in their order

    @property
    def trials(self) -> str | None:
        """Expression of the trials, where there are some."""
        return self.given.get("trials")

    @property
    def n(self) -> np.ndarray | None:
        """Trials of each row, where there are some."""
        return self.beside.get("trials")

    def variables(self, fields: Iterable[str]) -> frozenset[str]:
        """Columns of the data that some of these fields are computed from."""
        texts = [self.given[name] for name in fields if name in self.given]
        return frozenset().union(*[required_columns(expression(text), self.context) for text in texts])

    @cached_property
    def trials_variables(self) -> frozenset[str]:
        """Columns of the data that the trials are computed from."""
        return self.variables(["trials"])

    def in_proportion(self, frame: pd.DataFrame | None) -> bool:
        """Is it a column of the data, or a multiple of one?"""
        if "counts" in self.beside:
            return True
        names = required_columns(expression(self.text), self.context)
        if len(names) != 1 or frame is None:
            return self.text.strip("`") in names
        x = pd.to_numeric(frame[next(iter(names))], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        at = int(np.nanargmax(np.abs(x))) if np.isfinite(x).any() else 0
        return bool(x[at] != 0.0 and np.allclose(self.y, x * (self.y[at] / x[at]), rtol=1e-9, atol=0.0))

    @cached_property
    def name(self) -> str:
        """What it is called in a PyMC model and in ArviZ's groups."""
        name = re.sub(r"\W+", "_", self.text).strip("_")
        return f"{name}_" if name in _OTHER_VARIABLES | PARAMETERS else name or "y"


@dataclass(frozen=True)
class Rows:
    """Design rows: what one linear predictor per row needs."""

    X: np.ndarray  # (row, coef): fixed part
    Z: dict[str, np.ndarray]  # (row, term): what varies by group, a factor
    offset: np.ndarray  # (row,): sum of the offsets, link scale
    complete: np.ndarray  # (row,) bool: False where a needed value is missing: X, Z and offset are NaN there


@dataclass(frozen=True)
class Design:
    """Formula and data, frozen: the same columns, levels and transforms for any new data."""

    formula: str  # as the user wrote it
    response: Response  # left-hand side at the fit
    columns: dict[str, Column]  # kinds and levels of every column that the formula reads
    fixed: Matrix  # the fixed part
    factors: dict[str, Factor]  # grouping factors by name
    offsets: tuple[Matrix, ...]  # one a call of `offset()`
    # the fitted rows, all columns of the user's frame; None for a design that knows levels only
    frame: pd.DataFrame | None = field(repr=False)
    levels: dict[str, tuple[Any, ...]] | None = None  # what stood in for the rows: levels of each factor by column
    # index of the fitted rows in the user's frame; None where nobody knows it
    row_labels: pd.Index | None = field(default=None, repr=False, compare=False)
    # what readers see in place of a column's name
    labels: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    # columns of `frame` that are means of groups, which other rows get from the groups that they name
    means: tuple[GroupMean, ...] = ()

    @cached_property
    def data(self) -> pd.DataFrame:
        """The fitted rows; DataError where there are none."""
        if self.frame is None:
            raise DataError(
                "This asks for the fitted rows, and the posterior has none: it was made with levels= in place of "
                "data=. Give rows as newdata=, and numbers in at= and variables= rather than 'sd', 'iqr' or nothing."
            )
        return self.frame

    @property
    def coef(self) -> tuple[str, ...]:
        """Names of the fixed effects: ``("Intercept", "trt[drug]", "week")``."""
        return self.fixed.labels

    @cached_property
    def factor_words(self) -> dict[str, str]:
        """What readers see in place of a grouping factor's name."""
        return {name: worded(name, self.labels) for name in self.factors}

    @cached_property
    def degrees(self) -> dict[str, str]:
        """Factors with Student-t effects, and what their degrees of freedom are called."""
        return {name: factor.df for name, factor in self.factors.items() if factor.student}

    @cached_property
    def related(self) -> list[str]:
        """Factors whose groups are related as a known matrix says."""
        return [name for name, factor in self.factors.items() if factor.cov]

    @cached_property
    def structured(self) -> frozenset[str]:
        """Coefficients that other parameters of a model make: shares of ``mo()``, standard deviations of ``s()``."""
        made = [t.columns for t in self.fixed.monotonic] + [t.columns for t in self.fixed.penalised]
        return frozenset().union(*made)

    def variables(self, z_of: Collection[str] | None = None) -> frozenset[str]:
        """Columns that a linear predictor reads, with z of some factors or all; none that only name groups."""
        factors = self.factors if z_of is None else z_of
        parts = [self.fixed.variables, *[o.variables for o in self.offsets]]
        return frozenset().union(*parts, *[self.factors[f].variables for f in factors])

    def beside(self, others: Iterable[Design]) -> Design:
        """The design with the columns, factors and formulas of others of the same rows, for looking them up.

        Rows are made by each alone.
        """
        every = (self, *others)
        return replace(
            self,
            formula="; ".join(d.formula for d in every),
            columns=_together([c for d in (*every, self) for c in d.columns.values()]),
            factors={n: f for d in (*every, self) for n, f in d.factors.items()},
            means=tuple({m.of.name: m for d in every for m in d.means}.values()),
        )

    def is_straight(self, variable: str, z_of: Collection[str] | None = None) -> bool:
        """Whether X, z (of some factors or all) and the offset are straight lines in a number.

        So they are where no transform reads it.
        """
        beside = (self.factors[f].beside for f in (self.factors if z_of is None else z_of))
        return not any(variable in names for names in (*(m.bending for m in self._matrices(z_of)), *beside))

    def is_bounded(self, variable: str) -> bool:
        """Does a spline of this variable have no values beyond those of the fit?"""
        return any(variable in m.bounded for m in self._matrices())

    def _matrices(self, z_of: Collection[str] | None = None) -> Iterable[Matrix]:
        factors = self.factors if z_of is None else z_of
        return (self.fixed, *self.offsets, *(m for f in factors for m in self.factors[f].matrices))

    def rows(self, frame: pd.DataFrame, z_of: Collection[str] | None = None, what: str = "newdata") -> Rows:
        """X, z (of some factors, or all) and the offset of these rows, coded as at the fit; NaN where values miss.

        DataError where a column is missing, a level is new, a type differs from the fit, or an expression has no
        value.
        """
        factors = [f for f in self.factors if z_of is None or f in z_of]
        names = sorted(self.variables(factors))
        frame = with_means(frame, self.means, what) if self.means else frame
        require_columns(frame, names, what)
        columns = {n: self.columns[n].replay(frame[n]) for n in names}
        missing = np.logical_or.reduce([np.zeros(len(frame), dtype=bool), *[c.isna() for c in columns.values()]])
        source = pd.DataFrame(columns, index=frame.index)
        filled = partial(_filled, missing=missing) if missing.any() else Matrix.values
        Z: dict[str, np.ndarray] = {}
        for f in factors:
            z = np.hstack([filled(m, source, what) for m in self.factors[f].matrices])
            Z |= self.factors[f].z_of_members(z, frame, what) if self.factors[f].members else {f: z}
        offset = np.where(missing, np.nan, 0.0) + sum([filled(o, source, what)[:, 0] for o in self.offsets])
        unknown = [np.isnan(Z[f]).any(axis=1) for f in factors if self.factors[f].members]
        return Rows(filled(self.fixed, source, what), Z, offset, ~np.logical_or.reduce([missing, *unknown]))

    def given(self, field: str, frame: pd.DataFrame, what: str = "newdata") -> np.ndarray:
        """What the left-hand side says of other rows than the fit's, such as ``"se"``: (row,)."""
        return given_values(field, self.response.given[field], frame, what, self.response.context)

    def trials(self, frame: pd.DataFrame, what: str = "newdata") -> np.ndarray:
        """Trials of each row of a frame, (row,), NaN where missing; DataError where the formula has none."""
        if self.response.trials is None:
            raise DataError(f"The formula {self.formula!r} has no trials; counts need 'successes | trials(n) ~ ...'.")
        return self.given("trials", frame, what)


def _filled(matrix: Matrix, source: pd.DataFrame, what: str, missing: np.ndarray) -> np.ndarray:
    """Values of the columns, (row, column); NaN in rows that are missing."""
    values = matrix.values(source[~missing], what)
    out = np.full((len(source), values.shape[1]), np.nan)
    out[~missing] = values
    return out


def _together(columns: Iterable[Column]) -> dict[str, Column]:
    """By name; what one formula makes a factor is one for all of them."""
    found: dict[str, Column] = {}
    for column in columns:
        if not (column.name in found and found[column.name].coded):
            found[column.name] = column
    return found


_CALL = {"y2": "cens", "lb": "trunc", "ub": "trunc"}
_CENSORED = {"left": -1.0, "none": 0.0, "right": 1.0, "interval": 2.0}


def given_values(field: str, text: str, frame: pd.DataFrame, what: str, context: Mapping[str, Any]) -> np.ndarray:
    """Values of what else a left-hand side says; of ``cens()`` as numbers, whatever words the column has."""
    column = frame[text.strip("`")] if field == "cens" and text.strip("`") in frame.columns else None
    if column is None or pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return left_side(text, frame, what, context, _CALL.get(field, field))
    missing = column.isna()
    strange = sorted(set(column[~missing].astype(str)) - set(_CENSORED))
    if strange:
        raise DataError(
            f"cens({text}) has the value {strange[0]!r}; allowed are {listed(_CENSORED)}, the numbers -1, 0, 1 and 2 "
            "in their place, and True for right censored."
        )
    return column.astype(str).map(_CENSORED).where(~missing).to_numpy(dtype=np.float64)


def left_side(text: str, frame: pd.DataFrame, what: str, context: Mapping[str, Any], call: str = "") -> np.ndarray:
    """A left-hand expression as numbers (row,), the response or inside a `call`; text is not guessed into 0 and 1."""
    matrix = expression(text)
    require_columns(frame, sorted(required_columns(matrix, context)), what, f"The left-hand side {text!r}")
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text):
        return np.full(len(frame), float(text))
    name = text.strip("`")
    if name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
            if call:
                raise DataError(
                    f"{call}() left of '~' reads {name!r}, which holds {held_type(column)}, with the values "
                    f"{listed(pd.unique(column))}; it takes numbers."
                )
            raise DataError(
                f"The response {name!r} holds {held_type(column)}, with the values {listed(pd.unique(column))}; a "
                f"response is a number. {_in_order(column)}{_as_number(column, name)}"
            )
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    from formulaic import Formula

    made = Formula(matrix)
    values: np.ndarray = guarded(
        text, lambda: numbers(made.get_model_matrix(frame, context=context, na_action="ignore"))
    )
    if values.shape[1] != 1:
        raise DataError(f"The response {text!r} gives {values.shape[1]} columns; it must give one number a row.")
    return values[:, 0]


def _in_order(column: pd.Series) -> str:
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
    return "Categories that have an order are modelled as they are by family='cumulative'. " if ordered else ""


def _as_number(column: pd.Series, name: str) -> str:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return f"Count from a start: (data[{name!r}] - data[{name!r}].min()).dt.days."
    try:
        column.astype(float)
    except (TypeError, ValueError):
        return f"Say what counts as 1: data['{name}01'] = (data['{name}'] == ...).astype(int)."
    return f"Its values are numbers: convert it with data[{name!r}].astype(float)."
