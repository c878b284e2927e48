"""The factors of a formula: which columns and functions they read, and what formulaic says of them in words."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from bayesmargins.design.calls import FUNCTIONS, check_grammar, names_read, tree_of
from bayesmargins.design.dialect import advice_on
from bayesmargins.design.mean_calls import as_written, is_deviation
from bayesmargins.errors import BayesmarginsError, DataError, FormulaError, shown, written

# formulaic brings half of SciPy with it, so it is imported where a formula is read, not with the package.

__all__ = [
    "bending_columns",
    "bounded_columns",
    "guarded",
    "known_functions",
    "python_parts",
    "required_columns",
    "term_label",
]

# What formulaic's splines do beyond the values of the fit, if nothing is said.
_BEYOND = {"bs": "raise", "cs": "extend", "cr": "extend", "cc": "extend"}


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


def bending_columns(text: str) -> set[str]:
    """Columns of the data that a Python expression of a formula reads: in all others it is a straight line."""
    read: set[str] = set()
    for factor, tree in python_parts(text):
        if tree is not None and not is_deviation(factor):
            read |= names_read(tree)
    return read


def bounded_columns(text: str) -> set[str]:
    """Columns of the data that a spline of a formula reads which has no values beyond those of the fit."""
    read: set[str] = set()
    for factor, tree in python_parts(text):
        for call in () if tree is None else _bounded_calls(tree):
            read |= names_read(call.args[0]) | set(re.findall(r"`([^`]+)`", factor))
    return read


def _bounded_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls of splines that end at the lowest and the highest value; with bounds of their own they end elsewhere."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _BEYOND and call.args:
            said = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
            beyond = said.get("extrapolation", _BEYOND[call.func.id])
            if beyond == "raise" and not {"lower_bound", "upper_bound"} & set(said):
                yield call


def term_label(name: str) -> str:
    """What readers see in place of formulaic's name of a column: ``trt[T.drug]`` reads ``trt[drug]``.

    >>> term_label("trt[T.drug]:week"), term_label("C(week)[T.2.0]")
    ('trt[drug]:week', 'C(week)[2]')
    """
    name = as_written(_EVERY_LEVEL.sub(r"\1", name))
    return re.sub(r"\[(-?\d+)\.0\]", r"[\1]", name.replace("[T.", "["))


# formulaic's way to ask for a column a level; a level in brackets says the same.
_EVERY_LEVEL = re.compile(r"C\(([\w.]+|`[^`]+`), spans_intercept=False\)")


def guarded(text: str, call: Callable[[], Any]) -> Any:
    """Run formulaic; its warnings about unseen levels and whatever it raises become errors that quote the formula.

    formulaic alone would take an unseen level for the reference level.
    """
    from formulaic.errors import DataMismatchWarning

    try:
        # NumPy's own warning about log(-1) would say less than the error that `Matrix.values` raises.
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


def _uncoloured(error: Exception) -> str:
    """formulaic points at the place of a syntax error with terminal colours, which read badly in a notebook."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m|[⧛⧚]", "", written(error)).split())
