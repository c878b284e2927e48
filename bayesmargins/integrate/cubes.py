"""E[h(eta + s Z)^3]: what the variance of y takes where it is cubic in the mean, as that of an inverse Gaussian is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import Link
from bayesmargins.integrate.any_function import smooth_expectation
from bayesmargins.integrate.engine import expectation

__all__ = ["cubed"]

Array = npt.NDArray[np.float64]


def cubed(link: Link, eta: Array, s2: Array) -> Array:
    """The average of the cube of the mean over new groups: eta, s2 and the result (draw, row)."""
    eta, s2 = np.broadcast_arrays(eta, s2)
    if link.exponential:
        return np.asarray(expectation(link, 3.0 * eta, 9.0 * s2).value)
    if link.linear:
        return np.asarray(eta * (eta**2 + 3.0 * s2))
    flat, s = eta.ravel(), np.sqrt(s2.ravel())
    wide = np.full(len(flat), np.inf)  # as smooth as the Gaussian itself
    return smooth_expectation(lambda x, which: link.inverse(x) ** 3, flat, s, flat, wide).value.reshape(eta.shape)
