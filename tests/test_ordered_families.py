"""Every ordered family under each of its links: laws of the categories, and averages against 30-digit quadrature."""

from __future__ import annotations

import gzip
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from interpreted import interpreted
from scipy import special, stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, Values, values_at
from bayesmargins.model.build import tensor_means

HERE = Path(__file__).parent / "data" / "reference" / "z_acat"
FORMULA = "rating ~ treat + period + carry + (1 | subject)"
FALLING = np.array([0.6, -0.7, 1.1])  # of families whose thresholds need not rise
RISING = np.array([-1.1, 0.3, 1.9])
PAIRS = [(f.name, link) for f in FAMILIES.values() if f.ordinal for link in f.links]
BOTH = -0.4, 1.3  # slopes of the two draws
CDF = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "cloglog": stats.gumbel_l,
    "loglog": stats.gumbel_r,
    "cauchit": stats.cauchy,
}
CDF_30 = {
    "logit": (lambda x: 1 / (1 + mp.exp(-x)), lambda x: 1 / (1 + mp.exp(x))),
    "probit": (mp.ncdf, lambda x: mp.ncdf(-x)),
    "cloglog": (lambda x: -mp.expm1(-mp.exp(x)), lambda x: mp.exp(-mp.exp(x))),
    "loglog": (lambda x: mp.exp(-mp.exp(-x)), lambda x: -mp.expm1(-mp.exp(-x))),
    "cauchit": (lambda x: 0.5 + mp.atan(x) / mp.pi, lambda x: 0.5 - mp.atan(x) / mp.pi),
}


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def theta_of(family: str) -> np.ndarray:
    return RISING if FAMILIES[family].parameter("thresholds").rising else FALLING


def posterior(family: str, link: str, s: float, draws: int = 2, theta: np.ndarray | None = None) -> bm.Posterior:
    """Draws over rows of one covariate, six groups and four categories."""
    rng = np.random.default_rng(3)
    theta = theta_of(family) if theta is None else theta
    frame = pd.DataFrame(
        {"y": np.resize([1, 2, 3, 4, 2, 3], 12), "x": np.linspace(-1.5, 1.5, 12), "g": [*"abcdef"] * 2}
    )
    size = np.concatenate([[1.0, 1.3], rng.uniform(0.9, 1.1, draws)])[:draws]
    return bm.from_draws(
        "y ~ x + (1 | g)",
        frame,
        family=family,
        link=link,
        beta=np.resize(BOTH, draws)[None, :, None],
        b={"g": s * rng.normal(size=(1, draws, 6, 1))},
        Sigma={"g": s**2 * size[None, :, None, None]},
        aux={"thresholds": (size[:, None] * theta)[None]},
    )


def by_scipy(family: str, link: str, eta: Any, theta: np.ndarray) -> np.ndarray:
    """P(y = k) given b, (..., category), each family written down anew."""
    x = theta - np.asarray(eta, dtype=float)[..., None]
    ones = np.ones((*x.shape[:-1], 1))
    if family == "adjacent":
        return special.softmax(np.concatenate([0.0 * ones, np.cumsum(-x, axis=-1)], axis=-1), axis=-1)
    h, rest = CDF[link].cdf(x), CDF[link].sf(x)
    if family == "sequential":
        return np.concatenate([ones, np.cumprod(rest, axis=-1)], axis=-1) * np.concatenate([h, ones], axis=-1)
    return np.diff(np.concatenate([0.0 * ones, h, ones], axis=-1), axis=-1)


def in_30_digits(family: str, link: str, eta: mp.mpf, theta: np.ndarray) -> list[mp.mpf]:
    x = [mp.mpf(float(t)) - eta for t in theta]
    if family == "adjacent":
        terms = [mp.exp(-mp.fsum(x[:k])) for k in range(len(x) + 1)]
        return [t / mp.fsum(terms) for t in terms]
    h, rest = ([f(v) for v in x] for f in CDF_30[link])
    if family == "sequential":
        reached = [mp.fprod(rest[:k]) for k in range(len(x) + 1)]
        return [r * p for r, p in zip(reached, [*h, mp.mpf(1)], strict=True)]
    ends = [mp.mpf(0), *h, mp.mpf(1)]
    return [high - low for low, high in pairwise(ends)]


