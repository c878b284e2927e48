"""Elasticities, second derivatives and slopes between levels: against quadrature, closed forms, and laws they obey."""

from __future__ import annotations

import tracemalloc
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import reference
from scipy.integrate import quad
from scipy.interpolate import BSpline
from scipy.special import expit
from test_laws import CURVATURE, in_basis, rewritten
from test_margins import MODELS, POLICIES, random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.design import second_derivative_rows
from bayesmargins.evaluate import passes

WORDS = ("dydx", "eyex", "eydx", "dyex")
EVERY_LINK = [
    ("y", "bernoulli", "logit"),
    ("y", "bernoulli", "cloglog"),
    ("y", "bernoulli", "probit"),
    ("k", "poisson", "log"),
]


# elasticities ---------------------------------------------------------------------------------------------------------


def _plain(case: str, x: str, policy: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, slope and x of every row for the first 20 draws, by a dense sum over z and loops over groups."""
    post = reference.posterior(case)
    data, design = reference.data(case), post.design
    (factor,) = design.factors
    at = design.rows(data)
    ends = [design.rows(data.assign(**{x: v})) for v in (0.0, 1.0)]
    rows = naive.Rows(at.X, at.Z[factor], design.factors[factor].codes, ends[1].X - ends[0].X,
                      ends[1].Z[factor] - ends[0].Z[factor])  # fmt: skip
    draws = zip(post.draws.beta[:20], post.draws.b[factor][:20], post.draws.Sigma[factor][:20], strict=True)
    found = [[f(rows, *draw, post.link.name, policy) for f in (naive.mean, naive.slope)] for draw in draws]
    mean, slope = np.swapaxes(np.array(found), 0, 1)
    return mean, slope, data[x].to_numpy(dtype=float)


def _relative(mean: np.ndarray, slope: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    return {"dydx": slope, "eyex": slope * x / mean, "eydx": slope / mean, "dyex": slope * x}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("case", "x"), [("b_bacteria", "week"), ("d_sleep", "Days"), ("k_epil", "per")])
def test_elasticities_are_those_of_each_row_and_then_averaged(case: str, x: str, policy: str) -> None:
    post, data = reference.posterior(case), reference.data(case)
    weights = np.linspace(1, 3, len(data))
    by = {"b_bacteria": "trt", "d_sleep": "Subject", "k_epil": "trt"}[case]
    cells = pd.factorize(data[by], sort=True)[0]
    if policy in ("new", "zero") and by == "Subject":
        by, cells = None, np.zeros(len(data), dtype=int)
    for word, expected in _relative(*_plain(case, x, policy)).items():
        rows = values(bm.slopes(post, x, slope=word, groups=policy)).reshape(200, -1)[:20]
        np.testing.assert_allclose(rows, expected, rtol=1e-9, atol=1e-12)
        found = values(bm.avg_slopes(post, x, slope=word, groups=policy, by=by, wts=weights)).reshape(200, -1)[:20]
        averaged = [np.average(expected[:, cells == c], axis=1, weights=weights[cells == c]) for c in np.unique(cells)]
        np.testing.assert_allclose(found, np.transpose(averaged), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("policy", ["new", "zero", "own"])
def test_elasticity_under_a_log_link_is_the_coefficient_times_x(policy: str) -> None:
    """exp(eta + s2/2) with a random intercept: dy/dx / y = beta in every row."""
    post = random_posterior("k ~ x + f + offset(log(e)) + (1 | g)", simulated(), "poisson")
    beta, x = post.beta.sel(coef="x").to_numpy()[:, :, None], simulated().x.to_numpy()
    for word, expected in (("eydx", beta + 0 * x), ("eyex", beta * x)):
        np.testing.assert_allclose(
            values(bm.slopes(post, "x", slope=word, groups=policy))[:, :, 0], expected, rtol=1e-12
        )
        average = values(bm.avg_slopes(post, "x", slope=word, groups=policy))[:, :, 0]
        np.testing.assert_allclose(average, expected.mean(axis=-1), rtol=1e-12)


def _many_rows(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    return simulated().sample(n, replace=True, random_state=8).assign(x=rng.normal(size=n), e=rng.uniform(0.5, 2, n))


@pytest.mark.parametrize("policy", ["new", "existing", "own"])
@pytest.mark.parametrize("link", ["logit", "cloglog"])
def test_tables_and_blocks_give_the_elasticities_of_the_exact_engine(
    link: str, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rare events too: a probability of 1e-8 has an elasticity with nine digits."""
    data, rows = simulated(), _many_rows(700)
    post = random_posterior("y ~ x + f + (1 | g) + (1 | h)", data, "bernoulli", link)
    post = rewritten(post, beta=post.beta.to_numpy() - np.array([9.0, 0, 0, 0]))
    few = bm.avg_slopes(post, "x", newdata=rows, slope="eyex", by="f", groups=policy)
    monkeypatch.setattr(passes, "MANY_VALUES", 0)
    tabled = bm.avg_slopes(post, "x", newdata=rows, slope="eyex", by="f", groups=policy)
    if policy == "new":
        assert "table" not in few.attrs["integration_method"]
        assert "table" in tabled.attrs["integration_method"]
    np.testing.assert_allclose(values(tabled), values(few), rtol=2e-9)
    monkeypatch.setattr(passes, "_BLOCK_VALUES", 500)
    blocks = bm.avg_slopes(post, "x", newdata=rows, slope="eyex", by="f", groups=policy)
    np.testing.assert_allclose(values(blocks), values(tabled), rtol=1e-11)


def test_averaged_elasticities_never_hold_rows_times_draws() -> None:
    data, rows = simulated(), _many_rows(40_000)
    post = random_posterior("y ~ x + f + (1 | g)", data, "bernoulli")
    big = rewritten(post, beta=np.tile(post.beta, (1, 10, 1)), b={"g": np.tile(post.b["g"], (1, 10, 1, 1))},
                    Sigma={"g": np.tile(post.Sigma["g"], (1, 10, 1, 1))})  # fmt: skip
    whole = 40_000 * 100 * 8
    bm.avg_slopes(big, "x", newdata=rows.head(600), slope="eyex")  # kernels are compiled
    with bm.options(memory="4MB", progress=False):
        tracemalloc.start()
        bm.avg_slopes(big, "x", newdata=rows, slope="eyex")
        before = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        bm.avg_slopes(big, "x", newdata=rows)
        plain = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert before < plain + whole / 4


def test_no_response_has_no_elasticity_and_no_variable_none_to_show() -> None:
    data = pd.DataFrame({"y": [0.1, 1.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0, 3.0], "g": list("aabb")})
    beta = np.stack([np.zeros(6), np.ones(6)], axis=-1).reshape(2, 3, 2)
    Sigma = {"g": np.ones((2, 3, 1, 1))}
    post = bm.from_draws(
        "y ~ x + (1 | g)", data, family="gaussian", beta=beta, Sigma=Sigma, aux={"sigma": np.ones((2, 3))}
    )
    rows = values(bm.slopes(post, "x", slope="eyex"))[0, 0, 0]
    assert np.isnan(rows[0])  # y = x: at 0 the elasticity is 0 / 0
    np.testing.assert_allclose(rows[1:], 1.0)
    assert np.isinf(values(bm.slopes(post, "x", slope="eydx"))[0, 0, 0, 0])
    average = bm.avg_slopes(post, "x", slope="eyex")
    assert not np.isfinite(values(average)).any()
    with pytest.warns(bm.BayesmarginsWarning, match="6 of 6 draws are not finite"):
        assert bm.summary(average)["n_not_finite"].item() == 6
    raised = rewritten(post, beta=beta + np.array([1.0, 0.0]))
    assert values(bm.slopes(raised, "x", slope="eyex"))[0, 0, 0, 0] == 0.0
    assert values(bm.slopes(raised, "x", slope="dyex"))[0, 0, 0, 0] == 0.0


def test_negative_x_gives_its_sign_and_the_bound_its_size() -> None:
    """dyex multiplies by x: the bound on the error goes with its largest size, which may be that of a negative x."""
    data = simulated(x=-np.linspace(100, 200, 80))
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    post = rewritten(post, beta=post.beta.to_numpy() * np.array([1.0, 0.01]))
    bounds = [bm.avg_slopes(post, "x", slope=word).attrs["error_bound"] for word in ("dydx", "dyex")]
    assert bounds[1] == pytest.approx(200 * bounds[0], rel=1e-9)


def test_trials_cancel_in_an_elasticity_but_no_trials_have_none() -> None:
    data = simulated()
    post = random_posterior("k | trials(n) ~ x + (1 | g)", data, "binomial")
    share, count = (values(bm.slopes(post, "x", slope="eyex", target=t)) for t in ("mean", "count"))
    np.testing.assert_allclose(count, share, rtol=1e-12)
    none = values(bm.slopes(post, "x", newdata=data.assign(n=[0] + [3] * 79), slope="eyex", target="count"))
    assert np.isnan(none[..., 0]).all()
    assert np.isfinite(none[..., 1:]).all()
    one, two = (values(bm.slopes(post, "x", slope=w, target="count")) for w in ("dydx", "dyex"))
    np.testing.assert_allclose(two, one * data.x.to_numpy(), rtol=1e-12)


# second derivatives ---------------------------------------------------------------------------------------------------


STEEPNESS: dict[str, Any] = {
    "logit": lambda u: expit(u) * expit(-u),
    "cloglog": lambda u: np.exp(u - np.exp(u)),
    "probit": lambda u: np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi),
    "log": np.exp,
}


