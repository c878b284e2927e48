"""The PyMC model of a design with its group effects: non-centred, by indexing, under readable names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.family import Family, Link, Outcome, Values
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.variables import coefficients, coords, covariance, register, thresholds
from bayesmargins.schema import factor_dim, stem

__all__ = ["build_pymc", "tensor_means"]


def build_pymc(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    groups: Mapping[str, GroupPart],
) -> Any:
    """What is the PyMC model of this design?

    Parameters
    ----------
    design : Design
        Data, names and codes.
    family, link : Family, Link
        Likelihood.
    priors : mapping
        Of every parameter.
    fixed : FixedPart
        Coordinates of the fixed part.
    groups : mapping
        Coordinates of each factor's group effects.

    Returns
    -------
    pymc.Model
        Free variables ``Intercept_centred``, ``directions``, ``slopes``, ``z_<factor>``, ``sd_<factor>``, ...;
        deterministic ``beta``, ``b_<factor>``, ``sd_<factor>``, ``cor_<factor>`` under the names that the posterior
        keeps.
    """
    import pymc as pm

    with pm.Model(coords=coords(design)) as model:
        of_columns = coefficients(design, fixed, priors)
        eta = of_columns.eta(fixed) + design.rows(design.data, (), what="data").offset
        for part in groups.values():
            eta = eta + _group_part(part, priors)
        _likelihood(design, family, link, eta, of_columns.constant, priors)
    return model


def _group_part(part: GroupPart, priors: Mapping[str, Any]) -> Any:
    """b_W = (z R') * sd with z standard normal (non-centred) and R R' the correlation; each row picks its group's.

    Column by column: what picks from a vector is part of the one loop over rows, what picks from a matrix is not.
    """
    import pymc as pm
    import pytensor.tensor as pt

    factor, name = part.factor, stem(part.factor.name)
    dims = (factor_dim(factor.name), f"{name}_term")
    z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
    spread = covariance(part, priors)
    turned = [c for root, block in zip(spread.roots, part.blocks, strict=True) for c in _rotated(z, root, block.terms)]
    columns = [column * spread.sd[k] for k, column in enumerate(turned)]
    b_W = pt.stack(columns, axis=1)
    pm.Deterministic(f"b_{name}", (b_W[:, None, :] * part.B).sum(axis=-1) if part.recoded else b_W, dims=dims)
    picked = zip((column[factor.codes] for column in columns), part.W.T, strict=True)
    return sum(b if np.all(w == 1.0) else b * w for b, w in picked)


def _rotated(z: Any, root: list[list[Any]], block: tuple[int, ...]) -> list[Any]:
    return [sum(entry * z[:, block[m]] for m, entry in enumerate(row)) for row in root]


def _likelihood(design: Design, family: Family, link: Link, eta: Any, constant: Any, priors: Mapping[str, Any]) -> None:
    """The family writes it, from its parameters as tensors."""
    import pymc as pm

    add = family.need("pymc", "GLMM(...).pymc")
    response = design.response
    aux = {name: register(name, priors[name], ()) for name in family.numbers}
    if family.ordinal:
        aux |= {"thresholds": thresholds(link, response.y, constant, priors["thresholds"])}
    p = Values(**tensor_means(link, eta), eta=eta, link=link, **aux)
    add(pm, response.name, p, Outcome(response.y, response.n))


def tensor_means(link: Link, eta: Any) -> dict[str, Any]:
    """mu and, where it is a probability, 1 - mu, which 1 less mu would round to 0 far out."""
    import pytensor.tensor as pt

    of = link.tensors
    mu = of.inverse(pt, eta)
    if of.logs is None:
        return {"mu": mu}
    return {"mu": mu, "complement": of.inverse(pt, -eta) if link.symmetric else pt.exp(of.logs(pt, eta)[1])}
