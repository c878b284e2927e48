"""Categories without an order: log odds of each against the first, from linear predictors of their own."""

from __future__ import annotations

import numpy as np

from bayesmargins.family.link import Array
from bayesmargins.family.outcome import Values

__all__ = ["log_shares"]


def log_shares(p: Values) -> Array:
    """log P(y = k): (category, ...), from ``p.eta`` and what `p` has of the other categories, in their order."""
    others = [values for name, values in vars(p).items() if name.startswith("mu[")]
    etas = np.stack(np.broadcast_arrays(np.zeros(()), p.eta, *others))
    top = etas.max(axis=0)
    return np.asarray(etas - (top + np.log(np.exp(etas - top).sum(axis=0))))
