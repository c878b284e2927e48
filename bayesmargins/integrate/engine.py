"""E[h(eta + s Z)], Z ~ N(0, 1), with a bound on its error: a closed form, or else the trapezoid rule of `rules`.

Above s = 4096 the rule gives way to an expansion in 1/s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.rules import EPS, PER_OCTAVE, WIDE, bucket_of, rule_table, strip_of
from bayesmargins.limits import in_threads

__all__ = ["Integral", "averaged", "checked", "expectation", "largest_finite", "largest_of"]

Array = npt.NDArray[np.float64]

_ORDERS = {"mean": 0, "complement": 0, "d1": 1, "d2": 2, "d3": 3, "d4": 4}


@dataclass(frozen=True)
class Integral:
    """What is the average over groups, and how wrong can it be?"""

    value: Array  # (draw, row) float: E[f(eta + s Z)], f the part asked for
    # no value is further than this from the truth (absolute; discretisation, truncation and rounding)
    error_bound: float
    # "closed form", "trapezoid", "plug-in" (every s2 is 0), or "trapezoid and expansion" (some s above 4096)
    method: str
    nodes: int  # the most nodes that any value used; 0 without a rule
    # no value from `trusted` on is further than this times itself from the truth; infinite where nobody knows
    relative_bound: float = np.inf


def expectation(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike, part: str = "mean") -> Integral:
    """E[f(eta + s Z)], the mean response over new groups, at eta (draw, row) with a bound on its error.

    s2, the variance of z'b over the groups that are integrated out, is a number, (draw, 1), (1, row) or (draw, row);
    0 gives h(eta) itself. f is h, 1 - h (accurate for a nearly certain response), or the first to fourth derivative
    of h. NaN where eta or s2 is NaN. IntegrationError where shapes do not fit, a variance is negative, or there is no
    such part or average.

    Closed forms where the link has one; elsewhere the trapezoid rule with its step chosen for s (Trefethen & Weideman
    2014), and an expansion in 1/s above s = 4096. Means and complements are relatively accurate to 1e-12 and better
    down to 1e-20, those that fall steeply (complements of the cloglog, means of the log-log) down to 1e-12.

    >>> from bayesmargins.family import get_link
    >>> result = expectation(get_link("logit"), [[-2.0, 2.0]], 4.0)
    >>> result.value.round(6)
    array([[0.2248, 0.7752]])
    >>> result.error_bound < 1e-12
    True
    """
    return averaged(link, *checked(link, eta, s2, part), part)


def averaged(link: Link, eta: Array, s2: Array, part: str) -> Integral:
    """`expectation` of arrays that are known to fit: eta (draw, row), s2 (draw, 1) or (draw, row) without negatives."""
    if part not in link.parts:
        raise IntegrationError(link.without(part))
    if link.no_average:
        link.check_average(s2)
    if link.closed_form is not None:
        return Integral(link.closed_form(eta, s2, part), 0.0, "closed form", 0)
    s = np.sqrt(s2)
    if not eta.size or not np.any(s > 0.0):
        return Integral(np.where(np.isnan(s), np.nan, link.part(part)(eta)), 0.0, "plug-in", 0)
    low, high = s.min(), s.max()
    if low > 0.0 and high <= WIDE:
        return _trapezoid(link, eta, s, part, low, high)
    return _by_size(link, eta, s, part)


def _by_size(link: Link, eta: Array, s: Array, part: str) -> Integral:
    """The same where some s are 0, no numbers, or too large for a rule."""
    value, bound, nodes = np.full(eta.shape, np.nan), 0.0, 0
    served, wide, zero = s[(s > 0.0) & (s <= WIDE)], s > WIDE, s == 0.0
    if served.size:
        of_rules = _trapezoid(link, eta, s, part, served.min(), served.max())
        value, bound, nodes = of_rules.value, of_rules.error_bound, of_rules.nodes
    if wide.any():
        _fill(value, wide, eta, s, lambda eta, s: _expansion(link, eta, s, part))
        bound = max(bound, _expansion_bound(link, part, largest_of(value)))
    if zero.any():
        _fill(value, zero, eta, s, lambda eta, s: link.part(part)(eta))
    return Integral(value, bound, "trapezoid and expansion" if wide.any() else "trapezoid", nodes)


def checked(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike, part: str) -> tuple[Array, Array]:
    """eta as a C-contiguous (draw, row) array and s2 as (draw, 1) or (draw, row); refuses what is neither."""
    if part not in link.parts:
        raise IntegrationError(link.without(part))
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
    if link.no_average:
        link.check_average(s2)
    per_draw = s2.size == 1 or s2.shape[-1:] == (1,)
    return eta, np.ascontiguousarray(np.broadcast_to(s2, (draws, 1) if per_draw else (draws, rows)))


def _fill(
    value: Array, where: npt.NDArray[np.bool_], eta: Array, s: Array, function: Callable[[Array, Array], Array]
) -> None:
    """Replace the values where s asks for another method."""
    where = np.broadcast_to(where, value.shape)
    value[where] = function(eta[where], np.broadcast_to(s, value.shape)[where])


def _trapezoid(link: Link, eta: Array, s: Array, part: str, low: float, high: float) -> Integral:
    """The values where s has a rule, NaN elsewhere; these s are from low to high."""
    from bayesmargins.integrate.kernels import CHUNK, trapezoid  # numba takes a second to import

    lowest, highest = bucket_of(low), bucket_of(high)
    table = rule_table(link, part, lowest, highest)
    value = np.full(eta.shape, np.nan)
    tasks = len(eta) * -(-eta.shape[1] // CHUNK)
    eta, s = np.ascontiguousarray(eta), np.ascontiguousarray(s)
    in_threads(trapezoid, tasks, link.tags[part], eta, s, PER_OCTAVE, lowest, WIDE, *table.kernel, value)
    bound = float(np.max(table.fixed + table.unit * max(table.least, largest_of(value))))
    return Integral(value, bound, "trapezoid", table.nodes, table.relative)


def largest_of(value: Array) -> float:
    """The largest absolute value, NaN left out; without a temporary where there is none."""
    top, bottom = float(value.max()), float(value.min())
    if np.isnan(top):
        finite = value[np.isfinite(value)]
        return float(np.max(np.abs(finite), initial=0.0))
    return max(top, -bottom)


def largest_finite(values: Array) -> float:
    """The largest absolute value that is finite; 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _expansion(link: Link, eta: Array, s: Array, part: str) -> Array:
    """E[f(eta + s Z)] to third order in 1/s: h (or h') is the cdf of some L, so E[h] = P(L - s Z <= eta)."""
    wide = strip_of(link).wide
    if wide is not None:
        return wide(eta, s, part)
    moments = (1.0, *strip_of(link).moments)
    order = _ORDERS[part] - strip_of(link).integrated
    with np.errstate(invalid="ignore"):
        far = eta / s
        x = np.clip(far, -40.0, 40.0)
    density = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
    total = np.zeros_like(x)
    for j in range(4):
        k = j + order
        if k < 0:
            phi_k = np.where(far < 0.0, 0.0, far) + density - np.abs(x) * scipy.special.ndtr(-np.abs(x))
        elif k == 0:
            phi_k = -scipy.special.ndtr(-x) if part == "complement" else scipy.special.ndtr(x)
        else:
            phi_k = (-1.0) ** (k - 1) * scipy.special.eval_hermitenorm(k - 1, x) * density
        total = total + (-1.0) ** j * moments[j] / (scipy.special.factorial(j) * s**j) * phi_k
    return np.asarray((-total if part == "complement" else total) * s**-order)


def _expansion_bound(link: Link, part: str, largest: float) -> float:
    """Remainder of the expansion, at the smallest s it is used for, and rounding."""
    strip, rounding = strip_of(link), 16.0 * EPS * max(1.0, largest)
    if strip.wide is not None:
        return rounding
    order = _ORDERS[part] - strip.integrated
    steepest = (0.41, 0.56, 1.2, 2.4, 6.0, 14.3)[order + 1]  # sup of derivative 3, 4, ..., 8 of Phi
    return steepest * strip.moments[3] / (24.0 * WIDE ** min(4 + order, 4)) + rounding
