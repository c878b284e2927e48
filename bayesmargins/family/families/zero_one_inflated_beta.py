"""Proportions that may be 0 or 1: a beta distribution between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayesmargins.family.curve import Curve
from bayesmargins.family.families.beta import beta
from bayesmargins.family.family import Coefficients, Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import Outcome, Support, Values
from bayesmargins.family.zeros import share_of_zeros

__all__ = ["zero_one_inflated_beta"]


def _ends(p: Values) -> tuple[Array, Array, Array]:
    """P(y = 0), P(y = 1) and what is left."""
    return np.asarray(p.zoi * (1.0 - p.coi)), np.asarray(p.zoi * p.coi), np.asarray(1.0 - p.zoi)


def _log_density(p: Values, o: Outcome) -> Array:
    at_end = (o.y == 0.0) | (o.y == 1.0)
    with np.errstate(divide="ignore"):
        of_end = np.log(p.zoi) + np.where(o.y == 0.0, np.log1p(-p.coi), np.log(p.coi))
        between = beta.need("log_density", "a density")(p, replace(o, y=np.where(at_end, 0.5, o.y)))
        return np.where(at_end, of_end, np.log1p(-p.zoi) + between)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    y = beta.need("simulate", "draws")(rng, p, o)
    at_end, high = rng.random(np.shape(y)) < p.zoi, rng.random(np.shape(y)) < p.coi
    return np.where(at_end, np.where(high, 1.0, 0.0), y)


def _above(c: Array, p: Values, o: Outcome) -> Array:
    _, one, rest = _ends(p)
    between = one + rest * beta.need("above", "a tail")(c, p, o)
    return np.where(np.asarray(c) < 0.0, 1.0, np.where(np.asarray(c) < 1.0, between, 0.0))


def _below(c: Array, p: Values, o: Outcome) -> Array:
    zero, _, rest = _ends(p)
    between = zero + rest * beta.need("below", "a tail")(c, p, o)
    return np.where(np.asarray(c) < 0.0, 0.0, np.where(np.asarray(c) < 1.0, between, 1.0))


def _quantile(q: float, p: Values) -> Array:
    zero, one, rest = _ends(p)
    between = beta.need("quantile", "a quantile")(np.clip((q - zero) / rest, 0.0, 1.0), p)
    return np.where(zero >= q, 0.0, np.where(q > 1.0 - one, 1.0, between))


def _mean(link: Link) -> Curve:
    return Curve(link, factor=lambda p: 1.0 - p.zoi, added=lambda p: p.zoi * p.coi, reads=("zoi", "coi"))


def _variance(p: Values, o: Outcome) -> Coefficients:
    """E[y^2 | b] less the square of the mean."""
    _, one, rest = _ends(p)
    return one * (1.0 - one), rest * (1.0 / (1.0 + p.phi) - 2.0 * one), rest * (p.zoi - 1.0 / (1.0 + p.phi))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    pt = pm.math.pt

    def density(y: Any, alpha: Any, beta: Any, zoi: Any, coi: Any) -> Any:
        at_end = pt.or_(pt.eq(y, 0.0), pt.eq(y, 1.0))
        of_end = pt.log(zoi) + pt.switch(pt.eq(y, 0.0), pt.log1p(-coi), pt.log(coi))
        between = pm.logp(pm.Beta.dist(alpha=alpha, beta=beta), pt.switch(at_end, 0.5, y))
        return pt.switch(at_end, of_end, pt.log1p(-zoi) + between)

    def drawn(alpha: Any, beta: Any, zoi: Any, coi: Any, size: Any) -> Any:
        between = pm.Beta.dist(alpha=alpha, beta=beta, size=size)
        at_end, high = (pm.Bernoulli.dist(share + pt.zeros_like(between)) for share in (zoi, coi))
        return pt.switch(at_end, pt.cast(high, between.dtype), between)

    parameters = {"alpha": p.mu * p.phi, "beta": p.complement * p.phi, "zoi": p.zoi, "coi": p.coi}
    observe_by(pm, name, o, o.y, density, drawn, None, "ZeroOneInflatedBeta", **parameters)


zero_one_inflated_beta = Family(
    "zero_one_inflated_beta",
    (
        Parameter("mu", beta.links, noun="expected value", meaning="the expected value of what is neither 0 nor 1"),
        beta.parameter("phi"),
        share_of_zeros("zoi", "the probability of 0 or 1"),
        share_of_zeros("coi", "the probability of 1 among 0 and 1"),
    ),
    Support("numbers from 0 to 1", lambda o: (o.y >= 0.0) & (o.y <= 1.0), atoms=(0.0, 1.0)),
    _log_density,
    _simulate,
    _above,
    _below,
    quantile=_quantile,
    mean=_mean,
    variance=_variance,
    pymc=_pymc,
    aliases=("zoib", "zero_one_beta"),
)
