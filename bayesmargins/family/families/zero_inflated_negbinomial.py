"""Negative binomial counts with more zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.negbinomial import negbinomial
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

__all__ = ["zero_inflated_negbinomial"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def density(y: Any, mu: Any, alpha: Any) -> Any:
        return pm.logp(pm.NegativeBinomial.dist(mu=mu, alpha=alpha), y)

    y, parameters = o.y.astype(np.int64), {"mu": p.mu, "alpha": p.shape}
    rest = (p.zi, _TAILS, "ZeroInflatedNegativeBinomial")
    observe_with_zeros(pm, name, o, y, density, pm.NegativeBinomial.dist, *rest, **parameters)


assert negbinomial.tails is not None
_TAILS = tails_with_zeros(negbinomial.tails)

zero_inflated_negbinomial = Family(
    "zero_inflated_negbinomial",
    (
        Parameter("mu", negbinomial.links, noun="expected count", meaning="the expected count without further zeros"),
        negbinomial.parameter("shape"),
        share_of_zeros("zi", "the probability of a zero beside those of the negative binomial distribution", OF_BAMBI),
    ),
    COUNTS,
    **with_zeros(negbinomial, "zi"),
    pymc=_pymc,
    tails=_TAILS,
    names={"bambi": "zero_inflated_negativebinomial"},
    elsewhere=OF_NONZERO["zi"],
    aliases=("zinb", "zero_inflated_negative_binomial", "zeroinflatednegativebinomial"),
)
