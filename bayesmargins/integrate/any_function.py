"""E[f(eta + s Z)] of any smooth f, by the trapezoid rule with its step halved until the value stands.

`engine` knows the growth of a link off the real line and computes a bound; of a tail probability, which depends on c,
the trials and the parameters of the family, this engine estimates the error from the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["TOLERANCE", "Smooth", "smooth_expectation"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Function = Callable[[Array, Index], Array]

TOLERANCE = 1e-12
_NEAR, _FAR = 8.5, 12.0  # Gaussian tails of 2e-17 and 4e-33
_RARE = 1e-2  # averages below it take the far tails too
_TINY = 1e-30
_STEEP = 3.0  # s in units of the width of f, above which nodes gather where f rises
_LEVELS = 12
_STEP = 0.75  # where the Gaussian alone is integrated to 1e-15


@dataclass(frozen=True)
class Smooth:
    """What is the average, and how wrong is it likely to be?"""

    value: Array  # (n,) float: E[f(eta + s Z)]
    error: Array  # (n,) float: estimate of its absolute error, not a bound
    nodes: int  # the most nodes that any value used; 1 where every s is 0


def smooth_expectation(
    f: Function, eta: Array, s: Array, centre: Array, width: Array, against: float | None = None
) -> Smooth:
    """E[f(eta + s Z)] of a smooth f between 0 and 1, for every entry (n,); s = 0 gives f(eta).

    ``f(x, which)`` gives values at x, link scale, of the entries whose positions are `which`. It changes most at
    `centre`, over about `width`: the closer, the fewer nodes. A value is right to 1e-12 of itself (above 1e-20), or
    as its error says after twelve halvings; with `against`, until it is on one side of this number for certain.

    Where s is at most three times the width of f: the trapezoid rule in z (Trefethen & Weideman 2014, SIAM Review 56).
    Elsewhere z = a + w sinh(u) with the trapezoid rule in u, so that nodes gather where f rises and their number grows
    with log(s / width). The error of either falls faster than geometrically with every halving, so with r1 and r2 the
    last two relative changes it is estimated by the larger of r2^2 / r1 and r2 / 100, and lies far below in practice.

    >>> from scipy.special import ndtr
    >>> one = np.ones(1)
    >>> result = smooth_expectation(lambda x, which: ndtr(x), -3.0 * one, 2.0 * one, 0.0 * one, one)
    >>> bool(abs(result.value[0] / ndtr(-3.0 / 5.0**0.5) - 1.0) < 1e-13), bool(result.error[0] < 1e-12)
    (True, True)
    """
    value, error = np.full(len(eta), np.nan), np.zeros(len(eta))
    with np.errstate(invalid="ignore"):
        known = np.isfinite(eta) & np.isfinite(s)
        steep = known & (s > _STEEP * width)
    bare = np.flatnonzero(((s == 0.0) & ~np.isnan(eta)) | (np.isinf(eta) & np.isfinite(s)))
    value[bare] = f(eta[bare], bare)
    nodes = 1
    for which, rule in (
        (np.flatnonzero(known & (s > 0.0) & ~steep), _Plain(eta, s)),
        (np.flatnonzero(steep), _Gathered(eta, s, centre, width)),
    ):
        if which.size:
            nodes = max(nodes, _halve(rule, f, which, against, value, error))
    return Smooth(value, error, nodes)


class _Plain:
    """z = u."""

    def __init__(self, eta: Array, s: Array) -> None:
        self.eta, self.s = eta, s
        self.reach = np.full(len(eta), _NEAR)
        self.far = np.full(len(eta), _FAR)

    def nodes(self, u: float, which: Index) -> tuple[Index, Array, Array]:
        """Entries that have this node, x and weight there."""
        density = np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi)
        return which, self.eta[which] + self.s[which] * u, np.asarray(density)


class _Gathered:
    """z = a + w sinh(u)."""

    def __init__(self, eta: Array, s: Array, centre: Array, width: Array) -> None:
        self.eta, self.s = eta, s
        with np.errstate(divide="ignore", invalid="ignore"):
            self.a = np.clip((centre - eta) / s, -_FAR, _FAR)
            self.w = width / s
            self.reach = self.far = np.arcsinh((_FAR + np.abs(self.a)) / self.w)

    def nodes(self, u: float, which: Index) -> tuple[Index, Array, Array]:
        """Entries that have this node within the tails, x and weight there."""
        z = self.a[which] + self.w[which] * np.sinh(u)
        inside = np.abs(z) <= _FAR
        which, z = which[inside], z[inside]
        density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        return which, self.eta[which] + self.s[which] * z, density * self.w[which] * np.cosh(u)


def _halve(
    rule: _Plain | _Gathered, f: Function, which: Index, against: float | None, value: Array, error: Array
) -> int:
    """Values and errors of these entries, halving the step of each until it stands; the most nodes of any."""
    total = np.zeros(len(value))
    reach = rule.reach[which].max()
    _add(rule, f, total, which, np.arange(0.0, reach + _STEP, 2.0 * _STEP), rule.reach)
    coarse = 2.0 * _STEP * total[which]
    _add(rule, f, total, which, np.arange(_STEP, reach + _STEP, 2.0 * _STEP), rule.reach)
    rare = which[(_STEP * total[which] < _RARE) & (rule.far[which] > rule.reach[which])]
    if rare.size:
        _add(rule, f, total, rare, _STEP * np.arange(np.ceil(_NEAR / _STEP), _FAR / _STEP + 1.0), rule.far)
        rule.reach[rare] = _FAR
    last = _STEP * total[which]
    change = np.abs(last - coarse)
    for level in range(1, _LEVELS + 1):
        step = _STEP * 0.5**level
        _add(rule, f, total, which, np.arange(step, rule.reach[which].max() + step, 2.0 * step), rule.reach)
        now = step * total[which]
        before, change = change, np.abs(now - last)
        value[which], error[which] = now, _estimate(before, change, now)
        left = ~(error[which] <= TOLERANCE * now + _TINY) & ~np.isnan(now)
        if against is not None:
            left &= np.abs(now - against) <= 4.0 * np.maximum(np.maximum(before, change), error[which])
        if not left.any():
            break
        which, last, change = which[left], now[left], change[left]
    return int(2.0 * rule.reach[which].max() / step) + 1


def _add(rule: _Plain | _Gathered, f: Function, total: Array, which: Index, nodes: Array, reach: Array) -> None:
    """Add weight times f at +u and -u, for every entry as far as it reaches."""
    for u in nodes:
        within = which[reach[which] >= u]
        for node in (float(u), -float(u)) if u else (0.0,):
            of, x, weight = rule.nodes(node, within)
            if of.size:
                total[of] += weight * f(x, of)


def _estimate(before: Array, change: Array, now: Array) -> Array:
    """What the last change would become at the rate of the last two, or a hundredth of it where that is more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        r1, r2 = before / np.abs(now), change / np.abs(now)
        geometric = np.where(r1 > 0.0, r2 * r2 / r1, r2)
        relative = np.maximum(geometric, 0.01 * r2) + 4.0 * np.finfo(np.float64).eps
    return np.where(now == 0.0, change, np.minimum(relative, 1.0 + r2) * np.abs(now))
