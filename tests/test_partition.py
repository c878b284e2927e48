"""Shares of variance: dense sums, simulation, closed forms and published numbers; laws under recodings."""

from __future__ import annotations

from functools import cache

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import reference
from scipy.special import expit, ndtr, owens_t
from test_laws import in_basis, rewritten
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.family import get_link
from bayesmargins.integrate import between, expectation

H = {
    "logit": expit,
    "probit": ndtr,
    "cloglog": lambda e: -np.expm1(-np.exp(e)),
    "log": np.exp,
    "identity": lambda e: e,
}


def grid(step: float) -> tuple[np.ndarray, np.ndarray]:
    z = step * np.arange(-round(12 / step), round(12 / step) + 1)
    return z, step / np.sqrt(2 * np.pi) * np.exp(-0.5 * z**2)


Z, W = grid(0.06)


def shares(post: bm.Posterior, newdata: pd.DataFrame | None = None, **how: object) -> np.ndarray:
    """(draw, quantity)."""
    found = values(bm.variance_partition(post, newdata, **how))
    return found.reshape(-1, found.shape[-1])


def total_variance(post: bm.Posterior, k: int, mean: np.ndarray, between_groups: np.ndarray) -> np.ndarray:
    aux = {name: float(v[k]) for name, v in post.draws.aux.items()}
    if post.link.bounded:
        return mean * (1 - mean)
    if post.family.name == "gaussian":
        return between_groups + aux["sigma"] ** 2
    return between_groups + mean + (between_groups + mean**2) / aux.get("shape", np.inf)


def dense(post: bm.Posterior, k: int) -> dict[str, float]:
    """Shares of one draw, on the response scale, over a dense grid of z for each factor (at most two factors)."""
    rows, h = post.design.rows(post.design.data), H[post.link.name]
    eta = rows.X @ post.draws.beta[k] + rows.offset
    s = [np.sqrt(np.einsum("rp,pq,rq->r", rows.Z[f], Sigma[k], rows.Z[f])) for f, Sigma in post.draws.Sigma.items()]
    s += [np.zeros(len(eta))] * (2 - len(s))
    at = eta[:, None, None] + s[0][:, None, None] * Z[:, None] + s[1][:, None, None] * Z  # (row, first, second)
    given = h(at)
    mean = given @ W @ W
    of = {
        "both": (given**2) @ W @ W - mean**2,
        "first": (given @ W) ** 2 @ W - mean**2,
        "second": (np.swapaxes(given, 1, 2) @ W) ** 2 @ W - mean**2,
    }
    variance = total_variance(post, k, mean, of["both"]).mean()
    return {name: v.mean() / variance for name, v in of.items()} | {
        "marginal": mean.var() / (mean.var() + variance),
        "conditional": (mean.var() + of["both"].mean()) / (mean.var() + variance),
    }


MODELS = [
    ("y ~ x + f + (1 + x | g) + (1 | h)", "bernoulli", "logit"),
    ("y ~ x + (1 | g) + (1 | h)", "bernoulli", "cloglog"),
    ("y ~ x + (0 + x | g) + (1 + x | h)", "bernoulli", "cloglog"),
    ("k | trials(n) ~ x + (1 | g) + (1 | h)", "binomial", "logit"),
    ("y ~ x + f + offset(e) + (1 + x | g) + (1 | h)", "bernoulli", "probit"),
    ("y ~ x * f + (1 + x | g)", "bernoulli", "logit"),
    ("k ~ x + offset(log(e)) + (1 | g) + (1 | h)", "poisson", "log"),
    ("k ~ x + (1 | g) + (1 | h)", "negbinomial", "log"),
    ("x ~ f + w + (1 + w | g) + (1 | h)", "gaussian", "identity"),
]


