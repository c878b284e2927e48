"""Waiting times: survival, restricted means and hazards, over new groups against quadrature of SciPy's functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from scipy import integrate, stats
from scipy.special import gamma

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at

WAITS = {name: family for name, family in FAMILIES.items() if family.limited is not None}
AUX = {"gamma": {"shape": 2.3}, "lognormal": {"sigma": 0.8}, "weibull": {"shape": 1.6}, "exponential": {}}
FROZEN = {
    "exponential": lambda eta: stats.expon(scale=np.exp(eta)),
    "weibull": lambda eta: stats.weibull_min(1.6, scale=np.exp(eta) / gamma(1.0 + 1.0 / 1.6)),
    "gamma": lambda eta: stats.gamma(2.3, scale=np.exp(eta) / 2.3),
    "lognormal": lambda eta: stats.lognorm(0.8, scale=np.exp(eta)),
}


def test_every_waiting_time_has_a_case() -> None:
    assert set(WAITS) == set(AUX) == set(FROZEN)


def posterior(name: str) -> bm.Posterior:
    """Two draws of a model with a random intercept."""
    data = pd.DataFrame({"time": [1.0, 2, 3, 4], "x": [0.0, 1, 0, 1], "g": ["a", "a", "b", "b"]})
    given: dict[str, Any] = {
        "beta": np.array([[[0.5, -0.4], [1.2, 0.3]]]),
        "Sigma": {"g": np.array([[[[0.64]], [[2.25]]]])},
        "b": {"g": np.array([[[[0.2], [-0.6]], [[1.0], [0.1]]]])},
        "aux": {k: np.full((1, 2), v) for k, v in AUX[name].items()},
    }
    return bm.from_draws("time ~ x + (1 | g)", data, family=name, **given)


def over_new_groups(name: str, f: Any) -> np.ndarray:
    """f(SciPy's distribution) averaged over b: (draw, row at x = 0 and 1)."""
    post = posterior(name)
    sd = np.sqrt(post.draws.Sigma["g"][:, 0, 0])
    eta = post.draws.beta @ np.array([[1.0, 1.0], [0.0, 1.0]])

    def one(e: float, s: float) -> float:
        options = {"epsabs": 0.0, "epsrel": 1e-12, "limit": 400, "points": [-4, -2, 0, 2, 4]}
        return float(integrate.quad(lambda z: stats.norm.pdf(z) * f(FROZEN[name](e + s * z)), -12, 12, **options)[0])

    return np.array([[one(e, s) for e in row] for row, s in zip(eta, sd, strict=True)])


@pytest.mark.parametrize("name", WAITS)
def test_limited_means_are_areas_under_the_survival_curve(name: str) -> None:
    eta = np.array([-0.5, 0.9])
    p = values_at(LINKS[FAMILIES[name].links[0]], eta, {k: np.array(v) for k, v in AUX[name].items()})
    for tau in (0.2, 1.5, 30.0):
        wanted = [integrate.quad(FROZEN[name](e).sf, 0.0, tau, epsrel=1e-12, limit=200)[0] for e in eta]
        np.testing.assert_allclose(FAMILIES[name].limited(np.array(tau), p, Outcome()), wanted, rtol=1e-9)


# What is averaged has tests of its own, family by family. The average is the same for all: here of one whose linear
# predictor is a mean, and of one whose is a location.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ("exponential", "lognormal") else pytest.mark.evidence) for n in WAITS]
)
def test_numbers_of_new_groups_against_quadrature(name: str) -> None:
    post, rows = posterior(name), posterior(name).design.data.head(2)
    t, tau = 1.7, 4.0

    def found(target: Any) -> np.ndarray:
        return np.asarray(bm.predictions(post, rows, target=target)["estimate"])[0]

    S = over_new_groups(name, lambda d: d.sf(t))
    np.testing.assert_allclose(found(bm.survival(t)), S, rtol=1e-9)
    f = over_new_groups(name, lambda d: d.pdf(t))
    np.testing.assert_allclose(found(bm.hazard(t)), f / S, rtol=1e-8)
    limited = over_new_groups(name, lambda d: integrate.quad(d.sf, 0.0, tau, epsrel=1e-10)[0])
    np.testing.assert_allclose(found(bm.rmst(tau)), limited, rtol=1e-8)


