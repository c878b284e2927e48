"""The logit link: averages over normal group effects by the trapezoid rule, in a strip of half-width pi."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.family.link import (
    PARTS,
    Array,
    Average,
    Averages,
    Cells,
    Link,
    LogTail,
    Ratio,
    Strip,
    Tensors,
    as_float,
    bisected,
)

__all__ = ["logit"]

_EPS = float(np.finfo(np.float64).eps)


# scipy.special is a fifth of the package's import time, so SciPy loads it at the first call.
def _logit(mu: npt.ArrayLike) -> Array:
    return scipy.special.logit(as_float(mu))


def _expit(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(as_float(eta))


def _complement(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(-as_float(eta))


def _derivative(eta: npt.ArrayLike) -> Array:
    return scipy.special.expit(as_float(eta)) * scipy.special.expit(-as_float(eta))


def _second(eta: npt.ArrayLike) -> Array:
    return -_derivative(eta) * np.tanh(0.5 * as_float(eta))


def _third(eta: npt.ArrayLike) -> Array:
    v = _derivative(eta)
    return v * (1.0 - 6.0 * v)


def _fourth(eta: npt.ArrayLike) -> Array:
    v = _derivative(eta)
    return -v * np.tanh(0.5 * as_float(eta)) * (1.0 - 12.0 * v)


_POWER = {"mean": 1, "complement": 1, "d1": 2, "d2": 3, "d3": 4, "d4": 5}
_FACTOR = {"d3": 1.5, "d4": 3.0}


def _growth(part: str, y: Array) -> Array:
    # |1 + q e^{-iy}|^2 - (1 + q)^2 cos^2(y/2) = (1 - q)^2 sin^2(y/2) >= 0: a factor 1/cos(y/2) per power of h or 1 - h;
    # h''' = pq (p^2 - 4pq + q^2) and h'''' = pq (q - p) (p^2 - 10pq + q^2), the absolute terms at most 1.5 and 3
    return np.log(_FACTOR.get(part, 1.0)) - _POWER[part] * np.log(np.cos(0.5 * y))


def _log_expit(x: Array) -> Array:
    return -np.logaddexp(0.0, -x)


def _log_slope(x: Array) -> Array:
    return np.asarray(scipy.special.expit(-x))


def _left_mode(eta: Array, s: Array) -> Array:
    return -bisected(_log_slope)(-eta, s)


def _linked(of: Averages) -> tuple[Array, float]:
    """log E[h] - log E[1 - h], each in its own right: neither rare nor nearly certain events lose digits."""
    value = np.log(of.mean.value) - np.log(of.complement.value)
    finite = np.abs(value[np.isfinite(value)])
    largest = float(finite.max()) if finite.size else 0.0
    return value, of.relative("mean") + of.relative("complement") + 4.0 * _EPS * largest


def _between(average: Callable[..., Any], mean: Average, complement: Average) -> tuple[Array, float]:
    """By h^2 = h - h'."""
    slope = average("d1")
    return mean.value * complement.value - slope.value, slope.error_bound


def _logs(pt: Any, eta: Any) -> tuple[Any, Any]:
    """-softplus(-eta) and -softplus(eta), which have all but a term of eta in common."""
    negative = pt.lt(eta, 0.0)
    common = pt.log1p(pt.exp(pt.switch(negative, eta, -eta)))
    return pt.switch(negative, eta, 0.0) - common, pt.switch(negative, 0.0, -eta) - common


