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

__all__ = ["QuadratureModel", "placed", "quadrature_model"]

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


def placed(likelihood: GroupQuadrature, link: Link, outcome: Outcome) -> GroupQuadrature:
    """With nodes placed by what the most likely point says; thresholds are not sought with it."""
    from scipy.optimize import minimize

    p, q = len(likelihood.F), len(likelihood.W)
    thresholds = _reached(link, outcome.y) if likelihood.tag.reads == 2 else None
    own = len(likelihood.names) if thresholds is None else 0

    def point(x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
        aux = dict(zip(likelihood.names, np.exp(x[p + q :]).reshape(-1, 1), strict=False))
        if thresholds is not None:
            aux[likelihood.names[0]] = thresholds[None]
        return x[None, :p], [np.diag(np.exp(x[p : p + q]))[None]], aux

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        phi, roots, aux = point(x)
        value, d_phi, d_roots, d_aux = likelihood.derivatives(phi, roots, aux)
        of_logs = [np.diag(d_roots[0][0] * roots[0][0]), *((d_aux[n] * aux[n])[0] for n in likelihood.names[:own])]
        slope = np.concatenate([d_phi[0], *map(np.atleast_1d, of_logs)])
        # A little of a normal prior, so that what the data do not know stays where it is.
        return float(0.5 * x @ x / 100.0 - value[0]), x / 100.0 - slope

    start = np.zeros(p + q + own)
    bounds = [(None, None)] * p + [(-4.0, 4.0)] * (q + own)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60, "ftol": 1e-6})
    return likelihood.at_rest(*point(found.x))


def _reached(link: Link, y: np.ndarray) -> np.ndarray:
    """Thresholds at which no covariate and no group says anything."""
    return link.link(np.array([np.mean(y <= k) for k in range(1, int(y.max()))]))


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
    likelihood = placed(likelihood, link, outcome)
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
