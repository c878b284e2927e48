"""The probit link: E[Phi(eta + s Z)] = Phi(eta / sqrt(1 + s^2)), and derivatives of that."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.family.link import FLAT, Array, Between, Link, Tensors, as_float, normal_density

__all__ = ["log_ndtr", "normal_tails", "probit"]

_HERMITE = 1.0865 / math.sqrt(2.0 * math.pi)
_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_GAUSS = 32


# scipy.special is a fifth of the package's import time, so SciPy loads it at the first call.
def _ndtri(mu: npt.ArrayLike) -> Array:
    return scipy.special.ndtri(as_float(mu))


def _ndtr(eta: npt.ArrayLike) -> Array:
    return scipy.special.ndtr(as_float(eta))


def _complement(eta: npt.ArrayLike) -> Array:
    return scipy.special.ndtr(-as_float(eta))


def _derivative(eta: npt.ArrayLike) -> Array:
    return normal_density(np.clip(as_float(eta), -FLAT, FLAT))


def _second(eta: npt.ArrayLike) -> Array:
    x = np.clip(as_float(eta), -FLAT, FLAT)
    return -x * normal_density(x)


def _third(eta: npt.ArrayLike) -> Array:
    x = np.clip(as_float(eta), -FLAT, FLAT)
    return (x * x - 1.0) * normal_density(x)


def _fourth(eta: npt.ArrayLike) -> Array:
    x = np.clip(as_float(eta), -FLAT, FLAT)
    return x * (3.0 - x * x) * normal_density(x)


def _closed_form(eta: Array, s2: Array, part: str) -> Array:
    tau = np.sqrt(1.0 + s2)
    functions = {"mean": _ndtr, "complement": _complement, "d1": _derivative, "d2": _second}
    functions |= {"d3": _third, "d4": _fourth}
    power = {"d1": 1, "d2": 2, "d3": 3, "d4": 4}.get(part, 0)
    return functions[part](eta / tau) / tau**power


def _closed_log(eta: Array, s2: Array, part: str) -> Array:
    x = eta / np.sqrt(1.0 + s2)
    return np.asarray(scipy.special.log_ndtr(x if part == "mean" else -x))


def _between(eta: Array, s2: Array, rest: Array) -> Between:
    """Plackett's integral (1954) over the correlation of two groups, by two Gauss-Legendre rules."""
    variance = 1.0 + s2 + rest
    a2, top = eta * eta / variance, np.arcsin(s2 / variance)
    fine, coarse = (_plackett(a2, top, n) for n in (2 * _GAUSS, _GAUSS))
    apart = np.abs(fine - coarse)
    worst = float(np.max(apart, initial=0.0, where=np.isfinite(apart)))
    return Between(fine, worst + 4.0 * float(np.finfo(np.float64).eps), "Gauss-Legendre", 2 * _GAUSS)


def _plackett(a2: Array, top: Array, nodes: int) -> Array:
    x, weights = scipy.special.roots_legendre(nodes)
    total = np.zeros(np.broadcast_shapes(a2.shape, top.shape))
    for at, weight in zip(0.5 * (x + 1.0), 0.5 * weights, strict=True):
        total += weight * np.exp(-a2 / (1.0 + np.sin(top * at)))
    return total * top / (2.0 * np.pi)


def log_ndtr(pt: Any, x: Any) -> Any:
    """log Phi(x), by erfcx in the lower tail. PyMC's own takes the square root of 2 in single precision."""
    u = x / np.sqrt(2.0)
    return pt.switch(pt.lt(x, -1.0), pt.log(pt.erfcx(-u) / 2.0) - u * u, pt.log1p(-pt.erfc(u) / 2.0))


class Probit(NamedTuple):
    """Phi in compiled code."""

    part: int

    def average(self, part: int, eta: float, s2: float) -> float:
        """E[f(eta + s Z)]; erfc of the small side keeps its digits."""
        root = 1.0 / math.sqrt(1.0 + s2)
        x = eta * root
        if part < 2:
            return 0.5 * math.erfc((-x if part == 0 else x) * _ROOT_HALF)
        if abs(x) > FLAT:
            return 0.0
        density = _DENSITY * math.exp(-0.5 * x * x) * root
        return density if part == 2 else -x * density * root


probit = Link(
    "probit",
    _ndtri,
    _ndtr,
    _derivative,
    _second,
    higher=(_third, _fourth),
    tensors=Tensors(
        lambda pt, eta: 0.5 * pt.erfc(-eta / np.sqrt(2.0)),
        logs=lambda pt, eta: (log_ndtr(pt, eta), log_ndtr(pt, -eta)),
    ),
    complement=_complement,
    bounded=True,
    latent_variance="1",
    normal=True,
    symmetric=True,
    steep=("mean", "complement"),
    closed_form=_closed_form,
    closed_linked=lambda eta, s2: eta / np.sqrt(1.0 + s2),
    closed_between=_between,
    closed_log=_closed_log,
    steepest=(1.0, 0.399, 0.242, 0.399, 0.5506, 1.197, 2.308, 5.985, 14.18, 41.89, 115.1, 377.1, 1163.0),
    # He_{n-1} times the density; Cramer's inequality for Hermite polynomials
    steeper=lambda n: _HERMITE * math.exp(0.5 * math.lgamma(n)),
    kernels=Probit,
)


def normal_tails(pm: Any, y: Any, mu: Any, sigma: Any) -> tuple[Any, Any]:
    """log P(Y <= y) and log P(Y > y) of a normal y, however far out."""
    z = (y - mu) / sigma
    return log_ndtr(pm.math.pt, z), log_ndtr(pm.math.pt, -z)
