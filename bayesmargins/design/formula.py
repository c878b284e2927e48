"""Reading an lme4-style formula: what stands left of ~, the fixed part, the ( | ) blocks, the offsets.

Only the splitting is done here; formulaic parses and evaluates every piece that is split off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bayesmargins.errors import FormulaError

__all__ = ["Block", "Parts", "expression", "parse", "signed_terms", "split", "whole_call"]

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "\"'`"
_NAME = re.compile(r"[^\W\d][\w.]*")


@dataclass(frozen=True)
class Block:
    """One random-effects block for one grouping factor.

    Attributes
    ----------
    terms : str
        What varies by group, as a formula (``"1 + x"``).
    factor : str
        The grouping factor; columns joined by ``:`` where it is an interaction.
    correlated : bool
        False for ``||``: every column of `terms` gets its own, independent effect.
    """

    terms: str
    factor: str
    correlated: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data whose values together name a group."""
        return tuple(self.factor.split(":"))


@dataclass(frozen=True)
class Parts:
    """A formula, split.

    Attributes
    ----------
    response, trials : str, str or None
        Expressions left of ``~``.
    fixed : str
        Right-hand side without blocks and offsets, for formulaic.
    blocks : tuple of Block
        In the order written; ``(1 | a/b)`` gives two.
    offsets : tuple of str
        Expressions inside ``offset()``.
    """

    response: str
    trials: str | None
    fixed: str
    blocks: tuple[Block, ...]
    offsets: tuple[str, ...]

    @property
    def left(self) -> tuple[str, ...]:
        """Left-hand expressions, each as a formula of its own."""
        return tuple(expression(t) for t in (self.response, self.trials) if t is not None)

    @property
    def right(self) -> tuple[str, ...]:
        """Formulas of everything that the linear predictor reads."""
        return (self.fixed, *(b.terms for b in self.blocks), *(expression(o) for o in self.offsets))

    @property
    def group_columns(self) -> frozenset[str]:
        """Columns that name groups."""
        return frozenset(c for b in self.blocks for c in b.columns)


def expression(text: str) -> str:
    """The formula of one number a row: arithmetic is arithmetic there, not the algebra of terms.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> expression("log(e)"), expression("log(e) - 1")
    ('0 + log(e)', '0 + I(log(e) - 1)')
    """
    name = re.match(r"[\w.]*", text)
    plain_call = name is not None and whole_call(text, name[0]) is not None and name[0]
    return f"0 + {text}" if plain_call or re.fullmatch(r"[^\W\d][\w.]*|`[^`]+`", text) else f"0 + I({text})"


def parse(formula: str) -> Parts:
    """What does an lme4-style formula consist of?

    Parameters
    ----------
    formula : str
        Such as ``"y ~ trt * week + (1 + week | id)"`` or ``"successes | trials(n) ~ x + (1 | a/b) + offset(o)"``.

    Returns
    -------
    Parts
        Response, trials, fixed part, blocks, offsets.

    Raises
    ------
    FormulaError
        Not exactly one ``~``, unbalanced brackets, a ``|`` outside a block, a block that is subtracted or
        multiplied, a grouping factor that is not a column, the same block twice.

    Examples
    --------
    >>> parse("y ~ x + (1 | a/b)").blocks
    (Block(terms='1', factor='a', correlated=True), Block(terms='1', factor='a:b', correlated=True))
    """
    if not isinstance(formula, str):
        raise FormulaError(f"The formula is {type(formula).__name__}, not text. Write it like 'y ~ x + (1 | g)'.")
    sides = split(_powers(formula), "~")
    if len(sides) != 2 or not sides[0].strip():
        raise FormulaError(
            f"The formula {formula!r} has {len(sides) - 1} '~' and the response {sides[0].strip()!r}; it needs one "
            "'~' with the response on its left, like 'y ~ x + (1 | g)'."
        )
    response, trials = _left_side(sides[0].strip(), formula)
    if not sides[1].strip():
        raise FormulaError(f"Nothing stands right of '~' in {formula!r}; write '1' for a model of the mean alone.")
    fixed: list[str] = []
    blocks: list[Block] = []
    offsets: list[str] = []
    for sign, term in signed_terms(sides[1]):
        inner = whole_call(term, "")
        offset = whole_call(term, "offset")
        if inner is not None and len(split(inner, "|")) > 1:
            blocks += _blocks(inner, sign, formula)
        elif offset is not None and offset.strip():
            _refuse_subtracted(sign, term, formula)
            offsets.append(offset.strip())
        else:
            _refuse_bar(term, formula)
            _refuse_idle(term, formula)
            fixed.append(f"{sign} {term}")
    _refuse_twice(blocks, formula)
    return Parts(response, trials, _join(fixed), tuple(blocks), tuple(offsets))


def _join(terms: list[str]) -> str:
    return " ".join(terms).removeprefix("+ ") if terms else "1"


def _left_side(text: str, formula: str) -> tuple[str, str | None]:
    pieces = split(text, "|")
    if len(pieces) == 1:
        if re.match(r"(cbind|p|prop|proportion)\s*\(", text):
            raise FormulaError(
                f"The response {text!r} in {formula!r} is another package's spelling. Write counts of successes as "
                "'successes | trials(n) ~ ...'."
            )
        return text, None
    trials = whole_call(pieces[1].strip(), "trials")
    if len(pieces) != 2 or trials is None or not trials.strip():
        raise FormulaError(
            f"Left of '~' in {formula!r} stands {text!r}; allowed are 'y', an expression such as 'log(y)', and "
            "'successes | trials(n)'."
        )
    return pieces[0].strip(), trials.strip()


