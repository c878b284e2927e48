"""What compiled loops know of the rows of groups: their arrays, and what a family says of a row.

A family's rows are a tag, whose type has plain functions; they are compiled here, for that type alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.extending import overload

from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.pointers import FLOATS, INTEGERS
from bayesmargins.integrate.vector_math import vectorised

__all__ = [
    "COMPILED",
    "LANES",
    "LATTICES",
    "POINT",
    "ROOM",
    "ROWS",
    "WORK",
    "Floats",
    "Integers",
    "Lattices",
    "Point",
    "Rows",
    "base",
    "has_product",
    "multiplies",
    "node",
    "parts",
]

Floats = Any  # pointers, in compiled code
Integers = Any

LANES = 8  # nodes come in multiples of it: what is left over would run one by one
ROOM = 2048  # for the nodes of one group, half of it for those in between
WORK = 8 * (ROOM + LANES)  # for what is computed at them
COMPILED = "Compiled code calls this: there the overload below puts the family's own function in its place."


class Rows(NamedTuple):
    """Rows of y, sorted by group."""

    y: Floats  # (row,), as the next three
    n: Floats
    weights: Floats
    W: Floats  # what the group effect multiplies
    starts: Integers  # (group + 1,), where its rows begin
    kinds: Integers  # (row,); those with the same number have the same y, n and u, v
    samples: Integers  # (kind,), one row of it
    rows: int
    groups: int
    of_kinds: int  # how many kinds
    shifts: bool  # is the group effect one number that is added to eta?


class Point(NamedTuple):
    """What rows have at given parameters, (row,)."""

    eta: Floats  # linear predictor without the group effects
    power: Floats  # exp(sign eta), where the tag has a sign
    u: Floats  # the family's own parameters
    v: Floats


class Lattices(NamedTuple):
    """Nodes of each group: z = first + k step, k below counts, in whole lanes from `places` on in `values`."""

    first: Floats  # (group,), as the next three
    step: Floats
    counts: Integers
    places: Integers
    values: Floats  # (node,)


def node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> tuple[float, float, float, float, float]:
    """log density of a row, two derivatives in eta, and those in u and v."""
    raise TypeError(COMPILED)


def base(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float]:
    """What of it does not depend on eta, and its derivatives in u and v."""
    raise TypeError(COMPILED)


def parts(tag: Any, y: float, n: float, u: float, v: float) -> tuple[float, float, float, float]:
    """a and c of a eta - c exp(sign eta), if the log density is that, and their derivatives in u."""
    raise TypeError(COMPILED)


@overload(node, strict=False, jit_options=INNER)
def _node(tag: Any, y: float, n: float, eta: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.node)


@overload(base, strict=False, jit_options=INNER)
def _base(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    return vectorised(tag.instance_class.base)


@overload(parts, strict=False, jit_options=INNER)
def _parts(tag: Any, y: float, n: float, u: float, v: float) -> Any:
    own = getattr(tag.instance_class, "parts", None)
    return own or (lambda tag, y, n, u, v: (0.0, 0.0, 0.0, 0.0))


def multiplies(tag: Any) -> bool:
    """Is the log density of a row y eta - n log(1 + exp(eta))?"""
    raise TypeError(COMPILED)


def has_product(tag: Any) -> bool:
    """`multiplies`, outside compiled code."""
    return hasattr(tag, "multiplies")


@overload(multiplies, strict=False, jit_options=INNER)
def _multiplies_of(tag: Any) -> Any:
    return (lambda tag: True) if hasattr(tag.instance_class, "multiplies") else (lambda tag: False)


ROWS = types.NamedTuple([*[FLOATS] * 4, *[INTEGERS] * 3, *[types.int64] * 3, types.boolean], Rows)
POINT = types.NamedUniTuple(FLOATS, 4, Point)
LATTICES = types.NamedTuple([FLOATS, FLOATS, INTEGERS, INTEGERS, FLOATS], Lattices)
