"""Comparisons: two counterfactual predictions, each integrated (and averaged), then compared within each draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.copies import (
    Contrast,
    apply_settings,
    contrasts,
    every_variable,
    named_variables,
)
from bayesmargins.errors import EstimandError, close_matches, shown, written
from bayesmargins.estimands.comparison import COMPARISONS, VERSUS, Comparison, changes_sign, warn_of_signs
from bayesmargins.estimands.given import Given
from bayesmargins.estimands.question import Question, ask
from bayesmargins.estimands.sentence import scale_name
from bayesmargins.estimands.targets import refuse_unread
from bayesmargins.evaluate import Pass, Passed, answer_to
from bayesmargins.explained import QUESTION, SIDES, explained
from bayesmargins.family.quantity import Quantile, Target
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior
from bayesmargins.values import called, switch, with_columns

__all__ = [
    "avg_comparisons",
    "compare",
    "compared",
    "comparisons",
    "contrast_labels",
    "contrasts_asked",
    "how_compared",
    "refuse_transformed",
]

_RELATIVE = {"ratio": "ratio", "lift": "relative change", "lnratio": "log ratio"}

_SOME = 200  # rows on which it is seen whether anything changes


_OTHER_WORDS = {
    "oddsratio": "or",
    "odds": "or",
    "logodds": "lnor",
    "logoddsratio": "lnor",
    "riskratio": "ratio",
    "rr": "ratio",
    "riskdifference": "difference",
    "rd": "difference",
    "logratio": "lnratio",
    "numberneededtotreat": "nnt",
    "nntb": "nnt_benefit",
    "nnh": "nnt_harm",
    "nnth": "nnt_harm",
}


@taught
@explained(QUESTION, SIDES)
@of_each
def comparisons(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | Mapping[str, Any] | None = None,
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    comparison: str | Callable[[np.ndarray, np.ndarray], np.ndarray] = "difference",
    cross: bool = False,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How does the expected response change when a variable does, for each row?

    Parameters
    ----------
    variables : str, list of str, or dict, optional
        ...
        By default every column that the formula names, one at a time, without those that only name groups and those
        that `at` fixes.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast, then as for `predictions`; the coordinate ``term`` along
        ``contrast`` says which variable changes.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `predictions`; also an unknown comparison, odds of what is no probability, a variable that does not
        enter the model, or no variables with ``cross=True``.

    Warns
    -----
    BayesmarginsWarning
        Rows whose step would leave the range of a spline.

    Notes
    -----
    Order of operations: rows, counterfactual copies, groups integrated, rows averaged, compared. A ratio is therefore a
    ratio of averages. Both sides use the same nodes, so that a contrast carries no noise of integration.

    A number needed to treat is 1 / difference. It has no mean over draws, and where the difference can be 0 its
    interval runs through infinity. So its point and interval are those of the difference, inverted, in words: Altman
    (1998), "Confidence intervals for the number needed to treat", BMJ 317, 1309-1312.

    Examples
    --------
    >>> comparisons(post, "trt", newdata=post.design.data.head(2))["contrast"].values.tolist()
    ['drug - placebo', 'drug+ - placebo']
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return compare(ask(post, given, average=False, streams=True), variables, comparison, cross)


@taught
@explained(QUESTION, SIDES)
@of_each
def avg_comparisons(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | Mapping[str, Any] | None = None,
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    comparison: str | Callable[[np.ndarray, np.ndarray], np.ndarray] = "difference",
    cross: bool = False,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How does the average expected response change when a variable does?

    Each side is averaged over rows, all of them or within each value of `by`, before the two are compared.

    Parameters
    ----------
    variables : str, list of str, or dict, optional
        ...
        By default every column that the formula names, one at a time, without those that only name groups and those
        that `at` fixes.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast, then as for `avg_predictions`.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `comparisons`; also where a row has missing values.

    Examples
    --------
    >>> avg_comparisons(post, "trt", comparison="or")["estimate"].dims
    ('chain', 'draw', 'contrast')
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return compare(ask(post, given, average=True, streams=True), variables, comparison, cross)


def compare(question: Question, variables: Any, comparison: Any = "difference", cross: Any = False) -> xr.Dataset:
    """The two sides of every contrast, integrated (and averaged), then compared."""
    how, comparison = how_compared(comparison, question)
    variables = _every(question, cross) if variables is None else variables
    asked = contrasts_asked(question, variables, cross)
    copies, parts, tails = question.copies, how.parts, how.divides
    # "drug - placebo" and "drug+ - placebo" need placebo once
    sides = dict.fromkeys([(*at, *s) for at in copies for c in asked for s in (c.low, c.high)])
    passes = [Pass(side, None, parts, tails) for side in sides]
    answer = answer_to(question, passes, partial(question.check_size, len(asked)))
    by_side = dict(zip(sides, answer.passed, strict=True))
    pairs = [[(by_side[(*at, *c.high)], by_side[(*at, *c.low)]) for c in asked] for at in copies]
    found = [[compared(how, *pair) for pair in of_copy] for of_copy in pairs]
    labels = contrast_labels(asked, how, comparison)
    if comparison in _RELATIVE and question.signed:
        _warn_of_denominators(labels, pairs, comparison)
    question = answer.asked
    return question.result(
        "comparisons",
        question.laid_out([np.stack([value for value, _ in of_copy], axis=1) for of_copy in found]),
        answer.passed,
        contrast=labels,
        term=[c.term for c in asked],
        comparison=comparison,
        wrong=max([wrong for of_copy in found for _, wrong in of_copy]),
        versus=dict(zip(labels, contrast_labels(asked, VERSUS, "difference"), strict=True)),
    )


def compared(how: Comparison, high: Passed, low: Passed) -> tuple[np.ndarray, float]:
    """(draw, [category], group x row or cell): high held against low, and how wrong it can be at most.

    In logarithms where a part is too small to be divided by; a user's function can be as wrong as a side.
    """
    sides = [(side, part) for part in how.parts for side in (high, low)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.asarray(how.compare(*[side.values[part] for side, part in sides]))
        if how.of_logs is not None and (high.logs or low.logs):
            rare = np.logical_or.reduce([~np.isnan(logs) for side in (high, low) for logs in side.logs.values()])
            value = np.where(rare, how.of_logs(*[side.log_of(part) for side, part in sides]), value)
        if how.error is None:
            return value, max(high.wrong, low.wrong)
        if how.of_logs is None:
            return value, high.wrong + low.wrong
        relative = sum([side.relative(part) for side in (high, low) for part in how.parts])
        error = how.error(value, np.asarray(relative))
    return value, float(np.max(error, where=np.isfinite(value) & ~np.isnan(error), initial=0.0))


def _warn_of_denominators(labels: list[str], pairs: list[list[tuple[Passed, Passed]]], comparison: str) -> None:
    """Of contrasts that divide, in any copy, by what changes its sign over the draws."""
    doubtful = {
        label
        for of_copy in pairs
        for label, (high, low) in zip(labels, of_copy, strict=True)
        if changes_sign(high.values["mean"], low.values["mean"], comparison)
    }
    if doubtful:
        warn_of_signs([label for label in labels if label in doubtful], _RELATIVE[comparison])


def _every(question: Question, cross: Any) -> dict[str, None]:
    if cross:
        raise EstimandError("cross=True changes several variables together: name them, variables=['trt', 'week'].")
    return every_variable(question.design, question.scheme.fixed)


def contrasts_asked(question: Question, variables: Any, cross: Any) -> list[Contrast]:
    """Which two sides are compared, for `variables` and `cross` as the user gave them?"""
    if cross is not False:
        cross = switch("cross", cross, meaning="True (all variables change together) or False (one by one)")
    if question.post.parts and not question.derived:
        refuse_unread("variables", variables, question.post, question.parts, question.target)
    named = named_variables(variables, question.design, derived=bool(question.derived))
    compared = contrasts(named, question.design, cross, question.frame)
    clash = [c.term for c in compared for s in (*c.low, *c.high) if s.variable in question.scheme.fixed]
    if clash:
        raise EstimandError(f"variables and at both name {clash[0]!r}: at fixes it, so it cannot change as well.")
    for contrast in compared if question.derived else ():
        _refuse_idle(question, contrast)
    for contrast in compared if question.stream is not None else ():
        _refuse_bounded_step(question, contrast)
    return compared


def _refuse_idle(question: Question, contrast: Contrast) -> None:
    """A column that the formula does not read changes something only through those that are computed from it."""
    moved = {s.variable for s in (*contrast.low, *contrast.high)}
    if moved & set(question.design.columns):
        return
    frame = with_columns(question.frame, {n: v[0] for n, v in question.at.items()}).head(_SOME)
    low, high = (apply_settings(frame, (*question.derived, *side)) for side in (contrast.low, contrast.high))
    if all(low[s.variable].equals(high[s.variable]) for s in question.derived):
        raise EstimandError(
            f"variables names {contrast.term!r}: neither the formula nor what at= computes changes with it."
        )


def _refuse_bounded_step(question: Question, contrast: Contrast) -> None:
    """Whether steps leave the range of a spline all rows say, and these are not known before they were read."""
    bounded = [s.variable for s in contrast.high if s.step is not None and question.design.is_bounded(s.variable)]
    if bounded:
        raise EstimandError(
            f"A step of {bounded[0]!r}, which is in a spline, is kept inside the range of the fit, and the rows are "
            f"read block by block: give a pair of values, {{{bounded[0]!r}: (low, high)}}, 'iqr' or 'minmax'."
        )


def how_compared(comparison: Any, question: Question) -> tuple[Comparison, str]:
    """How are the two sides compared, and what is that called? Odds are of probabilities only."""
    if callable(comparison):
        return _own(comparison, question.policy.combinations)
    how = COMPARISONS.get(comparison) if isinstance(comparison, str) else None
    if how is None:
        word = _OTHER_WORDS.get(written(comparison).lower().replace("_", "").replace(" ", ""))
        hint = f" Here it is called {word!r}." if word else close_matches(comparison, COMPARISONS)
        raise EstimandError(
            f"comparison={shown(comparison)}; allowed are {', '.join(COMPARISONS)}, or a function of (high, low).{hint}"
        )
    if comparison in _RELATIVE:
        refuse_transformed(question, f"comparison={comparison!r}")
    target = question.target
    if how.odds and not question.probability:
        raise EstimandError(
            f"comparison={comparison!r} compares odds, which only a probability has; the target here is "
            f"{str(target)!r} of family {question.post.family.name!r}. Use 'difference' or 'ratio'."
        )
    if how.event:
        _refuse_no_event(question, comparison)
    return how, comparison


def _refuse_no_event(question: Question, comparison: str) -> None:
    """Only events are counted: a number needed to treat for one more of them is 1 / difference in their probability."""
    family, target = question.post.family, question.target
    scale = scale_name("predictions", target, family.noun, question.post.link.name, None)
    if not (question.probability and (isinstance(target, Target) or scale == "probability")):
        raise EstimandError(
            f"comparison={comparison!r} is 1 / difference in the probability of an event; the target here is "
            f"{str(target)!r} of family {family.name!r}, on the scale {scale!r}. Use 'difference', or the probability "
            "of an event: target=bm.exceeds(...)."
        )


def refuse_transformed(question: Question, asked: str) -> None:
    """A share of log(y) is no share of y, and changes with the unit of y; one of y / 1000 is."""
    post, target = question.post, question.target
    of_average = target in ("mean", "link") or isinstance(target, Quantile)
    if post.is_part or not (question.signed and of_average) or post.design.response.in_proportion(post.design.frame):
        return
    raise EstimandError(
        f"{asked} divides by predictions of {post.design.response.text!r}, a transformed response: such a ratio is "
        "none of what was measured, and changes with its unit. Use comparison='difference' (under a logarithm it is "
        "the log of a ratio of geometric means); means of the variable itself have ratios: family='lognormal', or "
        "family='gaussian' with link='log'."
    )


def _own(function: Callable[[np.ndarray, np.ndarray], Any], groups: int) -> tuple[Comparison, str]:
    """A user's function of the rows or cells of each named group, held to one number for each pair of numbers."""
    name = getattr(function, "__name__", type(function).__name__)
    name = "f" if name == "<lambda>" else f"own {name}" if name in COMPARISONS else name

    def of_group(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        what = f"comparison={name}, a function of high and low, each (draw, row or cell),"
        found = called(what, lambda *sides: np.asarray(function(*sides)), high.copy(), low.copy())
        if found.shape != high.shape or found.dtype.kind not in "fiub":
            raise EstimandError(
                f"comparison={name} gave {found.dtype} of the shape {found.shape} for two arrays of shape "
                f"{high.shape}; one number for each pair is needed. Draws are summarised last: bm.summary."
            )
        return found.astype(np.float64)

    def compare(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        sides = (np.split(side, groups, axis=-1) for side in (high, low))
        return np.concatenate([of_group(*pair) for pair in zip(*sides, strict=True)], axis=-1)

    written = name.replace("{", "{{").replace("}", "}}")
    return Comparison(f"{written}({{high}}, {{low}})", compare), name


def contrast_labels(compared: Sequence[Contrast], how: Comparison, comparison: str) -> list[str]:
    """How do contrasts read? ``drug - placebo``, ``week +1``; the variable in front where two read the same."""
    labels = []
    for c in compared:
        high, low = _crossed(c.together) if c.together else (c.high_label, c.low_label)
        step = f"{c.term} {high}"
        without = step if how.subtracts else f"{comparison}({step})"
        labels.append(how.label.format(high=high, low=low) if low else without)
    return [f"{c.term}: {x}" if labels.count(x) > 1 else x for c, x in zip(compared, labels, strict=True)]


def _crossed(together: Sequence[Contrast]) -> tuple[str, str]:
    """The two sides of contrasts that are made at once."""
    high = ", ".join(c.high_label if c.low_label else f"{c.term} {c.high_label}" for c in together)
    low = ", ".join(c.low_label or c.term for c in together)
    return f"({high})", f"({low})"
