"""The normal distribution."""

from __future__ import annotations

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array, normal_density
from bayesmargins.family.links.probit import normal_tails
from bayesmargins.family.looks import like_another_family
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import REAL, Outcome, Values

__all__ = ["gaussian"]


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return stats.norm.logpdf(o.y, p.mu, p.sigma)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.ndtr((p.mu - c) / p.sigma)


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.ndtr((c - p.mu) / p.sigma)


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu + sigma (phi(a) - phi(b)) / P(a < Z <= b)."""
    a, b = (low - p.mu) / p.sigma, (high - p.mu) / p.sigma
    return p.mu + p.sigma * (normal_density(a) - normal_density(b)) / mass(_above, _below, low, high, p, o)


_TAILS = Tails(normal_tails, REAL)

gaussian = Family(
    "gaussian",
    (
        Parameter("mu", ("identity", "log", "inverse", "softplus"), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation within a group",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
        ),
    ),
    REAL,
    _log_density,
    simulate=lambda rng, p, o: rng.normal(p.mu, p.sigma),
    above=_above,
    below=_below,
    mean_between=_mean_between,
    quantile=lambda q, p: p.mu + p.sigma * scipy.special.ndtri(q),
    variance=lambda p, o: (p.sigma**2, 0.0, 0.0),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s)},
    pymc=lambda pm, name, p, o: observe(pm, pm.Normal, name, o, o.y, _TAILS, mu=p.mu, sigma=p.sigma),
    tails=_TAILS,
    normal_sd="sigma",
    known_error="sigma",
    aliases=("normal",),
    looks_like=like_another_family,
)