def _pathwise(link: str, eta: tuple[float, ...], v: tuple[float, ...]) -> float:
    """d2/dx dz E[h(eta + s Z)] of eta and v = s2, each given with its derivatives in x, in z and in both."""
    s = np.sqrt(v[0])
    s_x, s_z, s_xz = v[1] / (2 * s), v[2] / (2 * s), v[3] / (2 * s) - v[1] * v[2] / (4 * s**3)

    def integrand(t: float) -> float:
        u = eta[0] + s * t
        bent = CURVATURE[link](u) * (eta[1] + s_x * t) * (eta[2] + s_z * t)
        return float((bent + STEEPNESS[link](u) * (eta[3] + s_xz * t)) * np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi))

    middle = s if link == "log" else 0.0
    return float(quad(integrand, middle - 13, middle + 13, epsabs=1e-13, epsrel=1e-12, limit=400)[0])


@pytest.mark.parametrize(("y", "family", "link"), EVERY_LINK)
def test_second_derivative_through_the_integral_equals_quadrature(y: str, family: str, link: str) -> None:
    """Pathwise, by SciPy: with u = eta + s t the integrand is h''(u) u_x u_z + h'(u) u_xz, where s_x = v_x / 2s and
    s_xz = v_xz / 2s - v_x v_z / 4s^3. No third or fourth derivative of h is in it, and no derivative in the variance.
    """
    data = simulated().head(40)
    post = random_posterior(f"{y} ~ x * e + I(x**2) + (1 + x * e | g)", data, family, link)
    assert list(post.design.coef) == ["Intercept", "x", "e", "I(x ** 2)", "x:e"]
    post = rewritten(post, Sigma={"g": post.Sigma["g"].to_numpy() * 0.5})
    rows = data.iloc[[2, 11]]
    for variable, second in (("x", "e"), ("x", "x"), ("e", "e")):
        ds = bm.slopes(post, variable, newdata=rows, second=second)
        found = values(ds).reshape(10, 2)
        of = {"": 0, "x": 1, "e": 2}
        for r, (x, e) in enumerate(rows[["x", "e"]].to_numpy()):
            # columns 1, x, e, x^2, xe: value, d/dx, d/de and, by pair, the second derivatives
            X = np.array([[1, x, e, x * x, x * e], [0, 1, 0, 2 * x, e], [0, 0, 1, 0, x]])
            XX = {"xe": [0, 0, 0, 0, 1], "xx": [0, 0, 0, 2, 0], "ee": [0, 0, 0, 0, 0]}[variable + second]
            Z, ZZ = X[:, [0, 1, 2, 4]], np.array(XX)[[0, 1, 2, 4]]
            a, b = of[variable], of[second]
            for k in range(10):
                beta, S = post.draws.beta[k], post.draws.Sigma["g"][k]
                eta = (X[0] @ beta, X[a] @ beta, X[b] @ beta, np.array(XX) @ beta)
                v_xz = 2 * (Z[a] @ S @ Z[b] + Z[0] @ S @ ZZ)
                true = _pathwise(link, eta, (Z[0] @ S @ Z[0], 2 * Z[0] @ S @ Z[a], 2 * Z[0] @ S @ Z[b], v_xz))
                # x^2 is differenced to 1e-8; nothing else is
                assert found[k, r] == pytest.approx(true, rel=1e-8, abs=1e-9), (variable, second, k)
    assert ds.attrs["error_bound"] < 1e-9


