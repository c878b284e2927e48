"""Variables of a model on the whole real line, as samplers move them, and the package's own priors in closed form.

The transforms are PyMC's: logarithms of what is positive, log odds of what lies in (0, 1), an ordered vector as its
first entry and logarithms of its steps. Each density here is that of the transformed variable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, expit, gammaincc, gammaln

from bayesmargins.model.priors import Prior

__all__ = ["CLOSED", "Closed", "Density", "Held", "Ordered", "Variable", "closed"]

Array = npt.NDArray[np.float64]
# x, dx/du, log density of u, its derivative: all of the shape of u.
Elements = tuple[Array, Array | float, Array, Array]

_LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Density(Protocol):
    """The prior of one variable: u (draw, entry) on the real line, x (draw, entry) as the model has it."""

    def values(self, u: Array) -> Array:
        """The variable itself: (draw, entry)."""

    def log_density(self, u: Array) -> Array:
        """Of all entries of u: (draw,)."""

    def gradient(self, u: Array, d_x: Array) -> Array:
        """Derivatives in u of `log_density` and of what has the derivatives `d_x` in x: (draw, entry)."""


@dataclass(frozen=True)
class Variable:
    """One variable of the model."""

    name: str  # that of the PyMC model
    prior: Density
    start: Array  # (entry,): where `u` is of a plausible size


@dataclass(frozen=True)
class Closed:
    """Independent entries under one distribution."""

    elements: Callable[[Array], Elements]

    def values(self, u: Array) -> Array:
        """See `Density`."""
        return self.elements(u)[0]

    def log_density(self, u: Array) -> Array:
        """See `Density`."""
        total: Array = self.elements(u)[2].sum(axis=1)
        return total

    def gradient(self, u: Array, d_x: Array) -> Array:
        """See `Density`."""
        _, slope, _, own = self.elements(u)
        return d_x * slope + own


@dataclass(frozen=True)
class Held:
    """One number that nothing moves: no entry on the real line."""

    value: float

    def values(self, u: Array) -> Array:
        """See `Density`."""
        return np.full((len(u), 1), self.value)

    def log_density(self, u: Array) -> Array:
        """See `Density`."""
        return np.zeros(len(u))

    def gradient(self, u: Array, d_x: Array) -> Array:
        """See `Density`."""
        return np.zeros((len(u), 0))


@dataclass(frozen=True)
class Ordered:
    """Entries in order, under a distribution of the real line."""

    elements: Callable[[Array], Elements]

    def values(self, u: Array) -> Array:
        """See `Density`."""
        return np.cumsum(self._steps(u), axis=1)

    def log_density(self, u: Array) -> Array:
        """See `Density`."""
        total: Array = self.elements(self.values(u))[2].sum(axis=1) + u[:, 1:].sum(axis=1)
        return total

    def gradient(self, u: Array, d_x: Array) -> Array:
        """See `Density`."""
        steps = self._steps(u)
        own = d_x + self.elements(np.cumsum(steps, axis=1))[3]
        after = np.cumsum(own[:, ::-1], axis=1)[:, ::-1]
        return np.column_stack([after[:, :1], after[:, 1:] * steps[:, 1:] + 1.0])

    @staticmethod
    def _steps(u: Array) -> Array:
        return np.column_stack([u[:, :1], np.exp(u[:, 1:])])


def closed(prior: Prior) -> tuple[Callable[[Array], Elements], Array] | None:
    """Elements of a prior and where its variable begins, on the real line; None where there is no closed form here."""
    known = CLOSED.get(prior.name)
    if known is None or set(prior.parameters) != set(signature(known).parameters):
        return None
    found: tuple[Callable[[Array], Elements], Array] | None = known(**prior.parameters)
    return found


def _real(log_density: Callable[[Array], tuple[Array, Array]]) -> Callable[[Array], Elements]:
    """From log density and derivative in x itself."""
    return lambda u: (u, 1.0, *log_density(u))


def _positive(log_density: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[[Array], Elements]:
    """From x = exp(u) and u."""

    def elements(u: Array) -> Elements:
        x = np.exp(u)
        return (x, x, *log_density(x, u))

    return elements


def _normal(mu: Any, sigma: Any) -> Any:
    def log_density(x: Array) -> tuple[Array, Array]:
        z = (x - mu) / sigma
        return -0.5 * (z**2 + _LOG_TWO_PI) - np.log(sigma), -z / sigma

    return _real(log_density), np.asarray(mu, dtype=np.float64)


def _student_t(nu: float, mu: float, sigma: float) -> Any:
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(np.pi * nu) - np.log(sigma)

    def log_density(x: Array) -> tuple[Array, Array]:
        z = (x - mu) / sigma
        return constant - (nu + 1) / 2 * np.log1p(z**2 / nu), -(nu + 1) * z / (nu + z**2) / sigma

    return _real(log_density), np.asarray(mu, dtype=np.float64)


def _half_normal(sigma: Any) -> Any:
    def log_density(x: Array, u: Array) -> tuple[Array, Array]:
        square = (x / sigma) ** 2
        return u - 0.5 * square + 0.5 * np.log(2.0 / np.pi) - np.log(sigma), 1.0 - square

    return _positive(log_density), np.log(sigma)


def _exponential(scale: Any) -> Any:
    return _positive(lambda x, u: (u - x / scale - np.log(scale), 1.0 - x / scale)), np.log(scale)


def _inverse_gamma(alpha: float, beta: float) -> Any:
    constant = alpha * np.log(beta) - gammaln(alpha)

    def log_density(x: Array, u: Array) -> tuple[Array, Array]:
        return constant - alpha * u - beta / x, beta / x - alpha

    return _positive(log_density), np.log(beta / alpha)


def _chi_squared(nu: Any) -> Any:
    constant = -gammaln(nu / 2) - nu / 2 * np.log(2.0)
    return _positive(lambda x, u: (constant + nu / 2 * u - x / 2, (nu - x) / 2)), np.log(nu)


def _beta(alpha: Any, beta: Any) -> Any:
    def elements(u: Array) -> Elements:
        x, rest = expit(u), expit(-u)
        log_density = -alpha * np.logaddexp(0.0, -u) - beta * np.logaddexp(0.0, u) - betaln(alpha, beta)
        return x, x * rest, log_density, alpha * rest - beta * x

    return elements, np.log(alpha / beta)


def _truncated(dist: Prior, lower: float) -> Any:
    """Of a gamma distribution alone, from `lower` on."""
    if dist.name != "Gamma" or set(dist.parameters) != {"alpha", "beta"}:
        return None
    alpha, beta = dist.parameters["alpha"], dist.parameters["beta"]
    constant = alpha * np.log(beta) - gammaln(alpha) - np.log(gammaincc(alpha, beta * lower))

    def elements(u: Array) -> Elements:
        over = np.exp(u)
        x = lower + over
        return x, over, constant + (alpha - 1) * np.log(x) - beta * x + u, 1 + over * ((alpha - 1) / x - beta)

    return elements, np.log(alpha / beta)


CLOSED: dict[str, Callable[..., Any]] = {
    "Normal": _normal,
    "StudentT": _student_t,
    "HalfNormal": _half_normal,
    "Exponential": _exponential,
    "InverseGamma": _inverse_gamma,
    "ChiSquared": _chi_squared,
    "Beta": _beta,
    "Truncated": _truncated,
}
