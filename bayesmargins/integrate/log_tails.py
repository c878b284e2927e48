"""log E[f(eta + s Z)] for tails that are too small for a sum on fixed nodes, or for a float.

f is h or 1 - h, and its logarithm psi is concave. So V(z) = z^2 / 2 - psi(eta + s z) is convex with V'' >= 1: it has
one minimum, and the nodes are centred there. Beyond a distance at which V has risen by 40 the integrand keeps less
than e^-39 of the integral (by convexity, whatever its shape). The step follows from the strip in which f is analytic,
as in `rules`; docs/explanation/trapezoid.md has the derivation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link, LogTail
from bayesmargins.integrate.engine import Integral, expectation
from bayesmargins.integrate.rules import EPS, WIDE, strip_of

__all__ = ["log_expectation"]

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

_TOLERANCE = 1e-15
_RISE = 40.0  # of V, where the nodes end
_FARTHEST = 9.0  # V has risen by 40 there, because V'' >= 1
_THETAS = 64
_TOGETHER = 2**13  # values whose sums stay in the processor's cache


def log_expectation(link: Link, eta: Array, s2: Array, part: str = "mean") -> Integral:
    """log E[h(eta + s Z)] or log E[1 - h(eta + s Z)], (n,) each; the bound is of the logarithm."""
    eta, s2 = np.broadcast_arrays(np.asarray(eta, dtype=np.float64), np.asarray(s2, dtype=np.float64))
    if link.closed_log is not None:
        return Integral(link.closed_log(eta, s2, part), 0.0, "closed form", 0)
    tail = link.log_tails.get(part)
    if tail is None:
        raise IntegrationError(f"log E[f] of part={part!r} under the {link.name} link: there is none.")
    s = np.sqrt(s2)
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.where(np.isnan(s), np.nan, tail.psi(eta))
    known = np.isfinite(eta) & (s > 0.0) & (s <= WIDE)
    bound, nodes = 0.0, 0
    where = np.flatnonzero(known)
    where = where[np.argsort(s[where], kind="stable")]  # like steps together
    for some in np.array_split(where, -(-len(where) // _TOGETHER)) if len(where) else ():
        value[some], error, count = _trapezoid(link, part, tail, eta[some], s[some])
        bound, nodes = max(bound, error), max(nodes, count)
    wide = np.flatnonzero(s > WIDE)
    if len(wide):
        value[wide], error = _by_expansion(link, eta[wide], s2[wide], part)
        bound = max(bound, error)
    return Integral(value, bound, "trapezoid in logs" if len(where) else "plug-in", nodes)


def _trapezoid(link: Link, part: str, tail: LogTail, eta: Array, s: Array) -> tuple[Array, float, int]:
    with np.errstate(over="ignore", under="ignore"):
        mode = tail.mode(eta, s)
        step = _steps(link, part, tail, s, mode)

        def rise(z: Array) -> Array:
            return 0.5 * z * z - tail.psi(eta + s * z)

        lowest = rise(mode)
        left = _reach(lambda t: rise(mode - t) - lowest, mode)
        right = _reach(lambda t: rise(mode + t) - lowest, mode)
        first, last = -int(np.ceil((left / step).max())), int(np.ceil((right / step).max()))
        total = np.zeros_like(eta)
        for k in range(first, last + 1):
            total += np.exp(lowest - rise(mode + k * step))
    value = np.log(total * step / math.sqrt(2.0 * math.pi)) - lowest
    nodes = last - first + 1
    rounding = EPS * (nodes + 8.0 * (np.abs(lowest) + (np.abs(eta) + s * np.abs(mode)) * np.abs(mode) / s))
    return value, 4.0 * _TOLERANCE + float(rounding.max()), nodes


def _reach(risen: Function, like: Array) -> Array:
    """A distance at which V has risen by 40, and not much farther."""
    low, high = np.zeros_like(like), np.full_like(like, _FARTHEST)
    for _ in range(10):
        middle = 0.5 * (low + high)
        enough = ~(risen(middle) < _RISE)
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    return high


def _steps(link: Link, part: str, tail: LogTail, s: Array, mode: Array) -> Array:
    """The largest step whose error is within tolerance for some half-width a = theta / s of the strip.

    Along Im z = a the integrand is at most exp(a^2 / 2 + growth) times itself at a = 0.
    """
    widest = np.minimum(strip_of(link).half_width * (1.0 - 1e-9), 25.0 * s)
    theta = widest[:, None] * (np.arange(1, _THETAS + 1) / _THETAS)
    a = theta / s[:, None]
    if tail.growth is None:
        growth = strip_of(link).log_growth(part, theta)  # relative to f itself
    else:
        growth = tail.growth(theta, s[:, None], mode[:, None])
    growth = 0.5 * a * a + growth
    steps: Array = np.max(2.0 * np.pi * a / (math.log(2.0 / _TOLERANCE) + growth), axis=1)
    return steps


def _by_expansion(link: Link, eta: Array, s2: Array, part: str) -> tuple[Array, float]:
    """Where s is beyond every rule: the logarithm of a value whose bound is absolute."""
    found = expectation(link, eta[None], s2[None], part)
    with np.errstate(divide="ignore"):
        relative = found.error_bound / np.maximum(found.value[0] - found.error_bound, 0.0)
        return np.log(found.value[0]), float(np.max(relative, initial=0.0))
