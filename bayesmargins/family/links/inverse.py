"""The reciprocal link, h = 1 / eta. Over a normal b it has no mean, for however small a variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Function, Link, Tensors, as_float

__all__ = ["inverse"]


def _power(factor: float, power: int) -> Function:
    """factor / eta^power."""

    def function(eta: npt.ArrayLike) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return factor / as_float(eta) ** power

    return function


class Inverse(NamedTuple):
    """1 / eta in compiled code."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        return 1.0 / x if part == 0 else (-1.0 / (x * x) if part == 2 else 2.0 / (x * x * x))


inverse = Link(
    "inverse",
    _power(1.0, 1),
    _power(1.0, 1),
    _power(-1.0, 2),
    _power(2.0, 3),
    higher=(_power(-6.0, 4), _power(24.0, 5)),
    tensors=Tensors(lambda pt, eta: 1.0 / eta),
    no_average="1 / (eta + s Z) is not integrable around eta + s Z = 0, however small s is",
    kernels=Inverse,
)
