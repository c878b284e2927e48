"""What stands beside y on the left: weights, censoring, truncation, known errors, rates; each against SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from interpreted import interpreted, uncompiled
from scipy import stats
from scipy.special import gamma

import bayesmargins as bm
from bayesmargins.design.left import left_of, written
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at
from bayesmargins.model.build import tensor_means

N = 40
Frozen = Callable[[np.ndarray], Any]


class WithZeros:
    """A distribution of SciPy, and 0 with the probability zi besides."""

    def __init__(self, zi: float, of: Any) -> None:
        self.zi, self.of = zi, of

    def rvs(self, random_state: np.random.Generator) -> np.ndarray:
        y = self.of.rvs(random_state=random_state)
        return np.where(random_state.random(y.shape) < self.zi, 0, y)

    def logpmf(self, y: np.ndarray) -> np.ndarray:
        share = np.where(np.asarray(y) == 0, np.log(self.zi), -np.inf)
        return np.logaddexp(share, np.log1p(-self.zi) + self.of.logpmf(y))

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return self.zi * (np.asarray(y) >= 0) + (1.0 - self.zi) * self.of.cdf(y)

    def logcdf(self, y: np.ndarray) -> np.ndarray:
        return np.log(self.cdf(y))

    def logsf(self, y: np.ndarray) -> np.ndarray:
        return np.log1p(-self.zi) + self.of.logsf(y)


# By family: other parameters, and SciPy's distribution of the mean.
CASES: dict[str, tuple[dict[str, float], Frozen]] = {
    "gaussian": ({"sigma": 1.3}, lambda mu: stats.norm(mu, 1.3)),
    "student_t": ({"sigma": 1.3, "nu": 5.0}, lambda mu: stats.t(5.0, mu, 1.3)),
    "lognormal": ({"sigma": 0.7}, lambda mu: stats.lognorm(0.7, scale=np.exp(mu))),
    "shifted_lognormal": ({"sigma": 0.7, "ndt": 0.2}, lambda mu: stats.lognorm(0.7, loc=0.2, scale=np.exp(mu))),
    "gamma": ({"shape": 2.3}, lambda mu: stats.gamma(2.3, scale=mu / 2.3)),
    "exponential": ({}, lambda mu: stats.expon(scale=mu)),
    "weibull": ({"shape": 1.6}, lambda mu: stats.weibull_min(1.6, scale=mu / gamma(1.0 + 1.0 / 1.6))),
    "inverse_gaussian": ({"shape": 2.0}, lambda mu: stats.invgauss(mu / 2.0, scale=2.0)),
    "geometric": ({}, lambda mu: stats.nbinom(1.0, 1.0 / (1.0 + mu))),
    "poisson": ({}, stats.poisson),
    "negbinomial": ({"shape": 1.7}, lambda mu: stats.nbinom(1.7, 1.7 / (1.7 + mu))),
    "zero_inflated_poisson": ({"zi": 0.3}, lambda mu: WithZeros(0.3, stats.poisson(mu))),
    "zero_inflated_negbinomial": (
        {"zi": 0.3, "shape": 1.7},
        lambda mu: WithZeros(0.3, stats.nbinom(1.7, 1.7 / (1.7 + mu))),
    ),
}


def test_every_family_with_tails_has_a_case() -> None:
    assert set(CASES) == {name for name, family in FAMILIES.items() if family.tails is not None}


def outcome(name: str, mu: np.ndarray, discrete: bool) -> Outcome:
    """Rows of every kind, observed between bounds, with weights."""
    rng = np.random.default_rng(3)
    y = np.asarray(CASES[name][1](mu).rvs(random_state=rng), dtype=float)
    cens = np.resize([0.0, 1.0, -1.0, 2.0], N)
    lb, ub = np.full(N, np.floor(y.min()) - (0.0 if discrete else 0.4)), np.full(N, y.max() + 3.0)
    y2 = np.where(cens == 2.0, y + np.resize([1.0, 2.0, np.inf], N), y)
    return Outcome(y, weights=rng.uniform(0.5, 2.0, N), cens=cens, y2=y2, lb=np.maximum(lb, -5.0), ub=ub)


def by_hand(dist: Any, o: Outcome, discrete: bool) -> np.ndarray:
    """The same from SciPy's distribution functions."""
    density = dist.logpmf(o.y) if discrete else dist.logpdf(o.y)
    kinds = {
        0.0: density,
        1.0: dist.logsf(o.y),
        -1.0: dist.logcdf(o.y),
        2.0: np.log(np.where(o.cens == 2.0, dist.cdf(o.y2) - dist.cdf(o.y), 1.0)),
    }
    value = np.choose(np.where(o.cens == -1.0, 3, o.cens).astype(int), [kinds[k] for k in (0.0, 1.0, 2.0, -1.0)])
    inside = dist.cdf(o.ub) - dist.cdf(o.lb - 1.0 if discrete else o.lb)
    return np.asarray(o.weights * (value - np.log(inside)))


