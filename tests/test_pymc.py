"""Models written by hand, as PyMC's own pages write them, against their own predictions and against quadrature."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from scipy.integrate import quad
from scipy.special import expit, softmax

import bayesmargins as bm
from bayesmargins.adapters.sources_of_draws import read_posterior
from bayesmargins.stacks import group_of, make_idata

# Python's own mode: compiling these models would take a minute, running them takes milliseconds.
QUICK = {"mode": "FAST_COMPILE"}
COUNTIES = ["LYON", "AITKIN", "DODGE", "CLAY", "BROWN", "ANOKA"]


@pytest.fixture(scope="module")
def houses() -> pd.DataFrame:
    """Houses in counties that do not come in the order of their names, with a predictor of counties."""
    rng = np.random.default_rng(20)
    county = np.repeat(COUNTIES, [9, 4, 7, 3, 6, 5])
    uranium = pd.Series(rng.normal(size=len(COUNTIES)), COUNTIES)
    return pd.DataFrame(
        {
            "log_radon": rng.normal(1.2, 0.8, len(county)),
            "high": rng.integers(0, 2, len(county)),
            "floor": rng.integers(0, 2, len(county)).astype(float),
            "county": county,
            "u": uranium[county].to_numpy(),
        }
    )


def _drawn(model: Any, draws: int = 30) -> Any:
    """Draws of a model's own variables; of the prior, which costs no fit."""
    import pymc as pm

    with model:
        return pm.sample_prior_predictive(draws=draws, random_seed=8, compile_kwargs=QUICK)


@pytest.fixture(scope="module")
def covarying(houses: pd.DataFrame) -> Any:
    """Varying intercept and slope, not centred, with LKJCholeskyCov: PyMC's page on multilevel modelling."""
    import pymc as pm

    code, counties = pd.factorize(houses["county"])
    floor = houses["floor"].to_numpy()
    with pm.Model(coords={"county": counties, "param": ["alpha", "beta"]}) as model:
        sd_dist = pm.Exponential.dist(0.5, shape=(2,))
        chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2.0, sd_dist=sd_dist)
        mu = pm.Normal("mu_alpha_beta", 0.0, 1.0, shape=2)
        z = pm.Normal("z", 0.0, 1.0, dims=("param", "county"))
        ab = pm.Deterministic("alpha_beta_county", pm.math.dot(chol, z).T, dims=("county", "param"))
        theta = pm.Deterministic("theta", mu[0] + ab[code, 0] + (mu[1] + ab[code, 1]) * floor)
        sigma = pm.Exponential("sigma", 1.0)
        pm.Normal("y", theta, sigma, observed=houses["log_radon"])
    return _drawn(model)


def _centred_model(houses: pd.DataFrame) -> Any:
    """alpha[county] ~ Normal(mu_a + gamma u, sigma_a): the intercept and a predictor of counties are in the values."""
    import pymc as pm

    code, counties = pd.factorize(houses["county"])
    with pm.Model(coords={"county": counties}) as model:
        mu_a = pm.Normal("mu_a", 0.0, 1.0)
        gamma = pm.Normal("gamma", 0.0, 1.0)
        sigma_a = pm.Exponential("sigma_a", 0.7)
        u = houses.groupby("county")["u"].first()[counties].to_numpy()
        alpha = pm.Normal("alpha", mu_a + gamma * u, sigma_a, dims="county")
        b = pm.Normal("b", 0.0, 1.0)
        p = pm.Deterministic("p", pm.math.sigmoid(alpha[code] + b * houses["floor"].to_numpy()))
        pm.Bernoulli("y", p, observed=houses["high"])
    return model


@pytest.fixture(scope="module")
def centred(houses: pd.DataFrame) -> Any:
    return _drawn(_centred_model(houses))


SLOPES = "log_radon ~ floor + (1 + floor | county)"
MEANS = ("Intercept", "floor")
COVARYING: dict[Any, Any] = {MEANS: "mu_alpha_beta", "sigma": "sigma"}
UNITS = "high ~ u + floor + (1 | county)"
CENTRED: dict[Any, Any] = {
    "Intercept": "mu_a",
    "u": "gamma",
    "floor": "b",
    "Intercept + u + 1|county": "alpha",
    "sd(county)": "sigma_a",
}


def _own(idata: Any, name: str) -> np.ndarray:
    draws = group_of(idata, "prior")
    assert draws is not None
    return draws[name].to_numpy()


@pytest.mark.parametrize(
    "names",
    [
        {"b(1, floor|county)": "alpha_beta_county", "chol(county)": "chol"},
        {"b(1, floor|county)": "alpha_beta_county", "sd(county)": "chol_stds", "cor(county)": "chol_corr"},
        {
            "1|county": "alpha_beta_county[:, alpha]",
            "floor|county": ("alpha_beta_county", ":", 1),
            "chol(county)": "chol",
        },
        {"z(1, floor|county)": "z", "chol(1, floor|county)": "chol"},
        {"z(1|county)": "z[alpha]", "z(floor|county)": ("z", {"param": "beta"}), "chol(county)": "chol"},
        {
            "z(1, floor|county)": "z",
            "sd(1|county)": "chol_stds[0]",
            "sd(floor|county)": "chol_stds[1]",
            "cor(county)": "chol_corr[0, 1]",
        },
    ],
    ids=["b", "sd and cor", "term by term", "z", "z by term", "z, sd and one correlation"],
)
def test_varying_slopes_give_the_models_own_means_however_they_are_named(
    houses: pd.DataFrame, covarying: Any, names: dict[Any, Any]
) -> None:
    post = bm.from_pymc(
        covarying, SLOPES, houses, family="gaussian", names={**COVARYING, **names, "eta": "theta"}, group="prior"
    )
    own = bm.predictions(post, houses, groups="own")["estimate"]
    np.testing.assert_allclose(own, _own(covarying, "theta"), rtol=1e-10, atol=1e-10)
    stds, cor = _own(covarying, "chol_stds"), _own(covarying, "chol_corr")
    np.testing.assert_allclose(post.Sigma["county"], stds[..., :, None] * cor * stds[..., None, :], rtol=1e-10)
    assert post.kind == "prior"
    assert post.b["county"]["county"].to_numpy().tolist() == sorted(COUNTIES)


