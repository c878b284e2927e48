"""Targets beyond the mean: tails, quantiles and standard deviations of y, with b treated by every policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import reference
from scipy import optimize, stats
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS
from bayesmargins.family.mixture_of_y import Mixture, mixture
from bayesmargins.integrate.any_function import smooth_expectation
from bayesmargins.integrate.search import crossing, smallest_integer

MODELS = [
    ("y ~ x * f + (1 | g)", "bernoulli", "logit", 0),
    ("y ~ x + f + (1 + x | g) + (1 | h)", "bernoulli", "probit", 0),
    ("k | trials(n) ~ x + flag + (x || g)", "binomial", "logit", 2),
    ("k | trials(n) ~ x + (1 | g)", "binomial", "cloglog", 1),
    ("k ~ x + f + offset(log(e)) + (1 | g/h)", "poisson", "log", 3),
    ("k ~ x + (0 + x | g) + (1 | h)", "negbinomial", "log", 3),
    ("x ~ f + (1 | g) + (1 | h)", "gaussian", "identity", 0.5),
    ("e ~ f + (1 | g)", "gaussian", "log", 1.2),
]
TARGETS = [bm.exceeds(1), bm.quantile(0.8), bm.sd()]
IDS = [f"{m[1]}-{m[2]}" for m in MODELS]
CASES = {"b_bacteria": 0, "c_cbpp": 2, "d_sleep": 300, "f_grouse": 3, "k_epil": 8}
GRID = [(eta, s) for eta in (-6.0, -0.4, 3.0) for s in (0.0, 0.02, 1.0, 5.0)]


def one_group(family: str, link: str, eta: Any, s: Any, aux: float = 1.0, trials: float = 1.0) -> Mixture:
    eta, s = np.atleast_1d(eta).astype(float), np.atleast_1d(s).astype(float)
    both = {"sigma": np.full(len(s), aux), "shape": np.full(len(s), aux)}
    return mixture(
        FAMILIES[family], LINKS[link], eta[None], np.ones(1), s, both, np.full(len(s), trials, dtype=np.float64)
    )


def law(family: str, mu: Any, aux: float, n: float) -> Any:
    """y given its mean, as SciPy has it."""
    return {
        "gaussian": lambda: stats.norm(mu, aux),
        "bernoulli": lambda: stats.binom(1, mu),
        "binomial": lambda: stats.binom(n, mu),
        "poisson": lambda: stats.poisson(mu),
        "negbinomial": lambda: stats.nbinom(aux, aux / (aux + mu)),
    }[family]()


def by_legendre(f: Callable[[np.ndarray], np.ndarray], eta: float, s: float, turn: float) -> float:
    """E[f(eta + s Z)] by 24 Gauss-Legendre nodes on each of many intervals, which crowd where f turns."""
    if s == 0:
        return float(f(np.array([eta]))[0])
    near = (turn - eta) / s + np.outer([-1, 1], np.geomspace(1e-4, 13, 60)).ravel()
    edges = np.unique(np.concatenate([np.linspace(-13, 13, 131), near.clip(-13, 13)]))
    x, w = np.polynomial.legendre.leggauss(24)
    half = np.diff(edges)[:, None] / 2
    z = edges[:-1, None] + half * (1 + x)
    return float(np.sum(half * w * stats.norm.pdf(z) * f((eta + s * z).ravel()).reshape(z.shape)))


QUADRATURE = [
    ("bernoulli", "logit", 1.0, 1, 0, 0.0),
    ("binomial", "logit", 1.0, 10, 7, 1.0),
    ("binomial", "logit", 1.0, 400, 30, -2.5),
    ("binomial", "cloglog", 1.0, 12, 3, -1.0),
    ("binomial", "probit", 1.0, 12, 3, -0.5),
    ("poisson", "log", 1.0, 1, 0, 0.0),
    ("poisson", "log", 1.0, 1, 60, 4.1),
    ("negbinomial", "log", 0.8, 1, 4, 1.5),
    ("gaussian", "identity", 2.0, 1, 1.5, 1.5),
    ("gaussian", "log", 0.5, 1, 3.0, 1.1),
    ("gaussian", "log", 25.0, 1, 2.5, 3.2),
]


@pytest.mark.parametrize(("family", "link", "aux", "n", "c", "turn"), QUADRATURE)
def test_tails_over_new_groups_equal_quadrature_of_scipy_distributions(
    family: str, link: str, aux: float, n: float, c: float, turn: float
) -> None:
    y = one_group(family, link, *np.transpose(GRID), aux, n)
    at = np.full(len(GRID), float(c))
    for side, of in (("above", "sf"), ("below", "cdf")):
        found = y.tail(side, at)

        def f(x: np.ndarray, of: str = of) -> np.ndarray:
            return getattr(law(family, LINKS[link].inverse(x), aux, n), of)(c)

        wanted = np.array([by_legendre(f, eta, s, turn) for eta, s in GRID])
        np.testing.assert_allclose(found.value, wanted, rtol=1e-9, atol=1e-25)
        assert (np.abs(found.value - wanted) <= found.error + 2e-10 * wanted + 1e-25).all()
        assert (found.error <= 1e-12 * found.value + 1e-25).all()


# Where SciPy's distributions lose digits, or a small feature far out hides beneath a large constant.
HARD = [
    ("negbinomial", -9.0, 0.3, 200.0, 2.0),
    ("poisson", -9.0, 1.5, 1.0, 5.0),
    ("gaussian", -9.0, 2.5, 25.0, 2.5),
    ("gaussian", -3.0, 1.0, 1.0, 2.5),
    ("gaussian", 1.0, 3.0, 0.001, 7.0),
]


@pytest.mark.parametrize(("family", "eta", "s", "aux", "c"), HARD)
def test_hard_tails_equal_quadrature_with_more_digits(family: str, eta: float, s: float, aux: float, c: float) -> None:
    def above(mu: mp.mpf) -> mp.mpf:
        if family == "gaussian":
            return mp.ncdf((mu - c) / aux)
        if family == "poisson":
            return mp.gammainc(c + 1, 0, mu, regularized=True)
        return 1 - mp.betainc(aux, c + 1, 0, aux / (mu + aux), regularized=True)

    with mp.workdps(20):
        turn = (mp.log(c) - eta) / s
        near = [turn + k * sign * aux / (c * s) for k in (0.5, 2, 6, 20) for sign in (-1, 1)]
        marks = sorted({*mp.linspace(-13, 13, 27), *(m for m in (turn, *near) if abs(m) < 13)})
        wanted = float(mp.quad(lambda z: above(mp.exp(eta + s * z)) * mp.npdf(z), marks))
    found = one_group(family, "log", eta, s, aux).tail("above", np.array([c]))
    assert abs(found.value[0] / wanted - 1) < 2e-12


def test_steep_tails_cost_few_nodes_and_keep_their_digits() -> None:
    """10,000 trials: the tail is 50 times steeper than the link, 300 times with s = 6."""
    y = one_group("binomial", "logit", [0.0, 0.0, -2.0], [1.0, 6.0, 6.0], trials=1e4)
    found = y.tail("above", np.full(3, 5000.0))
    edge = -np.log(0.5 / 0.5)
    for eta, s, value in zip([0.0, 0.0, -2.0], y.s, found.value, strict=True):
        assert abs(value - stats.norm.sf((edge - eta) / s)) < 0.01 / s  # what a step would give
    assert found.nodes < 600
    assert (found.error < 1e-11).all()
    both = found.value + y.tail("below", np.full(3, 5000.0)).value
    np.testing.assert_allclose(both, 1.0, rtol=1e-12)


def test_error_is_estimated_and_not_assumed() -> None:
    """A step that is steeper than it is said to be: the estimate says so."""
    one = np.ones(1)
    result = smooth_expectation(lambda x, which: 1.0 * (x > 0.1234), 0 * one, one, 5 * one, one)
    true = stats.norm.sf(0.1234)
    assert abs(result.value[0] - true) > 1e-6
    assert result.error[0] > 0.01 * abs(result.value[0] - true)
    assert result.error[0] > 1e-9


def test_searches_find_what_scipy_finds() -> None:
    rng = np.random.default_rng(1)
    mu = 10 ** rng.uniform(-3, 7, 200)
    q = 0.73
    found = smallest_integer(
        lambda c, which: stats.poisson.cdf(c, mu[which]) >= q, rng.normal(size=200) * mu, mu / 50, np.full(200, np.inf)
    )
    np.testing.assert_array_equal(found, stats.poisson.ppf(q, mu))
    low, high = np.full(200, -40.0), np.full(200, 40.0)
    level = rng.uniform(0.001, 0.999, 200)
    x, other = crossing(lambda x, which: stats.norm.cdf(x) - level[which], low, high, np.full(200, 1e-12))
    np.testing.assert_allclose(x, stats.norm.ppf(level), atol=2e-12)
    assert (np.abs(other - x) <= 1e-12).all()


@pytest.mark.parametrize("q", [0.001, 0.25, 0.5, 0.9, 0.9999])
def test_quantile_of_a_gaussian_mixture_is_the_root_of_its_cdf(q: float) -> None:
    etas, weights, sigma, s = np.array([-3.0, 0.2, 5.0]), np.array([0.5, 0.3, 0.2]), 0.7, 1.1
    y = mixture(
        FAMILIES["gaussian"],
        LINKS["identity"],
        etas[:, None],
        weights,
        np.array([s]),
        {"sigma": np.array([sigma])},
        np.ones(1),
    )
    wanted = optimize.brentq(lambda x: weights @ stats.norm.cdf(x, etas, np.hypot(sigma, s)) - q, -40, 40, xtol=1e-13)
    np.testing.assert_allclose(y.quantile(q).value, wanted, rtol=1e-11)


@pytest.mark.parametrize("q", [0.01, 0.5, 0.95])
def test_quantile_under_a_log_link_has_its_probability(q: float) -> None:
    y = one_group("gaussian", "log", [-2.0, 1.0, 3.0], [0.5, 2.0, 0.0], 0.4)
    found = y.quantile(q)
    np.testing.assert_allclose(y.tail("below", found.value).value, q, rtol=1e-9)
    assert (found.error < 1e-9).all()
    np.testing.assert_allclose(found.value[2], stats.norm.ppf(q, np.exp(3.0), 0.4), rtol=1e-12)


@pytest.mark.parametrize(("formula", "family", "link", "c"), MODELS, ids=IDS)
def test_given_b_targets_are_those_of_scipy(formula: str, family: str, link: str, c: float) -> None:
    data = simulated()
    post = random_posterior(formula, data, family, link)
    for groups in ("zero", "own"):
        eta = values(bm.predictions(post, groups=groups, target="link"))
        n = data["n"].to_numpy() if family == "binomial" else 1
        y, sd = law(family, LINKS[link].inverse(eta), 1.3, n), None
        if LINKS[link].bounded:  # SciPy's own takes 1 - p, which has no digits where p is nearly 1
            sd = np.sqrt(n * LINKS[link].inverse(eta) * LINKS[link].complement(eta))
        sd = y.std() if sd is None else sd
        for target, wanted in ((bm.exceeds(c), y.sf(c)), (bm.sd(), sd), (bm.quantile(0.7), y.ppf(0.7))):
            found = values(bm.predictions(post, groups=groups, target=target))
            np.testing.assert_allclose(found, wanted, rtol=1e-11, err_msg=str(target))


@pytest.mark.parametrize("groups", ["new", "existing", "own", "zero"])
def test_tails_of_counts_sum_to_their_moments(groups: str) -> None:
    """E[y] = sum of P(y > c) and E[y^2] = sum of (2 c + 1) P(y > c): the mean has an engine of its own."""
    post = _thinned(reference.posterior("c_cbpp"))
    ask = {"newdata": post.design.data.head(3), "groups": groups}
    mean, sd = (values(bm.predictions(post, target=t, **ask)) for t in ("count", bm.sd()))
    last = int(ask["newdata"]["size"].max())
    tails = [values(bm.predictions(post, target=bm.exceeds(c), **ask)) for c in range(last)]
    np.testing.assert_allclose(np.sum(tails, axis=0), mean, rtol=1e-11)
    second = np.sum([(2 * c + 1) * tail for c, tail in enumerate(tails)], axis=0)
    np.testing.assert_allclose(np.sqrt(second - mean**2), sd, rtol=1e-10)


@pytest.mark.parametrize(
    ("family", "eta", "s"), [("poisson", 0.5, 0.6), ("negbinomial", -0.4, 0.5), ("poisson", 2.0, 0)]
)
def test_tails_without_an_end_sum_to_closed_moments(family: str, eta: float, s: float) -> None:
    c = np.arange(4000.0)
    y = one_group(family, "log", np.full(4000, eta), np.full(4000, s), 1.4)
    tails = y.tail("above", c).value
    assert tails[-1] < 1e-16
    mean = np.exp(eta + s**2 / 2)
    np.testing.assert_allclose(tails.sum(), mean, rtol=1e-11)
    np.testing.assert_allclose(y.sd().value[0], np.sqrt(((2 * c + 1) * tails).sum() - mean**2), rtol=1e-9)


def _thinned(post: bm.Posterior) -> bm.Posterior:
    design = post.design
    cut = {"chain": slice(0, 1), "draw": slice(0, 4)}
    return bm.from_draws(
        design.formula,
        design.data,
        family=post.family.name,
        link=post.link.name,
        beta=post.beta.isel(cut).to_numpy(),
        b={f: v.isel(cut).to_numpy() for f, v in post.b.items()},
        Sigma={f: v.isel(cut).to_numpy() for f, v in post.Sigma.items()},
        aux={k: v.isel(cut).to_numpy() for k, v in post.aux.items()},
    )


def test_gaussian_targets_over_new_groups_have_closed_forms() -> None:
    post = reference.posterior("d_sleep")
    eta, days = values(bm.predictions(post, target="link")), post.design.data["Days"].to_numpy()
    Sigma, sigma = post.Sigma["Subject"].to_numpy(), post.aux["sigma"].to_numpy()[..., None]
    z = np.column_stack([np.ones_like(days), days])
    tau = np.sqrt(sigma**2 + np.einsum("rp,cdpq,rq->cdr", z, Sigma, z))
    for target, wanted in (
        (bm.exceeds(300), stats.norm.sf(300, eta, tau)),
        (bm.exceeds(900), stats.norm.sf(900, eta, tau)),
        (bm.quantile(0.05), stats.norm.ppf(0.05, eta, tau)),
        (bm.sd(), tau),
    ):
        ds = bm.predictions(post, target=target)
        np.testing.assert_allclose(values(ds), wanted, rtol=1e-11)
        assert ds.attrs["integration_method"] == "closed form"
        assert ds.attrs["error_estimate"] == 0
        assert "error_bound" not in ds.attrs


def test_sd_over_new_groups_is_that_of_the_lognormal_mixture() -> None:
    post = reference.posterior("f_grouse")
    eta = values(bm.predictions(post, target="link"))
    s2 = sum(v.to_numpy()[..., 0] for v in post.Sigma.values())
    mu = np.exp(eta + s2 / 2)
    shape = post.aux["shape"].to_numpy()[..., None]
    wanted = np.sqrt(mu + mu**2 * np.exp(s2) / shape + mu**2 * (np.exp(s2) - 1))
    np.testing.assert_allclose(values(bm.predictions(post, target=bm.sd())), wanted, rtol=1e-12)


def test_a_binary_response_has_all_targets_from_its_probability() -> None:
    post = reference.posterior("b_bacteria")
    for groups in ("new", "existing", "own", "zero"):
        p = values(bm.predictions(post, groups=groups))
        for target, wanted in (
            (bm.exceeds(0), p),
            (bm.exceeds(0.99), p),
            (bm.exceeds(-0.01), np.ones_like(p)),
            (bm.exceeds(1), np.zeros_like(p)),
            (bm.sd(), np.sqrt(p * (1 - p))),
            (bm.quantile(0.3), (1 - p < 0.3) * 1.0),
        ):
            found = values(bm.predictions(post, groups=groups, target=target))
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-15, err_msg=f"{target} {groups}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("groups", ["new", "existing", "own"])
def test_quantile_is_the_smallest_value_that_reaches_q(name: str, groups: str) -> None:
    post = _thinned(reference.posterior(name))
    rows = post.design.data.iloc[:: max(1, len(post.design.data) // 6)]
    for q in (0.2, 0.95):
        found = values(bm.predictions(post, rows, groups=groups, target=bm.quantile(q)))
        for value in np.unique(found)[:40]:
            at = found == value
            above = values(bm.predictions(post, rows, groups=groups, target=bm.exceeds(value)))[at]
            if post.family.name == "gaussian":
                np.testing.assert_allclose(above, 1 - q, rtol=1e-9)
                continue
            assert (above <= 1 - q).all()
            if value > 0:
                before = values(bm.predictions(post, rows, groups=groups, target=bm.exceeds(value - 1)))[at]
                assert (before > 1 - q).all()


@pytest.mark.parametrize("name", CASES)
def test_targets_over_new_groups_are_frequencies_of_simulated_responses(name: str) -> None:
    """20 seeds of one new group a label, each with new observations: means of seeds scatter as seeds do."""
    post, c = reference.posterior(name), CASES[name]
    rows = post.design.data.iloc[:: max(1, len(post.design.data) // 40)]
    ask = {"newdata": rows, "groups": "new"}
    unit = "count" if name == "c_cbpp" else "mean"
    above, q90, sd, mean = (
        values(bm.predictions(post, target=t, **ask)) for t in (bm.exceeds(c), bm.quantile(0.9), bm.sd(), unit)
    )
    gaps = []
    for seed in range(20):
        y = values(bm.posterior_predictive(post, rows, groups="sample", random_seed=seed))
        beyond, scatter = ((y > c) - above).mean(), (np.minimum((y - mean) ** 2 / sd**2, 50) - 1).mean()
        under = ((y <= q90).mean() - 0.9, 0.9 - (y < q90).mean())
        gaps.append([beyond, scatter, *under])
    middle, error = np.mean(gaps, axis=0), np.std(gaps, axis=0, ddof=1) / np.sqrt(20)
    assert abs(middle[0]) < 4 * error[0]
    assert error[0] < 0.01  # else the comparison says nothing
    if name != "f_grouse":  # squares of so heavy a tail do not average out; its sd has a closed form, tested above
        assert abs(middle[1]) < max(4 * error[1], 0.02)  # the largest squares are cut off
    assert middle[2] > -4 * error[2]
    assert middle[3] > -4 * error[3]
    if name == "d_sleep":
        assert abs(middle[2]) < 4 * error[2]


@pytest.mark.parametrize(("formula", "family", "link", "c"), MODELS, ids=IDS)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_average_is_the_mean_of_the_rows(formula: str, family: str, link: str, c: float, target: Any) -> None:
    post = random_posterior(formula, simulated(), family, link)
    w = simulated()["w"].to_numpy()
    for policy in ("new", "own"):
        rows = values(bm.predictions(post, groups=policy, target=target))
        averaged = values(bm.avg_predictions(post, groups=policy, target=target))
        np.testing.assert_allclose(averaged, rows.mean(axis=-1), rtol=1e-12)
        weighted = values(bm.avg_predictions(post, groups=policy, target=target, wts="w"))
        np.testing.assert_allclose(weighted, rows @ w / w.sum(), rtol=1e-12)


@pytest.mark.parametrize(("formula", "family", "link", "c"), MODELS, ids=IDS)
def test_existing_tails_are_the_mean_over_named_groups(formula: str, family: str, link: str, c: float) -> None:
    """And its quantile is that of the mixture."""
    data = simulated()
    post = random_posterior(formula.replace("(1 | g/h)", "(1 | g)").split(" + (1 | h)")[0], data, family, link)
    if list(post.design.factors) != ["g"]:
        pytest.skip("one factor only")
    named = {"g": list(post.design.factors["g"].levels)}
    target = bm.exceeds(c)
    each = bm.predictions(post, data.head(9), groups=named, target=target)
    mixed = values(bm.predictions(post, data.head(9), groups="existing", target=target))
    np.testing.assert_allclose(mixed, each["estimate"].mean("g").to_numpy(), rtol=1e-12)
    mean, sd = (bm.predictions(post, data.head(9), groups=named, target=t)["estimate"] for t in (_count(post), bm.sd()))
    total = np.sqrt((sd**2).mean("g") + mean.var("g")).to_numpy()
    np.testing.assert_allclose(
        values(bm.predictions(post, data.head(9), groups="existing", target=bm.sd())), total, rtol=1e-10
    )


def test_existing_groups_of_one_factor_and_new_ones_of_another_are_mixed() -> None:
    data = simulated()
    post = random_posterior("k ~ x + (1 | g) + (1 | h)", data, "poisson")
    levels = list(post.design.factors["g"].levels)
    rows = data.head(5)
    mixed, each = ({"g": "existing", "h": "new"}, {"g": levels, "h": "new"})
    tails = bm.predictions(post, rows, groups=each, target=bm.exceeds(2))["estimate"].mean("g")
    found = bm.predictions(post, rows, groups=mixed, target=bm.exceeds(2))
    np.testing.assert_allclose(values(found), tails.to_numpy(), rtol=1e-11)
    mean, sd = (bm.predictions(post, rows, groups=each, target=t)["estimate"] for t in ("mean", bm.sd()))
    total = np.sqrt((sd**2).mean("g") + mean.var("g")).to_numpy()
    np.testing.assert_allclose(values(bm.predictions(post, rows, groups=mixed, target=bm.sd())), total, rtol=1e-10)


def _count(post: bm.Posterior) -> str:
    return "count" if post.family.name == "binomial" else "mean"


@pytest.mark.parametrize(("formula", "family", "link", "c"), MODELS, ids=IDS)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_vanishing_variance_turns_new_into_zero(formula: str, family: str, link: str, c: float, target: Any) -> None:
    post = random_posterior(formula, simulated(), family, link)
    none = {f: 0.0 * v.to_numpy() for f, v in post.Sigma.items()}
    little = {f: 1e-22 * v.to_numpy() for f, v in post.Sigma.items()}
    zero = values(bm.predictions(post, groups="zero", target=target))
    for Sigma, rtol in ((none, 1e-13), (little, 1e-8)):
        aux = {k: v.to_numpy() for k, v in post.aux.items()}
        flat = bm.from_draws(
            formula, simulated(), family=family, link=link, beta=post.beta.to_numpy(), Sigma=Sigma, aux=aux
        )
        found = values(bm.predictions(flat, target=target))
        if isinstance(target, type(bm.quantile(0.5))) and FAMILIES[family].discrete:
            assert (found == zero).mean() > 0.99
        else:
            # of 1 - h under cloglog the engine promises 22 decimals, and the sd has the square root of it
            np.testing.assert_allclose(found, zero, rtol=rtol, atol=1e-13)


def test_order_of_rows_and_units_of_x_change_nothing() -> None:
    formula, data = "k | trials(n) ~ x + (1 + x | g)", simulated()
    post = random_posterior(formula, data, "binomial")
    turn = np.random.default_rng(2).permutation(len(data))
    scaled = data.assign(x=data.x * 100)
    factor = np.array([1.0, 0.01])
    again = bm.from_draws(
        formula,
        scaled,
        family="binomial",
        beta=post.beta.to_numpy() * factor,
        b={"g": post.b["g"].to_numpy() * factor},
        Sigma={"g": post.Sigma["g"].to_numpy() * factor[:, None] * factor},
    )
    for target in TARGETS:
        for groups in ("new", "existing", "own"):
            found = values(bm.predictions(post, groups=groups, target=target))
            shuffled = values(bm.predictions(post, data.iloc[turn], groups=groups, target=target))
            np.testing.assert_allclose(shuffled, found[..., turn], rtol=1e-12)
            np.testing.assert_allclose(values(bm.predictions(again, groups=groups, target=target)), found, rtol=1e-9)


@pytest.mark.parametrize("comparison", ["difference", "ratio", "lift", "lnratio", "lnor", "or"])
def test_comparisons_compare_two_averaged_targets(comparison: str) -> None:
    post = reference.posterior("c_cbpp")
    at = bm.avg_predictions(post, at={"period": ["1", "4"]}, target=bm.exceeds(2))
    low, high = at["estimate"].sel(period="1"), at["estimate"].sel(period="4")
    with np.errstate(all="ignore"):
        odds = (high / (1 - high)) / (low / (1 - low))
    wanted = {
        "difference": high - low,
        "ratio": high / low,
        "lift": high / low - 1,
        "lnratio": np.log(high / low),
        "lnor": np.log(odds),
        "or": odds,
    }[comparison]
    found = bm.avg_comparisons(post, {"period": ("1", "4")}, target=bm.exceeds(2), comparison=comparison)
    np.testing.assert_allclose(values(found)[..., 0], wanted.to_numpy(), rtol=1e-10)


def test_odds_of_a_nearly_certain_event_keep_their_digits() -> None:
    """P(y <= 0) of 1e-17 and less: 1 - P(y > 0) would be 0."""
    data = simulated()
    beta = np.zeros((1, 1, 2)) + np.array([3.8, 0.5])
    post = bm.from_draws(
        "k ~ x + (1 | g)", data, family="poisson", beta=beta, Sigma={"g": np.full((1, 1, 1, 1), 1e-30)}
    )
    rows = data.assign(x=0.0).head(1)
    found = bm.comparisons(post, {"x": (0.0, 0.1)}, newdata=rows, target=bm.exceeds(0), comparison="lnor")
    wanted = np.diff([np.log(np.expm1(np.exp(3.8 + 0.5 * x))) for x in (0.0, 0.1)])
    np.testing.assert_allclose(values(found).ravel(), wanted, rtol=1e-12)


def test_unit_level_comparisons_at_and_by_obey_the_target() -> None:
    post = reference.posterior("f_grouse")
    rows = post.design.data.head(5)
    for target in (bm.exceeds(3), bm.quantile(0.9), bm.sd()):
        cube = bm.predictions(post, rows, at={"YEAR": ["95", "96"]}, target=target)["estimate"]
        found = bm.comparisons(post, {"YEAR": ("95", "96")}, newdata=rows, target=target)
        np.testing.assert_allclose(
            values(found)[:, :, 0], (cube.sel(YEAR="96") - cube.sel(YEAR="95")).to_numpy(), rtol=1e-9, atol=1e-13
        )
        by = bm.avg_predictions(post, post.design.data.groupby("YEAR", observed=True).head(2), by="YEAR", target=target)
        assert dict(by.sizes) == {"chain": 4, "draw": 50, "YEAR": 3}


def test_trials_set_by_at_move_counts() -> None:
    post = reference.posterior("c_cbpp")
    ds = bm.avg_predictions(post, at={"size": [1, 10]}, target=bm.exceeds(0))
    one = bm.avg_predictions(post)
    np.testing.assert_allclose(ds["estimate"].sel(size=1).to_numpy(), values(one), rtol=1e-11)
    assert (ds["estimate"].sel(size=10) > ds["estimate"].sel(size=1)).all()


def test_parameters_are_targets_by_their_names() -> None:
    sleep, grouse = reference.posterior("d_sleep"), reference.posterior("f_grouse")
    sigma = bm.avg_predictions(sleep, target="sigma")
    np.testing.assert_allclose(values(sigma), sleep.aux["sigma"].to_numpy(), rtol=1e-14)
    assert bm.describe(sigma).startswith("Average parameter sigma (the standard deviation within a group) of Reaction")
    assert "the same in all groups" in bm.describe(sigma)
    rows = bm.predictions(grouse, grouse.design.data.head(2), target="shape", groups="own")
    np.testing.assert_array_equal(values(rows)[..., 1], grouse.aux["shape"].to_numpy())
    assert rows.attrs["target"] == rows.attrs["scale"] == "shape"


def test_missing_trials_give_missing_values_and_stop_averages() -> None:
    post = random_posterior("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    rows = simulated().head(4).assign(n=[3.0, np.nan, 2.0, 0.0])
    for target in TARGETS:
        found = values(bm.predictions(post, rows, target=target))
        assert np.isnan(found[..., 1]).all()
        assert np.isfinite(found[..., [0, 2, 3]]).all()
        assert (found[..., 3] == 0).all()
        with pytest.raises(bm.DataError, match="missing trials"):
            bm.avg_predictions(post, rows, target=target)
    with pytest.raises(bm.DataError, match="'n'"):
        bm.predictions(post, rows.drop(columns="n"), target=bm.sd())
    without = rows.drop(columns="n")
    assert np.isfinite(values(bm.predictions(post, without))).all()


def test_rows_with_missing_covariates_are_nan() -> None:
    post = reference.posterior("k_epil")
    rows = post.design.data.head(3).assign(per=[0.5, np.nan, 0.5])
    with pytest.warns(bm.BayesmarginsWarning, match="Their estimates are NaN"):
        found = values(bm.predictions(post, rows, target=bm.exceeds(3)))
    np.testing.assert_array_equal(np.isnan(found[0, 0]), [False, True, False])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT", "ns")], ids=str)
def test_a_column_without_a_value_is_missing_in_every_question(missing: Any) -> None:
    """Whichever type it has: nothing in it is no number."""
    post = reference.posterior("b_bacteria")
    rows = post.design.data.head(3).assign(week=pd.Series([missing] * 3))
    said = r"3 of 3 rows of newdata have missing values, by column: \{'week': 3\}"
    for question in (bm.predictions, bm.posterior_predictive):
        with pytest.warns(bm.BayesmarginsWarning, match=said):
            assert np.isnan(values(question(post, rows, groups="own"))).all()
    with pytest.raises(bm.DataError, match=said):
        bm.avg_predictions(post, rows)


def test_results_do_not_depend_on_threads_or_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesmargins.evaluate import distribution

    post = reference.posterior("k_epil")
    for target in TARGETS:
        whole = values(bm.predictions(post, groups="new", target=target))
        with monkeypatch.context() as patch, bm.options(threads=1):
            patch.setattr(distribution, "BLOCK_VALUES", 3000)
            patch.setattr(distribution, "TASK_VALUES", 300)
            np.testing.assert_allclose(values(bm.predictions(post, target=target)), whole, rtol=1e-11)


def test_sentences_scales_and_attributes_say_what_was_computed() -> None:
    post = reference.posterior("f_grouse")
    exceeds = bm.avg_predictions(post, target=bm.exceeds(2))
    assert bm.describe(exceeds).startswith("Average probability that TICKS exceeds 2, over the 403 rows")
    assert "makes it a population average" in bm.describe(exceeds)
    assert (exceeds.attrs["target"], exceeds.attrs["scale"]) == ("exceeds(2)", "P(y > 2)")
    assert 0 < exceeds.attrs["error_estimate"] < 1e-11
    quantile = bm.avg_predictions(post, target=bm.quantile(0.9))
    assert bm.describe(quantile).startswith("Average 0.9 quantile of TICKS taken row by row, over")
    assert "of the marginal distribution over new groups of BROOD and LOCATION" in bm.describe(quantile)
    sd = bm.avg_comparisons(post, "YEAR", target=bm.sd(), groups="existing", comparison="ratio")
    assert bm.describe(sd).startswith(
        "Ratio of the average standard deviation of TICKS taken row by row (YEAR: 96 / 95"
    )
    assert "of the distribution over the 118 fitted groups" in bm.describe(sd)
    assert bm.summary(sd).columns.name == "ratio of standard deviation" or "ratio of standard deviation" in str(
        bm.summary(sd)
    )
    zero = bm.avg_predictions(post, target=bm.sd(), groups="zero")
    assert "which leaves out how groups differ" in bm.describe(zero)


def test_only_targets_that_grow_without_bound_are_warned_of() -> None:
    post = reference.posterior("k_epil")
    with pytest.warns(bm.BayesmarginsWarning, match="may not exist"):
        bm.summary(bm.avg_predictions(post, target=bm.sd()), point="mean")
    bm.summary(bm.avg_predictions(post, target=bm.exceeds(1)), point="mean")


def test_results_come_back_from_netcdf_the_same(tmp_path: Any) -> None:
    import xarray as xr

    ds = bm.avg_comparisons(reference.posterior("c_cbpp"), "period", target=bm.exceeds(1))
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, ds)


POST = reference.posterior("b_bacteria")
SLEEP = reference.posterior("d_sleep")
CATEGORY = bm.exceeds("2")
REFUSED: list[tuple[str, Callable[[], Any]]] = [
    (r"exceeds\(c=inf\).*finite", lambda: bm.exceeds(np.inf)),
    (r"exceeds\('2'\): a response of family='bernoulli' is a number", lambda: bm.predictions(POST, target=CATEGORY)),
    (r"exceeds\(c=\[1, 2\]\)", lambda: bm.exceeds([1, 2])),  # type: ignore[arg-type]
    (r"between 0 and 1", lambda: bm.quantile(1.0)),
    (r"The 90 % quantile is quantile\(0.9\)", lambda: bm.quantile(90)),
    (r"between 0 and 1", lambda: bm.quantile(float("nan"))),
    (r"allowed are mean, link, count, sigma, bm.exceeds.*target=bm.sd\(\)", lambda: bm.predictions(SLEEP, target="sd")),
    (r"target=bm.exceeds\(2\)", lambda: bm.predictions(POST, target=bm.exceeds)),  # type: ignore[arg-type]
    (r"'sigma' is no parameter of family='bernoulli'; it has none", lambda: bm.predictions(POST, target="sigma")),
    (r"family='gaussian'; its parameter is 'sigma'", lambda: bm.predictions(SLEEP, target="shape")),
    (r"exceeds\(0\) has no slope here.*avg_comparisons", lambda: bm.avg_slopes(POST, "week", target=bm.exceeds(0))),
    (r"target='sigma'\) has its change", lambda: bm.slopes(SLEEP, "Days", target="sigma")),
    (r"compares odds.*'sd\(\)'", lambda: bm.avg_comparisons(POST, "trt", target=bm.sd(), comparison="or")),
    (r"posterior_predictive does not take target=sd\(\)", lambda: bm.posterior_predictive(POST, target=bm.sd())),  # type: ignore[call-arg]
]  # fmt: skip


@pytest.mark.parametrize(("words", "question"), REFUSED)
def test_what_cannot_be_answered_is_refused_in_words(words: str, question: Callable[[], Any]) -> None:
    with pytest.raises(bm.EstimandError, match=words):
        question()


def test_a_posterior_without_its_parameters_has_no_tails() -> None:
    design = SLEEP.design
    bare = bm.from_draws(
        design.formula,
        design.data,
        family="gaussian",
        beta=SLEEP.beta.to_numpy(),
        Sigma={f: v.to_numpy() for f, v in SLEEP.Sigma.items()},
    )
    for target in ("sigma", bm.exceeds(300), bm.quantile(0.5), bm.sd()):
        with pytest.raises(bm.PosteriorError, match="needs draws of 'sigma'"):
            bm.avg_predictions(bare, target=target)
    assert np.isfinite(values(bm.avg_predictions(bare))).all()


def test_a_tail_that_cannot_be_integrated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesmargins.integrate import any_function

    monkeypatch.setattr(any_function, "_LEVELS", 1)
    post = random_posterior("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    with pytest.raises(bm.IntegrationError, match="so steeply"):
        bm.predictions(post, simulated().assign(n=500), target=bm.exceeds(40))
