"""Student's t: the normal distribution with heavy tails."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import REAL, Outcome, Values
from bayesmargins.family.special import incomplete_beta, odds

__all__ = ["student_t"]


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return stats.t.logpdf(o.y, p.nu, p.mu, p.sigma)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    mu, sigma, nu = np.broadcast_arrays(p.mu, p.sigma, p.nu)
    return mu + sigma * rng.standard_t(nu)


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return _tail((p.mu - c) / p.sigma, p.nu)


def _tail(t: Array, nu: Array) -> Array:
    """P(T > t) = I_x(nu / 2, 1 / 2) / 2 with x = nu / (nu + t^2), for t > 0; near the middle from 1 - x."""
    with np.errstate(over="ignore"):
        outer, inner = odds(nu, t * t)
    middle = 0.5 - 0.5 * scipy.special.betainc(0.5, 0.5 * nu, inner)
    beyond = np.where(middle > 0.25, middle, 0.5 * incomplete_beta(0.5 * nu, np.full_like(nu, 0.5), outer, inner))
    return np.where(t > 0.0, beyond, 1.0 - beyond)


def _quantile(q: float, p: Values) -> Array:
    """From the smaller of x = nu / (nu + t^2) and 1 - x, so that the middle has its digits too."""
    one = 2.0 * min(q, 1.0 - q)
    outer = scipy.special.betaincinv(0.5 * p.nu, 0.5, one)
    inner = scipy.special.betaincinv(0.5, 0.5 * p.nu, 1.0 - one)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = np.where(outer < 0.5, p.nu * (1.0 - outer) / outer, p.nu * inner / (1.0 - inner))
    return p.mu + np.sign(q - 0.5) * p.sigma * np.sqrt(square)


def _variance(p: Values, o: Outcome) -> tuple[Array, float, float]:
    """sigma^2 nu / (nu - 2), infinite for nu <= 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(p.nu > 2.0, p.sigma**2 * p.nu / (p.nu - 2.0), np.inf)
    return value, 0.0, 0.0


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return _tail((c - p.mu) / p.sigma, p.nu)


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu + sigma (g(a) - g(b)) / P(a < T <= b), g(t) = (nu + t^2) / (nu - 1) times the density of T at t."""
    from scipy import stats

    def g(end: Array) -> Array:
        t = np.where(np.isinf(end), 0.0, (end - p.mu) / p.sigma)
        return np.where(np.isinf(end), 0.0, (p.nu + t * t) / (p.nu - 1.0) * stats.t.pdf(t, p.nu))

    with np.errstate(divide="ignore"):
        value = p.mu + p.sigma * (g(low) - g(high)) / mass(_above, _below, low, high, p, o)
    return np.where((p.nu > 1.0) | (np.isfinite(low) & np.isfinite(high)), value, np.nan)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.StudentT, name, o, o.y, _TAILS, nu=p.nu, mu=p.mu, sigma=p.sigma)


def _tails(pm: Any, y: Any, nu: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    """Each from the beta function of the smaller argument, as `_tail`."""
    pt = pm.math.pt
    t = (y - mu) / sigma
    outside = 0.5 * pt.betainc(0.5 * nu, 0.5, nu / (nu + t**2))
    return tuple(pt.log(pt.switch(far, outside, 1.0 - outside)) for far in (pt.lt(t, 0.0), pt.gt(t, 0.0)))


_TAILS = Tails(_tails, REAL)


student_t = Family(
    "student_t",
    (
        Parameter("mu", ("identity", "log", "inverse", "softplus"), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the scale: the standard deviation within a group is sigma sqrt(nu / (nu - 2))",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
        ),
        Parameter(
            "nu",
            ("logm1", "log", "identity"),
            meaning="the degrees of freedom: the fewer, the heavier the tails",
            # As in brms (Juarez & Steel 2010, Journal of Business & Economic Statistics 28:52-66), with its lower bound
            # of 1: below it y has no mean.
            prior=lambda o: ("Truncated", {"dist": ("Gamma", {"alpha": 2.0, "beta": 0.1}), "lower": 1.0}),
            caution=(1.0, "y has no mean there, and what target='mean' gives is its centre, the median"),
        ),
    ),
    REAL,
    _log_density,
    _simulate,
    above=_above,
    below=_below,
    quantile=_quantile,
    mean_between=_mean_between,
    variance=_variance,
    pymc=_pymc,
    tails=_TAILS,
    known_error="sigma",
    names={"brms": "student", "bambi": "t"},
)
