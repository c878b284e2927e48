"""The log link: E[exp(eta + s Z)] = exp(eta + s^2 / 2), and so for every derivative."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Between, Link, Ratio, Tensors, as_float, exponential

__all__ = ["log"]


def _log(mu: npt.ArrayLike) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(as_float(mu))


def _between(eta: Array, s2: Array, rest: Array) -> Between:
    return Between(np.exp(2.0 * eta + rest + s2) * np.expm1(s2), 0.0, "closed form", 0)


class Log(NamedTuple):
    """exp in compiled code."""

    part: int

    def average(self, part: int, eta: float, s2: float) -> float:
        """E[f(eta + s Z)]."""
        return math.exp(eta + 0.5 * s2)


log = Link(
    "log",
    _log,
    exponential,
    exponential,
    exponential,
    higher=(exponential, exponential),
    tensors=Tensors(lambda pt, eta: pt.exp(eta)),
    exponential=True,
    closed_form=lambda eta, s2, part: exponential(eta + 0.5 * s2),
    closed_linked=lambda eta, s2: eta + 0.5 * s2,
    closed_between=_between,
    closed_log=lambda eta, s2, part: eta + 0.5 * s2,
    kernels=Log,
    ratio=Ratio(
        "ratio of means (population-averaged)",
        "ratio",
        "ratios of means, for the intercept a mean",
        median="median rate ratio",
    ),
)
