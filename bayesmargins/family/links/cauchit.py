"""The cauchit link, h = 1/2 + atan(eta) / pi: its slope over groups is a Voigt profile, its mean by the trapezoid rule.

The poles at +-i leave a strip of half-width 1. Tails fall as 1 / abs(eta): h is not log-concave, and has no moments.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.family.link import PARTS, Array, Averages, Cells, Link, Strip, Tensors, as_float

__all__ = ["cauchit"]

_EPS = float(np.finfo(np.float64).eps)
_FACTORIAL = {"mean": 1.0, "complement": 1.0, "d1": 1.0, "d2": 1.0, "d3": 2.0, "d4": 6.0}
_DERIVATIVES = {"d1": 0, "d2": 1, "d3": 2, "d4": 3}
_TERMS = 6


def _cauchit(mu: npt.ArrayLike) -> Array:
    mu = as_float(mu)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mu < 0.25, -1.0 / np.tan(np.pi * mu), np.tan(np.pi * (mu - 0.5)))


def _inverse(eta: npt.ArrayLike) -> Array:
    return np.arctan2(1.0, -as_float(eta)) / np.pi


def _complement(eta: npt.ArrayLike) -> Array:
    return np.arctan2(1.0, as_float(eta)) / np.pi


def _sine(eta: npt.ArrayLike) -> tuple[Array, Array]:
    """1 / sqrt(1 + eta^2) and eta / sqrt(1 + eta^2): derivatives are products of them, and never overflow."""
    x = as_float(eta)
    near = 1.0 / np.hypot(1.0, x)
    return near, np.where(np.isinf(x), np.sign(x), np.where(np.isinf(x), 0.0, x) * near)


def _derivative(eta: npt.ArrayLike) -> Array:
    near, _ = _sine(eta)
    return near**2 / np.pi


def _second(eta: npt.ArrayLike) -> Array:
    near, far = _sine(eta)
    return -2.0 * far * near**3 / np.pi


def _third(eta: npt.ArrayLike) -> Array:
    near, far = _sine(eta)
    return (6.0 * far**2 - 2.0 * near**2) * near**4 / np.pi


def _fourth(eta: npt.ArrayLike) -> Array:
    near, far = _sine(eta)
    return 24.0 * far * (near**2 - far**2) * near**5 / np.pi


def _growth(part: str, y: Array) -> Array:
    """abs(1 + w^2) >= (1 - y^2) (1 + x^2) at w = x + iy, and h is the integral of h' along the line.

    h' is 1 / ((w - i) (w + i)) over pi: by Leibniz its derivatives are at most k! times itself times the sum over j of
    (1 - y)^-j (1 + y)^-(k - j).
    """
    k = _DERIVATIVES.get(part, 0)
    more = sum((1.0 - y) ** -j * (1.0 + y) ** (j - k) for j in range(k + 1))
    return np.asarray(np.log(_FACTORIAL[part] * more) - np.log1p(-y * y))


def _faddeeva(x: Array, y: Array | float, orders: int) -> list[npt.NDArray[np.complex128]]:
    """w(x + iy) and its first derivatives, by w' = -2 z w + 2i / sqrt(pi)."""
    z = x + 1j * np.asarray(y)
    found = [scipy.special.wofz(z)]
    found.append(-2.0 * z * found[0] + 2j / math.sqrt(math.pi))
    for n in range(2, orders + 1):
        found.append(-2.0 * z * found[n - 1] - 2.0 * (n - 1) * found[n - 2])
    return found[: orders + 1]