@cache
def averaged_30(family: str, link: str, eta: float, s: float, scale: float = 1.0) -> np.ndarray:
    """E[P(y = k)] over N(eta, s^2): the trapezoid rule, which converges faster than any power of its step."""
    with mp.workdps(30):
        step = mp.mpf(1) / 24
        sums = [mp.mpf(0)] * 4
        for node in range(-24 * 13, 24 * 13 + 1):
            z = node * step
            at = in_30_digits(family, link, mp.mpf(eta) + mp.mpf(s) * z, scale * theta_of(family))
            sums = [total + step * mp.npdf(z) * p for total, p in zip(sums, at, strict=True)]
        return np.array([float(total) for total in sums])


# The distribution given b.


def test_log_density_is_that_of_scipy(pair: tuple[str, str]) -> None:
    """At 200 random points and far out, where a category is nearly certain or nearly impossible."""
    family, link = pair
    rng, theta = np.random.default_rng(1), theta_of(family)
    eta = np.concatenate([rng.normal(0.0, 2.0, 200).clip(-4.0), [-3.0, 3.5] if link == "cloglog" else [-9.0, 9.0]])
    y = rng.integers(1, 5, len(eta)).astype(float)
    found = FAMILIES[family].log_density(values_at(LINKS[link], eta, {"thresholds": theta}), Outcome(y))
    with mp.workdps(250):
        wanted = [
            float(mp.log(in_30_digits(family, link, mp.mpf(float(e)), theta)[int(k) - 1]))
            for e, k in zip(eta, y, strict=True)
        ]
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-14)


def test_likelihood_of_pymc_is_the_log_density_and_its_slopes_exist(pair: tuple[str, str]) -> None:
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    family, link = pair
    at = np.repeat([-2.0, 0.1, 3.0], 4)
    o, theta = Outcome(np.resize([1.0, 2.0, 3.0, 4.0], 12)), theta_of(family)
    eta = pt.vector("eta", dtype="float64", shape=(12,))
    with pm.Model(coords={"obs": np.arange(12)}) as model:
        p = Values(**tensor_means(LINKS[link], eta), eta=eta, link=LINKS[link], thresholds=pt.as_tensor(theta))
        FAMILIES[family].pymc(pm, "y", p, o)
    log = model.logp(sum=False)[0]
    found, slopes = pytensor.function([eta], [log, pt.grad(log.sum(), eta)], mode=interpreted())(at)
    wanted = FAMILIES[family].log_density(values_at(LINKS[link], at, {"thresholds": theta}), o)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    with mp.workdps(20):
        log_30 = [lambda e, k=k: mp.log(in_30_digits(family, link, e, theta)[k]) for k in o.y.astype(int) - 1]
        np.testing.assert_allclose(
            slopes, [float(mp.diff(f, mp.mpf(float(e)))) for f, e in zip(log_30, at, strict=True)], rtol=1e-7, atol=1e-9
        )


def test_simulated_categories_are_as_frequent_as_they_are_probable(pair: tuple[str, str]) -> None:
    family, link = pair
    n, theta = 1_000_000, theta_of(family)
    p = values_at(LINKS[link], np.full(n, 0.4), {"thresholds": theta})
    drawn = FAMILIES[family].simulate(np.random.default_rng(5), p, Outcome())
    wanted = by_scipy(family, link, 0.4, theta)
    found = np.array([(drawn == k).mean() for k in (1, 2, 3, 4)])
    assert np.all(np.abs(found - wanted) < 6.0 * np.sqrt(wanted * (1.0 - wanted) / n))


# Averages over groups.


