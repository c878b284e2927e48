"""Point estimates, intervals and probabilities, over the finite draws of every entry; many entries at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr

from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables.arguments import check_arguments, interval_of
from bayesmargins.tables.tidy_draws import draws_of

__all__ = [
    "between_share",
    "equivalence",
    "harm",
    "interval",
    "limits",
    "point_estimate",
    "points",
    "probabilities",
    "spread",
]

Statistic = Callable[[np.ndarray], np.ndarray]


def points(values: np.ndarray, point: str) -> np.ndarray:
    """The median, mean or mode (entry,) of the finite draws (entry, sample); NaN where none is finite.

    The mode is that of arviz-stats: for whole numbers the most frequent value, else the half-sample mode, which halves
    the draws to the shortest stretch that holds half of them, again and again.

    Robertson & Cryer (1974), "An iterative procedure for estimating the mode", JASA 69(348), 1012-1016.

    >>> points(np.array([[0.0, 1.0, 1.0, np.inf]]), "mode")
    array([1.])
    """
    return _over_finite(values, _POINTS[point])[:, 0]


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation of the finite draws, (entry,); NaN with fewer than two."""
    return _over_finite(values, lambda x: np.std(x, axis=1, ddof=1, keepdims=True), least=2)[:, 0]


def between_share(draws: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Which share (entry,) of the variance of finite draws lies between the means of the parts that chains are of?

    Draws are (entry, chain, draw), parts (chain,). NaN where the draws do not vary.

    >>> between_share(np.array([[[0.0, 2.0], [4.0, 6.0]]]), np.array([1, 2]))
    array([0.8])
    """
    chains = np.where(np.isfinite(draws), draws, np.nan)
    each = [chains[:, parts == part].reshape(len(draws), -1) for part in np.unique(parts)]
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # an entry without finite draws has no mean
        within = np.mean([np.nanvar(of, axis=1) for of in each], axis=0)
        between = np.var([np.nanmean(of, axis=1) for of in each], axis=0)
        return np.asarray(between / (within + between))


def limits(values: np.ndarray, prob: float, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit (entry,) between which the finite draws (entry, sample) put this much probability.

    ``"eti"`` is between two quantiles (type 7), ``"hdi"`` the shortest between two draws. NaN with fewer than two
    finite draws.

    >>> limits(np.array([[0.0, 4.0, 5.0, 6.0, 9.0]]), 0.5, "hdi")
    (array([4.]), array([6.]))
    """
    both = _over_finite(values, lambda x: _LIMITS[kind](x, prob), outputs=2, least=2)
    return both[:, 0], both[:, 1]


def point_estimate(ds: xr.Dataset, point: str = "median") -> xr.DataArray:
    """The point estimate of every entry, over its finite draws: without chain and draw."""
    ds = check_result(ds)
    check_arguments(ds, point, None)
    draws, _ = draws_of(ds)
    first = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...).isel(chain=0, draw=0, drop=True)
    return first.copy(data=points(draws.reshape(-1, draws.shape[-1]).T, point).reshape(first.shape))


