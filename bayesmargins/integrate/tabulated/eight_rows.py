"""Formulas of a table's rows for eight values at a time.

A value needs one row of coefficients, and its neighbour another. Compilers read such rows number by number; here eight
rows are read whole and turned into columns, and then one multiplication serves eight values. That takes a third of the
time. A formula is plain code for `lanes`. Where fewer than eight values are left, the last of them fills up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.group_tasks import WIDTH
from bayesmargins.integrate.lanes import EIGHT, VECTOR
from bayesmargins.integrate.vector_math import WHOLE

__all__ = ["start_of_row", "tile_of", "times", "whole_bits", "whole_number", "within"]

_FLOAT, _WHOLE, _LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)


def tile_of(formula: Callable[..., Sequence[Any]]) -> Any:
    """The compiled loop over a tile: ``tile(table, place, given, found)``.

    Value i has its row of `table` (row, 8) where `place[i]` says, see `start_of_row`. ``formula(c, *given)`` takes
    the row and one number of each array given, and returns one number for each array of `found`. These may be arrays
    given, or `place`.
    """
    compiled = njit(**INNER)(formula)
    (rows, numbers, write), (few_rows, few_numbers, write_few) = _access(few=False), _access(few=True)

    @njit(**INNER)
    def tile(table: Any, place: Any, given: Any, found: Any) -> None:
        last, whole = place.size - 1, place.size - place.size % WIDTH
        for i in range(0, whole, WIDTH):
            write(found, i, last, compiled(rows(table, place, i, last), *numbers(given, i, last)))
        if whole <= last:
            values = compiled(few_rows(table, place, whole, last), *few_numbers(given, whole, last))
            write_few(found, whole, last, values)

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def start_of_row(typing: Any, row: Any) -> Any:
    """Where a row begins in a table of eight terms a row: a whole number, with its bits in a float."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(builder.mul(arguments[0], _whole(WIDTH)), _FLOAT)

    return types.float64(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def whole_number(typing: Any, t: Any) -> Any:
    """The whole number of t = number + `ROUND`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sub(builder.bitcast(arguments[0], _WHOLE), _whole(WHOLE))

    return types.int64(types.float64), code


@intrinsic  # type: ignore[untyped-decorator]
def whole_bits(typing: Any, y: Any, without: Any) -> Any:
    """The whole number that the bits of a float are without the last ones."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.lshr(builder.bitcast(arguments[0], _WHOLE), arguments[1])

    return types.int64(types.float64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def within(typing: Any, k: Any, count: Any) -> Any:
    """k where it is one of 0, ..., count - 1, and count elsewhere."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_unsigned("<", *arguments), *arguments)

    return types.int64(types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def times(typing: Any, j: Any, k: Any) -> Any:
    """j k for whole numbers below 2^32: most processors multiply larger ones one by one."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.mul(*(builder.and_(k, _whole(0xFFFFFFFF)) for k in arguments))

    return types.int64(types.int64, types.int64), code


def _whole(number: int) -> Any:
    return ir.Constant(_WHOLE, number)


def _access(*, few: bool) -> tuple[Any, Any, Any]:
    """Intrinsics that read rows, read numbers, write numbers: of eight entries from i on, or up to the last."""

    def entries(builder: Any, i: Any, last: Any) -> list[Any]:
        each = [builder.add(i, _whole(lane)) for lane in range(WIDTH)]
        return [builder.select(builder.icmp_signed("<", k, last), k, last) for k in each] if few else each

    def at(context: Any, builder: Any, arrays: Any, values: Any, i: Any, last: Any) -> list[Any]:
        """Of each array, where the entries are."""
        each = entries(builder, i, last) if few else [i]
        starts = (_start(context, builder, of, builder.extract_value(values, k)) for k, of in enumerate(arrays))
        return [[builder.gep(start, [entry]) for entry in each] for start in starts]

    @intrinsic  # type: ignore[untyped-decorator]
    def rows(typing: Any, table: Any, place: Any, i: Any, last: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            of, places = (_start(context, builder, *array) for array in zip((table, place), arguments, strict=False))
            each = [_row(builder, of, builder.gep(places, [k])) for k in entries(builder, *arguments[2:])]
            return context.make_tuple(builder, signature.return_type, _columns(builder, each))

        return types.UniTuple(EIGHT, WIDTH)(table, place, types.int64, types.int64), code

    @intrinsic  # type: ignore[untyped-decorator]
    def numbers(typing: Any, arrays: Any, i: Any, last: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = [_load(builder, pointers) for pointers in at(context, builder, arrays, *arguments)]
            return context.make_tuple(builder, signature.return_type, found)

        return types.UniTuple(EIGHT, len(arrays))(arrays, types.int64, types.int64), code

    @intrinsic  # type: ignore[untyped-decorator]
    def write(typing: Any, arrays: Any, i: Any, last: Any, values: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            for k, pointers in enumerate(at(context, builder, arrays, *arguments[:3])):
                _store(builder, builder.extract_value(arguments[3], k), pointers)
            return context.get_dummy_value()

        return types.void(arrays, types.int64, types.int64, values), code

    return rows, numbers, write


def _start(context: Any, builder: Any, array: Any, value: Any) -> Any:
    return context.make_array(array)(context, builder, value).data


def _row(builder: Any, table: Any, place: Any) -> Any:
    """The row of one value."""
    return builder.gep(table, [builder.load(builder.bitcast(place, _WHOLE.as_pointer()))])


def _load(builder: Any, pointers: Sequence[Any]) -> Any:
    """Eight numbers from where the first is, or each from its place."""
    if len(pointers) == 1:
        return _side_by_side(builder, pointers[0])
    numbers = ir.Constant(VECTOR, ir.Undefined)
    for lane, pointer in enumerate(pointers):
        numbers = builder.insert_element(numbers, builder.load(pointer), ir.Constant(_LANE, lane))
    return numbers


def _store(builder: Any, numbers: Any, pointers: Sequence[Any]) -> None:
    if len(pointers) == 1:
        builder.store(numbers, builder.bitcast(pointers[0], VECTOR.as_pointer()), align=8)
        return
    for lane, pointer in enumerate(pointers):
        builder.store(builder.extract_element(numbers, ir.Constant(_LANE, lane)), pointer)


def _side_by_side(builder: Any, pointer: Any) -> Any:
    return builder.load(builder.bitcast(pointer, VECTOR.as_pointer()), align=8)


def _columns(builder: Any, rows: Sequence[Any]) -> list[Any]:
    """Coefficient by coefficient, those of eight rows side by side: pairs are swapped, then quarters of these.

    Rows are read whole: processors read two such lines at a time, or two halves of them.
    """
    whole = [_side_by_side(builder, row) for row in rows]
    columns: list[Any] = [None] * WIDTH
    for odd in range(2):
        mask = [k + odd + side * WIDTH for k in range(0, WIDTH, 2) for side in range(2)]
        pairs = [_shuffled(builder, whole[k], whole[k + 1], mask) for k in range(0, WIDTH, 2)]
        for second in range(2):
            low, high = (_quarters(builder, pairs[k], pairs[k + 1], second) for k in (0, 2))
            for half in range(2):
                columns[odd + 2 * second + 4 * half] = _quarters(builder, low, high, half)
    return columns


def _quarters(builder: Any, one: Any, other: Any, odd: int) -> Any:
    """The even, or odd, quarters of two vectors."""
    return _shuffled(builder, one, other, [2 * odd + 4 * k + j for k in range(4) for j in range(2)])


def _shuffled(builder: Any, one: Any, other: Any, mask: Iterable[int]) -> Any:
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_LANE, WIDTH), list(mask)))
