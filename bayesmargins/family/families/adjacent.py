"""An ordered y whose neighbouring categories compare by a logit: log P(y = k + 1) / P(y = k) = eta - theta_k."""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Any

import numpy as np

from bayesmargins.family.curve import Bundle
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import ORDERED, Outcome, Values
from bayesmargins.family.stages import drawn_category, observe_category, of_own, thresholds

__all__ = ["adjacent"]


def _logs(p: Values) -> Array:
    """log P(y = k): (category, ...)."""
    steps = np.moveaxis(np.asarray(p.eta)[..., None] - p.thresholds, -1, 0)
    height = np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0)])
    height = height - height.max(axis=0)
    return np.asarray(height - np.log(np.exp(height).sum(axis=0)))


@lru_cache(maxsize=64)  # rules and tables are kept by the bundle
def _probabilities(link: Link, K: int) -> Bundle:
    """With P_k proportional to exp(k eta - c_k): P_k' = P_k (k - m), m the mean of k.

    At eta + iy the terms of the denominator lie within an angle of (K - 1) y, so that it is at least
    cos((K - 1) y / 2) of what it is at eta; its zeros are at (K - 1) y = pi at the nearest.
    """
    number = np.arange(K, dtype=np.float64)

    def of(p: Values, order: int) -> Array:
        P = [np.exp(_logs(p))]
        k = number.reshape(-1, *(1,) * (P[0].ndim - 1))
        pulls: list[Array] = []  # k - m and its derivatives
        for n in range(order):
            m = (k * P[n]).sum(axis=0)
            pulls.append(k - m if n == 0 else -m[None])
            P.append(np.asarray(sum(comb(n, i) * P[i] * pulls[n - i] for i in range(n + 1))))
        return np.stack(P)

    steps = max(K - 1, 1)
    return Bundle(link, K, of, np.pi / steps, lambda y: -np.log(np.cos(0.5 * steps * y)), reads=("thresholds",))


def _log_density(p: Values, o: Outcome) -> Array:
    return of_own(_logs(p), o.y)


def _simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
    return drawn_category(rng, np.exp(_logs(p)))


def _pymc(pm: Any, name: str, p: Values, o: Outcome) -> None:
    def log_probabilities(pt: Any, eta: Any, theta: Any) -> Any:
        steps = eta[..., None] - theta
        height = pt.concatenate([pt.zeros_like(steps[..., :1]), pt.cumsum(steps, axis=-1)], axis=-1)
        return height - pt.logsumexp(height, axis=-1, keepdims=True)

    observe_category(pm, name, p, o, log_probabilities)


adjacent = Family(
    "adjacent",
    (
        Parameter("mu", ("logit",), noun="category"),
        thresholds("at which two neighbouring categories are as probable as each other"),
    ),
    ORDERED,
    probabilities=_probabilities,
    log_density=_log_density,
    simulate=_simulate,
    pymc=_pymc,
    names={"brms": "acat"},
    aliases=("adjacent_category",),
    ones=("disc",),
)
