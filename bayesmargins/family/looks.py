"""What the values of y look like, where a family that gives every number a chance is asked of them.

The rules are strict: a warning that is wrong is worse than none. Each asks for thirty rows.
"""

from __future__ import annotations

import numpy as np

from bayesmargins.family.outcome import Array, Outcome

__all__ = ["like_another_family"]

_ROWS = 30
_MOST_CATEGORIES = 11
_EACH = 5  # rows a category, on average
_ZEROS = 0.05
_ENDS = 0.3, 0.7  # shares reach beyond both
_SKEWED = 2.0
_LESS = 0.25  # of the skewness, what logarithms leave at most


def like_another_family(o: Outcome) -> str:
    """What y looks like and which family that has, to follow "The response ..."; empty where nothing speaks for one.

    Estimates with known errors are normal, whatever they are of.
    """
    y = o.y
    if len(y) < _ROWS or o.se is not None or not np.isfinite(y).all():
        return ""
    whole, distinct = bool((y == np.floor(y)).all()), np.unique(y)
    if whole and _is_rating(y, distinct):
        return (
            f"holds the whole numbers from 1 to {len(distinct)} and no others, as ratings do: family='cumulative' has "
            "the probability of each"
        )
    if whole and y.min() == 0.0 and len(distinct) > 2 and (y == 0.0).mean() >= _ZEROS:
        return (
            f"holds whole numbers from 0, which {(y == 0.0).mean():.0%} of the rows are, as counts do: "
            "family='negbinomial' or 'poisson'"
        )
    if 0.0 < y.min() < _ENDS[0] and _ENDS[1] < y.max() < 1.0:
        return "lies between 0 and 1 in every row, as shares do: family='beta'"
    if y.min() > 0.0 and (skewed := _skewness(y)) > _SKEWED and abs(logged := _skewness(np.log(y))) < _LESS * skewed:
        return (
            f"is above 0 and has a long upper tail (skewness {skewed:.1f}, of its logarithm {logged:.1f}), as waiting "
            "times and costs do: family='lognormal' or 'gamma'"
        )
    return ""


def _is_rating(y: Array, distinct: Array) -> bool:
    k = len(distinct)
    return 3 <= k <= _MOST_CATEGORIES and len(y) >= _EACH * k and bool((distinct == np.arange(1, k + 1)).all())


def _skewness(y: Array) -> float:
    spread = y.std()
    return float(np.mean(((y - y.mean()) / spread) ** 3)) if spread > 0.0 else 0.0
