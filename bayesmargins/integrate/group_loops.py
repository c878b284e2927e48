"""Loops over the rows of groups, called by address: what calls them is compiled once and serves all families."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import typeof, types

from bayesmargins.integrate import group_row_sums
from bayesmargins.integrate.by_name import by_name, caller
from bayesmargins.integrate.group_rows import LATTICES, POINT, ROWS
from bayesmargins.integrate.pointers import FLOATS

__all__ = ["LOOPS", "Loops", "call_add_base", "call_averages", "call_log_densities", "call_set_parts", "call_slopes"]
__all__ += ["names_of", "names_of_planes"]


class Loops(NamedTuple):
    """What a family's rows are to loops that are the same for all families: addresses of compiled functions."""

    tag: tuple[int, int]  # how many of u and v they read, and the sign of their power
    search: int  # of `group_nodes.search`, which takes these loops itself
    log_densities: int  # of the family's own, as the three that follow
    averages: int
    slopes: int
    base: int


_TAG, _WHOLE, _NUMBER = types.UniTuple(types.int64, 2), types.int64, types.float64
LOOPS = types.NamedTuple([_TAG, *[_WHOLE] * 5], Loops)

# What each takes after the tag; in the order of `Loops`.
_TAKEN = {
    group_row_sums.log_densities: (ROWS, POINT, _WHOLE, _WHOLE, _NUMBER, LATTICES, FLOATS),
    group_row_sums.averages: (ROWS, POINT, _WHOLE, _WHOLE, _NUMBER, LATTICES, FLOATS, FLOATS, FLOATS),
    group_row_sums.slopes: (ROWS, POINT, _WHOLE, _NUMBER, FLOATS),
    group_row_sums.add_base: (ROWS, POINT, FLOATS, FLOATS, FLOATS),
}
_OF_PARTS = (ROWS, _NUMBER, *[FLOATS] * 4)
call_set_parts = caller(_TAG, *_OF_PARTS)
call_log_densities, call_averages, call_slopes, call_add_base = (caller(_TAG, *t) for t in _TAKEN.values())


def names_of(tag: Any) -> list[str]:
    """Names of the functions of `Loops` for rows of this tag, which are compiled now or found on disk."""
    return [by_name(f, (typeof(tag), *taken), f is group_row_sums.slopes).name for f, taken in _TAKEN.items()]


def names_of_planes(tag: Any) -> list[str]:
    """The same of those that two effects take: `group_row_sums.set_parts` and `group_row_sums.add_base`."""
    taken = {group_row_sums.set_parts: _OF_PARTS, group_row_sums.add_base: _TAKEN[group_row_sums.add_base]}
    return [by_name(f, (typeof(tag), *own)).name for f, own in taken.items()]
