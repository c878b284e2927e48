"""Rows and draws laid out for the compiled passes: columns, look-ups of group effects, products of z for s2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate.tiles import Terms, Variance
from bayesmargins.groups import GroupPlan, Mixture
from bayesmargins.integrate.aligned import columns, even

__all__ = [
    "Shift",
    "change_of_variance",
    "group_effects",
    "group_shifts",
    "highest",
    "in_order",
    "largest",
    "largest_variance",
    "log_mean_exp",
    "mean_effects",
    "no_terms",
    "terms_of",
    "typical_variance",
    "variance_at",
    "variance_in_order",
    "variance_limits",
    "variance_of",
]


_BLOCK = 256  # draws whose groups are in memory at a time


@dataclass(frozen=True)
class Shift:
    """Group effects that are the same in all rows of a chunk: a mean over fitted groups, under a linear or log link."""

    Z: np.ndarray  # (row, term): what they multiply
    b: np.ndarray  # (draw, term): the effects


def terms_of(draws: Draws, rows: Rows, plan: GroupPlan, shifts: Sequence[Shift] = ()) -> Terms:
    """What does eta of these rows, or its derivative, consist of? Columns that do not vary are one number."""
    columns_of_eta, sure = [rows.offset, *rows.X.T], np.ones((len(draws.beta), 1))
    of_eta = _combination(columns_of_eta, np.hstack([sure, draws.beta]), len(rows.offset))
    return Terms(*of_eta, *_lookups(rows, plan, shifts, len(draws.beta)))


def variance_of(draws: Draws, rows: Rows, plan: GroupPlan) -> Variance | None:
    """What does s2 of these rows consist of? None where nothing is integrated."""
    products = [product for factor in plan.integrated for product in _squares(rows.Z[factor])]
    return _variance(draws, products, plan.integrated, len(rows.offset))


def change_of_variance(draws: Draws, rows: Rows, d_rows: Rows, plan: GroupPlan) -> Variance | None:
    """What does the derivative of s2 consist of? None where it is 0."""
    moving = [factor for factor in plan.integrated if np.any(np.nan_to_num(d_rows.Z[factor]))]
    products = [product for factor in moving for product in _square_changes(rows.Z[factor], d_rows.Z[factor])]
    return _variance(draws, products, moving, len(rows.offset))


def _variance(draws: Draws, products: Sequence[np.ndarray], factors: Sequence[str], n: int) -> Variance | None:
    if not products:
        return None
    return Variance(*_combination(products, _upper(draws.Sigma, factors, len(draws.beta)), n))


def no_terms() -> Terms:
    """Those of no rows."""
    of, none, where = np.empty((0, 0)), np.empty(0), np.empty((0, 0), dtype=np.int64)
    return Terms(none, of, of, of, where, of)


def highest(terms: Terms, draws: np.ndarray) -> float:
    """No eta that these terms add up to in these draws is higher."""
    of_columns = np.zeros(len(draws))
    for x, beta in zip(terms.X, terms.beta[draws].T, strict=True):
        of_columns += np.maximum(beta * x.min(initial=np.inf), beta * x.max(initial=-np.inf))
    for z, where in zip(terms.Z, terms.where, strict=True):
        used = np.unique(where)
        of_columns += (np.abs(terms.b[draws][:, used]).max(axis=1, initial=0.0)) * np.abs(z).max(initial=0.0)
    return float((terms.base[draws] + of_columns).max(initial=-np.inf))


def _combination(
    of: Sequence[np.ndarray], coefficients: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What columns (n,) that are the same in all rows add up to, (draw,), the others, and their coefficients."""
    same = np.array([bool(np.all(column == column[:1])) for column in of], dtype=bool)
    first = np.array([column[0] if n else 0.0 for column in of])
    varied = [column for column, one in zip(of, same, strict=True) if not one]
    return coefficients[:, same] @ first[same], columns(varied, n), _even(coefficients[:, ~same])


