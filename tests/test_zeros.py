"""Families with zeros of their own: densities of SciPy, P(y = 0), the mean of what is not 0, brms, draws of PyMC."""

from __future__ import annotations

from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from interpreted import uncompiled
from scipy import special, stats
from test_families import CASES, FAR, in_pymc

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at
from bayesmargins.family.mixture_of_y import mixture

FAMILIES_WITH_ZEROS = [name for name in FAMILIES if "zero" in name or "hurdle" in name]


def nbinom(y: Any, mu: Any, shape: Any) -> Any:
    return stats.nbinom.logpmf(y, shape, shape / (shape + mu))


def beta(y: Any, mu: Any, phi: Any) -> Any:
    return stats.beta.logpdf(y, mu * phi, (1.0 - mu) * phi)


def gamma(y: Any, mu: Any, shape: Any) -> Any:
    return stats.gamma.logpdf(y, shape, scale=mu / shape)


def inflated(y: Any, share: Any, log: Any) -> Any:
    return np.log(share * (y == 0) + (1.0 - share) * np.exp(log))


def hurdle(y: Any, share: Any, log: Any, log_zero: Any = -np.inf) -> Any:
    return np.where(y == 0, np.log(share), np.log1p(-share) + log - np.log(-np.expm1(log_zero)))


def ends(y: Any, zoi: Any, coi: Any, log: Any) -> Any:
    between = np.log1p(-zoi) + log
    return np.where(y == 0, np.log(zoi * (1 - coi)), np.where(y == 1, np.log(zoi * coi), between))


COUNTS = np.array([0.0, 1.0, 2.0, 5.0, 17.0])
SHARES = np.array([0.0, 1e-6, 0.2, 0.93])
AMOUNTS = np.array([0.0, 1e-6, 0.4, 2.5, 31.0])
SCIPY: dict[str, tuple[Any, Any]] = {
    "zero_inflated_poisson": (COUNTS, lambda y, mu, zi: inflated(y, zi, stats.poisson.logpmf(y, mu))),
    "zero_inflated_negbinomial": (COUNTS, lambda y, mu, shape, zi: inflated(y, zi, nbinom(y, mu, shape))),
    "zero_inflated_binomial": (COUNTS[:4], lambda y, mu, zi: inflated(y, zi, stats.binom.logpmf(y, 7, mu))),
    "zero_inflated_beta": (SHARES, lambda y, mu, phi, zi: hurdle(y, zi, beta(y, mu, phi))),
    "zero_one_inflated_beta": (
        np.append(SHARES, 1.0),
        lambda y, mu, phi, zoi, coi: ends(y, zoi, coi, beta(y, mu, phi)),
    ),
    "hurdle_poisson": (COUNTS, lambda y, mu, hu: hurdle(y, hu, stats.poisson.logpmf(y, mu), -mu)),
    "hurdle_negbinomial": (
        COUNTS,
        lambda y, mu, shape, hu: hurdle(y, hu, nbinom(y, mu, shape), nbinom(0, mu, shape)),
    ),
    "hurdle_gamma": (AMOUNTS, lambda y, mu, shape, hu: hurdle(y, hu, gamma(y, mu, shape))),
    "hurdle_lognormal": (
        AMOUNTS,
        lambda y, mu, sigma, hu: hurdle(y, hu, stats.lognorm.logpdf(y, sigma, scale=np.exp(mu))),
    ),
}
ETAS = np.array([[-6.0], [-0.7], [0.0], [2.3]])


def test_every_family_with_zeros_is_here() -> None:
    assert set(SCIPY) == set(FAMILIES_WITH_ZEROS)


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_log_densities_are_those_of_scipy(name: str) -> None:
    """For shares near 0 and 1 too, and means far below 1."""
    (y, density), family, case = SCIPY[name], FAMILIES[name], CASES[name]
    for share in (1e-9, 0.3, 1.0 - 1e-9):
        aux = {k: share if k in ("zi", "hu", "zoi") else v for k, v in case.aux.items()}
        p = values_at(LINKS[family.links[0]], ETAS, aux)
        found = family.log_density(p, Outcome(y, case.trials))
        np.testing.assert_allclose(found, density(y, p.mu, **aux), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["hurdle_poisson", "hurdle_negbinomial"])
