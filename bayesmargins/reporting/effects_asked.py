"""What a report was asked: the effects, each computed once under every policy for groups that makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import BayesmarginsError, EstimandError, PosteriorError, ResultError, shown
from bayesmargins.estimands import avg_comparisons, avg_predictions
from bayesmargins.labelling import worded
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import check_result
from bayesmargins.tables import summary

__all__ = ["POLICIES", "Effect", "Expected", "Intervals", "effects_of", "policies_for"]

POLICIES = {"new": "new groups", "existing": "fitted groups", "zero": "b = 0"}
_ONE = {"new": "all rows"}  # a model without groups has one answer
_CURVE = 25  # values of a number
_LEVELS = 12  # of a factor, whose averages are given for each


@dataclass(frozen=True)
class Intervals:
    """How draws are summarised, everywhere on the page."""

    ci_prob: Any = None
    ci_kind: str | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """Keywords of ``summary``, ``table`` and the pictures."""
        given = {"ci_prob": self.ci_prob, "ci_kind": self.ci_kind}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Expected:
    """Averages over a variable's values: by policy a result, and whether the variable is a number."""

    variable: str
    results: dict[str, xr.Dataset]
    curved: bool


@dataclass(frozen=True)
class Effect:
    """One question of the page."""

    title: str  # what is asked about
    # by the words of a policy; of a result that was handed over, one under an empty name
    results: dict[str, xr.Dataset]
    summaries: dict[str, pd.DataFrame]  # of these, from which every number of tables and sentences is taken
    failed: dict[str, str]  # why a policy has no answer
    variable: str | None = None  # the argument of ``avg_comparisons``; None for all columns
    computed: bool = True  # whether it was computed here
    expected: tuple[Expected, ...] = ()  # averages beside the comparisons, if there are some


def policies_for(post: Posterior) -> dict[str, str]:
    """What may be done with groups, as ``groups=`` has it, in the words of tables: those that give different answers.

    Under a linear link the group in the middle is the average group.
    """
    if not post.design.factors:
        return _ONE
    named = post.design.frame is not None and set(post.b) == set(post.design.factors)
    middle = not (post.link.linear and post.family.mean is None)
    asked = {"existing": named, "zero": middle}
    return {policy: words for policy, words in POLICIES.items() if asked.get(policy, True)}


def effects_of(post: Posterior, given: Any, how: Intervals) -> list[Effect]:
    """The effects of a page, in the order in which they were asked."""
    if given is None:
        _need_rows(post)
        return [_of_columns(post, None, how)]
    found = [
        _of_columns(post, item, how) if isinstance(item, str) else _handed(post, item, name, how)
        for name, item in _items(given)
    ]
    if not found:
        raise ResultError("effects=[] asks for nothing. Name columns, give results, or leave it out for every column.")
    return found


def _items(given: Any) -> Iterator[tuple[str, Any]]:
    """Names and what was handed over; names are those of a dict."""
    if isinstance(given, Mapping) and not isinstance(given, xr.Dataset | xr.DataTree):
        for name, item in given.items():
            if not isinstance(name, str) or isinstance(item, str):
                raise ResultError(
                    f"effects={{{shown(name)}: {shown(item)}}}; a dict holds results by their titles, as text. Columns "
                    "stand in a list: effects=['trt']."
                )
            yield name, item
    elif isinstance(given, list | tuple):
        yield from (("", item) for item in given)
    else:
        yield "", given


def _need_rows(post: Posterior) -> None:
    if post.design.frame is None:
        raise PosteriorError(
            "This posterior has the levels of its factors and no rows to average over, so that effects cannot be asked "
            "by name. Ask them of rows of your own, and give the results: report(post, effects=["
            "bm.avg_comparisons(post, 'trt', newdata=rows)])."
        )


def _of_columns(post: Posterior, variable: str | None, how: Intervals) -> Effect:
    _need_rows(post)

    if not post.design.columns:
        results, failed = _under_policies(post, lambda policy: avg_predictions(post, groups=policy))
        return Effect("The average", results, _summaries(results, how, None), failed, None)
    results, failed = _under_policies(post, lambda policy: avg_comparisons(post, variable, groups=policy))
    title = "Every column" if variable is None else worded(variable, post.design.labels)
    expected = None if variable is None else _expected(post, variable)
    summaries = _summaries(results, how, 0.0)
    return Effect(title, results, summaries, failed, variable, True, () if expected is None else (expected,))


def _under_policies(
    post: Posterior, asked: Callable[[str], xr.Dataset]
) -> tuple[dict[str, xr.Dataset], dict[str, str]]:
    """Answers, and why there is none; where there is no answer at all, the error."""
    results: dict[str, xr.Dataset] = {}
    failed: dict[str, BayesmarginsError] = {}
    with options(warn_zero=False):  # the page says it of every such number
        for policy, words in policies_for(post).items():
            try:
                results[words] = asked(policy)
            except EstimandError:
                raise  # the question itself, whatever is done with groups
            except BayesmarginsError as error:
                failed[words] = error
    if not results:
        raise next(iter(failed.values()))
    return results, {words: str(error) for words, error in failed.items()}


def _expected(post: Posterior, name: str) -> Expected | None:
    """Averages with a column set to each of its values on all rows."""
    column = post.design.columns[name]
    curved = column.kind == "number"
    levels = list(column.levels) if column.kind == "factor" else [False, True]
    values = np.linspace(column.lower, column.upper, _CURVE).tolist() if curved else levels
    if not 2 <= len(values) <= (_CURVE if curved else _LEVELS):
        return None
    try:
        results, _ = _under_policies(post, lambda policy: avg_predictions(post, at={name: values}, groups=policy))
    except BayesmarginsError:
        return None
    return Expected(name, results, curved)


def _handed(post: Posterior, item: Any, name: str, how: Intervals) -> Effect:
    if not isinstance(item, xr.Dataset | xr.DataTree):
        raise ResultError(
            f"effects names {shown(item)}; each effect is the name of a column, or a result such as "
            "bm.avg_comparisons(post, 'trt')."
        )
    ds = check_result(item)
    made_of = provenance_of(ds).posterior
    if made_of is not None and made_of != post.fingerprint:
        raise ResultError(
            "effects holds a result of other draws than this posterior's: a report is of one fit. Compute it again "
            "from this posterior."
        )
    title = name or _title_of(ds)
    return Effect(title, {"": ds}, _summaries({"": ds}, how, None), {}, None, False)


def _title_of(ds: xr.Dataset) -> str:
    kind = provenance_of(ds).kind or "result"
    return f"{kind[:1].upper()}{kind[1:]}"


def _summaries(results: Mapping[str, xr.Dataset], how: Intervals, null: float | None) -> dict[str, pd.DataFrame]:
    return {words: summary(ds, null=null, **how.asked) for words, ds in results.items()}