def _lookups(
    rows: Rows, plan: GroupPlan, shifts: Sequence[Shift], n_draws: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z (lookup, row), positions of effects (lookup, row), effects (draw, effect)."""
    Z: list[np.ndarray] = []
    index: list[np.ndarray] = []
    b: list[np.ndarray] = []
    start = 0
    for gather in plan.gathers:
        q = gather.b.shape[2]
        missing = gather.codes < 0
        z = np.where(missing[:, None], np.nan, rows.Z[gather.factor])
        codes = np.where(missing, 0, gather.codes)
        for k in range(q):
            if z[:, k].any():  # NaN counts
                Z.append(z[:, k])
                index.append(start + codes * q + k)
        b.append(gather.b.reshape(n_draws, -1))
        start += b[-1].shape[1]
    for shift in shifts:
        for k in range(shift.b.shape[1]):
            Z.append(shift.Z[:, k])
            index.append(np.full(len(shift.Z), start + k))
        b.append(shift.b)
        start += shift.b.shape[1]
    n = len(rows.offset)
    return (
        np.ascontiguousarray(Z).reshape(len(Z), n),
        np.ascontiguousarray(index, dtype=np.int64).reshape(len(Z), n),
        np.ascontiguousarray(b[0] if len(b) == 1 else np.hstack([np.empty((n_draws, 0)), *b])),
    )


def _even(columns: np.ndarray) -> np.ndarray:
    """With columns of zeros where their number is odd, or 0."""
    return np.ascontiguousarray(np.pad(columns, ((0, 0), (0, even(columns.shape[1]) - columns.shape[1]))))


def _pairs(q: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(q)


def _squares(z: np.ndarray) -> Iterator[np.ndarray]:
    """z_a z_b for a <= b, those with a < b twice: z' Sigma z combines them with the entries of Sigma."""
    for a, b in zip(*_pairs(z.shape[1]), strict=True):
        yield z[:, a] * z[:, b] * (1.0 if a == b else 2.0)


def _square_changes(z: np.ndarray, d_z: np.ndarray) -> Iterator[np.ndarray]:
    """Their derivatives."""
    for a, b in zip(*_pairs(z.shape[1]), strict=True):
        yield (z[:, a] * d_z[:, b] + d_z[:, a] * z[:, b]) * (1.0 if a == b else 2.0)


def _upper(Sigma: Mapping[str, np.ndarray], factors: Sequence[str], n_draws: int) -> np.ndarray:
    parts = [Sigma[f][:, *_pairs(Sigma[f].shape[1])] for f in factors]
    return np.hstack(parts) if parts else np.empty((n_draws, 0))


def variance_limits(draws: Draws, rows: Rows, factors: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Limits (draw,), (draw,) of s2 over these rows, from eigenvalues and not value by value.

    They are those of Sigma in coordinates in which the columns of z are orthonormal: with z = (1, year) the two large
    terms of opposite sign that make up s2 would otherwise be taken for s2.
    """
    low, high = np.zeros(len(draws.beta)), np.zeros(len(draws.beta))
    for factor in factors:
        z, R = np.linalg.qr(rows.Z[factor])
        squares = np.einsum("rp,rp->r", z, z)
        values = np.linalg.eigvalsh(R @ draws.Sigma[factor] @ R.T)
        low += np.maximum(values[:, 0], 0.0) * squares.min(initial=np.inf)
        high += np.maximum(values[:, -1], 0.0) * squares.max(initial=0.0)
    return low, high


def variance_at(draws: Draws, z: Mapping[str, np.ndarray]) -> np.ndarray:
    """s2 of each draw where every row has the same z: (draw,)."""
    total = np.zeros(len(draws.beta))
    for factor, row in z.items():
        total += np.einsum("p,spq,q->s", row, draws.Sigma[factor], row)
    return np.maximum(total, 0.0)


def typical_variance(of: Variance) -> np.ndarray:
    """What differs in s2 between rows, at the mean of Sigma over draws: (row,), and what fills up the last line."""
    return np.asarray(of.Sigma.mean(axis=0) @ of.W)


def group_effects(draws: Draws, lines: np.ndarray, mixture: Mixture) -> np.ndarray:
    """b of each combination of fitted groups, factor after factor: (line, combination, term)."""
    each = (draws.b[f][lines][:, codes] for f, codes in zip(mixture.factors, mixture.codes.T, strict=True))
    return np.concatenate(list(each), axis=2)


def group_shifts(draws: Draws, lines: np.ndarray, z: Mapping[str, np.ndarray], mixture: Mixture) -> np.ndarray:
    """What each combination of fitted groups adds to eta where every row has the same z: (line, combination).

    With many groups these are the largest arrays of a question: some draws at a time, and no copy where none is needed.
    """
    start, stop = (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, 0)
    some = slice(start, stop) if stop - start == len(lines) else lines
    total: np.ndarray | None = None
    for factor, codes in zip(mixture.factors, mixture.codes.T, strict=True):
        b = draws.b[factor][some]
        of = b[:, :, 0] if b.shape[2] == 1 and z[factor][0] == 1.0 else b @ z[factor]
        of = of if np.array_equal(codes, np.arange(of.shape[1])) else of[:, codes]
        total = of if total is None else total + of
    assert total is not None
    return total


def in_order(of: Terms, order: np.ndarray) -> Terms:
    """The terms of the same rows in another order."""
    return of._replace(X=columns(of.X, len(order), order), Z=of.Z[:, order], where=of.where[:, order])


def variance_in_order(of: Variance | None, order: np.ndarray) -> Variance | None:
    """That of the same rows in another order."""
    return of and of._replace(W=columns(of.W, len(order), order))


def mean_effects(draws: Draws, rows: Rows, mixture: Mixture) -> tuple[Shift, ...]:
    """The mean of the fitted groups' b: all that a linear link needs of them."""
    shifts = []
    for factor, codes in zip(mixture.factors, mixture.codes.T, strict=True):
        share = np.bincount(codes, mixture.weights, minlength=draws.b[factor].shape[1])
        shifts.append(Shift(rows.Z[factor], np.einsum("g,sgq->sq", share, draws.b[factor])))
    return tuple(shifts)


def log_mean_exp(draws: Draws, z: Mapping[str, np.ndarray], mixture: Mixture) -> np.ndarray:
    """The one shift whose exponential is the mean of those of the groups: what a log link needs of them, (draw, 1)."""
    from scipy.special import logsumexp

    everything = np.arange(len(draws.beta))
    blocks = (everything[i : i + _BLOCK] for i in range(0, len(everything), _BLOCK))
    shifts = (group_shifts(draws, lines, z, mixture) for lines in blocks)
    return np.concatenate([logsumexp(groups, axis=1, b=mixture.weights, keepdims=True) for groups in shifts])


def largest(of: Terms, draws: np.ndarray) -> float:
    """No eta that these terms add up to in these draws is larger (absolute)."""
    by_groups = np.abs(of.b[draws]).max(initial=0.0) * _sizes(of.Z).sum()
    return _largest(of.base[draws], of.X, of.beta[draws]) + float(by_groups)


def largest_variance(of: Variance | None, draws: np.ndarray) -> float:
    """No s2, or derivative, is larger (absolute)."""
    return 0.0 if of is None else _largest(of.base[draws], of.W, of.Sigma[draws])


def _largest(base: np.ndarray, columns: np.ndarray, coefficients: np.ndarray) -> float:
    most = (np.abs(coefficients) @ _sizes(columns)).max(initial=0.0)
    return float(np.abs(base).max(initial=0.0)) + float(most)


def _sizes(columns: np.ndarray) -> np.ndarray:
    """The largest absolute value of each column, (column, row), NaN aside: without another array of their size."""
    high, low = columns.max(axis=1, initial=0.0), columns.min(axis=1, initial=0.0)
    if np.isfinite(high - low).all():
        return np.asarray(np.maximum(high, -low))
    return np.asarray(np.nan_to_num(np.abs(columns)).max(axis=1, initial=0.0))
