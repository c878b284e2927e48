"""Compiled averages of softmax: category k has exp(eta_k) / (1 + sum_j exp(eta_j)), that of the first being 0.

The linear predictors of a row move with standard normal numbers by ``moves``, whose exponentials are the same for all
rows of a draw where z is; a node then costs multiplications and one division.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, SUM, kernel_with_memory
from bayesmargins.integrate.small_kernels import dot, sum_of

__all__ = ["softmax_changes", "softmax_means"]

Array = npt.NDArray[np.float64]

_FARTHEST = 690.0  # exp() is finite up to 709


@njit(**APART)
def _moved(moves: Array, points: Array, out: Array) -> None:
    """exp of what nodes (dimension, node) add to each linear predictor: (predictor, node), `moves` (predictor, dim)."""
    for k in range(len(moves)):
        for n in range(points.shape[1]):
            total = 0.0
            for j in range(len(points)):
                total += moves[k, j] * points[j, n]
            out[k, n] = math.exp(min(max(total, -_FARTHEST), _FARTHEST))


@njit(**SUM)
def _shared(base: float, sizes: Array, moved: Array, weights: Array, out: Array) -> None:
    """weights / (base + sum_k sizes[k] moved[k]): (node,)."""
    for n in range(out.size):
        out[n] = base
    for k in range(len(sizes)):
        for n in range(out.size):
            out[n] += sizes[k] * moved[k, n]
    for n in range(out.size):
        out[n] = weights[n] / out[n]


@njit(**APART)
def _sizes(etas: Array, draw: int, row: int, sizes: Array) -> float:
    """exp(eta_k - top) and exp(-top), where top is the largest of 0 and the eta_k."""
    top = 0.0
    for k in range(len(sizes)):
        top = max(top, etas[k, draw, row])
    for k in range(len(sizes)):
        sizes[k] = math.exp(etas[k, draw, row] - top)
    return math.exp(-top)


@kernel_with_memory
def softmax_means(first: int, last: int, etas: Array, moves: Array, points: Array, weights: Array, out: Array) -> None:
    """out (category, draw, row): averages over nodes; etas (predictor, draw, row), moves (draw, 1 or row, pred., dim).

    A task is a draw.
    """
    K, nodes = len(etas), points.shape[1]
    moved, shared, sizes = np.empty((K, nodes)), np.empty(nodes), np.empty(K)
    for draw in range(first, last):
        for row in range(etas.shape[2]):
            if row < moves.shape[1]:
                _moved(moves[draw, row], points, moved)
            base = _sizes(etas, draw, row, sizes)
            _shared(base, sizes, moved, weights, shared)
            out[0, draw, row] = base * sum_of(shared, nodes)
            for k in range(K):
                out[k + 1, draw, row] = sizes[k] * dot(moved[k], shared, nodes)


@njit(**APART)
def _add_change(p: Array, d: Array, V: Array, weight: float, out: Array) -> None:
    """Adds sum_k p_ck d_k + sum_kl p_ckl V_kl / 2 times a weight, with p's derivatives in the linear predictors."""
    K = len(d)
    slope, within, square = 0.0, 0.0, 0.0
    for k in range(K):
        slope += p[k] * d[k]
        within += p[k] * V[k, k]
        for j in range(K):
            square += p[k] * p[j] * V[k, j]
    rest = 1.0
    for k in range(K):
        across = 0.0
        for j in range(K):
            across += V[k, j] * p[j]
        out[k + 1] += weight * p[k] * (d[k] - slope + 0.5 * (V[k, k] - within) - across + square)
        rest -= p[k]
    out[0] += weight * rest * (square - slope - 0.5 * within)


@kernel_with_memory
def softmax_changes(
    first: int,
    last: int,
    etas: Array,
    moves: Array,
    points: Array,
    weights: Array,
    d_etas: Array,
    d_V: Array,
    out: Array,
) -> None:
    """The same of derivatives, where eta changes by d_etas and the covariance by d_V (draw, 1 or row, pred., pred.)."""
    K, nodes = len(etas), points.shape[1]
    moved, sizes, p, d, total = np.empty((K, nodes)), np.empty(K), np.empty(K), np.empty(K), np.empty(K + 1)
    for draw in range(first, last):
        for row in range(etas.shape[2]):
            if row < moves.shape[1]:
                _moved(moves[draw, row], points, moved)
            V = d_V[draw, min(row, d_V.shape[1] - 1)]
            base = _sizes(etas, draw, row, sizes)
            for k in range(K):
                d[k] = d_etas[k, draw, row]
                total[k] = 0.0
            total[K] = 0.0
            for n in range(nodes):
                whole = base
                for k in range(K):
                    p[k] = sizes[k] * moved[k, n]
                    whole += p[k]
                for k in range(K):
                    p[k] /= whole
                _add_change(p, d, V, weights[n], total)
            for k in range(K + 1):
                out[k, draw, row] = total[k]
