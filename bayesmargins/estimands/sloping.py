"""Slopes: the derivative of the integrated prediction with respect to a numeric variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.counterfactuals import named_variables
from bayesmargins.errors import EstimandError, shown
from bayesmargins.estimands.evaluation import Evaluation
from bayesmargins.estimands.question import Question, Scenario, ask
from bayesmargins.habits import taught
from bayesmargins.posterior import Posterior
from bayesmargins.targets import Target
from bayesmargins.values import is_word

__all__ = ["avg_slopes", "slopes"]


@taught
def slopes(
    post: Posterior,
    variables: str | Sequence[str],
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target = "mean",
    slope: str = "dydx",
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How steeply does the expected response rise with a variable, at each row?

    Parameters
    ----------
    post : Posterior
        Draws with their design.
    variables : str or list of str
        Numeric variables of the model.
    newdata, at, by, groups, group_weights, target, wts, random_seed
        As for `predictions`.
    slope : {"dydx"}
        Derivative of the target, in units of the response per unit of the variable.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, contrast (``dY/dweek``), then as for `predictions`; coordinate ``term``.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `predictions`; also a variable that is a factor, or a slope of another kind.

    Notes
    -----
    d/dx E[h(eta + s Z)] = E[h'] d eta/dx + E[h''] / 2 d s2/dx: analytic through the integral, with the movement of
    s2 = z' Sigma z under a random slope. Only the design matrix is differenced (exactly, where it is linear in x).

    Examples
    --------
    >>> slopes(post, "week", newdata=post.design.data.head(2))["contrast"].values.tolist()
    ['dY/dweek']
    """
    question = ask(
        post,
        newdata,
        average=False,
        at=at,
        by=by,
        groups=groups,
        group_weights=group_weights,
        target=target,
        wts=wts,
        random_seed=random_seed,
    )
    return _slope(question, variables, slope)


@taught
def avg_slopes(
    post: Posterior,
    variables: str | Sequence[str],
    *,
    newdata: Any = None,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target = "mean",
    slope: str = "dydx",
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """How steeply does the expected response rise with a variable, on average over rows?

    Parameters
    ----------
    post, variables, newdata, at, by, groups, group_weights, target, slope, wts, random_seed
        As for `slopes`; the slopes of the rows are averaged within each draw.

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
    question = ask(
        post,
        newdata,
        average=True,
        at=at,
        by=by,
        groups=groups,
        group_weights=group_weights,
        target=target,
        wts=wts,
        random_seed=random_seed,
    )
    return _slope(question, variables, slope)


def _slope(question: Question, variables: Any, slope: str) -> xr.Dataset:
    if not is_word(slope, ("dydx",)):
        raise EstimandError(f"slope={shown(slope)}; allowed is 'dydx', the derivative.")
    names = _numeric(variables, question)
    if isinstance(question.target, Target):
        raise EstimandError(
            f"target={question.target} has no slope here: slopes are analytic, and of mean, link and count only. "
            f"avg_comparisons(post, {{{names[0]!r}: 0.1}}, target={question.target.written}) "
            "has its change over a step."
        )
    question.check_size(len(names))
    evaluation = Evaluation(question, passes=len(names))

    def all_slopes(scenario: Scenario) -> np.ndarray:
        return np.stack([evaluation.slopes(scenario, name).values["slope"] for name in names], axis=1)

    values = evaluation.run(all_slopes)
    return question.result("slopes", values, evaluation.passed, contrast=[f"dY/d{n}" for n in names], term=names)


def _numeric(variables: Any, question: Question) -> list[str]:
    if isinstance(variables, Mapping):
        raise EstimandError(
            f"variables={shown(variables)}; a slope takes names of variables only, without a specification."
        )
    design = question.post.design
    names = list(named_variables(variables, design))
    for name in names:
        if question.target == "count" and name in design.response.trials_variables:
            raise EstimandError(
                f"{name!r} is the trials: under target='count' the count itself is proportional to them."
            )
        if design.columns[name].kind != "number":
            levels = design.columns[name].levels or (False, True)
            raise EstimandError(
                f"{name!r} is no number (its values are {', '.join(map(str, levels))}), so it has no slope. Use "
                f"avg_comparisons(post, {name!r}) for the difference between its levels."
            )
    return names
