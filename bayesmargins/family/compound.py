"""The distribution of y over b where a parameter differs with b too: mixtures of y, each with its own parameters.

Given the effects on every linear predictor but that of mu, y over b is a `Mixture`. A `Compound` is the average of
these over the rest of b, which is fitted groups or the nodes of a rule; targets ask it as they ask a `Mixture`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family.family import Family
from bayesmargins.family.mixture_of_y import Mixture
from bayesmargins.family.quantiles import Number, quantile_of_ordered, sd_of_ordered, searched_quantile, whole_quantile
from bayesmargins.integrate.any_function import Smooth

__all__ = ["Compound"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Compound:
    """How is y distributed over b?"""

    # some components each, of the same pairs of a draw and a row, one component's pairs after those of another
    each: tuple[Mixture, ...]
    weights: tuple[Array, ...]  # what each component counts for; sum 1 over all

    @property
    def size(self) -> int:
        """How many pairs there are."""
        return len(self.each[0].s) // len(self.weights[0])

    @property
    def family(self) -> Family:
        """Of y given its parameters."""
        return self.each[0].family

    @property
    def s(self) -> Array:
        """(n,): that of the first component."""
        return self.each[0].s[: self.size]

    @property
    def trials(self) -> Array:
        """(n,): 1 where the family has none."""
        return self.each[0].trials[: self.size]

    @property
    def bounds(self) -> tuple[Array, Array]:
        """As of `Mixture`."""
        low, high = self.each[0].bounds
        return low[: self.size], high[: self.size]

    @property
    def method(self) -> str:
        """How averages given the components are taken."""
        return self.each[0].method

    def _sum(self, of: Callable[[Mixture, Callable[[Array], Array]], Any]) -> Any:
        """Of averages of all components; `of` gets a function that repeats what pairs have for each component."""
        value, error, nodes, found = np.zeros(1), np.zeros(1), 0, None
        for y, weights in zip(self.each, self.weights, strict=True):
            found = of(y, partial(np.tile, reps=len(weights)))
            value = value + weights @ found.value.reshape(len(weights), -1)
            error, nodes = error + weights @ found.error.reshape(len(weights), -1), max(nodes, found.nodes)
        assert found is not None
        return replace(found, value=value, error=error, nodes=nodes)

    def _places(self, y: Mixture, which: Index | None) -> Index | None:
        """Where these pairs are among those of all components."""
        return None if which is None else np.add.outer(np.arange(0, len(y.s), self.size), which).ravel()

    def tail(self, side: str, c: Array, which: Index | None = None, against: float | None = None) -> Smooth:
        """As of `Mixture`."""
        found = self._sum(lambda y, all_: y.tail(side, all_(c), self._places(y, which)))
        return Smooth(np.clip(found.value, 0.0, 1.0), found.error, found.nodes)

    def density(self, c: Array, scale: float) -> Smooth:
        """As of `Mixture`."""
        found: Smooth = self._sum(lambda y, all_: y.density(all_(c), scale))
        return found

    def smooth(self, what: str, c: Array, scale: float) -> Smooth:
        """As of `Mixture`."""
        found: Smooth = self._sum(lambda y, all_: y.smooth(what, all_(c), scale))
        return found

    def distance(self, which: Index, origin: Array | None) -> Smooth:
        """As of `Mixture`."""

        def of(y: Mixture, all_: Callable[[Array], Array]) -> Smooth:
            places = self._places(y, which)
            assert places is not None
            return y.distance(places, None if origin is None else all_(origin))

        found: Smooth = self._sum(of)
        return found

    def mean(self, part: str) -> Number:
        """As of `Mixture`."""
        found: Number = self._sum(lambda y, all_: y.mean(part))
        return found

    def sd(self) -> Number:
        """The root of the average variance and the variance of averages, all of it sums of what is not below 0."""
        middle = self.trials * self.mean("mean").value

        def of(y: Mixture, all_: Callable[[Array], Array]) -> Number:
            scatter, away = y.sd(), y.trials * y.mean("mean").value - all_(middle)
            return replace(scatter, value=scatter.value**2 + away**2)

        with np.errstate(over="ignore", invalid="ignore"):
            found: Number = self._sum(of)
            return replace(found, value=np.sqrt(found.value))

    def cumulated(self, part: str, read: Iterable[int] | None = None) -> list[Number]:
        """As of `Mixture`."""
        each = {id(y): y.cumulated(part, read) for y in self.each}

        def of(k: int) -> Number:
            found: Number = self._sum(lambda y, all_: each[id(y)][k])
            return found

        return [of(k) for k in range(len(each[id(self.each[0])]))]

    def ordered_sd(self, numbers: Sequence[float]) -> Number:
        """As of `Mixture`."""
        return sd_of_ordered(self.cumulated("mean"), self.cumulated("complement"), numbers)

    def ordered_quantile(self, q: float, numbers: Sequence[float]) -> Number:
        """As of `Mixture`."""
        return quantile_of_ordered(self.cumulated("complement"), q, numbers)

    def between(self) -> Number:
        """Var_b(E[y | b]): of components, and of how far their means are apart."""
        middle = self.mean("mean").value

        def of(y: Mixture, all_: Callable[[Array], Array]) -> Number:
            own, away = y.between(), y.mean("mean").value - all_(middle)
            return replace(own, value=own.value + away**2)

        found: Number = self._sum(of)
        return found

    def quantile(self, q: float) -> Number:
        """As of `Mixture`; the search begins at that of the component that counts most."""
        chunk = int(np.argmax([weights.max() for weights in self.weights]))
        first = int(np.argmax(self.weights[chunk])) * self.size
        heaviest = self.each[chunk].take(slice(first, first + self.size))
        start = heaviest.quantile(q).value
        if self.family.discrete:
            return whole_quantile(self, q, start, np.maximum(1.0, np.floor(0.1 * start)))
        support = self.family.support
        start = np.maximum(start, 1e-300) if support is not None and support.lowest == 0.0 else start
        return searched_quantile(self, q, start, heaviest.sd().value)
