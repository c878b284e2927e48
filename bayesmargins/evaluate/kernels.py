"""Compiled passes over rows: eta, its average over groups and the weighted sum of rows, fused tile by tile.

A tile of rows stays in the processor's cache while several draws go over it. Every draw belongs to one thread and adds
up its tiles in their order, so that results are the same bit for bit for any number of threads. What lies too far out
for a table is left out, counted, and added by a pass of its own, which few questions need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.evaluate.integrands import derivatives, derivatives_far, value_far, values
from bayesmargins.evaluate.tiles import Scales, Terms, Weights, add_tile, eta_tile, s2_tile, scale_tile
from bayesmargins.integrate.compiled import kernel

__all__ = ["TILE", "TOGETHER", "WORK", "far_slopes", "far_values", "pass_of_slopes", "pass_of_values"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TILE = 512  # rows
WORK = (6, TILE)  # numbers that a thread works in: made by its caller, for np.empty takes longest of all to compile
TOGETHER = 8  # draws that share a tile


@kernel
def pass_of_values(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What do these rows add to the averages of these draws?

    Parameters
    ----------
    begin, end : int
        Which blocks of `TOGETHER` draws: see `in_threads`.
    work : (6, 512) float
        Zeros, to work in.
    terms : Terms
        Of eta and s2.
    scales : Scales or None
        What averages are multiplied by; compiled for None, it costs nothing.
    integrand : Bare, CurveArrays, SurfaceArrays or LineArrays
        The average over groups; its lines are those of `draws`.
    draws : (line,) int
        Which draws.
    weights : Weights
        How rows become cells.
    far : (line,) int
        Receives how many rows of each draw were left out: see `far_values`.
    out : (draw, cell) float
        Is added to.
    """
    eta, s2, value = work[0], work[1], work[2]
    for block in range(begin, end):
        for first in range(0, terms.offset.size, TILE):
            m = min(TILE, terms.offset.size - first)
            for line in range(block * TOGETHER, min(draws.size, (block + 1) * TOGETHER)):
                draw = draws[line]
                eta_tile(terms, draw, first, eta[:m])
                if terms.W.shape[0] > 0:
                    s2_tile(terms, draw, first, s2[:m])
                far[line] += values(integrand, line, eta[:m], s2, value[:m])
                if scales is not None:
                    scale_tile(scales, draw, first, eta[:m], value[:m])
                add_tile(value[:m], weights, first, out[draw])


@kernel
def far_values(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What do the rows add that `pass_of_values` left out?

    Parameters
    ----------
    begin, end : int
        Which entries of `draws`: see `in_threads`.
    work : (6, 512) float
        Zeros, to work in.
    terms, scales, integrand, draws, weights, far, out
        As for `pass_of_values`.
    """
    eta, s2, value = work[0], work[1], work[2]
    for line in range(begin, end):
        draw = draws[line]
        for first in range(0, terms.offset.size if far[line] > 0 else 0, TILE):
            m = min(TILE, terms.offset.size - first)
            eta_tile(terms, draw, first, eta[:m])
            if terms.W.shape[0] > 0:
                s2_tile(terms, draw, first, s2[:m])
            for i in range(m):
                value[i] = value_far(integrand, line, eta[i], s2[i])
            if scales is not None:
                scale_tile(scales, draw, first, eta[:m], value[:m])
            add_tile(value[:m], weights, first, out[draw])


@kernel
def pass_of_slopes(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    changes: Terms,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What do these rows add to the averaged slopes of these draws: E[h'] d eta/dx + E[h''] / 2 d s2/dx?

    Parameters
    ----------
    begin, end : int
        Which blocks of `TOGETHER` draws: see `in_threads`.
    work : (6, 512) float
        Zeros, to work in.
    terms, changes : Terms
        Of eta and s2, and of their derivatives.
    scales, integrand, draws, weights, far, out
        As for `pass_of_values`.
    """
    eta, s2, d_eta, d_s2, d1, d2 = work[0], work[1], work[2], work[3], work[4], work[5]
    for block in range(begin, end):
        for first in range(0, terms.offset.size, TILE):
            m = min(TILE, terms.offset.size - first)
            for line in range(block * TOGETHER, min(draws.size, (block + 1) * TOGETHER)):
                draw = draws[line]
                eta_tile(terms, draw, first, eta[:m])
                eta_tile(changes, draw, first, d_eta[:m])
                if terms.W.shape[0] > 0:
                    s2_tile(terms, draw, first, s2[:m])
                far[line] += derivatives(integrand, line, eta[:m], s2, d1[:m], d2[:m])
                for i in range(m):
                    d1[i] *= d_eta[i]
                if changes.W.shape[0] > 0:
                    s2_tile(changes, draw, first, d_s2[:m])
                    for i in range(m):
                        d1[i] += 0.5 * (d2[i] * d_s2[i])
                if scales is not None:
                    scale_tile(scales, draw, first, eta[:m], d1[:m])
                add_tile(d1[:m], weights, first, out[draw])


@kernel
def far_slopes(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    changes: Terms,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What do the rows add that `pass_of_slopes` left out?

    Parameters
    ----------
    begin, end : int
        Which entries of `draws`: see `in_threads`.
    work : (6, 512) float
        Zeros, to work in.
    terms, changes, scales, integrand, draws, weights, far, out
        As for `pass_of_slopes`.
    """
    eta, s2, d_eta, d_s2, value = work[0], work[1], work[2], work[3], work[4]
    for line in range(begin, end):
        draw = draws[line]
        for first in range(0, terms.offset.size if far[line] > 0 else 0, TILE):
            m = min(TILE, terms.offset.size - first)
            eta_tile(terms, draw, first, eta[:m])
            eta_tile(changes, draw, first, d_eta[:m])
            if terms.W.shape[0] > 0:
                s2_tile(terms, draw, first, s2[:m])
            if changes.W.shape[0] > 0:
                s2_tile(changes, draw, first, d_s2[:m])
            for i in range(m):
                d1, d2 = derivatives_far(integrand, line, eta[i], s2[i])
                value[i] = d1 * d_eta[i] + 0.5 * (d2 * d_s2[i])
            if scales is not None:
                scale_tile(scales, draw, first, eta[:m], value[:m])
            add_tile(value[:m], weights, first, out[draw])
