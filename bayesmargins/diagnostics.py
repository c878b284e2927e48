"""How well did the sampler explore what a table reports? Many entries at once, as ArviZ does one.

Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and localization: an improved R-hat
for assessing convergence of MCMC", Bayesian Analysis 16(2), 667-718: chains are split in halves, draws replaced by the
normal scores of their ranks, and autocorrelations summed by Geyer's initial monotone sequence. Conventions (which draws
make a constant, what is missing) are those of arviz-stats, so that a table here shows what `az.summary` shows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import next_fast_len
from scipy.special import logsumexp, ndtri

__all__ = ["diagnostics", "diagnostics_of_mixture", "pareto_shape"]

_LEAST_DRAWS = 4
_SAME = float(np.finfo(np.float64).resolution)  # draws that differ by less are one value
_ONE_SD = np.array([0.1586553, 0.8413447])  # probabilities one standard deviation around the centre


def diagnostics(draws: np.ndarray, point: str, tail: float | None = None) -> dict[str, np.ndarray]:
    """Effective sample sizes, r-hat and the Monte Carlo error of the point, (entry,), of (entry, chain, draw).

    ``ess_bulk``, ``ess_tail``, ``r_hat`` and, unless for a mode, ``mcse``: NaN with a missing number or fewer than 4
    draws a chain; r-hat also with a single chain. ``ess_tail`` is that of the quantiles at the probability `tail` and
    its complement: ArviZ's ``stats.ci_prob`` unless given, so that both tables show the same.

    >>> diagnostics(np.arange(24.0).reshape(1, 2, 12) % 5, "mean")["r_hat"].round(3)
    array([0.928])
    """
    known = ~np.isnan(draws).any(axis=(1, 2))
    names = ["ess_bulk", "ess_tail", "r_hat", *(() if point == "mode" else ("mcse",))]
    out = {name: np.full(len(draws), np.nan) for name in names}
    if draws.shape[2] >= _LEAST_DRAWS and known.any():
        if tail is None:
            from arviz_base import rcParams

            tail = float(rcParams["stats.ci_prob"])
        with np.errstate(all="ignore"):  # 0 / 0 of entries that do not vary, and infinite draws, are NaN
            found = _of_known(draws[known], point, tail)
        for name in names:
            out[name][known] = found[name]
    return out


def diagnostics_of_mixture(draws: np.ndarray, parts: np.ndarray, point: str) -> dict[str, np.ndarray]:
    """As `diagnostics`, where chains are of several posteriors, parts (chain,), that need not agree.

    Each counts the same and is judged by itself: the sum of their effective sample sizes, the largest r-hat among
    chains of one posterior, and the Monte Carlo error of the point of the mixture.

    >>> chains = np.arange(48.0).reshape(1, 4, 12) % 5
    >>> chains[:, 2:] += 100  # another posterior
    >>> diagnostics_of_mixture(chains, np.array([1, 1, 2, 2]), "mean")["r_hat"].round(3)
    array([0.933])
    """
    each = [draws[:, parts == part] for part in np.unique(parts)]
    found = [diagnostics(of, point) for of in each]
    out = {name: np.sum([f[name] for f in found], axis=0) for name in ("ess_bulk", "ess_tail")}
    out["r_hat"] = np.max([f["r_hat"] for f in found], axis=0)
    if point == "mean":
        out["mcse"] = np.sqrt(np.sum([f["mcse"] ** 2 for f in found], axis=0)) / len(each)
    if point == "median":
        out["mcse"] = _mcse_of_mixture(draws, each)
    return out


def _mcse_of_mixture(draws: np.ndarray, each: list[np.ndarray]) -> np.ndarray:
    """Of the median: the share of draws below it is the mean of the posteriors' shares, each with its own error."""
    out = np.full(len(draws), np.nan)
    known = ~np.isnan(draws).any(axis=(1, 2))
    if not known.any() or draws.shape[2] < _LEAST_DRAWS:
        return out
    median = np.quantile(_flat(draws[known]), 0.5, axis=1)
    variance = np.zeros(len(median))
    with np.errstate(all="ignore"):
        for of in each:
            below = (of[known] <= median[:, None, None]).mean(axis=(1, 2))
            variance += below * (1.0 - below) / _ess_below(of[known], median)
        out[known] = _mcse_median(draws[known], 0.25 * len(each) ** 2 / variance)
    return out


