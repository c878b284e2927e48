"""The families, one file each: adding one is adding a file."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from bayesmargins.errors import ModelError, close_matches, listed, shown, written
from bayesmargins.family.collecting import collected
from bayesmargins.family.family import Family
from bayesmargins.family.links import LINKS
from bayesmargins.family.own import check_family
from bayesmargins.family.predicted import parameter_family
from bayesmargins.reserved import PARAMETERS
from bayesmargins.values import is_word

__all__ = ["FAMILIES", "get_family", "known_as"]

FAMILIES: dict[str, Family] = collected(__name__, __path__, Family)
"""Every family, by name."""

PARAMETERS.update(name for family in FAMILIES.values() for name in family.aux)


_OF_THE_PACKAGE = frozenset(FAMILIES)


def get_family(name: str | Family) -> Family:
    """Which family is called this? A `Family` of the user's own is it, and goes by its name from then on.

    ModelError lists those there are, and says what another package's name is here.
    """
    if isinstance(name, Family):
        return _known_from_now_on(name)
    if is_word(name, FAMILIES):
        return FAMILIES[name]
    word = written(name).lower().replace(" ", "_").removesuffix("()")
    known = next((f.name for f in FAMILIES.values() if word in (f.name, *f.aliases, *f.names.values())), None)
    hint = f" Here it is called {known!r}." if known else close_matches(name, FAMILIES)
    takes = [f.name for f in FAMILIES.values() if word in f.links]
    if takes and not LINKS[word].separable:
        hint = f" It is a link, of {listed(takes)}: family={takes[0]!r}, link={word!r}."
    raise ModelError(f"family={shown(name)} is not known; allowed are {', '.join(FAMILIES)}.{hint}")


def _known_from_now_on(family: Family) -> Family:
    if FAMILIES.get(family.name) is family:
        return family
    if family.name in _OF_THE_PACKAGE:
        raise ModelError(f"family=Family({family.name!r}, ...) has the name of a family of the package; give another.")
    check_family(family)
    FAMILIES[family.name] = family
    PARAMETERS.update(family.aux)
    return family


def known_as(package: str, name: str) -> Family:
    """Which family does another package call this? ModelError where it is none of these."""
    return next((f for f in FAMILIES.values() if f.named(package) == name), None) or get_family(name)


# A posterior that goes to another process, or is copied, keeps the one object that each name stands for.
def _reduced(family: Family) -> tuple[Callable[..., Family], tuple[Any, ...]]:
    if family.name in _OF_THE_PACKAGE:
        return get_family, (family.name,)
    if family.support is None:
        return parameter_family, (family.name, family.links, family.parameters[0].between)
    return _own, ({f.name: getattr(family, f.name) for f in fields(family)},)


def _own(said: dict[str, Any]) -> Family:
    """The user's, where it is known, as in the same process; else made again."""
    return FAMILIES.get(said["name"]) or get_family(Family(**said))


copyreg.pickle(Family, _reduced)
