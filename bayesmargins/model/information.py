"""What the data say of each group's effects where beta and the covariances are given, as a pilot fit finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy import sparse

from bayesmargins.model.coordinates import GroupPart
from bayesmargins.model.pilot import Pilot, group_sums, regular

__all__ = ["Crossing", "Information", "Joint", "information", "widened"]

_MOST_JOINT = 300  # effects of small factors whose dense matrix costs no more than some thousand rows
_MOST_PAIRS = 10_000_000


@dataclass(frozen=True)
class Crossing:
    """Sums over the rows that a factor's effect shares with one of another factor: entries of a sparse matrix."""

    own: np.ndarray  # (entry,): effects, counted group by group
    other: np.ndarray  # (entry,): those of the other factor
    weights: np.ndarray  # (entry,)


@dataclass(frozen=True)
class Joint:
    """The information of a factor whose effects depend on each other through those of a larger one: Q diag(k) Q'.

    Of v, where the effects are root v: (effect, effect), (effect,), (term, term).
    """

    Q: np.ndarray
    k: np.ndarray
    root: np.ndarray


@dataclass(frozen=True)
class Information:
    """log p of the rows is about -b'Kb / 2 + b'(t - C phi - D s), s the effects of smaller factors."""

    K: np.ndarray | Joint  # (group, term, term), or joint over groups
    t: np.ndarray  # (effect,): effects are counted group by group
    C: np.ndarray  # (effect, coordinate)
    D: dict[str, Crossing] = field(default_factory=dict)  # by the smaller factor

    @property
    def finite(self) -> bool:
        """Did the pilot fit find a mode?"""
        K = self.K.k if isinstance(self.K, Joint) else self.K
        return all(bool(np.isfinite(values).all()) for values in (K, self.t, self.C))


def widened(found: Information, of_mean: int, effects: int) -> Information:
    """Of a factor with further effects of each group, on other linear predictors, of which nothing is said.

    The first `of_mean` of a group's `effects` are those that `found` tells of; its K is one matrix a group.
    """
    assert isinstance(found.K, np.ndarray)
    K = np.zeros((len(found.K), effects, effects))
    K[:, :of_mean, :of_mean] = found.K

    def place(effect: np.ndarray) -> np.ndarray:
        return effect // of_mean * effects + effect % of_mean

    own = place(np.arange(len(found.t)))
    t, C = np.zeros(len(K) * effects), np.zeros((len(K) * effects, found.C.shape[1]))
    t[own], C[own] = found.t, found.C
    return Information(K, t, C, {name: replace(D, own=place(D.own)) for name, D in found.D.items()})


def information(at: Pilot, parts: Sequence[GroupPart], F: np.ndarray, offset: np.ndarray) -> dict[str, Information]:
    """By factor; `parts` have the largest first, and what they share with it is integrated out of the smaller ones."""
    omega, z = at.information, at.information * (at.eta - offset) + at.score
    large, small = parts[0], parts[1:]
    Z = [_columns(part) for part in parts]
    rest = sparse.hstack([*Z[1:], sparse.csr_array(F)], format="csr")
    weighted = rest.multiply(omega[:, None]).tocsr()
    shared, levels, q = (Z[0].T @ weighted).tocsr(), *at.b[0].shape
    K = group_sums(large.factor.codes, levels, large.W * omega[:, None], large.W)
    t, S = Z[0].T @ z, sum(b.size for b in at.b[1:])
    blocks = _blocks(at)
    D = {part.factor.name: _crossing(shared[:, own]) for part, own in zip(small, blocks, strict=True)}
    found = {large.factor.name: Information(K, t, shared[:, S:].toarray(), D)}
    if small:
        V = _block_diagonal(np.linalg.inv(K + np.linalg.inv(regular(at.Sigma[0]))))
        pairs = np.diff(shared[:, :S].indptr).astype(np.float64)
        marginal = weighted.T @ rest
        of_rest = rest.T @ z
        if (pairs**2).sum() * q <= _MOST_PAIRS:
            marginal, of_rest = marginal - shared.T @ V @ shared, of_rest - shared.T @ (V @ t)
        else:
            of_rest = of_rest - shared.T @ at.b[0].ravel()
        found |= (_joint if S <= _MOST_JOINT else _apart)(at, small, blocks, marginal.tocsr(), of_rest)
    return found


