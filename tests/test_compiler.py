"""How functions are compiled: what they give, and what they leave behind, is that of numba's own compiler."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numba import njit
from numba.core.compiler import Compiler
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys

import bayesmargins as bm
from bayesmargins.integrate.compiled import APART, INNER, MEMORY, OPTIONS, SUM
from bayesmargins.integrate.compiler import COMPILER, _compiler
from bayesmargins.integrate.vector_math import vector_exp

X = np.linspace(-2.0, 2.0, 13)


def chain(compiler: Any = COMPILER) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A loop that calls a body, which calls another; and a sum that calls nothing. Both are made anew each time."""
    own = {"pipeline_class": compiler}

    @njit(**INNER | own)
    def squared(x: float) -> float:
        return x * x

    @njit(**INNER | own)
    def body(x: float) -> float:
        return vector_exp(x) + squared(x)

    @njit(**SUM | own)
    def total(x: Any) -> float:
        found = 0.0
        for i in range(x.size):
            found += x[i]
        return found

    @njit(**APART | own)
    def loop(x: Any) -> float:
        found = total(x)
        for i in range(x.size):
            found += body(x[i])
        return found

    return loop, total


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["numba's own compiler", "the package's"])
def test_parts_are_whole_in_what_calls_them(options: dict[str, Any]) -> None:
    loop, total = chain()

    @njit(**options)
    def asked(x: Any) -> float:
        return loop(x) - total(x)

    assert asked(X) == pytest.approx(math.fsum(np.exp(X) + X**2), rel=1e-14)


def test_a_numba_that_was_not_tried_compiles_as_it_likes() -> None:
    assert [_compiler(version) for version in ((0, 60), (0, 64, 9), (0, 69), (1, 0))] == [Compiler] * 4
    assert _compiler((0, 65, 1)) is _compiler((0, 68)) is not Compiler


@pytest.mark.skipif(COMPILER is Compiler, reason="this numba was not tried")
def test_both_ways_of_compiling_give_the_same() -> None:
    values = []
    for compiler in (_compiler((0, 60)), _compiler((0, 68))):
        loop, _ = chain(compiler)
        asked = njit(**OPTIONS | {"pipeline_class": compiler})(lambda x, loop=loop: loop(x))
        values.append(asked(X))
    assert values[0] == pytest.approx(values[1], rel=1e-14)


def test_a_function_is_compiled_alike_whatever_calls_it_first() -> None:
    def code_after(options: dict[str, Any]) -> str:
        _, total = chain()

        @njit(**options)
        def first(x: Any) -> float:
            return total(x)

        njit(**OPTIONS)(lambda x: first(x))(X)
        (signature,) = total.signatures  # type: ignore[attr-defined]
        code: str = total.inspect_llvm(signature)  # type: ignore[attr-defined]
        return code

    assert "alwaysinline" not in code_after(INNER)
    assert code_after(INNER).count("fadd") == code_after(APART).count("fadd") > 0


def test_unused_objects_are_looked_for_again_after_compiling() -> None:
    assert gc.isenabled()
    assert njit(**OPTIONS)(lambda x: x + 1.0)(1.0) == 2.0
    assert gc.isenabled()
    with pytest.raises(TypingError):
        njit(**OPTIONS)(lambda x: x + "one")(1.0)
    assert gc.isenabled()
    gc.disable()
    try:
        njit(**OPTIONS)(lambda x: x + 2.0)(1.0)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_function_that_makes_arrays_says_so() -> None:
    def size(n: int) -> int:
        return np.empty(n).size

    assert njit(**OPTIONS | MEMORY)(size)(3) == 3
    with pytest.raises(TypingError, match="Only accept returning of array passed"):  # though one was made before
        njit(**OPTIONS)(size)(3)


def asked(family: str, rows: int, groups: str) -> Callable[[], Any]:
    """What takes kernels that make arrays: with many rows tables, with few sums node by node."""
    rng, draws, K = np.random.default_rng(1), 4, 2 if family == "categorical" else 1
    y = pd.Series(np.arange(rows) % (K + 1))
    data = pd.DataFrame({"x": rng.normal(size=rows), "g": np.arange(rows) % 6, "y": y.astype(str) if K == 2 else y})
    beta, b = rng.normal(size=(1, draws, K, 2)), {"g": rng.normal(size=(1, draws, K, 6, 1))}
    Sigma = {"g": np.broadcast_to(np.eye(K), (1, draws, K, K))}
    if K == 1:
        beta, b = beta[:, :, 0], {"g": b["g"][:, :, 0]}
    post = bm.from_draws("y ~ x + (1 | g)", data, family=family, beta=beta, b=b, Sigma=Sigma)
    return lambda: (bm.avg_comparisons(post, "x", groups=groups), bm.avg_slopes(post, "x", groups=groups))


@pytest.mark.parametrize(
    ("family", "rows"), [("bernoulli", 600_000), ("bernoulli", 60), ("poisson", 60), ("categorical", 60)]
)
@pytest.mark.parametrize("groups", ["existing", "new"])
def test_what_is_made_is_given_back(family: str, rows: int, groups: str) -> None:
    ask = asked(family, rows, groups)
    ask()  # compiles
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        ask()
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free
