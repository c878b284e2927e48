"""Pointers in place of arrays in compiled loops: one number each, where an array is seven.

What takes longest to compile is no arithmetic. It is arrays handed from function to function, a field at a time, their
entries found by strides, counted from either end, and their owners kept alive: nine tenths of all that is compiled.
Nobody owns what a pointer points to, so the outermost function keeps the arrays, and ends with `keep`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["FLOATS", "INTEGERS", "after", "as_integers", "keep", "leave", "room_for", "start_of"]

FLOATS, INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)


@intrinsic  # type: ignore[untyped-decorator]
def after(typing: Any, pointer: Any, n: Any) -> Any:
    """To the entry n further on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def as_integers(typing: Any, pointer: Any) -> Any:
    """The same memory, for whole numbers."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64).as_pointer())

    return INTEGERS(pointer), code


@intrinsic  # type: ignore[untyped-decorator]
def start_of(typing: Any, array: Any) -> Any:
    """To the first entry of an array whose entries lie one after the other."""
    if array.layout != "C":
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), code


@intrinsic  # type: ignore[untyped-decorator]
def keep(typing: Any, array: Any) -> Any:
    """Up to here the array is needed: numba frees what no later line names."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_dummy_value()

    return types.void(array), code


@intrinsic  # type: ignore[untyped-decorator]
def room_for(typing: Any, n: Any) -> Any:
    """Memory for n numbers, which `leave` gives back: an array's would be typed, counted and looked after."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size = builder.mul(arguments[0], ir.Constant(arguments[0].type, 8))
        return builder.bitcast(context.nrt.allocate(builder, size), context.get_value_type(FLOATS))

    return FLOATS(types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def leave(typing: Any, pointer: Any) -> Any:
    """What `room_for` gave is needed up to here."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        context.nrt.free(builder, builder.bitcast(arguments[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(FLOATS), code
