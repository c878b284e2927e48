"""Proportions that may be 0 or 1: a beta distribution between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.curve import Curve
from bayesmargins.family.ends import WithEnds, observe_with_ends
from bayesmargins.family.families.beta import beta
from bayesmargins.family.family import Coefficients, Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import Outcome, Values
from bayesmargins.family.zeros import share_of_zeros

__all__ = ["zero_one_inflated_beta"]


def _masses(p: Values) -> tuple[Array, Array, Array]:
    with np.errstate(divide="ignore"):
        zoi, coi = np.log(p.zoi), np.log(p.coi)
        return zoi + np.log1p(-p.coi), np.log1p(-p.zoi), zoi + coi


def _tensor_masses(pt: Any, zoi: Any, coi: Any) -> tuple[Any, Any, Any]:
    return pt.log(zoi) + pt.log1p(-coi), pt.log1p(-zoi), pt.log(zoi) + pt.log(coi)


_ENDED = WithEnds(beta, _masses)


def _mean(link: Link) -> Curve:
    return Curve(link, factor=lambda p: 1.0 - p.zoi, added=lambda p: p.zoi * p.coi, reads=("zoi", "coi"))


def _variance(p: Values, o: Outcome) -> Coefficients:
    """E[y^2 | b] less the square of the mean."""
    one, rest = p.zoi * p.coi, 1.0 - p.zoi
    return one * (1.0 - one), rest * (1.0 / (1.0 + p.phi) - 2.0 * one), rest * (p.zoi - 1.0 / (1.0 + p.phi))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    observe_with_ends(pm, name, p, o, _tensor_masses, "ZeroOneInflatedBeta", zoi=p.zoi, coi=p.coi)


zero_one_inflated_beta = Family(
    "zero_one_inflated_beta",
    (
        Parameter("mu", beta.links, noun="expected value", meaning="the expected value of what is neither 0 nor 1"),
        beta.parameter("phi"),
        share_of_zeros("zoi", "the probability of 0 or 1"),
        share_of_zeros("coi", "the probability of 1 among 0 and 1"),
    ),
    **_ENDED.said,
    mean=_mean,
    variance=_variance,
    pymc=_pymc,
    aliases=("zoib", "zero_one_beta"),
)
