"""The PyMC model of a design with its group effects, by indexing, under readable names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmargins.design import Design, Members
from bayesmargins.family import Family, Link, Outcome, Values
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.information import Information
from bayesmargins.model.standardised import Triangle, standardised
from bayesmargins.model.variables import Coefficients, coefficients, coords, covariance, register, thresholds
from bayesmargins.schema import factor_dim, stem

__all__ = ["Observed", "build_pymc", "tensor_means"]


@dataclass(frozen=True)
class Observed:
    """Rows of the likelihood, and in which coordinates the sampler sees group effects.

    Attributes
    ----------
    outcome : Outcome
    offset : (row,) float
    constant : float
        Added to log p.
    found : dict of str to Information
        By factor, smaller factors first; of a factor that is not there the sampler sees standard normal effects.
    thresholds : (threshold,) float
        Of an ordered response, those that `found` was found at.
    """

    outcome: Outcome
    offset: np.ndarray
    constant: float = 0.0
    found: Mapping[str, Information] = field(default_factory=dict)
    thresholds: np.ndarray = field(default_factory=lambda: np.empty(0))


def build_pymc(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    groups: Mapping[str, GroupPart],
    observed: Observed,
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
    observed : Observed
        The rows, which are those of `fixed` and `groups`.

    Returns
    -------
    pymc.Model
        Free variables ``Intercept_centred``, ``directions``, ``slopes``, ``z_<factor>``, ``sd_<factor>``, ...;
        deterministic ``beta``, ``b_<factor>``, ``sd_<factor>``, ``cor_<factor>`` under the names that the posterior
        keeps.
    """
    import pymc as pm
    import pytensor.tensor as pt

    with pm.Model(coords=coords(design, len(observed.offset))) as model:
        of_columns = coefficients(design, fixed, priors)
        aux = {name: register(name, priors[name], ()) for name in family.numbers if name in priors}
        if family.ordinal:
            rising, prior = family.parameter("thresholds").rising, priors["thresholds"]
            aux["thresholds"] = thresholds(link, observed.outcome, of_columns.constant, prior, rising)
        eta = of_columns.eta(fixed) + observed.offset
        phi = _phi(of_columns, aux, observed)
        effects: dict[str, Any] = {}
        for name in [*observed.found, *(name for name in groups if name not in observed.found)]:
            effects[name] = _group_effects(groups[name], priors, observed.found.get(name), phi, effects)
            eta = eta + _picked(groups[name], effects[name])
        p = Values(**tensor_means(link, eta), eta=eta, link=link, **family.of_rows(aux, observed.outcome))
        family.need("pymc", "GLMM(...).pymc")(pm, design.response.name, p, observed.outcome)
        if observed.constant:
            pm.Potential(f"{design.response.name}_constant", pt.constant(observed.constant))
    return model


def _phi(of_columns: Coefficients, aux: Mapping[str, Any], observed: Observed) -> Any:
    """Coefficients of the fixed part's columns; thresholds that are higher are a constant that is lower."""
    import pytensor.tensor as pt

    phi = of_columns.stacked()
    if not len(observed.thresholds):
        return phi
    return pt.concatenate([(observed.thresholds.mean() - aux["thresholds"].mean())[None], phi])


def _group_effects(
    part: GroupPart, priors: Mapping[str, Any], found: Information | None, phi: Any, others: Mapping[str, Any]
) -> Any:
    """b_W = L v with v standard normal and L L' the covariance: (group, term). The sampler sees z."""
    import pymc as pm
    import pytensor.tensor as pt

    factor, name = part.factor, stem(part.factor.name)
    dims = (factor_dim(factor.name), f"{name}_term")
    if factor.student:
        L, v = _triangle(part, priors), _student(part, priors)
    elif found is None:
        z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
        L, v = _triangle(part, priors), [z[:, k] for k in range(part.W.shape[1])]
    else:
        z = pm.Flat(f"z_{name}", dims=dims)
        L = _triangle(part, priors)
        v, log_p = standardised(z, L, found, phi, others)
        pm.Potential(f"log_p_{name}", log_p - 0.5 * np.log(2.0 * np.pi) * part.W.shape[1] * len(factor.levels))
    if factor.relation is not None:
        # A sum: a compiled dot takes a minute to compile.
        v = [(factor.relation * of[None]).sum(axis=1) for of in v]
    b_W = pt.stack([sum(L[i][j] * v[j] for j in range(i + 1)) for i in range(len(L))], axis=1)
    pm.Deterministic(f"b_{name}", (b_W[:, None, :] * part.B).sum(axis=-1) if part.recoded else b_W, dims=dims)
    return b_W


def _student(part: GroupPart, priors: Mapping[str, Any]) -> list[Any]:
    """Standard multivariate Student-t effects, (group,) for each term.

    Given those before it each is Student-t too, with more degrees of freedom and a scale that grows with their size: so
    there is no variable for the scale of each group, which is hard to tell from its effects.
    """
    import pymc as pm

    factor, v, square = part.factor, [], 0.0
    df = register(factor.df, priors[factor.df], ())
    for k in range(part.W.shape[1]):
        name = f"t_{stem(factor.name)}{f'_{k + 1}' * (k > 0)}"
        t = pm.StudentT(name, nu=df + k, mu=0.0, sigma=1.0, dims=factor_dim(factor.name))
        v.append(t * pm.math.sqrt((df + square) / (df + k)) if k else t)
        square = square + v[-1] ** 2
    return v


def _triangle(part: GroupPart, priors: Mapping[str, Any]) -> Triangle:
    """L of all blocks, entry by entry."""
    spread, q = covariance(part, priors), part.W.shape[1]
    L: Triangle = [[0.0] * q for _ in range(q)]
    for root, block in zip(spread.roots, part.blocks, strict=True):
        for i, row in zip(block.terms, root, strict=True):
            for j, entry in zip(block.terms, row, strict=False):
                L[i][j] = entry * spread.sd[i]
    return L


def _picked(part: GroupPart, b_W: Any) -> Any:
    """What each row gets of its group's effects.

    Column by column: what picks from a vector is part of the one loop over rows, what picks from a matrix is not.
    """
    if part.factor.members is not None:
        return _picked_of_members(part, part.factor.members, b_W)
    picked = ((b_W[:, k][part.factor.codes], w) for k, w in enumerate(part.W.T))
    return sum(b if np.all(w == 1.0) else b * w for b, w in picked)


def _picked_of_members(part: GroupPart, members: Members, b_W: Any) -> Any:
    """The same of all groups of a row, each by its share: W is that of them together."""
    return sum(
        b_W[:, k][codes] * (w * share)
        for codes, share in zip(members.codes.T, members.shares.T, strict=True)
        for k, w in enumerate(part.W.T)
    )


def tensor_means(link: Link, eta: Any) -> dict[str, Any]:
    """mu and, where it is a probability, 1 - mu, which 1 less mu would round to 0 far out."""
    import pytensor.tensor as pt

    of = link.tensors
    mu = of.inverse(pt, eta)
    if of.logs is None:
        return {"mu": mu}
    return {"mu": mu, "complement": of.inverse(pt, -eta) if link.symmetric else pt.exp(of.logs(pt, eta)[1])}
