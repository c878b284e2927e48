"""Which variance is left on the link scale when the groups are known: of a family that says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import Values

__all__ = ["LATENT", "Residual"]


@dataclass(frozen=True)
class Residual:
    """Which variance is left on the link scale when the groups are known?"""

    # `(link, mean, p) -> (draw,)`, with the average mean and the parameters
    variance: Callable[[Link, Array, Values], Array]
    words: Callable[[Link], str]  # link -> what a sentence calls it
    under: Callable[[Link], bool] = lambda link: True  # link -> whether it holds under that link


LATENT = Residual(
    lambda link, mean, p: np.full(mean.shape, link.latent_sd**2),
    lambda link: f"the latent residual variance {link.latent_variance}",
    under=lambda link: link.latent_variance != "",
)
"""That of the latent variable behind a response of 0 and 1."""
