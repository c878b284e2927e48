"""Compiled passes over rows: eta, its average over groups and the weighted sum of rows, fused tile by tile.

A tile of rows stays in the processor's cache while several draws go over it. Every draw belongs to one thread and adds
up its tiles in their order, so that results are the same bit for bit for any number of threads.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload

from bayesmargins.integrate.compiled import INNER, OPTIONS, kernel
from bayesmargins.integrate.kernels import one_node
from bayesmargins.integrate.line_kernels import LineArrays, line_tile, line_tile_all
from bayesmargins.integrate.table_kernels import (
    CurveArrays,
    SurfaceArrays,
    curve_tile,
    curve_tile_all,
    surface_tile,
    surface_tile_all,
)
from bayesmargins.integrate.table_wide_kernels import WideCells, wide_tile

__all__ = ["TOGETHER", "Bare", "CurveCells", "Terms", "Weights", "pass_of_slopes", "pass_of_values"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TILE = 512
TOGETHER = 8  # draws that share a tile
_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_FLAT = 40.0
# partial sums side by side, so that a sum is not one chain of additions: their order is the machine's, always the same
_ANY_ORDER: dict[str, Any] = {**INNER, "fastmath": {"contract", "reassoc"}}


class Terms(NamedTuple):
    """What eta of a chunk's rows, or its derivative, consists of.

    Attributes
    ----------
    base : (draw,) float
        What every row has: columns that are the same in all rows, with their coefficients.
    X : (column, row) float
        The other columns that a coefficient multiplies.
    beta : (draw, column) float
        The coefficients.
    offset : (row,) float
        Added.
    Z : (lookup, row) float
        What a group effect multiplies.
    where : (lookup, row) int
        Which group effect.
    b : (draw, effect) float
        The group effects.
    W : (product, row) float
        Products of z, of which s2 (or its derivative) is a combination; for lines t takes the place of s2, twice
        its derivative that of the derivative.
    Sigma : (draw, product) float
        Its coefficients.
    """

    base: Array
    X: Array
    beta: Array
    offset: Array
    Z: Array
    where: Integers
    b: Array
    W: Array
    Sigma: Array


class Bare(NamedTuple):
    """A link that needs no table: h itself, or a closed form of its average.

    Attributes
    ----------
    code : int
        0 logit, 1 cloglog (both at s2 = 0), 2 probit, 3 log, 4 identity.
    part : int
        0 mean, 1 complement.
    """

    code: int
    part: int


class CurveCells(NamedTuple):
    """Curves, in wide cells for tiles of rows whose eta lie close together.

    Attributes
    ----------
    curves : CurveArrays
        One curve a draw.
    wide : WideCells
        The same curves, or for slopes their derivatives; none where rows do not come sorted by their typical eta.
    """

    curves: CurveArrays
    wide: WideCells


class Weights(NamedTuple):
    """How rows become cells.

    Attributes
    ----------
    weights : (row,) float
        What each row's value is multiplied by.
    cells : (row,) int
        Cell of each row; empty where all rows are one cell.
    start : int
        Where the rows begin in the result, if each is a cell of its own; -1 if they are averaged.
    """

    weights: Array
    cells: Integers
    start: int

    def in_order(self, order: Integers) -> Weights:
        """Those of the same rows in another order.

        Raises
        ------
        Nothing.
        """
        return Weights(self.weights[order], self.cells[order] if self.cells.size else self.cells, self.start)


@njit(**INNER)
def _eta(terms: Terms, draw: int, first: int, out: Array) -> None:
    """The linear predictor of a tile."""
    m = out.size
    offset, base, columns = terms.offset[first : first + m], terms.base[draw], terms.X.shape[0]
    for i in range(m):
        out[i] = base + offset[i]
    for j in range(0, columns - 1, 2):  # two at a time: half as many sums are read and written
        one, other = terms.X[j, first : first + m], terms.X[j + 1, first : first + m]
        of_one, of_other = terms.beta[draw, j], terms.beta[draw, j + 1]
        for i in range(m):
            out[i] += of_one * one[i] + of_other * other[i]
    if columns % 2 == 1:
        last, of_last = terms.X[columns - 1, first : first + m], terms.beta[draw, columns - 1]
        for i in range(m):
            out[i] += of_last * last[i]
    for j in range(terms.Z.shape[0]):
        z, where, b = terms.Z[j, first : first + m], terms.where[j, first : first + m], terms.b[draw]
        for i in range(m):
            out[i] += z[i] * b[where[i]]


@njit(**INNER)
def _s2(terms: Terms, draw: int, first: int, out: Array) -> None:
    """The variance of a tile, or its derivative."""
    m = out.size
    out[:] = 0.0
    for j in range(terms.W.shape[0]):
        product, of = terms.W[j, first : first + m], terms.Sigma[draw, j]
        for i in range(m):
            out[i] += of * product[i]


@njit(**INNER)
def _bare(code: int, part: int, eta: float, s2: float) -> float:
    """h, a derivative, or the closed form of its average."""
    if code < 2:
        return one_node(code, part, eta)
    if code == 2:
        root = 1.0 / math.sqrt(1.0 + s2)
        x = eta * root
        if part < 2:
            return 0.5 * math.erfc((-x if part == 0 else x) * _ROOT_HALF)
        density = 0.0 if abs(x) > _FLAT else _DENSITY * math.exp(-0.5 * x * x) * root
        return density if part == 2 else -x * density * root
    if code == 3:
        return math.exp(eta + 0.5 * s2)
    return eta if part == 0 else (1.0 if part == 2 else 0.0)


@njit(**INNER)
def _bare_tile(integrand: Bare, position: int, eta: Array, s2: Array, out: Array) -> None:
    if integrand.code == 0 and integrand.part == 0:
        for i in range(eta.size):
            out[i] = 1.0 / (1.0 + math.exp(-eta[i]))
        return
    for i in range(eta.size):
        out[i] = _bare(integrand.code, integrand.part, eta[i], s2[i])


@njit(**INNER)
def _curve_tile(integrand: CurveCells, position: int, eta: Array, s2: Array, out: Array) -> None:
    if not wide_tile(integrand.wide, position, eta, out):
        curve_tile(integrand.curves, position, eta, out)


@njit(**INNER)
def _surface_tile(integrand: SurfaceArrays, position: int, eta: Array, s2: Array, out: Array) -> None:
    for i in range(eta.size):
        s2[i] = math.sqrt(max(s2[i], 0.0))
    surface_tile(integrand, eta, s2, out)


@njit(**INNER)
def _bare_both(integrand: Bare, position: int, eta: Array, s2: Array, d1: Array, d2: Array) -> None:
    for i in range(eta.size):
        d1[i] = _bare(integrand.code, 2, eta[i], s2[i])
        d2[i] = _bare(integrand.code, 3, eta[i], s2[i])


@njit(**INNER)
def _curve_both(integrand: CurveCells, position: int, eta: Array, s2: Array, d1: Array, d2: Array) -> None:
    # s2 is the same in all rows: nobody reads it here, and nobody asks for d2
    if not wide_tile(integrand.wide, position, eta, d1):
        curve_tile_all(integrand.curves, position, eta, s2, d1, d2)


@njit(**INNER)
def _surface_both(integrand: SurfaceArrays, position: int, eta: Array, s2: Array, d1: Array, d2: Array) -> None:
    for i in range(eta.size):
        s2[i] = math.sqrt(max(s2[i], 0.0))
    surface_tile_all(integrand, eta, s2, d1, d1, d2)


def _values(integrand: Any, position: int, eta: Array, s2: Array, out: Array) -> None:
    """The average over groups of a tile, whatever it is looked up in."""


def _derivatives(integrand: Any, position: int, eta: Array, s2: Array, d1: Array, d2: Array) -> None:
    """Its first and second derivative in eta."""


@overload(_values, strict=False, jit_options=OPTIONS)
def _values_of(integrand: Any, position: int, eta: Array, s2: Array, out: Array) -> Any:
    tiles = {Bare: _bare_tile, CurveCells: _curve_tile, SurfaceArrays: _surface_tile, LineArrays: line_tile}
    return tiles[integrand.instance_class].py_func


@overload(_derivatives, strict=False, jit_options=OPTIONS)
def _derivatives_of(integrand: Any, position: int, eta: Array, s2: Array, d1: Array, d2: Array) -> Any:
    tiles = {Bare: _bare_both, CurveCells: _curve_both, SurfaceArrays: _surface_both, LineArrays: line_tile_all}
    return tiles[integrand.instance_class].py_func


@njit(**_ANY_ORDER)
def _product(w: Array, values: Array) -> float:
    total = 0.0
    for i in range(w.size):
        total += w[i] * values[i]
    return total


@njit(**INNER)
def _add(values: Array, weights: Weights, first: int, out: Array) -> None:
    """Put a tile into the cells of its draw."""
    m = values.size
    w = weights.weights[first : first + m]
    if weights.start >= 0:
        at = weights.start + first
        for i in range(m):
            out[at + i] = w[i] * values[i]
        return
    if weights.cells.size > 0:
        cells = weights.cells[first : first + m]
        for i in range(m):
            out[cells[i]] += w[i] * values[i]
        return
    out[0] += _product(w, values)


@kernel
def pass_of_values(
    begin: int, end: int, terms: Terms, integrand: Any, draws: Integers, weights: Weights, out: Array
) -> None:
    """What do these rows add to the averages of these draws?

    Parameters
    ----------
    begin, end : int
        Which blocks of `TOGETHER` draws: see `in_threads`.
    terms : Terms
        Of eta and s2.
    integrand : Bare, CurveCells, SurfaceArrays or LineArrays
        The average over groups; its lines are those of `draws`.
    draws : (line,) int
        Which draws.
    weights : Weights
        How rows become cells.
    out : (draw, cell) float
        Is added to.

    Returns
    -------
    None

    Raises
    ------
    Nothing.
    """
    rows = terms.offset.size
    for block in range(begin, end):
        eta, s2, values = np.empty(_TILE), np.zeros(_TILE), np.empty(_TILE)
        for first in range(0, rows, _TILE):
            m = min(_TILE, rows - first)
            for line in range(block * TOGETHER, min(draws.size, (block + 1) * TOGETHER)):
                draw = draws[line]
                _eta(terms, draw, first, eta[:m])
                if terms.W.shape[0] > 0:
                    _s2(terms, draw, first, s2[:m])
                _values(integrand, line, eta[:m], s2, values[:m])
                _add(values[:m], weights, first, out[draw])


@kernel
def pass_of_slopes(
    begin: int, end: int, terms: Terms, changes: Terms, integrand: Any, draws: Integers, weights: Weights, out: Array
) -> None:
    """What do these rows add to the averaged slopes of these draws: E[h'] d eta/dx + E[h''] / 2 d s2/dx?

    Parameters
    ----------
    begin, end : int
        Which blocks of `TOGETHER` draws: see `in_threads`.
    terms, changes : Terms
        Of eta and s2, and of their derivatives.
    integrand, draws, weights, out
        As for `pass_of_values`.

    Returns
    -------
    None

    Raises
    ------
    Nothing.
    """
    rows = terms.offset.size
    for block in range(begin, end):
        eta, s2, d_eta, d_s2 = np.empty(_TILE), np.zeros(_TILE), np.empty(_TILE), np.zeros(_TILE)
        d1, d2 = np.empty(_TILE), np.zeros(_TILE)
        for first in range(0, rows, _TILE):
            m = min(_TILE, rows - first)
            for line in range(block * TOGETHER, min(draws.size, (block + 1) * TOGETHER)):
                draw = draws[line]
                _eta(terms, draw, first, eta[:m])
                _eta(changes, draw, first, d_eta[:m])
                if terms.W.shape[0] > 0:
                    _s2(terms, draw, first, s2[:m])
                if changes.W.shape[0] > 0:
                    _s2(changes, draw, first, d_s2[:m])
                _derivatives(integrand, line, eta[:m], s2, d1[:m], d2[:m])
                for i in range(m):
                    d1[i] = d1[i] * d_eta[i] + 0.5 * (d2[i] * d_s2[i])
                _add(d1[:m], weights, first, out[draw])
