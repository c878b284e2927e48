"""Chains of independent proposals, corrected by Metropolis and Hastings, with the checks that they can be trusted.

Tierney (1994), "Markov chains for exploring posterior distributions", Annals of Statistics 22, 1701-1728, section 2.3.3:
from x the chain moves to the proposal x' with probability min(1, w(x') / w(x)), w = density / proposal. The proposal is
adapted before the kept draws begin and stays as it is from then on, so that the chains are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesmargins.diagnostics import diagnostics
from bayesmargins.sampler.adaptation import LogDensity, Proposal, adapted
from bayesmargins.sampler.modes import Slopes, modes

__all__ = ["Chains", "sample"]

Array = npt.NDArray[np.float64]
Tick = Callable[[int], None]

BLOCK = 250  # draws of a chain: what is lost when a user stops
LEAST_ACCEPTED, MOST_KHAT, MOST_RHAT = 0.1, 0.7, 1.01
_TAIL = 0.95  # as in `convergence`


@dataclass(frozen=True)
class Chains:
    """Draws, and whether they can be trusted.

    Attributes
    ----------
    draws : (chain, draw, entry) float
    acceptance : (chain, draw) float
        Probability with which each proposal was accepted.
    accepted : (chain, draw) bool
    log_density : (chain, draw) float
        Of the draws.
    khat : float
        Shape of the Pareto tail of the proposals' weights (Vehtari et al. 2024): below 0.7 they can be relied on.
    obstacle : str
        Why not, in words; empty where they can.
    mean, covariance : (entry,), (entry, entry) float, or None
        What is known of the density, where anything is.
    stopped : bool
        Did the user stop it?
    """

    draws: Array
    acceptance: Array
    accepted: npt.NDArray[np.bool_]
    log_density: Array
    khat: float
    obstacle: str
    mean: Array | None = None
    covariance: Array | None = None
    stopped: bool = False


def sample(
    log_density: LogDensity,
    slopes: Slopes,
    start: Array,
    unit: Array,
    *,
    chains: int = 4,
    draws: int = 1000,
    ess: float = 400.0,
    max_draws: int = 10_000,
    seed: int | None = None,
    watched: Callable[[Array], Array] = lambda points: points,
    tick: Tick = lambda points: None,
) -> Chains:
    """Draws from a density: `draws` a chain, and more up to `max_draws` until all that is watched has the size `ess`.

    `log_density` takes points (draw, entry), `slopes` gives log density and gradient; modes are looked for around
    `start` by steps of size `unit`, both (entry,). `watched` makes of points (draw, entry) what mixing is judged by,
    (draw, any). `tick` is told how many points were evaluated. The same seed gives the same draws.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
    found = modes(slopes, start, unit, streams[0])
    if not found:
        return _none(chains, len(start), "its log density has no mode that could be found")
    if len(found) > 1:
        why = f"its log density has {len(found)} modes, and others may have been missed"
        return _none(chains, len(start), why, found[0].point, found[0].covariance)
    proposal = adapted(log_density, found, streams[1], tick)
    walk = _Walk(log_density, proposal, streams[2], chains)
    stopped, wanted, khat = False, draws, np.nan
    try:
        while True:
            walk.extend(wanted, tick)
            khat = _khat(walk.log_weights)
            unlikely = _unlikely(walk.kept[1], khat)
            obstacle = unlikely or _unmixed(walk.draws, watched, ess)
            if unlikely or not obstacle or wanted >= max_draws:
                break
            wanted = min(2 * wanted, max_draws)
    except KeyboardInterrupt:
        if not walk.length:
            raise
        khat = _khat(walk.log_weights)
        stopped, obstacle = True, _unlikely(walk.kept[1], khat)
    return Chains(*walk.kept, khat, obstacle, *proposal.moments, stopped)


def _none(chains: int, d: int, why: str, mean: Array | None = None, covariance: Array | None = None) -> Chains:
    empty = np.empty((chains, 0))
    return Chains(np.empty((chains, 0, d)), empty, empty > 0, empty, np.nan, why, mean, covariance)


