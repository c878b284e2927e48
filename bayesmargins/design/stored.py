"""Formulas that a file brings: what stands here is evaluated, whatever else Python or formulaic could do with a text.

formulaic hands the Python parts of a formula to `eval`, some of them while it parses. So its own tokens are read here
before it sees them: signs of the algebra of terms, numbers, columns of the data, and Python that `stored_calls` reads
node by node. Every size that a text can ask for has an end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import pandas as pd

from bayesmargins.design.calls import FUNCTIONS, names_read, tree_of
from bayesmargins.design.formula_reading import guarded, known_functions
from bayesmargins.design.stored_calls import NUMBER, TEXT, Python
from bayesmargins.errors import FormulaError, shown
from bayesmargins.limits import options

__all__ = ["check_length", "check_signs", "check_stored"]

_CHARACTERS, _TOKENS, _TERMS, _MANY, _SPANS = 50_000, 5000, 5000, 10, 64
_ANY_SIGN = re.compile(r"[-+*/:^|({\[]")
_SIGNS, _BRACKETS = re.compile(r"[-+*:/]+|\^|in"), re.compile(r"[()]")
_LITERAL = re.compile(r"\d{1,15}(\.\d{0,15})?|\.\d{1,15}")


@dataclass(frozen=True)
class _Factor:
    """What is multiplied in a term: its text, what it gives a row, the columns it reads, the columns it asks for."""

    name: str
    kind: str
    reads: frozenset[str]
    size: int

    def width(self, levels: Mapping[str, int]) -> int:
        """How many columns of the design it gives at most."""
        return self.size if self.kind == NUMBER else max(self.size, math.prod(levels.get(n, 1) for n in self.reads))


def check_length(formula: Any) -> None:
    """Refuse what is no text, or a very long one, before it is read as a formula."""
    if not isinstance(formula, str) or len(formula) > _CHARACTERS:
        raise FormulaError(
            f"The stored formula is {shown(formula)}: it must be text of up to {_CHARACTERS} characters."
        )


def check_signs(formula: Any, columns: int) -> None:
    """Refuse a formula with far more in it than the draws that it comes with have columns, before it is worked out."""
    check_length(formula)
    counts = {"signs and brackets": (len(_ANY_SIGN.findall(formula)), 300 + 10 * columns)}
    counts["characters"] = len(formula), 4000 + 200 * columns  # to find where a name ends takes their square
    for what, (count, most) in counts.items():
        if count > most:
            raise FormulaError(
                f"The formula {shown(formula)} has {count:,} {what}, and its draws are of {columns} columns: in a file "
                f"it may have up to {most:,}, because a forged one would keep the reader busy. Compute long "
                "expressions as columns of the data, and give them short names."
            )


def check_stored(text: str, frame: pd.DataFrame | None, namespace: Mapping[str, Any]) -> None:
    """Refuse a piece of a stored formula that may not be evaluated; without `frame` any name may be a column."""
    from formulaic import Formula
    from formulaic.parser.algos.sanitize_tokens import sanitize_tokens
    from formulaic.parser.algos.tokenize import tokenize

    tokens = guarded(text, lambda: list(sanitize_tokens(tokenize(text))))
    if len(tokens) > _TOKENS:
        raise FormulaError(f"The stored formula {shown(text)} has {len(tokens)} parts; {_TOKENS} may be read.")
    columns = None if frame is None else {str(n): _holds(frame[n]) for n in frame.columns}
    factors = {}
    for token in tokens:
        if token.kind.value in ("name", "python"):
            factors[token.token] = _factor(token, text, columns, namespace)
        else:
            _check_sign(token, text)
    _check_number_of_terms(text)
    formula = guarded(text, lambda: Formula(text))
    terms = [[factors[f.expr] for f in term.factors if f.expr in factors] for term in formula]
    _check_products(text, terms, frame)
    _check_spans(text, terms)


def _factor(token: Any, text: str, columns: Mapping[str, str] | None, namespace: Mapping[str, Any]) -> _Factor:
    name = token.token
    if token.kind.value == "python":
        tree = guarded(text, lambda: tree_of(name))
        part = Python(name, columns, known_functions(FUNCTIONS), namespace)
        kind = guarded(text, lambda: part.kind(tree))
        return _Factor(name, kind, frozenset(names_read(tree)), max(part.sizes, default=1))
    if columns is not None and name not in columns:
        raise FormulaError(f"The stored formula {shown(text)} reads {name!r}, which is no column of the file's data.")
    return _Factor(name, (columns or {}).get(name, NUMBER), frozenset([name]), 1)


def _check_sign(token: Any, text: str) -> None:
    allowed = {"operator": _SIGNS, "value": _LITERAL, "context": _BRACKETS}[token.kind.value]
    if not allowed.fullmatch(token.token.strip()):
        raise FormulaError(
            f"The stored formula {shown(text)} holds {shown(token.token)}: among terms stand + - * / : ** ( ) and "
            "numbers."
        )


def _holds(column: pd.Series) -> str:
    number = pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)
    return NUMBER if number else TEXT


def _check_number_of_terms(text: str) -> None:
    """(a + b + c) ** 20 would be worked out term by term: their number is known beforehand."""
    from formulaic.parser import DefaultFormulaParser

    root = guarded(text, lambda: DefaultFormulaParser().get_ast(text))
    order, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += [a for a in getattr(node, "args", ()) if hasattr(a, "args")]
    sizes: dict[int, float] = {}
    for node in reversed(order):
        sides = [sizes.get(id(a), 1.0) for a in getattr(node, "args", ())]
        sizes[id(node)] = _size(node, sides)
        if sizes[id(node)] > _TERMS:
            raise FormulaError(f"The stored formula {shown(text)} has more than {_TERMS} terms; a file may have those.")


def _size(node: Any, sides: list[float]) -> float:
    if len(sides) < 2:
        return 1.0 if not sides else sides[0]
    sign = node.operator.symbol
    if sign in ("**", "^"):
        power = str(node.args[1])
        return sides[0] ** float(power) if re.fullmatch(r"1?\d", power, re.ASCII) else 1.0 + _TERMS
    product = sides[0] * sides[1]
    return product if sign == ":" else sum(sides) + (product if sign == "*" else 0.0)


def _check_products(text: str, terms: list[list[_Factor]], frame: pd.DataFrame | None) -> None:
    """The columns of a product are those of its factors multiplied."""
    coded = frozenset().union(*(f.reads for term in terms for f in term if f.kind != NUMBER))
    levels = {n: max(frame[n].nunique(), 1) for n in coded & set(frame.columns)} if frame is not None else {}
    columns = sum(math.prod(f.width(levels) for f in term) for term in terms)
    rows = 1 if frame is None else len(frame)
    if frame is not None and columns > 1000 + 10 * rows:
        raise FormulaError(
            f"The stored formula {shown(text)} gives up to {float(columns):.3g} columns, and the file's data are "
            f"{rows} rows: {1000 + 10 * rows:,} columns may be read."
        )
    if columns * rows * 8 > options.bytes:
        raise FormulaError(
            f"The stored formula {shown(text)} gives up to {float(columns):.3g} columns of {rows} rows, more than "
            f"bm.options.memory = {options.memory!r} holds. Raise that, if you trust the file."
        )


def _check_spans(text: str, terms: list[list[_Factor]]) -> None:
    """formulaic looks at every product of some of the factors of a term, and combines those that are new in pairs."""
    spanned: set[tuple[frozenset[str], frozenset[str]]] = set()
    work = 0
    for term in terms:
        coded = [f.name for f in term if f.kind != NUMBER]
        others = frozenset(f.name for f in term if f.kind == NUMBER)
        several = chain.from_iterable(combinations(coded[:_MANY], k) for k in range(len(coded) + 1))
        new = {(others, frozenset(names)) for names in several} - spanned
        spanned |= new
        work += max(len(new) - 2, 0)
        if len(coded) > _MANY or len(new) > _SPANS or work > 8 * _SPANS:
            raise FormulaError(
                f"The stored formula {shown(text)} multiplies {len(coded)} factors at once; a file may multiply up to "
                f"{_MANY}, and more than 6 where the products of fewer stand before."
            )
