"""Targets: one value object a target, with its words, what it needs of a family, and its numbers.

A target is a number of the distribution of y: of y given b where b is known, else of y over b. `quantity_of` says which
averages it is a sum of; where it is none, it is found from the distribution of y over b, the `Mixture`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.family.categories import of_categories
from bayesmargins.family.curve import Curve, Quantity
from bayesmargins.family.family import Family
from bayesmargins.family.link import Link
from bayesmargins.family.links.identity import identity
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.outcome import OF_ROWS
from bayesmargins.habits import taught
from bayesmargins.values import is_number, plain_value

__all__ = [
    "Exceeds",
    "Quantile",
    "Sd",
    "Target",
    "counted_as",
    "exceeds",
    "mean_of",
    "numbers_of",
    "position",
    "quantile",
    "quantity_of",
    "sd",
]


@dataclass(frozen=True)
class Target(ABC):
    """A number of the distribution of y."""

    # "curved", "marginal" or "constant": an average over groups makes an average of probabilities of it, a number of
    # the marginal distribution of y, or nothing
    reading = "marginal"
    probability = False  # whether it has odds
    of_response = True  # whether it needs y given b: its parameters and the trials
    needs: ClassVar[tuple[str, ...]] = ()  # what a family has to say of y for it
    rows: ClassVar[tuple[str, ...]] = OF_ROWS  # what of a left-hand side, by field, it depends on row by row
    # whether it is an average over b of a number of y given b, and no number of the distribution of y over b
    given_b: ClassVar[bool] = False
    moment: ClassVar[str] = ""  # {"", "mean", "sd"}: which moment of y it is: it is there where that is finite

    @abstractmethod
    def noun(self, response: str, averaged: bool) -> str:
        """What it is called in a sentence."""

    @property
    @abstractmethod
    def scale(self) -> str:
        """What it is called above a table."""

    @property
    def written(self) -> str:
        """How a user writes it after ``target=``."""
        return f"bm.{self}"

    def serves(self, family: Family) -> bool:
        """Whether responses of this family have it."""
        return all(getattr(family, what) is not None for what in self.needs)

    def counting(self, categories: Sequence[Any]) -> Target:
        """The same where categories of an ordered y count as numbers: themselves, or else 1, 2, ..."""
        return self

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity | None:
        """Which averages over b it is a sum of; None where it is none. `categories` are those of an ordered y."""
        return None

    def counts(self, categories: Sequence[Any]) -> np.ndarray | None:
        """What each category counts, (output, category), where it is a sum over those of an ordered y; else None."""
        return None

    @property
    def instead(self) -> str:
        """What a response that has no such number can be asked for; empty where nothing comes near."""
        return ""

    @property
    def along(self) -> tuple[str, tuple[Any, ...]] | None:
        """A dimension of the result, and its labels, where it is several numbers that are no sums; None: it is one."""
        return None

    def each(self) -> Sequence[Target]:
        """These numbers, one by one."""
        return [self]

    def parameters(self, beside: Sequence[str]) -> tuple[str, ...]:
        """Which of the parameters beside the mean it depends on; all of them by default."""
        return tuple(beside)

    def found(self, y: Mixture, part: str) -> Number:
        """Its values, where it is no sum; "complement" is 1 minus it to full relative accuracy."""
        raise TypeError(f"{self} is no number of the distribution of y.")

    def constant(self, aux: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its values, one a draw, where it does not depend on y given b."""
        raise TypeError(f"{self} depends on y given b.")

    def __str__(self) -> str:
        return repr(self)


