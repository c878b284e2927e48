"""Trapezoid rules in z: which step and how many nodes a standard deviation needs, and how wrong the sum can be.

For f analytic in the strip abs(Im z) < a, the trapezoid rule over the whole line is wrong by at most
``2 M / (exp(2 pi a / step) - 1)``, M bounding the integral of abs(f) along every line of the strip (Trefethen &
Weideman 2014, SIAM Review 56(3), theorem 5.1). Here f = h(eta + s z) phi(z), and M <= exp(a^2 / 2) K(s a) E[F], with K
and F the link's growth (`links.Strip`). The step follows from s by choosing the best a; docs/explanation/trapezoid.md
has the derivation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link, Strip

__all__ = [
    "EPS",
    "PER_OCTAVE",
    "WIDE",
    "Rule",
    "apply_rule",
    "bucket_of",
    "rule_for",
    "rule_table",
    "rule_with_step",
    "strip_of",
    "trusted",
]

Array = npt.NDArray[np.float64]

PER_OCTAVE = 4  # rules are shared by all s between neighbouring powers of 2^(1/4)
_LOWEST = -20  # s below 2^-5: the Gaussian alone limits the step
WIDE = 2.0**12  # beyond this s an expansion in 1/s is exact to 1e-14, and a rule would need 1e5 nodes
_FARTHEST = 12.0  # nodes reach z = +-12 at most: what lies beyond has probability 4e-33
# Sums of the absolute terms of h''' and h'''', at most (the cloglog's: u e^-u (1 + 3u + u^2) and so on).
_CANCELS = {"d3": 4.0, "d4": 16.0}
_SMALLEST = 1e-290  # far enough from where floats lose digits
_RARE = 1e-20  # rules with s above 4 cut what is beyond z = +-12, 4e-33 of it
_STEEP = 1e-8  # of what is accurate in absolute terms, to 1e-22
EPS = float(np.finfo(np.float64).eps)


class Bound(NamedTuple):
    """How wrong can values be, none of which is larger than some size? By ``fixed + unit * max(least, size)``."""

    fixed: float
    unit: float
    least: float


@dataclass(frozen=True)
class Rule:
    """Which trapezoid rule serves every standard deviation up to s?"""

    link: Link  # the inverse link h
    part: str  # which of h, 1 - h and the derivatives of h
    s: float  # the largest standard deviation that the bounds hold for
    step: float  # distance between nodes, in units of z
    half: int  # nodes are at k step for k = -half, ..., half
    relative_bound: float  # error in units of the link's scale E[F] for this part (of the value itself where F is f)
    absolute_bound: float  # error to add to that, in units of h

    @property
    def nodes(self) -> int:
        """How many nodes has the rule?"""
        return 2 * self.half + 1

    @property
    def weights(self) -> Array:
        """Which weights have the nodes 0, step, 2 step, ...?  (half + 1,) float."""
        z = self.step * np.arange(self.half + 1)
        return self.step / np.sqrt(2.0 * np.pi) * np.exp(-0.5 * z * z)

    def error_bound(self, largest: float) -> float:
        """How wrong values of the rule can be, rounding included, where none is larger than this.

        Infinite where the step is too coarse to promise anything.

        >>> from bayesmargins.family import get_link
        >>> rule_for(get_link("logit"), 1.0).error_bound(0.5) < 1e-13
        True
        """
        fixed, unit, least = self.bound
        return fixed + unit * max(least, largest)

    @property
    def bound(self) -> Bound:
        """The same for any size of the values."""
        scale = strip_of(self.link).scale[self.part]
        unit = self._rounding * _CANCELS.get(self.part, 1.0)
        if scale is not None:
            return Bound(scale * self.relative_bound + self.absolute_bound, unit, scale)
        if self.relative_bound >= 1.0:
            return Bound(np.inf, 0.0, 0.0)
        # relative to the truth, which is larger than the value by so much at most
        return Bound(self.absolute_bound, (self.relative_bound + unit) / (1.0 - self.relative_bound), 0.0)

    @property
    def relative_error(self) -> float:
        """How wrong relative to itself can a value from `trusted` on be; infinite where nobody knows."""
        if self.part not in ("mean", "complement") or self.relative_bound >= 0.5:
            return np.inf
        least = trusted(self.link, self.part)
        # of exp(-u) the error is u times that of u, and E[u exp(-u)] <= E[exp(-u)] log(1 / E[exp(-u)])
        steep = 1.0 if strip_of(self.link).scale[self.part] is None else max(1.0, -math.log(least))
        return 2.0 * self.relative_bound + self.absolute_bound / least + self._rounding * steep

    @property
    def _rounding(self) -> float:
        """Of each term, exp and its argument (s z), a power of it built by up to `half` products, and of the sum."""
        return EPS * (16.0 + self.nodes + 2.0 * self.s * self.half * self.step)


def trusted(link: Link, part: str) -> float:
    """From which value on is a mean or complement relatively accurate? Below, its logarithm is `log_expectation`'s."""
    if link.closed_form is not None:
        return _SMALLEST
    return _STEEP if part in link.steep else _RARE


