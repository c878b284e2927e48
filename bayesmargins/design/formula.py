"""Reading an lme4-style formula: what stands left of ~, the fixed part, the ( | ) blocks, the offsets.

Only the splitting is done here; formulaic parses and evaluates every piece that is split off.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from bayesmargins.design.dialect import as_here, own_intercept, refuse_dot, with_comparison
from bayesmargins.design.left import left_of
from bayesmargins.design.mean_calls import Named, named_means
from bayesmargins.design.pieces import scan, signed_terms, split, whole_call
from bayesmargins.design.structures import Structure, quoted, structure_of
from bayesmargins.errors import FormulaError

__all__ = ["Block", "Parts", "expression", "parse"]

_PARAMETERS = " Formulas of parameters are a dict here, GLMM({'y': 'y ~ x', 'sigma': '~ x'}, data)."

_NAME = re.compile(r"[^\W\d][\w.]*")


@dataclass(frozen=True)
class Block:
    """One random-effects block for one grouping factor."""

    terms: str  # what varies by group, as a formula ("1 + x")
    factor: str  # the grouping factor; columns joined by `:` where it is an interaction
    correlated: bool  # False for `||`: every column of `terms` gets its own, independent effect
    # its effects are correlated with those of blocks of this mark and factor on other linear predictors; empty where
    # it has none
    mark: str = ""
    structure: Structure = field(default=Structure(), repr=False)  # what `gr()` says of the groups beside

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data whose values together name a group."""
        return self.structure.members or tuple(self.factor.split(":"))


@dataclass(frozen=True)
class Parts:
    """A formula, split."""

    response: str  # expression of y
    # what else the left-hand side says of every row, by the field of an outcome: `{"trials": "n"}`
    given: Mapping[str, str]
    known_error: bool  # whether its `se()` is all the error that y has
    fixed: str  # right-hand side without blocks and offsets, for formulaic
    blocks: tuple[Block, ...]  # in the order written; `(1 | a/b)` gives two
    offsets: tuple[str, ...]  # expressions inside `offset()`
    means: tuple[Named, ...] = ()  # means of groups that terms read, as columns

    @property
    def left(self) -> tuple[str, ...]:
        """Left-hand expressions, each as a formula of its own."""
        counts = whole_call(self.response, "cbind")
        responses = (self.response,) if counts is None else tuple(t.strip() for t in split(counts, ","))
        return tuple(expression(t) for t in (*responses, *self.given.values()))

    @property
    def right(self) -> tuple[str, ...]:
        """Formulas of everything that the linear predictor reads."""
        beside = dict.fromkeys(quoted(c) for b in self.blocks for c in b.structure.columns)
        return (self.fixed, *(b.terms for b in self.blocks), *(expression(o) for o in self.offsets), *beside)

    @property
    def made_factors(self) -> dict[str, str]:
        """Columns that are factors for what ``gr()`` does with them, numbers too, and the words for it."""
        return {b.structure.by: f"gr(by = {b.structure.by})" for b in self.blocks if b.structure.by}

    @property
    def group_columns(self) -> frozenset[str]:
        """Columns that name groups."""
        return frozenset(c for b in self.blocks for c in b.columns)


def expression(text: str) -> str:
    """The formula of one number a row: arithmetic is arithmetic there, not the algebra of terms.

    >>> expression("log(e)"), expression("log(e) - 1")
    ('0 + log(e)', '0 + I(log(e) - 1)')
    """
    name = re.match(r"[\w.]*", text)
    plain_call = name is not None and whole_call(text, name[0]) is not None and name[0]
    return f"0 + {text}" if plain_call or re.fullmatch(r"[^\W\d][\w.]*|`[^`]+`", text) else f"0 + I({text})"


