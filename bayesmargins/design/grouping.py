"""Grouping factors: which groups there are, what varies over them, and which group a row belongs to."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.columns import Matrix
from bayesmargins.design.formula import Block
from bayesmargins.design.freezing import freeze
from bayesmargins.design.members import Members, codes_in
from bayesmargins.design.related import root_of_relation
from bayesmargins.design.strata import Strata, in_strata, strata_of, stratum_of_groups
from bayesmargins.errors import DataError, FormulaError

__all__ = ["Factor", "combinations", "freeze_factors"]


@dataclass(frozen=True)
class Factor:
    """A grouping factor: its levels, and which effects vary over them."""

    name: str  # "id", or "a:b" for an interaction
    columns: tuple[str, ...]  # columns whose values name a group
    levels: tuple[Any, ...]  # labels of the fitted groups, in order
    parts: tuple[tuple[str, ...], ...] = field(repr=False)  # values of the columns that make each label up, as text
    terms: tuple[str, ...]  # what varies by group: `("Intercept", "week")`
    # positions of terms that are correlated with each other; terms of different blocks are independent
    blocks: tuple[tuple[int, ...], ...]
    matrices: tuple[Matrix, ...]  # evaluate the columns of z, in the order of `terms`
    codes: np.ndarray = field(repr=False)  # (row,): group of every fitted row
    # of each block: which others, on other linear predictors, it is correlated with; empty where there are none
    marks: tuple[str, ...] = ()
    strata: Strata | None = None  # where groups are in strata with a covariance each
    # whether effects are Student-t, with degrees of freedom of the factor's own, and Sigma their scale matrix
    student: bool = False
    cov: str = ""  # name of the matrix that says how groups are related; empty where they are independent
    # (level, level): a lower root of that matrix, where it was given: fits alone need it
    relation: np.ndarray | None = field(default=None, repr=False)
    # where rows belong to several groups; `codes` are those of the first
    members: Members | None = field(default=None, repr=False)

    @cached_property
    def variables(self) -> frozenset[str]:
        """Columns that z reads (not those that name the group)."""
        weights = () if self.members is None else self.members.weights
        return frozenset(weights).union(*[m.variables for m in self.matrices])

    @cached_property
    def positions(self) -> dict[Any, int]:
        """Where each level stands."""
        return {level: k for k, level in enumerate(self.levels)}

    def of_rows(self, rows: np.ndarray) -> Factor:
        """The same with some of the fitted rows, all groups included."""
        members = None if self.members is None else self.members.take(rows)
        return replace(self, codes=self.codes[rows], members=members)

    def in_words(self) -> str:
        """How many groups there are, and what varies over them."""
        said = "; Student-t, with Sigma as its scale" if self.student else ""
        said += f"; related as {self.cov} says" if self.cov else ""
        said += f"; each row belongs to {len(self.members.columns)}" if self.members else ""
        return f"{len(self.levels)} groups of {self.name}: {', '.join(self.terms)}{said}"

    @cached_property
    def df(self) -> str:
        """What its degrees of freedom are called among the parameters, where effects are Student-t."""
        return f"df_{self.name.replace('/', '_')}" if self.student else ""

    def own_terms(self) -> dict[str, int]:
        """What a group has effects of, and where they stand: of groups in strata once for all strata."""
        if self.strata is None:
            return {t: k for k, t in enumerate(self.terms)}
        return {self.terms[k].rpartition(f":{self.strata.by}[")[0]: int(k) for k in self.strata.twins[:, 0]}

    def terms_of(self, level: int) -> np.ndarray:
        """Positions of the terms that a fitted group has effects of: those of its stratum, or all."""
        if self.strata is None:
            return np.arange(len(self.terms))
        return np.sort(self.strata.twins[:, self.strata.of_levels[level]])

    def rows_of(self, terms: tuple[int, ...]) -> np.ndarray:
        """Positions of the fitted rows that have these terms: those of their stratum, or all."""
        if self.strata is None:
            return np.arange(len(self.codes))
        own = np.isin(np.arange(len(self.levels)), self.strata.levels_of(terms[0]))
        return np.flatnonzero(own[self.codes])

    def levels_of(self, term: int) -> np.ndarray:
        """Positions of the fitted groups whose effects have the variance of this term: of its stratum, or all."""
        return np.arange(len(self.levels)) if self.strata is None else self.strata.levels_of(term)

    @cached_property
    def lookups(self) -> tuple[str, ...]:
        """What z is called that b of each group of a row multiplies: the factor, or one a member."""
        if self.members is None:
            return (self.name,)
        return tuple(f"{self.name}[{k}]" for k in range(1, len(self.members.columns) + 1))

    @cached_property
    def codes_by_lookup(self) -> dict[str, np.ndarray]:
        """The groups of the fitted rows, (row,), by `lookups`."""
        codes = [self.codes] if self.members is None else self.members.codes.T
        return dict(zip(self.lookups, codes, strict=True))

    def z_of_members(self, z: np.ndarray, frame: pd.DataFrame, what: str) -> dict[str, np.ndarray]:
        """Of z (row, term) what b of the factor, and what b of each member is multiplied by."""
        assert self.members is not None
        W, c = self.members.of_rows(frame, what)
        return {self.name: c[:, None] * z, **{n: w[:, None] * z for n, w in zip(self.lookups, W.T, strict=True)}}

    @cached_property
    def beside(self) -> frozenset[str]:
        """Columns that say how much of z counts: in none of them is it a straight line."""
        return frozenset() if self.members is None else frozenset((*self.members.columns, *self.members.weights))

    def labels(self, frame: pd.DataFrame) -> pd.Series:
        """Which group does each row name? Missing where a column is missing."""
        if len(self.columns) == 1:
            return frame[self.columns[0]].astype(object)
        joined = _text(frame[self.columns[0]])
        for column in self.columns[1:]:
            joined = joined + ":" + _text(frame[column])
        return joined.astype(object).mask(frame[list(self.columns)].isna().any(axis=1))

    def positions_of(self, labels: pd.Series) -> np.ndarray:
        """Position of each label among the fitted groups; -1 where it is none of them."""
        return codes_in(self.levels, labels)

    def labels_by_lookup(self, frame: pd.DataFrame) -> dict[str, pd.Series]:
        """The groups that each row names, by `lookups`."""
        if self.members is None:
            return {self.name: self.labels(frame)}
        return {n: frame[c].astype(object) for n, c in zip(self.lookups, self.members.columns, strict=True)}


def combinations(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of codes occur (combination, factor), in order, and how often? By one number a row: sorts are fast."""
    sizes = codes.max(axis=0, initial=-1) + 1
    if np.prod(sizes.astype(np.float64)) > 2.0**62:
        return np.unique(codes, axis=0, return_counts=True)
    keys, counts = np.unique(np.ravel_multi_index(tuple(codes.T), tuple(sizes)), return_counts=True)
    return np.column_stack(np.unravel_index(keys, tuple(sizes))), counts