def test_several_times_are_a_dimension_and_the_users_column_keeps_its_values() -> None:
    post = posterior("gamma")
    several = bm.predictions(post, target=bm.survival([1, 2.5]))
    assert several["estimate"].dims == ("chain", "draw", "time", "row")
    assert several["time"].to_numpy().tolist() == [1.0, 2.5]
    assert several["data_time"].to_numpy().tolist() == [1.0, 2.0, 3.0, 4.0]
    for k, t in enumerate((1, 2.5)):
        one = bm.predictions(post, target=bm.survival(t))
        np.testing.assert_array_equal(several["estimate"][:, :, k], one["estimate"])
        assert "time" not in one.dims
    ratios = bm.avg_comparisons(post, "x", target=bm.hazard([1, 5]), comparison="ratio")
    assert ratios["estimate"].dims == ("chain", "draw", "contrast", "time")
    assert "hazard of time at 1, 5" in bm.describe(ratios)
    assert len(bm.summary(several)) == 8
    areas = bm.avg_comparisons(post, "x", target=bm.rmst([1, 5]))
    assert (np.abs(areas["estimate"][..., 0]) < np.abs(areas["estimate"][..., 1])).all()


def test_hazard_ratios_given_b_and_of_the_population() -> None:
    """Given b a Weibull hazard ratio is exp(-shape beta) at all times; that of the population is nearer to 1."""
    post = posterior("weibull")

    def ratio(**asked: Any) -> np.ndarray:
        target = bm.hazard([0.5, 3.0])
        asked |= {"target": target, "comparison": "ratio"}
        return np.asarray(bm.avg_comparisons(post, "x", **asked)["estimate"])[0, :, 0]

    given, averaged = ratio(groups="zero"), ratio()
    np.testing.assert_allclose(given, np.exp(-1.6 * post.draws.beta[:, 1:]).repeat(2, axis=1), rtol=1e-10)
    assert (np.abs(np.log(averaged)) < np.abs(np.log(given))).all()
    assert (np.abs(np.log(averaged[:, 1])) < np.abs(np.log(averaged[:, 0]))).all()


def test_a_shared_frailty_model_is_integrated_with_its_censored_rows() -> None:
    """Density of the model without b against a fine sum of SciPy's densities and survival functions."""
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(6), 5), rng.normal(size=30)
    t = rng.weibull(1.6, 30) * np.exp(0.4 * x)
    data = pd.DataFrame({"t": np.minimum(t, 1.2), "c": (t > 1.2).astype(int), "x": x, "g": [f"g{i}" for i in g]})
    for family, aux in (("weibull", {"shape": np.array([1.6])}), ("exponential", {})):
        model = bm.GLMM("t | cens(c) ~ x + (1 | g)", data, family=family)
        phi, root = np.array([[0.2, 0.3]]), np.array([[[0.8]]])
        found = model.likelihood.log_likelihood(phi, [root], aux)[0]
        eta, z = model.predictors["mu"].fixed.columns @ phi[0], np.linspace(-10, 10, 4001)
        dist, times = FROZEN[family](eta[:, None] + 0.8 * z), data.t.to_numpy()[:, None]
        rows = np.where(data.c.to_numpy()[:, None] == 1, dist.logsf(times), dist.logpdf(times))
        groups = np.array([rows[g == k].sum(axis=0) for k in range(6)])
        wanted = np.log((np.exp(groups) * stats.norm.pdf(z)).sum(axis=1) * (z[1] - z[0])).sum()
        assert found == pytest.approx(wanted, abs=1e-6)
        assert "integrated out" in str(model)
    assert "sampled: the left-hand side says 'cens()'" in str(
        bm.GLMM("t | cens(c) ~ x + (1 | g)", data, family="gamma")
    )


