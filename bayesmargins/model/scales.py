"""What default priors are scaled by: where a linear predictor is expected, and what one unit of it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.errors import ModelError
from bayesmargins.family import Family, Link, Outcome

__all__ = ["DIVIDED", "WIDTH", "Scales", "refuse_extreme", "scales_of", "scales_of_category", "unit_of"]

WIDTH = 2.5
SQUARED, DIVIDED = 1e100, 1e305  # numbers up to which a square, and a quotient, is a number


@dataclass(frozen=True)
class Scales:
    """What the defaults are scaled by."""

    location: float  # link of the mean response, less the offset: where the mean of the linear predictor is expected
    # One unit on the link scale: sd(y) for the identity link, 1 for log. Of probabilities the standard deviation
    # of the link's latent variable relative to the logistic's (logit 1, probit 0.55, cloglog and loglog 0.71,
    # cauchit 0.91), elsewhere sd(y) over the slope of the inverse link.
    unit: float
    # prior standard deviation of the mean of the linear predictor, where it is not that of a direction; else 0
    spread: float = 0.0

    @property
    def around(self) -> float:
        """Prior sd of the mean of the linear predictor."""
        return self.spread or self.direction(True)

    def direction(self, constant: bool) -> float:
        """Prior sd of the linear predictor along one direction; without a constant it has to reach the location too."""
        return WIDTH * (self.unit if constant else float(np.hypot(self.unit, self.location)))


def scales_of(design: Design, family: Family, link: Link, offset: np.ndarray) -> Scales:
    """The data's own scales; offset (row,) on the link scale. ModelError where squares of the numbers are lost."""
    response = design.response
    refuse_extreme(f"The response {response.text!r}", response.y)
    refuse_extreme("The offset", offset)
    y = response.y if family.measured is None else family.measured(response.y)
    location = 0.0 if family.ordinal else _location(family, link, y, response.n) - _typical(link, offset)
    return Scales(location, unit_of(link, y, location))


def scales_of_category(
    name: str, family: Family, outcome: Outcome, categories: Sequence[Any], offset: np.ndarray
) -> Scales:
    """Of the log odds of one category against the first, half an observation added to each."""
    refuse_extreme("The offset", offset)
    k = [f"{family.parameters[0].name}[{label}]" for label in categories].index(name)
    if outcome.counts is None:
        counts = np.bincount(outcome.y.astype(np.int64) - 1, outcome.weights, len(categories)) + 0.5
    else:
        counts = outcome.counts.sum(axis=0) + 0.5
    return Scales(float(np.log(counts[k] / counts[0]) - np.mean(offset)), 1.0)


def refuse_extreme(what: str, values: np.ndarray, largest: float = SQUARED) -> None:
    """Refuse values so large, or so near to each other, that a square (of columns, a quotient) is lost.

    Priors are scaled by standard deviations, which would be lost too.
    """
    size, apart = float(np.abs(values).max(initial=0.0)), float(np.ptp(values / 2.0)) if len(values) else 0.0
    if size > largest or 0.0 < apart < 1.0 / largest:
        said = f"of up to {size:.3g}" if size > largest else f"that differ by {2.0 * apart:.3g} at most"
        raise ModelError(
            f"{what} has values {said}, and priors are scaled by standard deviations: from {largest:g} on, and below "
            f"{1 / largest:g}, they would be lost in floating point. Choose another unit."
        )


def _location(family: Family, link: Link, y: np.ndarray, n: np.ndarray | None) -> float:
    """Half an observation is added to either side, so that a response without any event keeps a finite prior."""
    if not family.discrete and not link.linear and y.mean() > 0.0:
        mean = y.mean()  # a measurement has a unit, and no half of it is small
    elif link.bounded:
        total = float(len(y) if n is None else n.sum())
        mean = (y.sum() + 0.5) / (total + 1.0)
    elif link.linear or (not family.discrete and link.no_average):
        mean = y.mean()  # which may be negative
    else:
        mean = max((y.sum() + 0.5) / (len(y) + 1.0), 1e-6)
    return float(link.link(np.asarray(mean)))


def _typical(link: Link, offset: np.ndarray) -> float:
    """Under a log link exp(offset) is an exposure, and a rate is counts over the sum of exposures."""
    if not link.exponential or not len(offset):
        return float(np.mean(offset))
    largest = offset.max()  # exp(offset) itself may be beyond what a float holds
    return float(largest + np.log(np.mean(np.exp(offset - largest))))


def unit_of(link: Link, y: np.ndarray, location: float) -> float:
    """One unit of the link scale, of a parameter that has values such as y (row,)."""
    if link.linear:
        return float(y.std()) or 1.0
    if link.exponential or link.bounded:
        return 1.0 if link.exponential else float(link.latent_sd / (np.pi / np.sqrt(3)))
    moved = float(y.std() / np.abs(link.derivative(location)))  # what a standard deviation of y is on the link scale
    return moved if 0.0 < moved < np.inf else 1.0