@pytest.mark.parametrize("name", CASES)
def test_what_rows_say_is_what_scipy_says(name: str) -> None:
    family, (aux, dist) = FAMILIES[name], CASES[name]
    link, eta = LINKS[family.links[0]], np.linspace(-0.5, 1.5, N)
    p = values_at(link, eta, {k: np.array(v) for k, v in aux.items()})
    o = outcome(name, eta if "lognormal" in name else p.mu, family.discrete)
    frozen = dist(eta if "lognormal" in name else p.mu)
    np.testing.assert_allclose(family.log_likelihood(p, o), by_hand(frozen, o, family.discrete), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_pymc_says_the_same_with_derivatives(name: str) -> None:
    import pymc as pm

    family, (aux, _) = FAMILIES[name], CASES[name]
    link, eta = LINKS[family.links[0]], np.linspace(-0.5, 1.5, N)
    p = values_at(link, eta, {k: np.array(v) for k, v in aux.items()})
    o = outcome(name, eta if "lognormal" in name else p.mu, family.discrete)
    step = {k: np.array(v) for k, v in aux.items()}
    with pm.Model(coords={"obs": range(N)}) as model:
        x = pm.Flat("x", shape=N)
        own = {k: pm.Flat(k) for k in aux}
        tensors = type(p)(**tensor_means(link, x), eta=x, link=link, **own)
        family.pymc(pm, "y", tensors, o)
    point = {"x": eta, **step}
    with uncompiled():
        asked = [*model.logp(vars=model.observed_RVs, sum=False), model.dlogp(vars=[x])]
        rows, slopes = model.compile_fn(asked, inputs=model.value_vars)(point)
    np.testing.assert_allclose(rows, family.log_likelihood(p, o), rtol=1e-9, atol=1e-10)
    h = 1e-5
    up, down = (family.log_likelihood(values_at(link, eta + d, step), o) for d in (h, -h))
    np.testing.assert_allclose(slopes, (up - down) / (2 * h), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_limits_of_censoring(name: str) -> None:
    """Not censored, up to infinity, beyond the lower end of y, without bounds, and rows that count twice."""
    family, (aux, _) = FAMILIES[name], CASES[name]
    y, eta = np.array([1.0, 2.0, 7.0]), np.array([0.1, 0.5, 1.0])
    p = values_at(LINKS[family.links[0]], eta, {k: np.array(v) for k, v in aux.items()})
    none, right, interval, infinite = np.zeros(3), np.ones(3), np.full(3, 2.0), np.full(3, np.inf)
    plain = family.log_likelihood(p, Outcome(y))
    np.testing.assert_array_equal(family.log_likelihood(p, Outcome(y, cens=none)), plain)
    beyond = family.log_likelihood(p, Outcome(y, cens=right))
    np.testing.assert_allclose(family.log_likelihood(p, Outcome(y, cens=interval, y2=infinite)), beyond, rtol=1e-12)
    lowest = np.full(3, {True: -1.0, False: max(family.support.lowest, -1e9)}[family.discrete])
    np.testing.assert_allclose(family.log_likelihood(p, Outcome(lowest, cens=right)), 0.0, atol=1e-12)
    np.testing.assert_allclose(family.log_likelihood(p, Outcome(y, weights=interval)), 2.0 * plain)
    wide = Outcome(y, lb=np.full(3, family.support.lowest), ub=infinite)
    np.testing.assert_allclose(family.log_likelihood(p, wide), plain, rtol=1e-14)


@pytest.mark.parametrize(
    ("text", "given", "known"),
    [
        ("y", {}, False),
        ("y | trials(n) + weights(w)", {"trials": "n", "weights": "w"}, False),
        ("y | cens(c, y2 = z)", {"cens": "c", "y2": "z"}, False),
        ("y | trunc(ub = 3)", {"ub": "3"}, False),
        ("y | se(s)", {"se": "s"}, True),
        ("y | se(s, sigma = TRUE) + weights(1/w)", {"se": "s", "weights": "1/w"}, False),
    ],
)
def test_left_sides_are_read_and_written(text: str, given: dict[str, str], known: bool) -> None:
    found = left_of(text, f"{text} ~ x")
    assert (found.response, found.given, found.known_error) == ("y", given, known)
    assert left_of(written(*found), text) == found


@pytest.mark.parametrize(
    ("formula", "family", "said"),
    [
        ("t | cens(d) + cens(d) ~ x", "gamma", "says 'cens' twice"),
        ("t | cens() ~ x", "gamma", "allowed are"),
        ("t | cens(d, t2, t) ~ x", "gamma", "its arguments are"),
        ("t | dec(d) ~ x", "gamma", "stands 't | dec"),
        ("t | weights(w) | cens(d) ~ x", "gamma", "more than one"),
        ("t | se(s, sigma=2) ~ x", "gaussian", "sigma is True or False"),
        ("t | cens(word) ~ x", "gamma", r"cens\(word\) has the value 'dead'"),
        ("t | cens(s) ~ x", "gamma", r"cens\(\) of the response .* allowed are 'left' or -1"),
        ("t | cens(two) ~ x", "gamma", r"'interval' \(2\) in cens\(c, y2\)"),
        ("t | cens(two, t) ~ x", "gamma", r"The other end in cens\(c, y2\) of the response .* numbers above y"),
        ("t | weights(-w) ~ x", "gamma", r"weights\(\) of the response .* finite numbers from 0"),
        ("t | weights(0 * w) ~ x", "gamma", "0 in every row"),
        ("t | trunc(lb=3) ~ x", "gamma", "outside the bounds"),
        ("t | trunc(lb=3, ub=2) ~ x", "gamma", "lb below ub"),
        ("t | se(s) ~ x", "gamma", r"family='gamma' takes no se\(\); 'gaussian', 'student_t' do"),
        ("t | rate(s) ~ x", "gamma", r"takes no rate\(\)"),
        ("b | cens(d) ~ x", "bernoulli", r"takes no cens\(\)"),
        ("t | se(0 * s) ~ x", "gaussian", "finite numbers above 0"),
        (
            "t | weights(word) ~ x",
            "gaussian",
            r"weights\(\) left of '~' reads 'word', which holds .*; it takes numbers",
        ),
        ("t | trunc(lb=word) ~ x", "gaussian", r"trunc\(\) left of '~' reads 'word'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(formula: str, family: str, said: str) -> None:
    with pytest.raises(bm.BayesmarginsError, match=said):
        bm.GLMM(formula, rows(), family=family)


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    t = rng.gamma(2.0, 1.0, N) + 0.05
    return pd.DataFrame(
        {
            "t": t,
            "t2": t + 1.0,
            "k": rng.poisson(2.0, N),
            "b": np.resize([0, 1], N),
            "d": np.resize([0, 1, 0, 0], N),
            "two": np.resize([0, 2], N),
            "word": np.resize(["none", "dead"], N),
            "said": np.resize(["none", "right"], N),
            "s": rng.uniform(0.5, 1.5, N),
            "w": rng.uniform(0.5, 2.0, N),
            "x": rng.normal(size=N),
            "g": np.repeat([f"g{i}" for i in range(8)], 5),
        }
    )


def test_known_errors_are_integrated_as_they_are_sampled() -> None:
    """Density of the integrated model against the multivariate normal one of the whole response."""
    data = rows()
    model = bm.GLMM("t | se(s) ~ x + (1 | g)", data)
    assert [v.name for v in model.pymc.free_RVs if v.name == "sigma"] == []
    likelihood, codes = model.likelihood, model.design.factors["g"].codes
    phi, root = np.array([[1.5, -0.3]]), np.array([[[0.8]]])
    mean = model.predictors["mu"].fixed.columns @ phi[0]
    together = np.diag(data.s**2) + 0.64 * (codes[:, None] == codes)
    wanted = stats.multivariate_normal(mean, together).logpdf(data.t)
    np.testing.assert_allclose(likelihood.log_likelihood(phi, [root], {}), wanted, rtol=1e-12)
    *_, d_roots, d_aux = likelihood.derivatives(phi, [root], {})
    assert d_aux == {}
    h = 1e-6
    moved = [likelihood.log_likelihood(phi, [root + d], {})[0] for d in (h, -h)]
    np.testing.assert_allclose(d_roots[0].ravel(), (moved[0] - moved[1]) / (2 * h), rtol=1e-6)


def test_meta_analysis_from_fit_to_margins(tmp_path: Any) -> None:
    """By the independent sampler, against the posterior on a grid; it needs no sigma, asks for se where y scatters."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"study": [f"s{i}" for i in range(12)], "sei": rng.uniform(0.1, 0.4, 12)})
    data["yi"] = 0.3 + 0.5 * rng.normal(size=12) + data.sei * rng.normal(size=12)
    model = bm.GLMM("yi | se(sei) ~ 1 + (1 | study)", data)
    post = model.fit(sampler="independent", random_seed=4, progressbar=False)
    assert post.info["group_effects"] == "integrated"
    assert not post.aux
    mu, tau = np.meshgrid(np.linspace(-1.5, 2.0, 351), np.linspace(0.002, 2.0, 300), indexing="ij")
    of_mu, of_tau = model.priors["Intercept"].parameters, model.priors["sd_study"].parameters
    log_p = stats.norm.logpdf(mu, of_mu["mu"], of_mu["sigma"]) + stats.halfnorm.logpdf(tau, 0.0, of_tau["sigma"])
    for y, se in zip(data.yi, data.sei, strict=True):
        log_p += stats.norm.logpdf(y, mu, np.hypot(tau, se))
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    draws, sd = post.draws.beta[:, 0], np.sqrt(post.draws.Sigma["study"][:, 0, 0])
    for found, grid in ((draws, mu), (sd, tau)):
        mean, scatter = (p * grid).sum(), np.sqrt((p * grid**2).sum() - (p * grid).sum() ** 2)
        ess = array_stats.ess(found.reshape(4, -1), chain_axis=0, draw_axis=1, method="mean")
        assert abs(found.mean() - mean) < 4.0 * scatter / np.sqrt(float(ess))
        assert abs(found.std() / scatter - 1.0) < 0.1
    wanted = np.sqrt(sd**2 + data.sei.to_numpy()[0] ** 2)
    found = bm.predictions(post, data.head(1), target=bm.sd())["estimate"].to_numpy().ravel()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    with pytest.raises(bm.EstimandError, match=r"gives each row its own.*bm.sd\(\)"):
        bm.variance_partition(post)
    with pytest.raises(bm.EstimandError, match=r"there is no sigma\. se\(\.\.\., sigma=True\) adds one"):
        bm.avg_predictions(post, target="sigma")
    post.save(tmp_path / "meta.nc")
    of_both = (bm.predictions(p, target=bm.exceeds(0.5))["estimate"] for p in (bm.load(tmp_path / "meta.nc"), post))
    np.testing.assert_array_equal(*of_both)
    with pytest.raises(bm.DataError, match="sei"):
        bm.predictions(post, pd.DataFrame({"study": ["s1"]}), target=bm.sd())
    new = bm.posterior_predictive(post, data, groups="sample", random_seed=1)["estimate"].to_numpy().reshape(-1, 12)
    np.testing.assert_allclose(new.std(axis=0), np.sqrt((sd**2).mean() + data.sei**2 + draws.var()), rtol=0.1)


@pytest.mark.usefixtures("uncompiled")
def test_rate_multiplies_the_shape_too() -> None:
    """As in brms: the sum of counts of ``t`` units, whose mean and shape are t times those of one."""
    data = rows().assign(time=4.0)
    prior = bm.GLMM("k | rate(time) ~ 1 + (1 | g)", data, family="negbinomial").prior(draws=20, random_seed=2)
    one = bm.predictions(prior, data.head(1), groups="zero", target=bm.exceeds(2))["estimate"].to_numpy().ravel()
    mu, shape = 4.0 * np.exp(prior.draws.beta[:, 0]), 4.0 * prior.draws.aux["shape"]
    np.testing.assert_allclose(one, stats.nbinom.sf(2, shape, shape / (shape + mu)), rtol=1e-9)
    np.testing.assert_allclose(
        bm.predictions(prior, data.head(1), groups="zero")["estimate"].to_numpy().ravel(), mu, rtol=1e-12
    )


def test_rates_belong_to_the_log_link() -> None:
    data, beta = rows(), np.zeros((1, 2, 1))
    with pytest.raises(bm.ModelError, match="under a log link, and the link is 'sqrt'"):
        bm.from_draws("k | rate(w) ~ 1", data, family="poisson", link="sqrt", beta=beta)
    post = bm.from_draws("k | rate(w) ~ 1", data, family="poisson", beta=beta)
    found = bm.predictions(post, data.assign(w=3.0))["estimate"]
    np.testing.assert_allclose(found, 3.0)


@pytest.mark.parametrize("more", ["", " + weights(w)"])
@pytest.mark.parametrize("distinct", [False, True])
def test_rates_in_pymc_have_the_density_of_scipy(more: str, distinct: bool) -> None:
    """A shape a row: what counts of one value share under one shape they do not share here."""
    data = rows().assign(time=lambda d: np.linspace(1.0, 3.0, len(d)))
    data["k"] = np.arange(len(data)) if distinct else data.k
    model = bm.GLMM(f"k | rate(time){more} ~ x + (1 | g)", data, family="negbinomial").pymc
    point = model.initial_point()
    point["shape_log__"] = np.array(np.log(1.7))
    found = model.compile_logp(vars=model.observed_RVs, sum=False, mode=interpreted())(point)[0]
    eta = np.log(data.time) + point["Intercept_centred"]
    assert not point["directions"].any()
    assert not point["z_g"].any()
    shape, mu = 1.7 * data.time, np.exp(eta)
    wanted = stats.nbinom.logpmf(data.k, shape, shape / (shape + mu)) * (data.w if more else 1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_nothing_lies_below_the_shift_of_a_lognormal_response() -> None:
    """A bound below ndt changes nothing, a row censored there neither; ndt is bounded by what was seen."""
    import pymc as pm

    data = rows()
    data["y"], data["c"] = data.t + 2.0, np.where(np.arange(N) == 3, 1, 0)
    data.loc[3, "y"] = 0.5
    model = bm.GLMM("y | cens(c) ~ x", data, family="shifted_lognormal")
    assert model.priors["ndt"].parameters["upper"] == data.y.drop(3).min()
    family = FAMILIES["shifted_lognormal"]
    with pm.Model(coords={"obs": range(N)}) as made:
        ndt = pm.Flat("ndt")
        o = Outcome(data.y.to_numpy(), cens=data.c.to_numpy(dtype=float), lb=np.zeros(N) + 0.1, ub=np.full(N, 99.0))
        eta = np.full(N, 0.3)
        family.pymc(pm, "y", values_at(LINKS["identity"], eta, {"sigma": np.array(0.7), "ndt": ndt}), o)
    p = values_at(LINKS["identity"], eta, {"sigma": np.array(0.7), "ndt": np.array(1.9)})
    found = made.compile_logp(vars=made.observed_RVs, mode=interpreted())({"ndt": np.array(1.9)})
    assert found == pytest.approx(float(family.log_likelihood(p, o).sum()), rel=1e-9)
    assert np.isfinite(made.compile_dlogp(mode=interpreted())({"ndt": np.array(1.9)})).all()


@pytest.mark.parametrize(
    ("formula", "family", "said"),
    [
        ("Surv(t, d) ~ x", "weibull", r"time \| cens\(1 - event\)"),
        ("t | weight(w) ~ x", "gamma", r"It is called weights\(\) here"),
        ("t | censored(d) ~ x", "gamma", r"It is called cens\(\) here"),
        ("k | rate(0 * w) ~ x", "poisson", "nothing can be counted in no time"),
        ("k | rate(w) ~ x + offset(log(w))", "poisson", "would grow with its square"),
    ],
)
def test_what_other_packages_write_is_answered(formula: str, family: str, said: str) -> None:
    with pytest.raises(bm.BayesmarginsError, match=said):
        bm.GLMM(formula, rows(), family=family)


def test_weights_of_two_are_rows_twice() -> None:
    data = rows()
    twice = pd.concat([data, data], ignore_index=True)
    for formula, family in (
        ("t | weights(two) ~ x + (1 | g)", "gaussian"),
        ("k | weights(two) ~ x + (1 | g)", "poisson"),
    ):
        weighed = bm.GLMM(formula, data.assign(two=2.0), family=family)
        doubled = bm.GLMM(formula.replace(" | weights(two)", ""), twice, family=family)
        point = (
            np.array([[0.7, 0.2]]),
            [np.array([[[0.4]]])],
            {"sigma": np.array([1.1])} if family == "gaussian" else {},
        )
        found, wanted = (m.likelihood.log_likelihood(*point) for m in (weighed, doubled))
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def truncated(name: str) -> bm.Posterior:
    """Two draws of a model with a random intercept whose response is seen between 1 and 6 only."""
    data = pd.DataFrame({"y": [1.0, 2, 3, 4], "g": ["a", "a", "b", "b"], "low": 1.0, "high": 6.0, "none": np.inf})
    aux = {k: np.full((1, 2), v) for k, v in CASES[name][0].items()}
    Sigma, b = np.array([[[[0.49]], [[1.21]]]]), np.array([[[[0.2], [-0.6]], [[1.0], [0.1]]]])
    given = {"beta": np.array([[[0.5], [1.1]]]), "Sigma": {"g": Sigma}, "b": {"g": b}, "aux": aux}
    return bm.from_draws("y | trunc(low, high) ~ 1 + (1 | g)", data, family=name, **given)


def mean_between(dist: Any, bounds: tuple[float, float], positive: bool) -> float:
    """E[y | lb <= y <= ub] by Gauss-Legendre panels, in log y where y is positive, else in asinh of its distance."""
    low = bounds[0] if np.isfinite(bounds[0]) else min(float(dist.isf(1.0 - 1e-15)), bounds[1] / 2.0)
    low = max(low, 1e-12) if positive else low
    high = bounds[1] if np.isfinite(bounds[1]) else max(float(dist.isf(1e-18)), 2.0 * low)
    x, w = np.polynomial.legendre.leggauss(20)
    middle = 0.0 if positive else float(dist.median())
    to, back = (np.log, np.exp) if positive else (lambda y: np.arcsinh(y - middle), lambda u: middle + np.sinh(u))
    ends = np.linspace(to(low), to(high), 61)
    half = np.diff(ends)[:, None] / 2.0
    u = ends[:-1, None] + half * (1.0 + x)
    y = back(u)
    log_mass = dist.logpdf(y) + np.log(half * w * (y if positive else np.cosh(u)))
    mass = np.exp(log_mass - log_mass.max())
    return float((mass * y).sum() / mass.sum())


@pytest.mark.parametrize("bounds", [(1.0, 6.0), (1.0, np.inf), (-np.inf, 6.0)])
@pytest.mark.parametrize("name", [name for name in CASES if FAMILIES[name].mean_between is not None])
def test_observed_means_over_new_groups_against_sums_and_quadrature(name: str, bounds: tuple[float, float]) -> None:
    """E over b of E[y | lb <= y <= ub, b], which is no mean of the truncated mixture."""
    post, family = truncated(name), FAMILIES[name]
    z, step = np.linspace(-6.0, 6.0, 121, retstep=True)

    def given_b(eta: float) -> float:
        dist = CASES[name][1](np.exp(eta) if family.links[0] == "log" else eta)
        if not family.discrete:
            return mean_between(dist, bounds, family.support.lowest == 0.0)
        k = np.arange(max(bounds[0], 0.0), min(bounds[1], 60.0 + 60.0 * np.exp(eta)) + 1.0)
        p = np.exp(dist.logpmf(k) - dist.logpmf(k).max())
        return float((k * p).sum() / p.sum())

    data = post.design.data.head(1).assign(low=bounds[0], high=bounds[1])
    found = np.asarray(bm.predictions(post, data, target="observed_mean")["estimate"])[0, :, 0]
    for value, beta, s in zip(found, post.draws.beta[:, 0], np.sqrt(post.draws.Sigma["g"][:, 0, 0]), strict=True):
        wanted = step * sum(stats.norm.pdf(x) * given_b(beta + s * x) for x in z)
        assert value == pytest.approx(wanted, rel=1e-6)


def test_observed_means_need_bounds() -> None:
    post = truncated("gaussian")
    said = bm.avg_predictions(post, target="observed_mean").attrs
    assert any("trapezoid, halved" in str(value) for value in said.values())  # and no closed form
    with pytest.raises(bm.DataError, match="low"):
        bm.predictions(post, pd.DataFrame({"g": ["a"]}), target="observed_mean")
    data = post.design.data
    plain = bm.from_draws("y ~ 1", data, family="gaussian", beta=np.zeros((1, 2, 1)), aux={"sigma": np.ones((1, 2))})
    with pytest.raises(bm.EstimandError, match=r"between the bounds of trunc\(\)"):
        bm.predictions(plain, target="observed_mean")


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_predictive_draws_of_a_truncated_response_are_those_that_can_be_observed(name: str) -> None:
    post = truncated(name)
    rows = pd.concat([post.design.data.head(1)] * 4000, ignore_index=True)
    y = np.asarray(bm.posterior_predictive(post, rows, random_seed=3)["estimate"])[0]
    assert ((y >= 1.0) & (y <= 6.0)).all()
    mean = np.asarray(bm.predictions(post, rows.head(1), target="observed_mean", groups="own")["estimate"])[0, :, 0]
    assert (np.abs(y.mean(axis=1) - mean) < 5.0 * y.std(axis=1) / np.sqrt(4000.0)).all()


def test_a_truncated_response_that_is_never_seen_is_refused() -> None:
    post = truncated("gaussian")
    far = post.design.data.head(1).assign(low=100.0, high=101.0)
    with pytest.raises(bm.EstimandError, match="too rare there"):
        bm.posterior_predictive(post, far, random_seed=1)
