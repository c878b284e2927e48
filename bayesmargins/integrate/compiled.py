"""How kernels are compiled, and when what is kept of them on disk is out of date.

numba keeps a compiled function until the file that defines it changes. A kernel has more than its own file in it: what
it calls, and the types that it reads. Here it is kept until any file of the package's compiled code changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile
from numba.core.ccallback import CFunc

from bayesmargins.integrate.compiler import COMPILER

__all__ = [
    "APART",
    "INNER",
    "INNER_SUM",
    "MEMORY",
    "OPTIONS",
    "SUM",
    "c_function",
    "digest",
    "kernel",
    "kernel_with_memory",
]

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # a test for zero before each division would stop vectorisation
    "fastmath": {"contract"},
    "forceinline": False,  # else as what called it first, and code would depend on what was compiled before
    "pipeline_class": COMPILER,
    # Slices of an array that somebody else keeps are not counted: in loops over tiles that took a sixth of the time.
    "_nrt": False,
}
MEMORY: dict[str, Any] = {"_nrt": True}  # for what makes arrays or memory of its own, as numba finds out: it says so
CALLED: dict[str, Any] = {**OPTIONS, "no_cfunc_wrapper": True}  # from Python
# For what is called from compiled code only. Either a small body is put into its callers before they are compiled,
# which is quickest to compile, or a loop is compiled by itself, which vectorises best, and then put into them.
PASTED: dict[str, Any] = {**OPTIONS, "inline": "always"}
APART: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Sums may be taken in any order: the processor's own is several times faster, and always the same.
SUM: dict[str, Any] = {**APART, "fastmath": {"contract", "reassoc"}}
INNER: dict[str, Any] = {**OPTIONS, "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INNER_SUM: dict[str, Any] = {**INNER, "fastmath": {"contract", "reassoc"}}


def kernel(function: Callable[..., Any], options: dict[str, Any] = CALLED) -> Callable[..., Any]:
    """Compile a function when it is first called, or find it on disk; `in_threads` gives it a range of tasks first."""
    try:
        compiled: Any = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that may be written to
        return njit(**options)(function)
    _keep_until_any_file_changes(compiled)
    return compiled


def kernel_with_memory(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a function that makes arrays of its own."""
    return kernel(function, CALLED | MEMORY)


def c_function(signature: Any, function: Callable[..., None], options: dict[str, Any] = OPTIONS) -> Any:
    """The same as a function of C, compiled now: with ``address`` and ``ctypes``."""
    own = {name: option for name, option in (options | MEMORY).items() if name != "pipeline_class"}
    types = signature.args, signature.return_type
    compiled = CFunc(function, types, locals={}, options=own, pipeline_class=COMPILER)
    try:
        compiled.enable_caching()
        _keep_until_any_file_changes(compiled)
    except RuntimeError:  # no folder that may be written to
        pass
    compiled.compile()
    return compiled


def _keep_until_any_file_changes(compiled: Any) -> None:
    try:
        cache = compiled._cache
        name, path = cache._impl.filename_base, cache._cache_path
    except AttributeError:  # numba's own business, which it may change: then its own rule holds
        return
    cache._cache_file = IndexDataCacheFile(path, f"{name}.{digest()}", digest())


@lru_cache(maxsize=1)
def digest() -> str:
    """Of all files with compiled code in them."""
    package = Path(__file__).parent.parent
    files = sorted(file for of in ("family", "integrate", "evaluate") for file in package.glob(f"{of}/**/*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
