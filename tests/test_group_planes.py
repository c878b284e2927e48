"""Responses that are not normal with two group effects integrated out: against dense sums of densities by SciPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from group_rows import PHI, Case, case
from scipy import special

import bayesmargins as bm
from bayesmargins.integrate.normal_groups import Effects

# Products of factors, rows that count too often for that, sums whose power rises and falls, a parameter.
FAMILIES = [
    ("bernoulli", "logit"),
    ("binomial", "logit"),
    ("poisson", "log"),
    ("gamma", "log"),
    pytest.param("exponential", "log", marks=pytest.mark.evidence),
]
ROOT = np.array([[1.0, 0.0], [0.3, 0.7]])
STRAIGHT = np.array([[3.0, 0.0], [0.9 * 0.5, np.sqrt(1 - 0.9**2) * 0.5]])  # correlation 0.9
SMALL = (1, 0, 5, 12, 6, 6)  # groups 4 and 5 have the lowest and the highest y only


def _case(family: str, link: str) -> Case:
    """An intercept and a slope by group; the last groups are separated."""
    whole = case(family, link)
    kept = np.flatnonzero(np.isin(whole.effects.codes, [0, 2, 3, 5, 6]))
    codes = np.array([0, 1, 2, 3, 3, 4, 5, 6])[whole.effects.codes]
    W = np.column_stack([np.ones(len(codes)), whole.F[:, 1]])
    o = whole.outcome
    y = np.minimum(o.y[kept], 200.0)  # a grid finds no narrower peak
    outcome = replace(o, y=y, trials=None if o.trials is None else o.trials[kept])
    effects = Effects(W[kept], codes[kept], len(SMALL))
    return replace(whole, outcome=outcome, F=whole.F[kept], offset=whole.offset[kept], effects=effects)


def _plane(
    rows: Case, g: int, x: np.ndarray, root: np.ndarray, nodes: int = 181
) -> tuple[np.ndarray, np.ndarray, float]:
    """z (2, node, node), the log of the integrand there, and the area of a cell; x is phi and the parameters."""
    own = np.flatnonzero(rows.effects.codes == g)
    fixed = rows.F[own] @ x[:2] + rows.offset[own]
    aux = {name: x[2:] if np.ndim(value) else x[2] for name, value in rows.aux.items()}
    low, high = np.full(2, -2e3), np.full(2, 2e3)
    for n in (*[61] * 12, nodes):
        sides = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
        z = np.array(np.meshgrid(*sides, indexing="ij"))
        b = np.einsum("tc,c...->t...", root, z).reshape(2, -1)
        with np.errstate(all="ignore"):
            rest = rows.log_density(own, fixed[:, None] + rows.effects.W[own] @ b, aux).sum(axis=0)
        rest = np.nan_to_num(rest, nan=-1e300, neginf=-1e300)
        v = rest.reshape(n, n) - 0.5 * (z**2).sum(axis=0) - np.log(2.0 * np.pi)
        steps = np.array([side[1] - side[0] for side in sides])
        near = np.argwhere(v >= v.max() - 45.0)
        if n != nodes:  # closer to what matters
            low, high = np.array([[s[k] for s, k in zip(sides, e, strict=True)] for e in (near.min(0), near.max(0))])
            low, high = low - steps, high + steps
    return z, v, float(np.prod(steps))


def _dense(rows: Case, x: np.ndarray, root: np.ndarray) -> np.ndarray:
    """log of each group's integral: (group,)."""
    found = [_plane(rows, g, x, root) for g in range(rows.effects.levels)]
    return np.array([special.logsumexp(v) + np.log(area) for _, v, area in found])


def _at(rows: Case, x: np.ndarray, root: np.ndarray, draws: int = 1) -> Any:
    aux = {
        name: np.repeat(x[None, 2:] if np.ndim(value) else x[2:3], draws, axis=0) for name, value in rows.aux.items()
    }
    return np.repeat(x[None, :2], draws, axis=0), [np.repeat(root[None], draws, axis=0)], aux


def _start(rows: Case) -> np.ndarray:
    return np.concatenate([PHI, *(np.atleast_1d(v) for v in rows.aux.values())])


