"""Heterogeneity: how an effect itself varies from group to group."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.copies import Settings
from bayesmargins.errors import EstimandError, GroupsError, close_matches, listed, shown
from bayesmargins.estimands.effects import (
    Effect,
    Effects,
    GroupsOf,
    effects_of,
    refuse_distribution,
    refuse_two_strata,
    rows_within,
)
from bayesmargins.estimands.given import Given, checked_seed, refuse_heavy, refuse_several
from bayesmargins.estimands.question import Question, ask
from bayesmargins.estimands.sentence import POPULATION
from bayesmargins.estimands.targets import answering
from bayesmargins.evaluate import Chunk, Derivative, Evaluation, Pass, Passed
from bayesmargins.explained import HETEROGENEITY, QUESTION, SIDES, explained
from bayesmargins.family import Link
from bayesmargins.family.quantity import Target
from bayesmargins.groups import Policy
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.integrate.spread import (
    Engine,
    Spread,
    directions,
    engine_for_linear,
    engine_on_grid,
    engine_over_points,
)
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import make_result, provenance_of
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS
from bayesmargins.values import is_number, is_word, plain_value, value_list

__all__ = ["heterogeneity"]

DIM = "statistic"
_ABSURD = 2e12  # evaluations of a response: hours
_BLOCK_BYTES = 2**28
_WIDE = 64.0  # of s: beyond, an effect is a step


@taught
@explained(QUESTION, SIDES, HETEROGENEITY)
@of_each
def heterogeneity(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | Mapping[str, Any],
    *,
    over: str | None = None,
    estimand: str = "comparisons",
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    comparison: str = "difference",
    cross: bool = False,
    slope: str = "dydx",
    quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    null: float | None = None,
    wts: Any = None,
    points: int = 1024,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How does the effect itself vary from group to group?

    Every group is given the same rows, and they are averaged within the group.

    Parameters
    ----------
    points : int
        Groups at which the effect is evaluated where it depends on b in several ways: a power of two from 64.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast, one for each variable of `at` and each factor with named groups,
        that of `by`, and ``statistic``: ``mean``, ``sd``, ``q05``, ..., ``share > 0``. Each statistic is over groups,
        within a draw. `summary` then gives its posterior, and says in each row on which scale it is (attribute
        ``scales``).
        ``attrs["error_estimate"]`` is the largest root mean square error over draws, ``attrs["error_estimates"]`` the
        same for each statistic.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `avg_comparisons` and `avg_slopes`; also an unknown factor, quantiles outside (0, 1), a null that is no
        number, a number of points that is none, more evaluations than anybody waits for, or a ratio under the
        identity link, which has no mean over groups.

    Notes
    -----
    A new group has b ~ N(0, Sigma) in each draw. Elsewhere a ratio compares two averages over groups; here the
    comparison is made *within* a group, and then described over groups: this is the place where the mean of
    within-group ratios or odds ratios lives. For differences and slopes the mean is that of `avg_comparisons` and
    `avg_slopes` with ``groups="new"``, and is computed in the same way.

    Where all that the rows see of b is one number, as with random intercepts alone, the distribution follows from a
    fine grid of that number: moments to rounding, quantiles and shares to about 1e-9 (a difference of two
    probabilities that is lost in their rounding, below 1e-16, counts as 0). Under the identity link a difference is
    normal over groups, in closed form. Otherwise the points are Sobol points in as many dimensions as z'b has,
    scrambled four times over (Owen 1998, ACM TOMACS 8); the spread between the scramblings estimates the error. All
    draws and both sides of a contrast have the same points.

    Examples
    --------
    >>> ds = heterogeneity(post, {"trt": ("placebo", "drug")}, quantiles=[0.1, 0.9])
    >>> ds["statistic"].values.tolist()
    ['mean', 'sd', 'q10', 'q90', 'share > 0']
    """
    of = answering(post, target)
    seed = secrets.randbits(31) if random_seed is None else checked_seed(random_seed)
    if of is post:
        refuse_distribution(target, post)
    over = _factor(over, of)
    refuse_several(of, over)
    refuse_heavy(of, "heterogeneity", "avg_comparisons with groups={...: [levels]} has the effect in fitted groups.")
    groups = _all_groups(groups, over, of)
    question = ask(post, Given(newdata, at, by, groups, group_weights, target, wts, seed), average=True)
    effects = effects_of(question, variables, estimand, comparison, cross, slope)
    asked = _Asked(over, effects, _probs(quantiles), _null(null, effects), _points(points), seed)
    return _vary(question, asked)


