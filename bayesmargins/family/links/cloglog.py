"""The complementary log-log link: averages by the trapezoid rule, in a strip of half-width pi / 2."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.family.link import (
    PARTS,
    Array,
    Average,
    Averages,
    Link,
    LogTail,
    Ratio,
    Strip,
    Tensors,
    as_float,
    bisected,
    exponential,
)

__all__ = ["cloglog"]

Integers = npt.NDArray[np.int64]

_EPS = float(np.finfo(np.float64).eps)
_EXP_SAFE = 700.0  # exp(700) is finite, and exp(-exp(700)) is exactly 0
_GONE = 7.0  # exp(-exp(7)) is exactly 0, and powers of exp(7) are finite
_MODE_OFF = math.sqrt(3.0)  # mean minus mode of a density whose standard deviation is 1 at most
_UNKNOWN = 1e-6  # a value on the link scale with a larger error is NaN
_EULER, _ZETA3 = 0.5772156649015329, 1.2020569031595943
_MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it leaves an integer in the low bits of the mantissa
_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


def _cloglog(mu: npt.ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(-np.log1p(-as_float(mu)))


def _inverse(eta: npt.ArrayLike) -> Array:
    return -np.expm1(-exponential(eta))


def _complement(eta: npt.ArrayLike) -> Array:
    return np.exp(-exponential(eta))


def _derivative(eta: npt.ArrayLike) -> Array:
    x = np.minimum(as_float(eta), _EXP_SAFE)
    return np.exp(x - np.exp(x))


def _second(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(as_float(eta), _EXP_SAFE))
    return u * np.exp(-u) * (1.0 - u)


def _third(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(as_float(eta), _GONE))
    return u * np.exp(-u) * (1.0 - u * (3.0 - u))


def _fourth(eta: npt.ArrayLike) -> Array:
    u = np.exp(np.minimum(as_float(eta), _GONE))
    return u * np.exp(-u) * (1.0 - u * (7.0 - u * (6.0 - u)))


_FACTOR = {"d3": 1.25, "d4": 1.88}


def _growth(part: str, y: Array) -> Array:
    # with rho = e^x: |h| <= min(rho, 2) <= 2/(1-e^-2) h(x); |1 - h| <= 1; |h'| <= rho e^{-rho cos y} and
    # |h''| <= rho (1 + rho) e^{-rho cos y}, each over h(x) >= rho/(1 + rho), at the rho that is worst; for h''' and
    # h'''' 1 + 3 rho + rho^2 <= 1.25 (1 + rho)^2 and 1 + 7 rho + 6 rho^2 + rho^3 <= 1.88 (1 + rho)^3
    if part == "mean":
        return np.full_like(y, np.log(2.0 / -np.expm1(-2.0)))
    if part == "complement":
        return np.zeros_like(y)
    power = {"d1": 1, "d2": 2, "d3": 3, "d4": 4}[part]
    cos = np.cos(y)
    return np.log(_FACTOR.get(part, 1.0)) + power * np.log(power / cos) + cos - power


def _log_rare(x: Array) -> Array:
    """log(1 - exp(-e^x))."""
    u = np.exp(x)
    with np.errstate(divide="ignore"):
        return np.where(x < -36.0, x, np.log(-np.expm1(-u)))


def _log_rare_slope(x: Array) -> Array:
    u = np.exp(np.minimum(x, 6.6))
    return np.where(u < 1e-16, 1.0, u / np.expm1(np.maximum(u, 1e-300)))


def _steep_mode(eta: Array, s: Array) -> Array:
    """z = -s exp(eta + s z), by Lambert's W of s^2 exp(eta)."""
    return np.asarray(-scipy.special.wrightomega(eta + 2.0 * np.log(s)) / s)


def _steep_growth(theta: Array, s: Array, mode: Array) -> Array:
    """Of exp(-e^x): E[abs(f)] at the angle theta is E[f] at eta + log cos(theta).

    log E[f] is concave in eta, and its slope at eta is the mean of Z under f times the normal density, over s.
    """
    return -np.log(np.cos(theta)) * (np.abs(mode) + _MODE_OFF) / s


