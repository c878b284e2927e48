"""`check`: p and statistics against plain computations, laws, words, planted faults and models that are right."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, Outcome, get_family, resolve_link, values_at
from bayesmargins.validation.binned_predictors import beyond
from bayesmargins.validation.group_modes import modes_of
from bayesmargins.validation.replicates import Replicates
from bayesmargins.validation.residuals import Residuals, mean_and_variance
from bayesmargins.validation.statistics import compared

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import evidence_checks

pytestmark = pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")


def _rows(seed: int = 3, groups: int = 12, each: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat([f"g{k:02d}" for k in range(groups)], each)
    x = rng.normal(size=len(g)).round(2)
    eta = 0.5 + 0.4 * x + 0.5 * rng.normal(size=groups).repeat(each)
    return pd.DataFrame({"x": x, "g": g, "y": rng.poisson(np.exp(eta)), "z": eta + rng.normal(size=len(g)),
                         "n": np.resize([3, 5, 8], len(g)), "day": rng.integers(0, 3, len(g))})  # fmt: skip


def _made(formula: str, family: str, data: pd.DataFrame | None = None, draws: int = 50, **more: Any) -> bm.Posterior:
    """Draws around the parameters of `_rows`."""
    rng, data = np.random.default_rng(8), _rows() if data is None else data
    levels = data["g"].nunique()
    beta = np.array([0.5, 0.4]) + 0.05 * rng.normal(size=(1, draws, 2))
    return bm.from_draws(formula, data, family=family, beta=beta, b={"g": 0.5 * rng.normal(size=(1, draws, levels, 1))},
                         Sigma={"g": np.full((1, draws, 1, 1), 0.25)}, **more)  # fmt: skip


def test_p_is_the_share_of_replicates_as_far_out() -> None:
    rng = np.random.default_rng(1)
    seen, drawn = rng.normal(1.0, 0.3, (999, 1)), rng.normal(size=(999, 1))
    p = compared("mean", "own", [""], seen, drawn, above=False).p
    assert p == pytest.approx(2 * (1 + (drawn >= seen).sum()) / 1000)
    fixed = np.array([[1.5]])
    assert compared("mean", "own", [""], fixed, drawn, True).p == pytest.approx((1 + (drawn >= 1.5).sum()) / 1000)


def test_of_several_entries_the_largest_is_compared_with_the_largest_of_each_replicate() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.normal(size=(4000, 40))
    seen = np.zeros((1, 40))
    seen[0, 17] = 2.6  # of one normal number p is 0.009; of the largest of forty 0.31
    found = compared("curves", "own", [str(k) for k in range(40)], seen, drawn, above=False)
    assert found.about == "17"
    assert found.p == pytest.approx(1 - (2 * stats.norm.cdf(2.6) - 1) ** 40, abs=0.03)


def test_replicates_without_a_value_are_no_finding() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.normal(size=(2000, 1))
    nothing = compared("tails", "own", [""], np.zeros((1, 1)), np.full((2000, 1), np.nan), above=True)
    assert nothing.p == 1.0
    assert np.isnan(nothing.expected(0.5)[0])
    some = np.where(np.arange(2000)[:, None] < 100, np.nan, drawn)
    assert compared("tails", "own", [""], np.full((1, 1), 9.0), some, above=True).p == pytest.approx(101 / 2001)
    several = np.column_stack([some, drawn])
    assert compared("curves", "own", ["a", "b"], np.array([[9.0, 0.5]]), several, above=True).about == "b"


def test_replicates_of_the_same_and_of_new_groups_have_the_moments_of_the_model() -> None:
    post = _made("z ~ x + (1 | g)", "gaussian", draws=20, aux={"sigma": np.full((1, 20), 0.7)})
    replicates = Replicates.of(post, 20_000, 1)
    own, new = (
        np.concatenate([replicates.drawn(block, of, replicates.parameters(block, of)) for block in replicates.blocks])
        for of in ("own", "new")
    )
    eta, fixed = post.linear_predictor(), post.draws.beta @ replicates.rows.X.T
    assert own.mean(axis=0) == pytest.approx(eta.mean(axis=0), abs=0.05)
    assert own.var(axis=0) == pytest.approx(eta.var(axis=0) + 0.49, rel=0.07)
    assert new.mean(axis=0) == pytest.approx(fixed.mean(axis=0), abs=0.05)
    assert new.var(axis=0) == pytest.approx(fixed.var(axis=0) + 0.25 + 0.49, rel=0.07)
    assert np.cov(new[:, 0], new[:, 1])[0, 1] == pytest.approx(0.25, abs=0.05)  # rows of one group share its effect


PARAMETERS: dict[str, dict[str, float]] = {
    "poisson": {}, "negbinomial": {"shape": 1.5}, "geometric": {}, "bernoulli": {},
}  # fmt: skip


@pytest.mark.parametrize("family", PARAMETERS)
def test_mean_and_variance_of_counts_are_those_of_sums_over_their_density(family: str) -> None:
    of = get_family(family)
    link, eta = resolve_link(of, None), np.array([[-0.7, 0.2, 1.1]])
    p = values_at(link, eta, {k: np.full((1, 1), v) for k, v in PARAMETERS[family].items()})
    o = Outcome(np.zeros(3))
    y = np.arange(2.0 if family == "bernoulli" else 400.0)[:, None]
    density = np.exp(of.need("log_density", "test")(p, replace(o, y=np.broadcast_to(y, (len(y), 3)))))
    mean, variance = mean_and_variance(of, link, p, o)
    assert mean[0] == pytest.approx((density * y).sum(axis=0), rel=1e-9)
    assert variance[0] == pytest.approx((density * y**2).sum(axis=0) - mean[0] ** 2, rel=1e-8)


@pytest.mark.parametrize("family", ["cumulative", "sequential", "adjacent"])
def test_mean_and_variance_of_categories_are_those_of_their_probabilities(family: str) -> None:
    of, eta, n = get_family(family), np.array([[-0.7, 0.2, 1.1]]), 3
    p = values_at(resolve_link(of, None), eta, {"thresholds": np.array([[[-1.0, 0.4, 1.5]]])})
    density = [np.exp(of.need("log_density", "test")(p, Outcome(np.full(n, k))))[0] for k in (1.0, 2.0, 3.0, 4.0)]
    mean, variance = mean_and_variance(of, resolve_link(of, None), p, Outcome(np.ones(n)))
    k = np.arange(1.0, 5.0)[:, None]
    assert mean[0] == pytest.approx((k * density).sum(axis=0))
    assert variance[0] == pytest.approx((k**2 * density).sum(axis=0) - mean[0] ** 2)


def test_normal_scores_of_a_continuous_response_are_those_of_scipy() -> None:
    of = get_family("gamma")
    link = resolve_link(of, "log")
    p = values_at(link, np.log([[1.0, 2.0, 3.0]]), {"shape": np.full((1, 1), 2.0)})
    y = np.array([[0.3, 2.0, 30.0]])
    r = Residuals(of, link, Outcome(y[0]))(p, y, np.random.default_rng(1))
    cdf, sf = (f(y, 2.0, scale=np.array([[1.0, 2.0, 3.0]]) / 2.0) for f in (stats.gamma.cdf, stats.gamma.sf))
    assert r == pytest.approx(np.where(cdf < sf, stats.norm.ppf(cdf), stats.norm.isf(sf)))


def test_scores_of_censored_and_truncated_rows_are_standard_normal_under_the_model() -> None:
    rng = np.random.default_rng(4)
    of, n = get_family("weibull"), 20_000
    link = resolve_link(of, "log")
    p = values_at(link, np.zeros((1, n)), {"shape": np.full((1, 1), 1.5)})
    y, end = np.asarray(of.need("simulate", "test")(rng, p, Outcome(np.zeros(n))))[0], rng.exponential(1.5, n)
    censored = Outcome(np.minimum(y, end), cens=(y > end).astype(float))
    assert stats.kstest(Residuals(of, link, censored)(p, censored.y[None], rng)[0], "norm").pvalue > 0.001
    kept = y > 0.5
    p = values_at(link, np.zeros((1, kept.sum())), {"shape": np.full((1, 1), 1.5)})
    bounded = Outcome(y[kept], lb=np.full(kept.sum(), 0.5))
    assert stats.kstest(Residuals(of, link, bounded)(p, bounded.y[None], rng)[0], "norm").pvalue > 0.001


def test_modes_of_groups_are_the_most_probable_effects() -> None:
    post = _made("y ~ x + (1 | g)", "poisson")
    replicates = Replicates.of(post, 50, 1)
    (modes,) = modes_of(replicates)
    y, eta, codes = replicates.outcome.y, replicates.fixed_part, post.design.factors["g"].codes
    found = modes(y[None])[0]
    for k, g in enumerate(modes.groups):
        own = codes == g

        def loss(b: float, own: np.ndarray = own) -> float:
            return float(-stats.poisson.logpmf(y[own], np.exp(eta[own] + b)).sum() - stats.norm.logpdf(b, 0, 0.5))

        exact = optimize.minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x
        assert found[k] == pytest.approx(exact, abs=0.01)  # the grid's steps


def test_directions_beyond_a_fit_are_orthonormal_and_orthogonal_to_it() -> None:
    rng = np.random.default_rng(5)
    known, columns = rng.normal(size=(40, 4)), rng.normal(size=(40, 3))
    Q = beyond(np.column_stack([columns, known @ rng.normal(size=(4, 2))]), known)
    assert Q.shape == (40, 3)
    assert pytest.approx(np.eye(3), abs=1e-12) == Q.T @ Q
    assert pytest.approx(np.zeros((4, 3)), abs=1e-12) == known.T @ Q


def test_zeros_and_maximum_in_the_table_are_those_of_the_data() -> None:
    data = _rows()
    table = bm.check(_made("y ~ x + (1 | g)", "poisson"), draws=200, random_seed=1).table.set_index(
        ["statistic", "groups"]
    )
    assert table.loc[("zeros", "own"), "observed"] == (data["y"] == 0).sum()
    assert table.loc[("maximum", "own"), "observed"] == data["y"].max()
    assert table.loc[("groups at the lowest", "new"), "observed"] == (data.groupby("g")["y"].max() == 0).sum()
    assert table.loc[("mean", "new"), "observed"] == pytest.approx(data["y"].mean())


def test_dispersion_is_the_mean_squared_pearson_residual() -> None:
    post = _made("y ~ x + (1 | g)", "poisson", draws=200)
    table = bm.check(post, draws=200, random_seed=1).table.set_index("statistic")
    mu = np.exp(post.linear_predictor())
    each = ((post.design.response.y - mu) ** 2 / mu).mean(axis=1)
    assert table.loc["dispersion", "observed"] == pytest.approx(np.median(each))


def test_the_dataset_holds_means_by_predictor_and_by_group() -> None:
    data = _rows()
    ds = bm.check(_made("y | trials(n) ~ x + (1 | g)", "binomial", data.assign(y=data["y"].clip(upper=3))),
                  by="day", draws=50, random_seed=1).dataset  # fmt: skip
    shares = data.assign(y=data["y"].clip(upper=3))
    by_group = shares.groupby("g")["y"].sum() / shares.groupby("g")["n"].sum()
    by_day = shares.groupby("day")["y"].sum() / shares.groupby("day")["n"].sum()
    assert ds["g_observed"].to_numpy() == pytest.approx(by_group.to_numpy())
    assert ds["day_observed"].to_numpy() == pytest.approx(by_day.to_numpy())
    assert ds["g_own"].dims == ("chain", "draw", "g")
    assert dict(ds["day_new"].sizes) == {"chain": 1, "draw": 50, "day": 3}


def test_the_same_seed_gives_the_same_numbers_and_new_labels_change_none() -> None:
    data = _rows()
    first, again = (bm.check(_made("y ~ x + (1 | g)", "poisson", data), draws=100, random_seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, again.table)
    renamed = bm.check(_made("y ~ x + (1 | g)", "poisson", data.assign(g="h" + data["g"])), draws=100, random_seed=4)
    pd.testing.assert_frame_equal(first.table, renamed.table)


def test_another_order_of_rows_moves_p_by_monte_carlo_error_only() -> None:
    data = _rows()
    shuffled = data.sample(frac=1.0, random_state=1).reset_index(drop=True)
    one, other = (
        bm.check(_made("y ~ x + (1 | g)", "poisson", d), random_seed=4).table.set_index(["statistic", "groups"])
        for d in (data, shuffled)
    )
    exact = [k for k in one.index if k[0] not in ("distribution", "averages", "quantiles of groups")]
    assert one["observed"][exact].to_numpy() == pytest.approx(other["observed"][exact].to_numpy(), rel=1e-6)
    assert one["p"].to_numpy() == pytest.approx(other["p"].to_numpy(), abs=0.08)  # five standard errors of 2,000


def test_groups_without_b_without_factors_and_with_known_parts_are_said() -> None:
    data = _rows()
    rng = np.random.default_rng(1)
    beta, Sigma = rng.normal(0.4, 0.05, (1, 30, 2)), {"g": np.full((1, 30, 1, 1), 0.25)}
    without = bm.from_draws("y ~ x + (1 | g)", data, family="poisson", beta=beta, Sigma=Sigma)
    found = bm.check(without, draws=50, random_seed=1)
    assert "nothing is said of the same groups" in found.sentences
    assert set(found.table["groups"]) == {"new"}
    alone = bm.check(bm.from_draws("y ~ x", data, family="poisson", beta=beta), draws=50, random_seed=1)
    assert set(alone.table["groups"]) == {"own"}
    waits = data.assign(t=np.exp(data["z"]), late=(data["day"] == 0).astype(int))
    made = _made("t | cens(late) ~ x + (1 | g)", "weibull", waits, aux={"shape": np.full((1, 50), 1.2)})
    censored = bm.check(made, draws=50, random_seed=1)
    assert "known in part" in censored.sentences
    assert not {"maximum", "mean"} & set(censored.table["statistic"])
    counted = _made("y | weights(n) ~ x + (1 | g)", "poisson")
    assert "Weights of rows were not used" in bm.check(counted, draws=50, random_seed=1).sentences


@pytest.mark.parametrize(
    ("sigma", "said"), [(1.0, "which does not stand out (p "), (3.0, "100% of rows"), (3.0, "which stands out")]
)
def test_the_share_of_rows_within_the_central_90_percent_has_a_verdict(sigma: float, said: str) -> None:
    """Of a sigma three times too large all 200 rows lie there, with probability 0.9^200 were it right."""
    data = pd.DataFrame({"z": stats.norm.ppf((np.arange(200) + 0.5) / 200)})
    draws = {"beta": np.zeros((1, 500, 1)), "aux": {"sigma": np.full((1, 500), sigma)}}
    assert said in bm.check(bm.from_draws("z ~ 1", data, family="gaussian", **draws), random_seed=1).sentences


def test_what_cannot_be_checked_is_refused() -> None:
    post = _made("y ~ x + (1 | g)", "poisson")
    with pytest.raises(bm.EstimandError, match="allowed are 'own'"):
        bm.check(post, groups="zero")
    for ill in (post, post.design.data, True, 1.5, ["own", post], np.array([1, 2]), pd.Series(["own", "old"]), ()):
        with pytest.raises(bm.EstimandError, match=r"(?s)groups=.*allowed are 'own'"):
            bm.check(post, groups=ill)
    with pytest.raises(bm.EstimandError, match=r"Did you mean 'day'\?"):
        bm.check(post, by="days")
    with pytest.raises(bm.PosteriorError, match="have seen no data"):
        bm.check(replace(post, info={"draws": "prior"}))
    levels = bm.from_draws("y ~ 1 + (1 | g)", levels={"g": ["a", "b"]}, family="poisson", beta=np.zeros((1, 9, 1)),
                           Sigma={"g": np.ones((1, 9, 1, 1))})  # fmt: skip
    with pytest.raises(bm.PosteriorError, match="needs the fitted rows"):
        bm.check(levels)


@pytest.mark.parametrize("family", ["lognormal", "student_t", "cumulative", "beta_binomial", "negbinomial"])
def test_every_kind_of_family_is_checked_in_full_sentences(family: str) -> None:
    data = _rows()
    y = {"lognormal": np.exp(data["z"]), "student_t": data["z"], "cumulative": data["y"].clip(upper=3) + 1,
         "beta_binomial": data["y"].clip(upper=3), "negbinomial": data["y"]}[family]  # fmt: skip
    aux = {"lognormal": {"sigma": 1.0}, "student_t": {"sigma": 1.0, "nu": 4.0}, "beta_binomial": {"phi": 5.0},
           "negbinomial": {"shape": 2.0}}.get(family, {})  # fmt: skip
    draws = {k: np.full((1, 50), v) for k, v in aux.items()}
    if family == "cumulative":
        rng = np.random.default_rng(1)
        thresholds = np.tile([-0.5, 0.6, 1.5], (1, 50, 1))
        post = bm.from_draws("y ~ x + (1 | g)", data.assign(y=y), family=family, beta=np.full((1, 50, 1), 0.4),
                             b={"g": rng.normal(size=(1, 50, 12, 1))}, Sigma={"g": np.ones((1, 50, 1, 1))},
                             aux={"thresholds": thresholds})  # fmt: skip
    else:
        left = "y | trials(n)" if family == "beta_binomial" else "y"
        post = _made(f"{left} ~ x + (1 | g)", family, data.assign(y=y), aux=draws)
    found = bm.check(post, draws=100, random_seed=1)
    assert np.isfinite(found.table[["observed", "predicted", "lower", "upper", "p"]].to_numpy()).all()
    assert found.sentences.startswith("Check of y")
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize("k", [0, 5, 6, pytest.param(2, marks=pytest.mark.evidence)])
def test_planted_faults_are_found_by_the_statistic_that_names_them(k: int) -> None:
    case = evidence_checks.FAULTS[k]
    names, _, _ = evidence_checks.found(case, 7)
    assert set(case.telling) & set(names)


def test_a_right_model_is_quiet_and_overdispersion_is_named() -> None:
    assert evidence_checks.found(evidence_checks.RIGHT[0], 7)[0] == []
    post = bm.GLMM("count ~ zBase * Trt + (1 | patient)", bm.load_dataset("epilepsy"), family="poisson").fit(
        sampler="independent", random_seed=1, progressbar=False
    )
    found = bm.check(post, random_seed=1)
    assert "overdispersion" in " ".join(found.findings)
    assert "family='negbinomial'" in " ".join(found.findings)
    assert all(name in FAMILIES for name in _named_families(" ".join(found.findings)))


def _named_families(text: str) -> list[str]:
    import re

    return re.findall(r"family='(\w+)'", text)


@pytest.mark.evidence
def test_each_of_six_planted_faults_is_found_and_twenty_right_models_are_quiet() -> None:
    for k in (0, 1, 2, 4, 5, 6):
        results = [evidence_checks.found(evidence_checks.FAULTS[k], 1000 * (k + 1) + j)[0] for j in range(3)]
        assert sum(bool(names) for names in results) >= 2, evidence_checks.FAULTS[k].said
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alarms = [evidence_checks.found(case, 100_000 + 1000 * k + j)[0] for k, case in enumerate(evidence_checks.RIGHT)
                  for j in range(2)]  # fmt: skip
    assert sum(bool(names) for names in alarms) <= 1


def test_the_picture_has_a_panel_for_y_each_predictor_each_factor_and_each_effect() -> None:
    found = bm.check(_made("y ~ x + (1 | g)", "poisson"), draws=100, random_seed=1)
    figure: Any = bm.plot_check(found)
    names = [ax.get_xlabel().replace("\n", " ") for ax in figure.axes]
    assert names == [
        "y",
        "x",
        "expected mean of y",
        "12 groups of g, in order",
        "g Intercept: effect of normal new groups",
    ]
    drawn: Any = bm.plot_check(found, "groups")
    observed = next(line for line in drawn.lines if line.get_gid() == "bayesmargins-point")
    assert observed.get_ydata() == pytest.approx(np.sort(_rows().groupby("g")["y"].mean().to_numpy()))
    with pytest.raises(bm.ResultError, match="Did you mean 'groups'"):
        bm.plot_check(found, "group")
    with pytest.raises(bm.ResultError, match="posterior, or what check"):
        bm.plot_check(found.table)  # type: ignore[arg-type]


def test_nothing_of_another_kind_of_response_is_proposed() -> None:
    """Successes are no counts of categories, and counts from 1 on are no categories."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"n": 8, "g": np.repeat(np.arange(10), 12)})
    data["k"] = rng.binomial(8, rng.beta(0.4, 0.6, len(data)))
    data["c"] = 1 + rng.negative_binomial(0.4, 0.2, len(data))
    given = {
        "beta": np.full((1, 40, 1), -0.4),
        "b": {"g": np.zeros((1, 40, 10, 1))},
        "Sigma": {"g": np.full((1, 40, 1, 1), 0.1)},
    }
    for left, family, mean in (("k | trials(n)", "binomial", -0.4), ("c", "poisson", 1.0)):
        post = bm.from_draws(
            f"{left} ~ 1 + (1 | g)", data, family=family, **given | {"beta": np.full((1, 40, 1), mean)}
        )
        said = " ".join(bm.check(post, random_seed=1).findings)
        assert "family=" in said
        assert "categorical" not in said
        assert "multinomial" not in said
