"""Models compiled for nutpie: once each, and without what its wrappers make the compiler do needlessly."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

__all__ = ["compiled"]

_ARGUMENTS = 5  # of either C function
_LOCK = threading.Lock()
_KNOWN: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()


def compiled(model: Any) -> Any:
    """The model for nutpie; compiled again only where variables or potentials have joined it since."""
    import nutpie

    with _LOCK:
        parts = (*model.named_vars.values(), *model.potentials)
        before, found = _KNOWN.get(model, ((), None))
        if found is None or len(before) != len(parts) or any(a is not b for a, b in zip(before, parts, strict=True)):
            with _quick_wrappers():
                found = _without_commas(nutpie.compile_pymc_model(model))
            if not found.shared_data:  # whose values may change
                _KNOWN[model] = (parts, found)
        return found


def _without_commas(made: Any) -> Any:
    """Dimensions whose names have a comma, as a user's level or column may, get others.

    nutpie joins the names of a variable's dimensions by commas, and takes them apart after the draws.
    """
    dims, sizes = dict(made.dims or {}), dict[str, np.ndarray]()
    for k, (name, shape) in enumerate(made.shapes.items()):
        if any("," in dim for dim in dims.get(name, (name,))):
            own = {f"dim_{k}_{axis}": np.arange(n) for axis, n in enumerate(shape)}
            dims[name], sizes = tuple(own), sizes | own
    return replace(made, dims=dims, _coords={**made.coords, **sizes}) if sizes else made


@contextmanager
def _quick_wrappers() -> Iterator[None]:
    """nutpie's two C functions copy arrays by loops while this lasts.

    Theirs copy by assignment, and numba compiles the message of an assignment whose shapes do not fit: half the time
    that a model takes which is on disk already. What nutpie no longer calls by these names stays as it is.
    """
    from nutpie import compile_pymc

    names: dict[str, Any] = {"_make_c_logp_func": _density, "_make_c_expand_func": _expansion}
    theirs = {name: getattr(compile_pymc, name, None) for name in names}
    if not all(map(callable, theirs.values())):
        yield
        return
    for name, quick in names.items():
        setattr(compile_pymc, name, _instead(theirs[name], quick))
    try:
        yield
    finally:
        for name, function in theirs.items():
            setattr(compile_pymc, name, function)


def _instead(theirs: Any, quick: Any) -> Callable[..., Any]:
    """Their signature; their function too where data are shared, which it unpacks, or its arguments are others now."""

    def made(*sizes_function_data: Any) -> tuple[Any, Any]:
        function, signature = theirs(*sizes_function_data)
        *own, _, _, shared = sizes_function_data
        same = len(own) == quick.__code__.co_argcount and len(signature.args) == _ARGUMENTS
        return (quick(*own) if same and not shared else function), signature

    return made


def _density(n: int, log_density: Any) -> Any:
    """x (n,) -> log density and gradient, with nutpie's codes for what is not finite."""
    import numba

    def density(size: Any, x_: Any, out_: Any, value_: Any, data_: Any) -> int:
        if size != n:
            return -1
        try:
            out, value = numba.carray(out_, (n,)), numba.carray(value_, ())
            found, gradient = log_density(numba.carray(x_, (n,)))
            value[()] = found
            finite = True
            for k in range(n):
                out[k] = gradient[k]
                finite = finite and np.isfinite(gradient[k])
            if not finite:
                return 3
            if not np.isfinite(value[()]):
                return 4
        except Exception:
            return 1
        return 0

    return density


def _expansion(n: int, expanded: int, expand: Any) -> Any:
    """x (n,) -> every variable that is kept, one after the other: (expanded,)."""
    import numba

    def expansion(size: Any, larger: Any, x_: Any, out_: Any, data_: Any) -> int:
        if size != n or larger != expanded:
            return -1
        try:
            out = numba.carray(out_, (expanded,))
            (values,) = expand(numba.carray(x_, (n,)))
            for k in range(expanded):
                out[k] = values[k]
        except Exception:
            return -2
        return 0

    return expansion
