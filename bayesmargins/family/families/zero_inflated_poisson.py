"""Poisson counts with more zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.poisson import poisson
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.outcome import COUNTS, Outcome, Values
from bayesmargins.family.zeros import (
    OF_BAMBI,
    OF_NONZERO,
    observe_with_zeros,
    share_of_zeros,
    tails_with_zeros,
    with_zeros,
)

__all__ = ["zero_inflated_poisson"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, mu: Any) -> Any:
        return pm.logp(pm.Poisson.dist(mu=mu), y)

    y, kind = o.y.astype(np.int64), "ZeroInflatedPoisson"
    observe_with_zeros(pm, name, o, y, density, pm.Poisson.dist, p.zi, _TAILS, kind, mu=p.mu)


assert poisson.tails is not None
_TAILS = tails_with_zeros(poisson.tails)

zero_inflated_poisson = Family(
    "zero_inflated_poisson",
    (
        Parameter("mu", poisson.links, noun="expected count", meaning="the expected count without the further zeros"),
        share_of_zeros("zi", "the probability of a zero beside those of the Poisson distribution", OF_BAMBI),
    ),
    COUNTS,
    **with_zeros(poisson, "zi"),
    pymc=_pymc,
    tails=_TAILS,
    elsewhere=OF_NONZERO["zi"],
    aliases=("zip", "zeroinflatedpoisson", "zero_inflated"),
)
