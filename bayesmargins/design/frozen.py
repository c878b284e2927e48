"""The frozen design: formula and data at the fit; the same coding replayed on new data.

Z is never a dense matrix over groups: each factor keeps the rows of z (what varies by group) and an integer code
(which group). States of transforms and levels of factors are those of the fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.calls import FUNCTIONS
from bayesmargins.design.formula import Parts, expression, parse
from bayesmargins.design.frames import Column, freeze_column, missing_rows, require_columns, to_pandas
from bayesmargins.design.grouping import Factor, freeze_factors
from bayesmargins.design.matrix import (
    Matrix,
    check_trusted,
    finite_values,
    freeze,
    freeze_one,
    guarded,
    required_columns,
)
from bayesmargins.errors import DataError, FormulaError, listed, warn

__all__ = ["Design", "Response", "Rows", "build_design"]

# Names that a model's own variables and dimensions have.
_OTHER_VARIABLES = ("beta", "slopes", "sigma", "shape", "Intercept_centred", "chain", "draw", "coef", "obs")


@dataclass(frozen=True)
class Response:
    """The left-hand side: what is modelled, and out of how many trials."""

    text: str
    trials: str | None
    y: np.ndarray = field(repr=False)
    n: np.ndarray | None = field(repr=False)
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def trials_variables(self) -> frozenset[str]:
        """Columns of the data that the trials are computed from."""
        return (
            frozenset() if self.trials is None else frozenset(required_columns(expression(self.trials), self.context))
        )

    @property
    def name(self) -> str:
        """What it is called in a PyMC model and in ArviZ's groups."""
        name = re.sub(r"\W+", "_", self.text).strip("_")
        return f"{name}_" if name in _OTHER_VARIABLES else name or "y"


@dataclass(frozen=True)
class Rows:
    """Design rows: what one linear predictor per row needs.

    Attributes
    ----------
    X : ndarray, shape (row, coef)
        Fixed part.
    Z : dict of ndarray, shape (row, term)
        What varies by group, a factor.
    offset : ndarray, shape (row,)
        Sum of the offsets, link scale.
    complete : ndarray of bool, shape (row,)
        False where a needed value is missing: X, Z and offset are NaN there.
    """

    X: np.ndarray
    Z: dict[str, np.ndarray]
    offset: np.ndarray
    complete: np.ndarray


