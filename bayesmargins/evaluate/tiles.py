"""Tiles of rows: eta and s2 from their terms, and the way from values of rows to cells of the result."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import APART, INNER, INNER_SUM, PASTED
from bayesmargins.integrate.vector_math import vector_exp

__all__ = [
    "Groups",
    "Scales",
    "Terms",
    "Variance",
    "Weights",
    "add_tile",
    "eta_tile",
    "move_tile",
    "s2_tile",
    "scale_tile",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Terms(NamedTuple):
    """What eta of a chunk's rows, or its derivative, consists of."""

    base: Array  # (draw,): what every row has: columns that are the same in all rows, with their coefficients
    # (column, row): the other columns that a coefficient multiplies: an even number, at least two; with rows to spare
    X: Array
    beta: Array  # (draw, column): the coefficients
    Z: Array  # (lookup, row): what a group effect multiplies
    where: Integers  # (lookup, row): which group effect
    b: Array  # (draw, effect): the group effects


class Variance(NamedTuple):
    """What s2 of a chunk's rows, or its derivative, consists of, likewise."""

    base: Array  # (draw,)
    W: Array  # (product, row): products of z
    Sigma: Array  # (draw, product)


class Groups(NamedTuple):
    """Fitted groups to average over one by one, because what they add to eta differs between rows."""

    # Z, changes: (term, row): what their effects multiply, and its derivative, for slopes
    Z: Array
    changes: Array
    b: Array  # (line, group, term): the effects
    weights: Array  # (group,): share of each group


class Scales(NamedTuple):
    """What the values of rows are multiplied by, in each draw."""

    log: Terms  # its logarithm, like an eta
    times: Terms  # a further factor, like an eta; without rows where there is none


class Weights(NamedTuple):
    """How rows become cells."""

    weights: Array  # (row,): what each row's value is multiplied by
    cells: Integers  # (row,): cell of each row; empty where all rows are one cell
    start: int  # where the rows begin in the result, if each is a cell of its own; -1 if they are averaged

    def in_order(self, order: Integers) -> Weights:
        """Those of the same rows in another order."""
        cells = self.cells[order] if self.cells.size else self.cells
        if self.start >= 0:  # cells of their own, no longer in their order
            return Weights(self.weights[order], self.start + order, -1)
        return Weights(self.weights[order], cells, -1)


@njit(**INNER)
def _combine(base: float, X: Array, beta: Array, first: int, out: Array) -> None:
    """A number and a combination of columns, two at a time: half as many sums are read and written."""
    m = out.size
    for j in range(0, X.shape[0], 2):
        one, other, of_one, of_other = X[j, first : first + m], X[j + 1, first : first + m], beta[j], beta[j + 1]
        for i in range(m):
            out[i] = (base if j == 0 else out[i]) + (of_one * one[i] + of_other * other[i])


@njit(**INNER)
def eta_tile(terms: Terms, draw: int, first: int, out: Array) -> None:
    """The linear predictor of a tile."""
    m = out.size
    _combine(terms.base[draw], terms.X, terms.beta[draw], first, out)
    for j in range(terms.Z.shape[0]):
        z, where, b = terms.Z[j, first : first + m], terms.where[j, first : first + m], terms.b[draw]
        for i in range(m):
            out[i] += z[i] * b[where[i]]


@njit(**INNER)
def s2_tile(variance: Variance, draw: int, first: int, out: Array) -> None:
    """The variance of a tile, or its derivative."""
    _combine(variance.base[draw], variance.W, variance.Sigma[draw], first, out)


@njit(**INNER)
def move_tile(Z: Array, b: Array, first: int, eta: Array, out: Array) -> None:
    """What eta of a tile, or its derivative, becomes in a group with effects b (term,)."""
    m = eta.size
    for i in range(m):  # eight times as fast as the same by slices
        out[i] = eta[i]
    for k in range(Z.shape[0]):
        z, of = Z[k, first : first + m], b[k]
        for i in range(m):
            out[i] += of * z[i]


@njit(**APART)
def scale_tile(scales: Scales, draw: int, first: int, work: Array, out: Array) -> None:
    """Multiply a tile by its scales, if there are any."""
    m = out.size
    for k in range(2):  # one call for both: a second would compile for itself
        terms = scales[k]
        if terms.base.size == 0:
            continue
        eta_tile(terms, draw, first, work)
        if k == 0:
            for i in range(m):
                work[i] = vector_exp(work[i]) if work[i] < 709.0 else np.inf
        for i in range(m):
            out[i] *= work[i]


@njit(**INNER_SUM)
def _product(w: Array, values: Array) -> float:
    total = 0.0
    for i in range(w.size):
        total += w[i] * values[i]
    return total


@njit(**PASTED)
def add_tile(values: Array, weights: Weights, first: int, out: Array) -> None:
    """Put a tile into the cells of its draw."""
    m = values.size
    w = weights.weights[first : first + m]
    if weights.start >= 0:
        at = weights.start + first
        for i in range(m):
            out[at + i] += w[i] * values[i]
        return
    if weights.cells.size > 0:
        # Rows of a cell follow each other: their sum is added at once, for adding one by one rounds each time.
        cells, cell, total = weights.cells[first : first + m], weights.cells[first], 0.0
        for i in range(m):
            if cells[i] != cell:
                out[cell] += total
                cell, total = cells[i], 0.0
            total += w[i] * values[i]
        out[cell] += total
        return
    out[0] += _product(w, values)
