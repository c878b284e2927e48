"""A posterior as ArviZ shows it: its parameters under their names, its data beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import PosteriorError, listed, shown
from bayesmargins.schema import MEAN, SAMPLE_DIMS, factor_dim, public_name, stem
from bayesmargins.values import plain
from bayesmargins.version import __version__

__all__ = ["arviz_groups", "check_prior", "creation", "data_columns", "named_for_arviz", "now", "provenance"]

_OF_SAMPLER = ("created_at", "inference_library", "inference_library_version", "sampling_time", "tuning_steps")


def arviz_groups(post: Any) -> dict[str, xr.Dataset]:
    """What ArviZ sees: posterior or prior, sample_stats, observed_data and constant_data, as far as they are there."""
    groups = {post.arviz_group: post.parameters.assign_attrs(draws=post.kind)}
    if post.sample_stats is not None:
        groups["sample_stats"] = post.sample_stats
    if post.design.frame is None:
        return groups
    obs = {"obs": np.arange(len(post.design.data))}
    if not post.is_part:
        response, coords = post.design.response, dict(obs)
        y = post.as_observed(response.beside.get("counts", response.y))
        coords |= {"category": plain(post.categories)} if y.ndim > 1 else {}
        groups["observed_data"] = xr.Dataset({post.response_name: (tuple(coords), y)}, coords)
    groups["constant_data"] = data_columns(post.design.data, post.design.response.text, obs)
    return groups


def provenance(post: Any) -> dict[str, Any]:
    """Which software made the draws, and when: attributes of every group, as ArviZ's schema calls them."""
    stats = {} if post.sample_stats is None else post.sample_stats.attrs
    of_sampler = {k: stats[k] for k in _OF_SAMPLER if isinstance(stats.get(k), str | int | float)}
    ours = str(post.info.get("source", "")).startswith("bayesmargins")
    library = {"inference_library": "bayesmargins" if ours else str(post.info.get("source", "draws"))}
    return {
        **creation(post.created_at),
        **(library | ({"inference_library_version": __version__} if ours else {})),
        **of_sampler,
    }


def creation(created_at: str) -> dict[str, str]:
    """Attributes of every group that this package makes."""
    return {
        "created_at": created_at,
        "creation_library": "bayesmargins",
        "creation_library_version": __version__,
        "creation_library_language": "Python",
    }


def now() -> str:
    """The time, as ArviZ writes it."""
    return datetime.now(UTC).isoformat()


def check_prior(post: Any, prior: Any) -> None:
    """Refuse what cannot stand as the prior beside this posterior."""
    kind = prior.kind if isinstance(prior, type(post)) else type(prior).__name__
    if kind != "prior":
        raise PosteriorError(f"add_prior takes draws of the prior, from model.prior(), and got {shown(kind)}.")
    ours, theirs = post.parameters, prior.parameters
    other = [str(n) for n, v in theirs.data_vars.items() if n in ours and v.shape[2:] != ours[n].shape[2:]]
    if post.formula != prior.formula or other or set(ours.data_vars) - set(theirs.data_vars):
        lacks = [str(n) for n in ours.data_vars if n not in theirs.data_vars]
        said = f"lacks {listed(lacks)}" if lacks else f"has another {listed(other)}" if other else "has other columns"
        raise PosteriorError(
            f"The prior of {shown(prior.formula)} {said}: beside the posterior of {shown(post.formula)} stands "
            "the prior of the same model."
        )


def data_columns(data: Any, response: str, obs: dict[str, np.ndarray]) -> xr.Dataset:
    """The columns, under names that netCDF takes: two that would be called the same stay apart."""
    columns: dict[str, Any] = {}
    for column in data.columns:
        name = f"data_{column}" if column == "obs" else public_name(column)
        while name in columns:
            name += "_"
        if column != response:
            columns[name] = (("obs",), plain(data[column]))
    return xr.Dataset(columns, obs)


def named_for_arviz(post: Any) -> xr.Dataset:
    """Draws under the names that they are shown by: ``beta``, ``sd_id``, ``cor_id``, ``b_id``, ``sigma``, ``shape``.

    Those of a parameter with a linear predictor come after its name, ``sigma_beta``, ``sigma_sd_id``, with the
    dimensions ``sigma_coef``, ``sigma_id_term``; of categories ``mu[yes]_beta`` and so on, the first linear
    predictor's too. Dimensions of groups are shared. Correlations of effects on several linear predictors are
    ``across_cor_id``, with labels such as ``"Intercept, sigma_Intercept"``.
    """
    variables = _own(post) if post.family.shares is None else _of_part(post.first, post)
    for name, part in post.parts.items():
        variables |= _of_part(name, part)
    for factor, Sigma in post.across.items():
        variables |= _across(stem(factor), Sigma)
    return xr.Dataset({name: v.reset_coords(drop=True) for name, v in variables.items()})