@dataclass
class _Asked:
    """Arguments of `heterogeneity`, checked, and what was done with them."""

    over: str
    effects: Effects
    probs: tuple[float, ...]
    null: float
    points: int
    seed: int
    methods: set[str] = field(default_factory=set)
    most: int = 0

    @property
    def statistics(self) -> list[str]:
        return ["mean", "sd", *map(_quantile_name, self.probs), f"share > {self.null:g}"]


def _factor(over: Any, post: Posterior) -> str:
    factors = list(post.design.factors)
    if not factors:
        raise EstimandError(f"{post.formula!r} has no grouping factor: an effect varies over none.")
    if over is None and len(factors) == 1:
        return factors[0]
    if not is_word(over, factors):
        raise EstimandError(
            f"over={shown(over)}; it must be the grouping factor whose groups differ, one of {listed(factors)}."
            f"{close_matches(over, factors)}"
        )
    return str(over)


def _all_groups(groups: Any, over: str, post: Posterior) -> Any:
    """The policy of every factor: `groups` is that of the others."""
    others = [f for f in post.design.factors if f != over]
    if isinstance(groups, Mapping):
        if over in groups and not is_word(groups[over], ("new",)):
            raise GroupsError(
                f"groups={shown(groups)} says what is done with {over!r}, whose new groups are what the effect varies "
                f"over. Name the other factors only: {listed(others) if others else 'there are none'}."
            )
        return {**groups, over: "new"}
    if not others and not is_word(groups, ("new",)):
        raise GroupsError(
            f"groups={shown(groups)} is for the other grouping factors, and {over!r} is the only one: leave groups "
            "out. The effect in fitted groups is avg_comparisons(post, ..., groups={"
            f"{over!r}: [...]}})."
        )
    return {**dict.fromkeys(others, groups), over: "new"}


def _probs(quantiles: Any) -> tuple[float, ...]:
    probs = value_list(quantiles)
    probs = [plain_value(quantiles)] if probs is None else probs
    if not all(is_number(p) and 0 < p < 1 for p in probs) or len(set(probs)) < len(probs):
        raise EstimandError(
            f"quantiles={shown(quantiles)}; they are different numbers between 0 and 1 (both left out), such as "
            "(0.05, 0.5, 0.95)."
        )
    return tuple(float(p) for p in probs)


def _quantile_name(prob: float) -> str:
    """``q05``, ``q02.5``: they sort by their names too."""
    whole, point, rest = f"{100 * prob:.10g}".partition(".")
    return f"q{whole.zfill(2)}{point}{rest}"


def _null(null: Any, effects: Effects) -> float:
    above_zero = effects.comparison in ("ratio", "or")
    if null is None:
        return 1.0 if above_zero else 0.0
    if not is_number(plain_value(null)):
        raise EstimandError(f"null={shown(null)}; it must be a number, such as 0 for a difference or 1 for a ratio.")
    if above_zero and null <= 0:
        raise EstimandError(
            f"null={shown(null)} for comparison={effects.comparison!r}, which is always above 0: it is 1."
        )
    return float(null)


def _points(points: Any) -> int:
    points = plain_value(points)
    if not isinstance(points, int) or isinstance(points, bool) or points < 64 or points & (points - 1):
        raise EstimandError(f"points={shown(points)}; it must be a power of two from 64, such as 256, 1024 or 4096.")
    return points


def _vary(question: Question, asked: _Asked) -> xr.Dataset:
    effects, statistics = asked.effects.each, asked.statistics
    question.check_size(len(effects) * len(statistics))
    _refuse_absurd(question, asked)
    passes = asked.points * sum(len(e.sides) * len(e.parts) for e in effects)
    found, errors = [], list[np.ndarray]()
    with Evaluation(question, passes * len(question.copies)) as evaluation:
        for settings in question.copies:
            each = [_spread(evaluation, settings, effect, asked) for effect in effects]
            errors += [f.error for f in each]
            of_copy = np.stack([f.values for f in each], axis=1)  # (draw, effect, cell, statistic)
            found.append(np.moveaxis(of_copy, -1, 2).reshape(len(of_copy), -1, of_copy.shape[2]))
    values = question.laid_out(found)
    values = values.reshape(len(values), len(effects), len(statistics), *values.shape[2:])
    return _result(question, asked, evaluation.passed, np.moveaxis(values, 2, -1), errors)


