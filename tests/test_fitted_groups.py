"""Averages over fitted groups that move with a row: those of all groups when each is named, however many at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import log_expit
from test_margins import random_posterior, simulated, values
from test_predictor import SAME, SAME_SLOPE, engine

import bayesmargins as bm
from bayesmargins.evaluate import exact, passes

LINKS = [("bernoulli", "logit"), ("bernoulli", "probit"), ("bernoulli", "cloglog"), ("poisson", "log")]
ROWS = simulated().head(9)
QUESTIONS: dict[str, Callable[..., xr.Dataset]] = {
    "mean": lambda post, groups: bm.avg_predictions(post, ROWS, groups=groups),
    "slope": lambda post, groups: bm.avg_slopes(post, "x", newdata=ROWS, groups=groups),
    "slope of a row": lambda post, groups: bm.slopes(post, "x", newdata=ROWS.head(1), groups=groups),
    "second": lambda post, groups: bm.avg_slopes(post, "x", newdata=ROWS, second="x", groups=groups),
    "tail": lambda post, groups: bm.avg_predictions(post, ROWS, target=bm.exceeds(0), groups=groups),
}


@pytest.mark.parametrize("beside", ["zero", "new"])
@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize(("family", "link"), LINKS)
def test_existing_is_the_mean_over_named_groups(
    family: str, link: str, name: str, beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = random_posterior("y ~ x + f + (1 + x | g) + (1 | h)", simulated(), family, link)
    named = QUESTIONS[name](post, {"g": list(post.design.factors["g"].levels), "h": beside})
    tolerance = {"rtol": 1e-11, "atol": 1e-13}
    for at_a_time in (1, 10 * 9 * 4, 2**20):  # values of 10 draws x 9 rows: one group, four, all
        monkeypatch.setattr(exact, "_MOVED_VALUES", at_a_time)
        found = QUESTIONS[name](post, {"g": "existing", "h": beside})
        np.testing.assert_allclose(values(found), values(named.mean("g")), **tolerance)


LOG_H: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logit": log_expit,
    "cloglog": lambda eta: np.where(eta < -40.0, eta, np.log(-np.expm1(-np.exp(np.clip(eta, -40.0, 700.0))))),
}


@pytest.mark.parametrize("link", LOG_H)
def test_logarithms_of_averages_below_every_float(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli", link)
    post = bm.from_draws(
        post.formula, data, link=link, family="bernoulli", beta=abs(post.beta) + 1.0, b={"g": abs(post.b["g"])},
        Sigma=post.Sigma,
    )  # fmt: skip
    named = {"g": list(post.design.factors["g"].levels)}
    row, ends = data.head(1), (-2000.0, -1999.0)
    eta = [values(bm.avg_predictions(post, row.assign(x=x), target="link", groups=named)) for x in ends]
    low, high = (np.logaddexp.reduce(LOG_H[link](of), axis=-1) for of in eta)
    for at_a_time in (1, 30, 2**20):
        monkeypatch.setattr(exact, "_MOVED_VALUES", at_a_time)
        found = bm.avg_comparisons(post, {"x": ends}, newdata=row, groups="existing", comparison="lnratio")
        np.testing.assert_allclose(values(found)[..., 0], high - low, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_many_groups_are_looked_up_though_draws_are_few(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether tables pay is a matter of rows x draws x groups."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": np.tile([0, 1], 300), "x": rng.uniform(-1, 1, 600), "g": [f"g{k}" for k in range(600)]})
    post = random_posterior("y ~ x + (1 + x | g)", data, "bernoulli", link)
    assert 600 * 10 < passes.MANY_VALUES < 600 * 10 * 600
    monkeypatch.setattr(passes, "MANY_VALUES", 600 * 10 * 10)
    mean, slope = bm.avg_predictions(post, groups="existing"), bm.avg_slopes(post, "x", groups="existing")
    assert "table" in mean.attrs["integration_method"]
    assert "table" in slope.attrs["integration_method"]
    with engine(tables=False):
        np.testing.assert_allclose(values(mean), values(bm.avg_predictions(post, groups="existing")), **SAME)
        exactly = values(bm.avg_slopes(post, "x", groups="existing"))
    np.testing.assert_allclose(values(slope), exactly, **SAME_SLOPE)
