"""Which numbers does a formula make factors? `C(arm)` says it of a column for every question about it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bayesmargins.design.matrix import python_parts
from bayesmargins.errors import FormulaError

__all__ = ["Coding", "codings"]


@dataclass(frozen=True)
class Coding:
    """A column inside ``C()``: the call as the formula has it, and the levels that it states, if it does."""

    call: str
    levels: tuple[Any, ...] = ()


def codings(texts: Iterable[str], context: Mapping[str, Any]) -> dict[str, Coding]:
    """By column, where these formulas take a column itself for a factor; a user's own ``C`` is another function.

    Raises
    ------
    FormulaError
        Something is computed from a factor.
    """
    found: dict[str, Coding] = {}
    for text in texts if "C" not in context else ():
        for factor, tree in python_parts(text):
            if tree is None:
                continue
            _refuse_nested(factor, tree)
            coded = _coded(factor, tree.body)
            if coded and not (coded[0] in found and found[coded[0]].levels):
                found[coded[0]] = coded[1]
    return found


def _refuse_nested(factor: str, tree: ast.Expression) -> None:
    """A function of a factor would be one of its numbers, or of nothing."""
    if any(_is_c(node) and node is not tree.body for node in ast.walk(tree)):
        raise FormulaError(f"{factor!r} computes with a factor. C(x) stands by itself, or in a product such as C(x):z.")


def _is_c(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


def _coded(factor: str, node: ast.expr) -> tuple[str, Coding] | None:
    if not (isinstance(node, ast.Call) and _is_c(node) and node.args):
        return None
    name = node.args[0].id if isinstance(node.args[0], ast.Name) else factor.partition("`")[2].partition("`")[0]
    stated = next((_constants(k.value) for k in node.keywords if k.arg == "levels"), ())
    return (name, Coding(factor, stated)) if _is_column(node.args[0]) else None


def _is_column(node: ast.expr) -> bool:
    """A name; a name in backticks stands as None in the tree."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and node.value is None)


def _constants(node: ast.expr) -> tuple[Any, ...]:
    try:
        return tuple(ast.literal_eval(node))
    except (ValueError, TypeError):
        return ()
