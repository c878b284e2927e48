"""What a pass reads: rows of the design a chunk at a time, with what is done with b; how a chunk is cut in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.family.family import Parameter
from bayesmargins.family.link import Link
from bayesmargins.family.outcome import Outcome
from bayesmargins.grid import Cells
from bayesmargins.groups import Gather, GroupPlan

__all__ = ["Chunk", "PartRows", "Scale", "Second", "Tiled", "pieces", "subset"]

# Rows in named groups go through as rows of a larger frame: every other factor keeps its policy, tables and threads.
_TILE_ROWS = 2**15
_TILE_EFFECTS = 2**22  # draws x groups x terms: 32 MiB of b


@dataclass(frozen=True)
class Second:
    """What second derivatives need of the design, besides its derivatives with respect to the first variable."""

    d_rows: Rows  # derivatives with respect to the second variable
    dd_rows: Rows  # mixed second derivatives


@dataclass(frozen=True)
class PartRows:
    """Rows of a parameter of the family that has a linear predictor of its own."""

    parameter: Parameter
    draws: Draws  # of its linear predictor
    link: Link
    rows: Rows  # its design rows
    plan: GroupPlan  # what is done with its b
    d_rows: Rows | None = None  # as of `Chunk`
    second: Second | None = None  # as of `Chunk`

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.parameter.name


@dataclass(frozen=True)
class Scale:
    """exp of a linear predictor, which multiplies what a row's own one is 1 less the inverse link of."""

    draws: Draws  # of this linear predictor
    rows: Rows  # design rows
    plan: GroupPlan  # which b is looked up
    d_rows: Rows | None = None  # as of `Chunk`
    second: Second | None = None  # as of `Chunk`


@dataclass(frozen=True)
class Chunk:
    """Some rows of a pass."""

    rows: Rows  # design rows
    plan: GroupPlan  # what is done with b of these rows
    cells: Cells  # cell of each row in the result, and what the row counts for
    # (row,): what every value is multiplied by: trials, where the target counts; for elasticities the variable
    multiplier: np.ndarray | None = None
    d_rows: Rows | None = None  # derivatives of X, z and the offset, for slopes
    # trials, known errors and rates, where the target is a number of the distribution of y
    outcome: Outcome | None = None
    second: Second | None = None  # for derivatives of slopes
    # parameters with a linear predictor of their own, where the numbers depend on them
    parts: tuple[PartRows, ...] = ()
    # (draw, term, term): by factor that is integrated, the covariance of its effects on the mean and then on the parts,
    # where effects on several of them are correlated
    across: Mapping[str, np.ndarray] = field(default_factory=dict)
    scale: Scale | None = None  # what multiplies 1 less the inverse link, where that is what is averaged
    complete: np.ndarray | None = None  # (row,): which have all that their numbers depend on; None where all have it

    @property
    def looked_up(self) -> str:
        """What is averaged where a mean is asked for: the inverse link, or 1 less it."""
        return "mean" if self.scale is None else "complement"

    @property
    def plans(self) -> list[GroupPlan]:
        """What is done with b of each linear predictor."""
        return [self.plan, *[part.plan for part in self.parts]]

    @property
    def weights(self) -> np.ndarray:
        """What each row's value is multiplied by on its way into its cell."""
        return self.cells.share if self.multiplier is None else self.cells.share * self.multiplier

    def take(self, which: np.ndarray) -> Chunk:
        """The same for the rows at these positions."""
        return Chunk(
            rows=_taken(self.rows, which),
            plan=_planned(self.plan, which),
            cells=replace(self.cells, index=self.cells.index[which], share=self.cells.share[which]),
            multiplier=None if self.multiplier is None else self.multiplier[which],
            d_rows=None if self.d_rows is None else _taken(self.d_rows, which),
            outcome=None if self.outcome is None else self.outcome.take(which),
            second=_second(self.second, which),
            parts=tuple(_of_some(part, which) for part in self.parts),
            across=self.across,
            scale=None if self.scale is None else _of_some(self.scale, which),
            complete=None if self.complete is None else self.complete[which],
        )


Side = TypeVar("Side", PartRows, Scale)


def subset(draws: Draws, chunk: Chunk, which: np.ndarray | slice) -> tuple[Draws, Chunk]:
    """Some of the draws, and the chunk with the group effects of these draws: for means, which need no parts."""
    scale = chunk.scale
    if scale is not None:
        scale = replace(scale, draws=_some_draws(scale.draws, which), plan=_in_draws(scale.plan, which))
    return _some_draws(draws, which), replace(chunk, plan=_in_draws(chunk.plan, which), parts=(), scale=scale)


def _some_draws(draws: Draws, which: np.ndarray | slice) -> Draws:
    return Draws(
        beta=draws.beta[which],
        b={f: b[which] for f, b in draws.b.items()},
        Sigma={f: Sigma[which] for f, Sigma in draws.Sigma.items()},
        aux={k: v[which] for k, v in draws.aux.items()},
    )


def _in_draws(plan: GroupPlan, which: np.ndarray | slice) -> GroupPlan:
    return replace(plan, gathers=tuple(replace(g, b=g.b[which]) for g in plan.gathers))


