"""An ordered y: the category in which a latent variable falls between thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.between import BETWEEN_ROWS
from bayesmargins.family.censoring import log_between
from bayesmargins.family.curve import Curve
from bayesmargins.family.family import LATENT, Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.observing import weighed
from bayesmargins.family.outcome import ORDERED, Outcome, Values
from bayesmargins.family.stages import discrimination, log_at_thresholds, of_own, scaled, thresholds

__all__ = ["cumulative"]


def _log_density(p: Values, o: Outcome) -> Array:
    """log of P(y <= k) - P(y <= k - 1), or of the difference of their complements, where these are smaller.

    Either difference is that of two exponentials, of which the larger is a factor.
    """
    h, rest = log_at_thresholds(p.link, p)
    never, surely = np.full_like(h[:1], -np.inf), np.zeros_like(h[:1])
    h, rest = np.concatenate([never, h, surely]), np.concatenate([surely, rest, never])
    with np.errstate(divide="ignore"):
        below = h[1:] + np.log(-np.expm1(h[:-1] - h[1:]))
        above = rest[:-1] + np.log(-np.expm1(rest[1:] - rest[:-1]))
    return of_own(np.where(h[:-1] > np.log(0.5), above, below), o.y)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    """1 and one more for every threshold whose P(y <= k) a uniform number exceeds."""
    reached = p.link.inverse(scaled(p))
    return 1.0 + (rng.uniform(size=reached.shape[:-1])[..., None] > reached).sum(axis=-1)


def _at_most(link: Link, k: int) -> Curve:
    return Curve(link, lambda p: p.thresholds[..., k - 1], sign=-1.0, reads=("thresholds",))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    """The logarithm of what lies between the two thresholds of each row: of its own category alone."""
    import pytensor.tensor as pt

    link, y = p.link, o.y.astype(np.int64) - 1
    last = int(y.max())

    def log_mass(y: Any, eta: Any, thresholds: Any, *disc: Any) -> Any:
        lowest, highest = pt.le(y, 0), pt.ge(y, last)
        above = thresholds[pt.clip(y, 0, last - 1)] - eta
        below = thresholds[pt.clip(y - 1, 0, last - 1)] - eta
        above, below = (disc[0] * above, disc[0] * below) if disc else (above, below)
        below = pt.switch(lowest, above - 1.0, below)
        above = pt.switch(highest, below + 1.0, above)  # at either end the other threshold is anywhere
        low, high = link.tensors.logs(pt, below), link.tensors.logs(pt, above)
        if link.tensors.factors and not disc:
            both = pt.switch(highest, 0.0, high[0]) + pt.switch(lowest, 0.0, low[1])
            value = both + _widths(pt, thresholds)[pt.clip(y, 0, last)]
        else:
            value = pt.switch(lowest, high[0], pt.switch(highest, low[1], log_between(pt, low, high)))
        return weighed(pt.switch(pt.or_(pt.lt(y, 0), pt.gt(y, last)), -np.inf, value), o)

    def drawn(eta: Any, thresholds: Any, *more: Any) -> Any:
        *disc, size = more
        x = thresholds - eta[..., None]
        reached = link.tensors.inverse(pt, disc[0][..., None] * x if disc else x)
        ends = [pt.zeros_like(reached[..., :1]), reached, pt.ones_like(reached[..., :1])]
        return pm.Categorical.dist(pt.diff(pt.concatenate(ends, axis=-1), axis=-1), size=size)

    options = {"logp": log_mass, "dist": drawn, "class_name": "Categorical", "observed": y, "dims": "obs"}
    disc = [p.disc] if hasattr(p, "disc") else []
    pm.CustomDist(name, p.eta, p.thresholds, *disc, signature=f"(),(t){',()' * len(disc)}->()", **options)


def _widths(pt: Any, thresholds: Any) -> Any:
    """log(1 - exp(u - v)) of each category's thresholds, 0 at either end: (category,)."""
    end = pt.zeros(1)
    return pt.concatenate([end, pt.log1mexp(thresholds[:-1] - thresholds[1:]), end])


cumulative = Family(
    "cumulative",
    (
        Parameter("mu", ("logit", "probit", "cloglog", "loglog", "cauchit"), noun="category"),
        thresholds("what the latent variable exceeds in the next category", rising=True),
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
    discrimination=discrimination(),
)
