"""The proposal: a mixture adapted in rounds by importance sampling, each round weighing the points of all before.

Cornuet, Marin, Mira & Robert (2012), "Adaptive multiple importance sampling", Scandinavian Journal of Statistics 39,
798-812: a point's weight has the mixture of all proposals so far below the line, whichever of them drew it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesmargins.sampler.modes import Mode
from bayesmargins.sampler.proposal_mixtures import Mixture, fitted, log_sum, moments, root_of

__all__ = ["ROUNDS", "Proposal", "adapted", "at_mode", "fitting"]

Array = npt.NDArray[np.float64]
LogDensity = Callable[[Array], Array]

ROUNDS = 8  # at most
_MOST = 5  # components beside the wide one
# Effective share of a round's points: from which on another round gains little, and which it must have, and by which
# factor exceed all rounds before, for another to gain anything.
_ENOUGH, _LITTLE, _MORE = 0.8, 0.4, 1.1
_EACH = 5  # effective points an entry that a fit takes, at least
_DF, _WIDE_DF = 7.0, 3.0
_WIDE, _SHARE = 4.0, 0.15  # the wide components' variances, and their weight


@dataclass(frozen=True)
class Proposal:
    """What chains propose from, and where they begin."""

    mixture: Mixture
    points: Array  # (draw, entry): of all rounds
    weights: Array  # (draw,): theirs under the density; they add up to 1


def adapted(
    log_density: LogDensity,
    first: Mixture,
    rounds: int,
    effort: int,
    rng: np.random.Generator,
    tick: Callable[[int], None],
) -> Proposal:
    """A proposal for the density after at most so many rounds, of `effort` times the usual points.

    `tick` is told of every round's points.
    """
    d = first.means.shape[1]
    n, past, shares, mixture = effort * round_size(d), [], [], first
    points, values = np.empty((0, d)), np.empty(0)
    for k in range(rounds):
        past.append(mixture)
        new = mixture.draw(rng, n)
        points, values = np.concatenate([points, new]), np.concatenate([values, log_density(new)])
        tick(n)
        weights = _weights(values - log_sum(np.array([m.log_density(points) for m in past])))
        shares.append(1.0 / (_weights(values[-n:] - mixture.log_density(new)) ** 2).sum() / n)
        if k > 0 and (shares[-1] > _ENOUGH or _LITTLE < shares[-1] < _MORE * max(shares[:-1])):
            break
        mixture = fitting(points, weights, min(k + effort, effort * _MOST), rng)
    return Proposal(past[int(np.argmax(shares))], points, weights)


def round_size(d: int) -> int:
    """Points of a round, in so many dimensions."""
    return max(300, 60 * d)


def _weights(log_weights: Array) -> Array:
    weights: Array = np.exp(log_weights - log_sum(log_weights))
    return weights


def at_mode(mode: Mode) -> Mixture:
    """At the mode, and a wide one beside."""
    one, mean, root = np.ones(1), mode.point[None], root_of(mode.covariance)[None]
    return Mixture(one, mean, root, np.array([_DF])).beside(Mixture(one, mean, 2.0 * root, np.array([_WIDE_DF])), 0.3)


def fitting(points: Array, weights: Array, components: int, rng: np.random.Generator) -> Mixture:
    """What fits the weighted points; beside it what is wider than all of them, and than those of largest weight.

    The latter are where proposals so far fell short. Where a few points have nearly all of the weight, it is spread
    over more of them by taking roots.
    """
    least = _EACH * points.shape[1]
    while 1.0 / (weights**2).sum() < least:
        weights = np.sqrt(weights) / np.sqrt(weights).sum()
    heavy = points[np.argsort(weights, kind="stable")[-max(least, len(points) // 20) :]]
    wide = _broad(points, weights).beside(_broad(heavy, np.full(len(heavy), 1.0 / len(heavy))), 0.5)
    return fitted(points, weights, components, rng).beside(wide, _SHARE)


def _broad(points: Array, weights: Array) -> Mixture:
    mean, covariance = moments(points, weights)
    return Mixture(np.ones(1), mean[None], root_of(covariance * _WIDE)[None], np.array([_WIDE_DF]))
