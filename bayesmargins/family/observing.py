"""What likelihoods in PyMC share: rows that count more than once, and terms that few values of y have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesmargins.family.outcome import Outcome

__all__ = ["by_value", "observe", "weighed"]


def observe(pm: Any, kind: Any, name: str, o: Outcome, y: Any, **parameters: Any) -> None:
    """Adds ``kind(name, **parameters, observed=y)``, each row's log density times its weight where rows have one."""
    if o.weights is None:
        kind(name, **parameters, observed=y, dims="obs")
        return
    names = tuple(parameters)

    def log_density(value: Any, *given: Any) -> Any:
        return given[-1] * pm.logp(kind.dist(**dict(zip(names, given[:-1], strict=True))), value)

    def drawn(*given: Any) -> Any:
        *values, _, size = given
        return kind.dist(**dict(zip(names, values, strict=True)), size=size)

    options = {"logp": log_density, "dist": drawn, "class_name": kind.__name__, "observed": y, "dims": "obs"}
    pm.CustomDist(name, *parameters.values(), o.weights, **options)


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
