"""E[h(eta + s Z)], Z ~ N(0, 1), with a bound on its error: closed forms, and otherwise the trapezoid rule in z.

For f analytic in the strip abs(Im z) < a, the trapezoid rule over the whole line is wrong by at most
``2 M / (exp(2 pi a / step) - 1)``, M bounding the integral of abs(f) along every line of the strip (Trefethen &
Weideman 2014, SIAM Review 56(3), theorem 5.1). Here f = h(eta + s z) phi(z), and M <= exp(a^2 / 2) K(s a) E[F], with K
and F the link's growth (`links.Strip`). The step follows from s by choosing the best a; docs/explanation/integration.md
has the derivation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from bayesmargins.errors import IntegrationError, ModelError
from bayesmargins.links import PARTS, Link, Strip

__all__ = ["Integral", "Rule", "apply_rule", "expectation", "rule_for", "rule_with_step"]

Array = npt.NDArray[np.float64]

_PER_OCTAVE = 4  # rules are shared by all s between neighbouring powers of 2^(1/4)
_LOWEST = -20  # s below 2^-5: the Gaussian alone limits the step
_WIDE = 2.0**12  # beyond this s an expansion in 1/s is exact to 1e-14, and a rule would need 1e5 nodes
_FARTHEST = 12.0  # nodes reach z = +-12 at most: what lies beyond has probability 4e-33
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Integral:
    """What is the average over groups, and how wrong can it be?

    Attributes
    ----------
    value : (draw, row) float
        E[f(eta + s Z)], f the part asked for.
    error_bound : float
        No value is further than this from the truth (absolute; discretisation, truncation and rounding).
    method : str
        "closed form", "trapezoid", "plug-in" (every s2 is 0), or "trapezoid and expansion" (some s above 4096).
    nodes : int
        The most nodes that any value used; 0 without a rule.
    """

    value: Array
    error_bound: float
    method: str
    nodes: int


@dataclass(frozen=True)
class Rule:
    """Which trapezoid rule serves every standard deviation up to s?

    Attributes
    ----------
    link : Link
        The inverse link h.
    part : str
        Which of h, 1 - h, h', h''.
    s : float
        The largest standard deviation that the bounds hold for.
    step : float
        Distance between nodes, in units of z.
    half : int
        Nodes are at k step for k = -half, ..., half.
    relative_bound : float
        Error in units of the link's scale E[F] for this part (of the value itself where F is f).
    absolute_bound : float
        Error to add to that, in units of h.
    """

    link: Link
    part: str
    s: float
    step: float
    half: int
    relative_bound: float
    absolute_bound: float

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
        """How wrong can the values of the rule be, rounding included?

        Parameters
        ----------
        largest : float
            The largest absolute value among the averages computed by the rule.

        Returns
        -------
        float
            Absolute bound that holds for each value; inf where the step is too coarse to promise anything.

        Raises
        ------
        Nothing.

        Examples
        --------
        >>> from bayesmargins.links import get_link
        >>> rule_for(get_link("logit"), 1.0).error_bound(0.5) < 1e-13
        True
        """
        scale = _strip(self.link).scale[self.part]
        if scale is None:
            if self.relative_bound >= 1.0:
                return np.inf
            scale = largest / (1.0 - self.relative_bound)  # the bound is relative to the truth, not to the value
        # each term: exp and its argument (s z), a power of it built by up to `half` products, the sum
        rounding = _EPS * (16.0 + self.nodes + 2.0 * self.s * self.half * self.step) * max(scale, largest)
        return scale * self.relative_bound + self.absolute_bound + rounding


def expectation(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike, part: str = "mean") -> Integral:
    """What is the mean response over new groups, at each linear predictor?

    Parameters
    ----------
    link : Link
        The inverse link h.
    eta : (draw, row) float, link scale
        Linear predictor at b = 0.
    s2 : scalar, (draw, 1), (1, row) or (draw, row) float, link scale squared
        Variance of z'b over the groups that are integrated out; 0 gives h(eta) itself.
    part : {"mean", "complement", "d1", "d2"}
        Averages h, 1 - h (accurate for a nearly certain response), h' or h''.

    Returns
    -------
    Integral
        E[f(eta + s Z)] with a bound on its error; NaN where eta or s2 is NaN.

    Raises
    ------
    IntegrationError
        Unknown part, the complement of an unbounded link, shapes that do not fit, a negative variance.

    Notes
    -----
    Closed forms for the identity, log and probit links; for logit and cloglog the trapezoid rule with its step chosen
    for s (Trefethen & Weideman 2014), and an expansion in 1/s above s = 4096. Means are relatively accurate to 1e-12
    and better down to 1e-20, complements of the logit too, complements of the cloglog down to 1e-12.

    Examples
    --------
    >>> from bayesmargins.links import get_link
    >>> result = expectation(get_link("logit"), [[-2.0, 2.0]], 4.0)
    >>> result.value.round(6)
    array([[0.2248, 0.7752]])
    >>> result.error_bound < 1e-12
    True
    """
    eta, s2 = _checked(link, eta, s2, part)
    if link.closed_form is not None:
        return Integral(link.closed_form(eta, s2, part), 0.0, "closed form", 0)
    s = np.sqrt(s2)
    if not eta.size or not np.any(s > 0.0):
        return Integral(np.where(np.isnan(s), np.nan, link.part(part)(eta)), 0.0, "plug-in", 0)
    value, bound, nodes = _trapezoid(link, eta, s, part)
    if _all_numerical(s):
        return Integral(value, bound, "trapezoid", nodes)
    wide = s > _WIDE
    if wide.any():
        _fill(value, wide, eta, s, lambda eta, s: _expansion(link, eta, s, part))
        bound = max(bound, _expansion_bound(link, part))
    zero = s == 0.0
    if zero.any():
        _fill(value, zero, eta, s, lambda eta, s: link.part(part)(eta))
    return Integral(value, bound, "trapezoid and expansion" if wide.any() else "trapezoid", nodes)


def _checked(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike, part: str) -> tuple[Array, Array]:
    """eta as a C-contiguous (draw, row) array and s2 as (draw, 1) or (draw, row)."""
    try:
        link.part(part)
    except ModelError as error:
        raise IntegrationError(str(error)) from None
    eta = np.ascontiguousarray(eta, dtype=np.float64)
    s2 = np.asarray(s2, dtype=np.float64)
    if eta.ndim != 2:
        raise IntegrationError(f"eta has shape {eta.shape}: it must be (draw, row).")
    draws, rows = eta.shape
    if s2.shape not in {(), (1, 1), (draws, 1), (1, rows), (draws, rows)}:
        raise IntegrationError(
            f"s2 has shape {s2.shape} but eta has shape {eta.shape}: s2 must be a scalar, "
            f"{(draws, 1)}, {(1, rows)} or {(draws, rows)}."
        )
    if s2.size and not s2.min() >= 0.0 and np.any(s2 < 0.0):
        raise IntegrationError(
            f"s2 is negative ({np.nanmin(s2):.6g} is the smallest of its values): a variance must be >= 0. "
            "Check that every Sigma is positive semi-definite."
        )
    per_draw = s2.size == 1 or s2.shape[-1:] == (1,)
    return eta, np.ascontiguousarray(np.broadcast_to(s2, (draws, 1) if per_draw else (draws, rows)))


def _fill(
    value: Array, where: npt.NDArray[np.bool_], eta: Array, s: Array, function: Callable[[Array, Array], Array]
) -> None:
    """Replace the values where s asks for another method."""
    where = np.broadcast_to(where, value.shape)
    value[where] = function(eta[where], np.broadcast_to(s, value.shape)[where])


def _trapezoid(link: Link, eta: Array, s: Array, part: str) -> tuple[Array, float, int]:
    """Values, error bound and nodes where 0 < s <= _WIDE; NaN elsewhere."""
    from bayesmargins.kernels import trapezoid  # numba takes a second to import, and closed forms need none

    value = np.full(eta.shape, np.nan)
    numerical = s if _all_numerical(s) else s[(s > 0.0) & (s <= _WIDE)]
    if not numerical.size:
        return value, 0.0, 0
    lowest, highest = _bucket(float(numerical.min())), _bucket(float(numerical.max()))
    rules, table = _table(link, part, lowest, highest)
    trapezoid(link.code, PARTS.index(part), eta, s, _PER_OCTAVE, lowest, _WIDE, *table, value)
    largest = _largest(value)
    return value, max(rule.error_bound(largest) for rule in rules), max(rule.nodes for rule in rules)


def _all_numerical(s: Array) -> bool:
    return bool(s.min() > 0.0 and s.max() <= _WIDE)


def _largest(value: Array) -> float:
    """The largest absolute value, NaN left out; without a temporary where there is none."""
    top, bottom = float(value.max()), float(value.min())
    if np.isnan(top):
        finite = value[np.isfinite(value)]
        return float(np.max(np.abs(finite), initial=0.0))
    return max(top, -bottom)


def _bucket(s: float) -> int:
    """Which power of 2^(1/4), rounded up, serves s?"""
    return max(int(np.ceil(_PER_OCTAVE * np.log2(s))), _LOWEST)


@lru_cache(maxsize=256)
def _table(link: Link, part: str, lowest: int, highest: int) -> tuple[tuple[Rule, ...], tuple[Array, ...]]:
    """The rules of a range of buckets, and the arrays that the kernel reads: steps, halves, offsets, weights."""
    rules = tuple(_bucket_rule(link, part, bucket) for bucket in range(lowest, highest + 1))
    halves = np.array([rule.half for rule in rules])
    offsets = np.concatenate([[0], np.cumsum(halves + 1)[:-1]])
    weights = np.concatenate([rule.weights for rule in rules])
    return rules, (np.array([rule.step for rule in rules]), halves, offsets, weights)


@lru_cache(maxsize=4096)
def _bucket_rule(link: Link, part: str, bucket: int) -> Rule:
    s = 2.0 ** (bucket / _PER_OCTAVE) * (1.0 + 1e-12)  # the kernel's log2 may put s a rounding error above its bucket
    return rule_with_step(link, s, _best_step(_strip(link), s, part), part)


def rule_for(link: Link, s: float, part: str = "mean") -> Rule:
    """Which trapezoid rule is used at this standard deviation?

    Parameters
    ----------
    link : Link
        A link without a closed form.
    s : float
        Standard deviation of z'b, above 0 and at most 4096; rounded up to a power of 2^(1/4), at least 2^-5.
    part : {"mean", "complement", "d1", "d2"}
        What is averaged.

    Returns
    -------
    Rule
        Step, nodes and bounds.

    Raises
    ------
    IntegrationError
        The link has a closed form, or s is out of range.

    Examples
    --------
    >>> from bayesmargins.links import get_link
    >>> rule_for(get_link("logit"), 1.0).nodes < rule_for(get_link("logit"), 4.0).nodes
    True
    """
    if not 0.0 < s <= _WIDE:
        raise IntegrationError(f"s={s!r}: a rule needs 0 < s <= {_WIDE:g}.")
    _strip(link)
    return _bucket_rule(link, part, _bucket(s))


def rule_with_step(link: Link, s: float, step: float, part: str = "mean") -> Rule:
    """How wrong can a trapezoid rule with this step be, up to this standard deviation?

    Parameters
    ----------
    link : Link
        A link without a closed form.
    s : float
        Largest standard deviation of z'b that the bounds must hold for.
    step : float
        Distance between nodes, in units of z.
    part : {"mean", "complement", "d1", "d2"}
        What is averaged.

    Returns
    -------
    Rule
        The rule with its bounds; a step that is too coarse has a large bound, it is not refused.

    Raises
    ------
    IntegrationError
        The link has a closed form.

    Examples
    --------
    >>> from bayesmargins.links import get_link
    >>> coarse = rule_with_step(get_link("logit"), 1.0, 1.0)
    >>> 1e-6 < coarse.relative_bound < 1e-3
    True
    """
    strip = _strip(link)
    a, log_sup = _log_sup(strip, s, part)
    x = 2.0 * np.pi * a / step
    discretisation = float(np.min(2.0 * np.exp(log_sup - x) / -np.expm1(-x)))
    half, truncation, relative = _truncated(strip, s, step, part)
    if part == "complement" and strip.scale[part] is not None:
        return Rule(link, part, s, step, half, 0.0, discretisation + truncation)
    if relative:
        return Rule(link, part, s, step, half, discretisation + truncation * (1.0 + discretisation), 0.0)
    return Rule(link, part, s, step, half, discretisation, truncation)


def apply_rule(rule: Rule, eta: npt.ArrayLike, s: npt.ArrayLike) -> Array:
    """What does a given rule compute, node by node?

    The plain NumPy form of what the compiled kernels do, for coarse rules and as a check on them.

    Parameters
    ----------
    rule : Rule
        From `rule_for` or `rule_with_step`.
    eta, s : array of float
        Linear predictor and standard deviation, broadcast against each other.

    Returns
    -------
    array of float
        The sum over nodes of weight times f(eta + s z).

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> from bayesmargins.links import get_link
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


