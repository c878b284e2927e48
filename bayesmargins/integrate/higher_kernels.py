"""Compiled terms of the third and fourth derivative of h, which only derivatives of slopes ask for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from bayesmargins.integrate.compiled import INNER

__all__ = [
    "CloglogHigher",
    "LogitHigher",
    "cloglog_derivative",
    "cloglog_higher",
    "logit_derivative",
    "logit_higher",
]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class LogitHigher(NamedTuple):
    """The third or fourth derivative under the logit link: compiled where it is asked for."""

    code: int
    part: int


class CloglogHigher(NamedTuple):
    """The third or fourth derivative under the cloglog link: compiled where it is asked for."""

    code: int
    part: int


@njit(**INNER)
def logit_derivative(part: int, v: float, bend: float) -> float:
    """h'' to h'''' with v = p q = h' and bend = q - p.

    Raises
    ------
    Nothing.
    """
    if part == 3:
        return v * bend
    return v * (1.0 - 6.0 * v) if part == 4 else v * bend * (1.0 - 12.0 * v)


@njit(**INNER)
def cloglog_derivative(part: int, u: float) -> float:
    """h' to h'''' with u = exp(eta).

    Raises
    ------
    Nothing.
    """
    u = min(u, 1000.0)  # exp(-1000) is exactly 0, and powers of 1000 are finite
    d1 = u * math.exp(-u)
    if part < 4:
        return d1 * (1.0 if part == 2 else 1.0 - u)
    return d1 * (1.0 - u * (3.0 - u)) if part == 4 else d1 * (1.0 - u * (7.0 - u * (6.0 - u)))


@njit(**INNER)
def logit_higher(link: LogitHigher, m: int, w: float, work: Array, bits: Integers) -> None:
    """With t = exp(-|eta|), t e^{-+sz} are the odds against at the two nodes; the caller puts the sign of eta back.

    Raises
    ------
    Nothing.
    """
    t, total = work[0], work[2]
    for side in range(2):
        g = work[3 + side]
        for i in range(m):
            u = t[i] * g[i]
            p = 1.0 / (1.0 + u)
            q = u * p
            total[i] += w * logit_derivative(link.part, p * q, q - p)


@njit(**INNER)
def cloglog_higher(link: CloglogHigher, m: int, w: float, work: Array, bits: Integers) -> None:
    """The two nodes +-z of every row, with t = exp(eta).

    Raises
    ------
    Nothing.
    """
    t, total = work[0], work[2]
    for side in range(2):
        g = work[3 + side]
        for i in range(m):
            total[i] += w * cloglog_derivative(link.part, min(t[i] * g[i], 708.0))
