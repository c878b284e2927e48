"""Families of brms under its names, parameters that a formula holds at a number, and what brms calls differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmargins as bm

RNG = np.random.default_rng(6)
ROWS = pd.DataFrame({"y": RNG.integers(1, 9, 24).astype(float), "x": RNG.normal(size=24), "g": [*"abcd"] * 6})


def _draws(**aux: Any) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    found = {"b_Intercept": rng.normal(size=8), "b_x": rng.normal(size=8), "sd_g__Intercept": rng.uniform(0.2, 1, 8)}
    return pd.DataFrame({".chain": 1} | found | {f"r_g[{k},Intercept]": rng.normal(size=8) for k in "abcd"} | aux)


def _eta(draws: pd.DataFrame) -> np.ndarray:
    b = np.stack([draws[f"r_g[{k},Intercept]"] for k in ROWS["g"]], axis=1)
    return draws[["b_Intercept"]].to_numpy() + draws[["b_x"]].to_numpy() * ROWS["x"].to_numpy() + b


def _weibull(y: Any, mu: Any, shape: Any) -> Any:
    from scipy.special import gamma

    return stats.weibull_min.logpdf(y, shape, scale=mu / gamma(1 + 1 / shape))


def _skew_normal(y: Any, mu: Any, sigma: Any, alpha: Any) -> Any:
    delta = alpha / np.sqrt(1 + alpha**2)
    omega = sigma / np.sqrt(1 - 2 / np.pi * delta**2)
    return stats.skewnorm.logpdf(y, alpha, mu - omega * delta * np.sqrt(2 / np.pi), omega)


def _laplace(y: Any, mu: Any, sigma: Any, quantile: Any) -> Any:
    b, kappa = np.sqrt(quantile * (1 - quantile)) / sigma, np.sqrt(quantile / (1 - quantile))
    return stats.laplace_asymmetric.logpdf(y, kappa, mu, 1 / b)


# brms's family, what it calls the parameters beside the mean and their names here, and SciPy's density of eta, ...
BRMS: dict[str, tuple[dict[str, str], Any]] = {
    "exponential": ({}, lambda y, eta: stats.expon.logpdf(y, scale=np.exp(eta))),
    "weibull": ({"shape": "shape"}, lambda y, eta, shape: _weibull(y, np.exp(eta), shape)),
    "geometric": ({}, lambda y, eta: stats.geom.logpmf(y + 1, 1 / (1 + np.exp(eta)))),
    'inverse.gaussian("log")': (
        {"shape": "shape"},
        lambda y, eta, shape: stats.invgauss.logpdf(y, np.exp(eta) / shape, scale=shape),
    ),
    "shifted_lognormal()": (
        {"sigma": "sigma", "ndt": "ndt"},
        lambda y, eta, sigma, ndt: stats.lognorm.logpdf(y, sigma, loc=ndt, scale=np.exp(eta)),
    ),
    "exgaussian": (
        {"sigma": "sigma", "beta": "tau"},
        lambda y, eta, sigma, tau: stats.exponnorm.logpdf(y, tau / sigma, eta - tau, sigma),
    ),
    "skew_normal": ({"sigma": "sigma", "alpha": "alpha"}, _skew_normal),
    "asym_laplace": ({"sigma": "sigma", "quantile": "quantile"}, _laplace),
}


@pytest.mark.parametrize("family", BRMS)
def test_densities_of_brms_families_are_those_of_scipy(family: str) -> None:
    names, density = BRMS[family]
    rng = np.random.default_rng(5)
    draws = _draws(**{there: rng.uniform(0.3, 0.9, 8) for there in names})
    post = bm.from_brms(draws, "y ~ x + (1 | g)", ROWS, family=family)
    assert set(post.aux) == set(names.values())
    aux = {here: draws[[there]].to_numpy() for there, here in names.items()}
    wanted = density(ROWS["y"].to_numpy(), _eta(draws), **aux)
    np.testing.assert_allclose(post.log_likelihood()["y"].to_numpy().reshape(8, -1), wanted, rtol=1e-8)


@pytest.mark.parametrize("column", [False, True])
def test_a_quantile_that_the_formula_holds_is_that_of_all_draws(column: bool) -> None:
    draws = _draws(sigma=np.linspace(0.3, 0.9, 8), **({"quantile": np.full(8, 0.9)} if column else {}))
    post = bm.from_brms(draws, "bf(y ~ x + (1 | g), quantile = 0.9)", ROWS, family="asym_laplace")
    np.testing.assert_array_equal(post.aux["quantile"], np.full((1, 8), 0.9))
    mean, centre = (bm.avg_predictions(post, target=t)["estimate"].values for t in ("mean", "link"))
    apart = draws["sigma"].to_numpy() * (1 / 0.9 - 1 / (1 - 0.9))
    np.testing.assert_allclose(mean - centre, apart[None], rtol=1e-12)


def test_what_a_formula_holds_has_to_be_there_and_the_same() -> None:
    draws = _draws(sigma=np.ones(8), quantile=np.linspace(0.1, 0.9, 8))
    with pytest.raises(bm.PosteriorError, match=r"holds 'quantile' at 0\.9, and the column 'quantile' .* other values"):
        bm.from_brms(draws, "bf(y ~ x + (1 | g), quantile = 0.9)", ROWS, family="asym_laplace")
    with pytest.raises(bm.FormulaError, match=r"holds 'nu' at a number; the parameters .* 'sigma', 'quantile'"):
        bm.from_brms(draws, "bf(y ~ x + (1 | g), nu = 4)", ROWS, family="asym_laplace")
    with pytest.raises(bm.PosteriorError, match=r"aux\['quantile'\] holds 8 values that are not between 0 and 1"):
        bm.from_brms(draws.drop(columns="quantile"), "bf(y ~ x + (1 | g), quantile = 90)", ROWS, family="asym_laplace")


def test_a_formula_of_what_brms_calls_differently_is_read() -> None:
    draws = _draws(sigma=np.ones(8), b_beta_Intercept=np.linspace(-1, 1, 8), b_beta_x=np.linspace(0, 0.2, 8))
    post = bm.from_brms(draws, "bf(y ~ x + (1 | g), beta ~ x)", ROWS, family="exgaussian")
    assert post.parts["tau"].formula == "tau ~ x"
    np.testing.assert_array_equal(post.parts["tau"].draws.beta, draws[["b_beta_Intercept", "b_beta_x"]])
