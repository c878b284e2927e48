"""Running a sampler, and saying in plain words when its draws are not to be trusted yet."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import FitError, close_matches, warn
from bayesmargins.stacks import group_of

__all__ = ["SAMPLERS", "convergence", "draw_prior", "report_convergence", "run_sampler"]

MAX_RHAT = 1.01
MIN_ESS_PER_CHAIN = 100
# Of thousands of group effects the diagnostics take minutes and say what their standard deviation says.
MAX_CHECKED = 2000


def run_sampler(
    model: Any,
    sampler: str,
    draws: int,
    tune: int,
    chains: int,
    random_seed: int | None,
    progressbar: bool,
    **options: Any,
) -> tuple[xr.Dataset, xr.Dataset]:
    """What does this sampler draw from the model?

    Parameters
    ----------
    model : pymc.Model
        From `build_pymc`.
    sampler : {"nutpie", "pymc", "numpyro"}
        Which NUTS.
    draws, tune, chains : int
        Kept and discarded draws a chain, and chains.
    random_seed : int, optional
        Same seed, same draws.
    progressbar : bool
        Shown while sampling.
    **options
        Handed to the sampler as they are (``target_accept=0.95``).

    Returns
    -------
    posterior, sample_stats : Dataset
        As the sampler named them.

    Raises
    ------
    FitError
        An unknown sampler, one that is not installed, or counts that are not positive.
    """
    if sampler not in SAMPLERS:
        raise FitError(
            f"sampler={sampler!r} is not known; allowed are {', '.join(SAMPLERS)}.{close_matches(sampler, SAMPLERS)}"
        )
    for name in options:
        if name in _OTHER_WORDS:
            raise FitError(f"fit() does not take {name}={options[name]!r}. Here it is {_OTHER_WORDS[name]}.")
    for name, value, least in (("draws", draws, 1), ("tune", tune, 0), ("chains", chains, 1)):
        _check_count(name, value, least)
    kwargs = {"draws": draws, "tune": tune, "chains": chains, **options}
    with warnings.catch_warnings():
        # What the sampler warns about while it tunes is not a verdict; convergence is judged once, afterwards.
        warnings.simplefilter("ignore")
        try:
            idata = SAMPLERS[sampler](model, random_seed, progressbar, kwargs)
        except (AttributeError, TypeError, ValueError) as error:
            if not options:
                raise
            raise FitError(f"sampler={sampler!r} does not take {options}: {error}") from error
    posterior, stats = group_of(idata, "posterior"), group_of(idata, "sample_stats")
    if posterior is None or stats is None:
        raise FitError(f"sampler={sampler!r} returned no posterior; it stopped after 0 of {draws} draws.")
    return posterior, stats


def draw_prior(model: Any, names: Sequence[str], draws: int, random_seed: int | None) -> xr.Dataset:
    """What does the model draw before it sees the data?

    Parameters
    ----------
    model : pymc.Model
        From `build_pymc`.
    names : sequence of str
        Variables to keep.
    draws : int
        Independent draws, one chain.
    random_seed : int, optional
        Same seed, same draws.

    Returns
    -------
    Dataset
        Dims chain (one), draw.

    Raises
    ------
    FitError
        `draws` is no whole number from 1.
    """
    _check_count("draws", draws, 1)
    import pymc as pm

    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.WARNING)  # the names of internal variables, which it would print, say nothing to the user
    try:
        with model:
            idata = pm.sample_prior_predictive(draws=draws, random_seed=random_seed, var_names=list(names))
    finally:
        logger.setLevel(level)
    prior = group_of(idata, "prior")
    assert prior is not None
    return prior


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise FitError(f"{name}={value!r}; it must be a whole number from {least}.")


def _nutpie(model: Any, seed: int | None, progressbar: bool, kwargs: Mapping[str, Any]) -> Any:
    import nutpie

    return nutpie.sample(nutpie.compile_pymc_model(model), seed=seed, progress_bar=progressbar, **kwargs)


def _pymc(model: Any, seed: int | None, progressbar: bool, kwargs: Mapping[str, Any]) -> Any:
    import pymc as pm

    with model:
        return pm.sample(random_seed=seed, progressbar=progressbar, compute_convergence_checks=False, **kwargs)


def _numpyro(model: Any, seed: int | None, progressbar: bool, kwargs: Mapping[str, Any]) -> Any:
    try:
        import numpyro  # noqa: F401
    except ImportError:
        raise FitError(
            "sampler='numpyro' needs the package numpyro, which is not installed; pip install 'bayesmargins[numpyro]', "
            "or use sampler='nutpie'."
        ) from None
    import pymc as pm

    with model:
        return pm.sample(
            random_seed=seed,
            progressbar=progressbar,
            compute_convergence_checks=False,
            nuts_sampler="numpyro",
            nuts_sampler_kwargs={"chain_method": "sequential"},
            **kwargs,
        )


# What other packages call it.
_OTHER_WORDS = {
    "adapt_delta": "target_accept",
    "cores": "decided by the sampler: nutpie runs as many chains at once as there are cores",
    "iter": "draws (kept) and tune (discarded)",
    "warmup": "tune",
    "burnin": "tune",
    "seed": "random_seed",
    "sample_prior": "model.prior(draws=...), a Posterior of draws of the prior",
    "backend": "sampler='nutpie', 'pymc' or 'numpyro'",
    "nuts_sampler": "sampler='nutpie', 'pymc' or 'numpyro'",
}

SAMPLERS: dict[str, Callable[[Any, int | None, bool, Mapping[str, Any]], Any]] = {
    "nutpie": _nutpie,
    "pymc": _pymc,
    "numpyro": _numpyro,
}


def convergence(parameters: xr.Dataset, stats: xr.Dataset | None) -> dict[str, float | int | str]:
    """Did the chains mix?

    Parameters
    ----------
    parameters : Dataset
        Draws under the names shown to the user.
    stats : Dataset or None
        The sampler's own.

    Returns
    -------
    dict
        ``divergences``, ``max_rhat``, ``min_ess`` (the smaller of bulk and tail), ``worst`` (the parameter with the
        largest r-hat); what cannot be computed is left out.

    Raises
    ------
    Nothing.
    """
    out: dict[str, float | int | str] = {}
    if stats is not None and "diverging" in stats:
        out["divergences"] = int(stats["diverging"].sum())
    if parameters.sizes["chain"] < 2 or parameters.sizes["draw"] < 8:
        return out
    names, draws = _stacked(parameters)
    from arviz_stats.base import array_stats

    rhat = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    bulk = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
    tail = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
    if np.isfinite(rhat).any():
        out["max_rhat"] = float(np.nanmax(rhat))
        out["worst"] = names[int(np.nanargmax(rhat))]
        out["min_ess"] = float(min(np.nanmin(bulk), np.nanmin(tail)))
    return out


def _stacked(parameters: xr.Dataset) -> tuple[list[str], np.ndarray]:
    names: list[str] = []
    columns = []
    for name, variable in parameters.data_vars.items():
        if variable.size > MAX_CHECKED * variable.sizes["chain"] * variable.sizes["draw"]:
            continue
        dims = [d for d in variable.dims if d not in ("chain", "draw")]
        labels = np.array([", ".join(map(str, c)) for c in np.ndindex(*(variable.sizes[d] for d in dims))])
        if dims:
            grids = np.meshgrid(*(variable[d].to_numpy().astype(str) for d in dims), indexing="ij")
            labels = np.array([", ".join(c) for c in zip(*(g.ravel() for g in grids), strict=True)])
        names += [f"{name}[{label}]" if dims else str(name) for label in labels]
        columns.append(variable.to_numpy().reshape(*variable.shape[:2], -1))
    return names, np.concatenate(columns, axis=2)


def report_convergence(diagnostics: Mapping[str, Any], chains: int) -> None:
    """What should the user know about these draws before reading a number from them? Said once, as one warning.

    Parameters
    ----------
    diagnostics : mapping
        From `convergence`.
    chains : int
        Chains that ran.

    Returns
    -------
    None

    Raises
    ------
    Nothing.
    """
    said = []
    if diagnostics.get("divergences"):
        said.append(
            f"{diagnostics['divergences']} draws diverged: parts of the posterior may not have been reached. Try "
            "fit(target_accept=0.95), or tighter priors for the sd of group effects."
        )
    if diagnostics.get("max_rhat", 1.0) > MAX_RHAT:
        said.append(
            f"r-hat is {diagnostics['max_rhat']:.3f} for {diagnostics['worst']} (it should be below {MAX_RHAT}): the "
            "chains disagree. Take more draws and tune longer."
        )
    if diagnostics.get("min_ess", np.inf) < MIN_ESS_PER_CHAIN * chains:
        said.append(
            f"The effective sample size falls to {diagnostics['min_ess']:.0f} (at least "
            f"{MIN_ESS_PER_CHAIN * chains} is wanted): limits of intervals are noisy. Take more draws."
        )
    if said:
        warn(" ".join(said))
