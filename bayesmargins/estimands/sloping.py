"""Slopes of the integrated prediction: derivatives, elasticities, and how slopes change with a second variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.copies import Contrast, Settings, contrasts, every_variable, named_variables
from bayesmargins.errors import EstimandError, close_matches, listed, shown, written
from bayesmargins.estimands.comparing import compare, contrast_labels, refuse_transformed
from bayesmargins.estimands.comparison import COMPARISONS
from bayesmargins.estimands.given import Given
from bayesmargins.estimands.question import Question, ask
from bayesmargins.estimands.sentence import Slope
from bayesmargins.estimands.targets import refuse_unread
from bayesmargins.evaluate import Answer, Derivative, Pass, Passed, answer_to
from bayesmargins.explained import QUESTION, SLOPE, explained
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import Target
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior
from bayesmargins.values import is_word

__all__ = ["SLOPES", "avg_slopes", "numeric_variables", "slopes"]

SLOPES: dict[str, str] = {
    "dydx": "the derivative",
    "eyex": "the elasticity, relative change of y per relative change of x",
    "eydx": "relative change of y per unit of x",
    "dyex": "change of y per relative change of x",
}

_OTHER_WORDS = {
    "derivative": "dydx",
    "slope": "dydx",
    "elasticity": "eyex",
    "semielasticity": "eydx",
    "eyx": "eyex",
    "dyx": "dydx",
}


@taught
@explained(QUESTION, SLOPE)
@of_each
def slopes(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | None = None,
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    slope: str = "dydx",
    second: str | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How steeply does the expected response rise with a variable, at each row?

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast, then as for `predictions`; the coordinate ``term`` along
        ``contrast`` names the variable. Slopes read ``dY/dweek``, elasticities and their like ``eY/eweek``,
        ``eY/dweek`` and ``dY/eweek``, second derivatives ``d2Y/dweek2`` and ``d2Y/dweek dage``, differences of slopes
        ``dY/dweek: drug - placebo``, and slopes of a parameter ``dsigma/dweek``. An elasticity is not finite where the
        response is 0, and it is 0 where the variable is 0.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `predictions`; also a variable that is a factor, a slope of another kind, a row where the formula has no
        derivative.

    Notes
    -----
    d/dx E[h(eta + s Z)] = E[h'] d eta/dx + E[h''] / 2 d s2/dx: analytic through the integral, with the movement of
    s2 = z' Sigma z under a random slope. Only the design matrix is differenced (exactly, where it is linear in x).
    Second derivatives are analytic too: with F = E[h(eta + s Z)], primes for d/d eta and v for s2, d2F/dx dz = F''
    eta_x eta_z + F' eta_xz + F''' (eta_x v_z + eta_z v_x) / 2 + F'''' v_x v_z / 4 + F'' v_xz / 2.

    Examples
    --------
    >>> two = post.design.data.head(2)
    >>> slopes(post, "week", newdata=two)["contrast"].values.tolist()
    ['dY/dweek']
    >>> slopes(post, "week", newdata=two, slope="eyex")["contrast"].values.tolist()
    ['eY/eweek']
    >>> slopes(post, "week", newdata=two, second="trt")["contrast"].values.tolist()
    ['dY/dweek: drug - placebo', 'dY/dweek: drug+ - placebo']
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return _slope(ask(post, given, average=False, streams=True), variables, slope, second)


@taught
@explained(QUESTION, SLOPE)
@of_each
def avg_slopes(
    post: Posterior | Imputed,
    variables: str | Sequence[str] | None = None,
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    slope: str = "dydx",
    second: str | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How steeply does the expected response rise with a variable, on average over rows?

    The slopes (elasticities, second derivatives) of the rows are averaged within each draw, all of them or within each
    value of `by`.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast, then as for `avg_predictions`.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `slopes`; also where a row has missing values.

    Examples
    --------
    >>> avg_slopes(post, "week")["estimate"].dims
    ('chain', 'draw', 'contrast')
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return _slope(ask(post, given, average=True, streams=True), variables, slope, second)


def _slope(question: Question, variables: Any, slope: str, second: str | None) -> xr.Dataset:
    _check_slope(slope, second)
    _refuse_unserved(question, variables)
    if slope[0] == "e" or second is not None:
        _refuse_further(question, variables, f"slope={slope!r}" if second is None else f"second={shown(second)}")
    if slope[0] == "e":
        refuse_transformed(question, f"slope={slope!r}")
        _refuse_relative(question, slope)
    if variables is None and slope == "dydx" and second is None:
        return _of_every_variable(question)
    variables = list(every_variable(question.post.design)) if variables is None else variables
    names = numeric_variables(variables, question)
    if second is None:
        return _first(question, names, slope)
    _check_second(second, question)
    if question.post.design.columns[second].kind == "number":
        return _again(question, names, second)
    return _between_levels(question, names, second)


def _of_every_variable(question: Question) -> xr.Dataset:
    """Numbers have slopes, factors and truth values differences between levels."""
    columns = question.post.design.columns
    names = every_variable(question.post.design, [n for n in question.scheme.fixed if columns[n].kind != "number"])
    compared = {n: contrasts({n: None}, question.post.design) for n in names if columns[n].kind != "number"}
    numbers = numeric_variables([n for n in names if n not in compared], question) if len(names) > len(compared) else []
    if not compared:
        return _first(question, numbers, "dydx")
    if not numbers:
        return compare(question, list(compared))
    asked = [c for n in names for c in compared.get(n, [n])]
    copies = question.copies
    sides = [(*at, *s) for at in copies for c in asked if not isinstance(c, str) for s in (c.low, c.high)]
    passes = [Pass(at, Derivative(c)) for at in copies for c in asked if isinstance(c, str)]
    passes += [Pass(side) for side in dict.fromkeys(sides)]
    answer = answer_to(question, passes, partial(question.check_size, len(asked)))
    values = answer.asked.laid_out([_effects(answer, settings, asked) for settings in copies])
    return _beside_differences(answer.asked, answer.passed, values, asked)


def _effects(answer: Answer[Question], settings: Settings, asked: list[str | Contrast]) -> np.ndarray:
    """Slopes and differences of a copy: (draw, effect, [category], group x row or cell)."""

    def mean(side: Settings) -> np.ndarray:
        return answer.found[Pass((*settings, *side))].values["mean"]

    found = [
        answer.slopes(settings, Derivative(c)) if isinstance(c, str) else mean(c.high) - mean(c.low) for c in asked
    ]
    return np.stack(found, axis=1)


def _beside_differences(
    question: Question, passed: list[Passed], values: np.ndarray, asked: list[str | Contrast]
) -> xr.Dataset:
    between = [c for c in asked if not isinstance(c, str)]
    said = iter(contrast_labels(between, COMPARISONS["difference"], "difference"))
    labels = [f"d{question.symbol}/d{c}" if isinstance(c, str) else next(said) for c in asked]
    terms = [c if isinstance(c, str) else c.term for c in asked]
    differences = [label for c, label in zip(asked, labels, strict=True) if c in between]
    named = question.contrasts_worded([c.term for c in between], differences)
    how = Slope("dydx", tuple(c for c in asked if isinstance(c, str)), beside=tuple(named))
    return question.result("slopes", values, passed, contrast=labels, term=terms, slope=how, differences=differences)


def _first(question: Question, names: list[str], slope: str) -> xr.Dataset:
    asked = [Derivative(name, slope) for name in names]
    labels = [f"{slope[0]}{question.symbol}/{slope[2]}{name}" for name in names]
    return _result(question, asked, labels, names, Slope(slope))


def _again(question: Question, names: list[str], second: str) -> xr.Dataset:
    """The derivative of the slope: the second derivative, or that of an interaction."""
    numeric_variables(second, question)
    asked = [Derivative(name, second=second) for name in names]
    y = question.symbol
    labels = [f"d2{y}/d{n}2" if n == second else f"d2{y}/d{n} d{second}" for n in names]
    terms = [n if n == second else f"{n}, {second}" for n in names]
    return _result(question, asked, labels, terms, Slope("second", tuple(names), second))


def _result(question: Question, asked: list[Derivative], labels: list[str], terms: list[str], how: Slope) -> xr.Dataset:
    copies = question.copies
    passes = [Pass(settings, of) for settings in copies for of in asked]
    answer = answer_to(question, passes, partial(question.check_size, len(asked)))
    found = [np.stack([answer.slopes(settings, of) for of in asked], axis=1) for settings in copies]
    values = answer.asked.laid_out(found)
    return answer.asked.result("slopes", values, answer.passed, contrast=labels, term=terms, slope=how)


def _between_levels(question: Question, names: list[str], second: str) -> xr.Dataset:
    """A factor has no derivative: the slope at each level minus that at the first."""
    if second in question.at:
        raise EstimandError(f"second and at both name {second!r}: at fixes it, so it cannot change as well.")
    compared = contrasts({second: None}, question.post.design)
    sides = list(dict.fromkeys(side for c in compared for side in (c.low, c.high)))
    passes = [Pass((*at, *side), Derivative(n)) for at in question.copies for n in names for side in sides]
    answer = answer_to(question, passes, partial(question.check_size, len(names) * len(compared)))
    found = [_changes(answer, settings, names, compared) for settings in question.copies]
    pairs = [f"{c.high_label} - {c.low_label}" for c in compared]
    return answer.asked.result(
        "slopes",
        answer.asked.laid_out(found),
        answer.passed,
        contrast=[f"d{question.symbol}/d{name}: {pair}" for name in names for pair in pairs],
        term=[f"{name}, {second}" for name in names for _ in pairs],
        slope=Slope("difference", tuple(names), second, tuple(pairs)),
    )


def _changes(answer: Answer[Question], settings: Settings, names: list[str], compared: list[Contrast]) -> np.ndarray:
    """How slopes of a copy differ between levels: (draw, name x contrast, [category], group x row or cell)."""

    def slopes(side: Settings, name: str) -> np.ndarray:
        return answer.slopes((*settings, *side), Derivative(name))

    return np.stack([slopes(c.high, n) - slopes(c.low, n) for n in names for c in compared], axis=1)


def _refuse_unserved(question: Question, variables: Any) -> None:
    if question.derived:
        raise EstimandError(
            f"at computes {listed([s.variable for s in question.derived])} again, and a slope differentiates the "
            "formula alone. Compare with a small step: avg_comparisons(post, {'x': 0.001}, at=...) / 0.001."
        )
    family = question.post.family
    in_parts = family.rest is not None and not question.post.link.exponential  # the rest is differentiated under log
    if question.quantity is None and (in_parts or not isinstance(question.target, ResponseMean)):
        name, target = variables if isinstance(variables, str) else "x", question.target
        raise EstimandError(
            f"target={target} has no slope here: slopes are analytic, and of averages of an inverse link only "
            f"(the mean, link, count, probabilities of categories), {_unlike_these(question)}. "
            f"avg_comparisons(post, {{{name!r}: 0.1}}, target={_written(target)}) has its change over a step."
        )


def _unlike_these(question: Question) -> str:
    if not question.parts:
        return "and it is none"
    return f"and it depends on the linear predictors of {listed([question.post.first, *question.parts])} together"


def _refuse_further(question: Question, variables: Any, asked: str) -> None:
    """Of a mean that is no single average there is the slope alone."""
    if question.quantity is None and not question.tilted:
        name = variables if isinstance(variables, str) else "x"
        raise EstimandError(
            f"{asked}: the mean of a {question.post.family.name} response is a product or a quotient here, of which "
            f"slopes() has the derivative alone. avg_comparisons(post, {{{name!r}: 0.1}}, comparison='ratio') has its "
            "relative change over a step, and slopes(..., at=...) the derivative at several values."
        )


def _written(target: str | Target) -> str:
    return target.written if isinstance(target, Target) else repr(target)


def _refuse_relative(question: Question, slope: str) -> None:
    if question.quantity is not None and question.quantity.only is None and not question.quantity.plain:
        raise EstimandError(
            f"slope={slope!r} divides the slope of each row by its value, which is there for the mean and for other "
            f"averages of one inverse link; target={question.target} is a sum. slope='dydx' has its slope, "
            "and avg_comparisons(..., comparison='ratio') a relative change."
        )


def _check_slope(slope: str, second: str | None) -> None:
    if not is_word(slope, SLOPES):
        word = _OTHER_WORDS.get(
            written(slope).lower().replace("-", "").replace("_", "").replace("/", "").replace(" ", "")
        )
        hint = f" Here it is called {word!r}." if word else close_matches(slope, SLOPES)
        meanings = "; ".join(f"{w!r}: {meaning}" for w, meaning in SLOPES.items())
        raise EstimandError(f"slope={shown(slope)}; allowed are {meanings}.{hint}")
    if second is not None and slope != "dydx":
        raise EstimandError(
            f"slope={slope!r} with second={shown(second)}; a second derivative is one of the slope itself, "
            "slope='dydx'. Elasticities at several values of a variable are slopes(..., at=...)."
        )


def _check_second(second: Any, question: Question) -> None:
    if not isinstance(second, str):
        raise EstimandError(
            f"second={shown(second)}; it is the name of one variable, out of {listed(question.post.design.columns)}."
        )
    try:
        named_variables(second, question.post.design)
    except EstimandError as error:
        raise EstimandError(str(error).replace("variables names", "second names", 1)) from None


def numeric_variables(variables: Any, question: Question) -> list[str]:
    """Which variables have a slope?"""
    if isinstance(variables, Mapping):
        raise EstimandError(
            f"variables={shown(variables)}; a slope takes names of variables only, without a specification."
        )
    design = question.post.design
    refuse_unread("variables", variables, question.post, question.parts, question.target)
    names = list(named_variables(variables, design))
    for name in names:
        if question.target == "count" and name in design.response.trials_variables:
            raise EstimandError(
                f"{name!r} is the trials: under target='count' the count itself is proportional to them."
            )
        if design.columns[name].kind != "number":
            levels = design.columns[name].levels or (False, True)
            reason = design.columns[name].reason or f" {name!r} is no number."
            raise EstimandError(
                f"{reason.strip()[:-1]} (its values are {', '.join(map(str, levels))}), so it has no slope. Use "
                f"avg_comparisons(post, {name!r}) for the difference between its levels."
            )
    return names
