"""The exponential distribution: times to an event whose hazard is the same at all times."""

from __future__ import annotations

from math import exp
from typing import Any, NamedTuple

import numpy as np

from bayesmargins.family.censoring import Tails
from bayesmargins.family.family import Codes, Family, Parameter, Residual, Summed
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import POSITIVE, Outcome, Values

__all__ = ["exponential"]

_FAR = 690.0  # exp() of it is finite
_SMALLEST = np.finfo(np.float64).tiny


def _scaled(c: Array, p: Values) -> Array:
    with np.errstate(over="ignore"):
        return np.maximum(c, 0.0) / np.maximum(p.mu, _SMALLEST)


def _log_density(p: Values, o: Outcome) -> Array:
    mu = np.maximum(p.mu, _SMALLEST)
    with np.errstate(over="ignore"):
        return -o.y / mu - np.log(mu)


def _summed(o: Outcome, cell: Codes, cells: int) -> Summed:
    """log p is linear in y: rows of one mean are their average y, counted as often as there are rows."""
    n = np.bincount(cell, minlength=cells).astype(np.float64)
    return Summed(exponential, Outcome(np.bincount(cell, o.y, minlength=cells) / n, weights=n), 0.0)


class ExponentialRows(NamedTuple):
    """-n eta - y exp(-eta), n 1 where y is known and 0 where it is exceeded."""

    reads: int = 0
    sign: int = -1

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        ratio = y * exp(-eta)
        return -n * eta - ratio, ratio - n, -ratio, 0.0, 0.0

    def parts(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
        """a and c of a eta - c exp(sign eta), and their derivatives in u."""
        return -n, y, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        return 0.0, 0.0, 0.0


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return np.exp(-_scaled(c, p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return -np.expm1(-_scaled(c, p))


def _limited(c: Array, p: Values, o: Outcome) -> Array:
    """E[min(y, c)] = mu P(y <= c)."""
    return p.mu * _below(c, p, o)


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """From the lower end on y is exponential again: mu less what is beyond the upper end."""
    low = np.maximum(low, 0.0)
    width = np.where(np.isinf(high), 1.0, (high - low) / p.mu)
    with np.errstate(over="ignore"):
        return low + p.mu - np.where(np.isinf(high), 0.0, (high - low) / np.expm1(width))


def _tails(pm: Any, y: Any, scale: Any) -> tuple[Any, Any]:
    return pm.math.log1mexp(-y / scale), -y / scale


_TAILS = Tails(_tails, POSITIVE)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Exponential, name, o, o.y, _TAILS, scale=p.mu)


exponential = Family(
    "exponential",
    (Parameter("mu", ("log",), noun="expected value"),),
    POSITIVE,
    _log_density,
    # What underflows to 0 is the smallest number above it.
    simulate=lambda rng, p, o: np.maximum(rng.exponential(p.mu), _SMALLEST),
    above=_above,
    below=_below,
    mean_between=_mean_between,
    limited=_limited,
    tails=_TAILS,
    quantile=lambda q, p: -p.mu * np.log1p(-q),
    variance=lambda p, o: (0.0, 0.0, 1.0),
    residual=Residual(
        lambda link, mean, p: np.full(mean.shape, np.pi**2 / 6.0),
        lambda link: "the residual variance pi^2 / 6 of log y",
    ),
    pymc=_pymc,
    summed=_summed,
    rows={"log": ExponentialRows()},
    events=True,
    aliases=("exp",),
)
