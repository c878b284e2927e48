"""A normal response with its group effects integrated out: the likelihood is that of the dense normal distribution,
and the effects drawn back have its conditional distribution."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from interpreted import interpreted
from scipy import stats
from scipy.linalg import block_diag

import bayesmargins as bm
from bayesmargins.integrate.normal_groups import Effects, NormalGroups, draw_normal_effects, normal_groups


@dataclass(frozen=True)
class Case:
    """Rows of a model; group 0 of the large factor has one row, and the last group of every factor none."""

    y: np.ndarray
    F: np.ndarray
    factors: list[Effects]
    weights: np.ndarray | None = None

    @property
    def groups(self) -> NormalGroups:
        return normal_groups(self.y, self.F, self.factors[0], self.factors[1:], self.weights)

    @property
    def Z(self) -> np.ndarray:
        """Columns of all effects: (row, effect), factor by factor, level by level."""
        rows = np.arange(len(self.y))
        blocks = []
        for f in self.factors:
            columns = np.zeros((len(rows), f.levels, f.W.shape[1]))
            columns[rows, f.codes] = f.W
            blocks.append(columns.reshape(len(rows), -1))
        return np.hstack(blocks)

    def prior(self, roots: list[np.ndarray]) -> np.ndarray:
        """Covariance of all effects."""
        return block_diag(*(np.kron(np.eye(f.levels), L @ L.T) for f, L in zip(self.factors, roots, strict=True)))

    def noise(self, sigma: float) -> np.ndarray:
        return sigma**2 / (np.ones(len(self.y)) if self.weights is None else self.weights)


# Terms of each factor, and whether rows have weights. The second factor is crossed with the first, the third holds it.
CASES = [([1], False), ([1], True), ([2], False), ([3], True), ([1, 1], False), ([2, 2, 1], True), ([1, 3], False)]
# Of many groups: the second factor holds the first, the third the second, and the fourth is crossed with all.
NESTED = [([1, 1], False), ([2, 2], True), ([1, 1, 1], True), ([2, 2, 3], False), ([1, 2, 1, 2], True)]
BOTH = [*((*of, False) for of in CASES), *((*of, True) for of in NESTED)]


def _case(terms: list[int], weighted: bool, nested: bool = False, seed: int = 1) -> Case:
    rng = np.random.default_rng(seed)
    n = 300 if nested else 61
    groups = 150 if nested else 8  # more than compiled loops take at once
    codes = np.concatenate([[0], rng.integers(1, groups, n - 1)])
    x = rng.normal(2010, 3, (n, 3))
    x[:, 2] = codes % 2  # constant within groups
    X = np.column_stack([np.ones(n), x])
    grouped = [(codes, 9), (rng.integers(0, 4, n), 5), (codes // 3, 4)]
    if nested:
        classes = codes % 40
        grouped = [(codes, 151), (classes, 41), (classes % 6, 7), (rng.integers(0, 3, n), 4)]
    factors = [Effects(X[:, :q].copy(), *of) for q, of in zip(terms, grouped, strict=False)]
    weights = rng.uniform(0.5, 3, n) if weighted else None
    return Case(X @ rng.normal(size=4) + rng.normal(size=n), X, factors, weights)


def _point(case: Case, seed: int = 2) -> tuple[np.ndarray, list[np.ndarray], float]:
    """phi, roots of the covariances, sigma."""
    rng = np.random.default_rng(seed)
    roots = [np.tril(rng.normal(size=(f.W.shape[1],) * 2)) / np.abs(f.W).max(axis=0)[:, None] for f in case.factors]
    phi = np.linalg.lstsq(case.F, case.y, rcond=None)[0] + rng.normal(size=case.F.shape[1]) / case.F.max(axis=0)
    return phi, roots, float(np.exp(rng.normal()))


def _normaliser(case: Case, sigma: float) -> float:
    """A weight w is w rows of the same density: their normaliser is not that of one row with variance sigma^2 / w."""
    if case.weights is None:
        return 0.0
    one = np.log(2 * np.pi * sigma**2)
    return float(0.5 * (one - np.log(case.weights)).sum() - 0.5 * case.weights.sum() * one)


def _log_marginal(case: Case) -> Any:
    """Value and derivatives in phi, sigma and the roots."""
    import pytensor
    import pytensor.tensor as pt

    from bayesmargins.model.group_op import log_marginal

    phi, sigma, roots = pt.dvector(), pt.dscalar(), [pt.dmatrix() for _ in case.factors]
    value = log_marginal(case.groups, phi, roots, {"sigma": sigma})
    outputs = [value, *pytensor.grad(value, [phi, sigma, *roots])]
    return pytensor.function([phi, sigma, *roots], outputs, mode=interpreted())


@pytest.mark.parametrize(("terms", "weighted", "nested"), BOTH)
def test_likelihood_and_gradient_are_those_of_the_dense_normal_distribution(
    terms: list[int], weighted: bool, nested: bool
) -> None:
    case = _case(terms, weighted, nested)
    function, Z = _log_marginal(case), case.Z
    for seed in range(4):
        phi, roots, sigma = _point(case, seed)
        value, of_phi, of_sigma, *of_roots = function(phi, sigma, *roots)
        V = Z @ case.prior(roots) @ Z.T + np.diag(case.noise(sigma))
        residual = case.y - case.F @ phi
        expected = stats.multivariate_normal.logpdf(residual, cov=V) + _normaliser(case, sigma)
        assert value == pytest.approx(expected, rel=1e-9)
        x = np.linalg.solve(V, residual)
        np.testing.assert_allclose(of_phi, case.F.T @ x, atol=1e-7 * np.abs(case.F.T @ x).max())
        S = np.outer(x, x) - np.linalg.inv(V)  # twice the derivative in V
        more = (1 - case.weights).sum() / sigma if weighted else 0.0  # of the normaliser
        assert of_sigma == pytest.approx((np.diag(S) * case.noise(sigma)).sum() / sigma + more, rel=1e-7)
        first = 0
        for f, L, found in zip(case.factors, roots, of_roots, strict=True):
            own = slice(first, first + f.size)
            first += f.size
            blocks = (Z.T @ S @ Z)[own, own].reshape(f.levels, f.W.shape[1], f.levels, -1)
            of_L = np.tril(np.einsum("gagb->ab", blocks) @ L)
            np.testing.assert_allclose(np.tril(found), of_L, atol=1e-7 * np.abs(of_L).max())


class Units:
    """In place of a generator: zeros, then the unit vectors of the small effects, then those of each large group."""

    def __init__(self, small: int, terms: int) -> None:
        self.small, self.terms = small, terms

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(shape)
        if len(shape) == 2:
            out[1 : self.small + 1] = np.eye(self.small)
        else:
            out[self.small + 1 :] = np.eye(self.terms)[:, None, :]
        return out


@pytest.mark.parametrize(("terms", "weighted", "nested"), BOTH)
def test_effects_are_drawn_from_their_conditional_distribution(terms: list[int], weighted: bool, nested: bool) -> None:
    """Zeros in place of standard normals give its mean, unit vectors the columns of a root of its covariance."""
    case = _case(terms, weighted, nested)
    phi, roots, sigma = _point(case)
    large, q, m = case.factors[0], terms[0], sum(f.size for f in case.factors[1:])
    n, most = 1 + m + q, max(terms[1:], default=1)
    padded = [np.pad(L, (0, most - len(L))) for L in roots[1:]]
    drawn, small = draw_normal_effects(
        case.groups,
        np.tile(phi, (n, 1)),
        np.tile(roots[0], (n, 1, 1)),
        np.tile(np.array(padded).reshape(-1, most, most), (n, 1, 1, 1)),
        np.full(n, sigma),
        np.eye(q),
        Units(m, q),
    )
    found = np.hstack([drawn.reshape(n, -1), small])
    Z, prior = case.Z, case.prior(roots)
    gain = prior @ Z.T @ np.linalg.inv(Z @ prior @ Z.T + np.diag(case.noise(sigma)))
    mean, covariance = gain @ (case.y - case.F @ phi), prior - gain @ Z @ prior
    np.testing.assert_allclose(found[0], mean, atol=1e-7 * np.abs(mean).max())
    # Given the small effects the groups of the large factor are independent: their unit vectors are drawn together.
    together = found[1:] - found[0]
    columns = [*together[:m]]
    for g in range(large.levels):
        for unit in together[m:]:
            only = np.zeros(len(mean))
            only[g * q : (g + 1) * q] = unit[g * q : (g + 1) * q]
            columns.append(only)
    root = np.array(columns)
    np.testing.assert_allclose(root.T @ root, covariance, atol=1e-7 * np.abs(covariance).max())


def test_nothing_cancels_where_groups_lie_a_million_sigma_apart() -> None:
    """Against 60 digits."""
    rng = np.random.default_rng(4)
    codes, x = np.repeat(np.arange(4), 4), np.tile(np.arange(4.0), 4)
    W = np.column_stack([np.ones(16), x])
    y = 1e6 * rng.normal(size=4)[codes] + x + rng.normal(size=16)
    case = Case(y, W, [Effects(W, codes, 4)])
    phi, L, sigma = np.array([1e5, 1.0]), np.array([[1e6, 0.0], [0.3, 0.7]]), 1.1
    with mpmath.workdps(60):
        root = mpmath.matrix(L.tolist())
        V = mpmath.eye(16) * mpmath.mpf(sigma) ** 2
        for i in range(16):
            for k in range(16):
                if codes[i] == codes[k]:
                    V[i, k] += (mpmath.matrix([W[i].tolist()]) * root * root.T * mpmath.matrix(W[k].tolist()))[0]
        r = mpmath.matrix(y.tolist()) - mpmath.matrix(W.tolist()) * mpmath.matrix(phi.tolist())
        form = (r.T * mpmath.lu_solve(V, r))[0]
        exact = -(16 * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(V)) + form) / 2
    assert _log_marginal(case)(phi, sigma, L)[0] == pytest.approx(float(exact), abs=1e-7)


def _data(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.concatenate([["a"], rng.choice(list("bcdefgh"), 79)])
    x, b = rng.normal(2, 1, 80), dict(zip("abcdefgh", rng.normal(size=8), strict=True))
    y = 1 + 0.5 * x + pd.Series(g).map(b).to_numpy() * (1 + 0.5 * x) + rng.normal(size=80)
    return pd.DataFrame({"y": y, "x": x, "w": rng.normal(size=80), "g": g, "f": rng.choice(["u", "v", "w"], 80)})


FORMULAS = [
    "y ~ x + f + (1 | g)",
    "y ~ x + offset(w) + (1 + x | g)",
    "y ~ x + (1 + x + w | g)",
    "y ~ 0 + x + (x || g)",
    "y ~ x * f + (0 + f | g)",
    "y ~ x + (1 | f) + (1 + x | g)",
]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
def test_model_is_the_sampled_one_with_b_integrated_out(formula: str, own: bool) -> None:
    """Same variables but z, same priors; its likelihood is that of the beta, sd, cor and sigma that it names."""
    import pymc as pm

    priors = {"beta": pm.Normal.dist(0, 3), "sd": pm.Exponential.dist(1)} if own else None
    model = bm.GLMM(formula, _data(), priors=priors)
    ours, sampled = model.pymc_for("integrated"), model.pymc
    effects = {f"z_{name}" for name in model.design.factors}
    assert {v.name for v in ours.free_RVs} | effects == {v.name for v in sampled.free_RVs}
    rng = np.random.default_rng(5)
    point = {v.name: rng.normal(size=v.type.shape) * 0.3 for v in ours.value_vars}
    density = ours.compile_logp(ours.free_RVs, mode=interpreted())(point)
    same = sampled.compile_logp([v for v in sampled.free_RVs if v.name not in effects], mode=interpreted())
    zeros = {name: np.zeros(sampled[name].shape.eval()) for name in effects}
    assert density == pytest.approx(same(point | zeros), rel=1e-12)

    names = [name for name in ("beta", "sd_g", "cor_g", "sd_f") if name in ours.named_vars]
    values = ours.compile_fn(
        ours.replace_rvs_by_values([*(ours[n] for n in names), ours["sigma"], ours["y"]]),
        inputs=ours.value_vars,
        on_unused_input="ignore",
        mode=interpreted(),
    )(point)
    found = dict(zip([*names, "sigma", "y"], values, strict=True))
    rows = model.design.rows(model.design.data)
    V = found["sigma"] ** 2 * np.eye(80)
    for name, factor in model.design.factors.items():
        R = np.eye(len(factor.terms))
        for r, (i, j) in zip(found.get(f"cor_{name}", ()), [(0, 1), (0, 2), (1, 2)], strict=False):
            R[i, j] = R[j, i] = r
        Sigma, Z = found[f"sd_{name}"][:, None] * R * found[f"sd_{name}"], rows.Z[name]
        V += (Z @ Sigma @ Z.T) * (factor.codes[:, None] == factor.codes)
    expected = stats.multivariate_normal.logpdf(model.design.response.y, rows.X @ found["beta"] + rows.offset, V)
    assert found["y"] == pytest.approx(expected, rel=1e-9)


def test_what_happens_to_the_group_effects_is_said_with_the_reason() -> None:
    one, data = bm.GLMM("y ~ x + (1 | g)", _data()), _data()
    assert "group effects are integrated out of the fit" in str(one)
    count = bm.GLMM("k ~ x + (1 | g)", data.assign(k=1), "poisson")
    assert "drawn back exactly: each group's integral is a sum over nodes" in str(count)
    each, row = np.arange(80), np.arange(9000)
    rows = pd.DataFrame({"y": np.sin(row), "x": row % 7, "f": row % 90, "h": row // 90})
    two = bm.GLMM("y ~ x + (poly(x, 4) | h) + (poly(x, 4) | f)", rows)
    assert "group effects are sampled" in str(two)
    assert {v.name for v in one.pymc_for("sampled").free_RVs} == {v.name for v in one.pymc.free_RVs}
    log = bm.GLMM("e ~ x + (1 | g)", data.assign(e=np.exp(data.x)), link="log")
    for model, why in (
        (two, "the 450 beside the 500 of the largest factor are so crossed that their .* more than 2 million"),
        (log, "under family 'gaussian' and link 'log' .* may have several peaks"),
        (bm.GLMM("k ~ x + (1 | g) + (1 | h)", data.assign(k=1, h=each), "poisson"), "effects of 2 factors"),
        (bm.GLMM("k ~ x + (1 + x + w | g)", data.assign(k=1), "poisson"), "3 effects of each group take an integral"),
        (bm.GLMM("k ~ x + (0 + x + w | g)", data.assign(k=1), "poisson"), "where the first is an intercept"),
        (bm.GLMM("k ~ x + (1 + x | g)", data.assign(k=1), "negbinomial"), "takes too many evaluations"),
        (bm.GLMM("y ~ x", data), "the model has none"),
    ):
        with pytest.raises(bm.FitError, match=why):
            model.pymc_for("integrated")
    with pytest.raises(bm.FitError, match="cannot run the compiled integral"):
        one.fit(sampler="numpyro", group_effects="integrated")
    with pytest.raises(bm.FitError, match="Did you mean 'integrated'"):
        one.fit(group_effects="integrate")


def test_nested_effects_are_integrated_however_many_there_are() -> None:
    pupil = np.arange(12_000)
    data = pd.DataFrame(
        {"y": np.sin(pupil), "x": pupil % 7, "room": pupil // 6, "school": pupil // 30, "town": pupil // 300}
    )
    data["place"] = pupil % 4
    for formula in ("y ~ x + (1 + x | town / school / room)", "y ~ x + (1 | school / room) + (1 | place)"):
        assert bm.GLMM(formula, data).treatment().how == "integrated"


def test_same_seed_same_effects() -> None:
    model = bm.GLMM("y ~ x + (1 | f) + (1 + x | g)", _data())
    rng = np.random.default_rng(1)
    draws = {"coordinates": rng.normal(size=(2, 3, 2)), "sigma": np.ones((2, 3))}
    draws |= {"root_f": np.ones((2, 3, 1, 1)), "root_g": np.broadcast_to(np.eye(2), (2, 3, 2, 2))}
    trace = xr.Dataset({k: (("chain", "draw", *(f"{k}_{d}" for d in range(v.ndim - 2))), v) for k, v in draws.items()})
    one, again, other = (model._integrated.with_effects(trace, seed) for seed in (1, 1, 2))
    for name in ("b_f", "b_g"):
        np.testing.assert_array_equal(one[name], again[name])
        assert not np.isclose(one[name], other[name]).any()
        assert len(np.unique(one[name])) == one[name].size


@pytest.mark.sampling
@pytest.mark.evidence
def test_integrated_and_sampled_effects_have_the_same_posterior() -> None:
    """Means, and products of beta with b, within Monte Carlo error.

    Three levels say little of their sd: under the default prior sampled effects miss its long tail, at any length.
    """
    import pymc as pm
    from arviz_stats.base import array_stats

    priors = {"sd_f": pm.HalfNormal.dist(0.5)}
    model = bm.GLMM("y ~ x + (1 + x | g) + (1 | f)", _data(), priors=priors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # a divergence in thousands of draws
        fits = {
            how: model.fit(700, 600, random_seed=1, progressbar=False, group_effects=how, ess=None, target_accept=0.95)
            for how in ("auto", "sampled")
        }
    assert [fit.info["group_effects"] for fit in fits.values()] == ["integrated", "sampled"]
    centre = {name: (fits["sampled"].parameters[name]).mean(("chain", "draw")) for name in ("beta", "b_g")}

    def quantities(post: bm.Posterior) -> np.ndarray:
        p = post.parameters
        b, beta = p["b_g"] - centre["b_g"], p["beta"] - centre["beta"]
        kept = [p[v].to_numpy().reshape(4, 700, -1) for v in ("beta", "sd_g", "cor_g", "sd_f", "sigma", "b_g", "b_f")]
        squares = [(b**2).to_numpy().reshape(4, 700, -1), (b * beta.isel(coef=0)).to_numpy().reshape(4, 700, -1)]
        return np.concatenate([*kept, *squares], axis=-1)

    ours, theirs = (quantities(fit) for fit in fits.values())
    errors = [v.var(axis=(0, 1)) / array_stats.ess(v, chain_axis=0, draw_axis=1, method="mean") for v in (ours, theirs)]
    apart = np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))) / np.sqrt(sum(errors))
    # Of right fits one in 10,000 fails, however many quantities are looked at.
    assert apart.max() < stats.norm.isf(1e-4 / 2 / len(apart))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_groups_have_the_likelihood_of_their_own_rows(terms: int, weighted: bool) -> None:
    """A group's is that of a frame with its rows alone; together they are the likelihood of all."""
    case = _case([terms], weighted)
    points = [_point(case, seed) for seed in range(3)]
    phi, sigma = np.array([p[0] for p in points]), np.array([p[2] for p in points])
    roots = np.array([p[1][0] for p in points])
    found = case.groups.by_group(phi, [roots], {"sigma": sigma})
    np.testing.assert_allclose(found.sum(axis=1), case.groups.log_likelihood(phi, [roots], {"sigma": sigma}), rtol=1e-9)
    large = case.factors[0]
    for g in range(large.levels):
        rows = large.codes == g
        weights = None if case.weights is None else case.weights[rows]
        alone = Case(case.y[rows], case.F[rows], [Effects(large.W[rows], large.codes[rows] * 0, 1)], weights)
        for d in range(3):
            if not rows.any():
                assert found[d, g] == 0.0
                continue
            V = alone.Z @ alone.prior([roots[d]]) @ alone.Z.T + np.diag(alone.noise(sigma[d]))
            residual = alone.y - alone.F @ phi[d]
            expected = stats.multivariate_normal.logpdf(residual, cov=V) + _normaliser(alone, sigma[d])
            assert found[d, g] == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_groups_that_share_effects_have_no_likelihood_of_their_own() -> None:
    case = _case([1, 1], False)
    phi, roots, sigma = _point(case)
    with pytest.raises(bm.IntegrationError, match="one grouping factor; here are 2"):
        case.groups.by_group(phi[None], [L[None] for L in roots], {"sigma": np.array([sigma])})


