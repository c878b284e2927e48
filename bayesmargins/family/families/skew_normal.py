"""The skew normal distribution, by its mean and standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.links.probit import probit
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import REAL, Outcome, Values
from bayesmargins.family.special import positive_integral

__all__ = ["skew_normal"]

_SPAN = 9.0  # a Gaussian tail of 1e-19
_ALIKE = 0.9  # of two terms: above it their difference is an integral
_LOG_TWO_PI = float(np.log(2.0 * np.pi))


def _shape(p: Values) -> tuple[Array, Array]:
    """How far the mean lies above xi, and omega: the density is 2 phi(z) Phi(alpha z) / omega, z = (y - xi) / omega."""
    delta = np.sqrt(2.0 / np.pi) * p.alpha / np.hypot(1.0, p.alpha)
    omega = p.sigma / np.sqrt(1.0 - delta * delta)
    return omega * delta, omega


def _place(p: Values) -> tuple[Array, Array]:
    """xi and omega."""
    above, omega = _shape(p)
    return p.mu - above, omega


def _log_density(p: Values, o: Outcome) -> Array:
    xi, omega = _place(p)
    z = (o.y - xi) / omega
    return np.log(2.0 / omega) - 0.5 * (z * z + _LOG_TWO_PI) + scipy.special.log_ndtr(p.alpha * z)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """delta |U| + sqrt(1 - delta^2) V (Azzalini & Dalla Valle 1996)."""
    (xi, omega), alpha = _place(p), np.asarray(p.alpha)
    shape = np.broadcast_shapes(np.shape(xi), np.shape(omega), alpha.shape)
    u, v = np.abs(rng.standard_normal(shape)), rng.standard_normal(shape)
    return xi + omega * (alpha * u + v) / np.hypot(1.0, alpha)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    xi, omega = _place(p)
    return _beyond(*np.broadcast_arrays((c - xi) / omega, p.alpha))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    xi, omega = _place(p)
    return _beyond(*np.broadcast_arrays((xi - c) / omega, -p.alpha))


def _beyond(z: Array, alpha: Array) -> Array:
    """P(Z > z) = Phi(-z) + 2 T(z, alpha), T Owen's, with full relative accuracy where alpha is below 0 too."""
    one, other = scipy.special.ndtr(-z), 2.0 * scipy.special.owens_t(z, alpha)
    out = np.array(one + other, dtype=np.float64)
    alike = (-other > _ALIKE * one) & (one > 0.0)
    if alike.any():
        at, steep = z[alike], -alpha[alike]
        rest = np.sqrt(2.0 / np.pi) * positive_integral(
            lambda v, z, a: np.exp(-0.5 * (z + v) ** 2) * scipy.special.ndtr(-a * (z + v)),
            np.zeros(at.shape),
            _reach(np.abs(at), steep),
            np.abs(at),
            steep,
        )
        out[alike] = np.where(at < 0.0, scipy.special.erf(-at / np.sqrt(2.0)), 0.0) + rest
    return out


def _reach(z: Array, a: Array) -> Array:
    """Where phi(z + v) Phi(-a (z + v)) has fallen by exp(-40): at least like exp(-(1 + a^2)(v^2 / 2 + z v))."""
    square = _SPAN**2 / (1.0 + a * a)
    return square / (z + np.sqrt(z * z + square))


def _convolved(p: Values, s: Array) -> dict[str, Array]:
    """A normal number added leaves a skew normal one, less skewed."""
    _, omega = _shape(p)
    alpha = p.alpha / np.sqrt(1.0 + (1.0 + p.alpha**2) * (s / omega) ** 2)
    return {"sigma": np.hypot(p.sigma, s), "alpha": alpha}


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """PyMC's own log density is minus infinity from 9 standard deviations on, on the side without a tail."""
    import pytensor.tensor as pt

    def placed(mu: Any, sigma: Any, alpha: Any) -> tuple[Any, Any]:
        delta = np.sqrt(2.0 / np.pi) * alpha / pt.sqrt(1.0 + alpha**2)
        omega = sigma / pt.sqrt(1.0 - delta**2)
        return mu - omega * delta, omega

    def density(y: Any, mu: Any, sigma: Any, alpha: Any) -> Any:
        xi, omega = placed(mu, sigma, alpha)
        z = (y - xi) / omega
        assert probit.tensors.logs is not None
        tail = probit.tensors.logs(pt, alpha * z)[0]
        return np.log(2.0) - pt.log(omega) - 0.5 * (z**2 + _LOG_TWO_PI) + tail

    def drawn(mu: Any, sigma: Any, alpha: Any, size: Any) -> Any:
        xi, omega = placed(mu, sigma, alpha)
        return pm.SkewNormal.dist(mu=xi, sigma=omega, alpha=alpha, size=size)

    observe_by(pm, name, o, o.y, density, drawn, None, "SkewNormal", mu=p.mu, sigma=p.sigma, alpha=p.alpha)


skew_normal = Family(
    "skew_normal",
    (
        Parameter("mu", ("identity", "log"), noun="expected value"),
        Parameter(
            "sigma",
            meaning="the standard deviation within a group",
            prior=lambda o: ("Exponential", {"scale": float(o.y.std()) or 1.0}),
        ),
        Parameter(
            "alpha",
            ("identity",),
            meaning="the skewness: 0 is the normal distribution, above 0 the longer tail is the upper one",
            prior=lambda o: ("Normal", {"mu": 0.0, "sigma": 4.0}),  # as in brms
            between=(-np.inf, np.inf),
        ),
    ),
    REAL,
    _log_density,
    _simulate,
    _above,
    _below,
    variance=lambda p, o: (p.sigma**2, 0.0, 0.0),
    convolved=_convolved,
    pymc=_pymc,
    aliases=("skewnormal", "skewnorm"),
)
