"""Effects of one factor on several linear predictors as one vector: which of them are correlated, and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.model.coordinates import GroupBlock, GroupPart, Member
from bayesmargins.schema import factor_dim, stem
from bayesmargins.values import plain

__all__ = [
    "coords_of",
    "correlated_pairs",
    "correlated_with",
    "covariance_from",
    "is_across",
    "joined",
    "marks_of",
    "on_predictor",
    "term_names",
]

Pairs = list[tuple[int, int]]


def marks_of(designs: Mapping[str, Design]) -> dict[str, dict[str, list[str]]]:
    """By factor and mark: the linear predictors that have it, whose effects it correlates."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, design in designs.items():
        for f, factor in design.factors.items():
            for mark in dict.fromkeys(m for m in factor.marks if m):
                found.setdefault(f, {}).setdefault(mark, []).append(name)
    return found


def correlated_with(name: str, marks: Mapping[str, Sequence[str]]) -> set[str]:
    """Linear predictors with which this one's effects of a factor are correlated, itself included: by `marks_of` it."""
    found, last = {name}, set[str]()
    while found != last:
        last, found = found, found.union(*(some for some in marks.values() if found & {*some}))
    return found


def joined(parts: Mapping[str, GroupPart]) -> GroupPart:
    """Parts of one factor, by linear predictor, as one: blocks of the same mark are one block."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    ends = np.cumsum([0, *(part.W.shape[1] for part in parts.values())]).tolist()
    moved = [_moved(part, first) for part, first in zip(parts.values(), ends, strict=False)]
    members = tuple(member for _, own in moved for member in own)
    blocks = _together([block for own, _ in moved for block in own], members)
    factor = replace(
        members[0].factor,
        terms=tuple(term_names(members)),
        blocks=tuple(block.terms for block in blocks),
        marks=tuple(block.mark for block in blocks),
        matrices=tuple(m for member in members for m in member.factor.matrices),
    )
    W, sizes = (np.concatenate([getattr(p, name) for p in parts.values()], axis=-1) for name in ("W", "sizes"))
    return GroupPart(factor, W, tuple(blocks), sizes, members)


def _moved(part: GroupPart, first: int) -> tuple[list[GroupBlock], list[Member]]:
    """With its columns from here on."""
    blocks = [replace(b, terms=tuple(first + k for k in b.terms)) for b in part.blocks]
    return blocks, [replace(m, columns=slice(first + m.columns.start, first + m.columns.stop)) for m in part.members]


def _together(blocks: Sequence[GroupBlock], members: Sequence[Member]) -> list[GroupBlock]:
    of_mark: dict[Any, list[GroupBlock]] = {}
    for k, block in enumerate(blocks):
        of_mark.setdefault(block.mark or k, []).append(block)
    return [own[0] if len(own) == 1 else _one(own, members[0].factor.name) for own in of_mark.values()]


def _one(blocks: Sequence[GroupBlock], factor: str) -> GroupBlock:
    """Standard deviations are the members' own, so that the block has no say in them."""
    terms = tuple(k for block in blocks for k in block.terms)
    B, first = np.zeros((len(terms),) * 2), 0
    for block in blocks:
        B[first : first + len(block.B), first : first + len(block.B)] = block.B
        first += len(block.B)
    rotates = any(block.rotates for block in blocks)
    return GroupBlock(terms, B, (), rotates, f"across_cor_{factor}", blocks[0].mark)


def term_names(members: Sequence[Member]) -> Iterator[str]:
    """``Intercept``, ``sigma_Intercept``: terms of all members."""
    return (member.named(str(term)) for member in members for term in member.factor.terms)


def on_predictor(part: GroupPart, name: str) -> GroupPart | None:
    """Its effects on one linear predictor alone; None where there are none."""
    member = next((m for m in part.members if m.predictor == name), None)
    if member is None or len(part.members) == 1:
        return None if member is None else part
    first, own = member.columns.start, range(member.columns.start, member.columns.stop)
    blocks = []
    for block in part.blocks:
        at = [k for k, term in enumerate(block.terms) if term in own]
        terms = tuple(block.terms[k] - first for k in at)
        blocks += [replace(block, terms=terms, B=block.B[np.ix_(at, at)])] if at else []
    factor = replace(member.factor, codes=part.factor.codes)
    alone = replace(member, columns=slice(0, len(own)))
    return GroupPart(factor, part.W[:, member.columns], tuple(blocks), part.sizes[member.columns], (alone,))


def correlated_pairs(part: GroupPart) -> dict[str, Pairs]:
    """Which pairs of terms have a correlation, by the name that the posterior has for these."""
    name, found = stem(part.factor.name), {}
    of = [k for k, m in enumerate(part.members) for _ in m.factor.terms]
    for member in part.members:
        first = member.columns.start
        found[member.named(f"cor_{name}")] = [
            (first + i, first + j) for block in member.factor.blocks for i, j in combinations(block, 2)
        ]
    found[f"across_cor_{name}"] = [
        pair for block in part.blocks for pair in combinations(block.terms, 2) if of[pair[0]] != of[pair[1]]
    ]
    return {key: pairs for key, pairs in found.items() if pairs}


def is_across(part: GroupPart) -> bool:
    """Are any effects on different linear predictors correlated?"""
    return f"across_cor_{stem(part.factor.name)}" in correlated_pairs(part)


def coords_of(part: GroupPart) -> dict[str, Any]:
    """Names of the terms and pairs of a factor that acts on another linear predictor than the mean."""
    name, names = stem(part.factor.name), list(term_names(part.members))
    named: dict[str, Any] = {factor_dim(part.factor.name): plain(part.factor.levels), f"{name}_effect": names}
    for member in part.members:
        terms = plain(member.factor.terms)
        pairs = [pair for block in member.factor.blocks for pair in combinations(block, 2)]
        named[member.named(f"{name}_term")] = terms
        named[member.named(f"{name}_pair")] = [f"{terms[i]}, {terms[j]}" for i, j in pairs]
    across = correlated_pairs(part).get(f"across_cor_{name}", [])
    return named | {f"across_{name}_pair": [f"{names[i]}, {names[j]}" for i, j in across]}


def covariance_from(part: GroupPart, draws: Any) -> np.ndarray:
    """Sigma (chain, draw, term, term) of all members' terms, from ``draws(name)`` of deviations and correlations."""
    name = stem(part.factor.name)
    sd = np.concatenate([draws(member.named(f"sd_{name}")) for member in part.members], axis=-1)
    R = np.zeros((*sd.shape, sd.shape[-1]))
    R[..., np.arange(sd.shape[-1]), np.arange(sd.shape[-1])] = 1.0
    for key, pairs in correlated_pairs(part).items():
        values = draws(key)
        for k, (i, j) in enumerate(pairs):
            R[..., i, j] = R[..., j, i] = values[..., k]
    return np.asarray(sd[..., :, None] * R * sd[..., None, :])
