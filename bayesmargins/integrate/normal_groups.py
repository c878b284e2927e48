"""Group effects of a normal response: what the rows say of them, by group, and their exact conditional draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bayesmargins.integrate.threads import in_threads

__all__ = ["NormalGroups", "draw_normal_effects", "normal_groups"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]

_DEPENDENT = 1e-10  # of a column's length in a group: what is left of it is rounding, and no direction of its own


@dataclass(frozen=True)
class NormalGroups:
    """Sufficient statistics of y = F phi + W b_group + e, e ~ N(0, sigma^2 / weight), b_group ~ N(0, L L').

    In each group the rows of W are Q R with orthonormal Q. What lies in the span of Q says everything of b; what does
    not says nothing of it. Hence with d = phi - centre, u = a - B d and P = I + R L L' R' / sigma^2, the likelihood
    with b integrated out is a product of two factors that have no b:

        log p(y) = - count / 2 log(2 pi sigma^2) - (rss + d' G d) / (2 sigma^2)
                   - 1/2 sum over groups of (log det P + u' P^-1 u / sigma^2)

    All terms of the quadratic form are squares, so nothing cancels, however large b is beside sigma.

    Attributes
    ----------
    centre : (coordinate,) float
        Least-squares coefficients within groups.
    count, rss : float
        Sum of the weights; sum of squares within groups at the centre.
    G : (coordinate, coordinate) float
        Products of the columns of F within groups.
    R : (group, term, term) float
        Upper triangles; a row of zeros where the rows of a group leave a direction open.
    a : (group, term) float
        Q' (y - F centre).
    B : (group, term, coordinate) float
        Q' F.
    """

    centre: Array
    count: float
    rss: float
    G: Array
    R: Array
    a: Array
    B: Array

    @cached_property
    def by_term(self) -> tuple[Array, Array, Array]:
        """R, a and B with the group last, as the compiled loops take them."""
        return (
            np.ascontiguousarray(np.moveaxis(self.R, 0, -1)),
            np.ascontiguousarray(self.a.T),
            np.ascontiguousarray(np.moveaxis(self.B, 0, -1)),
        )


def normal_groups(
    y: Array, F: Array, W: Array, codes: Integers, n_groups: int, weights: Array | None = None
) -> NormalGroups:
    """Statistics of y (row,) less the offset, F (row, coordinate), W (row, term), codes (row,), weights (row,)."""
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    Q, R = _orthonormal_by_group(W * root[:, None], codes, n_groups)
    F, y = F * root[:, None], y * root
    start = np.linalg.lstsq(F, y, rcond=None)[0]
    B, within = _split(F, Q, codes, n_groups)
    _, left = _split((y - F @ start)[:, None], Q, codes, n_groups)
    # Columns that are constant within groups leave nothing but rounding there: no digit of it may enter the centre.
    size = np.sqrt((F**2).sum(axis=0)).max(initial=0.0)
    U, s, V = np.linalg.svd(within, full_matrices=False)
    known = s > _DEPENDENT * size
    centre = start + V[known].T @ ((U[:, known].T @ left[:, 0]) / s[known])
    a, rest = _split((y - F @ centre)[:, None], Q, codes, n_groups)
    count = float(len(y) if weights is None else weights.sum())
    return NormalGroups(centre, count, float(rest[:, 0] @ rest[:, 0]), within.T @ within, R, a[..., 0], B)


def _sums(values: Array, codes: Integers, n_groups: int) -> Array:
    sums: Array = np.bincount(codes, weights=values, minlength=n_groups).astype(np.float64, copy=False)
    return sums


def _orthonormal_by_group(W: Array, codes: Integers, n_groups: int) -> tuple[Array, Array]:
    """Q (row, term), R (group, term, term) by Gram and Schmidt, twice: a second pass removes what rounding left."""
    q = W.shape[1]
    Q, R = np.zeros_like(W), np.zeros((n_groups, q, q))
    for k in range(q):
        column = W[:, k].copy()
        before = np.sqrt(_sums(column**2, codes, n_groups))
        for i in [*range(k)] * 2:
            share = _sums(Q[:, i] * column, codes, n_groups)
            R[:, i, k] += share
            column -= share[codes] * Q[:, i]
        length = np.sqrt(_sums(column**2, codes, n_groups))
        R[:, k, k] = np.where(length > _DEPENDENT * before, length, 0.0)
        Q[:, k] = column * np.divide(1.0, R[:, k, k], out=np.zeros(n_groups), where=R[:, k, k] > 0)[codes]
    return Q, R


def _split(columns: Array, Q: Array, codes: Integers, n_groups: int) -> tuple[Array, Array]:
    """Shares (group, term, column) of the columns in the span of Q, and the columns without them, (row, column)."""
    shares, rest = np.zeros((n_groups, Q.shape[1], columns.shape[1])), columns.copy()
    for c in range(columns.shape[1]):
        for i in [*range(Q.shape[1])] * 2:
            share = _sums(Q[:, i] * rest[:, c], codes, n_groups)
            shares[:, i, c] += share
            rest[:, c] -= share[codes] * Q[:, i]
    return shares, rest


def draw_normal_effects(
    groups: NormalGroups, phi: Array, L: Array, sigma: Array, back: Array, rng: np.random.Generator
) -> Array:
    """Draws of back b_group from their exact conditional distribution: (draw, group, term).

    phi (draw, coordinate), L (draw, term, term) with Sigma = L L', sigma (draw,); back (term, term).
    """
    from bayesmargins.integrate.normal_group_kernels import condition  # numba takes a second to import

    out = rng.standard_normal((len(phi), *groups.a.shape))
    scale = sigma[:, None]
    in_threads(
        condition, len(phi), (phi - groups.centre) / scale, L / scale[..., None], sigma, *groups.by_term, back, out
    )
    return out