def _linked(of: Averages) -> tuple[Array, float]:
    """log(-log(1 - E[h])), from the smaller of E[h] and E[1 - h]; NaN where E[1 - h] is known in absolute terms only.

    With c = E[1 - h] and l = -log c, an error of c moves log l by that error over c l, and one of 1 - c no more.
    """
    mean, complement = of.mean, of.complement
    rare = mean.value < 0.5
    minus_log = np.where(rare, -np.log1p(-np.minimum(mean.value, 0.5)), -np.log(complement.value))
    value = np.log(minus_log)
    bound = 2.0 * of.relative("mean")  # d log l / d log E[h] = E[h] / (c l) <= 1 / c <= 2
    certain = ~rare & (complement.value > 0.0)
    if certain.any():
        c, minus = complement.value[certain], minus_log[certain]
        share, absolute, nodes = of.rules("complement")
        # a rounded argument x of exp(-exp(x)) costs exp(x) times its error, and terms with exp(x) > l + 40 add nothing
        rounding = _EPS * (16.0 + nodes) + 3.0 * _EPS * of.farthest * (minus + 40.0)
        error = (share + absolute / c + rounding) / minus
        value[certain] = np.where(error > _UNKNOWN, np.nan, value[certain])
        bound = max(bound, float(np.max(error, initial=0.0, where=error <= _UNKNOWN)))
    finite = np.abs(value[np.isfinite(value)])
    return value, bound + 4.0 * _EPS * (float(finite.max()) if finite.size else 0.0)


def _between(average: Callable[..., Any], mean: Average, complement: Average) -> tuple[Array, float]:
    """By (1 - h(x))^2 = 1 - h(x + log 2), from the smaller of E[h] and E[1 - h]."""
    twice, none = (average(part, np.log(2.0)) for part in ("mean", "complement"))
    rare = 2.0 * mean.value - twice.value - mean.value**2
    value = np.where(mean.value < 0.5, rare, none.value - complement.value**2)
    return value, twice.error_bound + none.error_bound


def _logs(pt: Any, eta: Any) -> tuple[Any, Any]:
    u = pt.exp(eta)
    return pt.log(-pt.expm1(-u)), -u


class Cloglog(NamedTuple):
    """h, 1 - h and two derivatives in compiled code; with sign = -1 those of 1 - h(-eta), the log-log link."""

    part: int
    sign: float = 1.0

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        u = math.exp(min(self.sign * x, _EXP_SAFE))
        if part < 2:
            return -math.expm1(-u) if (part == 0) == (self.sign > 0.0) else math.exp(-u)
        u = min(u, 1000.0)  # exp(-1000) is exactly 0, and powers of 1000 are finite
        d1 = u * math.exp(-u)
        if part == 2:
            return d1
        if part == 3:
            return self.sign * d1 * (1.0 - u)
        return d1 * (1.0 - u * (3.0 - u)) if part == 4 else self.sign * d1 * (1.0 - u * (7.0 - u * (6.0 - u)))

    def start(self, x: float) -> tuple[float, float]:
        """t = exp(eta); nothing else."""
        return math.exp(self.sign * x), 0.0

    def factor(self, x: float) -> float:
        """What eta or a group's shift multiplies exp(eta) by."""
        return math.exp(self.sign * x)

    def terms(
        self, m: int, w: float, g: Array, t: Array, mantissa: Array, power: Array, bits: Integers, total: Array
    ) -> None:
        """Add the node of every row at which the linear predictor is log(t g).

        exp(-u) = 2^k (1 + p) with p = expm1 of the remainder, so 1 - exp(-u) = (1 - 2^k) - 2^k p keeps all its digits
        where u is small (k = 0); 2^k is written into the exponent bits, which vectorises where a call of exp would not.
        """
        for i in range(m):
            u = min(t[i] * g[i], 708.0)
            shifted = _MAGIC - u * _LOG2E
            k = shifted - _MAGIC
            x = -u - k * _LN2_HIGH - k * _LN2_LOW
            p = 1.0 / 6227020800.0
            p = p * x + 1.0 / 479001600.0
            p = p * x + 1.0 / 39916800.0
            p = p * x + 1.0 / 3628800.0
            p = p * x + 1.0 / 362880.0
            p = p * x + 1.0 / 40320.0
            p = p * x + 1.0 / 5040.0
            p = p * x + 1.0 / 720.0
            p = p * x + 1.0 / 120.0
            p = p * x + 1.0 / 24.0
            p = p * x + 1.0 / 6.0
            p = p * x + 0.5
            mantissa[i] = x + x * x * p
            power[i] = shifted
        for i in range(m):
            bits[i] = (bits[i] << 52) + (1023 << 52)
        if self.part < 2 and (self.part == 0) == (self.sign > 0.0):
            for i in range(m):
                total[i] += w * ((1.0 - power[i]) - power[i] * mantissa[i])
        else:  # exp(-u) times 1, u or u - u^2
            a = 1.0 if self.part < 2 else 0.0
            b = 0.0 if self.part < 2 else self.sign if self.part == 3 else 1.0
            c = -b if self.part == 3 else 0.0
            for i in range(m):
                u = min(t[i] * g[i], 708.0)
                total[i] += w * ((a + u * (b + c * u)) * (power[i] + power[i] * mantissa[i]))


