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
from scipy import stats

import bayesmargins as bm
from bayesmargins.integrate.normal_groups import NormalGroups, draw_normal_effects, normal_groups


@dataclass(frozen=True)
class Case:
    """Rows of a model with one factor: group 0 has one row, the last group none."""

    y: np.ndarray
    F: np.ndarray
    W: np.ndarray
    codes: np.ndarray
    weights: np.ndarray | None
    n_groups: int = 9

    @property
    def groups(self) -> NormalGroups:
        return normal_groups(self.y, self.F, self.W, self.codes, self.n_groups, self.weights)


def _case(terms: int, weighted: bool, seed: int = 1) -> Case:
    rng = np.random.default_rng(seed)
    codes = np.concatenate([[0], rng.integers(1, 8, 60)])
    x = rng.normal(2010, 3, (61, 3))
    x[:, 2] = codes % 2  # constant within groups
    X = np.column_stack([np.ones(61), x])
    weights = rng.uniform(0.5, 3, 61) if weighted else None
    return Case(X @ rng.normal(size=4) + rng.normal(size=61), X, X[:, :terms].copy(), codes, weights)


def _point(case: Case, seed: int = 2) -> tuple[np.ndarray, np.ndarray, float]:
    """phi, L, sigma."""
    rng = np.random.default_rng(seed)
    q = case.W.shape[1]
    L = np.tril(rng.normal(size=(q, q))) / np.abs(case.W).max(axis=0)[:, None]
    phi = np.linalg.lstsq(case.F, case.y, rcond=None)[0] + rng.normal(size=case.F.shape[1]) / case.F.max(axis=0)
    return phi, L, float(np.exp(rng.normal()))


