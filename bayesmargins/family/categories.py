"""Sums of the probabilities of categories, as averages that a predictor knows how to take."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.family.curve import Quantity
from bayesmargins.family.family import Family
from bayesmargins.family.link import Link

__all__ = ["of_categories"]


def of_categories(
    family: Family, link: Link, categories: tuple[Any, ...], values: np.ndarray, along: bool = False
) -> Quantity:
    """Sums of values (output, category) times P(y = k), from averages of what the family says of categories.

    From P(y <= k): sum_k v_k P(y = k) = v_K + sum_k (v_k - v_(k + 1)) P(y <= k).
    """
    probability, labels = bool(np.isin(values, (0.0, 1.0)).all()), categories if along else None
    made = family.probabilities or family.shares
    if made is not None:
        bundle = made(link, len(categories))
        return Quantity((), np.zeros(len(values)), values, probability, labels, bundle)
    assert family.at_most is not None
    weights = values[:, :-1] - values[:, 1:]
    read = np.flatnonzero(np.any(weights != 0.0, axis=0))
    curves = tuple(family.at_most(link, int(k) + 1) for k in read)
    return Quantity(curves, values[:, -1], weights[:, read], probability, labels)
