"""Special functions that several families share, to full relative accuracy in both tails."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

__all__ = ["incomplete_beta", "odds"]

Array = npt.NDArray[np.float64]


def odds(one: Array, other: Array) -> tuple[Array, Array]:
    """one / (one + other) and its complement, also at 0 and infinity."""
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + other / one), 1.0 / (1.0 + one / other)


def incomplete_beta(a: Array, b: Array, x: Array, y: Array) -> Array:
    """I_x(a, b) from the smaller of x and y = 1 - x: with a or b below 1 the digits of the other do not suffice."""
    a, b, x, y = np.broadcast_arrays(a, b, x, y)
    small = ~(x > 0.5)
    out = np.empty(x.shape)
    out[small] = scipy.special.betainc(a[small], b[small], x[small])
    out[~small] = scipy.special.betaincc(b[~small], a[~small], y[~small])
    return out
