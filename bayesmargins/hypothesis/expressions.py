"""Contrasts written as text: ``b2 - b1``, read by Python's own grammar, of which arithmetic alone is allowed."""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Sequence

import numpy as np

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.hypothesis.entries import Entries, Made, bracketed
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import ESTIMATE

__all__ = ["expressed"]

FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs}

_OPERATORS: dict[type[ast.AST], Callable[..., np.ndarray]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

_DEEPEST = 500  # levels of nesting; where Python gives up is moved by other packages

_GRAMMAR = (
    "Allowed are b1, b2, ... (the entries in order), labels in backticks, numbers, + - * / ** ( ), one = (the "
    "right-hand side is subtracted) and exp, log, sqrt, abs."
)


def expressed(entries: Entries, texts: Sequence[str]) -> Made:
    """Values of expressions in the entries, such as ``"b2 - b1"`` or "`drug+` / `placebo` = 1", within each draw."""
    texts = [" ".join(t.split()) for t in texts]
    labels = [re.sub("`([^`]*)`", _without_backticks, t) for t in texts]
    if len(set(labels)) < len(labels):
        raise EstimandError(f"spec names {next(x for x in labels if labels.count(x) > 1)!r} twice.")
    entries.check_size(len(texts), "Give fewer expressions.")
    read = [_Expression(text, entries) for text in texts]
    values = np.stack([expression.value() for expression in read])
    used = sorted(set().union(*(e.used for e in read)))
    by_position = any(e.positions for e in read) and not entries.names
    meant = ", ".join(f"b{k + 1} is {entries.labels[k]}" for k in used[:6]) if by_position else ""
    subtracted = tuple(label for label, e in zip(labels, read, strict=True) if len(e.trees) > 1)
    minus = " (the left side minus the right)" if subtracted else ""
    said = f"{'; '.join(labels)}{minus}{f' ({meant})' if meant else ''}, within each draw, from"
    comparisons = {e.comparison for e in read}
    comparison = comparisons.pop() if len(comparisons) == 1 else None
    spec = texts[0] if len(texts) == 1 else json.dumps(texts)
    return Made(values, tuple(labels), said, comparison or "expression", spec, comparison, subtracted)


def _without_backticks(match: re.Match[str]) -> str:
    """A label as it reads; one that is a number keeps its backticks, because it stands for an entry."""
    number = re.fullmatch(r"\s*-?[\d.]+(e[-+]?\d+)?\s*", match[1])
    return match[0] if number else bracketed(match[1].strip())


class _Expression:
    """One expression: what it names, and its value."""

    def __init__(self, text: str, entries: Entries) -> None:
        self.text = text
        self.entries = entries
        self.used: set[int] = set()
        self.positions = False
        self.quoted: dict[str, str] = {}
        sides = re.split("==?", self._unquoted())
        if len(sides) > 2:
            raise self._error("has more than one =", _GRAMMAR)
        self.trees = [self._parsed(side) for side in sides]

    @property
    def comparison(self) -> str | None:
        """What the arithmetic of two entries is called."""
        tree, *right = self.trees
        if not (isinstance(tree, ast.BinOp) and isinstance(tree.left, ast.Name) and isinstance(tree.right, ast.Name)):
            return None
        zero = not right or (isinstance(right[0], ast.Constant) and right[0].value == 0)
        if isinstance(tree.op, ast.Sub) and zero:
            return "difference"
        return "ratio" if isinstance(tree.op, ast.Div) and not right else None

    def value(self) -> np.ndarray:
        """The value in every draw."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            left, *right = (self._evaluated(tree) for tree in self.trees)
            value = np.asarray(left - right[0] if right else left)
        if not self.used:
            raise self._error("names no entry", f"Entries are {self.entries.listing}.")
        return value

    def _unquoted(self) -> str:
        """Text with a plain name in place of every label in backticks, and ** for R's ^."""
        stem = "_"
        while stem in self.text:
            stem += "_"

        def take(match: re.Match[str]) -> str:
            name = f"{stem}{len(self.quoted)}"
            self.quoted[name] = match[1]
            return f" {name} "

        code = re.sub("`([^`]*)`", take, self.text)
        if "`" in code:
            raise self._error("has a backtick without its partner", "Labels are written `drug+`.")
        if re.search("[<>]|!=|:=", code):
            raise self._error(
                "asks for a truth value",
                "Write the difference, b1 - b2; bm.summary(ds, null=0) then has the probability that it is above 0.",
            )
        if "#" in code:
            raise self._error("has a #, after which nothing is read", "Labels with # stand in backticks.")
        return code.replace("^", "**")

    def _parsed(self, code: str) -> ast.expr:
        try:
            tree = ast.parse(code.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or "too long or deeply nested"
            raise self._error(f"cannot be read ({reason})", _GRAMMAR) from error
        if _is_deeper(tree, _DEEPEST):
            raise self._error("is nested too deeply", "Give a function: spec=lambda e: ...")
        return tree

    def _evaluated(self, node: ast.expr) -> np.ndarray:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self._number(number)
            case ast.Name(id=name):
                return self.entries.draws[self._index(name)]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._evaluated(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._evaluated(left), self._evaluated(right))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
                return FUNCTIONS[name](self._evaluated(argument))
            case ast.Call(func=ast.Name(id=name)):
                raise self._error(f"calls {name}(...)", f"{_GRAMMAR} Each takes one argument.")
        raise self._error(f"has a {type(node).__name__.lower()}", _GRAMMAR)

    def _number(self, number: float) -> np.ndarray:
        try:
            return np.asarray(float(number))
        except OverflowError:
            raise self._error("has a number beyond all bounds", "A double holds up to 1.8e308.") from None

    def _index(self, name: str) -> int:
        index = self._of_label(self.quoted[name]) if name in self.quoted else self._of_name(name)
        self.used.add(index)
        return index

    def _of_label(self, label: str) -> int:
        if label in self.entries.labels:
            return self.entries.labels.index(label)
        if label.strip() in self.entries.labels:
            return self.entries.labels.index(label.strip())
        known = self.entries.labels
        raise self._error(f"names `{label}`", f"Entries are {listed(known)}.{close_matches(label, known)}")

    def _of_name(self, name: str) -> int:
        position = re.fullmatch("b([1-9][0-9]*)", name)
        index = int(position[1]) - 1 if position and len(name) < 12 else -1
        if name in self.entries.names:
            return self.entries.names[name]
        if 0 <= index < len(self.entries.labels):
            self.positions = True
            return index
        if name in self.entries.labels:
            where = f"b{self.entries.labels.index(name) + 1}"
            raise self._error(f"names {name} without backticks", f"Write `{name}`, or its position, {where}.")
        raise self._error(f"names {name}", f"Entries are {self.entries.listing}.{self._elsewhere(position)}")

    def _elsewhere(self, position: re.Match[str] | None) -> str:
        """Where the other entries of a result of several dimensions are: b4 of a table with two by two."""
        along, others = self.entries.along, self.entries.others
        n = math.prod(self.entries.source.sizes[d] for d in (along, *others))
        if not (position and others and int(position[1]) <= n):
            return ""
        source = self.entries.source
        dims = [d for d in source[ESTIMATE].dims if d in (along, *others)]
        columns = provenance_of(source).by or []
        one = len(columns) > 1 and set(dims) <= set(columns)  # such columns share the dimension `by`
        how = (
            f"hypotheses(ds, {self.text!r}, along='by')"
            if one
            else f"hypotheses(ds.stack(entry={dims}), {self.text!r})"
        )
        return f" They are those along {along!r} alone; over all {n} entries, in the order of the table: {how}."

    def _error(self, what: str, advice: str) -> EstimandError:
        return EstimandError(f"spec={shown(self.text)} {what}. {advice}")


def _is_deeper(tree: ast.AST, levels: int) -> bool:
    nodes = [tree]
    for _ in range(levels):
        nodes = [child for node in nodes for child in ast.iter_child_nodes(node)]
    return bool(nodes)