@pytest.mark.parametrize("policy", [*POLICIES, "sample"])
@pytest.mark.parametrize(("formula", "family", "link"), [m for m in MODELS if "x ~" not in m[0]])
def test_second_derivative_is_the_derivative_of_the_slope(formula: str, family: str, link: str, policy: str) -> None:
    data = simulated()
    post = random_posterior(formula, data, family, link)
    step, how = 1e-3, {"groups": policy, "random_seed": 1}
    at = {k: values(bm.slopes(post, "x", newdata=data.assign(x=data.x + k * step), **how)) for k in (-2, -1, 1, 2)}
    numeric = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    analytic = values(bm.slopes(post, "x", second="x", **how))
    np.testing.assert_allclose(analytic, numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("policy", [*POLICIES, {"g": ["g2", "g0"]}])
@pytest.mark.parametrize(("y", "family", "link"), [*EVERY_LINK, ("w", "gaussian", "identity")])
def test_mixed_derivative_is_the_derivative_of_the_slope_whichever_comes_first(
    y: str, family: str, link: str, policy: Any
) -> None:
    data = simulated().assign(w=lambda frame: frame.w + 1.0)  # no share
    post = random_posterior(f"{y} ~ x * e * treated + (1 + x * e | g)", data, family, link)
    if link == "log":  # exp(s2 / 2) up to 1e40 would leave nothing of the difference that this is held against
        post = rewritten(post, Sigma={"g": post.Sigma["g"].to_numpy() * 0.05})
    step = 1e-3
    at = {
        k: values(bm.slopes(post, "x", newdata=data.assign(e=data.e + k * step), groups=policy)) for k in (-2, -1, 1, 2)
    }
    numeric = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    scale = np.abs(numeric).max()
    one, two = (values(bm.slopes(post, a, second=b, groups=policy)) for a, b in (("x", "e"), ("e", "x")))
    np.testing.assert_allclose(one, numeric, rtol=1e-7, atol=1e-9 * scale)
    np.testing.assert_allclose(two, one, rtol=1e-11, atol=1e-12 * scale)
    average = values(bm.avg_slopes(post, "x", second="e", groups=policy, wts="w"))
    np.testing.assert_allclose(average, np.average(one, axis=-1, weights=data.w), rtol=1e-11, atol=1e-12 * scale)


def test_second_derivative_where_nothing_bends_is_the_coefficient_of_the_product() -> None:
    data = simulated().assign(w=lambda frame: frame.w + 1.0)  # no share
    post = random_posterior("w ~ x * e + f + (1 + x | g)", data, "gaussian")
    product = np.broadcast_to(post.beta.sel(coef="x:e").to_numpy()[:, :, None, None], (2, 5, 1, 80))
    np.testing.assert_allclose(values(bm.slopes(post, "x", second="e")), product, rtol=1e-13)
    np.testing.assert_array_equal(values(bm.slopes(post, "x", second="x")), 0.0)
    logit = random_posterior("y ~ x * e + f + (1 + x | g)", data, "bernoulli")
    product = logit.beta.sel(coef="x:e").to_numpy()[:, :, None]
    np.testing.assert_allclose(values(bm.avg_slopes(logit, "x", second="e", target="link")), product, rtol=1e-13)


def test_bound_on_the_error_holds_for_second_derivatives() -> None:
    """With every design column straight, the integral is all that can be wrong."""
    post = random_posterior("y ~ x * e + (1 + x | g)", simulated(), "bernoulli", "cloglog")
    rows = simulated().head(3)
    found = bm.slopes(post, "x", newdata=rows, second="e", groups="new")
    beta, Sigma = post.draws.beta, post.draws.Sigma["g"]
    z, weights = naive.Z_GRID, naive.Z_WEIGHTS
    for k, row in enumerate(rows.itertuples()):
        u = np.exp(
            -np.clip(
                -(beta @ [1, row.x, row.e, row.x * row.e])[:, None]
                - np.sqrt(np.einsum("p,dpq,q->d", [1, row.x], Sigma, [1, row.x]))[:, None] * z,
                -6,
                700,
            )
        )
        exact = u * np.exp(-u)
        d = [exact @ weights, (exact * (1 - u)) @ weights, (exact * (1 - 3 * u + u**2)) @ weights]
        eta_x, eta_e, v_x = (
            beta[:, 1] + beta[:, 3] * row.e,
            beta[:, 2] + beta[:, 3] * row.x,
            2 * (Sigma @ [0, 1] @ [1, row.x]),
        )
        true = d[1] * eta_x * eta_e + d[0] * beta[:, 3] + 0.5 * d[2] * eta_e * v_x
        assert np.abs(values(found).reshape(10, 3)[:, k] - true).max() <= found.attrs["error_bound"] + 1e-13
    assert 0 < found.attrs["error_bound"] < 1e-10


# the design -----------------------------------------------------------------------------------------------------------

CURVED: dict[str, tuple[str, str, Any]] = {
    "np.sin(x)": ("x", "x", lambda x, e: -np.sin(x)),
    "np.exp(x)": ("x", "x", lambda x, e: np.exp(x)),
    "I(x**3)": ("x", "x", lambda x, e: 6 * x),
    "np.log(e)": ("e", "e", lambda x, e: -1 / e**2),
    "I(x * e)": ("x", "e", lambda x, e: 1 + 0 * x),
    "x:np.log(e)": ("x", "e", lambda x, e: 1 / e),
    "np.sin(x):np.log(e)": ("x", "e", lambda x, e: np.cos(x) / e),
    "I(x**2 * e**3)": ("e", "x", lambda x, e: 6 * x * e**2),
    "x:e:w": ("x", "e", lambda x, e: simulated().w.to_numpy()),
}


@pytest.mark.parametrize("term", list(CURVED))
def test_second_derivatives_of_the_design_are_right_to_1e_minus_8_and_at_edges_to_1e_minus_7(term: str) -> None:
    data = simulated()
    one, two, true = CURVED[term]
    design = bm.GLMM(f"y ~ x + e + w + {term} + (1 | g)", data, "bernoulli").design
    found = second_derivative_rows(design, data, one, two).X
    expected = true(data.x.to_numpy(), data.e.to_numpy())
    size = np.abs(expected).max()
    np.testing.assert_allclose(found[:, -1], expected, rtol=0, atol=1e-7 * size)
    inner = np.all([data[v].rank().between(3, 78) for v in (one, two)], axis=0)
    np.testing.assert_allclose(found[inner, -1], expected[inner], rtol=0, atol=1e-8 * size)
    np.testing.assert_allclose(found[:, :-1], 0.0, rtol=0, atol=1e-9)


def test_second_derivatives_of_a_spline_are_those_of_its_pieces_and_near_knots_to_1e_minus_4() -> None:
    data = simulated().sort_values("x")
    design = bm.GLMM("y ~ bs(x, df=6) + (1 | g)", data, "bernoulli").design
    found = second_derivative_rows(design, data, "x", "x").X[:, 1:]
    inner = np.quantile(data.x, [0.25, 0.5, 0.75])
    knots = np.r_[[data.x.min()] * 4, inner, [data.x.max()] * 4]
    true = np.stack([BSpline(knots, np.eye(7)[k], 3).derivative(2)(data.x) for k in range(1, 7)], axis=1)
    size = np.abs(true).max()
    np.testing.assert_allclose(found, true, rtol=0, atol=1e-4 * size)
    away = np.min(np.abs(data.x.to_numpy()[:, None] - inner), axis=1) > 0.05
    assert away.sum() > 50
    np.testing.assert_allclose(found[away], true[away], rtol=0, atol=1e-8 * size)


def test_second_derivatives_of_poly_and_of_a_standardised_variable_are_those_of_plain_powers() -> None:
    data = simulated()
    post = random_posterior("y ~ x + I(x**2) + e + (1 + x | g)", data, "bernoulli")
    other = in_basis(post, "y ~ poly(x, 2) + e + (1 + scale(x) | g)")
    for second in ("x", "e"):
        one, two = (values(bm.slopes(p, "x", second=second)) for p in (post, other))
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-8)


