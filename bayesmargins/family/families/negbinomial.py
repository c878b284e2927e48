"""Counts with more variance than their mean, by a gamma distributed rate."""

from __future__ import annotations

from math import exp, lgamma, log
from typing import Any, NamedTuple

import numpy as np

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.families.poisson import draw_counts
from bayesmargins.family.family import Family, Parameter, Residual, not_below_zero
from bayesmargins.family.link import Array
from bayesmargins.family.observing import by_value, observe, weighed
from bayesmargins.family.outcome import COUNTS, Outcome, Values
from bayesmargins.family.special import digamma, incomplete_beta, odds

__all__ = ["negbinomial"]

_FAR = 690.0  # exp() of it is finite


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    mu = np.maximum(p.mu, 0.0)
    return np.where(p.mu >= 0.0, stats.nbinom.logpmf(o.y, p.shape, p.shape / (p.shape + mu)), -np.inf)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    """P(y > c) = I_q(c + 1, shape), q = mu / (mu + shape)."""
    c = np.floor(c)
    return np.where(c < 0.0, 1.0, incomplete_beta(np.maximum(c, 0.0) + 1.0, p.shape, *odds(p.mu, p.shape)))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    c = np.floor(c)
    one, other = odds(p.mu, p.shape)
    return np.where(c < 0.0, 0.0, incomplete_beta(p.shape, np.maximum(c, 0.0) + 1.0, other, one))


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu P(low - 1 < y' <= high - 1) / P(low < y <= high), y' with a shape of 1 more and the same odds."""
    other = Values(mu=p.mu * (1.0 + 1.0 / p.shape), shape=p.shape + 1.0)
    shifted = mass(_above, _below, low - 1.0, high - 1.0, other, o)
    return p.mu * shifted / mass(_above, _below, low, high, p, o)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """PyMC's own density takes two gamma functions a row, where y has few values; their terms in mu are its own."""
    import pytensor.tensor as pt

    if o.partial or p.shape.ndim:  # a shape a row, whose terms no two rows share
        observe(pm, pm.NegativeBinomial, name, o, o.y.astype(np.int64), _TAILS, mu=p.mu, alpha=p.shape)
        return

    def log_mass(y: Any, eta: Any, shape: Any) -> Any:
        def rising(y: Any) -> Any:
            return pt.gammaln(y + shape) - pt.gammaln(shape) - pt.gammaln(y + 1.0)

        log_mu = eta if p.link.exponential else pt.log(p.link.tensors.inverse(pt, eta))
        over = log_mu - pt.log(shape)
        value = by_value(rising, y) + y * over - (y + shape) * pt.softplus(over)
        return weighed(pt.switch(pt.lt(y, 0), -np.inf, value), o)

    def drawn(eta: Any, shape: Any, size: Any) -> Any:
        return pm.NegativeBinomial.dist(mu=p.link.tensors.inverse(pt, eta), alpha=shape, size=size)

    y = o.y.astype(np.int64)
    options = {"logp": log_mass, "dist": drawn, "class_name": "NegativeBinomial", "observed": y, "dims": "obs"}
    pm.CustomDist(name, p.eta, p.shape, **options)


def _tails(pm: Any, y: Any, mu: Any, alpha: Any) -> tuple[Any, Any]:
    pt = pm.math.pt
    share = mu / (mu + alpha)
    below, above = pt.betainc(alpha, y + 1.0, 1.0 - share), pt.betainc(y + 1.0, alpha, share)
    return pt.log(below), pt.log(above)


_TAILS = Tails(_tails, COUNTS)


class NegbinomialRows(NamedTuple):
    """y eta - (y + u) log(u + exp(eta)), u the shape."""

    reads: int = 1
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        E = exp(eta)
        total = u + E
        share, log_total = (y + u) / total, log(total)
        return y * eta - (y + u) * log_total, y - share * E, -share * E * (u / total), -log_total - share, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        value = lgamma(y + u) - lgamma(u) - lgamma(y + 1.0) + u * log(u)
        return value, digamma(y + u) - digamma(u) + log(u) + 1.0, 0.0


negbinomial = Family(
    "negbinomial",
    (
        Parameter("mu", ("log", "identity", "sqrt", "softplus"), noun="expected count"),
        Parameter(
            "shape",
            meaning="Var(y) = mu + mu^2 / shape",
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3}),  # as in brms since 2.20
            names={"bambi": "alpha"},
        ),
    ),
    COUNTS,
    _log_density,
    simulate=lambda rng, p, o: draw_counts(rng, rng.gamma(p.shape, not_below_zero(p, "negbinomial") / p.shape)),
    above=_above,
    below=_below,
    mean_between=_mean_between,
    variance=lambda p, o: (0.0, 1.0, 1.0 / p.shape),
    mean_above=0.0,
    residual=Residual(
        lambda link, mean, p: np.log1p(1.0 / mean + 1.0 / p.shape),
        lambda link: "the residual variance log(1 + 1 / mean count + 1 / shape)",
        under=lambda link: link.exponential,
    ),
    pymc=_pymc,
    tails=_TAILS,
    rate=("shape",),
    rows={"log": NegbinomialRows()},
    names={"bambi": "negativebinomial"},
    aliases=("negativebinomial", "negative_binomial", "nbinom"),
)
