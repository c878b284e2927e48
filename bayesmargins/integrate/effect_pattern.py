"""Which small effects meet in a group of the largest factor: the pattern of their matrix, and the order that keeps it.

Level by level, in the order of elimination, the matrix of all small effects is kept from the first level that a row's
level meets: its envelope. The Cholesky factor fills nothing outside it. Nested factors in an order in which each level
follows those within it have an envelope without a zero; crossed ones have a full matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "EffectPattern", "Envelope", "Levels", "effect_pattern", "multiplications"]

Integers = npt.NDArray[np.int64]
Patches = list[tuple[int, tuple[int, ...]]]

BLOCK = 128  # groups that compiled loops take at once


@dataclass(frozen=True)
class Levels:
    """A grouping factor: codes (row,) of 0 to count - 1, and how many effects each level has."""

    codes: npt.NDArray[np.integer]
    count: int
    terms: int


class Envelope(NamedTuple):
    """What loops read of a pattern: arrays here, pointers in compiled code."""

    first: Integers  # (level + 1,), first effect of each level
    factor: Integers  # (level,)
    reach: Integers  # (level,), first level in its rows
    low: Integers  # (effect,), first effect in its row
    row: Integers  # (effect,), its entry in column k lies at row + k
    terms: Integers  # (factor,)
    lanes: Integers  # (patch + 1,), first group of each patch, none of which goes beyond a multiple of `BLOCK`
    begins: Integers  # (patch + 1,), where its effects begin in `used`
    used: Integers  # effects that some group of the patch has, rising
    levels: int
    effects: int
    factors: int
    patches: int
    widest: int  # terms of a factor, at most
    most: int  # effects of a patch, at most


@dataclass(frozen=True)
class EffectPattern:
    """The order of small effects and of the largest factor's groups."""

    envelope: Envelope
    place: Integers  # (small effect,), where each went, of those factor by factor, level by level, term by term
    order: Integers  # (group,), the groups as they are taken: those with the same effects together
    entries: int  # of the envelope


def multiplications(large: Levels, small: Sequence[Levels], most: float = np.inf) -> float:
    """About how many a gradient takes for the small effects; above `most`, a number that is above it as well."""
    if not small:
        return 0.0
    found = _elimination(large, small, most)
    if isinstance(found, float):
        return found
    order, _, products = found
    sizes = _sizes(small)[order]
    pairs = sum(n * sizes[list(of)].sum() ** 2 for n, of in _patches(large, small, order)[1])
    return float(products + large.terms * pairs)


def effect_pattern(large: Levels, small: Sequence[Levels]) -> EffectPattern:
    """Of the effects of the small factors, given the groups of the largest one."""
    order = reach = np.empty(0, dtype=np.int64)
    groups, patches = np.arange(large.count), Patches()
    if small:
        order, reach, _ = _elimination(large, small, np.inf)  # type: ignore[misc]
        groups, patches = _patches(large, small, order)
    sizes, factor = _sizes(small), np.repeat(np.arange(len(small)), [f.count for f in small])
    first, own = _ends(sizes[order]), _ends(sizes)
    place = np.repeat(first[np.argsort(order)] - own[:-1], sizes) + np.arange(own[-1])
    low, widths = np.repeat(first[reach], sizes[order]), np.repeat(first[1:] - first[reach], sizes[order])
    row = np.cumsum(widths) - widths - low
    terms = np.array([f.terms for f in small], dtype=np.int64)
    lanes, begins, used = _cut(patches, first)
    counts = len(order), len(low), len(small), len(lanes) - 1, max(terms, default=1), max(np.diff(begins), default=0)
    envelope = Envelope(first, factor[order], reach, low, row, terms, lanes, begins, used, *map(int, counts))
    return EffectPattern(envelope, place, groups, int(widths.sum()))


def _ends(sizes: Integers) -> Integers:
    """0, and where each ends."""
    return np.append(0, np.cumsum(sizes))


def _sizes(small: Sequence[Levels]) -> Integers:
    """Effects of each level of all factors."""
    return np.repeat(np.array([f.terms for f in small], dtype=np.int64), [f.count for f in small])


def _meeting(large: Levels, small: Sequence[Levels], position: Integers) -> Any:
    """Which levels the rows of each group name: (group, level) as a sparse matrix of ones."""
    from scipy.sparse import csr_array

    begins = np.cumsum([0, *(f.count for f in small)])
    columns = np.concatenate([position[f.codes + first] for f, first in zip(small, begins[:-1], strict=True)])
    rows = np.tile(large.codes, len(small))
    found = csr_array((np.ones(len(rows)), (rows, columns)), shape=(large.count, begins[-1]))
    found.sum_duplicates()
    found.data[:] = 1.0
    return found