def _refuse_absurd(question: Question, asked: _Asked) -> None:
    sides = sum(len(e.sides) * len(e.parts) for e in asked.effects.each)
    rows, draws = len(question.frame), len(question.post.draws.beta)
    scenarios = len(question.copies) * question.policy.combinations
    work = float(rows) * draws * asked.points * sides * scenarios
    if work > _ABSURD:
        raise EstimandError(
            f"The effect would be evaluated at {rows:,} rows x {draws:,} draws x {asked.points:,} groups "
            f"x {sides * scenarios} sides, {work:.2g} values: hours. Give newdata with fewer rows "
            "(a sample of some hundred), fewer points=, or thin the draws."
        )


def _spread(evaluation: Evaluation, settings: Settings, effect: Effect, asked: _Asked) -> Spread:
    """Statistics of one effect: (draw, cell, statistic)."""
    over, post = asked.over, evaluation.asked.post
    sides = [rows_within(evaluation, over, (*settings, *side), effect.variable) for side in effect.sides]
    refuse_two_strata(post, over, sides)
    A, s = _directions(evaluation, over, sides, effect)
    cells = sides[0][0].cells.n
    spread = Spread(*(np.empty((len(A), cells, len(asked.statistics))) for _ in range(2)))
    evaluated = 3 + len(sides) * len(effect.parts)
    for draws, engine in _engines(evaluation.asked.link, effect, asked, A.shape[2], s):
        asked.methods.add(engine.method)
        asked.most = max(asked.most, len(engine.points))
        for which in _blocks(draws, len(engine.points) * cells * evaluated):
            groups = GroupsOf(evaluation, over, which)
            b = np.einsum("kr,sqr->skq", engine.points, A[which])
            found = effect.of([groups.values(chunks, b, effect) for chunks in sides])  # (draw, group, cell)
            lines = np.ascontiguousarray(np.moveaxis(found, 1, 2)).reshape(-1, len(engine.points))
            part = engine.spread(lines, asked.probs, asked.null)
            spread.values[which] = part.values.reshape(len(which), cells, -1)
            spread.error[which] = part.error.reshape(len(which), cells, -1)
    if A.shape[2] > 1 and effect.linear:
        spread.values[..., 0] = _average(evaluation, settings, effect)
        spread.error[..., 0] = 0.0
    return spread


def _engines(
    link: Link, effect: Effect, asked: _Asked, rank: int, s: np.ndarray
) -> Iterator[tuple[np.ndarray, Engine]]:
    """Which draws are evaluated where? Grids are as fine as s of their draws asks for."""
    everything = np.arange(len(s))
    link.check_average(s)
    if rank == 0 or (link.linear and effect.linear):
        yield everything, engine_for_linear(rank)
    elif rank > 1:
        yield everything, engine_over_points(asked.points, rank, asked.seed)
    else:
        octave = np.ceil(np.log2(np.clip(s, 1.0, _WIDE)))
        for k in np.unique(octave):
            yield everything[octave == k], engine_on_grid(2.0**k, bounded=link.bounded)


def _directions(
    evaluation: Evaluation, over: str, sides: Sequence[Sequence[Chunk]], effect: Effect
) -> tuple[np.ndarray, np.ndarray]:
    """A (draw, term, direction), and the largest standard deviation of z'b in any row: (draw,)."""
    post = evaluation.asked.post
    cells = evaluation.asked.averaging.cells.n  # rows in further named groups of other factors say nothing new
    once = ((c, np.flatnonzero(c.cells.index < cells)) for side in sides for c in side)
    chunks = [c.take(rows) for c, rows in once]
    Z = [c.rows.Z[over] for c in chunks]
    share = [c.cells.share for c in chunks]
    if effect.variable is not None:
        column = post.design.columns[effect.variable]
        extent = (column.upper - column.lower) or 1.0
        Z += [c.d_rows.Z[over] * extent for c in chunks if c.d_rows is not None]
        share += share
    stacked = np.vstack(Z)
    A = directions(stacked, np.concatenate(share), post.draws.Sigma[over])
    s2 = np.zeros(len(A))
    for z in np.unique(stacked, axis=0):
        s2 = np.maximum(s2, ((z @ A) ** 2).sum(axis=1))
    return A, np.sqrt(s2)


