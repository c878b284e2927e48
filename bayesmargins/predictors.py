"""Several linear predictors of one posterior: one covariance for all effects of a group, over what it acts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesmargins.draws import check_covariance, check_draws
from bayesmargins.errors import PosteriorError, listed
from bayesmargins.schema import SAMPLE_DIMS, stem
from bayesmargins.values import plain

__all__ = [
    "across_array",
    "acting",
    "block_root",
    "check_posterior",
    "joint_covariance",
    "unknown_across",
]

Array = npt.NDArray[np.float64]


def acting(designs: Mapping[str, Any], factor: str) -> dict[str, tuple[str, ...]]:
    """Terms of a factor by linear predictor, of those that it acts on."""
    return {name: design.factors[factor].terms for name, design in designs.items() if factor in design.factors}


def across_array(terms: Mapping[str, Sequence[str]], factor: str, Sigma: Array, samples: Mapping[str, Any]) -> Any:
    """Sigma (chain, draw, term, term) as a DataArray that says of which predictor each term is."""
    dim, of = f"{stem(factor)}_term", f"{stem(factor)}_predictor"
    labels = plain([term for own in terms.values() for term in own])
    predictors = plain([name for name, own in terms.items() for _ in own])
    coords = {
        **samples,
        dim: labels,
        f"{dim}2": labels,
        of: (dim, predictors),
        f"{of}2": (f"{dim}2", predictors),
    }
    return xr.DataArray(Sigma, coords, (*SAMPLE_DIMS, dim, f"{dim}2"))


def joint_covariance(post: Any, factor: str, names: Sequence[str]) -> Array:
    """Sigma (sample, term, term) of a factor over these linear predictors, which are all those it acts on or some."""
    of = {name: post.predictors[name].draws.Sigma[factor] for name in names}
    ends = np.cumsum([0, *(Sigma.shape[1] for Sigma in of.values())]).tolist()
    if factor in post.across:
        have = [str(v) for v in post.across[factor][f"{stem(factor)}_predictor"].to_numpy()]
        which = [k for name in names for k, own in enumerate(have) if own == name]
        whole = post.across[factor].to_numpy()
        return np.asarray(whole.reshape(-1, *whole.shape[2:])[:, which][:, :, which])
    joint = np.zeros((len(post.draws.beta), ends[-1], ends[-1]))
    for (first, last), Sigma in zip(pairwise(ends), of.values(), strict=True):
        joint[:, first:last, first:last] = Sigma
    return joint


def unknown_across(post: Any, factor: str) -> bool:
    """Are its effects on several linear predictors correlated, and nobody knows how?"""
    said = (f for part in post.parts.values() for f in part.info.get("correlated", ()))
    return factor in said and factor not in post.across


def block_root(Sigma: Array, sizes: Sequence[int]) -> Array:
    """L with L L' = Sigma (sample, term, term), lower in blocks: the first b needs its own Sigma alone.

    The blocks on the diagonal are symmetric, and Sigma may be singular.
    """
    L = np.zeros_like(Sigma)
    blocks = [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]
    for k, row in enumerate(blocks):
        for column in blocks[:k]:
            before = L[:, row, : column.start] @ np.swapaxes(L[:, column, : column.start], 1, 2)
            L[:, row, column] = (Sigma[:, row, column] - before) @ np.linalg.pinv(
                L[:, column, column], rcond=1e-10, hermitian=True
            )
        rest = Sigma[:, row, row] - L[:, row, : row.start] @ np.swapaxes(L[:, row, : row.start], 1, 2)
        L[:, row, row] = _square_root(rest if k else Sigma[:, row, row])
    return L


def _square_root(Sigma: Array) -> Array:
    """Symmetric root by eigenvalues: a Cholesky factor does not exist where a variance is 0 or a correlation is 1."""
    values, vectors = np.linalg.eigh(Sigma)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def check_posterior(post: Any) -> None:
    """Refuse what cannot be draws of the posterior's design and of those of its other linear predictors."""
    for name, predictor in post.predictors.items():
        check_draws(predictor.design, predictor.draws, predictor.family, "" if predictor is post else name)
    _check_across(post)


def _check_across(post: Any) -> None:
    """Refuse a covariance over predictors that is none, or is another than that of each of them."""
    designs = {name: p.design for name, p in post.predictors.items()}
    for factor, Sigma in post.across.items():
        terms, values = acting(designs, factor), Sigma.to_numpy()
        size = sum(map(len, terms.values()))
        if len(terms) < 2 or values.shape[2:] != (size, size) or not np.isfinite(values).all():
            raise PosteriorError(
                f"The covariance of {factor!r} over several linear predictors does not fit {post.formula!r}: it acts "
                f"on {listed(terms) or 'none'}, with {size} terms in all."
            )
        check_covariance(values, f"Sigma of {factor!r}")
        start = 0
        for name, own in terms.items():
            block = values[..., start : start + len(own), start : start + len(own)]
            start += len(own)
            if not np.allclose(block, post.predictors[name].Sigma[factor].to_numpy(), rtol=1e-8, atol=1e-12):
                raise PosteriorError(f"Sigma of {factor!r} for {name!r} is not that of its joint covariance.")
