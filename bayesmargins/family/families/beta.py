"""The beta distribution: proportions between 0 and 1, by their mean and precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import Outcome, Support, Values

__all__ = ["beta", "shapes", "simulate"]

_LARGEST = 1e12
_SMALLEST = 1e-300  # SciPy and NumPy want shapes above 0, and a mean far out on the link scale is 0
_STEEP = 2000.0
_INSIDE = np.finfo(np.float64).tiny, 1.0 - np.finfo(np.float64).epsneg


def shapes(p: Values) -> tuple[Array, Array]:
    """mu phi and (1 - mu) phi."""
    return np.maximum(p.mu * p.phi, _SMALLEST), np.maximum(p.complement * p.phi, _SMALLEST)


def _shapes_of_tails(p: Values) -> tuple[Array, Array]:
    """Of a phi beyond which y is its mean to six digits, and SciPy's tails are no numbers."""
    return shapes(Values(mu=p.mu, complement=p.complement, phi=np.minimum(p.phi, _LARGEST)))


# scipy.stats takes longer to import than the rest of the package, and only a log-likelihood needs it.
def _log_density(p: Values, o: Outcome) -> Array:
    from scipy import stats

    return stats.beta.logpdf(o.y, *shapes(p))


def simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """Draws of y; what rounds to 0 or 1 is the number next to it."""
    a, b = shapes(Values(mu=p.mu, complement=1.0 - p.mu, phi=p.phi))
    return np.clip(rng.beta(a, b), *_INSIDE)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    """P(y > c) = I_(1 - c)((1 - mu) phi, mu phi).

    SciPy's complement takes ten times as long. It is needed where the rounding of 1 - c shows: by at most 2^-54 times
    the hazard of y at c, which is of the order of max(a, 1) / c + b / (1 - c).
    """
    a, b, c = np.broadcast_arrays(*_shapes_of_tails(p), np.clip(c, 0.0, 1.0))
    with np.errstate(divide="ignore", over="ignore"):
        fast = (c >= 0.5) | (np.maximum(a, 1.0) / c + b / (1.0 - c) < _STEEP)
    out = np.empty(c.shape)
    out[fast] = scipy.special.betainc(b[fast], a[fast], 1.0 - c[fast])
    out[~fast] = scipy.special.betaincc(a[~fast], b[~fast], c[~fast])
    return out


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return scipy.special.betainc(*_shapes_of_tails(p), np.clip(c, 0.0, 1.0))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe(pm, pm.Beta, name, o, o.y, alpha=p.mu * p.phi, beta=p.complement * p.phi)


beta = Family(
    "beta",
    (
        Parameter("mu", ("logit", "probit", "cloglog", "loglog", "cauchit"), noun="expected value"),
        Parameter(
            "phi",
            meaning="Var(y) = mu (1 - mu) / (1 + phi)",
            # Of the kind that brms gives the shape of the negative binomial since 2.20: no mass at 0, a long tail
            # upwards. Half the draws of its gamma(0.01, 0.01) are below 1e-28, where every y is 0 or 1.
            prior=lambda o: ("InverseGamma", {"alpha": 0.4, "beta": 0.3}),
            names={"bambi": "kappa"},
        ),
    ),
    Support("numbers between 0 and 1, both excluded", lambda o: (o.y > 0.0) & (o.y < 1.0)),
    _log_density,
    simulate,
    _above,
    _below,
    quantile=lambda q, p: scipy.special.betaincinv(*shapes(p), q),
    variance=lambda p, o: (0.0, 1.0 / (1.0 + p.phi), -1.0 / (1.0 + p.phi)),
    pymc=_pymc,
    names={"brms": "Beta"},
)
