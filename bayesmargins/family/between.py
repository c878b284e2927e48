"""One of ordered categories as compiled loops take it: log of what lies between two thresholds, a link each.

u and v are the thresholds below and above the category, far out where there is none. As `successes` says, plain
functions that choose and never branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, expm1, log
from typing import Any, NamedTuple

from bayesmargins.family.special import erfcx

__all__ = ["BETWEEN_ROWS"]

_FAR = 690.0  # exp() of it is finite
_TINY = 1e-300  # in place of 0, or of what rounding puts below it
_ROOT, _PHI = 0.7071067811865476, 0.3989422804014327


class LogitBetween(NamedTuple):
    """H(b) - H(a) = (1 - exp(a - b)) H(b) (1 - H(a)), a = u - eta, b = v - eta."""

    reads: int = 2
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        a, b = min(max(u - eta, -_FAR), _FAR), min(max(v - eta, -_FAR), _FAR)
        A, B = exp(a), exp(b)
        at_a, at_b = A / (1.0 + A), B / (1.0 + B)
        value = b - log(1.0 + A) - log(1.0 + B)
        bend = -at_a / (1.0 + A) - at_b / (1.0 + B)
        return value, at_a + at_b - 1.0, bend, -at_a, 1.0 - at_b

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        gap = max(-expm1(u - v), _TINY)  # of equal thresholds -0.0, whose sign compiled logarithms read as size
        ratio = exp(u - v) / gap
        return log(gap), -ratio, ratio


class ProbitBetween(NamedTuple):
    """Phi(b) - Phi(a), turned so that both or the nearer to 0 lie below 0."""

    reads: int = 2
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitBetween`."""
        a, b = u - eta, v - eta
        turned = a + b > 0.0
        low, high = (-b, -a) if turned else (a, b)
        of_low = 0.5 * erfcx(abs(low) * _ROOT)  # times exp(-low^2 / 2): what lies beyond it
        of_high = 0.5 * erfcx(abs(high) * _ROOT)
        at_low, at_high = exp(-0.5 * low * low), exp(-0.5 * high * high)
        # Both below 0: in units of the density at `high`, which may underflow.
        shift = exp(min(0.5 * (high * high - low * low), 0.0))
        both = high <= 0.0
        P = max(of_high - of_low * shift if both else 1.0 - of_low * at_low - of_high * at_high, _TINY)
        value = log(P) - (0.5 * high * high if both else 0.0)
        d_low, d_high = -_PHI * (shift if both else at_low) / P, _PHI * (1.0 if both else at_high) / P
        slope = d_low + d_high
        bend = -d_high * high - d_low * low - slope * slope
        d_u, d_v = (-d_high, -d_low) if turned else (d_low, d_high)
        return value, -d_u - d_v, bend, d_u, d_v

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitBetween`."""
        return 0.0, 0.0, 0.0


def _cloglog(a: float, b: float) -> tuple[float, float, float, float, float]:
    """log of exp(-A) - exp(-B) = exp(-A) (1 - exp(A - B)), A = exp(a), B = exp(b).

    Then its two derivatives as both fall by the same amount, and those in a and b.
    """
    a, b = min(max(a, -_FAR), _FAR), min(max(b, -_FAR), _FAR)
    A = exp(a)
    gap = exp(b) * (1.0 - exp(a - b))
    q, x = exp(-gap), min(gap, 0.1)
    series = 1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 * (1.0 - x / 7.0 * (
        1.0 - x / 8.0 * (1.0 - x / 9.0)))))))  # fmt: skip
    P = max(gap * series if gap < 0.1 else 1.0 - q, _TINY)
    B = A + gap
    r = q / P if gap < _FAR else 0.0
    return log(P) - A, A - r * gap, -A + r * gap - r * gap * gap / P, -A - A * r, B * r


class CloglogBetween(NamedTuple):
    """a = u - eta, b = v - eta."""

    reads: int = 2
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitBetween`."""
        return _cloglog(u - eta, v - eta)

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitBetween`."""
        return 0.0, 0.0, 0.0


class LoglogBetween(NamedTuple):
    """Its mirror image: a = eta - v, b = eta - u."""

    reads: int = 2
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitBetween`."""
        value, slope, bend, d_a, d_b = _cloglog(eta - v, eta - u)
        return value, -slope, bend, -d_b, -d_a

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitBetween`."""
        return 0.0, 0.0, 0.0


BETWEEN_ROWS: Mapping[str, Any] = {
    "logit": LogitBetween(),
    "probit": ProbitBetween(),
    "cloglog": CloglogBetween(),
    "loglog": LoglogBetween(),
}
"""By link."""
