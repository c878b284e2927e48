"""The link log(mu - 1) of a parameter that lies above 1, as brms has it for degrees of freedom: h is 1 + exp."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Link, Tensors, as_float, exponential
from bayesmargins.family.links.log import log

__all__ = ["logm1"]


def _link(mu: npt.ArrayLike) -> Array:
    return log.link(as_float(mu) - 1.0)


def _inverse(eta: npt.ArrayLike) -> Array:
    return 1.0 + exponential(eta)


def _closed_form(eta: Array, s2: Array, part: str) -> Array:
    average = exponential(eta + 0.5 * s2)
    return 1.0 + average if part == "mean" else average


class Logm1(NamedTuple):
    """1 + exp in compiled code."""

    part: int

    def average(self, part: int, eta: float, s2: float) -> float:
        """E[f(eta + s Z)]."""
        return (1.0 if part == 0 else 0.0) + math.exp(eta + 0.5 * s2)


logm1 = Link(
    "logm1",
    _link,
    _inverse,
    exponential,
    exponential,
    higher=(exponential, exponential),
    tensors=Tensors(lambda pt, eta: 1.0 + pt.exp(eta)),
    exponential=True,
    closed_form=_closed_form,
    closed_linked=log.closed_linked,
    closed_between=log.closed_between,
    closed_log=lambda eta, s2, part: np.log1p(exponential(eta + 0.5 * s2)),
    kernels=Logm1,
)
