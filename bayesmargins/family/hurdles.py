"""Counts behind a hurdle: y is 0 with some probability, and else a count of another family that is not 0.

E[y | b] is (1 - hu) mu / (1 - p0), p0 the other family's P(0): what zero inflation has, (1 - hu) mu, and a rest that is
bounded, or rises less steeply (`Family.rest`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmargins.family.censoring import mass
from bayesmargins.family.family import Family
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import Outcome, Values
from bayesmargins.family.zeros import above_zero, with_zeros

__all__ = ["first_arrival", "observe_behind_hurdle", "with_hurdle"]

_LEAST = 1e-300  # in place of a mean that underflowed: y is 1 then


def with_hurdle(base: Family, log_zero: Callable[[Values], Array], nonzero: Callable[..., Array]) -> dict[str, Any]:
    """What a family says whose y is 0 with the probability `hu`, and else `base` that is not 0.

    `log_zero` gives log p0, and ``nonzero(rng, p)`` draws of what is not 0. The link of mu is log.
    """

    def known(p: Values) -> Values:
        return Values(**{**vars(p), "mu": np.maximum(p.mu, _LEAST)})

    def log_density(p: Values, o: Outcome) -> Array:
        p, zero = known(p), o.y == 0.0
        density = base.need("log_density", "a density")(p, replace(o, y=np.where(zero, 1.0, o.y)))
        with np.errstate(divide="ignore"):
            counted = np.log1p(-p.hu) + density - np.log(-np.expm1(log_zero(p)))
            return np.where(zero, np.log(p.hu), counted)

    def simulate(rng: np.random.Generator, p: Values, o: Outcome) -> Array:
        y = nonzero(rng, known(p))
        return np.where(rng.random(np.shape(y)) < p.hu, 0.0, y)

    def above(c: Array, p: Values, o: Outcome) -> Array:
        p = known(p)
        counted = base.need("above", "a tail")(np.maximum(c, 0.0), p, o) / -np.expm1(log_zero(p))
        return np.where(np.asarray(c) < 0.0, 1.0, (1.0 - p.hu) * counted)

    def below(c: Array, p: Values, o: Outcome) -> Array:
        p = known(p)
        counted = mass(base.above, base.below, np.zeros(()), np.maximum(c, 0.0), p, o) / -np.expm1(log_zero(p))
        return np.where(np.asarray(c) < 0.0, 0.0, p.hu + (1.0 - p.hu) * counted)

    def rest(p: Values) -> tuple[Array, Array]:
        """(1 - hu) p0 / (1 - p0) times E[y] and E[y^2] of `base`."""
        p = known(p)
        _, v1, v2 = base.need("variance", "a variance")(p, Outcome())
        log = log_zero(p)
        with np.errstate(over="ignore", invalid="ignore"):
            share = (1.0 - p.hu) * np.exp(log) / -np.expm1(log)
            found = share * p.mu, share * p.mu * (v1 + (1.0 + v2) * p.mu)
        return np.where(share > 0.0, found[0], 0.0), np.where(share > 0.0, found[1], 0.0)

    said = with_zeros(base, "hu") | {"mean_between": None, "measured": above_zero, "rest": rest}
    return said | {"log_density": log_density, "simulate": simulate, "above": above, "below": below}


def first_arrival(rng: np.random.Generator, total: Array) -> Array:
    """When the first event happens, of a Poisson process that runs up to `total` and has one: what truncates at 0."""
    return np.minimum(-np.log1p(rng.random(np.shape(total)) * np.expm1(-total)), total)


def observe_behind_hurdle(
    pm: Any,
    name: str,
    o: Outcome,
    density: Callable[..., Any],
    log_zero: Callable[..., Any],
    nonzero: Callable[..., Any],
    hu: Any,
    kind: str,
    **parameters: Any,
) -> None:
    """As `observe_by` adds a likelihood, of tensors: ``nonzero(u, **parameters)`` has u uniform, one a row."""
    pt = pm.math.pt

    def behind(value: Any, hu: Any, **given: Any) -> Any:
        zero = pt.eq(value, 0)
        counted = density(pt.switch(zero, 1, value), **given) - pt.log(-pt.expm1(log_zero(**given)))
        return pt.switch(zero, pt.log(hu), pt.log1p(-hu) + counted)

    def draws(hu: Any, size: Any, **given: Any) -> Any:
        u = pm.Uniform.dist(pt.zeros_like(sum(given.values())), 1.0, size=size)
        return pt.switch(pm.Bernoulli.dist(hu + pt.zeros_like(u)), 0, nonzero(u, **given))

    observe_by(pm, name, o, o.y.astype(np.int64), behind, draws, None, kind, hu=hu, **parameters)
