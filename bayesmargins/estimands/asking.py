"""A user's arguments, checked and put together into a question: the first thing that does not fit is said."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesmargins.by_labels import by_columns
from bayesmargins.computed_columns import check_row_by_row, functions_of
from bayesmargins.copies import Settings, derived_settings
from bayesmargins.design import Design
from bayesmargins.errors import EstimandError, GroupsError, PosteriorError, close_matches, listed, shown, warn, written
from bayesmargins.estimands.question import Question, refuse_unread
from bayesmargins.evaluate import fields_of
from bayesmargins.family import FAMILIES
from bayesmargins.family.equal import equals
from bayesmargins.family.observed import ObservedMean
from bayesmargins.family.ordered import EachCategory, OfScaled
from bayesmargins.family.parameter_targets import OwnMu, OwnParameter, ResponseMean
from bayesmargins.family.quantity import Target
from bayesmargins.grid import Scheme, completed, frame_of
from bayesmargins.groups import Policy, resolve_groups
from bayesmargins.limits import options
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.predictors import acting, unknown_across
from bayesmargins.row_weights import aligned_weights, checked_weights
from bayesmargins.schema import public_name
from bayesmargins.settable import at_settings
from bayesmargins.streams import Stream, goes_by_blocks, in_memory, kind_of, require_files, stream_of
from bayesmargins.values import is_word, whole_number, with_columns

__all__ = ["Given", "answering", "ask", "checked_seed", "refuse_heavy", "refuse_several"]

TARGETS = ("mean", "link", "count")


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


def ask(post: Posterior, given: Given, *, average: bool, observed: str = "", streams: bool = False) -> Question:
    """The question in full, of all rows one by one or averaged; the first thing that does not fit is refused.

    `observed` names what needs the distribution of y beside the target; `streams` says whether rows may come block by
    block, where they are averaged.
    """
    whole, post = post, answering(post, given.target)
    target = "mean" if whole is not post else _checked_target(given.target, post)
    read = target.parameters(tuple(post.parts)) if isinstance(target, Target) and target.of_response else ()
    read = tuple(post.parts) if target == "count" and post.family.counted else read
    parts = tuple(post.parts) if observed else read
    design = post.design.beside([post.parts[name].design for name in parts]) if parts else post.design
    if given.newdata is None or not goes_by_blocks(given.newdata, post.design):
        stream, (frame, what) = None, frame_of(design, given.newdata)
    else:
        frame, what, stream = _streamed(design, given, _of_rows(post, target), average, streams)
    by, labels = by_columns(given.by, frame, what) if given.by is not None else ([], {})
    settings, derived = ({}, ()) if given.at is None else _set(given, post, parts, target, design)
    policy = _policy(given, design, whole, tuple(by), settings)
    if parts:
        _check_known(policy, post, parts, observed or f"target={target}")
    seed = secrets.randbits(31) if given.random_seed is None else checked_seed(given.random_seed)
    weights = None if given.wts is None else _weights(given, average or bool(by), frame, what, post.design)
    frame = _with_at_columns(frame, settings) if settings else frame
    if derived:
        _refuse_computed(weights, derived)
        check_row_by_row(functions_of(given.at), frame)
    changed = frozenset([*settings, *[s.variable for s in derived]])
    question = Question(
        post=post,
        frame=frame,
        stream=stream,
        what=what,
        at=settings,
        derived=derived,
        scheme=Scheme(average or bool(by), tuple(by), labels, weights, changed, design, what),
        total=None,
        weights="" if given.wts is None else given.wts if isinstance(given.wts, str) else "the given weights",
        policy=policy,
        target=target,
        seed=seed if policy.by_word["sample"] else None,
        whole=whole,
        parts=parts,
        design=design,
    )
    if question.quantity is None or not question.quantity.linear:
        _warn_of_zero(policy, post)
    return question


def _set(
    given: Given,
    post: Posterior,
    parts: tuple[str, ...],
    target: str | Target,
    design: Design,
) -> tuple[dict[str, list[Any]], Settings]:
    """What `at` sets to values, and what it computes again."""
    if post.parts:
        refuse_unread("at", given.at, post, parts, target)
    of_rows = _of_rows(post, target)
    return at_settings(given.at, design, of_rows), derived_settings(given.at, design, of_rows)


def _of_rows(post: Posterior, target: str | Target) -> frozenset[str]:
    """Columns of the left-hand side that the target depends on row by row."""
    return post.design.response.variables(fields_of(target, post.design.response))


def _policy(given: Given, design: Design, whole: Posterior, by: tuple[str, ...], at: Mapping[str, Any]) -> Policy:
    """What is done with b, beside what `by` and `at` say of groups."""
    if isinstance(given.groups, Mapping):
        _refuse_idle_factors(given.groups, design, whole)
    policy = resolve_groups(given.groups, design, given.group_weights)
    if policy.named:
        _check_named(policy, by, at)
    if by:
        _warn_of_groups_without_their_b(policy, by, design)
    return policy


def _streamed(
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
        raise EstimandError(f"wts={shown(given.wts)}; where rows are read block by block it names a column of them.")
    if by_function:
        raise EstimandError(
            f"by={shown(by)} labels values by a function, and which values there are is known once all rows were read: "
            "give a dict of value to label, or a column of labels."
        )
    first, stream = stream_of(given.newdata, _read(design, given, of_rows), what)
    return completed(design, first, what), what, stream


def _read(design: Design, given: Given, of_rows: frozenset[str]) -> frozenset[str] | None:
    """Columns that the question may read; None for all, where a function of the rows may read any."""
    if isinstance(given.at, Mapping) and any(map(callable, given.at.values())):
        return None
    by = [given.by] if isinstance(given.by, str) else [] if given.by is None else list(given.by)
    groups = [c for f in design.factors.values() for c in (*f.columns, *f.beside)]
    means = [c for m in design.means for c in (m.of.name, *m.of.groups)]
    return design.variables() | of_rows | {*design.columns, *groups, *means, *by, *([given.wts] if given.wts else [])}


def _weights(given: Given, averaged: bool, frame: pd.DataFrame, what: str, design: Design) -> Any:
    """The column of the weights, or the weights, checked."""
    wts = aligned_weights(given.wts, given.newdata, design)
    if not averaged:
        raise EstimandError("wts weighs rows in an average, and nothing is averaged here: use avg_*, or by=.")
    weights = checked_weights(frame, wts, what)
    return wts if isinstance(wts, str) else weights


def _refuse_computed(wts: Any, derived: Settings) -> None:
    if isinstance(wts, str) and any(s.variable == wts for s in derived):
        raise EstimandError(f"wts names {wts!r}, which at computes again: weights are those of the rows as they are.")


def answering(post: Posterior, target: Any) -> Posterior:
    """Whose mean is the target as the user gave it: the posterior itself, or its part where the target names one?"""
    if not isinstance(post, Posterior):
        raise PosteriorError(
            f"The first argument is {type(post).__name__}; a Posterior is needed: what GLMM(...).fit() or "
            "from_draws(...) returned."
        )
    name = target.name if isinstance(target, OwnParameter) else target
    if post.family.shares is not None and is_word(name, (post.first,)):
        own = {"beta": post.beta, "b": post.b, "Sigma": post.Sigma}
        return make_part(post.family.parameter(post.first), post.design, None, own, post.info)
    return post.parts[name] if is_word(name, post.parts) else post


def _refuse_idle_factors(groups: Mapping[Any, Any], design: Design, whole: Posterior) -> None:
    """A factor of the model that this target does not depend on is no unknown one."""
    every = whole.design.beside([part.design for part in whole.parts.values()]).factors
    idle = [f for f in groups if f in every and f not in design.factors]
    if idle:
        raise GroupsError(
            f"groups={shown(groups)} names {listed(idle)}, whose effects are in other parts of the model: this "
            f"target depends on {design.formula!r} alone. Leave it out of groups here."
        )


def checked_seed(seed: Any) -> int:
    """A seed as a Python integer."""
    return whole_number("random_seed", seed, 0, rest=", or None")


def _check_named(policy: Policy, by: Sequence[str], at: Mapping[str, Any]) -> None:
    others = {public_name(n) for n in (*by, *at)}
    twice = [f for f in policy.named if public_name(f) in others]
    if twice:
        raise EstimandError(
            f"groups names levels of {twice[0]!r}, and by or at names it too: the dimension would be there twice. "
            f"groups='own' with by={twice[0]!r} averages each group's own rows; named groups alone average all rows."
        )


def _warn_of_groups_without_their_b(policy: Policy, by: Sequence[str], design: Design) -> None:
    for name, factor in design.factors.items():
        if policy.by_factor[name] in ("new", "zero") and set(factor.columns) <= set(by):
            warn(
                f"by={list(by)} averages the rows of each {name}, and groups={policy.by_factor[name]!r} uses the b of "
                f"none of them: the results differ by covariates only. groups='own' gives each {name} its own b."
            )


_TOLD: set[str] = set()  # what is said once a process


def _warn_of_zero(policy: Policy, post: Posterior) -> None:
    """Of what is curved in b."""
    at_zero, family = policy.by_word["zero"], post.family
    straight = post.link.linear and family.mean is None and not family.ordinal
    if not at_zero or straight or not options.warn_zero or "zero" in _TOLD:
        return
    _TOLD.add("zero")
    warn(
        f"groups='zero' sets b = 0 for {' and '.join(at_zero)}: a group at the centre of the distribution, which under "
        f"the {post.link.name} link is not the average over groups. groups='new' integrates over new groups, "
        "'existing' averages over the fitted ones. (Said once; bayesmargins.options.warn_zero = False turns it off.)"
    )


def _with_at_columns(frame: pd.DataFrame, at: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """`at` may stand in for a column that newdata lacks."""
    return with_columns(frame, {n: v[0] for n, v in at.items() if n not in frame.columns})


def _checked_target(target: Any, post: Posterior) -> str | Target:
    family = post.family
    target = family.target if target is None else target
    word = target if isinstance(target, str) else ""
    if word in family.numbers:
        target = OwnParameter(word, family.parameter(word).meaning)
    elif word == "mu" and family.mean is not None:
        target = OwnMu.of(family, post.link)
    elif word == "category":
        target = EachCategory()
    elif word in ("link", "mu", "mean") and family.shares is not None:
        raise EstimandError(
            f"target={shown(target)}: the categories of {post.design.response.text!r} have no order, and each but "
            f"{shown(post.categories[0])} has a linear predictor of its own, its log odds against that one: name it, "
            f"target={listed(post.predictors)}. target='category' has the probability of each."
        )
    elif word == "observed_mean" and _truncated(post):
        target = ObservedMean()
    if isinstance(target, Target):
        return _served(target, post)
    if word not in TARGETS:
        raise EstimandError(f"target={shown(target)}; allowed are {_targets(post)}.{_target_hint(target, post)}")
    if target == "mean" and family.ordinal:
        raise EstimandError(
            f"target='mean': the categories of {post.design.response.text!r} have an order and no distances, so y has "
            "no mean. target='category' has the probability of each, bm.score() the mean once they count as numbers."
        )
    reads = (family.curve if family.expected is None else family.expected)(post.link).reads
    reads = (*reads, *(family.aux if family.rest is not None else ()))
    in_two = family.rest is not None and family.expected is None
    if reads and target in ("mean", "count"):
        post.need_parameters(f"target={target!r}", reads)
    if target == "mean" and (in_two or set(reads) & set(post.parts)):
        return ResponseMean(family.noun, reads)
    if target == "count" and post.design.response.trials is None:
        raise EstimandError(
            f"target='count' multiplies a probability by trials, and {post.formula!r} has none; use "
            f"target={family.target!r}{', which for counts is the expected count' if not family.ordinal else ''}."
        )
    return str(target)


def _targets(post: Posterior) -> str:
    """Words and calls that a target may be, listed."""
    family = post.family
    words: tuple[str, ...] = ("category", "link") if family.ordinal else TARGETS
    words = ("category", *["count"] * family.counted, *post.predictors) if family.shares is not None else words
    words = (*words, "mu") if family.mean is not None else words
    words = (*words, "observed_mean") if {"lb", "ub"} & set(post.design.response.given) else words
    calls = "bm.category(k), bm.top(k), bm.score(), " if family.ordinal else ""
    calls += "bm.survival(t), bm.rmst(tau), bm.hazard(t), " if family.limited is not None else ""
    calls += "bm.exceeds(c), bm.quantile(q), bm.sd()" if family.shares is None else "bm.category(k)"
    calls += ", bm.equals(c)" if equals(0.0).serves(family) or equals(1.0).serves(family) else ""
    return f"{', '.join((*words, *family.numbers))}, {calls}"


def _truncated(post: Posterior) -> bool:
    given = post.design.response.given
    if "lb" in given or "ub" in given:
        return True
    raise EstimandError(
        f"target='observed_mean' is of a response between the bounds of trunc(), and {post.formula!r} has none: all "
        f"values can be observed, and target={post.family.target!r} is their mean."
    )


def _served(target: Target, post: Posterior) -> Target:
    if not target.serves(post.family):
        served = ", ".join(f.name for f in FAMILIES.values() if target.serves(f))
        others = f"; it serves {served}" if served else ""
        raise EstimandError(
            f"target={target}: responses of family={post.family.name!r} have no {target.scale} here{others}. "
            f"{f'{target.instead}.' if target.instead else f'Use target={post.family.target!r}.'}"
        )
    post.need_parameters(f"target={target}")
    if isinstance(target, OwnParameter) and target.name not in post.aux:  # a known error stands in its place
        raise EstimandError(
            f"target={target}: {post.formula!r} has se(), which is all the error that its rows have, so there is no "
            f"{target.name}. se(..., sigma=True) adds one."
        )
    counted = target.counting(post.categories) if post.categories else target
    return OfScaled.of(counted, post.categories) if post.family.scales_latent(post.parts) else counted


def _target_hint(target: Any, post: Posterior) -> str:
    name = str(getattr(target, "__name__", written(target))).lower()
    if name in post.family.aux and post.family.parameter(name).along:
        return f" {name} are several numbers a draw, the same in every row: post.aux[{name!r}] has them."
    others = {p for f in FAMILIES.values() for p in f.aux}
    own = post.family.aux
    if name in others and name in own:
        return f" Draws of {name!r} are in post.aux." if name == target else close_matches(target, own)
    if name in others:
        are = "its parameters are" if len(own) > 1 else "its parameter is"
        has = f"{are} {listed(own)}" if own else "it has none beside the mean"
        return f" {name!r} is no parameter of family={post.family.name!r}; {has}."
    call = {
        "std": "sd()",
        "sd": "sd()",
        "exceeds": "exceeds(2)",
        "quantile": "quantile(0.9)",
        "median": "quantile(0.5)",
        **({"category": "category(2)", "score": "score()"} if post.family.ordinal else {}),
    }
    if name in call:
        return f" That is a value, not a word: target=bm.{call[name]}."
    plain = post.family.target
    plain_words = dict.fromkeys(("response", "prob", "probability", "count", "mu"), plain)
    word = (plain_words | {"linear": "link"}).get(name)
    return f" Here it is called {word!r}." if word else close_matches(target, TARGETS)


def _check_known(policy: Policy, post: Posterior, parts: tuple[str, ...], what: str) -> None:
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
