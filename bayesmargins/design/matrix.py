"""Columns of the design as formulas whose state (levels, knots, means) is frozen at the fit."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmargins.design.calls import FUNCTIONS, check_grammar, names_read, tree_of
from bayesmargins.design.dialect import advice_on
from bayesmargins.design.formula import expression
from bayesmargins.design.group_means import as_written, is_deviation
from bayesmargins.design.monotonic import Monotonic, is_monotonic, monotonic_terms
from bayesmargins.design.smooth import Penalised, is_smooth, penalised_terms
from bayesmargins.errors import BayesmarginsError, DataError, FormulaError, listed, shown, written
from bayesmargins.values import numbers

if TYPE_CHECKING:
    import formulaic

# formulaic brings half of SciPy with it, so it is imported where a formula is read, not with the package.

__all__ = [
    "Matrix",
    "check_row_by_row",
    "finite_values",
    "freeze",
    "freeze_one",
    "guarded",
    "known_functions",
    "python_parts",
    "required_columns",
    "term_label",
]

# What formulaic's splines do beyond the values of the fit, if nothing is said.
_BEYOND = {"bs": "raise", "cs": "extend", "cr": "extend", "cc": "extend"}


Piece = tuple[str, Any]  # a column of numbers and None, or a factor and the level where it is 1


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
        read: set[str] = set()
        for factor, tree in python_parts(self.text):
            if tree is not None and not is_deviation(factor):
                read |= names_read(tree)
        return frozenset(read)

    @cached_property
    def bounded(self) -> frozenset[str]:
        """Columns of the data that a spline reads which has no values beyond those of the fit."""
        read: set[str] = set()
        for factor, tree in python_parts(self.text):
            for call in () if tree is None else _bounded_calls(tree):
                read |= names_read(call.args[0]) | set(re.findall(r"`([^`]+)`", factor))
        return frozenset(read)

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
        """What each column of the design is the product of; None where any is a product of something else."""
        products: list[tuple[Piece, ...]] = []
        for term in [scoped for part in self.spec.structure for scoped in part.scoped_terms]:
            each = [self._pieces(scoped) for scoped in term.factors]
            if term.scale != 1 or not all(each):
                return None
            products += [of[::-1] for of in product(*reversed(each))]  # the first factor changes fastest
        return tuple(products)

    def _pieces(self, scoped: Any) -> list[Piece]:
        """Those of a column of the data as it is, all levels or all but the reference level; none of anything else."""
        name = scoped.factor.expr
        if scoped.factor.factor.eval_method.value != "lookup":
            return []
        kind, state = self.spec.encoder_state[name]
        if kind.value == "numerical":
            return [(name, None)]
        return [(name, level) for level in state["categories"][scoped.reduced :]]

    def evaluate(self, frame: pd.DataFrame) -> np.ndarray:
        """Values of the columns for complete rows: (row, column) float."""
        if not self.labels:
            return np.zeros((len(frame), 0))
        first = 0 if self.constant else 1
        if self.products is not None:  # columns as they are, as in most models: no need to ask formulaic
            return _products(self.products[first:], frame)
        values: np.ndarray = guarded(
            self.text, lambda: numbers(self.spec.get_model_matrix(frame, context=self.context))
        )
        return values[:, first:]

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


def _bounded_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls of splines that end at the lowest and the highest value; with bounds of their own they end elsewhere."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _BEYOND and call.args:
            said = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
            beyond = said.get("extrapolation", _BEYOND[call.func.id])
            if beyond == "raise" and not {"lower_bound", "upper_bound"} & set(said):
                yield call


def _products(products: tuple[tuple[Piece, ...], ...], frame: pd.DataFrame) -> np.ndarray:
    columns = {
        (name, level): frame[name].to_numpy(np.float64) if level is None else (frame[name] == level).to_numpy(bool)
        for name, level in set().union(*products)
    }
    values = np.ones((len(frame), len(products)), order="F")
    for j, pieces in enumerate(products):
        for piece in pieces:
            values[:, j] *= columns[piece]
    return values


def term_label(name: str) -> str:
    """What readers see in place of formulaic's name of a column: ``trt[T.drug]`` reads ``trt[drug]``.

    >>> term_label("trt[T.drug]:week"), term_label("C(week)[T.2.0]")
    ('trt[drug]:week', 'C(week)[2]')
    """
    name = as_written(_EVERY_LEVEL.sub(r"\1", name))
    return re.sub(r"\[(-?\d+)\.0\]", r"[\1]", name.replace("[T.", "["))


# formulaic's way to ask for a column a level; a level in brackets says the same.
_EVERY_LEVEL = re.compile(r"C\(([\w.]+|`[^`]+`), spans_intercept=False\)")


def required_columns(text: str, context: Mapping[str, Any]) -> set[str]:
    """Columns of the data that a formula reads; it is refused where it holds or calls what a formula cannot.

    They are read off the expressions themselves: formulaic's own ``required_variables`` leaves out what a stateful
    transform such as ``poly(x, 3)`` reads.
    """
    known = known_functions(context)
    columns: set[str] = set()
    for factor, tree in python_parts(text):
        if tree is None:
            columns.add(factor)
            continue
        check_grammar(tree, text, known)
        columns |= (names_read(tree) - _values_among(context)) | set(re.findall(r"`([^`]+)`", factor))
    return columns


@lru_cache(maxsize=256)
def python_parts(text: str) -> tuple[tuple[str, ast.Expression | None], ...]:
    """Factors of a formula: a column by its name with None, anything that is evaluated with its syntax tree."""
    from formulaic import Formula

    formula = guarded(text, lambda: Formula(text))
    kinds = {str(f.expr): f.eval_method.value for term in formula for f in term.factors}
    return tuple(
        (factor, None if kind == "lookup" else guarded(text, partial(tree_of, factor)))
        for factor, kind in kinds.items()
        if kind != "literal"
    )


# What formulaic knows that is handed to a function, rather than called.
_HANDED = {"np", "contr", "Treatment", "Poly", "Sum", "Helmert", "Diff"}


def _values_among(context: Mapping[str, Any]) -> set[str]:
    """Names that are no columns where they are read; a function's name is one only where it is called."""
    return _HANDED | {name for name, value in context.items() if FUNCTIONS.get(name) is not value}


