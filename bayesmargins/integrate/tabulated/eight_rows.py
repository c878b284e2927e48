"""Formulas of a table's rows for eight values at a time.

A value needs one row of coefficients, and its neighbour another. Compilers read such rows number by number; here eight
rows are read whole and turned into columns, and then one multiplication serves eight values. That takes a third of the
time. A formula is plain code and written once: for eight values, see `lanes`, and for one where fewer are left, it
gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.group_tasks import WIDTH
from bayesmargins.integrate.lanes import LANES
from bayesmargins.integrate.vector_math import WHOLE

__all__ = ["start_of_row", "tile_of"]

_FOUR = 4
_FLOAT, _WHOLE, _LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)


def tile_of(formula: Callable[..., Sequence[Any]], terms: int) -> Any:
    """The compiled loop over a tile: ``tile(table, place, given, found)``.

    Value i has its row of `table` (row, terms) where `place[i]` says, see `start_of_row`. ``formula(c, *given)`` takes
    the row and one number of each array given, and returns one number for each array of `found`. These may be arrays
    given, or `place`.
    """
    compiled = njit(**INNER)(formula)
    (rows, numbers, write), (row, number, write_one) = (_access(terms, kind) for kind in (LANES, types.float64))

    @njit(**INNER)
    def tile(table: Any, place: Any, given: Any, found: Any) -> None:
        whole = place.size - place.size % WIDTH
        for i in range(0, whole, WIDTH):
            write(found, i, compiled(rows(table, place, i), *numbers(given, i)))
        for i in range(whole, place.size):
            write_one(found, i, compiled(row(table, place, i), *number(given, i)))

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def start_of_row(typing: Any, row: Any, terms: Any) -> Any:
    """Where row + ROUND begins in a table of so many terms a row: a whole number, with its bits in a float."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row = builder.sub(builder.bitcast(arguments[0], _WHOLE), ir.Constant(_WHOLE, WHOLE))
        return builder.bitcast(builder.mul(row, arguments[1]), _FLOAT)

    return row(row, types.int64), code


def _access(terms: int, kind: Any) -> tuple[Any, Any, Any]:
    """Intrinsics that read rows, read numbers and write numbers from i on: eight of them, or one."""
    lanes = WIDTH if kind == LANES else 1

    @intrinsic  # type: ignore[untyped-decorator]
    def rows(typing: Any, table: Any, place: Any, i: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            of, places = (_start(context, builder, *array) for array in zip((table, place), arguments, strict=False))
            each = [_row(builder, of, places, arguments[2], lane) for lane in range(lanes)]
            return context.make_tuple(builder, signature.return_type, _columns(builder, each, terms))

        return types.UniTuple(kind, terms)(table, place, types.int64), code

    @intrinsic  # type: ignore[untyped-decorator]
    def numbers(typing: Any, arrays: Any, i: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = [_load(builder, pointer, lanes) for pointer in _places(context, builder, arrays, *arguments)]
            return context.make_tuple(builder, signature.return_type, found)

        return types.UniTuple(kind, len(arrays))(arrays, types.int64), code

    @intrinsic  # type: ignore[untyped-decorator]
    def write(typing: Any, arrays: Any, i: Any, values: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            for k, pointer in enumerate(_places(context, builder, arrays, *arguments[:2])):
                _store(builder, builder.extract_value(arguments[2], k), pointer)
            return context.get_dummy_value()

        return types.void(arrays, types.int64, values), code

    return rows, numbers, write


def _start(context: Any, builder: Any, array: Any, value: Any) -> Any:
    return context.make_array(array)(context, builder, value).data


def _places(context: Any, builder: Any, arrays: Any, values: Any, i: Any) -> list[Any]:
    """Entry i of each array."""
    each = ((array, builder.extract_value(values, k)) for k, array in enumerate(arrays))
    return [builder.gep(_start(context, builder, array, value), [i]) for array, value in each]


def _row(builder: Any, table: Any, places: Any, first: Any, lane: int) -> Any:
    """The row of one value."""
    pointer = builder.gep(places, [builder.add(first, ir.Constant(_WHOLE, lane))])
    return builder.gep(table, [builder.load(builder.bitcast(pointer, _WHOLE.as_pointer()))])


def _load(builder: Any, pointer: Any, lanes: int) -> Any:
    if lanes == 1:
        return builder.load(pointer)
    return builder.load(builder.bitcast(pointer, ir.VectorType(_FLOAT, lanes).as_pointer()), align=8)


def _store(builder: Any, numbers: Any, pointer: Any) -> None:
    builder.store(numbers, builder.bitcast(pointer, numbers.type.as_pointer()), align=8)


def _columns(builder: Any, rows: Sequence[Any], terms: int) -> list[Any]:
    """Coefficient by coefficient, those of all rows side by side; of eight rows at least four terms are read."""
    if len(rows) == 1:
        return [builder.load(builder.gep(rows[0], [ir.Constant(_WHOLE, k)])) for k in range(terms)]
    fours = [_four_columns(builder, rows, min(first, terms - _FOUR)) for first in range(0, terms, _FOUR)]
    return [column for four in fours[:-1] for column in four] + fours[-1][-(terms % _FOUR) :]


def _four_columns(builder: Any, rows: Sequence[Any], first: int) -> list[Any]:
    """Four columns of eight rows, by shuffles that processors have: halves are put side by side as they are read."""
    halves = [_load(builder, builder.gep(row, [ir.Constant(_WHOLE, first)]), _FOUR) for row in rows]
    pairs = [_shuffled(builder, halves[k], halves[k + 2], range(WIDTH)) for k in (0, 1, 4, 5)]
    columns: list[Any] = [None] * _FOUR
    for odd in range(2):
        mask = [k + odd + side * WIDTH for k in range(0, WIDTH, 2) for side in range(2)]
        low, high = (_shuffled(builder, pairs[k], pairs[k + 1], mask) for k in (0, 2))
        for k in range(2):
            mask = [2 * k + i + j + side * WIDTH for side in range(2) for i in (0, _FOUR) for j in range(2)]
            columns[2 * k + odd] = _shuffled(builder, low, high, mask)
    return columns


def _shuffled(builder: Any, one: Any, other: Any, mask: Iterable[int]) -> Any:
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_LANE, WIDTH), list(mask)))
