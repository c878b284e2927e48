"""What families of ordered categories share beside P(y <= k): the thresholds, own categories, draws, a likelihood."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np

from bayesmargins.family.family import Parameter
from bayesmargins.family.link import PARTS, Array, Link
from bayesmargins.family.observing import weighed
from bayesmargins.family.outcome import Outcome, Values

__all__ = [
    "at_thresholds",
    "discrimination",
    "drawn_category",
    "growth_of",
    "log_at_thresholds",
    "observe_category",
    "of_own",
    "product",
    "scaled",
    "thresholds",
]


def thresholds(meaning: str, rising: bool = False) -> Parameter:
    """The parameter that families of ordered categories have; `rising` where each is above the one before."""
    return Parameter(
        "thresholds",
        ("identity",),
        meaning=meaning,
        prior=lambda o: ("StudentT", {"nu": 3.0, "mu": 0.0, "sigma": 2.5}),  # as in brms
        names={"brms": "b_Intercept", "bambi": "threshold"},
        along="threshold",
        rising=rising,
    )


def discrimination() -> Parameter:
    """How much eta and thresholds count for against the latent error, where that differs between rows."""
    return Parameter(
        "disc",
        ("log",),
        meaning="what the linear predictor and the thresholds are multiplied by",
        prior=lambda o: 1.0,
    )


def scaled(p: Values) -> Array:
    """Thresholds less eta of all thresholds, (..., threshold), times the discrimination where there is one."""
    x: Array = p.thresholds - np.asarray(p.eta)[..., None]
    return x * np.asarray(p.disc)[..., None] if hasattr(p, "disc") else x


def at_thresholds(link: Link, p: Values, k: int, order: int) -> tuple[Array, Array]:
    """h(theta_k - eta) of threshold k (from 0), 1 - that, and derivatives of both in eta: (order + 1, ...) each."""
    x = p.thresholds[..., k] - p.eta
    changes = [(-1.0) ** n * link.part(PARTS[n + 1])(x) for n in range(1, order + 1)]
    h = np.stack([link.part("mean")(x), *changes])
    rest = np.stack([link.part("complement")(x), *(-d for d in changes)])
    return h, rest


def log_at_thresholds(link: Link, p: Values) -> tuple[Array, Array]:
    """log h(theta - eta) and log(1 - h(theta - eta)) at all thresholds, both to full accuracy: (threshold, ...)."""
    x = np.moveaxis(scaled(p), -1, 0)
    h, rest = link.part("mean")(x), link.part("complement")(x)
    with np.errstate(divide="ignore"):
        logs = {"mean": np.log(h), "complement": np.log(rest)}
    logs |= {part: tail.psi(x) for part, tail in link.log_tails.items()}
    with np.errstate(divide="ignore"):
        return np.where(h > 0.5, np.log1p(-rest), logs["mean"]), np.where(rest > 0.5, np.log1p(-h), logs["complement"])


def growth_of(link: Link) -> tuple[float, Callable[[Array], Array], bool]:
    """Of h and 1 - h alike: half-width of the strip, log growth there, and whether relative to the function itself."""
    strip = link.strip
    if strip is not None:
        growth, scale = strip.log_growth, strip.scale
        both = scale["mean"] is None and scale["complement"] is None
        return strip.half_width, lambda y: np.maximum(growth("mean", y), growth("complement", y)), both
    assert (
        link.normal
    )  # Phi(x) is the integral of the density at x - t over t > 0, and abs(phi(x + iy)) its exp(y^2 / 2)
    return np.inf, lambda y: 0.5 * y * y, True


def product(f: Array, g: Array) -> Array:
    """Derivatives of a product of functions, (order + 1, ...), from theirs, by Leibniz."""
    return np.stack([sum(comb(n, i) * f[i] * g[n - i] for i in range(n + 1)) for n in range(len(f))])


def of_own(values: Array, y: Array) -> Array:
    """Of values (category, ...) that of the category observed."""
    shape = np.broadcast_shapes(values.shape[1:], np.shape(y))
    k = np.broadcast_to(np.asarray(y, dtype=np.intp) - 1, shape)[None]
    return np.take_along_axis(np.broadcast_to(values, (len(values), *shape)), k, axis=0)[0]


def drawn_category(rng: np.random.Generator, probabilities: Array) -> Array:
    """1, and one more for every sum of the first probabilities (category, ...) that a uniform number exceeds."""
    reached = np.cumsum(probabilities, axis=0)[:-1]
    return np.asarray(1.0 + (rng.uniform(size=reached.shape[1:]) > reached).sum(axis=0), dtype=np.float64)


def observe_category(
    pm: Any, name: str, p: Values, o: Outcome, log_probabilities: Callable[[Any, Any, Any], Any]
) -> None:
    """Adds an ordered y to the model; ``log_probabilities(pt, eta, thresholds)`` is (..., category)."""
    import pytensor.tensor as pt

    y = o.y.astype(np.int64) - 1
    last = int(y.max())

    def log_mass(y: Any, eta: Any, thresholds: Any) -> Any:
        own = pt.eq(pt.arange(last + 1), y[..., None])
        value = pt.switch(own, log_probabilities(pt, eta, thresholds), 0.0).sum(axis=-1)
        return weighed(pt.switch(pt.or_(pt.lt(y, 0), pt.gt(y, last)), -np.inf, value), o)

    def drawn(eta: Any, thresholds: Any, size: Any) -> Any:
        return pm.Categorical.dist(pt.exp(log_probabilities(pt, eta, thresholds)), size=size)

    options = {"logp": log_mass, "dist": drawn, "class_name": "Categorical", "observed": y, "dims": "obs"}
    pm.CustomDist(name, p.eta, p.thresholds, signature="(),(t)->()", **options)
