"""Reading what stands left of ~: the response, and behind a bar what else was observed of every row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bayesmargins.design.pieces import signed_terms, split, whole_call
from bayesmargins.errors import FormulaError, close_matches, listed

__all__ = ["Left", "left_of", "written"]


class Left(NamedTuple):
    """What a left-hand side says."""

    response: str  # expression of y
    # expressions by the field of an outcome that they are: "trials", "weights", "se", "rate", "cens", "y2", "lb",
    # "ub"
    given: dict[str, str]
    known_error: bool = False  # whether `se()` is all the error that y has, and no parameter adds to it


# By call: the fields that its arguments are, in order.
_CALLS = {
    "trials": ("trials",),
    "weights": ("weights",),
    "rate": ("rate",),
    "se": ("se", "sigma"),
    "cens": ("cens", "y2"),
    "trunc": ("lb", "ub"),
}
_WRITTEN = "trials(n), weights(w), cens(c), cens(c, y2), trunc(lb=0, ub=10), se(s), se(s, sigma=True) and rate(t)"
_ADVICE = {
    "censored": " It is called cens() here.",
    "weight": " It is called weights() here.",
    "weighted": " It is called weights() here.",
    "truncated": " It is called trunc() here.",
    "mi": " Drop rows without a response: missing='drop'.",
    "thres": " Leave it out: family='cumulative' takes the categories that the response has.",
}


def written(response: str, given: Mapping[str, str], known_error: bool) -> str:
    """As a formula has it.

    >>> written("y", {"cens": "c", "y2": "z"}, False)
    'y | cens(c, y2=z)'
    """
    calls = []
    for name, fields in _CALLS.items():
        said = [f"{field}={given[field]}" if i or name == "trunc" else given[field] for i, field in enumerate(fields)
                if field in given]  # fmt: skip
        more = ["sigma=True"] if name == "se" and not known_error else []
        calls += [f"{name}({', '.join([*said, *more])})"] if said else []
    return f"{response} | {' + '.join(calls)}" if calls else response


def left_of(text: str, formula: str) -> Left:
    """The left-hand side, taken apart; FormulaError where it says what is not known, too much, or nothing.

    >>> left_of("time | cens(c)", "time | cens(c) ~ x").given
    {'cens': 'c'}
    """
    if re.match(r"(mvbind|mvbf)\s*\(", text):
        raise FormulaError(f"{text} in {formula!r} are several responses; a model here has one. Give each its own.")
    if re.search(r"(?<![\w.])offset\s*\(", text):
        raise FormulaError(f"offset() stands left of '~' in {formula!r}; it goes right of it, '~ x + offset(o)'.")
    if re.match(r"(survival::)?Surv\s*\(", text):
        raise FormulaError(
            f"{text} in {formula!r} is R's spelling. Write 'time | cens(1 - event) ~ ...': cens() is 1 where a time is "
            "right censored, and 0 where the event was seen."
        )
    response, *after = (piece.strip() for piece in split(text, "|"))
    if not after and re.match(r"(p|prop|proportion)\s*\(", text):
        raise FormulaError(
            f"The response {text!r} in {formula!r} is another package's spelling. Write counts of successes as "
            "'successes | trials(n) ~ ...'."
        )
    given: dict[str, str] = {}
    for field, expression in _fields(after, text, formula):
        if field in given:
            raise FormulaError(f"{text!r} in {formula!r} says {field!r} twice. Say it once.")
        given[field] = expression
    sigma = given.pop("sigma", "False")
    if sigma not in ("True", "False", "TRUE", "FALSE", "T", "F"):
        raise FormulaError(f"se(..., sigma={sigma}) in {formula!r}: sigma is True or False.")
    return Left(response, given, "se" in given and sigma[0] == "F")


def _fields(after: list[str], text: str, formula: str) -> Iterator[tuple[str, str]]:
    if len(after) > 1:
        raise FormulaError(f"Left of '~' in {formula!r} stands more than one '|'. Add up what one says: {_WRITTEN}.")
    for sign, call in signed_terms(after[0]) if after else ():
        name = call.partition("(")[0].strip()
        inside = whole_call(call, name)
        if sign == "-" or name not in _CALLS or inside is None or not inside.strip():
            raise FormulaError(
                f"Left of '~' in {formula!r} stands {text!r}; allowed are 'y', an expression such as 'log(y)', and "
                f"behind a bar {_WRITTEN}, added up with + where there are several."
                f"{_ADVICE.get(name) or close_matches(name, _CALLS)}"
            )
        yield from _arguments(name, inside, formula)


def _arguments(name: str, inside: str, formula: str) -> Iterator[tuple[str, str]]:
    """Fields and expressions of one call, by position or by name."""
    for position, argument in enumerate(split(inside, ",")):
        keyword = re.match(r"\s*([^\W\d]\w*)\s*=(?!=)\s*", argument)
        fields = _CALLS[name]
        field = keyword[1] if keyword else fields[position] if position < len(fields) else ""
        expression = argument[keyword.end() :] if keyword else argument
        if field not in fields or not expression.strip():
            raise FormulaError(
                f"{name}({inside.strip()}) in {formula!r}: its arguments are {listed(fields)}, each an expression of "
                "columns or a number."
            )
        yield field, expression.strip()