def test_kidney_fit_has_the_posterior_of_brms() -> None:
    """The same priors; mean and sd of its 4,000 draws by brms 2.18."""
    import pymc as pm

    data = bm.load_dataset("kidney").assign(age10=lambda d: (d.age - 44.0) / 10.0)
    priors = {
        "Intercept": pm.StudentT.dist(3, mu=3.7, sigma=2.5),
        "beta": pm.Normal.dist(0, 2.5),
        "sd": pm.HalfStudentT.dist(3.0, sigma=2.5),
        "shape": pm.Gamma.dist(alpha=0.01, beta=0.01),
    }
    model = bm.GLMM("time | cens(censored) ~ age10 + sex + (1 | patient)", data, family="weibull", priors=priors)
    post = model.fit(sampler="independent", draws=2000, random_seed=1, progressbar=False)
    assert post.info["sampler"] == "independent"
    found = dict(zip(post.design.coef, post.draws.beta.T, strict=True))
    found |= {"sd": np.sqrt(post.draws.Sigma["patient"][:, 0, 0]), "shape": post.draws.aux["shape"]}
    theirs = {  # mean, sd, effective draws
        "Intercept": (3.7111, 0.3463, 1804),
        "age10": (-0.0462, 0.1148, 2692),
        "sex[female]": (1.3374, 0.3898, 2116),
        "sd": (0.6961, 0.2009, 825),
        "shape": (1.1489, 0.1591, 1136),
    }
    for name, (mean, sd, ess) in theirs.items():
        ours = array_stats.ess(found[name].reshape(4, -1), chain_axis=0, draw_axis=1, method="mean")
        assert abs(found[name].mean() - mean) < 4.0 * sd * np.sqrt(1.0 / ess + 1.0 / float(ours)), name
        assert abs(found[name].std() / sd - 1.0) < 0.15, name


def test_a_point_at_which_nothing_is_a_number_has_no_density_and_an_end() -> None:
    """A first guess of the search for a mode: the integrals of its groups were sought for ever."""
    data = bm.load_dataset("kidney")
    likelihood = bm.GLMM("time | cens(censored) ~ sex + (1 | patient)", data, family="weibull").likelihood
    value = likelihood.log_likelihood(
        np.array([[-4.0, -28.0]]), [np.array([[[2.8e-27]]])], {"shape": np.array([1.4e26])}
    )
    assert not value[0] > 0.0


@pytest.mark.parametrize("wrong", [-1, "a", [1, 1], [], np.inf, None, [1, np.nan]])
@pytest.mark.parametrize("target", [bm.survival, bm.rmst, bm.hazard])
def test_times_that_are_none_are_refused(target: Any, wrong: Any) -> None:
    with pytest.raises(bm.EstimandError, match=r"finite number (above|from) 0"):
        target(wrong)


def test_everybody_waits_at_first() -> None:
    post = posterior("weibull")
    assert (bm.predictions(post, target=bm.survival([0, 1]))["estimate"][..., 0, :] == 1.0).all()
    for target in (bm.rmst, bm.hazard):
        with pytest.raises(bm.EstimandError, match="above 0"):
            target(0)


def test_other_responses_have_no_waiting_times() -> None:
    data = pd.DataFrame({"y": [0, 1, 0, 1]})
    post = bm.from_draws("y ~ 1", data, family="bernoulli", beta=np.zeros((1, 2, 1)))
    with pytest.raises(
        bm.EstimandError,
        match=r"survival\(3\): responses of family='bernoulli'.*exponential, gamma, lognormal, weibull",
    ):
        bm.predictions(post, target=bm.survival(3))
