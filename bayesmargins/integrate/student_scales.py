"""Student-t effects as the scale mixture that they are: normal given a scale, which is averaged over.

b = sqrt(lambda) L z with z standard normal and lambda = df / chi-squared(df). With x standard normal,
lambda(x) = df / F^-1(Phi(x)), F the distribution function of chi-squared, so that an average over lambda is one over x:
the trapezoid rule in x, whose error falls faster than any power of the step. As df grows lambda(x) goes to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv, ndtr

__all__ = ["Scales", "scale_at", "scales_of"]

Array = npt.NDArray[np.float64]

_REACH = 7.0  # tails of 1e-12 on either side
_STEP, _FINE, _HEAVY = 0.5, 0.25, 3.0  # below so many degrees of freedom lambda(x) rises so steeply that it takes more


@dataclass(frozen=True)
class Scales:
    """Nodes of the rule."""

    values: Array  # (draw, node) float: what Sigma is multiplied by
    weights: Array  # (node,) float: sum 1
    # (node,) float: those of the rule with twice the step, 0 at every second node: its error is about the root of
    # that of this one
    coarse: Array

    def error(self, fine: Array, coarse: Array) -> Array:
        """How wrong may averages by the rule be, given those by the coarser one?"""
        size = np.maximum(np.abs(fine), 1e-300)
        return np.asarray((np.abs(fine - coarse) / size) ** 2 * size + 4e-12 * size)


def scale_at(df: Any, x: Any) -> Array:
    """lambda(x): what a standard normal x makes the variance of effects with these degrees of freedom."""
    a = np.asarray(df, dtype=np.float64) / 2.0
    x = np.asarray(x, dtype=np.float64)
    with np.errstate(over="ignore", divide="ignore"):
        low, high = gammaincinv(a, ndtr(np.minimum(x, 0.0))), gammainccinv(a, ndtr(-np.maximum(x, 0.0)))
        return np.asarray(a / np.maximum(np.where(x < 0.0, low, high), 1e-290))


def scales_of(df: Array) -> Scales:
    """The rule for these degrees of freedom (draw,)."""
    step = _STEP if df.min(initial=np.inf) >= _HEAVY else _FINE
    x = step * np.arange(-round(_REACH / step), round(_REACH / step) + 1.0)
    weights = np.exp(-0.5 * x**2)
    coarse = np.where(np.arange(len(x)) % 2 == len(x) // 2 % 2, weights, 0.0)
    return Scales(scale_at(df[:, None], x), weights / weights.sum(), coarse / coarse.sum())
