"""Counts of failures before the first success: the negative binomial distribution with a shape of 1."""

from __future__ import annotations

from math import exp, log
from typing import Any, NamedTuple

import numpy as np

from bayesmargins.family.censoring import Tails
from bayesmargins.family.families.poisson import draw_counts
from bayesmargins.family.family import Family, Parameter, Residual
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import COUNTS, Outcome, Values

__all__ = ["geometric"]

_FAR = 690.0  # exp() of it is finite


def _log_rise(p: Values) -> Array:
    """-log q, q = mu / (1 + mu): P(y > c) is q^(c + 1)."""
    with np.errstate(divide="ignore"):
        return np.log1p(1.0 / np.asarray(p.mu, dtype=np.float64))


def _log_density(p: Values, o: Outcome) -> Array:
    with np.errstate(invalid="ignore"):
        value = -o.y * _log_rise(p) - np.log1p(p.mu)
    return np.where((o.y == 0.0) & (np.asarray(p.mu) == 0.0), 0.0, value)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return np.exp(-np.maximum(np.floor(c) + 1.0, 0.0) * _log_rise(p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return -np.expm1(-np.maximum(np.floor(c) + 1.0, 0.0) * _log_rise(p))


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """From the lower end on y is geometric again: one more than it and mu, less what is beyond the upper end."""
    first = np.maximum(np.floor(low) + 1.0, 0.0)
    n, rise = np.floor(high) - first + 1.0, _log_rise(p)
    with np.errstate(over="ignore"):
        beyond = np.where(np.isinf(high), 0.0, n / np.expm1(np.where(np.isinf(high), 1.0, n) * rise))
    return first + p.mu - beyond


def _tails(pm: Any, y: Any, mu: Any, alpha: Any) -> tuple[Any, Any]:
    above = -(y + 1.0) * pm.math.pt.log1p(1.0 / mu)
    return pm.math.log1mexp(above), above


_TAILS = Tails(_tails, COUNTS)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.NegativeBinomial, name, o, o.y.astype(np.int64), _TAILS, mu=p.mu, alpha=1.0)


class GeometricRows(NamedTuple):
    """y eta - (y + 1) log(1 + exp(eta))."""

    reads: int = 0
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        E = exp(eta)
        total = 1.0 + E
        share = (y + 1.0) / total
        return y * eta - (y + 1.0) * log(total), y - share * E, -share * E / total, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        return 0.0, 0.0, 0.0


geometric = Family(
    "geometric",
    (Parameter("mu", ("log",), noun="expected count"),),
    COUNTS,
    _log_density,
    simulate=lambda rng, p, o: draw_counts(rng, rng.exponential(p.mu)),
    above=_above,
    below=_below,
    mean_between=_mean_between,
    tails=_TAILS,
    variance=lambda p, o: (0.0, 1.0, 1.0),
    residual=Residual(
        lambda link, mean, p: np.log1p(1.0 / mean + 1.0), lambda link: "the residual variance log(2 + 1 / mean count)"
    ),
    pymc=_pymc,
    rows={"log": GeometricRows()},
    aliases=("geom",),
)