def test_tails_behind_a_hurdle_keep_their_digits_where_nearly_all_counts_would_be_0(name: str) -> None:
    family, aux = FAMILIES[name], {k: np.array(v) for k, v in CASES[name].aux.items()}
    for eta in (-25.0, -3.0, 1.5, 6.0):
        p = values_at(LINKS["log"], np.array(eta), aux)
        for c in (0.0, 1.0, 3.0, 40.0):
            with mp.workdps(60):
                mu, k = mp.exp(mp.mpf(eta)), mp.mpf(float(aux.get("shape", 0.0)))
                if name == "hurdle_poisson":
                    zero, above = mp.exp(-mu), mp.gammainc(int(c) + 1, 0, mu, regularized=True)
                else:
                    zero = (1 + mu / k) ** -k
                    above = mp.betainc(int(c) + 1, k, 0, mu / (mu + k), regularized=True)
                wanted = (1 - mp.mpf(0.25)) * above / (1 - zero)
                pair = float(wanted), float(1 - wanted)
            found = [float(tail(np.array(c), p, Outcome())) for tail in (family.above, family.below)]
            np.testing.assert_allclose(found, pair, rtol=1e-11)


DATA = pd.DataFrame({"y": [0.0, 1, 0, 2, 0, 3, 1, 5, 0, 0, 1, 2], "x": np.linspace(-1, 1, 12), "g": [*"abcd"] * 3})


def posterior(name: str = "zero_inflated_poisson", s: float = 0.8, **aux: Any) -> bm.Posterior:
    rng = np.random.default_rng(2)
    y = DATA["y"] / (8.0 if "beta" in name else 1.0)
    trials = " | trials(n)" if FAMILIES[name].support.counts_trials else ""
    return bm.from_draws(
        f"y{trials} ~ x + (1 | g)",
        DATA.assign(y=y, n=7),
        family=name,
        beta=rng.normal(0.0, 0.4, (1, 3, 2)),
        b={"g": s * rng.normal(size=(1, 3, 4, 1))},
        Sigma={"g": np.full((1, 3, 1, 1), s**2)},
        aux={k: np.full((1, 3), v) for k, v in (CASES[name].aux | aux).items()},
    )


def values(ds: Any) -> np.ndarray:
    return np.asarray(ds["estimate"].values)


def test_the_probability_of_zero_is_quadrature() -> None:
    """Over new groups, by mpmath; its complement is P(y > 0); behind a hurdle it is hu."""
    post = posterior()
    found = values(bm.predictions(post, DATA.head(1), target=bm.equals(0))).ravel()
    for k, value in enumerate(found):
        eta = float(post.draws.beta[k] @ [1.0, -1.0])
        with mp.workdps(30):
            zero = mp.quad(
                lambda z, eta=eta: mp.npdf(z) * mp.exp(-mp.exp(eta + mp.mpf(0.8) * z)), mp.linspace(-12, 12, 25)
            )
            assert value == pytest.approx(float(mp.mpf(0.3) + (1 - mp.mpf(0.3)) * zero), rel=1e-11)
    positive = values(bm.predictions(post, DATA.head(1), target=bm.exceeds(0))).ravel()
    np.testing.assert_allclose(found + positive, 1.0, rtol=1e-12)
    odds = bm.avg_comparisons(post, "x", target=bm.equals(0), comparison="or")
    other = bm.avg_comparisons(post, "x", target=bm.exceeds(0), comparison="or")
    np.testing.assert_allclose(values(odds) * values(other), 1.0, rtol=1e-10)
    np.testing.assert_allclose(values(bm.avg_predictions(posterior("hurdle_gamma"), target=bm.equals(0))), 0.25)
    assert "probability that y is 0" in bm.describe(bm.avg_predictions(post, target=bm.equals(0)))
    one = bm.avg_predictions(posterior("zero_one_inflated_beta"), target=bm.equals(1))
    np.testing.assert_allclose(values(one), 0.4 * 0.3, rtol=1e-12)