def freeze_factors(
    blocks: tuple[Block, ...],
    coded: pd.DataFrame,
    frame: pd.DataFrame,
    context: Mapping[str, Any],
    *,
    invented: bool = False,
) -> dict[str, Factor]:
    """Grouping factors by name, their blocks joined; `invented` as for `freeze`."""
    names = list(dict.fromkeys(b.factor for b in blocks))
    _refuse_alike(names)
    _refuse_two_structures(blocks)
    frozen = {b: freeze(b.terms, coded, context, invented=invented) for b in blocks}
    made = {n: _factor([b for b in blocks if b.factor == n], frozen, frame, invented) for n in names}
    return {n: _related(factor, context) for n, factor in made.items()}


def _related(factor: Factor, context: Mapping[str, Any]) -> Factor:
    if not factor.cov or factor.cov not in context:
        return factor
    return replace(factor, relation=root_of_relation(factor.name, factor.cov, context[factor.cov], factor.levels))


def _refuse_two_structures(blocks: tuple[Block, ...]) -> None:
    """Groups of a factor are one population."""
    first = {b.factor: b.structure for b in reversed(blocks)}
    odd = next((b for b in blocks if b.structure != first[b.factor]), None)
    if odd is not None:
        both = odd.structure.written(odd.factor), first[odd.factor].written(odd.factor)
        raise FormulaError(
            f"The blocks of {odd.factor!r} say {both[1]} and {both[0]}: groups of one factor have one structure. Write "
            "the same in each block."
        )


def _refuse_alike(names: list[str]) -> None:
    """Names of variables and dimensions are made from those of factors, a slash being an underscore there."""
    for k, name in enumerate(names):
        stem = name.replace("/", "_")
        taken = {f"{stem}{end}" for end in ("_term", "_term2", "_pair")}
        taken |= {f"{start}_{stem}" for start in ("b", "sd", "cor", "z", "Sigma", "df")}
        clash = next((n for j, n in enumerate(names) if n.replace("/", "_") in taken | {stem} and j != k), None)
        if clash is not None:
            raise FormulaError(
                f"The grouping factors {name!r} and {clash!r} cannot stand in one model: the second is what the first, "
                "or its dimensions, are called. Rename its column."
            )


