"""The variables of a model and their priors: coefficients along directions, standard deviations and correlations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bayesmargins.design import Design, Factor
from bayesmargins.draws import threshold_coords
from bayesmargins.family import Link, Outcome
from bayesmargins.model.across import correlated_pairs
from bayesmargins.model.coordinates import FixedPart, GroupBlock, GroupPart, Member, of_predictor
from bayesmargins.model.priors import Prior
from bayesmargins.schema import MEAN, factor_dim, stem
from bayesmargins.values import plain

__all__ = ["Coefficients", "Covariance", "Triangle", "coefficients", "coords", "covariance", "register", "thresholds"]

Triangle = list[list[Any]]


def coords(design: Design, rows: int) -> dict[str, Any]:
    """Names of rows, coefficients, groups and terms."""
    named: dict[str, Any] = {"coef": plain(design.coef), "obs": np.arange(rows)}
    named |= threshold_coords(design, len(design.response.categories) - 1)
    for name, factor in design.factors.items():
        named[factor_dim(name)] = plain(factor.levels)
        named[f"{stem(name)}_term"] = plain(factor.terms)
        named[f"{stem(name)}_pair"] = [f"{factor.terms[i]}, {factor.terms[j]}" for i, j in _pairs(factor)]
    return named


def _pairs(factor: Factor) -> list[tuple[int, int]]:
    return [pair for block in factor.blocks for pair in combinations(block, 2)]


def register(name: str, prior: Any, shape: tuple[int, ...], dims: tuple[str, ...] | None = None, **options: Any) -> Any:
    """A variable of the model with this prior, whatever shape the prior was written for; or a number that is held."""
    import pymc as pm
    import pytensor.tensor as pt
    from pymc.distributions.shape_utils import change_dist_size

    if isinstance(prior, int | float):
        return pm.Deterministic(name, pt.constant(float(prior), dtype="float64"))
    dist = prior.dist() if isinstance(prior, Prior) else prior
    if tuple(dist.type.shape) != shape:
        dist = change_dist_size(dist, shape, expand=False)
    return pm.modelcontext(None).register_rv(dist, name, dims=dims, **options)


@dataclass(frozen=True)
class Coefficients:
    """Variables of the fixed part, None where the model has none of a kind."""

    centre: Any  # mean of the linear predictor
    own: Any  # coefficients under priors of the user's
    gamma: Any  # along the orthonormal directions of the rest
    constant: Any = None  # where thresholds stand in place of the mean: that of the columns as they are, at a mean of 0

    def eta(self, fixed: FixedPart) -> Any:
        """The linear predictor of the rows: (row,).

        Products with the columns are written as sums: PyTensor's compiled dot takes a minute to compile, a sum does
        not.
        """
        import pytensor.tensor as pt

        eta = pt.zeros(len(fixed.R))
        if self.own is not None:
            eta = eta + (fixed.R * self.own).sum(axis=1)
        if self.gamma is not None:
            eta = eta + (fixed.basis.M * self.gamma).sum(axis=1)
        return eta if self.centre is None else eta + self.centre

    def stacked(self) -> Any:
        """All of them in the order of `FixedPart.columns`: (coordinate,)."""
        import pytensor.tensor as pt

        pieces = [None if self.centre is None else self.centre[None], self.own, self.gamma]
        return pt.concatenate([*(piece for piece in pieces if piece is not None), pt.zeros(0)])


def coefficients(design: Design, fixed: FixedPart, priors: Mapping[str, Any], predictor: str = MEAN) -> Coefficients:
    """Variables of the fixed part in the coordinates of the priors, which are those of the easier geometry too.

    `priors` are those of this linear predictor, under the names that the mean's have.
    """
    import pymc as pm
    import pytensor.tensor as pt

    basis, names = fixed.basis, [fixed.names[j] for j in fixed.own]
    rest = pt.zeros(len(fixed.rest))
    own, gamma, centre = _own_slopes(design, names, priors, fixed, predictor), None, None
    if basis.M.shape[1]:
        gamma = register(of_predictor(predictor, "directions"), priors["beta"], (basis.M.shape[1],))
        rest = (basis.back * (gamma - (fixed.C * own).sum(axis=1) if names else gamma)).sum(axis=1)
    if basis.origin is not None:
        named = of_predictor(predictor, "Intercept_centred")
        centre = register(named, priors["Intercept"], ()) if design.fixed.constant else None
        rest = rest + basis.origin * ((0.0 if centre is None else centre) - (fixed.means * own).sum())
    beta = pt.concatenate([own, rest])[np.argsort([*fixed.own, *fixed.rest])]
    first = 0 if design.fixed.constant else 1
    pm.Deterministic(of_predictor(predictor, "beta"), beta[first:], dims=of_predictor(predictor, "coef"))
    return Coefficients(centre, own if names else None, gamma, beta[0] if first else None)


def _own_slopes(design: Design, names: list[str], priors: Mapping[str, Any], fixed: FixedPart, predictor: str) -> Any:
    """Coefficients under the user's priors: those with a prior of their own one by one, the others in one vector."""
    import pytensor.tensor as pt

    from bayesmargins.model.structured import structures

    if not names:
        return pt.zeros(0)
    together = (of.coefficients(priors, fixed.bends) for of in structures(design))
    made = {name: value for piece in together for name, value in piece.items()}
    shared = [n for n in names if n not in priors and n not in made]
    alone = [n for n in names if n in priors]
    pieces = made | {n: register(of_predictor(predictor, f"slope_{stem(n)}"), priors[n], ()) for n in alone}
    if shared:
        slopes = register(of_predictor(predictor, "slopes"), priors["beta"], (len(shared),))
        pieces |= {n: slopes[k] for k, n in enumerate(shared)}
    return pt.stack([pieces[n] for n in names])


