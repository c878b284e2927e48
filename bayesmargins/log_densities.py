"""Log densities of a posterior's own draws: of each fitted row given its group's b, and of parameters before data."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import PosteriorError, shown
from bayesmargins.family import Outcome, parameter_values, values_at
from bayesmargins.schema import SAMPLE_DIMS

__all__ = ["eta_of_rows", "log_likelihood_by_row", "log_prior_by_parameter"]


def eta_of_rows(post: Any, block: slice | None) -> np.ndarray:
    """Linear predictor of the fitted rows with b, (sample, row): of some draws, or all."""
    take = slice(None) if block is None else block
    if not isinstance(take, slice) or not all(
        v is None or isinstance(v, int) for v in (take.start, take.stop, take.step)
    ):
        raise PosteriorError(f"block={shown(block)}; it must be a slice of draws, such as slice(0, 100), or None.")
    rows = post.design.rows(post.design.data, what="data")
    eta: np.ndarray = post.draws.beta[take] @ rows.X.T + rows.offset
    for name, factor in post.design.factors.items():
        if name not in post.b:
            raise PosteriorError(f"The posterior has no draws of b for {name!r}, which eta of its own rows needs.")
        for key, codes in factor.codes_by_lookup.items():
            eta += np.einsum("srq,rq->sr", post.draws.b[name][take][:, codes, :], rows.Z[key])
    return eta


def log_likelihood_by_row(post: Any) -> xr.Dataset:
    """Of each fitted row: (chain, draw, obs)."""
    eta = eta_of_rows(post, None)
    family, of = post.family, post.family.parameter
    aux = {k: v[:, None] for k, v in post.draws.aux.items()}
    aux |= {k: parameter_values(of(k), part.link, eta_of_rows(part, None)) for k, part in post.parts.items()}
    post.need_parameters("log_likelihood")
    o = Outcome.of(post.design.response)
    value = family.log_likelihood(values_at(post.link, eta, family.of_rows(aux, o)), o)
    shape = (*(len(c) for c in post.sample_coords.values()), -1)
    coords = {**post.sample_coords, "obs": np.arange(len(post.design.data))}
    return xr.Dataset({post.response_name: ((*SAMPLE_DIMS, "obs"), value.reshape(shape))}, coords)


def log_prior_by_parameter(post: Any) -> xr.Dataset:
    """Of each prior of a fit that is in memory: (chain, draw)."""
    if post.origin is None:
        raise PosteriorError(
            f"log_prior of {shown(post.formula)} is not known: draws from other software or from a file come "
            "without their priors, and draws of a prior are no posterior. Fit the model here, "
            "post = bm.GLMM(...).fit(), and ask that posterior."
        )
    sizes = tuple(len(c) for c in post.sample_coords.values())
    blocks = {name: (SAMPLE_DIMS, value.reshape(sizes)) for name, value in post.origin.log_prior().items()}
    return xr.Dataset(blocks, post.sample_coords)
