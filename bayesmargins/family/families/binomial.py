"""Successes out of a known number of trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.family.family import LATENT, Codes, Family, Parameter, Summed
from bayesmargins.family.link import Array
from bayesmargins.family.observing import weighed
from bayesmargins.family.outcome import SUCCESSES, Outcome, Values
from bayesmargins.family.successes import SUCCESS_ROWS

__all__ = ["above", "below", "binomial", "log_density", "simulate", "summed_successes", "tensor_log_mass"]


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def log_density(p: Values, o: Outcome) -> Array:
    """log p(y)."""
    from scipy import stats

    return stats.binom.logpmf(o.y, o.number(), p.mu)


def simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """Draws of y."""
    return rng.binomial(np.asarray(o.number()).astype(np.int64), p.mu).astype(np.float64)


def above(c: Array, p: Values, o: Outcome) -> Array:
    """P(y > c) = I_mu(c + 1, n - c)."""
    n = o.number()
    c, inside = _inside(c, n)
    value = scipy.special.betainc(np.where(inside, c + 1.0, 1.0), np.where(inside, n - c, 1.0), p.mu)
    return np.where(inside, value, np.where(c < 0.0, 1.0, 0.0)) + 0.0 * n


def below(c: Array, p: Values, o: Outcome) -> Array:
    """P(y <= c) = I_(1 - mu)(n - c, c + 1)."""
    n = o.number()
    c, inside = _inside(c, n)
    value = scipy.special.betainc(np.where(inside, n - c, 1.0), np.where(inside, c + 1.0, 1.0), p.complement)
    return np.where(inside, value, np.where(c < 0.0, 0.0, 1.0)) + 0.0 * n


def _inside(c: Array, n: Array | float) -> tuple[Array, npt.NDArray[np.bool_]]:
    c = np.floor(c)
    return c, (c >= 0.0) & (c < n)


def tensor_log_mass(pt: Any, link: Any, y: Any, eta: Any, n: Any) -> Any:
    """From the linear predictor: PyMC's own density rounds 1 - mu to 0 far out, and is slower."""
    log, log_complement = link.tensors.logs(pt, eta)
    ways = pt.gammaln(n + 1.0) - pt.gammaln(y + 1.0) - pt.gammaln(n - y + 1.0)
    return pt.switch(pt.or_(pt.lt(y, 0), pt.gt(y, n)), -np.inf, ways + y * log + (n - y) * log_complement)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    import pytensor.tensor as pt

    link = p.link

    def log_mass(y: Any, eta: Any, n: Any) -> Any:
        return weighed(tensor_log_mass(pt, link, y, eta, n), o)

    def drawn(eta: Any, n: Any, size: Any) -> Any:
        return pm.Binomial.dist(n, link.tensors.inverse(pt, eta), size=size)

    n, y = np.asarray(o.number()).astype(np.int64), o.y.astype(np.int64)
    pm.CustomDist(name, p.eta, n, logp=log_mass, dist=drawn, class_name="Binomial", observed=y, dims="obs")


def summed_successes(o: Outcome, cell: Codes, cells: int) -> Summed:
    """Successes of all rows of a cell, out of all their trials."""
    n = np.broadcast_to(np.asarray(o.number()), o.y.shape)
    y, trials = (np.bincount(cell, values, minlength=cells).astype(np.float64) for values in (o.y, n))
    return Summed(binomial, Outcome(y, trials), float(_log_ways(o.y, n).sum() - _log_ways(y, trials).sum()))


def _log_ways(y: Array, n: Array) -> Array:
    return -np.log1p(n) - scipy.special.betaln(n - y + 1.0, y + 1.0)


binomial = Family(
    "binomial",
    (Parameter("mu", ("logit", "probit", "cloglog", "loglog", "cauchit"), noun="probability"),),
    SUCCESSES,
    log_density,
    simulate,
    above,
    below,
    variance=lambda p, o: (0.0, o.number(), -o.number()),
    residual=LATENT,
    pymc=_pymc,
    rows=SUCCESS_ROWS,
    summed=summed_successes,
)
