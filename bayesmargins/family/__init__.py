"""Families and links: one object and one file each, and nobody else has to know of them.

`families` on `family` (what one is) on `curve` (what is averaged) and `links` on `link`; `outcome` is what was seen.
`ordered` and `quantity` (targets) on `mixture_of_y` (the distribution of y over groups) stand above the engines of
`integrate`, which they ask.
"""

from bayesmargins.family.checking import check_outcome, warn_of_other_families
from bayesmargins.family.curve import Curve, Quantity
from bayesmargins.family.families import FAMILIES, get_family, known_as
from bayesmargins.family.family import (
    Family,
    Parameter,
    Summed,
    resolve_link,
    values_at,
)
from bayesmargins.family.link import PARTS, Link
from bayesmargins.family.links import LINKS, get_link, link_known_as
from bayesmargins.family.outcome import OF_ROWS, Outcome, Support, Values
from bayesmargins.family.predicted import parameter_family, parameter_values

__all__ = [
    "FAMILIES",
    "LINKS",
    "OF_ROWS",
    "PARTS",
    "Curve",
    "Family",
    "Link",
    "Outcome",
    "Parameter",
    "Quantity",
    "Summed",
    "Support",
    "Values",
    "check_outcome",
    "get_family",
    "get_link",
    "known_as",
    "link_known_as",
    "parameter_family",
    "parameter_values",
    "resolve_link",
    "values_at",
    "warn_of_other_families",
]
