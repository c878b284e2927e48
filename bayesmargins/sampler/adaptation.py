"""The proposal: a mixture adapted in rounds by importance sampling, each round weighing the points of all before.

Cornuet, Marin, Mira & Robert (2012), "Adaptive multiple importance sampling", Scandinavian Journal of Statistics 39,
798-812: a point's weight has the mixture of all proposals so far below the line, whichever of them drew it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from bayesmargins.sampler.mixtures import Mixture, fitted, moments
from bayesmargins.sampler.modes import Mode

__all__ = ["Proposal", "adapted"]

Array = npt.NDArray[np.float64]
LogDensity = Callable[[Array], Array]

_ROUNDS = 8
_MOST = 5  # components beside the wide one
# Effective share of a round's points: from which on another round gains little, and which it must have, and by which
# factor exceed all rounds before, for another to gain anything.
_ENOUGH, _LITTLE, _MORE = 0.8, 0.4, 1.1
_DF, _WIDE_DF = 7.0, 3.0
_WIDE, _SHARE = 4.0, 0.1  # the wide component's variances, and its weight


@dataclass(frozen=True)
class Proposal:
    """What chains propose from, and where they begin.

    Attributes
    ----------
    mixture : Mixture
    points : (draw, entry) float
        Of all rounds.
    weights : (draw,) float
        Theirs under the density; they add up to 1.
    """

    mixture: Mixture
    points: Array
    weights: Array

    @property
    def moments(self) -> tuple[Array, Array]:
        """Mean and covariance of the density, as far as they are known by now."""
        return moments(self.points, self.weights)


def adapted(
    log_density: LogDensity, modes: Sequence[Mode], rng: np.random.Generator, tick: Callable[[int], None]
) -> Proposal:
    """A proposal for the density; `tick` is told of every round's points."""
    n = round_size(len(modes[0].point))
    mixture, past, shares = _first(modes), [], []
    points, values = np.empty((0, len(modes[0].point))), np.empty(0)
    for k in range(_ROUNDS):
        past.append(mixture)
        new = mixture.draw(rng, n)
        points, values = np.concatenate([points, new]), np.concatenate([values, log_density(new)])
        tick(n)
        weights = _weights(values - logsumexp([m.log_density(points) for m in past], axis=0))
        shares.append(1.0 / (_weights(values[-n:] - mixture.log_density(new)) ** 2).sum() / n)
        if k > 0 and shares[-1] > _ENOUGH or k > 1 and _LITTLE < shares[-1] < _MORE * max(shares[:-1]):
            break
        mixture = _next(points, weights, min(k + 1, _MOST), rng)
    return Proposal(past[int(np.argmax(shares))], points, weights)


def round_size(d: int) -> int:
    """Points of a round, in so many dimensions."""
    return max(300, 60 * d)


def _weights(log_weights: Array) -> Array:
    finite = log_weights - logsumexp(log_weights)
    weights: Array = np.exp(finite)
    return weights


def _first(modes: Sequence[Mode]) -> Mixture:
    """At the modes, by mass but none without a share; wide ones beside."""
    masses = np.exp(np.array([mode.log_mass for mode in modes]) - modes[0].log_mass)
    shares = 0.5 * masses / masses.sum() + 0.5 / len(modes)
    means = np.stack([mode.point for mode in modes])
    roots = np.stack([np.linalg.cholesky(mode.covariance) for mode in modes])
    near = Mixture(shares, means, roots, np.full(len(modes), _DF))
    return near.beside(Mixture(shares, means, roots * 2.0, np.full(len(modes), _WIDE_DF)), 0.3)


def _next(points: Array, weights: Array, components: int, rng: np.random.Generator) -> Mixture:
    """What fits the weighted points, the wide component beside it; weights of single points are cut off.

    Cut at the root of the number of points times their mean (Ionides 2008), with a floor by which every direction has
    some spread.
    """
    cut = np.minimum(weights, 1.0 / np.sqrt(len(weights)))
    cut /= cut.sum()
    mean, covariance = moments(points, cut)
    wide = Mixture(np.ones(1), mean[None], np.linalg.cholesky(covariance * _WIDE)[None], np.array([_WIDE_DF]))
    return fitted(points, cut, components, rng).beside(wide, _SHARE)
