"""Targets of an ordered response: the probability of each category, of one, and the expected score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmargins.errors import EstimandError, listed, shown
from bayesmargins.family.curve import Quantity
from bayesmargins.family.family import Family
from bayesmargins.family.link import Link
from bayesmargins.family.quantity import Target, counted_as, numbers_of, position
from bayesmargins.habits import taught
from bayesmargins.values import is_number, plain_value, value_list

__all__ = ["Category", "EachCategory", "Score", "category", "score"]


@dataclass(frozen=True, repr=False)
class EachCategory(Target):
    """P(y = k) for every category k, along a dimension of their own: ``target="category"``."""

    reading = "curved"
    probability = True
    needs = ("at_most",)

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity:
        """As for `Target`: P(y = k) = P(y <= k) - P(y <= k - 1)."""
        return _of_categories(family, link, tuple(categories), np.eye(len(categories)), along=True)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"probability of each category of {response}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "probability"

    @property
    def written(self) -> str:
        """As for `Target`."""
        return "'category'"

    def __repr__(self) -> str:
        return "category"


@dataclass(frozen=True, repr=False)
class Category(Target):
    """P(y = k), from `category`."""

    k: Any
    reading = "curved"
    probability = True
    needs = ("at_most",)

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity:
        """As for `Target`."""
        values = np.zeros(len(categories))
        values[position(self.k, categories, str(self)) - 1] = 1.0
        return _of_categories(family, link, tuple(categories), values[None])

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"probability that {response} is {self.k}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"P(y = {self.k})"

    def __repr__(self) -> str:
        return f"category({shown(self.k)})"


@dataclass(frozen=True, repr=False)
class Score(Target):
    """sum of P(y = k) times what category k counts, from `score`."""

    values: tuple[float, ...] = ()
    reading = "curved"
    needs = ("at_most",)

    def counting(self, categories: Sequence[Any]) -> Target:
        """As for `Target`."""
        return self if self.values else Score(numbers_of(categories))

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity:
        """As for `Target`."""
        values = self.values or numbers_of(categories)
        if len(values) != len(categories):
            raise EstimandError(
                f"target={self} has {len(values)} values, and the response has the {len(categories)} categories "
                f"{listed(categories)}: give one value for each."
            )
        return _of_categories(family, link, tuple(categories), np.array([values], dtype=np.float64))

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"expected score of {response}{counted_as(self.values)}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "expected score"

    def __repr__(self) -> str:
        return f"score({[float(f'{v:.12g}') for v in self.values] if self.values else ''})"


def _of_categories(
    family: Family, link: Link, categories: tuple[Any, ...], values: np.ndarray, along: bool = False
) -> Quantity:
    """Sums of values (output, category) times P(y = k), from the curves of P(y <= k) that they read.

    sum_k v_k P(y = k) = v_K + sum_k (v_k - v_(k + 1)) P(y <= k).
    """
    assert family.at_most is not None
    weights = values[:, :-1] - values[:, 1:]
    read = np.flatnonzero(np.any(weights != 0.0, axis=0))
    curves = tuple(family.at_most(link, int(k) + 1) for k in read)
    probability = bool(np.isin(values, (0.0, 1.0)).all() and (values.sum(axis=1) == 1.0).all())
    return Quantity(curves, values[:, -1], weights[:, read], probability, categories if along else None)


@taught
def category(k: Any) -> Target:
    """How probable is one category of an ordered response? A target: ``predictions(post, target=category(2))``.

    Parameters
    ----------
    k : object
        The category, as the data have it. ``target="category"`` gives all of them, along the dimension ``category``.

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        k is neither a number nor a text. Whether the response has it is checked by the question.

    Notes
    -----
    P(y = k) = P(y <= k) - P(y <= k - 1), each averaged over b exactly: E[h(threshold - eta + s Z)].

    Examples
    --------
    >>> category(2)
    category(2)
    """
    value = plain_value(k)
    if not (is_number(value) or isinstance(value, str | bool)):
        raise EstimandError(f"category(k={shown(k)}); k must be a category of the response, a number or a text.")
    return Category(value)


@taught
def score(values: Any = None) -> Target:
    """Which category does an ordered response have on average? A target: ``predictions(post, target=score())``.

    Parameters
    ----------
    values : list of float, optional
        What each category counts, in their order; by default categories that are numbers count as themselves, others
        as 1, 2, ...

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        The values are no list of finite numbers, or all the same.

    Notes
    -----
    sum_k v_k P(y = k). It is a mean of numbers that you gave the categories: a difference says nothing of how far
    apart they are.

    Examples
    --------
    >>> score([0, 1, 5])
    score([0.0, 1.0, 5.0])
    """
    if values is None:
        return Score()
    found = value_list(values)
    numbers = found is not None and all(is_number(v) for v in found)
    if found is None or not numbers or not 0.0 < max(found, default=0) - min(found, default=0) < np.inf:
        raise EstimandError(
            f"score(values={shown(values)}); give what each category counts as a list of finite numbers that are not "
            "all the same, such as [0, 1, 2, 3], or nothing for 1, 2, ..."
        )
    return Score(tuple(map(float, found)))
