"""From a PyMC model to a Posterior: the sampler runs, b is drawn back where it was integrated out, chains judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import xarray as xr

from bayesmargins.convergence import convergence, report_convergence
from bayesmargins.draws import canonical, smooth_sds
from bayesmargins.model.across import covariance_from, is_across
from bayesmargins.model.coordinates import GroupPart
from bayesmargins.model.enough import Goal
from bayesmargins.model.origin import origin_of, origin_with
from bayesmargins.model.sampling import run_sampler
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.predictors import across_array
from bayesmargins.schema import SAMPLE_DIMS, stem

__all__ = ["Fit", "bare", "posterior_of", "whole"]

_LONG = 10.0  # seconds of waiting, from which on a faster call is named


class Samplable(Protocol):
    """What a sampler runs on, and how its draws get their group effects."""

    @property
    def pymc(self) -> Any:
        """The PyMC model."""

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws with ``b_<factor>`` beside the others."""

    def info(self, trace: xr.Dataset) -> dict[str, Any]:
        """What else is said of them."""


@dataclass(frozen=True)
class Fit:
    """What is fitted, what the posterior's ``info`` says of it beside its diagnostics, what a long wait names.

    `glmm` is the model as it was written, which the posterior remembers; `run` takes the place of `run_sampler` where
    chains run elsewhere.
    """

    glmm: Any
    model: Samplable
    info: Mapping[str, Any]
    faster: str = ""
    run: Callable[..., tuple[xr.Dataset, xr.Dataset]] | None = None

    def posterior(
        self,
        sampler: str,
        enough: Goal,
        tune: int,
        chains: int,
        random_seed: int | None,
        progressbar: bool,
        **options: Any,
    ) -> Posterior:
        """Draws, judged: one warning where they fall short.

        A sampler that has stopped cannot go on. The same seed gives the same tuning and the same first draws again,
        so that a longer run is the run that was there, continued.
        """
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if random_seed is None else random_seed
        draws, start = enough.draws, time.monotonic()
        run = self.run or partial(run_sampler, self.model.pymc)
        while True:
            trace, stats = run(sampler, draws, tune, chains, seed, progressbar, **options)
            trace = self.model.with_effects(trace, seed)
            info = {"source": f"bayesmargins, {sampler}", "sampler": sampler, **self.info}
            post = posterior_of(self.glmm, trace, stats, info)
            found = convergence(post.parameters, stats)
            further = enough.next(found, draws, max(trace.nbytes // draws, 1))
            if further == draws or trace.sizes["draw"] < draws:  # nutpie keeps what it has when it is interrupted
                break
            if progressbar:
                print(_going_on(found, further, enough), file=sys.stderr, flush=True)
            draws = further
            del trace, stats, post  # before there are more of them
        post.info.update(self.model.info(trace))
        post.info.update(found, random_seed=int(seed), **({} if enough.ess is None else {"ess": enough.ess}))
        if "target_accept" in options:
            post.info["target_accept"] = float(options["target_accept"])
        report_convergence(post.info, chains, draws)
        waited = time.monotonic() - start
        if progressbar and self.faster and waited > _LONG:
            print(f"The fit took {waited:.0f} s. {self.faster}", file=sys.stderr, flush=True)
        return post


def _going_on(found: Mapping[str, Any], draws: int, enough: Goal) -> str:
    return (
        f"Effective sample size {found['min_ess']:,.0f} of {enough.ess:,} ({found['least']}), r-hat "
        f"{found['max_rhat']:.3f} ({found['worst']}): going on to {draws:,} draws a chain."
    )


def posterior_of(
    glmm: Any, trace: xr.Dataset, stats: xr.Dataset | None, info: dict[str, Any], remembered: bool = True
) -> Posterior:
    """Draws of a `GLMM`'s PyMC variables in canonical form; draws of a fit remember it."""

    def array(name: str) -> np.ndarray:
        return np.asarray(trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy(), dtype=np.float64)

    family, first = glmm.family, next(iter(glmm.predictors))
    Sigma = {name: covariance_from(part, array) for name, part in glmm.groups.items()}
    coords = {d: trace[d].to_numpy() for d in SAMPLE_DIMS}
    made = {}
    for name, p in glmm.predictors.items():
        members = {f: m for f, part in glmm.groups.items() for m in part.members if m.predictor == name}
        made[name] = canonical(
            p.design,
            beta=array(p.named("beta")),
            b={f: array(p.named(f"b_{stem(f)}")) for f in p.design.factors},
            Sigma={f: Sigma[f][..., members[f].columns, members[f].columns] for f in p.design.factors},
            aux={a: array(a) for a in (*family.aux, *p.design.degrees.values()) if a in trace} if name == first else {},
            sample_coords=coords,
        )
    parts = {
        name: make_part(family.parameter(name), p.design, p.link.name, made[name], {"source": info["source"]})
        for name, p in glmm.predictors.items()
        if name != first
    }
    mean = glmm.predictors[first]
    bend = {t.name: array(f"sd_{stem(t.name)}") for t in mean.design.fixed.penalised}
    return Posterior(
        design=mean.design,
        family=family,
        link=mean.link,
        sample_stats=stats,
        info=info,
        origin=origin_of(glmm, trace) if remembered else None,
        parts=parts,
        across={f: _across(part, Sigma[f], coords) for f, part in glmm.groups.items() if is_across(part)},
        smooth_sd=smooth_sds(bend, coords),
        **made[first],
    )


def _across(part: GroupPart, Sigma: np.ndarray, coords: Mapping[str, Any]) -> xr.DataArray:
    terms = {member.predictor: member.factor.terms for member in part.members}
    return across_array(terms, part.factor.name, Sigma, coords)


def bare(post: Posterior) -> Posterior:
    """Draws without what another process has already, and functions, which it cannot be sent."""
    parts = {name: replace(part, **_NOTHING) for name, part in post.parts.items()}
    return replace(post, parts=parts, origin=None, **_NOTHING)


def whole(post: Posterior, glmm: Any, variables: Mapping[str, Any] | None) -> Posterior:
    """A `bare` one again, with this process's designs, family and links, which others may be compared with."""
    designs = {name: p.design for name, p in glmm.predictors.items()}
    parts = {
        name: make_part(
            glmm.family.parameter(name),
            designs[name],
            glmm.predictors[name].link.name,
            {"beta": part.beta, "b": part.b, "Sigma": part.Sigma},
            part.info,
        )
        for name, part in post.parts.items()
    }
    origin = None if variables is None else origin_with(glmm, dict(variables))
    return replace(post, design=glmm.design, family=glmm.family, link=glmm.link, parts=parts, origin=origin)


_NOTHING: dict[str, Any] = {"design": None, "family": None, "link": None}
