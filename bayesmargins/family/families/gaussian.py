"""The normal distribution."""

from __future__ import annotations

import numpy as np
import scipy

from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.looks import like_another_family
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import REAL, Outcome, Values

__all__ = ["gaussian"]


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return stats.norm.logpdf(o.y, p.mu, p.sigma)


gaussian = Family(
    "gaussian",
    (
        Parameter("mu", ("identity", "log"), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation within a group",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
        ),
    ),
    REAL,
    _log_density,
    simulate=lambda rng, p, o: rng.normal(p.mu, p.sigma),
    above=lambda c, p, o: scipy.special.ndtr((p.mu - c) / p.sigma),
    below=lambda c, p, o: scipy.special.ndtr((c - p.mu) / p.sigma),
    quantile=lambda q, p: p.mu + p.sigma * scipy.special.ndtri(q),
    variance=lambda p, o: (p.sigma**2, 0.0, 0.0),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s)},
    pymc=lambda pm, name, p, o: observe(pm, pm.Normal, name, o, o.y, mu=p.mu, sigma=p.sigma),
    normal_sd="sigma",
    known_error="sigma",
    aliases=("normal",),
    looks_like=like_another_family,
)
