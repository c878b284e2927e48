"""Rows whose averages are multiplied by the exponential of another linear predictor, through the exact engine.

The neighbour of `exact`: of exp(a) F, with F the average of 1 less the inverse link.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk, Scale
from bayesmargins.family.link import Link
from bayesmargins.integrate import expectation

__all__ = ["second_derivatives", "slopes", "values"]

Blocks = Iterator[tuple[slice, np.ndarray]]


def values(draws: Draws, link: Link, chunk: Chunk, part: str, passed: Passed) -> Blocks:
    """As of `exact`."""
    assert chunk.scale is not None
    for block, eta, s2 in _rows(draws, chunk):
        size = _size(chunk.scale, block)
        value = passed.record(expectation(link, eta, s2, chunk.looked_up), exact.largest(size))
        yield block, np.multiply(value, size, out=size)


def slopes(draws: Draws, link: Link, chunk: Chunk, part: str, passed: Passed) -> Blocks:
    """As of `exact`: exp(a) (a' F + F')."""
    scale, rows, d_rows, plan = chunk.scale, chunk.rows, chunk.d_rows, chunk.plan
    assert scale is not None
    assert scale.d_rows is not None
    assert d_rows is not None
    moving = [f for f in plan.integrated if exact.moves(d_rows, (f,))]
    for block, eta, s2 in _rows(draws, chunk):
        d_s2 = exact.variance_change(draws, rows, d_rows, moving, block)
        factors = {"d1": exact.linear(draws, d_rows, plan, block)} | ({} if d_s2 is None else {"d2": d_s2 / 2})
        own = exact.linear(scale.draws, scale.d_rows, scale.plan, block)
        yield block, _summed(passed, link, eta, s2, own, factors, scale, block)


def second_derivatives(draws: Draws, link: Link, chunk: Chunk, part: str, passed: Passed) -> Blocks:
    """As of `exact`: exp(a) (F_xz + a_x F_z + a_z F_x + (a_x a_z + a_xz) F)."""
    scale, second, plan = chunk.scale, chunk.second, chunk.plan
    assert scale is not None
    assert scale.second is not None
    assert scale.d_rows is not None
    assert second is not None
    assert chunk.d_rows is not None
    derived = (chunk.d_rows, second.d_rows, second.dd_rows)
    of_scale = (scale.d_rows, scale.second.d_rows, scale.second.dd_rows)
    for block, eta, s2 in _rows(draws, chunk):
        etas = x, z, _ = [exact.linear(draws, rows, plan, block) for rows in derived]
        variances = exact.variance_changes(draws, (chunk.rows, *derived), plan.integrated, block)
        a_x, a_z, a_xz = (exact.linear(scale.draws, rows, scale.plan, block) for rows in of_scale)
        factors = exact.factors_of(etas, variances)
        factors["d1"] = factors["d1"] + a_x * z + a_z * x
        for a, v in ((a_x, variances[1]), (a_z, variances[0])):
            if v is not None:
                factors["d2"] = factors.get("d2", np.zeros_like(eta)) + a * v / 2
        yield block, _summed(passed, link, eta, s2, a_x * a_z + a_xz, factors, scale, block)


def _rows(draws: Draws, chunk: Chunk) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks with eta and s2."""
    rows, plan = chunk.rows, chunk.plan
    for block in exact.blocks(len(rows.X), len(draws.beta)):
        yield block, exact.linear(draws, rows, plan, block), exact.variance(draws, rows, plan, block)


def _size(scale: Scale, block: slice) -> np.ndarray:
    """exp of the scale's linear predictor: (draw, row of the block)."""
    eta = exact.linear(scale.draws, scale.rows, scale.plan, block)
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(eta, out=eta))


def _summed(
    passed: Passed,
    link: Link,
    eta: np.ndarray,
    s2: np.ndarray,
    own: np.ndarray,
    factors: dict[str, np.ndarray],
    scale: Scale,
    block: slice,
) -> np.ndarray:
    """exp(a) times the sum of `own` F and of derivatives of the inverse link, which F falls by, with their factors."""
    size, found = _size(scale, block), Passed({})
    turned = {"complement": own} | {part: -factor for part, factor in factors.items()}
    total = exact.combined(found, link, eta, s2, turned, None)
    for method in found.methods:
        passed.note(method, found.error_bound * exact.largest(size), found.nodes)
    return total * size