class _Walk:
    """Chains side by side, as far as they have come."""

    def __init__(self, log_density: LogDensity, proposal: Proposal, rng: np.random.Generator, chains: int) -> None:
        self.log_density, self.mixture, self.rng, self.chains = log_density, proposal.mixture, rng, chains
        first = proposal.points[rng.choice(len(proposal.points), chains, p=proposal.weights)]
        density = log_density(first)
        self.state = [*first], [*density], [*(density - self.mixture.log_density(first))]
        self.blocks: list[tuple[Array, ...]] = []
        self.length, self.log_weights = 0, np.empty(0)

    def extend(self, draws: int, tick: Tick) -> None:
        """Until every chain has so many draws."""
        while self.length < draws:
            n = min(BLOCK, draws - self.length)
            x = self.mixture.draw(self.rng, n * self.chains)
            levels = np.log(self.rng.random((self.chains, n)))
            density = self.log_density(x)
            weights = density - self.mixture.log_density(x)
            self._step(x.reshape(self.chains, n, -1), density.reshape(self.chains, n), weights, levels)
            tick(len(x))

    def _step(self, x: Array, density: Array, log_weights: Array, levels: Array) -> None:
        """A block of proposals is taken or left; the state is that of its end."""
        weights = log_weights.reshape(levels.shape)
        draws, kept = np.empty_like(x), np.empty_like(density)
        rates, taken = np.empty_like(density), np.zeros(density.shape, dtype=bool)
        points, densities, tops = (list(part) for part in self.state)
        for c in range(self.chains):
            for k, weight in enumerate(weights[c].tolist()):
                ahead = weight - tops[c]
                rates[c, k] = ahead
                if levels[c, k] < ahead:
                    points[c], densities[c], tops[c], taken[c, k] = x[c, k], density[c, k], weight, True
                draws[c, k], kept[c, k] = points[c], densities[c]
        self.blocks.append((draws, np.exp(np.minimum(rates, 0.0)), taken, kept))
        self.state = points, densities, tops
        self.log_weights = np.concatenate([self.log_weights, log_weights])
        self.length += x.shape[1]

    @property
    def kept(self) -> tuple[Array, ...]:
        """Draws, acceptance, accepted and log density of all blocks."""
        return tuple(np.concatenate(parts, axis=1) for parts in zip(*self.blocks, strict=True))

    @property
    def draws(self) -> Array:
        """(chain, draw, entry)."""
        return self.kept[0]


def _unmixed(draws: Array, watched: Callable[[Array], Array], ess: float) -> str:
    """Why the chains are too short, by the least effective size of bulk and tail, and r-hat; empty where they do."""
    seen = watched(draws.reshape(-1, draws.shape[-1])).reshape(*draws.shape[:2], -1)
    found = diagnostics(np.moveaxis(seen, -1, 0), "mode", _TAIL)
    size = float(np.fmin(found["ess_bulk"], found["ess_tail"]).min())
    rhat = float(np.nan_to_num(found["r_hat"], nan=1.0).max())
    if not size >= ess:
        return f"the effective sample size is {size:.0f} after {draws.shape[1]:,} draws a chain, and {ess:g} is wanted"
    return f"r-hat is {rhat:.3f} after {draws.shape[1]:,} draws a chain" if rhat > MOST_RHAT else ""


def _unlikely(acceptance: Array, khat: float) -> str:
    """Why the proposals do not cover the density."""
    if acceptance.mean() < LEAST_ACCEPTED:
        return f"only {acceptance.mean():.2f} of the proposals were accepted"
    if not khat < MOST_KHAT:
        return f"the proposals' weights have a Pareto k-hat of {khat:.2f}, and {MOST_KHAT} is the most that is trusted"
    return ""


def _khat(log_weights: Array) -> float:
    from arviz_stats.base import array_stats

    finite = log_weights[np.isfinite(log_weights)]
    return float(array_stats.psislw(-finite)[1])
