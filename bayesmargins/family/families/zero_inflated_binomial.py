"""Successes out of trials, where some rows have none whatever their trials."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.binomial import binomial, tensor_log_mass
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.outcome import SUCCESSES, Outcome, Values
from bayesmargins.family.zeros import OF_BAMBI, OF_NONZERO, observe_with_zeros, share_of_zeros, with_zeros

__all__ = ["zero_inflated_binomial"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    pt, link = pm.math.pt, p.link

    def density(y: Any, eta: Any, n: Any) -> Any:
        return tensor_log_mass(pt, link, y, eta, n)

    def drawn(eta: Any, n: Any, size: Any) -> Any:
        return pm.Binomial.dist(n, link.tensors.inverse(pt, eta), size=size)

    n, y = np.asarray(o.number()).astype(np.int64), o.y.astype(np.int64)
    observe_with_zeros(pm, name, o, y, density, drawn, p.zi, None, "ZeroInflatedBinomial", eta=p.eta, n=n)


zero_inflated_binomial = Family(
    "zero_inflated_binomial",
    (
        Parameter("mu", binomial.links, noun="probability", meaning="the probability in rows that can have successes"),
        share_of_zeros("zi", "the probability that a row can have no success", OF_BAMBI),
    ),
    SUCCESSES,
    **with_zeros(binomial, "zi"),
    pymc=_pymc,
    elsewhere=OF_NONZERO["zi"],
    aliases=("zib", "zeroinflatedbinomial"),
)
