"""An ordered y reached by steps: at each threshold it stops or goes on to the next category (stopping ratio)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from bayesmargins.family.curve import Bundle
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import ORDERED, Outcome, Values
from bayesmargins.family.stages import (
    at_thresholds,
    drawn_category,
    growth_of,
    log_at_thresholds,
    observe_category,
    of_own,
    product,
    thresholds,
)

__all__ = ["sequential"]


@lru_cache(maxsize=64)  # rules and tables are kept by the bundle
def _probabilities(link: Link, K: int) -> Bundle:
    """P(y = k) = h(theta_k - eta) (1 - h(theta_(k - 1) - eta)) ... (1 - h(theta_1 - eta)).

    The growth off the real line of a product is at most that of its factors together.
    """

    def of(p: Values, order: int) -> Array:
        reached, found = None, []
        for k in range(K - 1):
            stops, goes_on = at_thresholds(link, p, k, order)
            found.append(stops if reached is None else product(reached, stops))
            reached = goes_on if reached is None else product(reached, goes_on)
        return np.stack([*found, *([] if reached is None else [reached])], axis=1)

    half_width, growth, relative = growth_of(link)
    return Bundle(link, K, of, half_width, lambda y: (K - 1) * growth(y), relative, ("thresholds",))


def _logs(p: Values) -> Array:
    """log P(y = k): (category, ...)."""
    stops, goes_on = log_at_thresholds(p.link, p)
    before = np.concatenate([np.zeros_like(goes_on[:1]), np.cumsum(goes_on, axis=0)])
    return before + np.concatenate([stops, np.zeros_like(stops[:1])])


def _log_density(p: Values, o: Outcome) -> Array:
    return of_own(_logs(p), o.y)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    return drawn_category(rng, np.exp(_logs(p)))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    link = p.link

    def log_probabilities(pt: Any, eta: Any, theta: Any) -> Any:
        stops, goes_on = link.tensors.logs(pt, theta - eta[..., None])
        end = pt.zeros_like(stops[..., :1])
        before = pt.concatenate([end, pt.cumsum(goes_on, axis=-1)], axis=-1)
        return before + pt.concatenate([stops, end], axis=-1)

    observe_category(pm, name, p, o, log_probabilities)


sequential = Family(
    "sequential",
    (
        Parameter("mu", ("logit", "probit", "cloglog"), noun="category"),
        thresholds("what keeps the response from going on to the next category"),
    ),
    ORDERED,
    probabilities=_probabilities,
    log_density=_log_density,
    simulate=_simulate,
    pymc=_pymc,
    names={"brms": "sratio", "bambi": "sratio"},
    aliases=("stopping_ratio",),
    ones=("disc",),
)