def test_a_value_without_a_probability_of_its_own_is_refused() -> None:
    for name, c in (("hurdle_gamma", 1.0), ("zero_inflated_poisson", 0.5), ("zero_inflated_beta", 1.0)):
        with pytest.raises(bm.EstimandError, match=rf"target=equals\({c:g}\): responses of family='{name}' have no P"):
            bm.avg_predictions(posterior(name), target=bm.equals(c))
    for c in ("none", np.inf, None):
        with pytest.raises(bm.EstimandError, match="c must be one finite number"):
            bm.equals(c)


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_the_mean_is_its_share_of_the_mean_of_what_is_no_such_zero(groups: str) -> None:
    for name in ("zero_inflated_poisson", "zero_inflated_binomial", "zero_inflated_beta", "hurdle_gamma"):
        post = posterior(name)
        share = next(v for k, v in CASES[name].aux.items() if k in ("zi", "hu"))
        for ask in (bm.avg_predictions, lambda p, **k: bm.avg_comparisons(p, "x", **k), bm.avg_slopes):
            whole, part = (values(ask(post, groups=groups, target=t)) for t in ("mean", "mu"))
            np.testing.assert_allclose(whole, (1.0 - share) * part, rtol=1e-11, atol=1e-15)
        ratio = [
            values(bm.avg_comparisons(post, "x", groups=groups, target=t, comparison="ratio")) for t in ("mean", "mu")
        ]
        np.testing.assert_allclose(*ratio, rtol=1e-11)
        relative = [values(bm.avg_slopes(post, groups=groups, target=t, slope="eydx")) for t in ("mean", "mu")]
        np.testing.assert_allclose(*relative, rtol=1e-9)


def test_mu_is_asked_for_by_name_where_it_is_not_the_mean() -> None:
    post = posterior("zero_inflated_binomial")
    text = bm.describe(bm.avg_predictions(post, target="mu"))
    assert "arameter mu (the probability in rows that can have successes) of y" in text
    assert values(bm.avg_comparisons(post, "x", target="mu", comparison="or")).shape[-1] == 1
    assert "parameter zi" in bm.describe(bm.avg_predictions(post, target="zi"))
    poisson = bm.from_draws("y ~ x", DATA, family="poisson", beta=np.zeros((1, 2, 2)))
    with pytest.raises(bm.EstimandError, match=r"target='mu'; allowed are mean, .* Here it is called 'mean'"):
        bm.avg_predictions(poisson, target="mu")


@pytest.mark.parametrize("name", ["hurdle_poisson", "hurdle_negbinomial"])
def test_the_mean_behind_a_hurdle_is_quadrature_and_a_comparison_a_difference_of_two(name: str) -> None:
    post, z = posterior(name), np.arange(-14.0, 14.01, 0.02)
    weights = 0.02 * stats.norm.pdf(z)
    x = values(bm.predictions(post, DATA.head(2))).reshape(3, 2)
    for k, beta in enumerate(post.draws.beta):
        for row in (0, 1):
            mu = np.exp(beta @ [1.0, DATA["x"][row]] + 0.8 * z)
            zero = np.exp(-mu) if name == "hurdle_poisson" else (1.0 + mu / 0.8) ** -0.8
            assert x[k, row] == pytest.approx(0.75 * (weights @ (mu / (1.0 - zero))), rel=1e-9)
    step = values(bm.avg_comparisons(post, {"x": (-1.0, 1.0)}))
    at = [values(bm.avg_predictions(post, at={"x": v})).ravel() for v in (-1.0, 1.0)]
    np.testing.assert_allclose(step.ravel(), at[1] - at[0], rtol=1e-10)


