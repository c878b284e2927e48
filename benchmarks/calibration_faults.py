"""Planted faults: do the tests of `evidence_calibration.py` see posteriors that are wrong?

Each fault is patched into the package while gaussian data sets are fitted; their number is small, as faults are large.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from calibration_fits import fitted, store

from bayesmargins.model import unconstrained
from bayesmargins.model.log_posterior import LogPosterior

__all__ = ["FAULTS", "SOME", "fault_ranks"]

Array = npt.NDArray[np.float64]
Ranks = dict[str, dict[str, list[int]]]

SOME = 200  # data sets


def _jacobian_twice() -> AbstractContextManager[Any]:
    half_normal: Callable[..., Any] = unconstrained.CLOSED["HalfNormal"]

    def wrong(sigma: Any) -> Any:
        elements, start = half_normal(sigma)

        def of(u: Array) -> Any:
            x, slope, density, own = elements(u)
            return x, slope, density + u, own + 1.0

        return of, start

    return patch.dict(unconstrained.CLOSED, {"HalfNormal": wrong})


def _shrunken_effects() -> AbstractContextManager[Any]:
    right = LogPosterior.effects

    def wrong(self: LogPosterior, x: Any, rng: np.random.Generator) -> dict[str, Array]:
        return {name: 0.8 * b for name, b in right(self, x, rng).items()}

    return patch.object(LogPosterior, "effects", wrong)


def _tempered() -> AbstractContextManager[Any]:
    """The log likelihood counts twice."""
    density, slopes = LogPosterior.log_density, LogPosterior.value_and_gradient

    def value(self: LogPosterior, u: Array) -> Array:
        return np.asarray(2.0 * density(self, u) - self.log_prior(u))

    def both(self: LogPosterior, u: Array) -> tuple[Array, Array]:
        found, gradient = slopes(self, u)
        return 2.0 * found - self.log_prior(u), 2.0 * gradient - _of_prior(self, u)

    return patch.multiple(LogPosterior, log_density=value, value_and_gradient=both)


def _forgotten_data() -> AbstractContextManager[Any]:
    def both(self: LogPosterior, u: Array) -> tuple[Array, Array]:
        return self.log_prior(u), _of_prior(self, u)

    def effects(self: LogPosterior, x: Any, rng: np.random.Generator) -> dict[str, Array]:
        (root,) = self.parameters(x)[1]
        groups = len(self.maps[0].part.factor.levels)
        z = rng.standard_normal((len(root), groups, root.shape[-1]))
        return {"b_g": z @ root.transpose(0, 2, 1)}

    stack = ExitStack()
    stack.enter_context(patch.object(LogPosterior, "log_density", LogPosterior.log_prior))
    stack.enter_context(patch.object(LogPosterior, "value_and_gradient", both))
    stack.enter_context(patch.object(LogPosterior, "effects", effects))
    return stack


def _of_prior(self: LogPosterior, u: Array) -> Array:
    pieces = [v.prior.gradient(own, np.zeros_like(own)) for v, own in self._split(u)]
    return np.concatenate(pieces, axis=1)


FAULTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "the Jacobian of the logarithms of sd and sigma counts twice": _jacobian_twice,
    "b shrunken by a fifth": _shrunken_effects,
    "the log likelihood counts twice": _tempered,
    "the posterior is the prior": _forgotten_data,
}


def fault_ranks(anew: bool = True) -> Ranks:
    """Ranks by fault and quantity, from an earlier run of the same sources if there was one; nothing if not `anew`."""
    sources = store().stem + hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = store().with_name(f"{sources}.json")
    if not path.exists():
        if not anew:
            return {}
        path.write_text(json.dumps({name: _ranks(fault) for name, fault in FAULTS.items()}), encoding="utf-8")
    found: Ranks = json.loads(path.read_text(encoding="utf-8"))
    return found


def _ranks(fault: Callable[[], AbstractContextManager[Any]]) -> dict[str, list[int]]:
    with fault():
        lines = list(map(partial(fitted, "gaussian", nuts=False), range(SOME)))
    ranks = [line["ranks"] for line in lines if "ranks" in line]
    return {name: [one[name] for one in ranks] for name in ranks[0]}
