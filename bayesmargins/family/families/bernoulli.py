"""0 or 1: a single trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.families.binomial import above, below, log_density, simulate, summed_successes
from bayesmargins.family.family import LATENT, Family, Parameter
from bayesmargins.family.observing import weighed
from bayesmargins.family.outcome import BINARY, Outcome, Values
from bayesmargins.family.successes import SUCCESS_ROWS

__all__ = ["bernoulli"]


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """PyMC's own density evaluates every logarithm, and p, for both values of y."""
    import pytensor.tensor as pt

    link = p.link

    def log_mass(y: Any, eta: Any) -> Any:
        if link.symmetric:
            value = link.tensors.logs(pt, (2.0 * y - 1.0) * eta)[0]
        else:
            value = pt.switch(y, *link.tensors.logs(pt, eta))
        return weighed(pt.switch(pt.or_(pt.lt(y, 0), pt.gt(y, 1)), -np.inf, value), o)

    def drawn(eta: Any, size: Any) -> Any:
        return pm.Bernoulli.dist(link.tensors.inverse(pt, eta), size=size)

    y = o.y.astype(np.int64)
    pm.CustomDist(name, p.eta, logp=log_mass, dist=drawn, class_name="Bernoulli", observed=y, dims="obs")


bernoulli = Family(
    "bernoulli",
    (Parameter("mu", ("logit", "probit", "cloglog", "loglog", "cauchit"), noun="probability"),),
    BINARY,
    log_density,
    simulate,
    above,
    below,
    variance=lambda p, o: (0.0, 1.0, -1.0),
    residual=LATENT,
    pymc=_pymc,
    rows=SUCCESS_ROWS,
    summed=summed_successes,
    aliases=("binary", "logistic"),
)
