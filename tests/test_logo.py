"""Leaving groups out: densities against quadrature, elpd against integrals over all parameters, calibration."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats import loo
from scipy import integrate, interpolate, special, stats

import bayesmargins as bm
from bayesmargins.validation.densities import densities
from bayesmargins.validation.logo import _refitted

pytestmark = pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")


def _rows(seed: int = 3, groups: int = 6, each: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(list("abcdefgh"[:groups]), each)
    x = rng.normal(size=len(g)).round(2)
    eta = 0.4 + 0.5 * x + 0.7 * rng.normal(size=groups).repeat(each)
    c = np.resize(["u", "v", "w"], len(g))
    pair = [f"{a}{k}" for a, k in zip(g, np.resize([0, 0, 1, 1], len(g)), strict=True)]
    return pd.DataFrame({"y": rng.poisson(np.exp(eta)), "z": eta + rng.normal(size=len(g)), "x": x, "g": g, "c": c,
                         "pair": pair})  # fmt: skip


def _made(formula: str, family: str, terms: dict[str, int], draws: int = 3, **aux: Any) -> bm.Posterior:
    """Draws of any kind, b among them."""
    rng, data = np.random.default_rng(8), _rows()
    empty = {f: np.tril(rng.normal(size=(1, draws, q, q))) for f, q in terms.items()}
    Sigma = {f: 0.5 * L @ L.swapaxes(-1, -2) for f, L in empty.items()}
    columns = {f: data[f.split(":")].agg("".join, axis=1) for f in terms}
    b = {f: 0.5 * rng.normal(size=(1, draws, columns[f].nunique(), q)) for f, q in terms.items()}
    return bm.from_draws(formula, data, family=family, beta=0.3 * rng.normal(size=(1, draws, 2)), b=b, Sigma=Sigma,
                         aux=aux)  # fmt: skip


def test_the_density_of_a_group_with_one_effect_is_that_of_quadrature() -> None:
    post = _made("y ~ x + (1 | g)", "poisson", {"g": 1})
    found = densities(post, post.design.factors["g"]).values
    data, X = _rows(), post.design.rows(_rows()).X
    for d, g in product(range(3), "af"):
        own = (data["g"] == g).to_numpy()
        s, eta = post.draws.Sigma["g"][d].item() ** 0.5, X[own] @ post.draws.beta[d]
        y = data["y"].to_numpy()[own]

        def integrand(z: float, y: np.ndarray = y, eta: np.ndarray = eta, s: float = s) -> float:
            return float(np.exp(stats.poisson.logpmf(y, np.exp(eta + s * z)).sum()) * stats.norm.pdf(z))

        exact = integrate.quad(integrand, -10, 10, epsabs=0, epsrel=1e-11, limit=400)[0]
        assert float(found[0, d].sel(g=g)) == pytest.approx(np.log(exact), rel=1e-8)


def _two_effects() -> bm.Posterior:
    """Two effects of a family whose rows have no compiled density, so that no finer rule takes them."""
    return _made("z ~ x + (1 + x | g)", "student_t", {"g": 2}, sigma=np.full((1, 3), 0.9), nu=np.full((1, 3), 4.0))


def test_two_effects_without_a_closed_form_are_summed_over_points_with_an_honest_error() -> None:
    post = _two_effects()
    found, data = densities(post, post.design.factors["g"]), _rows()
    rows = post.design.rows(data)
    assert "Sobol points in 2 dimensions" in found.method
    z = np.linspace(-8, 8, 321)
    u = np.array(list(product(z, z))).T
    for d, (k, g) in product(range(3), enumerate("abcdef")):
        own = (data["g"] == g).to_numpy()
        L = np.linalg.cholesky(post.draws.Sigma["g"][d])
        eta = (rows.X[own] @ post.draws.beta[d])[:, None] + rows.Z["g"][own] @ L @ u
        log_rows = stats.t.logpdf(data["z"].to_numpy()[own, None], 4.0, eta, 0.9).sum(axis=0)
        exact = special.logsumexp(log_rows - 0.5 * (u**2).sum(axis=0)) + np.log((z[1] - z[0]) ** 2 / (2 * np.pi))
        # Four scramblings tell their standard error to within a factor; that of a single draw may be small by chance.
        assert abs(float(found.values[0, d, k]) - exact) < 6 * found.error[k] + 1e-4
    # These b are no draws given the rows: the half of the points that is placed by them lies elsewhere.
    assert 0 < found.error.max() < 0.1


@pytest.mark.parametrize(
    ("formula", "terms", "factor", "inner"),
    [
        ("z ~ x + (1 + x | g) + (1 | g:pair)", {"g": 2, "g:pair": 1}, "g", ["g:pair"]),
        ("z ~ x + (1 | g) + (1 | pair)", {"g": 1, "pair": 1}, "g", ["pair"]),
        ("z ~ x + (1 | g) + (1 | pair)", {"g": 1, "pair": 1}, "pair", []),
        ("z ~ x + (1 + x | g) + (1 | c)", {"g": 2, "c": 1}, "g", []),
    ],
)
def test_factors_within_are_integrated_and_crossed_ones_kept(
    formula: str, terms: dict[str, int], factor: str, inner: list[str]
) -> None:
    post = _made(formula, "gaussian", terms, sigma=np.array([[0.5, 1.0, 2.0]]))
    found, data = densities(post, post.design.factors[factor]), _rows()
    rows = post.design.rows(data)
    assert found.unseen == {factor, *inner}
    for d, level in product(range(3), post.design.factors[factor].levels[:3]):
        own = post.design.factors[factor].codes == post.design.factors[factor].levels.index(level)
        mean, V = rows.X @ post.draws.beta[d], post.draws.aux["sigma"][d] ** 2 * np.eye(len(data))
        for name, f in post.design.factors.items():
            if name in found.unseen:
                V += rows.Z[name] @ post.draws.Sigma[name][d] @ rows.Z[name].T * (f.codes[:, None] == f.codes)
            else:
                mean = mean + (rows.Z[name] * post.draws.b[name][d][f.codes]).sum(axis=1)
        exact = stats.multivariate_normal.logpdf(data["z"][own], mean[own], V[np.ix_(own, own)])
        assert float(found.values[0, d].sel({found.values.dims[2]: level})) == pytest.approx(exact, rel=1e-8)


@cache
def _fit() -> bm.Posterior:
    model = bm.GLMM("y ~ x + (1 | g)", _rows(), family="poisson")
    return model.fit(draws=1000, chains=4, random_seed=1, sampler="independent", progressbar=False)


@cache
def _exact() -> np.ndarray:
    """log p(y_g | y of the others), by sums over all parameters: (group,)."""
    post, data = _fit(), _rows()
    priors = post.origin.model.priors
    a, c = np.linspace(-6, 7, 105), np.linspace(-1.5, 2, 57)  # the mean of eta, and x along its direction
    s, z = np.arange(0.05, 9, 0.1), np.linspace(-8, 8, 641)
    x = data["x"].to_numpy()
    m = (x - x.mean()) / x.std()
    groups = []
    for g in "abcdef":
        own = (data["g"] == g).to_numpy()
        y, eta = data["y"].to_numpy()[own], a[:, None, None] + c[:, None] * m[own]  # (a, c, row)
        log_total = special.logsumexp(eta, axis=-1)
        # Over the group's effect the rows of a Poisson response are known by their sums alone.
        t = np.linspace(log_total.min(), log_total.max(), 200)
        of_sums = [special.logsumexp(y.sum() * k * z - np.exp(t[:, None] + k * z) - z**2 / 2, axis=1) for k in s]
        of_effect = interpolate.CubicSpline(t, np.array(of_sums).T)(log_total) + np.log(z[1] - z[0])
        groups.append((eta * y).sum(-1)[..., None] - special.gammaln(y + 1).sum() + of_effect - np.log(2 * np.pi) / 2)
    log_p = stats.norm.logpdf(a, *priors["Intercept"].parameters.values())[:, None, None]
    log_p = log_p + stats.norm.logpdf(c, 0, priors["beta"].parameters["sigma"])[:, None]
    log_p = log_p + stats.halfnorm.logpdf(s, scale=priors["sd_g"].parameters["sigma"])
    whole = log_p + np.sum(groups, axis=0)
    return np.array([special.logsumexp(whole) - special.logsumexp(whole - own) for own in groups])


def _error(log_density: np.ndarray) -> float:
    """Of the log of the mean of independent draws."""
    relative = np.exp(log_density - special.logsumexp(log_density) + np.log(len(log_density)))
    return float(relative.std() / np.sqrt(len(relative)))


def test_elpd_of_each_group_is_that_of_an_integral_over_all_parameters() -> None:
    post, exact = _fit(), _exact()
    found = bm.logo(post, random_seed=1, calibration=False)
    assert found.elpd == pytest.approx(found.groups["elpd"].sum())
    trusted = found.groups["khat"] < 0.5
    assert trusted.sum() >= 3
    ratios = -post.log_likelihood_groups.to_numpy().reshape(-1, 6)
    for g in np.flatnonzero(trusted):
        # The mean of p(y_g) under weights 1 / p(y_g) is one over the mean of these.
        assert found.groups["elpd"].iloc[g] == pytest.approx(exact[g], abs=6 * _error(ratios[:, g]) + 0.01)


def test_fits_without_a_group_keep_the_priors_of_the_whole() -> None:
    post, exact = _fit(), _exact()
    factor = post.design.factors["g"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # of k-hat, which chance puts above 0.7 or not
        table = bm.logo(post, calibration=False).groups
    again = _refitted(post, factor, densities(post, factor), table, np.array([0, 2]), 7)
    assert again["refitted"].tolist() == [True, False, True, False, False, False]
    for g in (0, 2):
        fresh = post.origin.without(factor.codes != g).fit(random_seed=7 + g, sampler="independent", progressbar=False)
        assert len(fresh.design.data) == 20
        whole = densities(replace(fresh, design=post.design), factor).values.to_numpy().reshape(-1, 6)[:, g]
        assert again["elpd"].iloc[g] == pytest.approx(special.logsumexp(whole) - np.log(len(whole)), abs=1e-8)
        assert again["elpd"].iloc[g] == pytest.approx(exact[g], abs=6 * _error(whole) + 1e-3)
        assert again["p"].iloc[g] + again["elpd"].iloc[g] == pytest.approx(table["p"].iloc[g] + table["elpd"].iloc[g])


def test_numbers_are_those_of_arviz_and_compare_takes_them() -> None:
    post = _fit()
    found = bm.logo(post, random_seed=1)
    tree = xr.DataTree.from_dict(
        {"posterior": post.parameters, "log_likelihood": post.log_likelihood_groups.to_dataset()}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of k-hat, which is above 0.7 in one group
        theirs = loo(tree, pointwise=True)
    assert found.elpd == pytest.approx(theirs.elpd, abs=0.02)
    # The variance of six groups divides by five, or in older versions of ArviZ by six.
    assert min(abs(theirs.se / found.se - 1), abs(theirs.se / found.se - np.sqrt(5 / 6))) < 0.002
    assert found.p == pytest.approx(theirs.p, abs=0.02)
    assert found.groups["khat"].to_numpy() == pytest.approx(theirs.pareto_k.to_numpy(), abs=0.05)
    model = bm.GLMM("y ~ 1 + (1 | g)", _rows(), family="poisson")
    other = bm.logo(model.fit(random_seed=2, sampler="independent", progressbar=False), calibration=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about how ArviZ 0.23 sorts
        table = az.compare({"with x": found, "without": other})
    better = "with x" if found.elpd > other.elpd else "without"
    assert table.index[0] == better
    # ArviZ 1.x shows the digits that the standard error leaves.
    assert float(table.filter(regex="^elpd(_loo)?$").iloc[0, 0]) == pytest.approx(max(found.elpd, other.elpd), abs=5)
    assert str(found).startswith("Leave one group out: 6 groups of g, 4,000 draws")
    assert repr(found) == str(found)
    assert str(found).split() == found.sentences.split()
    assert max(map(len, str(found).splitlines())) <= 100


def test_the_observed_mean_is_held_against_a_new_groups() -> None:
    """Draws that are all alike weigh alike, and the mean of a new normal group is normal."""
    data, S = _rows(), 4000
    one = {
        "beta": np.full((1, S, 1), 0.3),
        "b": {"g": np.zeros((1, S, 6, 1))},
        "Sigma": {"g": np.full((1, S, 1, 1), 0.5)},
    }
    post = bm.from_draws("z ~ 1 + (1 | g)", data, family="gaussian", **one, aux={"sigma": np.ones((1, S))})
    found = bm.logo(post, random_seed=3).groups
    observed = data.groupby("g")["z"].mean().to_numpy()
    assert found["observed"].to_numpy() == pytest.approx(observed)
    assert found["predicted"].to_numpy() == pytest.approx(0.3)
    exact = stats.norm.cdf(observed, 0.3, np.sqrt(0.5 + 1 / 4))
    assert found["pit"].to_numpy() == pytest.approx(exact, abs=5 * 0.5 / np.sqrt(S))
    assert found["p"].to_numpy() == pytest.approx(0.0, abs=1e-10)


def test_pit_of_a_right_model_spreads_evenly_where_means_take_few_values() -> None:
    """Three rows of 0 and 1: half of the groups have none, and half that chance puts them in the centre."""
    groups, S, rng = 400, 500, np.random.default_rng(2)
    g = np.arange(groups).repeat(3)
    y = rng.binomial(1, special.expit(-2.0 + 2.0 * rng.normal(size=groups)[g]))
    assert 0.35 < (np.bincount(g, y) == 0).mean() < 0.75
    one = {
        "beta": np.full((1, S, 1), -2.0),
        "b": {"g": np.zeros((1, S, groups, 1))},
        "Sigma": {"g": np.full((1, S, 1, 1), 4.0)},
    }
    data = pd.DataFrame({"y": y, "g": g.astype(str)})
    found = bm.logo(bm.from_draws("y ~ 1 + (1 | g)", data, family="bernoulli", **one), random_seed=3)
    pit = found.groups["pit"]
    assert stats.kstest(pit, "uniform").pvalue > 0.001
    within = int(pit.between(0.05, 0.95).sum())
    assert stats.binomtest(within, groups, 0.9).pvalue > 0.001
    assert f"in {within} of 400 groups; 360.0 are expected" in found.sentences


def test_a_high_khat_is_told_with_its_group() -> None:
    rng, data = np.random.default_rng(1), _rows()
    draws = {"beta": rng.normal(0.3, [0.5, 3.0], size=(2, 200, 2)), "b": {}, "Sigma": {"g": np.ones((2, 200, 1, 1))}}
    post = bm.from_draws("y ~ x + (1 | g)", data, family="poisson", **draws)
    with pytest.warns(bm.BayesmarginsWarning, match=r"k-hat of \d of 6 groups of g is above 0\.6"):
        found = bm.logo(post, calibration=False)
    assert "may be far off.\n" in found.sentences
    assert "Not held against observed means: calibration=False." in str(found)
    with pytest.raises(bm.PosteriorError, match="this package did not fit it"):
        bm.logo(post, refit=True, calibration=False)


def test_refusals_say_what_is_missing() -> None:
    post = _made("z ~ x + (1 | g) + (1 | c)", "gaussian", {"g": 1, "c": 1}, sigma=np.ones((1, 3)))
    with pytest.raises(bm.EstimandError, match="factor=None; allowed are 'g', 'c'"):
        bm.logo(post)
    with pytest.raises(bm.EstimandError, match="factor='G'"):
        bm.logo(post, "G")
    nested = _made("y ~ x + (1 | g/pair)", "poisson", {"g": 1, "g:pair": 1})
    with pytest.raises(bm.PosteriorError, match="lie within 'g'"):
        bm.logo(nested, "g")
    with pytest.raises(bm.PosteriorError, match="needs a Posterior"):
        bm.logo(3)  # type: ignore[arg-type]
    with pytest.raises(bm.EstimandError, match="refit='yes'"):
        bm.logo(post, "g", refit="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("draws", [2, 4])
def test_a_few_draws_have_no_tail_and_say_so(draws: int) -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=24), "g": np.repeat(np.arange(6), 4)})
    given = {"beta": rng.normal(size=(1, draws, 1)), "Sigma": {"g": np.ones((1, draws, 1, 1))}}
    post = bm.from_draws("y ~ 1 + (1 | g)", data, family="gaussian", aux={"sigma": np.ones((1, draws))}, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)
        assert np.isinf(bm.logo(post, random_seed=1).groups["khat"]).all()
