"""The PyMC model of a design: orthonormal directions, non-centred group effects by indexing, readable names."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from bayesmargins.design import Design, Factor
from bayesmargins.draws import threshold_coords
from bayesmargins.family import Family, Link, Outcome, Values
from bayesmargins.model.coordinates import FixedPart, GroupBlock, GroupPart
from bayesmargins.model.priors import Prior
from bayesmargins.schema import factor_dim, plain, stem

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

    with pm.Model(coords=_coords(design)) as model:
        eta, constant = _fixed_part(design, fixed, priors)
        eta = eta + design.rows(design.data, (), what="data").offset
        for part in groups.values():
            eta = eta + _group_part(part, priors)
        _likelihood(design, family, link, eta, constant, priors)
    return model


def _coords(design: Design) -> dict[str, Any]:
    coords: dict[str, Any] = {"coef": plain(design.coef), "obs": np.arange(len(design.data))}
    coords |= threshold_coords(design, len(design.response.categories) - 1)
    for name, factor in design.factors.items():
        coords[factor_dim(name)] = plain(factor.levels)
        coords[f"{stem(name)}_term"] = plain(factor.terms)
        coords[f"{stem(name)}_pair"] = [f"{factor.terms[i]}, {factor.terms[j]}" for i, j in _pairs(factor)]
    return coords


def _pairs(factor: Factor) -> list[tuple[int, int]]:
    return [pair for block in factor.blocks for pair in combinations(block, 2)]


def _register(
    name: str, prior: Any, shape: tuple[int, ...], dims: tuple[str, ...] | None = None, **options: Any
) -> Any:
    """A variable of the model with this prior, whatever shape the prior was written for."""
    import pymc as pm
    from pymc.distributions.shape_utils import change_dist_size

    dist = prior.dist() if isinstance(prior, Prior) else prior
    if tuple(dist.type.shape) != shape:
        dist = change_dist_size(dist, shape, expand=False)
    return pm.modelcontext(None).register_rv(dist, name, dims=dims, **options)


def _fixed_part(design: Design, fixed: FixedPart, priors: Mapping[str, Any]) -> tuple[Any, Any]:
    """X beta in the coordinates of the priors, which are those of the easier geometry too, and its constant.

    Where thresholds stand in place of the constant, X beta is that of centred columns, and less the constant it is
    that of the columns as they are.

    Products with the columns are written as sums: PyTensor's compiled dot takes a minute to compile, a sum does not.
    """
    import pymc as pm
    import pytensor.tensor as pt

    basis, names = fixed.basis, [fixed.names[j] for j in fixed.own]
    eta, rest = pt.zeros(len(design.data)), pt.zeros(len(fixed.rest))
    own = _own_slopes(names, priors)
    if names:
        eta = eta + (fixed.R * own).sum(axis=1)
    if basis.M.shape[1]:
        gamma = _register("directions", priors["beta"], (basis.M.shape[1],))
        eta = eta + (basis.M * gamma).sum(axis=1)
        rest = (basis.back * (gamma - (fixed.C * own).sum(axis=1) if names else gamma)).sum(axis=1)
    if basis.origin is not None:
        centre = _register("Intercept_centred", priors["Intercept"], ()) if design.fixed.constant else pt.zeros(())
        eta, rest = eta + centre, rest + basis.origin * (centre - (fixed.means * own).sum())
    beta = pt.concatenate([own, rest])[np.argsort([*fixed.own, *fixed.rest])]
    pm.Deterministic("beta", beta if design.fixed.constant else beta[1:], dims="coef")
    return eta, beta[0] if not design.fixed.constant else pt.zeros(())


def _own_slopes(names: list[str], priors: Mapping[str, Any]) -> Any:
    """Coefficients under the user's priors: those with a prior of their own one by one, the others in one vector."""
    import pytensor.tensor as pt

    if not names:
        return pt.zeros(0)
    shared = [n for n in names if n not in priors]
    pieces = {n: _register(f"slope_{stem(n)}", priors[n], ()) for n in names if n in priors}
    if shared:
        slopes = _register("slopes", priors["beta"], (len(shared),))
        pieces |= {n: slopes[k] for k, n in enumerate(shared)}
    return pt.stack([pieces[n] for n in names])


def _group_part(part: GroupPart, priors: Mapping[str, Any]) -> Any:
    """b_W = (z R') * sd with z standard normal (non-centred) and R R' the correlation; each row picks its group's."""
    import pymc as pm
    import pytensor.tensor as pt

    factor, name, W = part.factor, stem(part.factor.name), part.W
    dims = (factor_dim(factor.name), f"{name}_term")
    z = pm.Normal(f"z_{name}", 0.0, 1.0, dims=dims)
    roots = [_root(factor.name, k, block, priors) for k, block in enumerate(part.blocks)]
    sd = _scales(part, priors)
    if any(len(block.terms) > 1 for block in part.blocks):
        turned = [c for root, block in zip(roots, part.blocks, strict=True) for c in _rotated(z, root, block.terms)]
        z = pt.stack(turned, axis=1)
    b_W = z * sd
    pm.Deterministic(f"b_{name}", (b_W[:, None, :] * part.B).sum(axis=-1) if part.recoded else b_W, dims=dims)
    _name_covariance(part, sd, roots)
    if W.shape[1] == 1:
        return b_W[factor.codes, 0] * W[:, 0] if np.any(W != 1.0) else b_W[factor.codes, 0]
    return (b_W[factor.codes] * W).sum(axis=-1)