def parse(formula: str, own: Collection[str] = ()) -> Parts:
    """An lme4-style formula, R's spelling too, taken apart; `own` are functions of the user's that keep their names.

    >>> parse("y ~ x + (1 | a/b)").blocks
    (Block(terms='1', factor='a', correlated=True, mark=''), Block(terms='1', factor='a:b', correlated=True, mark=''))
    """
    if not isinstance(formula, str):
        raise FormulaError(f"The formula is {type(formula).__name__}, not text. Write it like 'y ~ x + (1 | g)'.")
    _refuse_bf(formula)
    sides = [as_here(side, own) for side in split(_powers(formula), "~")]
    if len(sides) != 2 or not sides[0].strip():
        raise FormulaError(
            f"The formula {formula!r} has {len(sides) - 1} '~' and the response {sides[0].strip()!r}; it needs one "
            f"'~' with the response on its left, like 'y ~ x + (1 | g)'.{_PARAMETERS if ',' in formula else ''}"
        )
    left = left_of(sides[0].strip(), formula)
    if not sides[1].strip():
        raise FormulaError(f"Nothing stands right of '~' in {formula!r}; write '1' for a model of the mean alone.")
    right, means = named_means(sides[1], own)
    fixed: list[str] = []
    blocks: list[Block] = []
    # rate() multiplies what is expected under a log link, and the family says whether anything else.
    offsets = [f"log({left.given['rate']})"] if "rate" in left.given else []
    for sign, term in _terms(right, formula):
        inner = _inside_block(term, formula)
        offset = whole_call(term, "offset")
        if inner is not None:
            blocks += _blocks(inner, sign, formula)
        elif offset is not None and offset.strip():
            _refuse_subtracted(sign, term, formula)
            offsets.append(offset.strip())
        else:
            _refuse_bar(term, formula)
            _refuse_idle(term, formula)
            fixed.append(f"{sign} {term}")
    _refuse_twice(blocks, formula)
    if "rate" in left.given and offsets.count(offsets[0]) > 1:
        raise FormulaError(
            f"{formula!r} has rate({left.given['rate']}) and the offset {offsets[0]}, which are the same: expected "
            "counts would grow with its square. Leave one out."
        )
    return Parts(*left, _join(fixed), tuple(blocks), tuple(offsets), means)


def _refuse_bf(formula: str) -> None:
    """Of brms."""
    if re.match(r"\s*(brms::)?(bf|brmsformula)\s*\(", formula):
        raise FormulaError(
            f"The formula {formula!r} is in brms's bf(): write 'y ~ x + (1 | g)' without it.{_PARAMETERS}"
        )


def _terms(text: str, formula: str) -> list[tuple[str, str]]:
    return own_intercept(with_comparison(list(signed_terms(text)), formula), formula)


def _inside_block(term: str, formula: str) -> str | None:
    """What stands between the brackets of a block; those of glmmTMB name the covariance in front."""
    name = (re.match(r"[\w.]*", term) or [""])[0]
    inner = whole_call(term, name)
    if inner is None or len(split(inner, "|")) == 1:
        return None
    if name not in ("", "us", "diag"):
        raise FormulaError(
            f"{name}() in {formula!r} is a structure of covariance that is not there: group effects are correlated "
            "freely, (1 + x | g), or independent, (1 + x || g). us() and diag() say the same."
        )
    return inner.replace("|", "||", 1) if name == "diag" and "||" not in inner else inner


def _join(terms: list[str]) -> str:
    return " ".join(terms).removeprefix("+ ") if terms else "1"


def _blocks(inner: str, sign: str, formula: str) -> Iterator[Block]:
    _refuse_subtracted(sign, f"({inner})", formula)
    correlated = "||" not in inner
    pieces = split(inner.replace("||", "|"), "|")
    mark = _mark(pieces.pop(1), correlated, inner, formula) if len(pieces) == 3 else ""
    if len(pieces) != 2 or not all(p.strip() for p in pieces):
        raise FormulaError(
            f"The block ({inner}) in {formula!r} is not of the form (terms | factor); allowed are (1 | g), "
            "(1 + x | g), (x || g), (0 + x | g), (1 | a/b), (1 | a:b), (1 | a + b), and (1 | p | g) with a mark p that "
            "formulas of several parameters share."
        )
    terms = _terms(pieces[0], formula)
    for _, term in terms:
        _refuse_idle(term, formula)
    for level in split(pieces[1], "+"):  # brms reads (1 | a + b) as (1 | a) + (1 | b)
        group, independent, given, structure = structure_of(level.strip(), formula)
        mark = mark or given
        for factor in [group] if structure.members else _nested(group, inner, formula):
            _check_strata(structure.by, factor, mark, inner, formula)
            of = _join([f"{sign} {term}" for sign, term in terms])
            yield Block(of, factor, correlated and not independent, mark, structure)


