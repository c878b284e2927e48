"""The PyMC model of linear predictors with their group effects, by indexing, under readable names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesmargins.design import Members
from bayesmargins.family import Family, Link, Outcome, Values
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.model.across import coords_of
from bayesmargins.model.coordinates import GroupPart
from bayesmargins.model.information import Information
from bayesmargins.model.linear import LinearPredictor
from bayesmargins.model.standardised import standardised
from bayesmargins.model.variables import Coefficients, coefficients, coords, covariance, register, thresholds
from bayesmargins.schema import MEAN, factor_dim, stem
from bayesmargins.values import plain

__all__ = ["Observed", "build_pymc", "tensor_means"]


@dataclass(frozen=True)
class Observed:
    """Rows of the likelihood, and in which coordinates the sampler sees group effects."""

    outcome: Outcome
    constant: float = 0.0  # added to log p
    # by factor, smaller factors first; of a factor that is not there the sampler sees standard normal effects
    found: Mapping[str, Information] = field(default_factory=dict)
    # (threshold,): of an ordered response, those that `found` was found at
    thresholds: np.ndarray = field(default_factory=lambda: np.empty(0))
    # the same rows, where one compiled pass gives their log density and its slopes
    compiled: GroupQuadrature | None = None


def build_pymc(
    predictors: Sequence[LinearPredictor],
    family: Family,
    priors: Mapping[str, Any],
    groups: Mapping[str, GroupPart],
    observed: Observed,
) -> Any:
    """The PyMC model of these linear predictors, the outcome's first, of the rows observed.

    Free variables are ``Intercept_centred``, ``directions``, ``slopes``, ``z_<factor>``, ``sd_<factor>``, ...;
    deterministic ones ``beta``, ``b_<factor>``, ``sd_<factor>``, ``cor_<factor>``, under the names that the posterior
    keeps. Those of a parameter have its name in front: ``sigma_beta``.
    """
    import pymc as pm
    import pytensor.tensor as pt

    mean, *others = predictors
    design, link = mean.design, mean.link
    with pm.Model(coords=_coords(predictors, groups)) as model:
        of_columns = coefficients(design, mean.fixed, mean.own(priors), mean.name)
        aux = {name: register(name, priors[name], ()) for name in family.numbers if name in priors}
        if family.ordinal:
            rising, prior = family.parameter("thresholds").rising, priors["thresholds"]
            aux["thresholds"] = thresholds(link, observed.outcome, of_columns.constant, prior, rising)
        etas = {mean.name: of_columns.eta(mean.fixed) + mean.offset}
        for p in others:
            etas[p.name] = coefficients(p.design, p.fixed, p.own(priors), p.name).eta(p.fixed) + p.offset
        phi = _phi(of_columns, aux, observed)
        effects: dict[str, Any] = {}
        for name in [*observed.found, *(name for name in groups if name not in observed.found)]:
            part = groups[name]
            effects[name] = _group_effects(part, priors, observed.found.get(name), phi, effects)
            for member in part.members:
                etas[member.predictor] = etas[member.predictor] + _picked(part, effects[name], member.columns)
        if observed.compiled is not None:
            from bayesmargins.model.group_op import log_of_rows

            pm.Potential(design.response.name, log_of_rows(observed.compiled, etas[mean.name], aux))
        else:
            values = _values(predictors, etas, family, aux, observed.outcome)
            family.need("pymc", "GLMM(...).pymc")(pm, design.response.name, values, observed.outcome)
        if observed.constant:
            pm.Potential(f"{design.response.name}_constant", pt.constant(observed.constant))
    return model


def _values(
    predictors: Sequence[LinearPredictor], etas: Mapping[str, Any], family: Family, aux: dict[str, Any], o: Outcome
) -> Values:
    """The parameters of y in each row, as likelihoods take them."""
    import pytensor.tensor as pt

    mean, *others = predictors
    aux = aux | {p.name: p.link.tensors.inverse(pt, etas[p.name]) for p in others}
    eta = etas[mean.name]
    return Values(**tensor_means(mean.link, eta), eta=eta, link=mean.link, **family.of_rows(aux, o))


def _coords(predictors: Sequence[LinearPredictor], groups: Mapping[str, GroupPart]) -> dict[str, Any]:
    mean = predictors[0]
    named = coords(mean.design, len(mean.offset)) | {p.named("coef"): plain(p.design.coef) for p in predictors}
    for part in groups.values():
        if not _of_mean_alone(part):
            named |= coords_of(part)
    return named


def _of_mean_alone(part: GroupPart) -> bool:
    return [member.predictor for member in part.members] == [MEAN]


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
    dims = (factor_dim(factor.name), f"{name}_term" if _of_mean_alone(part) else f"{name}_effect")
    if factor.student:
        L, v = covariance(part, priors).triangle(part), _student(part, priors)
    elif found is None:
        z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
        L, v = covariance(part, priors).triangle(part), [z[:, k] for k in range(part.W.shape[1])]
    else:
        z = pm.Flat(f"z_{name}", dims=dims)
        L = covariance(part, priors).triangle(part)
        v, log_p = standardised(z, L, found, phi, others)
        pm.Potential(f"log_p_{name}", log_p - 0.5 * np.log(2.0 * np.pi) * part.W.shape[1] * len(factor.levels))
    if factor.relation is not None:
        # A sum: a compiled dot takes a minute to compile.
        v = [(factor.relation * of[None]).sum(axis=1) for of in v]
    b_W = pt.stack([sum(L[i][j] * v[j] for j in range(i + 1)) for i in range(len(L))], axis=1)
    for member in part.members:
        own, B = b_W, part.B[member.columns, member.columns]
        if len(part.members) > 1:
            own = b_W[:, member.columns]
        b = (own[:, None, :] * B).sum(axis=-1) if member.recoded else own
        pm.Deterministic(member.named(f"b_{name}"), b, dims=(dims[0], member.named(f"{name}_term")))
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


def _picked(part: GroupPart, b_W: Any, columns: slice) -> Any:
    """What each row gets of its group's effects.

    Column by column: what picks from a vector is part of the one loop over rows, what picks from a matrix is not.
    """
    which = range(columns.start, columns.stop)
    if part.factor.members is not None:
        return _picked_of_members(part, part.factor.members, b_W, which)
    picked = ((b_W[:, k][part.factor.codes], part.W[:, k]) for k in which)
    return sum(b if np.all(w == 1.0) else b * w for b, w in picked)


def _picked_of_members(part: GroupPart, members: Members, b_W: Any, which: range) -> Any:
    """The same of all groups of a row, each by its share: W is that of them together."""
    return sum(
        b_W[:, k][codes] * (part.W[:, k] * share)
        for codes, share in zip(members.codes.T, members.shares.T, strict=True)
        for k in which
    )


def tensor_means(link: Link, eta: Any) -> dict[str, Any]:
    """mu and, where it is a probability, 1 - mu, which 1 less mu would round to 0 far out."""
    import pytensor.tensor as pt

    of = link.tensors
    mu = of.inverse(pt, eta)
    if of.logs is None:
        return {"mu": mu}
    return {"mu": mu, "complement": of.inverse(pt, -eta) if link.symmetric else pt.exp(of.logs(pt, eta)[1])}