class CloglogHigher(Cloglog):
    """The third and fourth derivative: compiled where they are asked for."""

    def terms(
        self, m: int, w: float, g: Array, t: Array, mantissa: Array, power: Array, bits: Integers, total: Array
    ) -> None:
        """Add the node of every row at which the linear predictor is log(t g)."""
        for i in range(m):
            u = min(t[i] * g[i], 708.0)
            d1 = u * math.exp(-u)
            bend = 1.0 - u * (3.0 - u) if self.part == 4 else self.sign * (1.0 - u * (7.0 - u * (6.0 - u)))
            total[i] += w * (d1 * bend)


cloglog = Link(
    "cloglog",
    _cloglog,
    _inverse,
    _derivative,
    _second,
    higher=(_third, _fourth),
    tensors=Tensors(lambda pt, eta: -pt.expm1(-pt.exp(eta)), logs=_logs),
    complement=_complement,
    bounded=True,
    latent_sd=float(np.pi / np.sqrt(6)),
    latent_variance="pi^2 / 6",
    steep=("complement",),
    strip=Strip(
        half_width=np.pi / 2,
        log_growth=_growth,
        scale={"mean": None, "complement": 1.0, "d1": 1.0, "d2": 1.0, "d3": 1.0, "d4": 1.25},  # h'''' exceeds h by 1.2
        # the complement is bounded in absolute terms only: 1e-22 leaves ten digits of a complement of 1e-12
        tolerance=dict.fromkeys(PARTS, 1e-14) | {"complement": 1e-22},
        moments=(
            -_EULER,
            _EULER**2 + np.pi**2 / 6,
            -(_EULER**3 + _EULER * np.pi**2 / 2 + 2 * _ZETA3),
            _EULER**4 + _EULER**2 * np.pi**2 + 8 * _EULER * _ZETA3 + 3 * np.pi**4 / 20,
        ),
    ),
    log_tails={
        "mean": LogTail(_log_rare, _log_rare_slope, bisected(_log_rare_slope)),
        "complement": LogTail(lambda x: -np.exp(x), lambda x: -np.exp(x), _steep_mode, _steep_growth),
    },
    linked=_linked,
    between=_between,
    steepest=(
        *(1.0, 0.3679, 0.3091, 0.4297, 1.119, 3.195, 10.16, 45.62, 222.8, 1153.0),
        *(7025.0, 48670.0, 350200.0),
    ),
    kernels=Cloglog,
    higher_kernels=CloglogHigher,
    ratio=Ratio("hazard ratio (population-averaged)", "ratio", "hazard ratios, for the intercept a cumulative hazard"),
)