def _columns(part: GroupPart) -> sparse.csr_array:
    """(row, effect), effects group by group."""
    rows, q = part.W.shape
    at = part.factor.codes[:, None] * q + np.arange(q)
    shape = (rows, len(part.factor.levels) * q)
    return sparse.csr_array((part.W.ravel(), (np.repeat(np.arange(rows), q), at.ravel())), shape=shape)


def _blocks(at: Pilot) -> list[slice]:
    """Where each smaller factor's effects lie among those of all."""
    ends = np.cumsum([0, *(b.size for b in at.b[1:])])
    return [slice(*pair) for pair in pairwise(ends)]


def _crossing(matrix: sparse.csr_array) -> Crossing:
    entries = matrix.tocoo()
    return Crossing(entries.row.astype(np.int64), entries.col.astype(np.int64), entries.data)


def _joint(
    at: Pilot, small: Sequence[GroupPart], blocks: list[slice], marginal: sparse.csr_array, t: np.ndarray
) -> dict[str, Information]:
    """Each factor given smaller ones and phi, larger ones integrated out."""
    K, t = marginal.toarray(), t.copy()
    S, found = blocks[-1].stop, {}
    for k, (part, own) in enumerate(zip(small, blocks, strict=True)):
        Sigma, levels = regular(at.Sigma[k + 1]), len(part.factor.levels)
        later = zip(small[k + 1 :], blocks[k + 1 :], strict=True)
        D = {p.factor.name: _crossing(sparse.csr_array(K[own, o])) for p, o in later}
        found[part.factor.name] = Information(_directions(K[own, own], Sigma), t[own].copy(), K[own, S:], D)
        prior = np.kron(np.eye(levels), np.linalg.inv(Sigma))
        gain = np.linalg.solve(K[own, own] + prior, np.column_stack([K[own], t[own]]))
        t[own.stop :] -= K[own.stop :, own] @ gain[:, -1]
        K[own.stop :, own.stop :] -= K[own.stop :, own] @ gain[:, own.stop : -1]
    return found


def _directions(K: np.ndarray, Sigma: np.ndarray) -> Joint:
    root = np.linalg.cholesky(Sigma)
    scaled = np.kron(np.eye(len(K) // len(root)), root)
    values, Q = np.linalg.eigh(scaled.T @ K @ scaled)
    return Joint(Q, np.maximum(values, 0.0), root)


def _apart(
    at: Pilot, small: Sequence[GroupPart], blocks: list[slice], marginal: sparse.csr_array, t: np.ndarray
) -> dict[str, Information]:
    """Each group by itself, other small factors held where the pilot has them."""
    held, found = np.concatenate([b.ravel() for b in at.b[1:]]), {}
    for k, (part, own) in enumerate(zip(small, blocks, strict=True)):
        others = held.copy()
        others[own] = 0.0
        rest = marginal[own]
        found[part.factor.name] = Information(
            _diagonal_blocks(marginal[own, own], at.b[k + 1].shape),
            t[own] - rest[:, : len(held)] @ others,
            rest[:, len(held) :].toarray(),
        )
    return found


def _diagonal_blocks(matrix: sparse.csr_array, shape: tuple[int, int]) -> np.ndarray:
    levels, q = shape
    entries, K = matrix.tocoo(), np.zeros((levels, q, q))
    within = entries.row // q == entries.col // q
    row, col = entries.row[within], entries.col[within]
    K[row // q, row % q, col % q] = entries.data[within]
    return K


def _block_diagonal(blocks: np.ndarray) -> sparse.csr_array:
    groups = np.arange(len(blocks) + 1)
    return sparse.bsr_array((blocks, groups[:-1], groups)).tocsr()
