"""Targets of a response of categories: the probability of each, of one, and of ordered ones the expected score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from bayesmargins.errors import EstimandError, listed, shown
from bayesmargins.family.categories import of_categories
from bayesmargins.family.curve import Quantity
from bayesmargins.family.family import Family
from bayesmargins.family.link import Link
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.quantity import Target, counted_as, numbers_of, position
from bayesmargins.habits import taught
from bayesmargins.values import is_number, plain_value, value_list, whole_number

__all__ = ["Category", "EachCategory", "OfScaled", "Score", "Top", "category", "score", "top"]


class _OfCategories(Target):
    """What responses of categories have, and no others: however many were counted."""

    reading = "curved"
    each_category: ClassVar[bool] = False
    rows: ClassVar[tuple[str, ...]] = ()

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return bool(family.categories)

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity:
        """As for `Target`."""
        counted = self.counts(categories)
        assert counted is not None
        return of_categories(family, link, tuple(categories), counted, along=self.each_category)


class _OfOrder(_OfCategories):
    """What these have where they are ordered."""

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return family.ordinal


@dataclass(frozen=True, repr=False)
class EachCategory(_OfCategories):
    """P(y = k) for every category k, along a dimension of their own: ``target="category"``."""

    probability = True
    each_category = True

    def counts(self, categories: Sequence[Any]) -> np.ndarray:
        """As for `Target`: P(y = k) = P(y <= k) - P(y <= k - 1)."""
        return np.eye(len(categories))

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
class Category(_OfCategories):
    """P(y = k), from `category`."""

    k: Any
    probability = True

    def counts(self, categories: Sequence[Any]) -> np.ndarray:
        """As for `Target`."""
        values = np.zeros(len(categories))
        values[position(self.k, categories, str(self)) - 1] = 1.0
        return values[None]

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
class Top(_OfOrder):
    """P(y is one of the highest k categories), from `top`."""

    k: int
    probability = True

    def counts(self, categories: Sequence[Any]) -> np.ndarray:
        """As for `Target`."""
        K = len(categories)
        if self.k >= K:
            raise EstimandError(
                f"target={self}: the response has the {K} categories {listed(categories)}, so that probability is 1 "
                f"whatever the rows. Give a number from 1 to {K - 1}."
            )
        return (np.arange(K) >= K - self.k).astype(float)[None]

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        which = "the highest category" if self.k == 1 else f"one of the {self.k} highest categories"
        return f"probability that {response} is {which}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "P(y is the highest)" if self.k == 1 else f"P(y among the {self.k} highest)"

    def __repr__(self) -> str:
        return f"top({self.k})"


@dataclass(frozen=True, repr=False)
class Score(_OfOrder):
    """sum of P(y = k) times what category k counts, from `score`."""

    values: tuple[float, ...] = ()

    def counting(self, categories: Sequence[Any]) -> Target:
        """As for `Target`."""
        return self if self.values else Score(numbers_of(categories))

    def counts(self, categories: Sequence[Any]) -> np.ndarray:
        """As for `Target`."""
        values = self.values or numbers_of(categories)
        if len(values) != len(categories):
            raise EstimandError(
                f"target={self} has {len(values)} values, and the response has the {len(categories)} categories "
                f"{listed(categories)}: give one value for each."
            )
        return np.array([values], dtype=np.float64)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"expected score of {response}{counted_as(self.values)}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "expected score"

    def __repr__(self) -> str:
        return f"score({[float(f'{v:.12g}') for v in self.values] if self.values else ''})"


@dataclass(frozen=True, repr=False)
class OfScaled(Target):
    """Numbers of categories where what eta counts for differs by row: sums of probabilities of a distribution of y."""

    asked: Target  # what the user asked for
    values: tuple[tuple[float, ...], ...]  # what each category counts, an output
    labels: tuple[Any, ...] | None = None  # of the outputs, where they are an axis of the result

    @classmethod
    def of(cls, target: Target, categories: Sequence[Any]) -> Target:
        """The same of these categories; a target that is no sum over them as it is."""
        values = target.counts(categories)
        if values is None:
            return target
        along = tuple(categories) if isinstance(target, EachCategory) else None
        return cls(target, tuple(map(tuple, values.tolist())), along)

    @property
    def probability(self) -> bool:  # type: ignore[override]
        """As for `Target`."""
        return self.asked.probability

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return self.asked.noun(response, averaged)

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return self.asked.scale

    @property
    def written(self) -> str:
        """As for `Target`."""
        return self.asked.written

    @property
    def along(self) -> tuple[str, tuple[Any, ...]] | None:
        """As for `Target`."""
        return None if self.labels is None else ("category", self.labels)

    def each(self) -> Sequence[Target]:
        """As for `Target`."""
        return [replace(self, values=(one,), labels=None) for one in self.values]

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`; `of_categories` has the sum."""
        values = np.array(self.values)
        weights = values[:, :-1] - values[:, 1:]
        read = np.flatnonzero(weights[0] != 0.0)
        tails = {side: y.cumulated(side, read) for side in ("mean", "complement")}
        averages = {side: np.stack([tail.value for tail in found])[..., None] for side, found in tails.items()}
        sums = Quantity((), values[:, -1], weights[:, read], self.probability)
        every = [tail for found in tails.values() for tail in found]
        error = np.abs(weights).sum() * max(tail.error.max() for tail in every)
        n, nodes = len(every[0].value), max(tail.nodes for tail in every)
        return Number(sums.combined(averages, part)[:, 0, 0], np.full(n, error), every[0].method, nodes)

    def __repr__(self) -> str:
        return repr(self.asked)


@taught
def category(k: Any) -> Target:
    """How probable is one category of a response? A target: ``predictions(post, target=category(2))``.

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
    Of an ordered response P(y = k) = P(y <= k) - P(y <= k - 1), each averaged over b exactly, as in
    E[h(threshold - eta + s Z)]. Where categories have no order, all linear predictors are averaged jointly.

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
def top(k: int) -> Target:
    """How probable are the k highest categories of an ordered response? A target: ``predictions(post, target=top(2))``.

    Parameters
    ----------
    k : int
        How many categories, counted from the highest: ``top(2)`` of a rating from 1 to 5 is the share of 4 and 5.

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        k is no whole number from 1. Whether the response has more categories is checked by the question.

    Notes
    -----
    With five categories ``top(2)`` is ``exceeds`` of the third: it needs no names of categories.

    Examples
    --------
    >>> top(2)
    top(2)
    """
    return Top(whole_number("top(k)", k, 1))


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
