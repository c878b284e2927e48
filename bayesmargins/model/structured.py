"""Coefficients of the fixed part that other parameters make: shares of ``mo()``, standard deviations of ``s()``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from bayesmargins.design import Design, Monotonic, Penalised
from bayesmargins.errors import ModelError, shown
from bayesmargins.model.coordinates import FixedPart, KnownBend
from bayesmargins.model.priors import Prior
from bayesmargins.model.root_maps import Stated
from bayesmargins.model.scales import Scales
from bayesmargins.model.variables import register
from bayesmargins.schema import stem

__all__ = ["Bend", "Steps", "structure_priors", "structures"]


@dataclass(frozen=True)
class Steps:
    """The coefficients of one ``mo()`` term: b, the mean step, times the number of steps, times shares."""

    term: Monotonic

    @property
    def columns(self) -> tuple[str, ...]:
        """Coefficients that it makes."""
        return self.term.columns

    def defaults(self, X: np.ndarray, scale: float) -> dict[str, Prior]:
        """Uniform shares; of b what a coefficient of the score, the steps that a row has taken, would have."""
        score = X.sum(axis=1)
        spread = score.std() or float(np.sqrt((score**2).mean())) or 1.0
        of_shares = {name: Prior("Dirichlet", {"a": np.ones(size)}) for name, size in self.term.shares.items()}
        return {self.term.name: Prior("Normal", {"mu": 0.0, "sigma": scale / spread}), **of_shares}

    def stated(self, priors: Mapping[str, Any]) -> list[Stated]:
        """Variables of the model, their priors and shapes."""
        shares: list[Stated] = [(stem(name), priors[name], (size,)) for name, size in self.term.shares.items()]
        return [(f"slope_{stem(self.term.name)}", priors[self.term.name], ()), *shares]

    def coefficients(self, priors: Mapping[str, Any], bends: Mapping[str, KnownBend]) -> dict[str, Any]:
        """Tensors by the name of the coefficient; registers the variables."""
        import pytensor.tensor as pt

        b, *shares = (register(*one) for one in self.stated(priors))
        product = reduce(lambda found, share: (found[:, None] * share).ravel(), shares, pt.ones(1))
        values = b * len(self.columns) * product
        return {name: values[k] for k, name in enumerate(self.columns)}


@dataclass(frozen=True)
class Bend:
    """The bent part of a spline: normal coefficients with one standard deviation."""

    term: Penalised

    @property
    def columns(self) -> tuple[str, ...]:
        """Coefficients that it makes."""
        return self.term.columns

    def defaults(self, X: np.ndarray, scale: float) -> dict[str, Prior]:
        """That of a group effect's: the squares of a row's columns add up to 1 on average, as those of a group's do."""
        return {f"sd_{self.term.name}": Prior("HalfNormal", {"sigma": scale})}

    def stated(self, priors: Mapping[str, Any]) -> list[Stated]:
        """Variables of the model, their priors and shapes."""
        return [(f"sd_{stem(self.term.name)}", priors[f"sd_{self.term.name}"], ())]

    def coefficients(self, priors: Mapping[str, Any], bends: Mapping[str, KnownBend]) -> dict[str, Any]:
        """Tensors by the name of the coefficient; registers the variables."""
        import pymc as pm

        ((name, prior, shape),) = self.stated(priors)
        sd, known, label = register(name, prior, shape), bends.get(self.term.name), f"z_{stem(self.term.name)}"
        if known is None:
            z = pm.Normal(label, 0.0, 1.0, shape=len(self.columns))
            return {column: sd * z[k] for k, column in enumerate(self.columns)}
        z = pm.Flat(label, shape=len(self.columns))
        scale = 1.0 / pm.math.sqrt(known.precision + sd**-2.0)
        c = scale**2 * known.precision * known.mode + scale * z
        log_p = (pm.math.log(scale / sd) - 0.5 * (c / sd) ** 2).sum() - 0.5 * np.log(2.0 * np.pi) * len(self.columns)
        pm.Potential(f"log_p_{stem(self.term.name)}", log_p)
        return {column: (known.turn[k] * c).sum() for k, column in enumerate(self.columns)}


def structures(design: Design) -> tuple[Steps | Bend, ...]:
    """Of the fixed part."""
    return (*map(Steps, design.fixed.monotonic), *map(Bend, design.fixed.penalised))


def structure_priors(design: Design, fixed: FixedPart, scales: Scales, given: Mapping[str, Any]) -> dict[str, Any]:
    """Priors of what makes these coefficients; one of the user's for all coefficients is that of b too.

    ModelError where shares get another number of concentrations than there are steps.
    """
    found: dict[str, Any] = {}
    X = design.rows(design.data, (), what="data").X if design.structured else np.empty((0, 0))
    for made in structures(design):
        at = [design.coef.index(name) for name in made.columns]
        found |= made.defaults(X[:, at], scales.direction(fixed.constant))
        if isinstance(made, Steps):
            found |= {made.term.name: given["beta"]} if "beta" in given else {}
            for name, size in made.term.shares.items():
                _check_shares(name, given.get(name), size)
    return found


def _check_shares(name: str, prior: Any, size: int) -> None:
    if prior is None:
        return
    kind = getattr(getattr(getattr(prior, "owner", None), "op", None), "_print_name", ("",))[0]
    a = prior.owner.op.dist_params(prior.owner)[0].eval() if kind == "Dirichlet" else np.zeros(0)
    if a.shape != (size,):
        said = f"Dirichlet of {a.shape} concentrations" if kind == "Dirichlet" else shown(prior)
        raise ModelError(
            f"The prior of {name!r} is {said}; it is of {size} shares that add up to 1: priors={{{name!r}: "
            f"pm.Dirichlet.dist(a={[1.0] * size})}}."
        )
