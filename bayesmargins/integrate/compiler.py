"""How numba compiles the functions of this package: without what none of them needs.

numba makes machine code of each function that it compiles, and puts what a function calls, optimised, into the function
to optimise all of it anew, floor by floor. Here that happens once, in what is called from outside, which alone has
machine code. A small body is optimised where it is put, and so is what takes numbers and pointers. By itself is
optimised a loop over arrays, which vectorises best, and a sum, whose order is then the same for all callers.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from numba import version_info
from numba.core.analysis import compute_cfg_from_blocks
from numba.core.cgutils import alloca_once
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.targetconfig import ConfigStack
from numba.core.typed_passes import NativeLowering
from numba.core.types import Function
from numba.core.typing import Context

__all__ = ["COMPILER"]

# Passes for what these functions do not have: closures, literals to unroll, `with`, raises, sums of whole arrays (which
# would only make arrays in between); notes of types.
_SPARED = {
    "AnnotateTypes",
    "DumpParforDiagnostics",
    "FindLiterallyCalls",
    "InlineClosureLikes",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation",
    "NopythonRewrites",
    "RewriteDynamicRaises",
    "RewriteSemanticConstants",
    "WithLifting",
}
# numba's own business, which it may change: with another than those tried, it compiles as it likes.
_TRIED = (0, 65), (0, 68)


class _Library(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function; `calls`: that of what it calls. `pasted`: into each caller, before that is optimised."""

    calls: Sequence[Any] = ()
    pasted = False
    _linking_libraries: list[Any]

    def finalize(self) -> None:
        self.calls, self._linking_libraries = self._linking_libraries, []
        self._reload_init.update(*(called._reload_init for called in self.calls))
        super().finalize()

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._final_module.data_layout  # the passes of the whole module do the rest

    def _optimize_final_module(self) -> None:
        from llvmlite.binding import create_pass_builder, create_pipeline_tuning_options  # those of old numba have none

        # To unroll loops took a twentieth of all compiling, and no loop ran faster for it.
        tuning = create_pipeline_tuning_options(speed_level=3)
        tuning.loop_vectorization, tuning.slp_vectorization, tuning.loop_unrolling = True, False, False
        builder = create_pass_builder(self._codegen._tm, tuning)
        passes = builder.getModulePassManager()
        passes.add_refprune_pass()  # where arrays are made: counts that cancel out
        passes.run(self._final_module, builder)


class _Part(_Library):
    """What only compiled code calls."""

    def _optimize_final_module(self) -> None:
        _link(self._final_module, [part for part in _needed(self) if getattr(part, "pasted", False)])
        super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def alone(self) -> Any:
        """Without what it needs."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> Any:
        module = self.alone().clone()
        _link(module, _needed(self))
        return module

    @property
    def codegen(self) -> Any:
        """What is told where the function's environment lies: see `set_env`."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Not without machine code."""


class _Body(_Part):
    """One that is optimised where it is put."""

    def _optimize_final_module(self) -> None:
        pass


class _Whole(_Library):
    """What is called from outside."""

    def _optimize_final_module(self) -> None:
        _link(self._final_module, _needed(self))
        super()._optimize_final_module()


def _needed(library: Any) -> list[Any]:
    """What a library calls, and what that calls: callers first, as the linker leaves out what nothing names yet.

    The order, and so the code, is the same whatever was compiled before.
    """
    found: dict[Any, None] = {}

    def visit(caller: Any) -> None:
        for called in getattr(caller, "calls", ()):
            if called not in found:
                visit(called)
        found[caller] = None

    visit(library)
    return list(found)[-2::-1]


def _link(module: Any, libraries: list[Any]) -> None:
    for library in libraries:
        own = library.alone() if isinstance(library, _Part) else library._get_module_for_linking()
        module.link_in(own, preserve=True)


class _Lower(Lower):  # type: ignore[misc]
    """Without the sizes of variables, for debuggers, and without looking for owners where a type has none."""

    def alloca_lltype(self, name: str, lltype: Any, datamodel: Any = None) -> Any:
        return alloca_once(self.builder, lltype, name=name, zfill=False)

    def incref(self, kind: Any, value: Any) -> None:
        if _owned(self.context.data_model_manager, kind):
            super().incref(kind, value)

    def decref(self, kind: Any, value: Any) -> None:
        if _owned(self.context.data_model_manager, kind):
            super().decref(kind, value)


@cache
def _owned(models: Any, kind: Any) -> bool:
    return bool(models[kind].contains_nrt_meminfo())


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):  # type: ignore[misc]
    _name = "lowering_of_parts"
    lowering_class = _Lower

    def run_pass(self, state: Any) -> Any:
        flags, loops = state.flags, compute_cfg_from_blocks(state.func_ir.blocks).loops()
        part, pasted = flags.no_cpython_wrapper and flags.no_cfunc_wrapper, flags.forceinline
        arrays = any(_owned(state.targetctx.data_model_manager, argument) for argument in state.args)
        apart = (arrays and (loops or not pasted)) or "reassoc" in flags.fastmath.flags
        kind = (_Part if apart else _Body) if part else _Whole
        state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.pasted = pasted
        state.library.enable_object_caching()
        return super().run_pass(state)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Compiling makes a few hundred thousand objects: a seventh of its time would go by looking for unused ones."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _Passes(PassManager):  # type: ignore[misc]
    """Without records of what each pass does, and how long."""

    def _runPass(self, index: int, each: Any, state: Any) -> None:
        each.analysis = self._analysis
        each.run_pass(state)


class _Typing(Context):  # type: ignore[misc]
    """numba's own, which looks for the meaning of an operation once for the same types, and not in each line."""

    known: dict[Any, Any]

    def resolve_function_type(self, function: Any, arguments: Any, keywords: Any) -> Any:
        function = self._lookup_global(function) or function
        asked = function, arguments, ConfigStack.top_or_none().nrt  # arrays are made only where they are counted
        if keywords or not isinstance(function, Function):
            return super().resolve_function_type(function, arguments, keywords)
        if asked not in self.known:
            self.known[asked] = super().resolve_function_type(function, arguments, keywords)
        return self.known[asked]


@cache
def _typing(numbas: Any) -> _Typing:
    typing = _Typing.__new__(_Typing)
    typing.__dict__ = numbas.__dict__
    typing.known = {}
    return typing


class _Compiler(CompilerBase):  # type: ignore[misc]
    def __init__(self, typing: Any, *others: Any) -> None:
        super().__init__(typing, *others)
        self.state.typingctx = _typing(typing)

    def define_pipelines(self) -> list[Any]:
        passes = _Passes("parts")
        for each, description in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if each.__name__ not in _SPARED:
                passes.add_pass(_Lowering if each is NativeLowering else each, description)
        passes.finalize()
        return [passes]

    def compile_extra(self, func: Any) -> Any:
        with _uncollected():  # under numba's lock: one thread compiles at a time
            return super().compile_extra(func)


def _compiler(version: tuple[int, ...]) -> Any:
    """What compiles the package's functions, for a version of numba."""
    oldest, newest = _TRIED
    return _Compiler if oldest <= version[:2] <= newest else Compiler


COMPILER: Any = _compiler(version_info.short)