def test_points_without_a_second_derivative_are_refused() -> None:
    data = simulated().assign(x=np.linspace(-2, 2, 80).round(2))
    data.loc[5, "x"] = 0.0
    bent = random_posterior("y ~ I(x * np.abs(x)) + (1 | g)", data, "bernoulli")
    with pytest.raises(bm.DataError, match=r"The slope of the formula has a kink in 'x' at 0, in 1 rows of the data"):
        bm.slopes(bent, "x", second="x")
    assert np.isfinite(values(bm.slopes(bent, "x", newdata=data.drop(index=5), second="x"))).all()
    assert np.isfinite(values(bm.slopes(bent, "x"))).all()
    kinked = random_posterior("y ~ np.abs(x) + (1 | g)", data, "bernoulli")
    with pytest.raises(bm.DataError, match="kink in 'x' at 0"):
        bm.slopes(kinked, "x", second="x")


# slopes by a factor ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["f", "flag"])
@pytest.mark.parametrize("policy", POLICIES)
def test_slopes_between_levels_are_differences_of_slopes_at_the_levels(second: str, policy: str) -> None:
    post = random_posterior("y ~ x * f + x * flag + (1 + x | g)", simulated(), "bernoulli")
    levels = ["a", "b", "c"] if second == "f" else [False, True]
    how: dict[str, Any] = {"groups": policy, "by": "treated", "wts": "w"}
    found = bm.avg_slopes(post, ["x"], second=second, **how)
    at = bm.avg_slopes(post, "x", at={second: levels}, **how)["estimate"].isel(contrast=0)
    for k, level in enumerate(levels[1:]):
        difference = at.sel({second: level}) - at.sel({second: levels[0]})
        np.testing.assert_allclose(found["estimate"].isel(contrast=k), difference, rtol=1e-12, atol=1e-15)
    assert found["contrast"].values.tolist() == [f"dY/dx: {level} - {levels[0]}" for level in levels[1:]]
    assert found["term"].values.tolist() == [f"x, {second}"] * (len(levels) - 1)


