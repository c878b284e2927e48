"""Columns as a constant and orthonormal directions: coordinates that no coding of the columns changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Basis", "orthonormal_basis"]


@dataclass(frozen=True)
class Basis:
    """X beta = constant + M gamma, for beta = origin constant + back gamma."""

    # (column,): coefficients that make the column of ones; None where the columns do not span it
    origin: np.ndarray | None
    # (row, direction): directions of mean square 1, orthogonal to each other and, where there is an origin, to the
    # ones. A direction that the columns leave open, because they are linearly dependent, is a column of zeros
    M: np.ndarray
    back: np.ndarray  # (column, direction): carries coefficients of the directions back to those of the columns
    rank: int  # of the columns

    @property
    def whole(self) -> np.ndarray:
        """Origin (first, where there is one) and back side by side: (column, column)."""
        return self.back if self.origin is None else np.column_stack([self.origin, self.back])


def orthonormal_basis(X: np.ndarray) -> Basis:
    """Columns (row, column) as a constant, where they span it, and orthonormal directions of what is left."""
    # Units are powers of two, so that no digit is lost and no square overflows.
    largest = np.abs(X).max(axis=0, initial=0.0)
    units = np.exp2(np.clip(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))), -1000.0, 1000.0))
    basis = _basis(X / units)
    origin = None if basis.origin is None else basis.origin / units
    with np.errstate(over="ignore"):  # of columns below 1e-308
        return Basis(origin, basis.M, basis.back / units[:, None], basis.rank)


def _basis(X: np.ndarray) -> Basis:
    """The same for columns whose largest value is near 1."""
    means = X.mean(axis=0)
    centred = X - means
    # Once more: where a column lies far from zero, the rounding of its mean shifts all its rows.
    centred -= centred.mean(axis=0)
    around = _directions(centred, X)
    # Coefficients that leave the centred columns at zero give the same value c in every row.
    open_ = around.back[:, around.rank :]
    c = means @ open_
    if np.linalg.norm(c) < 1e3 * _noise(X) or not len(c):
        return _directions(X, X)
    origin = open_ @ c / (c @ c)
    kept = open_ @ np.linalg.svd(c[None])[2][1:].T
    back = np.hstack([around.back[:, : around.rank], kept])
    M = np.hstack([around.M[:, : around.rank], np.zeros((len(X), kept.shape[1]))])
    return Basis(origin, M, back - np.outer(origin, means @ back), around.rank + 1)


def _directions(columns: np.ndarray, X: np.ndarray) -> Basis:
    """Orthonormal directions of these columns, which are `X` or `X` centred; the open ones come last."""
    n, p = columns.shape
    size = np.sqrt(np.mean(columns**2, axis=0))
    largest = np.abs(X).max(axis=0, initial=0.0)
    # Whatever centring leaves of a column that is no larger than the column's own rounding is nothing.
    size = np.where(size > _noise(X) * largest, size, 0.0)
    scale = np.where(size > 0, size, np.where(largest > 0, largest, 1.0))
    scaled = np.where(size > 0, columns / scale, 0.0)
    _, s, Vt = np.linalg.svd(np.linalg.qr(scaled, mode="r"), full_matrices=n < p)
    rank = int(np.sum(s > _noise(X) * np.max(largest / scale, initial=1.0) * np.max(s, initial=0.0)))
    first = Vt[:rank].T / s[:rank] / scale[:, None]
    # A second time: the first turn lies in the span of the columns to their rounding, whatever the columns' condition.
    Q, R = np.linalg.qr(columns @ first)
    back = np.hstack([first @ np.linalg.inv(R) * np.sqrt(n), Vt[rank:].T / scale[:, None]])
    return Basis(None, np.hstack([Q * np.sqrt(n), np.zeros((n, p - rank))]), back, rank)


def _noise(X: np.ndarray) -> float:
    """Rounding of a sum over the columns, relative to its largest term."""
    return float(max(X.shape[1], 10) * np.finfo(np.float64).eps)
