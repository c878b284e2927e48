"""Rows whose numbers read several linear predictors, which b moves together: what is averaged over, and by which rule.

In every draw the linear predictors of a row are jointly normal over new groups. Given those of the parameters, that of
mu is normal again, and what it is averaged over is done by the engines for one dimension; the others are averaged by a
trapezoid rule, halved until the numbers stand, or over Sobol points where they are more than two. Fitted groups are
looked up in all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.errors import IntegrationError
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.family import Family, Link, Outcome, Values, parameter_values
from bayesmargins.family.compound import Compound
from bayesmargins.family.family import Parameter
from bayesmargins.family.mixture_of_y import Mixture, Number, mixture
from bayesmargins.family.quantity import Target
from bayesmargins.group_likelihood import roots
from bayesmargins.groups import GroupPlan
from bayesmargins.integrate import expectation
from bayesmargins.integrate.spread import engine_over_points

__all__ = ["SOBOL", "Jointly", "are_joint", "jointly", "known", "matrix_of", "parameter_at", "shared"]

_REACH = {1: 12.0, 2: 8.5}  # by dimension: Gaussian tails of 4e-33 and 2e-17
_WIDEST = 36.0  # exp(s z) moves what counts to 2 s
_SURE = 7.7  # a tail of 1e-14: beyond it a parameter may be impossible
_GRIDDED = 2  # dimensions in which a grid costs less than points of its accuracy
_STEPS = (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
_TOLERANCE = {1: 1e-10, 2: 1e-8}
_POINTS = (1024, 4096)
_SOBOL_TOLERANCE = 1e-6
_SEED = 20111
_LARGEST = 1e300
_TOGETHER = 2**14  # pairs of all components in one array

SOBOL = "Sobol points"
"""In the method of a number whose error is a standard error."""


@dataclass(frozen=True)
class Other:
    """A parameter with a linear predictor of its own, in pairs of a draw and a row."""

    parameter: Parameter
    link: Link
    eta: np.ndarray  # (combination, n): with the b that is known; one combination, or one of fitted levels each
    moves: np.ndarray  # (dimension, n): what a unit of each standard normal number adds


@dataclass(frozen=True)
class Jointly:
    """How is y distributed over b, where b moves several linear predictors?"""

    # family, link: of y given its parameters, and of mu
    family: Family
    link: Link
    etas: np.ndarray  # (combination, n): linear predictor of mu with the b that is known
    weights: np.ndarray  # (combination,)
    moves: np.ndarray  # (dimension, n): what a unit of each standard normal number adds to it
    s: np.ndarray  # (n,): standard deviation of what is left of it then
    others: tuple[Other, ...]
    aux: dict[str, np.ndarray]  # parameters that are one number a draw
    outcome: Outcome
    given_b: bool

    def take(self, which: slice | np.ndarray) -> Jointly:
        """The same for some of the pairs."""
        others = tuple(replace(o, eta=o.eta[:, which], moves=o.moves[:, which]) for o in self.others)
        aux = {k: v[which] for k, v in self.aux.items()}
        return replace(
            self,
            etas=self.etas[:, which],
            moves=self.moves[:, which],
            s=self.s[which],
            others=others,
            aux=aux,
            outcome=self.outcome.take(which),
        )

    def found(self, target: Target, part: str) -> Number:
        """Values of a target, (n,)."""
        if target.moment:
            self._refuse_endless(target)
        tilting = self._tilting() if target.moment == "mean" and part == "mean" else None
        if tilting is not None:
            return self._tilted(tilting)
        if len(self.moves) == 0:
            return target.found(self.over(np.zeros((1, 0)), np.ones(1)), part)
        with np.errstate(over="ignore", invalid="ignore"):  # at far nodes a parameter is as large as floats are
            return self._halved(target, part) if len(self.moves) <= _GRIDDED else self._over_points(target, part)

    def over(self, points: np.ndarray, weights: np.ndarray) -> Any:
        """The distribution of y over these points (point, dimension) and all combinations."""
        several = any(len(other.eta) > 1 for other in self.others)
        of_levels = self.weights if several else np.ones(1)
        counts = np.outer(weights, of_levels).ravel()
        step = max(1, _TOGETHER // len(self.s))
        spans = [slice(first, first + step) for first in range(0, len(counts), step)]
        each = [self._given(points, np.arange(len(counts))[span], len(of_levels)) for span in spans]
        return each[0] if len(counts) == 1 else Compound(tuple(each), tuple(counts[span] for span in spans))

    def _given(self, points: np.ndarray, components: np.ndarray, levels: int) -> Mixture:
        """y given some components, the pairs of one after those of another; point by point all fitted levels."""
        z, times = points[components // levels], len(components)

        def moved(eta: np.ndarray, moves: np.ndarray) -> np.ndarray:
            own = eta[components % levels] if len(eta) == levels else eta
            return (own + z @ moves).ravel()

        aux = {k: np.tile(v, times) if v.ndim == 1 else np.tile(v, (times, 1)) for k, v in self.aux.items()}
        aux |= {o.parameter.name: parameter_at(o, moved(o.eta, o.moves)) for o in self.others}
        of_mean = [self.etas] if len(self.etas) in (1, levels) else [eta[None] for eta in self.etas]
        etas = np.stack([moved(eta, self.moves) for eta in of_mean])
        outcome, s = self.outcome.tiled(times), np.tile(self.s, times)
        trials = np.ones(len(s)) if outcome.trials is None else outcome.trials
        own_aux, weights = self.family.of_rows(aux, outcome), self.weights if len(etas) > 1 else np.ones(1)
        return mixture(self.family, self.link, etas, weights, s, own_aux, trials, outcome, self.given_b)

    def _tilting(self) -> Other | None:
        """The parameter of which the mean is exp(eta) times 1 less it, if that is what the mean is."""
        curve = self.family.curve(self.link)
        if self.family.rest is not None or len(self.others) != 1:
            return None
        (other,) = self.others
        return other if other.parameter.name == curve.thinned and curve.tilts(other.link) else None

    def _tilted(self, other: Other) -> Number:
        """E[exp(eta) f(zeta)] = exp(m + v / 2) E[f(zeta + c)], v the variance of eta and c its covariance with zeta.

        The density of b times exp(eta) is that of b moved by the covariance: one dimension is left of two.
        """
        v, c = self.s**2 + (self.moves**2).sum(axis=0), (self.moves * other.moves).sum(axis=0)
        rest = expectation(other.link, other.eta + c, (other.moves**2).sum(axis=0)[None], "complement")
        with np.errstate(over="ignore"):
            size = np.exp(self.family.curve(self.link).of(self.etas, Values(**self.aux)) + 0.5 * v)
        weights = self.weights if len(self.weights) > 1 else np.ones(1)
        value = weights @ np.broadcast_to(size * rest.value, (len(weights), len(v)))
        error = rest.error_bound * (weights @ np.broadcast_to(size, (len(weights), len(v))))
        return Number(value, error, f"moved by exp(eta), {rest.method}", rest.nodes)

    def _refuse_endless(self, target: Target) -> None:
        curve = self.family.curve(self.link)
        bad = [o.parameter.name for o in self.others if o.parameter.name in curve.endless and o.moves.any()]
        if bad:
            raise IntegrationError(
                f"target={target} over new groups that act on {bad[0]!r} is infinite: the mean of a {self.family.name} "
                f"response rises so steeply with {bad[0]!r} that no normal distribution of effects on it gives it an "
                "average. Quantiles and probabilities over these groups are there (bm.quantile, bm.exceeds), and "
                "groups='own' or 'existing' have a mean."
            )

    def _halved(self, target: Target, part: str) -> Number:
        """By the trapezoid rule, its step halved until every value stands."""
        reach = self._reach(target.probability)
        value, error = np.full(len(self.s), np.nan), np.zeros(len(self.s))
        which, before, nodes, method = np.arange(len(self.s)), np.full(len(self.s), np.nan), 0, ""
        last = np.full(len(self.s), np.nan)
        for step in _STEPS:
            z, weights = _grid(step, reach, len(self.moves))
            some = self if len(which) == len(self.s) else self.take(which)
            one = target.found(some.over(z, weights), part)
            change = np.abs(one.value - last)
            value[which], nodes, method = one.value, max(nodes, len(z), one.nodes), one.method
            scale = one.value if target.probability else _not_small(one.value)
            likely = _likely(before, change, scale)
            error[which] = np.maximum(likely, one.error)
            left = ~(likely <= _TOLERANCE[len(self.moves)] * np.abs(scale) + 1e-30) & np.isfinite(one.value)
            if not left.any():
                break
            which, last, before = which[left], one.value[left], change[left]
        names = " and ".join(other.parameter.name for other in self.others if other.moves.any())
        return Number(value, error, f"trapezoid over {names or 'parameters'}, halved ({method})", nodes)

    def _reach(self, probability: bool) -> float:
        """How far nodes go; no further than a parameter, or mu, is possible for certain."""
        bounded = (self.link.linear or bool(self.link.no_average)) and self.family.mean_above > -np.inf
        if bounded or any(other.link.linear for other in self.others):
            return _SURE
        if self.family.scales_latent([other.parameter.name for other in self.others if other.moves.any()]):
            return _SURE  # far nodes make eta so wide that each costs as much as hundreds of others
        widest = max(float(np.abs(m).max(initial=0.0)) for m in (self.moves, *(o.moves for o in self.others)))
        return min(_REACH[len(self.moves)] + (0.0 if probability else 2.0 * widest), _WIDEST)

    def _over_points(self, target: Target, part: str) -> Number:
        """The mean over scrambled Sobol points, with the standard error of four scramblings."""
        for size in _POINTS:
            points = engine_over_points(size, len(self.moves), _SEED).points.reshape(4, -1, len(self.moves))
            even = np.full(points.shape[1], 1.0 / points.shape[1])
            each = [target.found(self.over(own, even), part) for own in points]
            values = np.stack([one.value for one in each])
            with np.errstate(invalid="ignore"):
                value, error = values.mean(axis=0), values.std(axis=0, ddof=1) / 2.0
            if np.all(~np.isfinite(value) | (error <= _SOBOL_TOLERANCE * np.abs(value))):
                break
        said = f"{SOBOL} in {len(self.moves)} dimensions ({each[0].method})"
        return Number(value, np.maximum(error, each[0].error), said, max(size, each[0].nodes))


def _likely(before: np.ndarray, change: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The error after two changes: it falls faster than geometrically; a thousandth of the last where that is more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        r1, r2 = before / np.abs(size), change / np.abs(size)
        relative = np.maximum(np.where(r1 > 0.0, np.minimum(r2 * r2 / r1, r2), r2), 1e-3 * r2)
        found = (relative + 4.0 * np.finfo(np.float64).eps) * np.abs(size)
    return np.where(np.isfinite(before), np.where(size == 0.0, change, found), np.inf)


def _grid(step: float, reach: float, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (node, dimension) within a ball, and their weights: the sum over them is the mean over standard normals."""
    along = step * np.arange(-np.floor(reach / step), np.floor(reach / step) + 1.0)
    z = np.stack(np.meshgrid(*[along] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    square = (z**2).sum(axis=1)
    inside = square <= reach**2
    weights = np.exp(-0.5 * square[inside])
    return z[inside], weights / weights.sum()


def _not_small(values: np.ndarray) -> np.ndarray:
    """Sizes of numbers that may lie anywhere: none of them smaller than a hundredth of what is usual here."""
    size = np.abs(values)
    finite = size[np.isfinite(size)]
    return np.maximum(size, 0.01 * float(np.median(finite))) if finite.size else size


def parameter_at(other: Other, eta: np.ndarray) -> np.ndarray:
    """Values of a parameter; far nodes, which count for nothing, give what a float holds of it."""
    if other.link.linear:
        return parameter_values(other.parameter, other.link, eta)
    low, high = other.parameter.between
    least = 1e-300 if low == 0.0 else np.nextafter(low, np.inf)
    most = _LARGEST if np.isinf(high) else np.nextafter(high, -np.inf)
    with np.errstate(over="ignore"):
        return np.clip(other.link.inverse(eta), least, most)


def are_joint(chunk: Chunk) -> bool:
    """Are parameters beside the mean averaged over groups, and not looked up?"""
    return any(part.plan.integrated or part.plan.mixture is not None for part in chunk.parts)


def jointly(draws: Draws, link: Link, family: Family, chunk: Chunk, block: slice, given_b: bool) -> Jointly:
    """The pairs of a draw and a row of a block as normal variables, and the combinations of fitted levels."""
    each = [(draws, chunk.rows, chunk.plan), *((part.draws, part.rows, part.plan) for part in chunk.parts)]
    etas = [known(*one, block) for one in each]
    n = etas[0].shape[1]
    weights = next((plan.mixture.weights for _, _, plan in each if plan.mixture is not None), np.ones(1))
    moves, s = _moves(each, chunk, block, n)
    others = tuple(
        Other(part.parameter, part.link, eta, own)
        for part, eta, own in zip(chunk.parts, etas[1:], moves[1:], strict=True)
    )
    rows = n // len(draws.beta)
    aux = {k: np.repeat(v, rows, axis=0) for k, v in draws.aux.items()}
    o = Outcome() if chunk.outcome is None else chunk.outcome.take(block).tiled(len(draws.beta))
    return Jointly(family, link, etas[0], weights, moves[0], s, others, aux, o, given_b)


def known(draws: Draws, rows: Rows, plan: GroupPlan, block: slice) -> np.ndarray:
    """eta (combination, draw x row) with the b that is known."""
    eta = exact.linear(draws, rows, plan, block)
    if plan.mixture is None:
        return eta.reshape(1, -1)
    shifts = (np.moveaxis(b, 1, 0) for _, b in exact.shifts(draws, rows.Z, plan.mixture, block))
    return np.concatenate([(eta + b).reshape(len(b), -1) for b in shifts])


def _moves(
    each: Sequence[tuple[Draws, Rows, GroupPlan]], chunk: Chunk, block: slice, n: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """What standard normal numbers add to each linear predictor, (dimension, n) each, and what is left of the first.

    There is a number for each linear predictor of a parameter that is integrated; the first depends on all of them.
    """
    draws = len(each[0][0].beta)
    over = [k for k, (_, _, plan) in enumerate(each) if k and plan.integrated]

    def pairs(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (draws, n // draws)).ravel()

    V = {(k, k): pairs(exact.variance(*each[k], block)) for k in (0, *over)}
    V |= {(k, j): pairs(_covariance(each, chunk, k, j, block)) for k, j in product((0, *over), over) if k < j}
    if len(over) < 2:
        moves = [np.zeros((len(over), n)) for _ in each]
        left = V[0, 0]
        for k in over:
            root = np.sqrt(V[k, k])
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = np.where(root > 0.0, V[0, k] / root, 0.0)
            moves[0][0], moves[k][0], left = slope, root, left - slope**2
        return moves, np.sqrt(np.where(left > 1e-15 * V[0, 0], left, 0.0))
    order = [*over, 0]
    both = {(a, b): V[min(a, b), max(a, b)] for a, b in product(order, order)}
    L = np.moveaxis(roots(matrix_of(both, order)), 0, -1)  # (predictor, number, n)
    moves = [np.zeros((len(over), n)) for _ in each]
    for k, row in zip(order, L, strict=True):
        moves[k] = row[: len(over)]
    return moves, L[-1, -1]


def _covariance(
    each: Sequence[tuple[Draws, Rows, GroupPlan]], chunk: Chunk, k: int, j: int, block: slice
) -> np.ndarray:
    """z' Sigma w over all factors whose effects on the two linear predictors are correlated: (draw, row), or (1, 1)."""
    total, plans, rows = np.zeros((1, 1)), [plan for *_, plan in each], [of for _, of, _ in each]
    for factor in chunk.across:
        Sigma = shared(chunk, plans, rows, factor, k, j)
        if Sigma is not None:
            z, w = (exact.constant_row(rows[i].Z[factor][block]) for i in (k, j))
            total = total + exact.bilinear(Sigma, *exact.alike(z, w))
    return total


def shared(
    chunk: Chunk, plans: Sequence[GroupPlan], rows: Sequence[Rows], factor: str, k: int, j: int
) -> np.ndarray | None:
    """Covariance (draw, term, term) of the effects of a factor on two linear predictors; None where there is none."""
    ends, start = {}, 0
    for i, (own, plan) in enumerate(zip(rows, plans, strict=True)):
        if factor in plan.integrated:
            ends[i] = slice(start, start := start + own.Z[factor].shape[1])
    known_and_both = factor in chunk.across and k in ends and j in ends
    return np.asarray(chunk.across[factor][:, ends[k], ends[j]]) if known_and_both else None


def matrix_of(entries: dict[tuple[int, int], np.ndarray], order: Sequence[int]) -> np.ndarray:
    """Entries (n,) by pair of linear predictors as matrices (n, predictor, predictor)."""
    return np.stack([np.stack([entries[a, b] for b in order], axis=-1) for a in order], axis=-2)
