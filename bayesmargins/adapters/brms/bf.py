"""What `bf()` of brms says beside the formula of the mean: formulas of parameters, the family, what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bayesmargins.design.pieces import signed_terms, split, whole_call
from bayesmargins.errors import FormulaError
from bayesmargins.family import FAMILIES

__all__ = ["Said", "said_by"]

_BF = ("bf", "brmsformula")

# Arguments that change how brms samples, or which columns it keeps, and not what its parameters mean.
_HARMLESS = ("center", "cmc", "decomp", "sparse", "unused")
_SETTINGS = ("nl", "loop", "dpar", "resp", "autocor", "mecor")
_NAMED = re.compile(r"([\w.]+)\s*=(?!=)\s*(.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_FORMULA = re.compile(r"(\w+)\s*~")
_NAMES = "|".join(family.named("brms") for family in FAMILIES.values())
_FAMILY = re.compile(rf"(?i:(?:brms::)?(brmsfamily|{_NAMES})\s*(\(.*\))?)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """The formulas of a fit and what they say of its family."""

    mean: Any  # formula of the mean
    formulas: tuple[tuple[str, str], ...] = ()  # parameter and its formula, in the order in which they stand
    family: str | None = None  # as R writes it, where the formula names it
    fixed: tuple[tuple[str, float], ...] = ()  # parameters that the fit held at a number, with it


def said_by(formula: Any) -> Said:
    """What does a formula of brms say, part by part? Without ``bf(...)`` it is the formula of the mean.

    >>> said_by("bf(y ~ x, sigma ~ z, family = gaussian())")
    Said(mean='y ~ x', formulas=(('sigma', 'sigma ~ z'),), family='gaussian()', fixed=())
    >>> said_by("bf(y ~ x) + lf(sigma ~ z)").formulas
    (('sigma', 'sigma ~ z'),)
    """
    if not isinstance(formula, str) or not re.match(rf"\s*(brms::)?({'|'.join(_BF)})\(", formula):
        return Said(formula)
    (_, first), *added = signed_terms(formula)
    inside = _inside(first, *_BF)
    if inside is None:
        return Said(formula)
    mean, *arguments = (a.strip() for a in split(inside, ","))
    said = said_by(re.sub(r"^formula\s*=(?!=)\s*", "", mean))
    for argument in arguments:
        said = _with_argument(said, argument, formula)
    for sign, term in added:
        said = _with_added(said, sign, term, formula)
    return said


def _inside(text: str, *names: str) -> str | None:
    """What stands between the brackets of a call of one of these functions."""
    bare = text.strip().removeprefix("brms::")
    return next((found for name in names if (found := whole_call(bare, name)) is not None), None)


def _with_argument(said: Said, text: str, formula: str) -> Said:
    of_lf, named = _inside(text, "lf", "list"), _NAMED.fullmatch(text)
    if of_lf is not None or _FORMULA.match(text):
        return replace(said, formulas=(*said.formulas, *_formulas(of_lf or text, formula)))
    if not named:
        raise _refused(text, formula)
    name, value = named[1], named[2].strip()
    if name == "family":
        return _with_family(said, value.strip("'\""), formula)
    if name == "flist" and (listed := _inside(value, "list")) is not None:
        return replace(said, formulas=(*said.formulas, *_formulas(listed, formula)))
    if value.startswith("~"):
        return said if name in _HARMLESS else replace(said, formulas=(*said.formulas, (name, f"{name} {value}")))
    if _NUMBER.fullmatch(value) and name not in _SETTINGS:
        return replace(said, fixed=(*said.fixed, (name, float(value))))
    if name in _HARMLESS or (name in ("nl", "loop") and value in ("FALSE", "F")):
        return said
    raise _refused(text, formula)


def _formulas(text: str, formula: str) -> Iterator[tuple[str, str]]:
    """Those of ``lf(sigma ~ z, center = FALSE)``."""
    for part in (p.strip() for p in split(text, ",")):
        named = _NAMED.fullmatch(part)
        if found := _FORMULA.match(part):
            yield found[1], part
        elif named and named[2].startswith("~") and named[1] not in _HARMLESS:
            yield named[1], f"{named[1]} {named[2]}"
        elif not (named and named[1] in _HARMLESS):
            raise _refused(part, formula)


def _with_added(said: Said, sign: str, term: str, formula: str) -> Said:
    if sign == "+" and (inside := _inside(term, "lf")) is not None:
        return replace(said, formulas=(*said.formulas, *_formulas(inside, formula)))
    if sign == "+" and _FAMILY.fullmatch(term):
        return _with_family(said, term, formula)
    if sign == "+" and _inside(term, "set_rescor") in ("FALSE", "F", "rescor = FALSE"):
        return said
    raise _refused(term, formula)


def _with_family(said: Said, family: str, formula: str) -> Said:
    if said.family is not None:
        raise FormulaError(f"{formula!r} names two families, {said.family} and {family}; give that of the fit.")
    return said if family == "NULL" else replace(said, family=family)


def _refused(text: str, formula: str) -> FormulaError:
    same = re.fullmatch(r"(\w+)\s*=\s*('\w+'|\"\w+\")", text)
    if same and not _is_named(text, _SETTINGS):
        return FormulaError(
            f"{text!r} in {formula!r} makes the parameter {same[1]!r} that of {same[2]}: it is refused. from_draws "
            f"takes its draws as aux={{{same[1]!r}: ...}}."
        )
    if _inside(text, *_BF, "mvbf", "mvbrmsformula") is not None:
        return FormulaError(f"{formula!r} has several responses; a posterior here has one. Give each its own fit.")
    why = (
        "non-linear formulas have no counterpart here"
        if _inside(text, "nlf") is not None or _is_named(text, _SETTINGS)
        else "it has no counterpart here"
    )
    return FormulaError(
        f"{formula!r} has the further part {text!r}, and {why}. Beside the formula of the mean are read formulas of "
        "the family's parameters (sigma ~ z, lf(sigma ~ z)) and the family."
    )


def _is_named(text: str, names: Iterable[str]) -> bool:
    named = _NAMED.fullmatch(text)
    return named is not None and named[1] in names
