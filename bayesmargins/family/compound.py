"""The distribution of y over b where a parameter differs with b too: mixtures of y, each with its own parameters.

Given the effects on every linear predictor but that of mu, y over b is a `Mixture`. A `Compound` is the average of
these over the rest of b, which is fitted groups or the nodes of a rule; targets ask it as they ask a `Mixture`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family.family import Family
from bayesmargins.family.mixture import Mixture
from bayesmargins.family.quantiles import Number, searched_quantile, whole_quantile
from bayesmargins.integrate.smooth import Smooth

__all__ = ["Compound"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Compound:
    """How is y distributed over b?

    Attributes
    ----------
    each : tuple of Mixture
        Given what is averaged here; of the same rows.
    weights : (component,) float
        What each counts for; sum 1.
    """

    each: tuple[Mixture, ...]
    weights: Array

    @property
    def family(self) -> Family:
        """Of y given its parameters."""
        return self.each[0].family

    @property
    def s(self) -> Array:
        """(n,): that of the first; as many as there are pairs."""
        return self.each[0].s

    @property
    def trials(self) -> Array:
        """(n,): 1 where the family has none."""
        return self.each[0].trials

    @property
    def bounds(self) -> tuple[Array, Array]:
        """As of `Mixture`."""
        return self.each[0].bounds

    @property
    def method(self) -> str:
        """How averages given the components are taken."""
        return self.each[0].method

    def _sum(self, of: Callable[[Mixture], Any]) -> Smooth:
        value, error, nodes = np.zeros(1), np.zeros(1), 0
        for weight, y in zip(self.weights, self.each, strict=True):
            term = of(y)
            value, error, nodes = value + weight * term.value, error + weight * term.error, max(nodes, term.nodes)
        return Smooth(value, error, nodes)

    def tail(self, side: str, c: Array, which: Index | None = None, against: float | None = None) -> Smooth:
        """As of `Mixture`."""
        found = self._sum(lambda y: y.tail(side, c, which))
        return Smooth(np.clip(found.value, 0.0, 1.0), found.error, found.nodes)

    def density(self, c: Array, scale: float) -> Smooth:
        """As of `Mixture`."""
        return self._sum(lambda y: y.density(c, scale))

    def smooth(self, what: str, c: Array, scale: float) -> Smooth:
        """As of `Mixture`."""
        return self._sum(lambda y: y.smooth(what, c, scale))

    def distance(self, which: Index, origin: Array | None) -> Smooth:
        """As of `Mixture`."""
        return self._sum(lambda y: y.distance(which, origin))

    def mean(self, part: str) -> Number:
        """As of `Mixture`."""
        found = self._sum(lambda y: y.mean(part))
        return Number(found.value, found.error, self.each[0].mean(part).method, found.nodes)

    def sd(self) -> Number:
        """The root of the average variance and the variance of averages, all of it sums of what is not below 0."""
        scatters = [y.sd() for y in self.each]
        with np.errstate(over="ignore", invalid="ignore"):
            centres = [self.trials * y.mean("mean").value for y in self.each]
            middle = sum(w * m for w, m in zip(self.weights, centres, strict=True))
            variance = sum(
                w * (of.value**2 + (m - middle) ** 2) for w, of, m in zip(self.weights, scatters, centres, strict=True)
            )
            value = np.sqrt(np.asarray(variance))
        error = np.asarray(sum(w * of.error for w, of in zip(self.weights, scatters, strict=True)))
        return Number(value, error, scatters[0].method, max(of.nodes for of in scatters))

    def quantile(self, q: float) -> Number:
        """As of `Mixture`; the search begins at that of the component that counts most."""
        heaviest = self.each[int(np.argmax(self.weights))]
        start = heaviest.quantile(q).value
        with np.errstate(invalid="ignore"):
            step = np.maximum(1.0, np.floor(0.1 * start)) if self.family.discrete else heaviest.sd().value
        search = whole_quantile if self.family.discrete else searched_quantile
        if self.family.support is not None and self.family.support.lowest == 0.0 and not self.family.discrete:
            start = np.maximum(start, 1e-300)
        return search(self, q, start, step)
