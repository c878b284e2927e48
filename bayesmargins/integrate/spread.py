"""How an effect varies over groups: points at which it is evaluated, and its mean, sd, quantiles and shares from them.

b ~ N(0, Sigma) is written as A z with z standard normal, the columns of A being the principal directions of z'b over
the rows: with one direction the effect is a function of one number, and its distribution is computed to rounding;
with several the points are scrambled Sobol points, and independent scramblings say how far off they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.limits import in_threads

__all__ = ["Engine", "Spread", "directions", "engine_for_linear", "engine_on_grid", "engine_over_points"]

Array = npt.NDArray[np.float64]

_REACH = 12.0  # Z beyond which nothing counts: phi(12) is 2e-32
_SEEN = 8.25  # quantiles and shares: P(abs(Z) > 8.25) is 2e-16
_STEP = 0.05  # of s Z, or of Z where s is below 1
_SCRAMBLINGS = 4
_WIDEST = 30.0  # of s for the reach under a log link: exp(s2 / 2) is 1e195 there


@dataclass(frozen=True)
class Spread:
    """What is the distribution of an effect over groups?"""

    values: Array  # (..., statistic): mean, sd, quantiles, share above the null
    error: Array  # (..., statistic): estimates of their errors


@dataclass(frozen=True)
class Engine:
    """Where is an effect evaluated, and how do its values there become a distribution?"""

    method: str  # for the provenance
    points: Array  # (point, direction): standard normal coordinates of the groups
    # `(effects, probs, null) -> Spread`: effects (line, point), a line for each draw and cell; probabilities of the
    # quantiles; null of the share above it
    spread: Callable[[Array, Sequence[float], float], Spread]


def directions(Z: Array, weights: Array, Sigma: Array) -> Array:
    """A (draw, term, rank): along which directions b moves what the rows see of it, the widest first.

    Z (row, term) is what b is multiplied by, weights (row,) what the rows count for, Sigma (draw, term, term) the
    covariance of b. z'b is distributed as z'A times standard normals; rank is that of Z.

    The columns of A are those of Sigma^(1/2) Q, with Q the eigenvectors of Sigma^(1/2) Z'WZ Sigma^(1/2). z'A does not
    depend on the coding of z, up to the sign of a column, which is fixed by how it moves the rows.

    >>> directions(np.ones((3, 1)), np.ones(3), np.full((1, 1, 1), 4.0))
    array([[[2.]]])
    """
    rank = int(np.linalg.matrix_rank(Z)) if Z.size else 0
    values, vectors = np.linalg.eigh(Sigma)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    moments = Z.T @ (Z * weights[:, None])
    Q = np.linalg.eigh(root @ moments @ root)[1][:, :, ::-1][:, :, :rank]
    A = root @ Q
    probe = np.cos(np.arange(len(Z))) * weights + weights  # no sign that a change of units or labels could turn
    sign = np.where(np.einsum("r,rq,sqk->sk", probe, Z, A) < 0.0, -1.0, 1.0)
    return np.asarray(A * sign[:, None, :])


def engine_on_grid(s: float, *, bounded: bool) -> Engine:
    """For an effect that depends on b through one number: an even grid of it, up to the largest s of z'b.

    Its errors are the distances from the same on every other point: overestimates, by a factor of 64 and more. Where
    the response is not `bounded` the grid is wider: a log link moves the mass of squares to 2 s.

    Moments by the trapezoid rule, which converges as exp(-2 pi a / step) with a the half-width of the strip in which
    the effect is analytic: pi / s for the logit, pi / (2 s) for the cloglog. A step of 0.05 / s is far below what
    either needs; it serves quantiles and shares, which come from polynomials of degree 5 between the points, cut where
    they turn: P(g(Z) <= t) is the sum of normal probabilities of the intervals where g is below t, and is inverted by
    bisection. g need not be monotone.

    >>> engine = engine_on_grid(1.0, bounded=False)
    >>> engine.spread(np.exp(engine.points.T), [0.5], 1.0).values.round(8) + 0.0
    array([[1.64872127, 2.16119742, 1.        , 0.5       ]])
    """
    step = _STEP / max(1.0, s)
    reach = _REACH if bounded else _REACH + 2.0 * min(s, _WIDEST)
    half = int(np.ceil(reach / step))
    half += half % 2  # every other point is a grid too, with the same ends
    grid = step * np.arange(-half, half + 1, dtype=np.float64)

    def spread(effects: Array, probs: Sequence[float], null: float) -> Spread:
        fine = _on_grid(effects, grid, probs, null)
        coarse = _on_grid(effects[:, ::2], grid[::2], probs, null)
        with np.errstate(invalid="ignore"):
            return Spread(fine, np.abs(fine - coarse))

    return Engine("grid in b", grid[:, None], spread)


def _on_grid(effects: Array, grid: Array, probs: Sequence[float], null: float) -> Array:
    from bayesmargins.integrate.spread_kernels import STENCIL, quantiles_of  # numba takes a second to import

    weights, seen = np.exp(-0.5 * grid**2), np.abs(grid) <= _SEEN
    weights /= weights.sum()
    out = np.empty((len(effects), len(probs) + 3))
    with np.errstate(invalid="ignore", over="ignore"):
        # Beyond what is seen, 0 / 0 is an underflow of both sides, at a weight below 1e-15.
        counted = np.where((weights > 0.0) & ~(np.isnan(effects) & ~seen), effects, 0.0)
        out[:, 0] = counted @ weights
        out[:, 1] = np.sqrt((counted - out[:, :1]) ** 2 @ weights)
    some = np.ascontiguousarray(effects[:, seen])
    powers = np.linalg.inv(np.vander(np.arange(float(STENCIL)), increasing=True))
    rest = np.empty((len(effects), len(probs) + 1))
    first, step = float(grid[seen][0]), float(grid[1] - grid[0])
    in_threads(quantiles_of, len(some), some, powers, first, step, np.array(probs, dtype=np.float64), float(null), rest)
    out[:, 2:] = rest
    return out


def engine_over_points(points: int, dimensions: int, seed: int) -> Engine:
    """For an effect that depends on b in several ways: Sobol points, a power of two, which fill space evenly.

    A quarter of the points is scrambled independently of the others; its errors are standard errors of the four. The
    same seed gives the same points.

    >>> engine_over_points(64, 2, seed=1).points.shape
    (64, 2)
    """
    from scipy.stats import qmc  # half a second

    power = (points // _SCRAMBLINGS).bit_length() - 1
    seeds = np.random.SeedSequence(seed).spawn(_SCRAMBLINGS)
    uniform = [qmc.Sobol(dimensions, seed=np.random.default_rng(s)).random_base2(power) for s in seeds]
    normals = scipy.special.ndtri(np.clip(np.vstack(uniform), 2.0**-40, 1.0 - 2.0**-40))

    def spread(effects: Array, probs: Sequence[float], null: float) -> Spread:
        parts = effects.reshape(len(effects) * _SCRAMBLINGS, -1)
        each = _over(parts, probs, null).reshape(len(effects), _SCRAMBLINGS, -1)
        with np.errstate(invalid="ignore"):
            error = each.std(axis=1, ddof=1) / np.sqrt(_SCRAMBLINGS)
        return Spread(_over(effects, probs, null), error)

    return Engine(f"Sobol points in {dimensions} dimensions of b", normals, spread)


def _over(effects: Array, probs: Sequence[float], null: float) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        quantiles = np.quantile(effects, probs, axis=1, method="hazen").reshape(len(probs), -1)
        share = np.where(np.isnan(effects).any(axis=1), np.nan, (effects > null).mean(axis=1))
        return np.column_stack([effects.mean(axis=1), effects.std(axis=1), *quantiles, share])


def engine_for_linear(dimensions: int) -> Engine:
    """For an effect that is linear in b, and so normal over groups, or that b does not enter: a closed form.

    It is evaluated at b = 0 and after a step in each direction; there is no error.

    >>> engine_for_linear(2).spread(np.array([[1.0, 4.0, 5.0]]), [0.5], 1.0).values
    array([[1. , 5. , 1. , 0.5]])
    """

    def spread(effects: Array, probs: Sequence[float], null: float) -> Spread:
        mean = effects[:, 0]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            sd = np.sqrt(((effects[:, 1:] - effects[:, :1]) ** 2).sum(axis=1))
            quantiles = mean[:, None] + sd[:, None] * scipy.special.ndtri(np.asarray(probs, dtype=np.float64))
            above = scipy.special.ndtr((mean - null) / sd)
        share = np.where(sd > 0.0, above, np.where(np.isnan(mean), np.nan, mean > null))
        values = np.column_stack([mean, sd, quantiles, share])
        return Spread(values, np.zeros_like(values))

    return Engine("closed form in b", np.vstack([np.zeros((1, dimensions)), np.eye(dimensions)]), spread)
