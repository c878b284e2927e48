"""What was typed, as values: lists with commas, pairs with =, targets, priors. Words mean what they mean in Python."""

from __future__ import annotations

import ast
import csv
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

import bayesmargins as bm
from bayesmargins.errors import close_matches, listed, shown
from bayesmargins.groups import POLICIES

__all__ = ["columns_to_values", "groups_of", "items", "pairs", "priors_of", "target_of", "variables_of"]

TARGETS: Mapping[str, Any] = {
    f.__name__: f
    for f in (bm.exceeds, bm.equals, bm.quantile, bm.sd, bm.category, bm.score, bm.top, bm.survival, bm.rmst, bm.hazard)
}
_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)


def items(text: str) -> list[str]:
    """Texts between commas; quotes keep a comma."""
    return [item.strip() for item in next(csv.reader([text], skipinitialspace=True), [])]


def pairs(texts: Iterable[str], option: str, example: str) -> dict[str, str]:
    """``name=text`` by name."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or not value:
            raise click.UsageError(f"{option} {shown(text)} is no NAME=VALUE, such as {option} {example}.")
        if name in found:
            raise click.UsageError(f"{option} names {shown(name)} twice; join its values with commas.")
        found[name] = value
    return found


def columns_to_values(texts: Iterable[str], post: bm.Posterior, option: str) -> dict[str, Any]:
    """``x=1,2`` as a dict of values: one as it is, several as a list."""
    given = pairs(texts, option, "week=0,6")
    return {name: _one_or_more(_values(text, _levels(post, name))) for name, text in given.items()}


def variables_of(texts: Iterable[str], post: bm.Posterior) -> Any:
    """``trt``, or ``trt=pairwise`` and ``week=0,6``: names, or what shall change in which way; all if none."""
    texts = list(texts)
    if not any("=" in text for text in texts):
        return texts or None
    changes: dict[str, Any] = {name: None for name in texts if "=" not in name}
    for name, value in columns_to_values([t for t in texts if "=" in t], post, "the variable").items():
        changes[name] = tuple(value) if isinstance(value, list) else value
    plain = [name for name, how in changes.items() if how is None]
    if plain:
        raise click.UsageError(
            f"{listed(plain)} without a change beside {listed(n for n in changes if n not in plain)} with one: give "
            "each its change, such as week=1 or trt=all, or ask for them one after the other."
        )
    return changes


def groups_of(texts: tuple[str, ...]) -> Any:
    """``new``, or ``item=own`` for each factor; other words are levels."""
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    found = pairs(texts, "--groups", "subject=new")
    return {name: text if text in POLICIES else items(text) for name, text in found.items()}


def target_of(text: str | None) -> Any:
    """``link``, ``exceeds(2)``."""
    call = _CALL.fullmatch(text) if text else None
    if call is None:
        return text
    if call[1] not in TARGETS:
        raise click.UsageError(
            f"--target {shown(text)}: {shown(call[1])} is no target; with brackets there are {listed(TARGETS)}."
            f"{close_matches(call[1], TARGETS)}"
        )
    args, kwargs = _arguments(call[2], f"--target {shown(text)}")
    return TARGETS[call[1]](*args, **kwargs)


def priors_of(texts: Iterable[str]) -> dict[str, Any] | None:
    """``beta=Normal(0, 1)`` or ``cor=2``, by name: distributions of PyMC, or numbers."""
    return {name: _prior(text) for name, text in pairs(texts, "--prior", '"beta=Normal(0, 1)"').items()} or None


def _prior(text: str) -> Any:
    call, number = _CALL.fullmatch(text), _number(text)
    if number is not None:
        return number
    if call is None:
        raise click.UsageError(f"--prior {shown(text)} is neither a number nor a distribution such as Normal(0, 1).")
    import pymc as pm

    known = vars(pm).items()
    distributions: dict[str, Any] = {
        name: kind for name, kind in known if isinstance(kind, type) and issubclass(kind, pm.Distribution)
    }
    if call[1] not in distributions:
        raise click.UsageError(f"PyMC has no distribution {shown(call[1])}.{close_matches(call[1], distributions)}")
    args, kwargs = _arguments(call[2], f"--prior {shown(text)}")
    try:
        return distributions[call[1]].dist(*args, **kwargs)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise click.UsageError(f"--prior {shown(text)}: PyMC says: {error}") from error


def _arguments(text: str, what: str) -> tuple[list[Any], dict[str, Any]]:
    """Of a call: numbers, texts and lists of these."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        named = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
        if len(named) < len(call.keywords):
            raise ValueError
        return [ast.literal_eval(a) for a in call.args], named
    except (SyntaxError, ValueError, AssertionError, MemoryError, RecursionError):
        raise click.UsageError(f"{what}: between the brackets stand numbers, or texts in quotes.") from None


def _levels(post: bm.Posterior, name: str) -> tuple[Any, ...]:
    """Of a column that is a factor, or groups rows; none of a number."""
    column = post.design.columns.get(name)
    return column.levels if column is not None else getattr(post.design.factors.get(name), "levels", ())


def _values(text: str, levels: tuple[Any, ...]) -> list[Any]:
    by_text = {str(level): level for level in levels}
    return [by_text[item] if item in by_text else item if levels else _value(item) for item in items(text)]


def _one_or_more(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None
