"""`within(x, g)` and `between(x, g)` are the two columns that one would compute by hand, frozen at the fit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesmargins as bm
from bayesmargins.design import build_design, parse

FORMULA = "y ~ within(x, g) + between(x, g) + z + (1 + within(x, g) | g)"
BY_HAND = "y ~ xw + xb + z + (1 + xw | g)"
BETWEEN = "between(x, g)"


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g = np.repeat([f"s{k}" for k in range(6)], [3, 5, 2, 8, 1, 6])
    x = rng.normal(size=len(g)) + pd.factorize(g)[0]
    data = pd.DataFrame({"g": g, "x": x, "z": rng.normal(size=len(g))})
    return data.assign(y=(rng.random(len(g)) < 0.5).astype(int))


def by_hand() -> pd.DataFrame:
    data = rows()
    mean = data.groupby("g")["x"].transform("mean")
    return data.assign(xb=mean, xw=data["x"] - mean)


def drawn(formula: str, data: pd.DataFrame, seed: int = 3) -> bm.Posterior:
    rng = np.random.default_rng(seed)
    root = 0.3 * rng.normal(size=(1, 15, 2, 2))
    return bm.from_draws(
        formula,
        data,
        family="bernoulli",
        beta=0.3 * rng.normal(size=(1, 15, 4)),
        b={"g": rng.normal(size=(1, 15, 6, 2))},
        Sigma={"g": root @ np.swapaxes(root, -1, -2)},
    )


def estimates(result: Any) -> np.ndarray:
    return np.asarray(result["estimate"].to_numpy())


@pytest.mark.parametrize("groups", ["new", "own", "existing"])
def test_every_number_is_that_of_the_two_columns_made_by_hand(groups: str) -> None:
    ours, hand = drawn(FORMULA, rows()), drawn(BY_HAND, by_hand())
    assert ours.design.coef == ("Intercept", "within(x, g)", BETWEEN, "z")
    assert ours.design.factors["g"].terms == ("Intercept", "within(x, g)")
    np.testing.assert_allclose(
        estimates(bm.predictions(ours, groups=groups)), estimates(bm.predictions(hand, groups=groups)), rtol=1e-12
    )
    for ask in (bm.comparisons, bm.slopes):
        np.testing.assert_allclose(
            estimates(ask(ours, "x", groups=groups)), estimates(ask(hand, "xw", groups=groups)), rtol=1e-11, atol=1e-14
        )


def test_a_step_in_x_is_a_step_within_groups() -> None:
    post = drawn(FORMULA, rows())
    beta = post.beta.sel(coef="within(x, g)").to_numpy()
    step = bm.avg_comparisons(post, {"x": 2.0}, target="link", groups="zero")
    np.testing.assert_allclose(estimates(step)[..., 0], 2.0 * beta, rtol=1e-12)
    slopes = estimates(bm.slopes(post, "x", target="link", groups="zero"))
    np.testing.assert_allclose(slopes, np.broadcast_to(beta[..., None, None], slopes.shape), rtol=1e-12)


def test_a_higher_mean_at_the_same_x_is_the_contextual_effect() -> None:
    post = drawn(FORMULA, rows())
    contextual = post.beta.sel(coef=BETWEEN) - post.beta.sel(coef="within(x, g)")
    found = bm.avg_slopes(post, BETWEEN, target="link", groups="zero")
    np.testing.assert_allclose(estimates(found)[..., 0], contextual.to_numpy(), rtol=1e-12)
    # asked for by name alone: beside x it would be counted as a second effect of the same column
    assert bm.avg_slopes(post)["term"].to_numpy().tolist() == ["x", "z"]


def test_newdata_have_the_means_of_the_fit() -> None:
    post, data = drawn(FORMULA, rows()), rows()
    some = [7, 1, 20]
    every = estimates(bm.predictions(post, groups="own"))
    found = bm.predictions(post, newdata=data.iloc[some], groups="own")
    np.testing.assert_array_equal(estimates(found), every[..., some])
    assert found[BETWEEN].to_numpy() == pytest.approx(by_hand()["xb"].iloc[some].to_numpy())
    moved = data.iloc[some].assign(x=lambda d: d["x"] + 1.0)
    step = estimates(bm.comparisons(post, "x", newdata=data.iloc[some], groups="own"))[:, :, 0]
    np.testing.assert_allclose(
        estimates(bm.predictions(post, newdata=moved, groups="own")) - every[..., some], step, rtol=1e-10, atol=1e-14
    )


def test_rows_of_a_group_that_the_fit_does_not_know_bring_its_mean() -> None:
    post = drawn(FORMULA, rows())
    new = rows().iloc[:3].assign(g="another")
    with pytest.raises(bm.DataError, match=r"'another' of 'g' had no rows there.*newdata\['between\(x, g\)'\] = "):
        bm.predictions(post, newdata=new)
    with pytest.raises(bm.DataError, match="as a column of that name, needs the column 'g'"):
        bm.predictions(post, newdata=new.drop(columns="g"))
    hand = drawn(BY_HAND, by_hand())
    brought = new.assign(**{BETWEEN: new["x"].mean()})
    same = new.assign(xb=new["x"].mean(), xw=new["x"] - new["x"].mean())
    np.testing.assert_allclose(
        estimates(bm.predictions(post, newdata=brought)), estimates(bm.predictions(hand, newdata=same)), rtol=1e-12
    )
    both = pd.concat([rows().iloc[3:5], brought], ignore_index=True)  # NaN where the fit knows the mean
    np.testing.assert_array_equal(
        estimates(bm.predictions(post, newdata=both)),
        np.concatenate([estimates(bm.predictions(post, newdata=d)) for d in (rows().iloc[3:5], brought)], axis=-1),
    )
    at = bm.predictions(post, newdata=new.drop(columns="g"), at={BETWEEN: [0.0, 1.0]})
    assert at.sizes[BETWEEN] == 2


def test_a_missing_group_is_a_missing_row() -> None:
    post = drawn(FORMULA, rows())
    new = rows().iloc[:3].assign(g=["s0", None, "s0"])
    with pytest.warns(bm.BayesmarginsWarning, match=r"1 of 3 rows of newdata have missing values"):
        found = estimates(bm.predictions(post, newdata=new))
    assert np.isnan(found).all(axis=(0, 1)).tolist() == [False, True, False]


def test_reference_grids_hold_the_mean_or_follow_the_group() -> None:
    post = drawn(FORMULA, rows())
    grid = bm.datagrid(post)
    assert grid[BETWEEN].item() == pytest.approx(by_hand()["xb"].mean()) == grid["x"].item()
    named = bm.datagrid(post, {"g": ["s1", "s3"]})
    assert sorted(named.columns) == ["g", "x", "z"]
    followed = bm.predictions(post, newdata=named, groups="own")[BETWEEN].to_numpy()
    assert followed == pytest.approx(rows().groupby("g")["x"].mean()[["s1", "s3"]].to_numpy())
    copies = bm.datagrid(post, {"g": ["s1"]}, grid="counterfactual")
    assert BETWEEN not in copies
    assert BETWEEN in bm.datagrid(post, {"z": [0.0]}, grid="counterfactual")


def test_neither_the_order_of_rows_nor_the_names_of_groups_change_a_number() -> None:
    post, data = drawn(FORMULA, rows()), rows()
    order = np.random.default_rng(5).permutation(len(data))
    shuffled = drawn(FORMULA, data.iloc[order].reset_index(drop=True))
    numbered = drawn(FORMULA, data.assign(g=pd.factorize(data["g"])[0] + 10))
    every = estimates(bm.predictions(post, groups="own"))
    np.testing.assert_allclose(estimates(bm.predictions(shuffled, groups="own")), every[..., order], rtol=1e-12)
    np.testing.assert_allclose(estimates(bm.predictions(numbered, groups="own")), every, rtol=1e-12)


def test_a_column_that_does_not_vary_within_groups_lies_at_its_mean_to_the_last_digit() -> None:
    data = rows().assign(x=lambda d: d.groupby("g")["x"].transform("first"))
    with pytest.warns(bm.BayesmarginsWarning, match="have rank 2"):
        design = build_design("y ~ z + within(x, g)", data)
    assert not design.rows(design.data).X[:, 2].any()


def test_two_columns_may_name_a_group() -> None:
    data = rows().assign(h=lambda d: np.where(d["z"] > 0, "a", "b"))
    design = build_design("y ~ between(x, g:h)", data)
    mean = data.groupby(["g", "h"])["x"].transform("mean").to_numpy()
    np.testing.assert_allclose(design.rows(data).X[:, 1], mean, rtol=1e-12)


def test_a_file_keeps_the_means(tmp_path: Path) -> None:
    post = drawn(FORMULA, rows())
    post.save(tmp_path / "fit.nc")
    again = bm.load(tmp_path / "fit.nc")
    new = rows().iloc[[2, 9]]
    np.testing.assert_array_equal(
        estimates(bm.slopes(again, "x", newdata=new)), estimates(bm.slopes(post, "x", newdata=new))
    )


def test_a_parameter_beside_the_mean_may_read_them() -> None:
    data = rows().assign(y=lambda d: d["x"] + d["z"])
    post = bm.from_draws(
        "y ~ z",
        data,
        family="gaussian",
        beta=np.zeros((1, 4, 2)),
        parts={"sigma": {"formula": "~ between(x, g)", "beta": np.broadcast_to([0.5, 0.1], (1, 4, 2))}},
    )
    new = data.iloc[[0, 24]]
    found = estimates(bm.predictions(post, newdata=new, target="sigma"))[0, 0]
    assert found == pytest.approx(np.exp(0.5 + 0.1 * by_hand()["xb"].iloc[[0, 24]].to_numpy()))


def test_a_function_of_the_users_own_keeps_its_name() -> None:
    design = build_design("y ~ within(x, z)", rows(), namespace={"within": lambda x, z: x + z})
    np.testing.assert_allclose(design.rows(rows()).X[:, 1], rows()["x"] + rows()["z"])
    assert parse("y ~ I(x.between(0, 1))").means == ()


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ within(x)", r"within\(x\) is read as within\(x, g\)"),
        ("y ~ between(log(x), g)", "Compute anything else as a column of the data"),
        ("y ~ within(g, g)", "averages 'g', which holds no numbers"),
        ("y ~ within(q, g)", "needs the column 'q'"),
        ("y ~ between(x, q)", "needs the column 'q'"),
        ("y ~ between(y, g)", "'y' is also in the right-hand side"),
    ],
)
def test_what_cannot_be_averaged_is_refused(formula: str, said: str) -> None:
    with pytest.raises((bm.FormulaError, bm.DataError), match=said):
        build_design(formula, rows())


def test_levels_alone_have_no_means() -> None:
    with pytest.raises(bm.FormulaError, match="a mean of the rows of the fit, and there are none"):
        bm.from_draws("y ~ within(x, g)", None, levels={}, beta=np.zeros((1, 2, 2)), family="bernoulli")


def test_a_column_of_the_users_that_is_no_mean_is_not_overwritten() -> None:
    data = pd.DataFrame({"y": 0.0, "x": [1.0, 2, 3, 5], "g": list("aabb")})
    mean = data.groupby("g")["x"].transform("mean")
    assert build_design("y ~ within(x, g)", data.assign(**{"between(x, g)": mean})).coef[1] == "within(x, g)"
    with pytest.raises(bm.DataError, match="data has a column 'between\\(x, g\\)'"):
        build_design("y ~ within(x, g)", data.assign(**{"between(x, g)": 7.0}))


@pytest.mark.evidence
@pytest.mark.sampling
def test_a_fit_recovers_what_differs_within_and_between_groups() -> None:
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(40), 8)
    usual = rng.normal(0.0, 2.0, 40)[g]
    data = pd.DataFrame({"g": g, "x": usual + rng.normal(size=len(g))})
    mean = data.groupby("g")["x"].transform("mean")
    within = (0.8 + rng.normal(0.0, 0.3, 40)[g]) * (data["x"] - mean)
    data["y"] = 1.0 + within - 0.5 * mean + rng.normal(0.0, 0.6, 40)[g] + rng.normal(0.0, 0.7, len(g))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formula = "y ~ within(x, g) + between(x, g) + (1 + within(x, g) || g)"
        post = bm.GLMM(formula, data).fit(sampler="independent", random_seed=1, progressbar=False)
    truth = {"beta": [1.0, 0.8, -0.5], "sd_g": [0.6, 0.3], "sigma": [0.7]}
    for name, values in truth.items():
        draws = post.parameters[name].to_numpy().reshape(-1, len(values))
        assert (np.abs(draws.mean(axis=0) - values) < 4.0 * draws.std(axis=0)).all()
    slope = estimates(bm.avg_slopes(post, "x"))
    assert slope.mean() == pytest.approx(0.8, abs=4.0 * slope.std())