def _planned(plan: GroupPlan, which: np.ndarray) -> GroupPlan:
    gathers = tuple(replace(g, codes=g.codes[which]) for g in plan.gathers)
    mixture = plan.mixture
    if mixture is not None and mixture.strata is not None:
        mixture = replace(mixture, strata=replace(mixture.strata, of_rows=mixture.strata.of_rows[which]))
    return replace(plan, gathers=gathers, missing=plan.missing[which], mixture=mixture)


def _second(second: Second | None, which: np.ndarray) -> Second | None:
    return second and Second(_taken(second.d_rows, which), _taken(second.dd_rows, which))


def _of_some(side: Side, which: np.ndarray) -> Side:
    d_rows = None if side.d_rows is None else _taken(side.d_rows, which)
    second = _second(side.second, which)
    return replace(side, rows=_taken(side.rows, which), plan=_planned(side.plan, which), d_rows=d_rows, second=second)


def _taken(rows: Rows, which: np.ndarray) -> Rows:
    return Rows(rows.X[which], {f: z[which] for f, z in rows.Z.items()}, rows.offset[which], rows.complete[which])


def pieces(chunk: Chunk) -> Iterable[Chunk]:
    """The rows by the stratum of the fitted groups that they are averaged over, and once for each named group."""
    plans = [chunk.plan, *[part.plan for part in chunk.parts]]
    if not any([p.named or (p.mixture is not None and p.mixture.strata is not None) for p in plans]):
        return (chunk,)
    return (tile for some in _in_strata(chunk) for tile in _in_named_groups(some))


def _in_strata(chunk: Chunk) -> Iterator[Chunk]:
    """The rows of each stratum, with the fitted groups that are in it; the chunk as it is where there are no strata."""
    of_rows = next((p.mixture.strata.of_rows for p in chunk.plans if p.mixture and p.mixture.strata), None)
    if of_rows is None:
        yield chunk
        return
    for stratum in np.unique(of_rows):
        some = chunk.take(np.flatnonzero(of_rows == stratum))
        parts = tuple(replace(part, plan=_within(part.plan, stratum)) for part in some.parts)
        yield replace(some, plan=_within(some.plan, stratum), parts=parts)


def _within(plan: GroupPlan, stratum: int) -> GroupPlan:
    """The plan with the combinations of one stratum."""
    mixture = plan.mixture
    if mixture is None or mixture.strata is None:
        return plan
    some = np.flatnonzero(mixture.strata.of_combinations == stratum)
    weights = mixture.weights[some]
    return replace(
        plan, mixture=replace(mixture, codes=mixture.codes[some], weights=weights / weights.sum(), strata=None)
    )


@dataclass(frozen=True)
class Tiled:
    """Chunks once for each of the groups that they name; made afresh whenever they are gone through."""

    chunks: Sequence[Chunk]

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self.chunks:
            yield from _in_named_groups(chunk)


def _in_named_groups(chunk: Chunk) -> Iterator[Chunk]:
    """The rows once for each of the groups that their plans name; cells count on from one group to the next."""
    named = [gather for plan in chunk.plans for gather in plan.named]
    if not named:
        yield chunk
        return
    groups, size = len(named[0].codes), _groups_at_a_time(named, len(chunk.rows.X))
    for start in range(0, groups, size):
        yield _tile(chunk, groups, slice(start, min(start + size, groups)))


def _groups_at_a_time(named: Sequence[Gather], rows: int) -> int:
    effects = sum(len(gather.b) * gather.b.shape[2] for gather in named)
    return max(1, min(_TILE_ROWS // max(1, rows), _TILE_EFFECTS // max(1, effects)))


def _tile(chunk: Chunk, groups: int, some: slice) -> Chunk:
    """The rows once for each of some groups, and the cells of these groups out of all."""
    rows, times = len(chunk.rows.X), some.stop - some.start
    tile = chunk.take(np.tile(np.arange(rows), times))
    of_group = np.repeat(np.arange(some.start, some.stop), rows)
    cells = replace(tile.cells, index=tile.cells.index + of_group * chunk.cells.n, n=groups * chunk.cells.n)
    parts = tuple(replace(part, plan=_looked_up(part.plan, some, rows)) for part in tile.parts)
    return replace(tile, plan=_looked_up(tile.plan, some, rows), cells=cells, parts=parts)


def _looked_up(plan: GroupPlan, some: slice, rows: int) -> GroupPlan:
    gathers = tuple(_of_rows(gather, some, rows) for gather in plan.named)
    return replace(plan, gathers=(*plan.gathers, *gathers), named=())


def _of_rows(gather: Gather, some: slice, rows: int) -> Gather:
    """The look-up of rows that are in these groups, with the b of no others."""
    levels, codes = np.unique(gather.codes[some], return_inverse=True)
    side_by_side = levels[-1] - levels[0] + 1 == len(levels)  # then b need not be copied
    b = gather.b[:, levels[0] : levels[-1] + 1] if side_by_side else gather.b[:, levels]
    return Gather(gather.factor, b, np.repeat(codes, rows))
