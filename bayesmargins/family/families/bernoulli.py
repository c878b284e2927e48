"""0 or 1: a single trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.binomial import above, below, log_density, simulate
from bayesmargins.family.family import LATENT, Family, Parameter
from bayesmargins.family.outcome import BINARY, Outcome, Values

__all__ = ["bernoulli"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    pm.Bernoulli(name, logit_p=p.log_odds, observed=o.y.astype(np.int64), dims="obs")


bernoulli = Family(
    "bernoulli",
    (Parameter("mu", ("logit", "probit", "cloglog"), noun="probability"),),
    BINARY,
    log_density,
    simulate,
    above,
    below,
    variance=lambda p, o: (0.0, 1.0, -1.0),
    residual=LATENT,
    pymc=_pymc,
    aliases=("binary", "logistic"),
)
