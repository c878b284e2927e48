"""One of several categories without an order: each but the first has a linear predictor of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.curve import Shares
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array
from bayesmargins.family.outcome import CATEGORIES, Outcome, Values
from bayesmargins.family.shares import log_shares, other_predictors
from bayesmargins.family.stages import drawn_category, observe_category, of_own

__all__ = ["categorical", "tensor_log_shares"]


def _log_density(p: Values, o: Outcome) -> Array:
    return of_own(log_shares(p), o.y)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    return drawn_category(rng, np.exp(log_shares(p)))


def tensor_log_shares(p: Values) -> Any:
    """log P(y = k) as a tensor: (row, category)."""
    import pytensor.tensor as pt
    from pytensor.tensor.special import log_softmax

    return log_softmax(pt.stack([pt.zeros_like(p.eta), p.eta, *other_predictors(p)], axis=-1), axis=-1)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """The linear predictors of all categories but the first two stand where others have thresholds."""
    import pytensor.tensor as pt
    from pytensor.tensor.special import log_softmax

    others = [eta[:, None] for eta in other_predictors(p)]
    p.thresholds = pt.concatenate(others, axis=1) if others else pt.zeros((p.eta.shape[0], 0))

    def log_probabilities(pt: Any, eta: Any, others: Any) -> Any:
        first = eta[..., None]
        return log_softmax(pt.concatenate([pt.zeros_like(first), first, others], axis=-1), axis=-1)

    observe_category(pm, name, p, o, log_probabilities)


categorical = Family(
    "categorical",
    (Parameter("mu", ("logit",), noun="category", meaning="log odds against the first category", each=True),),
    CATEGORIES,
    _log_density,
    _simulate,
    shares=Shares,
    pymc=_pymc,
    aliases=("softmax", "multinomial_logit", "multinom", "mlogit", "nominal"),
)
