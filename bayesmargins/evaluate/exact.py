"""Rows through the exact engine, as arrays of draws x rows: for few rows, and for what no table holds.

In each block of rows the linear predictor of every draw is one matrix product, the variance s2 of what is integrated
another, and `integrate.expectation` turns both into values. Those of a bundle have the axis of its outputs first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import overload

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.family.link import Link
from bayesmargins.groups import GroupPlan, Mixture
from bayesmargins.integrate import BundleAverages, Integral, averaged, mixture_expectation

__all__ = [
    "alike",
    "bilinear",
    "blocks",
    "combined",
    "constant_row",
    "factors_of",
    "group_shifts",
    "largest",
    "linear",
    "moves",
    "second_derivatives",
    "shifts",
    "slopes",
    "values",
    "variance",
    "variance_change",
    "variance_changes",
]

Averaged = Link | BundleAverages

# Values a block: 1 MiB for each of the few arrays of a block. They stay in the processor's cache, and in memory that
# the process has: what is larger is taken from the system anew and cleared each time, half of a short question's price.
BLOCK_VALUES = 2**17
_SHIFTS = 2**24  # of fitted groups at a time: 128 MiB
_MOVED_VALUES = 2**16  # of rows moved by fitted groups: beyond, a call costs less than what leaves the cache


@dataclass(frozen=True)
class _Existing:
    """The fitted groups as shifts of eta, once a pass where z is the same in all rows; else None, and by block.

    With z constant the mean over groups is a function of eta alone, and one engine call does all of them.
    """

    mixture: Mixture
    shifts: np.ndarray | None  # (draw, combination)


def values(draws: Draws, link: Averaged, chunk: Chunk, part: str, passed: Passed) -> Iterator[tuple[slice, np.ndarray]]:
    """What is the mean response of these rows, or 1 less it, with b as planned? Blocks, and (draw, row of it)."""
    rows, plan = chunk.rows, chunk.plan
    existing = None if plan.mixture is None else _existing(draws, rows, plan.mixture)
    for block in blocks(len(rows.X), len(draws.beta)):
        eta, s2 = linear(draws, rows, plan, block), variance(draws, rows, plan, block)
        if existing is None:
            yield block, passed.record(_average(link, eta, s2, part))
        elif existing.shifts is not None:
            yield block, passed.record(_over_existing(existing, link, eta, s2, part))
        elif _row_by_row(eta, existing.mixture):
            yield block, _over_rows(draws, rows.Z, existing.mixture, block, link, eta, s2, part, passed)
        else:
            total = np.zeros(eta.shape)
            for weights, shift in shifts(draws, rows.Z, existing.mixture, block):
                each = passed.record(_average(link, moved(eta, shift), repeated(s2, len(weights)), part))
                total = total + _over_groups(weights, each, shift)
            yield block, total


def slopes(draws: Draws, link: Averaged, chunk: Chunk, part: str, passed: Passed) -> Iterator[tuple[slice, np.ndarray]]:
    """As `values`: derivatives of the mean response, (draw, row of the block), where the chunk has those of its rows.

    d/dx E[h(eta + s Z)] = E[h'] d eta/dx + E[h''] / 2 d s2/dx, with s2 = z' Sigma z: the second term is the movement of
    the variance with x under a random slope. It follows from the heat equation dE[h]/ds2 = E[h''] / 2.
    """
    rows, d_rows, plan = chunk.rows, chunk.d_rows, chunk.plan
    assert d_rows is not None
    existing = None if plan.mixture is None else _existing(draws, rows, plan.mixture)
    moving = [f for f in plan.integrated if moves(d_rows, (f,))]
    at_once = existing is None or (existing.shifts is not None and not moves(d_rows, existing.mixture.factors))
    for block in blocks(len(rows.X), len(draws.beta)):
        eta, s2 = linear(draws, rows, plan, block), variance(draws, rows, plan, block)
        d_eta = linear(draws, d_rows, plan, block)
        d_s2 = variance_change(draws, rows, d_rows, moving, block)
        if at_once:
            yield block, _chain_rule(passed, link, eta, s2, d_eta, d_s2, existing)
            continue
        assert existing is not None
        total = np.zeros(eta.shape)
        both = (shifts(draws, r.Z, existing.mixture, block) for r in (rows, d_rows))
        for (weights, shift), (_, d_shift) in zip(*both, strict=True):
            variances = repeated(s2, len(weights)), repeated(d_s2, len(weights))
            each = _chain_rule(passed, link, moved(eta, shift), variances[0], moved(d_eta, d_shift), variances[1])
            total = total + _over_groups(weights, each, shift)
        yield block, total


def _chain_rule(
    passed: Passed,
    link: Averaged,
    eta: np.ndarray,
    s2: np.ndarray,
    d_eta: np.ndarray,
    d_s2: np.ndarray | None,
    existing: _Existing | None = None,
) -> np.ndarray:
    """E[h'] d_eta + E[h''] d_s2 / 2, the second only where the variance moves."""
    factors = {"d1": d_eta} if d_s2 is None else {"d1": d_eta, "d2": d_s2 / 2}
    return combined(passed, link, eta, s2, factors, existing)


def combined(
    passed: Passed,
    link: Averaged,
    eta: np.ndarray,
    s2: np.ndarray,
    factors: dict[str, np.ndarray],
    existing: _Existing | None,
) -> np.ndarray:
    """The sum over parts of E[part] times its factor; the bounds add up too."""
    total, bound, nodes = np.zeros(eta.shape), 0.0, 0
    for part, factor in factors.items():
        over = _average if existing is None else partial(_over_existing, existing)
        integral = over(link, eta, s2, part)
        total = total + integral.value * factor
        bound, nodes = bound + integral.error_bound * largest(factor), max(nodes, integral.nodes)
        passed.note(integral.method, bound, nodes)
    return total


def second_derivatives(
    draws: Draws, link: Averaged, chunk: Chunk, part: str, passed: Passed
) -> Iterator[tuple[slice, np.ndarray]]:
    """How do slopes of these rows change with a second variable, or the first again? Blocks, and (draw, row of it).

    With F(eta, v) = E[h(eta + sqrt(v) Z)] and dF/dv = F'' / 2, primes for d/d eta, the chain rule gives
    d2F/dx dz = F'' eta_x eta_z + F' eta_xz + F''' (eta_x v_z + eta_z v_x) / 2 + F'''' v_x v_z / 4 + F'' v_xz / 2.
    """
    rows, d_rows, second, plan = chunk.rows, chunk.d_rows, chunk.second, chunk.plan
    assert d_rows is not None
    assert second is not None
    derived = (d_rows, second.d_rows, second.dd_rows)
    existing = None if plan.mixture is None else _existing(draws, rows, plan.mixture)
    at_once = existing is None or (
        existing.shifts is not None and not any(moves(r, existing.mixture.factors) for r in derived)
    )
    for block in blocks(len(rows.X), len(draws.beta)):
        eta, s2 = linear(draws, rows, plan, block), variance(draws, rows, plan, block)
        etas = [linear(draws, r, plan, block) for r in derived]
        variances = variance_changes(draws, (rows, *derived), plan.integrated, block)
        if at_once:
            yield block, combined(passed, link, eta, s2, factors_of(etas, variances), existing)
            continue
        assert existing is not None
        total = np.zeros(eta.shape)
        moves_of = [shifts(draws, r.Z, existing.mixture, block) for r in (rows, *derived)]
        for (weights, shift), *changes in zip(*moves_of, strict=True):
            slopes_of = [moved(of, change) for of, (_, change) in zip(etas, changes, strict=True)]
            factors = factors_of(slopes_of, [repeated(v, len(weights)) for v in variances])
            each = combined(passed, link, moved(eta, shift), repeated(s2, len(weights)), factors, None)
            total = total + _over_groups(weights, each, shift)
        yield block, total


def factors_of(etas: Sequence[np.ndarray], variances: Sequence[np.ndarray | None]) -> dict[str, np.ndarray]:
    """What E[h'] to E[h''''] are multiplied by; parts whose factor is 0 are left out."""
    (x, z, xz), (v_x, v_z, v_xz) = etas, variances
    factors = {"d1": xz, "d2": x * z if v_xz is None else x * z + v_xz / 2}
    if v_x is not None or v_z is not None:
        factors["d3"] = np.asarray(sum(a * v for a, v in ((x, v_z), (z, v_x)) if v is not None)) / 2
    if v_x is not None and v_z is not None:
        factors["d4"] = v_x * v_z / 4
    return {part: factor for part, factor in factors.items() if part == "d1" or factor.any()}


def variance_changes(
    draws: Draws, of: tuple[Rows, Rows, Rows, Rows], factors: Sequence[str], block: slice
) -> list[np.ndarray | None]:
    """ds2/dx, ds2/dz and d2s2/dx dz = 2 (z_x' Sigma z_z + z' Sigma z_xz); None where they are 0."""
    rows, *derived = of
    first, second, mixed = ([f for f in factors if moves(r, (f,))] for r in derived)
    changes = [variance_change(draws, rows, r, m, block) for r, m in zip(derived, (first, second, mixed), strict=True)]
    both = [f for f in first if f in second]
    for f in both:
        bent = 2.0 * bilinear(draws.Sigma[f], derived[0].Z[f][block], derived[1].Z[f][block])
        changes[2] = bent if changes[2] is None else changes[2] + bent
    return changes


def blocks(n_rows: int, n_draws: int) -> list[slice]:
    """Rows that are done at a time."""
    size = max(1, BLOCK_VALUES // max(1, n_draws))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def linear(draws: Draws, rows: Rows, plan: GroupPlan, block: slice) -> np.ndarray:
    """eta (draw, row of the block): fixed part, offset and every b that is looked up."""
    eta = draws.beta @ rows.X[block].T + rows.offset[block]
    for gather in plan.gathers:
        codes = gather.codes[block]
        z = np.where(codes[:, None] < 0, np.nan, rows.Z[gather.factor][block])
        for j in range(z.shape[1]):
            eta += gather.b[:, codes, j] * z[:, j]
    return eta


def linear_blocks(draws: Draws, rows: Rows, plan: GroupPlan) -> Iterator[np.ndarray]:
    """eta of all rows, as many at a time as are done together: (draw, row of the block)."""
    for block in blocks(len(rows.X), len(draws.beta)):
        yield linear(draws, rows, plan, block)


def variance(draws: Draws, rows: Rows, plan: GroupPlan, block: slice) -> np.ndarray:
    """s2 = sum over integrated factors of z' Sigma z: (draw, row of the block), or (draw, 1) where z does not vary."""
    total = np.zeros((len(draws.beta), 1))
    for factor in plan.integrated:
        z = constant_row(rows.Z[factor][block])
        total = total + bilinear(draws.Sigma[factor], z, z)
    return np.maximum(total, 0.0)


def variance_change(draws: Draws, rows: Rows, d_rows: Rows, moving: Sequence[str], block: slice) -> np.ndarray | None:
    """d s2/dx = 2 z' Sigma dz/dx over the factors whose z moves with x; None where there are none."""
    if not moving:
        return None
    return np.asarray(sum(2.0 * bilinear(draws.Sigma[f], rows.Z[f][block], d_rows.Z[f][block]) for f in moving))


def moves(d_rows: Rows, factors: Sequence[str]) -> bool:
    """Does z of any of these factors move with the variable?"""
    return any(np.any(np.nan_to_num(d_rows.Z[f])) for f in factors)


def bilinear(Sigma: np.ndarray, z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """z' Sigma w for every draw and row, as one matrix product over the entries of Sigma."""
    outer = z[:, :, None] * w[:, None, :]
    return Sigma.reshape(len(Sigma), -1) @ outer.reshape(len(z), -1).T


def alike(z: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of rows, one of which may be the same row for all, as equally many rows."""
    rows = max(len(z), len(w))
    return np.broadcast_to(z, (rows, z.shape[1])), np.broadcast_to(w, (rows, w.shape[1]))


def _existing(draws: Draws, rows: Rows, mixture: Mixture) -> _Existing:
    Z = {f: constant_row(rows.Z[f]) for f in mixture.factors}
    if any([len(z) > 1 for z in Z.values()]):
        return _Existing(mixture, None)
    of_factors = [draws.b[f][:, c, :] @ Z[f][0] for f, c in zip(Z, mixture.codes.T, strict=True)]
    return _Existing(mixture, np.asarray(sum(of_factors)))


def _average(link: Averaged, eta: np.ndarray, s2: np.ndarray, part: str) -> Integral:
    return averaged(link, eta, s2, part) if isinstance(link, Link) else link.average(eta, s2, part)


def _over_groups(weights: np.ndarray, each: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The weighted sum of values ([output], draw, group x row) over groups."""
    # not @: BLAS adds up in an order that depends on how many threads it has
    return np.asarray(np.einsum("g,...gr->...r", weights, each.reshape(*each.shape[:-2], *shift.shape)))


def group_shifts(draws: Draws, rows: Rows, plan: GroupPlan) -> tuple[np.ndarray, np.ndarray] | None:
    """Shifts of eta (draw, group) by fitted groups whose z is the same in all rows, and their weights."""
    if plan.mixture is None:
        return None
    existing = _existing(draws, rows, plan.mixture)
    assert existing.shifts is not None
    return existing.shifts, existing.mixture.weights


def _over_existing(existing: _Existing, link: Averaged, eta: np.ndarray, s2: np.ndarray, part: str) -> Integral:
    assert existing.shifts is not None
    if not isinstance(link, Link):
        return link.over_groups(eta, s2, existing.shifts, existing.mixture.weights, part)
    return mixture_expectation(link, eta, s2, existing.shifts, existing.mixture.weights, part)


def shifts(
    draws: Draws, Z: dict[str, np.ndarray], mixture: Mixture, block: slice
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights (group,) and shifts of eta (draw, group, row of the block), for some combinations of fitted levels."""
    z = {f: Z[f][block].T for f in mixture.factors}
    size = max(1, _MOVED_VALUES // max(1, len(draws.beta) * z[mixture.factors[0]].shape[1]))
    for start in range(0, len(mixture.weights), size):
        codes = mixture.codes[start : start + size].T
        of_factors = (draws.b[f][:, of] @ z[f] for f, of in zip(mixture.factors, codes, strict=True))
        yield mixture.weights[start : start + size], np.asarray(sum(of_factors))


def moved(eta: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """eta of the rows in each of some groups, one group after the other: (draw, group x row)."""
    return (eta[:, None] + shift).reshape(len(eta), -1)


@overload
def repeated(values: np.ndarray, groups: int) -> np.ndarray: ...
@overload
def repeated(values: None, groups: int) -> None: ...
def repeated(values: np.ndarray | None, groups: int) -> np.ndarray | None:
    """What is the same in all groups, (draw, 1) or (draw, row), beside it."""
    return values if values is None or values.shape[1] == 1 else np.tile(values, groups)


def _row_by_row(eta: np.ndarray, mixture: Mixture) -> bool:
    """Many groups and few rows: then one sum over groups a row costs less than one pass over rows a group."""
    return eta.shape[1] < len(mixture.weights) and len(eta) * len(mixture.weights) <= _SHIFTS


def _over_rows(
    draws: Draws,
    Z: dict[str, np.ndarray],
    mixture: Mixture,
    block: slice,
    link: Averaged,
    eta: np.ndarray,
    s2: np.ndarray,
    part: str,
    passed: Passed,
) -> np.ndarray:
    """The mean over fitted groups of each row by itself, whose z is constant: (draw, row of the block)."""
    columns = []
    z = {f: Z[f][block] for f in mixture.factors}
    for row in range(eta.shape[1]):
        of = [(draws.b[f] @ z[f][row])[:, codes] for f, codes in zip(mixture.factors, mixture.codes.T, strict=True)]
        one = _Existing(mixture, np.asarray(sum(of)))
        column = s2 if s2.shape[1] == 1 else s2[:, row : row + 1]
        integral = _over_existing(one, link, eta[:, row : row + 1], column, part)
        columns.append(passed.record(integral)[..., 0])
    return np.stack(columns, axis=-1)


def constant_row(z: np.ndarray) -> np.ndarray:
    """The one z that all rows have, or else all of them."""
    return z[:1] if (z == z[:1]).all() else z


def largest(values: np.ndarray | float) -> float:
    """The largest absolute value that is finite."""
    values = np.asarray(values)
    most, least = float(values.max(initial=0.0)), float(values.min(initial=0.0))
    if np.isfinite(most - least):
        return max(most, -least)
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0
