"""The PyMC model of a response that is not normal with its group effects integrated out, and the effects drawn back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.integrate.group_quadrature import GroupQuadrature, group_quadrature
from bayesmargins.integrate.normal_groups import Effects
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.variables import coefficients, coords, covariance, register, thresholds
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem

__all__ = ["QuadratureModel", "quadrature_model"]

_PHI, _ROOT = "coordinates", "root_{}"
_CENTRED = {"thresholds": "thresholds_centred"}  # what the likelihood reads of a parameter that has a constant in it


@dataclass(frozen=True)
class QuadratureModel:
    """A model that has no b, and what its draws need to get it back.

    Attributes
    ----------
    pymc : pymc.Model
        The variables of the sampled model but ``z_<factor>``.
    likelihood : GroupQuadrature
    part : GroupPart
    """

    pymc: Any
    likelihood: GroupQuadrature
    part: GroupPart

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws of this model with one of ``b_<factor>``, of the user's terms, beside each."""
        sizes = tuple(trace.sizes[d] for d in SAMPLE_DIMS)
        # A stream of its own: the sampler has the seed itself.
        rng = np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=(1,)))
        (b,) = self.likelihood.draw_effects(*self.point(trace), rng)
        name = self.part.factor.name
        dims = (*SAMPLE_DIMS, factor_dim(name), f"{stem(name)}_term")
        return trace.assign({f"b_{stem(name)}": (dims, (b @ self.part.B.T).reshape(*sizes, *b.shape[1:]))})

    def point(self, trace: xr.Dataset) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
        """phi, roots and the family's parameters of all draws."""

        def draws(name: str) -> np.ndarray:
            values = trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy()
            return values.reshape(-1, *values.shape[2:])

        aux = {name: draws(_CENTRED.get(name, name)) for name in self.likelihood.names}
        return draws(_PHI), [draws(_ROOT.format(stem(self.part.factor.name)))], aux


def quadrature_model(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
) -> QuadratureModel:
    """The model without b, of one factor."""
    import pymc as pm
    import pytensor.tensor as pt

    from bayesmargins.integrate.group_entry import flat_rows
    from bayesmargins.model.group_op import GroupMarginal

    (part,) = parts.values()
    name = part.factor.name
    offset = design.rows(design.data, (), what="data").offset
    effects = Effects(part.W, part.factor.codes, len(part.factor.levels))
    # Where thresholds stand in its place, the constant is no coordinate.
    F = fixed.columns[:, int(fixed.constant and not design.fixed.constant) :]
    tag, count = family.compiled_rows(link), len(design.response.categories) - 1
    likelihood = group_quadrature(tag, family.aux, outcome, F, effects, offset, max(count, 0))
    with pm.Model(coords=coords(design)) as model:
        of_columns = coefficients(design, fixed, priors)
        phi = pm.Deterministic(_PHI, of_columns.stacked())
        L = pm.Deterministic(_ROOT.format(stem(name)), covariance(part, priors).root())
        aux = [pt.atleast_1d(register(n, priors[n], ())) for n in family.numbers]
        if family.ordinal:
            aux.append(thresholds(link, outcome.y, of_columns.constant, priors["thresholds"]))
        x = pt.concatenate([phi, L.ravel(), *aux])
        data = flat_rows(likelihood, count if family.ordinal else len(family.aux))
        pm.Potential(design.response.name, GroupMarginal(tag)(x, *data)[0])
    return QuadratureModel(model, likelihood, part)
