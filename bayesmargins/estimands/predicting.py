"""Predictions: the mean response, row by row or averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from bayesmargins.estimands.asking import ask
from bayesmargins.estimands.question import Question
from bayesmargins.evaluate import Evaluation
from bayesmargins.family.quantity import Target
from bayesmargins.habits import taught
from bayesmargins.posterior import Posterior

__all__ = ["avg_predictions", "predictions"]


@taught
def predictions(
    post: Posterior,
    newdata: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """What response does the model expect, for each row?

    Parameters
    ----------
    post : Posterior
        Draws with their design.
    newdata : DataFrame, optional
        Rows to predict for; the fitted rows by default. Group columns are needed for ``groups="own"`` only.
    at : dict, optional
        Variables set on every row, each to one value or several: the result gains a dimension a variable. Words stand
        for values: ``"all"`` levels of a factor; of numbers in the data of the fit ``"sd"`` and ``"2sd"`` (around the
        mean), ``"iqr"``, ``"minmax"``, ``"quartiles"``, ``"mean"``, ``"median"``. A function of the rows gives a column
        that is computed again on every copy: ``{"x_within": lambda rows: rows["x"] - rows["x_mean"]}``.
    by : str, list of str, or dict, optional
        Average the rows within each value of these columns. A dict gives values new labels, which may join them:
        ``{"trt": {"placebo": "none", "drug": "any", "drug+": "any"}}``, or a function of one value.
    groups : str or dict
        What is done with the group effects b: ``"new"`` (integrated out over N(0, Sigma)), ``"existing"`` (averaged
        over the fitted groups), ``"own"`` (each row's group), ``"zero"`` (b = 0), ``"sample"`` (one new group drawn per
        label and draw), or a dict with one a factor, where a list of levels asks for those groups.
    group_weights : {"equal", "rows"}
        How ``"existing"`` weighs the fitted groups.
    target : str or Target, optional
        ``"mean"``, the default: E[y] on the response scale (for binomial the probability). ``"category"``, the default
        of an ordered response: the probability of each category, along the dimension ``category``. ``"link"``: the
        linear predictor. ``"count"``: probability times trials. A parameter of the family (``"sigma"``; where it has a
        linear predictor of its own, averaged over groups as E[y] is). `exceeds`: P(y > c); `quantile`; `sd`; their
        error is estimated (attribute ``error_estimate``). Of an ordered response `category` and `score` too; of a
        waiting time `survival`, `rmst`, `hazard`. ``"observed_mean"`` under ``trunc()``: E[y] between the bounds.
    wts : str, Series or array, optional
        Weights of rows in averages: the name of a column; a Series, matched to the rows by its index (that of newdata,
        or of the data of the fit), whatever its order; an array or list, one number a row in their order.
    random_seed : int, optional
        For ``"sample"``.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, ``category`` where the target has several numbers a row, one a variable of
        `at`, one a factor with named groups, then ``row`` (columns of newdata as coordinates) or the column of `by`.

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
    return _predict(question)


@taught
def avg_predictions(
    post: Posterior,
    newdata: Any = None,
    *,
    at: Mapping[str, Any] | None = None,
    by: str | Sequence[str] | None = None,
    groups: Any = "new",
    group_weights: str = "equal",
    target: str | Target | None = None,
    wts: Any = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """What response does the model expect on average over rows?

    Parameters
    ----------
    post, newdata, at, by, groups, group_weights, target, wts, random_seed
        As for `predictions`; rows are averaged within each draw, all of them or within each value of `by`.

    Returns
    -------
    Dataset
        ``estimate`` with dims chain, draw, one a variable of `at`, one a factor with named groups, and that of `by`.

    Raises
    ------
    DataError, GroupsError, EstimandError
        As for `predictions`; also where a row has missing values.

    Examples
    --------
    >>> avg_predictions(post, by="trt")["estimate"].dims
    ('chain', 'draw', 'trt')
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
    return _predict(question)


def _predict(question: Question) -> xr.Dataset:
    question.check_size()
    with Evaluation(question, passes=1) as evaluation:
        found = [evaluation.values(settings).values["mean"][:, None] for settings in question.copies]
    return question.result("predictions", question.laid_out(found)[:, 0], evaluation.passed)