@pytest.mark.parametrize(("formula", "family", "link"), MODELS)
def test_response_scale_is_that_of_a_dense_sum(formula: str, family: str, link: str) -> None:
    post = random_posterior(formula, simulated().head(24), family, link)
    post = rewritten(post, Sigma={f: 0.3 * S.to_numpy() for f, S in post.Sigma.items()})
    ds = bm.variance_partition(post)
    found = ds["estimate"].sel(quantity=ds["scale"] == "response").to_numpy().reshape(10, -1)
    two = len(post.design.factors) > 1
    names = ["first", "second", "both", "marginal", "conditional"] if two else ["first", "marginal", "conditional"]
    for k in (0, 7):
        expected = dense(post, k)
        np.testing.assert_allclose(found[k], [expected[n] for n in names], rtol=1e-8, atol=1e-11)
    assert ds.attrs["error_estimate"] < 1e-8


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "negbinomial"])
def test_link_scale_is_that_of_the_formulas(family: str) -> None:
    """Nakagawa & Schielzeth 2013, Johnson 2014, Nakagawa, Johnson & Schielzeth 2017, row by row."""
    post = random_posterior("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), family)
    ds = bm.variance_partition(post)
    found = ds["estimate"].sel(quantity=ds["scale"] == "link").to_numpy().reshape(10, -1)
    rows = post.design.rows(post.design.data)
    fixed = (post.draws.beta @ rows.X.T).var(axis=1)
    groups = [
        np.mean([np.einsum("p,dpq,q->d", z, Sigma, z) for z in rows.Z[f]], axis=0)
        for f, Sigma in post.draws.Sigma.items()
    ]
    if family == "bernoulli":
        residual = np.full(10, np.pi**2 / 3)
    else:
        inverse = 1 / values(bm.avg_predictions(post)).ravel()
        residual = np.log(1 + inverse + (1 / 1.3 if family == "negbinomial" else 0))
    within = sum(groups) + residual
    expected = [*(v / within for v in groups), sum(groups) / within]
    expected += [fixed / (fixed + within), (fixed + sum(groups)) / (fixed + within)]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-12)


def test_sleepstudy_has_the_published_r2_and_icc() -> None:
    """lme4's estimates (Bates et al. 2015, section 5.2), and what performance::r2 and icc print for them.

    R's var() divides the variance of X beta by n - 1 where this package divides by n: 180 rows.
    """
    data = bm.load_dataset("sleepstudy")
    sd, cor, one = np.array([24.7405, 5.9221]), 0.066, np.ones((1, 1))
    Sigma = np.outer(sd, sd) * [[1, cor], [cor, 1]]
    post = bm.from_draws(
        "Reaction ~ Days + (1 + Days | Subject)", data, family="gaussian", beta=one[..., None] * [251.405, 10.467],
        Sigma={"Subject": one[..., None, None] * Sigma}, aux={"sigma": one * 25.5918},
    )  # fmt: skip
    icc, marginal, conditional = shares(post)[0]
    fixed = marginal / (1 - marginal) * 180 / 179  # in units of the variance at fixed covariates
    published = np.array([0.722, 0.279, 0.799])
    np.testing.assert_allclose([icc, fixed / (fixed + 1), (fixed + icc) / (fixed + 1)], published, atol=6e-4)
    assert 0.001 < published[1] - marginal < 0.0025
    assert conditional == pytest.approx(0.7986, abs=6e-4)


def test_vpc_is_the_correlation_of_two_simulated_responses_of_a_group() -> None:
    """Goldstein, Browne & Rasbash 2002, method B: draw groups, and responses in them."""
    case = reference.posterior("b_bacteria")
    row, k, n = case.design.data.iloc[[10]], 17, 400_000
    rows, rng = case.design.rows(row), np.random.default_rng(1)
    eta, s = float(rows.X[0] @ case.draws.beta[k]), float(np.sqrt(case.draws.Sigma["ID"][k, 0, 0]))
    one, two = rng.random((2, n)) < expit(eta + s * rng.normal(size=n))
    found = shares(case, row)[k]
    labels = bm.variance_partition(case, row)["quantity"].values.tolist()
    simulated_vpc = np.corrcoef(one, two)[0, 1]
    assert abs(found[labels.index("VPC of ID, response scale")] - simulated_vpc) < 4 * 1.5 / np.sqrt(n)
    assert found[labels.index("marginal R2, response scale")] == 0.0  # one row has nothing to explain
    assert found[labels.index("conditional R2, response scale")] == found[labels.index("VPC of ID, response scale")]


def test_median_odds_ratio_is_the_median_over_pairs_of_groups() -> None:
    rng = np.random.default_rng(1)
    post = reference.posterior("b_bacteria")
    found = shares(post, measure="median_ratio")[:, 0]
    s = np.sqrt(post.draws.Sigma["ID"][:, 0, 0])
    pairs = np.abs(np.subtract(*rng.normal(size=(2, 400_000))))
    np.testing.assert_allclose(found, np.exp(s * np.median(pairs)), rtol=0.006 * s.max())
    np.testing.assert_allclose(found, np.exp(0.9538725524 * s), rtol=1e-9)
    assert values(bm.variance_partition(post, measure="median_ratio")).shape == (4, 50, 1)
    rates = bm.variance_partition(reference.posterior("f_grouse"), measure="median_ratio")
    assert rates["quantity"].values.tolist() == ["median rate ratio of BROOD", "median rate ratio of LOCATION"]


