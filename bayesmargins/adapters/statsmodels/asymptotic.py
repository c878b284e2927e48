"""Draws of the normal distribution that stands around the estimates of a linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

__all__ = ["Estimates", "joint_draws", "symmetric_normals"]


@dataclass(frozen=True)
class Estimates:
    """A fitted linear mixed model with one grouping factor, y = X beta + z'b + e."""

    beta: np.ndarray  # (coef,): fixed effects
    cov_beta: np.ndarray  # (coef, coef): their estimated covariance
    Sigma: np.ndarray  # (term, term): covariance of b
    sigma2: float  # residual variance
    y: np.ndarray  # (row,)
    X: np.ndarray  # (row, coef)
    Z: np.ndarray  # (row, term)
    codes: np.ndarray  # (row,): group of every row
    groups: int  # how many there are


def joint_draws(fit: Estimates, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Draws of beta (draw, coef) around its estimate, and b (draw, group, term) from its distribution given y and beta.

    Variances are held. `draws` is even and above 2 (coef + 1). The third says whether means and covariances of all of
    (beta, b) are exact, and not those of beta alone.

    Given beta, b of group g is normal with covariance C = (Sigma^-1 + Z'Z / sigma2)^-1 and mean
    C Z'(y - X beta) / sigma2, sums over the rows of g. With beta ~ N(estimate, (X'V^-1 X)^-1) this is the joint normal
    distribution whose covariance is sigma2 times the inverse of the matrix of the mixed model equations (Henderson
    1975, "Best linear unbiased estimation and prediction under a selection model", Biometrics 31(2), 423-447). C is
    computed from a root of Sigma, so that a Sigma on the boundary is no exception.
    """
    p, q = fit.X.shape[1], fit.Z.shape[1]
    normal, matched = symmetric_normals(np.random.default_rng(seed), draws, p, p + fit.groups * q)
    shift = normal[:, :p] @ np.linalg.cholesky(fit.cov_beta).T
    mean, root, response = _given_beta(fit)
    b = np.einsum("gij,sgj->sgi", root, normal[:, p:].reshape(draws, fit.groups, q))
    b += mean - np.einsum("gij,sj->sgi", response, shift)
    return fit.beta + shift, b, matched


def symmetric_normals(rng: np.random.Generator, draws: int, first: int, columns: int) -> tuple[np.ndarray, bool]:
    """Standard normal draws (draw, column) whose sample mean is 0 and sample covariance the identity, exactly.

    Each has its mirror image at another place, so that medians of linear functions are exact too. `draws` is even and
    above 2 (first + 1). The second says whether all columns are so, and not the first ones alone: it takes more than
    twice as many draws as columns.

    >>> values, matched = symmetric_normals(np.random.default_rng(1), 10, 2, 3)
    >>> matched, bool(np.allclose(np.cov(values.T), np.eye(3)))
    (True, True)
    """
    half = rng.standard_normal((draws // 2, columns))
    matched = len(half) > columns
    exact = columns if matched else first
    block = half[:, :exact]
    root = np.linalg.cholesky(2.0 * block.T @ block / (draws - 1))
    half[:, :exact] = solve_triangular(root, block.T, lower=True).T
    return np.concatenate([half, -half])[rng.permutation(draws)], matched


def _given_beta(fit: Estimates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of b given beta: its mean at the estimate, a root of its covariance, and what its mean loses per unit of beta."""
    q, p = fit.Z.shape[1], fit.X.shape[1]
    sums = np.zeros((fit.groups, q, q + p + 1))
    np.add.at(sums, fit.codes, fit.Z[:, :, None] * np.column_stack([fit.Z, fit.X, fit.y])[:, None, :])
    ZZ, ZX, Zy = np.split(sums / fit.sigma2, [q, q + p], axis=2)
    values, vectors = np.linalg.eigh(fit.Sigma)
    of_Sigma = vectors * np.sqrt(np.maximum(values, 0.0))
    inner = np.linalg.inv(np.eye(q) + of_Sigma.T @ ZZ @ of_Sigma)
    root = of_Sigma @ np.linalg.cholesky((inner + np.swapaxes(inner, 1, 2)) / 2.0)
    C = root @ np.swapaxes(root, 1, 2)
    return (C @ (Zy - ZX @ fit.beta[:, None]))[..., 0], root, C @ ZX
