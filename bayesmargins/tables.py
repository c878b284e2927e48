"""Results as tables: point estimates, intervals, probabilities and diagnostics, summarised over draws last of all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, shown, warn
from bayesmargins.habits import taught
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result, fingerprint
from bayesmargins.values import is_number, is_word, plain_value, value_list

__all__ = ["check_null", "describe", "draws_of", "interval", "point_estimate", "scale_of", "summary", "to_frame"]

POINTS: dict[str, Callable[..., np.ndarray]] = {"median": np.nanmedian, "mean": np.nanmean}
INTERVALS = ("eti", "hdi")


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
    prob, kind = _interval_of(ci_prob, ci_kind)
    rope = _rope(rope)
    _check_arguments(ds, point, null)
    draws, dims = draws_of(ds)
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


@taught
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
    _check_arguments(check_result(ds), point, None)
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
    if not is_word(kind, INTERVALS):
        word = {"hpd": "hdi", "hpdi": "hdi", "quantile": "eti", "equal-tailed": "eti"}.get(str(kind).lower())
        hint = f" Here it is called {word!r}." if word else close_matches(kind, INTERVALS)
        raise ResultError(f"ci_kind={shown(kind)}; allowed are {', '.join(INTERVALS)}.{hint}")
    if not is_number(prob) or not 0 < prob < 1:
        percent = is_number(prob) and 1 < prob < 100
        hint = f" {prob:g} % is ci_prob={prob / 100:g}." if percent else ""
        raise ResultError(f"ci_prob={shown(prob)}; it must lie between 0 and 1, such as 0.95.{hint}")
    return float(prob), kind


def check_null(null: Any) -> None:
    """Refuse what an effect cannot be held against.

    Raises
    ------
    ResultError
        It is no finite number (None asks for nothing).
    """
    if null is not None and not is_number(null):
        raise ResultError(f"null={shown(null)}; it must be a number, such as 0 for a difference or 1 for a ratio.")


def _rope(rope: Any) -> tuple[float, float] | None:
    """The region of practical equivalence as two numbers, the lower first; either may be infinite."""
    if rope is None:
        return None
    pair = value_list(rope)
    numbers = pair is not None and all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair)
    if pair is None or not numbers or len(pair) != 2 or not pair[0] < pair[1]:
        width = plain_value(rope)
        hint = f" Around 0 that is rope=({-width:g}, {width:g})." if is_number(width) and width > 0 else ""
        raise ResultError(f"rope={shown(rope)}; it must be two numbers, the lower first, such as (-0.1, 0.1).{hint}")
    return pair[0], pair[1]


def _check_arguments(ds: xr.Dataset, point: str, null: float | None) -> None:
    if not is_word(point, POINTS):
        raise ResultError(f"point={shown(point)}; allowed are {', '.join(POINTS)}.{close_matches(point, POINTS)}")
    check_null(null)
    if null is not None and null <= 0 and ds.attrs.get("comparison") in ("ratio", "or") and _is_original(ds):
        raise ResultError(
            f"null={null!r} for a {ds.attrs['scale']}, which is always above 0: no effect is null=1. (Differences, "
            "slopes and logarithms have null=0.)"
        )
    policies = json.loads(str(ds.attrs.get("groups", "{}"))).values()
    integrated = any(p in ("new", "sample") for p in policies if isinstance(p, str))
    if point == "mean" and integrated and ds.attrs.get("link") == "log" and ds.attrs.get("target") in ("mean", "count"):
        warn(
            "Under a log link the average over new groups grows as exp(s2 / 2), and its mean over posterior draws may "
            "not exist: the more draws, the larger it can get. The median does; point='median' is the default."
        )


def draws_of(ds: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Draws of every entry, (chain, draw, entry), and what varies over entries; truth values count as 0 and 1.

    Raises
    ------
    ResultError
        The estimates are no numbers, or a selection has left none.
    """
    estimate = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...)
    dims = [str(d) for d in estimate.dims[2:]]
    if estimate.dtype.kind not in "fiub":
        raise ResultError(
            f"The estimates are {estimate.dtype}; they must be real numbers. Keep 'estimate' as the question gave it, "
            "or as arithmetic on it."
        )
    if estimate.size == 0:
        raise ResultError(
            f"The result has no entries left (sizes {dict(ds[ESTIMATE].sizes)}); there is nothing to report. Check "
            "what was selected from it."
        )
    return estimate.to_numpy().astype(np.float64).reshape(*estimate.shape[:2], -1), dims


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
