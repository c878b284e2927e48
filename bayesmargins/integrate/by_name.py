"""Compiled functions that others call by a name or by an address: compiled once, and not again within each caller.

numba puts the code of what a function calls into the function, and optimises all of it anew at each floor: ten seconds
for three floors above a loop of two. These calls pass one pointer, to all arguments. A name is known to what is
compiled for it; an address is a number, so that one compiled function serves all families that hand it theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from types import FunctionType
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bayesmargins.integrate.compiled import OPTIONS, SUM, c_function, digest

__all__ = ["Named", "address_of", "by_name", "caller", "taken", "with_globals"]

_CODE = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])


@dataclass(frozen=True)
class Named:
    """A compiled function: its name, and what keeps its code."""

    name: str
    compiled: Any


def _loads(kind: Any) -> Any:
    """What reads a value of this type from an address."""

    @intrinsic  # type: ignore[untyped-decorator]
    def loaded(typing: Any, address: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.load(builder.bitcast(arguments[0], context.get_value_type(kind).as_pointer()))
            context.nrt.incref(builder, kind, value)  # the caller goes on to own it
            return value

        return kind(types.voidptr), code

    return loaded


# What a function's first line takes its arguments from; each has its own: see `by_name`.
taken: Any = None


def with_globals(function: Callable[..., None], label: str, own: dict[str, Any]) -> Any:
    """A copy with globals of its own, in place of a closure.

    numba looks at the contents of a closure to find a function on disk, and those of another process never look the
    same.
    """
    copy = FunctionType(function.__code__, own, label)
    copy.__qualname__ = label
    return copy


@cache
def by_name(function: Callable[..., None], arguments: tuple[Any, ...], reordered: bool = False) -> Named:
    """The function for arguments of these types, to be called with a pointer to a tuple of them; it returns nothing.

    It takes the pointer and begins by reading its arguments: ``x, y = taken(asked)``. `reordered`: its sums may be
    taken in any order. Who puts code on disk that has the name calls this before that code is found there.
    """
    kind = types.Tuple(arguments)
    label = f"{function.__name__}_{sha256(str(kind).encode()).hexdigest()[:12]}"
    own = with_globals(function, label, {**function.__globals__, "taken": _loads(kind)})
    compiled = c_function(types.void(types.voidptr), own, SUM if reordered else OPTIONS)
    name = f"bayesmargins_{label}_{digest()}"
    llvmlite.binding.add_symbol(name, compiled.address)
    return Named(name, compiled)


def address_of(name: str) -> Any:
    """What gives the address of a function of this name, in compiled code."""

    @intrinsic  # type: ignore[untyped-decorator]
    def address(typing: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ptrtoint(cgutils.get_or_insert_function(builder.module, _CODE, name), ir.IntType(64))

        return types.int64(), code

    return address


def caller(*kinds: Any) -> Any:
    """What calls the function at an address with a tuple of these types, in compiled code."""
    kind = types.Tuple(kinds)

    @intrinsic  # type: ignore[untyped-decorator]
    def call(typing: Any, address: Any, values: Any) -> Any:
        if tuple(types.unliteral(v) for v in values) != tuple(kind):
            return None

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            there = cgutils.alloca_once_value(builder, arguments[1])
            function = builder.inttoptr(arguments[0], _CODE.as_pointer())
            builder.call(function, [builder.bitcast(there, ir.IntType(8).as_pointer())])
            return context.get_dummy_value()

        return types.void(types.int64, kind), code

    return call