def test_poisson_vpc_is_the_closed_form() -> None:
    """With m the expected count: m (exp(s2) - 1) / (1 + m (exp(s2) - 1)), at each row's exposure."""
    post = random_posterior("k ~ 1 + offset(log(e)) + (1 | g)", simulated(), "poisson")
    row = post.design.data.iloc[[3]]
    s2 = post.draws.Sigma["g"][:, 0, 0]
    spread = row.e.item() * np.exp(post.draws.beta[:, 0] + s2 / 2) * np.expm1(s2)
    ds = bm.variance_partition(post, row)
    found = ds["estimate"].sel(quantity="VPC of g, response scale").to_numpy().ravel()
    np.testing.assert_allclose(found, spread / (1 + spread), rtol=1e-12)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("eta", [-9.0, -1.0, 0.8])
@pytest.mark.parametrize(("s", "rest"), [(0.3, 0.0), (2.0, 0.0), (0.6, 1.4), (2.5, 18.0)])
def test_variance_between_groups_is_that_of_quadrature(link: str, eta: float, s: float, rest: float) -> None:
    found = between(get_link(link), [[eta]], s * s, rest * rest)
    inner, weights = grid(0.06 if rest < 5 else 0.006)
    given = H[link](eta + s * Z[:, None] + rest * inner) @ weights
    centred = given - W @ given
    truth = float(W @ centred**2)
    assert abs(float(found.value[0, 0]) - truth) <= max(found.error_bound, 1e-15) < 1e-9
    assert float(found.value[0, 0]) == pytest.approx(truth, rel=1e-7)


@pytest.mark.parametrize("a", [-6.0, -1.0, 0.0, 2.5])
def test_probit_variance_is_that_of_the_bivariate_normal(a: float) -> None:
    """P(both) = Phi(a) - 2 T(a, sqrt((1 - rho) / (1 + rho))), by Owen's function."""
    for s2, rest in ((0.5, 0.0), (4.0, 1.0), (100.0, 0.0)):
        rho = s2 / (1 + s2 + rest)
        both = ndtr(a) - 2 * owens_t(a, np.sqrt((1 - rho) / (1 + rho)))
        found = between(get_link("probit"), [[a * np.sqrt(1 + s2 + rest)]], s2, rest).value[0, 0]
        assert found == pytest.approx(both - ndtr(a) ** 2, rel=1e-9, abs=1e-16)


def test_rare_events_keep_their_share() -> None:
    """p = 1e-6: to the digits of mpmath, which 1 - p in floating point would not have."""
    with mp.workdps(30):
        for link, h in (("logit", lambda x: 1 / (1 + mp.exp(-x))), ("cloglog", lambda x: -mp.expm1(-mp.exp(x)))):
            mean, square = (
                mp.quad(lambda z, h=h, power=power: h(-15 + z) ** power * mp.npdf(z), mp.linspace(-12, 14, 27))
                for power in (1, 2)
            )
            found = between(get_link(link), [[-15.0]], 1.0).value[0, 0]
            assert float(abs(found - (square - mean**2)) / (square - mean**2)) < 1e-8


def test_draws_with_any_spread_go_together() -> None:
    """Steps are chosen for draws with like s; each draw's value is that which it has alone."""
    rng = np.random.default_rng(1)
    eta, s2 = rng.normal(-1, 2, (400, 40)), rng.uniform(0.1, 1.6, (400, 40)) ** 3
    for rest in (rng.uniform(0, 3, (400, 1)), rng.uniform(0, 1, (400, 40))):
        whole = between(get_link("logit"), eta, s2, rest)  # looked up in tables; one draw alone is not
        for k in (0, 13, 390):
            alone = between(get_link("logit"), eta[[k]], s2[[k]], rest[[k]]).value
            np.testing.assert_allclose(whole.value[[k]], alone, rtol=1e-9, atol=1e-13)


@cache
def _posterior() -> bm.Posterior:
    return random_posterior("y ~ f + x + (1 + x | g) + (1 | h)", simulated().head(30), "bernoulli", "logit")


def test_no_variance_between_groups_leaves_nothing_but_fixed_effects() -> None:
    post = _posterior()
    none = shares(rewritten(post, Sigma={f: 0.0 * S.to_numpy() for f, S in post.Sigma.items()}))
    np.testing.assert_array_equal(none[:, [0, 1, 2, 5, 6, 7]], 0.0)
    np.testing.assert_array_equal(none[:, [3, 8]], none[:, [4, 9]])
    mean = values(bm.predictions(post, groups="zero")).reshape(10, -1)
    fixed = mean.var(axis=1)
    np.testing.assert_allclose(none[:, 8], fixed / (fixed + (mean * (1 - mean)).mean(axis=1)), rtol=1e-11)


