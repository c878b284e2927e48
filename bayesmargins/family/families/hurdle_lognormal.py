"""Amounts that may be 0: above it their logarithm is normal."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.lognormal import lognormal
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.outcome import AMOUNTS, Outcome, Values
from bayesmargins.family.zeros import OF_BAMBI, OF_NONZERO, above_zero, observe_with_zeros, share_of_zeros, with_zeros

__all__ = ["hurdle_lognormal"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, mu: Any, sigma: Any) -> Any:
        return pm.logp(pm.LogNormal.dist(mu=mu, sigma=sigma), y)

    parameters = {"mu": p.mu, "sigma": p.sigma}
    observe_with_zeros(pm, name, o, o.y, density, pm.LogNormal.dist, p.hu, None, "HurdleLogNormal", **parameters)


hurdle_lognormal = Family(
    "hurdle_lognormal",
    (
        Parameter("mu", ("identity",), noun="expected value", meaning="the expected logarithm of what is not 0"),
        Parameter(
            "sigma",
            meaning="the standard deviation of the logarithm of what is not 0, within a group",
            prior=lambda o: ("Exponential", {"scale": float(np.log(above_zero(o.y)).std()) or 1.0}),
        ),
        share_of_zeros("hu", "the probability of 0", OF_BAMBI),
    ),
    AMOUNTS,
    **with_zeros(lognormal, "hu"),
    measured=lambda y: np.log(above_zero(y)),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s), "hu": p.hu},
    pymc=_pymc,
    elsewhere=OF_NONZERO["hu"],
    aliases=("hurdlelognormal", "zero_inflated_lognormal"),
)
