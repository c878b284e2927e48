"""What a model is asked for: the formula of the outcome, those of its parameters, and the link of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bayesmargins.design import Design
from bayesmargins.errors import FormulaError, ModelError, close_matches, listed, shown
from bayesmargins.family import Family, Link, get_link, resolve_link
from bayesmargins.model.across import marks_of
from bayesmargins.model.coordinates import FixedPart
from bayesmargins.schema import MEAN
from bayesmargins.values import entries, is_word

__all__ = [
    "Formulas",
    "check_marks",
    "check_predicted",
    "check_structures",
    "formulas_of",
    "links_of",
    "refuse_constant",
]

_WRITTEN = "{'y': 'y ~ x + (1 | g)', 'sigma': '~ x'}"


@dataclass(frozen=True)
class Formulas:
    """Of one outcome."""

    outcome: Any  # with the response on its left
    parameters: dict[str, str] = field(default_factory=dict)  # by parameter, without anything on the left


def formulas_of(formula: Any, family: Family) -> Formulas:
    """What does the user's formula, or dict of formulas of an outcome and of its parameters, say?"""
    if not isinstance(formula, Mapping):
        return Formulas(formula)
    given = entries("formula", formula, _WRITTEN[1:-1], FormulaError)
    for name, text in given.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise FormulaError(f"formula has {shown(name)}: {shown(text)}; it is a dict of texts, {_WRITTEN}.")
    left = {name: text for name, text in given.items() if not text.lstrip().startswith("~")}
    for name, text in left.items():
        if name in family.predictable and (text.split("~")[0].strip() == name or "~" not in text):
            right = text.split("~", 1)[1].strip() if "~" in text else text.strip()
            raise FormulaError(
                f"The formula of {name!r} is {text!r}; that of a parameter has nothing left of its '~': write "
                f"{{{name!r}: '~ {right}'}}."
            )
    if len(left) != 1:
        raise FormulaError(_not_one(left, given))
    (key,) = left
    _check_key(key, left[key], family)
    parameters = {name: text for name, text in given.items() if name != key}
    for name in parameters:
        _check_parameter(name, family)
    return Formulas(left[key], parameters)


def _not_one(left: Mapping[str, str], given: Mapping[str, str]) -> str:
    if not left:
        return (
            f"formula has the entries {listed(given)}, and none has a response left of its '~'. One is the outcome's, "
            f"as in {_WRITTEN}."
        )
    return (
        f"formula has {len(left)} entries with something left of '~', {listed(left.values())}: these are kept for "
        "models of several outcomes, which are not there. One entry is the outcome's; those of its parameters begin "
        f"with '~', as in {_WRITTEN}."
    )


def _check_key(key: str, text: str, family: Family) -> None:
    response = text.split("~")[0].split("|")[0].strip().strip("`")
    if key not in (MEAN, response):
        raise FormulaError(
            f"The outcome's formula {text!r} stands under {key!r}; its key is the response, {response!r}, or {MEAN!r}."
            f"{f' The formula of the parameter {key!r} begins with a ~.' if key in family.predictable else ''}"
        )


def _check_parameter(name: str, family: Family) -> None:
    allowed = list(family.predictable)
    if name in allowed:
        return
    if name == MEAN:
        raise FormulaError("The formula under 'mu' is the outcome's: write the response left of its '~'.")
    if name in family.aux:
        raise FormulaError(f"{name!r} are several numbers a draw, and have no formula; {_which(family, allowed)}")
    raise FormulaError(f"There is a formula of {name!r}; {_which(family, allowed)}{close_matches(name, allowed)}")


def _which(family: Family, allowed: list[str]) -> str:
    have = f"parameters of family={family.name!r} that may have one"
    return f"{have} are {listed(allowed)}." if allowed else f"{have}: none."