def _of_known(draws: np.ndarray, point: str, tail: float) -> dict[str, np.ndarray]:
    split = _split(draws)
    scores = _normal_scores(split)
    out = {"ess_bulk": _ess(scores), "ess_tail": _ess_tail(draws, tail), "r_hat": np.full(len(draws), np.nan)}
    if draws.shape[1] > 1:
        folded = np.abs(split - np.median(_flat(split), axis=1)[:, None, None])
        bulk, tails = _rhat(scores), _rhat(_normal_scores(folded))
        out["r_hat"] = np.where(tails > bulk, tails, bulk)  # missing tails leave the bulk
    if point == "mean":
        out["mcse"] = np.std(_flat(draws), axis=1, ddof=1) / np.sqrt(_ess(split))
    if point == "median":
        out["mcse"] = _mcse_median(draws, _ess_below(draws, np.quantile(_flat(draws), 0.5, axis=1)))
    return out


def _flat(draws: np.ndarray) -> np.ndarray:
    return draws.reshape(len(draws), -1)


def _split(draws: np.ndarray) -> np.ndarray:
    """Halves of chains as chains; the middle one of an odd number of draws is left out."""
    half = draws.shape[2] // 2
    return np.concatenate((draws[..., :half], draws[..., -half:]), axis=1)


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks among all draws of an entry (Blom's offsets, equation 14); ties share a rank."""
    values = _flat(draws)
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    scores = np.empty(values.shape)
    np.put_along_axis(scores, order, _scores(values.shape[1])[_twice_ranks(ordered)], axis=1)
    scores[np.isnan(values).any(axis=1)] = np.nan
    return scores.reshape(draws.shape)


def _twice_ranks(ordered: np.ndarray) -> np.ndarray:
    """Twice the average rank: a whole number, so that scores are looked up."""
    entries, size = ordered.shape
    place = np.arange(size)
    first = np.ones((entries, size), dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    if first.all():
        return np.broadcast_to(2 * place + 2, ordered.shape)
    last = np.ones_like(first)
    last[:, :-1] = first[:, 1:]
    lowest = np.maximum.accumulate(np.where(first, place, 0), axis=1)
    highest = np.minimum.accumulate(np.where(last, place, size)[:, ::-1], axis=1)[:, ::-1]
    return lowest + highest + 2


@lru_cache(maxsize=4)
def _scores(size: int) -> np.ndarray:
    """Scores by twice the rank, 0 to 2 * size."""
    return np.asarray(ndtri((np.arange(2 * size + 1) / 2 - 3 / 8) / (size - 2 * (3 / 8) + 1)))


def _rhat(draws: np.ndarray) -> np.ndarray:
    """Between against within chains (equation 4)."""
    n = draws.shape[2]
    between = n * np.var(draws.mean(axis=2), axis=1, ddof=1)
    within = np.var(draws, axis=2, ddof=1).mean(axis=1)
    return np.asarray(np.sqrt((between / within + n - 1) / n))


def _ess(draws: np.ndarray) -> np.ndarray:
    """Effective sample size of the mean, (chain, draw) of every entry (equations 10 to 13)."""
    _, chains, n = draws.shape
    covariance = _autocovariance(draws)
    within = covariance[:, 0] * n / (n - 1.0)
    total = within * (n - 1.0) / n
    if chains > 1:
        total = total + np.var(draws.mean(axis=2), axis=1, ddof=1)
    rho = 1.0 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    size = chains * n
    ess = size / np.maximum(_geyer(rho), 1 / np.log10(size))
    ess[np.isnan(rho[:, 1])] = np.nan
    values = _flat(draws)
    return np.where(values.max(axis=1) - values.min(axis=1) < _SAME, float(size), ess)


def _autocovariance(draws: np.ndarray) -> np.ndarray:
    """(entry, lag): mean over chains of each chain's own, at every lag, by FFT."""
    n = draws.shape[2]
    padded = next_fast_len(2 * n, real=True)
    power = np.fft.rfft(draws - draws.mean(axis=2, keepdims=True), n=padded, axis=2)
    power *= np.conjugate(power)
    covariance = np.fft.irfft(power, n=padded, axis=2)[..., :n] / n
    # Chains side by side are summed in the order in which ArviZ sums them: where Geyer's sums are 0 up to rounding,
    # as they are for a handful of discrete draws, another order would cut the sequence elsewhere.
    return np.asarray(np.ascontiguousarray(covariance.transpose(0, 2, 1)).mean(axis=2))


def _geyer(rho: np.ndarray) -> np.ndarray:
    """Autocorrelation time by Geyer's initial monotone positive sequence of sums of two neighbouring lags."""
    n = rho.shape[1]
    pairs = np.add(rho[:, 0 : n - 1 : 2], rho[:, 1:n:2])
    stops = ~(pairs > 0.0)
    stops[:, np.arange(pairs.shape[1]) * 2 + 1 >= n - 3] = True  # no lags beyond
    cut = stops.argmax(axis=1)
    kept = np.arange(pairs.shape[1]) < cut[:, None]
    monotone = np.minimum.accumulate(np.where(kept, pairs, np.inf), axis=1)
    odd_one = np.take_along_axis(rho, 2 * cut[:, None], axis=1)[:, 0]
    at_cut = np.take_along_axis(pairs, cut[:, None], axis=1)[:, 0]
    # The first lag after the cut counts once, where it is positive or belongs to a pair that is not negative.
    rest = np.where((odd_one > 0.0) | (at_cut >= 0.0), odd_one, 0.0)
    return np.asarray(-1.0 + 2.0 * np.where(kept, monotone, 0.0).sum(axis=1) + rest)


def _ess_below(draws: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Effective sample size of the share of draws up to a limit."""
    return _ess(_split((draws <= limits[:, None, None]).astype(np.float64)))


def _ess_tail(draws: np.ndarray, prob: float) -> np.ndarray:
    low, high = (np.quantile(_flat(draws), p, axis=1) for p in sorted((prob, 1 - prob)))
    first, second = _ess_below(draws, low), _ess_below(draws, high)
    return np.where(second < first, second, first)


def _mcse_median(draws: np.ndarray, ess: np.ndarray) -> np.ndarray:
    """Half the distance between the order statistics one standard deviation of the median's rank apart.

    `ess` is the effective sample size of the share of draws below it.
    """
    from scipy.stats import beta

    ordered = np.sort(_flat(draws), axis=1)
    size = ordered.shape[1]
    place = beta.ppf(_ONE_SD, ess[:, None] * 0.5 + 1, ess[:, None] * 0.5 + 1) * size - 1
    low = np.floor(np.fmax(place[:, 0], 0)).astype(int)
    high = np.ceil(np.fmin(place[:, 1], size - 1)).astype(int)
    entry = np.arange(len(ordered))
    return np.asarray((ordered[entry, high] - ordered[entry, low]) / 2)


def pareto_shape(log_weights: np.ndarray) -> float:
    """k-hat: is the tail of importance weights (draw,) so heavy that they cannot be relied on?

    ArviZ's, whose import takes half a second: Vehtari, Simpson, Gelman, Yao & Gabry (2024), "Pareto smoothed importance
    sampling", JMLR 25(72). NaN where the tail does not rise.
    """
    n = len(log_weights)
    weights = np.exp(np.sort(log_weights) - log_weights.max())
    tail = int(3.0 * np.sqrt(n) if n > 225 else n / 5.0)
    return _shape(weights[-tail:] - weights[-tail - 1])


def _shape(x: np.ndarray) -> float:
    """Of a generalised Pareto distribution, from sorted x (draw,).

    Zhang & Stephens (2009), "A new and efficient estimation method for the generalized Pareto distribution",
    Technometrics 51, 316-325; drawn towards 0.5 as by 10 more draws.
    """
    n = len(x)
    quartile, points = x[int(n / 4 - 0.5)], 30 + int(n**0.5)
    if not quartile > x[0]:
        return float("nan")
    b = 1.0 / x[-1] + (1.0 - np.sqrt(points / (np.arange(points) + 0.5))) / (3.0 * quartile)
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    size = n * (np.log(-b / k) - k - 1.0)
    mean = float(b @ np.exp(size - logsumexp(size)))
    return float((n * np.log1p(-mean * x).mean() + 5.0) / (n + 10.0))
