"""Mixtures of Student-t distributions: their density, their draws, and the one that fits weighted points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

__all__ = ["Mixture", "fitted", "log_sum", "moments", "root_of"]

Array = npt.NDArray[np.float64]

_DF = (5.0, 12.0, 40.0)  # degrees of freedom that are tried
_STEPS = 3, 6  # of EM, before and after degrees of freedom are chosen: the proposal need not be the best one
_SMALL = 2**17  # multiplications
_POINTS = 200  # an entry, at most
_LEAST = 0.02  # weight of a component, below which it is dropped
_PRIOR = 0.1  # how much of the spread of all points, at least, each component's scale is made of


@dataclass(frozen=True)
class Mixture:
    """Weights (component,), means (component, entry), lower roots of the scale matrices, degrees of freedom."""

    weights: Array
    means: Array
    roots: Array
    df: Array

    @cached_property
    def _constants(self) -> Array:
        d = self.means.shape[1]
        log_det = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        return gammaln((self.df + d) / 2) - gammaln(self.df / 2) - d / 2 * np.log(np.pi * self.df) - log_det

    @cached_property
    def _inverses(self) -> Array:
        return _inverse(self.roots)

    def distances(self, x: Array) -> Array:
        """Squared, from each component's mean in units of its scale: (component, draw)."""
        turned = [product(x - m, inverse.T) for m, inverse in zip(self.means, self._inverses, strict=True)]
        return np.stack([np.einsum("nd,nd->n", z, z) for z in turned])

    def parts(self, x: Array) -> tuple[Array, Array]:
        """Log density of each component times its weight, and `distances`: (component, draw)."""
        squares, half = self.distances(x), (self.df + self.means.shape[1]) / 2
        log_t = self._constants[:, None] - half[:, None] * np.log1p(squares / self.df[:, None])
        return log_t + np.log(self.weights)[:, None], squares

    def log_density(self, x: Array) -> Array:
        """(draw,)."""
        return log_sum(self.parts(x)[0])

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """(n, entry), in random order of the components."""
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        z, chi = rng.standard_normal((n, self.means.shape[1])), rng.chisquare(self.df[which])
        turned = (self.roots[which] @ z[..., None])[..., 0]
        return self.means[which] + turned * np.sqrt(self.df[which] / chi)[:, None]

    def beside(self, other: Mixture, share: float) -> Mixture:
        """The other mixture too, with that share of the weight."""
        mine, its = vars(replace(self, weights=(1 - share) * self.weights)), share * other.weights
        theirs = vars(replace(other, weights=its))
        return Mixture(*(np.concatenate([mine[k], theirs[k]]) for k in ("weights", "means", "roots", "df")))


def root_of(covariance: Array) -> Array:
    """Lower triangle whose square it is: (..., entry, entry)."""
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _blocks(x: Array) -> list[slice]:
    """Rows (draw, entry) in products so small that BLAS takes one thread.

    More would take longer to begin than all of the work, and sums whose order depends on them would not be the same on
    another machine.
    """
    size = max(16, _SMALL // x.shape[1] ** 2)
    return [slice(first, first + size) for first in range(0, len(x), size)]


def log_sum(x: Array) -> Array:
    """log of the sum of exp(x) over the first axis; SciPy's takes longer to begin than these to end."""
    top = x.max(axis=0)
    total: Array = top + np.log(np.exp(x - top).sum(axis=0))
    return total


def product(x: Array, A: Array) -> Array:
    """x (draw, entry) times a matrix of entries."""
    return np.concatenate([x[own] @ A for own in _blocks(x)])


def spread_of(x: Array, weights: Array) -> Array:
    """Sum of w x x' over draws: (entry, entry)."""
    return np.sum([(x[own] * weights[own, None]).T @ x[own] for own in _blocks(x)], axis=0, dtype=np.float64)


def _inverse(roots: Array) -> Array:
    """Of lower triangles (..., entry, entry); SciPy's triangular solver begins threads for a matrix of any size."""
    return np.asarray(np.linalg.inv(roots), dtype=np.float64)


def moments(x: Array, weights: Array) -> tuple[Array, Array]:
    """Mean and covariance of points (draw, entry) with weights that add up to 1."""
    mean = (x * weights[:, None]).sum(axis=0)
    return mean, spread_of(x - mean, weights)


def fitted(x: Array, weights: Array, components: int, rng: np.random.Generator) -> Mixture:
    """The mixture of so many components, or fewer, that fits the points best: by EM (Peel & McLachlan 2000).

    Components begin at points far from each other (Arthur & Vassilvitskii 2007); all have the same degrees of freedom.
    """
    mean, covariance = moments(x, weights)
    whole = root_of(covariance)
    if len(x) > _POINTS * x.shape[1]:
        x, weights = _fewer(x, weights, _POINTS * x.shape[1], rng)
    z = product(x - mean, _inverse(whole).T)
    at = _apart(z, weights, components, rng)
    k, d = len(at), x.shape[1]
    roots = np.repeat(np.eye(d)[None] * k ** (-1.0 / d), k, axis=0)
    ends = [_steps(Mixture(np.full(k, 1.0 / k), z[at], roots, np.full(k, df)), z, weights, _STEPS[0]) for df in _DF]
    best = _steps(max(ends, key=lambda mixture: float((weights * mixture.log_density(z)).sum())), z, weights, _STEPS[1])
    return replace(best, means=mean + best.means @ whole.T, roots=whole @ best.roots)


def _steps(mixture: Mixture, z: Array, weights: Array, count: int) -> Mixture:
    for _ in range(count):
        mixture = _improved(mixture, z, weights)
    return mixture


def _fewer(x: Array, weights: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """So many of the points, each as often as its weight says (systematic resampling)."""
    reached = np.cumsum(weights)
    at = np.searchsorted(reached / reached[-1], (np.arange(n) + rng.random()) / n)
    return x[np.minimum(at, len(x) - 1)], np.full(n, 1.0 / n)


def _apart(z: Array, weights: Array, components: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Points drawn one after the other, by weight and squared distance to the nearest one before."""
    chosen = [int(rng.choice(len(z), p=weights))] if components > 1 else [int(np.argmin((z**2).sum(axis=1)))]
    nearest = ((z - z[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < components:
        chosen.append(int(rng.choice(len(z), p=nearest * weights / (nearest * weights).sum())))
        nearest = np.minimum(nearest, ((z - z[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)


def _improved(mixture: Mixture, z: Array, weights: Array) -> Mixture:
    """One step of EM on points of mean 0 and covariance I; scales are drawn a little towards that of all points."""
    d = z.shape[1]
    parts, squares = mixture.parts(z)
    shares = np.exp(parts - log_sum(parts)) * weights
    sizes = shares.sum(axis=1)
    kept = sizes > _LEAST
    shares, sizes, df = shares[kept], sizes[kept], mixture.df[kept]
    pulls = shares * ((df + d)[:, None] / (df[:, None] + squares[kept]))
    means = np.stack([(z * pull[:, None]).sum(axis=0) / pull.sum() for pull in pulls])
    scales = np.empty((len(sizes), d, d))
    for j, (pull, mean) in enumerate(zip(pulls, means, strict=True)):
        scales[j] = spread_of(z - mean, pull) / sizes[j]
    scales = (1 - _PRIOR) * scales + _PRIOR * np.eye(d) * len(sizes) ** (-2.0 / d)
    return Mixture(sizes / sizes.sum(), means, root_of(scales), df)