def interval(draws: np.ndarray, prob: float | None = None, kind: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit (entry,) of finite draws (sample, entry); probability and kind are ArviZ's by default.

    >>> [float(limit[0].round(9)) for limit in interval(np.arange(101.0)[:, None], 0.9, "eti")]
    [5.0, 95.0]
    """
    return limits(draws.T, *interval_of(prob, kind))


def probabilities(values: np.ndarray, null: float | None, rope: tuple[float, float] | None) -> dict[str, np.ndarray]:
    """By name, the share (entry,) of finite draws above a number, on its more probable side, and within a region.

    Limits of the region belong to it. NaN where no draw is finite.

    >>> probabilities(np.array([[-1.0, 1.0, 2.0, 3.0]]), 0, None)
    {'p_gt_0': array([0.75]), 'pd': array([0.75])}
    """
    finite = np.isfinite(values)
    out = {}
    if null is not None:
        above, below = _share(finite & (values > null), finite), _share(finite & (values < null), finite)
        out = {f"p_gt_{null:g}": above, "pd": np.maximum(above, below)}
    if rope is not None:
        out["p_rope"] = _share(finite & (values >= rope[0]) & (values <= rope[1]), finite)
    return out


def harm(values: np.ndarray, event: str) -> dict[str, np.ndarray]:
    """``p_harm``, the share of the finite draws with fewer events, which are a benefit, or with more, which are a harm.

    >>> harm(np.array([[-0.1, 0.1, 0.2, np.nan]]), "benefit")
    {'p_harm': array([0.33333333])}
    """
    finite = np.isfinite(values)
    return {"p_harm": _share(finite & (values < 0 if event == "benefit" else values > 0), finite)}


def equivalence(values: np.ndarray, rope: tuple[float, float], prob: float) -> dict[str, np.ndarray]:
    """Is an effect practically equivalent to none, different from none, or is that undecided? By name, (entry,).

    ``p_rope_hdi<prob>`` is the share of the draws within the highest-density interval that lies in the region, whose
    limits belong to it. ``decision`` is ``"equivalent"`` where the interval lies wholly in the region, ``"different"``
    where wholly outside, else ``"undecided"``; None where there is no interval.

    The rule is that of Kruschke (2018), "Rejecting or accepting parameter values in Bayesian estimation", Advances in
    Methods and Practices in Psychological Science 1(2), 270-280, there with an interval of 95 %. The decision compares
    limits, not shares: an interval around a region that no draw falls into is undecided.

    >>> equivalence(np.linspace(0.1, 0.3, 101)[None], (-0.05, 0.05), 0.95)["decision"]
    array(['different'], dtype=object)
    """
    lower, upper = (limit[:, None] for limit in limits(values, prob, "hdi"))
    within = (values >= lower) & (values <= upper)
    inside = ((lower >= rope[0]) & (upper <= rope[1]))[:, 0]
    outside = ((lower > rope[1]) | (upper < rope[0]))[:, 0]
    decision = np.where(inside, "equivalent", np.where(outside, "different", "undecided")).astype(object)
    decision[np.isnan(lower[:, 0])] = None
    share = _share(within & (values >= rope[0]) & (values <= rope[1]), within)
    return {f"p_rope_hdi{100 * prob:g}": share, "decision": decision}


def _share(counted: np.ndarray, of: np.ndarray) -> np.ndarray:
    whole = of.sum(axis=1)
    return np.divide(counted.sum(axis=1), whole, out=np.full(len(of), np.nan), where=whole > 0)


def _over_finite(values: np.ndarray, statistic: Statistic, outputs: int = 1, least: int = 1) -> np.ndarray:
    """(entry, outputs): all entries without a gap at once, the others one by one without their gaps."""
    out = np.full((len(values), outputs), np.nan)
    finite = np.isfinite(values)
    whole = finite.all(axis=1)
    if whole.any() and values.shape[1] >= least:
        out[whole] = statistic(np.ascontiguousarray(values[whole]))
    for j in np.flatnonzero(~whole):
        kept = values[j, finite[j]]
        if len(kept) >= least:
            out[j] = statistic(kept[None])
    return out


def _modes(values: np.ndarray) -> np.ndarray:
    from arviz_stats.base import array_stats

    whole = (values == np.floor(values)).all(axis=1)
    # arviz-stats takes the most frequent of whole numbers by their type alone; here they are stored as floats.
    modes = [array_stats.mode(v.astype(np.int64) if w else v) for v, w in zip(values, whole, strict=True)]
    return np.array(modes, dtype=np.float64).reshape(-1, 1)


def _eti(values: np.ndarray, prob: float) -> np.ndarray:
    edge = (1 - prob) / 2
    return np.asarray(np.quantile(values, [edge, 1 - edge], axis=1).T)


def _hdi(values: np.ndarray, prob: float) -> np.ndarray:
    ordered = np.sort(values, axis=1)
    n = ordered.shape[1]
    reach = min(int(np.floor(prob * n)), n - 1)
    first = (ordered[:, reach:] - ordered[:, : n - reach]).argmin(axis=1)
    entry = np.arange(len(ordered))
    return np.stack((ordered[entry, first], ordered[entry, first + reach]), axis=1)


_POINTS: dict[str, Statistic] = {
    "median": lambda x: np.median(x, axis=1, keepdims=True),
    "mean": lambda x: np.mean(x, axis=1, keepdims=True),
    "mode": _modes,
}
_LIMITS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {"eti": _eti, "hdi": _hdi}
