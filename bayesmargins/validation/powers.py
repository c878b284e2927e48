"""Draws as they would lie if the prior, or the likelihood, were raised to a power: weights, and weighed quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesmargins.posterior import Posterior
from bayesmargins.validation.importance import good_khat, raised
from bayesmargins.validation.sensitivity import components

__all__ = ["POWERS", "Raised", "raised_draws", "weighed_quantiles"]

POWERS = (0.8, 1.0, 1.25)


@dataclass(frozen=True)
class Raised:
    """Weights (sample,) that add up to 1, and whether k-hat says that they can be trusted."""

    power: float
    weights: np.ndarray
    khat: float

    @property
    def good(self) -> bool:
        """Up to 0.7, or less with few draws."""
        return self.khat <= good_khat(len(self.weights))


def raised_draws(ds: xr.Dataset, post: Posterior, prior: object = None) -> dict[str, tuple[Raised, ...]]:
    """For prior and likelihood the weights under each of `POWERS`."""
    found = components(ds, post, prior).densities
    return {name: tuple(Raised(power, *raised(of, power)) for power in POWERS) for name, of in found.items()}


def weighed_quantiles(draws: np.ndarray, weights: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Of draws (sample, entry): (prob, entry). Of equal weights they are NumPy's."""
    found = np.empty((len(probs), draws.shape[1]))
    for k, values in enumerate(draws.T):
        order = np.argsort(values, kind="stable")
        below = np.cumsum(weights[order]) - weights[order]
        found[:, k] = np.interp(probs, below / max(below[-1], np.finfo(float).tiny), values[order])
    return found
