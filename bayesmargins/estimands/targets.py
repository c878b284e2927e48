"""Targets by name: whose linear predictor answers, what of y is asked, and what is said where it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from bayesmargins.errors import EstimandError, PosteriorError, close_matches, listed, shown, written
from bayesmargins.family import FAMILIES
from bayesmargins.family.equal import equals
from bayesmargins.family.observed import ObservedMean
from bayesmargins.family.ordered import EachCategory, OfScaled
from bayesmargins.family.parameter_targets import OwnMu, OwnParameter
from bayesmargins.family.quantity import Target
from bayesmargins.imputations import Imputed
from bayesmargins.posterior import Posterior, make_part
from bayesmargins.values import is_word

__all__ = ["TARGETS", "answering", "named_target", "no_trials", "read_beside", "refuse_other", "refuse_unread"]

TARGETS = ("mean", "link", "count")


def answering(post: Posterior | Imputed, target: Any) -> Posterior:
    """Whose mean is the target as the user gave it: the posterior itself, or its part where the target names one?"""
    if not isinstance(post, Posterior):
        refuse_other(post)
    name = target.name if isinstance(target, OwnParameter) else target
    if post.family.shares is not None and is_word(name, (post.first,)):
        own = {"beta": post.beta, "b": post.b, "Sigma": post.Sigma}
        return make_part(post.family.parameter(post.first), post.design, None, own, post.info)
    return post.parts[name] if is_word(name, post.parts) else post


def refuse_other(post: Any) -> NoReturn:
    """Say what a question is asked of; several imputations were asked one by one before."""
    raise PosteriorError(
        f"The first argument is {type(post).__name__}; a Posterior is needed: what GLMM(...).fit() or "
        "from_draws(...) returned."
    )


def named_target(target: Any, post: Posterior) -> str | Target:
    """What is asked of y by another name than these, or of responses that have categories."""
    family = post.family
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
    return word


def read_beside(post: Posterior, target: str | Target, observed: str) -> tuple[str, ...]:
    """Parameters with a linear predictor of their own that the numbers depend on beside the mean."""
    parts = tuple(post.parts)
    if observed or (target == "count" and post.family.counted):
        return parts
    return target.parameters(parts) if isinstance(target, Target) and target.of_response else ()


def no_trials(post: Posterior) -> EstimandError:
    """The refusal of a count where nothing says of how many."""
    return EstimandError(
        f"target='count' multiplies a probability by trials, and {post.formula!r} has none; use "
        f"target={post.family.target!r}{', which for counts is the expected count' if not post.family.ordinal else ''}."
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


def _truncated(post: Posterior) -> bool:
    given = post.design.response.given
    if "lb" in given or "ub" in given:
        return True
    raise EstimandError(
        f"target='observed_mean' is of a response between the bounds of trunc(), and {post.formula!r} has none: all "
        f"values can be observed, and target={post.family.target!r} is their mean."
    )


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


def refuse_unread(what: str, names: Any, post: Posterior, parts: tuple[str, ...], target: Any) -> None:
    """Refuse columns that the formulas of other parameters read, and nothing that the target depends on."""
    designs = [post.design, *[post.parts[name].design for name in parts]] if post.parts else []
    for name in (names if isinstance(names, Mapping | list | tuple) else [names]) if designs else ():
        readers = [part for part, of in post.parts.items() if is_word(name, of.design.columns)]
        if readers and not any(is_word(name, d.columns) for d in designs):
            raise EstimandError(
                f"{what} names {name!r}, which {post.parts[readers[0]].formula!r} reads, and target={written(target)} "
                f"does not depend on {listed(readers)}: nothing would change with it. target={readers[0]!r} does, and "
                "so do numbers of the distribution of y, such as target=bm.sd()."
            )