def thresholds(link: Link, outcome: Outcome, constant: Any, prior: Any, rising: bool) -> Any:
    """Thresholds of the centred linear predictor; the posterior keeps those of the columns as they are.

    Those that have to rise are the order statistics of draws from the prior: sampling moves among ordered values, where
    sorting changes nothing, and draws of the prior itself are sorted.
    """
    import pymc as pm
    import pytensor.tensor as pt

    start = link.link(outcome.reached())
    options = {"transform": pm.distributions.transforms.ordered} if rising else {}
    centred = register("thresholds_centred", prior, (len(start),), initval=start, **options)
    centred = pt.sort(centred) if rising else centred
    pm.Deterministic("thresholds", centred - constant, dims="threshold")
    return centred


@dataclass(frozen=True)
class Covariance:
    """That of the effects in a factor's coordinates: diag(sd) R R' diag(sd)."""

    sd: Any
    roots: list[Triangle]  # R block by block, each as rows of a lower triangle

    def root(self) -> Any:
        """diag(sd) R of all blocks: a lower triangle (term, term)."""
        return self.sd[:, None] * _block_diagonal(self.roots)

    def triangle(self, part: GroupPart) -> Triangle:
        """The same entry by entry, blocks that lie among each other included."""
        q = part.W.shape[1]
        L: Triangle = [[0.0] * q for _ in range(q)]
        for root, block in zip(self.roots, part.blocks, strict=True):
            for i, row in zip(block.terms, root, strict=True):
                for j, entry in zip(block.terms, row, strict=False):
                    L[i][j] = entry * self.sd[i]
        return L


def covariance(part: GroupPart, priors: Mapping[str, Any]) -> Covariance:
    """Variables of a factor's covariance, with ``sd_<factor>`` and ``cor_<factor>`` of the user's terms."""
    roots = [_root(part.factor.name, k, block, priors) for k, block in enumerate(part.blocks)]
    if len(part.members) == 1 and part.members[0].predictor == MEAN:
        sd = _scales(part.members[0], priors)
        _name_covariance(part, sd, roots)
        return Covariance(sd, roots)
    import pytensor.tensor as pt

    of_members = [_scales(member, priors) for member in part.members]
    found = Covariance(pt.concatenate(of_members), roots)
    _name_across(part, of_members, found.triangle(part))
    return found


