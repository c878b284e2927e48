"""Compiled passes over rows: eta, its average over groups and the weighted sum of rows, fused tile by tile.

A tile of rows stays in the processor's cache while several draws go over it. Every draw belongs to one thread and adds
up its tiles in their order, so that results are the same bit for bit for any number of threads. What lies too far out
for a table is left out, counted, and added by a second pass with `Far`, which few questions need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.evaluate.integrands import derivatives, values
from bayesmargins.evaluate.tiles import (
    Groups,
    Scales,
    Terms,
    Variance,
    Weights,
    add_tile,
    eta_tile,
    move_tile,
    s2_tile,
    scale_tile,
)
from bayesmargins.integrate.compiled import kernel

__all__ = ["TILE", "TOGETHER", "WORK", "pass_of_slopes", "pass_of_values"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TILE = 512  # rows
WORK = (10, TILE)  # numbers that a thread works in: made by its caller, for np.empty takes longest of all to compile
TOGETHER = 32  # draws that share a tile: for fewer the rows are read from memory too often


@kernel
def pass_of_values(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    variance: Variance | None,
    groups: Groups | None,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    lines: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What these rows add to the averages of these draws, out (draw, cell): the blocks of lines from begin to end.

    `lines` (some,) are those of `draws` (line,) and of the integrand that are done; `far` (line,) receives how many
    values of each were left out; `work` (10, 512) are zeros to work in. `variance`, `groups` and `scales` compiled
    for None cost nothing.
    """
    eta, s2, value, moved, spread, term = work[0], work[1], work[2], work[3], work[4], work[5]
    for block in range(begin, end):
        for first in range(0, weights.weights.size, TILE):
            m = min(TILE, weights.weights.size - first)
            for line in lines[block * TOGETHER : (block + 1) * TOGETHER]:
                draw = draws[line]
                eta_tile(terms, draw, first, eta[:m])
                if variance is not None:
                    s2_tile(variance, draw, first, s2[:m])
                if groups is None:
                    far[line] += values(integrand, line, eta[:m], s2, value[:m])
                else:
                    for i in range(m):
                        value[i] = 0.0
                    for g in range(groups.weights.size):
                        move_tile(groups.Z, groups.b[line, g], first, eta[:m], moved[:m])
                        for i in range(m):
                            spread[i] = s2[i]
                        far[line] += values(integrand, line, moved[:m], spread, term[:m])
                        weight = groups.weights[g]
                        for i in range(m):
                            value[i] += weight * term[i]
                if scales is not None:
                    scale_tile(scales, draw, first, eta[:m], value[:m])
                add_tile(value[:m], weights, first, out[draw])


@kernel
def pass_of_slopes(
    begin: int,
    end: int,
    work: Array,
    terms: Terms,
    variance: Variance | None,
    changes: Terms,
    changes_of_variance: Variance | None,
    groups: Groups | None,
    scales: Scales | None,
    integrand: Any,
    draws: Integers,
    lines: Integers,
    weights: Weights,
    far: Integers,
    out: Array,
) -> None:
    """What these rows add to the averaged slopes of these draws: E[h'] d eta/dx + E[h''] / 2 d s2/dx.

    `changes` and `changes_of_variance` are those of the derivatives; all else is as for `pass_of_values`.
    """
    eta, s2, d_eta, d_s2, d1, d2 = work[0], work[1], work[2], work[3], work[4], work[5]
    moved, spread, changed, slope = work[6], work[7], work[8], work[9]
    for block in range(begin, end):
        for first in range(0, weights.weights.size, TILE):
            m = min(TILE, weights.weights.size - first)
            for line in lines[block * TOGETHER : (block + 1) * TOGETHER]:
                draw = draws[line]
                eta_tile(terms, draw, first, eta[:m])
                eta_tile(changes, draw, first, d_eta[:m])
                if variance is not None:
                    s2_tile(variance, draw, first, s2[:m])
                if changes_of_variance is not None:
                    s2_tile(changes_of_variance, draw, first, d_s2[:m])
                if groups is None:
                    far[line] += derivatives(integrand, line, eta[:m], s2, d1[:m], d2[:m])
                    for i in range(m):
                        slope[i] = d1[i] * d_eta[i]
                    if changes_of_variance is not None:
                        for i in range(m):
                            slope[i] += 0.5 * (d2[i] * d_s2[i])
                else:
                    for i in range(m):
                        slope[i] = 0.0
                    for g in range(groups.weights.size):
                        move_tile(groups.Z, groups.b[line, g], first, eta[:m], moved[:m])
                        move_tile(groups.changes, groups.b[line, g], first, d_eta[:m], changed[:m])
                        for i in range(m):
                            spread[i] = s2[i]
                        far[line] += derivatives(integrand, line, moved[:m], spread, d1[:m], d2[:m])
                        weight = groups.weights[g]
                        for i in range(m):
                            slope[i] += weight * (d1[i] * changed[i])
                        if changes_of_variance is not None:
                            for i in range(m):
                                slope[i] += 0.5 * weight * (d2[i] * d_s2[i])
                if scales is not None:
                    scale_tile(scales, draw, first, eta[:m], slope[:m])
                add_tile(slope[:m], weights, first, out[draw])
