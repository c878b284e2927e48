"""A positive y whose logarithm is normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.curve import Curve
from bayesmargins.family.family import Family, Parameter, Residual
from bayesmargins.family.link import Array
from bayesmargins.family.links.log import log
from bayesmargins.family.links.probit import normal_tails
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import POSITIVE, Outcome, Values

__all__ = ["lognormal"]


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return stats.norm.logpdf(np.log(o.y), p.mu, p.sigma) - np.log(o.y)


def _score(c: Array, p: Values) -> Array:
    """How many standard deviations log c lies above mu; below everything where c is not positive."""
    with np.errstate(divide="ignore"):
        return (np.log(np.maximum(c, 0.0)) - p.mu) / p.sigma


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.ndtr(-_score(c, p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.ndtr(_score(c, p))


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """E[y] P(low < y' <= high) / P(low < y <= high), the logarithm of y' larger by sigma^2 on average."""
    other = Values(mu=p.mu + p.sigma**2, sigma=p.sigma)
    mean = np.exp(p.mu + 0.5 * p.sigma**2)
    return mean * mass(_above, _below, low, high, other, o) / mass(_above, _below, low, high, p, o)


def _limited(c: Array, p: Values, o: Outcome) -> Array:
    """E[min(y, c)]: mean times P(Z <= score - sigma), and c P(y > c); in logs, where the mean is no float."""
    z = _score(c, p)
    with np.errstate(over="ignore"):
        below = np.exp(p.mu + 0.5 * p.sigma**2 + scipy.special.log_ndtr(z - p.sigma))
    return below + c * scipy.special.ndtr(-z)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.LogNormal, name, o, o.y, _TAILS, mu=p.mu, sigma=p.sigma)


def _tails(pm: Any, y: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    return normal_tails(pm, pm.math.log(y), mu, sigma)


_TAILS = Tails(_tails, POSITIVE)


lognormal = Family(
    "lognormal",
    (
        Parameter("mu", ("identity",), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation of the logarithm within a group",
            prior=lambda o: ("Exponential", {"scale": float(np.log(o.y).std()) or 1.0}),
        ),
    ),
    POSITIVE,
    _log_density,
    simulate=lambda rng, p, o: rng.lognormal(p.mu, p.sigma),
    above=_above,
    below=_below,
    quantile=lambda q, p: np.exp(p.mu + p.sigma * scipy.special.ndtri(q)),
    mean=lambda link: Curve(log, lambda p: 0.5 * p.sigma**2, reads=("sigma",), endless=("sigma",)),
    measured=np.log,
    mean_between=_mean_between,
    limited=_limited,
    normal_sd="sigma",
    variance=lambda p, o: (0.0, 0.0, np.expm1(p.sigma**2)),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s)},
    residual=Residual(lambda link, mean, p: p.sigma**2, lambda link: "the residual variance sigma^2 of the logarithm"),
    pymc=_pymc,
    tails=_TAILS,
    aliases=("log_normal", "lnorm"),
)
