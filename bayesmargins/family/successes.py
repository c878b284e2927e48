"""Successes out of trials as compiled loops take them: log density of a row and its derivatives, a link each.

Plain functions: `integrate.group_rows` compiles them with exp, log and erfcx that a processor takes several at once,
which is why they choose between finished values and never branch. What does not depend on eta is in `base`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, lgamma, log
from typing import Any, NamedTuple

from bayesmargins.family.special import erfcx

__all__ = ["SUCCESS_ROWS"]

_FAR = 690.0  # exp() of it is finite
_SMALL = 0.1  # below it, 1 - exp(-E) by its series


class LogitRows(NamedTuple):
    """y eta - n log(1 + exp(eta))."""

    reads: int = 0
    sign: int = 1

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """log density without `base`; its first and second derivative in eta; its derivatives in u and v."""
        eta = min(max(eta, -_FAR), _FAR)
        E = exp(eta)
        mu = E / (1.0 + E)
        return y * eta - n * log(1.0 + E), y - n * mu, -n * mu / (1.0 + E), 0.0, 0.0

    def multiplies(self) -> bool:
        """Rows with the same n of 1 share one logarithm: that of the product of 1 + exp(eta)."""
        return True

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """What does not depend on eta, and its derivatives in u and v."""
        return lgamma(n + 1.0) - lgamma(y + 1.0) - lgamma(n - y + 1.0), 0.0, 0.0


class ProbitRows(NamedTuple):
    """y log Phi(eta) + (n - y) log Phi(-eta), both from the scaled complementary error function."""

    reads: int = 0
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitRows`."""
        size, m = abs(eta), n - y
        scaled = erfcx(size * 0.7071067811865476)
        density = exp(-0.5 * size * size)
        tail = 0.5 * scaled * density
        far, near = log(0.5 * scaled) - 0.5 * size * size, log(1.0 - tail)
        a, c = 0.7978845608028654 / scaled, 0.3989422804014327 * density / (1.0 - tail)  # phi / Phi at -size and size
        of_far, of_near = (m, y) if eta >= 0.0 else (y, m)
        slope = of_near * c - of_far * a
        bend = -of_near * c * (size + c) - of_far * a * (a - size)
        return of_near * near + of_far * far, slope if eta >= 0.0 else -slope, bend, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitRows`."""
        return lgamma(n + 1.0) - lgamma(y + 1.0) - lgamma(n - y + 1.0), 0.0, 0.0


def _cloglog(y: float, m: float, eta: float) -> tuple[float, float, float]:
    """y log(1 - exp(-E)) - m E with E = exp(eta), and two derivatives in eta."""
    eta = min(max(eta, -_FAR), _FAR)
    E = exp(eta)
    q, x = exp(-E), min(E, _SMALL)
    # (1 - exp(-E)) / E, and its logarithm
    series = 1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0 * (1.0 - x / 6.0 * (1.0 - x / 7.0 * (
        1.0 - x / 8.0 * (1.0 - x / 9.0)))))))  # fmt: skip
    log_series = x * (-0.5 + x * (1.0 / 24.0 + x * x * (-1.0 / 2880.0 + x * x / 181440.0)))
    small = E < _SMALL
    share = series if small else (1.0 - q) / E
    value = eta + log_series if small else log(1.0 - q)
    r = q / share
    return y * value - m * E, y * r - m * E, y * r * (1.0 - E - r) - m * E


class CloglogRows(NamedTuple):
    """Successes and failures of `_cloglog`."""

    reads: int = 0
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitRows`."""
        value, slope, bend = _cloglog(y, n - y, eta)
        return value, slope, bend, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitRows`."""
        return lgamma(n + 1.0) - lgamma(y + 1.0) - lgamma(n - y + 1.0), 0.0, 0.0


class LoglogRows(NamedTuple):
    """Its mirror image: failures and successes at -eta."""

    reads: int = 0
    sign: int = 0

    def node(self, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
        """As of `LogitRows`."""
        value, slope, bend = _cloglog(n - y, y, -eta)
        return value, -slope, bend, 0.0, 0.0

    def base(self, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
        """As of `LogitRows`."""
        return lgamma(n + 1.0) - lgamma(y + 1.0) - lgamma(n - y + 1.0), 0.0, 0.0


SUCCESS_ROWS: Mapping[str, Any] = {
    "logit": LogitRows(),
    "probit": ProbitRows(),
    "cloglog": CloglogRows(),
    "loglog": LoglogRows(),
}
"""By link."""
