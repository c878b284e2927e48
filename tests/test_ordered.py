"""An ordered response: probabilities of its categories against quadrature, simulation, and brms on the same draws."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from interpreted import interpreted
from scipy import stats

import bayesmargins as bm
from bayesmargins.family import FAMILIES, LINKS, Outcome, values_at
from bayesmargins.model.build import tensor_means

HERE = Path(__file__).parent / "data" / "reference" / "g_inhaler"
FORMULA = "rating ~ treat + period + carry + (1 | subject)"
CUMULATIVE = FAMILIES["cumulative"]
THETA = np.array([-1.1, 0.3, 1.9])
CDF = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "cloglog": stats.gumbel_l,
    "loglog": stats.gumbel_r,
    "cauchit": stats.cauchy,
}
CDF_30 = {
    "logit": lambda x: 1 / (1 + mp.exp(-x)),
    "probit": mp.ncdf,
    "cloglog": lambda x: -mp.expm1(-mp.exp(x)),
    "loglog": lambda x: mp.exp(-mp.exp(-x)),
    "cauchit": lambda x: mp.mpf(1) / 2 + mp.atan(x) / mp.pi,
}


@pytest.fixture(params=CUMULATIVE.links)
def link(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.read_csv(HERE / "data.csv", dtype={"subject": str})


@pytest.fixture(scope="module")
def inhaler(data: pd.DataFrame) -> bm.Posterior:
    with pytest.warns(bm.BayesmarginsWarning, match="r-hat"):  # 200 draws of 4,000
        return bm.from_brms(HERE / "draws.parquet", FORMULA, data, family="cumulative")


def posterior(link: str, s: float, labels: Any = None, shift: float = 0.0) -> bm.Posterior:
    """Two draws over rows of one covariate, six groups and four categories."""
    rng = np.random.default_rng(3)
    y = np.resize([1, 2, 3, 4, 2, 3], 12)
    frame = pd.DataFrame({"y": y, "x": np.linspace(-1.5, 1.5, 12) + shift, "g": [*"abcdef"] * 2})
    if labels is not None:
        frame["y"] = pd.Categorical([labels[k - 1] for k in y], labels, ordered=True)
    return bm.from_draws(
        "y ~ x + (1 | g)",
        frame,
        family="cumulative",
        link=link,
        beta=np.array([[[0.8], [-0.4]]]),
        b={"g": s * rng.normal(size=(1, 2, 6, 1))},
        Sigma={"g": np.full((1, 2, 1, 1), s**2)},
        aux={"thresholds": np.stack([THETA, 1.3 * THETA])[None]},
    )


def probabilities(link: str, eta: Any, theta: np.ndarray = THETA) -> np.ndarray:
    """P(y = k) given b, (..., category), by SciPy: differences of tails on the side where they are small."""
    at = theta - np.asarray(eta, dtype=float)[..., None]
    ends = np.full((*at.shape[:-1], 1), np.inf)
    at = np.concatenate([-ends, at, ends], axis=-1)
    below, above = np.diff(CDF[link].cdf(at), axis=-1), -np.diff(CDF[link].sf(at), axis=-1)
    return np.where(CDF[link].cdf(at[..., :-1]) > 0.5, above, below)


def reached_30(link: str, theta: float, eta: float, s: float) -> mp.mpf:
    """E[P(y <= k)] over N(eta, s^2) to 30 digits."""
    with mp.workdps(30):
        points = [-14, -10, -7, -5, -3, -2, -1, 0, 1, 2, 3, 5, 7, 10, 14]
        return mp.quad(lambda z: CDF_30[link](mp.mpf(theta) - mp.mpf(eta) - mp.mpf(s) * z) * mp.npdf(z), points)


# The distribution given b.


def test_log_density_is_that_of_scipy(link: str) -> None:
    eta = np.repeat([-2.0, 0.1, 3.0], 4)
    y = np.resize([1.0, 2.0, 3.0, 4.0], 12)
    found = CUMULATIVE.log_density(values_at(LINKS[link], eta, {"thresholds": THETA}), Outcome(y))
    wanted = np.log(probabilities(link, eta)[np.arange(12), y.astype(int) - 1])
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert np.exp(found).reshape(3, 4).sum(axis=1) == pytest.approx(1.0, abs=1e-14)


def test_log_density_of_a_rare_category_keeps_its_digits() -> None:
    """P(y = 3) between thresholds at 37 and 38, and at -38 and -37: by the complements it is exact on either side."""
    for low in (37.0, -38.0):
        p = values_at(LINKS["logit"], np.zeros(1), {"thresholds": np.array([low - 1.0, low, low + 1.0])})
        found = CUMULATIVE.log_density(p, Outcome(np.array([3.0])))[0]
        with mp.workdps(50):
            wanted = mp.log(CDF_30["logit"](mp.mpf(low + 1)) - CDF_30["logit"](mp.mpf(low)))
        assert found == pytest.approx(float(wanted), rel=1e-12)


def test_likelihood_of_pymc_is_the_log_density(link: str) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    from bayesmargins.family import Values

    eta = np.repeat([-2.0, 0.1, 3.0], 4)
    o = Outcome(np.resize([1.0, 2.0, 3.0, 4.0], 12))
    with pm.Model(coords={"obs": np.arange(12)}) as model:
        tensor = pt.as_tensor(eta)
        p = Values(**tensor_means(LINKS[link], tensor), eta=tensor, link=LINKS[link], thresholds=pt.as_tensor(THETA))
        CUMULATIVE.pymc(pm, "y", p, o)
    wanted = CUMULATIVE.log_density(values_at(LINKS[link], eta, {"thresholds": THETA}), o)
    np.testing.assert_allclose(model.logp(sum=False)[0].eval(mode=interpreted()), wanted, rtol=1e-9)


def test_simulated_categories_are_as_frequent_as_they_are_probable(link: str) -> None:
    n = 1_000_000
    p = values_at(LINKS[link], np.full(n, 0.4), {"thresholds": THETA})
    drawn = CUMULATIVE.simulate(np.random.default_rng(5), p, Outcome())
    wanted = probabilities(link, 0.4)
    found = np.array([(drawn == k).mean() for k in (1, 2, 3, 4)])
    assert np.all(np.abs(found - wanted) < 6.0 * np.sqrt(wanted * (1.0 - wanted) / n))


# Averages over groups.


@pytest.mark.parametrize("s", [0.3, 1.7])
def test_averages_over_new_groups_are_those_of_30_digits(link: str, s: float) -> None:
    post = posterior(link, s)
    row = post.design.data.iloc[[2]]
    x = float(row["x"].iloc[0])
    for draw, (beta, theta) in enumerate([(0.8, THETA), (-0.4, 1.3 * THETA)]):
        reached = [mp.mpf(0), *(reached_30(link, t, beta * x, s) for t in theta), mp.mpf(1)]
        p = np.array([float(high - low) for low, high in pairwise(reached)])
        k = np.arange(1, 5)

        def of(target: Any, draw: int = draw) -> np.ndarray:
            return bm.predictions(post, row, target=target)["estimate"].values[0, draw, ..., 0]

        np.testing.assert_allclose(of(None), p, rtol=1e-9)
        np.testing.assert_allclose(of(bm.category(2)), p[1], rtol=1e-9)
        np.testing.assert_allclose(of(bm.exceeds(2)), p[2:].sum(), rtol=1e-9)
        np.testing.assert_allclose(of(bm.score()), k @ p, rtol=1e-9)
        np.testing.assert_allclose(of(bm.score([0, 1, 5, 2])), p @ [0, 1, 5, 2], rtol=1e-9)
        np.testing.assert_allclose(of(bm.sd()), np.sqrt(k**2 @ p - (k @ p) ** 2), rtol=1e-9)
        for q in (0.1, 0.5, 0.93):
            assert of(bm.quantile(q)) == 1 + np.searchsorted(np.cumsum(p), q)


def test_many_rows_go_through_tables_and_say_the_same(link: str) -> None:
    """Above 512 rows and two million values the averages are looked up."""
    post = posterior(link, 1.3)
    draws = 400
    rng = np.random.default_rng(0)
    many = bm.from_draws(
        post.formula,
        post.design.data,
        family="cumulative",
        link=link,
        beta=rng.normal(0.5, 0.1, (1, draws, 1)),
        Sigma={"g": rng.uniform(0.2, 2.0, (1, draws, 1, 1))},
        aux={"thresholds": THETA + rng.normal(0, 0.1, (1, draws, 1))},
    )
    rows = pd.DataFrame({"x": np.linspace(-2, 2, 6000)})
    found = bm.avg_predictions(many, rows)
    assert ("table" in found.attrs["integration_method"]) == (link != "probit")  # which has a closed form
    few = bm.predictions(many, rows)["estimate"].mean("row")
    np.testing.assert_allclose(found["estimate"], few, rtol=1e-9)


def test_rare_categories_keep_their_relative_accuracy_in_ratios() -> None:
    theta = np.array([22.0, 24.0, 26.0])
    post = bm.from_draws(
        "y ~ x + (1 | g)",
        posterior("logit", 0.5).design.data,
        family="cumulative",
        beta=np.array([[[1.0]]]),
        Sigma={"g": np.full((1, 1, 1, 1), 0.25)},
        aux={"thresholds": theta[None, None]},
    )
    row = pd.DataFrame({"x": [0.0]})
    ratio = bm.comparisons(post, {"x": (0.0, 1.0)}, newdata=row, comparison="ratio")["estimate"].values.ravel()
    for k in range(4):
        with mp.workdps(30):
            ends = [[mp.mpf(0), *(reached_30("logit", t, eta, 0.5) for t in theta), mp.mpf(1)] for eta in (0.0, 1.0)]
            low, high = (e[k + 1] - e[k] for e in ends)
            assert ratio[k] == pytest.approx(float(high / low), rel=1e-9)


@pytest.mark.parametrize("labels", [[4, 3, 2, 1], [2, 1, 4, 3]])
def test_the_order_of_categories_counts_and_not_their_numbers(labels: list[int]) -> None:
    """P(y > c) is the probability of the categories that come after c, where they fall in number too."""
    post = posterior("logit", 0.7, labels)
    each = bm.predictions(post)["estimate"]
    assert each["category"].values.tolist() == labels
    for k in range(3):
        above = bm.predictions(post, target=bm.exceeds(labels[k]))["estimate"]
        np.testing.assert_allclose(above, each.isel(category=slice(k + 1, None)).sum("category"), rtol=1e-12)
    for nothing, outside in ((bm.exceeds(labels[3]), "probability is 0"), (bm.exceeds(2.5), "no category 2.5")):
        with pytest.raises(bm.EstimandError, match=outside):
            bm.predictions(post, target=nothing)


def test_levels_name_the_categories_where_there_are_no_rows() -> None:
    def made(labels: list[Any]) -> bm.Posterior:
        return bm.from_draws(
            "y ~ x",
            levels={"y": labels},
            family="cumulative",
            beta=np.ones((1, 2, 1)),
            aux={"thresholds": np.tile(THETA, (1, 2, 1))},
        )

    row = pd.DataFrame({"x": [0.3]})
    post = made(["none", "mild", "bad", "worst"])
    assert bm.predictions(post, row)["category"].values.tolist() == ["none", "mild", "bad", "worst"]
    worse = bm.predictions(post, row, target=bm.exceeds("mild"))["estimate"].values.ravel()
    np.testing.assert_allclose(worse, stats.logistic.cdf(0.3 - THETA[1]), rtol=1e-12)
    with pytest.raises(bm.PosteriorError, match=r"\(1, 2, 2\) is needed \('none', 'mild', 'bad'\)"):
        made(["none", "mild", "bad"])


def test_the_scatter_of_a_nearly_certain_category_keeps_its_digits(link: str) -> None:
    """Far from all thresholds the standard deviation is the root of a rare probability, at either end."""
    for eta in (-9.0, 4.5) if link == "cloglog" else (-9.0, 9.0):
        post = posterior(link, 0.0, shift=eta / 0.8)
        row = pd.DataFrame({"x": [eta / 0.8]})
        with mp.workdps(40):
            at_most = [CDF_30[link](mp.mpf(float(t)) - mp.mpf(0.8) * mp.mpf(eta / 0.8)) for t in THETA]
            p = [high - low for low, high in pairwise([mp.mpf(0), *at_most, mp.mpf(1)])]
            mean = sum(k * q for k, q in enumerate(p, 1))
            sd = mp.sqrt(sum((k - mean) ** 2 * q for k, q in enumerate(p, 1)))
        found = bm.predictions(post, row, target=bm.sd())["estimate"].values[0, 0, 0]
        assert found == pytest.approx(float(sd), rel=1e-10)


def test_no_variance_between_groups_leaves_b_at_zero(link: str) -> None:
    post = posterior(link, 0.0)
    for target in (None, bm.exceeds(2), bm.score(), bm.sd(), bm.quantile(0.7)):
        new, zero = (bm.predictions(post, groups=g, target=target)["estimate"].values for g in ("new", "zero"))
        np.testing.assert_allclose(new, zero, rtol=1e-12)


def test_own_and_fitted_groups_are_sums_over_their_b(link: str) -> None:
    post = posterior(link, 0.9)
    rows = post.design.data
    codes = post.design.factors["g"].codes
    for draw in range(2):
        theta = post.aux["thresholds"].values[0, draw]
        eta = post.beta.values[0, draw, 0] * rows["x"].to_numpy()
        b = post.b["g"].values[0, draw, :, 0]
        own = bm.predictions(post, groups="own")["estimate"].values[0, draw]
        np.testing.assert_allclose(own.T, probabilities(link, eta + b[codes], theta), rtol=1e-12, atol=1e-15)
        existing = bm.predictions(post, groups="existing")["estimate"].values[0, draw]
        wanted = np.mean([probabilities(link, eta + one, theta) for one in b], axis=0)
        np.testing.assert_allclose(existing.T, wanted, rtol=1e-10)
    named = bm.predictions(post, groups={"g": ["c", "a"]})["estimate"]
    for level in ("a", "c"):
        alone = bm.predictions(post, groups={"g": [level]})["estimate"]
        np.testing.assert_allclose(named.sel(g=level), alone.sel(g=level), rtol=1e-12)


# Laws of the categories.


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_categories_add_up(link: str, groups: str) -> None:
    post = posterior(link, 1.1)

    def of(target: Any) -> xr.DataArray:
        return bm.avg_predictions(post, groups=groups, target=target)["estimate"]

    every = of("category")
    np.testing.assert_allclose(every.sum("category"), 1.0, rtol=1e-12)
    np.testing.assert_allclose(of(bm.category(3)), every.sel(category=3), rtol=1e-10)
    for k in (1, 2, 3):
        np.testing.assert_allclose(
            of(bm.exceeds(k)), every.sel(category=slice(k + 1, None)).sum("category"), rtol=1e-10
        )
    np.testing.assert_allclose(of(bm.score()), (every * every["category"]).sum("category"), rtol=1e-10)
    slopes = bm.avg_slopes(post, "x", groups=groups)["estimate"]
    np.testing.assert_allclose(slopes.sum("category"), 0.0, atol=1e-12)


def test_slopes_are_the_derivatives_of_predictions(link: str) -> None:
    post, step = posterior(link, 1.1), 1e-4
    row = pd.DataFrame({"x": [0.4]})
    slopes = bm.slopes(post, "x", newdata=row)["estimate"].values
    compared = bm.comparisons(post, {"x": (0.4 - step, 0.4 + step)}, newdata=row)["estimate"].values
    np.testing.assert_allclose(slopes, compared / (2 * step), rtol=1e-6, atol=1e-9)
    second = bm.slopes(post, "x", second="x", newdata=row)["estimate"].values
    sides = [
        bm.slopes(post, "x", newdata=pd.DataFrame({"x": [v]}))["estimate"].values for v in (0.4 + step, 0.4 - step)
    ]
    np.testing.assert_allclose(second, (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_reversed_categories_have_reversed_probabilities(link: str) -> None:
    post = posterior(link, 1.1)
    turned = bm.from_draws(
        post.formula,
        post.design.data.assign(y=5 - post.design.data["y"]),
        family="cumulative",
        link=link,
        beta=-post.beta.values,
        Sigma={"g": post.Sigma["g"].values},
        aux={"thresholds": -post.aux["thresholds"].values[..., ::-1]},
    )
    found, mirrored = (bm.predictions(p)["estimate"].values for p in (post, turned))
    np.testing.assert_allclose(found, mirrored[..., ::-1, :], rtol=1e-10)


def test_two_categories_are_a_bernoulli_response(link: str) -> None:
    frame = posterior(link, 1.0).design.data
    frame = frame.assign(y=1 + (frame["y"] > 2))
    given = {"link": link, "beta": np.array([[[0.8]]]), "Sigma": {"g": np.full((1, 1, 1, 1), 0.7)}}
    two = bm.from_draws(
        "y ~ x + (1 | g)", frame, family="cumulative", aux={"thresholds": np.full((1, 1, 1), 0.4)}, **given
    )
    # P(y > 1) = 1 - h(0.4 - eta), which is P(z = 1) of z = 2 - y with the linear predictor turned round
    one = bm.from_draws(
        "z ~ x + (1 | g)",
        frame.assign(z=2 - frame["y"]),
        family="bernoulli",
        **given | {"beta": np.array([[[0.4, -0.8]]])},
    )
    found = bm.predictions(two)["estimate"].sel(category=1)
    np.testing.assert_allclose(found, bm.predictions(one)["estimate"], rtol=1e-12)


# brms on the same draws.


def _expected() -> dict[str, dict[str, Any]]:
    with gzip.open(HERE / "expected.json.gz") as file:
        return {entry["id"]: entry for entry in json.load(file)}


EXPECTED = _expected()
BOTH = (-0.5, 0.5)
ANSWERS: dict[str, Callable[..., xr.Dataset]] = {
    "pred": lambda p, **k: bm.avg_predictions(p, **k),
    "pred_obs": lambda p, **k: bm.avg_predictions(p, **k),
    "pred_cf_treat": lambda p, **k: bm.avg_predictions(p, at={"treat": list(BOTH)}, **k),
    "diff_treat": lambda p, **k: bm.avg_comparisons(p, {"treat": BOTH}, **k),
    "diff_expected_rating_treat": lambda p, **k: bm.avg_comparisons(p, {"treat": BOTH}, target=bm.score(), **k),
    "slope_treat": lambda p, **k: bm.avg_slopes(p, "treat", **k),
    "comp_treat_plus1": lambda p, **k: bm.avg_comparisons(p, "treat", **k),
    "comp_treat_range": lambda p, **k: bm.avg_comparisons(p, {"treat": BOTH}, **k),
    "comp_treat_range_ratio": lambda p, **k: bm.avg_comparisons(p, {"treat": BOTH}, comparison="ratio", **k),
    "comp_treat_sd": lambda p, **k: bm.avg_comparisons(p, {"treat": "sd"}, **k),
    "comp_treat_iqr": lambda p, **k: bm.avg_comparisons(p, {"treat": "iqr"}, **k),
    "pred_grid": lambda p, newdata, **k: bm.predictions(p, newdata, **k),
}


def by_hand(data: pd.DataFrame) -> bm.Posterior:
    """The same draws as arrays, each name of brms written out."""
    draws = pd.read_parquet(HERE / "draws.parquet")

    def cube(columns: list[str]) -> np.ndarray:
        return draws[columns].to_numpy().reshape(4, 50, len(columns))

    levels = bm.GLMM(FORMULA, data, family="cumulative").design.factors["subject"].levels
    return bm.from_draws(
        FORMULA,
        data,
        family="cumulative",
        beta=cube(["b_treat", "b_period", "b_carry"]),
        b={"subject": cube([f"r_subject[{level},Intercept]" for level in levels])[..., None]},
        Sigma={"subject": cube(["sd_subject__Intercept"])[..., None] ** 2},
        aux={"thresholds": cube([f"b_Intercept[{k}]" for k in (1, 2, 3)])},
    )


@pytest.mark.filterwarnings("ignore:Imported draws:bayesmargins.BayesmarginsWarning")
@pytest.mark.filterwarnings("ignore:groups='zero':bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("id_", EXPECTED)
def test_brms_on_the_same_draws(inhaler: bm.Posterior, data: pd.DataFrame, id_: str) -> None:
    entry = EXPECTED[id_]
    policy = "new" if id_.startswith("pa_") else "own" if id_.endswith("_reNULL") else "zero"
    asked = id_.removeprefix("pa_").removeprefix("avg_").removesuffix("_reNULL").removesuffix("_reNA")
    more: dict[str, Any] = {"groups": policy}
    if asked == "pred_grid":
        more["newdata"] = pd.DataFrame(entry["names"][:4]).drop(columns=["group", "rating"])
    rounding = 1e-12 if "slope" not in asked else 1e-9  # central differences there
    for post in (inhaler, by_hand(data)):
        found = ANSWERS[asked](post, **more)["estimate"].stack(sample=("chain", "draw"))
        order = [d for d in ("contrast", "treat", "category", "row") if d in found.dims]
        values = found.transpose(*order, "sample").values.reshape(len(entry["value"]), -1)
        np.testing.assert_allclose(values, np.array(entry["value"]), rtol=1e-8, atol=rounding)


def test_a_discrimination_other_than_one_is_not_left_out(data: pd.DataFrame) -> None:
    draws = pd.read_parquet(HERE / "draws.parquet").assign(disc=2.0)
    with pytest.raises(bm.PosteriorError, match="hold the parameters 'disc'"):
        bm.from_brms(draws, FORMULA, data, family="cumulative")


@pytest.mark.filterwarnings("ignore:Imported draws:bayesmargins.BayesmarginsWarning")
def test_numbers_of_stan_are_read_too(inhaler: bm.Posterior, data: pd.DataFrame) -> None:
    draws = pd.read_parquet(HERE / "draws.parquet")
    names = {f"b_{c}": f"b[{k + 1}]" for k, c in enumerate(("treat", "period", "carry"))}
    numbered = draws.rename(columns=names | {"sd_subject__Intercept": "sd_1[1]"})
    post = bm.from_brms(numbered[[c for c in numbered if not c.startswith("r_")]], FORMULA, data, family="cumulative")
    found, wanted = (bm.avg_predictions(p)["estimate"].values.reshape(200, 4) for p in (post, inhaler))
    np.testing.assert_array_equal(found, wanted)


# What people see and do.


def test_the_dimension_category_goes_through_summaries_hypotheses_and_files(
    inhaler: bm.Posterior, tmp_path: Path
) -> None:
    ds = bm.avg_comparisons(inhaler, {"treat": BOTH})
    assert ds["estimate"].dims == ("chain", "draw", "contrast", "category")
    assert bm.describe(ds).startswith(
        "Difference in the average probability of each category of rating (treat: 0.5 - -0.5) between counterfactual"
    )
    assert bm.summary(ds).index.get_level_values("category").tolist() == [1, 2, 3, 4]
    assert "category" in bm.table(ds).to_string()
    against_first = bm.hypotheses(ds.isel(contrast=0), "reference")
    wanted = ds["estimate"].isel(contrast=0)
    np.testing.assert_allclose(
        against_first["estimate"].values, (wanted - wanted.sel(category=1)).sel(category=[2, 3, 4]).values
    )
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "ds.nc", engine="h5netcdf"), ds)
    inhaler.save(tmp_path / "post.nc")
    again = bm.load(tmp_path / "post.nc")
    xr.testing.assert_identical(again.aux["thresholds"], inhaler.aux["thresholds"])
    xr.testing.assert_identical(bm.avg_comparisons(again, {"treat": BOTH})["estimate"], ds["estimate"])


def test_attenuation_and_shares_of_an_ordered_response(inhaler: bm.Posterior) -> None:
    ds = bm.attenuation(inhaler, {"treat": BOTH})
    assert ds["estimate"].dims == ("chain", "draw", "contrast", "category", "groups")
    new = bm.avg_comparisons(inhaler, {"treat": BOTH})["estimate"]
    np.testing.assert_allclose(ds["estimate"].sel(groups="new"), new)
    shares = bm.variance_partition(inhaler)
    s2 = inhaler.Sigma["subject"].values[..., 0, 0]
    vpc = shares["estimate"].sel(quantity="VPC of subject, link scale")
    np.testing.assert_allclose(vpc, s2 / (s2 + np.pi**2 / 3), rtol=1e-12)
    assert "response scale" in shares.attrs["left_out"]
    assert "link scale with the latent residual variance pi^2 / 3: variances averaged" in bm.describe(shares)
    with pytest.raises(bm.EstimandError, match="responses of family='cumulative' have none"):
        bm.marginal_coefficients(inhaler)


@pytest.mark.parametrize("labels", [["none", "mild", "bad", "worst"], [0, 1, 2, 5]])
def test_categories_keep_the_names_that_the_data_give_them(labels: list[Any]) -> None:
    plain, named = posterior("logit", 0.7), posterior("logit", 0.7, labels)
    ds = bm.predictions(named)
    assert ds["category"].values.tolist() == labels
    np.testing.assert_array_equal(ds["estimate"].values, bm.predictions(plain)["estimate"].values)
    one = bm.predictions(named, target=bm.category(labels[2]))["estimate"]
    np.testing.assert_allclose(one, ds["estimate"].sel(category=labels[2]), rtol=1e-12)
    np.testing.assert_array_equal(
        bm.predictions(named, target=bm.exceeds(labels[1]))["estimate"],
        bm.predictions(plain, target=bm.exceeds(2))["estimate"],
    )
    numbers = np.array(labels if isinstance(labels[0], int) else [1, 2, 3, 4], dtype=float)
    p = ds["estimate"].transpose(..., "category").values
    mean = p @ numbers
    np.testing.assert_allclose(bm.predictions(named, target=bm.score())["estimate"], mean, rtol=1e-10)
    sd = np.sqrt(p @ numbers**2 - mean**2)
    np.testing.assert_allclose(bm.predictions(named, target=bm.sd())["estimate"], sd, rtol=1e-9)
    middle = bm.predictions(named, target=bm.quantile(0.5))
    reached = (np.cumsum(p, axis=-1) < 0.5).sum(axis=-1)
    np.testing.assert_array_equal(middle["estimate"], numbers[reached])
    counted = f"(its categories counted as {', '.join(f'{v:g}' for v in numbers)})"
    for target in (bm.score(), bm.sd(), bm.quantile(0.5)):
        assert counted in bm.describe(bm.avg_predictions(named, target=target))
    drawn = bm.posterior_predictive(named, random_seed=1)["estimate"].values
    assert set(np.unique(drawn)) <= set(labels if isinstance(labels[0], int) else [1, 2, 3, 4])
    observed = named.idata["observed_data"]["y"].values
    assert set(np.unique(observed)) <= set(labels if isinstance(labels[0], int) else [1, 2, 3, 4])
    assert named.aux["thresholds"]["threshold"].values[0] == f"{labels[0]}|{labels[1]}"


def test_predictive_draws_are_as_frequent_as_categories_are_probable() -> None:
    post = posterior("probit", 0.8)
    rows = post.design.data.iloc[np.zeros(4000, dtype=int)]
    drawn = bm.posterior_predictive(post, rows, random_seed=2)["estimate"].values[0]
    wanted = bm.predictions(post, post.design.data.iloc[[0]], groups="own")["estimate"].values[0, :, :, 0]
    for draw in range(2):
        found = np.array([(drawn[draw] == k).mean() for k in (1, 2, 3, 4)])
        assert np.all(np.abs(found - wanted[draw]) < 5.0 * np.sqrt(wanted[draw] * (1 - wanted[draw]) / 4000) + 1e-12)


def test_log_likelihood_is_the_log_of_each_rows_own_category() -> None:
    post = posterior("cloglog", 0.8)
    own = bm.predictions(post, groups="own")["estimate"]
    codes = xr.DataArray(post.design.response.y.astype(int), dims="row")
    np.testing.assert_allclose(
        post.log_likelihood()["y"].values, np.log(own.isel(category=codes - 1)).values, rtol=1e-12
    )


@pytest.mark.usefixtures("uncompiled")
def test_thresholds_stand_for_the_constant_whatever_the_coding(data: pd.DataFrame) -> None:
    """A shift of a covariate moves thresholds and leaves what they say: the prior of theta - eta at the rows is one."""
    shifted = data.assign(period=data["period"] + 2000.0)
    found = []
    for frame in (data, shifted):
        prior = bm.GLMM(FORMULA, frame, family="cumulative").prior(draws=20, random_seed=4)
        X = prior.design.rows(prior.design.data, (), what="data").X
        theta, eta = prior.aux["thresholds"].values[0], prior.beta.values[0] @ X.T
        found.append(theta[:, :, None] - eta[:, None, :])
        assert np.all(np.diff(theta, axis=1) > 0)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_print_shows_the_prior_of_the_thresholds(data: pd.DataFrame) -> None:
    text = str(bm.GLMM(FORMULA, data, family="cumulative"))
    assert "thresholds ~ StudentT(nu=3, mu=0, sigma=2.5) in order, at the mean of the columns" in text
    assert "Intercept ~" not in text
    assert "categories 1, 2, 3, 4" in text


@pytest.mark.usefixtures("uncompiled")
def test_thresholds_take_a_prior_of_any_sign(data: pd.DataFrame) -> None:
    import pymc as pm

    priors = {"thresholds": pm.Normal.dist(0, 5), "sd": pm.HalfNormal.dist(2)}
    prior = bm.GLMM(FORMULA, data, family="cumulative", priors=priors).prior(draws=50, random_seed=1)
    theta = prior.aux["thresholds"].values[0]
    assert np.all(np.diff(theta, axis=1) > 0)
    assert (theta[:, 0] < 0).any()


# Refusals.


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"y": [1, 2, 3, 2, 1, 3], "x": np.arange(6.0), "g": [*"aabbcc"]} | columns)


def _model(formula: str = "y ~ x + (1 | g)", **columns: Any) -> bm.GLMM:
    return bm.GLMM(formula, _frame(**columns), family="cumulative")


BAD: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (bm.DataError, r"without an order.*as_ordered", lambda: _model(y=pd.Categorical([*"abcabc"]))),
    (bm.DataError, r"holds str.*whose order nobody knows.*ordered=True", lambda: _model(y=[*"abcabc"])),
    (bm.DataError, r"such as 0.5; categories that are numbers are whole", lambda: _model(y=[0.5, 1, 2, 1, 2, 1])),
    (bm.DataError, r"such as inf; categories that are numbers are whole", lambda: _model(y=[np.inf, 1, 2, 1, 2, 1])),
    (bm.DataError, r"is 1 in every row", lambda: _model(y=[1] * 6)),
    (bm.FormulaError, r"leaves the constant out.*Leave '0 \+' or '- 1' out", lambda: _model("y ~ 0 + x + (1 | g)")),
    (bm.FormulaError, r"has 'trials' on its left", lambda: _model("y | trials(3) ~ x + (1 | g)")),
    (bm.FormulaError, r"an ordered response is a column", lambda: _model("log(y) ~ x + (1 | g)")),
    (bm.ModelError, r"does not take link='log'", lambda: bm.GLMM("y ~ x", _frame(), family="cumulative", link="log")),
]


@pytest.mark.parametrize(("error", "words", "asked"), BAD, ids=[words for _, words, _ in BAD])
def test_what_is_no_ordered_response_is_refused(error: type[Exception], words: str, asked: Callable[[], Any]) -> None:
    with pytest.raises(error, match=words):
        asked()


NO_TARGET: list[tuple[str, Any]] = [
    (r"have an order and no distances, so y has no mean.*bm.score\(\)", "mean"),
    (r"no category 7; its categories are 1, 2, 3, 4", bm.category(7)),
    (r"no category 'b'", bm.category("b")),
    (r"probability is 0 whatever the rows. Give one of 1, 2, 3", bm.exceeds(4)),
    (r"probability is 1 whatever the rows", bm.exceeds(0)),
    (r"has 2 values, and the response has the 4 categories", bm.score([1, 2])),
    (r"allowed are category, link, bm.category\(k\), bm.top\(k\), bm.score\(\)", "categry"),
    (r"thresholds are several numbers a draw.*post.aux\['thresholds'\]", "thresholds"),
    (r"a value, not a word: target=bm.score\(\)", bm.score),
    (r"no category True", bm.category(True)),
    (r"multiplies a probability by trials, and .* has none; use target='category'", "count"),
    (r"Here it is called 'category'", "response"),
]


@pytest.mark.parametrize(("words", "target"), NO_TARGET, ids=[w for w, _ in NO_TARGET])
def test_what_an_ordered_response_does_not_have_is_refused(words: str, target: Any) -> None:
    with pytest.raises(bm.EstimandError, match=words):
        bm.predictions(posterior("logit", 0.5), target=target)


def test_categories_belong_to_ordered_responses() -> None:
    frame = _frame(y=[0, 1, 1, 0, 1, 0])
    post = bm.from_draws("y ~ x", frame, family="bernoulli", beta=np.zeros((1, 2, 2)))
    for target in ("category", bm.category(1), bm.score()):
        with pytest.raises(
            bm.EstimandError,
            match=r"responses of family='bernoulli' have no .* it serves adjacent, .*cumulative, .*sequential",
        ):
            bm.predictions(post, target=target)
    scores: list[Any] = ["a", [1, "b"], [1], [], [2, 2, 2, 2], [1e308, -1e308, 0, 1]]
    for bad in (lambda: bm.category([1]), *(partial(bm.score, values) for values in scores)):
        with pytest.raises(bm.EstimandError, match=r"give|must be"):
            bad()


def test_elasticities_of_sums_are_refused() -> None:
    post = posterior("logit", 0.5)
    with pytest.raises(bm.EstimandError, match=r"slope='eyex' divides.*is a sum\. slope='dydx'"):
        bm.avg_slopes(post, "x", slope="eyex")
    with pytest.raises(bm.EstimandError, match="it is no inverse link of the linear predictor"):
        bm.heterogeneity(post, "x")


def test_draws_of_thresholds_are_checked() -> None:
    given = {"family": "cumulative", "beta": np.zeros((1, 2, 1)), "Sigma": {"g": np.ones((1, 2, 1, 1))}}
    wrong = {
        "needs draws of 'thresholds'": None,
        r"has the shape \(1, 2\)": np.zeros((1, 2)),
        r"\(1, 2, 2\) is needed": np.tile([1.0, 2, 3], (1, 2, 1)),
        "2 draws whose thresholds do not rise": np.tile([2.0, 1], (1, 2, 1)),
    }
    for words, thresholds in wrong.items():
        aux = {} if thresholds is None else {"thresholds": thresholds}
        with pytest.raises(bm.PosteriorError, match=words):
            bm.from_draws("y ~ x + (1 | g)", _frame(), aux=aux, **given)
