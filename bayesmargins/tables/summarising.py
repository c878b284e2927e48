"""The table of a result: draws are summarised here, last of all."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import warn
from bayesmargins.habits import taught
from bayesmargins.schema import check_result
from bayesmargins.tables.arguments import check_arguments, interval_of, rope_of
from bayesmargins.tables.describing import describe, scale_of
from bayesmargins.tables.diagnostics import diagnostics
from bayesmargins.tables.draws import draws_of, index_of
from bayesmargins.tables.estimates import POINT_FUNCTIONS, interval, probabilities

__all__ = ["summary"]


@taught
def summary(
    ds: xr.Dataset,
    point: str = "median",
    ci_prob: float | None = None,
    ci_kind: str | None = None,
    null: float | None = None,
    rope: Sequence[float] | None = None,
) -> pd.DataFrame:
    """What do the draws say, in one table?

    Parameters
    ----------
    ds : Dataset
        What predictions, comparisons or slopes returned, or plain xarray arithmetic on it.
    point : {"median", "mean"}
        Point estimate over draws.
    ci_prob : float, optional
        Probability of the interval; ArviZ's setting (0.89) by default.
    ci_kind : {"eti", "hdi"}, optional
        Equal-tailed or highest-density; ArviZ's setting (eti) by default.
    null : float, optional
        Adds ``p_gt_<null>``, the posterior probability of a larger value, and ``pd``, that of the more probable side.
    rope : (float, float), optional
        Adds ``p_rope``, the posterior probability of a value between the two.

    Returns
    -------
    DataFrame
        A row for each thing that varies (the index); columns the point estimate, ``sd``, the interval
        (``eti89_lb``, ``eti89_ub``), what was asked for, then ``ess_bulk``, ``ess_tail``, ``r_hat`` and ``mcse`` (of
        the point estimate). Draws that are not finite are left out and counted in ``n_not_finite``. The columns' name
        is the scale; ``attrs["estimand"]`` the sentence of `describe`.

    Raises
    ------
    ResultError
        No result of this package, or an argument that is not allowed.

    Warns
    -----
    BayesmarginsWarning
        Draws that are not finite; the mean over draws where it may not exist.

    Examples
    --------
    >>> summary(avg_comparisons(post, "trt"), null=0).columns[:4].tolist()
    ['median', 'sd', 'eti89_lb', 'eti89_ub']
    """
    check_result(ds)
    prob, kind = interval_of(ci_prob, ci_kind)
    rope = rope_of(rope)
    check_arguments(ds, point, null)
    draws, dims = draws_of(ds)
    finite = np.isfinite(draws)
    kept = np.where(finite, draws, np.nan)
    flat = kept.reshape(-1, kept.shape[-1])
    lower, upper = interval(flat, prob, kind)
    name = f"{kind}{100 * prob:g}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an entry without a finite draw is NaN, and counted below
        table = {point: POINT_FUNCTIONS[point](flat, axis=0), "sd": np.nanstd(flat, axis=0, ddof=1)}
    table |= {f"{name}_lb": lower, f"{name}_ub": upper} | probabilities(flat, null, rope) | diagnostics(draws, point)
    if not finite.all():
        table["n_not_finite"] = (~finite).sum(axis=(0, 1))
        _warn_not_finite(int((~finite).sum()), finite.size)
    frame = pd.DataFrame(table, index=index_of(ds, dims))
    frame.columns.name = scale_of(ds)
    frame.attrs["estimand"] = describe(ds)
    return frame


def _warn_not_finite(count: int, total: int) -> None:
    warn(
        f"{count:,} of {total:,} draws are not finite (an overflow, a ratio or logarithm of 0, or rows with missing "
        "values). They are left out of the point estimate and the interval, and counted in n_not_finite."
    )
