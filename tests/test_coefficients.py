"""Marginal coefficients: published numbers, quadrature, closed forms, laws. Reference cases: test_reference."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import naive
import numpy as np
import pandas as pd
import pytest
import reference
from scipy.special import expit, ndtr
from test_laws import in_basis, rewritten
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.family import get_link
from bayesmargins.integrate import linked_mean

# h, 1 - h, and the link of the two averages
LINKS: dict[str, tuple[Callable[..., np.ndarray], ...]] = {
    "logit": (expit, lambda e: expit(-e), lambda p, q: np.log(p) - np.log(q)),
    "cloglog": (
        lambda e: -np.expm1(-np.exp(e)),
        lambda e: np.exp(-np.exp(e)),
        lambda p, q: np.log(np.where(p < 0.5, -np.log1p(-p), -np.log(q))),
    ),
}


def coefficients(post: bm.Posterior, newdata: pd.DataFrame | None = None, **how: object) -> np.ndarray:
    return values(bm.marginal_coefficients(post, newdata, **how))


def least_squares(post: bm.Posterior, link: str, draws: int) -> np.ndarray:
    """Of the first draws, row by row over a dense grid of z, with numpy's own least squares: (draw, coef)."""
    h, complement, g = LINKS[link]
    rows = post.design.rows(post.design.data)
    found = []
    for k, beta in enumerate(post.draws.beta[:draws]):
        s2 = sum(np.einsum("rp,pq,rq->r", rows.Z[f], Sigma[k], rows.Z[f]) for f, Sigma in post.draws.Sigma.items())
        at = (rows.X @ beta + rows.offset)[:, None] + np.sqrt(s2)[:, None] * naive.Z_GRID
        linked = g(h(at) @ naive.Z_WEIGHTS, complement(at) @ naive.Z_WEIGHTS)
        found.append(np.linalg.lstsq(rows.X, linked - rows.offset, rcond=None)[0])
    return np.array(found)


# GLMMadaptive's vignette "Methods for MixMod Objects" (Rizopoulos): design by R's set.seed(1234) and runif, estimates
# as printed there. Its marginal_coefs() averages over M = 3000 simulated group effects.
VIGNETTE = {"beta": [-2.058, -1.171, 0.262, 0.0023], "sd": [0.681, 0.251], "cor": 0.654}
VIGNETTE_MARGINAL = [-1.6026, -1.0989, 0.1766, 0.0510]


def uniform_of_r(seed: int, n: int) -> np.ndarray:
    """R's set.seed(seed); runif(n): its scrambling of the seed, then the Mersenne Twister."""
    word = seed
    for _ in range(50):
        word = (69069 * word + 1) % 2**32
    state = []
    for _ in range(625):
        word = (69069 * word + 1) % 2**32
        state.append(word)
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": np.array(state[1:], dtype=np.uint32), "pos": 624}}
    return twister.random_raw(n) * 2.3283064365386963e-10


