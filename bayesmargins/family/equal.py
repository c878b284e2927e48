"""The probability of one value of y, such as 0: ``target=equals(0)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bayesmargins.errors import EstimandError, shown
from bayesmargins.family.family import Family
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.quantity import Target
from bayesmargins.habits import taught
from bayesmargins.values import is_number, plain_value

__all__ = ["Equals", "equals"]


@dataclass(frozen=True, repr=False)
class Equals(Target):
    """P(y = c), from `equals`."""

    c: float
    reading = "curved"
    probability = True
    needs: ClassVar[tuple[str, ...]] = ("log_density", "above", "variance")

    def serves(self, family: Family) -> bool:
        """As for `Target`; of a continuous y, values that have a probability of their own."""
        return not family.ordinal and super().serves(family) and family.has_chance(self.c)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"probability that {response} is {self.c:.12g}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"P(y = {self.c:.12g})"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`: P(y > 0) is an integral of its own, other complements are what is left of 1."""
        c = np.full(len(y.s), self.c)
        if part == "complement" and self.c == 0.0:
            tail = y.tail("above", c)
            return Number(tail.value, tail.error, y.method, tail.nodes)
        found = y.density(c, 1.0)
        value = np.clip(found.value, 0.0, 1.0)
        return Number(value if part == "mean" else 1.0 - value, found.error, y.method, found.nodes)

    def __repr__(self) -> str:
        return f"equals({self.c:.12g})"


@taught
def equals(c: float) -> Target:
    """How probable is one value of y, such as 0? A target: ``predictions(post, target=equals(0))``.

    Parameters
    ----------
    c : float
        A count from 0, or a value that a continuous response has with a probability of its own, as 0 behind a hurdle.
        In units of the response (for binomial the number of successes).

    Returns
    -------
    Target

    Raises
    ------
    EstimandError
        c is no finite number.

    Notes
    -----
    With ``groups="new"`` it is the integral of P(y = c | b) over b, by a trapezoid rule whose step is halved until the
    value stands (attribute ``error_estimate``). P(y > 0), its complement, is an integral of its own in odds and ratios.

    Examples
    --------
    >>> ds = avg_predictions(post, target=equals(0))
    >>> describe(ds)[:40]
    'Average probability that yb is 0, over t'
    """
    value = plain_value(c)
    if not is_number(value):
        raise EstimandError(f"equals(c={shown(c)}); c must be one finite number, in units of the response, such as 0.")
    return Equals(float(value))
