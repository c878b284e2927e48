"""The PyMC model of a normal response with its group effects integrated out, and the effects drawn back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.family import Family, Outcome
from bayesmargins.integrate.normal_groups import Effects, NormalGroups, draw_normal_effects, normal_groups
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.variables import coefficients, coords, covariance, register
from bayesmargins.schema import SAMPLE_DIMS, factor_dim, stem

__all__ = ["NormalModel", "largest_first", "log_marginal", "normal_model"]

_PHI, _ROOT = "coordinates", "root_{}"


@dataclass(frozen=True)
class NormalModel:
    """A model that has no b, and what its draws need to get it back.

    Attributes
    ----------
    pymc : pymc.Model
        The variables of the sampled model but ``z_<factor>``; ``coordinates`` and ``root_<factor>`` are what
        `with_effects` reads.
    groups : NormalGroups
        Statistics of the rows.
    parts : tuple of GroupPart
        The largest factor first, as in `groups`.
    sd : str
        Which parameter is the standard deviation of the rows.
    """

    pymc: Any
    groups: NormalGroups
    parts: tuple[GroupPart, ...]
    sd: str

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws of this model with one of ``b_<factor>``, of the user's terms, beside each."""
        sizes = tuple(trace.sizes[d] for d in SAMPLE_DIMS)

        def draws(name: str) -> np.ndarray:
            values = trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy()
            return values.reshape(sizes[0] * sizes[1], *values.shape[2:])

        large, *small = self.parts
        roots = _stacked([draws(_ROOT.format(stem(part.factor.name))) for part in small], len(draws(self.sd)))
        # A stream of its own: the sampler has the seed itself.
        rng = np.random.default_rng(np.random.SeedSequence(random_seed, spawn_key=(1,)))
        L = draws(_ROOT.format(stem(large.factor.name)))
        b, s = draw_normal_effects(self.groups, draws(_PHI), L, roots, draws(self.sd), large.B, rng)
        effects, first = [b], 0
        for part, (levels, q) in zip(small, self.groups.layout, strict=True):
            effects.append(s[:, first : first + levels * q].reshape(-1, levels, q) @ part.B.T)
            first += levels * q
        return trace.assign({
            f"b_{stem(part.factor.name)}": (
                (*SAMPLE_DIMS, factor_dim(part.factor.name), f"{stem(part.factor.name)}_term"),
                values.reshape(*sizes, *values.shape[1:]),
            )
            for part, values in zip(self.parts, effects, strict=True)
        })  # fmt: skip


def _stacked(roots: list[np.ndarray], n: int) -> np.ndarray:
    """(draw, factor, term, term), with zeros for the terms that a factor does not have."""
    q = max((r.shape[-1] for r in roots), default=1)
    out = np.zeros((n, len(roots), q, q))
    for f, root in enumerate(roots):
        out[:, f, : root.shape[-1], : root.shape[-1]] = root
    return out


def largest_first(parts: Mapping[str, GroupPart]) -> tuple[GroupPart, ...]:
    """The factor with most effects first: its cost is that of a sum over groups, that of the others of a matrix."""
    return tuple(sorted(parts.values(), key=lambda part: -len(part.factor.levels) * part.W.shape[1]))


def normal_model(
    design: Design,
    family: Family,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
) -> NormalModel:
    """The model without b; `family` is normal about a linear predictor."""
    import pymc as pm

    offset = design.rows(design.data, (), what="data").offset
    ordered = largest_first(parts)
    large, *small = (Effects(p.W, p.factor.codes, len(p.factor.levels)) for p in ordered)
    y = outcome.y if family.measured is None else family.measured(outcome.y)
    groups = normal_groups(y - offset, fixed.columns, large, small, outcome.weights)
    with pm.Model(coords=coords(design, len(offset))) as model:
        phi = pm.Deterministic(_PHI, coefficients(design, fixed, priors).stacked())
        roots = {
            name: pm.Deterministic(_ROOT.format(stem(name)), covariance(part, priors).root())
            for name, part in parts.items()
        }
        aux = {name: register(name, priors[name], ()) for name in family.aux}
        L, *others = (roots[part.factor.name] for part in ordered)
        pm.Potential(design.response.name, log_marginal(groups, phi, L, others, aux[family.normal_sd]))
    return NormalModel(model, groups, ordered, family.normal_sd)


def log_marginal(groups: NormalGroups, phi: Any, L: Any, others: list[Any], sigma: Any) -> Any:
    """log p(y | phi, Sigma, sigma) as a tensor; L and `others` are lower triangles, of the small factors in order."""
    import pytensor.tensor as pt

    from bayesmargins.integrate.normal_entry import flat_data
    from bayesmargins.model.normal_op import GroupMarginal

    t, q = 1.0 / sigma, int(groups.layout[:, 1].max(initial=1))
    terms = groups.layout[:, 1]
    padded = [pt.set_subtensor(pt.zeros((q, q))[:k, :k], root) for root, k in zip(others, terms, strict=True)]
    roots = pt.stack(padded).ravel() * t if padded else pt.zeros(0)
    x = pt.concatenate([(phi - groups.centre) * t, L.ravel() * t, t[None], roots])
    value = GroupMarginal()(x, *flat_data(groups))[0]
    return -0.5 * (groups.count * pt.log(2.0 * np.pi * sigma**2) + value)