def test_centred_effects_with_a_predictor_of_groups_give_the_models_own_probabilities(
    houses: pd.DataFrame, centred: Any
) -> None:
    post = bm.from_pymc(centred, UNITS, houses, family="bernoulli", names={**CENTRED, "mean": "p"}, group="prior")
    own = bm.predictions(post, houses, groups="own")["estimate"]
    np.testing.assert_allclose(own, _own(centred, "p"), rtol=1e-10, atol=1e-14)
    again = bm.from_pymc(centred, UNITS, houses, family="bernoulli", names=CENTRED, group="prior")
    np.testing.assert_array_equal(again.draws.b["county"], post.draws.b["county"])


def test_averages_over_new_groups_equal_quadrature_of_the_models_own_variables(
    houses: pd.DataFrame, centred: Any
) -> None:
    post = bm.from_pymc(centred, UNITS, houses, family="bernoulli", names=CENTRED, group="prior")
    got = bm.avg_predictions(post, at={"floor": [0.0, 1.0]})["estimate"]
    mu, gamma, b, s = (_own(centred, n)[0] for n in ("mu_a", "gamma", "b", "sigma_a"))
    for k in (0, 7, 19):
        for j, floor in enumerate((0.0, 1.0)):
            means = [
                quad(
                    lambda x, e=mu[k] + gamma[k] * u + b[k] * floor, s=s[k]: expit(e + s * x) * np.exp(-0.5 * x * x),
                    -12,
                    12,
                    epsabs=1e-14,
                    epsrel=1e-13,
                    limit=200,
                )[0]
                / np.sqrt(2 * np.pi)
                for u in houses["u"].unique()
            ]
            rows = houses["u"].map(dict(zip(houses["u"].unique(), means, strict=True))).mean()
            np.testing.assert_allclose(got[0, k, j], rows, rtol=1e-10)


def _made(houses: pd.DataFrame, seed: int = 3, shape: tuple[int, int] = (2, 9)) -> tuple[xr.Dataset, pd.Index]:
    """Draws of what a model of random intercepts may be written with, counties in the order of the rows."""
    rng = np.random.default_rng(seed)
    code, counties = pd.factorize(houses["county"])
    normal = lambda *more: rng.normal(size=(*shape, *more))  # noqa: E731
    beta, tau, z = normal(2), rng.uniform(0.3, 1.5, shape), normal(len(counties))
    b = z * tau[..., None]
    eta = beta[..., [0]] + b[..., code] + beta[..., [1]] * houses["floor"].to_numpy()
    sample = ("chain", "draw")
    return xr.Dataset(
        {
            "beta": ((*sample, "covariate"), beta),
            "tau": (sample, tau),
            "log_tau": (sample, np.log(tau)),
            "z": ((*sample, "county"), z),
            "b": ((*sample, "county"), b),
            "alpha": ((*sample, "county"), beta[..., [0]] + b),
            "a_matrix": ((*sample, "term", "county"), beta[..., None, [0]] + b[:, :, None, :]),
            "Sigma": ((*sample, "p", "q"), tau[..., None, None] ** 2),
            "eta": ((*sample, "row"), eta),
        },
        {"county": counties, "covariate": ["Intercept", "floor"]},
    ), counties


INTERCEPTS = "high ~ floor + (1 | county)"
PLAIN: dict[Any, Any] = {"beta": "beta", "1|county": "b", "sd(county)": "tau"}


