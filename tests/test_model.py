"""The PyMC model is the model that was asked for: its likelihood, its priors, its names, and its Sigma."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from interpreted import interpreted
from scipy import stats
from test_margins import simulated

import bayesmargins as bm
from bayesmargins.family import LINKS, Outcome, Values, get_family

FAMILIES = [
    ("y ~ x + f + (1 | g)", "bernoulli", "logit"),
    ("y ~ x + (1 | g)", "bernoulli", "probit"),
    ("y ~ x + (1 | g)", "bernoulli", "cloglog"),
    ("k | trials(n) ~ x + (1 | g)", "binomial", "logit"),
    ("k | trials(n) ~ x + (1 + x | g)", "binomial", "cloglog"),
    ("k ~ x + offset(log(e)) + (x || g)", "poisson", "log"),
    ("k ~ 0 + f + (1 | g/h)", "negbinomial", "log"),
    ("x ~ f + (0 + treated | g) + (1 | h)", "gaussian", "identity"),
    ("e ~ x + (1 | g)", "gaussian", "log"),
]


def _point(model: bm.GLMM, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random values of the free variables, inside their supports."""
    point = {}
    for variable in model.pymc.free_RVs:
        shape = tuple(variable.shape.eval())
        value = rng.normal(size=shape) * 0.5
        positive = variable.name.startswith(("sd_", "sigma", "shape"))
        point[variable.name] = (
            np.exp(value) if positive else rng.uniform(0.2, 0.8, shape) if "partial" in variable.name else value
        )
    return point


@pytest.mark.parametrize(("formula", "family", "link"), FAMILIES)
def test_likelihood_is_that_of_scipy_at_any_point(formula: str, family: str, link: str) -> None:
    """The mean is computed from the deterministic variables, so their names and the centring are tested with it."""
    import pymc as pm

    model = bm.GLMM(formula, simulated(), family, link)
    point = _point(model, np.random.default_rng(1))
    factors = list(model.design.factors)
    wanted = [model.pymc[n] for n in ["beta", *(f"b_{f}" for f in factors)]]
    y = model.pymc[model.design.response.name]
    logp = pm.logp(y, model.pymc.rvs_to_values[y])
    function = model.pymc.compile_fn(
        [*wanted, logp], inputs=model.pymc.free_RVs, point_fn=False, on_unused_input="ignore", mode=interpreted()
    )
    beta, *b, found = function(*(point[v.name] for v in model.pymc.free_RVs))
    rows = model.design.rows(model.design.data)
    eta = rows.X @ beta + rows.offset
    for name, effects in zip(factors, b, strict=True):
        eta = eta + (rows.Z[name] * effects[model.design.factors[name].codes]).sum(axis=1)
    aux = {k: np.asarray(v) for k, v in point.items() if k in ("sigma", "shape")}
    response = model.design.response
    p = Values(mu=LINKS[link].inverse(eta), **aux)
    expected = get_family(family).log_density(p, Outcome(response.y, response.n))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_partial_correlations_give_the_lkj_distribution() -> None:
    """Under LKJ(eta) of 3 x 3, every correlation is 2 Beta(a, a) - 1 with a = eta + 1/2 (Lewandowski et al. 2009)."""
    import pymc as pm

    model = bm.GLMM("y ~ x + (1 + x + treated | g)", simulated(), "bernoulli", priors={"cor": 2.0})
    cor = pm.draw(model.pymc["cor_g"], draws=4000, random_seed=1)
    assert cor.shape == (4000, 3)
    for column in cor.T:
        assert stats.kstest((column + 1) / 2, stats.beta(2.5, 2.5).cdf).pvalue > 1e-3


def test_group_effects_have_the_covariance_of_sd_and_cor() -> None:
    import pymc as pm

    model = bm.GLMM("y ~ x + (1 + x | g)", simulated(), "bernoulli", priors={"sd": pm.LogNormal.dist(0, 0.01)})
    with model.pymc:
        cor, sd, b = pm.draw([model.pymc[n] for n in ("cor_g", "sd_g", "b_g")], draws=3000, random_seed=2)
    standard = b / sd[:, None, :]
    product = (standard[..., 0] * standard[..., 1]).mean(axis=1)
    slope, intercept = np.polyfit(cor[:, 0], product, 1)
    assert slope == pytest.approx(1, abs=0.1)
    assert intercept == pytest.approx(0, abs=0.05)
    np.testing.assert_allclose(standard.var(axis=(0, 1)), 1, atol=0.05)


