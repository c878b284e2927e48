"""Amounts that may be 0: a gamma distribution above it."""

from __future__ import annotations

from typing import Any

from bayesmargins.family.families.gamma import gamma
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.outcome import AMOUNTS, Outcome, Values
from bayesmargins.family.zeros import OF_BAMBI, OF_NONZERO, above_zero, observe_with_zeros, share_of_zeros, with_zeros

__all__ = ["hurdle_gamma"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, alpha: Any, beta: Any) -> Any:
        return pm.logp(pm.Gamma.dist(alpha=alpha, beta=beta), y)

    parameters = {"alpha": p.shape, "beta": p.shape / p.mu}
    observe_with_zeros(pm, name, o, o.y, density, pm.Gamma.dist, p.hu, None, "HurdleGamma", **parameters)


hurdle_gamma = Family(
    "hurdle_gamma",
    (
        Parameter("mu", gamma.links, noun="expected value", meaning="the expected value of what is not 0"),
        gamma.parameter("shape"),
        share_of_zeros("hu", "the probability of 0", OF_BAMBI),
    ),
    AMOUNTS,
    **with_zeros(gamma, "hu"),
    measured=above_zero,
    pymc=_pymc,
    elsewhere=OF_NONZERO["hu"],
    aliases=("hurdlegamma", "zero_inflated_gamma"),
)