@pytest.mark.parametrize(
    "names",
    [
        PLAIN,
        {"Intercept": "beta[Intercept]", "floor": ("beta", 1), "1|county": "b", "sd(1|county)": "tau"},
        {"Intercept": "beta[0]", "beta": "beta[floor]", "b(county)": "b", "chol(county)": "tau"},
        {("floor", "Intercept"): "beta", "z(county)": "z", "sd(county)": lambda draws: np.exp(draws["log_tau"])},
        {"beta": "beta", "Intercept + 1|county": "alpha", "Sigma(county)": "Sigma"},
        {"beta": "beta", "beta + b(county)": "a_matrix", "Sigma(county)": lambda draws: draws["tau"] ** 2},
    ],
)
def test_every_way_to_say_it_is_the_same_model(houses: pd.DataFrame, names: dict[Any, Any]) -> None:
    draws, _ = _made(houses)
    post = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names={**names, "eta": "eta"})
    eta = draws["eta"].to_numpy().reshape(-1, len(houses))
    np.testing.assert_allclose(post.linear_predictor(), eta, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(post.draws.Sigma["county"][:, 0, 0], draws["tau"].to_numpy().ravel() ** 2, rtol=1e-12)


def test_labels_decide_and_their_order_does_not_matter(houses: pd.DataFrame) -> None:
    draws, _ = _made(houses)
    shuffled = draws.isel(county=[3, 0, 5, 2, 1, 4], covariate=[1, 0])
    expected = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    for given in (shuffled, shuffled.assign_coords(covariate=["floor", "(Intercept)"])):
        post = bm.from_pymc(given, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
        np.testing.assert_array_equal(post.draws.b["county"], expected.draws.b["county"])
        np.testing.assert_array_equal(post.draws.beta, expected.draws.beta)


def test_without_labels_an_order_in_doubt_has_to_be_said(houses: pd.DataFrame) -> None:
    labelled, counties = _made(houses)
    draws = labelled.drop_vars("county")
    expected = bm.from_pymc(labelled, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    with pytest.raises(bm.PosteriorError, match=r"which is whose is in doubt.*pd.factorize\(data\['county'\]\)"):
        bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    said = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN, levels={"county": counties})
    np.testing.assert_array_equal(said.draws.b["county"], expected.draws.b["county"])
    with pytest.raises(bm.PosteriorError, match=r"by 'eta', the model itself\. Look at the order of levels"):
        bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names={**PLAIN, "eta": "eta"})
    in_order = houses.sort_values("county")
    sorted_draws = labelled.isel(county=np.argsort(COUNTIES)).drop_vars("county")
    post = bm.from_pymc(sorted_draws, INTERCEPTS, in_order, family="bernoulli", names=PLAIN)
    np.testing.assert_array_equal(post.draws.b["county"], expected.draws.b["county"])


def test_what_the_own_predictor_cannot_show_is_not_asked_of_it(houses: pd.DataFrame) -> None:
    """The linear predictor is that of every link: only the mean sees a wrong one, and only it speaks of one."""
    draws, _ = _made(houses)
    mean = {**PLAIN, "mean": lambda d: expit(d["eta"])}
    bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", link="probit", names={**PLAIN, "eta": "eta"})
    bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=mean)
    for link in ("probit", "cloglog"):
        with pytest.raises(bm.PosteriorError, match=r"The mean of row .* at family and link, and at group effects"):
            bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", link=link, names=mean)
    with pytest.raises(bm.PosteriorError, match="The linear predictor of row") as refused:
        bm.from_pymc(
            draws.assign(eta=draws["eta"] + 1), INTERCEPTS, houses, family="bernoulli", names={**PLAIN, "eta": "eta"}
        )
    assert "link" not in str(refused.value)


def _many_groups(tau: float = 2.0, groups: int = 40) -> tuple[pd.DataFrame, xr.Dataset]:
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": np.resize([0, 1, 1], 2 * groups), "g": np.repeat(np.arange(groups), 2)})
    sd = rng.uniform(0.9, 1.1, (2, 200)) * tau
    b, mu = rng.normal(size=(2, 200, groups)) * sd[..., None], rng.normal(3.0, 0.3, (2, 200))
    sample = ("chain", "draw")
    alpha = ((*sample, "group"), mu[..., None] + b)
    return data, xr.Dataset({"mu": (sample, mu), "tau": (sample, sd), "b": ((*sample, "group"), b), "alpha": alpha})


@pytest.mark.parametrize("wrong", [lambda d: d["tau"] ** 2, lambda d: d["tau"] ** -2, 5.0, 0.5, 1])
def test_a_standard_deviation_that_is_another_number_is_questioned(wrong: Any) -> None:
    data, draws = _many_groups()
    names = {"Intercept": "mu", "1|g": "b", "sd(g)": wrong}
    with pytest.warns(
        bm.BayesmarginsWarning, match=r"1\|g do not have the spread that sd\(1\|g\) says: over 40 groups"
    ):
        bm.from_pymc(draws, "y ~ 1 + (1 | g)", data, family="bernoulli", names=names)


@pytest.mark.parametrize("tau", [0.3, 2.0])
def test_effects_with_their_mean_in_them_are_questioned(tau: float) -> None:
    data, draws = _many_groups(tau)
    names = {"Intercept": "mu", "1|g": "alpha", "sd(g)": "tau"}
    with pytest.warns(bm.BayesmarginsWarning, match=r"the role 'Intercept \+ 1\|g'"):
        bm.from_pymc(draws, "y ~ 1 + (1 | g)", data, family="bernoulli", names=names)
    right = {"Intercept": "mu", "Intercept + 1|g": "alpha", "sd(g)": "tau"}
    bm.from_pymc(draws, "y ~ 1 + (1 | g)", data, family="bernoulli", names=right)


def test_right_effects_of_any_number_of_groups_are_left_alone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for groups in (2, 3, 5, 300):
            data, draws = _many_groups(groups=groups)
            names = {"Intercept": "mu", "1|g": "b", "sd(g)": "tau"}
            bm.from_pymc(draws.isel(chain=[0]), "y ~ 1 + (1 | g)", data, family="bernoulli", names=names)


def test_chains_that_disagree_and_divergences_are_said_once(houses: pd.DataFrame) -> None:
    data, draws = _many_groups()
    apart = draws.assign(mu=draws["mu"] + draws["chain"])
    diverging = xr.Dataset({"diverging": (("chain", "draw"), np.arange(400).reshape(2, 200) == 7)})
    given = {"posterior": apart, "sample_stats": diverging}
    names = {"Intercept": "mu", "1|g": "b", "sd(g)": "tau"}
    with pytest.warns(bm.BayesmarginsWarning) as caught:
        post = bm.from_pymc(given, "y ~ 1 + (1 | g)", data, family="bernoulli", names=names)
    (said,) = [str(w.message) for w in caught]
    assert said.startswith("Imported draws (a model written by hand): One of 400 draws diverged: parts of")
    assert "for beta[Intercept] (it should be below 1.01)" in said
    assert {post.info[k] for k in ("divergences", "worst")} == {1, "beta[Intercept]"}


