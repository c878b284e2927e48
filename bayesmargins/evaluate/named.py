"""Rows put into groups whose b is given, one group after the other, many groups at a time.

The groups go through a pass as if they were rows of a larger frame, so that every other factor keeps its policy, and
tables, threads and weights are those of every other question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.groups import Gather, GroupPlan

__all__ = ["in_named_groups"]

_TILE_ROWS = 2**15
_TILE_EFFECTS = 2**22  # draws x groups x terms: 32 MiB of b


def in_named_groups(chunk: Chunk) -> Iterator[Chunk]:
    """The rows once for each of the groups that their plans name; cells count on from one group to the next."""
    named = [gather for plan in (chunk.plan, *(part.plan for part in chunk.parts)) for gather in plan.named]
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
