"""The likelihood of normal group effects as a C function under a name of its own.

What calls a compiled function by its code compiles that code again with its own. What calls it by name does not, and so
a model that holds it compiles no longer than one without it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
import numpy.typing as npt
from numba import types
from numba.np.numpy_support import carray

from bayesmargins.integrate.compiled import c_function, digest
from bayesmargins.integrate.normal_group_kernels import group_marginal
from bayesmargins.integrate.normal_groups import NormalGroups
from bayesmargins.integrate.small_kernels import copy_row

__all__ = ["NAME", "SIGNATURE", "flat_data", "marginal_and_gradient"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_DOUBLES, _INTEGERS = types.CPointer(types.float64), types.CPointer(types.int64)
SIGNATURE = types.void(_DOUBLES, _DOUBLES, _INTEGERS, _DOUBLES)
NAME = f"bayesmargins_normal_marginal_{digest()}"


def flat_data(groups: NormalGroups) -> tuple[Array, Integers]:
    """All statistics one after the other; terms, groups, coordinates, small effects, small factors, their layout."""
    R, a, B, G, r = groups.compiled
    sizes = [*a.shape, len(groups.centre), len(r), len(groups.layout), *groups.layout.ravel()]
    data = np.concatenate([R.ravel(), a.ravel(), B.ravel(), G.ravel(), r, [groups.rss]])
    return data, np.array(sizes, dtype=np.int64)


def _entry(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Reads x, which has c, L, t and the roots one after the other; out is the value and its derivatives in x."""
    head = carray(sizes, 5)
    q, groups, p, m, factors = head[0], head[1], head[2], head[3], head[4]
    layout = carray(sizes, 5 + 2 * factors)[5:].reshape(factors, 2)
    most = 1
    for f in range(factors):
        most = max(most, layout[f, 1])
    n, square = p + m, q * q
    every = carray(data, square * groups + q * groups + q * n * groups + n * n + m + 1)
    first = square * groups
    R = every[:first].reshape(q, q, groups)
    a = every[first : first + q * groups].reshape(q, groups)
    first += q * groups
    B = every[first : first + q * n * groups].reshape(q, n, groups)
    first += q * n * groups
    G = every[first : first + n * n].reshape(n, n)
    r = every[first + n * n : first + n * n + m]
    width = factors * most * most
    variables, result = carray(x, p + square + 1 + width), carray(out, p + square + 2 + width)
    L = variables[p : p + square].reshape(q, q)
    roots = variables[p + square + 1 :].reshape(factors, most, most)
    value, dc, dL, dt, d_roots = group_marginal(
        variables[:p], L, variables[p + square], roots, R, a, B, G, r, every[-1], layout, True
    )
    result[0], result[p + square + 1] = value, dt
    copy_row(result[1:], dc, p)
    copy_row(result[p + 1 :], dL.ravel(), square)
    copy_row(result[p + square + 2 :], d_roots.ravel(), width)


_compiled = c_function(SIGNATURE, _entry)
llvmlite.binding.add_symbol(NAME, _compiled.address)


def marginal_and_gradient(x: Array, data: Array, sizes: Integers) -> Array:
    """The value, then its derivatives in x."""
    out = np.empty(len(x) + 1)
    x, data = np.ascontiguousarray(x), np.ascontiguousarray(data)
    doubles = [v.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for v in (x, data, out)]
    _compiled.ctypes(*doubles[:2], sizes.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)), doubles[2])
    return out
