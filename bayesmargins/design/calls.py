"""What a formula may call: functions that act on each row alone, and, from a file, only those of a list.

A formula is Python where it is not algebra of terms. What a user types is run as it stands; what a file holds was
perhaps typed by somebody else, so its functions must be on the list here or come from the user.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from bayesmargins.errors import FormulaError, close_matches, listed

__all__ = ["CONSTANTS", "FUNCTIONS", "check_grammar", "check_listed", "context_of", "names_called", "names_read"]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in [
        "abs",
        "arccos",
        "arcsin",
        "arctan",
        "arctan2",
        "cbrt",
        "ceil",
        "clip",
        "cos",
        "cosh",
        "expm1",
        "floor",
        "hypot",
        "log1p",
        "maximum",
        "minimum",
        "power",
        "rint",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
        "where",
    ]
}
"""Called by their bare name in any formula, besides formulaic's own transforms."""


def _as_numbers(x: Any) -> Any:
    """R's as.numeric() of a column of numbers; of a factor it would number the levels, in whatever order."""
    if not np.issubdtype(np.asarray(x).dtype, np.number) and not np.issubdtype(np.asarray(x).dtype, np.bool_):
        raise ValueError("as.numeric() of a factor numbers its levels. Make the column beforehand, with the numbers.")
    return np.asarray(x, dtype=np.float64)


# R's names: of NumPy's functions, of a vector inside a call, of conversions (written with a dot there).
FUNCTIONS |= {
    "ifelse": np.where,
    "pmin": np.minimum,
    "pmax": np.maximum,
    "ceiling": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "c": lambda *values: list(values),
    "isin": np.isin,
    "as_numeric": _as_numbers,
    "as_integer": lambda x: np.trunc(_as_numbers(x)),
}

CONSTANTS: dict[str, Any] = {"TRUE": True, "FALSE": False, "T": True, "F": False, "pi": np.pi}
"""R's constants, where no column is called so."""


def context_of(columns: Collection[str], namespace: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a formula's names stand for beside columns: functions, R's constants, the user's own."""
    constants = {name: value for name, value in CONSTANTS.items() if name not in columns}
    return {**FUNCTIONS, **constants, **(namespace or {})}


_OF_NUMPY = {*FUNCTIONS, "array", "e", "exp", "exp2", "isin", "isnan", "log", "log10", "log2", "pi"}
_METHODS = {"abs", "astype", "between", "clip", "isin", "lower", "round", "strip", "upper"}
_METHODS |= {"year", "month", "day", "dayofyear", "dayofweek", "hour"}
_ACCESSORS = {"dt", "str"}

_NODES = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.List, ast.Tuple,
    ast.Dict, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.operator, ast.unaryop, ast.boolop,
    ast.cmpop,
)  # fmt: skip

_SMOOTH = "A penalised smooth is not among this package's terms; bs({0}, df=4) is a spline of fixed size."
_RESIDUALS = "Correlations of residuals are not among the models; groups with (1 | g) are."
_ELSEWHERE = {
    "ns": "Write cs({0}, df=4, constraints='center') for a natural cubic spline, or bs({0}, df=4).",
    "rcs": "Write cs({0}, df=4, constraints='center') for a natural (restricted) cubic spline.",
    **dict.fromkeys(("s", "t2", "te", "ti", "lo", "pspline"), _SMOOTH),
    "gp": "A Gaussian process is not among this package's terms; bs({0}, df=5) is a spline.",
    "cut": "Make the column first, with pandas.cut, and name it here.",
    "interaction": "Write a:b for the combinations of two factors.",
    "mo": "A monotonic effect is not among this package's terms; C({0}) fits each level.",
    "mean": "A mean must be that of the fit: center({0}), scale({0}).",
    "sd": "A standard deviation must be that of the fit: scale({0}).",
    "me": "A covariate with measurement error is not among this package's terms.",
    "mi": "A modelled missing value is not among this package's terms; missing='drop' leaves rows out.",
    "mm": "Multi-membership is not among this package's terms.",
    "strata": "Strata are (1 | g), or a factor of their own.",
    "Error": "Strata of errors are blocks: (1 | g), (1 | a/b).",
    **dict.fromkeys(("ar", "ma", "arma", "cosy", "unstr", "car", "sar", "fcor"), _RESIDUALS),
}