def known_functions(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Functions by the names that a formula calls them by: formulaic's transforms, and those of the context."""
    from formulaic.transforms import TRANSFORMS

    return {**TRANSFORMS, **context}


def freeze_one(text: str, frame: pd.DataFrame, context: Mapping[str, Any], *, invented: bool = False) -> Matrix:
    """The one column that an expression gives, such as an offset; `invented` as for `freeze`."""
    matrix = freeze(expression(text), frame, context, invented=invented)
    if len(matrix.labels) != 1:
        raise FormulaError(f"offset({text}) gives the {len(matrix.labels)} columns {matrix.labels}; it must give one.")
    return matrix


def finite_values(matrix: Matrix, frame: pd.DataFrame, what: str) -> np.ndarray:
    """Values of the columns for complete rows, (row, column); DataError where a transform has none, as log(-1)."""
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
    """Run formulaic; its warnings about unseen levels and whatever it raises become errors that quote the formula.

    formulaic alone would take an unseen level for the reference level.
    """
    from formulaic.errors import DataMismatchWarning

    try:
        # NumPy's own warning about log(-1) would say less than the error that `finite_values` raises.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", DataMismatchWarning)
            return call()
    except DataMismatchWarning as error:
        raise DataError(f"In {text!r}: {error} Only levels seen at the fit can be predicted for.") from error
    except BayesmarginsError:
        raise
    except Exception as error:  # the functions of a formula are Python of the user's, and may raise anything
        if isinstance(error.__cause__, BayesmarginsError):  # of a function of this package
            raise error.__cause__ from None
        if "extend beyond upper and/or lower bounds" in str(error):
            raise DataError(
                f"In {text!r} a spline is asked for values beyond those of the fit, where it is not defined. Ask for "
                "values within them (comparisons: a pair (low, high) inside, 'iqr', 'minmax'), or fit with "
                "bs(x, df=4, extrapolation='extend')."
            ) from error
        said = _uncoloured(error) or f"{type(error).__name__}, as where brackets are nested deeply"
        raise FormulaError(
            f"The part {shown(text, 200)} of the formula cannot be evaluated: {said}{advice_on(text)}"
        ) from error


_NOISE = 1e-12  # of a number's size


def freeze(text: str, frame: pd.DataFrame, context: Mapping[str, Any], *, invented: bool = False) -> Matrix:
    """Evaluate a formula once and keep the state of its transforms and codings.

    Values are not looked at where the rows are `invented`: a logarithm may have none there and be right of any data.
    """
    from formulaic import Formula

    spec = guarded(text, lambda: Formula(text).get_model_matrix(frame, context=context, na_action="ignore").model_spec)
    matrix = Matrix(text, spec, tuple(term_label(n) for n in spec.column_names), context)
    if not invented:
        _refuse_noise(matrix)
        check_row_by_row(matrix, frame, finite_values(matrix, frame, "data"))
    return matrix


def _refuse_noise(matrix: Matrix) -> None:
    """Polynomials through fewer values than they need, and units of what does not vary, are rounding errors.

    `norms2` has the squared norms of the polynomials before they are normalised: where one is that of a rounding error
    of x, x has no more values. `scale` has the mean and standard deviation.
    """
    for call, state in matrix.spec.transform_state.items():
        norms = state.get("norms2", {})
        if len(norms) > 1:
            noise = (_NOISE * (abs(state["alpha"][0]) + np.sqrt(norms[1] / norms[0]))) ** 2
            if any(not norms[k] > noise * norms[k - 1] for k in range(1, len(norms))):
                degree = next(k for k in range(1, len(norms)) if not norms[k] > noise * norms[k - 1])
                raise FormulaError(
                    f"{call} asks for a polynomial of degree {len(norms) - 1} through {degree} different "
                    f"value{'s' if degree > 1 else ''}: its columns from degree {degree} on would be rounding errors. "
                    + (f"At most degree {degree - 1} can be told from these data." if degree > 1 else "Leave it out.")
                )
        if state.get("scale") is not None and not state["scale"] > _NOISE * abs(state.get("center") or 0.0):
            raise FormulaError(
                f"{call} divides by the standard deviation of a column that does not vary in the data: what is left is "
                "a rounding error. Leave it out."
            )


def check_row_by_row(matrix: Matrix, frame: pd.DataFrame, values: np.ndarray) -> None:
    """Refuse what is not frozen: x - np.mean(x) would take the mean of newdata, as a part of the rows shows."""
    some = np.unique(np.linspace(0, len(frame) - 1, 7).astype(int))[::-1]
    again = matrix.evaluate(frame.iloc[some])
    scale = np.abs(np.where(np.isfinite(values), values, 0.0)).max(axis=0, initial=1e-300)
    if again.shape == values[some].shape and _close(again, values[some], 1e-8 * scale).all():
        return
    raise FormulaError(
        f"{matrix.text!r} gives other values for the same rows when fewer rows are evaluated: it is not frozen at the "
        "fit, and newdata would be coded differently. Use center(x), scale(x), poly(x, 2), bs(x, df=4), which remember "
        "the fit, or compute the column beforehand."
    )


def _close(a: np.ndarray, b: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Values that are not finite are close to themselves alone."""
    with np.errstate(invalid="ignore"):
        return (np.abs(a - b) <= tolerance) | (a == b) | (np.isnan(a) & np.isnan(b))


def _uncoloured(error: Exception) -> str:
    """formulaic points at the place of a syntax error with terminal colours, which read badly in a notebook."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m|[⧛⧚]", "", written(error)).split())
