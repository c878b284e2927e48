"""The families, one file each: adding one is adding a file."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any

from bayesmargins.errors import ModelError, close_matches, listed, shown, written
from bayesmargins.family.collecting import collected
from bayesmargins.family.family import Family, parameter_family
from bayesmargins.family.links import LINKS
from bayesmargins.reserved import PARAMETERS
from bayesmargins.values import is_word

__all__ = ["FAMILIES", "get_family", "known_as"]

FAMILIES: dict[str, Family] = collected(__name__, __path__, Family)
"""Every family, by name."""

PARAMETERS.update(name for family in FAMILIES.values() for name in family.aux)


def get_family(name: str) -> Family:
    """Which family is called this? ModelError lists those there are, and says what another package's name is here."""
    if is_word(name, FAMILIES):
        return FAMILIES[name]
    word = written(name).lower().replace(" ", "_").removesuffix("()")
    known = next((f.name for f in FAMILIES.values() if word in (f.name, *f.aliases, *f.names.values())), None)
    hint = f" Here it is called {known!r}." if known else close_matches(name, FAMILIES)
    takes = [f.name for f in FAMILIES.values() if word in f.links]
    if takes and not LINKS[word].separable:
        hint = f" It is a link, of {listed(takes)}: family={takes[0]!r}, link={word!r}."
    raise ModelError(f"family={shown(name)} is not known; allowed are {', '.join(FAMILIES)}.{hint}")


def known_as(package: str, name: str) -> Family:
    """Which family does another package call this? ModelError where it is none of these."""
    return next((f for f in FAMILIES.values() if f.named(package) == name), None) or get_family(name)


# A posterior that goes to another process, or is copied, keeps the one object that each name stands for.
def _reduced(family: Family) -> tuple[Callable[..., Family], tuple[Any, ...]]:
    if family.support is not None:
        return get_family, (family.name,)
    return parameter_family, (family.name, family.links, family.parameters[0].between)


copyreg.pickle(Family, _reduced)
