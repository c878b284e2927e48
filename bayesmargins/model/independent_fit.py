"""Fits by independent proposals: b integrated out, the few parameters drawn at once, b drawn back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayesmargins.convergence import convergence, report_convergence
from bayesmargins.errors import FitError, listed, shown, warn
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.model.enough import Goal
from bayesmargins.model.fitting import posterior_of
from bayesmargins.model.log_posterior import LogPosterior, log_posterior
from bayesmargins.model.marginal import Likelihood, error_of, largest_first
from bayesmargins.model.treatment import SAMPLED, Treatment
from bayesmargins.posterior import Posterior
from bayesmargins.progress import Progress
from bayesmargins.schema import SAMPLE_DIMS, stem
from bayesmargins.values import switch, whole_number

if TYPE_CHECKING:
    from bayesmargins.sampler import Chains

__all__ = ["FASTER", "INDEPENDENT", "NAMED", "OF_SESSION", "independent_fit", "log_posterior_of"]

INDEPENDENT = "independent"
FASTER = f"sampler={INDEPENDENT!r} draws from the same posterior without NUTS, and mostly in less time."
NAMED: ContextVar[str] = ContextVar("bayesmargins.named", default="")
"""Before what is printed of a fit: which of several models it is of."""

_LONGEST = 10_000  # draws of a chain, or more where more are asked for
_INSTEAD = "nutpie"
_NO_GROUPS = "the model has no group effects, and independent proposals are for models that have some"
OF_SESSION = (
    f" (sampler={INDEPENDENT!r} comes from bayesmargins.options.sampler; sampler={_INSTEAD!r} here overrides it.)"
)


def independent_fit(
    model: Any,
    plan: Treatment,
    enough: Goal,
    tune: int,
    chains: int,
    random_seed: int | None,
    progressbar: bool,
    of_nuts: Mapping[str, str],
    whose: str = "",
    **options: Any,
) -> Posterior:
    """The posterior of a `GLMM` by independent proposals, or by NUTS where these cannot be trusted, which is said.

    `of_nuts` are arguments of a fit that would be NUTS's; `whose` says who named this sampler, in refusals.
    """
    draws, chains = enough.draws, whole_number("chains", chains, 1, FitError)
    if random_seed is None:
        random_seed = int(np.random.SeedSequence().generate_state(1)[0])
    seed = whole_number("random_seed", random_seed, 0, FitError, ", or None")
    switch("progressbar", progressbar, FitError)
    if options:
        raise FitError(
            f"sampler={INDEPENDENT!r} has no options of its own, got {shown(options)}; leave them out.{whose}"
        )
    ess, longest = float(enough.ess or 0), max(draws, enough.most or _LONGEST)
    if of_nuts["group_effects"] == SAMPLED:
        raise FitError(
            "sampler='independent' draws from a likelihood without group effects, and group_effects='sampled' asks "
            f"for one with them. Leave group_effects at 'auto', or use sampler={_INSTEAD!r}.{whose}"
        )
    by_nuts = {"draws": draws, "tune": tune, "chains": chains, "random_seed": seed, "sampler": _INSTEAD, **of_nuts}
    by_nuts |= {"progressbar": progressbar, "ess": enough.ess, "max_draws": enough.most}
    if model.design.structured:
        why = f"the coefficients {listed(sorted(model.design.structured), 3)} are made of other parameters"
        return _by_nuts(model, by_nuts, why)
    if plan.how == SAMPLED:
        why = f"group effects are sampled, {plan.why}" if model.groups else _NO_GROUPS
        return _by_nuts(model, by_nuts, why)
    rows = coarser(model.likelihood)
    target = replace(log_posterior_of(model), likelihood=rows)
    found = _chains(target, draws, chains, seed, progressbar, ess, longest)
    if found.obstacle:
        start = {} if found.mean is None else {"init_mean": found.mean}
        return _by_nuts(model, by_nuts | {"group_effects": plan.how} | start, found.obstacle)
    if found.stopped:
        warn(f"Stopped: {found.draws.shape[1]:,} of {draws:,} draws a chain are kept, which are whole.")
    trace, stats = _datasets(target, found, seed)
    info: dict[str, Any] = {"source": f"bayesmargins, {INDEPENDENT}", "sampler": INDEPENDENT, **plan.info}
    info |= {"random_seed": seed, **({} if enough.ess is None else {"ess": enough.ess})}
    info |= {"acceptance": round(float(found.acceptance.mean()), 4), "khat": round(found.khat, 4)}
    x = target.values(found.draws.reshape(-1, found.draws.shape[-1]))
    info |= error_of(rows, *target.parameters(x))
    post = posterior_of(model, trace, stats, info)
    effects = [f"b_{stem(name)}" for name in model.design.factors]
    post.info.update(convergence(post.parameters.drop_vars(effects), stats))  # b given these is drawn exactly
    report_convergence(post.info, chains, found.draws.shape[1])
    return post


def log_posterior_of(model: Any) -> LogPosterior:
    """The log posterior without b of a `GLMM`."""
    order = [part.factor.name for part in largest_first(model.groups)]
    parts = (model.priors, model.first.fixed, model.groups, order, model.likelihood)
    return log_posterior(model.design, model.family, *parts)


def coarser(rows: Likelihood) -> Likelihood:
    """The same, with as few nodes as values need: Hamiltonian chains go by slopes, these ones do not."""
    return rows.coarser() if isinstance(rows, GroupQuadrature) else rows


def _by_nuts(model: Any, arguments: Mapping[str, Any], why: str) -> Posterior:
    print(f"{NAMED.get()}sampler='{INDEPENDENT}' is not used, NUTS is: {why}.", file=sys.stderr)
    post: Posterior = model.fit(**arguments)
    post.info["independent"] = why
    return post


def _chains(
    target: LogPosterior,
    draws: int,
    chains: int,
    seed: int | None,
    progressbar: bool,
    ess: float,
    longest: int,
) -> Chains:
    from bayesmargins.sampler import sample  # SciPy's optimisers, which no other fit needs

    def watched(u: np.ndarray) -> np.ndarray:
        return np.concatenate([v.reshape(len(u), -1) for v in target.named(target.values(u)).values()], axis=1)

    with Progress(draws * chains, "drawing from the posterior") as progress:
        return sample(
            target.log_density,
            target.value_and_gradient,
            target.start,
            target.unit,
            chains=chains,
            draws=draws,
            ess=ess,
            max_draws=longest,
            seed=seed,
            watched=watched,
            tick=progress.tick if progressbar else lambda points: None,
        )


def _datasets(target: LogPosterior, found: Chains, seed: int | None) -> tuple[xr.Dataset, xr.Dataset]:
    """Draws under the names of the PyMC model, b among them, and what the sampler says of each."""
    sizes = found.draws.shape[:2]
    x = target.values(found.draws.reshape(sizes[0] * sizes[1], -1))
    # A stream of its own, as the chains have theirs.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9,)))
    named = x | target.named(x) | target.effects(x, rng)
    coords = {d: np.arange(n) for d, n in zip(SAMPLE_DIMS, sizes, strict=True)}
    trace = {
        name: ((*SAMPLE_DIMS, *(f"{name}_{k}" for k in range(v.ndim - 1))), v.reshape(*sizes, *v.shape[1:]))
        for name, v in named.items()
    }
    stats = {"acceptance_rate": found.acceptance, "accepted": found.accepted, "lp": found.log_density}
    return xr.Dataset(trace, coords), xr.Dataset({k: (SAMPLE_DIMS, v) for k, v in stats.items()}, coords)