def _average(evaluation: Evaluation, settings: Settings, effect: Effect) -> np.ndarray:
    """The mean of what is linear in predictions is that of predictions, integrated as everywhere: (draw, cell)."""
    if effect.variable is not None:
        of = Derivative(effect.variable)
        return evaluation.run(Pass(settings, of)).values[of.part]
    low, high = (evaluation.run(Pass((*settings, *side))).values["mean"] for side in effect.sides)
    return high - low


def _blocks(draws: np.ndarray, numbers: int) -> list[np.ndarray]:
    """Draws that are done at a time, at so many numbers each."""
    size = max(1, int(min(_BLOCK_BYTES, options.bytes / 4) // (8 * numbers)))
    return [draws[start : start + size] for start in range(0, len(draws), size)]


def _result(
    question: Question, asked: _Asked, passed: Sequence[Passed], values: np.ndarray, errors: Sequence[np.ndarray]
) -> xr.Dataset:
    effects = asked.effects
    others = Policy(
        {f: p for f, p in question.policy.by_factor.items() if f != asked.over}, question.policy.group_weights
    )
    of_others = replace(question, policy=others)
    like = of_others.result(
        effects.kind,
        values[..., 0],
        passed,
        contrast=effects.labels,
        term=effects.terms,
        comparison=effects.comparison,
    )
    coords = {str(k): (c.dims, c.to_numpy()) for k, c in like.coords.items() if k not in SAMPLE_DIMS}
    dims = [*map(str, like[ESTIMATE].dims[2:]), DIM]
    estimates = _error_estimates(errors, asked.statistics)
    of_mean = provenance_of(like)
    about = replace(
        of_mean,
        estimand=_sentence(of_mean.estimand or "", of_others, asked),
        kind="heterogeneity",
        of=effects.kind,
        over=asked.over,
        groups={**(of_mean.groups or {}), asked.over: "new"},
        null=asked.null,
        nulls={"along": DIM, "of": {s: None for s in asked.statistics if s == "sd" or "share" in s}},
        scales={"along": DIM, "of": {s: "share of groups" for s in asked.statistics if "share" in s}},
        integration_method=", ".join(sorted({*asked.methods, *(of_mean.integration_method or "").split(", ")} - {""})),
        group_points=asked.most,
        error_bound=None,
        error_estimate=max([*estimates.values(), of_mean.error_bound or 0.0]),
        error_estimates=estimates,
        random_seed=asked.seed,
    )
    return make_result(values, dims, coords | {DIM: asked.statistics}, about, question.post.sample_coords)


def _error_estimates(errors: Sequence[np.ndarray], statistics: Sequence[str]) -> dict[str, float]:
    """By statistic, the largest root mean square over draws of any entry."""
    largest = np.zeros(len(statistics))
    for error in errors:  # (draw, cell, statistic)
        square = np.where(np.isfinite(error), error, 0.0) ** 2
        largest = np.maximum(largest, np.sqrt(square.mean(axis=0)).max(axis=0))
    return dict(zip(statistics, map(float, largest), strict=True))


def _sentence(said: str, of_others: Question, asked: _Asked) -> str:
    """The sentence of the averages, with what is done with the other factors, turned into that of the distribution."""
    phrases = of_others.scope().groups
    head = said.removesuffix(f"; {'; '.join(phrases)}.")
    others = [p.removesuffix(POPULATION) for p in phrases if p != of_others.no_groups]
    said = "".join(f"; {phrase}" for phrase in others)
    quantiles = "".join(f", {_quantile_name(p)}" for p in asked.probs)
    return (
        f"Distribution over new groups of {of_others.worded(asked.over)}, each given the same rows, of the effect "
        f"within a group: {head[0].lower()}{head[1:]}{said}; over groups, in each draw: mean, sd{quantiles}, and the "
        f"share of groups where it is above {asked.null:g}."
    )