def test_what_a_quotient_has_not_is_refused_with_the_reason() -> None:
    post = posterior("hurdle_poisson")
    with pytest.raises(bm.EstimandError, match="a product or a quotient here"):
        bm.avg_slopes(post, "x", slope="eydx")
    with pytest.raises(bm.EstimandError, match="the mean of family='hurdle_poisson' is none"):
        bm.variance_partition(post)
    with pytest.raises(bm.EstimandError, match="is one with something added that depends on it"):
        bm.marginal_coefficients(post)
    with pytest.raises(bm.EstimandError, match="it is no inverse link of the linear predictor"):
        bm.heterogeneity(post, "x", over="g")
    with pytest.raises(bm.EstimandError, match="is a share of an inverse link"):
        bm.marginal_coefficients(posterior("zero_inflated_binomial"))


def test_marginal_coefficients_under_log_have_the_share_in_their_intercept() -> None:
    found = values(bm.marginal_coefficients(posterior()))[0]
    plain = posterior().draws.beta
    np.testing.assert_allclose(found[:, 0], plain[:, 0] + 0.32 + np.log(0.7), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], plain[:, 1], rtol=1e-12)


def _of_ends(rng: np.random.Generator, eta: np.ndarray, phi: float, zoi: float, coi: float) -> np.ndarray:
    mu, n = special.expit(eta), eta.size
    return np.where(rng.random(n) < zoi, rng.random(n) < coi, rng.beta(mu * phi, (1.0 - mu) * phi))


