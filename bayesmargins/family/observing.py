"""What likelihoods in PyMC share: rows that count more than once or are known in part, and terms of few values of y."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesmargins.family.censoring import Tails, tensor_log_likelihood
from bayesmargins.family.outcome import REAL, Outcome

__all__ = ["by_value", "observe", "observe_by", "weighed"]


def observe(pm: Any, kind: Any, name: str, o: Outcome, y: Any, tails: Tails | None = None, **parameters: Any) -> None:
    """Adds ``kind(name, **parameters, observed=y)``, or what rows say that have weights, or are known in part."""
    if o.weights is None and not o.partial:
        kind(name, **parameters, observed=y, dims="obs")
        return

    def density(value: Any, **given: Any) -> Any:
        return pm.logp(kind.dist(**given), value)

    observe_by(pm, name, o, y, density, kind.dist, tails, kind.__name__, **parameters)


def observe_by(
    pm: Any,
    name: str,
    o: Outcome,
    y: Any,
    density: Callable[..., Any],
    drawn: Callable[..., Any],
    tails: Tails | None,
    kind: str,
    **parameters: Any,
) -> None:
    """The same of a distribution that is no class of PyMC's: its log density at y, and its draws of a ``size``."""
    import pytensor.tensor as pt

    def named(given: Any) -> dict[str, Any]:
        return dict(zip(parameters, given, strict=True))

    def of_tails(value: Any, *given: Any) -> Any:
        assert tails is not None
        return tails.logs(pm, value, **named(given))

    def log_density(value: Any, *given: Any) -> Any:
        def one(value: Any, *given: Any) -> Any:
            return density(value, **named(given))

        return tensor_log_likelihood(pt, o, value, list(given), one, of_tails, support)

    def draws(*given: Any) -> Any:
        *values, size = given
        return drawn(**named(values), size=size)

    support = REAL if tails is None else tails.support
    options = {"logp": log_density, "dist": draws, "class_name": kind, "observed": y, "dims": "obs"}
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
