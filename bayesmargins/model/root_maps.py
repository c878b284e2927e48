"""Roots of the covariances of group effects from the model's variables, for many draws, with derivatives.

The same maps as in `variables`, which states them as a PyMC model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bayesmargins.model.coordinates import GroupBlock, GroupPart
from bayesmargins.model.priors import Prior
from bayesmargins.schema import stem

__all__ = ["RootMap", "Stated", "root_map", "stated_of"]

Array = npt.NDArray[np.float64]


class Block(Protocol):
    """The root of one block's covariance, its coordinates divided by their standard deviations."""

    def root(self, x: Mapping[str, Array]) -> Array:
        """(draw, term, term), a lower triangle."""

    def pull(self, x: Mapping[str, Array], d_root: Array) -> dict[str, Array]:
        """Derivatives in the block's variables from those in its root."""


@dataclass(frozen=True)
class One:
    """A single term."""

    def root(self, x: Mapping[str, Array]) -> Array:
        """See `Block`."""
        return np.ones((len(next(iter(x.values()))), 1, 1))

    def pull(self, x: Mapping[str, Array], d_root: Array) -> dict[str, Array]:
        """See `Block`."""
        return {}


@dataclass(frozen=True)
class Gaussian:
    """Bartlett's root of `variables`: normals below the diagonal, roots of chi-squared variables on it."""

    squares: str
    below: str
    q: int

    def root(self, x: Mapping[str, Array]) -> Array:
        """See `Block`."""
        out = np.zeros((len(x[self.squares]), self.q, self.q))
        out[:, *np.tril_indices(self.q, -1)] = x[self.below]
        out[:, np.arange(self.q), np.arange(self.q)] = np.sqrt(x[self.squares])
        return out / np.sqrt(self.q)

    def pull(self, x: Mapping[str, Array], d_root: Array) -> dict[str, Array]:
        """See `Block`."""
        diagonal = np.diagonal(d_root, axis1=1, axis2=2)
        return {
            self.squares: diagonal / (2.0 * np.sqrt(self.q * x[self.squares])),
            self.below: d_root[:, *np.tril_indices(self.q, -1)] / np.sqrt(self.q),
        }


