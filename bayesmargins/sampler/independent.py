"""Chains of independent proposals, corrected by Metropolis and Hastings, with the checks that they can be trusted.

Tierney (1994), "Markov chains for exploring posterior distributions", Annals of Statistics 22, 1701-1728, section 2.3:
from x the chain moves to the proposal x' with probability min(1, w(x') / w(x)), w = density / proposal. The proposal is
adapted before the kept draws begin and stays as it is from then on, so that the chains are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bayesmargins.diagnostics import diagnostics, pareto_shape
from bayesmargins.sampler.adaptation import ROUNDS, LogDensity, Proposal, adapted, at_mode, fitting
from bayesmargins.sampler.modes import Mode, Slopes, modes
from bayesmargins.sampler.proposal_mixtures import moments
from bayesmargins.sampler.straight import Straight, straightened

__all__ = ["Chains", "sample"]

Array = npt.NDArray[np.float64]
Tick = Callable[[int], None]
Watched = Callable[[Array], Array]

# Times the usual points and components, and the k-hat below which that is enough; below 0.5 weights have a variance.
EFFORTS = ((1, 0.5), (4, 0.7))
PILOT = 2  # rounds, and components, before coordinates are made straight
SOON = 2000  # draws of a chain, from which on a better proposal costs less than more draws
BLOCK = 250  # draws of a chain: what is lost when a user stops
FEWEST = 100  # weights, without which their tail has no shape
LEAST_ACCEPTED, MOST_RHAT, LONGEST_STAY = 0.1, 1.01, 0.01
_TAIL = 0.95  # as in `convergence`


@dataclass(frozen=True)
class Chains:
    """Draws, and whether they can be trusted."""

    draws: Array  # (chain, draw, entry)
    acceptance: Array  # (chain, draw): probability with which each proposal was accepted
    accepted: npt.NDArray[np.bool_]
    log_density: Array  # (chain, draw): of the draws
    # Shape of the Pareto tail of the proposals' weights (Vehtari et al. 2024): below 0.7 they can be relied on.
    khat: float
    obstacle: str  # why not, in words; empty where they can
    mean: Array | None = None  # (entry,): what is known of the density, where anything is
    covariance: Array | None = None  # (entry, entry): the same
    stopped: bool = False  # did the user stop it?


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
    watched: Watched = lambda points: points,
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
    for effort, trusted in EFFORTS:
        longest = max_draws if effort == EFFORTS[-1][0] else min(max(2 * draws, SOON), max_draws)
        prepared = _prepared(log_density, found[0], effort, streams[1], tick)
        walk = _Walk(*prepared, streams[2], chains, trusted)
        result = _walked(walk, (draws, longest), ess, watched, tick)
        if result.stopped or not result.obstacle:
            break
    return result


def _walked(walk: _Walk, lengths: tuple[int, int], ess: float, watched: Watched, tick: Tick) -> Chains:
    """Chains of the least length, or more up to the most."""
    (wanted, most), stopped = lengths, False
    try:
        while True:
            walk.extend(wanted, tick)
            unlikely, unmixed = walk.unlikely(), walk.stuck() or _unmixed(walk.points, watched, ess)
            if unlikely or not unmixed or wanted >= most:
                break
            wanted = min(2 * wanted, most)
    except KeyboardInterrupt:
        if not walk.length:
            raise
        stopped, unlikely, unmixed = True, walk.unlikely(), ""
    mean, covariance = walk.moments
    _, rates, taken, density = walk.kept
    why = unlikely or unmixed
    return Chains(walk.points, rates, taken > 0, density, walk.khat, why, mean, covariance, stopped)


@dataclass(frozen=True)
class _Target:
    """The density in straight coordinates v."""

    of_u: LogDensity
    straight: Straight

    def parts(self, v: Array) -> tuple[Array, Array]:
        """Log density of u, and of v: (draw,) both."""
        u, log_slope = self.straight.out(v)
        density = self.of_u(u)
        return density, density + log_slope

    def log_density(self, v: Array) -> Array:
        """Of v: (draw,)."""
        return self.parts(v)[1]


def _prepared(
    log_density: LogDensity, mode: Mode, effort: int, rng: np.random.Generator, tick: Tick
) -> tuple[_Target, Proposal]:
    """The density in straight coordinates, and a proposal for it."""
    pilot = adapted(log_density, at_mode(mode), PILOT, effort, rng, tick)
    target = _Target(log_density, straightened(pilot.points, pilot.weights))
    first = fitting(target.straight.into(pilot.points), pilot.weights, PILOT, rng)
    return target, adapted(target.log_density, first, ROUNDS, effort, rng, tick)


def _none(chains: int, d: int, why: str, mean: Array | None = None, covariance: Array | None = None) -> Chains:
    empty = np.empty((chains, 0))
    return Chains(np.empty((chains, 0, d)), empty, empty > 0, empty, np.nan, why, mean, covariance)


class _Walk:
    """Chains side by side, as far as they have come."""

    def __init__(
        self, target: _Target, proposal: Proposal, rng: np.random.Generator, chains: int, trusted: float
    ) -> None:
        self.target, self.mixture, self.rng, self.chains = target, proposal.mixture, rng, chains
        self.moments = moments(target.straight.out(proposal.points)[0], proposal.weights)
        self.trusted = trusted
        first = proposal.points[rng.choice(len(proposal.points), chains, p=proposal.weights)]
        density, ratio = self._weighed(first)
        self.state = [*first], [*density], [*ratio]
        self.blocks: list[tuple[Array, ...]] = []
        self.length, self.log_weights = 0, np.empty(0)

    def extend(self, draws: int, tick: Tick) -> None:
        """Until every chain has so many draws."""
        while self.length < draws:
            n = min(BLOCK, draws - self.length)
            x = self.mixture.draw(self.rng, n * self.chains)
            levels = np.log(self.rng.random((self.chains, n)))
            density, weights = self._weighed(x)
            self._step(x.reshape(self.chains, n, -1), density.reshape(self.chains, n), weights, levels)
            tick(len(x))

    def _weighed(self, v: Array) -> tuple[Array, Array]:
        """Log density of u, and the log weight: (draw,) both."""
        density, of_v = self.target.parts(v)
        return density, of_v - self.mixture.log_density(v)

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
    def points(self) -> Array:
        """Draws of u: (chain, draw, entry)."""
        v = self.kept[0]
        return self.target.straight.out(v.reshape(-1, v.shape[-1]))[0].reshape(v.shape)

    @property
    def khat(self) -> float:
        """Of the weights of all proposals; missing where these are few."""
        finite = self.log_weights[np.isfinite(self.log_weights)]
        return pareto_shape(finite) if len(finite) >= FEWEST else float("nan")

    def stuck(self) -> str:
        """Why there are too few draws, by the longest stay at a point; empty where there are enough."""
        stay = max(int(np.diff(np.flatnonzero(np.append(True, [*moved, True]))).max()) for moved in self.kept[2] > 0)
        share = stay / self.kept[2].size
        return f"a single point has {share:.1%} of all draws" if share > LONGEST_STAY else ""

    def unlikely(self) -> str:
        """Why the proposals do not cover the density; empty where they do."""
        rate, khat = self.kept[1].mean(), self.khat
        if rate < LEAST_ACCEPTED:
            return f"only {rate:.2f} of the proposals were accepted"
        if khat >= self.trusted:
            return f"the proposals' weights have a Pareto k-hat of {khat:.2f}, and {self.trusted} is the most to trust"
        return ""


def _unmixed(draws: Array, watched: Watched, ess: float) -> str:
    """Why the chains are too short, by the least effective size of bulk and tail, and r-hat; empty where they do."""
    seen = watched(draws.reshape(-1, draws.shape[-1])).reshape(*draws.shape[:2], -1)
    found = diagnostics(np.moveaxis(seen, -1, 0), "mode", _TAIL)
    size = float(np.fmin(found["ess_bulk"], found["ess_tail"]).min())
    rhat = float(np.nan_to_num(found["r_hat"], nan=1.0).max())
    if not size >= ess:
        return f"the effective sample size is {size:.0f} after {draws.shape[1]:,} draws a chain, and {ess:g} is wanted"
    return f"r-hat is {rhat:.3f} after {draws.shape[1]:,} draws a chain" if rhat > MOST_RHAT else ""
