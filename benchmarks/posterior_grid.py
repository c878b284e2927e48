"""Posteriors by sums over a grid of two parameters, in NumPy and SciPy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["exact"]

_Z = np.linspace(-9, 9, 361)
_PRIOR = (5.0, 2.0)  # sds of the normal prior of the intercept, and of the half-normal one of the sd
_LOG_P: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sd near 0": lambda y, eta: y * eta - np.logaddexp(0, eta),
    "two groups": lambda y, eta: stats.poisson.logpmf(y, np.exp(eta)),
    "one row": lambda y, eta: stats.poisson.logpmf(y, np.exp(eta)),
}


def _middles(last: float, n: int) -> np.ndarray:
    return (np.arange(n) + 0.5) * last / n


_GRIDS = {
    "sd near 0": (np.linspace(-1, 2, 91), _middles(3, 150)),
    "two groups": (np.linspace(-9, 11, 161), _middles(11, 220)),
    "one row": (np.linspace(-0.5, 2.5, 91), _middles(3, 150)),
}


def exact(name: str, data: pd.DataFrame) -> dict[str, float]:
    """Means and sds of intercept, sd and every group effect; empty where the case has more parameters."""
    if name == "one row, normal":
        return _normal(data)
    if name not in _LOG_P:
        return {}
    intercepts, sds = _GRIDS[name]
    levels = sorted(set(data.g))
    rows = [data.y.to_numpy()[data.g == level] for level in levels]
    # For each sd: (intercept, group) log integrals over z and the first two moments of b under them.
    columns = [_over_z(_LOG_P[name], rows, intercepts, sd) for sd in sds]
    log_l, first, second = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
    log_p = log_l.sum(axis=-1) + stats.norm.logpdf(intercepts, 0, _PRIOR[0])[:, None]
    log_p = log_p + stats.norm.logpdf(sds, 0, _PRIOR[1])
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    moments = {
        "beta[Intercept]": ((p.sum(axis=1) * intercepts).sum(), (p.sum(axis=1) * intercepts**2).sum()),
        "sd_g[Intercept]": ((p.sum(axis=0) * sds).sum(), (p.sum(axis=0) * sds**2).sum()),
    }
    for k, level in enumerate(levels):
        moments[f"b_g[{level}, Intercept]"] = ((p * first[..., k]).sum(), (p * second[..., k]).sum())
    return _means_and_sds(moments)


def _over_z(
    log_p: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: list[np.ndarray], intercepts: np.ndarray, sd: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(intercept, group) log likelihood without b, E[b] and E[b^2] given the rows."""
    eta, b = intercepts[:, None] + sd * _Z, sd * _Z
    done: dict[bytes, tuple[np.ndarray, ...]] = {}  # groups alike once
    for y in rows:
        if np.sort(y).tobytes() in done:
            continue
        f = stats.norm.logpdf(_Z) + sum(
            n * log_p(np.float64(v), eta) for v, n in zip(*np.unique(y, return_counts=True), strict=True)
        )
        top = f.max(axis=1, keepdims=True)
        w = np.exp(f - top)
        total = w.sum(axis=1)
        done[np.sort(y).tobytes()] = (
            np.log(total) + top[:, 0] + np.log(_Z[1] - _Z[0]),
            w @ b / total,
            w @ b**2 / total,
        )
    log_l, first, second = (
        np.stack(part, axis=-1) for part in zip(*(done[np.sort(y).tobytes()] for y in rows), strict=True)
    )
    return log_l, first, second


def _normal(data: pd.DataFrame) -> dict[str, float]:
    """Of the sds of groups and rows and every group effect, for a group a row: coefficients have closed forms."""
    y, X = data.y.to_numpy(), np.column_stack([np.ones(len(data)), data.x - data.x.mean()])
    prior, s = np.diag([1 / _PRIOR[0] ** 2, 1 / 2.5**2]), _middles(3, 150)
    log_p, first, second = np.empty((150, 150)), np.empty((150, 150, len(y))), np.empty((150, 150, len(y)))
    for i, j in np.ndindex(150, 150):
        v = s[i] ** 2 + s[j] ** 2
        precision = X.T @ X / v + prior
        C = np.linalg.inv(precision)
        m = C @ X.T @ y / v
        log_p[i, j] = -0.5 * (len(y) * np.log(v) + np.linalg.slogdet(precision)[1] + y @ (y - X @ m) / v)
        share = s[i] ** 2 / v
        first[i, j] = share * (y - X @ m)
        second[i, j] = first[i, j] ** 2 + share * s[j] ** 2 + share**2 * np.einsum("ij,jk,ik->i", X, C, X)
    log_s = stats.norm.logpdf(s, 0, _PRIOR[1])
    log_p += log_s + log_s[:, None]
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    moments = {"sd_g[Intercept]": (p.sum(axis=1) @ s, p.sum(axis=1) @ s**2)}
    moments["sigma"] = (p.sum(axis=0) @ s, p.sum(axis=0) @ s**2)
    for k, level in enumerate(data.g):
        moments[f"b_g[{level}, Intercept]"] = ((p * first[..., k]).sum(), (p * second[..., k]).sum())
    return _means_and_sds(moments)


def _means_and_sds(moments: dict[str, tuple[float, float]]) -> dict[str, float]:
    out = {f"mean of {key}": float(m) for key, (m, _) in moments.items()}
    return out | {f"sd of {key}": float(np.sqrt(square - m**2)) for key, (m, square) in moments.items()}