@pytest.mark.parametrize(("family", "link"), FAMILIES)
def test_likelihood_and_derivatives_are_those_of_a_dense_sum(family: str, link: str) -> None:
    """With groups of one row, of none, and of equal y; the error is what is told of it, and the sum near it."""
    rows = _case(family, link)
    likelihood, x = rows.likelihood, _start(rows)
    for root in (0.01 * ROOT, ROOT, 4.0 * ROOT, STRAIGHT, -ROOT, np.zeros((2, 2))):
        at, exact = _at(rows, x, root), _dense(rows, x, root)
        found, told = likelihood.by_group(*at)[0], likelihood.error(*at)[0]
        np.testing.assert_allclose(found, exact, atol=1e-6)
        assert abs((found - exact).sum()) < told + 1e-9, root
        assert told < 1e-5
        assert found[1] == 0.0
        coarse = likelihood.coarser()
        assert abs((coarse.by_group(*at)[0] - exact).sum()) < coarse.error(*at)[0] < 1e-3
    value, d_phi, (d_root,), d_aux = likelihood.derivatives(*_at(rows, x, ROOT))
    assert value[0] == pytest.approx(likelihood.log_likelihood(*_at(rows, x, ROOT))[0], rel=1e-12)
    pieces = (d_phi[0], *(np.atleast_1d(v[0]) for v in d_aux.values()), d_root[0][np.tril_indices(2)])
    slopes, h = np.concatenate(pieces), 1e-3
    for k, slope in enumerate(slopes):
        ends = []
        for step in (-h, h):
            moved, root = x.copy(), ROOT.copy()
            if k < len(x):
                moved[k] += step
            else:
                root[np.tril_indices(2)[0][k - len(x)], np.tril_indices(2)[1][k - len(x)]] += step
            ends.append(_dense(rows, moved, root).sum())
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=2e-5 * np.abs(slopes).max()), k


@pytest.mark.parametrize(("family", "link"), FAMILIES)
def test_effects_are_drawn_from_their_joint_distribution(family: str, link: str) -> None:
    """Means and covariances of each group, those without rows included; groups and draws are independent."""
    rows, draws = _case(family, link), 4000
    x, root = _start(rows), 1.3 * ROOT
    at = _at(rows, x, root, draws)
    (b,) = rows.likelihood.draw_effects(*at, np.random.default_rng(1))
    assert b.shape == (draws, len(SMALL), 2)
    with bm.options(threads=2):
        (again,) = rows.likelihood.draw_effects(*at, np.random.default_rng(1))
    np.testing.assert_array_equal(b, again)
    assert len(np.unique(b)) == b.size
    for g in range(len(SMALL)):
        z, v, _ = _plane(rows, g, x, root)
        mass = np.exp(v - special.logsumexp(v)).ravel()
        effects = (root @ z.reshape(2, -1)).T
        for f in (
            lambda b: b[:, 0],
            lambda b: b[:, 1],
            lambda b: b[:, 0] * b[:, 1],
            lambda b: b[:, 0] ** 2,
            lambda b: b[:, 1] ** 2,
        ):
            mean = mass @ f(effects)
            sd = np.sqrt(mass @ (f(effects) - mean) ** 2)
            assert abs(f(b[:, g]).mean() - mean) < 4.5 * sd / np.sqrt(draws), g
    flat = b.reshape(draws, -1)
    between = np.corrcoef(flat.T)[np.kron(np.eye(len(SMALL)), np.ones((2, 2))) == 0]
    assert np.abs(between).max() < 5.0 / np.sqrt(draws)


def test_hopeless_points_end() -> None:
    """Without a number where a parameter is none; with one where the variances are absurd."""
    rows = _case("bernoulli", "logit")
    likelihood, x = rows.likelihood, _start(rows)
    for bad in (np.nan, np.inf):
        assert not np.isfinite(likelihood.log_likelihood(*_at(rows, x, ROOT + bad))[0])
        likelihood.draw_effects(*_at(rows, x, ROOT + bad), np.random.default_rng(1))
    for mean, scale in ((300.0, 1.0), (-300.0, 1.0), (0.0, 1e3)):
        at = _at(rows, x + np.array([mean, 0.0]), scale * ROOT)
        assert np.isfinite(likelihood.derivatives(*at)[1]).all()
        assert np.isfinite(likelihood.draw_effects(*at, np.random.default_rng(1))[0]).all()


