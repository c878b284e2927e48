"""One number a group: how far its rows lie from the fixed part, pulled toward 0 as the model pulls effects.

The number solves sum_i w_i z_i (y_i - m_i(b z_i)) = b / s^2 with the weights w_i of a score in eta at b = 0. Under a
canonical link it is the most probable effect given the other parameters. It depends on y by one sum alone, so it is
looked up on a grid, for the observed y and for thousands of replicates alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmargins.design import Factor
from bayesmargins.validation.replicates import Replicates
from bayesmargins.validation.residuals import mean_and_variance

__all__ = ["Modes", "by_group", "modes_of", "score_weights"]

_NODES = np.sinh(np.linspace(-4.0, 4.0, 161)) / np.sinh(1.0)  # from -20 to 20 standard deviations, dense around 0
_STEP = 1e-4
_TOLD = 0.05  # of the variance of b, what rows of a group must tell for the group to count


@dataclass(frozen=True)
class Modes:
    """Of one term of a factor."""

    factor: Factor  # the groups
    term: int  # which of its terms
    spread: float  # standard deviation of the effects, the posterior's mean
    groups: np.ndarray = field(repr=False)  # (told,): groups whose rows tell something of the effect
    weights: np.ndarray = field(repr=False)  # (row,): of y in the sum
    nodes: np.ndarray = field(repr=False)  # (node,): values of b
    sums: np.ndarray = field(repr=False)  # (told, node): at which sum each of them is the answer

    @property
    def levels(self) -> list[Any]:
        """Labels of the groups that count."""
        return [self.factor.levels[g] for g in self.groups]

    def __call__(self, measured: np.ndarray) -> np.ndarray:
        """y (replicate, row), on the scale of mu, -> (replicate, told)."""
        sums = by_group(measured * self.weights, self.factor)[:, self.groups]
        each = [np.interp(own, at, self.nodes) for own, at in zip(sums.T, self.sums, strict=True)]
        return np.array(each).reshape(len(each), len(sums)).T


def by_group(values: np.ndarray, factor: Factor) -> np.ndarray:
    """Sums of (replicate, row) over the rows of each group: (replicate, group)."""
    from scipy.sparse import csr_array

    n, G = len(factor.codes), len(factor.levels)
    indicator = csr_array((np.ones(n), (factor.codes, np.arange(n))), shape=(G, n))
    return np.asarray((indicator @ values.T).T)


def _mean(replicates: Replicates, eta: np.ndarray, linear: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the measured y at some eta: (row,) each."""
    post, p = replicates.post, replicates.middle(eta)
    if linear:
        variance = np.broadcast_to(getattr(p, post.family.normal_sd), np.shape(p.mu)) ** 2
        return np.asarray(p.mu)[0], variance[0]
    mean, variance = mean_and_variance(post.family, post.link, p, replicates.outcome)
    n = len(eta)
    return np.broadcast_to(mean, (1, n))[0], np.broadcast_to(variance, (1, n))[0]


def score_weights(replicates: Replicates) -> tuple[np.ndarray, np.ndarray]:
    """Slope of the mean in eta over the variance, and squared over the variance, at the fixed part: (row,) each."""
    linear = bool(replicates.post.family.normal_sd)
    eta = replicates.fixed_part
    with np.errstate(all="ignore"):
        high, low = (_mean(replicates, eta + side * _STEP, linear)[0] for side in (1.0, -1.0))
        slope, variance = (high - low) / (2.0 * _STEP), _mean(replicates, eta, linear)[1]
        first, second = slope / variance, slope**2 / variance
    fine = np.isfinite(first) & np.isfinite(second) & (second > 0.0)
    return np.where(fine, first, 0.0), np.where(fine, second, 0.0)


def modes_of(replicates: Replicates) -> list[Modes]:
    """Of every term of every factor whose groups tell something."""
    first, second = score_weights(replicates)
    found = []
    for factor in (f for f in replicates.post.design.factors.values() if f.members is None):
        found += [_modes(replicates, factor, q, first, second) for q in range(len(factor.terms))]
    return [m for m in found if len(m.groups) >= 3]


def _modes(replicates: Replicates, factor: Factor, term: int, first: np.ndarray, second: np.ndarray) -> Modes:
    Z = replicates.rows.Z[factor.name]
    s = float(np.sqrt(replicates.post.draws.Sigma[factor.name][:, term, term].mean()))
    z = _apart(Z[:, term], np.delete(Z, term, axis=1), second, factor)
    told = np.bincount(factor.codes, second * z * Z[:, term], len(factor.levels)) * s**2
    groups = np.flatnonzero(told / (1.0 + np.maximum(told, 0.0)) > _TOLD)
    nodes, linear = max(s, 1e-8) * _NODES, bool(replicates.post.family.normal_sd)
    sums = np.empty((len(factor.levels), len(nodes)))
    with np.errstate(all="ignore"):
        for k, b in enumerate(nodes):
            mean = _mean(replicates, replicates.fixed_part + b * Z[:, term], linear)[0]
            part = np.nan_to_num(first * z * mean, nan=0.0, posinf=1e300, neginf=-1e300)
            sums[:, k] = np.bincount(factor.codes, part, len(factor.levels))
    rising = np.maximum.accumulate(sums[groups], axis=1) + nodes / max(s, 1e-8) ** 2
    return Modes(factor, term, s, groups, first * z, nodes, rising)


def _apart(z: np.ndarray, others: np.ndarray, weights: np.ndarray, factor: Factor) -> np.ndarray:
    """What of z the other terms do not tell, within each group: (row,)."""
    if not others.shape[1]:
        return z
    out = np.zeros(len(z))
    for g in range(len(factor.levels)):
        own = np.flatnonzero(factor.codes == g)
        w, A = np.sqrt(weights[own]), others[own]
        fit = np.linalg.lstsq(A * w[:, None], z[own] * w, rcond=1e-10)[0]
        rest = z[own] - A @ fit
        out[own] = np.where(np.abs(rest) > 1e-9 * np.abs(z[own]).max(initial=0.0), rest, 0.0)
    return out
