"""From a PyMC model to a Posterior: the sampler runs, b is drawn back where it was integrated out, chains judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr

from bayesmargins.convergence import convergence, report_convergence
from bayesmargins.design import Design, Factor
from bayesmargins.draws import canonical, smooth_sds
from bayesmargins.family import Family, Link
from bayesmargins.model.enough import Goal
from bayesmargins.model.origin import origin_of
from bayesmargins.model.sampling import run_sampler
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS, stem

__all__ = ["Fit", "posterior_of"]

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

    `glmm` is the model as it was written, which the posterior remembers.
    """

    design: Design
    family: Family
    link: Link
    model: Samplable
    info: Mapping[str, Any]
    faster: str = ""
    glmm: Any = None

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
        while True:
            trace, stats = run_sampler(self.model.pymc, sampler, draws, tune, chains, seed, progressbar, **options)
            trace = self.model.with_effects(trace, seed)
            info = {"source": f"bayesmargins, {sampler}", "sampler": sampler, **self.info}
            post = posterior_of(self.design, self.family, self.link, trace, stats, info, self.glmm)
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
    design: Design,
    family: Family,
    link: Link,
    trace: xr.Dataset,
    stats: xr.Dataset | None,
    info: dict[str, Any],
    glmm: Any = None,
) -> Posterior:
    """Draws of a model's PyMC variables in canonical form; of a fit of `glmm`, which they remember."""

    def array(name: str) -> np.ndarray:
        return np.asarray(trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy(), dtype=np.float64)

    def covariance(name: str, factor: Factor) -> np.ndarray:
        cor = array(f"cor_{name}") if f"cor_{name}" in trace else None
        return _covariance(array(f"sd_{name}"), cor, factor.blocks)

    factors = design.factors
    arrays = canonical(
        design,
        beta=array("beta"),
        b={f: array(f"b_{stem(f)}") for f in factors},
        Sigma={f: covariance(stem(f), factor) for f, factor in factors.items()},
        aux={p: array(p) for p in family.aux if p in trace},
        sample_coords={d: trace[d].to_numpy() for d in SAMPLE_DIMS},
    )
    origin = None if glmm is None else origin_of(glmm, trace)
    bend = {t.name: array(f"sd_{stem(t.name)}") for t in design.fixed.penalised}
    arrays["smooth_sd"] = smooth_sds(bend, {d: trace[d].to_numpy() for d in SAMPLE_DIMS})
    return Posterior(design=design, family=family, link=link, sample_stats=stats, info=info, origin=origin, **arrays)


def _covariance(sd: np.ndarray, cor: np.ndarray | None, blocks: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Sigma (chain, draw, term, term) from standard deviations and the correlations within blocks, in pair order."""
    q = sd.shape[-1]
    R = np.zeros((*sd.shape[:2], q, q))
    R[..., np.arange(q), np.arange(q)] = 1.0
    pairs = [(i, j) for block in blocks for k, i in enumerate(block) for j in block[k + 1 :]]
    for k, (i, j) in enumerate(pairs):
        assert cor is not None
        R[..., i, j] = R[..., j, i] = cor[..., k]
    return sd[..., :, None] * R * sd[..., None, :]