def vignette() -> bm.Posterior:
    n, k = 100, 8
    time = np.hstack([np.zeros((n, 1)), np.sort(15 * uniform_of_r(1234, n * (k - 1)).reshape(n, k - 1), axis=1)])
    data = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), k),
            "time": time.ravel(),
            "sex": pd.Categorical(np.repeat(["male", "female"], n * k // 2), ["male", "female"]),
            "y": np.tile([0, 1], n * k // 2),
        }
    )
    sd = np.array(VIGNETTE["sd"])
    Sigma = np.outer(sd, sd) * np.array([[1, VIGNETTE["cor"]], [VIGNETTE["cor"], 1]])
    one = np.ones((1, 1))
    return bm.from_draws(
        "y ~ sex * time + (1 + time | id)", data, family="bernoulli",
        beta=one[..., None] * VIGNETTE["beta"], Sigma={"id": one[..., None, None] * Sigma},
    )  # fmt: skip


def test_published_marginal_coefficients_are_within_their_simulation_error() -> None:
    np.testing.assert_allclose(uniform_of_r(1234, 3), [0.1137034, 0.6222994, 0.6092747], atol=5e-8)  # as R prints them
    post = vignette()
    rows, beta, Sigma = post.design.rows(post.design.data), post.draws.beta[0], post.draws.Sigma["id"][0]
    rng = np.random.default_rng(1)
    simulated = []
    for _ in range(25):
        b = rng.multivariate_normal([0, 0], Sigma, size=3000)
        mean = expit((rows.X @ beta)[:, None] + rows.Z["id"] @ b.T).mean(axis=1)
        simulated.append(np.linalg.lstsq(rows.X, np.log(mean / (1 - mean)), rcond=None)[0])
    found, error = coefficients(post)[0, 0], np.std(simulated, axis=0)
    assert (np.abs(np.mean(simulated, axis=0) - found) < 4 * error / np.sqrt(25)).all()
    assert (np.abs(VIGNETTE_MARGINAL - found) < 3.5 * error).all()
    assert (error < 0.06).all()  # the comparison says something: coefficients moved by up to 0.46


MODELS = ["y ~ x + f + (1 + x | g) + (1 | h)", "y ~ x * f + (1 | g)", "y ~ x + offset(e) + (0 + x | g)"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("formula", MODELS)
def test_coefficients_are_least_squares_of_a_dense_sum(formula: str, link: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli", link)
    ds = bm.marginal_coefficients(post)
    found = values(ds).reshape(10, -1)
    np.testing.assert_allclose(found, least_squares(post, link, 10), rtol=1e-9, atol=1e-10)
    assert 0 < ds.attrs["error_bound"] < 1e-9


def test_identity_gives_beta_itself() -> None:
    post = random_posterior("x ~ f + w + offset(e) + (1 + w | g) + (1 | h)", simulated(), "gaussian", "identity")
    np.testing.assert_array_equal(coefficients(post), post.beta.to_numpy())


@pytest.mark.filterwarnings("ignore:The group effects")  # Sigma is shrunk and b is not
def test_without_groups_and_without_variance_it_is_beta_itself() -> None:
    for link in ("logit", "probit", "cloglog"):
        alone = random_posterior("y ~ x + f", simulated(), "bernoulli", link)
        np.testing.assert_array_equal(coefficients(alone), alone.beta.to_numpy())
        post = random_posterior("y ~ x + (1 + x | g)", simulated(), "bernoulli", link)
        for size, tolerance in ((0.0, 0.0), (1e-8, 1e-6)):
            small = rewritten(post, Sigma={"g": size * post.Sigma["g"].to_numpy()})
            np.testing.assert_allclose(coefficients(small), post.beta.to_numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("family", ["poisson", "negbinomial"])
def test_log_link_moves_the_intercept_by_half_the_variance(family: str) -> None:
    post = random_posterior("k ~ x + f + offset(log(e)) + (1 | g) + (1 | h)", simulated(), family, "log")
    half = sum(Sigma.to_numpy()[..., 0, 0] for Sigma in post.Sigma.values()) / 2
    expected = post.beta.to_numpy().copy()
    expected[..., 0] += half
    np.testing.assert_allclose(coefficients(post), expected, rtol=1e-12, atol=1e-13)


def test_probit_divides_beta_by_the_latent_standard_deviation() -> None:
    post = random_posterior("y ~ x + f + (1 | g) + (1 | h)", simulated(), "bernoulli", "probit")
    s2 = sum(Sigma.to_numpy()[..., 0, 0] for Sigma in post.Sigma.values())
    np.testing.assert_allclose(
        coefficients(post), post.beta.to_numpy() / np.sqrt(1 + s2)[..., None], rtol=1e-12, atol=1e-13
    )


def test_probit_with_a_random_slope_is_least_squares_of_probits() -> None:
    post = random_posterior("y ~ x + f + (1 + x | g)", simulated(), "bernoulli", "probit")
    rows = post.design.rows(post.design.data)
    eta = post.draws.beta @ rows.X.T
    s2 = np.einsum("rp,dpq,rq->dr", rows.Z["g"], post.draws.Sigma["g"], rows.Z["g"])
    mean = ndtr(eta / np.sqrt(1 + s2))
    np.testing.assert_allclose(
        values(bm.predictions(post)).reshape(mean.shape), mean, rtol=1e-12
    )  # the means that are described
    expected = np.linalg.lstsq(rows.X, (eta / np.sqrt(1 + s2)).T, rcond=None)[0].T
    np.testing.assert_allclose(coefficients(post).reshape(expected.shape), expected, rtol=1e-11, atol=1e-13)


CASES = [("logit", eta, s) for eta in (-30.0, -0.5, 3.0) for s in (0.3, 2.0, 6.0)]
CASES += [("cloglog", eta, s) for eta, s in ((-30.0, 0.3), (-30.0, 6.0), (-0.5, 0.3), (-0.5, 2.0), (1.5, 0.7))]


@pytest.mark.parametrize(("link", "eta", "s"), CASES)
def test_linked_mean_errs_by_no_more_than_it_says(link: str, eta: float, s: float) -> None:
    with mp.workdps(30):
        h = {
            "logit": lambda x: (1 / (1 + mp.exp(-x)), 1 / (1 + mp.exp(x))),
            "cloglog": lambda x: (-mp.expm1(-mp.exp(x)), mp.exp(-mp.exp(x))),
        }[link]

        def average(k: int) -> mp.mpf:
            return mp.quad(lambda z: h(eta + s * z)[k] * mp.npdf(z), mp.linspace(-14, 14, 29))

        mean, complement = average(0), average(1)
        minus_log = -mp.log1p(-mean) if mean < 0.5 else -mp.log(complement)
        truth = mp.log(mean) - mp.log(complement) if link == "logit" else mp.log(minus_log)
        found = linked_mean(get_link(link), [[eta]], s * s)
        assert abs(found.value[0, 0] - truth) <= found.error_bound < 1e-11


def test_rare_events_keep_their_digits() -> None:
    """At an intercept of -40 the logit is a log: half the variance is added, with a relative error of h (1e-16)."""
    post = random_posterior("y ~ 1 + (1 | g)", simulated(), "bernoulli")
    for sign in (-1, 1):
        far = rewritten(post, beta=np.full(post.beta.shape, 40.0 * sign))
        expected = sign * (40.0 - post.Sigma["g"].to_numpy()[..., 0] / 2)
        np.testing.assert_allclose(coefficients(far), expected, rtol=1e-13)


CODINGS = [
    ("y ~ f + x + (1 + f | g)", "y ~ C(f, contr.sum) + x + (1 + C(f, contr.sum) | g)"),
    ("y ~ f + x + (1 + f | g)", "y ~ 0 + f + x + (0 + f | g)"),
    ("y ~ f * x + (1 | g)", "y ~ C(f, contr.helmert) * x + (1 | g)"),
    ("y ~ f + x + (1 + x | g)", "y ~ f + I(x / 60 - 3) + (1 + I(x / 60 - 3) | g)"),
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("formula", "same"), CODINGS)
def test_recoding_transforms_marginal_coefficients_as_it_does_beta(formula: str, same: str, link: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli", link)
    other = in_basis(post, same)
    X, Y = (p.design.rows(p.design.data).X for p in (post, other))
    change = np.linalg.lstsq(Y, X, rcond=None)[0]
    np.testing.assert_allclose(other.beta.to_numpy(), post.beta.to_numpy() @ change.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(coefficients(other), coefficients(post) @ change.T, rtol=1e-8, atol=1e-9)


def test_order_of_rows_and_of_groups_does_not_matter() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 + x | g) + (1 | h)", data, "bernoulli")
    shuffled = data.sample(frac=1.0, random_state=1).reset_index(drop=True)
    renamed = data.assign(g=data.g.map(lambda g: f"{9 - int(g[1])}"))
    for other in (rewritten(post, data=shuffled), rewritten(post, data=renamed)):
        np.testing.assert_allclose(coefficients(other), coefficients(post), rtol=1e-11, atol=1e-12)


def test_whole_weights_count_as_repeated_rows() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 + x | g)", data, "bernoulli")
    counts = np.arange(len(data)) % 4
    repeated = coefficients(post, data.loc[np.repeat(data.index, counts)])
    np.testing.assert_allclose(coefficients(post, data.assign(c=counts), wts="c"), repeated, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(coefficients(post, data, wts=counts), repeated, rtol=1e-10, atol=1e-12)
    assert np.abs(repeated - coefficients(post)).max() > 1e-3
    np.testing.assert_allclose(coefficients(post, data, wts=np.full(len(data), 7)), coefficients(post), rtol=1e-12)


def test_many_rows_are_done_in_blocks() -> None:
    data = simulated().sample(1500, replace=True, random_state=1).reset_index(drop=True)
    data["x"] = np.random.default_rng(2).normal(size=len(data))
    post = random_posterior("y ~ x + f + (1 + x | g)", data, "bernoulli", "cloglog")
    draws = {"beta": np.tile(post.beta, (1, 80, 1)), "Sigma": {"g": np.tile(post.Sigma["g"], (1, 80, 1, 1))}}
    found = coefficients(bm.from_draws(post.formula, data, family="bernoulli", link="cloglog", **draws))
    np.testing.assert_allclose(found[0, :2], least_squares(post, "cloglog", 2), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found[:, 5:], found[:, :-5], rtol=1e-12, atol=1e-13)


def test_ratios_are_exponentials_and_say_what_they_are() -> None:
    post = reference.posterior("b_bacteria")
    ds = bm.marginal_coefficients(post, exponentiate=True)
    np.testing.assert_allclose(values(ds), np.exp(coefficients(post)), rtol=1e-14)
    assert bm.summary(ds).columns.name == "odds ratio (population-averaged)"
    assert "as odds ratios, for the intercept odds: least squares of the logit of the probability" in bm.describe(ds)
    with pytest.raises(bm.ResultError, match="no effect is null=1"):
        bm.summary(ds, null=0)
    counts = bm.marginal_coefficients(reference.posterior("k_epil"), exponentiate=True)
    assert "ratios of means" in bm.describe(counts)
    with pytest.warns(bm.BayesmarginsWarning, match="may not exist"):
        bm.summary(counts, point="mean")


def test_one_factor_model_gives_the_log_odds_ratios_of_averages() -> None:
    """Where the columns of X are saturated there is nothing to fit: exact equality with comparisons."""
    post = random_posterior("y ~ f + (1 + f | g) + (1 | h)", simulated(), "bernoulli")
    expected = values(bm.avg_comparisons(post, "f", comparison="lnor"))
    np.testing.assert_allclose(coefficients(post)[..., 1:], expected, rtol=1e-11, atol=1e-12)


def test_sentence_names_rows_weights_offset_and_groups() -> None:
    post = random_posterior("k ~ x + offset(log(e)) + (1 | g) + (1 | h)", simulated(), "poisson")
    assert bm.describe(bm.marginal_coefficients(post, post.design.data.head(40), wts="w")) == (
        "Marginal coefficients: least squares of the log of the expected count of k less the offset on the fixed "
        "effects, over the 40 rows of newdata, weighted by w; integrated over new groups of g and h, which makes it a "
        "population average."
    )


REFUSED = [
    ("y ~ x + f + (1 | g)", {"newdata": lambda d: d[d.f == "a"]}, "determine 2 of the 4 coefficients"),
    (
        "y ~ x + f + (1 | g)",
        {"newdata": lambda d: d.assign(x=d.x.where(d.x > 0))},
        "rows of newdata have missing values",
    ),
    ("y ~ x + f + (1 | g)", {"newdata": lambda d: d.drop(columns="x")}, "x"),
    ("y ~ 0 + (1 | g)", {}, "no fixed effects"),
    ("y ~ x + (1 | g)", {"exponentiate": "yes"}, "exponentiate='yes'; it must be True"),
]


@pytest.mark.parametrize(("formula", "how", "message"), REFUSED)
def test_what_has_no_answer_is_refused(formula: str, how: dict[str, object], message: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli")
    how = {k: v(simulated()) if callable(v) else v for k, v in how.items()}
    with pytest.raises(bm.BayesmarginsError, match=message):
        bm.marginal_coefficients(post, **how)


@pytest.mark.parametrize("case", ["h_bactprobit", "d_sleep"])
def test_exponentials_that_are_no_ratios_are_refused(case: str) -> None:
    with pytest.raises(bm.EstimandError, match="exp\\(\\) of a coefficient is a ratio of nothing"):
        bm.marginal_coefficients(reference.posterior(case), exponentiate=True)