def test_coding_unit_and_order_change_no_share() -> None:
    post = _posterior()
    recoded = in_basis(post, "y ~ C(f, contr.sum) + I(x / 7 - 3) + (1 + I(x / 7 - 3) | g) + (1 | h)")
    shuffled = rewritten(post, data=post.design.data.sample(frac=1.0, random_state=1).reset_index(drop=True))
    for other in (recoded, shuffled):
        np.testing.assert_allclose(shares(other), shares(post), rtol=1e-8, atol=1e-11)
    swapped = rewritten(post, formula="y ~ f + x + (1 | h) + (1 + x | g)")
    assert list(swapped.design.factors) == ["h", "g"]
    np.testing.assert_allclose(shares(swapped)[:, [1, 0, 2, 3, 4]], shares(post)[:, :5], rtol=1e-10)


def test_repeated_rows_and_weights_count_the_same() -> None:
    data, post = simulated().head(30), _posterior()
    counts = np.arange(len(data)) % 3
    repeated = shares(post, data.loc[np.repeat(data.index, counts)])
    np.testing.assert_allclose(shares(post, data.assign(c=counts), wts="c"), repeated, rtol=1e-10)
    np.testing.assert_allclose(shares(post, pd.concat([data, data])), shares(post), rtol=1e-10)
    assert np.abs(repeated - shares(post)).max() > 1e-3


def test_law_of_total_variance_holds_with_an_average_that_the_engine_makes() -> None:
    """Under logit E[Var(y given b)] = E[h'], the engine's derivative."""
    rng = np.random.default_rng(3)
    eta, s2, logit = rng.normal(0, 3, (20, 9)), rng.uniform(0, 9, (20, 1)), get_link("logit")
    mean, complement, within = (expectation(logit, eta, s2, part).value for part in ("mean", "complement", "d1"))
    by_sum = between(logit, eta, s2, np.full((20, 1), 1e-14)).value  # goes node by node, and not by this identity
    np.testing.assert_allclose(by_sum + within, mean * complement, rtol=1e-10)


def test_results_say_what_they_are_and_what_is_left_out() -> None:
    ds = bm.variance_partition(reference.posterior("d_sleep"))
    assert ds["quantity"].values.tolist() == [
        "VPC of Subject, response scale", "marginal R2, response scale", "conditional R2, response scale",
    ]  # fmt: skip
    assert ds.attrs["left_out"] == "the link scale, which under the identity is the response scale"
    assert "left out: the link scale" in bm.describe(ds)
    epil = reference.posterior("k_epil")
    assert bm.describe(bm.variance_partition(epil, epil.design.data.assign(w=2), wts="w")) == (
        "Shares of variance between groups (VPC) and explained (R2), on the link scale with the residual variance "
        "log(1 + 1 / mean count), and on the response scale by the expected count of y: variances averaged over the "
        "236 rows of newdata, weighted by w, then divided; over new groups of subject."
    )
    ratio = bm.variance_partition(reference.posterior("b_bacteria"), measure="median_ratio")
    assert bm.describe(ratio) == (
        "Median over pairs of groups of the odds ratio between them, with variances averaged over the 220 rows of the "
        "data; over new groups of ID."
    )
    assert bm.summary(ratio).columns.name == "median odds ratio"
    log_gaussian = random_posterior("e ~ x + (1 | g)", simulated(), "gaussian", "log")
    assert "has no variance of its own" in bm.variance_partition(log_gaussian).attrs["left_out"]


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(bm.EstimandError, match="no grouping factor"):
        bm.variance_partition(random_posterior("y ~ x", simulated(), "bernoulli"))
    post = reference.posterior("h_bactprobit")
    with pytest.raises(bm.EstimandError, match=r"under the probit link: .* It is one under 'log', 'logit'"):
        bm.variance_partition(post, measure="median_ratio")
    with pytest.raises(bm.EstimandError, match=r"measure='icc'; allowed are .* Here it is 'share'"):
        bm.variance_partition(post, measure="icc")
    with pytest.raises(bm.DataError, match="rows of newdata have missing values"):
        bm.variance_partition(post, post.design.data.assign(week=np.nan))
    sleep = reference.posterior("d_sleep")
    bare = bm.from_draws(
        sleep.formula, sleep.design.data, family="gaussian", beta=sleep.beta.to_numpy(),
        Sigma={"Subject": sleep.Sigma["Subject"].to_numpy()},
    )  # fmt: skip
    with pytest.raises(bm.PosteriorError, match="variance_partition needs draws of 'sigma'"):
        bm.variance_partition(bare)
