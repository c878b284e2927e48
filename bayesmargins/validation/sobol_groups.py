"""A group's likelihood where its effects have several dimensions and no closed form: a mean over Sobol points.

b = L u with u standard normal. Half of the points are where the fit saw the group's u, half where a new group's are, so
that no point weighs more than twice what it would among draws of N(0, Sigma).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from bayesmargins.integrate.spread import engine_over_points

__all__ = ["Proposal", "proposal", "summed"]

_POINTS, _SCRAMBLES = 256, 4  # points of each half, a quarter of them scrambled independently of the others
_WIDER = 1.5  # than the group's draws of u, so that its tails are reached
_SEED = 20111


@dataclass(frozen=True)
class Proposal:
    """Points for one group."""

    u: np.ndarray  # (term, point): scramblings one after the other
    log_ratio: np.ndarray  # (point,): log density of u under a standard normal, less that of the points
    roots: np.ndarray  # (sample, term, term): L of every draw

    @property
    def size(self) -> int:
        """How many points there are."""
        return self.u.shape[1]

    def effects(self, block: slice) -> np.ndarray:
        """b of a block of draws: (sample, term, point)."""
        return np.asarray(self.roots[block] @ self.u)


def proposal(b: np.ndarray | None, roots: np.ndarray, group: int) -> Proposal:
    """From draws of b (sample, group, term), where there are any, and the roots of Sigma (sample, term, term)."""
    q = roots.shape[1]
    centre: np.ndarray = np.zeros(q)
    spread: np.ndarray = np.eye(q)
    if b is not None:
        u = np.einsum("spq,sq->sp", np.linalg.pinv(roots), b[:, group])
        cov = np.atleast_2d(np.cov(u.T)) + 1e-6 * np.eye(q)
        centre, spread = u.mean(axis=0), _WIDER * np.linalg.cholesky(cov)
    new = engine_over_points(_POINTS, q, _SEED).points.T.reshape(q, _SCRAMBLES, -1)
    seen = centre[:, None, None] + np.einsum("pq,qsk->psk", spread, new[:, :, ::-1])
    u = np.concatenate([new, seen], axis=2).reshape(q, -1)
    standard = -0.5 * (u**2).sum(axis=0)
    z = np.linalg.solve(spread, u - centre[:, None])
    own = -0.5 * (z**2).sum(axis=0) - np.log(np.diag(spread)).sum()
    return Proposal(u, standard - np.logaddexp(standard, own) + np.log(2.0), roots)


def summed(log_rows: np.ndarray, points: Proposal) -> tuple[np.ndarray, np.ndarray]:
    """Log of the mean over points of (sample, point), and its standard error from the scramblings: (sample,) each."""
    each = (log_rows + points.log_ratio).reshape(len(log_rows), _SCRAMBLES, -1)
    means = logsumexp(each, axis=2) - np.log(each.shape[2])
    value = logsumexp(means, axis=1) - np.log(_SCRAMBLES)
    relative = np.exp(means - value[:, None])
    return value, relative.std(axis=1, ddof=1) / np.sqrt(_SCRAMBLES)