@dataclass(frozen=True)
class Design:
    """Formula and data, frozen: the same columns, levels and transforms for any new data.

    Attributes
    ----------
    formula : str
        As the user wrote it.
    response : Response
        Left-hand side at the fit.
    columns : dict of Column
        Kinds and levels of every column that the formula reads.
    fixed : Matrix
        The fixed part.
    factors : dict of Factor
        Grouping factors by name.
    offsets : tuple of Matrix
        One a call of ``offset()``.
    frame : pandas.DataFrame or None
        The fitted rows, all columns of the user's frame; None for a design that knows levels only.
    levels : dict or None
        What stood in for the rows: levels of each factor by column.
    """

    formula: str
    response: Response
    columns: dict[str, Column]
    fixed: Matrix
    factors: dict[str, Factor]
    offsets: tuple[Matrix, ...]
    frame: pd.DataFrame | None = field(repr=False)
    levels: dict[str, tuple[Any, ...]] | None = None

    @property
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

    def variables(self, z_of: Collection[str] | None = None) -> frozenset[str]:
        """Which columns does a linear predictor read? Columns that only name groups are not among them.

        Parameters
        ----------
        z_of : collection of str, optional
            Factors whose z is needed; all of them by default.

        Returns
        -------
        frozenset of str

        Raises
        ------
        Nothing.
        """
        factors = self.factors if z_of is None else z_of
        parts = [self.fixed.variables, *(o.variables for o in self.offsets)]
        return frozenset().union(*parts, *(self.factors[f].variables for f in factors))

    def is_straight(self, variable: str, z_of: Collection[str] | None = None) -> bool:
        """Are X, z and the offset straight lines in this variable? So they are where no transform reads it.

        Parameters
        ----------
        variable : str
            A numeric column.
        z_of : collection of str, optional
            Factors whose z counts; all of them by default.

        Returns
        -------
        bool

        Raises
        ------
        Nothing.
        """
        factors = self.factors if z_of is None else z_of
        matrices = (self.fixed, *self.offsets, *(m for f in factors for m in self.factors[f].matrices))
        return not any(variable in m.bending for m in matrices)

    def rows(self, frame: pd.DataFrame, z_of: Collection[str] | None = None, what: str = "newdata") -> Rows:
        """What do X, z and the offset look like for these rows, coded as at the fit?

        Parameters
        ----------
        frame : pandas.DataFrame
            Rows to predict for.
        z_of : collection of str, optional
            Factors whose z is needed; all of them by default.
        what : str
            How messages call the frame.

        Returns
        -------
        Rows
            X, z a factor, offset; NaN in rows with missing values.

        Raises
        ------
        DataError
            A missing column, an unseen level, a type that differs from the fit, an expression that has no value.
        """
        factors = [f for f in self.factors if z_of is None or f in z_of]
        names = sorted(self.variables(factors))
        require_columns(frame, names, what)
        missing, _ = missing_rows(frame, names)
        replayed = pd.DataFrame({n: self.columns[n].replay(frame[n]) for n in names}, index=frame.index)
        source = replayed if not missing.any() else replayed[~missing]

        def filled(matrix: Matrix) -> np.ndarray:
            values = finite_values(matrix, source, what)
            if not missing.any():
                return values
            out = np.full((len(frame), values.shape[1]), np.nan)
            out[~missing] = values
            return out

        Z = {f: np.hstack([filled(m) for m in self.factors[f].matrices]) for f in factors}
        offset = np.where(missing, np.nan, 0.0) + sum(filled(o)[:, 0] for o in self.offsets)
        return Rows(filled(self.fixed), Z, offset, ~missing)

    def trials(self, frame: pd.DataFrame, what: str = "newdata") -> np.ndarray:
        """How many trials does each row have?

        Parameters
        ----------
        frame : pandas.DataFrame
            Rows to predict for.
        what : str
            How messages call the frame.

        Returns
        -------
        ndarray, shape (row,)
            Trials; NaN where missing.

        Raises
        ------
        DataError
            The formula has no trials, or the frame lacks the column.
        """
        if self.response.trials is None:
            raise DataError(f"The formula {self.formula!r} has no trials; counts need 'successes | trials(n) ~ ...'.")
        return _left(self.response.trials, frame, what, self.response.context)


def build_design(
    formula: str,
    data: Any,
    *,
    missing: str = "error",
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    stored: bool = False,
    dependent_ok: bool = False,
) -> Design:
    """What design do this formula and these data freeze to?

    Parameters
    ----------
    formula : str
        lme4-style: ``"y ~ trt * week + (1 + week | id) + offset(log(exposure))"``.
    data : DataFrame
        pandas, polars or pyarrow.
    missing : {"error", "drop"}
        What is done with rows where a column of the formula is missing.
    namespace : dict, optional
        Own functions that the formula calls.
    stored : bool
        The formula comes from a file: only functions on the list of `calls` and in `namespace` are evaluated.
    dependent_ok : bool
        Columns that are sums of others are not warned about.

    Returns
    -------
    Design
        Levels, states of transforms, names of columns and codes of groups.

    Raises
    ------
    FormulaError
        The formula cannot be read.
    DataError
        Columns, types or values do not fit; rows are missing and `missing` is "error".
    """
    parts = parse(formula)
    if stored:
        for text in (*parts.left, *parts.right):
            check_trusted(text, namespace or {})
    context = {**FUNCTIONS, **(namespace or {})}
    frame = to_pandas(data)
    covariates = set().union(*(required_columns(t, context) for t in parts.right))
    read = covariates.union(parts.group_columns, *(required_columns(t, context) for t in parts.left))
    require_columns(frame, sorted(read), "data", f"The formula {formula!r}")
    _refuse_response_on_the_right(parts, covariates, formula)
    frame = _complete(frame, read, missing)
    columns = {n: freeze_column(frame[n], n) for n in sorted(covariates)}
    coded = frame.assign(**{n: c.replay(frame[n]) for n, c in columns.items()})
    design = Design(
        formula=formula,
        response=_response(parts, frame, context),
        columns=columns,
        fixed=freeze(parts.fixed, coded, context),
        factors=freeze_factors(parts.blocks, coded, frame, context),
        offsets=tuple(freeze_one(o, coded, context) for o in parts.offsets),
        frame=frame,
    )
    if not dependent_ok:
        _warn_if_dependent(design, design.rows(frame, (), what="data").X)
    return design


