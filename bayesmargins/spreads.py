"""Words that stand for values of a column: a standard deviation around its mean, its quartiles, its levels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from bayesmargins.design import Column, Design
from bayesmargins.errors import EstimandError
from bayesmargins.values import value_label

__all__ = ["PAIRS", "SPREADS", "spread_values"]


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
    """The values of a number, increasing, that a word stands for in the data of the fit; refused if it does not vary.

    ``"sd"`` is half a standard deviation to either side of the mean, ``"2sd"`` a whole one.

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
