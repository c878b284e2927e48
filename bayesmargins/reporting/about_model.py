"""The model in mathematics and in words, and its priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bayesmargins.labelling import worded
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.mathematics import equations
from bayesmargins.reporting.page_blocks import Block, Display, Mono, Paragraph, Points, Section, said
from bayesmargins.reporting.wording import listing

__all__ = ["distribution_words", "groups_words", "model_section", "predictor_words", "priors_section", "priors_words"]


def model_section(post: Posterior) -> Section:
    """Formula, equations, and the same in words."""
    return Section("Model", "model", tuple(_blocks(post)))


def _blocks(post: Posterior) -> Iterator[Block]:
    yield said("In the notation of the package: ", Mono(post.formula), *_formulas(post), ".")
    yield Display(equations(post))
    yield said(f"{distribution_words(post)} {predictor_words(post)}")
    if any(p.design.factors for p in post.predictors.values()):
        yield said(groups_words(post))
    beside = post.family.estimated(post.design.response.known_error)
    meanings = [f"{p.name}: {p.meaning}" for p in beside if p.meaning]
    if meanings:
        yield Points(tuple((said(text), ()) for text in meanings))


def _formulas(post: Posterior) -> list[str | Mono]:
    """Those of parameters that have a predictor of their own."""
    pieces: list[str | Mono] = []
    for part in post.parts.values():
        pieces += ["; ", Mono(part.formula)]
    return pieces


def distribution_words(post: Posterior) -> str:
    """Which distribution, given what."""
    family, mean = post.family, post.family.parameters[0]
    name = family.name.replace("_", " ")
    article = "an" if name[0] in "aeiou" else "a"
    of = f"{'given the effects of its groups, ' if post.design.factors else ''}{post.response_words} follows {article} "
    if family.shares is not None:
        of += (
            f"{name} distribution over {len(post.categories)} categories without an order, each but "
            f"{post.categories[0]} with its log odds against that one"
        )
    elif family.ordinal:
        of += f"{name} distribution over {len(post.categories)} ordered categories, with thresholds τ"
    else:
        noun = f"{mean.noun} μ" if family.mean is None else "location μ"
        beside = family.estimated(post.design.response.known_error)
        of += f"{name} distribution with {listing([noun, *(p.name for p in beside)])}"
    return f"{_capital(of)}."


def predictor_words(post: Posterior) -> str:
    """What the linear predictor is the sum of, and on which scale."""
    value = "the linear predictor η" if post.family.ordinal else "μ"
    value = "each of these log odds" if post.family.shares is not None else value
    scale = "" if post.link.linear else f"on the {post.link.name} scale, "
    pieces = ["the columns times their coefficients β", *(["the offset"] if post.design.offsets else [])]
    pieces += ["the effects b of the row's groups"] if post.design.factors else []
    if post.family.shares is not None:
        return f"{_capital(value)} is the sum of {listing(pieces)}, with coefficients and effects of its own."
    own = [f"{name} on the {part.link.name} scale" for name, part in post.parts.items()]
    has = "has a sum of its own" if len(own) == 1 else "have sums of their own"
    further = f" {_capital(listing(own))} {has}, of the columns of the formula." if own else ""
    return f"{_capital(f'{scale}{value}')} is the sum of {listing(pieces)}.{further}"


def groups_words(post: Posterior) -> str:
    """How group effects are distributed, a factor."""
    words = []
    for predictor, own in post.predictors.items():
        of = "" if own is post else f" on {predictor}"
        words += [
            f"Over groups of {worded(name, post.design.labels)}, b of {listing([_term(t) for t in f.terms])}{of} "
            f"{_distributed(f.student)}{_correlated(f.blocks)}{f'; groups are related as {f.cov} says' * bool(f.cov)}."
            for name, f in own.design.factors.items()
        ]
    for name in post.across:
        on = [p for p, own in post.predictors.items() if name in own.design.factors]
        said = f"The effects of {worded(name, post.design.labels)} on {listing(on)} are correlated"
        words.append(f"{said}: one covariance matrix is estimated for all of them.")
    return " ".join(words)


def _distributed(student: bool) -> str:
    if student:
        return "is Student-t about 0, with degrees of freedom that are estimated and as its scale matrix, or scale,"
    return "is normal with mean 0"


def _term(term: str) -> str:
    return "the intercept" if term == "Intercept" else term


def _correlated(blocks: Sequence[Sequence[int]]) -> str:
    if len(blocks) == 1 and len(blocks[0]) == 1:
        return " and a standard deviation that is estimated"
    if len(blocks) == 1:
        return " and a covariance matrix Σ that is estimated"
    if all(len(block) == 1 for block in blocks):
        return ", standard deviations that are estimated, and no correlations"
    return " and a covariance matrix Σ that is estimated, with correlations within its blocks only"


def priors_section(post: Posterior) -> Section:
    """The priors, and what they imply, as the model prints them."""
    return Section("Priors", "priors", (_priors(post),))


def _priors(post: Posterior) -> Block:
    if post.caveat:
        return said(f"There are none: these are numbers {post.caveat}.")
    if post.origin is None:
        return said(
            "Not known here: draws from other software or from a file come without their priors. They are part of the "
            "model, and belong in its description."
        )
    items: list[tuple[Paragraph, list[Paragraph]]] = []
    for line in _stated(post.origin):
        if line.startswith("    ") and items:
            items[-1][1].append(_line(line))
        else:
            items.append((_line(line), []))
    return Points(tuple((first, tuple(rest)) for first, rest in items))


def _stated(origin: Any) -> list[str]:
    lines: list[str] = origin.prior_lines()
    return lines[lines.index("priors") + 1 :]


def priors_words(origin: Any) -> str:
    """Each prior, without what it implies."""
    own = [line.strip().partition(", which implies")[0] for line in _stated(origin) if not line.startswith("    ")]
    return "; ".join(own)


def _line(text: str) -> Paragraph:
    """What stands before a remark is code."""
    name, tilde, rest = text.strip().partition(" ~ ")
    prior, comma, remark = rest.partition("), ")
    if not tilde:
        return said(text.strip())
    if not comma:
        head, along, words = rest.partition(" along ")
        return said(Mono(f"{name} ~ {head}"), f"{along}{words}" if along else "")
    return said(Mono(f"{name} ~ {prior})"), f", {remark}")


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" if text[:1].isascii() else text  # μ stays μ
