"""The softplus link, h = log(1 + exp(eta)): its derivative is the inverse of logit, whose averages serve as its own."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import PARTS, Array, Averages, Link, LogTail, Strip, Tensors, as_float, bisected
from bayesmargins.family.links.logit import Logit, LogitHigher, logit

__all__ = ["softplus"]

_EPS = float(np.finfo(np.float64).eps)
_LINEAR = -36.0  # below, log(1 + exp(x)) is exp(x)
_LARGEST = 690.0  # exp() of it is finite
_LOWER = {"mean": "mean", "d1": "mean", "d2": "d1", "d3": "d2", "d4": "d3"}


def _softplus(mu: npt.ArrayLike) -> Array:
    mu = as_float(mu)
    with np.errstate(divide="ignore", invalid="ignore"):
        return mu + np.log(-np.expm1(-mu))


def _inverse(eta: npt.ArrayLike) -> Array:
    x = as_float(eta)
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _growth(part: str, y: Array) -> Array:
    """abs(h(x + iy)) is at most the integral of abs(h') up to x, and h' is the inverse of logit: the same factor."""
    assert logit.strip is not None
    return logit.strip.log_growth(_LOWER[part], y)


def _log(x: Array) -> Array:
    return np.where(x < _LINEAR, x, np.log(_inverse(np.maximum(x, _LINEAR))))


def _log_slope(x: Array) -> Array:
    inside = np.maximum(x, _LINEAR)
    return np.where(x < _LINEAR, 1.0, logit.inverse(inside) / _inverse(inside))


def _linked(of: Averages) -> tuple[Array, float]:
    """The eta of m = E[h]; its error is that of m over h'(eta) = 1 - exp(-m)."""
    mean = of.mean.value
    value = _softplus(mean)
    finite = np.isfinite(value) & (mean > 0.0)
    steep = float(np.max(np.where(finite, mean / -np.expm1(-mean), 1.0), initial=1.0))
    size = float(np.max(np.abs(value), initial=0.0, where=finite))
    return value, of.relative("mean") * steep + 4.0 * _EPS * size


class Softplus(NamedTuple):
    """h in compiled code; its derivatives are those of `Logit` but for one node."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        q = math.exp(-abs(x))
        if part == 0:
            return max(x, 0.0) + math.log1p(q)
        small, large = q / (1.0 + q), 1.0 / (1.0 + q)
        return (large if x >= 0.0 else small) if part == 2 else small * large

    def far(self, x: float, reach: float) -> bool:
        """Is a row too far out for products of exponentials, its nodes within `reach` of x?"""
        return not (abs(x) <= _LARGEST and reach <= _LARGEST)

    def start(self, x: float) -> tuple[float, float]:
        """t = exp(-|eta|); nothing else."""
        return math.exp(-abs(x)), 0.0

    def pair(self, m: int, w: float, up: Array, down: Array, t: Array, alpha: Array, total: Array) -> None:
        """Add the nodes +-z of every row at -|eta|: log(1 + t e^{sz}) + log(1 + t e^{-sz}) is one logarithm."""
        for i in range(m):
            total[i] += w * math.log1p(t[i] * (up[i] + down[i]) + t[i] * t[i])

    def finish(self, x: float, total: float) -> float:
        """h(x) = x + h(-x), and so are their averages."""
        return max(x, 0.0) + total

    def factor(self, x: float) -> float:
        """What eta or a group's shift multiplies exp(eta) by."""
        return math.exp(x)

    def group(self, m: int, w: float, g: float, t: Array, some: Array) -> None:
        """Add one group to every row, with t g = exp(eta + shift)."""
        for i in range(m):
            some[i] += w * math.log1p(t[i] * g)


def _tag(part: int) -> Any:
    """The first derivative is the mean of `Logit`, the second its first, and so on."""
    return Softplus(part) if part == 0 else Logit(0 if part == 2 else part - 1)


softplus = Link(
    "softplus",
    _softplus,
    _inverse,
    logit.inverse,
    logit.derivative,
    higher=(logit.second, logit.higher[0]),
    tensors=Tensors(lambda pt, eta: pt.softplus(eta)),
    strip=Strip(
        half_width=np.pi,
        log_growth=_growth,
        scale={"mean": None, "d1": None, "d2": None, "d3": 0.25, "d4": 0.25},
        tolerance=dict.fromkeys(PARTS, 1e-14),
        moments=(0.0, np.pi**2 / 3, 0.0, 7 * np.pi**4 / 15),
        integrated=1,
    ),
    log_tails={"mean": LogTail(_log, _log_slope, bisected(_log_slope))},
    linked=_linked,
    steepest=(math.inf, *logit.steepest),
    steeper=lambda n: logit.supremum(n - 1),
    cells=logit.cells,
    kernels=_tag,
    higher_kernels=lambda part: Logit(3) if part == 4 else LogitHigher(4),
)
