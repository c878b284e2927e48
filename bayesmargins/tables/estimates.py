"""Point estimates, intervals and probabilities, over the finite draws of every entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables.arguments import check_arguments, interval_of

__all__ = ["POINT_FUNCTIONS", "interval", "point_estimate", "probabilities"]

POINT_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {"median": np.nanmedian, "mean": np.nanmean}


def point_estimate(ds: xr.Dataset, point: str = "median") -> xr.DataArray:
    """What is the point estimate of every entry, over its finite draws?

    Parameters
    ----------
    ds : Dataset
        A result.
    point : {"median", "mean"}
        Which.

    Returns
    -------
    DataArray
        Without chain and draw.

    Raises
    ------
    ResultError
        No result, or another point estimate.
    """
    check_arguments(check_result(ds), point, None)
    estimate = ds[ESTIMATE].astype(np.float64)
    finite = estimate.where(np.isfinite(estimate))
    return finite.median(SAMPLE_DIMS) if point == "median" else finite.mean(SAMPLE_DIMS)


def interval(draws: np.ndarray, prob: float | None = None, kind: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Between which limits does the posterior put this much probability?

    Parameters
    ----------
    draws : ndarray, shape (sample, entry)
        NaN where a draw is not finite.
    prob, kind : float, str, optional
        ArviZ's settings by default.

    Returns
    -------
    lower, upper : ndarray, shape (entry,)

    Raises
    ------
    ResultError
        A probability outside (0, 1), or an unknown kind.

    Examples
    --------
    >>> [float(limit[0].round(9)) for limit in interval(np.arange(101.0)[:, None], 0.9, "eti")]
    [5.0, 95.0]
    """
    from arviz_stats.base import array_stats

    prob, kind = interval_of(prob, kind)
    limits = np.full((2, draws.shape[1]), np.nan)
    for j, column in enumerate(draws.T):
        values = column[np.isfinite(column)]
        if len(values) > 1:
            limits[:, j] = getattr(array_stats, kind)(values, prob)
    return limits[0], limits[1]


def probabilities(flat: np.ndarray, null: float | None, rope: Sequence[float] | None) -> dict[str, np.ndarray]:
    """Shares of the finite draws above a number, and within a region, for every entry.

    Raises
    ------
    Nothing.
    """
    out = {}
    n = np.isfinite(flat).sum(axis=0)
    share = np.divide(1.0, n, out=np.full(len(n), np.nan), where=n > 0)
    if null is not None:
        above, below = (flat > null).sum(axis=0) * share, (flat < null).sum(axis=0) * share
        out = {f"p_gt_{null:g}": above, "pd": np.maximum(above, below)}
    if rope is not None:
        out["p_rope"] = ((flat >= rope[0]) & (flat <= rope[1])).sum(axis=0) * share
    return out
