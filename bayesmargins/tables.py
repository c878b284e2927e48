"""Results as tables: point estimates, intervals, probabilities and diagnostics, summarised over draws last of all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, warn
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result, fingerprint

__all__ = ["describe", "interval", "point_estimate", "scale_of", "summary", "to_frame"]

POINTS: dict[str, Callable[..., np.ndarray]] = {"median": np.nanmedian, "mean": np.nanmean}
INTERVALS = ("eti", "hdi")


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
    prob, kind = _interval_of(ci_prob, ci_kind)
    _check_arguments(ds, point, null, rope)
    draws, dims = _draws(ds)
    finite = np.isfinite(draws)
    kept = np.where(finite, draws, np.nan)
    flat = kept.reshape(-1, kept.shape[-1])
    lower, upper = interval(flat, prob, kind)
    name = f"{kind}{100 * prob:g}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an entry without a finite draw is NaN, and counted below
        table = {point: POINTS[point](flat, axis=0), "sd": np.nanstd(flat, axis=0, ddof=1)}
    table |= {f"{name}_lb": lower, f"{name}_ub": upper} | _probabilities(flat, null, rope) | _diagnostics(draws, point)
    if not finite.all():
        table["n_not_finite"] = (~finite).sum(axis=(0, 1))
        _warn_not_finite(int((~finite).sum()), finite.size)
    frame = pd.DataFrame(table, index=_index(ds, dims))
    frame.columns.name = scale_of(ds)
    frame.attrs["estimand"] = describe(ds)
    return frame


def describe(ds: xr.Dataset) -> str:
    """What are these numbers, in one sentence?

    Parameters
    ----------
    ds : Dataset
        A result, or arithmetic on one.

    Returns
    -------
    str
        The estimand. Where the values are no longer those that were computed (selected, subtracted, transformed in
        xarray) the sentence says that they are derived from it.

    Raises
    ------
    ResultError
        No result of this package.

    Examples
    --------
    >>> describe(avg_predictions(post, groups="zero"))[:46]
    'Average probability of yb, over the 220 rows o'
    """
    check_result(ds)
    sentence = ds.attrs.get("estimand")
    if sentence is None and "bayesmargins_version" in ds.attrs:
        # xarray keeps of two results' attributes what they share.
        shared = ", ".join(f"{k} {ds.attrs[k]}" for k in ("kind", "scale", "formula", "groups", "by") if k in ds.attrs)
        return f"Derived by arithmetic from results that differ in what they ask; what they share: {shared}."
    if sentence is None:
        return "Draws without provenance: this Dataset was not made by bayesmargins."
    if _is_original(ds):
        return str(sentence)
    return f"Derived (selected, combined or transformed after it was computed) from: {sentence}"


def scale_of(ds: xr.Dataset) -> str:
    """On which scale are these numbers, as far as is known?

    Parameters
    ----------
    ds : Dataset
        A result, or arithmetic on one.

    Returns
    -------
    str
        ``"difference in probability"``; ``"derived from probability"`` after arithmetic or selection.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> scale_of(avg_predictions(post)), scale_of(avg_predictions(post) * 100)
    ('probability', 'derived from probability')
    """
    scale = str(ds.attrs.get("scale", ESTIMATE))
    return scale if "scale" not in ds.attrs or _is_original(ds) else f"derived from {scale}"


def _is_original(ds: xr.Dataset) -> bool:
    values = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...).to_numpy()
    return fingerprint(values) == ds.attrs.get("fingerprint")


def to_frame(ds: xr.Dataset) -> pd.DataFrame:
    """How do the draws look as a tidy table, one row a draw?

    Parameters
    ----------
    ds : Dataset
        A result.

    Returns
    -------
    DataFrame
        Columns chain, draw, what varies (with the coordinates along it), ``estimate``.

    Raises
    ------
    ResultError
        No result of this package.

    Examples
    --------
    >>> to_frame(avg_slopes(post, "week")).columns.tolist()
    ['chain', 'draw', 'contrast', 'term', 'estimate']
    """
    frame: pd.DataFrame = check_result(ds)[ESTIMATE].to_dataframe().reset_index()
    return frame[[c for c in frame.columns if c != ESTIMATE] + [ESTIMATE]]


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
    _check_arguments(check_result(ds), point, None, None)
    finite = ds[ESTIMATE].where(np.isfinite(ds[ESTIMATE]))
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

    prob, kind = _interval_of(prob, kind)
    limits = np.full((2, draws.shape[1]), np.nan)
    for j, column in enumerate(draws.T):
        values = column[np.isfinite(column)]
        if len(values) > 1:
            limits[:, j] = getattr(array_stats, kind)(values, prob)
    return limits[0], limits[1]


def _interval_of(prob: float | None, kind: str | None) -> tuple[float, str]:
    from arviz_base import rcParams

    prob = float(rcParams["stats.ci_prob"]) if prob is None else prob
    kind = str(rcParams["stats.ci_kind"]) if kind is None else kind
    if kind not in INTERVALS:
        raise ResultError(f"ci_kind={kind!r}; allowed are {', '.join(INTERVALS)}.{close_matches(kind, INTERVALS)}")
    if not isinstance(prob, int | float) or not 0 < prob < 1:
        raise ResultError(f"ci_prob={prob!r}; it must lie between 0 and 1, such as 0.95.")
    return prob, kind


def _check_arguments(ds: xr.Dataset, point: str, null: float | None, rope: Sequence[float] | None) -> None:
    if point not in POINTS:
        raise ResultError(f"point={point!r}; allowed are {', '.join(POINTS)}.{close_matches(point, POINTS)}")
    if null is not None and not isinstance(null, int | float | np.number):
        raise ResultError(f"null={null!r}; it must be a number, such as 0 for a difference or 1 for a ratio.")
    if null is not None and null <= 0 and ds.attrs.get("comparison") in ("ratio", "or") and _is_original(ds):
        raise ResultError(
            f"null={null!r} for a {ds.attrs['scale']}, which is always above 0: no effect is null=1. (Differences, "
            "slopes and logarithms have null=0.)"
        )
    pair = isinstance(rope, Sequence | np.ndarray) and len(rope) == 2 and not isinstance(rope, str)
    if rope is not None and not (
        pair and all(isinstance(v, int | float | np.number) for v in rope) and rope[0] < rope[1]
    ):
        raise ResultError(f"rope={rope!r}; it must be two numbers, the lower first, such as (-0.1, 0.1).")
    policies = json.loads(str(ds.attrs.get("groups", "{}"))).values()
    integrated = any(p in ("new", "sample") for p in policies if isinstance(p, str))
    if point == "mean" and integrated and ds.attrs.get("link") == "log" and ds.attrs.get("target") != "link":
        warn(
            "Under a log link the average over new groups grows as exp(s2 / 2), and its mean over posterior draws may "
            "not exist: the more draws, the larger it can get. The median does; point='median' is the default."
        )


def _draws(ds: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    estimate = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...)
    dims = [str(d) for d in estimate.dims[2:]]
    return estimate.to_numpy().reshape(*estimate.shape[:2], -1), dims


def _probabilities(flat: np.ndarray, null: float | None, rope: Sequence[float] | None) -> dict[str, np.ndarray]:
    out = {}
    n = np.isfinite(flat).sum(axis=0)
    share = np.divide(1.0, n, out=np.full(len(n), np.nan), where=n > 0)
    if null is not None:
        above, below = (flat > null).sum(axis=0) * share, (flat < null).sum(axis=0) * share
        out = {f"p_gt_{null:g}": above, "pd": np.maximum(above, below)}
    if rope is not None:
        out["p_rope"] = ((flat >= rope[0]) & (flat <= rope[1])).sum(axis=0) * share
    return out


def _diagnostics(draws: np.ndarray, point: str) -> dict[str, np.ndarray]:
    from arviz_base import rcParams
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    tail = float(rcParams["stats.ci_prob"])  # ArviZ's own choice, so that both tables show the same ess_tail
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # entries that do not vary have no r-hat: NaN
        return {
            "ess_bulk": np.atleast_1d(array_stats.ess(draws, method="bulk", **axes)),
            "ess_tail": np.atleast_1d(array_stats.ess(draws, method="tail", prob=tail, **axes)),
            "r_hat": np.atleast_1d(array_stats.rhat(draws, **axes)),
            "mcse": np.atleast_1d(array_stats.mcse(draws, method=point, **axes)),
        }


def _warn_not_finite(count: int, total: int) -> None:
    warn(
        f"{count:,} of {total:,} draws are not finite (an overflow, a ratio or logarithm of 0, or rows with missing "
        "values). They are left out of the point estimate and the interval, and counted in n_not_finite."
    )


def _index(ds: xr.Dataset, dims: list[str]) -> pd.Index:
    """What varies, with the coordinates that say it in the user's own words."""
    if not dims:
        return pd.Index([ESTIMATE])
    sizes = [ds.sizes[d] for d in dims]
    positions = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    columns: dict[str, np.ndarray] = {}
    for dim, position in zip(dims, positions, strict=True):
        columns |= {name: values[position] for name, values in _labels(ds, dim).items()}
    return (
        pd.MultiIndex.from_arrays(list(columns.values()), names=list(columns))
        if len(columns) > 1
        else pd.Index(next(iter(columns.values())), name=next(iter(columns)))
    )


def _labels(ds: xr.Dataset, dim: str) -> dict[str, np.ndarray]:
    along = {str(n): c.to_numpy() for n, c in ds.coords.items() if c.dims == (dim,) and n != dim}
    if dim == "by":
        return along
    own = {dim: ds[dim].to_numpy()}
    return {"term": along["term"], **own} if dim == "contrast" and "term" in along else own