def _own(post: Any) -> dict[str, xr.DataArray]:
    """Of its own linear predictor, and of the family."""
    variables: dict[str, xr.DataArray] = {"beta": post.beta, **_steps(post)}
    for factor, Sigma in post.Sigma.items():
        variables |= _sd_and_cor(stem(factor), Sigma)
    variables |= {f"sd_{stem(name)}": v for name, v in post.smooth_sd.items()}
    return variables | post.aux | {f"b_{stem(factor)}": v for factor, v in post.b.items()}


def _steps(post: Any) -> dict[str, xr.DataArray]:
    """What coefficients of ``mo()`` are made of: ``slope_mo(x)``, the mean step, and ``simplex_mo(x)``, the shares."""
    found = {}
    for term in post.design.fixed.monotonic:
        b, shares = term.split(post.beta.sel(coef=list(term.columns)).to_numpy())
        base = {d: post.beta[d] for d in SAMPLE_DIMS}
        found[f"slope_{stem(term.name)}"] = xr.DataArray(b, base, SAMPLE_DIMS)
        several = [share for share in shares if share.shape[-1] > 1]
        for (name, n), share in zip(term.shares.items(), several, strict=True):
            dim = f"{stem(name).removeprefix('simplex_')}_step"
            found[stem(name)] = xr.DataArray(share, {**base, dim: np.arange(1, n + 1)}, (*SAMPLE_DIMS, dim))
    return found


def _of_part(name: str, part: Any) -> dict[str, xr.DataArray]:
    own, name = xr.Dataset(_own(part)), stem(name)
    together = {*SAMPLE_DIMS, *map(factor_dim, part.b)}
    apart = [*own.data_vars, *(d for d in own.dims if d not in together)]
    return {str(k): v for k, v in own.rename({k: f"{name}_{k}" for k in apart}).data_vars.items()}


def _across(factor: str, Sigma: xr.DataArray) -> dict[str, xr.DataArray]:
    """Correlations of pairs of effects on different linear predictors; those within one stand with its own."""
    term, of = Sigma[Sigma.dims[2]].to_numpy(), Sigma[f"{factor}_predictor"].to_numpy()
    names = [t if p == MEAN else f"{p}_{t}" for t, p in zip(term, of, strict=True)]
    sd = np.sqrt(np.diagonal(Sigma.to_numpy(), axis1=2, axis2=3))
    pairs = [(i, j) for i, j in combinations(range(len(names)), 2) if of[i] != of[j]]
    base = {d: Sigma[d] for d in SAMPLE_DIMS}
    return {f"across_cor_{factor}": _correlations(Sigma.to_numpy(), sd, pairs, names, base, f"across_{factor}_pair")}


def _correlations(
    values: np.ndarray, sd: np.ndarray, pairs: list[tuple[int, int]], names: Any, base: dict[str, Any], dim: str
) -> xr.DataArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        cor = np.stack([values[:, :, i, j] / (sd[:, :, i] * sd[:, :, j]) for i, j in pairs], axis=-1)
    labels = [f"{names[i]}, {names[j]}" for i, j in pairs]
    return xr.DataArray(cor, dims=(*SAMPLE_DIMS, dim), coords={**base, dim: labels})


def _sd_and_cor(factor: str, Sigma: xr.DataArray) -> dict[str, xr.DataArray]:
    term = Sigma.dims[2]
    names = Sigma[term].to_numpy()
    values = Sigma.to_numpy()
    sd = np.sqrt(np.diagonal(values, axis1=2, axis2=3))
    base = {d: Sigma[d] for d in SAMPLE_DIMS}
    out = {f"sd_{factor}": xr.DataArray(sd, dims=(*SAMPLE_DIMS, term), coords={**base, term: names})}
    pairs = [(i, j) for i, j in combinations(range(len(names)), 2) if np.any(values[:, :, i, j])]
    if pairs:
        out[f"cor_{factor}"] = _correlations(values, sd, pairs, names, base, f"{factor}_pair")
    return out
