"""Which numbers does a formula make factors? `C(arm)` and `mo(arm)` say it of a column for every question about it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bayesmargins.design.formula_reading import python_parts
from bayesmargins.design.monotonic import is_monotonic
from bayesmargins.errors import FormulaError

__all__ = ["Coding", "codings"]


@dataclass(frozen=True)
class Coding:
    """A column inside ``C()`` or ``mo()``: the call as the formula has it, and the levels that it states, if any."""

    call: str
    levels: tuple[Any, ...] = ()
    ordered: bool = False


def codings(texts: Iterable[str], context: Mapping[str, Any]) -> dict[str, Coding]:
    """By column, where these formulas take a column itself for a factor; a user's own ``C`` is another function.

    FormulaError where something is computed from a factor.
    """
    found: dict[str, Coding] = {}
    for text in texts:
        for factor, tree in python_parts(text):
            if tree is None:
                continue
            _refuse_nested(factor, tree, context)
            coded = _coded(factor, tree.body, context)
            if coded and not (coded[0] in found and found[coded[0]].levels):
                ordered = coded[1].ordered or (coded[0] in found and found[coded[0]].ordered)
                found[coded[0]] = replace(coded[1], ordered=ordered)
    return found


def _refuse_nested(factor: str, tree: ast.Expression, context: Mapping[str, Any]) -> None:
    """A function of a factor would be one of its numbers, or of nothing."""
    inside = (node for node in ast.walk(tree) if node is not tree and node is not tree.body)
    inner = next((call for node in inside if (call := _coder(node, context))), "")
    if inner:
        raise FormulaError(
            f"{factor!r} computes with a factor. {inner}(x) stands by itself, or in a product such as {inner}(x):z."
        )


def _coder(node: ast.AST, context: Mapping[str, Any]) -> str:
    """The name of the call that makes a factor; a function of the user's that is called so makes none."""
    if is_monotonic(node, context):
        return "mo"
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"
    return "C" if named and "C" not in context else ""


def _coded(factor: str, node: ast.expr, context: Mapping[str, Any]) -> tuple[str, Coding] | None:
    coder = _coder(node, context)
    if not (isinstance(node, ast.Call) and coder):
        return None
    if coder == "mo" and not (len(node.args) == 1 and not node.keywords and _is_column(node.args[0])):
        raise FormulaError(
            f"{factor!r} is read as mo(x), x a column of whole numbers or ordered categories. Compute anything else as "
            "a column of the data. Each term has shares of its own: brms's id= is not there."
        )
    if not node.args:
        return None
    name = node.args[0].id if isinstance(node.args[0], ast.Name) else factor.partition("`")[2].partition("`")[0]
    stated = next((_constants(k.value) for k in node.keywords if k.arg == "levels"), ())
    return (name, Coding(factor, stated, coder == "mo")) if _is_column(node.args[0]) else None


def _is_column(node: ast.expr) -> bool:
    """A name; a name in backticks stands as None in the tree."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and node.value is None)


def _constants(node: ast.expr) -> tuple[Any, ...]:
    try:
        return tuple(ast.literal_eval(node))
    except (ValueError, TypeError):
        return ()