def test_coding_of_the_factor_does_not_change_how_slopes_differ_between_its_levels() -> None:
    post = random_posterior("y ~ f * x + (1 + f | g)", simulated(), "bernoulli")
    other = in_basis(post, "y ~ C(f, contr.sum) * x + (0 + f | g)")
    one, two = (values(bm.avg_slopes(p, "x", second="f")) for p in (post, other))
    np.testing.assert_allclose(two, one, rtol=1e-10, atol=1e-13)


# laws -----------------------------------------------------------------------------------------------------------------

QUESTIONS: dict[str, dict[str, Any]] = {
    **{word: {"slope": word} for word in WORDS},
    "d2x2": {"second": "x"},
    "d2xe": {"second": "e"},
    "levels": {"second": "f"},
}


def _model(**changed: Any) -> bm.Posterior:
    return random_posterior("y ~ x * e + x * f + (1 + x + e | g) + (1 | h)", simulated(**changed), "bernoulli")


@pytest.mark.parametrize(
    ("question", "power"), [("dydx", 1), ("eydx", 1), ("eyex", 0), ("dyex", 0), ("d2x2", 2), ("d2xe", 1), ("levels", 1)]
)
def test_unit_of_x_scales_slopes_and_leaves_elasticities(question: str, power: int) -> None:
    post, unit = _model(), 25.4
    T = np.diag([1.0, unit, 1.0])
    beta = post.beta.to_numpy() * np.array([unit if "x" in c else 1.0 for c in post.design.coef])
    other = rewritten(post, data=simulated().assign(x=simulated().x / unit), beta=beta,
                      b={"g": post.b["g"].to_numpy() @ T, "h": post.b["h"]},
                      Sigma={"g": T @ post.Sigma["g"].to_numpy() @ T, "h": post.Sigma["h"]})  # fmt: skip
    for policy in ("new", "existing", "own"):
        one, two = (values(bm.avg_slopes(p, "x", groups=policy, **QUESTIONS[question])) for p in (post, other))
        np.testing.assert_allclose(two, one * unit**power, rtol=1e-10, atol=1e-12 * np.abs(one).max() * unit**power)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_order_of_rows_and_of_groups_does_not_matter(question: str) -> None:
    post, data, how = _model(), simulated(), QUESTIONS[question]
    shuffled = data.sample(80, random_state=1)
    order = [3, 0, 5, 1, 4, 2]
    renamed = data.assign(g=pd.Categorical(data.g, [f"g{k}" for k in order]))
    other = rewritten(post, data=renamed, b={"g": post.b["g"].to_numpy()[:, :, order], "h": post.b["h"]})
    for policy in ("new", "existing", "own"):
        one = values(bm.slopes(post, "x", groups=policy, **how))
        two = values(bm.slopes(post, "x", newdata=shuffled, groups=policy, **how))
        np.testing.assert_allclose(two, one[..., shuffled.index], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(values(bm.slopes(other, "x", groups=policy, **how)), one, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_vanishing_variance_turns_new_into_zero(question: str) -> None:
    post, how = _model(), QUESTIONS[question]
    still = rewritten(post, Sigma={f: v * 0 for f, v in post.Sigma.items()})
    tiny = rewritten(post, Sigma={f: v * 1e-12 for f, v in post.Sigma.items()})
    zero = values(bm.avg_slopes(post, "x", groups="zero", **how))
    np.testing.assert_allclose(values(bm.avg_slopes(still, "x", groups="new", **how)), zero, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(values(bm.avg_slopes(tiny, "x", groups="new", **how)), zero, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_draws_are_answered_one_by_one(question: str) -> None:
    post, how = _model(), QUESTIONS[question]
    whole = bm.avg_slopes(post, "x", by="treated", **how)["estimate"]
    for part in ({"chain": [1]}, {"draw": [4, 2]}):
        cut: dict[str, Any] = {k: {f: v.isel(part) for f, v in getattr(post, k).items()} for k in ("b", "Sigma")}
        fewer = rewritten(post, beta=post.beta.isel(part), **cut)
        found = bm.avg_slopes(fewer, "x", by="treated", **how)["estimate"]
        np.testing.assert_allclose(found, whole.isel(part), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_at_sets_the_variable_itself_and_others(question: str) -> None:
    post, data, how = _model(), simulated(), QUESTIONS[question]
    found = bm.avg_slopes(post, "x", at={"x": [0.5, 2.0], "e": [1.0]}, **how)["estimate"]
    for x in (0.5, 2.0):
        set_ = bm.avg_slopes(post, "x", newdata=data.assign(x=x, e=1.0), **how)["estimate"]
        np.testing.assert_allclose(found.sel(x=x, e=1.0), set_, rtol=1e-12, atol=1e-15)
    if question == "eyex":
        one = bm.avg_slopes(post, "x", at={"x": [0.5, 2.0]}, slope="eydx")["estimate"]
        np.testing.assert_allclose(
            bm.avg_slopes(post, "x", at={"x": [0.5, 2.0]}, **how)["estimate"], one * one.x, rtol=1e-12
        )


def test_missing_values_of_the_variable_stay_in_rows_and_stop_an_average() -> None:
    post, data = _model(), simulated()
    data.loc[3, "x"] = np.nan
    for how in QUESTIONS.values():
        with pytest.warns(bm.BayesmarginsWarning, match="1 of 80 rows of newdata have missing values"):
            rows = values(bm.slopes(post, "x", newdata=data, **how))
        assert np.isnan(rows[..., 3]).all()
        assert np.isfinite(np.delete(rows, 3, axis=-1)).all()
        with pytest.raises(bm.DataError, match="1 of 80 rows of newdata have missing values"):
            bm.avg_slopes(post, "x", newdata=data, **how)


def test_a_variable_that_only_groups_read_is_missed_where_it_multiplies() -> None:
    """Under b = 0 nothing else reads x, yet x dy/dx does."""
    data = simulated()
    post = random_posterior("y ~ e + (0 + x | g)", data, "bernoulli")
    assert (values(bm.avg_slopes(post, "x", slope="eyex", groups="zero")) == 0).all()
    data.loc[3, "x"] = np.nan
    with pytest.raises(bm.DataError, match="missing values"):
        bm.avg_slopes(post, "x", newdata=data, slope="eyex", groups="zero")


# what is said and what is refused -------------------------------------------------------------------------------------


def test_labels_terms_and_attributes() -> None:
    post = _model()
    for word, label in zip(WORDS, ("dY/dx", "eY/ex", "eY/dx", "dY/ex"), strict=True):
        ds = bm.avg_slopes(post, "x", slope=word)
        assert ds["contrast"].item() == label
        assert ds.attrs["slope"] == word
        assert "second" not in ds.attrs
    for second, label, term in (("x", "d2Y/dx2", "x"), ("e", "d2Y/dx de", "x, e")):
        ds = bm.avg_slopes(post, "x", second=second)
        assert (ds["contrast"].item(), ds["term"].item()) == (label, term)
        assert ds.attrs["second"] == second
        assert ds.attrs["scale"] == "second derivative of probability"
    both = bm.avg_slopes(post, ["x", "e"], second="e")
    assert both["contrast"].values.tolist() == ["d2Y/dx de", "d2Y/de2"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"slope": "elasticity"}, r"slope='elasticity'; allowed are 'dydx': .*Here it is called 'eyex'"),
    ({"slope": "eyxe"}, r"slope='eyxe'; .*Did you mean 'eyex'"),
    ({"slope": None}, r"slope=None; allowed are"),
    ({"slope": "eyex", "second": "e"}, r"slope='eyex' with second='e'; a second derivative is one of the slope itself"),
    ({"second": ["e"]}, r"second=\['e'\]; it is the name of one variable, out of"),
    ({"second": "nobody"}, r"second names 'nobody', which is no variable"),
    ({"second": "g"}, r"second names 'g', a grouping factor"),
    ({"second": "f", "at": {"f": ["a"]}}, r"second and at both name 'f'"),
    ({"wrt": "e"}, r"avg_slopes does not take wrt='e'\. Here it is called 'variables'"),
    ({"moderator": "e"}, r"Here it is called 'second'"),
]


@pytest.mark.parametrize(("how", "said"), REFUSED)
def test_what_has_no_answer_is_refused_in_words(how: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.BayesmarginsError, match=said):
        bm.avg_slopes(_model(), "x", **how)


def test_trials_as_second_variable_of_a_count_are_refused() -> None:
    post = random_posterior("k | trials(n) ~ x + n + (1 | g)", simulated(), "binomial")
    with pytest.raises(bm.EstimandError, match="'n' is the trials"):
        bm.avg_slopes(post, "x", second="n", target="count")