@pytest.mark.parametrize("s", [0.3, 1.7])
def test_averages_over_new_groups_are_those_of_30_digits(pair: tuple[str, str], s: float) -> None:
    family, link = pair
    post = posterior(family, link, s)
    row = post.design.data.iloc[[2]]
    x, k = float(row["x"].iloc[0]), np.arange(1, 5)
    for draw, (beta, scale) in enumerate(zip(BOTH, (1.0, 1.3), strict=True)):
        p = averaged_30(family, link, beta * x, s * scale**0.5, scale)

        def of(target: Any, draw: int = draw) -> np.ndarray:
            return bm.predictions(post, row, target=target)["estimate"].values[0, draw, ..., 0]

        np.testing.assert_allclose(of(None), p, rtol=1e-9)
        np.testing.assert_allclose(of(bm.category(2)), p[1], rtol=1e-9)
        np.testing.assert_allclose(of(bm.exceeds(2)), p[2:].sum(), rtol=1e-9)
        np.testing.assert_allclose(of(bm.top(2)), p[2:].sum(), rtol=1e-9)
        np.testing.assert_allclose(of(bm.top(1)), p[3], rtol=1e-9)
        np.testing.assert_allclose(of(bm.score([0, 1, 5, 2])), p @ [0, 1, 5, 2], rtol=1e-9)
        np.testing.assert_allclose(of(bm.sd()), np.sqrt(k**2 @ p - (k @ p) ** 2), rtol=1e-9)
        for q in (0.1, 0.5, 0.93):
            assert of(bm.quantile(q)) == 1 + np.searchsorted(np.cumsum(p), q)


def test_the_product_is_averaged_and_not_its_factors() -> None:
    """Where b moves both steps of a sequential response, the average of the product is another number."""
    post = posterior("sequential", "logit", 1.7, theta=np.array([0.0, 0.0, 0.0]))
    row = pd.DataFrame({"x": [0.0]})
    second = float(bm.predictions(post, row, target=bm.category(2))["estimate"][0, 0, 0])
    z = np.linspace(-12.0, 12.0, 4001)
    h, w = special.expit(-1.7 * z), stats.norm.pdf(z) * (z[1] - z[0])
    assert second == pytest.approx(float(w @ (h * (1.0 - h))), rel=1e-10)
    assert second < 0.7 * float(w @ h) * float(w @ (1.0 - h))


def test_many_rows_go_through_tables_and_say_the_same(pair: tuple[str, str]) -> None:
    family, link = pair
    post = posterior(family, link, 1.2, draws=10)
    rows = pd.DataFrame({"x": np.linspace(-2, 2, 1000)})
    for groups in ("new", "existing", "zero"):
        for answer in (bm.predictions, lambda p, frame, **k: bm.slopes(p, "x", newdata=frame, **k)):
            found = answer(post, rows, groups=groups)
            alone = answer(post, rows.iloc[::50], groups=groups)["estimate"].values
            np.testing.assert_allclose(found["estimate"].values[..., ::50], alone, rtol=1e-9, atol=1e-12)
            assert found.attrs["error_bound"] < 1e-10


def test_a_slope_that_differs_between_groups_is_averaged_row_by_row(pair: tuple[str, str]) -> None:
    """s moves with x: in many rows of few values, in rows that all differ, and in one row alone."""
    family, link = pair
    theta, rng = theta_of(family), np.random.default_rng(2)
    frame = pd.DataFrame({"y": np.resize([1, 2, 3, 4], 12), "x": np.linspace(-1.5, 1.5, 12), "g": [*"abcdef"] * 2})
    post = bm.from_draws(
        "y ~ x + (1 + x | g)",
        frame,
        family=family,
        link=link,
        beta=np.array([[[0.8]]]),
        b={"g": rng.normal(size=(1, 1, 6, 2))},
        Sigma={"g": np.array([[[[0.5, 0.1], [0.1, 0.3]]]])},
        aux={"thresholds": theta[None, None]},
    )
    few, many = np.repeat([-1.0, 0.5], 100), np.linspace(-1.5, 1.5, 200)
    for groups in ("new", "existing"):
        for x in (few, many):
            rows = pd.DataFrame({"x": x})
            found = bm.predictions(post, rows, groups=groups)["estimate"].values[0, 0]
            one = bm.predictions(post, rows.iloc[[150]], groups=groups)["estimate"].values[0, 0]
            np.testing.assert_allclose(found[:, [150]], one, rtol=1e-10)
    step, at = 1e-4, 0.4
    slopes = bm.slopes(post, "x", newdata=pd.DataFrame({"x": [at]}))["estimate"].values
    sides = bm.comparisons(post, {"x": (at - step, at + step)}, newdata=pd.DataFrame({"x": [at]}))["estimate"].values
    np.testing.assert_allclose(slopes, sides / (2 * step), rtol=1e-6, atol=1e-9)