@pytest.mark.parametrize(("terms", "weighted", "nested"), BOTH)
def test_many_draws_at_once_are_the_likelihoods_of_each(terms: list[int], weighted: bool, nested: bool) -> None:
    """Value and derivatives; effects drawn are those of `draw_normal_effects`."""
    case = _case(terms, weighted, nested)
    points = [_point(case, seed) for seed in range(3)]
    phi, sigma = np.array([p[0] for p in points]), np.array([p[2] for p in points])
    roots = [np.array(of_factor) for of_factor in zip(*(p[1] for p in points), strict=True)]
    value, d_phi, d_roots, d_aux = case.groups.derivatives(phi, roots, {"sigma": sigma})
    np.testing.assert_allclose(value, case.groups.log_likelihood(phi, roots, {"sigma": sigma}), rtol=1e-13)
    function = _log_marginal(case)
    for d in range(3):
        expected, of_phi, of_sigma, *of_roots = function(phi[d], sigma[d], *(root[d] for root in roots))
        assert value[d] == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(d_phi[d], of_phi, rtol=1e-9, atol=1e-9 * np.abs(of_phi).max())
        assert d_aux["sigma"][d] == pytest.approx(of_sigma, rel=1e-9)
        for found, of_root in zip(d_roots, of_roots, strict=True):
            np.testing.assert_allclose(np.tril(found[d]), np.tril(of_root), atol=1e-9 * np.abs(of_root).max())
    drawn = case.groups.draw_effects(phi, roots, {"sigma": sigma}, np.random.default_rng(1))
    assert [b.shape for b in drawn] == [(3, f.levels, f.W.shape[1]) for f in case.factors]
    assert all(np.isfinite(b).all() for b in drawn)
