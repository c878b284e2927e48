"""Where the linear predictor of a parameter beside the mean is expected: where its prior without a formula has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family import Link, Outcome, Parameter
from bayesmargins.model.priors import made_prior
from bayesmargins.model.scales import WIDTH, Scales, unit_of

__all__ = ["scales_of_parameter"]

Array = npt.NDArray[np.float64]

_SHARES = np.array([0.158655253931457, 0.5, 0.841344746068543])  # of a normal below mean - sd, mean, mean + sd
_DRAWS = 10_001
_INSIDE = 1e-6


def scales_of_parameter(parameter: Parameter, link: Link, outcome: Outcome, offset: Array) -> Scales:
    """From three quantiles of the parameter's own default prior, on the link scale; offset (row,)."""
    prior = None if parameter.prior is None else parameter.prior(outcome)
    if isinstance(prior, tuple):
        low, middle, high = link.link(_inside(parameter, _quantiles(*prior))).tolist()
        spread = abs(high - low) / 2.0
    else:
        middle, spread = float(link.link(np.asarray(_somewhere(parameter) if prior is None else prior))), 0.0
    known = link.linear or link.exponential or link.bounded
    unit = unit_of(link, np.array([middle - spread, middle + spread]), middle) if known else spread or 1.0
    return Scales(middle - float(np.mean(offset)), unit, spread or WIDTH * unit)


def _somewhere(parameter: Parameter) -> float:
    """A plain value, where nothing is known of it."""
    low, high = parameter.between
    if np.isfinite(high):
        return (low + high) / 2.0 if np.isfinite(low) else high - 1.0
    return low + 1.0 if np.isfinite(low) else 0.0


def _inside(parameter: Parameter, values: Array) -> Array:
    """Strictly within its bounds, whatever the prior says of their edge."""
    low, high = parameter.between
    width = high - low if np.isfinite(high - low) else 1.0
    return np.asarray(np.clip(values, low + _INSIDE * width, high - _INSIDE * width))


def _quantiles(name: str, given: Mapping[str, Any]) -> Array:
    """Those of `_SHARES`, of a distribution of PyMC; a family of the user's own may have any."""
    cut = given["dist"] if name == "Truncated" and given.get("upper") is None else None
    found = _frozen(name, given) if cut is None else _frozen(*cut)
    if found is None:
        return _of_draws(name, given)
    below = 0.0 if cut is None else found.cdf(given["lower"])
    return np.asarray(found.ppf(below + (1.0 - below) * _SHARES))


def _frozen(name: str, given: Mapping[str, Any]) -> Any:
    """As SciPy has it; None where it is written in another way than here."""
    from scipy import stats

    written = {
        ("Exponential", "scale"): lambda scale: stats.expon(scale=scale),
        ("Beta", "alpha", "beta"): stats.beta,
        ("Gamma", "alpha", "beta"): lambda alpha, beta: stats.gamma(alpha, scale=1.0 / beta),
        ("InverseGamma", "alpha", "beta"): lambda alpha, beta: stats.invgamma(alpha, scale=beta),
        ("Normal", "mu", "sigma"): stats.norm,
        ("HalfNormal", "sigma"): lambda sigma: stats.halfnorm(scale=sigma),
        ("Uniform", "lower", "upper"): lambda lower, upper: stats.uniform(lower, upper - lower),
    }
    made = written.get((name, *given))
    return None if made is None else made(*given.values())


def _of_draws(name: str, given: Mapping[str, Any]) -> Array:
    import pymc as pm

    draws = np.asarray(pm.draw(made_prior(name, given).dist(), _DRAWS, random_seed=1))
    return np.asarray(np.quantile(draws, _SHARES))