DRAWN = {  # by NumPy, of each eta
    "zero_inflated_negbinomial": lambda rng, eta, shape, zi: (
        (rng.random(eta.size) >= zi) * rng.negative_binomial(shape, shape / (shape + np.exp(eta)))
    ),
    "zero_one_inflated_beta": _of_ends,
    "hurdle_lognormal": lambda rng, eta, sigma, hu: (
        (rng.random(eta.size) >= hu) * np.exp(eta + sigma * rng.standard_normal(eta.size))
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_shares_of_variance_are_those_of_a_simulation(name: str) -> None:
    post = posterior(name, s=0.4)
    found = bm.variance_partition(post, post.design.data.head(1))["estimate"].isel(chain=0, draw=0)
    share = float(found.sel(quantity="VPC of g, response scale"))
    rng, aux, n = np.random.default_rng(1), CASES[name].aux, 400_000
    eta = post.draws.beta[0] @ [1.0, -1.0] + 0.4 * rng.standard_normal(n)
    drawn = [DRAWN[name](rng, eta, **aux) for _ in range(2)]  # of the same groups: they share these alone
    away = np.array(drawn, dtype=float) - np.mean(drawn)
    both, own = away[0] * away[1], (away**2).mean(axis=0)
    error = (both - share * own).std() / np.sqrt(n) / own.mean()
    assert abs(share - both.mean() / own.mean()) < 4.5 * error


def test_effects_differ_between_groups_by_their_share_of_those_of_mu() -> None:
    post = posterior()
    plain = bm.from_draws(
        post.formula, DATA, family="poisson", beta=post.beta.values, b={"g": post.b["g"].values}, Sigma=post.Sigma
    )
    found = [bm.heterogeneity(p, "x", over="g")["estimate"].sel(statistic="sd").values for p in (post, plain)]
    np.testing.assert_allclose(found[0], 0.7 * found[1], rtol=1e-9)


def of_both(name: str) -> tuple[bm.Posterior, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Groups act on mu and on the share of zeros, correlated; and nodes over both in a row, with their weights."""
    own = "hu" if "hurdle" in name else "zi"
    Sigma = np.array([[0.5, 0.3], [0.3, 0.8]])
    aux = {k: np.full((1, 2), v) for k, v in CASES[name].aux.items() if k != own}
    beta, part = (
        np.array([[[0.3, 0.2], [-0.4, 0.1]]]),
        {"formula": "~ 1 + (1 | g)", "beta": np.array([[[-0.5], [0.4]]])},
    )
    post = bm.from_draws(
        "y ~ x + (1 | g)",
        DATA,
        family=name,
        beta=beta,
        Sigma={"g": np.tile(Sigma, (1, 2, 1, 1))},
        parts={own: part},
        aux=aux,
    )
    z = np.arange(-14.0, 14.01, 0.05)
    u, v = np.meshgrid(z, z)
    L = np.linalg.cholesky(Sigma)
    eta = (beta[0] @ [1.0, -1.0])[:, None, None] + L[0, 0] * u
    share = 1.0 / (1.0 + np.exp(-(part["beta"][0][..., None] + L[1, 0] * u + L[1, 1] * v)))
    return post, 0.05**2 / (2.0 * np.pi) * np.exp(-0.5 * (u**2 + v**2)), (eta, share)


@pytest.mark.parametrize("name", ["hurdle_gamma", "hurdle_lognormal", "hurdle_poisson", "zero_inflated_negbinomial"])
def test_shares_of_zeros_that_groups_move_are_integrated_with_mu(name: str) -> None:
    post, weights, (eta, share) = of_both(name)
    mean = {"hurdle_lognormal": np.exp(eta + 0.5 * 0.6**2), "hurdle_poisson": np.exp(eta) / -np.expm1(-np.exp(eta))}
    found = bm.predictions(post, DATA.head(1))
    wanted = (weights * (1.0 - share) * mean.get(name, np.exp(eta))).sum(axis=(1, 2))
    np.testing.assert_allclose(values(found).ravel(), wanted, rtol=1e-9 if name == "hurdle_poisson" else 1e-12)
    assert ("moved by exp(eta)" in found.attrs["integration_method"]) == (name != "hurdle_poisson")
    zero = values(bm.predictions(post, DATA.head(1), target=bm.equals(0))).ravel()
    of_count = (1.0 + np.exp(eta) / 1.7) ** -1.7 if "negbinomial" in name else 0.0
    np.testing.assert_allclose(zero, (weights * (share + (1.0 - share) * of_count)).sum(axis=(1, 2)), rtol=1e-9)


@cache
def brms_draws() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    found = {"b_Intercept": rng.normal(size=8), "b_x": rng.normal(size=8), "sd_g__Intercept": rng.uniform(0.2, 1, 8)}
    return pd.DataFrame({".chain": 1} | found | {f"r_g[{k},Intercept]": rng.normal(size=8) for k in "abcd"})


@pytest.mark.parametrize("name", FAMILIES_WITH_ZEROS)
def test_draws_of_brms_have_the_density_of_scipy(name: str) -> None:
    """Under brms's names, which are those here."""
    family, rng = FAMILIES[name], np.random.default_rng(5)
    draws = brms_draws().assign(**{k: rng.uniform(0.3, 0.9, 8) for k in family.aux})
    y = DATA["y"] / (8.0 if "beta" in name else 1.0)
    left = "y | trials(n)" if family.support.counts_trials else "y"
    post = bm.from_brms(draws, f"{left} ~ x + (1 | g)", DATA.assign(y=y, n=7), family=name)
    assert set(post.aux) == set(family.aux)
    eta = draws[["b_Intercept"]].to_numpy() + draws[["b_x"]].to_numpy() * DATA["x"].to_numpy()
    eta = eta + np.stack([draws[f"r_g[{k},Intercept]"] for k in DATA["g"]], axis=1)
    mu = LINKS[family.links[0]].inverse(eta)
    with np.errstate(divide="ignore"):
        wanted = SCIPY[name][1](y.to_numpy(), mu, **{k: draws[[k]].to_numpy() for k in family.aux})
    np.testing.assert_allclose(post.log_likelihood()["y"].to_numpy().reshape(8, -1), wanted, rtol=1e-9)


ONE_OF_EACH = ("zero_inflated_poisson", "hurdle_negbinomial", "zero_one_inflated_beta")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ONE_OF_EACH else [pytest.mark.evidence]) for n in FAMILIES_WITH_ZEROS],
)
def test_draws_of_pymc_are_those_of_the_family(name: str) -> None:
    """Every row with its own zeros: mean, variance and P(y = 0) of draws, and no two rows alike."""
    import pymc as pm

    family, case = FAMILIES[name], CASES[name]
    link, eta = LINKS[family.links[0]], np.full(400, 0.4)
    o = Outcome(np.zeros(400), None if case.trials is None else np.full(400, case.trials))
    with uncompiled():
        y = pm.draw(in_pymc(family, link, eta, o, case.aux)["y"], draws=100, random_seed=1)
    y = np.asarray(y, dtype=float).ravel()
    assert len(np.unique(y[:400] == 0.0)) == 2
    one = np.ones(1)
    aux = {k: v * one for k, v in case.aux.items()}
    over = mixture(family, link, 0.4 * one[None], one, 0.0 * one, aux, (case.trials or 1.0) * one)
    mean, sd = (case.trials or 1.0) * over.mean("mean").value[0], over.sd().value[0]
    zero = float(
        np.exp(family.log_density(values_at(link, np.array(0.4), case.aux), Outcome(np.zeros(()), case.trials)))
    )
    assert abs(y.mean() - mean) < FAR * sd / 200.0
    assert abs(y.var() - sd**2) < FAR * np.std((y - mean) ** 2) / 200.0
    assert abs((y == 0.0).mean() - zero) < FAR * np.sqrt(zero * (1.0 - zero)) / 200.0


