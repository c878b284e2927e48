"""A parameter beside the mean that has a linear predictor of its own: it takes the place of a family there."""

from __future__ import annotations

import numpy as np

from bayesmargins.errors import PosteriorError
from bayesmargins.family.family import Family, Parameter
from bayesmargins.family.link import Array, Link

__all__ = ["parameter_family", "parameter_values"]


def parameter_family(
    name: str, links: tuple[str, ...] = ("log", "identity", "softplus"), between: tuple[float, float] = (0.0, np.inf)
) -> Family:
    """What takes the place of a family where a parameter beside the mean is predicted: its "mean" is the parameter."""
    return Family(name, (Parameter(name, links, noun=f"parameter {name}", between=between),), None)


def parameter_values(parameter: Parameter, link: Link, eta: Array) -> Array:
    """Values of a parameter beside the mean, from its linear predictor; NaN where a row is not complete.

    PosteriorError where an identity link leads to values that it cannot have.
    """
    with np.errstate(over="ignore"):
        values = link.inverse(eta)
    bad = ~(parameter.has(values) | np.isnan(values))
    if link.linear and bad.any():
        raise PosteriorError(
            f"The linear predictor of {parameter.name!r}, which has the identity link, is not {parameter.allowed} in "
            f"{int(bad.sum())} of {bad.size} pairs of a draw and a row, down to {values[bad].min():.4g}: y has no "
            f"distribution there. Ask about rows nearer to those of the fit; a {parameter.links[0]} link keeps it "
            f"{parameter.allowed}."
        )
    return values
