"""Running a sampler: what NUTS draws from a model, and what its priors draw."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import xarray as xr

from bayesmargins.errors import FitError, close_matches, shown, written
from bayesmargins.habits import lesson_of, plain_arguments, unknown_keywords
from bayesmargins.limits import options as session
from bayesmargins.model.compiling import compiled
from bayesmargins.model.words import WORDS
from bayesmargins.stacks import group_of
from bayesmargins.values import is_word, switch, whole_number

__all__ = ["SAMPLERS", "draw_prior", "run_sampler"]

_NAMES = ("nutpie", "pymc", "numpyro", "independent")  # the last is no NUTS, and has a module of its own
_FEW = 5_000  # draws of a prior, up to which a compiler takes longer; many groups make all draws slower alike
_TAKEN = (
    *("draws", "tune", "chains", "random_seed", "sampler", "progressbar", "ess", "max_draws"),
    *("group_effects", "parametrisation", "target_accept"),
)


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
    """Draws of the model by this sampler, and what it says of them, named as it names them.

    `options` are handed on as they are. FitError for an unknown sampler, one that is not installed, or counts that are
    not positive.
    """
    with plain_arguments("fit", FitError):
        known = is_word(sampler, SAMPLERS)
    if not known:
        raise FitError(
            f"sampler={shown(sampler)} is not known; allowed are {', '.join(_NAMES)}.{close_matches(sampler, _NAMES)}"
        )
    foreign = {name: value for name, value in options.items() if name in WORDS and name != "target_accept"}
    if foreign:
        raise FitError(unknown_keywords("fit", foreign, _TAKEN, partial(lesson_of, WORDS)))
    for name, value, least in (("draws", draws, 1), ("tune", tune, 0), ("chains", chains, 1)):
        whole_number(name, value, least, FitError)
    switch("progressbar", progressbar, FitError)
    checked_seed = None if random_seed is None else whole_number("random_seed", random_seed, 0, FitError, ", or None")
    kwargs = {"draws": draws, "tune": tune, "chains": chains, **options}
    with warnings.catch_warnings():
        # What the sampler warns about while it tunes is not a verdict; convergence is judged once, afterwards.
        warnings.simplefilter("ignore")
        try:
            idata = SAMPLERS[sampler](model, checked_seed, progressbar, kwargs)
        except (AttributeError, TypeError, ValueError) as error:
            if not options:
                raise
            near = "".join(dict.fromkeys(close_matches(name, _TAKEN) for name in options))
            raise FitError(f"sampler={sampler!r} does not take {shown(options)}: {written(error)}.{near}") from error
    posterior, stats = group_of(idata, "posterior"), group_of(idata, "sample_stats")
    if posterior is None or stats is None:
        raise FitError(f"sampler={sampler!r} returned no posterior; it stopped after 0 of {draws} draws.")
    return posterior, stats


def draw_prior(model: Any, names: Sequence[str], draws: int, random_seed: int | None) -> xr.Dataset:
    """Draws (one chain, draw, ...) of some variables before the model sees the data; the same seed, the same draws."""
    whole_number("draws", draws, 1, FitError)
    if random_seed is not None:
        whole_number("random_seed", random_seed, 0, FitError, ", or None")
    import pymc as pm

    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.WARNING)  # the names of internal variables, which it would print, say nothing to the user
    try:
        with model:
            idata = pm.sample_prior_predictive(
                draws=draws, random_seed=random_seed, var_names=list(names), compile_kwargs=_prior_mode(draws)
            )
    finally:
        logger.setLevel(level)
    prior = group_of(idata, "prior")
    assert prior is not None
    return prior


def _prior_mode(draws: int) -> dict[str, Any]:
    """For few draws NumPy alone: a compiler takes longer than thousands of them.

    Graphs inside of operations (a truncated prior) are laid open, or each would be compiled. All else stays as it
    is written: Python takes the product of three, which rewriting makes, entry by entry.
    """
    if draws > _FEW:
        return {}
    from pytensor.compile.mode import Mode
    from pytensor.graph.rewriting.db import RewriteDatabaseQuery

    return {"mode": Mode("py", RewriteDatabaseQuery(include=["inline_ofg_expansion"]))}


def _nutpie(model: Any, seed: int | None, progressbar: bool, kwargs: Mapping[str, Any]) -> Any:
    import nutpie

    return nutpie.sample(compiled(model), seed=seed, progress_bar=progressbar, cores=_cores(kwargs), **kwargs)


def _pymc(model: Any, seed: int | None, progressbar: bool, kwargs: Mapping[str, Any]) -> Any:
    import pymc as pm

    with model:
        return pm.sample(
            random_seed=seed, progressbar=progressbar, compute_convergence_checks=False, cores=_cores(kwargs), **kwargs
        )


def _cores(kwargs: Mapping[str, Any]) -> int:
    """Of this process; chains do not depend on how many run at once."""
    return min(kwargs["chains"], session.n_threads)


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


SAMPLERS: dict[str, Callable[[Any, int | None, bool, Mapping[str, Any]], Any]] = {
    "nutpie": _nutpie,
    "pymc": _pymc,
    "numpyro": _numpyro,
}