@dataclass(frozen=True)
class Correlation:
    """Cholesky factor of a correlation matrix from its canonical partial correlations, as x = (1 + partial) / 2.

    Row i is made from left to right: entry j is partial times the root of what the square sum of the row has left.
    """

    partial: str
    q: int

    def root(self, x: Mapping[str, Array]) -> Array:
        """See `Block`."""
        return self._made(x)[0]

    def _made(self, x: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        """Root, partial correlations and what is left before each entry: (draw, term, term) all."""
        given = x[self.partial]
        root, partial = np.zeros((2, len(given), self.q, self.q))
        left = np.ones_like(root)
        for place, (i, j) in enumerate(_pairs(self.q)):
            partial[:, i, j] = 2.0 * given[:, place] - 1.0
        for i in range(self.q):
            for j in range(i):
                root[:, i, j] = partial[:, i, j] * np.sqrt(left[:, i, j])
                left[:, i, j + 1] = left[:, i, j] - root[:, i, j] ** 2
            root[:, i, i] = np.sqrt(left[:, i, i])
        return root, partial, left

    def pull(self, x: Mapping[str, Array], d_root: Array) -> dict[str, Array]:
        """See `Block`."""
        root, partial, left = self._made(x)
        out = np.zeros_like(x[self.partial])
        places = {pair: place for place, pair in enumerate(_pairs(self.q))}
        for i in range(1, self.q):
            d_left = d_root[:, i, i] / (2.0 * root[:, i, i])
            for j in range(i - 1, -1, -1):
                size = np.sqrt(left[:, i, j])
                d_entry = d_root[:, i, j] - 2.0 * root[:, i, j] * d_left
                out[:, places[i, j]] = 2.0 * d_entry * size
                d_left = d_left + d_entry * partial[:, i, j] / (2.0 * size)
        return {self.partial: out}


def _pairs(q: int) -> list[tuple[int, int]]:
    """Column by column, as the PyMC variable has them."""
    return [(i, j) for j in range(q) for i in range(j + 1, q)]


@dataclass(frozen=True)
class RootMap:
    """The root of one factor's covariance, in the coordinates of its part."""

    part: GroupPart
    sd: str  # variable of the standard deviations
    blocks: tuple[Block, ...]

    def root(self, x: Mapping[str, Array]) -> Array:
        """(draw, term, term)."""
        return x[self.sd][:, self.part.scales, None] * self._unscaled(x)

    def pull(self, x: Mapping[str, Array], d_root: Array) -> dict[str, Array]:
        """Derivatives in the variables from those in the root's lower triangle."""
        scales, by_term = self.part.scales, (d_root * self._unscaled(x)).sum(axis=2)
        out = {self.sd: np.stack([by_term[:, scales == k].sum(axis=1) for k in range(x[self.sd].shape[1])], axis=1)}
        inner = d_root * x[self.sd][:, scales, None]
        for block, own in zip(self.blocks, self._places(), strict=True):
            out |= block.pull(x, inner[:, own, own])
        return out

    def named(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """``sd_<factor>`` and ``cor_<factor>`` of the user's terms."""
        R = self.part.B @ self.root(x)
        Sigma, name = R @ R.transpose(0, 2, 1), stem(self.part.factor.name)
        sd = np.sqrt(np.diagonal(Sigma, axis1=1, axis2=2))
        pairs = [(i, j) for b in self.part.blocks for k, i in enumerate(b.terms) for j in b.terms[k + 1 :]]
        cor = [Sigma[:, i, j] / (sd[:, i] * sd[:, j]) for i, j in pairs]
        return {f"sd_{name}": sd, **({f"cor_{name}": np.stack(cor, axis=1)} if cor else {})}

    def _unscaled(self, x: Mapping[str, Array]) -> Array:
        q = self.part.W.shape[1]
        out = np.zeros((len(x[self.sd]), q, q))
        for block, own in zip(self.blocks, self._places(), strict=True):
            out[:, own, own] = block.root(x)
        return out

    def _places(self) -> list[slice]:
        ends = np.cumsum([len(block.terms) for block in self.part.blocks])
        return [slice(end - len(b.terms), end) for end, b in zip(ends, self.part.blocks, strict=True)]


# A variable's name, its prior and its shape.
Stated = tuple[str, Any, tuple[int, ...]]


def root_map(part: GroupPart, priors: Mapping[str, Any]) -> tuple[RootMap, list[Stated]]:
    """The map of a factor that acts on one linear predictor and its variables, in the order of the PyMC model."""
    blocks = [_block(part.factor.name, k, block, priors)[0] for k, block in enumerate(part.blocks)]
    variables = [one for _, one in stated_of(part, priors)]
    return RootMap(part, variables[-1][0], tuple(blocks)), variables


def stated_of(part: GroupPart, priors: Mapping[str, Any]) -> list[tuple[str, Stated]]:
    """Variables of a factor, correlations first, each with the name of its prior."""
    found = [(b.cor, one) for k, b in enumerate(part.blocks) for one in _block(part.factor.name, k, b, priors)[1]]
    for member in part.members:
        key, sd = member.named(f"sd_{part.factor.name}"), "sd_centred" if member.recoded else "sd"
        variable = member.named(f"{sd}_{stem(part.factor.name)}")
        found.append((key, (variable, priors[key], (int(member.scales.max()) + 1,))))
    return found


def _block(name: str, k: int, block: GroupBlock, priors: Mapping[str, Any]) -> tuple[Block, list[Stated]]:
    q, label = len(block.terms), stem(name) if k == 0 else f"{stem(name)}_{k + 1}"
    if block.rotates:
        squares, below = f"squares_{label}", f"below_{label}"
        return Gaussian(squares, below, q), [
            (squares, Prior("ChiSquared", {"nu": np.arange(q, 0, -1.0)}), (q,)),
            (below, Prior("Normal", {"mu": 0.0, "sigma": 1.0}), (q * (q - 1) // 2,)),
        ]
    if q == 1:
        return One(), []
    shape = np.array([(q - 2 - j) / 2 for _, j in _pairs(q)]) + _lkj_eta(priors[block.cor])
    partial = f"partial_{label}"
    return Correlation(partial, q), [(partial, Prior("Beta", {"alpha": shape, "beta": shape}), (len(shape),))]


def _lkj_eta(prior: Any) -> float:
    """LKJCorr's own eta: its parameters are (n, eta)."""
    return float(prior if isinstance(prior, int | float) else prior.owner.inputs[-1].eval())