def test_default_priors_scale_with_the_data() -> None:
    data = simulated(y=simulated().x * 10)
    small = bm.GLMM("y ~ e + (1 + e | g)", data).priors
    large = bm.GLMM("y ~ e + (1 + e | g)", data.assign(y=data.y * 1000, e=data.e / 100)).priors
    assert large["Intercept"].parameters["sigma"] == pytest.approx(1000 * small["Intercept"].parameters["sigma"])
    assert large["beta"].parameters["sigma"] == pytest.approx(1000 * small["beta"].parameters["sigma"])
    assert large["sd_g"].parameters["sigma"] == pytest.approx(1000 * small["sd_g"].parameters["sigma"])
    assert large["sigma"].parameters["scale"] == pytest.approx(1000 * small["sigma"].parameters["scale"])


def test_intercept_of_the_centred_design_is_centred_at_the_link_of_the_mean() -> None:
    model = bm.GLMM("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    share = (simulated().k.sum() + 0.5) / (simulated().n.sum() + 1)
    assert model.priors["Intercept"].parameters["mu"] == pytest.approx(np.log(share / (1 - share)))


def test_print_shows_every_prior_the_users_own_too() -> None:
    import pymc as pm

    priors: dict[str, Any] = {"x": pm.Normal.dist(1, 0.25), "sd_g": pm.Exponential.dist(3), "cor": 4.0}
    model = bm.GLMM("y ~ x + f + (1 + x | g)", simulated(), "bernoulli", priors=priors)
    text = str(model)
    for line in (
        "Intercept ~ Normal(mu=",
        "beta ~ Normal(mu=0, sigma=2.5) along each of 2 orthonormal directions of the columns, which implies",
        "x ~ Normal(mu=1, sigma=0.25)",
        "sd_g ~ Exponential(scale=0.333)",
        "cor_g ~ LKJ(eta=4)",
    ):
        assert line in text
    free = {v.name for v in model.pymc.free_RVs}
    assert {"slope_x", "directions", "Intercept_centred", "sd_g", "partial_g", "z_g"} == free


def test_sd_prior_of_one_factor_beats_that_of_all() -> None:
    import pymc as pm

    both = {"sd": pm.HalfNormal.dist(1), "sd_h": pm.HalfNormal.dist(5)}
    for priors in (both, dict(reversed(both.items()))):
        model = bm.GLMM("y ~ x + (1 | g) + (1 | h)", simulated(), "bernoulli", priors=priors)
        assert model.priors["sd_g"] is both["sd"]
        assert model.priors["sd_h"] is both["sd_h"]


def test_a_prior_whose_density_is_no_number_is_refused() -> None:
    """PyMC squares the scale of this one in a byte; a sampler that meets NaN may end the process."""
    import pymc as pm

    data = bm.load_dataset("sleepstudy")
    with pytest.raises(bm.ModelError, match=r"The prior of 'sd' has a density that is no number.*decimal point"):
        bm.GLMM("Reaction ~ Days + (1 | Subject)", data, priors={"sd": pm.HalfStudentT.dist(3, sigma=30)})
    bm.GLMM("Reaction ~ Days + (1 | Subject)", data, priors={"sd": pm.HalfStudentT.dist(3, sigma=30.0)})


@pytest.mark.parametrize(
    ("name", "example"), [("sd", "HalfNormal"), ("sd_g", "HalfNormal"), ("beta", "Normal"), ("x", "Normal")]
)
def test_prior_that_is_none_is_answered_with_one_for_the_same_parameter(name: str, example: str) -> None:
    with pytest.raises(bm.ModelError, match=re.escape(f"priors={{'{name}': pm.{example}.dist(")):
        bm.GLMM("y ~ x + (1 + x | g)", simulated(), "bernoulli", priors={name: {"dist": "normal"}})


SQUARES = [(what, size) for what in "yo" for size in (1e101, 1e200, 1e308, 1e-101, 1e-200, 1e-320)]
QUOTIENTS = [(what, size) for what in "xz" for size in (1e306, 1e308, 1e-306, 1e-320)]


@pytest.mark.parametrize(("what", "size"), [*SQUARES, *QUOTIENTS])
def test_numbers_whose_priors_are_lost_are_refused(what: str, size: float) -> None:
    if what == "o" and size < 1.0:
        size = 1e-320
    data = pd.DataFrame({"y": np.arange(12.0) % 5, "x": np.arange(12.0) % 3, "g": list("abcd") * 3})
    data = data.assign(z=data.x, o=data.x)
    data[what] *= size / data[what].max()
    said = {"y": "The response 'y'", "o": "The offset"}.get(what, f"The column {what!r}")
    with pytest.raises(bm.ModelError, match=f"{said} has values .*Choose another unit"):
        bm.GLMM("y ~ x + offset(o) + (0 + z | g)", data, "gaussian")


@pytest.mark.parametrize("size", [1e99, 1e-98])
def test_numbers_of_every_other_size_have_finite_priors_in_proportion(size: float) -> None:
    data = pd.DataFrame({"y": np.arange(12.0) % 5, "x": np.arange(12.0) % 3, "g": list("abcd") * 3})
    usual = bm.GLMM("y ~ x + (x | g)", data, "gaussian").priors
    scaled = bm.GLMM("y ~ x + (x | g)", data.assign(y=size * data.y), "gaussian").priors
    for name in ("Intercept", "beta", "sd_g"):
        ratio = scaled[name].parameters["sigma"] / usual[name].parameters["sigma"]
        np.testing.assert_allclose(ratio, size, rtol=1e-12)


@pytest.mark.parametrize("offset", [-1e5, -800.0, 800.0, 1e5])
def test_intercept_prior_of_a_rate_moves_with_the_exposure_however_large(offset: float) -> None:
    data = simulated().assign(o=np.linspace(-1, 1, 80))
    near, far = (
        bm.GLMM("k ~ x + offset(o) + (1 | g)", data.assign(o=data.o + by), "poisson").priors["Intercept"].parameters
        for by in (0.0, offset)
    )
    np.testing.assert_allclose(far["mu"], near["mu"] - offset, rtol=1e-12)
    assert far["sigma"] == near["sigma"]


def test_gaussian_family_for_a_zero_one_response_is_questioned() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match="did you mean family='bernoulli'"):
        bm.GLMM("y ~ x + (1 | g)", simulated())


