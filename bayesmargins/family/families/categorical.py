"""One of several categories without an order: each but the first has a linear predictor of its own."""

from __future__ import annotations

import numpy as np

from bayesmargins.family.curve import Shares
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.outcome import CATEGORIES, Outcome, Values
from bayesmargins.family.shares import log_shares
from bayesmargins.family.stages import drawn_category, of_own

__all__ = ["categorical"]


def _log_density(p: Values, o: Outcome) -> Array:
    return of_own(log_shares(p), o.y)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    return drawn_category(rng, np.exp(log_shares(p)))


categorical = Family(
    "categorical",
    (Parameter("mu", ("logit",), noun="category", meaning="log odds against the first category", each=True),),
    CATEGORIES,
    _log_density,
    _simulate,
    shares=Shares,
    aliases=("softmax", "multinomial_logit", "multinom", "mlogit", "nominal"),
)