@lru_cache(maxsize=4096)
def bucket_of(s: float) -> int:
    """Which power of 2^(1/4), rounded up, serves s?"""
    return max(int(np.ceil(PER_OCTAVE * np.log2(s))), _LOWEST)


class RuleTable(NamedTuple):
    """Which rules serve a range of s, as the kernel reads them, and how wrong are their sums?"""

    kernel: tuple[Array, ...]  # steps, halves, offsets, weights
    rules: tuple[Rule, ...]
    # (rule,): `Bound` of each, whose `least` is the same
    fixed: Array
    unit: Array
    least: float
    relative: float  # `Rule.relative_error` of the worst
    nodes: int  # the most that a rule has


@lru_cache(maxsize=256)
def rule_table(link: Link, part: str, lowest: int, highest: int) -> RuleTable:
    """The rules of a range of buckets."""
    rules = tuple(_bucket_rule(link, part, bucket) for bucket in range(lowest, highest + 1))
    halves = np.array([rule.half for rule in rules])
    offsets = np.concatenate([[0], np.cumsum(halves + 1)[:-1]])
    weights = np.concatenate([rule.weights for rule in rules])
    fixed, unit, least = np.array([rule.bound for rule in rules]).T
    relative, nodes = max(rule.relative_error for rule in rules), max(rule.nodes for rule in rules)
    kernel = np.array([rule.step for rule in rules]), halves, offsets, weights
    return RuleTable(kernel, rules, fixed, unit, float(least[0]), relative, nodes)


@lru_cache(maxsize=4096)
def _bucket_rule(link: Link, part: str, bucket: int) -> Rule:
    s = 2.0 ** (bucket / PER_OCTAVE) * (1.0 + 1e-12)  # the kernel's log2 may put s a rounding error above its bucket
    return rule_with_step(link, s, _best_step(strip_of(link), s, part), part)


def rule_for(link: Link, s: float, part: str = "mean") -> Rule:
    """The trapezoid rule at this standard deviation, above 0 and at most 4096; the link has no closed form.

    It serves all s up to the next power of 2^(1/4), which is at least 2^-5.

    >>> from bayesmargins.family import get_link
    >>> rule_for(get_link("logit"), 1.0).nodes < rule_for(get_link("logit"), 4.0).nodes
    True
    """
    if not 0.0 < s <= WIDE:
        raise IntegrationError(f"s={s!r}: a rule needs 0 < s <= {WIDE:g}.")
    strip_of(link)
    return _bucket_rule(link, part, bucket_of(s))


