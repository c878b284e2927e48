"""Posterior, rows and a plan for the groups, turned into numbers: the only place that knows memory and blocks.

A pass goes over blocks of rows. In each block the linear predictor of every draw is one matrix product, the variance
s2 of what is integrated another, and `integrate.expectation` turns both into values; averages over rows are added up
at once, so that an array of rows x draws never exists unless it is the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.errors import EstimandError
from bayesmargins.grid import Cells
from bayesmargins.groups import GroupPlan, Mixture
from bayesmargins.integrate import Integral, expectation, mixture_expectation
from bayesmargins.links import Link
from bayesmargins.posterior import Draws

__all__ = ["Passed", "check_size", "predict", "predict_slope"]

# Values a block: 8 MiB for each of the few arrays of a block, so that they stay in the processor's cache.
BLOCK_VALUES = 2**20
# Largest result that is computed without being asked about its size.
LARGEST_RESULT_GIB = 4.0


@dataclass
class Passed:
    """What one pass over the rows gives.

    Attributes
    ----------
    values : dict of ndarray, shape (draw, cell)
        By part of the integrand: ``mean``, ``complement``, or ``slope``.
    error_bound : float
        Absolute, of every value before rows are averaged (an average errs by no more).
    methods : set of str
        Engines that were used.
    nodes : int
        Most nodes of a rule that were used.
    """

    values: dict[str, np.ndarray]
    error_bound: float = 0.0
    methods: set[str] = field(default_factory=set)
    nodes: int = 0

    def record(self, integral: Integral, factor: float = 1.0) -> np.ndarray:
        """The values of an integral, with its method and bound put on record (times what they are multiplied by)."""
        self.error_bound = max(self.error_bound, integral.error_bound * factor)
        self.methods.add(integral.method)
        self.nodes = max(self.nodes, integral.nodes)
        return integral.value


@dataclass(frozen=True)
class _Existing:
    """The fitted groups as shifts of eta, once a pass where z is the same in all rows; else None, and by block.

    With z constant the mean over groups is a function of eta alone, and one engine call does all of them.
    """

    mixture: Mixture
    shifts: np.ndarray | None  # (draw, combination)


def predict(
    draws: Draws,
    link: Link,
    rows: Rows,
    plan: GroupPlan,
    cells: Cells,
    parts: Sequence[str] = ("mean",),
    multiplier: np.ndarray | None = None,
) -> Passed:
    """What is the mean response of these rows, in every draw, with b treated as planned and rows averaged?

    Parameters
    ----------
    draws : Draws
        Posterior draws.
    link : Link
        Between linear predictor and the target (identity for the target "link").
    rows : Rows
        Design rows.
    plan : GroupPlan
        What is done with b.
    cells : Cells
        Which rows are averaged together.
    parts : sequence of {"mean", "complement"}
        The mean, or 1 - mean to full relative accuracy.
    multiplier : ndarray, shape (row,), optional
        Trials, where the target counts.

    Returns
    -------
    Passed
        Values by part, shape (draw, cell), with method and error bound.

    Raises
    ------
    IntegrationError
        The average does not exist.
    """
    passed = Passed({part: np.zeros((len(draws.beta), cells.n)) for part in parts})
    existing = _existing(draws, rows, plan)
    for block in _blocks(len(rows.X), len(draws.beta)):
        eta, s2 = _linear(draws, rows, plan, block), _variance(draws, rows, plan, block)
        for part in parts:
            if existing is None:
                values = passed.record(expectation(link, eta, s2, part))
            elif existing.shifts is not None:
                values = passed.record(_over_existing(link, eta, s2, existing, part))
            else:
                values = np.zeros(eta.shape)
                for weight, shift in _shifts(draws, rows.Z, existing.mixture, block):
                    values += weight * passed.record(expectation(link, eta + shift, s2, part))
            if multiplier is not None:
                values = values * multiplier[block]
            cells.add(passed.values[part], values, block)
    if multiplier is not None:
        passed.error_bound *= float(np.nanmax(multiplier, initial=0.0))
    return passed


def predict_slope(
    draws: Draws,
    link: Link,
    rows: Rows,
    d_rows: Rows,
    plan: GroupPlan,
    cells: Cells,
    multiplier: np.ndarray | None = None,
) -> Passed:
    """How does the mean response of these rows change with a variable, in every draw?

    Parameters
    ----------
    draws, link, rows, plan, cells, multiplier
        As for `predict`.
    d_rows : Rows
        Derivatives of X, z and the offset with respect to the variable.

    Returns
    -------
    Passed
        ``values["slope"]``, shape (draw, cell).

    Raises
    ------
    IntegrationError
        The average does not exist.

    Notes
    -----
    d/dx E[h(eta + s Z)] = E[h'] d eta/dx + E[h''] / 2 d s2/dx, with s2 = z' Sigma z: the second term is the movement of
    the variance with x under a random slope. It follows from the heat equation dE[h]/ds2 = E[h''] / 2.
    """
    passed = Passed({"slope": np.zeros((len(draws.beta), cells.n))})
    existing = _existing(draws, rows, plan)
    moving = [f for f in plan.integrated if _moves(d_rows, (f,))]
    at_once = existing is None or (existing.shifts is not None and not _moves(d_rows, existing.mixture.factors))
    for block in _blocks(len(rows.X), len(draws.beta)):
        eta, s2 = _linear(draws, rows, plan, block), _variance(draws, rows, plan, block)
        d_eta = _linear(draws, d_rows, plan, block)
        d_s2 = _variance_change(draws, rows, d_rows, moving, block)
        if at_once:
            values = _chain_rule(passed, link, eta, s2, d_eta, d_s2, existing)
        else:
            assert existing is not None
            values = np.zeros(eta.shape)
            shifts = _shifts(draws, rows.Z, existing.mixture, block)
            changes = _shifts(draws, d_rows.Z, existing.mixture, block)
            for (weight, shift), (_, d_shift) in zip(shifts, changes, strict=True):
                values += weight * _chain_rule(passed, link, eta + shift, s2, d_eta + d_shift, d_s2)
        if multiplier is not None:
            values = values * multiplier[block]
        cells.add(passed.values["slope"], values, block)
    if multiplier is not None:
        passed.error_bound *= float(np.nanmax(multiplier, initial=0.0))
    return passed


def _chain_rule(
    passed: Passed,
    link: Link,
    eta: np.ndarray,
    s2: np.ndarray,
    d_eta: np.ndarray,
    d_s2: np.ndarray | None,
    existing: _Existing | None = None,
) -> np.ndarray:
    """E[h'] d_eta + E[h''] d_s2 / 2, the second only where the variance moves."""

    def average(part: str) -> Integral:
        return expectation(link, eta, s2, part) if existing is None else _over_existing(link, eta, s2, existing, part)

    values = passed.record(average("d1"), _largest(d_eta)) * d_eta
    if d_s2 is not None:
        values += passed.record(average("d2"), _largest(d_s2) / 2) * d_s2 / 2
    return values


def check_size(n_draws: int, n_values: int, way_out: str) -> None:
    """Will the result fit in memory? Asked before anything is computed.

    Parameters
    ----------
    n_draws, n_values : int
        Size of the result.
    way_out : str
        What the user can do instead.

    Returns
    -------
    None

    Raises
    ------
    EstimandError
        The result would be larger than 4 GiB.
    """
    gib = n_draws * n_values * 8 / 2**30
    if gib > LARGEST_RESULT_GIB:
        raise EstimandError(
            f"The result would hold {n_draws:,} draws x {n_values:,} values, {gib:.1f} GiB; at most "
            f"{LARGEST_RESULT_GIB:g} GiB are returned. {way_out}"
        )


def _blocks(n_rows: int, n_draws: int) -> Iterator[slice]:
    size = max(1, BLOCK_VALUES // max(1, n_draws))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def _linear(draws: Draws, rows: Rows, plan: GroupPlan, block: slice) -> np.ndarray:
    """eta (draw, row of the block): fixed part, offset and every b that is looked up."""
    eta = draws.beta @ rows.X[block].T + rows.offset[block]
    for gather in plan.gathers:
        codes = gather.codes[block]
        z = np.where(codes[:, None] < 0, np.nan, rows.Z[gather.factor][block])
        for j in range(z.shape[1]):
            eta += gather.b[:, codes, j] * z[:, j]
    return eta


def _variance(draws: Draws, rows: Rows, plan: GroupPlan, block: slice) -> np.ndarray:
    """s2 = sum over integrated factors of z' Sigma z: (draw, row of the block), or (draw, 1) where z does not vary."""
    total = np.zeros((len(draws.beta), 1))
    for factor in plan.integrated:
        z = _constant_row(rows.Z[factor][block])
        total = total + _quadratic(draws.Sigma[factor], z, z)
    return np.maximum(total, 0.0)


def _variance_change(draws: Draws, rows: Rows, d_rows: Rows, moving: Sequence[str], block: slice) -> np.ndarray | None:
    """d s2/dx = 2 z' Sigma dz/dx over the factors whose z moves with x; None where there are none."""
    if not moving:
        return None
    return np.asarray(sum(2.0 * _quadratic(draws.Sigma[f], rows.Z[f][block], d_rows.Z[f][block]) for f in moving))


def _moves(d_rows: Rows, factors: Sequence[str]) -> bool:
    return any(np.any(np.nan_to_num(d_rows.Z[f])) for f in factors)


def _quadratic(Sigma: np.ndarray, z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """z' Sigma w for every draw and row, as one matrix product over the entries of Sigma."""
    outer = z[:, :, None] * w[:, None, :]
    return Sigma.reshape(len(Sigma), -1) @ outer.reshape(len(z), -1).T


def _existing(draws: Draws, rows: Rows, plan: GroupPlan) -> _Existing | None:
    if plan.mixture is None:
        return None
    Z = {f: _constant_row(rows.Z[f]) for f in plan.mixture.factors}
    if any(len(z) > 1 for z in Z.values()):
        return _Existing(plan.mixture, None)
    codes = plan.mixture.codes.T
    return _Existing(
        plan.mixture, np.asarray(sum(draws.b[f][:, c, :] @ Z[f][0] for (f, c) in zip(Z, codes, strict=True)))
    )


def _over_existing(link: Link, eta: np.ndarray, s2: np.ndarray, existing: _Existing, part: str) -> Integral:
    assert existing.shifts is not None
    return mixture_expectation(link, eta, s2, existing.shifts, existing.mixture.weights, part)


def _shifts(
    draws: Draws, Z: dict[str, np.ndarray], mixture: Mixture, block: slice
) -> Iterator[tuple[float, np.ndarray]]:
    """Weight and shift of eta, (draw, row of the block), for each combination of fitted levels."""
    z = {f: Z[f][block].T for f in mixture.factors}
    for codes, weight in zip(mixture.codes, mixture.weights, strict=True):
        shift = sum(draws.b[f][:, code, :] @ z[f] for f, code in zip(mixture.factors, codes, strict=True))
        yield float(weight), np.asarray(shift)


def _constant_row(z: np.ndarray) -> np.ndarray:
    return z[:1] if (z == z[:1]).all() else z


def _largest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0