def _dense(case: Case, L: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Columns of all effects, (row, group x term), and the covariance of the rows."""
    n, q = case.W.shape
    Z = np.zeros((n, case.n_groups, q))
    Z[np.arange(n), case.codes] = case.W
    Z = Z.reshape(n, -1)
    noise = sigma**2 * np.ones(n) / (1.0 if case.weights is None else case.weights)
    return Z, Z @ np.kron(np.eye(case.n_groups), L @ L.T) @ Z.T + np.diag(noise)


def _normaliser(case: Case, sigma: float) -> float:
    """A weight w is w rows of the same density: their normaliser is not that of one row with variance sigma^2 / w."""
    if case.weights is None:
        return 0.0
    one = np.log(2 * np.pi * sigma**2)
    return float(0.5 * (one - np.log(case.weights)).sum() - 0.5 * case.weights.sum() * one)


def _log_marginal(case: Case) -> Any:
    """Value and derivatives in phi, L and sigma."""
    import pytensor
    import pytensor.tensor as pt

    from bayesmargins.model.integrated import log_marginal

    phi, L, sigma = pt.dvector(), pt.dmatrix(), pt.dscalar()
    value = log_marginal(case.groups, phi, L, sigma)
    return pytensor.function([phi, L, sigma], [value, *pytensor.grad(value, [phi, L, sigma])])


CASES = [(1, False), (1, True), (2, False), (2, True), (3, False), (4, True)]


@pytest.mark.parametrize(("terms", "weighted"), CASES)
def test_likelihood_and_gradient_are_those_of_the_dense_normal_distribution(terms: int, weighted: bool) -> None:
    case = _case(terms, weighted)
    function = _log_marginal(case)
    for seed in range(4):
        phi, L, sigma = _point(case, seed)
        value, d_phi, d_L, d_sigma = function(phi, L, sigma)
        Z, V = _dense(case, L, sigma)
        residual = case.y - case.F @ phi
        expected = stats.multivariate_normal.logpdf(residual, cov=V) + _normaliser(case, sigma)
        assert value == pytest.approx(expected, rel=1e-9)
        x = np.linalg.solve(V, residual)
        np.testing.assert_allclose(d_phi, case.F.T @ x, rtol=1e-7, atol=1e-7 * np.abs(case.F.T @ x).max())
        S = np.outer(x, x) - np.linalg.inv(V)  # twice the derivative in V
        blocks = (Z.T @ S @ Z).reshape(case.n_groups, terms, case.n_groups, terms)
        of_L = np.tril(np.einsum("gagb->ab", blocks) @ L)
        np.testing.assert_allclose(np.tril(d_L), of_L, rtol=1e-7, atol=1e-7 * np.abs(of_L).max())
        weights = np.ones(len(x)) if case.weights is None else case.weights
        more = (1 - case.weights).sum() / sigma if weighted else 0.0  # of the normaliser
        assert d_sigma == pytest.approx((np.diag(S) / weights).sum() * sigma + more, rel=1e-7)


@pytest.mark.parametrize(("terms", "weighted"), CASES)
def test_effects_are_drawn_from_their_conditional_distribution(terms: int, weighted: bool) -> None:
    """Zeros in place of standard normals give its mean, unit vectors the columns of a root of its covariance."""
    case = _case(terms, weighted)
    phi, L, sigma = _point(case)
    back = np.random.default_rng(3).normal(size=(terms, terms))

    class Units:
        def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
            units: np.ndarray = np.concatenate([np.zeros((1, terms)), np.eye(terms)])[:, None, :]
            return np.broadcast_to(units, shape).copy()

    n = terms + 1
    drawn = draw_normal_effects(
        case.groups, np.tile(phi, (n, 1)), np.tile(L, (n, 1, 1)), np.full(n, sigma), back, Units()
    )
    Z, V = _dense(case, L, sigma)
    prior = np.kron(np.eye(case.n_groups), L @ L.T)
    gain = prior @ Z.T @ np.linalg.inv(V)
    shape = (case.n_groups, terms, case.n_groups, terms)
    mean = (gain @ (case.y - case.F @ phi)).reshape(shape[:2]) @ back.T
    np.testing.assert_allclose(drawn[0], mean, rtol=1e-6, atol=1e-7 * np.abs(mean).max())
    covariance = (prior - gain @ Z @ prior).reshape(shape)
    roots = drawn[1:] - drawn[0]
    for g in range(case.n_groups):
        expected = back @ covariance[g, :, g] @ back.T
        np.testing.assert_allclose(roots[:, g].T @ roots[:, g], expected, atol=1e-7 * np.abs(expected).max())


def test_nothing_cancels_where_groups_lie_a_million_sigma_apart() -> None:
    """Against 60 digits."""
    rng = np.random.default_rng(4)
    codes, x = np.repeat(np.arange(4), 4), np.tile(np.arange(4.0), 4)
    W = np.column_stack([np.ones(16), x])
    y = 1e6 * rng.normal(size=4)[codes] + x + rng.normal(size=16)
    case = Case(y, W, W, codes, None, 4)
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
    assert _log_marginal(case)(phi, L, sigma)[0] == pytest.approx(float(exact), abs=1e-7)


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
]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
def test_model_is_the_sampled_one_with_b_integrated_out(formula: str, own: bool) -> None:
    """Same variables but z, same priors; its likelihood is that of the beta, sd, cor and sigma that it names."""
    import pymc as pm

    priors = {"beta": pm.Normal.dist(0, 3), "sd": pm.Exponential.dist(1)} if own else None
    model = bm.GLMM(formula, _data(), priors=priors)
    ours, sampled = model.pymc_for("integrated"), model.pymc
    assert {v.name for v in ours.free_RVs} | {"z_g"} == {v.name for v in sampled.free_RVs}
    rng = np.random.default_rng(5)
    point = {v.name: rng.normal(size=v.type.shape) * 0.3 for v in ours.value_vars}
    density = ours.compile_logp(ours.free_RVs)(point)
    same = sampled.compile_logp([v for v in sampled.free_RVs if v.name != "z_g"])
    assert density == pytest.approx(same(point | {"z_g": np.zeros(sampled["z_g"].shape.eval())}), rel=1e-12)

    names = [d.name for d in ours.deterministics if d.name in ("beta", "sd_g", "cor_g")]
    values = ours.compile_fn(
        ours.replace_rvs_by_values([*(ours[n] for n in names), ours["sigma"], ours["y"]]),
        inputs=ours.value_vars,
        on_unused_input="ignore",
    )(point)
    found = dict(zip([*names, "sigma", "y"], values, strict=True))
    rows, factor = model.design.rows(model.design.data), model.design.factors["g"]
    R = np.eye(len(factor.terms))
    for r, (i, j) in zip(found.get("cor_g", ()), [(0, 1), (0, 2), (1, 2)], strict=False):
        R[i, j] = R[j, i] = r
    Sigma = found["sd_g"][:, None] * R * found["sd_g"]
    Z, together = rows.Z["g"], factor.codes[:, None] == factor.codes
    V = found["sigma"] ** 2 * np.eye(len(Z)) + (Z @ Sigma @ Z.T) * together
    expected = stats.multivariate_normal.logpdf(model.design.response.y, rows.X @ found["beta"] + rows.offset, V)
    assert found["y"] == pytest.approx(expected, rel=1e-9)


def test_what_happens_to_the_group_effects_is_said_with_the_reason() -> None:
    one, data = bm.GLMM("y ~ x + (1 | g)", _data()), _data()
    assert "group effects are integrated out of the fit" in str(one)
    two = bm.GLMM("y ~ x + (1 | g) + (1 | f)", data)
    assert "group effects are sampled" in str(two)
    assert two.pymc_for() is two.pymc
    assert one.pymc_for("sampled") is one.pymc
    log = bm.GLMM("e ~ x + (1 | g)", data.assign(e=np.exp(data.x)), link="log")
    for model, why in (
        (two, "one grouping factor, and these are"),
        (log, "no closed form under link 'log'"),
        (bm.GLMM("k ~ x + (1 | g)", data.assign(k=1), "poisson"), "no closed form under family 'poisson'"),
        (bm.GLMM("y ~ x", data), "the model has none"),
    ):
        with pytest.raises(bm.FitError, match=why):
            model.pymc_for("integrated")
    with pytest.raises(bm.FitError, match="cannot run the closed form"):
        one.fit(sampler="numpyro", group_effects="integrated")
    with pytest.raises(bm.FitError, match="did you mean 'integrated'"):
        one.fit(group_effects="integrate")


@pytest.mark.sampling
def test_integrated_and_sampled_effects_have_the_same_posterior() -> None:
    """Means, and products of beta with b, within Monte Carlo error; the same seed gives the same b."""
    from arviz_stats.base import array_stats

    model = bm.GLMM("y ~ x + (1 + x | g)", _data())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # a divergence in thousands of draws
        fits = {
            how: model.fit(1500, 1000, random_seed=1, progressbar=False, group_effects=how)
            for how in ("auto", "sampled")
        }
        again = model.fit(1500, 1000, random_seed=1, progressbar=False)
    assert [fit.info["group_effects"] for fit in fits.values()] == ["integrated", "sampled"]
    np.testing.assert_array_equal(fits["auto"].b["g"], again.b["g"])
    centre = {name: (fits["sampled"].parameters[name]).mean(("chain", "draw")) for name in ("beta", "b_g")}

    def quantities(post: bm.Posterior) -> np.ndarray:
        p = post.parameters
        b, beta = p["b_g"] - centre["b_g"], p["beta"] - centre["beta"]
        kept = [p[v].to_numpy().reshape(4, 1500, -1) for v in ("beta", "sd_g", "cor_g", "sigma", "b_g")]
        squares = [(b**2).to_numpy().reshape(4, 1500, -1), (b * beta.isel(coef=0)).to_numpy().reshape(4, 1500, -1)]
        return np.concatenate([*kept, *squares], axis=-1)

    ours, theirs = (quantities(fit) for fit in fits.values())
    errors = [v.var(axis=(0, 1)) / array_stats.ess(v, chain_axis=0, draw_axis=1, method="mean") for v in (ours, theirs)]
    apart = np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))) / np.sqrt(sum(errors))
    # Of right fits one in 10,000 fails, however many quantities are looked at.
    assert apart.max() < stats.norm.isf(1e-4 / 2 / len(apart))
