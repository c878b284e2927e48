"""Formulas of a table's rows for eight values at a time.

A value needs one row of coefficients, and its neighbour another. Compilers read such rows number by number; here eight
rows are read whole and turned into columns, and then one multiplication serves eight values. That takes a third of the
time. A formula is plain arithmetic and written once: traced for eight values, and for one where fewer are left, it
gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.vector_math import WHOLE

__all__ = ["start_of_row", "tile_of"]

_FOUR, _EIGHT = 4, 8
_CONTRACT = ("contract",)
_FLOAT, _WHOLE, _LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)


def tile_of(formula: Callable[..., Sequence[Any]], terms: int) -> Any:
    """The compiled loop over a tile: ``tile(table, place, given, found)``.

    Value i has its row of `table` (row, terms) where `place[i]` says, see `start_of_row`. ``formula(c, *given)`` takes
    the row and one number of each array given, and returns one number for each array of `found`. These may be arrays
    given, or `place`.
    """
    eight, one = (_formula_of(formula, terms, lanes) for lanes in (_EIGHT, 1))

    @njit(**INNER)
    def tile(table: Any, place: Any, given: Any, found: Any) -> None:
        whole = place.size - place.size % _EIGHT
        for i in range(0, whole, _EIGHT):
            eight(table, i, place, given, found)
        for i in range(whole, place.size):
            one(table, i, place, given, found)

    return tile


@intrinsic  # type: ignore[untyped-decorator]
def start_of_row(typing: Any, row: Any, terms: Any) -> Any:
    """Where row + ROUND begins in a table of so many terms a row: a whole number, with its bits in a float."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row = builder.sub(builder.bitcast(arguments[0], _WHOLE), ir.Constant(_WHOLE, WHOLE))
        return builder.bitcast(builder.mul(row, arguments[1]), _FLOAT)

    return row(row, types.int64), code


def _formula_of(formula: Callable[..., Sequence[Any]], terms: int, lanes: int) -> Any:
    """The formula of so many values, from i on."""

    @intrinsic  # type: ignore[untyped-decorator]
    def values(typing: Any, table: Any, i: Any, place: Any, given: Any, found: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def start(array: Any, value: Any) -> Any:
                return context.make_array(array)(context, builder, value).data

            def starts(arrays: Any, value: Any) -> list[Any]:
                return [start(array, builder.extract_value(value, k)) for k, array in enumerate(arrays)]

            of, first, places = start(table, arguments[0]), arguments[1], start(place, arguments[2])
            rows = [_row(builder, of, places, first, lane) for lane in range(lanes)]
            at = [builder.gep(pointer, [first]) for pointer in starts(given, arguments[3])]
            numbers = [_Lanes(builder, _load(builder, pointer, lanes)) for pointer in at]
            answers = formula([_Lanes(builder, c) for c in _columns(builder, rows, terms)], *numbers)
            for answer, pointer in zip(answers, starts(found, arguments[4]), strict=True):
                _store(builder, answer.of, builder.gep(pointer, [first]))
            return context.get_dummy_value()

        return types.void(table, types.int64, place, given, found), code

    return values


class _Lanes:
    """Numbers side by side, as a formula sees them."""

    def __init__(self, builder: Any, of: Any) -> None:
        self.builder, self.of = builder, of

    def __add__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fadd(self.of, self._alike(other), flags=_CONTRACT))

    def __mul__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fmul(self.of, self._alike(other), flags=_CONTRACT))

    __radd__, __rmul__ = __add__, __mul__

    def _alike(self, other: Any) -> Any:
        if isinstance(other, _Lanes):
            return other.of
        kind = self.of.type
        return ir.Constant(kind, [float(other)] * _EIGHT if isinstance(kind, ir.VectorType) else float(other))


def _row(builder: Any, table: Any, places: Any, first: Any, lane: int) -> Any:
    """The row of one value."""
    pointer = builder.gep(places, [builder.add(first, ir.Constant(_WHOLE, lane))])
    return builder.gep(table, [builder.load(builder.bitcast(pointer, _WHOLE.as_pointer()))])


def _load(builder: Any, pointer: Any, lanes: int) -> Any:
    if lanes == 1:
        return builder.load(pointer)
    numbers = builder.load(builder.bitcast(pointer, ir.VectorType(_FLOAT, lanes).as_pointer()))
    numbers.align = 8
    return numbers


def _store(builder: Any, numbers: Any, pointer: Any) -> None:
    builder.store(numbers, builder.bitcast(pointer, numbers.type.as_pointer())).align = 8


def _columns(builder: Any, rows: Sequence[Any], terms: int) -> list[Any]:
    """Coefficient by coefficient, those of all rows side by side; of eight rows at least four terms are read."""
    if len(rows) == 1:
        return [builder.load(builder.gep(rows[0], [ir.Constant(_WHOLE, k)])) for k in range(terms)]
    fours = [_four_columns(builder, rows, min(first, terms - _FOUR)) for first in range(0, terms, _FOUR)]
    return [column for four in fours[:-1] for column in four] + fours[-1][-(terms % _FOUR) :]


def _four_columns(builder: Any, rows: Sequence[Any], first: int) -> list[Any]:
    """Four columns of eight rows, by shuffles that processors have: halves are put side by side as they are read."""
    halves = [_load(builder, builder.gep(row, [ir.Constant(_WHOLE, first)]), _FOUR) for row in rows]
    pairs = [_shuffled(builder, halves[k], halves[k + 2], range(_EIGHT)) for k in (0, 1, 4, 5)]
    columns: list[Any] = [None] * _FOUR
    for odd in range(2):
        mask = [k + odd + side * _EIGHT for k in range(0, _EIGHT, 2) for side in range(2)]
        low, high = (_shuffled(builder, pairs[k], pairs[k + 1], mask) for k in (0, 2))
        for k in range(2):
            mask = [2 * k + i + j + side * _EIGHT for side in range(2) for i in (0, _FOUR) for j in range(2)]
            columns[2 * k + odd] = _shuffled(builder, low, high, mask)
    return columns


def _shuffled(builder: Any, one: Any, other: Any, mask: Iterable[int]) -> Any:
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_LANE, _EIGHT), list(mask)))
