"""The likelihood of `group_quadrature` as a function that compiled models call, one for each family and link."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.np.numpy_support import carray

from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.integrate.group_quadrature_kernels import Model, marginal
from bayesmargins.integrate.group_rows import Rows

__all__ = ["flat_rows", "group_entry"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def flat_rows(groups: GroupQuadrature, parameters: int) -> tuple[Array, Integers]:
    """All columns one after the other; terms, rows, groups, coordinates, parameters, kinds, and all whole numbers."""
    model = groups.model
    rows: Rows = model.rows
    floats = (rows.y, rows.n, rows.weights, model.offset, rows.W, model.F, model.widest, [model.tolerance])
    sizes = [len(rows.W), len(rows.y), groups.groups, len(model.F), parameters, len(rows.samples)]
    whole = (sizes, rows.starts, rows.kinds, rows.samples, model.reads)
    return np.concatenate([np.ravel(x) for x in floats]), np.concatenate([np.ravel(x) for x in whole])


@lru_cache(maxsize=None)
def group_entry(tag: Any) -> Entry:
    """That of the rows with this tag."""
    kind, reads = type(tag), tag.reads

    def marginal_of(x: Any, data: Any, sizes: Any, out: Any) -> None:
        head = carray(sizes, 6)
        q, n, groups, p, parameters, kinds = head[0], head[1], head[2], head[3], head[4], head[5]
        whole = carray(sizes, 6 + groups + 1 + n + kinds + 2 * n)[6:]
        starts, own = whole[: groups + 1], whole[groups + 1 : groups + 1 + n]
        samples, read = whole[groups + 1 + n : groups + 1 + n + kinds], whole[groups + 1 + n + kinds :].reshape(2, n)
        every = carray(data, (4 + q + p) * n + groups + 1)
        W, F = every[4 * n : (4 + q) * n].reshape(q, n), every[(4 + q) * n : (4 + q + p) * n].reshape(p, n)
        rows = Rows(every[:n], every[n : 2 * n], every[2 * n : 3 * n], W, starts, own, samples)
        widest = every[(4 + q + p) * n : -1]
        model = Model(rows, F, every[3 * n : 4 * n], read, widest, every[-1])
        variables, result = carray(x, p + q * q + parameters), carray(out, 1 + p + q * q + parameters)
        L, aux = variables[p : p + q * q].reshape(q, q), variables[p + q * q :]
        value, d_phi, d_L, d_aux, _ = marginal(kind(reads), model, variables[:p], L, aux)
        result[0] = value
        result[1 : p + 1] = d_phi
        result[p + 1 : p + 1 + q * q] = d_L.ravel()
        result[p + 1 + q * q :] = d_aux

    return entry(f"group_marginal_{kind.__name__}", marginal_of)
