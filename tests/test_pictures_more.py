"""Pictures of categories, waiting times and surfaces: what they hold, against counts and another implementation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import reference
from statsmodels.duration.survfunc import SurvfuncRight
from test_pictures import check_numbers, check_room, figure_of

import bayesmargins as bm
from bayesmargins.plots.survival_picture import product_limit

COLUMN = (3.35, 3.2)  # inches: 85 mm
RATED = "rating ~ treat + period + carry + (1 | subject)"


@pytest.fixture(scope="module")
def rated() -> bm.Posterior:
    data = pd.read_csv(reference.HERE / "g_inhaler" / "data.csv", dtype={"subject": str})
    return bm.from_brms(reference.draws("g_inhaler"), RATED, data, family="cumulative")


@pytest.fixture(scope="module")
def waits() -> bm.Posterior:
    return reference.posterior("v_weibull")


@pytest.fixture(scope="module")
def counts() -> bm.Posterior:
    return reference.posterior("k_epil")


def pain() -> bm.Posterior:
    """Five named categories over a number and two factors."""
    rng = np.random.default_rng(1)
    n = 120
    data = pd.DataFrame(
        {"dose": rng.uniform(0, 10, n), "arm": rng.choice(["control", "therapy"], n), "g": np.repeat(range(12), 10)}
    ).assign(site=np.resize(["north", "south", "very far away"], n), g=lambda d: d["g"].astype(str))
    names = ["none", "mild", "moderate", "severe", "unbearable"]
    latent = 0.4 * data["dose"] + 0.8 * (data["arm"] == "therapy") + rng.logistic(size=n)
    data["pain"] = pd.Categorical.from_codes(np.digitize(latent, [0, 1.5, 3, 5]), names, ordered=True)
    draws: dict[str, Any] = {
        "beta": rng.normal([0.4, 0.8, 0.0, 0.1], 0.1, (2, 20, 4)),
        "b": {"g": rng.normal(0, 0.3, (2, 20, 12, 1))},
        "Sigma": {"g": np.full((2, 20, 1, 1), 0.09)},
        "aux": {"thresholds": np.sort(rng.normal([0, 1.5, 3, 5], 0.1, (2, 20, 4)), axis=-1)},
    }
    return bm.from_draws("pain ~ dose + arm + site + (1 | g)", data, family="cumulative", **draws)


def test_bars_are_means_stacked_to_one(rated: bm.Posterior) -> None:
    ax = bm.plot_categories(rated, "treat")
    ds = bm.avg_predictions(rated, at={"treat": [-0.5, 0.5]})
    means = bm.summary(ds, point="mean")["mean"].to_numpy().reshape(4, 2)
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(heights, means, rtol=1e-12)
    np.testing.assert_allclose(heights.sum(axis=0), 1.0, rtol=1e-12)
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    np.testing.assert_allclose(tops, 1.0, rtol=1e-12)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1", "2", "3", "4"]


def test_bars_side_by_side_are_those_of_their_own_cell() -> None:
    post = pain()
    ax = bm.plot_categories(post, "site", by="arm")
    ds = bm.avg_predictions(post, at={"site": ["north", "south", "very far away"], "arm": ["control", "therapy"]})
    means = ds["estimate"].mean(("chain", "draw"))
    for k, arm in enumerate(("control", "therapy")):
        for j, category in enumerate(ds["category"].values):
            drawn = [bar.get_height() for bar in ax.containers[5 * k + j]]
            np.testing.assert_allclose(drawn, means.sel(arm=arm, category=category).values, rtol=1e-12)


def test_areas_fill_the_whole_height() -> None:
    ax = bm.plot_categories(pain(), "dose")
    paths = [area.get_paths()[0].vertices for area in ax.collections]
    assert len(paths) == 5
    assert min(p[:, 1].min() for p in paths) == 0.0
    np.testing.assert_allclose(paths[-1][:, 1].max(), 1.0, rtol=1e-12)


def test_curves_of_categories_hold_the_numbers_of_summary() -> None:
    post = pain()
    figure = figure_of(bm.plot_categories(post, {"dose": [1.0, 5.0, 9.0]}, kind="curves", ci_prob=0.8))
    check_numbers(bm.avg_predictions(post, at={"dose": [1.0, 5.0, 9.0]}), figure, ci_prob=0.8)


def test_observed_shares_are_counted(rated: bm.Posterior) -> None:
    data = rated.design.data
    shares = pd.crosstab(data["treat"], data["rating"], normalize="index")
    stacked = bm.plot_categories(rated, "treat", data=True)
    drawn = [c.get_offsets()[:, 1] for c in stacked.collections if c.get_offsets().size][::2]
    np.testing.assert_allclose(np.array(drawn).T, shares.cumsum(axis=1).to_numpy()[:, :3], rtol=1e-12)
    single = bm.plot_categories(rated, "treat", kind="curves", data=True)
    circles = [c.get_offsets()[:, 1] for c in single.collections if len(c.get_offsets()) == 2]
    np.testing.assert_allclose(np.array(circles).T, shares.to_numpy(), rtol=1e-12)


def test_categories_grow_darker() -> None:
    from bayesmargins.plots.category_picture import palette

    grey = np.array(palette(7))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey) < -0.05).all()


def test_product_limit_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    times, ended = rng.integers(1, 30, 80).astype(float), rng.random(80) < 0.7
    at, share = product_limit(times, ended)
    other = SurvfuncRight(times, ended)
    np.testing.assert_array_equal(at[1:], other.surv_times)
    np.testing.assert_allclose(share[1:], other.surv_prob, rtol=1e-12)


def test_survival_is_drawn_as_summary_has_it(waits: bm.Posterior) -> None:
    times = [0.0, 30.0, 100.0, 300.0]
    ds = bm.avg_predictions(waits, at={"sex": ["male", "female"]}, target=bm.survival(times))
    ax = bm.plot_survival(waits, by="sex", times=times[1:], ci_prob=0.8)
    check_numbers(ds, ax.figure, ci_prob=0.8)
    first = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(first, [1.0, 1.0], rtol=1e-9)
    again = bm.plot_survival(ds)
    assert not [t for t in again.texts if "risk" in t.get_text()]
    assert ds.margins.plot().get_ylabel() == "probability of waiting longer"


def test_steps_and_numbers_at_risk_are_counted(waits: bm.Posterior) -> None:
    ax = bm.plot_survival(waits, by="sex", times=[0, 200, 560], data=True)
    data = waits.design.data
    for sex, k in (("male", 0), ("female", 1)):
        rows = data[data["sex"] == sex]
        other = SurvfuncRight(rows["time"], 1 - rows["censored"])
        steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"][k]
        np.testing.assert_allclose(steps.get_ydata()[1:-1], other.surv_prob, rtol=1e-12)
        at_risk = [str((rows["time"] >= t).sum()) for t in ax.get_xticks()]
        written = [t.get_text() for t in ax.texts]
        first = written.index(sex) - len(at_risk)
        assert written[first : written.index(sex)] == at_risk


def test_surfaces_are_points_and_widths_of_summary(counts: bm.Posterior) -> None:
    at: Any = {"lbase": [-1.0, 0.0, 1.0], "lage": [-0.3, 0.3]}
    figure = bm.plot_surface(counts, {"lbase": at["lbase"]}, {"lage": at["lage"]}, width=True, ci_prob=0.8)
    table = bm.summary(bm.avg_predictions(counts, at=at), ci_prob=0.8)
    point, width = table["median"].to_numpy(), (table["eti80_ub"] - table["eti80_lb"]).to_numpy()
    for ax, values in zip(figure.axes[:2], (point, width), strict=True):
        np.testing.assert_allclose(np.asarray(ax.collections[0].get_array()), values.reshape(3, 2).T, rtol=1e-12)


def test_what_is_far_from_every_row_is_veiled(counts: bm.Posterior) -> None:
    few: dict[str, Any] = {"x": {"lbase": [-1.0, 0.0, 1.0]}, "y": {"lage": [-0.3, 0.3]}}
    ax = bm.plot_surface(counts, **few)
    veil = ax.collections[1].get_paths()[0]
    rows = counts.design.data[["lbase", "lage"]].to_numpy()
    inside = rows[(np.abs(rows[:, 0]) < 1) & (np.abs(rows[:, 1]) < 0.3)]
    assert len(inside) > 10
    assert not veil.contains_points(inside).any()
    fine = np.stack(np.meshgrid(np.linspace(-0.9, 0.9, 40), np.linspace(-0.27, 0.27, 40)), -1).reshape(-1, 2)
    away = np.linalg.norm((fine[:, None] - rows) / [2.0, 0.6], axis=-1).min(axis=1)
    veiled = veil.contains_points(fine)
    assert veiled[away > 0.11].all()
    assert not veiled[away < 0.09].any()
    assert len(bm.plot_surface(counts, **few, too_far=9).collections) < len(ax.collections)


SMALL: dict[str, Callable[..., Any]] = {
    "bars": lambda rated, waits, counts: bm.plot_categories(pain(), "site", by="arm", data=True, figsize=COLUMN),
    "facets": lambda rated, waits, counts: bm.plot_categories(pain(), "arm", facet="site", figsize=COLUMN),
    "areas": lambda rated, waits, counts: bm.plot_categories(pain(), "dose", data=True, figsize=COLUMN),
    "one bar": lambda rated, waits, counts: bm.plot_categories(rated, figsize=COLUMN),
    "survival": lambda rated, waits, counts: bm.plot_survival(
        waits, by="sex", times=[0, 100, 200, 560], data=True, figsize=COLUMN
    ),
    "survival in panels": lambda rated, waits, counts: bm.plot_survival(
        waits, facet="sex", times=[0, 200, 560], figsize=COLUMN
    ),
    "surface": lambda rated, waits, counts: bm.plot_surface(
        counts, {"lbase": [-1, 0, 1]}, {"lage": [-0.3, 0, 0.3]}, data=True, figsize=COLUMN
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_words_have_room_in_a_column(name: str, rated: bm.Posterior, waits: bm.Posterior, counts: bm.Posterior) -> None:
    check_room(figure_of(SMALL[name](rated, waits, counts)))


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda post, waits: bm.plot_categories(waits), "has none"),
        (lambda post, waits: bm.plot_categories(bm.avg_predictions(waits)), "dimension 'category'"),
        (lambda post, waits: bm.plot_categories(post, "treat", ci_prob=0.9), "no intervals"),
        (lambda post, waits: bm.plot_categories(post, kind="pie"), "kind='pie'"),
        (lambda post, waits: bm.plot_categories(post, "treat", facet="period", ax=plt.subplots()[1]), "ax= is one"),
        (lambda post, waits: bm.plot_categories(bm.avg_predictions(post), data=True), "was given a result"),
        (lambda post, waits: bm.plot_survival(bm.avg_predictions(waits)), "bm.survival"),
        (lambda post, waits: bm.plot_categories(bm.avg_comparisons(post, "carry")), "dimension 'category'"),
        (
            lambda post, waits: bm.plot_survival(bm.avg_comparisons(waits, "sex", target=bm.survival([9, 99]))),
            "bm.survival",
        ),
        (lambda post, waits: bm.plot_survival(waits, times=[-1, 2]), "from 0"),
        (lambda post, waits: bm.plot_survival(waits, times=3), "list of several times"),
        (lambda post, waits: bm.plot_surface(waits, "age10", "sex"), "has levels"),
        (lambda post, waits: bm.plot_surface(waits, "age10"), "two numbers"),
        (lambda post, waits: bm.plot_surface(bm.avg_predictions(waits, by="sex")), "two numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    draw: Callable[..., Any], said: str, rated: bm.Posterior, waits: bm.Posterior
) -> None:
    with pytest.raises(bm.BayesmarginsError, match=said):
        draw(rated, waits)
    assert not plt.get_fignums() or "ax" in said
