"""An ordered y: the category in which a latent variable falls between thresholds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from bayesmargins.family.between import BETWEEN_ROWS
from bayesmargins.family.curve import Curve
from bayesmargins.family.family import LATENT, Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import ORDERED, Outcome, Values

__all__ = ["cumulative"]


def _bounds(p: Values, y: Array) -> tuple[Array, Array]:
    """What lies below and above category y of the latent variable, less eta: infinite at either end."""
    theta = p.thresholds
    shape = np.broadcast_shapes(theta.shape[:-1], np.shape(p.eta), np.shape(y))
    end = np.full((*theta.shape[:-1], 1), np.inf)
    padded = np.broadcast_to(np.concatenate([-end, theta, end], axis=-1), (*shape, theta.shape[-1] + 2))
    k = np.broadcast_to(np.asarray(y, dtype=np.intp), shape)[..., None]
    low, high = (np.take_along_axis(padded, at, axis=-1)[..., 0] for at in (k - 1, k))
    return low - p.eta, high - p.eta


def _log_density(p: Values, o: Outcome) -> Array:
    """log of P(y <= k) - P(y <= k - 1), or of the difference of their complements, where these are smaller."""
    low, high = _bounds(p, o.y)
    below = p.link.inverse(high) - p.link.inverse(low)
    above = p.link.complement(low) - p.link.complement(high)
    with np.errstate(divide="ignore"):
        return np.log(np.where(p.link.inverse(low) > 0.5, above, below))


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """1 and one more for every threshold whose P(y <= k) a uniform number exceeds."""
    reached = p.link.inverse(p.thresholds - np.asarray(p.eta)[..., None])
    return 1.0 + (rng.uniform(size=reached.shape[:-1])[..., None] > reached).sum(axis=-1)


def _at_most(link: Link, k: int) -> Curve:
    return Curve(link, lambda p: p.thresholds[..., k - 1], sign=-1.0, reads=("thresholds",))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """Logarithms of the categories' probabilities, from those of P(y <= k) and P(y > k)."""
    import pytensor.tensor as pt

    y = o.y.astype(np.int64)
    logs = [p.link.tensors.logs(pt, p.thresholds[k] - p.eta) for k in range(int(y.max()) - 1)]
    between = [_between(pt, low, high) for low, high in pairwise(logs)]
    probability = pt.stack([logs[0][0], *between, logs[-1][1]], axis=-1)
    pm.Categorical(name, logit_p=probability, observed=y - 1, dims="obs")


def _between(pt: Any, low: tuple[Any, Any], high: tuple[Any, Any]) -> Any:
    """log P of what lies between two thresholds: of the two differences that of the smaller numbers.

    Each is told of the other's rows that its argument is 1, so that no infinite derivative is multiplied by 0.
    """
    above = pt.gt(low[0], np.log(0.5))
    below = high[0] + pt.log1mexp(pt.switch(above, -1.0, low[0] - high[0]))
    return pt.switch(above, low[1] + pt.log1mexp(pt.switch(above, high[1] - low[1], -1.0)), below)


cumulative = Family(
    "cumulative",
    (
        Parameter("mu", ("logit", "probit", "cloglog"), noun="category"),
        Parameter(
            "thresholds",
            ("identity",),
            meaning="what the latent variable exceeds in the next category",
            prior=lambda o: ("StudentT", {"nu": 3.0, "mu": 0.0, "sigma": 2.5}),  # as in brms
            names={"brms": "b_Intercept", "bambi": "threshold"},
            along="threshold",
        ),
    ),
    ORDERED,
    _log_density,
    _simulate,
    at_most=_at_most,
    residual=LATENT,
    pymc=_pymc,
    rows=BETWEEN_ROWS,
    aliases=("ordinal", "ordered", "clm", "polr"),
    ones=("disc",),
)