def _scales(member: Member, priors: Mapping[str, Any]) -> Any:
    """Standard deviations of the coordinates: (term,); the user's own coordinates have ``sd_<factor>`` itself."""
    name, prior = stem(member.factor.name), priors[member.named(f"sd_{member.factor.name}")]
    if not member.recoded:
        return register(member.named(f"sd_{name}"), prior, (len(member.scales),), (member.named(f"{name}_term"),))
    return register(member.named(f"sd_centred_{name}"), prior, (member.scales.max() + 1,))[member.scales]


def _name_across(part: GroupPart, sds: list[Any], L: Triangle) -> None:
    """Standard deviations and correlations of the user's terms on every linear predictor."""
    import pymc as pm
    import pytensor.tensor as pt

    name = stem(part.factor.name)
    root = pt.stack([pt.stack([*map(pt.as_tensor, row)]) for row in L])
    R = (part.B[:, :, None] * root[None]).sum(axis=1)
    Sigma = (R[:, None, :] * R[None]).sum(axis=-1)
    sd: list[Any] = []
    for member, own in zip(part.members, sds, strict=True):
        if not member.recoded:
            sd += [own[k] for k in range(len(member.scales))]
            continue
        variances = [Sigma[i, i] for i in range(member.columns.start, member.columns.stop)]
        dims = member.named(f"{name}_term")
        made = pm.Deterministic(member.named(f"sd_{name}"), pt.sqrt(pt.stack(variances)), dims=dims)
        sd += [made[k] for k in range(len(variances))]
    for key, pairs in correlated_pairs(part).items():
        values = pt.stack([Sigma[i, j] / (sd[i] * sd[j]) for i, j in pairs])
        pm.Deterministic(key, values, dims=f"{_stem_of(key, name)}_pair")


def _stem_of(key: str, name: str) -> str:
    """``sigma_cor_g`` is along ``sigma_g_pair``."""
    return f"{key.removesuffix(f'cor_{name}')}{name}"


def _name_covariance(part: GroupPart, sd: Any, roots: list[Triangle]) -> None:
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


def _block_diagonal(roots: list[Triangle]) -> Any:
    """Lower triangles as one (term, term) matrix; blocks lie in the order of the terms."""
    import pytensor.tensor as pt

    q, first, rows = sum(map(len, roots)), 0, []
    for root in roots:
        rows += [pt.stack([*[pt.zeros(())] * first, *map(pt.as_tensor, row), *[pt.zeros(())] * (q - first - len(row))])
                 for row in root]  # fmt: skip
        first += len(root)
    return pt.stack(rows)


def _root(name: str, k: int, block: GroupBlock, priors: Mapping[str, Any]) -> Triangle:
    """Rows of a lower triangle: the covariance of the block's coordinates, each divided by its standard deviation."""
    n = len(block.terms)
    return _gaussian_root(name, k, n) if block.rotates else _correlation_root(name, k, n, priors.get(block.cor))


def _gaussian_root(name: str, k: int, q: int) -> Triangle:
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


def _correlation_root(name: str, k: int, n: int, prior: Any) -> Triangle:
    """Rows of the Cholesky factor of an LKJ(eta) correlation matrix, from its canonical partial correlations.

    Those of column j are independent 2 Beta(a, a) - 1 with a = eta + (n - 2 - j) / 2 (Lewandowski, Kurowicka & Joe
    2009, section 3.1): the same distribution as an LKJ variable, in a graph that compiles many times faster.
    """
    import pymc as pm

    if n == 1:
        return [[1.0]]
    eta = _lkj_eta(prior)
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


def _lkj_eta(prior: Any) -> Any:
    """LKJCorr's own eta: its parameters are (n, eta)."""
    return prior if isinstance(prior, int | float) else prior.owner.inputs[-1]