def test_rows_with_missing_values_are_the_users_to_drop(houses: pd.DataFrame) -> None:
    draws, _ = _made(houses)
    holes = houses.assign(floor=houses["floor"].where(houses.index != 2))
    with pytest.raises(bm.DataError, match="drop these rows first, as the fit did") as refused:
        bm.from_pymc(draws, INTERCEPTS, holes, family="bernoulli", names=PLAIN)
    assert "missing=" not in str(refused.value)


def test_an_order_given_is_for_variables_without_labels(houses: pd.DataFrame) -> None:
    draws, counties = _made(houses)
    expected = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    shuffled = draws.isel(county=[3, 0, 5, 2, 1, 4])
    for given in (shuffled, draws.assign_coords(county=[f"county {k}" for k in range(6)])):
        post = bm.from_pymc(given, INTERCEPTS, houses, family="bernoulli", names=PLAIN, levels={"county": counties})
        np.testing.assert_array_equal(post.draws.b["county"], expected.draws.b["county"])
    with pytest.raises(bm.PosteriorError, match=r"levels names 'conty'.*Did you mean 'county'"):
        bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN, levels={"conty": counties})


def test_a_coefficient_called_like_a_parameter_is_a_tuple(houses: pd.DataFrame) -> None:
    frame = houses.assign(sigma=houses["floor"])
    draws = {"a": np.zeros((1, 4)), "slope": np.ones((1, 4)), "s": np.full((1, 4), 2.0)}
    names: dict[Any, Any] = {"Intercept": "a", "sigma": "s"}
    with pytest.raises(bm.PosteriorError, match=r"leaves out 'sigma' \(coefficient, link scale\), as a tuple"):
        bm.from_pymc(draws, "log_radon ~ sigma", frame, family="gaussian", names=names)
    post = bm.from_pymc(draws, "log_radon ~ sigma", frame, family="gaussian", names={**names, ("sigma",): "slope"})
    assert float(post.beta.sel(coef="sigma").min()) == 1.0
    assert float(post.aux["sigma"].min()) == 2.0


def test_groups_numbered_from_zero_index_the_variable(houses: pd.DataFrame) -> None:
    draws, _ = _made(houses)
    numbered = houses.assign(county=(5 - pd.factorize(houses["county"])[0]) % 6)
    b = draws["b"].to_numpy()[..., [5, 4, 3, 2, 1, 0]]
    given = {"beta": draws["beta"].to_numpy(), "b": b, "tau": draws["tau"].to_numpy(), "eta": draws["eta"].to_numpy()}
    post = bm.from_pymc(given, INTERCEPTS, numbered, family="bernoulli", names={**PLAIN, "eta": "eta"})
    np.testing.assert_array_equal(post.draws.b["county"][:, :, 0], b.reshape(-1, 6))


@pytest.mark.parametrize("ids", [[3, 1, 0, 2, 5, 4], ["3", "1", "0", "2", "5", "4"]])
def test_groups_that_are_numbers_from_zero_may_still_have_been_factorized(houses: pd.DataFrame, ids: list[Any]) -> None:
    labelled, _ = _made(houses)  # in the order of the rows
    code = pd.factorize(houses["county"])[0]
    eta, b = (labelled[name].to_numpy() for name in ("eta", "b"))
    data, draws = houses.assign(county=np.array(ids)[code]), labelled.drop_vars("county")

    def read(of: Any, **how: Any) -> np.ndarray:
        return bm.from_pymc(of, INTERCEPTS, data, family="bernoulli", **{"names": PLAIN, **how}).linear_predictor()

    with pytest.raises(bm.PosteriorError, match=r"in doubt.*range\(6\)\} where they index .*pd.factorize\(data\['cou"):
        read(draws)
    factorized = read(draws, levels={"county": pd.factorize(data["county"])[1]})
    np.testing.assert_allclose(factorized, eta.reshape(-1, len(data)), rtol=1e-12)
    with pytest.raises(bm.PosteriorError, match="by 'eta', the model itself"):
        read(draws, names={**PLAIN, "eta": "eta"})
    by_number = draws.assign(b=(("chain", "draw", "county"), b[..., np.argsort(np.array(ids, dtype=float))]))
    for how in ({"levels": {"county": range(6)}}, {"names": {**PLAIN, "eta": "eta"}}):
        np.testing.assert_allclose(read(by_number, **how), eta.reshape(-1, len(data)), rtol=1e-12)
    text = by_number.assign_coords(county=[str(k) for k in range(6)])  # labels that someone gave
    np.testing.assert_allclose(read(text), eta.reshape(-1, len(data)), rtol=1e-12)


