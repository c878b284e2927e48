"""g(E[h(eta + s Z)]): the population mean on the scale of the linear predictor, with a bound on its error there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bayesmargins.integrate.engine import Integral, checked, expectation
from bayesmargins.integrate.rules import EPS, WIDE, bucket_of, rule_table
from bayesmargins.links import Link

__all__ = ["linked_mean"]

Array = npt.NDArray[np.float64]

_UNKNOWN = 1e-6  # a value with a larger error is NaN

# E[h(eta + s Z)] is h of these: no detour through the response scale, where it could overflow or round to 0 or 1.
_CLOSED: dict[str, Callable[[Array, Array], Array]] = {
    "identity": lambda eta, s2: eta + 0.0 * s2,
    "log": lambda eta, s2: eta + 0.5 * s2,
    "probit": lambda eta, s2: eta / np.sqrt(1.0 + s2),
}


def linked_mean(link: Link, eta: npt.ArrayLike, s2: npt.ArrayLike) -> Integral:
    """Which linear predictor without group effects has the same mean response as the population of groups?

    Parameters
    ----------
    link : Link
        g, with the inverse h.
    eta : (draw, row) float, link scale
        Linear predictor at b = 0.
    s2 : scalar, (draw, 1), (1, row) or (draw, row) float, link scale squared
        Variance of z'b over new groups.

    Returns
    -------
    Integral
        g(E[h(eta + s Z)]), link scale, with a bound on its error on that scale.

    Raises
    ------
    IntegrationError
        Shapes that do not fit, a negative variance.

    Notes
    -----
    Identity, log and probit: eta, eta + s2 / 2, eta / sqrt(1 + s2). Logit: log E[h] - log E[1 - h], each integrated in
    its own right, so that neither rare nor nearly certain events lose digits. Cloglog: log(-log(1 - E[h])), from
    whichever of E[h] and E[1 - h] is the smaller; NaN where E[1 - h] is below about 1e-18, which the engine knows in
    absolute terms only.

    Examples
    --------
    >>> from bayesmargins.links import get_link
    >>> linked_mean(get_link("logit"), [[-20.0, 2.0]], 4.0).value.round(4)
    array([[-18.    ,   1.2379]])
    """
    eta, s2 = checked(link, eta, s2, "mean")
    if link.name in _CLOSED:
        return Integral(_CLOSED[link.name](eta, s2), 0.0, "closed form", 0)
    if not np.any(s2 > 0.0):
        return Integral(eta + 0.0 * s2, 0.0, "plug-in", 0)
    mean, complement = (expectation(link, eta, s2, part) for part in ("mean", "complement"))
    with np.errstate(divide="ignore", invalid="ignore"):
        value, bound = _LINKED[link.name](link, np.sqrt(s2), mean, complement, _farthest(eta, s2))
    value = np.where(s2 == 0.0, eta, value)
    return Integral(value, bound, mean.method, max(mean.nodes, complement.nodes))


def _logit(link: Link, s: Array, mean: Integral, complement: Integral, farthest: float) -> tuple[Array, float]:
    value = np.log(mean.value) - np.log(complement.value)
    bound = sum(_relative(link, s, part, of) for part, of in (("mean", mean), ("complement", complement)))
    return value, bound + 4.0 * EPS * _largest(value)


def _cloglog(link: Link, s: Array, mean: Integral, complement: Integral, farthest: float) -> tuple[Array, float]:
    """With c = E[1 - h] and l = -log c, an error of c moves log l by that error over c l, and one of 1 - c no more."""
    rare = mean.value < 0.5
    minus_log = np.where(rare, -np.log1p(-np.minimum(mean.value, 0.5)), -np.log(complement.value))
    value = np.log(minus_log)
    bound = 2.0 * _relative(link, s, "mean", mean)  # d log l / d log E[h] = E[h] / (c l) <= 1 / c <= 2
    certain = ~rare & (complement.value > 0.0)
    if certain.any():
        c, minus = complement.value[certain], minus_log[certain]
        share, absolute, nodes = _rules(link, s, "complement", complement)
        # a rounded argument x of exp(-exp(x)) costs exp(x) times its error, and terms with exp(x) > l + 40 add nothing
        rounding = EPS * (16.0 + nodes) + 3.0 * EPS * farthest * (minus + 40.0)
        error = (share + absolute / c + rounding) / minus
        value[certain] = np.where(error > _UNKNOWN, np.nan, value[certain])
        bound = max(bound, float(np.max(error, initial=0.0, where=error <= _UNKNOWN)))
    return value, bound + 4.0 * EPS * _largest(value)


_LINKED = {"logit": _logit, "cloglog": _cloglog}


def _relative(link: Link, s: Array, part: str, of: Integral) -> float:
    """Error of an average in units of that average, rounding of its sum of positive terms included."""
    share, absolute, nodes = _rules(link, s, part, of)
    positive = of.value[of.value > 0.0]
    smallest = float(positive.min()) if positive.size else 1.0
    top = float(np.max(s[s <= WIDE], initial=0.0))
    return share + EPS * (16.0 + nodes + 24.0 * top) + (absolute / smallest if absolute else 0.0)


def _rules(link: Link, s: Array, part: str, of: Integral) -> tuple[float, float, int]:
    """Relative bound, absolute bound and nodes over the rules that were used."""
    numerical = s[(s > 0.0) & (s <= WIDE)]
    wide = of.error_bound if np.any(s > WIDE) else 0.0
    if not numerical.size:
        return 0.0, wide, 0
    rules, _ = rule_table(link, part, bucket_of(float(numerical.min())), bucket_of(float(numerical.max())))
    share = max(rule.relative_bound for rule in rules)
    return share / (1.0 - share), max(wide, *(r.absolute_bound for r in rules)), max(r.nodes for r in rules)


def _farthest(eta: Array, s2: Array) -> float:
    return _largest(eta) + 12.0 * float(np.sqrt(np.max(s2, initial=0.0)))


def _largest(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0
