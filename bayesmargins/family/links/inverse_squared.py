"""The link 1 / mu^2, h = 1 / sqrt(eta), defined above 0 only: over a normal b, which goes below, it has no mean."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Function, Link, Tensors, as_float

__all__ = ["inverse_squared"]


def _power(factor: float, power: float) -> Function:
    """factor eta^-power; NaN below 0."""

    def function(eta: npt.ArrayLike) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return factor * as_float(eta) ** -power

    return function


class InverseSquared(NamedTuple):
    """1 / sqrt(eta) in compiled code."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x; NaN below 0."""
        root = 1.0 / math.sqrt(x) if x >= 0.0 else math.nan
        return root if part == 0 else (-0.5 * root / x if part == 2 else 0.75 * root / (x * x))


inverse_squared = Link(
    "1/mu^2",
    _power(1.0, 2.0),
    _power(1.0, 0.5),
    _power(-0.5, 1.5),
    _power(0.75, 2.5),
    higher=(_power(-1.875, 3.5), _power(6.5625, 4.5)),
    tensors=Tensors(lambda pt, eta: 1.0 / pt.sqrt(eta)),
    no_average="1 / sqrt(eta + s Z) is no number where eta + s Z is below 0, which it is for some groups whatever s is",
    kernels=InverseSquared,
    names={"bambi": "inverse_squared"},
)
