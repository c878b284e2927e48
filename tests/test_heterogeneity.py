"""Heterogeneity: effects within groups, described over new groups, against roots, quadrature and simulated groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, ndtr
from scipy.stats import lognorm, norm
from test_margins import random_posterior, simulated

import bayesmargins as bm

POST = reference.posterior("b_bacteria")
TWO = random_posterior("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), "bernoulli")
PROBS = (0.05, 0.25, 0.5, 0.75, 0.95)
NAMES = ["q05", "q25", "q50", "q75", "q95"]


def take(post: bm.Posterior, *draws: int) -> bm.Posterior:
    """Some draws of the first chain."""
    some = {"chain": [0], "draw": list(draws)}
    return bm.from_draws(
        post.formula, post.design.data, family=post.family.name, link=post.link.name, beta=post.beta.isel(some),
        b={f: v.isel(some) for f, v in post.b.items()}, Sigma={f: v.isel(some) for f, v in post.Sigma.items()},
        aux={k: v.isel(some) for k, v in post.aux.items()},
    )  # fmt: skip


def of(ds: xr.Dataset, statistic: Any) -> np.ndarray:
    return ds["estimate"].sel(statistic=statistic).to_numpy()


def share_above(g: Callable[[Any], Any], level: float) -> float:
    """P(g(Z) > level) from all roots of g - level, each to rounding."""
    z = np.linspace(-9, 9, 3601)
    y = g(z) - level
    roots = [
        brentq(lambda x: float(g(x) - level), z[k], z[k + 1], xtol=1e-14) for k in np.flatnonzero(y[1:] * y[:-1] < 0)
    ]
    edges = np.array([-np.inf, *roots, np.inf])
    middles = [(max(a, -9) + min(b, 9)) / 2 for a, b in pairwise(edges)]
    inside = [ndtr(b) - ndtr(a) if b <= 0 else ndtr(-a) - ndtr(-b) for a, b in pairwise(edges)]
    return sum(mass for mass, middle in zip(inside, middles, strict=True) if g(middle) > level)


COMPARED: dict[str, Callable[..., Any]] = {
    "difference": lambda h, up, down: h(up) - h(down),
    "ratio": lambda h, up, down: h(up) / h(down),
    "lnor": lambda h, up, down: np.log(h(up) / h(-up)) - np.log(h(down) / h(-down)),
}


@pytest.mark.parametrize("rows", ["one", "all"])
@pytest.mark.parametrize("comparison", COMPARED)
@pytest.mark.parametrize("name", ["b_bacteria", "h_bactprobit"])
def test_random_intercepts_against_roots_and_quadrature(name: str, comparison: str, rows: str) -> None:
    post = take(reference.posterior(name), 3, 17)
    data = post.design.data.head(1) if rows == "one" else post.design.data
    ds = bm.heterogeneity(post, {"trt": ("placebo", "drug")}, newdata=data, comparison=comparison, null=0.9)
    h = {"logit": expit, "probit": ndtr}[post.link.name]
    for d in range(2):
        beta = post.beta.to_numpy()[0, d]
        s = np.sqrt(post.Sigma["ID"].to_numpy()[0, d, 0, 0])
        week = data.week.to_numpy()

        def g(z: Any, beta: np.ndarray = beta, s: float = s, week: np.ndarray = week) -> Any:
            eta = beta[0] + beta[3] * week + s * np.asarray(z)[..., None]
            return COMPARED[comparison](lambda e: h(e).mean(axis=-1), eta + beta[1], eta)

        def moment(f: Callable[[float], float]) -> float:
            return quad(lambda z: f(z) * norm.pdf(z), -9, 9, epsabs=1e-13, epsrel=1e-11, limit=200)[0]

        mean = moment(lambda z: float(g(z)))
        sd = np.sqrt(moment(lambda z, mean=mean: float(g(z) - mean) ** 2))
        found = ds["estimate"].isel(contrast=0).to_numpy()[0, d]
        np.testing.assert_allclose(found[:2], [mean, sd], rtol=1e-8, atol=1e-11)
        level = found[-1]
        assert share_above(g, 0.9) == pytest.approx(level, abs=1e-9)
        if sd > 1e-6:  # the odds ratio of one profile is the same in every group
            np.testing.assert_allclose([1 - share_above(g, q) for q in found[2:-1]], PROBS, atol=2e-8)
        else:
            np.testing.assert_allclose(found[2:-1], mean, rtol=1e-9)


@pytest.mark.parametrize("name", ["b_bacteria", "h_bactprobit", "c_cbpp"])
def test_mean_of_differences_is_the_population_average(name: str) -> None:
    post = reference.posterior(name)
    variable = {"c_cbpp": "period"}.get(name, "trt")
    ds = bm.heterogeneity(post, variable)
    assert "grid in b" in ds.attrs["integration_method"]
    same = bm.avg_comparisons(post, variable)["estimate"].to_numpy()
    np.testing.assert_allclose(of(ds, "mean"), same, rtol=1e-10, atol=1e-13)
    said = json.loads(ds.attrs["error_estimates"])
    assert max(said[s] for s in ("mean", "sd")) < 1e-14
    assert max(said[s] for s in NAMES) < 1e-7
    assert "error_bound" not in ds.attrs


def test_odds_ratios_within_groups_are_not_those_of_averages() -> None:
    row = POST.design.data.head(1)
    within = bm.heterogeneity(POST, {"trt": ("placebo", "drug")}, newdata=row, comparison="or")
    conditional = np.exp(POST.beta.to_numpy()[..., 1])
    for statistic in ("mean", "q05", "q95"):
        np.testing.assert_allclose(of(within, statistic)[..., 0], conditional, rtol=1e-9)
    np.testing.assert_allclose(of(within, "sd"), 0.0, atol=1e-6)
    np.testing.assert_array_equal(of(within, "share > 1")[..., 0], (conditional > 1).astype(float))
    averages = bm.avg_comparisons(POST, {"trt": ("placebo", "drug")}, newdata=row, comparison="or")
    assert (np.abs(np.log(averages["estimate"].to_numpy()[..., 0])) < np.abs(np.log(conditional))).all()


def test_identity_link_gives_the_normal_distribution_of_the_random_slope() -> None:
    post = reference.posterior("d_sleep")
    mean = post.beta.to_numpy()[..., 1]
    sd = np.sqrt(post.Sigma["Subject"].to_numpy()[..., 1, 1])
    for asked, unit in ((("Days", "slopes"), 1.0), (({"Days": 3}, "comparisons"), 3.0)):
        ds = bm.heterogeneity(post, asked[0], estimand=asked[1], null=5.0 * unit).isel(contrast=0)
        np.testing.assert_allclose(of(ds, "mean"), unit * mean, rtol=1e-11)
        np.testing.assert_allclose(of(ds, "sd"), unit * sd, rtol=1e-10)
        wanted = unit * (mean[..., None] + sd[..., None] * norm.ppf(PROBS))
        np.testing.assert_allclose(of(ds, NAMES), wanted, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(of(ds, f"share > {5 * unit:g}"), norm.sf((5 - mean) / sd), rtol=1e-9)
        assert "closed form in b" in ds.attrs["integration_method"]


@pytest.mark.parametrize("others", ["new", "zero", "own", "existing", {"LOCATION": ["12"]}])
def test_other_factors_follow_their_policy(others: Any) -> None:
    # Under a log link every policy of LOCATION multiplies the effect, which is lognormal over BROOD.
    post = take(reference.posterior("f_grouse"), 0, 20, 40)
    if isinstance(others, dict):
        others = {"LOCATION": [post.design.factors["LOCATION"].levels[4]]}
    ds = bm.heterogeneity(post, {"YEAR": ("95", "96")}, over="BROOD", groups=others)
    s = np.sqrt(post.Sigma["BROOD"].to_numpy()[..., 0, 0])
    inner = others if isinstance(others, dict) else {"LOCATION": others}
    at_zero = np.exp(-(s**2) / 2) * bm.avg_comparisons(
        post, {"YEAR": ("95", "96")}, groups={"BROOD": "new", **inner}
    )["estimate"].to_numpy().reshape(1, 3)  # fmt: skip
    ds = ds.squeeze([d for d in ds["estimate"].dims[2:] if d != "statistic"])
    sign = np.sign(at_zero)
    moments = [lognorm.mean(s), lognorm.std(s)]
    np.testing.assert_allclose(of(ds, "mean"), at_zero * moments[0], rtol=1e-9)
    np.testing.assert_allclose(of(ds, "sd"), np.abs(at_zero) * moments[1], rtol=1e-8)
    wanted = at_zero[..., None] * lognorm.ppf(np.array(PROBS), s[..., None] * np.where(sign > 0, 1, -1)[..., None]) if (
        sign > 0).all() else at_zero[..., None] * np.exp(sign[..., None] * s[..., None] * norm.ppf(PROBS))  # fmt: skip
    np.testing.assert_allclose(of(ds, NAMES), wanted, rtol=1e-8)
    np.testing.assert_allclose(of(ds, "share > 0"), (at_zero > 0).astype(float), atol=1e-12)
    assert json.loads(ds.attrs["groups"])["BROOD"] == "new"


@pytest.mark.parametrize("others", ["new", "zero", "own", "existing"])
def test_mean_is_the_average_under_the_same_policy_of_the_other_factor(others: str) -> None:
    for over, other in (("h", "g"), ("g", "h")):
        ds = bm.heterogeneity(TWO, "f", over=over, groups=others, points=64)
        same = bm.avg_comparisons(TWO, "f", groups={over: "new", other: others})["estimate"]
        np.testing.assert_allclose(of(ds, "mean"), same, rtol=1e-9, atol=1e-12)


def test_another_factor_is_integrated_within_each_group() -> None:
    # TWO: (1 + x | g) is integrated, by a sum over z, inside each group of h.
    data = simulated().head(3)
    ds = bm.heterogeneity(TWO, {"f": ("a", "b")}, over="h", newdata=data, null=0.05)
    rows = {level: TWO.design.rows(data.assign(f=level)) for level in ("a", "b")}
    z, weights = naive.Z_GRID[::10], 10 * naive.Z_WEIGHTS[::10]
    for d in (0, 3):
        beta, Sigma = TWO.beta.to_numpy()[0, d], TWO.Sigma["g"].to_numpy()[0, d]
        s_h = np.sqrt(TWO.Sigma["h"].to_numpy()[0, d, 0, 0])

        def side(level: str, u: np.ndarray, beta: np.ndarray = beta, Sigma: np.ndarray = Sigma) -> np.ndarray:
            total = np.zeros(u.shape)
            for x, at in zip(rows[level].X, rows[level].Z["g"], strict=True):
                total += expit(x @ beta + u[..., None] + np.sqrt(at @ Sigma @ at) * z) @ weights / len(data)
            return total

        def g(u: Any, s: float = s_h, side: Any = side) -> Any:
            u = s * np.asarray(u, dtype=float)
            return side("b", u) - side("a", u)

        found = ds["estimate"].isel(contrast=0).to_numpy()[0, d]
        np.testing.assert_allclose(found[0], g(naive.Z_GRID[::10]) @ weights, rtol=1e-9)
        np.testing.assert_allclose([1 - share_above(g, q) for q in found[2:-1]], PROBS, atol=1e-7)
        assert found[-1] == pytest.approx(share_above(g, 0.05), abs=1e-7)


def test_log_ratio_of_a_profile_is_normal_and_the_ratio_lognormal() -> None:
    # k_epil: random slope in per, so that the ratio exp(beta + b_per) differs between groups.
    post = reference.posterior("k_epil")
    row = post.design.data.head(1)
    mean = post.beta.to_numpy()[..., 4]
    sd = np.sqrt(post.Sigma["subject"].to_numpy()[..., 1, 1])
    logs = bm.heterogeneity(post, "per", newdata=row, comparison="lnratio", random_seed=1).isel(contrast=0)
    ratios = bm.heterogeneity(post, "per", newdata=row, comparison="ratio", random_seed=1).isel(contrast=0)
    assert "Sobol points in 2 dimensions of b" in logs.attrs["integration_method"]
    wanted = {"mean": mean, "sd": sd, "share > 0": norm.cdf(mean / sd)}
    wanted |= {n: mean + sd * norm.ppf(p) for n, p in zip(NAMES, PROBS, strict=True)}
    _within_their_errors(logs, wanted)
    wanted = {"mean": np.exp(mean + sd**2 / 2), "share > 1": norm.cdf(mean / sd)}
    wanted |= {n: np.exp(mean + sd * norm.ppf(p)) for n, p in zip(NAMES, PROBS, strict=True)}
    _within_their_errors(ratios, wanted)


def _within_their_errors(ds: xr.Dataset, wanted: dict[str, np.ndarray], most: float = 4.0) -> None:
    """Root mean square error over draws, against what the result says of it (the error of an error is about half)."""
    said = json.loads(ds.attrs["error_estimates"])
    for statistic, exact in wanted.items():
        error = np.sqrt(((of(ds, statistic) - exact) ** 2).mean())
        assert error <= most * said[statistic] + 1e-12, (statistic, error, said[statistic])
        assert said[statistic] <= 0.02 * max(1.0, np.abs(exact).max()), statistic


RANDOM_SLOPES = [
    ("y ~ x + treated + (1 + x | g)", "bernoulli", "logit"),
    ("y ~ x + treated + (1 + x | g) + (1 | h)", "bernoulli", "probit"),
    ("k | trials(n) ~ x + flag + (x || g)", "binomial", "cloglog"),
]


@pytest.mark.parametrize("estimand", ["comparisons", "slopes"])
@pytest.mark.parametrize(("formula", "family", "link"), RANDOM_SLOPES)
def test_random_slopes_against_simulated_groups(formula: str, family: str, link: str, estimand: str) -> None:
    post = take(random_posterior(formula, simulated(), family, link), 0, 3)
    ds = bm.heterogeneity(post, "x", over="g", estimand=estimand, points=4096, random_seed=3).isel(contrast=0)
    rng = np.random.default_rng(8)
    rows = post.design.rows(post.design.data)
    x = list(post.design.coef).index("x")
    step = 1.0 if estimand == "comparisons" else 1e-4
    for d in range(2):
        beta = post.beta.to_numpy()[0, d]
        b = rng.multivariate_normal(np.zeros(2), post.Sigma["g"].to_numpy()[0, d], size=40_000)
        s2 = post.Sigma["h"].to_numpy()[0, d, 0, 0] if "h" in post.Sigma else 0.0

        def mean(shift: float, beta: np.ndarray = beta, b: np.ndarray = b, s2: float = s2) -> np.ndarray:
            eta = rows.X @ beta + rows.offset + b @ rows.Z["g"].T + shift * (beta[x] + b[:, 1:])
            h = {"logit": expit, "probit": ndtr, "cloglog": lambda e: -np.expm1(-np.exp(e))}[link]
            return h(eta / np.sqrt(1 + s2) if link == "probit" else eta).mean(axis=1)

        effect = (mean(step) - mean(0.0)) if step == 1.0 else (mean(step) - mean(-step)) / (2 * step)
        found = ds["estimate"].to_numpy()[0, d]
        spread = effect.std()
        assert found[0] == pytest.approx(effect.mean(), abs=5 * spread / 200)
        assert found[1] == pytest.approx(spread, rel=0.03)
        np.testing.assert_allclose([(effect <= q).mean() for q in found[2:-1]], PROBS, atol=0.012)
        assert found[-1] == pytest.approx((effect > 0).mean(), abs=0.012)


@pytest.mark.parametrize("estimand", ["comparisons", "slopes"])
def test_mean_under_random_slopes_is_integrated_as_elsewhere(estimand: str) -> None:
    post = reference.posterior("k_epil")
    ds = bm.heterogeneity(post, "per", estimand=estimand, points=64, random_seed=2)
    average = {"comparisons": bm.avg_comparisons, "slopes": bm.avg_slopes}[estimand]
    np.testing.assert_allclose(of(ds, "mean"), average(post, "per")["estimate"], rtol=1e-12)


def test_error_estimate_is_of_the_right_size_and_falls_with_points() -> None:
    post = take(reference.posterior("k_epil"), *range(0, 50, 5))
    row = post.design.data.head(1)
    few, many, most = (
        bm.heterogeneity(post, "per", newdata=row, points=n, random_seed=seed)
        for n, seed in ((256, 5), (4096, 6), (2**16, 7))
    )
    wanted = {str(k): of(most, k) for k in few["statistic"].to_numpy() if k != "mean"}
    for ds in (few, many):
        said = json.loads(ds.attrs["error_estimates"])
        for statistic, exact in wanted.items():
            error = np.sqrt(((of(ds, statistic) - exact) ** 2).mean())
            assert error <= 4 * said[statistic] + 1e-6, (statistic, error, said[statistic])
    assert many.attrs["error_estimate"] < few.attrs["error_estimate"] / 4
    assert few.attrs["group_points"] == 256


def test_coding_and_units_of_a_random_slope_change_nothing() -> None:
    data = simulated()
    post = random_posterior("y ~ x + f + (1 + x | g)", data, "bernoulli")
    T = np.array([[1.0, 3.0], [0.0, 100.0]])  # x is 100 u + 3
    other = bm.from_draws(
        "y ~ u + f + (1 + u | g)", data.assign(u=(data.x - 3) / 100), family="bernoulli",
        beta=_recoded(post), b={"g": post.b["g"].to_numpy() @ T.T}, Sigma={"g": T @ post.Sigma["g"].to_numpy() @ T.T},
    )  # fmt: skip
    asked = {"estimand": "slopes", "random_seed": 4}
    one = bm.heterogeneity(post, "x", **asked)["estimate"].to_numpy()
    two = bm.heterogeneity(other, "u", **asked)["estimate"].to_numpy()
    np.testing.assert_allclose(two[..., :-1], 100 * one[..., :-1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(two[..., -1], one[..., -1], atol=2e-3)
    shift = bm.heterogeneity(post, {"x": 0.5}, random_seed=4)["estimate"].to_numpy()
    moved = bm.heterogeneity(other, {"u": 0.005}, random_seed=4)["estimate"].to_numpy()
    np.testing.assert_allclose(moved[..., :-1], shift[..., :-1], rtol=1e-7, atol=1e-9)


def _recoded(post: bm.Posterior) -> np.ndarray:
    names, beta = list(post.design.coef), post.beta.to_numpy().copy()
    x = names.index("x")
    beta[..., 0] += 3 * beta[..., x]
    beta[..., x] *= 100
    return beta


def test_order_of_rows_and_repeated_rows_change_nothing() -> None:
    data = POST.design.data
    one, two, three = (
        bm.heterogeneity(POST, {"trt": ("placebo", "drug")}, newdata=d)["estimate"].to_numpy()
        for d in (data, data.iloc[::-1], pd.concat([data, data]))
    )
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(three, one, rtol=1e-9, atol=1e-12)


def test_turning_successes_round_mirrors_the_distribution() -> None:
    post = random_posterior("y ~ x + treated + (1 + x | g)", simulated(), "bernoulli")
    turned = bm.from_draws(
        post.formula, simulated(y=1 - simulated().y), family="bernoulli", beta=-post.beta, Sigma=post.Sigma
    )
    for variable, size in (("treated", 1e-9), ("x", 0.02)):
        one, two = (bm.heterogeneity(p, variable, random_seed=1)["estimate"].to_numpy() for p in (post, turned))
        np.testing.assert_allclose(two[..., 0], -one[..., 0], rtol=1e-9)
        np.testing.assert_allclose(two[..., 2:-1], -one[..., 2:-1][..., ::-1], atol=max(size, 0.02))
        np.testing.assert_allclose(two[..., -1], 1 - one[..., -1], atol=0.02)


@pytest.mark.parametrize("formula", ["y ~ x + f + (1 | g)", "y ~ x + f + (1 + x | g)"])
def test_vanishing_variance_leaves_one_effect(formula: str) -> None:
    post = random_posterior(formula, simulated(), "bernoulli")
    still = bm.from_draws(formula, simulated(), family="bernoulli", beta=post.beta, Sigma={"g": post.Sigma["g"] * 0.0})
    ds = bm.heterogeneity(still, "x")
    zero = bm.avg_comparisons(still, "x", groups="zero")["estimate"].to_numpy()
    for statistic in ("mean", *NAMES):
        np.testing.assert_allclose(of(ds, statistic), zero, rtol=1e-10)
    np.testing.assert_allclose(of(ds, "sd"), 0.0, atol=1e-14)
    np.testing.assert_array_equal(of(ds, "share > 0"), (zero > 0).astype(float))


def test_random_slope_of_what_no_row_has_is_no_heterogeneity() -> None:
    post = random_posterior("y ~ x + treated + (0 + x | g)", simulated(), "bernoulli")
    row = simulated().head(1).assign(x=0.0)
    ds = bm.heterogeneity(post, "treated", newdata=row)
    np.testing.assert_array_equal(of(ds, "sd"), 0.0)
    np.testing.assert_array_equal(of(ds, "q05"), of(ds, "mean"))


def test_wide_random_effects_are_within_reach() -> None:
    # The effect of one profile is a narrow bell in b: s = 40 needs a fine grid.
    data = pd.DataFrame({"y": [0, 1, 0, 1], "x": [0, 1, 0, 1], "g": ["a", "a", "b", "b"]})
    post = bm.from_draws(
        "y ~ x + (1 | g)", data, family="bernoulli", beta=np.array([[[-3.0, 1.0]]]),
        Sigma={"g": np.full((1, 1, 1, 1), 1600.0)},
    )  # fmt: skip
    found = bm.heterogeneity(post, "x", newdata=data.head(1), null=0.1)["estimate"].to_numpy()[0, 0, 0]

    def g(z: Any) -> Any:
        return expit(-2.0 + 40.0 * np.asarray(z)) - expit(-3.0 + 40.0 * np.asarray(z))

    points = [2.5 / 40 + k / 40 for k in (-30, -10, -3, 0, 3, 10, 30)]
    mean, square = (quad(lambda z, p=p: g(z) ** p * norm.pdf(z), -9, 9, points=points, limit=400)[0] for p in (1, 2))
    np.testing.assert_allclose(found[:2], [mean, np.sqrt(square - mean**2)], rtol=1e-9)
    edge = brentq(lambda z: g(z) - 0.1, -0.2, 2.5 / 40), brentq(lambda z: g(z) - 0.1, 2.5 / 40, 0.3)
    assert found[-1] == pytest.approx(ndtr(edge[1]) - ndtr(edge[0]), abs=1e-9)


def test_cells_are_what_their_rows_give_alone() -> None:
    data = POST.design.data
    both = bm.heterogeneity(POST, {"trt": ("placebo", "drug")}, by="trt", at={"week": [0.0, 4.0]})
    assert both["estimate"].dims[2:] == ("contrast", "week", "trt", "statistic")
    alone = bm.heterogeneity(
        POST, {"trt": ("placebo", "drug")}, newdata=data[data.trt == "drug"].assign(week=4.0)
    )["estimate"]  # fmt: skip
    np.testing.assert_allclose(both["estimate"].sel(week=4.0, trt="drug"), alone, rtol=1e-9, atol=1e-12)
    weighted = bm.heterogeneity(POST, "trt", wts=(data.trt == "drug").to_numpy(float), at={"week": 4.0})
    np.testing.assert_allclose(weighted["estimate"][:, :, 0, 0], alone[:, :, 0], rtol=1e-9, atol=1e-12)


def test_counts_are_the_probabilities_of_equal_trials_times_them() -> None:
    post = reference.posterior("c_cbpp")
    ten = post.design.data.assign(size=10)
    one, count = (bm.heterogeneity(post, "period", newdata=ten, target=t)["estimate"] for t in ("mean", "count"))
    np.testing.assert_allclose(count.to_numpy()[..., :-1], 10 * one.to_numpy()[..., :-1], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(count.to_numpy()[..., -1], one.to_numpy()[..., -1], atol=1e-12)


def test_memory_and_threads_change_nothing() -> None:
    post = reference.posterior("k_epil")
    row = post.design.data.head(2)
    whole = bm.heterogeneity(post, "per", newdata=row, random_seed=1)
    with bm.options(memory="300kB", threads=1):
        parts = bm.heterogeneity(post, "per", newdata=row, random_seed=1)
    np.testing.assert_allclose(parts["estimate"], whole["estimate"], rtol=1e-12)
    again = bm.heterogeneity(post, "per", newdata=row, random_seed=1)
    np.testing.assert_array_equal(again["estimate"], whole["estimate"])
    assert whole.attrs["random_seed"] == 1


def test_result_says_what_it_is_and_comes_back_the_same(tmp_path: Path) -> None:
    ds = bm.heterogeneity(POST, "trt", quantiles=[0.025, 0.5], null=-0.1)
    assert ds["statistic"].values.tolist() == ["mean", "sd", "q02.5", "q50", "share > -0.1"]
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, ds)
    said = bm.describe(again)
    assert said.startswith("Distribution over new groups of ID, each given the same rows, of the effect within a group")
    assert said.endswith("mean, sd, q02.5, q50, and the share of groups where it is above -0.1.")
    assert "population average" not in said
    assert "no groups" not in said
    table = bm.summary(again, null=0)
    assert table.index.names == ["term", "contrast", "scale", "statistic"]
    assert ds.margins.plot() is not None
    two = bm.heterogeneity(reference.posterior("f_grouse"), "cH10", over="BROOD")
    assert "; integrated over new groups of LOCATION; over groups" in bm.describe(two)


NESTED = random_posterior("y ~ x + (1 | g/h)", simulated(), "bernoulli")
ALONE = random_posterior("y ~ x", simulated(), "bernoulli")
REFUSED: list[tuple[type[bm.BayesmarginsError], str, Callable[[], Any]]] = [
    (bm.PosteriorError, "a Posterior is needed", lambda: bm.heterogeneity({}, "trt")),
    (bm.EstimandError, "has no grouping factor", lambda: bm.heterogeneity(ALONE, "x")),
    (bm.EstimandError, "over=None; it must be.*one of 'g', 'h'", lambda: bm.heterogeneity(TWO, "x")),
    (bm.EstimandError, "over='id'.*one of 'ID'.*Did you mean 'ID'", lambda: bm.heterogeneity(POST, "trt", over="id")),
    (bm.EstimandError, "Did you mean 'week'", lambda: bm.heterogeneity(POST, "weeks")),
    (bm.EstimandError, "has no slope", lambda: bm.heterogeneity(POST, "trt", estimand="slopes")),
    (bm.EstimandError, "allowed are comparisons, slopes", lambda: bm.heterogeneity(POST, "trt", estimand="mean")),
    (bm.EstimandError, "comparison='or' belongs to", lambda: bm.heterogeneity(
        POST, "week", estimand="slopes", comparison="or")),
    (bm.EstimandError, "different numbers between 0 and 1", lambda: bm.heterogeneity(POST, "trt", quantiles=[5, 95])),
    (bm.EstimandError, "different numbers between 0 and 1", lambda: bm.heterogeneity(POST, "trt", quantiles=(0, 0.5))),
    (bm.EstimandError, "different numbers between 0 and 1", lambda: bm.heterogeneity(POST, "trt", quantiles="median")),
    (bm.EstimandError, "null='zero'; it must be a number", lambda: bm.heterogeneity(POST, "trt", null="zero")),
    (bm.EstimandError, "always above 0: it is 1", lambda: bm.heterogeneity(POST, "trt", null=0, comparison="ratio")),
    (bm.EstimandError, "a power of two from 64", lambda: bm.heterogeneity(POST, "trt", points=1000)),
    (bm.EstimandError, "no mean of such ratios", lambda: bm.heterogeneity(
        reference.posterior("d_sleep"), "Days", comparison="ratio")),
    (bm.GroupsError, "'ID' is the only one", lambda: bm.heterogeneity(POST, "trt", groups="own")),
    (bm.GroupsError, "Name the other factors only: 'h'", lambda: bm.heterogeneity(
        TWO, "x", over="g", groups={"g": "own", "h": "new"})),
    (bm.GroupsError, "leaves out 'h'", lambda: bm.heterogeneity(TWO, "x", over="g", groups={})),
    (bm.GroupsError, "is nested in 'g'", lambda: bm.heterogeneity(NESTED, "x", over="g", groups="own")),
    (bm.GroupsError, "Did you mean 'zero'", lambda: bm.heterogeneity(TWO, "x", over="g", groups="zeros")),
    (bm.EstimandError, "hours. Give newdata with fewer rows", lambda: bm.heterogeneity(POST, "trt", points=2**30)),
    (bm.EstimandError, "at fixes it", lambda: bm.heterogeneity(POST, "trt", at={"trt": ["drug"]})),
    (bm.EstimandError, "heterogeneity does not take seed=1. Here it is called 'random_seed'", lambda: bm.heterogeneity(
        POST, "trt", seed=1)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "ask"), REFUSED, ids=[said for _, said, _ in REFUSED])
def test_question_is_refused_with_what_to_do(error: type[Exception], said: str, ask: Callable[[], Any]) -> None:
    with pytest.raises(error, match=said):
        ask()
