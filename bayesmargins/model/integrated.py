"""The PyMC model with its group effects integrated out, and the effects drawn back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.marginal import Likelihood, error_of, largest_first
from bayesmargins.model.variables import coefficients, coords, covariance, register, thresholds
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem

__all__ = ["IntegratedModel", "integrated_model"]

_PHI, _ROOT = "coordinates", "root_{}"
_CENTRED = {"thresholds": "thresholds_centred"}  # what the likelihood reads of a parameter that has a constant in it


@dataclass(frozen=True)
class IntegratedModel:
    """A model that has no b, and what its draws need to get it back."""

    # the variables of the sampled model but ``z_<factor>``; ``coordinates`` and ``root_<factor>`` are what
    # `with_effects` reads
    pymc: Any
    likelihood: Likelihood  # of the rows
    parts: tuple[GroupPart, ...]  # the largest factor first, as in `likelihood`
    aux: tuple[str, ...]  # the family's parameters beside the mean

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws of this model with one of ``b_<factor>``, of the user's terms, beside each."""
        sizes = tuple(trace.sizes[d] for d in SAMPLE_DIMS)
        # A stream of its own: the sampler has the seed itself.
        rng = np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=(1,)))
        drawn = self.likelihood.draw_effects(*self.point(trace), rng)
        return trace.assign({
            f"b_{stem(part.factor.name)}": (
                (*SAMPLE_DIMS, factor_dim(part.factor.name), f"{stem(part.factor.name)}_term"),
                (b @ part.B.T if part.recoded else b).reshape(*sizes, *b.shape[1:]),
            )
            for part, b in zip(self.parts, drawn, strict=True)
        })  # fmt: skip

    def info(self, trace: xr.Dataset) -> dict[str, Any]:
        """For `Posterior.info`."""
        return error_of(self.likelihood, *self.point(trace))

    def point(self, trace: xr.Dataset) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
        """phi, roots and the family's parameters of all draws, as the likelihood takes them."""

        def draws(name: str) -> np.ndarray:
            values = trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy()
            return values.reshape(-1, *values.shape[2:])

        roots = [draws(_ROOT.format(stem(part.factor.name))) for part in self.parts]
        return draws(_PHI), roots, {name: draws(_CENTRED.get(name, name)) for name in self.aux}


def integrated_model(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
    likelihood: Likelihood,
) -> IntegratedModel:
    """The model without b."""
    import pymc as pm

    from bayesmargins.model.group_op import log_marginal

    ordered = largest_first(parts)
    with pm.Model(coords=coords(design, len(outcome.y))) as model:
        of_columns = coefficients(design, fixed, priors)
        phi = pm.Deterministic(_PHI, of_columns.stacked())
        roots = {
            name: pm.Deterministic(_ROOT.format(stem(name)), covariance(part, priors).root())
            for name, part in parts.items()
        }
        aux = {name: register(name, priors[name], ()) for name in family.numbers if name in priors}
        if family.ordinal:
            rising = family.parameter("thresholds").rising
            aux["thresholds"] = thresholds(link, outcome, of_columns.constant, priors["thresholds"], rising)
        of_parts = [roots[part.factor.name] for part in ordered]
        pm.Potential(design.response.name, log_marginal(likelihood, phi, of_parts, aux))
    return IntegratedModel(model, likelihood, ordered, tuple(aux))
