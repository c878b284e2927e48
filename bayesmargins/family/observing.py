"""What likelihoods in PyMC share: rows that count more than once or are known in part, and terms of few values of y."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesmargins.family.censoring import Tails, tensor_log_likelihood
from bayesmargins.family.outcome import REAL, Outcome

__all__ = ["by_value", "observe", "weighed"]


def observe(
    pm: Any,
    kind: Any,
    name: str,
    o: Outcome,
    y: Any,
    tails: Tails | None = None,
    **parameters: Any,
) -> None:
    """Adds ``kind(name, **parameters, observed=y)``, or what rows say that have weights, or are known in part."""
    if o.weights is None and not o.partial:
        kind(name, **parameters, observed=y, dims="obs")
        return
    import pytensor.tensor as pt

    def named(given: Any) -> dict[str, Any]:
        return dict(zip(parameters, given, strict=True))

    def density(value: Any, *given: Any) -> Any:
        return pm.logp(kind.dist(**named(given)), value)

    def of_tails(value: Any, *given: Any) -> Any:
        assert tails is not None
        return tails.logs(pm, value, **named(given))

    def log_density(value: Any, *given: Any) -> Any:
        return tensor_log_likelihood(pt, o, value, list(given), density, of_tails, support)

    def drawn(*given: Any) -> Any:
        *values, size = given
        return kind.dist(**named(values), size=size)

    support = REAL if tails is None else tails.support
    options = {"logp": log_density, "dist": drawn, "class_name": kind.__name__, "observed": y, "dims": "obs"}
    pm.CustomDist(name, *parameters.values(), **options)


def weighed(value: Any, o: Outcome) -> Any:
    """Log densities of rows, each times its weight."""
    return value if o.weights is None else o.weights * value


def by_value(term: Callable[[Any], Any], y: Any) -> Any:
    """term(y), taken once for each value that an observed y has."""
    data = getattr(y, "data", None)  # of a constant
    if data is None:
        return term(y)
    values, place = np.unique(data, return_inverse=True)
    return term(values)[place]
