"""Proportions that may be 0: a beta distribution above it."""

from __future__ import annotations

from typing import Any

from bayesmargins.family.families.beta import beta
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.outcome import Outcome, Support, Values
from bayesmargins.family.zeros import observe_with_zeros, share_of_zeros, with_zeros

__all__ = ["zero_inflated_beta"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, alpha: Any, beta: Any) -> Any:
        return pm.logp(pm.Beta.dist(alpha=alpha, beta=beta), y)

    parameters = {"alpha": p.mu * p.phi, "beta": p.complement * p.phi}
    observe_with_zeros(pm, name, o, o.y, density, pm.Beta.dist, p.zi, None, "ZeroInflatedBeta", **parameters)


zero_inflated_beta = Family(
    "zero_inflated_beta",
    (
        Parameter("mu", beta.links, noun="expected value", meaning="the expected value of what is not 0"),
        beta.parameter("phi"),
        share_of_zeros("zi", "the probability of 0"),
    ),
    Support("numbers from 0 to 1, 1 excluded", lambda o: (o.y >= 0.0) & (o.y < 1.0), atoms=(0.0,)),
    **with_zeros(beta, "zi"),
    pymc=_pymc,
)
