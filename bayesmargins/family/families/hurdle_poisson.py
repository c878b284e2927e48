"""Counts behind a hurdle: 0, or a Poisson count that is not 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.poisson import draw_counts, poisson
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.hurdles import first_arrival, observe_behind_hurdle, with_hurdle
from bayesmargins.family.link import Array
from bayesmargins.family.outcome import COUNTS, Outcome, Values
from bayesmargins.family.zeros import OF_BAMBI, OF_NONZERO, share_of_zeros

__all__ = ["hurdle_poisson"]


def _log_zero(p: Values) -> Array:
    return -p.mu


def _nonzero(rng: np.random.Generator, p: Values) -> Array:
    """The first event, and those after it."""
    mu = np.asarray(p.mu)
    return 1.0 + draw_counts(rng, mu - first_arrival(rng, mu))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    pt = pm.math.pt

    def density(y: Any, mu: Any) -> Any:
        return pm.logp(pm.Poisson.dist(mu=mu), y)

    def nonzero(u: Any, mu: Any) -> Any:
        return 1 + pm.Poisson.dist(pt.maximum(mu + pt.log1p(u * pt.expm1(-mu)), 0.0))

    observe_behind_hurdle(pm, name, o, density, lambda mu: -mu, nonzero, p.hu, "HurdlePoisson", mu=p.mu)


hurdle_poisson = Family(
    "hurdle_poisson",
    (
        Parameter("mu", ("log",), noun="expected count", meaning="the expected count before zeros are left out"),
        share_of_zeros("hu", "the probability of 0", OF_BAMBI),
    ),
    COUNTS,
    **with_hurdle(poisson, _log_zero, _nonzero),
    pymc=_pymc,
    elsewhere=OF_NONZERO["hu"],
    aliases=("hurdlepoisson", "hurdle", "zero_truncated_poisson"),
)
