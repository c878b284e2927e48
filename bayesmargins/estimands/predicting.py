"""Predictions: the mean response, row by row or averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import xarray as xr

from bayesmargins.estimands.given import Given
from bayesmargins.estimands.question import Question, ask
from bayesmargins.evaluate import Pass, answer_to
from bayesmargins.explained import QUESTION, explained
from bayesmargins.family.quantity import Target
from bayesmargins.habits import of_each, taught
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior

__all__ = ["avg_predictions", "predictions"]


@taught
@explained(QUESTION)
@of_each
def predictions(
    post: Posterior | Imputed,
    newdata: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """What response does the model expect, for each row?

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, ``category`` if the target is several numbers for each row, one for each
        variable of `at` and each factor with named groups, then ``row`` (with the columns of newdata as coordinates) or
        the column of `by`.

    Raises
    ------
    DataError
        Columns, levels or values that the design cannot take.
    GroupsError
        A policy that the grouping factors cannot give.
    EstimandError
        A question that is not well posed, or a result too large for memory.

    Notes
    -----
    With ``"new"``, E[h(eta + z'b)] over b ~ N(0, Sigma) is the one-dimensional integral of h(eta + s Z) with
    s2 = z' Sigma z: a closed form, or the trapezoid rule with a computed bound on its error (attribute
    ``error_bound``).

    Examples
    --------
    >>> ds = predictions(post, at={"week": [0, 6]})
    >>> ds["estimate"].dims
    ('chain', 'draw', 'week', 'row')
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return _predict(ask(post, given, average=False, streams=True))


@taught
@explained(QUESTION)
@of_each
def avg_predictions(
    post: Posterior | Imputed,
    newdata: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | Mapping[str, Any] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """What response does the model expect on average over rows?

    Rows are averaged within each draw, all of them or within each value of `by`.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, one for each variable of `at` and each factor with named groups, and that of
        `by`.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `predictions`; also where a row has missing values.

    Examples
    --------
    >>> avg_predictions(post, by="trt")["estimate"].dims
    ('chain', 'draw', 'trt')
    """
    given = Given(newdata, at, by, groups, group_weights, target, wts, random_seed)
    return _predict(ask(post, given, average=True, streams=True))


def _predict(question: Question) -> xr.Dataset:
    passes = [Pass(settings) for settings in question.copies]
    answer = answer_to(question, passes, partial(question.check_size, 1))
    values = answer.asked.laid_out([answer.found[p].values["mean"][:, None] for p in passes])
    return answer.asked.result("predictions", values[:, 0], answer.passed)
