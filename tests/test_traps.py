"""Traps that a hostile reader found: each once gave a wrong number, a false statement or a raw traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.design import build_design, derivative_rows


@pytest.mark.parametrize(
    ("term", "x", "derivative"),
    [
        ("np.log(x)", np.random.default_rng(0).lognormal(0, 2, 300), lambda x: 1 / x),
        ("np.sqrt(x)", np.random.default_rng(0).lognormal(0, 2, 300), lambda x: 0.5 / np.sqrt(x)),
        ("I(1/x)", np.array([0.5, 1, 2, 5, 10, 50, 100, 5000]), lambda x: -1 / x**2),
        ("np.sin(2*np.pi*x/7)", np.arange(57.0), lambda x: 2 * np.pi / 7 * np.cos(2 * np.pi * x / 7)),
        ("np.sin(2*np.pi*x/24)", np.arange(0, 17520, 37.0), lambda x: np.pi / 12 * np.cos(2 * np.pi * x / 24)),
    ],
)
def test_derivative_follows_each_rows_own_curvature(term: str, x: np.ndarray, derivative: Callable[..., Any]) -> None:
    data = pd.DataFrame({"y": np.arange(len(x), dtype=float), "x": x})
    design = build_design(f"y ~ 0 + {term}", data)
    found = derivative_rows(design, data, "x").X[:, 0]
    expected = derivative(x)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max() * 1e-3)


@pytest.mark.parametrize("term", ["abs(x)", "maximum(x, 0)", "where(x > 0, 3 * x, x)"])
def test_kink_has_no_slope_and_its_neighbours_have_theirs(term: str) -> None:
    data = simulated()
    post = random_posterior(f"y ~ {term}", data, "bernoulli")
    with pytest.raises(bm.DataError, match=r"kink in 'x' at 0, in 1 rows of newdata, the first being row 1"):
        bm.slopes(post, "x", newdata=data.head(3).assign(x=[-1.0, 0.0, 1.0]))
    near = data.head(2).assign(x=[-0.01, 0.01])
    up, down = (values(bm.predictions(post, near.assign(x=near.x + d))) for d in (1e-5, -1e-5))
    np.testing.assert_allclose(values(bm.slopes(post, "x", newdata=near))[:, :, 0], (up - down) / 2e-5, rtol=1e-6)


def test_jump_without_a_derivative_is_refused() -> None:
    data = pd.DataFrame({"y": np.arange(9.0), "x": np.arange(-4.0, 5.0)})
    with pytest.raises(bm.DataError, match="has no derivative with respect to 'x' in"):
        derivative_rows(build_design("y ~ np.floor(x)", data), data, "x")


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        ("log(e) - log(w)", lambda d: np.log(d.e) - np.log(d.w)),
        ("log(e) - 1", lambda d: np.log(d.e) - 1),
        ("(e - w)", lambda d: d.e - d.w),
        ("e**2", lambda d: d.e**2),
        ("2*e", lambda d: 2 * d.e),
        ("-e", lambda d: -d.e),
        ("e", lambda d: d.e),
    ],
)
def test_offset_is_arithmetic_not_the_algebra_of_terms(offset: str, value: Callable[[pd.DataFrame], pd.Series]) -> None:
    data = simulated()
    found = build_design(f"k ~ x + offset({offset})", data).rows(data).offset
    np.testing.assert_allclose(found, value(data), rtol=1e-14)


def test_response_and_trials_are_arithmetic() -> None:
    data = simulated()
    np.testing.assert_array_equal(build_design("k - 1 ~ x", data).response.y, data.k - 1)
    np.testing.assert_array_equal(build_design("k**2 ~ x", data).response.y, data.k**2)
    np.testing.assert_array_equal(build_design("k | trials(n + 1) ~ x", data).response.n, data.n + 1)
    np.testing.assert_array_equal(build_design("k | trials(10) ~ x", data).response.n, np.full(80, 10.0))


@pytest.mark.parametrize("labels", [[1, 2, 10, 20, 100], ["b", "a", "10", "9", ""], [1.5, 2.0, 10.0, -3.0, 0.0]])
def test_group_effects_keep_their_groups_through_a_file(labels: list[Any], tmp_path: Path) -> None:
    data = simulated(
        g=pd.Series(np.random.default_rng(1).choice(len(labels), 80)).map(dict(enumerate(labels))).astype(object)
    )
    if labels[0] == 1.5:
        data["g"] = data["g"].astype(float)
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    post.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(
        values(bm.predictions(again, groups="own")), values(bm.predictions(post, groups="own"))
    )


def test_labels_of_draws_win_over_their_order() -> None:
    post = reference.posterior("b_bacteria")
    flipped = {
        "beta": post.beta.isel(coef=slice(None, None, -1)),
        "b": {"ID": post.b["ID"].isel(ID=slice(None, None, -1))},
    }
    again = bm.from_draws(post.formula, post.design.data, family="bernoulli", Sigma=post.Sigma, **flipped)
    np.testing.assert_array_equal(
        values(bm.predictions(again, groups="own")), values(bm.predictions(post, groups="own"))
    )
    wrong = post.beta.assign_coords(coef=["Intercept", "trt[drug]", "trt[drug+]", "weeks"])
    with pytest.raises(bm.PosteriorError, match="is labelled"):
        bm.from_draws(post.formula, post.design.data, family="bernoulli", Sigma=post.Sigma, beta=wrong)


def test_weights_of_a_series_follow_its_index() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    shuffled = data.sample(frac=1, random_state=2)
    a, b = (values(bm.avg_predictions(post, shuffled, wts=w)) for w in (data.w, "w"))
    np.testing.assert_array_equal(a, b)
    with pytest.raises(bm.EstimandError, match="is paired with the rows of newdata by it; it lacks"):
        bm.avg_predictions(post, shuffled, wts=data.w.set_axis(range(100, 180)))


@pytest.mark.parametrize(("n", "said"), [(np.nan, "missing trials"), (-3.0, "impossible trials"), (2.5, "impossible")])
def test_trials_of_new_data_are_checked(n: float, said: str) -> None:
    post = random_posterior("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    data = simulated().astype({"n": float})
    data.loc[3, "n"] = n
    with pytest.raises(bm.DataError, match=said):
        bm.avg_predictions(post, data, target="count")


def test_slope_in_the_trials_themselves_is_refused_for_counts() -> None:
    post = random_posterior("k | trials(n) ~ x + n + (1 | g)", simulated(), "binomial")
    with pytest.raises(bm.EstimandError, match="is the trials"):
        bm.avg_slopes(post, "n", target="count")


def test_levels_that_only_by_reads_stay_apart() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (0 + f | g)", data, "bernoulli")
    ds = bm.avg_predictions(post, data.head(3).assign(f=["zzz", "yyy", "c"]), by="f", groups="zero")
    assert ds["f"].values.tolist() == ["c", "yyy", "zzz"]


@pytest.mark.parametrize(
    ("parent", "child", "allowed"),
    [
        (["g0"], "own", False),
        (["g0"], ["g1:h0"], False),
        (["g0"], ["g0:h0"], True),
        (["g0"], "existing", False),
        ("own", "existing", False),
        ("new", "existing", False),
        ("sample", "existing", False),
        ("existing", "own", False),
        ("existing", "existing", True),
        ("own", "new", True),
        ("zero", "own", True),
    ],
)
def test_a_child_may_be_newer_than_its_parent_never_the_reverse(parent: Any, child: Any, allowed: bool) -> None:
    data = simulated(g=np.tile(["g0", "g1"], 40), h=np.repeat(["h0", "h1"], 40))
    post = random_posterior("y ~ x + (1 | g/h)", data, "bernoulli")
    ask = {"g": parent, "g:h": child}
    if allowed:
        bm.avg_predictions(post, groups=ask, random_seed=1)
    else:
        with pytest.raises(bm.GroupsError, match="is nested in"):
            bm.avg_predictions(post, groups=ask, random_seed=1)


def test_whole_numbers_as_floats_name_the_same_new_group() -> None:
    data = simulated(g=np.tile([1, 2, 3, 4], 20))
    post = random_posterior("y ~ x + (1 | g:h)", data, "bernoulli")
    new = data.head(5).assign(g=[1, 2, 3, 7, 8])
    floats = new.assign(g=new.g * 1.0)
    a, b = (values(bm.predictions(post, d, groups="sample", random_seed=3)) for d in (new, floats))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("spec", [1, "sd", (False, False), (0, 5)])
def test_truth_values_take_no_step(spec: Any) -> None:
    post = random_posterior("y ~ flag + (1 | g)", simulated(), "bernoulli")
    with pytest.raises(bm.EstimandError):
        bm.avg_comparisons(post, {"flag": spec})
    with pytest.raises(bm.EstimandError, match="True or False"):
        bm.avg_predictions(post, at={"flag": 5})


def test_small_steps_survive_a_column_of_low_precision() -> None:
    data = simulated()
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    low = data.assign(x=data.x.astype("float32"))
    a, b = (values(bm.avg_comparisons(post, {"x": 1e-4}, newdata=d)) for d in (data, low))
    np.testing.assert_allclose(a, b, rtol=1e-4)


@pytest.mark.parametrize("levels", [np.array([1, 2]), [np.int64(1)], pd.Series([1, 2])])
def test_named_groups_take_numpy_and_pandas_labels(levels: Any) -> None:
    data = simulated(g=np.tile([1, 2, 3, 4], 20))
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    ds = bm.avg_predictions(post, groups={"g": levels})
    assert ds["g"].values.tolist() == list(levels)


def test_every_named_group_beyond_five_is_counted_in_the_sentence() -> None:
    post = reference.posterior("b_bacteria")
    levels = list(post.design.factors["ID"].levels[:7])
    assert "and 2 more" in bm.describe(bm.avg_predictions(post, groups={"ID": levels}))


def test_values_set_by_at_keep_their_digits_in_the_sentence() -> None:
    post = random_posterior("y ~ x + (1 | g)", simulated(), "bernoulli")
    assert "with x set to 20240101 or 20240102" in bm.describe(
        bm.avg_predictions(post, at={"x": [20240101.0, 20240102.0]})
    )


@pytest.mark.parametrize(
    ("error", "ask"),
    [
        (bm.EstimandError, lambda p: bm.avg_predictions(p, by=["f", "f"])),
        (bm.EstimandError, lambda p: bm.avg_predictions(p, by=3)),
        (bm.EstimandError, lambda p: bm.avg_comparisons(p, {"x": (1, 1)})),
        (bm.GroupsError, lambda p: bm.avg_predictions(p, groups={"g": ["g1", "g1"]})),
        (bm.EstimandError, lambda p: bm.avg_predictions(p, groups="sample", random_seed="a")),
        (bm.EstimandError, lambda p: bm.posterior_predictive(p, random_seed=-1)),
        (bm.EstimandError, lambda p: bm.avg_predictions(p, wts=["a"] * 80)),
        (bm.ResultError, lambda p: bm.summary(bm.avg_predictions(p), rope=0.1)),
    ],
)
def test_ill_posed_arguments_are_refused_by_name(error: type[Exception], ask: Callable[[bm.Posterior], Any]) -> None:
    post = random_posterior("y ~ x + f + (1 | g)", simulated(), "bernoulli")
    with pytest.raises(error):
        ask(post)


def test_draws_without_the_familys_parameters_still_give_margins() -> None:
    full = reference.posterior("d_sleep")
    post = bm.from_draws(full.formula, full.design.data, family="gaussian", beta=full.beta, b=full.b, Sigma=full.Sigma)
    np.testing.assert_array_equal(values(bm.avg_predictions(post)), values(bm.avg_predictions(full)))
    for ask in (bm.posterior_predictive, bm.Posterior.log_likelihood):
        with pytest.raises(bm.PosteriorError, match="needs draws of 'sigma'"):
            ask(post)


def test_factors_named_like_each_others_dimensions_are_refused() -> None:
    with pytest.raises(bm.FormulaError, match="Rename its column"):
        build_design("y ~ 1 + (1 | g) + (1 | g_term)", simulated(g_term=simulated().h))


def test_columns_with_a_slash_reach_a_file(tmp_path: Path) -> None:
    data = simulated().rename(columns={"x": "mg/kg"})
    post = random_posterior("y ~ `mg/kg` + (1 | g)", data, "bernoulli")
    bm.predictions(post, at={"mg/kg": [0, 1]}).to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    post.save(tmp_path / "fit.nc")
