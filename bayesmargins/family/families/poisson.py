"""Counts whose variance is their mean."""

from __future__ import annotations

from math import exp, lgamma
from typing import Any, NamedTuple

import numpy as np
import scipy

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.family import Codes, Family, Parameter, Residual, Summed, not_below_zero
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import COUNTS, Outcome, Values

__all__ = ["draw_counts", "poisson"]

_LARGEST_RATE = 1e16
_FAR = 690.0  # exp() of it is finite


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return np.where(p.mu >= 0.0, stats.poisson.logpmf(o.y, np.maximum(p.mu, 0.0)), -np.inf)


def draw_counts(rng: np.random.Generator, mu: Array) -> Array:
    """Beyond what the generator takes, as draws of a wide prior under a log link are, the noise is in the 8th digit."""
    drawn = rng.poisson(np.minimum(mu, _LARGEST_RATE)).astype(np.float64)
    return np.where(mu > _LARGEST_RATE, mu, drawn)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    """P(y > c) = P(c + 1, mu), the regularised incomplete gamma function."""
    c = np.floor(c)
    return np.where(c < 0.0, 1.0, scipy.special.gammainc(np.maximum(c, 0.0) + 1.0, p.mu))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    c = np.floor(c)
    return np.where(c < 0.0, 0.0, scipy.special.gammaincc(np.maximum(c, 0.0) + 1.0, p.mu))


def _mean_between(low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """mu P(low - 1 < y <= high - 1) / P(low < y <= high)."""
    return p.mu * mass(_above, _below, low - 1.0, high - 1.0, p, o) / mass(_above, _below, low, high, p, o)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Poisson, name, o, o.y.astype(np.int64), _TAILS, mu=p.mu)


def _tails(pm: Any, y: Any, mu: Any) -> tuple[Any, Any]:
    pt = pm.math.pt
    return pt.log(pt.gammaincc(y + 1.0, mu)), pt.log(pt.gammainc(y + 1.0, mu))


_TAILS = Tails(_tails, COUNTS)


def _summed(o: Outcome, cell: Codes, cells: int) -> Summed:
    """Counts of all rows of a cell, whose mean is that of one times the number of rows."""
    y, rate = (np.bincount(cell, values, minlength=cells).astype(np.float64) for values in (o.y, np.ones(len(o.y))))
    return Summed(poisson, Outcome(y), _constant(o.y, 1.0) - _constant(y, rate), rate)


def _constant(y: Array, rate: Array | float) -> float:
    """What of log p does not depend on the mean."""
    return float((scipy.special.xlogy(y, rate) - scipy.special.gammaln(y + 1.0)).sum())


class PoissonRows(NamedTuple):
    """y eta - n exp(eta): n rows of one mean, y their sum."""

    reads: int = 0
    sign: int = 1

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        E = n * exp(eta)
        return y * eta - E, y - E, -E, 0.0, 0.0

    def parts(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
        """a and c of a eta - c exp(sign eta), and their derivatives in u."""
        return y, n, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        return -lgamma(y + 1.0), 0.0, 0.0


poisson = Family(
    "poisson",
    (Parameter("mu", ("log", "identity", "sqrt", "softplus"), noun="expected count"),),
    COUNTS,
    _log_density,
    simulate=lambda rng, p, o: draw_counts(rng, not_below_zero(p, "poisson")),
    above=_above,
    below=_below,
    mean_between=_mean_between,
    variance=lambda p, o: (0.0, 1.0, 0.0),
    mean_above=0.0,
    residual=Residual(
        lambda link, mean, p: np.log1p(1.0 / mean),
        lambda link: "the residual variance log(1 + 1 / mean count)",
        under=lambda link: link.exponential,
    ),
    pymc=_pymc,
    summed=_summed,
    tails=_TAILS,
    rate=(),
    rows={"log": PoissonRows()},
)