def tree_of(expression: str) -> ast.Expression:
    """The syntax tree of a Python part of a formula; a column in backticks stands as a constant.

    Raises
    ------
    SyntaxError
        It is no Python.
    """
    return ast.parse(re.sub(r"`[^`]+`", "None", expression).strip(), mode="eval")


def names_called(tree: ast.AST) -> set[str]:
    """Bare names of the functions that are called.

    Raises
    ------
    Nothing.
    """
    return {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def names_read(tree: ast.AST) -> set[str]:
    """Names that stand for values: columns, and what is handed to a transform, such as ``contr``.

    Raises
    ------
    Nothing.
    """
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}


def check_grammar(tree: ast.AST, text: str, known: Mapping[str, Any]) -> None:
    """Is this Python that a formula may hold: arithmetic, comparisons, calls of functions that are known?

    Parameters
    ----------
    tree : ast.AST
        Of one Python part.
    text : str
        The part of the formula, for messages.
    known : mapping
        Functions by name.

    Returns
    -------
    None

    Raises
    ------
    FormulaError
        Another construct, a method of a column that is not on the list, or a function that nobody knows.
    """
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise FormulaError(
                f"{text!r} holds Python that a formula cannot: {type(node).__name__}. Allowed are arithmetic, "
                "comparisons and calls. Write a function, pass namespace={'name': function}, and call it here."
            )
    for path in _attributes(tree):
        if path[0] not in known and not _is_method(path):
            raise FormulaError(
                f"{text!r} uses {'.'.join(path)!r}; of a column's methods a formula takes {listed(sorted(_METHODS))}. "
                "A mean or rank would be that of the rows at hand, not of the fit: use center(), scale(), or compute "
                "the column beforehand."
            )
    unknown = sorted(names_called(tree) - set(known))
    if unknown:
        name = unknown[0]
        own = f"{close_matches(name, [*known])} Pass your own: namespace={{{name!r}: {name}}}."
        raise FormulaError(
            f"{text!r} calls {name!r}, which is no function that formulas know.{_advice(name, tree) or own}"
        )


def check_listed(tree: ast.AST, text: str, namespace: Mapping[str, Any]) -> None:
    """Does this Python part of a stored formula call only what is on the list, or in the user's namespace?

    Parameters
    ----------
    tree : ast.AST
        Of one Python part that `check_grammar` has passed.
    text : str
        The part of the formula, for messages.
    namespace : mapping
        What the user vouches for.

    Returns
    -------
    None

    Raises
    ------
    FormulaError
        A function of NumPy that is not on the list.
    """
    for root, *rest in _attributes(tree):
        allowed = root in namespace or root != "np" or (len(rest) == 1 and rest[0] in _OF_NUMPY)
        if not allowed:
            raise FormulaError(
                f"The stored formula calls {'.'.join([root, *rest])!r} in {text!r}. Of NumPy a file may call "
                f"{listed(sorted(_OF_NUMPY))}. If you trust the file, pass namespace={{'np': numpy}}."
            )


def _attributes(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Dotted names, outermost only, as (root, ..., last); the root of anything else than a name is ''."""
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        path: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            path.append(at.attr)
            at = at.value
        yield (at.id if isinstance(at, ast.Name) else "", *reversed(path))


def _is_method(path: tuple[str, ...]) -> bool:
    steps = path[2:] if path[1] in _ACCESSORS and len(path) == 3 else path[1:]
    return len(steps) == 1 and steps[0] in _METHODS


def _advice(name: str, tree: ast.AST) -> str:
    known = _ELSEWHERE.get(name)
    read = sorted(names_read(tree)) or ["x"]
    return f" {known.format(read[0])}" if known else ""