def test_no_variance_between_groups_leaves_b_at_zero(pair: tuple[str, str]) -> None:
    post = posterior(*pair, 0.0)
    for target in (None, bm.exceeds(2), bm.top(3), bm.score(), bm.sd(), bm.quantile(0.7)):
        new, zero = (bm.predictions(post, groups=g, target=target)["estimate"].values for g in ("new", "zero"))
        np.testing.assert_allclose(new, zero, rtol=1e-12)


def test_own_and_fitted_groups_are_sums_over_their_b(pair: tuple[str, str]) -> None:
    post = posterior(*pair, 0.9)
    rows, codes = post.design.data, post.design.factors["g"].codes
    for draw in range(2):
        theta = post.aux["thresholds"].values[0, draw]
        eta = post.beta.values[0, draw, 0] * rows["x"].to_numpy()
        b = post.b["g"].values[0, draw, :, 0]
        own = bm.predictions(post, groups="own")["estimate"].values[0, draw]
        np.testing.assert_allclose(own.T, by_scipy(*pair, eta + b[codes], theta), rtol=1e-11, atol=1e-15)
        existing = bm.predictions(post, groups="existing")["estimate"].values[0, draw]
        wanted = np.mean([by_scipy(*pair, eta + one, theta) for one in b], axis=0)
        np.testing.assert_allclose(existing.T, wanted, rtol=1e-10, atol=1e-15)


# Laws of the categories.


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_categories_add_up(pair: tuple[str, str], groups: str) -> None:
    post = posterior(*pair, 1.1)

    def of(target: Any) -> xr.DataArray:
        return bm.avg_predictions(post, groups=groups, target=target)["estimate"]

    every = of("category")
    assert float(every.min()) >= 0.0
    np.testing.assert_allclose(every.sum("category"), 1.0, rtol=1e-12)
    for k in (1, 2, 3):
        above = every.sel(category=slice(k + 1, None)).sum("category")
        np.testing.assert_allclose(of(bm.exceeds(k)), above, rtol=1e-10)
        np.testing.assert_allclose(of(bm.top(4 - k)), above, rtol=1e-10)
    np.testing.assert_allclose(of(bm.score()), (every * every["category"]).sum("category"), rtol=1e-10)
    slopes = bm.avg_slopes(post, "x", groups=groups)["estimate"]
    np.testing.assert_allclose(slopes.sum("category"), 0.0, atol=1e-12)