def _wide(eta: Array, s: Array, part: str) -> Array:
    """E[f(eta + s Z)] of a large s: the Voigt profile and its derivatives; the mean by a series in 1 / s."""
    root = s * math.sqrt(2.0)
    if part in _DERIVATIVES:
        order = _DERIVATIVES[part]
        profile = _faddeeva(eta / root, 1.0 / root, order)[order]
        return np.asarray(profile.real / root ** (order + 1) / math.sqrt(math.pi))
    x = (eta if part == "mean" else -eta) / root
    total = scipy.special.ndtr(x * math.sqrt(2.0))
    for k, w in enumerate(_faddeeva(x, 0.0, _TERMS), start=1):
        total = total + ((1j / root) ** k / math.factorial(k) * w).real / math.sqrt(math.pi)
    return np.asarray(total)


def _log_far(eta: Array, s2: Array, part: str) -> Array:
    """log E[f]: asked for only where that is below 1e-9, and so eta^2 far above 1 and s2."""
    return np.log(_inverse(eta) if part == "mean" else _complement(eta)) + np.log1p(s2 / (1.0 + eta * eta))


def _linked(of: Averages) -> tuple[Array, float]:
    """-cot(pi m) from the smaller of m = E[h] and E[1 - h]; an error of m moves it by pi (1 + eta^2) as much."""
    rare = of.mean.value < of.complement.value
    small = np.where(rare, of.mean.value, of.complement.value)
    size = 1.0 / np.tan(np.pi * small)
    moved = np.where(np.isfinite(size), np.pi * small * (1.0 + size * size), 0.0)
    error = max(of.relative("mean"), of.relative("complement")) + 4.0 * _EPS
    return np.where(rare, -size, size), error * float(np.max(moved, initial=0.0))


def _logs(pt: Any, eta: Any) -> tuple[Any, Any]:
    return pt.log(pt.arctan2(1.0, -eta)) - math.log(math.pi), pt.log(pt.arctan2(1.0, eta)) - math.log(math.pi)


class Cauchit(NamedTuple):
    """h, 1 - h and derivatives in compiled code, node by node."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        if part < 2:
            return math.atan2(1.0, -x if part == 0 else x) / math.pi
        near = 1.0 / math.hypot(1.0, x)
        far = math.copysign(1.0, x) if math.isinf(x) else x * near
        if part == 2:
            return near * near / math.pi
        if part == 3:
            return -2.0 * far * near**3 / math.pi
        if part == 4:
            return (6.0 * far * far - 2.0 * near * near) * near**4 / math.pi
        return 24.0 * far * (near * near - far * far) * near**5 / math.pi


cauchit = Link(
    "cauchit",
    _cauchit,
    _inverse,
    _derivative,
    _second,
    higher=(_third, _fourth),
    tensors=Tensors(lambda pt, eta: pt.arctan2(1.0, -eta) / math.pi, logs=_logs),
    complement=_complement,
    bounded=True,
    latent_sd=math.pi / math.sqrt(3.0) / math.log(3.0),  # of a logistic variable with its quartiles: it has none itself
    symmetric=True,
    closed_log=_log_far,
    strip=Strip(
        half_width=1.0,
        log_growth=_growth,
        scale={"mean": None, "complement": None, "d1": None, "d2": 0.3184, "d3": 0.3184, "d4": 0.3184},
        tolerance=dict.fromkeys(PARTS, 1e-14),
        wide=_wide,
    ),
    linked=_linked,
    steepest=(1.0,),
    steeper=lambda n: math.gamma(n) / math.pi,
    cells=Cells(
        0.125,
        (
            *((0.0, (1.0, 44)), (0.125, (1.0, 36)), (0.25, (1.0, 32)), (0.5, (2.0, 40)), (0.6875, (2.0, 36))),
            *((0.875, (4.0, 48)), (1.0, (4.0, 40)), (1.25, (4.0, 36)), (1.5, (4.0, 32)), (2.0, (8.0, 44))),
            *((2.5, (8.0, 36)), (3.0, (8.0, 32)), (4.0, (8.0, 28)), (5.0, (8.0, 24)), (8.0, (8.0, 20))),
        ),
    ),
    kernels=Cauchit,
    higher_kernels=Cauchit,
)
