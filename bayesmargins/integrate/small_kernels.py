"""Compiled linear algebra of the effects of small factors: one dense matrix for all of them.

Effects lie factor by factor, level by level, term by term; `layout` (factor, 2) has levels and terms of each factor,
`roots` (factor, term, term) the lower triangle by which its effects are made of standard normal ones.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, SUM

__all__ = ["add_row", "copy_row", "dot", "inverted", "rooted", "small_system", "sum_of"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@njit(**SUM)
def dot(x: Array, y: Array, n: int) -> float:
    """Of the first n entries."""
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@njit(**SUM)
def sum_of(x: Array, n: int) -> float:
    """The first n entries."""
    total = 0.0
    for i in range(n):
        total += x[i]
    return total


@njit(**APART)
def add_row(out: Array, x: Array, factor: float, n: int) -> None:
    """Of the first n entries."""
    for i in range(n):
        out[i] += x[i] * factor


@njit(**APART)
def copy_row(out: Array, x: Array, n: int) -> None:
    """The first n entries.

    Arrays assigned to slices would compile the words of the error about their shapes: half of all compiling here.
    """
    for i in range(n):
        out[i] = x[i]


@njit(**APART)
def inverted(A: Array) -> tuple[Array, float]:
    """Inverse of the Cholesky factor of A, a lower triangle, and log det A; the lower triangle of A is overwritten."""
    n, log_det = len(A), 0.0
    inverse = np.zeros((n, n))
    for i in range(n):
        for k in range(i):
            A[i, k] = (A[i, k] - dot(A[i], A[k], k)) / A[k, k]
        A[i, i] = math.sqrt(A[i, i] - dot(A[i], A[i], i))
        log_det += 2.0 * math.log(A[i, i])
        for k in range(i):
            add_row(inverse[i], inverse[k], -A[i, k], k + 1)
        inverse[i, i] = 1.0
        for k in range(i + 1):
            inverse[i, k] /= A[i, i]
    return inverse, log_det


@njit(**APART)
def _right(A: Array, roots: Array, layout: Integers, transposed: bool) -> None:
    """A = A Lambda, or A Lambda'; Lambda has the roots on its diagonal, one for each level."""
    first = 0
    for f in range(len(layout)):
        q = layout[f, 1]
        for _ in range(layout[f, 0]):
            for row in A:
                for j in range(q):
                    k = q - 1 - j if transposed else j  # what is overwritten is not read again
                    total = 0.0
                    for m in range(k + 1) if transposed else range(k, q):
                        total += row[first + m] * (roots[f, k, m] if transposed else roots[f, m, k])
                    row[first + k] = total
            first += q


@njit(**APART)
def _symmetric(A: Array) -> None:
    for i in range(len(A)):
        for k in range(i):
            A[k, i] = A[i, k]


@njit(**APART)
def rooted(K: Array, h: Array, roots: Array, layout: Integers) -> None:
    """K (by its lower triangle) becomes I + Lambda' K Lambda, and h becomes Lambda' h."""
    _symmetric(K)
    _right(K, roots, layout, False)
    turned = K.T.copy()
    _right(turned, roots, layout, False)
    for i in range(len(K)):
        copy_row(K[i], turned[i], len(K))
        K[i, i] += 1.0
    _right(h.reshape(1, len(h)), roots, layout, False)


@njit(**APART)
def small_system(K: Array, h: Array, roots: Array, layout: Integers) -> tuple[Array, Array, Array, float, Array]:
    """Mean s and covariance V of the effects, s in standard normal ones, log det A, and derivatives in the roots.

    K (its lower triangle) and h are what the data say of the effects; A = I + Lambda' K Lambda. The derivatives are
    those of log det A - h' Lambda A^-1 Lambda' h with K and h held.
    """
    n = len(K)
    A, k = K.copy(), h.copy()
    rooted(A, k, roots, layout)
    inverse, log_det = inverted(A)
    V, z = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        for j in range(i + 1):
            add_row(V[j], inverse[i], inverse[i, j], i + 1)
        add_row(z, inverse[i], dot(inverse[i], k, i + 1), i + 1)
    s = z.copy()
    _right(s.reshape(1, n), roots, layout, True)
    _right(V, roots, layout, True)  # A^-1 Lambda'
    _symmetric(K)
    derivatives = np.zeros_like(roots)
    first = 0
    for f in range(len(layout)):
        q = layout[f, 1]
        for _ in range(layout[f, 0]):
            for i in range(q):
                lack = dot(K[first + i], s, n) - h[first + i]
                for j in range(q):
                    # K Lambda A^-1 = K (A^-1 Lambda')'
                    derivatives[f, i, j] += 2.0 * (dot(K[first + i], V[first + j], n) + lack * z[first + j])
            first += q
    covariance = V.T.copy()
    _right(covariance, roots, layout, True)
    return s, z, covariance, log_det, derivatives
