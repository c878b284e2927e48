"""A fit told again as code: the arguments that it was given, and priors as the calls that make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.model.prior_text import stored
from bayesmargins.model.priors import Prior
from bayesmargins.posterior import Posterior

__all__ = ["CALL", "prior_in_code", "with_call"]

CALL = "fit"  # in the posterior's info
_PLAIN = (bool, int, float, str, type(None))

_OTHERWISE = ("Gamma",)  # PyMC takes its rate and keeps its scale


def with_call(post: Posterior, arguments: dict[str, Any]) -> Posterior:
    """The posterior, whose info keeps what the fit was asked; arguments that a file cannot keep are left out."""
    post.info[CALL] = {name: _plain(value) for name, value in arguments.items() if isinstance(_plain(value), _PLAIN)}
    return post


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def prior_in_code(prior: Any) -> str | None:
    """``pm.Normal.dist(mu=0.0, sigma=2.5)``; None for what is made in another way."""
    if isinstance(prior, int | float):
        return repr(prior)
    if isinstance(prior, Prior) or not hasattr(prior, "owner"):
        return None
    kind, parameters = stored(prior)
    if parameters is None or kind in _OTHERWISE:
        return None
    return f"pm.{kind}.dist({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"
