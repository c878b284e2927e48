"""A fit told again as code: the arguments that it was given, and priors as the calls that make them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.model.priors import Prior
from bayesmargins.posterior import Posterior

__all__ = ["CALL", "prior_in_code", "with_call"]

CALL = "fit"  # in the posterior's info
_PLAIN = (bool, int, float, str, type(None))

# Keywords of ``dist`` for the parameters in which PyMC keeps a distribution, in their order; "" is a fixed location.
_WRITTEN = {
    "Normal": ("mu", "sigma"),
    "HalfNormal": ("", "sigma"),
    "Exponential": ("scale",),
    "InverseGamma": ("alpha", "beta"),
    "StudentT": ("nu", "mu", "sigma"),
    "HalfStudentT": ("nu", "sigma"),
    "Cauchy": ("alpha", "beta"),
    "HalfCauchy": ("", "beta"),
    "LogNormal": ("mu", "sigma"),
    "Laplace": ("mu", "b"),
    "Uniform": ("lower", "upper"),
}


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
    kind = getattr(prior.owner.op, "_print_name", ("",))[0]
    values = [np.asarray(p.eval()) for p in prior.owner.op.dist_params(prior.owner) if hasattr(p, "eval")]
    names = _WRITTEN.get(kind)
    if names is None or len(names) != len(values) or any(v.size != 1 for v in values):
        return None
    said = ", ".join(f"{name}={v.item()!r}" for name, v in zip(names, values, strict=True) if name)
    return f"pm.{kind}.dist({said})"
