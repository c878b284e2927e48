"""Compiled functions that others call by a name: compiled once, and not again within each caller.

numba puts the code of what a function calls into the function, and optimises all of it anew at each floor: ten seconds
for three floors above a loop of two. A call by name passes one pointer, to all arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from types import FunctionType
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from bayesmargins.integrate.compiled import APART, INNER, SUM, c_function, digest

__all__ = ["by_name", "named"]


@intrinsic  # type: ignore[untyped-decorator]
def _address(typing: Any, value: Any) -> Any:
    def stored(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(cgutils.alloca_once_value(builder, arguments[0]), ir.IntType(8).as_pointer())

    return types.voidptr(value), stored


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


# Each function has its own: see `by_name`.
_function: Any = None
_load: Any = None


def _run(address: Any) -> None:
    _function(*_load(address))


@cache
def by_name(function: Callable[..., None], arguments: tuple[Any, ...], reordered: bool = False) -> Any:
    """The function for arguments of these types, to be called with a tuple of them; it returns nothing.

    `reordered`: its sums may be taken in any order.
    """
    kind = types.Tuple(tuple(types.unliteral(a) for a in arguments))
    options = SUM if reordered else APART
    label = f"{function.__name__}_{sha256(str(kind).encode()).hexdigest()[:12]}"
    # Globals in place of a closure, whose contents numba would look at to find the function on disk: those of another
    # process never look the same.
    own = {**globals(), "_function": njit(**options)(function), "_load": _loads(kind)}
    run = FunctionType(_run.__code__, own, label)
    run.__qualname__ = label
    signature = types.void(types.voidptr)
    compiled = c_function(signature, run)
    name = f"bayesmargins_{label}_{digest()}"
    llvmlite.binding.add_symbol(name, compiled.address)
    outer: Any = types.ExternalFunction(name, signature)

    @njit(**INNER)
    def call(values: Any) -> None:
        outer(_address(values))

    call._keep = compiled
    return call


def named(function: Callable[..., None], reordered: bool = False) -> Callable[..., None]:
    """What compiled code calls in place of the function: it is called by its name, with these arguments.

    Who puts such code on disk makes sure by `by_name` that the name is known where it is found there.
    """

    def stand_in(*arguments: Any) -> None:
        raise TypeError("Compiled code calls this.")

    @overload(stand_in, strict=False, jit_options=INNER)
    def _stand_in(*arguments: Any) -> Any:
        call = by_name(function, tuple(arguments), reordered)
        return lambda *arguments: call(arguments)

    stand_in.__doc__ = function.__doc__
    return stand_in
