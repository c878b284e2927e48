"""A family of the user's own: what it has to be."""

from __future__ import annotations

from bayesmargins.errors import ModelError, listed, shown
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.links import LINKS
from bayesmargins.family.outcome import Support
from bayesmargins.reserved import VARIABLES
from bayesmargins.values import is_word

__all__ = ["check_family"]


def check_family(family: Family) -> None:
    """Refuse what is no family: ModelError for names that are none or are taken, and links that are not there."""
    made = f"Family({shown(family.name)}, ...)"
    kinds = isinstance(family.parameters, tuple) and all(isinstance(p, Parameter) for p in family.parameters)
    if not kinds or not isinstance(family.support, Support):
        raise ModelError(
            f"{made} has the parameters {shown(family.parameters)} and the support {shown(family.support)}; it needs a "
            "tuple of bm.Parameter, the mean first, and a bm.Support."
        )
    names = [p.name for p in family.parameters]
    wrong = [n for n in (family.name, *names) if not (isinstance(n, str) and n.isidentifier())]
    taken = [n for n in names[1:] if n in VARIABLES or names.count(n) > 1]
    if wrong or taken or names[:1] != ["mu"]:
        said = f"the names {listed(wrong or taken or names)}"
        raise ModelError(
            f"{made} has {said}; its first parameter is called 'mu', the others by other names that Python could have, "
            f"and not {listed(sorted(VARIABLES))}."
        )
    absent = [link for p in family.parameters for link in p.links if not is_word(link, LINKS)]
    if absent or not all(p.links for p in family.parameters):
        raise ModelError(f"{made} has the links {listed(absent) or 'none'}; allowed are {listed(LINKS)}.")
