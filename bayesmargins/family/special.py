"""Special functions that several families share, to full relative accuracy in both tails."""

from __future__ import annotations

import math
from math import log

import numpy as np
import numpy.typing as npt
import scipy

__all__ = ["digamma", "digamma_from_1", "erfcx", "incomplete_beta", "lgamma_from_1", "odds"]

Array = npt.NDArray[np.float64]


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
    """log Gamma(x), x >= 1, to some 1e-15 of the larger of it and 1, without a branch or a loop: for the rows of loops."""
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
