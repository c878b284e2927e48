"""A lognormal response: its mean is no inverse link of eta alone, but a moved one, exp(eta + sigma^2 / 2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at

LOGNORMAL = FAMILIES["lognormal"]
BETA, SIGMA = np.array([[0.2, 0.7], [-0.3, 0.4]]), np.array([0.6, 1.1])


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x = np.linspace(-1.0, 1.0, 12)
    return pd.DataFrame({"y": rng.lognormal(0.3 * x, 0.5), "x": x, "g": [*"abcdef"] * 2})


def posterior(s: float = 0.8, **more: Any) -> bm.Posterior:
    rng = np.random.default_rng(2)
    given: dict[str, Any] = {
        "beta": BETA[None],
        "b": {"g": s * rng.normal(size=(1, 2, 6, 1))},
        "Sigma": {"g": np.full((1, 2, 1, 1), s**2)},
        "aux": {"sigma": SIGMA[None]},
    }
    return bm.from_draws("y ~ x + (1 | g)", frame(), family="lognormal", **(given | more))


def expected(f: Callable[[Any], Any], eta: float, s: float) -> float:
    """E[f(eta + s Z)] to 30 digits."""
    with mp.workdps(30):
        points = [-16, -8, -4, -2, 0, 2, 4, 8, 16]
        return float(mp.quad(lambda z: f(mp.mpf(eta) + mp.mpf(s) * z) * mp.npdf(z), points))


def test_log_density_is_that_of_scipy() -> None:
    y, mu = np.array([0.02, 1.0, 40.0]), np.array([0.3, -1.0, 2.0])
    found = LOGNORMAL.log_density(values_at(LINKS["identity"], mu, {"sigma": np.array(0.7)}), Outcome(y))
    np.testing.assert_allclose(found, stats.lognorm.logpdf(y, 0.7, scale=np.exp(mu)), rtol=1e-12)


def test_averages_over_new_groups_are_those_of_30_digits() -> None:
    post, s = posterior(), 0.8
    row = post.design.data.iloc[[3]]
    for draw, ((b0, b1), sigma) in enumerate(zip(BETA, SIGMA, strict=True)):
        eta = b0 + b1 * float(row["x"].iloc[0])
        half = mp.mpf(float(sigma)) ** 2 / 2

        def of(target: Any, draw: int = draw) -> float:
            return float(bm.predictions(post, row, target=target)["estimate"].values[0, draw, 0])

        mean = expected(lambda x, half=half: mp.exp(x + half), eta, s)
        second = expected(lambda x, half=half: mp.exp(2 * x + 4 * half), eta, s)
        assert of(None) == pytest.approx(mean, rel=1e-12)
        assert of(bm.sd()) == pytest.approx(np.sqrt(second - mean**2), rel=1e-9)
        for c in (0.1, 1.5, 60.0):
            tail = expected(lambda x, c=c, sigma=sigma: mp.ncdf((x - mp.log(c)) / mp.mpf(float(sigma))), eta, s)
            assert of(bm.exceeds(c)) == pytest.approx(tail, rel=1e-9)
        for q in (0.05, 0.9):
            wanted = stats.lognorm.ppf(q, np.hypot(s, sigma), scale=np.exp(eta))
            assert of(bm.quantile(q)) == pytest.approx(wanted, rel=1e-9)


def test_means_given_b_are_plugged_in_and_compared_as_such() -> None:
    post = posterior()
    codes, x = post.design.factors["g"].codes, post.design.data["x"].to_numpy()
    eta = BETA[:, :1] + BETA[:, 1:] * x
    b = post.b["g"].values[0, :, :, 0]
    move = SIGMA[:, None] ** 2 / 2
    with bm.options(warn_zero=False):
        zero = bm.predictions(post, groups="zero")["estimate"].values[0]
        np.testing.assert_allclose(zero, np.exp(eta + move), rtol=1e-12)
    own = bm.predictions(post, groups="own")["estimate"].values[0]
    np.testing.assert_allclose(own, np.exp(eta + b[:, codes] + move), rtol=1e-12)
    existing = bm.avg_predictions(post, groups="existing")["estimate"].values[0]
    np.testing.assert_allclose(
        existing, np.exp(eta[:, :, None] + b[:, None] + move[..., None]).mean((1, 2)), rtol=1e-10
    )
    for groups in ("new", "own", "existing"):
        ratio = bm.comparisons(post, {"x": 1}, groups=groups, comparison="ratio")["estimate"].values[0, :, 0]
        np.testing.assert_allclose(ratio, np.broadcast_to(np.exp(BETA[:, 1:]), ratio.shape), rtol=1e-12)
        slope, mean = (f(post, groups=groups)["estimate"].values[0] for f in (bm.slopes, bm.predictions))
        np.testing.assert_allclose(slope[:, 0], BETA[:, 1:] * mean, rtol=1e-10)
    elasticity = bm.slopes(post, "x", slope="eydx")["estimate"].values[0, :, 0]
    np.testing.assert_allclose(elasticity, np.broadcast_to(BETA[:, 1:], elasticity.shape), rtol=1e-10)


def test_shares_coefficients_and_effects_within_groups() -> None:
    post, s2 = posterior(), 0.64
    gamma = bm.marginal_coefficients(post)["estimate"].values[0]
    wanted = BETA + np.column_stack([(s2 + SIGMA**2) / 2, np.zeros(2)])
    np.testing.assert_allclose(gamma, wanted, rtol=1e-12)
    shares = bm.variance_partition(post)["estimate"].isel(chain=0)
    np.testing.assert_allclose(shares.sel(quantity="VPC of g, link scale"), s2 / (s2 + SIGMA**2), rtol=1e-12)
    response = np.expm1(s2) / np.expm1(s2 + SIGMA**2)
    np.testing.assert_allclose(shares.sel(quantity="VPC of g, response scale"), response, rtol=1e-10)
    within = bm.heterogeneity(post, {"x": 1}, comparison="ratio")["estimate"].sel(statistic="mean").values
    np.testing.assert_allclose(within[0, :, 0], np.exp(BETA[:, 1]), rtol=1e-9)


def test_a_sigma_with_a_formula_moves_the_mean_row_by_row() -> None:
    part = {"formula": "~ x", "beta": np.array([[[-0.4, 0.5], [0.1, -0.3]]])}
    post = posterior(aux=None, parts={"sigma": part})
    x = post.design.data["x"].to_numpy()
    sigma = np.exp(part["beta"][0, :, :1] + part["beta"][0, :, 1:] * x)
    eta = BETA[:, :1] + BETA[:, 1:] * x
    new = bm.predictions(post)["estimate"].values[0]
    np.testing.assert_allclose(new, np.exp(eta + (0.64 + sigma**2) / 2), rtol=1e-12)
    high = bm.comparisons(post, {"x": (0.0, 1.0)})["estimate"].values[0, :, 0]
    of = {v: BETA @ [1, v] + (0.64 + np.exp(part["beta"][0] @ [1, v]) ** 2) / 2 for v in (0.0, 1.0)}
    np.testing.assert_allclose(
        high, np.broadcast_to((np.exp(of[1.0]) - np.exp(of[0.0]))[:, None], high.shape), rtol=1e-11
    )
    assert bm.describe(bm.avg_predictions(post)).startswith("Average expected value of y, over the 12 rows")
    steps = (BETA[:, 1:] + sigma**2 * part["beta"][0, :, 1:]) * new
    np.testing.assert_allclose(bm.slopes(post, "x")["estimate"].values[0, :, 0], steps, rtol=1e-10)
    with pytest.raises(bm.EstimandError, match="it depends on 'sigma', with columns of its own"):
        bm.marginal_coefficients(post)


def test_brms_draws_are_read_and_files_come_back(tmp_path: Path) -> None:
    made = pd.DataFrame(
        {
            ".chain": [1, 1],
            "b_Intercept": BETA[:, 0],
            "b_x": BETA[:, 1],
            "sd_g__Intercept": [0.8, 0.8],
            "sigma": SIGMA,
        }
    )
    post = bm.from_brms(made, "y ~ x + (1 | g)", frame(), family="lognormal")
    np.testing.assert_array_equal(bm.predictions(post)["estimate"], bm.predictions(posterior())["estimate"])
    post.save(tmp_path / "post.nc")
    again = bm.load(tmp_path / "post.nc")
    xr.testing.assert_identical(bm.avg_predictions(again)["estimate"], bm.avg_predictions(post)["estimate"])


def test_the_default_priors_are_on_the_scale_of_the_logarithm() -> None:
    data = frame()
    model, of_log = (
        bm.GLMM(f, d, family=family)
        for f, d, family in (
            ("y ~ x + (1 | g)", data, "lognormal"),
            ("y ~ x + (1 | g)", data.assign(y=np.log(data["y"])), "gaussian"),
        )
    )
    assert str(model.priors["beta"]) == str(of_log.priors["beta"])
    assert str(model.priors["Intercept"]) == str(of_log.priors["Intercept"])
    with pytest.raises(bm.ModelError, match="allowed are finite numbers above 0"):
        bm.GLMM("y ~ x", data.assign(y=-data["y"]), family="lognormal")


def test_the_integrated_likelihood_is_of_y_itself() -> None:
    data = frame()
    model = bm.GLMM("y ~ x + (1 | g)", data, family="lognormal")
    columns = model.first.fixed.columns
    phi, sd, sigma = np.linspace(0.2, 0.5, columns.shape[1])[None], 0.7, 0.4
    found = model.likelihood.log_likelihood(phi, [np.full((1, 1, 1), sd)], {"sigma": np.array([sigma])})[0]
    same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
    V = sigma**2 * np.eye(len(data)) + sd**2 * same
    y = data["y"].to_numpy()
    expected = stats.multivariate_normal.logpdf(np.log(y), columns @ phi[0], V) - np.log(y).sum()
    assert found == pytest.approx(expected, rel=1e-12)