def test_slopes_are_the_derivatives_of_predictions(pair: tuple[str, str]) -> None:
    post, step, row = posterior(*pair, 1.1), 1e-4, pd.DataFrame({"x": [0.4]})
    slopes = bm.slopes(post, "x", newdata=row)["estimate"].values
    compared = bm.comparisons(post, {"x": (0.4 - step, 0.4 + step)}, newdata=row)["estimate"].values
    np.testing.assert_allclose(slopes, compared / (2 * step), rtol=1e-6, atol=1e-9)
    second = bm.slopes(post, "x", second="x", newdata=row)["estimate"].values
    sides = [
        bm.slopes(post, "x", newdata=pd.DataFrame({"x": [v]}))["estimate"].values for v in (0.4 + step, 0.4 - step)
    ]
    np.testing.assert_allclose(second, (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("rows", [12, 600], ids=["exact", "tables"])
def test_a_slope_for_a_relative_change_of_x_is_x_times_the_slope(pair: tuple[str, str], rows: int) -> None:
    post = posterior(*pair, s=0.8)
    data = post.design.data.iloc[np.arange(rows) % 12].assign(x=np.linspace(0.5, 2.0, rows))
    slope, relative = (bm.slopes(post, "x", newdata=data, slope=word)["estimate"] for word in ("dydx", "dyex"))
    np.testing.assert_allclose(relative.to_numpy(), slope.to_numpy() * data["x"].to_numpy(), rtol=1e-12)


def test_a_cumulative_odds_ratio_is_that_of_the_averaged_probabilities(pair: tuple[str, str]) -> None:
    post = posterior(*pair, 1.1)
    asked = {"target": bm.exceeds(2)}
    found = bm.avg_comparisons(post, {"x": (0.0, 1.0)}, comparison="or", **asked)["estimate"].values.ravel()
    low, high = (bm.avg_predictions(post, at={"x": [x]}, **asked)["estimate"].values.ravel() for x in (0.0, 1.0))
    np.testing.assert_allclose(found, high / (1.0 - high) / (low / (1.0 - low)), rtol=1e-11)


def test_categories_go_through_hypotheses_and_regions_of_equivalence(pair: tuple[str, str]) -> None:
    post = posterior(*pair, 1.1, draws=20)
    each = bm.avg_predictions(post, by="g", groups="own")
    apart = bm.hypotheses(each, "pairwise", along="category")["estimate"]
    np.testing.assert_allclose(
        apart.isel(contrast=0), each["estimate"].sel(category=2) - each["estimate"].sel(category=1), rtol=1e-12
    )
    assert apart.sizes["contrast"] == 6
    change = bm.avg_comparisons(post, {"x": (0.0, 1.0)})
    table = bm.summary(change, rope=(-0.05, 0.05))
    inside = (abs(change["estimate"]) < 0.05).mean(("chain", "draw")).values.ravel()
    np.testing.assert_allclose(table["p_rope"].to_numpy(dtype=float), inside)
    assert table.index.get_level_values("category").tolist() == [1, 2, 3, 4]


def test_what_has_no_variance_has_no_shares_of_it() -> None:
    for family in ("sequential", "adjacent"):
        with pytest.raises(bm.EstimandError, match=f"no variance on the response scale, and a {family} response"):
            bm.variance_partition(posterior(family, "logit", 1.0))


def test_more_categories_than_there_are_is_no_question() -> None:
    post = posterior("sequential", "logit", 1.0)
    with pytest.raises(bm.EstimandError, match=r"target=top\(4\): the response has the 4 categories.*from 1 to 3"):
        bm.predictions(post, target=bm.top(4))
    for bad in (0, 1.5, "a", True, None):
        with pytest.raises(bm.EstimandError, match="whole number from 1"):
            bm.top(bad)


@pytest.mark.parametrize(
    ("family", "link", "mirrors"),
    [
        ("cumulative", "logit", True),
        ("cumulative", "probit", True),
        ("adjacent", "logit", True),
        ("sequential", "logit", False),
    ],
)
def test_reversed_categories_mirror_where_no_step_comes_first(family: str, link: str, mirrors: bool) -> None:
    post = posterior(family, link, 1.1)
    turned = bm.from_draws(
        post.formula,
        post.design.data.assign(y=5 - post.design.data["y"]),
        family=family,
        link=link,
        beta=-post.beta.values,
        Sigma={"g": post.Sigma["g"].values},
        aux={"thresholds": -post.aux["thresholds"].values[..., ::-1]},
    )
    found, mirrored = (bm.predictions(p)["estimate"].values for p in (post, turned))
    assert np.allclose(found, mirrored[..., ::-1, :], rtol=1e-10) == mirrors


def test_two_categories_are_a_bernoulli_response(pair: tuple[str, str]) -> None:
    family, link = pair
    frame = posterior(family, link, 1.0).design.data
    frame = frame.assign(y=1 + (frame["y"] > 2))
    given: dict[str, Any] = {"link": link, "Sigma": {"g": np.full((1, 1, 1, 1), 0.7)}}
    two = bm.from_draws(
        "y ~ x + (1 | g)",
        frame,
        family=family,
        beta=np.array([[[0.8]]]),
        aux={"thresholds": np.full((1, 1, 1), 0.4)},
        **given,
    )
    # P(y > 1) = 1 - h(0.4 - eta), which is P(z = 1) of z = 2 - y with the linear predictor turned round
    one = bm.from_draws(
        "z ~ x + (1 | g)", frame.assign(z=2 - frame["y"]), family="bernoulli", beta=np.array([[[0.4, -0.8]]]), **given
    )
    found = bm.predictions(two)["estimate"].sel(category=1)
    np.testing.assert_allclose(found, bm.predictions(one)["estimate"], rtol=1e-12)


@pytest.mark.usefixtures("uncompiled")
def test_a_model_samples_its_own_prior_and_says_what_thresholds_are(pair: tuple[str, str]) -> None:
    family, link = pair
    data = posterior(family, link, 1.0).design.data
    model = bm.GLMM("y ~ x + (1 | g)", data, family=family, link=link)
    rising = FAMILIES[family].parameter("thresholds").rising
    assert ("in order" in str(model)) == rising
    theta = model.prior(draws=50, random_seed=1).aux["thresholds"].values
    assert np.all(np.diff(theta, axis=-1) > 0.0) == rising


# brms on the same draws.


@cache
def adjacent_data() -> pd.DataFrame:
    return pd.read_csv(HERE / "data.csv", dtype={"subject": str})


@cache
def adjacent(by: str) -> bm.Posterior:
    """As brms wrote the draws, or the same draws as arrays, each name of brms written out."""
    draws, data = pd.read_parquet(HERE / "draws.parquet"), adjacent_data()
    if by == "from_brms":
        return bm.from_brms(draws, FORMULA, data, family="acat")

    def cube(columns: list[str]) -> np.ndarray:
        return draws[columns].to_numpy().reshape(4, 10, len(columns))

    levels = bm.GLMM(FORMULA, data, family="adjacent").design.factors["subject"].levels
    return bm.from_draws(
        FORMULA,
        data,
        family="adjacent",
        beta=cube(["b_treat", "b_period", "b_carry"]),
        b={"subject": cube([f"r_subject[{level},Intercept]" for level in levels])[..., None]},
        Sigma={"subject": cube(["sd_subject__Intercept"])[..., None] ** 2},
        aux={"thresholds": cube([f"b_Intercept[{k}]" for k in (1, 2, 3)])},
    )


with gzip.open(HERE / "expected.json.gz") as _file:
    EXPECTED = {entry["id"]: entry for entry in json.load(_file)}


@pytest.mark.filterwarnings("ignore:Imported draws:bayesmargins.BayesmarginsWarning")
@pytest.mark.filterwarnings("ignore:groups='zero':bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("by", ["from_brms", "from_draws"])
@pytest.mark.parametrize("id_", EXPECTED)
def test_brms_on_the_same_draws(id_: str, by: str) -> None:
    post, entry = adjacent(by), EXPECTED[id_]
    what, _, groups = id_.partition("_")
    rows = [name[0] if isinstance(name, list) else name for name in entry["names"]]
    if what == "log":
        found = post.log_likelihood()["rating"].isel(obs=rows)
    elif what == "rows":
        found = bm.predictions(post, groups="own")["estimate"].isel(row=rows[::4]).transpose(..., "row", "category")
    elif what == "cf":
        found = bm.avg_comparisons(post, "treat", groups=groups)["estimate"]
    else:
        found = bm.avg_predictions(post, groups=groups)["estimate"]
    values = found.values.reshape(40, -1).T
    np.testing.assert_allclose(values, np.array(entry["value"]), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "family", "link"),
    [("sratio", "sequential", "cloglog"), ("acat", "adjacent", "logit"), ("cumulative", "cumulative", "probit")],
)
def test_draws_of_brms_are_read_under_its_own_names(name: str, family: str, link: str) -> None:
    post = posterior(family, link, 0.8)
    columns = {f"b_Intercept[{k + 1}]": post.aux["thresholds"].values[0, :, k] for k in range(3)}
    columns |= {"b_x": post.beta.values[0, :, 0], "sd_g__Intercept": np.sqrt(post.Sigma["g"].values[0, :, 0, 0])}
    frame = pd.DataFrame({".chain": [1, 1], **columns, "disc": 1.0})
    read = bm.from_brms(frame, post.formula, post.design.data, family=name, link=link)
    assert read.family.name == family
    np.testing.assert_allclose(bm.predictions(read)["estimate"], bm.predictions(post)["estimate"], rtol=1e-12)


def test_thresholds_need_not_rise_where_no_latent_variable_lies_between_them() -> None:
    with pytest.raises(bm.PosteriorError, match="2 draws whose thresholds do not rise"):
        posterior("cumulative", "logit", 0.5, theta=FALLING)
    assert posterior("sequential", "logit", 0.5, theta=FALLING).family.name == "sequential"