def test_groups_that_are_numbers_from_zero_in_the_order_of_the_rows_are_beyond_doubt(houses: pd.DataFrame) -> None:
    labelled, _ = _made(houses)
    data = houses.assign(county=pd.factorize(houses["county"])[0])
    post = bm.from_pymc(labelled.drop_vars("county"), INTERCEPTS, data, family="bernoulli", names=PLAIN)
    np.testing.assert_allclose(post.linear_predictor(), labelled["eta"].to_numpy().reshape(-1, len(data)), rtol=1e-12)
    in_text = pd.DataFrame({"y": np.resize([0, 1], 24), "g": [str(k) for k in range(12) for _ in (0, 1)]})
    draws = {"a": np.zeros((1, 4)), "b": np.zeros((1, 4, 12)), "sd": np.ones((1, 4))}
    names = {"Intercept": "a", "1|g": "b", "sd(g)": "sd"}
    with pytest.raises(bm.PosteriorError, match="which is whose is in doubt"):  # sorted, "10" comes before "2"
        bm.from_pymc(draws, "y ~ 1 + (1 | g)", in_text, family="bernoulli", names=names)


@pytest.mark.filterwarnings("ignore:The response 'y' is 0 or 1:bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gaussian"])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_each_row_is_checked_on_its_own_scale(family: str, precision: Any) -> None:
    """One group of huge counts, or one far from 0, does not hide that two small ones are swapped."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"y": np.resize([0, 1, 1], 40), "g": np.repeat(["a", "d", "c", "b"], 10), "year": 2000.0})
    data["year"] += np.arange(40)
    large = {"poisson": 13.0, "bernoulli": 20.0, "gaussian": 4e5}[family]
    b = (np.array([large, 0.3, 0.0, -0.2]) + rng.normal(scale=0.01, size=(2, 30, 4))).astype(precision)  # a, d, c, b
    slope = rng.normal(scale=0.01, size=(2, 30)).astype(precision)
    eta = b[..., np.repeat(np.arange(4), 10)] + slope[..., None] * data["year"].to_numpy(precision)
    eta -= slope[..., None] * precision(2000)
    mean = {"poisson": np.exp, "bernoulli": lambda x: 1 - 1 / (1 + np.exp(x)), "gaussian": np.copy}[family](eta)
    assert eta.dtype == mean.dtype == precision
    draws = {"a": slope * precision(-2000), "s": slope, "b": b, "sd": np.ones((2, 30)), "eta": eta, "mean": mean}
    names = {"Intercept": "a", "year": "s", "1|g": "b", "sd(g)": "sd"} | (
        {"sigma": 1.0} if family == "gaussian" else {}
    )
    for check in ("eta", "mean"):
        how = {"family": family, "names": {**names, check: check}}
        post = bm.from_pymc(draws, "y ~ year + (1 | g)", data, levels={"g": ["a", "d", "c", "b"]}, **how)
        np.testing.assert_allclose(post.b["g"].sel(g="d")[..., 0], b[..., 1])
        with pytest.raises(bm.PosteriorError, match=f"by '{check}', the model itself"):
            bm.from_pymc(draws, "y ~ year + (1 | g)", data, levels={"g": ["a", "b", "c", "d"]}, **how)


def test_a_root_in_another_order_of_terms_goes_with_its_own_offsets(houses: pd.DataFrame) -> None:
    rng = np.random.default_rng(4)
    code, counties = pd.factorize(houses["county"])
    L = np.tril(rng.normal(size=(2, 5, 2, 2))) + 2 * np.eye(2)
    z = rng.normal(size=(2, 5, 6, 2))
    b = np.einsum("cdik,cdgk->cdgi", L, z)  # terms: floor, then the intercept
    beta = rng.normal(size=(2, 5, 2))
    eta = beta[..., [0]] + b[:, :, code, 1] + (beta[..., [1]] + b[:, :, code, 0]) * houses["floor"].to_numpy()
    draws = {"beta": beta, "z": z, "L": L, "packed": L[..., *np.tril_indices(2)], "eta": eta}
    offsets = {"z(floor, 1|county)": "z", "z(county)": "z"}
    for (role, variable), root in zip(offsets.items(), ("L", "packed"), strict=True):
        post = bm.from_pymc(
            draws,
            SLOPES,
            houses,
            family="gaussian",
            levels={"county": counties},
            names={"beta": "beta", role: variable, "chol(floor, 1|county)": root, "sigma": None, "eta": "eta"},
        )
        np.testing.assert_allclose(post.linear_predictor(), eta.reshape(-1, len(houses)), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            post.Sigma["county"][0, 0], (L @ np.swapaxes(L, -1, -2))[0, 0][::-1, ::-1], rtol=1e-12
        )
    with pytest.raises(bm.PosteriorError, match="sigma"):
        post.log_likelihood()


def test_crossed_and_independent_effects_and_levels_of_factors(houses: pd.DataFrame) -> None:
    rng = np.random.default_rng(6)
    frame = houses.assign(
        basement=np.resize(["none", "half", "full"], len(houses)), year=np.resize([2001, 2002], len(houses))
    )
    formula = "log_radon ~ basement + floor + (floor || county) + (1 | year)"
    sample = (3, 4)
    draws = xr.Dataset(
        {
            "mu": (("chain", "draw"), rng.normal(size=sample)),
            "base": (("chain", "draw", "kind"), rng.normal(size=(*sample, 2))),
            "slope": (("chain", "draw"), rng.normal(size=sample)),
            "both": (("chain", "draw", "county", "effect"), rng.normal(size=(*sample, 6, 2))),
            "sds": (("chain", "draw", "effect"), rng.uniform(0.5, 1, (*sample, 2))),
            "by_year": (("chain", "draw", "year"), rng.normal(size=(*sample, 2))),
            "s": (("chain", "draw"), rng.uniform(0.5, 1, sample)),
        },
        {"county": COUNTIES, "kind": ["none", "half"], "effect": ["floor", "intercept"], "year": [2002, 2001]},
    )
    names = {
        "Intercept": "mu", "basement": "base", "floor": "slope", "b(county)": "both", "sd(county)": "sds",
        "1|year": "by_year", "sd(1|year)": "s", "sigma": 1.5,
    }  # fmt: skip
    post = bm.from_pymc(draws, formula, frame, family="gaussian", names=names)
    for label, (coef, value) in {"none": ("basement[none]", 0), "half": ("basement[half]", 1)}.items():
        np.testing.assert_array_equal(post.beta.sel(coef=coef), draws["base"][..., value], label)
    np.testing.assert_array_equal(post.b["county"].sel(county="CLAY", county_term="floor"), draws["both"][:, :, 3, 0])
    np.testing.assert_array_equal(post.b["year"].sel(year=2001)[..., 0], draws["by_year"][..., 1])
    np.testing.assert_allclose(
        post.Sigma["county"].sel(county_term="Intercept", county_term2="Intercept"), draws["sds"][..., 1] ** 2
    )
    assert float(np.abs(post.Sigma["county"][..., 0, 1]).max()) == 0.0
    assert float(post.aux["sigma"].min()) == 1.5


def test_without_group_effects_new_groups_can_be_asked_for(houses: pd.DataFrame) -> None:
    draws, _ = _made(houses)
    post = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names={**PLAIN, "1|county": None})
    full = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    np.testing.assert_array_equal(*(bm.avg_predictions(p)["estimate"] for p in (post, full)))
    with pytest.raises(bm.PosteriorError, match="no draws of b"):
        bm.avg_predictions(post, groups="own")


def _without_ones(draws: xr.Dataset) -> xr.Dataset:
    return draws.assign(b=draws["b"].where((draws["chain"] == 0) | (draws["draw"] < 7)))


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        (None, {**PLAIN, "flor": "tau"}, r"role 'flor'.*Did you mean 'floor'.*'1\|county'.*For example: names="),
        (None, {**PLAIN, "1 + floor|county": "b"}, r"role '1 \+ floor\|county'.*as a list, 'b\(1, x\|g\)'"),
        (None, {**PLAIN, "sd|county": "tau"}, r"role 'sd\|county'.*'sd\(county\)'"),
        (None, {**PLAIN, "sd(1|county)": "tau"}, r"2 times what '1\|county' is: 'sd\(county\)', 'sd\(1\|county\)'"),
        (None, {"beta": "beta"}, r"leaves out '1\|county' \(group effects.*'sd\(1\|county\)' \(standard deviation"),
        (None, {**PLAIN, "beta": "bta"}, r"from 'bta', which is no variable.*Did you mean 'beta'.*b \(county: 6\)"),
        (None, {**PLAIN, "beta": lambda d: d["zz"]}, r"'beta' from a function .*b \(county: 6\).* KeyError: .*'zz'"),
        (None, {**PLAIN, "beta": lambda d: d.zz}, r"'beta' from a function of the draws .* raised AttributeError"),
        (None, {**PLAIN, "beta": "b"}, r"'beta' is taken from values with \(county: 6\); 2 along 'county' are needed"),
        (None, {**PLAIN, "1|county": "eta"}, r"'1\|county' is taken from 34 values along 'row'; 'county' has 6 levels"),
        (None, {**PLAIN, "sd(county)": "b"}, r"'sd\(county\)' is taken from .* \(county: 6\); 1 along 'county'"),
        (None, {**PLAIN, "beta": "beta[flor]"}, r"'beta' has no 'flor' along 'covariate'.*Did you mean 'floor'"),
        (None, {**PLAIN, "beta": "beta[0, 1]"}, r"and 'beta' has \(covariate: 2\) for each draw"),
        (None, {**PLAIN, "beta": ["beta"]}, r"from \['beta'\]; allowed are"),
        (None, {**PLAIN, "sd(county)": "log_tau"}, r"negative in some draws. A log scale is left with a function"),
        (None, {**PLAIN, "Intercept": "beta[0]", "floor": "beta[1]"}, r"no coefficient is left for it"),
        (None, {**PLAIN, "floor + 1|county": "b"}, r"says 2 times what '1\|county'"),
        (None, {**PLAIN, "mean": "eta"}, r"The mean of row \d+ in draw \d+ is .* by 'mean', the model itself"),
        (None, {**PLAIN, "eta": "b"}, r"'eta' is taken from values with \(county: 6\); one for each of the 34 rows"),
        (_without_ones, PLAIN, r"holds 12 values that are NaN.*chain 1, draw 7. Chains of different lengths"),
        (lambda d: d.isel(county=slice(5)), PLAIN, r"The data's levels 'ANOKA' are not there"),
        (lambda d: d.assign_coords(covariate=["a", "b"]), PLAIN, r"labelled 'a', 'b'.*List them"),
        (lambda d: d.isel(chain=0), PLAIN, r"'chain' must be among them.*expand_dims\('chain'\)"),
        (lambda d: d.stack(sample=("chain", "draw")), PLAIN, r"combined=False"),
        (lambda d: 3, PLAIN, r"Draws came as int; they are read from"),
        (lambda d: {"tau": np.zeros(5)}, PLAIN, r"'tau' is an array of float64 with the shape \(5,\).*values\[None\]"),
        (lambda d: {"a": np.zeros((2, 5)), "b": np.zeros((2, 6))}, PLAIN, r"Arrays differ in \(chain, draw\)"),
        (lambda d: "nowhere.nc", PLAIN, r"There is no file 'nowhere.nc'"),
        (lambda d: make_idata({"prior": d}), PLAIN, r"no group 'posterior' among 'prior'. Pass group='prior'"),
        (None, {}, r"names is \{\}; it must be a dict"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_words(houses: pd.DataFrame, change: Any, names: Any, said: str) -> None:
    draws, _ = _made(houses)
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_pymc(change(draws) if change else draws, INTERCEPTS, houses, family="bernoulli", names=names)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"floor + 1|county": "alpha"}, r"contain 'floor', whose column is not a constant times that of 'Intercept'"),
        ({"Intercept + floor + b(county)": "alpha"}, r"contain 'floor', whose column"),
    ],
)
def test_effects_contain_only_what_is_constant_in_a_group(houses: pd.DataFrame, names: Any, said: str) -> None:
    draws, _ = _made(houses)
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_pymc(
            draws, INTERCEPTS, houses, family="bernoulli", names={"beta": "beta", "sd(county)": "tau", **names}
        )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"sd(county)": "sds"}, r"'cor\(county\)' \(correlations of Intercept, floor; .*\(1 \+ floor \|\| county\)"),
        ({"chol(county)": "full"}, r"values above its diagonal; .* given as 'Sigma\(county\)'"),
        ({"Sigma(county)": "lower"}, r"not symmetric. A Cholesky factor is given as 'chol\(county\)'"),
        ({"chol(county)": "sds"}, r"has 3 values packed row by row, or is a matrix \(2, 2\)"),
        ({"sd(county)": "sds", "cor(county)": "full"}, r"correlations lie between -1 and 1"),
        ({"Sigma(county)": "sds"}, r"the covariance has 2 rows and 2 columns in each draw: 'Intercept', 'floor'"),
    ],
)
def test_matrices_that_are_not_what_they_are_called_are_refused(houses: pd.DataFrame, names: Any, said: str) -> None:
    full = np.broadcast_to([[2.0, 0.5], [0.5, 1.0]], (1, 4, 2, 2))
    draws = {"a": np.zeros((1, 4, 2)), "sds": np.ones((1, 4, 2)), "full": full, "lower": np.tril(full)}
    names = {"beta": "a", "b(county)": None, "sigma": None, **names}
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_pymc(draws, SLOPES, houses, family="gaussian", names=names)


def test_independent_terms_that_vary_together_are_refused(houses: pd.DataFrame) -> None:
    draws = {"a": np.zeros((1, 4, 2)), "S": np.broadcast_to([[2.0, 0.5], [0.5, 1.0]], (1, 4, 2, 2))}
    names = {"beta": "a", "b(county)": None, "sigma": None, "Sigma(county)": "S"}
    with pytest.raises(bm.PosteriorError, match="independent in the formula"):
        bm.from_pymc(draws, "log_radon ~ floor + (floor || county)", houses, family="gaussian", names=names)


def test_files_and_objects_of_either_generation_are_the_same_draws(houses: pd.DataFrame, tmp_path: Path) -> None:
    import arviz as az

    pytest.importorskip("zarr")
    draws, _ = _made(houses)
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.arange(18).reshape(2, 9) > 15)})
    idata = make_idata({"posterior": draws, "sample_stats": stats})
    tree = xr.DataTree.from_dict({"posterior": draws, "sample_stats": stats})
    idata.to_netcdf(tmp_path / "theirs.nc")
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    draws.to_netcdf(tmp_path / "dataset.nc", engine="h5netcdf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own: text has no place in its third specification yet
        tree.to_zarr(tmp_path / "tree.zarr")
    arrays = {str(n): v.to_numpy() for n, v in draws.data_vars.items()}
    expected = bm.from_pymc(draws, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    sources = [tmp_path / "theirs.nc", str(tmp_path / "tree.nc"), tmp_path / "tree.zarr", idata, tree]
    for source in sources:
        post = bm.from_pymc(source, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
        np.testing.assert_array_equal(post.draws.b["county"], expected.draws.b["county"])
        assert post.info["divergences"] == 2
        assert post.sample_stats is not None
    bare = [tmp_path / "dataset.nc", tree["posterior"], dict(draws.data_vars)]
    for source in bare:
        b = read_posterior(source)[0]["b"]
        np.testing.assert_array_equal(b, draws["b"])
        assert b["county"].to_numpy().tolist() == COUNTIES
    nested = {"posterior": arrays, "sample_stats": {"diverging": stats["diverging"].to_numpy() * 1}}
    from_dict = az.from_dict(nested) if int(az.__version__[0]) else az.from_dict(posterior=arrays)
    levels = {"county": draws["county"].to_numpy()}
    for source in (arrays, nested, from_dict):
        post = bm.from_pymc(source, INTERCEPTS, houses, family="bernoulli", names=PLAIN, levels=levels)
        np.testing.assert_array_equal(post.draws.b["county"], expected.draws.b["county"])
    post.save(tmp_path / "post.nc")
    with pytest.raises(bm.PosteriorError, match=r"saved Posterior: bm.load"):
        read_posterior(tmp_path / "post.nc")


@pytest.mark.parametrize("case", reference.CASES.values(), ids=lambda case: case.name)
def test_posteriors_of_this_package_come_back_by_the_names_that_arviz_shows(case: reference.Case) -> None:
    post = reference.posterior(case.name)
    names: dict[Any, Any] = {"beta": "beta", **{p: p for p in post.family.aux}}
    for name, terms in case.factors.items():
        names |= {f"b({name})": f"b_{name}", f"sd({name})": f"sd_{name}"}
        names |= {f"cor({name})": f"cor_{name}"} if len(terms) > 1 else {}
    data = reference.data(case.name)
    again = bm.from_pymc(post.idata, case.formula, data, family=case.family, link=case.link, names=names)
    np.testing.assert_array_equal(again.draws.beta, post.draws.beta)
    for name in case.factors:
        np.testing.assert_array_equal(again.draws.b[name], post.draws.b[name])
        np.testing.assert_allclose(again.draws.Sigma[name], post.draws.Sigma[name], rtol=1e-14, atol=1e-16)
    for name, values in post.draws.aux.items():
        np.testing.assert_array_equal(again.draws.aux[name], values)


def test_thinned_draws_keep_their_numbers(houses: pd.DataFrame) -> None:
    draws, _ = _made(houses)
    thinned = draws.assign_coords(chain=[0, 1], draw=np.arange(100, 109)).sel(draw=slice(100, None, 2))
    post = bm.from_pymc(thinned, INTERCEPTS, houses, family="bernoulli", names=PLAIN)
    ds = bm.avg_comparisons(post, "floor", groups="own")
    assert ds["draw"].to_numpy().tolist() == [100, 102, 104, 106, 108]
    assert bm.summary(ds).shape[0] == 1


@pytest.mark.sampling
def test_numpyro_by_hand(houses: pd.DataFrame) -> None:
    numpyro = pytest.importorskip("numpyro")
    import arviz as az
    import jax
    import numpyro.distributions as dist

    code, counties = pd.factorize(houses["county"])

    def model(y: Any = None) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0))
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        with numpyro.plate("county", len(counties)):
            alpha = numpyro.sample("alpha", dist.Normal(mu, tau))
        eta = numpyro.deterministic("eta", alpha[code] + slope * houses["floor"].to_numpy())
        numpyro.sample("y", dist.Bernoulli(logits=eta), obs=y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of JAX about devices
        kernel = numpyro.infer.NUTS(model)
        mcmc = numpyro.infer.MCMC(kernel, num_warmup=10, num_samples=10, progress_bar=False)
        mcmc.run(jax.random.PRNGKey(1), y=houses["high"].to_numpy())
        idata = az.from_numpyro(mcmc, log_likelihood=False)
    names = {"Intercept": "mu", "floor": "slope", "Intercept + 1|county": "alpha", "sd(county)": "tau", "eta": "eta"}
    for source in (idata, mcmc):
        post = bm.from_pymc(source, INTERCEPTS, houses, family="bernoulli", names=names, levels={"county": counties})
        theirs = expit(np.asarray(mcmc.get_samples(group_by_chain=True)["eta"], dtype=float))
        own = bm.predictions(post, houses, groups="own")["estimate"]
        np.testing.assert_allclose(own, theirs, atol=1e-6)  # JAX draws in single precision
        assert "divergences" in post.info


@pytest.mark.sampling
def test_a_fit_of_pymc_comes_with_its_statistics(houses: pd.DataFrame, tmp_path: Path) -> None:
    import pymc as pm

    with _centred_model(houses), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC's verdict on so few draws
        idata = pm.sample(
            draws=20, tune=20, chains=2, max_treedepth=4, cores=1, random_seed=1, progressbar=False,
            compute_convergence_checks=False, compile_kwargs=QUICK, nuts_sampler="pymc",
        )  # fmt: skip
    post = bm.from_pymc(idata, UNITS, houses, family="bernoulli", names={**CENTRED, "mean": "p"})
    draws = group_of(idata, "posterior")
    assert draws is not None
    np.testing.assert_allclose(bm.predictions(post, houses, groups="own")["estimate"], draws["p"], rtol=1e-10)
    assert post.kind == "posterior"
    assert {"divergences", "max_rhat", "min_ess"} <= set(post.info)
    post.save(tmp_path / "fit.nc")
    ds, again = (bm.avg_comparisons(p, "floor") for p in (post, bm.load(tmp_path / "fit.nc")))
    np.testing.assert_array_equal(ds["estimate"], again["estimate"])
    assert "new groups of county" in bm.describe(ds)


@pytest.mark.parametrize("family", ["cumulative", "sequential", "adjacent"])
def test_thresholds_of_an_ordered_response_are_one_variable(family: str) -> None:
    data = pd.DataFrame({"y": [1, 2, 3, 2, 1, 3], "x": np.arange(6.0)})
    draws = {"slope": np.full((2, 5), 0.4), "cutpoints": np.tile([-0.5, 1.0], (2, 5, 1))}
    post = bm.from_pymc(draws, "y ~ x", data, family=family, names={"x": "slope", "thresholds": "cutpoints"})
    below = np.array([-0.5, 1.0]) - 0.4 * data["x"].to_numpy()[:, None]
    first, second = expit(below).T
    wanted = {
        "cumulative": np.diff(expit(below), prepend=0.0, append=1.0),
        "sequential": np.column_stack([first, (1.0 - first) * second, (1.0 - first) * (1.0 - second)]),
        "adjacent": softmax(np.column_stack([0.0 * first, -below[:, 0], -below.sum(axis=1)]), axis=1),
    }[family]
    np.testing.assert_allclose(bm.predictions(post)["estimate"].values[0, 0].T, wanted, rtol=1e-12)
    with pytest.raises(bm.PosteriorError, match="3 dimensions are needed"):
        bm.from_pymc(draws, "y ~ x", data, family=family, names={"x": "slope", "thresholds": "slope"})
