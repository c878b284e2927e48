"""Draws of beta, b, Sigma and the family's parameters: as labelled arrays, and as the plain ones that numerics read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, plain, stem

__all__ = ["Draws", "canonical", "flat"]


@dataclass(frozen=True)
class Draws:
    """The same draws as plain arrays, chains one after the other: what the numerics read.

    Attributes
    ----------
    beta : ndarray, shape (sample, coef)
    b : dict of ndarray, shape (sample, level, term)
    Sigma : dict of ndarray, shape (sample, term, term)
    aux : dict of ndarray, shape (sample,)
    """

    beta: np.ndarray
    b: dict[str, np.ndarray]
    Sigma: dict[str, np.ndarray]
    aux: dict[str, np.ndarray]


def flat(values: xr.DataArray) -> np.ndarray:
    """Chains one after the other.

    Parameters
    ----------
    values : DataArray, dims (chain, draw, ...)

    Returns
    -------
    ndarray, shape (sample, ...)
        C-contiguous float64.

    Raises
    ------
    Nothing.
    """
    array = np.ascontiguousarray(values.to_numpy(), dtype=np.float64)
    return array.reshape((array.shape[0] * array.shape[1], *array.shape[2:]))  # -1 cannot stand for no columns


def canonical(
    design: Design,
    beta: np.ndarray,
    b: Mapping[str, np.ndarray],
    Sigma: Mapping[str, np.ndarray],
    aux: Mapping[str, np.ndarray],
    sample_coords: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Arrays with their dimensions named: the draws that a `Posterior` of this design holds.

    Parameters
    ----------
    design : Design
        Names the coefficients, levels and terms.
    beta : ndarray, shape (chain, draw, coef)
    b : mapping of ndarray, shape (chain, draw, level, term)
    Sigma : mapping of ndarray, shape (chain, draw, term, term)
    aux : mapping of ndarray, shape (chain, draw)
    sample_coords : mapping
        Coordinates ``chain`` and ``draw``.

    Returns
    -------
    dict
        ``beta``, ``b``, ``Sigma``, ``aux`` as `Posterior` takes them.

    Raises
    ------
    Nothing.
    """
    base = dict(sample_coords)

    def named(values: np.ndarray, **coords: Any) -> xr.DataArray:
        return xr.DataArray(values, dims=(*SAMPLE_DIMS, *coords), coords={**base, **coords})

    terms = {f: plain(factor.terms) for f, factor in design.factors.items()}
    return {
        "beta": named(beta, coef=plain(design.coef)),
        "b": {
            f: named(v, **{factor_dim(f): plain(design.factors[f].levels), f"{stem(f)}_term": terms[f]})
            for f, v in b.items()
        },
        "Sigma": {f: named(v, **{f"{stem(f)}_term": terms[f], f"{stem(f)}_term2": terms[f]}) for f, v in Sigma.items()},
        "aux": {k: named(v) for k, v in aux.items()},
    }
