"""The PyMC model of a normal response with its group effects integrated out, and the effects drawn back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.family import Family, Outcome
from bayesmargins.integrate.normal_groups import NormalGroups, draw_normal_effects, normal_groups
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.variables import coefficients, coords, covariance, register
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem

__all__ = ["NormalModel", "log_marginal", "normal_model"]

_PHI, _ROOT = "coordinates", "root"


@dataclass(frozen=True)
class NormalModel:
    """A model that has no b, and what its draws need to get it back.

    Attributes
    ----------
    pymc : pymc.Model
        The variables of the sampled model but ``z_<factor>``; ``coordinates`` and ``root`` are what
        `with_effects` reads.
    groups : NormalGroups
        Statistics of the rows.
    part : GroupPart
        The factor.
    sd : str
        Which parameter is the standard deviation of the rows.
    """

    pymc: Any
    groups: NormalGroups
    part: GroupPart
    sd: str

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws of this model with one of ``b_<factor>``, of the user's terms, beside each."""
        phi, L, sigma = (trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy() for name in (_PHI, _ROOT, self.sd))
        # A stream of its own: the sampler has the seed itself.
        rng = np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=(1,)))
        phi, L = (values.reshape(sigma.size, *values.shape[2:]) for values in (phi, L))
        b = draw_normal_effects(self.groups, phi, L, sigma.ravel(), self.part.B, rng)
        name = stem(self.part.factor.name)
        dims = (*SAMPLE_DIMS, factor_dim(self.part.factor.name), f"{name}_term")
        return trace.assign({f"b_{name}": (dims, b.reshape(*sigma.shape, *b.shape[1:]))})


def normal_model(
    design: Design, family: Family, priors: Mapping[str, Any], fixed: FixedPart, part: GroupPart, outcome: Outcome
) -> NormalModel:
    """The model of one factor; `family` is normal about a linear predictor."""
    import pymc as pm

    offset = design.rows(design.data, (), what="data").offset
    factor, F = part.factor, fixed.columns
    groups = normal_groups(outcome.y - offset, F, part.W, factor.codes, len(factor.levels), outcome.weights)
    with pm.Model(coords=coords(design)) as model:
        phi = pm.Deterministic(_PHI, coefficients(design, fixed, priors).stacked())
        L = pm.Deterministic(_ROOT, covariance(part, priors).root())
        aux = {name: register(name, priors[name], ()) for name in family.aux}
        pm.Potential(design.response.name, log_marginal(groups, phi, L, aux[family.normal_sd]))
    return NormalModel(model, groups, part, family.normal_sd)


def log_marginal(groups: NormalGroups, phi: Any, L: Any, sigma: Any) -> Any:
    """log p(y | phi, Sigma, sigma) as a tensor, Sigma = L L'; the formula stands at `NormalGroups`."""
    import pytensor.tensor as pt

    from bayesmargins.model.normal_op import GroupMarginal

    c, t = (phi - groups.centre) / sigma, 1.0 / sigma
    of_groups = GroupMarginal()(c, L * t, t, *groups.by_term)[0]
    within = groups.rss * t**2 + (c * (groups.G * c).sum(axis=1)).sum()
    return -0.5 * (groups.count * pt.log(2.0 * np.pi * sigma**2) + within + of_groups)