@pytest.mark.parametrize("s", [50.0, 100.0, 300.0])
def test_slopes_that_differ_by_hundreds_are_summed_as_far_as_they_reach(s: float) -> None:
    """Two rows, 0 at x = 0 and 1 at x = 1: with eta at the second normal given b0, two sums in one dimension."""
    data = pd.DataFrame({"x": [0.0, 1.0, 0.0, 1.0], "y": [0, 1, 1, 0], "g": list("aabb")})
    Sigma = {"g": np.diag([1.0, s**2])[None, None]}
    draws = {"beta": np.zeros((1, 1, 2)), "Sigma": Sigma, "b": {"g": np.zeros((1, 1, 2, 2))}}
    post = bm.from_draws("y ~ x + (1 + x | g)", data, family="bernoulli", **draws)
    z, step = np.linspace(-9.0, 9.0, 361, retstep=True)
    wide = np.linspace(-9.0, 9.0, 36001)
    inner = special.expit(z[:, None] + s * wide) @ np.exp(-0.5 * wide**2) * (18.0 / 36000) / np.sqrt(2.0 * np.pi)
    expected = np.log((special.expit(-z) * inner * np.exp(-0.5 * z**2)).sum() * step / np.sqrt(2.0 * np.pi))
    assert post.log_likelihood_groups.to_numpy().ravel()[0] == pytest.approx(expected, abs=1e-4)


def test_a_likelihood_that_no_line_reaches_is_refused() -> None:
    data = pd.DataFrame({"x": [0.0, 1.0, 0.0, 1.0], "y": [0, 1, 1, 0], "g": list("aabb")})
    Sigma = {"g": np.diag([1.0, 1e8])[None, None]}
    draws = {"beta": np.zeros((1, 1, 2)), "Sigma": Sigma, "b": {"g": np.zeros((1, 1, 2, 2))}}
    post = bm.from_draws("y ~ x + (1 + x | g)", data, family="bernoulli", **draws)
    with pytest.raises(bm.IntegrationError, match="does not reach far enough in 1 of 1 draws"):
        post.log_likelihood_groups  # noqa: B018  # computed when it is read


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g, x = np.repeat(np.arange(30), 8), rng.normal(size=240)
    b = rng.normal(size=(30, 2)) @ np.array([[0.8, 0.3], [0.0, 0.5]])
    return pd.DataFrame(
        {"y": (rng.logistic(size=240) + 0.3 + 0.5 * x + b[g, 0] + b[g, 1] * x > 0).astype(int), "x": x, "g": g}
    )


def test_two_effects_are_integrated_where_that_is_asked_for_or_needed() -> None:
    """NUTS draws them, which costs less, and says so."""
    for formula in ("y ~ x + (1 + x | g)", "y ~ x + (1 + x || g)"):
        model = bm.GLMM(formula, _data(), "bernoulli")
        assert "group effects are sampled: NUTS draws two effects of a group faster" in " ".join(str(model).split())
        assert "z_g" not in [v.name for v in model.pymc_for("integrated").free_RVs]
    post = model.fit(200, sampler="independent", random_seed=1, progressbar=False, ess=None)
    assert post.info["sampler"] == "independent"
    assert post.info["group_effects"] == "integrated"
    assert post.info["integration_error"] < 1e-3


@pytest.mark.evidence
@pytest.mark.sampling
def test_integrated_and_sampled_effects_have_the_same_posterior() -> None:
    """Means of parameters, of effects and of their products, within four Monte Carlo errors."""
    from arviz_stats.base import array_stats

    model = bm.GLMM("y ~ x + (1 + x | g)", _data(), "bernoulli")
    ways: list[dict[str, Any]] = [
        {"group_effects": "sampled"},
        {"group_effects": "integrated"},
        {"sampler": "independent"},
    ]
    fits = [model.fit(1000, random_seed=1, progressbar=False, **way) for way in ways]
    centre = fits[0].parameters["b_g"].mean(("chain", "draw"))

    def quantities(post: bm.Posterior) -> np.ndarray:
        p = post.parameters
        names = ("beta", "sd_g", "cor_g", "b_g")
        kept = [p[name].to_numpy().reshape(*p["beta"].shape[:2], -1) for name in names]
        b = (p["b_g"] - centre).to_numpy()
        products = [b[..., 0] ** 2, b[..., 1] ** 2, b[..., 0] * b[..., 1], b[..., 0] * p["beta"].to_numpy()[..., :1]]
        return np.concatenate([*kept, *products], axis=-1)

    means, errors = [], []
    for fit in fits:
        q = quantities(fit)
        means.append(q.mean(axis=(0, 1)))
        errors.append(array_stats.mcse(q, chain_axis=0, draw_axis=1, method="mean"))
    for k in (1, 2):
        apart = np.abs(means[k] - means[0]) / np.hypot(errors[k], errors[0])
        assert np.mean(apart > 3.0) < 0.02
        assert apart.max() < 4.5  # of some 190 quantities
