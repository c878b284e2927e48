"""Proportions that may be 0 or 1, which lie beyond two cut points of the same linear predictor (Kubinec 2023)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import scipy

from bayesmargins.family.curve import Bundle, Curve
from bayesmargins.family.ends import WithEnds, observe_with_ends
from bayesmargins.family.families.beta import beta
from bayesmargins.family.family import Coefficients, Family, Parameter
from bayesmargins.family.link import PARTS, Array, Link
from bayesmargins.family.outcome import Outcome, Values
from bayesmargins.family.stages import growth_of, product

__all__ = ["ordered_beta"]


def _cuts(p: Values) -> tuple[Array, Array]:
    return np.asarray(p.cutzero), np.asarray(p.cutzero + np.exp(p.cutone))


def _masses(p: Values) -> tuple[Array, Array, Array]:
    """log P(y = 0), of P(0 < y < 1) and of P(y = 1): h(x - a) - h(x - b) is h(x - a) h(b - x) (1 - exp(a - b))."""
    low, high = _cuts(p)
    log_h, gap = scipy.special.log_expit, np.log(-np.expm1(-np.exp(p.cutone)))
    return log_h(low - p.eta), log_h(p.eta - low) + log_h(high - p.eta) + gap, log_h(p.eta - high)


_ENDED = WithEnds(beta, _masses)


def _one(link: Link) -> Curve:
    """P(y = 1), which is all of the mean that is an inverse link."""
    return Curve(link, lambda p: -_cuts(p)[1], reads=("cutzero", "cutone"))


def _rest(p: Values) -> tuple[Array, Array]:
    """What E[y] and E[y^2] have of values between the ends."""
    _, between, _ = _ENDED.shares(p)
    return between * p.mu, between * p.mu * (p.mu + p.complement / (1.0 + p.phi))


def _variance(p: Values, o: Outcome) -> Coefficients:
    return 0.0, 1.0, -1.0


@lru_cache(maxsize=8)  # rules and tables are kept by the bundle
def _mean(link: Link) -> Bundle:
    """E[y] = P(y = 1) + P(0 < y < 1) mu: a sum of products of h and 1 - h, whose growth is at most that of three."""

    def of(p: Values, order: int) -> Array:
        low, high = _cuts(p)
        h, rest = (partial(_with_changes, link, part, order) for part in ("mean", "complement"))
        inside = product(product(h(p.eta - low), rest(p.eta - high)), h(p.eta))
        return (h(p.eta - high) - np.expm1(-np.exp(p.cutone)) * inside)[:, None]

    half_width, growth, relative = growth_of(link)
    return Bundle(link, 1, of, half_width, lambda y: 3.0 * growth(y), relative, ("cutzero", "cutone"))


def _with_changes(link: Link, part: str, order: int, x: Array) -> Array:
    """h or 1 - h at x, and its derivatives: (order + 1, ...)."""
    sign = 1.0 if part == "mean" else -1.0
    return np.stack([link.part(part)(x), *(sign * link.part(change)(x) for change in PARTS[2 : 2 + order])])


def _tensor_masses(pt: Any, eta: Any, low: Any, width: Any) -> tuple[Any, Any, Any]:
    high, log_h = low + width, lambda x: -pt.softplus(-x)
    return log_h(low - eta), log_h(eta - low) + log_h(high - eta) + pt.log1mexp(-width), log_h(eta - high)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    cuts = {"low": p.cutzero, "width": pm.math.exp(p.cutone)}
    observe_with_ends(pm, name, p, o, _tensor_masses, "OrderedBeta", eta=p.eta, **cuts)


_ANYWHERE = (-np.inf, np.inf)

ordered_beta = Family(
    "ordered_beta",
    (
        Parameter("mu", ("logit",), noun="expected value", meaning="the expected value of what is neither 0 nor 1"),
        beta.parameter("phi"),
        Parameter(
            "cutzero",
            ("identity",),
            meaning="the linear predictor at which y is 0 with probability 1/2",
            prior=lambda o: ("Normal", {"mu": -2.0, "sigma": 2.0}),
            between=_ANYWHERE,
        ),
        Parameter(
            "cutone",
            ("identity",),
            meaning="the logarithm of how far above cutzero y is 1 with probability 1/2",
            prior=lambda o: ("Normal", {"mu": 1.2, "sigma": 0.7}),
            between=_ANYWHERE,
        ),
    ),
    **_ENDED.said,
    mean=_one,
    rest=_rest,
    expected=_mean,
    variance=_variance,
    pymc=_pymc,
    names={"brms": "ord_beta_reg"},
    aliases=("ordbeta", "ordered_beta_regression", "ordbetareg"),
)
