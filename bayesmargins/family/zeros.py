"""A family with more zeros: y is 0 with some probability, and else as another family has it.

That other family may be 0 as well (zero inflation of counts); where it is a continuous one the zeros are a hurdle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.family.censoring import Tails, mass
from bayesmargins.family.curve import Curve
from bayesmargins.family.family import Coefficients, Elsewhere, Family, Parameter
from bayesmargins.family.link import Array, Link
from bayesmargins.family.observing import observe_by
from bayesmargins.family.outcome import Outcome, Values

__all__ = [
    "OF_BAMBI",
    "OF_NONZERO",
    "above_zero",
    "observe_with_zeros",
    "share_of_zeros",
    "tails_with_zeros",
    "with_zeros",
]

_INSIDE = 0.5  # a value that every continuous family may have


def share_of_zeros(name: str, meaning: str, names: Mapping[str, str] | None = None) -> Parameter:
    """The probability of a zero of that kind, as a parameter, and what other packages call it."""
    return Parameter(
        name,
        ("logit", "identity", "probit", "cloglog"),
        meaning=meaning,
        prior=lambda o: ("Beta", {"alpha": 1.0, "beta": 1.0}),  # as in brms
        between=(0.0, 1.0),
        names=names or {},
    )


def _of_nonzero(name: str) -> Elsewhere:
    return Elsewhere(lambda aux: {**aux, name: 1.0 - aux[name]})


OF_BAMBI = {"bambi": "psi"}
"""What Bambi calls it, in families that it has: see `OF_NONZERO`."""

OF_NONZERO = {name: {"bambi": _of_nonzero(name)} for name in ("zi", "hu")}
"""By that parameter: PyMC's and Bambi's psi is the probability of what is no such zero."""


def above_zero(y: Array) -> Array:
    """The values that are not 0, which say what mu may be; 1 where there is none."""
    found = y[y > 0.0]
    return found if found.size else np.ones(1)


def with_zeros(base: Family, share: str) -> dict[str, Any]:
    """What a family says that is `base`, and 0 with the probability `share` besides."""
    of = _WithZeros(base, share)
    said: dict[str, Any] = {
        name: getattr(of, name) for name in ("log_density", "simulate", "above", "below", "variance")
    }
    said |= {name: getattr(of, name) for name in ("mean_between", "quantile") if getattr(base, name) is not None}
    return said | {"mean": of.mean, "mean_above": base.mean_above}


@dataclass(frozen=True)
class _WithZeros:
    """Functions of `Family`."""

    base: Family
    share: str

    def of(self, p: Values) -> Array:
        """The probability of such a zero."""
        return np.asarray(getattr(p, self.share))

    def log_density(self, p: Values, o: Outcome) -> Array:
        zero, density = o.y == 0.0, self.base.need("log_density", "a density")
        with np.errstate(divide="ignore"):
            of_share, rest = np.log(self.of(p)), np.log1p(-self.of(p))
            if self.base.discrete:
                other = rest + density(p, o)
                return np.where(zero, np.logaddexp(of_share, other), other)
            other = rest + density(p, replace(o, y=np.where(zero, _INSIDE, o.y)))
            return np.where(zero, of_share, other)

    def simulate(self, rng: np.random.Generator, p: Values, o: Outcome) -> Array:
        y = self.base.need("simulate", "draws")(rng, p, o)
        return np.where(rng.random(np.shape(y)) < self.of(p), 0.0, y)

    def above(self, c: Array, p: Values, o: Outcome) -> Array:
        other = (1.0 - self.of(p)) * self.base.need("above", "a tail")(c, p, o)
        return np.where(np.asarray(c) < 0.0, 1.0, other)

    def below(self, c: Array, p: Values, o: Outcome) -> Array:
        other = (1.0 - self.of(p)) * self.base.need("below", "a tail")(c, p, o)
        return np.where(np.asarray(c) < 0.0, 0.0, self.of(p) + other)

    def mean_between(self, low: Array, high: Array, p: Values, o: Outcome) -> Array:
        """The zeros among these add nothing to the sum, and nothing changes where the bounds leave them out."""
        kept, zeros = 1.0 - self.of(p), np.where((low < 0.0) & (high >= 0.0), self.of(p), 0.0)
        inside = kept * mass(self.base.above, self.base.below, low, high, p, o)
        mean = self.base.need("mean_between", "a mean")(low, high, p, o)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = inside / (zeros + inside)
        return np.where(zeros > 0.0, np.where(inside > 0.0, share * mean, 0.0), mean)

    def quantile(self, q: float, p: Values) -> Array:
        rest = np.clip((q - self.of(p)) / (1.0 - self.of(p)), 0.0, 1.0)
        return np.where(self.of(p) >= q, 0.0, self.base.need("quantile", "a quantile")(rest, p))

    def variance(self, p: Values, o: Outcome) -> Coefficients:
        """Var(y) of what is no such zero, times its probability, and how far its mean is from 0."""
        v0, v1, v2 = self.base.need("variance", "a variance")(p, o)
        kept = 1.0 - self.of(p)
        return kept * v0, kept * v1, kept * (v2 + self.of(p) * np.asarray(o.number()) ** 2)

    def mean(self, link: Link) -> Curve:
        curve, name = self.base.curve(link), self.share
        return replace(curve, factor=lambda p: 1.0 - self.of(p), reads=(*curve.reads, name), thinned=name)


def observe_with_zeros(
    pm: Any,
    name: str,
    o: Outcome,
    y: Any,
    density: Callable[..., Any],
    drawn: Callable[..., Any],
    share: Any,
    tails: Tails | None,
    kind: str,
    **parameters: Any,
) -> None:
    """As `observe_by` adds a likelihood, with zeros of this share besides: of whole numbers y, or of others."""
    pt = pm.math.pt
    counts = np.issubdtype(np.asarray(y).dtype, np.integer)

    def with_zero(value: Any, share: Any, **given: Any) -> Any:
        zero = pt.eq(value, 0)
        of_share, rest = pt.log(share), pt.log1p(-share)
        if counts:
            other = rest + density(value, **given)
            return pt.switch(zero, pt.logaddexp(of_share, other), other)
        return pt.switch(zero, of_share, rest + density(pt.switch(zero, _INSIDE, value), **given))

    def draws(share: Any, size: Any, **given: Any) -> Any:
        other = drawn(**given, size=size)
        is_zero = pm.Bernoulli.dist(share + pt.zeros_like(other))
        return pt.switch(is_zero, np.zeros((), dtype=other.dtype), other)

    observe_by(pm, name, o, y, with_zero, draws, tails, kind, share=share, **parameters)


def tails_with_zeros(base: Tails) -> Tails:
    """Logarithms of the tails at whole numbers from 0."""

    def logs(pm: Any, y: Any, share: Any, **given: Any) -> tuple[Any, Any]:
        pt = pm.math.pt
        below, above = base.logs(pm, y, **given)
        return pt.logaddexp(pt.log(share), pt.log1p(-share) + below), pt.log1p(-share) + above

    return Tails(logs, base.support)
