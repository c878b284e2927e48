"""The likelihood of rows that count more than once, from a density of PyMC."""

from __future__ import annotations

from typing import Any

from bayesmargins.family.outcome import Outcome

__all__ = ["observe", "weighed"]


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
