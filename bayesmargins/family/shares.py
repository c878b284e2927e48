"""Categories without an order: log odds of each against the first, from linear predictors of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.link import Array
from bayesmargins.family.outcome import Values

__all__ = ["log_shares", "other_predictors"]


def other_predictors(p: Values) -> list[Any]:
    """The linear predictors of all categories but the first two, in their order: that of the second is ``p.eta``."""
    return [values for name, values in vars(p).items() if name.startswith("mu[")]


def log_shares(p: Values) -> Array:
    """log P(y = k): (category, ...), from ``p.eta`` and what `p` has of the other categories, in their order."""
    etas = np.stack(np.broadcast_arrays(np.zeros(()), p.eta, *other_predictors(p)))
    return np.asarray(scipy.special.log_softmax(etas, axis=0))
