"""The square-root link, h = eta^2: E[(eta + s Z)^2] = eta^2 + s^2. It falls where eta is below 0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Between, Link, Tensors, as_float

__all__ = ["sqrt"]


def _sqrt(mu: npt.ArrayLike) -> Array:
    with np.errstate(invalid="ignore"):
        return np.sqrt(as_float(mu))


def _inverse(eta: npt.ArrayLike) -> Array:
    with np.errstate(over="ignore"):
        return as_float(eta) ** 2


def _derivative(eta: npt.ArrayLike) -> Array:
    return 2.0 * as_float(eta)


def _second(eta: npt.ArrayLike) -> Array:
    return np.where(np.isnan(as_float(eta)), np.nan, 2.0)


def _none(eta: npt.ArrayLike) -> Array:
    return np.where(np.isnan(as_float(eta)), np.nan, 0.0)


def _closed_form(eta: Array, s2: Array, part: str) -> Array:
    if part == "mean":
        return _inverse(eta) + s2
    return {"d1": _derivative, "d2": _second, "d3": _none, "d4": _none}[part](eta + 0.0 * s2)


class Sqrt(NamedTuple):
    """eta^2 in compiled code."""

    part: int

    def node(self, part: int, x: float) -> float:
        """f(x) of one node, for any x."""
        return x * x if part == 0 else (2.0 * x if part == 2 else 2.0)

    def average(self, part: int, eta: float, s2: float) -> float:
        """E[f(eta + s Z)]."""
        return eta * eta + s2 if part == 0 else (2.0 * eta if part == 2 else 2.0)


sqrt = Link(
    "sqrt",
    _sqrt,
    _inverse,
    _derivative,
    _second,
    higher=(_none, _none),
    tensors=Tensors(lambda pt, eta: pt.sqr(eta)),
    closed_form=_closed_form,
    closed_linked=lambda eta, s2: np.where(s2 == 0.0, eta, np.hypot(eta, np.sqrt(s2))),
    # given Z it is (eta + s Z)^2 + r^2
    closed_between=lambda eta, s2, rest: Between(s2 * (4.0 * eta * eta + 2.0 * s2) + 0.0 * rest, 0.0, "closed form", 0),
    closed_log=lambda eta, s2, part: 2.0 * np.log(np.hypot(eta, np.sqrt(s2))),
    kernels=Sqrt,
)
