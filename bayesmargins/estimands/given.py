"""What a user may say beside what changes: kept as it was given, and doubted where something was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesmargins.computed_columns import check_row_by_row
from bayesmargins.copies import Settings, derived_settings
from bayesmargins.design import Design, require_columns
from bayesmargins.errors import EstimandError, GroupsError, listed, shown, warn
from bayesmargins.estimands.targets import refuse_unread
from bayesmargins.evaluate import fields_of
from bayesmargins.family.quantity import Target
from bayesmargins.grid import completed, frame_of
from bayesmargins.groups import Policy
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import acting, unknown_across
from bayesmargins.row_weights import aligned_weights, checked_weights
from bayesmargins.schema import public_name
from bayesmargins.settable import at_settings
from bayesmargins.streams import Stream, in_memory, kind_of, require_files, stream_of
from bayesmargins.values import whole_number, with_columns

__all__ = [
    "Given",
    "check_beside",
    "checked_seed",
    "columns_by_row",
    "refuse_heavy",
    "refuse_idle_factors",
    "refuse_several",
    "refuse_unknown_across",
    "set_by_at",
    "streamed",
    "warn_of_zero",
    "weights_of",
    "with_at_columns",
]


@dataclass(frozen=True)
class Given:
    """What a question says beside what changes, as the user gave it: arguments of `predictions`."""

    newdata: Any = None
    at: Any = None
    by: Any = None
    groups: Any = "new"
    group_weights: Any = "equal"
    target: Any = None
    wts: Any = None
    random_seed: Any = None


def streamed(
    design: Design, given: Given, of_rows: frozenset[str], average: bool, streams: bool
) -> tuple[pd.DataFrame, str, Stream | None]:
    """The first block of rows that come block by block, how messages call them, and all of them; or all at once."""
    what, by = "newdata", given.by
    require_files(given.newdata, what)
    by_function = isinstance(by, Mapping) and any(map(callable, by.values()))
    whole = not (streams and (average or by is not None)) or by_function or not isinstance(given.wts, str | None)
    if whole and in_memory(given.newdata):
        return *frame_of(design, given.newdata), None
    if not (streams and (average or by is not None)):
        raise EstimandError(
            f"{what} is {kind_of(given.newdata)}, whose rows are read block by block, and this question needs all of "
            "them at once. Averages go block by block: avg_predictions, avg_comparisons, avg_slopes, or by=. For "
            "single rows, or another question, give some of the rows as a table of pandas, polars or pyarrow."
        )
    if not isinstance(given.wts, str | None):
        raise EstimandError(
            f"wts is {type(given.wts).__name__}; where rows are read block by block it names a column of them. Put the "
            "weights into a column of newdata and name it: wts='w'."
        )
    if by_function:
        raise EstimandError(
            f"by={shown(by)} labels values by a function, and which values there are is known once all rows were read: "
            "give a dict of value to label, or a column of labels."
        )
    first, stream = stream_of(given.newdata, _read(design, given, of_rows), what)
    frame = completed(design, first, what)
    _require_named(given, frame, stream, what)
    return frame, what, stream


def _require_named(given: Given, frame: pd.DataFrame, stream: Stream, what: str) -> None:
    """Columns that `by` and `wts` name, among all that the source has: the frame holds those that are read."""
    at = given.at if isinstance(given.at, Mapping) else {}  # may stand in for a column
    every = frame.head(0).reindex(columns=[*dict.fromkeys([*frame, *stream.columns])])
    for why, names in ((f"by={_names(given.by)!r}", _names(given.by)), ("wts", _names(given.wts))):
        require_columns(every, [n for n in names if isinstance(n, str) and n not in at], what, why)


def _names(given: Any) -> list[Any]:
    return [given] if isinstance(given, str) else [] if given is None else list(given)


def _read(design: Design, given: Given, of_rows: frozenset[str]) -> frozenset[str] | None:
    """Columns that the question may read; None for all, where a function of the rows may read any."""
    if isinstance(given.at, Mapping) and any(map(callable, given.at.values())):
        return None
    groups = [c for f in design.factors.values() for c in (*f.columns, *f.beside)]
    means = [c for m in design.means for c in (m.of.name, *m.of.groups)]
    return design.variables() | of_rows | {*design.columns, *groups, *means, *_names(given.by), *_names(given.wts)}


def columns_by_row(post: Posterior, target: str | Target) -> frozenset[str]:
    """Columns of the left-hand side that the target depends on row by row."""
    return post.design.response.variables(fields_of(target, post.design.response))


def set_by_at(
    given: Given,
    post: Posterior,
    parts: tuple[str, ...],
    target: str | Target,
    design: Design,
) -> tuple[dict[str, list[Any]], Settings]:
    """What `at` sets to values, and what it computes again."""
    if post.parts:
        refuse_unread("at", given.at, post, parts, target)
    of_rows = columns_by_row(post, target)
    return at_settings(given.at, design, of_rows), derived_settings(given.at, design, of_rows)


def weights_of(given: Given, averaged: bool, frame: pd.DataFrame, what: str, design: Design) -> Any:
    """The column of the weights, or the weights, checked."""
    wts = aligned_weights(given.wts, given.newdata, design)
    if not averaged:
        raise EstimandError("wts weighs rows in an average, and nothing is averaged here: use avg_*, or by=.")
    weights = checked_weights(frame, wts, what)
    return wts if isinstance(wts, str) else weights


def with_at_columns(frame: pd.DataFrame, at: Mapping[str, Sequence[Any]], derived: Settings, wts: Any) -> pd.DataFrame:
    """`at` may stand in for a column that newdata lacks; what it computes is no weight, and is computed row by row."""
    absent = {n: v[0] for n, v in at.items() if n not in frame.columns}
    frame = with_columns(frame, absent) if absent else frame
    if isinstance(wts, str) and any(s.variable == wts for s in derived):
        raise EstimandError(f"wts names {wts!r}, which at computes again: weights are those of the rows as they are.")
    if derived:
        check_row_by_row({s.variable: s.compute for s in derived if s.compute is not None}, frame)
    return frame


def checked_seed(seed: Any) -> int:
    """A seed as a Python integer."""
    return whole_number("random_seed", seed, 0, rest=", or None")


def refuse_idle_factors(groups: Mapping[Any, Any], design: Design, whole: Posterior) -> None:
    """A factor of the model that this target does not depend on is no unknown one."""
    every = whole.design.beside([part.design for part in whole.parts.values()]).factors
    idle = [f for f in groups if f in every and f not in design.factors]
    if idle:
        raise GroupsError(
            f"groups={shown(groups)} names {listed(idle)}, whose effects are in other parts of the model: this "
            f"target depends on {design.formula!r} alone. Leave it out of groups here."
        )


def check_beside(policy: Policy, by: Sequence[str], at: Mapping[str, Any], design: Design) -> None:
    """Whether named groups, and groups whose b is not used, go together with what `by` and `at` say of them."""
    others = {public_name(n) for n in (*by, *at)}
    twice = [f for f in policy.named if public_name(f) in others]
    if twice:
        raise EstimandError(
            f"groups names levels of {twice[0]!r}, and by or at names it too: the dimension would be there twice. "
            f"groups='own' with by={twice[0]!r} averages each group's own rows; named groups alone average all rows."
        )
    for name, factor in design.factors.items() if by else ():
        if policy.by_factor[name] in ("new", "zero") and set(factor.columns) <= set(by):
            warn(
                f"by={list(by)} averages the rows of each {name}, and groups={policy.by_factor[name]!r} uses the b of "
                f"none of them: the results differ by covariates only. groups='own' gives each {name} its own b."
            )


def refuse_unknown_across(policy: Policy, post: Posterior, parts: tuple[str, ...], what: str) -> None:
    """Refuse new groups whose effects on several of these linear predictors are correlated nobody knows how."""
    designs = {name: p.design for name, p in post.predictors.items() if name == post.first or name in parts}
    new = [f for word in ("new", "sample") for f in policy.by_word[word]]
    unknown = [f for f in new if len(acting(designs, f)) > 1 and unknown_across(post, f)]
    if unknown:
        word, both = policy.by_factor[unknown[0]], listed(acting(designs, unknown[0]))
        raise GroupsError(
            f"{what} depends on {both} at once, and groups={word!r} is about new groups of {listed(unknown)}, whose "
            "effects on these are correlated with those of another linear predictor: these correlations were not given "
            "with the draws. Ask for 'own', 'existing', named levels or 'zero', or read the draws again with them."
        )


_TOLD: set[str] = set()  # what is said once a process


def warn_of_zero(policy: Policy, post: Posterior) -> None:
    """That b = 0 is no average of what is curved in b."""
    at_zero, family = policy.by_word["zero"], post.family
    straight = post.link.linear and family.mean is None and not family.ordinal
    if straight or not options.warn_zero or "zero" in _TOLD:
        return
    _TOLD.add("zero")
    warn(
        f"groups='zero' sets b = 0 for {' and '.join(at_zero)}: a group at the centre of the distribution, which under "
        f"the {post.link.name} link is not the average over groups. groups='new' integrates over new groups, "
        "'existing' averages over the fitted ones. (Said once; bayesmargins.options.warn_zero = False turns it off.)"
    )


def refuse_heavy(post: Posterior, what: str, way_out: str) -> None:
    """Refuse what is in closed form for normal effects alone."""
    if post.design.degrees:
        raise GroupsError(
            f"{what} takes group effects to be normal, and those of {listed(post.design.degrees)} are Student-t in "
            f"{post.formula!r}: it is not there. {way_out}"
        )


def refuse_several(post: Posterior, factor: str) -> None:
    """Refuse what is asked within a group where a row belongs to several."""
    if post.design.factors[factor].members is not None:
        raise GroupsError(
            f"Each row belongs to several groups of {factor!r}, so there is no effect within one of them. "
            "avg_comparisons has the effect over new groups, and with groups='own' over those of each row."
        )
