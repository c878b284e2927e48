"""The pictures of sensitivity hold the table's numbers, and intervals under powers those of the powered model."""

from __future__ import annotations

from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from matplotlib.figure import Figure
from scipy import stats
from test_pictures import check_room, figure_of

import bayesmargins as bm
from bayesmargins.plots.marks import INTERVAL, POINT
from bayesmargins.validation.importance import raised
from bayesmargins.validation.powers import POWERS, raised_draws, weighed_quantiles

COLUMN, PAGE = (3.35, 3.2), (6.7, 4.2)


@cache
def _fit() -> bm.Posterior:
    """With a prior that the data contradict, and one that decides."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(12), 6)
    x, w, v = rng.normal(size=(3, 72))
    data = pd.DataFrame({"y": x + rng.normal(size=12)[g] + rng.normal(size=72), "x": x, "w": w, "v": v, "g": g})
    priors = {"x": pm.Normal.dist(-2.0, 0.3), "w": pm.Normal.dist(0.5, 0.005)}
    model = bm.GLMM("y ~ x + w + v + (1 | g)", data, priors=priors)
    return model.fit(draws=500, chains=2, random_seed=1, sampler="independent", progressbar=False)


@cache
def _result() -> Any:
    return bm.avg_slopes(_fit(), ["x", "w", "v"])


def _texts(figure: Figure) -> list[str]:
    return [t.get_text().replace("\n", " ") for t in figure.findobj(plt.Text) if t.get_text()]


def test_weighed_quantiles_are_numpys_where_weights_are_equal() -> None:
    draws, probs = np.random.default_rng(1).normal(size=(101, 3)), np.array([0.0, 0.055, 0.5, 0.9, 1.0])
    found = weighed_quantiles(draws, np.full(101, 1 / 101), probs)
    np.testing.assert_allclose(found, np.quantile(draws, probs, axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("which", ["prior", "likelihood"])
def test_draws_under_a_power_are_those_of_the_powered_normal_model(power: float, which: str) -> None:
    # theta ~ N(0, 1), y = 1.2 ~ N(theta, 0.5): a power of a normal density divides its variance.
    n, y, sd = 40_000, 1.2, 0.5
    precision = {"prior": 1.0, "likelihood": 1 / sd**2}

    def posterior(prior: float, likelihood: float) -> tuple[float, float]:
        whole = prior * precision["prior"] + likelihood * precision["likelihood"]
        return likelihood * precision["likelihood"] * y / whole, whole**-0.5

    mean, scale = posterior(1.0, 1.0)
    theta = np.random.default_rng(7).normal(mean, scale, (4, n // 4))
    density = stats.norm.logpdf(theta) if which == "prior" else stats.norm.logpdf(y, theta, sd)
    weights, khat = raised(density, power)
    assert weights.sum() == pytest.approx(1.0)
    assert khat < 0.7
    probs = np.array([0.055, 0.5, 0.945])
    found = weighed_quantiles(theta.reshape(-1, 1), weights, probs)[:, 0]
    true = stats.norm(*posterior(*((power, 1.0) if which == "prior" else (1.0, power))))
    error = np.sqrt(probs * (1 - probs) * (weights**2).sum()) / true.pdf(true.ppf(probs))
    assert np.all(np.abs(found - true.ppf(probs)) < 5 * error)


@pytest.mark.parametrize("size", [COLUMN, PAGE], ids=["85 mm", "170 mm"])
def test_the_map_has_the_numbers_of_the_table_and_names_every_entry(size: tuple[float, float]) -> None:
    table = bm.sensitivity(_result(), _fit())
    figure = figure_of(bm.plot_sensitivity(table, figsize=size))
    (ax,) = figure.axes
    drawn = np.concatenate([line.get_xydata() for line in ax.lines if line.get_gid() == POINT])
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(table[["prior", "likelihood"]].to_numpy(), axis=0))
    said = _texts(figure)
    assert {"prior-data conflict", "weak likelihood", "the prior matters little"} <= set(said)
    assert {"x, dY/dx", "w, dY/dw", "v, dY/dv"} <= set(said)
    assert any(table.verdict in text for text in said)
    check_room(figure)


def test_the_map_names_what_has_a_diagnosis_where_there_are_many_entries() -> None:
    index = pd.Index(np.arange(20), name="week")
    prior = np.where(index < 3, 0.08, 0.001)
    table = pd.DataFrame({"prior": prior, "likelihood": 0.02}, index=index)
    table["diagnosis"] = np.where(prior > 0.05, "weak likelihood", "-")
    table.loc[19] = [np.nan, np.nan, "does not vary"]
    said = _texts(figure_of(bm.plot_sensitivity(table)))
    assert [text for text in said if text.startswith("week ")] == ["week 0", "week 1", "week 2"]
    assert any("3 of 19 entries are named" in text and "not drawn: 1" in text for text in said)


def test_bars_are_the_summary_and_its_quantiles_under_each_power() -> None:
    ds, post = _result(), _fit()
    figure = figure_of(bm.plot_sensitivity(ds, post, ci_prob=0.8))
    draws = ds["estimate"].transpose("chain", "draw", ...).to_numpy().reshape(-1, 3)
    as_is = bm.summary(ds, ci_prob=0.8, ci_kind="eti")
    for ax, (name, powers) in zip(figure.axes, raised_draws(ds, post).items(), strict=True):
        assert ax.get_title(loc="left") == f"raised to a power: {name}"
        points = [line.get_xdata() for line in ax.lines if line.get_gid() == POINT]
        bars = [np.array(c.get_segments())[:, :, 0] for c in ax.collections if c.get_gid() == INTERVAL]
        assert len(points) == len(bars) == 3
        for of, point, bar in zip(powers, points, bars, strict=True):
            lower, middle, upper = weighed_quantiles(draws, of.weights, np.array([0.1, 0.5, 0.9]))
            np.testing.assert_allclose(point, middle, rtol=1e-9)
            np.testing.assert_allclose(bar, np.column_stack([lower, upper]), rtol=1e-9)
        np.testing.assert_allclose(points[1], as_is["median"], rtol=1e-12)
        np.testing.assert_allclose(bars[1], as_is[["eti80_lb", "eti80_ub"]], rtol=1e-12)
    check_room(figure)


def test_refusals_say_what_goes_together() -> None:
    ds, post = _result(), _fit()
    table = bm.sensitivity(ds, post)
    with pytest.raises(bm.PosteriorError, match=r"plot_sensitivity\(ds, post\)"):
        bm.plot_sensitivity(ds)
    with pytest.raises(bm.ResultError, match="takes no post= beside a table"):
        bm.plot_sensitivity(table, post)
    with pytest.raises(bm.ResultError, match="takes no ax= beside a result"):
        bm.plot_sensitivity(ds, post, ax=plt.subplots()[1])
    with pytest.raises(bm.ResultError, match="0 rows"):
        bm.plot_sensitivity(table.iloc[:0])
    with pytest.raises(bm.ResultError, match=r"what bm\.sensitivity"):
        bm.plot_sensitivity(bm.summary(ds))
