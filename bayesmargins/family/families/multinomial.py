"""How often each of several categories without an order was seen: counts of a row, as `categorical` has one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from bayesmargins.family.curve import Shares
from bayesmargins.family.families.categorical import categorical, tensor_log_shares
from bayesmargins.family.family import Family
from bayesmargins.family.link import Array
from bayesmargins.family.observing import weighed
from bayesmargins.family.outcome import SUCCESSES, Flags, Outcome, Support, Values
from bayesmargins.family.shares import log_shares

__all__ = ["multinomial"]


def _counts(o: Outcome) -> Array:
    assert o.counts is not None
    return o.counts


def _holds(o: Outcome) -> Flags:
    counts = _counts(o)
    return np.asarray(SUCCESSES.holds(o) & (counts >= 0.0).all(axis=1) & (counts == np.floor(counts)).all(axis=1))


def _log_density(p: Values, o: Outcome) -> Array:
    """Rows of the counts (row, category) stand last in what is given (category, ..., row)."""
    shares, counts = log_shares(p), _counts(o).T
    counts = counts.reshape(len(counts), *[1] * (shares.ndim - counts.ndim), *counts.shape[1:])
    lgamma = scipy.special.gammaln
    of_counts = lgamma(counts.sum(axis=0) + 1.0) - lgamma(counts + 1.0).sum(axis=0)
    return np.asarray(of_counts + _weighted(counts, shares))


def _weighted(counts: Array, shares: Array) -> Array:
    """sum of counts times log shares; of what was never seen nothing, however improbable it is."""
    return np.where(counts > 0.0, counts * shares, 0.0).sum(axis=0)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """(..., category): how often each is seen in as many trials."""
    shares = np.moveaxis(np.exp(log_shares(p)), 0, -1)
    shares = shares / shares.sum(axis=-1, keepdims=True)
    return rng.multinomial(np.asarray(o.number(), dtype=np.int64), shares).astype(np.float64)


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    import pytensor.tensor as pt

    counts = _counts(o).astype(np.int64)
    n, lgamma = counts.sum(axis=1), pt.gammaln

    def log_mass(y: Any, shares: Any) -> Any:
        return weighed(lgamma(y.sum(axis=-1) + 1.0) - lgamma(y + 1.0).sum(axis=-1) + (y * shares).sum(axis=-1), o)

    def drawn(shares: Any, size: Any) -> Any:
        return pm.Multinomial.dist(n=n, p=pt.exp(shares))

    options = {"logp": log_mass, "dist": drawn, "class_name": "Multinomial", "observed": counts}
    pm.CustomDist(name, tensor_log_shares(p), signature="(c)->(c)", **options)


multinomial = Family(
    "multinomial",
    categorical.parameters,
    Support("whole numbers from 0, at least one of them in each row", _holds, discrete=True, counts_trials=True),
    _log_density,
    _simulate,
    shares=Shares,
    counted=True,
    pymc=_pymc,
)
