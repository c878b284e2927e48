"""The exponential distribution: times to an event whose hazard is the same at all times."""

from __future__ import annotations

from math import exp
from typing import Any, NamedTuple

import numpy as np

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
    """-eta - y exp(-eta)."""

    reads: int = 0
    sign: int = -1

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        ratio = y * exp(-eta)
        return -eta - ratio, ratio - 1.0, -ratio, 0.0, 0.0

    def parts(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
        """a and c of a eta - c exp(sign eta), and their derivatives in u."""
        return -1.0, y, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        return 0.0, 0.0, 0.0


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Exponential, name, o, o.y, scale=p.mu)


exponential = Family(
    "exponential",
    (Parameter("mu", ("log",), noun="expected value"),),
    POSITIVE,
    _log_density,
    # What underflows to 0 is the smallest number above it.
    simulate=lambda rng, p, o: np.maximum(rng.exponential(p.mu), _SMALLEST),
    above=lambda c, p, o: np.exp(-_scaled(c, p)),
    below=lambda c, p, o: -np.expm1(-_scaled(c, p)),
    quantile=lambda q, p: -p.mu * np.log1p(-q),
    variance=lambda p, o: (0.0, 0.0, 1.0),
    residual=Residual(
        lambda link, mean, p: np.full(mean.shape, np.pi**2 / 6.0),
        lambda link: "the residual variance pi^2 / 6 of log y",
    ),
    pymc=_pymc,
    summed=_summed,
    rows={"log": ExponentialRows()},
    aliases=("exp",),
)