@pytest.mark.sampling
def test_a_short_fit_speaks_up_once_in_plain_words() -> None:
    model = bm.GLMM("x ~ f + (1 + treated | g)", simulated())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        post = model.fit(draws=20, tune=15, chains=2, random_seed=1, progressbar=False)
    ours = [w for w in caught if issubclass(w.category, bm.BayesmarginsWarning)]
    assert len(ours) == 1
    assert "effective sample size" in str(ours[0].message)
    assert ours[0].filename == __file__
    names = list(post.parameters.data_vars)
    assert names == ["beta", "sd_g", "cor_g", "sigma", "b_g"]
    with pytest.raises(bm.FitError, match="does not take"):
        model.fit(draws=5, tune=5, chains=1, nonsense=3, progressbar=False)


@pytest.mark.sampling
@pytest.mark.parametrize("sampler", ["pymc", "numpyro"])
def test_other_samplers_fit_the_same_model(sampler: str) -> None:
    if sampler == "numpyro":
        pytest.importorskip("numpyro")
    rng = np.random.default_rng(2)
    data = simulated(x=rng.normal(3, 1, 80).round(2))
    model = bm.GLMM("x ~ 1 + (1 | g)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        post = model.fit(200, 300, 2, random_seed=1, sampler=sampler, progressbar=False, ess=None)
    assert float(post.beta.mean()) == pytest.approx(data.x.mean(), abs=0.5)
    assert post.sample_coords["draw"].size == 200


def test_intercept_prior_is_that_of_a_rate_where_there_is_an_exposure() -> None:
    few, many = (
        bm.GLMM("k ~ x + offset(log(e)) + (1 | g)", simulated(e=simulated().e * m), "poisson").priors["Intercept"]
        for m in (1, 1e6)
    )
    assert few.parameters["mu"] - many.parameters["mu"] == pytest.approx(np.log(1e6))
