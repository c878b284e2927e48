"""Pareto-smoothed importance sampling over groups: from the posterior of all rows to those without one group each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayesmargins.diagnostics import diagnostics
from bayesmargins.schema import SAMPLE_DIMS

__all__ = ["LeftOut", "good_khat", "leave_out", "raised", "smoothed", "standard_error"]

_FEWEST = 5  # draws of which ArviZ fits a tail


@dataclass(frozen=True)
class LeftOut:
    """What the draws say of each group without having seen it."""

    elpd: np.ndarray  # (group,): log of the mean density of the group's rows
    p: np.ndarray  # (group,): how much higher it is for draws that have seen them
    khat: np.ndarray  # (group,): shape of the largest importance ratios
    log_weights: np.ndarray  # (sample, group): their logarithms, smoothed; the weights of a group add up to 1
    good: float  # up to which k-hat that many draws can be trusted


def leave_out(log_likelihood: xr.DataArray) -> LeftOut:
    """From (chain, draw, group)."""
    values = log_likelihood.transpose(*SAMPLE_DIMS, ...).to_numpy()
    flat = values.reshape(-1, values.shape[-1])
    n, efficiency = len(flat), _efficiency(values)
    each = [smoothed(own, efficiency) for own in flat.T]
    log_weights, khat = np.stack([weights for weights, _ in each], axis=1), np.array([shape for _, shape in each])
    log_weights = log_weights - logsumexp(log_weights, axis=0)
    elpd = logsumexp(log_weights + flat, axis=0)
    seen = logsumexp(flat, axis=0) - np.log(n)
    return LeftOut(elpd, seen - elpd, khat, log_weights, good_khat(n))


def good_khat(draws: int) -> float:
    """Vehtari et al. (2024), section 3.2.4; of ten draws or fewer no k-hat is good."""
    return float(np.clip(1.0 - 1.0 / np.log10(max(draws, 2)), 0.0, 0.7))


def raised(component: np.ndarray, power: float) -> tuple[np.ndarray, float]:
    """Weights (sample,) of draws whose log density (chain, draw) had been raised to a power, and k-hat."""
    log_ratios = (power - 1.0) * component.ravel()
    log_weights, khat = smoothed(-log_ratios, _efficiency(component[..., None]))
    return np.exp(log_weights - logsumexp(log_weights)), khat


def standard_error(elpd: np.ndarray) -> float:
    """Of the sum over groups, these being a sample of groups; NaN of a single one."""
    n = len(elpd)
    return float(np.sqrt(n * np.var(elpd, ddof=1))) if n > 1 else float("nan")


def smoothed(log_density: np.ndarray, efficiency: float) -> tuple[np.ndarray, float]:
    """Log weights (sample,) of one group, and k-hat."""
    from arviz_stats.base import array_stats

    if 1 < len(log_density) < _FEWEST:  # too few to have a tail
        return -log_density, np.inf
    if np.ptp(log_density) == 0.0:  # ratios of 1, whose tail has no shape
        return -log_density, -np.inf
    try:
        with np.errstate(all="ignore"):  # of ratios that are nearly all 0 beside the largest the fit divides by 0
            weights, khat = array_stats.psislw(log_density, r_eff=efficiency)
    except ValueError:  # the tail is one draw, again and again
        return -log_density, np.inf
    return (weights, float(khat)) if np.isfinite(weights).all() else (-log_density, np.inf)


def _efficiency(values: np.ndarray) -> float:
    """Effective draws of the likelihood over draws, of the average group: (chain, draw, group)."""
    effective = diagnostics(np.ascontiguousarray(values.transpose(2, 0, 1)), "mode")["ess_bulk"]
    known = effective[np.isfinite(effective)]
    return float(np.clip(known.mean() / values[..., 0].size, 1e-3, 1.0)) if len(known) else 1.0
