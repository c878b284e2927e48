"""The gamma distribution: numbers above 0 whose standard deviation is proportional to their mean."""

from __future__ import annotations

from math import exp, log
from typing import Any, NamedTuple

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.family import Family, Parameter, Residual, not_below_zero
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import POSITIVE, Outcome, Values
from bayesmargins.family.special import digamma_from_1, lgamma_from_1

__all__ = ["gamma"]

_FAR = 690.0  # exp() of it is finite
_SMALLEST = np.finfo(np.float64).tiny


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    with np.errstate(invalid="ignore", divide="ignore"):
        value = stats.gamma.logpdf(o.y, p.shape, scale=p.mu / p.shape)
    return np.where(p.mu > 0.0, value, -np.inf)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """What underflows to 0 is the smallest number above it."""
    mu = not_below_zero(p, "gamma")
    return np.maximum(rng.gamma(*np.broadcast_arrays(p.shape, mu / p.shape)), _SMALLEST)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    """P(y > c) = Q(shape, shape c / mu), the regularised incomplete gamma function."""
    return scipy.special.gammaincc(p.shape, _scaled(c, p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.gammainc(p.shape, _scaled(c, p))


def _scaled(c: Array, p: Values) -> Array:
    with np.errstate(over="ignore"):
        return p.shape * np.maximum(c, 0.0) / np.maximum(p.mu, _SMALLEST)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Gamma, name, o, o.y, _TAILS, alpha=p.shape, beta=p.shape / p.mu)


def _tails(pm: Any, y: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    pt = pm.math.pt
    return pt.log(pt.gammainc(alpha, beta * y)), pt.log(pt.gammaincc(alpha, beta * y))


_TAILS = Tails(_tails, POSITIVE)


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu P(low < y' <= high) / P(low < y <= high), y' with a shape of 1 more and the same rate."""
    other = Values(mu=p.mu * (1.0 + 1.0 / p.shape), shape=p.shape + 1.0)
    return p.mu * mass(_above, _below, low, high, other, o) / mass(_above, _below, low, high, p, o)


def _limited(c: Array, p: Values, o: Outcome) -> Array:
    """E[min(y, c)] = mu P(shape + 1, shape c / mu) + c Q(shape, shape c / mu)."""
    x = _scaled(c, p)
    return p.mu * scipy.special.gammainc(p.shape + 1.0, x) + c * scipy.special.gammaincc(p.shape, x)


class GammaRows(NamedTuple):
    """-u (eta + y exp(-eta)), u the shape."""

    reads: int = 1
    sign: int = -1

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        ratio = y * exp(-eta)
        return -u * (eta + ratio), u * (ratio - 1.0), -u * ratio, -eta - ratio, 0.0

    def parts(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
        """a and c of a eta - c exp(sign eta), and their derivatives in u."""
        return -u, u * y, -1.0, y

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        log_u, log_y, above = log(u), log(y), u + 1.0
        value = (u + 1.0) * log_u - lgamma_from_1(above) + (u - 1.0) * log_y
        return value, log_u + 1.0 + 1.0 / u - digamma_from_1(above) + log_y, 0.0


gamma = Family(
    "gamma",
    (
        Parameter("mu", ("log", "identity", "inverse", "softplus"), noun="expected value"),
        Parameter(
            "shape",
            meaning="Var(y) = mu^2 / shape",
            # That of the negative binomial in brms since 2.20, for the same parameter: the reciprocal of a squared
            # coefficient of variation. Half the draws of brms's gamma(0.01, 0.01) are below 1e-28.
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3}),
            names={"bambi": "alpha"},
        ),
    ),
    POSITIVE,
    _log_density,
    _simulate,
    _above,
    _below,
    quantile=lambda q, p: np.maximum(p.mu, 0.0) / p.shape * scipy.special.gammaincinv(p.shape, q),
    variance=lambda p, o: (0.0, 0.0, 1.0 / p.shape),
    mean_between=_mean_between,
    limited=_limited,
    mean_above=0.0,
    # Var(log y) (Nakagawa, Johnson & Schielzeth 2017, Journal of the Royal Society Interface 14).
    residual=Residual(
        lambda link, mean, p: scipy.special.polygamma(1, p.shape),
        lambda link: "the residual variance trigamma(shape), that of log y",
        under=lambda link: link.exponential,
    ),
    pymc=_pymc,
    tails=_TAILS,
    rows={"log": GammaRows()},  # under the others its density may have several peaks
    names={"brms": "Gamma"},
    link_in_r="inverse",  # of R's own Gamma()
)