def rule_with_step(link: Link, s: float, step: float, part: str = "mean") -> Rule:
    """The trapezoid rule with this distance between nodes, in units of z, and its bounds up to this s.

    A step that is too coarse has a large bound, it is not refused.

    >>> from bayesmargins.family import get_link
    >>> coarse = rule_with_step(get_link("logit"), 1.0, 1.0)
    >>> 1e-6 < coarse.relative_bound < 1e-3
    True
    """
    strip = strip_of(link)
    a, log_sup = _log_sup(strip, s, part)
    x = 2.0 * np.pi * a / step
    discretisation = float(np.min(2.0 * np.exp(log_sup - x) / -np.expm1(-x)))
    half, share, absolute = _truncated(link, s, step, part)
    if part in link.steep:
        return Rule(link, part, s, step, half, 0.0, discretisation + absolute)
    return Rule(link, part, s, step, half, discretisation + share * (1.0 + discretisation), absolute)


def apply_rule(rule: Rule, eta: npt.ArrayLike, s: npt.ArrayLike) -> Array:
    """The sum over nodes of weight times f(eta + s z): the plain NumPy form of what the compiled kernels do.

    eta and s are broadcast against each other. It serves coarse rules, and as a check on the kernels.

    >>> from bayesmargins.family import get_link
    >>> float(apply_rule(rule_for(get_link("logit"), 2.0), 0.0, 2.0).round(12))
    0.5
    """
    eta, s = np.asarray(eta, dtype=np.float64), np.asarray(s, dtype=np.float64)
    function = rule.link.part(rule.part)
    weights = rule.weights
    total = weights[0] * function(eta + 0.0 * s)
    for k in range(1, rule.half + 1):
        z = k * rule.step
        total = total + weights[k] * (function(eta - s * z) + function(eta + s * z))
    return total


def strip_of(link: Link) -> Strip:
    """How this link grows off the real line; IntegrationError where it has a closed form."""
    if link.strip is None:
        raise IntegrationError(f"The {link.name} link has a closed form: it needs no quadrature rule.")
    return link.strip


def _log_sup(strip: Strip, s: float, part: str) -> tuple[Array, Array]:
    """Half-widths a in z, and log(exp(a^2/2) K(s a)) for each: any of them gives a valid bound."""
    widest = min(strip.half_width / s, 25.0)
    a = widest * np.linspace(5e-4, 1.0 - 1e-12, 2000)
    return a, 0.5 * a * a + strip.log_growth(part, s * a)


def _best_step(strip: Strip, s: float, part: str) -> float:
    """The largest step whose discretisation error is within tolerance for some a."""
    a, log_sup = _log_sup(strip, s, part)
    return float(np.max(2.0 * np.pi * a / (np.log(2.0 / (0.5 * strip.tolerance[part])) + log_sup)))


def _truncated(link: Link, s: float, step: float, part: str) -> tuple[int, float, float]:
    """Nodes on each side, and what leaving out the rest costs: relative to E[F], and to add to that.

    F(x) exp(-x) falls and F(x) exp(x) grows, so under the weights exp(+-s z) phi(z), a Gaussian moved by s, the tail's
    share of E[F] is at most that Gaussian's own tail. Where s is too large for that, f <= 1 (or what E[F] is at most)
    bounds the tail itself; an f that grows with slope 1 has f(eta + s z) <= f(eta) + s z there, and f(eta) <= E[f].
    """
    strip, absolute = strip_of(link), part in link.steep
    grows = part == "mean" and strip.integrated > 0
    tail = -float(scipy.special.ndtri(strip.tolerance[part] / 8.0))
    reach = tail if absolute else min(s + tail, _FARTHEST + 1.0 if grows else _FARTHEST)
    half = int(np.ceil(reach / step))
    last = half * step
    # the discrete Gaussian's total is 1 to within this
    aliased = 2.0 / math.expm1(min(2.0 * np.pi**2 / step**2, 700.0))
    share = 2.0 * float(scipy.special.ndtr(s - last)) / (1.0 - aliased) if aliased < 1.0 else np.inf
    if not absolute and share <= strip.tolerance[part]:
        return half, share, 0.0
    beyond = 2.0 * float(scipy.special.ndtr(-last))  # a discrete tail is at most the integral beyond the last node
    if grows:
        return half, beyond, s * math.exp(-0.5 * last * last)
    return half, 0.0, max(1.0, strip.scale[part] or 1.0) * beyond
