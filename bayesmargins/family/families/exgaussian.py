"""A normal number and an exponential one, added: times with a long tail to the right."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.family import Elsewhere, Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.links.probit import probit
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import REAL, Outcome, Values
from bayesmargins.family.special import less_tilted, log_tilted, tilted

__all__ = ["exgaussian"]


def _deviates(c: Array, p: Values) -> tuple[Array, Array]:
    """How far c lies above the normal part's mean, mu - tau, in its standard deviation; and that in units of tau."""
    return (c - p.mu + p.tau) / p.sigma, p.sigma / p.tau


def _log_density(p: Values, o: Outcome) -> Array:
    x, d = _deviates(o.y, p)
    return log_tilted(-x, d) - np.log(p.tau)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    x, d = _deviates(c, p)
    return scipy.special.ndtr(-x) + tilted(-x, d)


def _below(c: Array, p: Values, o: Outcome) -> Array:
    x, d = _deviates(c, p)
    return less_tilted(-x, d)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """PyMC's own density is that of a normal number where tau is less than a twentieth of sigma."""
    import pytensor.tensor as pt

    def density(y: Any, mu: Any, sigma: Any, tau: Any) -> Any:
        x, d = (y - mu + tau) / sigma, sigma / tau
        assert probit.tensors.logs is not None
        tail = probit.tensors.logs(pt, x - d)[0]
        return tail + d * (0.5 * d - x) - pt.log(tau)

    def drawn(mu: Any, sigma: Any, tau: Any, size: Any) -> Any:
        return pm.ExGaussian.dist(mu=mu - tau, sigma=sigma, nu=tau, size=size)

    observe_by(pm, name, o, o.y, density, drawn, None, "ExGaussian", mu=p.mu, sigma=p.sigma, tau=p.tau)


exgaussian = Family(
    "exgaussian",
    (
        Parameter("mu", ("identity", "log"), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation of the normal part",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
        ),
        Parameter(
            "tau",
            meaning="the mean of the exponential part: Var(y) = sigma^2 + tau^2",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
            names={"brms": "beta", "bambi": "nu"},
        ),
    ),
    REAL,
    _log_density,
    simulate=lambda rng, p, o: rng.normal(p.mu - p.tau, p.sigma) + rng.exponential(p.tau + 0.0 * p.mu),
    above=_above,
    below=_below,
    variance=lambda p, o: (p.sigma**2 + p.tau**2, 0.0, 0.0),
    convolved=lambda p, s: {"sigma": np.hypot(p.sigma, s), "tau": p.tau},
    pymc=_pymc,
    elsewhere={"bambi": Elsewhere(dict, lambda aux: aux["tau"])},  # whose mu is the mean of the normal part
    aliases=("ex_gaussian", "exgauss", "emg"),
)
