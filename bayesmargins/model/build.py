"""The PyMC model of a design: centred intercept, non-centred group effects by indexing, readable names and dims."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from bayesmargins.design import Design, Factor
from bayesmargins.family import Family, Link, Outcome, Values
from bayesmargins.model.priors import Prior, Scales, subset
from bayesmargins.schema import factor_dim, plain

__all__ = ["build_pymc", "tensor_means"]


def build_pymc(design: Design, family: Family, link: Link, priors: Mapping[str, Any], scales: Scales) -> Any:
    """What is the PyMC model of this design?

    Parameters
    ----------
    design : Design
        Data, names and codes.
    family, link : Family, Link
        Likelihood.
    priors : mapping
        From `resolve_priors`.
    scales : Scales
        Means that the design is centred by.

    Returns
    -------
    pymc.Model
        Free variables ``Intercept_centred``, ``slopes``, ``z_<factor>``, ``sd_<factor>``, ...; deterministic ``beta``,
        ``b_<factor>``, ``cor_<factor>`` under the names that the posterior keeps.

    Raises
    ------
    Nothing.
    """
    import pymc as pm

    rows = design.rows(design.data, what="data")
    with pm.Model(coords=_coords(design)) as model:
        eta = _fixed_part(design, rows.X, priors, scales) + rows.offset
        for name, factor in design.factors.items():
            eta = eta + _group_part(factor, rows.Z[name], priors)
        _likelihood(design, family, link, eta, priors)
    return model


def _coords(design: Design) -> dict[str, Any]:
    coords: dict[str, Any] = {"coef": plain(design.coef), "obs": np.arange(len(design.data))}
    for name, factor in design.factors.items():
        coords[factor_dim(name)] = plain(factor.levels)
        coords[f"{name}_term"] = plain(factor.terms)
        coords[f"{name}_pair"] = [f"{factor.terms[i]}, {factor.terms[j]}" for i, j in _pairs(factor)]
    return coords


def _pairs(factor: Factor) -> list[tuple[int, int]]:
    return [pair for block in factor.blocks for pair in combinations(block, 2)]


def _register(name: str, prior: Any, shape: tuple[int, ...], dims: tuple[str, ...] | None = None) -> Any:
    """A variable of the model with this prior, whatever shape the prior was written for."""
    import pymc as pm
    from pymc.distributions.shape_utils import change_dist_size

    dist = prior.dist() if isinstance(prior, Prior) else prior
    if tuple(dist.type.shape) != shape:
        dist = change_dist_size(dist, shape, expand=False)
    return pm.modelcontext(None).register_rv(dist, name, dims=dims)


def _fixed_part(design: Design, X: np.ndarray, priors: Mapping[str, Any], scales: Scales) -> Any:
    """Centring the columns makes the intercept's prior one of the mean response, and the geometry easier.

    Products with the columns are written as sums: PyTensor's compiled dot takes a minute to compile, a sum does not.
    """
    import pymc as pm
    import pytensor.tensor as pt

    intercept = "Intercept" in design.coef
    names = [c for c in design.coef if c != "Intercept"]
    columns = X[:, [j for j, c in enumerate(design.coef) if c != "Intercept"]]
    slopes = _slopes(names, priors)
    if not intercept:
        pm.Deterministic("beta", slopes, dims="coef")
        return (columns * slopes).sum(axis=1)
    centred = _register("Intercept_centred", priors["Intercept"], ())
    if not names:
        pm.Deterministic("beta", centred[None], dims="coef")
        return centred
    uncentred = centred - (scales.x_means * slopes).sum()
    pm.Deterministic("beta", pt.concatenate([uncentred[None], slopes]), dims="coef")
    return centred + ((columns - scales.x_means) * slopes).sum(axis=1)


def _slopes(names: list[str], priors: Mapping[str, Any]) -> Any:
    """One vector, unless single coefficients have priors of their own."""
    import pytensor.tensor as pt

    own = [n for n in names if n in priors]
    if not names or not own:
        return _register("slopes", priors["beta"], (len(names),)) if names else pt.zeros(0)
    shared = [j for j, n in enumerate(names) if n not in own]
    pieces = {n: _register(f"slope_{n}", priors[n], ()) for n in own}
    if shared:
        rest = _register("slopes", subset(priors["beta"], shared), (len(shared),))
        pieces |= {names[j]: rest[k] for k, j in enumerate(shared)}
    return pt.stack([pieces[n] for n in names])


def _group_part(factor: Factor, Z: np.ndarray, priors: Mapping[str, Any]) -> Any:
    """b = (z R') * sd with z standard normal (non-centred), R R' the correlation; each row picks its group's b."""
    import pymc as pm
    import pytensor.tensor as pt

    name, q = factor.name, len(factor.terms)
    dims = (factor_dim(name), f"{name}_term")
    z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
    sd = _register(f"sd_{name}", priors[f"sd_{name}"], (q,), (f"{name}_term",))
    if _pairs(factor):
        roots = [_correlation_root(name, k, len(block), priors) for k, block in enumerate(factor.blocks)]
        cor = [r for root in roots for r in _correlations(root)]
        pm.Deterministic(f"cor_{name}", pt.stack(cor), dims=f"{name}_pair")
        columns = [c for root, block in zip(roots, factor.blocks, strict=True) for c in _rotated(z, root, block)]
        z = pt.stack(columns, axis=1)
    b = pm.Deterministic(f"b_{name}", z * sd, dims=dims)
    if q == 1:
        return b[factor.codes, 0] * Z[:, 0] if np.any(Z != 1.0) else b[factor.codes, 0]
    return (b[factor.codes] * Z).sum(axis=-1)


def _correlation_root(name: str, k: int, n: int, priors: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of the Cholesky factor of an LKJ(eta) correlation matrix, from its canonical partial correlations.

    Those of column j are independent 2 Beta(a, a) - 1 with a = eta + (n - 2 - j) / 2 (Lewandowski, Kurowicka & Joe
    2009, section 3.1): the same distribution as an LKJ variable, in a graph that compiles many times faster.
    """
    import pymc as pm

    if n == 1:
        return [[1.0]]
    eta = _lkj_eta(priors[f"cor_{name}"])
    pairs = [(i, j) for j in range(n) for i in range(j + 1, n)]
    shape = np.array([(n - 2 - j) / 2 for _, j in pairs]) + eta
    label = f"partial_{name}" if k == 0 else f"partial_{name}_{k + 1}"
    partial = 2.0 * pm.Beta(label, shape, shape, shape=len(pairs)) - 1.0
    rows: list[list[Any]] = []
    for i in range(n):
        row: list[Any] = []
        left: Any = 1.0
        for j in range(i):
            row.append(partial[pairs.index((i, j))] * pm.math.sqrt(left))
            left = left - row[-1] ** 2
        rows.append([*row, pm.math.sqrt(left)])
    return rows


def _correlations(root: list[list[Any]]) -> list[Any]:
    """Below the diagonal of root root', in pair order."""
    n = len(root)
    return [sum(root[i][m] * root[j][m] for m in range(i + 1)) for i, j in combinations(range(n), 2)]


def _rotated(z: Any, root: list[list[Any]], block: tuple[int, ...]) -> list[Any]:
    return [sum(row[m] * z[:, block[m]] for m in range(len(row))) for row in root]


def _lkj_eta(prior: Any) -> Any:
    """LKJCorr's own eta: its parameters are (n, eta)."""
    return prior if isinstance(prior, int | float) else prior.owner.inputs[-1]


def _likelihood(design: Design, family: Family, link: Link, eta: Any, priors: Mapping[str, Any]) -> None:
    """The family writes it, from its parameters as tensors."""
    import pymc as pm

    add = family.need("pymc", "GLMM(...).pymc")
    response = design.response
    aux = {name: _register(name, priors[name], ()) for name in family.aux}
    add(pm, response.name, Values(**tensor_means(link, eta), **aux), Outcome(response.y, response.n))


def tensor_means(link: Link, eta: Any) -> dict[str, Any]:
    """mu and, where it is a probability, 1 - mu and the log odds, none of them rounded to 0 or 1 on the way.

    The log odds are those of log h and log(1 - h): 1 - h(eta) itself would be 0 in floating point far out.
    """
    import pytensor.tensor as pt

    of = link.tensors
    mu = of.inverse(pt, eta)
    if of.logs is None:
        return {"mu": mu}
    log, log_complement = of.logs(pt, eta)
    log_odds = log - log_complement if of.log_odds is None else of.log_odds(pt, eta)
    return {"mu": mu, "complement": pt.exp(log_complement), "log_odds": log_odds}
