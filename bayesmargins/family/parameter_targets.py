"""Targets that are a parameter of the response: its mean where that differs by row, mu, and a parameter beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayesmargins.family.curve import Curve, Quantity
from bayesmargins.family.family import Family
from bayesmargins.family.link import Link
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.quantity import Target

__all__ = ["OwnMu", "OwnParameter", "ResponseMean"]


@dataclass(frozen=True, repr=False)
class ResponseMean(Target):
    """E[y] where it is no inverse link that is moved by the same in all rows: a parameter that it reads differs."""

    word: str
    reads: tuple[str, ...] = ()
    reading = "curved"
    moment: ClassVar[str] = "mean"

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"{self.word} of {response}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return self.word

    @property
    def written(self) -> str:
        """As for `Target`."""
        return "'mean'"

    def parameters(self, beside: Sequence[str]) -> tuple[str, ...]:
        """As for `Target`."""
        return tuple(name for name in beside if name in self.reads)

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        return y.mean(part)

    def __repr__(self) -> str:
        return "mean"


@dataclass(frozen=True, repr=False)
class OwnMu(Target):
    """The inverse link of eta, where that is not E[y]."""

    meaning: str
    reading: str = "curved"  # type: ignore[misc]  # "linear" where it is eta itself
    probability: bool = False  # type: ignore[misc]
    of_response = False

    @classmethod
    def of(cls, family: Family, link: Link) -> OwnMu:
        """That of a family under a link."""
        return cls(family.parameter("mu").meaning, "linear" if link.linear else "curved", link.bounded)

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"parameter mu{f' ({self.meaning})' if self.meaning else ''} of {response}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return "mu"

    @property
    def written(self) -> str:
        """As for `Target`."""
        return "'mu'"

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return family.mean is not None

    def quantity(self, family: Family, link: Link, categories: Sequence[Any]) -> Quantity:
        """As for `Target`."""
        return Quantity.single(Curve(link))

    def __repr__(self) -> str:
        return "mu"


@dataclass(frozen=True, repr=False)
class OwnParameter(Target):
    """A parameter of the family beside the mean, by its name, and what it means."""

    name: str
    meaning: str = ""
    reading = "constant"
    of_response = False

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"parameter {self.name}{f' ({self.meaning})' if self.meaning else ''} of {response}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return self.name

    @property
    def written(self) -> str:
        """As for `Target`."""
        return repr(self.name)

    def serves(self, family: Family) -> bool:
        """As for `Target`."""
        return self.name in family.aux

    def constant(self, aux: Mapping[str, np.ndarray]) -> np.ndarray:
        """As for `Target`."""
        return aux[self.name]

    def __repr__(self) -> str:
        return self.name
