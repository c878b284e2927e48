"""Coordinates of group effects in which their posterior is nearly standard normal, whatever the covariances are.

Given beta, Sigma and effects of smaller factors, the pilot's information makes b normal: b = L v, with v about
N(M^-1 L'm, M^-1), M = I + L'K L and m = t - C phi - D s. The sampler's z is v less its mean, in units of its spread.
An exact change of variables: where the pilot is wrong, or says nothing (K = 0: z is v), the posterior is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmargins.model.information import Information, Joint

__all__ = ["standardised"]

Triangle = list[list[Any]]


def standardised(z: Any, L: Triangle, found: Information, phi: Any, others: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """v as columns (group,), and log p of v plus that of the change of variables; z is (group, term).

    `others` has the effects of smaller factors, (group, term).
    """
    m = found.t - (found.C * phi).sum(axis=1)
    for name, crossing in found.D.items():
        m = m - _product(crossing, others[name].ravel(), len(found.t))
    if isinstance(found.K, Joint):
        return _jointly(z, L, found.K, m)
    return _by_group(z, L, found.K, m.reshape((-1, len(L))))


def _product(crossing: Any, s: Any, effects: int) -> Any:
    import pytensor.tensor as pt

    return pt.inc_subtensor(pt.zeros(effects)[crossing.own], crossing.weights * s[crossing.other])


def _by_group(z: Any, L: Triangle, K: np.ndarray, m: Any) -> tuple[list[Any], Any]:
    """M = U U' entry by entry, each a vector over groups: v = U'^-1 (z + U^-1 L'm). Divisions are dear: one a term."""
    import pytensor.tensor as pt

    q = len(L)
    U: Triangle = [[None] * q for _ in range(q)]  # with reciprocals on the diagonal
    log_p: Any = 0.0
    for a in range(q):
        for b in range(a + 1):
            pairs = [(i, j) for i in range(a, q) for j in range(b, q)]
            entry = sum((L[i][a] * L[j][b] * K[:, i, j] for i, j in pairs), start=float(a == b))
            entry = entry - sum((U[a][c] * U[b][c] for c in range(b)), start=0.0)
            U[a][b] = 1.0 / pt.sqrt(entry) if a == b else entry * U[b][b]
        log_p = log_p - 0.5 * pt.log(entry).sum()
    u: list[Any] = []
    for a in range(q):
        w = sum(L[i][a] * m[:, i] for i in range(a, q))
        u.append((w - sum((U[a][c] * u[c] for c in range(a)), start=0.0)) * U[a][a])
    v: list[Any] = [None] * q
    for a in reversed(range(q)):
        below = sum((U[c][a] * v[c] for c in range(a + 1, q)), start=0.0)
        v[a] = (z[:, a] + u[a] - below) * U[a][a]
        log_p = log_p - 0.5 * (v[a] ** 2).sum()
    return v, log_p


def _jointly(z: Any, L: Triangle, K: Joint, m: Any) -> tuple[list[Any], Any]:
    """The same in the directions of K, where L is taken to be a multiple of the pilot's: with one term it is."""
    import pytensor.tensor as pt

    q = len(L)
    ratio = pt.exp(sum(pt.log(L[a][a] / K.root[a, a]) for a in range(q)) / q)
    spread = 1.0 + ratio**2 * K.k
    toward = K.Q.T @ np.kron(np.eye(len(K.k) // q), K.root.T)
    along = z.ravel() / pt.sqrt(spread) + ratio / spread * (toward * m).sum(axis=1)
    v = (K.Q * along).sum(axis=1)
    columns = v.reshape((-1, q))
    return [columns[:, a] for a in range(q)], -0.5 * (v**2).sum() - 0.5 * pt.log(spread).sum()
