"""The identity link: averages over groups are eta itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Array, Between, Link, Tensors, as_float

__all__ = ["identity"]


def _one(eta: npt.ArrayLike) -> Array:
    return np.ones_like(as_float(eta))


def _zero(eta: npt.ArrayLike) -> Array:
    return np.zeros_like(as_float(eta))


def _closed_form(eta: Array, s2: Array, part: str) -> Array:
    eta, s2 = np.broadcast_arrays(eta, s2)
    value = eta if part == "mean" else np.full(eta.shape, 1.0 if part == "d1" else 0.0)
    return np.where(np.isnan(eta) | np.isnan(s2), np.nan, value)


class Identity(NamedTuple):
    """The identity in compiled code."""

    part: int

    def average(self, part: int, eta: float, s2: float) -> float:
        """E[f(eta + s Z)]."""
        return eta if part == 0 else (1.0 if part == 2 else 0.0)


identity = Link(
    "identity",
    as_float,
    as_float,
    _one,
    _zero,
    higher=(_zero, _zero),
    tensors=Tensors(lambda pt, eta: eta),
    linear=True,
    closed_form=_closed_form,
    closed_linked=lambda eta, s2: eta + 0.0 * s2,
    closed_between=lambda eta, s2, rest: Between(s2 + 0.0 * eta, 0.0, "closed form", 0),
    kernels=Identity,
)
