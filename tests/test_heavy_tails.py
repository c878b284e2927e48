"""Student-t group effects, gr(g, dist = "student"): against adaptive quadrature, simulation and their normal limit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import f as f_distribution
from scipy.stats import poisson

import bayesmargins as bm

HEAVY = '(1 | gr(g, dist = "student"))'
DF = np.array([1.2, 2.5, 4.0, 10.0, 40.0, 1e7])
GROUPS, DRAWS = 20, len(DF)


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = rng.normal(size=3 * GROUPS)
    g = [f"g{k:02}" for k in np.repeat(np.arange(GROUPS), 3)]
    counts = rng.poisson(3.0, len(x))
    return pd.DataFrame({"g": g, "x": x, "z": (x > 0).astype(int), "k": counts, "y": x, "n": 5})


def _given(seed: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    Sigma = np.linspace(0.3, 2.0, DRAWS).reshape(1, DRAWS, 1, 1)
    b = rng.normal(size=(1, DRAWS, GROUPS, 1))
    return {"beta": rng.normal(size=(1, DRAWS, 2)), "b": {"g": b}, "Sigma": {"g": Sigma}}


def _posterior(left: str, family: str, df: np.ndarray = DF, **aux: np.ndarray) -> bm.Posterior:
    given = _given() | {"aux": {"df_g": df[None], **aux}}
    return bm.from_draws(f"{left} ~ x + {HEAVY}", _frame(), family=family, **given)


def _normal(left: str, family: str, **aux: np.ndarray) -> bm.Posterior:
    return bm.from_draws(f"{left} ~ x + (1 | g)", _frame(), family=family, **_given(), aux=aux)


def _over_t(f: Any, df: float) -> Any:
    """E[f(T)] by adaptive quadrature in u with T = sinh u, so that tails of any weight end."""
    nu = mp.mpf(df)
    c = mp.gamma((nu + 1) / 2) / (mp.sqrt(nu * mp.pi) * mp.gamma(nu / 2))
    density = lambda t: c * (1 + t * t / nu) ** (-(nu + 1) / 2)  # noqa: E731
    points = [-90, -40, -20, -8, -4, -2, -1, 0, 1, 2, 4, 8, 20, 40, 90]
    return mp.quad(lambda u: f(mp.sinh(u)) * density(mp.sinh(u)) * mp.cosh(u), points, maxdegree=9)


@pytest.mark.parametrize("draw", [0, 2])
def test_means_of_new_groups_are_those_of_adaptive_quadrature(draw: int) -> None:
    post, given = _posterior("z", "bernoulli"), _given()
    row = _frame().iloc[:1]
    s = mp.sqrt(given["Sigma"]["g"][0, draw, 0, 0])
    eta = mp.mpf(float(given["beta"][0, draw] @ [1.0, row.x.iloc[0]]))
    wanted = _over_t(lambda t: 1 / (1 + mp.exp(-(eta + s * t))), DF[draw])
    found = bm.predictions(post, newdata=row).estimate.to_numpy()[0, draw, 0]
    assert abs(found - float(wanted)) < {0: 1e-9, 2: 1e-12}[draw]
    slope = given["beta"][0, draw, 1] * _over_t(lambda t: 1 / (2 + 2 * mp.cosh(eta + s * t)), DF[draw])
    found = bm.slopes(post, "x", newdata=row).estimate.to_numpy()[0, draw].item()
    assert abs(found - float(slope)) < 1e-9


def test_with_many_degrees_of_freedom_effects_are_normal() -> None:
    for left, family, aux in (
        ("z", "bernoulli", {}),
        ("k", "poisson", {}),
        ("y", "gaussian", {"sigma": np.ones((1, DRAWS))}),
    ):
        for target in (None, bm.exceeds(1), bm.quantile(0.7)) if family != "bernoulli" else (None,):
            if (family, target) == ("poisson", None):
                continue  # infinite
            heavy, normal = (
                bm.avg_predictions(p, newdata=_frame().iloc[:4], target=target).estimate.to_numpy()[0]
                for p in (_posterior(left, family, np.full(DRAWS, 1e7), **aux), _normal(left, family, **aux))
            )
            np.testing.assert_allclose(heavy, normal, atol=1e-6)


def test_a_contrast_compares_the_two_averages_and_averages_add_up() -> None:
    post = _posterior("z", "bernoulli")
    low, high = (bm.avg_predictions(post, at={"x": [v]}).estimate.to_numpy()[..., 0] for v in (0.0, 1.0))
    for how, wanted in {"difference": high - low, "or": high / (1 - high) * (1 - low) / low}.items():
        found = bm.avg_comparisons(post, {"x": (0.0, 1.0)}, comparison=how).estimate.to_numpy()[..., 0]
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    rows = bm.predictions(post, newdata=_frame()).estimate.to_numpy().mean(axis=-1)
    np.testing.assert_allclose(bm.avg_predictions(post).estimate.to_numpy(), rows, rtol=1e-12)


def test_tails_and_quantiles_are_those_of_a_million_groups() -> None:
    df = np.full(DRAWS, 4.0)
    post, given, row = _posterior("k", "poisson", df), _given(), _frame().iloc[:1]
    rng = np.random.default_rng(5)
    b = rng.standard_t(4.0, 1_000_000) * np.sqrt(given["Sigma"]["g"][0, 3, 0, 0])
    mu = np.exp(np.minimum(given["beta"][0, 3] @ [1.0, row.x.iloc[0]] + b, 700.0))
    above = poisson.sf(3, mu)
    found = bm.predictions(post, newdata=row, target=bm.exceeds(3)).estimate.to_numpy()[0, 3, 0]
    assert abs(found - above.mean()) < 4.0 * above.std() / 1000.0
    median = bm.predictions(post, newdata=row, target=bm.quantile(0.5)).estimate.to_numpy()[0, 3, 0]
    assert poisson.cdf(median, mu).mean() >= 0.5 - 2e-3
    assert poisson.cdf(median - 1, mu).mean() < 0.5 + 2e-3


def test_under_the_identity_a_standard_deviation_has_the_variance_of_t() -> None:
    df = np.array([2.5, 3.0, 4.0, 10.0, 40.0, 1e7])
    post = _posterior("y", "gaussian", df, sigma=np.full((1, DRAWS), 0.7))
    Sigma = _given()["Sigma"]["g"][0, :, 0, 0]
    wanted = np.sqrt(0.7**2 + Sigma * df / (df - 2.0))
    found = bm.avg_predictions(post, newdata=_frame().iloc[:2], target=bm.sd()).estimate.to_numpy()[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    mean = bm.avg_predictions(post).estimate.to_numpy()
    np.testing.assert_allclose(mean, bm.avg_predictions(post, target="link").estimate.to_numpy(), rtol=1e-13)


def test_drawn_groups_are_student_t_whatever_the_order_of_rows() -> None:
    post = _posterior("z", "bernoulli", np.full(DRAWS, 3.0))
    many = pd.DataFrame({"x": 0.0, "g": [f"n{k}" for k in range(20_000)]})
    drawn = bm.predictions(post, newdata=many, groups="sample", target="link", random_seed=1).estimate.to_numpy()[0, 2]
    s = np.sqrt(_given()["Sigma"]["g"][0, 2, 0, 0])
    t = (drawn - _given()["beta"][0, 2, 0]) / s
    for c in (0.5, 1.0, 2.0, 5.0):
        p = 2.0 * float(mp.quad(lambda u: _t_density(u, 3.0), [c, mp.inf]))
        assert abs(np.mean(np.abs(t) > c) - p) < 4.0 * np.sqrt(p * (1 - p) / len(t))
    back = bm.predictions(post, newdata=many.iloc[::-1], groups="sample", target="link", random_seed=1)
    np.testing.assert_array_equal(back.estimate.to_numpy()[0, 2][::-1], drawn)


def _t_density(u: Any, nu: float) -> Any:
    c = mp.gamma((nu + 1) / 2) / (mp.sqrt(nu * mp.pi) * mp.gamma(nu / 2))
    return c * (1 + u * u / nu) ** (-(nu + 1) / 2)


def test_own_and_fitted_groups_are_looked_up() -> None:
    post, normal = _posterior("k", "poisson"), _normal("k", "poisson")
    for groups in ("own", "existing", "zero", {"g": ["g03"]}):
        a, b = (bm.avg_comparisons(p, "x", groups=groups).estimate.to_numpy() for p in (post, normal))
        np.testing.assert_array_equal(a, b)


def test_without_variance_new_groups_are_those_at_b_0_and_order_says_nothing() -> None:
    given = _given() | {"aux": {"df_g": DF[None]}, "b": None}
    none = given | {"Sigma": {"g": np.zeros((1, DRAWS, 1, 1))}}
    post = bm.from_draws(f"z ~ x + {HEAVY}", _frame(), family="bernoulli", **none)
    new, zero = (bm.avg_predictions(post, groups=g).estimate.to_numpy() for g in ("new", "zero"))
    np.testing.assert_allclose(new, zero, rtol=1e-12)
    shuffled = _frame().sample(frac=1.0, random_state=1)
    a, b = (
        bm.avg_predictions(bm.from_draws(f"z ~ x + {HEAVY}", f, family="bernoulli", **given)).estimate.to_numpy()
        for f in (_frame(), shuffled)
    )
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_file_and_brms_have_the_degrees_of_freedom(tmp_path: Path) -> None:
    post = _posterior("z", "bernoulli")
    post.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    wanted = bm.avg_predictions(post).estimate.to_numpy()
    np.testing.assert_array_equal(bm.avg_predictions(again).estimate.to_numpy(), wanted)
    given = _given()
    table = {".chain": 1, "b_Intercept": given["beta"][0, :, 0], "b_x": given["beta"][0, :, 1], "df_g": DF}
    table["sd_g__Intercept"] = np.sqrt(given["Sigma"]["g"][0, :, 0, 0])
    table |= {f"r_g[g{k:02},Intercept]": given["b"]["g"][0, :, k, 0] for k in range(GROUPS)}
    read = bm.from_brms(pd.DataFrame(table), f"z ~ x + {HEAVY}", _frame(), family="bernoulli")
    np.testing.assert_allclose(bm.avg_predictions(read).estimate.to_numpy(), wanted, rtol=1e-12)
    assert "with Student-t effects" in bm.describe(bm.avg_predictions(read))


REFUSED = {
    "mean": (lambda p: bm.avg_predictions(p), "infinite under the log link"),
    "sd": (lambda p: bm.avg_predictions(p, target=bm.sd()), "infinite under the log link"),
    "heterogeneity": (lambda p: bm.heterogeneity(p, "x"), "takes group effects to be normal"),
    "shares": (bm.variance_partition, "takes group effects to be normal"),
    "coefficients": (bm.marginal_coefficients, "takes group effects to be normal"),
    "logo": (bm.logo, "are Student-t"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_answer_is_refused_with_a_way_out(what: str) -> None:
    ask, said = REFUSED[what]
    with pytest.raises(bm.BayesmarginsError, match=said):
        ask(_posterior("k", "poisson"))


def test_draws_have_to_say_the_degrees_of_freedom() -> None:
    with pytest.raises(bm.errors.PosteriorError, match=r"aux=\{'df_g': array\}"):
        bm.from_draws(f"z ~ x + {HEAVY}", _frame(), family="bernoulli", **_given())
    with pytest.raises(bm.errors.PosteriorError, match="above 0"):
        _posterior("z", "bernoulli", -DF)


def test_a_model_says_its_priors_and_how_it_samples() -> None:
    said = str(bm.GLMM(f"z ~ x + {HEAVY}", _frame(), family="bernoulli"))
    assert "df_g ~ Truncated(dist=Gamma(alpha=2, beta=0.1), lower=1)" in said
    assert "Student-t, with Sigma as its scale" in said
    held = str(bm.GLMM(f"z ~ x + {HEAVY}", _frame(), family="bernoulli", priors={"df_g": 4.0}))
    assert "df_g = 4, held" in held


def test_several_effects_of_a_group_are_out_together(uncompiled: None) -> None:
    slope = '(1 + x | gr(g, dist = "student"))'
    prior = bm.GLMM(f"y ~ x + {slope}", _frame(), priors={"df_g": 4.0}).prior(draws=400, random_seed=1)
    L = np.linalg.cholesky(prior.draws.Sigma["g"])
    v = np.linalg.solve(L[:, None], prior.draws.b["g"][..., None])[..., 0].reshape(-1, 2)
    square = (v**2).sum(axis=1)  # twice an F variable with 2 and 4 degrees of freedom
    for c in (1.0, 4.0, 10.0, 40.0):
        p = f_distribution.sf(c / 2.0, 2, 4)
        assert abs(np.mean(square > c) - p) < 4.5 * np.sqrt(p * (1 - p) / len(square))


def test_the_model_draws_student_t_effects(uncompiled: None) -> None:
    model = bm.GLMM(f"y ~ x + {HEAVY}", _frame(), priors={"df_g": 4.0})
    prior = model.prior(draws=400, random_seed=1)
    t = (prior.draws.b["g"][:, :, 0] / np.sqrt(prior.draws.Sigma["g"][:, 0, 0])[:, None]).ravel()
    p = 2.0 * float(mp.quad(lambda u: _t_density(u, 4.0), [2, mp.inf]))
    assert abs(np.mean(np.abs(t) > 2.0) - p) < 4.5 * np.sqrt(p * (1 - p) / len(t))
    np.testing.assert_array_equal(prior.draws.aux["df_g"], 4.0)


@pytest.mark.sampling
@pytest.mark.evidence
def test_a_fit_recovers_scale_and_heavy_tails() -> None:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(200), 5)
    x = rng.normal(size=len(g))
    y = 1.0 + 0.5 * x + rng.standard_t(3.0, 200)[g] + 0.5 * rng.normal(size=len(g))
    data = pd.DataFrame({"g": [f"g{k}" for k in g], "x": x, "y": y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        post = bm.GLMM(f"y ~ x + {HEAVY}", data).fit(draws=500, random_seed=1, progressbar=False)
    assert post.info["max_rhat"] < 1.05
    assert post.info["divergences"] < 40
    sd = post.parameters["sd_g"].to_numpy().ravel()
    assert abs(sd.mean() - 1.0) < 3.5 * sd.std()
    assert np.quantile(post.aux["df_g"], 0.9) < 15.0


def test_slopes_of_a_mean_that_reads_a_formula_are_the_limit_of_its_differences() -> None:
    """Over Student-t effects too, where it is no average of one inverse link."""
    data = pd.DataFrame({"k": 2, "n": 5, "x": [0.0, 1.0, 2.0, 3.0], "g": list("aabb")})
    post = bm.from_draws(
        'k | trials(n) ~ x + (1 | gr(g, dist="student"))',
        data,
        family="zero_inflated_binomial",
        beta=[[[0.3, 0.4], [-0.5, 0.8]]],
        Sigma={"g": [[[[1.0]], [[0.6]]]]},
        aux={"df_g": [[2.0, 5.0]]},
        parts={"zi": {"formula": "~ x", "beta": [[[-0.6, 0.5], [0.2, -0.4]]]}},
    )
    x, h = 0.7, 1e-3
    found = bm.slopes(post, "x", newdata=pd.DataFrame({"x": [x], "n": 5}))
    at = {k: bm.predictions(post, pd.DataFrame({"x": [x + k * h], "n": 5})).estimate.to_numpy() for k in (-2, -1, 1, 2)}
    wanted = (8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * h)
    np.testing.assert_allclose(found.estimate.to_numpy().ravel(), wanted.ravel(), rtol=1e-8)
    assert "Student-t" in found.attrs["integration_method"]
