"""The asymmetric Laplace distribution, whose mu is a quantile of y: quantile regression.

y is mu and the difference of two exponential numbers, with the means sigma / p and sigma / (1 - p). Beside a normal
number (b, where it is integrated out: `noise`) the tails are those of Reed & Jorgensen (2004), Communications in
Statistics 33:1733-1753, written as sums of positive terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy

from bayesmargins.family.curve import Curve
from bayesmargins.family.family import Elsewhere, Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe
from bayesmargins.family.outcome import REAL, Outcome, Values
from bayesmargins.family.special import less_tilted, tilted

__all__ = ["asymmetric_laplace"]


def _log_density(p: Values, o: Outcome) -> Array:
    q, z = p.quantile, (o.y - p.mu) / p.sigma
    return np.log(q) + np.log1p(-q) - np.log(p.sigma) - np.where(z > 0.0, q * z, (q - 1.0) * z)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    shape = np.broadcast_shapes(*(np.shape(v) for v in (p.mu, p.sigma, p.quantile)))
    up, down = rng.standard_exponential(shape), rng.standard_exponential(shape)
    return p.mu + p.sigma * (up / p.quantile - down / (1.0 - p.quantile))


def _above(c: Array, p: Values, o: Outcome) -> Array:
    return _beyond((c - p.mu) / p.sigma, p.quantile, 1.0 - p.quantile, _noise(p))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    return _beyond((p.mu - c) / p.sigma, 1.0 - p.quantile, p.quantile, _noise(p))


def _noise(p: Values) -> Array | float:
    """The standard deviation of a normal number beside y, in units of sigma."""
    return getattr(p, "noise", 0.0) / p.sigma


def _beyond(z: Array, rate: Array, other: Array, noise: Array | float) -> Array:
    """P(up - down + noise N > z), up and down exponential with these rates, which sum to 1."""
    z, rate, other, noise = np.broadcast_arrays(z, rate, other, noise)
    with np.errstate(over="ignore"):
        alone = np.where(
            z > 0.0, other * np.exp(-rate * np.maximum(z, 0.0)), 1.0 - rate * np.exp(other * np.minimum(z, 0))
        )
    blurred = noise > 0.0
    if blurred.any():
        s, a, b = noise[blurred], rate[blurred], other[blurred]
        x = z[blurred] / s
        beside = b * (scipy.special.ndtr(-x) + tilted(-x, a * s)) + a * less_tilted(x, b * s)
        alone[blurred] = beside
    return alone


def _variance(p: Values, o: Outcome) -> tuple[Array, float, float]:
    q = p.quantile
    own = p.sigma**2 * (1.0 / q**2 + 1.0 / (1.0 - q) ** 2)
    return own + getattr(p, "noise", 0.0) ** 2, 0.0, 0.0


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    import pytensor.tensor as pt

    q = p.quantile
    observe(
        pm,
        pm.AsymmetricLaplace,
        name,
        o,
        o.y,
        kappa=pt.sqrt(q / (1.0 - q)),
        mu=p.mu,
        b=pt.sqrt(q * (1.0 - q)) / p.sigma,
    )


def _of_bambi(aux: Mapping[str, Array]) -> dict[str, Array]:
    """From b and kappa, under which the rates are b kappa upwards and b / kappa downwards."""
    rate, kappa = aux["sigma"], aux["quantile"]
    return {"sigma": kappa / (rate * (1.0 + kappa**2)), "quantile": kappa**2 / (1.0 + kappa**2)}


asymmetric_laplace = Family(
    "asymmetric_laplace",
    (
        Parameter("mu", ("identity",), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the scale: the mean distances from mu upwards and downwards are sigma / p and sigma / (1 - p)",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
            names={"bambi": "b"},
        ),
        Parameter(
            "quantile",
            ("logit",),
            meaning="p: mu is the p-quantile of y within a group",
            prior=lambda o: 0.5,  # estimated, mu would be of a quantile that nobody chose
            between=(0.0, 1.0),
            names={"bambi": "kappa"},
        ),
    ),
    REAL,
    _log_density,
    _simulate,
    _above,
    _below,
    mean=lambda link: Curve(
        link,
        lambda p: p.sigma * (1.0 / p.quantile - 1.0 / (1.0 - p.quantile)),
        reads=("sigma", "quantile"),
    ),
    variance=_variance,
    convolved=lambda p, s: {"sigma": p.sigma, "quantile": p.quantile, "noise": s},
    pymc=_pymc,
    names={"brms": "asym_laplace", "bambi": "asymmetriclaplace"},
    elsewhere={"bambi": Elsewhere(_of_bambi)},
    aliases=("quantile", "laplace", "ald"),
)
