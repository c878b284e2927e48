"""Special functions that several families share, to full relative accuracy in both tails."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import log

import numpy as np
import numpy.typing as npt
import scipy

__all__ = [
    "digamma",
    "digamma_from_1",
    "erfcx",
    "incomplete_beta",
    "less_tilted",
    "lgamma_from_1",
    "log_tilted",
    "odds",
    "positive_integral",
    "tilted",
]

Array = npt.NDArray[np.float64]

_ROOT_HALF = math.sqrt(0.5)
_SPAN = 9.0  # a Gaussian tail of 1e-19
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_ALIKE = 0.9  # of two terms: above it their difference is an integral


def odds(one: Array, other: Array) -> tuple[Array, Array]:
    """one / (one + other) and its complement, also at 0 and infinity."""
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + other / one), 1.0 / (1.0 + one / other)


def incomplete_beta(a: Array, b: Array, x: Array, y: Array) -> Array:
    """I_x(a, b) from the smaller of x and y = 1 - x: with a or b below 1 the digits of the other do not suffice."""
    a, b, x, y = np.broadcast_arrays(a, b, x, y)
    small = ~(x > 0.5)
    out = np.empty(x.shape)
    out[small] = scipy.special.betainc(a[small], b[small], x[small])
    out[~small] = scipy.special.betaincc(b[~small], a[~small], y[~small])
    return out


def erfcx(x: float) -> float:
    """exp(x^2) erfc(x); compiled code has its own for x >= 0."""
    return float(scipy.special.erfcx(x))


def digamma(x: float) -> float:
    """Derivative of lgamma, x > 0: in compiled code too (Abramowitz & Stegun 6.3.5, 6.3.18)."""
    value = 0.0
    while x < 12.0:
        value -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    series = z * (1.0 / 12.0 - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (
        691.0 / 32760.0 - z / 12.0))))))  # fmt: skip
    return value + math.log(x) - 0.5 / x - series


def lgamma_from_1(x: float) -> float:
    """log Gamma(x), x >= 1, to 1e-14 of the larger of it and 1, without a branch or a loop: for compiled loops."""
    z = x + 8.0
    r = 1.0 / z
    q = r * r
    series = r * (1.0 / 12.0 - q * (1.0 / 360.0 - q * (1.0 / 1260.0 - q * (1.0 / 1680.0 - q * (1.0 / 1188.0 - q * (
        691.0 / 360360.0 - q / 156.0))))))  # fmt: skip
    below = log(x * (x + 1.0) * (x + 2.0) * (x + 3.0)) + log((x + 4.0) * (x + 5.0) * (x + 6.0) * (x + 7.0))
    return (z - 0.5) * log(z) - z + 0.9189385332046728 + series - below


def digamma_from_1(x: float) -> float:
    """Its derivative, likewise."""
    z = x + 8.0
    r = 1.0 / z
    q = r * r
    series = q * (1.0 / 12.0 - q * (1.0 / 120.0 - q * (1.0 / 252.0 - q * (1.0 / 240.0 - q * (1.0 / 132.0 - q * (
        691.0 / 32760.0 - q / 12.0))))))  # fmt: skip
    below = 1.0 / x + 1.0 / (x + 1.0) + 1.0 / (x + 2.0) + 1.0 / (x + 3.0)
    below += 1.0 / (x + 4.0) + 1.0 / (x + 5.0) + 1.0 / (x + 6.0) + 1.0 / (x + 7.0)
    return log(z) - 0.5 * r - series - below


def positive_integral(f: Callable[..., Array], low: Array, high: Array, *others: Array) -> Array:
    """The integral of ``f(v, *others)`` over v from low to high, f as smooth as a Gaussian over 18 sd; all (n,)."""
    half = 0.5 * (high - low)
    v = (low + half)[:, None] + half[:, None] * _NODES
    return np.asarray(half * (f(v, *(o[:, None] for o in others)) @ _WEIGHTS))


def log_tilted(a: Array, d: Array) -> Array:
    """log of exp(a d + d^2 / 2) Phi(-a - d): what an exponential tail adds beyond a normal deviate a."""
    b = a + d
    near = np.maximum(b, 0.0) * _ROOT_HALF
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.log(0.5 * scipy.special.erfcx(near)) - 0.5 * a * a
        return np.where(b > 0.0, beyond, d * (a + 0.5 * d) + scipy.special.log_ndtr(-b))


def tilted(a: Array, d: Array) -> Array:
    """exp(a d + d^2 / 2) Phi(-a - d), d >= 0."""
    return np.exp(log_tilted(a, d))


def less_tilted(a: Array, d: Array) -> Array:
    """Phi(-a) - exp(a d + d^2 / 2) Phi(-a - d), d >= 0: the integral of phi(a + v) (1 - exp(-d v)) over v > 0.

    Where the two terms are nearly the same it is taken by quadrature, which has all digits.
    """
    a, d = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(d, dtype=np.float64))
    one, other = scipy.special.ndtr(-a), tilted(a, d)
    out = np.array(one - other)
    alike = (other > _ALIKE * one) & (one > 0.0) & (d > 0.0)
    if alike.any():
        A, D = a[alike], d[alike]
        high = np.where(A > 0.0, _SPAN**2 / (A + np.hypot(A, _SPAN)), _SPAN - A)
        low = np.maximum(-A - _SPAN, 0.0)
        density = positive_integral(lambda v, a, d: np.exp(-0.5 * (a + v) ** 2) * -np.expm1(-d * v), low, high, A, D)
        out[alike] = density / math.sqrt(2.0 * math.pi)
    return out