def test_observed_means_of_truncated_zero_inflated_counts_are_sums() -> None:
    family, p = FAMILIES["zero_inflated_poisson"], values_at(LINKS["log"], np.array(0.7), {"zi": np.array(0.3)})
    k = np.arange(60.0)
    chance = np.exp(family.log_density(p, Outcome(k)))
    for low, high in ((-1.0, 3.0), (0.0, 5.0), (1.0, np.inf)):
        inside = (k > low) & (k <= high)
        wanted = (k * chance)[inside].sum() / chance[inside].sum()
        ends_ = np.array(-np.inf if low < 0 else low), np.array(high)
        assert float(family.mean_between(*ends_, p, Outcome())) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 1e-300, 1.0])
def test_shares_at_their_ends_leave_the_rest_as_it_is(share: float) -> None:
    family, p = FAMILIES["zero_inflated_poisson"], values_at(LINKS["log"], np.array(0.7), {"zi": np.array(share)})
    found = family.log_density(p, Outcome(np.array([0.0, 2.0])))
    plain = stats.poisson.logpmf([0, 2], np.exp(0.7))
    np.testing.assert_allclose(found, [0.0, -np.inf] if share == 1.0 else plain, rtol=1e-12)


@pytest.mark.parametrize(
    ("family", "aux", "absent"),
    [
        ("zero_inflated_negbinomial", ("shape",), "'zi'"),
        ("hurdle_negbinomial", ("hu",), "'shape'"),
        ("ordered_beta", ("phi", "cutzero"), "'cutone'"),
    ],
)
def test_draws_without_a_parameter_that_the_mean_reads_are_asked_for_it(family: str, aux: Any, absent: str) -> None:
    data = pd.DataFrame({"y": np.array([0.0, 1.0, 0.0, 2.0]) * (0.5 if family == "ordered_beta" else 1.0)})
    given = {"beta": np.zeros((1, 3, 1)), "aux": dict.fromkeys(aux, np.full((1, 3), 0.2))}
    post = bm.from_draws("y ~ 1", data, family=family, **given)
    with pytest.raises(bm.PosteriorError, match=f"target='mean' needs draws of {absent} .*: give aux="):
        bm.avg_predictions(post)
    assert np.isfinite(bm.avg_predictions(post, target="link").estimate).all()
