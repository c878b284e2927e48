"""The inverse Gaussian distribution: numbers above 0 with a longer tail than a gamma distribution's."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails
from bayesmargins.family.family import Family, Parameter, not_below_zero
from bayesmargins.family.link import Array
from bayesmargins.family.links.probit import log_ndtr
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import POSITIVE, Outcome, Values
from bayesmargins.family.special import less_tilted, tilted

__all__ = ["inverse_gaussian"]

_SMALLEST = np.finfo(np.float64).tiny


def _log_density(p: Values, o: Outcome) -> Array:
    apart = (o.y - p.mu) / np.maximum(p.mu, _SMALLEST)
    value = 0.5 * np.log(p.shape / (2.0 * np.pi)) - 1.5 * np.log(o.y) - 0.5 * p.shape / o.y * apart * apart
    return np.where(p.mu > 0.0, value, -np.inf)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """The smaller of two roots whose product is mu^2, or the larger one (Michael, Schucany & Haas 1976).

    The larger is a sum, so that the smaller one has its digits.
    """
    mu, shape = np.broadcast_arrays(not_below_zero(p, "inverse Gaussian"), p.shape)
    w = 0.5 * mu / shape * rng.standard_normal(mu.shape) ** 2
    larger = 1.0 + w + np.sqrt(w * (w + 2.0))
    smaller = rng.uniform(size=mu.shape) * (1.0 + 1.0 / larger) < 1.0
    return np.maximum(np.where(smaller, mu / larger, mu * larger), _SMALLEST)


def _deviates(c: Array, p: Values) -> tuple[Array, Array]:
    """sqrt(shape / c) (c / mu - 1), and how much higher sqrt(shape / c) (c / mu + 1) is."""
    c = np.maximum(c, _SMALLEST)
    root = np.sqrt(p.shape / c)
    return root * ((c - p.mu) / np.maximum(p.mu, _SMALLEST)), 2.0 * root


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return np.where(c > 0.0, less_tilted(*_deviates(c, p)), 1.0)


def _below(c: Array, p: Values, o: Outcome) -> Array:
    a, d = _deviates(c, p)
    return np.where(c > 0.0, scipy.special.ndtr(a) + tilted(a, d), 0.0)


def _tails(pm: Any, y: Any, mu: Any, lam: Any) -> tuple[Any, Any]:
    """As above in logs; PyMC's own distribution functions differ between its versions."""
    pt = pm.math.pt
    root = pt.sqrt(lam / y)
    a, b = root * (y / mu - 1.0), root * (y / mu + 1.0)
    tilt = 2.0 * lam / mu + log_ndtr(pt, -b)
    return pt.logaddexp(log_ndtr(pt, a), tilt), log_ndtr(pt, -a) + pt.log1mexp(tilt - log_ndtr(pt, -a))


_TAILS = Tails(_tails, POSITIVE)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Wald, name, o, o.y, _TAILS, mu=p.mu, lam=p.shape)


inverse_gaussian = Family(
    "inverse_gaussian",
    (
        Parameter("mu", ("log", "1/mu^2", "inverse", "identity", "softplus"), noun="expected value"),
        Parameter(
            "shape",
            meaning="Var(y) = mu^3 / shape",
            # In the unit of y: shape / mu is the reciprocal of a squared coefficient of variation, as a gamma's shape.
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3 * (float(o.y.mean()) or 1.0)}),
            names={"bambi": "lam"},
        ),
    ),
    POSITIVE,
    _log_density,
    _simulate,
    _above,
    _below,
    mean_above=0.0,
    variance=lambda p, o: (0.0, 0.0, 0.0, 1.0 / p.shape),
    pymc=_pymc,
    tails=_TAILS,
    names={"brms": "inverse.gaussian", "bambi": "wald"},
    link_in_r="1/mu^2",
    aliases=("inversegaussian", "invgauss", "inv_gaussian"),
)
