"""Text of a formula cut where brackets and quotes allow it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bayesmargins.errors import FormulaError

__all__ = ["close_of", "scan", "signed_terms", "split", "whole_call"]

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "\"'`"


def whole_call(term: str, name: str) -> str | None:
    """The inside of ``name( )`` where it spans the whole term; else None.

    >>> whole_call("trials(n)", "trials"), whole_call("(a) + (b)", "")
    ('n', None)
    """
    if not (term.startswith(f"{name}(") and term.endswith(")")):
        return None
    inside = term[len(name) + 1 : -1]
    depth = 0
    for _, depth in scan(inside):
        if depth < 0:
            return None
    return inside if depth == 0 else None


def signed_terms(text: str) -> Iterator[tuple[str, str]]:
    """Signed additive terms at the top level.

    >>> list(signed_terms("x + (1 | g) - 1"))
    [('+', 'x'), ('+', '(1 | g)'), ('-', '1')]
    """
    sign, start = "+", 0
    for i, depth in scan(text):
        operand = text[:i].rstrip()[-1:] in ("*", "^", "/", ":", "<", ">", "=")
        if depth == 0 and text[i] in "+-" and not operand:
            if text[start:i].strip():
                yield sign, text[start:i].strip()
            sign, start = text[i], i + 1
    yield sign, text[start:].strip()


def split(text: str, separator: str) -> list[str]:
    """Pieces between separators that stand outside brackets and quotes; FormulaError where these are left open.

    >>> split("y | trials(n | m)", "|")
    ['y ', ' trials(n | m)']
    """
    cuts = [i for i, depth in scan(text) if depth == 0 and text[i] == separator]
    edges = [-1, *cuts, len(text)]
    return [text[a + 1 : b] for a, b in pairwise(edges)]


def close_of(text: str, at: int) -> int:
    """Where the bracket is closed that opens at this position."""
    depths = dict(scan(text))
    return next(i for i in sorted(depths) if i > at and depths[i] == depths[at] and text[i] in _CLOSE)


def scan(text: str) -> Iterator[tuple[int, int]]:
    """Positions outside quotes with their bracket depth; an opening bracket counts as outside itself."""
    depth, quote = 0, ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
            continue
        if c in _QUOTES:
            quote = c
        elif c in _CLOSE:
            depth -= 1
        yield i, depth
        depth += c in _OPEN
    if quote or depth > 0:
        raise FormulaError(f"Brackets or quotes are left open in {text.strip()!r}. Close them.")