def _elimination(large: Levels, small: Sequence[Levels], most: float) -> tuple[Integers, Integers, float] | float:
    """Order, reach and multiplications of the cheaper of two orders; above `most`, a lower bound of the last alone.

    One order takes the factors with most levels first, so that of nested ones each level follows those within it; the
    other keeps levels that meet near each other.
    """
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    begins = _ends(np.array([f.count for f in small]))
    meeting = _meeting(large, small, np.arange(begins[-1]))
    pairs = float((np.diff(meeting.indptr).astype(np.float64) ** 2).sum())
    if pairs > most:
        return pairs
    together = (meeting.T @ meeting).tocsr()
    least = 0.375 * together.nnz**2 / begins[-1]  # of rows that are all alike
    if least > most + together.nnz:
        return float(least)
    by_size = sorted(range(len(small)), key=lambda k: -small[k].count)
    orders = [
        np.concatenate([np.arange(begins[k], begins[k + 1]) for k in by_size]),
        reverse_cuthill_mckee(together, symmetric_mode=True).astype(np.int64),
    ]
    sizes, found = _sizes(small), []
    for order in orders:
        order = order[_postorder(together[order][:, order])]
        reach = _reach(together, order)
        found.append((order, reach, _products(reach, sizes[order], most)))
    best = min(found, key=lambda of: of[2])
    return best if best[2] <= most else best[2]


def _postorder(pairs: Any) -> Integers:
    """Levels such that all that are eliminated below one lie just before it, by the elimination tree (Liu 1990)."""
    n, starts, columns = pairs.shape[0], pairs.indptr.tolist(), pairs.indices.tolist()
    parent, ancestor = [-1] * n, [-1] * n
    for i in range(n):
        for k in columns[starts[i] : starts[i + 1]]:
            while k != -1 and k < i:
                k, above, ancestor_of = ancestor[k], k, ancestor[k]
                ancestor[above] = i
                if ancestor_of == -1:
                    parent[above] = i
    below = [1] * n
    for k in range(n):
        if parent[k] >= 0:
            below[parent[k]] += below[k]
    free, last, order = [0] * n, n, np.empty(n, dtype=np.int64)
    for k in range(n - 1, -1, -1):
        end = last if parent[k] < 0 else free[parent[k]]
        if parent[k] < 0:
            last -= below[k]
        else:
            free[parent[k]] -= below[k]
        order[end - 1], free[k] = k, end - 1
    return order


def _reach(pairs: Any, order: Integers) -> Integers:
    """The first level that each meets, in this order."""
    position, found = np.argsort(order), pairs.tocoo()
    reach = np.arange(len(order))
    np.minimum.at(reach, position[found.row], position[found.col])
    return reach


def _products(reach: Integers, sizes: Integers, most: float) -> float:
    """Multiplications of the Cholesky factor and of its derivative, which takes two for each."""
    first = np.append(0, np.cumsum(sizes))
    low = np.repeat(first[reach], sizes)
    widths = np.arange(len(low)) - low
    if widths.sum() > most:
        return float(widths.sum())
    rows = np.flatnonzero(widths)
    total = sum(int(np.minimum(np.arange(widths[a]), widths[low[a] : a]).sum()) for a in rows)
    return 3.0 * total + float(widths.sum())


def _patches(large: Levels, small: Sequence[Levels], order: Integers) -> tuple[Integers, Patches]:
    """Groups in an order, and patches of them: how many, with the levels that they have."""
    meeting = _meeting(large, small, np.argsort(order))
    meeting.sort_indices()
    starts, levels = meeting.indptr.tolist(), meeting.indices.tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for g in range(large.count):
        groups.setdefault(tuple(levels[starts[g] : starts[g + 1]]), []).append(g)
    alike = sorted(groups)
    _, patches = _merged([(len(groups[own]), own) for own in alike])
    return np.array([g for own in alike for g in groups[own]], dtype=np.int64), patches


def _merged(patches: Patches) -> tuple[float, Patches]:
    """Halves, each merged by itself, or all as one patch where that costs less."""
    n, levels = sum(of[0] for of in patches), tuple(sorted({v for of in patches for v in of[1]}))
    whole = _cost(n, len(levels))
    if len(patches) == 1:
        return whole, patches
    middle = len(patches) // 2
    (one, left), (other, right) = _merged(patches[:middle]), _merged(patches[middle:])
    return (whole, [(n, levels)]) if whole <= one + other else (one + other, left + right)


def _cost(n: int, levels: int) -> float:
    """Of n groups that have the same levels, in fifths of a nanosecond: multiplications, and calls of loops."""
    blocks = -(-n // BLOCK)
    return (n + 64 * blocks) * levels**2 + (3 * n + 150 * blocks) * levels + 1500 * blocks


def _cut(patches: Patches, first: Integers) -> tuple[Integers, Integers, Integers]:
    """`lanes`, `begins` and `used` of patches that end at multiples of `BLOCK`."""
    lanes, begins, used = [0], [0], []
    for n, levels in patches:
        effects = [k for v in levels for k in range(first[v], first[v + 1])]
        end = lanes[-1] + n
        while lanes[-1] < end:
            lanes.append(min(end, (lanes[-1] // BLOCK + 1) * BLOCK))
            used += effects
            begins.append(len(used))
    return tuple(np.array(x, dtype=np.int64) for x in (lanes, begins, used))  # type: ignore[return-value]