def _blocks(inner: str, sign: str, formula: str) -> Iterator[Block]:
    _refuse_subtracted(sign, f"({inner})", formula)
    correlated = "||" not in inner
    pieces = split(inner.replace("||", "|"), "|")
    if len(pieces) != 2 or not all(p.strip() for p in pieces):
        raise FormulaError(
            f"The block ({inner}) in {formula!r} is not of the form (terms | factor); allowed are (1 | g), "
            "(1 + x | g), (x || g), (0 + x | g), (1 | a/b), (1 | a:b)."
        )
    for _, term in signed_terms(pieces[0]):
        _refuse_idle(term, formula)
    for factor in _nested(pieces[1], inner, formula):
        yield Block(pieces[0].strip(), factor, correlated)


def _nested(text: str, inner: str, formula: str) -> Iterator[str]:
    """``a/b`` is ``a`` and ``a:b``: a child is a group only together with its parent."""
    names: list[str] = []
    for level in split(text, "/"):
        columns = [c.strip() for c in split(level, ":")]
        for column in columns:
            if ":" in column:
                raise FormulaError(
                    f"The grouping factor {column} in {formula!r} is a column whose name holds ':', which joins "
                    "columns here. Rename the column; write a:b, without backticks, for each combination of a and b."
                )
            if not (_NAME.fullmatch(column) or re.fullmatch(r"`[^`]+`", column)):
                raise FormulaError(
                    f"The grouping factor {text.strip()!r} of ({inner}) in {formula!r} must be a column, 'a:b' or "
                    "'a/b'. Make a column for anything else and name it there."
                )
        names += [c.strip("`") for c in columns]
        yield ":".join(names)


def _refuse_subtracted(sign: str, term: str, formula: str) -> None:
    if sign == "-":
        raise FormulaError(f"{term!r} is subtracted in {formula!r}. Leave it out instead: it cannot be taken away.")


def _refuse_bar(term: str, formula: str) -> None:
    if "|" in re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", term):
        raise FormulaError(
            f"The term {term!r} in {formula!r} has a '|' outside a block of its own. Write random effects as "
            "separate terms, '+ (1 + x | g)', in brackets and not multiplied with anything."
        )


def _refuse_idle(term: str, formula: str) -> None:
    """What reads like something else than the algebra of terms makes of it."""
    power = re.fullmatch(r"([\w.]+|`[^`]+`)\s*\*\*\s*(\d+)", term)
    if power:
        raise FormulaError(
            f"The term {power[1]}^{power[2]} in {formula!r} is no power of numbers: among terms it stands for "
            f"interactions, and {power[1]} with itself is {power[1]}. Write I({power[1]}^{power[2]}), or "
            f"poly({power[1]}, {power[2]})."
        )
    if not term or term in "+-*/:":
        raise FormulaError(f"A term is missing in {formula!r}: two signs in a row, or one at the end. Take it out.")
    if re.match(r"offset\s*\(\s*\)", term):
        raise FormulaError(
            f"offset() in {formula!r} is empty; write offset(x), x what is added to the linear predictor."
        )
    if re.match(r"as\.(factor|ordered|numeric|integer)\b", term):
        raise FormulaError(f"The term {term!r} in {formula!r} is R's; write C(x) for a number that is a factor.")
    if term == ".":
        raise FormulaError(
            f"The '.' in {formula!r} would take every other column, groups and identifiers too. Name the columns."
        )


def _refuse_twice(blocks: list[Block], formula: str) -> None:
    for i, block in enumerate(blocks):
        if block in blocks[:i]:
            raise FormulaError(
                f"({block.terms} | {block.factor}) stands twice in {formula!r}: its two effects could not be told "
                "apart. Write it once."
            )


def whole_call(term: str, name: str) -> str | None:
    """The inside of ``name( )`` where it spans the whole term; else None.

    Raises
    ------
    FormulaError
        Brackets or quotes are left open inside.

    Examples
    --------
    >>> whole_call("trials(n)", "trials"), whole_call("(a) + (b)", "")
    ('n', None)
    """
    if not (term.startswith(f"{name}(") and term.endswith(")")):
        return None
    inside = term[len(name) + 1 : -1]
    depth = 0
    for _, depth in _scan(inside):
        if depth < 0:
            return None
    return inside if depth == 0 else None


def signed_terms(text: str) -> Iterator[tuple[str, str]]:
    """Signed additive terms at the top level.

    Raises
    ------
    FormulaError
        Brackets or quotes are left open.

    Examples
    --------
    >>> list(signed_terms("x + (1 | g) - 1"))
    [('+', 'x'), ('+', '(1 | g)'), ('-', '1')]
    """
    sign, start = "+", 0
    for i, depth in _scan(text):
        if depth == 0 and text[i] in "+-" and text[:i].rstrip()[-1:] not in ("*", "^", "/", ":"):
            if text[start:i].strip():
                yield sign, text[start:i].strip()
            sign, start = text[i], i + 1
    yield sign, text[start:].strip()


def _powers(text: str) -> str:
    """R's power sign as Python's: inside I( ) a ^ would be Python's exclusive or, and a wrong number for integers."""
    outside = {i for i, _ in _scan(text)}
    return "".join("**" if c == "^" and i in outside else c for i, c in enumerate(text))


def split(text: str, separator: str) -> list[str]:
    """Pieces between separators that stand outside brackets and quotes.

    Raises
    ------
    FormulaError
        Brackets or quotes are left open.

    Examples
    --------
    >>> split("y | trials(n | m)", "|")
    ['y ', ' trials(n | m)']
    """
    cuts = [i for i, depth in _scan(text) if depth == 0 and text[i] == separator]
    edges = [-1, *cuts, len(text)]
    return [text[a + 1 : b] for a, b in pairwise(edges)]


def _scan(text: str) -> Iterator[tuple[int, int]]:
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