class Logit(NamedTuple):
    """h, 1 - h and two derivatives in compiled code."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        q = math.exp(-abs(x))
        small, large = q / (1.0 + q), 1.0 / (1.0 + q)
        if part == 0:
            return large if x >= 0.0 else small
        if part == 1:
            return small if x >= 0.0 else large
        v, bend = small * large, (small - large) if x >= 0.0 else (large - small)
        if part == 2:
            return v
        if part == 3:
            return v * bend
        return v * (1.0 - 6.0 * v) if part == 4 else v * bend * (1.0 - 12.0 * v)

    def plain(self, eta: float, s2: float) -> float:
        """h(eta) in a form that vectorises."""
        return 1.0 / (1.0 + exp(-eta))

    def start(self, x: float) -> tuple[float, float]:
        """t = exp(-|eta|), and what a row's terms begin with."""
        t = math.exp(-abs(x))
        return t, 2.0 if (x >= 0.0) == (self.part == 0) else 2.0 * t * t

    def pair(self, m: int, w: float, up: Array, down: Array, t: Array, alpha: Array, total: Array) -> None:
        """Add the two nodes +-z of every row, with t = exp(-|eta|) <= 1 and c = exp(s z) + exp(-s z).

        Over the common denominator (1 + t e^{sz})(1 + t e^{-sz}) = 1 + t c + t^2 one division serves both, and every
        term of the mean is positive: nothing cancels, however rare the event.
        """
        if self.part < 2:
            for i in range(m):
                tc = t[i] * (up[i] + down[i])
                total[i] += w * ((alpha[i] + tc) / (1.0 + tc + t[i] * t[i]))
        elif self.part == 2:
            for i in range(m):
                p = t[i] * t[i]
                tc = t[i] * (up[i] + down[i])
                r = 1.0 / (1.0 + tc + p)
                total[i] += w * ((tc * (1.0 + p) + 4.0 * p) * r * r)
        else:
            for i in range(m):
                p = t[i] * t[i]
                tc = t[i] * (up[i] + down[i])
                r = 1.0 / (1.0 + tc + p)
                q = tc * r
                total[i] += w * (r * (q * (q - (1.0 + p) * r) - 8.0 * p * r * r))

    def finish(self, x: float, total: float) -> float:
        """The sign of h'', which the terms of -|eta| do not know, and the factor that vanishes at 0."""
        return math.copysign(1.0, x) * -math.expm1(-2.0 * abs(x)) * total if self.part == 3 else total

    def factor(self, x: float) -> float:
        """What eta or a group's shift multiplies the odds against by."""
        return math.exp(-x)

    def group(self, m: int, w: float, g: float, t: Array, some: Array) -> None:
        """Add one group to every row, with u = t g = exp(-(eta + shift)): p = 1 / (1 + u) is the mean, u p the rest.

        Every term of mean, complement and d1 is positive: nothing cancels, however rare the event.
        """
        if self.part == 0:
            for i in range(m):
                some[i] += w / (1.0 + t[i] * g)
        elif self.part == 1:
            for i in range(m):
                u = t[i] * g
                some[i] += w * u / (1.0 + u)
        elif self.part == 2:
            for i in range(m):
                u = t[i] * g
                p = 1.0 / (1.0 + u)
                some[i] += w * (u * p * p)
        else:
            for i in range(m):
                u = t[i] * g
                p = 1.0 / (1.0 + u)
                some[i] += w * (u * p * p * ((u - 1.0) * p))


class LogitHigher(Logit):
    """The third and fourth derivative: compiled where they are asked for."""

    def pair(self, m: int, w: float, up: Array, down: Array, t: Array, alpha: Array, total: Array) -> None:
        """With t = exp(-|eta|), t e^{-+sz} are the odds against at the two nodes; `finish` puts the sign back."""
        for side in range(2):
            g = up if side == 0 else down
            for i in range(m):
                u = t[i] * g[i]
                p = 1.0 / (1.0 + u)
                q = u * p
                v, bend = p * q, q - p
                total[i] += w * (v * (1.0 - 6.0 * v) if self.part == 4 else v * bend * (1.0 - 12.0 * v))

    def finish(self, x: float, total: float) -> float:
        """h'''' is odd."""
        return math.copysign(1.0, x) * total if self.part == 5 else total


logit = Link(
    "logit",
    _logit,
    _expit,
    _derivative,
    _second,
    higher=(_third, _fourth),
    tensors=Tensors(
        lambda pt, eta: pt.sigmoid(eta),
        logs=_logs,
        factors=True,
    ),
    complement=_complement,
    bounded=True,
    latent_sd=float(np.pi / np.sqrt(3)),
    latent_variance="pi^2 / 3",
    symmetric=True,
    strip=Strip(
        half_width=np.pi,
        log_growth=_growth,
        scale={"mean": None, "complement": None, "d1": None, "d2": 0.25, "d3": 0.25, "d4": 0.25},
        tolerance=dict.fromkeys(PARTS, 1e-14),
        moments=(0.0, np.pi**2 / 3, 0.0, 7 * np.pi**4 / 15),
    ),
    log_tails={
        "mean": LogTail(_log_expit, _log_slope, bisected(_log_slope)),
        "complement": LogTail(lambda x: _log_expit(-x), lambda x: -_log_slope(-x), _left_mode),
    },
    linked=_linked,
    between=_between,
    steepest=(1.0, 0.2501, 0.09623, 0.1251, 0.1277, 0.2501, 0.4084, 1.063, 2.391, 7.751, 22.26, 86.38, 302.1),
    cells=Cells(
        0.25,
        (
            *((0.0, (2.0, 36)), (0.3125, (2.0, 32)), (0.5, (2.0, 28)), (0.75, (4.0, 40)), (1.0, (4.0, 36))),
            *((1.25, (4.0, 32)), (1.5, (4.0, 28)), (2.5, (4.0, 24)), (4.0, (8.0, 28)), (5.0, (8.0, 24))),
        ),
    ),
    kernels=Logit,
    higher_kernels=LogitHigher,
    ratio=Ratio(
        "odds ratio (population-averaged)", "or", "odds ratios, for the intercept odds", median="median odds ratio"
    ),
)
