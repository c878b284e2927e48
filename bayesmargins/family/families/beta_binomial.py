"""Successes out of trials whose probability varies as a beta distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.families.beta import shapes
from bayesmargins.family.families.beta import simulate as simulate_beta
from bayesmargins.family.family import LATENT, Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import SUCCESSES, Outcome, Values

__all__ = ["beta_binomial"]

_STIRLING = 15.0  # from here on seven terms are exact to the last digit
_RESOLUTION = 1e-17
_UNDERFLOW = -600.0
_BERNOULLI = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def _log_density(p: Values, o: Outcome) -> Array:
    return _log_mass(o.y, o.number(), *shapes(p))


def _log_mass(y: Array, n: Array | float, a: Array, b: Array) -> Array:
    """log of binom(n, y) B(a + y, b + n - y) / B(a, b)."""
    choose = -np.log1p(n) - scipy.special.betaln(n - y + 1.0, y + 1.0)
    return choose + _log_rising(a, y) + _log_rising(b, n - y) - _log_rising(a + b, n)


def _log_rising(a: Array, k: Array | float) -> Array:
    """log of a (a + 1) ... (a + k - 1): log Gamma(a + k) - log Gamma(a), by Stirling's series where these are large."""
    near = scipy.special.gammaln(a + k) - scipy.special.gammaln(a)
    large = np.maximum(a, _STIRLING)
    far = (large - 0.5) * np.log1p(k / large) + k * np.log(large + k) - k + _remainder(large + k) - _remainder(large)
    return np.where(a < _STIRLING, near, far)


def _remainder(x: Array) -> Array:
    """Of Stirling's series."""
    return np.polynomial.polynomial.polyval(1.0 / (x * x), _BERNOULLI) / x


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return _tail(np.floor(c), o.number(), *shapes(p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    """P(y <= c): of n - y, with a and b exchanged, it is P(n - y > n - c - 1)."""
    n = o.number()
    return _tail(n - np.floor(c) - 1.0, n, *reversed(shapes(p)))


def _tail(c: Array, n: Array | float, a: Array, b: Array) -> Array:
    """P(y > c), its terms added from c + 1 on: each is the last one times a ratio.

    A first term that underflows lies above the mean, where the sum does so too, or below it, where all else is 1.
    """
    first = np.clip(c + 1.0, 0.0, n)
    log = _log_mass(first, n, a, b)
    term = np.exp(log)
    total = term.copy()
    for step in range(int(np.max(np.where(c < 0.0, 0.0, n - first), initial=0.0))):
        y = first + step
        term = term * ((n - y) / (y + 1.0) * (a + y) / (b + np.maximum(n - y - 1.0, 0.0)))
        total = total + term
        if np.all((n * term <= _RESOLUTION * total) & (b >= 1.0)):  # terms fall from here on
            break
    certain = (c < 0.0) | ((log < _UNDERFLOW) & (first < n * a / (a + b)))
    return np.where(certain, 1.0, np.where(c >= n, 0.0, np.minimum(total, 1.0)))


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    return rng.binomial(np.asarray(o.number()).astype(np.int64), simulate_beta(rng, p, o)).astype(np.float64)


def _variance(p: Values, o: Outcome) -> tuple[float, Array, Array]:
    """n mu (1 - mu) (phi + n) / (phi + 1)."""
    scale = o.number() * (p.phi + o.number()) / (p.phi + 1.0)
    return 0.0, scale, -scale


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    n, y = np.asarray(o.number()).astype(np.int64), o.y.astype(np.int64)
    observe(pm, pm.BetaBinomial, name, o, y, n=n, alpha=p.mu * p.phi, beta=p.complement * p.phi)


beta_binomial = Family(
    "beta_binomial",
    (
        Parameter("mu", ("logit", "probit", "cloglog", "loglog", "cauchit"), noun="probability"),
        Parameter(
            "phi",
            meaning="Var(y) = n mu (1 - mu) (phi + n) / (phi + 1)",
            # As of the beta distribution: the binomial, phi to infinity, lies in its long tail.
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3}),
            names={"bambi": "kappa"},
        ),
    ),
    SUCCESSES,
    _log_density,
    _simulate,
    _above,
    _below,
    variance=_variance,
    residual=LATENT,  # a single trial is 0 or 1 with probability mu, whatever phi is
    pymc=_pymc,
    aliases=("betabinomial",),
)