@dataclass(frozen=True, repr=False)
class Exceeds(Target):
    """P(y > c), from `exceeds`; c is a text where it is a category of an ordered y."""

    c: float | str
    reading = "curved"
    probability = True
    needs = ("above", "below", "variance")

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return family.ordinal or super().serves(family)

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity | None:
        """As for `Target`: of an ordered y the probability of the categories above c."""
        if family.ordinal:
            return of_categories(family, link, tuple(categories), self.counts(categories))
        if isinstance(self.c, str):
            raise EstimandError(
                f"target={self}: a response of family={family.name!r} is a number, and no category; give a number."
            )
        return None

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"probability that {response} exceeds {_said(self.c)}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"P(y > {_said(self.c)})"

    def counts(self, categories: Sequence[Any]) -> np.ndarray:
        """As for `Target`."""
        return (np.arange(len(categories)) >= _reached(self, categories)).astype(np.float64)[None]

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        tail = y.tail("above" if part == "mean" else "below", np.full(len(y.s), float(self.c)))
        return Number(tail.value, tail.error, y.method, tail.nodes)

    def __repr__(self) -> str:
        return f"exceeds({shown(self.c) if isinstance(self.c, str) else _said(self.c)})"


def _said(c: float | str) -> str:
    return c if isinstance(c, str) else f"{c:.12g}"


def _reached(target: Exceeds, categories: Sequence[Any]) -> int:
    """How many categories do not exceed c? None or all of them is no question."""
    rising = all(is_number(k) for k in categories) and list(categories) == sorted(categories)
    if rising and not isinstance(target.c, str):
        reached = sum(k <= target.c for k in categories)
    else:
        reached = position(target.c, categories, str(target))
    if not 0 < reached < len(categories):
        raise EstimandError(
            f"target={target}: the categories are {listed(categories)}, so that probability is "
            f"{'1' if reached == 0 else '0'} whatever the rows. Give one of {listed(categories[:-1])}."
        )
    return reached


def numbers_of(categories: Sequence[Any]) -> tuple[float, ...]:
    """What the categories of an ordered y count as: themselves where they are numbers that rise, else 1, 2, ..."""
    rising = all(is_number(k) for k in categories) and list(categories) == sorted(categories)
    return tuple(map(float, categories)) if rising else tuple(float(k + 1) for k in range(len(categories)))


def counted_as(numbers: Sequence[float]) -> str:
    """How a sentence says what categories count as; nothing where there are none."""
    shown_first = ", ".join(f"{v:.12g}" for v in numbers[:12])
    return f" (its categories counted as {shown_first}{', ...' if len(numbers) > 12 else ''})" if numbers else ""


def position(category: Any, categories: Sequence[Any], asked: str) -> int:
    """The number of a category from 1; EstimandError where there is none of this name."""
    for k, label in enumerate(categories, 1):
        if (type(label) is type(category) and label == category) or (
            is_number(label) and is_number(category) and label == category
        ):
            return k
    raise EstimandError(
        f"target={asked}: the response has no category {shown(category)}; its categories are {listed(categories)}."
        f"{close_matches(category, [str(k) for k in categories])}"
    )


