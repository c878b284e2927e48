"""The coordinates in which priors are stated: orthonormal directions of the columns, or the user's columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bayesmargins.design import Basis, Design, Factor, orthonormal_basis
from bayesmargins.schema import MEAN

__all__ = [
    "FixedPart",
    "GroupBlock",
    "GroupPart",
    "KnownBend",
    "Member",
    "far_from_zero",
    "fixed_part",
    "group_part",
    "of_predictor",
    "own_priors",
]

FAR = 10.0  # root of the variance inflation, which is what a mean of 10 standard deviations makes of an intercept


@dataclass(frozen=True)
class KnownBend:
    """What the rows alone say of the bent part of a spline: coefficients are `turn` c, c normal about `mode`."""

    turn: np.ndarray  # (coefficient, direction)
    precision: np.ndarray  # (direction,)
    mode: np.ndarray  # (direction,)


@dataclass(frozen=True)
class FixedPart:
    """X beta = constant + R beta_own + M gamma.

    R is what the rest leaves of the user's columns. So constant and gamma are those of the linear predictor itself, and
    the default of the rest does not know where the user's columns are zero.
    """

    names: tuple[str, ...]  # of all columns; ``Intercept`` is among them where thresholds stand in its place
    # columns whose coefficients have a prior of the user's, and those whose directions have the default
    own: tuple[int, ...]
    rest: tuple[int, ...]
    R: np.ndarray  # (row, own): the user's columns less means and M C
    means: np.ndarray  # (own,): of the user's columns where there is a constant, 0 where there is none
    C: np.ndarray  # (direction, own): how much of each direction the user's columns hold
    basis: Basis  # of the rest
    # of smooths, where the sampler sees them in these coordinates
    bends: Mapping[str, KnownBend] = field(default_factory=dict)

    @property
    def constant(self) -> bool:
        """Is the mean of the linear predictor a parameter of its own?"""
        return self.basis.origin is not None

    @property
    def columns(self) -> np.ndarray:
        """What the constant, the user's own coefficients and gamma multiply: (row, coordinate)."""
        ones = np.ones((len(self.R), int(self.constant)))
        return np.column_stack([ones, self.R, self.basis.M])

    def implied(self, mean: tuple[float, float], scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Means and covariance of the coefficients of the rest: (rest,), (rest, rest).

        `mean` has mean and standard deviation of the constant, `scale` is that of the directions; the user's own
        coefficients are held at 0.
        """
        back, origin = self.basis.back, self.basis.origin
        cov = scale**2 * back @ back.T
        if origin is None:
            return np.zeros(len(back)), cov
        return mean[0] * origin, cov + mean[1] ** 2 * np.outer(origin, origin)


def far_from_zero(columns: np.ndarray) -> np.ndarray:
    """Which columns (row, column) nearly lie in the span of the others, as where a covariate's zero is far away?"""
    spread = np.sqrt((orthonormal_basis(columns).whole ** 2).sum(axis=1))
    return np.flatnonzero(spread * np.sqrt((columns**2).mean(axis=0)) > FAR)


def fixed_part(design: Design, X: np.ndarray, own: Collection[str]) -> FixedPart:
    """The design's columns X (row, coef), those in `own` left as they are.

    Thresholds are the constant of the linear predictor: the directions beside them are those beside a constant.
    """
    names = design.coef
    if not design.fixed.constant:
        names, X = ("Intercept", *names), np.column_stack([np.ones(len(X)), X])
    mine = tuple(j for j, name in enumerate(names) if name in own)
    rest = tuple(j for j in range(X.shape[1]) if j not in mine)
    basis = orthonormal_basis(X[:, rest])
    columns = X[:, mine]
    means = columns.mean(axis=0) if basis.origin is not None else np.zeros(len(mine))
    C = basis.M.T @ (columns - means) / max(len(X), 1)
    return FixedPart(names, mine, rest, columns - means - basis.M @ C, means, C, basis)


def of_predictor(name: str, what: str) -> str:
    """What a variable or a prior of a linear predictor is called: the mean's as they are, others behind its name."""
    return what if name == MEAN else f"{name}_{what}"


def own_priors(name: str, priors: Mapping[str, Any]) -> Mapping[str, Any]:
    """Priors of one linear predictor, under the names that the mean's have."""
    if name == MEAN:
        return priors
    return {key.removeprefix(f"{name}_"): p for key, p in priors.items() if key.startswith(f"{name}_")}


@dataclass(frozen=True)
class GroupBlock:
    """Terms that are correlated with each other: z = W B' in coordinates W, so that b = B b_W."""

    terms: tuple[int, ...]  # positions among the factor's terms
    B: np.ndarray  # (term, term): identity in the user's coordinates
    scales: tuple[int, ...]  # which of the block's standard deviations each coordinate takes
    # two coordinates or more differ by a rotation only, so their covariance must not know one: a Gaussian root in
    # place of standard deviations and correlations
    rotates: bool
    cor: str  # the name of the prior of its correlations
    mark: str = ""  # that of its block in the formula


@dataclass(frozen=True)
class Member:
    """One of the linear predictors that a factor's effects act on."""

    predictor: str
    factor: Factor  # its terms on this predictor
    columns: slice  # of `GroupPart.W`
    scales: np.ndarray  # (term,): which of the member's own standard deviations each coordinate takes
    recoded: bool  # are its coordinates other than the user's?

    def named(self, what: str) -> str:
        """Of a variable or a prior."""
        return of_predictor(self.predictor, what)


@dataclass(frozen=True)
class GroupPart:
    """What varies over the groups of one factor, in the coordinates of its priors.

    Effects on several linear predictors stand side by side: those on the mean, then those on the others.
    """

    factor: Factor  # names and codes
    W: np.ndarray  # (row, term): columns that the effects `b_W` multiply
    blocks: tuple[GroupBlock, ...]  # in the order of the terms
    # (term,): standard deviation of each of the user's terms under coordinates that are independent with standard
    # deviation 1
    sizes: np.ndarray
    members: tuple[Member, ...]  # by linear predictor

    @property
    def recoded(self) -> bool:
        """Are any coordinates other than the user's?"""
        return any(member.recoded for member in self.members)

    @cached_property
    def B(self) -> np.ndarray:
        """b = B b_W over all blocks: (term, term)."""
        B = np.zeros((self.W.shape[1],) * 2)
        for block in self.blocks:
            B[np.ix_(block.terms, block.terms)] = block.B
        return B

    @cached_property
    def scales(self) -> np.ndarray:
        """Which standard deviation each coordinate takes, of those of all members: (term,) int."""
        firsts = np.cumsum([0, *(member.scales.max() + 1 for member in self.members)])
        return np.concatenate([m.scales + first for m, first in zip(self.members, firsts, strict=False)])


def group_part(design: Design, factor: Factor, own: bool, predictor: str = MEAN) -> GroupPart:
    """The factor's terms by blocks; in the user's coordinates where a prior is theirs, or no block has two terms."""
    Z = design.rows(design.data, (factor.name,), what="data").Z[factor.name]
    within = {block: factor.rows_of(block) for block in factor.blocks}  # z is 0 in rows of other strata
    bases = {block: orthonormal_basis(Z[rows][:, block]) for block, rows in within.items()}
    sizes = np.concatenate([np.hypot.reduce(basis.whole, axis=1) for basis in bases.values()])
    named = [(mark, of_predictor(predictor, f"cor_{factor.name}")) for mark in factor.marks]
    if own or all(len(block) == 1 for block in factor.blocks):
        as_written = [
            GroupBlock(b, np.eye(len(b)), tuple(range(len(b))), False, cor, mark)
            for b, (mark, cor) in zip(factor.blocks, named, strict=True)
        ]
        return _alone(predictor, factor, Z, as_written, sizes, False)
    W = np.zeros_like(Z)
    for block, basis in bases.items():
        M = basis.M if basis.origin is None else np.column_stack([np.ones(len(basis.M)), basis.M])
        W[within[block][:, None], block] = M
    blocks = [
        _recoded(block, basis, cor, mark) for (block, basis), (mark, cor) in zip(bases.items(), named, strict=True)
    ]
    return _alone(predictor, factor, W, blocks, sizes, True)


def _alone(
    predictor: str, factor: Factor, W: np.ndarray, blocks: list[GroupBlock], sizes: np.ndarray, recoded: bool
) -> GroupPart:
    """Effects on one linear predictor."""
    scales, first = np.zeros(W.shape[1], dtype=np.intp), 0
    for block in blocks:
        scales[list(block.terms)] = first + np.array(block.scales)
        first += max(block.scales) + 1
    member = Member(predictor, factor, slice(0, W.shape[1]), scales, recoded)
    return GroupPart(factor, W, tuple(blocks), sizes, (member,))


def _recoded(terms: tuple[int, ...], basis: Basis, cor: str, mark: str) -> GroupBlock:
    fixed = 0 if basis.origin is None else 1
    rotates = len(terms) - fixed > 1
    scales = tuple(min(k, fixed) for k in range(len(terms))) if rotates else tuple(range(len(terms)))
    return GroupBlock(terms, basis.whole, scales, rotates, cor, mark)
