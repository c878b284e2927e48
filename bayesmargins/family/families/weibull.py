"""The Weibull distribution: times to an event whose hazard grows or falls with a power of time."""

from __future__ import annotations

from math import exp, log
from typing import Any, NamedTuple

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.family import Family, Parameter, Residual
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import POSITIVE, Outcome, Values
from bayesmargins.family.special import digamma_from_1, lgamma_from_1

__all__ = ["weibull"]

_FAR = 690.0  # exp() of it is finite
_SMALLEST = np.finfo(np.float64).tiny
_NARROW = 0.04  # of 1 / shape, below which a difference of log gamma functions has fewer digits than its series
_TERMS = np.arange(2, 16)


def _log_scale(p: Values) -> Array:
    """mu is the mean: scale = mu / Gamma(1 + 1 / shape)."""
    return np.log(np.maximum(p.mu, _SMALLEST)) - scipy.special.gammaln(1.0 + 1.0 / p.shape)


def _hazard(c: Array, p: Values) -> Array:
    """The cumulative one, (c / scale)^shape."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.exp(p.shape * (np.log(np.maximum(c, 0.0)) - _log_scale(p)))


def _log_density(p: Values, o: Outcome) -> Array:
    log_y, log_scale = np.log(o.y), _log_scale(p)
    return np.log(p.shape) + (p.shape - 1.0) * log_y - p.shape * log_scale - _hazard(o.y, p)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """What underflows to 0 is the smallest number above it."""
    shape, log_scale = np.broadcast_arrays(p.shape, _log_scale(p))
    with np.errstate(over="ignore"):
        return np.maximum(np.exp(log_scale + np.log(rng.standard_exponential(shape.shape)) / shape), _SMALLEST)


def _quantile(q: float, p: Values) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(_log_scale(p) + np.log(-np.log1p(-q)) / p.shape)


def _variance(p: Values, o: Outcome) -> tuple[float, float, Array]:
    """mu^2 (Gamma(1 + 2 / k) / Gamma(1 + 1 / k)^2 - 1), near k = infinity by the series of log Gamma around 1."""
    x = 1.0 / np.asarray(p.shape, dtype=np.float64)
    logs = scipy.special.gammaln(1.0 + 2.0 * x) - 2.0 * scipy.special.gammaln(1.0 + x)
    terms = (-1.0) ** _TERMS * scipy.special.zeta(_TERMS) * (2.0**_TERMS - 2.0) / _TERMS
    series = np.sum(terms * np.minimum(x, _NARROW)[..., None] ** _TERMS, axis=-1)
    with np.errstate(over="ignore"):
        return 0.0, 0.0, np.expm1(np.where(x < _NARROW, series, logs))


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return np.exp(-_hazard(c, p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return -np.expm1(-_hazard(c, p))


def _limited(c: Array, p: Values, o: Outcome) -> Array:
    """E[min(y, c)] = mu P(1 + 1 / shape, H) + c exp(-H), H the cumulative hazard at c."""
    H = _hazard(c, p)
    return p.mu * scipy.special.gammainc(1.0 + 1.0 / p.shape, H) + c * np.exp(-H)


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu (P(1 + 1 / shape, H(high)) - P(1 + 1 / shape, H(low))) / P(low < y <= high), from the smaller tails."""
    x, a, b = 1.0 + 1.0 / p.shape, _hazard(np.maximum(low, 0.0), p), _hazard(high, p)
    upper = scipy.special.gammaincc(x, a) - scipy.special.gammaincc(x, b)
    lower = scipy.special.gammainc(x, b) - scipy.special.gammainc(x, a)
    return p.mu * np.where(a > x, upper, lower) / mass(_above, _below, low, high, p, o)


def _tails(pm: Any, y: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    H = (y / beta) ** alpha
    return pm.math.log1mexp(-H), -H


_TAILS = Tails(_tails, POSITIVE)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    import pytensor.tensor as pt

    scale = p.mu * pt.exp(-pt.gammaln(1.0 + 1.0 / p.shape))
    observe(pm, pm.Weibull, name, o, o.y, _TAILS, alpha=p.shape, beta=scale)


class WeibullRows(NamedTuple):
    """-n u eta - (y Gamma(1 + 1 / u) exp(-eta))^u, u the shape, n 1 where y is known and 0 where it is exceeded."""

    reads: int = 1
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        x = 1.0 + 1.0 / u
        apart = log(y) + lgamma_from_1(x) - eta
        H = exp(min(max(u * apart, -_FAR), _FAR))
        return -n * u * eta - H, u * (H - n), -u * u * H, -n * eta - H * (apart - digamma_from_1(x) / u), 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        x, log_y = 1.0 + 1.0 / u, log(y)
        L = lgamma_from_1(x)
        value, slope = log(u) + (u - 1.0) * log_y + u * L, 1.0 / u + log_y + L - digamma_from_1(x) / u
        return n * value, n * slope, 0.0


weibull = Family(
    "weibull",
    (
        Parameter("mu", ("log",), noun="expected value"),
        Parameter(
            "shape",
            meaning="the hazard grows as y^(shape - 1)",
            # As for the other shapes: no mass at 0, where every y would be, and a long tail upwards.
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3}),
            names={"bambi": "alpha"},
        ),
    ),
    POSITIVE,
    _log_density,
    _simulate,
    above=_above,
    below=_below,
    mean_between=_mean_between,
    limited=_limited,
    tails=_TAILS,
    quantile=_quantile,
    variance=_variance,
    residual=Residual(
        lambda link, mean, p: np.pi**2 / (6.0 * p.shape**2),
        lambda link: "the residual variance pi^2 / (6 shape^2), that of log y",
    ),
    pymc=_pymc,
    rows={"log": WeibullRows()},
    events=True,
)