def _strip(link: Link) -> Strip:
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


def _truncated(strip: Strip, s: float, step: float, part: str) -> tuple[int, float, bool]:
    """Nodes on each side, what leaving out the rest costs, and whether that is relative to E[F].

    F(x) exp(-x) falls and F(x) exp(x) grows, so under the weights exp(+-s z) phi(z), a Gaussian moved by s, the tail's
    share of E[F] is at most that Gaussian's own tail. Where s is too large for that, f <= 1 bounds the tail itself.
    """
    absolute = part == "complement" and strip.scale[part] is not None
    tail = -float(special.ndtri(strip.tolerance[part] / 8.0))
    reach = tail if absolute else min(s + tail, _FARTHEST)
    half = int(np.ceil(reach / step))
    last = half * step
    aliased = 2.0 / math.expm1(
        min(2.0 * np.pi**2 / step**2, 700.0)
    )  # the discrete Gaussian's total is 1 to within this
    share = 2.0 * float(special.ndtr(s - last)) / (1.0 - aliased) if aliased < 1.0 else np.inf
    if not absolute and share <= strip.tolerance[part]:
        return half, share, True
    return half, 2.0 * float(special.ndtr(-last)), False  # discrete tail <= integral beyond the last node


def _expansion(link: Link, eta: Array, s: Array, part: str) -> Array:
    """E[f(eta + s Z)] to third order in 1/s: h is the cdf of some L, so E[h] = P(L - s Z <= eta)."""
    moments = (1.0, *_strip(link).moments)
    order = {"mean": 0, "complement": 0, "d1": 1, "d2": 2}[part]
    with np.errstate(invalid="ignore"):
        x = np.clip(eta / s, -40.0, 40.0)
    density = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
    total = np.zeros_like(x)
    for j in range(4):
        k = j + order
        phi_k = special.ndtr(x) if k == 0 else (-1.0) ** (k - 1) * special.eval_hermitenorm(k - 1, x) * density
        if k == 0 and part == "complement":
            phi_k = -special.ndtr(-x)
        total = total + (-1.0) ** j * moments[j] / (special.factorial(j) * s**j) * phi_k
    return (-total if part == "complement" else total) / s**order


def _expansion_bound(link: Link, part: str) -> float:
    """Remainder of the expansion, at the smallest s it is used for, and rounding."""
    steepest = {"mean": 0.56, "complement": 0.56, "d1": 1.2, "d2": 2.4}[part]  # sup of derivative 4, 5, 6 of Phi
    return steepest * _strip(link).moments[3] / (24.0 * _WIDE**4) + 16.0 * _EPS
