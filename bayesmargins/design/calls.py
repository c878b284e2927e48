"""What a formula may call: functions that act on each row alone.

A formula is Python where it is not algebra of terms. What a user types is run as it stands; what a file holds was
perhaps typed by somebody else, and `stored` reads it more strictly.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeGuard

import numpy as np

from bayesmargins.design.monotonic import mo
from bayesmargins.design.smooth import s, t2
from bayesmargins.errors import FormulaError, close_matches, listed

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "check_grammar",
    "context_of",
    "dotted",
    "names_called",
    "names_read",
    "tree_of",
]

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
    "pmin": lambda *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "pmax": lambda *values: np.maximum.reduce(np.broadcast_arrays(*values)),
    "ceiling": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "c": lambda *values: list(values),
    "isin": np.isin,
    "as_numeric": _as_numbers,
    "as_integer": lambda x: np.trunc(_as_numbers(x)),
    "mo": mo,
    "s": s,
    "t2": t2,
}

CONSTANTS: dict[str, Any] = {"TRUE": True, "FALSE": False, "T": True, "F": False, "pi": np.pi}
"""R's constants, where no column is called so."""


def context_of(columns: Collection[str], namespace: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a formula's names stand for beside columns: functions, R's constants, the user's own."""
    constants = {name: value for name, value in CONSTANTS.items() if name not in columns}
    return {**FUNCTIONS, **constants, **(namespace or {})}


_METHODS = {"abs", "astype", "between", "clip", "isin", "lower", "round", "strip", "upper"}
_METHODS |= {"year", "month", "day", "dayofyear", "dayofweek", "hour"}
_ACCESSORS = {"dt", "str"}

_NODES = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.Attribute, ast.List, ast.Tuple,
    ast.Dict, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.operator, ast.unaryop, ast.boolop,
    ast.cmpop,
)  # fmt: skip

_SMOOTH = "s({0}) is a penalised smooth of one variable, t2(x, z) a smooth surface of two."
_RESIDUALS = "Correlations of residuals are not among the models; groups with (1 | g) are."
_ELSEWHERE = {
    "ns": "Write cs({0}, df=4, constraints='center') for a natural cubic spline, or bs({0}, df=4).",
    "rcs": "Write cs({0}, df=4, constraints='center') for a natural (restricted) cubic spline.",
    **dict.fromkeys(("te", "ti", "lo", "pspline"), _SMOOTH),
    "gp": "A Gaussian process is not among this package's terms; bs({0}, df=5) is a spline.",
    "cut": "Make the column first, with pandas.cut, and name it here.",
    "interaction": "Write a:b for the combinations of two factors.",
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
    """The syntax tree that formulaic evaluates of a Python part; a column in backticks is a name, whatever it holds."""
    from formulaic.utils.code import sanitize_variable_names

    quoted: dict[str, str] = {}
    tree = ast.parse(sanitize_variable_names(expression, {}, quoted, template="_column_{}"), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = quoted.get(node.id, node.id)
    return tree


def names_called(tree: ast.AST) -> set[str]:
    """Bare names of the functions that are called."""
    return {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}


def names_read(tree: ast.AST) -> set[str]:
    """Names that stand for values: columns, and what is handed to a transform, such as ``contr``."""
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called}


def check_grammar(tree: ast.AST, text: str, known: Mapping[str, Any]) -> None:
    """Refuse Python that a formula may not hold: all but arithmetic, comparisons and calls of known functions."""
    for node in ast.walk(tree):
        called = node.func if _calls_a_value(node) else node
        if called is not node or not isinstance(node, _NODES) or _is_private(node):
            raise FormulaError(
                f"{text!r} holds Python that a formula cannot: {type(called).__name__}. Allowed are arithmetic, "
                "comparisons and calls of functions by name. Write a function, pass namespace={'name': function}, and "
                "call it here."
            )
    for path in _attributes(tree):
        if (path[0] not in known and not _is_method(path)) or any(step.startswith("_") for step in path):
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


def dotted(node: ast.AST) -> tuple[str, ...]:
    """A dotted name as (root, ..., last); the root of anything else than a name is ''."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else "", *reversed(path))


def _attributes(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Dotted names, outermost only."""
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    yield from (dotted(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and id(n) not in inner)


def _calls_a_value(node: ast.AST) -> TypeGuard[ast.Call]:
    """What is called has a name: the result of a call, or a constant, is no function of a formula."""
    return isinstance(node, ast.Call) and not isinstance(node.func, ast.Name | ast.Attribute)


def _is_private(node: ast.AST) -> bool:
    """Arguments of formulaic's own, and ``**``, whose names nobody can read beforehand."""
    return isinstance(node, ast.keyword) and (node.arg is None or node.arg.startswith("_"))


def _is_method(path: tuple[str, ...]) -> bool:
    steps = path[2:] if path[1] in _ACCESSORS and len(path) == 3 else path[1:]
    return len(steps) == 1 and steps[0] in _METHODS


def _advice(name: str, tree: ast.AST) -> str:
    known = _ELSEWHERE.get(name)
    read = sorted(names_read(tree)) or ["x"]
    return f" {known.format(read[0])}" if known else ""