def _refuse_response_on_the_right(parts: Parts, covariates: set[str], formula: str) -> None:
    name = parts.response.strip("`")
    places = {"the right-hand side": covariates, "a grouping factor": parts.group_columns}
    where = next((place for place, names in places.items() if name in names), None)
    if where:
        raise FormulaError(f"The response {name!r} is also in {where} of {formula!r}: it would explain itself.")


def _complete(frame: pd.DataFrame, read: set[str], missing: str) -> pd.DataFrame:
    mask, counts = missing_rows(frame, sorted(read))
    if not mask.any():
        return frame
    if missing != "drop":
        raise DataError(
            f"{int(mask.sum())} of {len(frame)} rows have missing values, by column: {counts}. Fill them, drop them, "
            "or pass missing='drop' to have them dropped and counted."
        )
    if mask.all():
        raise DataError(f"Every one of the {len(frame)} rows has a missing value, by column: {counts}.")
    warn(f"{int(mask.sum())} of {len(frame)} rows with missing values were dropped, by column: {counts}.")
    return frame[~mask].reset_index(drop=True)


def _response(parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any]) -> Response:
    n = None if parts.trials is None else _left(parts.trials, frame, "data", context)
    return Response(parts.response, parts.trials, _left(parts.response, frame, "data", context), n, context)


def _left(text: str, frame: pd.DataFrame, what: str, context: Mapping[str, Any]) -> np.ndarray:
    """A left-hand expression as numbers; text and categories are not guessed into 0 and 1."""
    matrix = expression(text)
    require_columns(frame, sorted(required_columns(matrix, context)), what, f"The left-hand side {text!r}")
    if text.isdigit():
        return np.full(len(frame), float(text))
    name = text.strip("`")
    if name in frame.columns:
        column = frame[name]
        if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
            raise DataError(
                f"The response {name!r} holds {column.dtype}, with the values {listed(pd.unique(column))}; a response "
                f"is a number. {_as_number(column, name)}"
            )
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    from formulaic import Formula

    values = guarded(text, lambda: Formula(matrix).get_model_matrix(frame, context=context, na_action="ignore"))
    if values.shape[1] != 1:
        raise DataError(f"The response {text!r} gives {values.shape[1]} columns; it must give one number a row.")
    return np.asarray(values, dtype=np.float64)[:, 0]


def _as_number(column: pd.Series, name: str) -> str:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return f"Count from a start: (data[{name!r}] - data[{name!r}].min()).dt.days."
    try:
        column.astype(float)
    except (TypeError, ValueError):
        return f"Say what counts as 1: data['{name}01'] = (data['{name}'] == ...).astype(int)."
    return f"Its values are numbers: convert it with data[{name!r}].astype(float)."


def _warn_if_dependent(design: Design, X: np.ndarray) -> None:
    rank = np.linalg.matrix_rank(X) if X.size else X.shape[1]
    if rank < X.shape[1]:
        warn(
            f"The {X.shape[1]} fixed columns {listed(design.coef)} have rank {rank}: some are sums of others, and the "
            f"data cannot tell them apart. {_way_out(design)}"
        )


def _way_out(design: Design) -> str:
    spline = next((m[0] for c in design.coef if (m := re.match(r"(cs|cr|cc)\(.*\)", c))), None)
    if spline is None or "Intercept" not in design.coef:
        return "Leave one out."
    return f"The columns of {spline} add up to the intercept: write {spline[:-1]}, constraints='center')."
