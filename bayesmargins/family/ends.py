"""A family of proportions with ends: y is 0 or 1 with probabilities of their own, and else as that family has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.family.family import Family
from bayesmargins.family.link import Array
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import Outcome, Support, Values

__all__ = ["FROM_0_TO_1", "WithEnds", "observe_with_ends"]

_INSIDE = 0.5  # a value that every such family may have

FROM_0_TO_1 = Support("numbers from 0 to 1", lambda o: (o.y >= 0.0) & (o.y <= 1.0), atoms=(0.0, 1.0))


@dataclass(frozen=True)
class WithEnds:
    """What a family says that is `base` between the ends."""

    base: Family
    # parameters of the family -> logarithms of P(y = 0), P(0 < y < 1) and P(y = 1), broadcasting
    masses: Callable[[Values], tuple[Array, Array, Array]]

    def shares(self, p: Values) -> tuple[Array, Array, Array]:
        """P(y = 0), P(0 < y < 1) and P(y = 1)."""
        zero, between, one = map(np.exp, self.masses(p))
        return zero, between, one

    def log_density(self, p: Values, o: Outcome) -> Array:
        """As of `Family`."""
        zero, between, one = self.masses(p)
        at_end = (o.y == 0.0) | (o.y == 1.0)
        density = self.base.need("log_density", "a density")(p, replace(o, y=np.where(at_end, _INSIDE, o.y)))
        return np.where(at_end, np.where(o.y == 0.0, zero, one), between + density)

    def simulate(self, rng: np.random.Generator, p: Values, o: Outcome) -> Array:
        """As of `Family`."""
        zero, _, one = self.shares(p)
        y = self.base.need("simulate", "draws")(rng, p, o)
        u = rng.random(np.shape(y))
        return np.where(u < zero, 0.0, np.where(u > 1.0 - one, 1.0, y))

    def above(self, c: Array, p: Values, o: Outcome) -> Array:
        """As of `Family`."""
        _, between, one = self.shares(p)
        inside = one + between * self.base.need("above", "a tail")(c, p, o)
        return np.where(np.asarray(c) < 0.0, 1.0, np.where(np.asarray(c) < 1.0, inside, 0.0))

    def below(self, c: Array, p: Values, o: Outcome) -> Array:
        """As of `Family`."""
        zero, between, _ = self.shares(p)
        inside = zero + between * self.base.need("below", "a tail")(c, p, o)
        return np.where(np.asarray(c) < 0.0, 0.0, np.where(np.asarray(c) < 1.0, inside, 1.0))

    def quantile(self, q: float, p: Values) -> Array:
        """As of `Family`."""
        zero, between, one = self.shares(p)
        inside = self.base.need("quantile", "a quantile")(np.clip((q - zero) / between, 0.0, 1.0), p)
        return np.where(zero >= q, 0.0, np.where(q > 1.0 - one, 1.0, inside))

    @property
    def said(self) -> dict[str, Any]:
        """For `Family`."""
        names = ("log_density", "simulate", "above", "below", "quantile")
        return {name: getattr(self, name) for name in names} | {"support": FROM_0_TO_1}


def observe_with_ends(
    pm: Any, name: str, p: Values, o: Outcome, masses: Callable[..., tuple[Any, Any, Any]], kind: str, **parameters: Any
) -> None:
    """As `observe_by` adds a likelihood, of a beta distribution with ends: ``masses(pt, **parameters)`` of tensors."""
    pt = pm.math.pt

    def density(y: Any, alpha: Any, beta: Any, **given: Any) -> Any:
        zero, between, one = masses(pt, **given)
        at_end = pt.or_(pt.eq(y, 0.0), pt.eq(y, 1.0))
        inside = between + pm.logp(pm.Beta.dist(alpha=alpha, beta=beta), pt.switch(at_end, _INSIDE, y))
        return pt.switch(at_end, pt.switch(pt.eq(y, 0.0), zero, one), inside)

    def drawn(alpha: Any, beta: Any, size: Any, **given: Any) -> Any:
        between = pm.Beta.dist(alpha=alpha, beta=beta, size=size)
        zero, _, one = (pt.exp(mass) + pt.zeros_like(between) for mass in masses(pt, **given))
        u = pm.Uniform.dist(pt.zeros_like(between), 1.0)
        return pt.switch(u < zero, 0.0, pt.switch(u > 1.0 - one, 1.0, between))

    shapes = {"alpha": p.mu * p.phi, "beta": p.complement * p.phi}
    observe_by(pm, name, o, o.y, density, drawn, None, kind, **shapes, **parameters)