def _factor(blocks: list[Block], frozen: Mapping[Block, Matrix], frame: pd.DataFrame, invented: bool) -> Factor:
    name, columns, by = blocks[0].factor, blocks[0].columns, blocks[0].structure.by
    strata = strata_of(by, frame) if by else ()
    each = [(b, m) for b in blocks for m in (in_strata(frozen[b], by, strata) if by else [frozen[b]])]
    blocks, matrices = [b for b, _ in each], tuple(m for _, m in each)
    terms = tuple(t for m in matrices for t in m.labels)
    if not terms or len(set(terms)) < len(terms):
        raise FormulaError(
            f"The blocks of {name!r} give the terms {terms}: each must occur once, and there must be one. Write "
            "(0 + x | g) for a second block, so that its intercept does not occur twice; rename a column that is "
            "called as another term."
        )
    positions: list[tuple[int, ...]] = []
    marks: list[str] = []
    for block, matrix in zip(blocks, matrices, strict=True):
        first = sum(len(p) for p in positions)
        span = tuple(range(first, first + len(matrix.labels)))
        own: list[tuple[int, ...]] = [span] if block.correlated else [(i,) for i in span]
        positions, marks = positions + own, marks + [block.mark] * len(own)
    empty = np.empty(0, dtype=np.intp)
    blank = Factor(name, columns, (), (), terms, tuple(positions), matrices, empty, tuple(marks))
    for column in columns:
        _refuse_equal_labels(column, frame)
    if blocks[0].structure.members:
        return _of_members(blank, blocks[0], frame)
    levels, parts = _levels(blank, frame)
    codes = codes_in(levels, blank.labels(frame))
    student, cov = blocks[0].structure.student, blocks[0].structure.cov
    made = replace(blank, levels=levels, parts=parts, codes=codes, student=student, cov=cov)
    if not by:
        return made
    of = np.empty(0, dtype=np.intp) if invented else stratum_of_groups(name, by, strata, levels, codes, frame)
    return replace(made, strata=Strata(by, strata, of, _twins(matrices, len(strata))))


def _of_members(blank: Factor, block: Block, frame: pd.DataFrame) -> Factor:
    """A factor whose levels are those of all columns together."""
    names = pd.concat([frame[c].astype(object) for c in block.structure.members], ignore_index=True)
    _refuse_equal_labels(blank.name, pd.DataFrame({blank.name: names}))
    levels = tuple(getattr(v, "item", lambda v=v: v)() for v in sorted(pd.unique(names), key=_sorted_as))
    empty = np.empty((0, 0))
    of = Members(block.structure.members, block.structure.weights, block.structure.scaled, empty, empty)
    members = of.with_codes(levels, frame)
    parts = tuple((text,) for text in _text(pd.Series(levels, dtype=object)))
    return replace(blank, levels=levels, parts=parts, codes=members.codes[:, 0], members=members)


def _sorted_as(label: Any) -> tuple[bool, Any]:
    """Numbers by size, then text by alphabet."""
    number = isinstance(label, numbers.Number)
    return not number, label if number else str(label)


def _twins(matrices: tuple[Matrix, ...], strata: int) -> np.ndarray:
    """Where the terms of each block stand in each stratum: (term, stratum)."""
    ends = np.cumsum([len(m.labels) for m in matrices])
    places = [np.arange(end - len(m.labels), end) for end, m in zip(ends, matrices, strict=True)]
    return np.vstack([np.column_stack(places[k : k + strata]) for k in range(0, len(places), strata)])


def _refuse_equal_labels(name: str, frame: pd.DataFrame) -> None:
    """Labels of different types that are equal (1 and True) or read the same (1 and "1") name no two groups."""
    column = frame[name]
    held = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if not pd.api.types.infer_dtype(held, skipna=True).startswith("mixed"):
        return
    labels = [v for v in held.tolist() if not pd.isna(v)]
    first: dict[Any, Any] = {}
    for label in {(_kind(v), v): v for v in labels}.values():
        other = next((first[k] for k in (label, str(label)) if k in first and _kind(first[k]) != _kind(label)), None)
        if other is not None:
            raise DataError(
                f"The grouping column {name!r} holds {other!r} and {label!r}, which are of different types and equal, "
                "or read the same: whether they are one group cannot be told. Make all labels text, or all numbers."
            )
        first |= {label: label, str(label): label}


def _kind(value: Any) -> str:
    """Numbers are of one type whatever holds them, True and False of another."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    return "number" if isinstance(value, numbers.Number) else "str" if isinstance(value, str) else type(value).__name__


def _levels(factor: Factor, frame: pd.DataFrame) -> tuple[tuple[Any, ...], tuple[tuple[str, ...], ...]]:
    """Groups in the order of their columns' levels (a categorical keeps its own), those without rows left out."""
    ranks = pd.DataFrame({k: _rank(frame[c]) for k, c in enumerate(factor.columns)})
    keys = list(ranks.columns)
    groups = ranks.assign(label=factor.labels(frame).to_numpy()).drop_duplicates(keys)
    if groups["label"].duplicated().any():
        clash = groups["label"][groups["label"].duplicated()].iloc[0]
        raise DataError(f"Different groups of {factor.name!r} share the label {clash!r}. Rename levels with a ':'.")
    ordered = groups.sort_values(keys)
    parts = zip(*(_text(frame[c]).to_numpy()[ordered.index] for c in factor.columns), strict=True)
    return tuple(getattr(v, "item", lambda v=v: v)() for v in ordered["label"]), tuple(parts)


def _text(series: pd.Series) -> pd.Series:
    """Labels as text; each whole number reads the same whatever stands beside it has made of its type."""
    text = series.astype(str)
    if pd.api.types.is_float_dtype(series.dtype):
        whole = ((series % 1 == 0) & (series.abs() < 2.0**63)).fillna(False).to_numpy(dtype=bool)
        text = text.mask(whole, series.where(whole).astype("Int64").astype(str))
    return text


def _rank(series: pd.Series) -> np.ndarray:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy()
    return pd.factorize(series, sort=True)[0]