def _check_strata(by: str, factor: str, mark: str, inner: str, formula: str) -> None:
    if by and mark:
        raise FormulaError(
            f"The block ({inner}) in {formula!r} has the mark {mark!r} and by = {by}: effects with a covariance a "
            "stratum are correlated on one linear predictor alone. Leave one of them out."
        )
    if by and by == factor:
        raise FormulaError(
            f"The block ({inner}) in {formula!r} has the groups of {factor!r} themselves as strata: a variance for "
            "each group, of which its one effect says next to nothing. by names a column that groups share, such as "
            f"their treatment. Write (1 | {factor}) for one variance."
        )


def _mark(text: str, correlated: bool, inner: str, formula: str) -> str:
    """What stands between two bars, as in brms."""
    mark = text.strip()
    if not correlated:
        raise FormulaError(
            f"The block ({inner}) in {formula!r} has independent effects, '||', and the mark {mark!r}, which is for "
            "effects that are correlated. Write one bar, or leave the mark out."
        )
    if not re.fullmatch(r"\w+", mark):
        raise FormulaError(
            f"The block ({inner}) in {formula!r} has {mark!r} between its bars; a mark is one word: (1 | p | g)."
        )
    return mark


def _nested(text: str, inner: str, formula: str) -> Iterator[str]:
    """``a/b`` is ``a`` and ``a:b``: a child is a group only together with its parent."""
    names: list[str] = []
    for level in split(text, "/"):
        columns = [c for part in split(level, ":") for c in _grouping_columns(part.strip())]
        for column in columns:
            if ":" in column:
                raise FormulaError(
                    f"The grouping factor {column} in {formula!r} is a column whose name holds ':', which joins "
                    "columns here. Rename the column; write a:b, without backticks, for each combination of a and b."
                )
            if not (_NAME.fullmatch(column) or re.fullmatch(r"`[^`]+`", column)):
                raise FormulaError(
                    f"The grouping factor {text.strip()!r} of ({inner}) in {formula!r} must be a column, 'a:b' or "
                    f"'a/b'. {_advice_on_groups(column)}"
                )
        names += [c.strip("`") for c in columns]
        yield ":".join(names)


def _grouping_columns(text: str) -> list[str]:
    """A grouping factor is one whatever R does to make it one."""
    together = whole_call(text, "interaction")
    coded = whole_call(text, "C")
    return [c.strip() for c in split(together, ",")] if together else [text if coded is None else coded.strip()]


def _advice_on_groups(text: str) -> str:
    return "Make a column for anything else and name it there."


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
    refuse_dot(term, formula)
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


def _refuse_twice(blocks: list[Block], formula: str) -> None:
    for i, block in enumerate(blocks):
        if block in blocks[:i]:
            raise FormulaError(
                f"({block.terms} | {block.factor}) stands twice in {formula!r}: its two effects could not be told "
                "apart. Write it once."
            )
        if block.mark and any(b.mark == block.mark and b.factor == block.factor for b in blocks[:i]):
            raise FormulaError(
                f"Two blocks of {block.factor!r} in {formula!r} have the mark {block.mark!r}: they are one block. "
                f"Write their terms together, as in (1 + x | {block.mark} | {block.factor})."
            )


def _powers(text: str) -> str:
    """R's power sign as Python's: inside I( ) a ^ would be Python's exclusive or, and a wrong number for integers."""
    outside = {i for i, _ in scan(text)}
    return "".join("**" if c == "^" and i in outside else c for i, c in enumerate(text))
