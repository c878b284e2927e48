"""Eight numbers as one value of compiled code, added and multiplied at once.

Compilers find out by themselves that a loop may take several numbers at once, if nothing in it may overlap and there
are enough of them. Here it is said: code for one number is code for eight, and nothing is tested before it runs.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

from bayesmargins.integrate.group_tasks import WIDTH
from bayesmargins.integrate.pointers import FLOATS

__all__ = ["EIGHT", "VECTOR", "if_less", "lanes_at", "lanes_of", "larger", "root", "set_lanes", "size_of"]

_DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(_DOUBLE, WIDTH)


class _Lanes(types.Type):  # type: ignore[misc]
    """The type; a number stands for eight that are the same."""

    def __init__(self) -> None:
        super().__init__(name=f"lanes{WIDTH}")

    def can_convert_from(self, typing: Any, other: Any) -> Any:
        return Conversion.safe if isinstance(other, types.Float) else None


EIGHT = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, VECTOR)


def _same(builder: Any, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), everywhere)


@lower_cast(types.Float, _Lanes)  # type: ignore[untyped-decorator]
def _cast(context: Any, builder: Any, before: Any, after: Any, number: Any) -> Any:
    return _same(builder, number)


def _define(operation: Any, code: str) -> None:
    """The operation of eight numbers with eight, or with one."""

    class Typed(AbstractTemplate):  # type: ignore[misc]
        def generic(self, arguments: Any, keywords: Any) -> Any:
            known = len(arguments) == 2 and all(a == EIGHT or isinstance(a, types.Float) for a in arguments)
            return signature(EIGHT, EIGHT, EIGHT) if known and EIGHT in arguments else None

    infer_global(operation)(Typed)

    @lower_builtin(operation, EIGHT, EIGHT)  # type: ignore[untyped-decorator]
    def _(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, code)(*arguments, flags=("contract",))


for _operation, _code in {
    operator.add: "fadd",
    operator.iadd: "fadd",
    operator.sub: "fsub",
    operator.isub: "fsub",
    operator.mul: "fmul",
    operator.imul: "fmul",
    operator.truediv: "fdiv",
    operator.itruediv: "fdiv",
}.items():
    _define(_operation, _code)


@intrinsic  # type: ignore[untyped-decorator]
def lanes_of(typing: Any, number: Any) -> Any:
    """The same number eight times."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _same(builder, arguments[0])

    return EIGHT(types.float64), code


def _place(builder: Any, pointer: Any, k: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [k]), VECTOR.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def lanes_at(typing: Any, pointer: Any, k: Any) -> Any:
    """The eight numbers that begin at entry k."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(builder, *arguments), align=8)

    return EIGHT(FLOATS, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def set_lanes(typing: Any, pointer: Any, k: Any, numbers: Any) -> Any:
    """To eight entries from k on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _place(builder, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(FLOATS, types.int64, EIGHT), code


@intrinsic  # type: ignore[untyped-decorator]
def if_less(typing: Any, a: Any, b: Any, numbers: Any) -> Any:
    """The numbers where a < b, 0 elsewhere."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        less = builder.fcmp_ordered("<", *arguments[:2])
        return builder.select(less, arguments[2], ir.Constant(VECTOR, [0.0] * WIDTH))

    return EIGHT(EIGHT, EIGHT, EIGHT), code


@intrinsic  # type: ignore[untyped-decorator]
def larger(typing: Any, a: Any, b: Any) -> Any:
    """Of two numbers each; b where a is none."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return EIGHT(EIGHT, EIGHT), code


def _function(name: str) -> Any:
    """What calls a function of a number that LLVM has for several."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{WIDTH}f64"), arguments)

    return code


@intrinsic  # type: ignore[untyped-decorator]
def root(typing: Any, x: Any) -> Any:
    """Square roots."""
    return EIGHT(EIGHT), _function("llvm.sqrt")


@intrinsic  # type: ignore[untyped-decorator]
def size_of(typing: Any, x: Any) -> Any:
    """Absolute values."""
    return EIGHT(EIGHT), _function("llvm.fabs")
