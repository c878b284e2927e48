"""What is compared within one group: two sides of a contrast, or the variable of a slope; many groups at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.copies import Settings
from bayesmargins.draws import Draws
from bayesmargins.errors import EstimandError, GroupsError, close_matches, listed, shown
from bayesmargins.estimands.comparing import compared, contrast_labels, contrasts_asked, how_compared
from bayesmargins.estimands.comparison import COMPARISONS, Comparison
from bayesmargins.estimands.question import Question
from bayesmargins.estimands.sloping import numeric_variables
from bayesmargins.evaluate import Chunk, Derivative, Evaluation, Passed, Tiled, predictor_of
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import Target
from bayesmargins.groups import Gather
from bayesmargins.posterior import Posterior
from bayesmargins.values import is_word

__all__ = [
    "Effect",
    "Effects",
    "GroupsOf",
    "effects_of",
    "refuse_distribution",
    "refuse_two_strata",
    "rows_within",
]

_ESTIMANDS = ("comparisons", "slopes")


@dataclass(frozen=True)
class Effect:
    """One effect within a group."""

    sides: tuple[Settings, ...]  # low and high; one for a slope
    variable: str | None  # of a slope
    how: Comparison = COMPARISONS["difference"]  # how the sides are compared, if they are

    @property
    def parts(self) -> tuple[str, ...]:
        """What is evaluated on each side."""
        if self.variable is not None:
            return ("slope",)
        return self.how.parts

    @property
    def linear(self) -> bool:
        """Whether it is linear in the predictions."""
        return self.variable is not None or self.how is COMPARISONS["difference"]

    def of(self, sides: Sequence[Passed]) -> np.ndarray:
        """The effect, from the parts of its sides."""
        if self.variable is not None:
            return np.asarray(sides[0].values["slope"])
        return compared(self.how, sides[1], sides[0])[0]


@dataclass(frozen=True)
class Effects:
    """What is asked about."""

    kind: str  # {"comparisons", "slopes"}
    each: tuple[Effect, ...]
    # of the dimension ``contrast``
    labels: list[str]
    terms: list[str]
    comparison: str | None


def effects_of(question: Question, variables: Any, estimand: Any, comparison: Any, cross: Any, slope: Any) -> Effects:
    """Which effects within a group are asked about, by arguments of `heterogeneity` as the user gave them?"""
    if not is_word(estimand, _ESTIMANDS):
        raise EstimandError(
            f"estimand={shown(estimand)}; allowed are {', '.join(_ESTIMANDS)}.{close_matches(estimand, _ESTIMANDS)}"
        )
    refuse_distribution(question.target, question.post)
    if estimand == "slopes":
        return _slopes(question, variables, comparison, cross, slope)
    return _comparisons(question, variables, comparison, cross, slope)


def refuse_distribution(target: Any, post: Posterior) -> None:
    """A number of the distribution of y has no effect within a group here."""
    if isinstance(target, ResponseMean):
        raise EstimandError(
            f"How an effect on this mean differs between groups is not there: {_why_not(target, post)}, and the effect "
            "within a group is taken from one inverse link of one linear predictor. target='link' has it for mu's "
            "linear predictor, the name of a parameter for one that has its own. Averaged over groups "
            "avg_comparisons(post, ...) has the effect on the mean."
        )
    if isinstance(target, Target):
        raise EstimandError(
            f"target={target}: how an effect differs between groups is there for 'mean', 'link' and 'count', and for a "
            f"parameter with a linear predictor of its own; {_why_not(target, post)}. Averaged over groups: "
            f"avg_comparisons(post, ..., target={target.written})."
        )


def _why_not(target: Target, post: Posterior) -> str:
    """Why a target is no inverse link of one linear predictor."""
    read = target.parameters(tuple(post.parts)) if target.of_response else ()
    if read:
        return f"it depends on {len(read) + 1} linear predictors, those of {listed([post.first, *read])}"
    return "it is no inverse link of the linear predictor"


def _slopes(question: Question, variables: Any, comparison: Any, cross: Any, slope: Any) -> Effects:
    for name, value, default in (("comparison", comparison, "difference"), ("cross", cross, False)):
        if not (type(value) is type(default) and value == default):
            raise EstimandError(f"{name}={shown(value)} belongs to estimand='comparisons'; estimand is 'slopes'.")
    if not is_word(slope, ("dydx",)):
        raise EstimandError(f"slope={shown(slope)}; allowed is 'dydx', the derivative.")
    names = numeric_variables(variables, question)
    effects = tuple(Effect(((),), n) for n in names)
    return Effects("slopes", effects, [f"d{question.symbol}/d{n}" for n in names], names, None)


def _comparisons(question: Question, variables: Any, comparison: Any, cross: Any, slope: Any) -> Effects:
    if not is_word(slope, ("dydx",)):
        raise EstimandError(f"slope={shown(slope)} belongs to estimand='slopes'; estimand is 'comparisons'.")
    how, name = how_compared(comparison, question)
    if name in ("ratio", "lift", "lnratio") and question.link.linear:
        raise EstimandError(
            f"comparison={name!r} divides by the prediction within a group, which under the identity link (and "
            "on the link scale) is normal over groups and can be 0 or negative: there is no mean of such ratios. Use "
            "'difference'; the ratio of two averages is avg_comparisons."
        )
    if how.event:
        raise EstimandError(
            f"comparison={name!r}: the effects of groups are differences, of which some can be 0, and 1 / 0 has "
            "no mean over groups. Use 'difference'; the number needed to treat of the average is avg_comparisons."
        )
    asked = contrasts_asked(question, variables, cross)
    effects = tuple(Effect((c.low, c.high), None, how) for c in asked)
    return Effects("comparisons", effects, contrast_labels(asked, how, name), [c.term for c in asked], name)


def rows_within(evaluation: Evaluation, over: str, settings: Settings, variable: str | None) -> list[Chunk]:
    """All rows of a side, with the factor neither integrated nor looked up yet; with derivatives for a slope."""
    found = []
    for chunk in evaluation.blocks.copy(settings, None if variable is None else Derivative(variable)):
        others = tuple(f for f in chunk.plan.integrated if f != over)
        found.append(replace(chunk, plan=replace(chunk.plan, integrated=others)))
    return found


def refuse_two_strata(post: Posterior, over: str, sides: Sequence[Sequence[Chunk]]) -> None:
    """A group is in one stratum: what it would be in another is not known beside what it is."""
    strata = post.design.factors[over].strata
    if strata is None:
        return
    chunks = [chunk for side in sides for chunk in side]
    seen = np.zeros((chunks[0].cells.n, len(strata.labels)), dtype=bool)
    for chunk in chunks:
        z = np.abs(chunk.rows.Z[over])[:, strata.twins].sum(axis=1) > 0.0  # (row, stratum)
        np.logical_or.at(seen, chunk.cells.index % len(seen), z)
    if (seen.sum(axis=1) > 1).any():
        raise GroupsError(
            f"The effect within a group of {over!r} is asked for over rows of several {strata.by!r}, and each "
            f"group has one: how its effect in one goes with that in another the model does not say. Ask within "
            f"each, by={strata.by!r} or at={{{strata.by!r}: [...]}}, of other variables; avg_comparisons compares "
            "the averages over groups."
        )


class GroupsOf:
    """Averages of rows within groups whose b is given, for the draws at some positions.

    The groups pass as if they were levels of the factor `over` that the posterior had draws for: every other factor
    keeps its policy, and tables, threads and weights are those of every other question.
    """

    def __init__(self, evaluation: Evaluation, over: str, which: np.ndarray) -> None:
        self.evaluation, self.over, self.which = evaluation, over, which
        draws, quantity = evaluation.asked.post.draws, evaluation.asked.quantity
        self.draws = Draws(
            beta=draws.beta[which],
            b={f: b[which] for f, b in draws.b.items() if f != over},
            Sigma={f: Sigma[which] for f, Sigma in draws.Sigma.items()},
            aux={k: v[which] for k, v in draws.aux.items()},
        )
        assert quantity is not None
        self._predictor = predictor_of(self.draws, quantity, evaluation.progress.tick)

    def values(self, chunks: Sequence[Chunk], b: np.ndarray, effect: Effect) -> Passed:
        """Averages of the rows within groups whose b is (draw, group, term): values of shape (draw, group, cell)."""
        cells, groups = chunks[0].cells.n, b.shape[1]
        tiled = Tiled([self._named(chunk, b) for chunk in chunks])
        size = sum(len(c.rows.X) for c in chunks) * groups, groups * cells
        if effect.variable is not None:
            passed = self._predictor.slopes(tiled, *size)
        else:
            passed = self._predictor.values(tiled, *size, effect.parts)
            if effect.how.divides:
                self._predictor.add_tails(passed, tiled)
        self.evaluation.passed.append(passed)
        values, logs = (
            {k: v.reshape(len(v), groups, cells) for k, v in of.items()} for of in (passed.values, passed.logs)
        )
        return replace(passed, values=values, logs=logs)

    def _named(self, chunk: Chunk, b: np.ndarray) -> Chunk:
        """The groups as if they were named levels of the factor, for these draws."""
        gathers = tuple(replace(g, b=g.b[self.which]) for g in chunk.plan.gathers)
        named = (Gather(self.over, b, np.arange(b.shape[1])),)
        return replace(chunk, plan=replace(chunk.plan, gathers=gathers, named=named))
