"""Columns of the design as formulas whose state (levels, knots, means) is frozen at the fit."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmargins.design.formula import expression
from bayesmargins.errors import DataError, FormulaError, close_matches, listed

if TYPE_CHECKING:
    import formulaic

# formulaic brings half of SciPy with it, so it is imported where a formula is read, not with the package.

__all__ = ["Matrix", "finite_values", "freeze", "freeze_one", "guarded", "required_columns", "term_label"]


@dataclass(frozen=True)
class Matrix:
    """Some columns of the design, as a formula with its state frozen at the fit."""

    text: str
    spec: formulaic.ModelSpec
    labels: tuple[str, ...]
    context: Mapping[str, Any]

    @cached_property
    def variables(self) -> frozenset[str]:
        """Columns of the data that the formula reads."""
        return frozenset(required_columns(self.text, self.context))

    def evaluate(self, frame: pd.DataFrame) -> np.ndarray:
        """Values of the columns for complete rows: (row, column) float."""
        if not self.labels:
            return np.zeros((len(frame), 0))
        values = guarded(self.text, lambda: self.spec.get_model_matrix(frame, context=self.context))
        return np.asarray(values, dtype=np.float64)


def term_label(name: str) -> str:
    """How is a column of the design called: ``trt[T.drug]`` reads ``trt[drug]``.

    Parameters
    ----------
    name : str
        formulaic's name.

    Returns
    -------
    str

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> term_label("trt[T.drug]:week"), term_label("C(week)[T.2.0]")
    ('trt[drug]:week', 'C(week)[2]')
    """
    return re.sub(r"\[(-?\d+)\.0\]", r"[\1]", name.replace("[T.", "["))


def required_columns(text: str, context: Mapping[str, Any]) -> set[str]:
    """Which columns of the data does this formula read?

    Read from the expressions themselves: formulaic's own ``required_variables`` leaves out what a stateful transform
    such as ``poly(x, 3)`` reads.

    Raises
    ------
    FormulaError
        formulaic cannot parse it, or it calls a function that nobody knows.
    """
    from formulaic import Formula

    formula = guarded(text, lambda: Formula(text))
    factors = {f for term in formula for f in term.factors if f.eval_method.value != "literal"}
    return {name for f in factors for name in _names_in(f, context, text)}


def _names_in(factor: Any, context: Mapping[str, Any], text: str) -> set[str]:
    from formulaic.transforms import TRANSFORMS

    if factor.eval_method.value == "lookup":
        return {str(factor.expr)}
    quoted = re.findall(r"`([^`]+)`", factor.expr)
    tree = guarded(text, lambda: ast.parse(re.sub(r"`[^`]+`", "None", factor.expr).strip(), mode="eval"))
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    unknown = sorted(called - set(TRANSFORMS) - set(context))
    if unknown:
        name, hint = unknown[0], close_matches(unknown[0], TRANSFORMS)
        raise FormulaError(
            f"{text!r} calls {name!r}, which is no function that formulas know.{hint} Pass your own: "
            f"namespace={{{name!r}: {name}}}."
        )
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return (names - set(TRANSFORMS) - set(context)) | set(quoted)


def freeze_one(text: str, frame: pd.DataFrame, context: Mapping[str, Any]) -> Matrix:
    """The one column that an expression gives, such as an offset.

    Raises
    ------
    FormulaError
        It gives no column, or several.
    """
    matrix = freeze(expression(text), frame, context)
    if len(matrix.labels) != 1:
        raise FormulaError(f"offset({text}) gives the {len(matrix.labels)} columns {matrix.labels}; it must give one.")
    return matrix


def finite_values(matrix: Matrix, frame: pd.DataFrame, what: str) -> np.ndarray:
    """Values of the columns for complete rows, (row, column); a transform without a value is not passed on.

    Raises
    ------
    DataError
        NaN or infinite values, such as the logarithm of a negative number.
    """
    values = matrix.evaluate(frame)
    bad = ~np.isfinite(values)
    if bad.any():
        where = [matrix.labels[j] for j in np.flatnonzero(bad.any(axis=0))]
        raise DataError(
            f"{listed(where)} has no finite value in {int(bad.any(axis=1).sum())} rows of {what}, the first being row "
            f"{int(np.flatnonzero(bad.any(axis=1))[0])}. Check the values that the transform is given."
        )
    return values


def guarded(text: str, call: Callable[[], Any]) -> Any:
    """Run formulaic; its warnings about unseen levels and its own exceptions become errors that quote the formula.

    Raises
    ------
    DataError
        A level that the fit has not seen: formulaic alone would take it for the reference level.
    FormulaError
        formulaic cannot parse or evaluate the text.
    """
    from formulaic.errors import DataMismatchWarning, FormulaicError

    try:
        # NumPy's own warning about log(-1) would say less than the error that `finite_values` raises.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", DataMismatchWarning)
            return call()
    except DataMismatchWarning as error:
        raise DataError(f"In {text!r}: {error} Only levels seen at the fit can be predicted for.") from error
    except (FormulaicError, SyntaxError) as error:
        raise FormulaError(f"The part {text!r} of the formula cannot be evaluated: {_uncoloured(error)}") from error


def freeze(text: str, frame: pd.DataFrame, context: Mapping[str, Any]) -> Matrix:
    """Evaluate a formula once and keep the state of its transforms and codings.

    Raises
    ------
    DataError, FormulaError
        It cannot be evaluated on this frame.
    """
    from formulaic import Formula

    spec = guarded(text, lambda: Formula(text).get_model_matrix(frame, context=context, na_action="ignore").model_spec)
    matrix = Matrix(text, spec, tuple(term_label(n) for n in spec.column_names), context)
    finite_values(matrix, frame, "data")
    return matrix


def _uncoloured(error: Exception) -> str:
    """formulaic points at the place of a syntax error with terminal colours, which read badly in a notebook."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m|[⧛⧚]", "", str(error)).split())
