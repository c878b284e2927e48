"""Words that stand for values of a column: a standard deviation around its mean, its quartiles, its levels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from bayesmargins.design import Column, Design
from bayesmargins.errors import EstimandError

__all__ = ["PAIRS", "SPREADS", "spread_values", "value_label"]


def _around_mean(half: float) -> Callable[[np.ndarray], tuple[float, ...]]:
    def values(x: np.ndarray) -> tuple[float, ...]:
        width = half * x.std(ddof=1) if len(x) > 1 else 0.0
        return float(x.mean() - width), float(x.mean() + width)

    return values


def _quantiles(*at: float) -> Callable[[np.ndarray], tuple[float, ...]]:
    return lambda x: tuple(float(q) for q in np.quantile(x, at))


# words for two values, the lower first: the sides of a comparison
PAIRS: dict[str, Callable[[np.ndarray], tuple[float, ...]]] = {
    "sd": _around_mean(0.5),
    "2sd": _around_mean(1.0),
    "iqr": _quantiles(0.25, 0.75),
    "minmax": _quantiles(0.0, 1.0),
}
SPREADS = PAIRS | {
    "quartiles": _quantiles(0.25, 0.5, 0.75),
    "mean": lambda x: (float(x.mean()),),
    "median": _quantiles(0.5),
}


def spread_values(column: Column, word: str, design: Design) -> tuple[float, ...]:
    """Which values of a number does this word stand for, in the data of the fit?

    Parameters
    ----------
    column : Column
        A number.
    word : str
        Of `SPREADS`: ``"sd"`` is half a standard deviation to either side of the mean, ``"2sd"`` a whole one.
    design : Design
        Holds the fitted rows.

    Returns
    -------
    tuple of float
        In increasing order.

    Raises
    ------
    EstimandError
        The values are the same: the column does not vary.

    Examples
    --------
    >>> spread_values(Column("week", "number"), "iqr", post.design)
    (2.0, 6.0)
    """
    x = design.data[column.name].dropna().to_numpy(dtype=np.float64)
    values = SPREADS[word](x)
    if len(values) > 1 and not all(low < high for low, high in pairwise(values)):
        raise EstimandError(
            f"{word!r} of {column.name!r} stands for {', '.join(map(value_label, values))} in the {len(x)} rows of the "
            "data: values that are the same. Give the values themselves, or a step such as 1."
        )
    return values


def value_label(value: Any, other: Any = None) -> str:
    """How does a value read in a label?

    Parameters
    ----------
    value : object
        A level, number or truth value. A computed number has four digits, or as many as tell it from the other; what a
        person would write stays whole.
    other : object, optional
        The value on the other side of a contrast.

    Returns
    -------
    str

    Examples
    --------
    >>> value_label(0.5), value_label("drug+"), value_label(2.529421532024875)
    ('0.5', 'drug+', '2.529')
    """
    if not isinstance(value, float):
        return str(value)
    if f"{value:.6g}" == f"{value:.12g}":
        return f"{value:.6g}"
    other = float(other) if isinstance(other, int | float) else np.nan
    least = len(f"{abs(value):.0f}")  # digits before the point are all shown
    digits = [min(max(d, least), 17) for d in (4, 6, 8, 12)]
    return next((f"{value:.{d}g}" for d in digits if f"{value:.{d}g}" != f"{other:.{d}g}"), f"{value:.17g}")