@dataclass(frozen=True, repr=False)
class Quantile(Target):
    """The q-quantile, from `quantile`; of an ordered y that of the numbers of its categories."""

    q: float
    numbers: tuple[float, ...] = ()
    needs = ("above", "below", "variance")

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return family.ordinal or super().serves(family)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`; the quantile of an average, or of all rows together, would be another number."""
        of = f"{response}{counted_as(self.numbers)}"
        return f"{self.q:.12g} quantile of {of}{' taken row by row' if averaged else ''}"

    def counting(self, categories: Sequence[Any]) -> Target:
        """As for `Target`."""
        return replace(self, numbers=numbers_of(categories))

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"{self.q:.12g} quantile"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        return y.ordered_quantile(self.q, self.numbers) if self.numbers else y.quantile(self.q)

    def __repr__(self) -> str:
        return f"quantile({self.q:.12g})"


@dataclass(frozen=True, repr=False)
class Sd(Target):
    """The standard deviation, from `sd`; of an ordered y that of the numbers of its categories."""

    numbers: tuple[float, ...] = ()
    needs: ClassVar[tuple[str, ...]] = ("variance",)
    moment: ClassVar[str] = "sd"

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return family.ordinal or super().serves(family)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"standard deviation of {response}{counted_as(self.numbers)}{' taken row by row' if averaged else ''}"

    def counting(self, categories: Sequence[Any]) -> Target:
        """As for `Target`."""
        return replace(self, numbers=numbers_of(categories))

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "standard deviation"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        return y.ordered_sd(self.numbers) if self.numbers else y.sd()

    def __repr__(self) -> str:
        return "sd()"


def quantity_of(target: str | Target, family: Family, link: Link, categories: Sequence[Any] = ()) -> Quantity | None:
    """Which averages over b is this target a sum of? None where it is a number of the distribution of y over b."""
    if isinstance(target, Target):
        return target.quantity(family, link, categories)
    if target == "count" and family.counted:
        counted = of_categories(family, link, tuple(categories), np.eye(len(categories)), along=True)
        return replace(counted, probability=False)
    if target == "link":
        return _LINEAR_PREDICTOR
    return mean_of(family, link) if target == "mean" else Quantity.single(family.curve(link))


_LINEAR_PREDICTOR = Quantity.single(Curve(identity))


@cache
def mean_of(family: Family, link: Link) -> Quantity:
    """E[y], made once: most questions ask for it."""
    if family.expected is None:
        return Quantity.single(family.curve(link))
    return Quantity((), np.zeros(1), np.ones((1, 1)), link.bounded, None, family.expected(link))


@taught
def exceeds(c: float) -> Target:
    """How probable is it that y exceeds a value? A target: ``predictions(post, target=exceeds(2))``.

    Parameters
    ----------
    c : float or str
        In units of the response (for binomial the number of successes): P(y > c), so that 2 and 2.5 are the same for a
        count, and ``exceeds(c - 1)`` is P(y >= c). Of an ordered response a category: P(y lies above it).

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        c is no finite number and no text.

    Notes
    -----
    With ``groups="new"`` it is the integral of P(y > c | b) over b, to a relative accuracy of 1e-12 down to
    probabilities of 1e-20, by tail functions (never as 1 minus the other tail). A closed form for gaussian responses
    with an identity link; else a trapezoid rule whose step is halved until the value stands (attribute
    ``error_estimate``).

    Examples
    --------
    >>> ds = avg_predictions(post, target=exceeds(0))
    >>> describe(ds)[:46]
    'Average probability that yb exceeds 0, over th'
    """
    value = plain_value(c)
    if isinstance(value, str):
        return Exceeds(value)
    if not is_number(value):
        raise EstimandError(
            f"exceeds(c={shown(c)}); c must be one finite number, in units of the response, or a category."
        )
    return Exceeds(float(value))


@taught
def quantile(q: float) -> Target:
    """Below which value does y fall with probability q? A target: ``predictions(post, target=quantile(0.9))``.

    Parameters
    ----------
    q : float
        Between 0 and 1.

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        q is no number between 0 and 1.

    Notes
    -----
    The smallest value with P(y <= value) >= q. With ``groups="new"`` or ``"existing"`` the distribution is the marginal
    one of y, the mixture over b, and no average of the groups' quantiles. Over rows quantiles are averaged one by one:
    the quantile of all rows' responses together is another number. Continuous responses: a root to 13 digits; discrete
    ones: a search among whole numbers (``error_estimate`` is 1 where P(y <= value) is q to 12 digits, else 0).

    Examples
    --------
    >>> predictions(post, post.design.data.head(1), target=quantile(0.5))["estimate"].dims
    ('chain', 'draw', 'row')
    """
    value = plain_value(q)
    if not is_number(value) or not 0 < value < 1:
        percent = is_number(value) and 1 < value < 100
        hint = f" The {value:g} % quantile is quantile({value / 100:g})." if percent else ""
        raise EstimandError(f"quantile(q={shown(q)}); q must lie between 0 and 1, such as 0.9.{hint}")
    return Quantile(float(value))


@taught
def sd() -> Target:
    """How far do responses scatter? A target: ``predictions(post, target=sd())``.

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        A keyword: it takes none.

    Notes
    -----
    The standard deviation of y in units of the response: sqrt(E_b[Var(y | b)] + Var_b(E[y | b])), with ``groups="new"``
    over new groups, with ``"existing"`` over the fitted ones; given b it is sqrt(Var(y | b)). Closed forms under the
    identity and log links and for 0/1 responses.

    Examples
    --------
    >>> avg_predictions(post, target=sd()).attrs["scale"]
    'standard deviation'
    """
    return Sd()
