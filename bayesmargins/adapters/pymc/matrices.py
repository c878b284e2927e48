"""Covariances of group effects as users keep them: matrices, packed Cholesky factors, correlations beside sds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesmargins.adapters.pymc.pymc_variables import labels_of, own_order, rest_of, with_shape
from bayesmargins.adapters.pymc.roles import Role
from bayesmargins.errors import PosteriorError, listed

__all__ = ["Spread", "correlation", "whole"]

_ROUNDING = 1e-5  # of draws in single precision, as JAX makes them


@dataclass(frozen=True)
class Spread:
    """Sigma of some terms in the order of the user's variable, and the root that turns standardised effects into b.

    The root depends on the order of the terms, so that order is kept until b is made.
    """

    terms: tuple[str, ...]
    sd: np.ndarray | None = None
    cor: np.ndarray | None = None
    chol: np.ndarray | None = None
    Sigma: np.ndarray | None = None

    @property
    def covariance(self) -> np.ndarray:
        """Sigma, (chain, draw, term, term)."""
        if self.Sigma is not None:
            return self.Sigma
        if self.chol is not None:
            return self.chol @ np.swapaxes(self.chol, -1, -2)
        assert self.sd is not None
        R = np.eye(len(self.terms)) if self.cor is None else self.cor
        return self.sd[..., :, None] * R * self.sd[..., None, :]

    @property
    def root(self) -> np.ndarray:
        """Lower triangular L with L L' = Sigma, (chain, draw, term, term)."""
        if self.chol is not None:
            return self.chol
        if self.sd is None:
            return np.linalg.cholesky(self.covariance)
        if self.cor is None:
            return self.sd[..., :, None] * np.eye(len(self.terms))
        return self.sd[..., :, None] * np.linalg.cholesky(self.cor)


def whole(values: xr.DataArray, role: Role) -> Spread:
    """What spread do these draws of a Cholesky factor or a covariance stand for?"""
    if role.kind == "chol":
        terms, L = _cholesky(values, role)
        return Spread(terms, chol=L)
    terms, Sigma = _square(values, role, "the covariance")
    return Spread(terms, Sigma=_symmetric(Sigma, role))


def _square(values: xr.DataArray, role: Role, what: str) -> tuple[tuple[str, ...], np.ndarray]:
    """A matrix of terms in the variable's own order."""
    dims, n = rest_of(values), len(role.parts)
    if not dims and n == 1:
        return role.parts, values.to_numpy()[..., None, None]
    if len(dims) != 2:
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(values)}; {what} has {n} rows and {n} columns in "
            f"each draw: {listed(role.parts)}."
        )
    rows, columns = (own_order(values, d, role) for d in dims)
    labelled = [labels_of(values, d) is not None for d in dims]
    if rows != columns and all(labelled):
        raise PosteriorError(
            f"{role.text!r} has its rows in the order {listed(rows)}, its columns in {listed(columns)}."
        )
    return (rows if labelled[0] else columns), values.to_numpy()


def _cholesky(values: xr.DataArray, role: Role) -> tuple[tuple[str, ...], np.ndarray]:
    """Lower triangular, as a matrix or packed row by row, as PyMC's LKJCholeskyCov keeps it."""
    dims, n = rest_of(values), len(role.parts)
    packed = n * (n + 1) // 2
    if len(dims) == 1:
        if values.sizes[dims[0]] != packed:
            raise PosteriorError(
                f"{role.text!r} is taken from values with {with_shape(values)}; the Cholesky factor of {n} terms "
                f"({listed(role.parts)}) has {packed} values packed row by row, or is a matrix ({n}, {n})."
            )
        L = np.zeros((*values.shape[:2], n, n))
        L[..., *np.tril_indices(n)] = values.to_numpy()
        return role.parts, L
    terms, L = _square(values, role, "the Cholesky factor")
    if np.any(L[..., *np.triu_indices(n, k=1)]):
        raise PosteriorError(
            f"{role.text!r} has values above its diagonal; a Cholesky factor L with Sigma = L L' has none. A "
            f"covariance is given as 'Sigma({role.factor})', an upper triangular factor transposed."
        )
    return terms, L


def correlation(values: xr.DataArray, role: Role) -> tuple[tuple[str, ...], np.ndarray]:
    """Correlations in the variable's own order of terms: a matrix, or the values above its diagonal, row by row."""
    dims, n = rest_of(values), len(role.parts)
    pairs = n * (n - 1) // 2
    if len(dims) < 2 and n > 1 and (values.sizes[dims[0]] if dims else 1) == pairs:
        R = np.zeros((*values.shape[:2], n, n))
        R[..., *np.triu_indices(n, k=1)] = values.to_numpy().reshape(*values.shape[:2], pairs)
        terms, R = role.parts, R + np.swapaxes(R, -1, -2) + np.eye(n)
    else:
        terms, R = _square(values, role, "a correlation matrix")
    diagonal = np.diagonal(R, axis1=-2, axis2=-1)
    if np.abs(R).max() > 1 + _ROUNDING or np.abs(diagonal - 1).max() > _ROUNDING:
        raise PosteriorError(
            f"{role.text!r} holds {np.abs(R).max():.4g} and, on the diagonal, {diagonal.flat[0]:.4g}: correlations lie "
            f"between -1 and 1. A covariance is given as 'Sigma({role.factor})'."
        )
    R = _symmetric(R, role)
    R[..., np.arange(n), np.arange(n)] = 1.0
    return terms, R


def _symmetric(matrix: np.ndarray, role: Role) -> np.ndarray:
    """Equal to its transpose up to rounding; then exactly so."""
    turned = np.swapaxes(matrix, -1, -2)
    if np.abs(matrix - turned).max() > _ROUNDING * np.abs(matrix).max():
        raise PosteriorError(f"{role.text!r} is not symmetric. A Cholesky factor is given as 'chol({role.factor})'.")
    return np.asarray((matrix + turned) / 2)
