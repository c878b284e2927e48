"""Effects of every column that the formula names, and steps that stay where a spline has values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_margins import MODELS, random_posterior, simulated, values

import bayesmargins as bm

MODELS = [*MODELS, ("y ~ C(n) * x + flag + (treated | g)", "bernoulli", "logit")]


@pytest.mark.filterwarnings("ignore:The group effects:bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize(("formula", "family", "link"), MODELS)
def test_without_variables_there_is_each_column_of_the_formula_with_its_default(
    formula: str, family: str, link: str, averaged: bool
) -> None:
    post = random_posterior(formula, simulated(), family, link)
    compare, slope = (bm.avg_comparisons, bm.avg_slopes) if averaged else (bm.comparisons, bm.slopes)
    each = {name: compare(post, name) for name in post.design.columns}
    every = compare(post)
    np.testing.assert_array_equal(values(every), np.concatenate([values(ds) for ds in each.values()], axis=2))
    assert every["term"].values.tolist() == [n for n, ds in each.items() for _ in ds["contrast"]]
    rates = {n: slope(post, n) if c.kind == "number" else each[n] for n, c in post.design.columns.items()}
    found = slope(post)
    expected = np.concatenate([values(ds) for ds in rates.values()], axis=2)
    np.testing.assert_allclose(values(found), expected, rtol=1e-12, atol=1e-14)
    assert found["term"].values.tolist() == [n for n, ds in rates.items() for _ in ds["contrast"]]
    assert len(set(found["contrast"].values)) == found.sizes["contrast"]


def test_columns_that_only_name_groups_have_no_effect_and_those_that_are_fixed_do_not_change() -> None:
    post = random_posterior("y ~ x + f + flag + (1 | g/h)", simulated(), "bernoulli")
    assert bm.avg_comparisons(post)["term"].values.tolist() == ["f", "f", "flag", "x"]
    fixed = {"f": ["a", "b"], "x": [0.0, 1.0]}
    assert bm.avg_comparisons(post, at=fixed)["term"].values.tolist() == ["flag"]
    assert bm.avg_slopes(post, at=fixed)["term"].values.tolist() == ["flag", "x"]


def test_slopes_and_differences_say_on_which_scale_they_are() -> None:
    post = random_posterior("y ~ x * f + (1 | g)", simulated(), "bernoulli")
    found = bm.avg_slopes(post)
    table = bm.summary(found).reset_index()
    assert table["scale"].tolist() == ["difference in probability"] * 2 + ["slope of probability"]
    assert bm.describe(found).startswith(
        "Average slope of the probability of y with respect to x, "
        "and difference in the average probability of y (f: b - a, f: c - a), over the "
    )
    assert bm.describe(found * 1).startswith("Average slope")
    assert bm.describe(found * 2).startswith("Derived")
    factors = bm.avg_slopes(random_posterior("y ~ f + (1 | g)", simulated(), "bernoulli"))
    assert factors.attrs["scale"] == "difference in probability"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda p: bm.avg_slopes(p, slope="eyex"), "'f' is no number"),
        (lambda p: bm.avg_slopes(p, second="x"), "'f' is no number"),
        (lambda p: bm.avg_comparisons(p, cross=True), "cross=True changes several variables together: name them"),
        (lambda p: bm.avg_comparisons(p, []), "variables is empty"),
        (lambda p: bm.avg_comparisons(p, at={"f": "a", "x": 0}), "names no column that could change beside 'f', 'x'"),
    ],
)
def test_what_not_every_column_has_needs_its_variables(ask: Any, said: str) -> None:
    post = random_posterior("y ~ x + f + (1 | g)", simulated(), "bernoulli")
    with pytest.raises(bm.EstimandError, match=said):
        ask(post)
    intercept = random_posterior("y ~ 1 + (1 | g)", simulated(), "bernoulli")
    for every in (bm.avg_comparisons, bm.avg_slopes, bm.comparisons, bm.slopes):
        with pytest.raises(bm.EstimandError, match="names no column that could change"):
            every(intercept)


BOUNDED = ["y ~ bs(x, df=5) * treated + (1 | g)", "y ~ treated + (bs(x, df=4) | g)", "y ~ bs(sqrt(x), df=4) + (1 | g)"]


@pytest.mark.filterwarnings("ignore:The group effects:bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("step", [1, -1, 0.1, 2.7])
@pytest.mark.parametrize("formula", BOUNDED)
def test_a_step_that_would_leave_a_spline_is_the_last_one_inside(formula: str, step: float, averaged: bool) -> None:
    """Held against predictions at the two values of each row, which are inside by construction."""
    data = simulated(x=np.random.default_rng(5).uniform(0.2, 3.1, 80))
    post = random_posterior(formula, data, "bernoulli")
    low, high = data.x.min(), data.x.max()
    begin = data.x.clip(upper=high - step) if step > 0 else data.x.clip(lower=low - step)
    sides = [data.assign(x=begin), data.assign(x=(begin + step).clip(low, high))]
    one, other = (values(bm.predictions(post, side, groups="new")) for side in sides)
    with pytest.warns(bm.BayesmarginsWarning, match=r"\d+ of 80 rows would leave the range of the fit"):
        found = (bm.avg_comparisons if averaged else bm.comparisons)(post, {"x": step})
    expected = other - one
    np.testing.assert_allclose(
        values(found)[:, :, 0], expected.mean(axis=-1) if averaged else expected, rtol=1e-9, atol=1e-12
    )
    assert found["contrast"].values[0].startswith(f"x {step:+g} within [")


def test_a_step_that_stays_inside_is_the_step_itself() -> None:
    """Inside rows, splines that go on, and columns without a spline: nothing is moved, nothing is said."""
    data = simulated(x=np.random.default_rng(5).uniform(0.2, 3.1, 80))
    inside = data[data.x < data.x.max() - 1]
    post = random_posterior("y ~ bs(x, df=5) + (1 | g)", data, "bernoulli")
    assert bm.avg_comparisons(post, "x", newdata=inside)["contrast"].values[0] == "x +1"
    for term in ("bs(x, df=5, extrapolation='extend')", "cs(x, df=4, constraints='center')", "poly(x, 2)"):
        further = random_posterior(f"y ~ {term} + (1 | g)", data, "bernoulli")
        assert bm.avg_comparisons(further, "x")["contrast"].values[0] == "x +1"


def test_advice_about_a_spline_stays_inside_its_range() -> None:
    data = simulated(x=np.random.default_rng(5).uniform(0.2, 0.9, 80))
    post = random_posterior("y ~ bs(x, df=5) + (1 | g)", data, "bernoulli")
    with pytest.raises(bm.EstimandError, match=r"step of 1 in 'x' is longer than the range .* 'iqr' or 'minmax'"):
        bm.avg_comparisons(post)
    for inside in ("iqr", "minmax"):
        assert np.isfinite(values(bm.avg_comparisons(post, {"x": inside}))).all()
    with pytest.raises(bm.DataError, match=r"a pair \(low, high\) inside, 'iqr', 'minmax'"):
        bm.avg_predictions(post, pd.DataFrame({"x": [2.0]}))