def links_of(link: Any, family: Family, parameters: Mapping[str, str]) -> dict[str, Link]:
    """The link of each linear predictor, from one of the mean's or a dict of those that have a formula."""
    given = (
        entries("link", link, "'mu': 'log', 'sigma': 'log'", ModelError) if isinstance(link, Mapping) else {MEAN: link}
    )
    allowed = [MEAN, *parameters]
    for name in given:
        if not is_word(name, allowed):
            raise ModelError(
                f"link has {shown(name)}, and the linear predictors of this model are those of {listed(allowed)}."
                f"{close_matches(name, allowed)}"
            )
    found = {MEAN: resolve_link(family, given.get(MEAN))}
    for name in parameters:
        parameter = family.parameter(name)
        if name in given and not is_word(given[name], parameter.links):
            raise ModelError(
                f"The parameter {name!r} does not take the link {shown(given[name])}; allowed are "
                f"{listed(parameter.links)}.{close_matches(given[name], parameter.links)}"
            )
        found[name] = get_link(given.get(name, parameter.links[0]))
    return found


def check_marks(designs: Mapping[str, Design]) -> None:
    """FormulaError where a mark says nothing: it correlates effects of one factor on two linear predictors."""
    every = [(f, mark, names) for f, marks in marks_of(designs).items() for mark, names in marks.items()]
    for factor, mark, names in every:
        if len(names) == 1:
            raise FormulaError(
                f"The mark {mark!r} of the effects of {factor!r} stands in {designs[names[0]].formula!r} alone. It "
                "correlates effects on several parameters, where the formula of another has it for the same factor: "
                f"{{'y': 'y ~ x + (1 | {mark} | {factor})', 'sigma': '~ x + (1 | {mark} | {factor})'}}. Leave it out."
            )


def check_structures(designs: Mapping[str, Design]) -> None:
    """FormulaError where the groups of a factor are of another kind in another formula."""
    first: dict[str, tuple[str, Any]] = {}
    for name, design in designs.items():
        if design.structured and name != MEAN:
            raise FormulaError(
                f"{design.formula!r} has {listed(sorted(design.structured), 3)}, whose coefficients other parameters "
                "make: mo(), s() and t2() are there for a mean of one linear predictor. Write the column itself, or "
                "bs(x, df=4)."
            )
    for design in designs.values():
        for f, factor in design.factors.items():
            kind = (
                factor.strata and factor.strata.by,
                factor.student,
                factor.cov,
                factor.members and factor.members.said,
            )
            other, of_other = first.setdefault(f, (design.formula, kind))
            if factor.student and other != design.formula:
                raise FormulaError(
                    f"The groups of {f!r} have Student-t effects in {other!r} and act on {design.formula!r} too: "
                    "Student-t effects are there for one linear predictor. Write (1 | g) in both formulas."
                )
            if kind != of_other:
                raise FormulaError(
                    f"The groups of {f!r} are not of one kind in {other!r} and {design.formula!r}, and they are one "
                    "population. Write the same gr() or mm() in both formulas, or (1 | g)."
                )


def refuse_constant(name: str, design: Design, fixed: FixedPart) -> None:
    """FormulaError where what multiplies eta and thresholds has a constant, which these say already."""
    if fixed.constant:
        raise FormulaError(
            f"The columns of {design.formula!r} have a constant, or add up to one, and the thresholds say already how "
            f"large the linear predictor is: write {{{name!r}: '~ 0 + x'}}, with columns of which 0 is the usual case."
        )


def check_predicted(design: Design, family: Family, parameters: Mapping[str, str]) -> None:
    """ModelError where a known error takes the place of a parameter that has a formula."""
    estimated = [p.name for p in family.estimated(design.response.known_error)]
    held = [name for name in parameters if name in family.aux and name not in estimated]
    if held:
        raise ModelError(
            f"{listed(held)} has a formula, and se() in {design.formula!r} takes its place: leave one of the two out, "
            "or write se(s, sigma=True), where it adds to the known error."
        )
