"""Distributional formulas of brms: which parameter has which formula, and what correlates their group effects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bayesmargins.adapters.brms.bf import said_by
from bayesmargins.errors import FormulaError, listed, shown

__all__ = ["LINK", "across", "correlated_across", "held_by", "link_of", "separated"]

LINK = r"[\w/^]+"  # such as 1/mu^2

_MARK = re.compile(r"\|\s*(\w+)\s*\|\s*(?:gr\(\s*)?([\w.:]+)")


def separated(formula: Any, parameters: Iterable[str]) -> tuple[Any, dict[str, str]]:
    """The formula of the mean as it was given, without ``bf()``; by name ``"sigma ~ z"`` of the others.

    >>> separated("bf(y ~ x + (1 | g), sigma ~ z)", ["sigma"])
    ('y ~ x + (1 | g)', {'sigma': 'sigma ~ z'})
    >>> separated({"mu": "y ~ x", "sigma": "~ z"}, ["sigma"])
    ('y ~ x', {'sigma': 'sigma ~ z'})
    """
    if isinstance(formula, Mapping):
        if "mu" not in formula:
            raise FormulaError(
                f"formula is a dict with the keys {listed(formula)}; the formula of the mean goes under 'mu', such as "
                "{'mu': 'y ~ x', 'sigma': '~ z'}."
            )
        said = said_by(formula["mu"])
        given = [(name, text) for name, text in formula.items() if name != "mu"]
        return said.mean, _checked([*said.formulas, *given], parameters)
    said = said_by(formula)
    return said.mean, _checked(list(said.formulas), parameters)


def held_by(formula: Any, parameters: Iterable[str]) -> dict[str, float]:
    """Which parameters beside the mean does the formula hold at a number?

    >>> held_by("bf(y ~ x, quantile = 0.9)", ["sigma", "quantile"])
    {'quantile': 0.9}
    """
    of_mean = formula.get("mu") if isinstance(formula, Mapping) else formula
    allowed, found = list(parameters), dict(said_by(of_mean).fixed)
    unknown = [name for name in found if name not in allowed]
    if unknown:
        raise FormulaError(
            f"{formula!r} holds {listed(unknown)} at a number; the parameters of this family beside the mean are "
            f"{listed(allowed) or 'none'}."
        )
    return found


def _checked(given: list[tuple[str, Any]], parameters: Iterable[str]) -> dict[str, str]:
    allowed, names = list(parameters), [name for name, _ in given]
    unknown = [n for n in names if n not in allowed]
    if unknown:
        raise FormulaError(
            f"There is a formula of {listed(unknown)}; the parameters of this family beside the mean are "
            f"{listed(allowed) or 'none'}, and formulas of others are not read."
        )
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise FormulaError(f"{twice[0]!r} has two formulas; give one.")
    return {name: _with_left(name, text) for name, text in given}


def _with_left(name: str, text: Any) -> str:
    if not isinstance(text, str) or "~" not in text:
        raise FormulaError(f"The formula of {name!r} is {shown(text)}; write it as text, '~ x' or '{name} ~ x'.")
    left, right = text.split("~", 1)
    if left.strip() not in ("", name):
        raise FormulaError(f"The formula of {name!r} is {text!r}; left of its '~' stands {name!r}, or nothing.")
    return f"{name} ~ {right.strip()}"


def link_of(name: str, family: Any) -> str | None:
    """Which link of a parameter does R's text of the family name?

    >>> link_of("sigma", 'brmsfamily("gaussian", link_sigma = "identity")'), link_of("sigma", "gaussian")
    ('identity', None)
    """
    said = re.search(rf"link_{name}\s*=\s*['\"]?({LINK})", family) if isinstance(family, str) else None
    return said[1] if said else None


def correlated_across(
    name: str, formulas: Mapping[str, str], factors: Iterable[str], columns: Iterable[str]
) -> list[str]:
    """Of which factors are the effects on this parameter correlated with those on another?

    `formulas` are all, by parameter. In the columns of draws ``cor_g__Intercept__sigma_Intercept`` is such a
    correlation.

    >>> correlated_across("sigma", {"mu": "y ~ (1 |p| g)", "sigma": "sigma ~ (1 |p| g)"}, ["g"], [])
    ['g']
    """
    marks = {parameter: set(_MARK.findall(text)) for parameter, text in formulas.items()}
    marked = {factor for other in marks if other != name for _, factor in marks[name] & marks[other]}
    seen = {f for f in factors for c in columns if across(str(c), f, name)}
    return [f for f in factors if f in marked | seen]


def across(column: str, factor: str, name: str) -> bool:
    """Is this the correlation of an effect on the parameter with one on another?

    >>> across("cor_g__Intercept__sigma_x", "g", "sigma"), across("cor_g__sigma_Intercept__sigma_x", "g", "sigma")
    (True, False)
    """
    if not column.startswith(f"cor_{factor}__"):
        return False
    of_part = [side.startswith(f"{name}_") for side in column.removeprefix(f"cor_{factor}__").split("__")]
    return any(of_part) and not all(of_part)