def _scales(part: GroupPart, priors: Mapping[str, Any]) -> Any:
    """Standard deviations of the coordinates: (term,); the user's own coordinates have ``sd_<factor>`` itself."""
    name, prior = stem(part.factor.name), priors[f"sd_{part.factor.name}"]
    if not part.recoded:
        return _register(f"sd_{name}", prior, (len(part.scales),), (f"{name}_term",))
    return _register(f"sd_centred_{name}", prior, (part.scales.max() + 1,))[part.scales]


def _name_covariance(part: GroupPart, sd: Any, roots: list[list[list[Any]]]) -> None:
    """Standard deviations and correlations of the user's terms, from those of the coordinates."""
    import pymc as pm
    import pytensor.tensor as pt

    name = stem(part.factor.name)
    if not part.recoded:
        cor = [r for root in roots for r in _correlations(root)]
    else:
        q, root = len(part.scales), _block_diagonal(roots)
        R = (part.B[:, :, None] * (sd[:, None] * root)[None]).sum(axis=1)
        Sigma = (R[:, None, :] * R[None]).sum(axis=-1)
        sd = pm.Deterministic(f"sd_{name}", pt.sqrt(pt.stack([Sigma[i, i] for i in range(q)])), dims=f"{name}_term")
        cor = [Sigma[i, j] / (sd[i] * sd[j]) for i, j in _pairs(part.factor)]
    if cor:
        pm.Deterministic(f"cor_{name}", pt.stack(cor), dims=f"{name}_pair")


def _block_diagonal(roots: list[list[list[Any]]]) -> Any:
    """Lower triangles as one (term, term) matrix; blocks lie in the order of the terms."""
    import pytensor.tensor as pt

    q, first, rows = sum(map(len, roots)), 0, []
    for root in roots:
        rows += [pt.stack([*[pt.zeros(())] * first, *map(pt.as_tensor, row), *[pt.zeros(())] * (q - first - len(row))])
                 for row in root]  # fmt: skip
        first += len(root)
    return pt.stack(rows)


def _root(name: str, k: int, block: GroupBlock, priors: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of a lower triangle: the covariance of the block's coordinates, each divided by its standard deviation."""
    return _gaussian_root(name, k, len(block.terms)) if block.rotates else _correlation_root(
        name, k, len(block.terms), priors
    )  # fmt: skip


def _gaussian_root(name: str, k: int, q: int) -> list[list[Any]]:
    """Lower triangle L with L L' distributed as T T' / q, T a q x q matrix of standard normals.

    Bartlett (1933): normals below the diagonal, and on it the roots of chi-squared variables with q, q - 1, ..., 1
    degrees of freedom.
    """
    import pymc as pm

    label = stem(name) if k == 0 else f"{stem(name)}_{k + 1}"
    squares = pm.ChiSquared(f"squares_{label}", nu=np.arange(q, 0, -1.0), shape=q)
    below = pm.Normal(f"below_{label}", 0.0, 1.0, shape=q * (q - 1) // 2)
    rows = []
    for i in range(q):
        first = i * (i - 1) // 2
        entries = [*(below[first + j] for j in range(i)), pm.math.sqrt(squares[i])]
        rows.append([e / np.sqrt(q) for e in entries])
    return rows


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
    label = f"partial_{stem(name)}" if k == 0 else f"partial_{stem(name)}_{k + 1}"
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


def _likelihood(design: Design, family: Family, link: Link, eta: Any, constant: Any, priors: Mapping[str, Any]) -> None:
    """The family writes it, from its parameters as tensors."""
    import pymc as pm

    add = family.need("pymc", "GLMM(...).pymc")
    response = design.response
    aux = {name: _register(name, priors[name], ()) for name in family.numbers}
    if family.ordinal:
        aux |= {"thresholds": _thresholds(link, response.y, constant, priors["thresholds"])}
    p = Values(**tensor_means(link, eta), eta=eta, link=link, **aux)
    add(pm, response.name, p, Outcome(response.y, response.n))


def _thresholds(link: Link, y: Any, constant: Any, prior: Any) -> Any:
    """Thresholds of the centred linear predictor, in order; the posterior keeps those of the columns as they are.

    They are the order statistics of draws from the prior: sampling moves among ordered values, where sorting changes
    nothing, and draws of the prior itself are sorted.
    """
    import pymc as pm
    import pytensor.tensor as pt

    K = int(y.max())
    reached = np.array([np.mean(y <= k) for k in range(1, K)])
    start, ordered = link.link(reached), pm.distributions.transforms.ordered
    centred = pt.sort(_register("thresholds_centred", prior, (K - 1,), transform=ordered, initval=start))
    pm.Deterministic("thresholds", centred - constant, dims="threshold")
    return centred


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
