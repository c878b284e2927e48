"""The links, one file each: adding one is adding a file."""

from __future__ import annotations

import copyreg

from bayesmargins.errors import ModelError, close_matches, listed
from bayesmargins.family.collecting import collected
from bayesmargins.family.link import Link

__all__ = ["LINKS", "get_link", "grows", "link_known_as"]

LINKS: dict[str, Link] = collected(__name__, __path__, Link)
"""Every link, by name."""


def get_link(name: str) -> Link:
    """Which link has this name? ModelError, with the names there are, where none has."""
    found = LINKS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ModelError(f"link={name!r} is not known: allowed are {listed(LINKS)}.{close_matches(name, LINKS)}")
    return found


def link_known_as(package: str, name: str) -> str:
    """What is a link of another package called here? A name that is no other's stays as it is."""
    return next((link.name for link in LINKS.values() if link.names.get(package) == name), name)


def grows(name: object) -> bool:
    """Whether averages over normal group effects grow as exp(s2 / 2) under the link that a result names."""
    return isinstance(name, str) and name in LINKS and LINKS[name].exponential


# A posterior that goes to another process, or is copied, keeps the one object that each name stands for.
copyreg.pickle(Link, lambda link: (get_link, (link.name,)))
