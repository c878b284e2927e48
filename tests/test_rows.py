"""Rows of a question: grids, words for values, columns computed again, new labels for by; and what is compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from test_margins import random_posterior, simulated, values

import bayesmargins as bm


@pytest.fixture(scope="module")
def bacteria() -> bm.Posterior:
    return reference.posterior("b_bacteria")


def _centred() -> tuple[pd.DataFrame, bm.Posterior]:
    """A person-centred predictor beside the person's mean."""
    data = simulated()
    data["x_mean"] = data.groupby("g")["x"].transform("mean")
    data["x_within"] = data["x"] - data["x_mean"]
    return data, random_posterior("y ~ x_within * x_mean + f + (1 + x_within | g)", data, "bernoulli")


def test_grids_hold_what_is_not_named_at_means_and_modes(bacteria: bm.Posterior) -> None:
    data = bacteria.design.data
    grid = bm.datagrid(bacteria)
    assert grid.to_dict("list") == {"trt": [data["trt"].mode()[0]], "week": [data["week"].mean()]}
    assert "ID" not in grid  # no group is picked in silence
    grid = bm.datagrid(bacteria, {"week": [0, 6]}, grid="balanced")
    assert list(grid.itertuples(index=False, name=None)) == [
        (week, trt) for week in (0, 6) for trt in ("placebo", "drug", "drug+")
    ]
    assert bm.avg_predictions(bacteria, grid, by="trt")["trt"].values.tolist() == ["placebo", "drug", "drug+"]


def test_grids_take_functions_words_and_group_columns(bacteria: bm.Posterior) -> None:
    data = bacteria.design.data
    assert bm.datagrid(bacteria, {"week": np.median})["week"].tolist() == [data["week"].median()]
    assert bm.datagrid(bacteria, {"week": lambda x: x.max()})["week"].tolist() == [11]
    assert bm.datagrid(bacteria, {"week": "quartiles"})["week"].tolist() == [2, 4, 6]
    assert bm.datagrid(bacteria, {"ID": "all"})["ID"].nunique() == data["ID"].nunique()
    own = bm.predictions(bacteria, bm.datagrid(bacteria, {"ID": ["X01", "Z26"]}), groups="own")
    named = bm.predictions(bacteria, bm.datagrid(bacteria), groups={"ID": ["X01", "Z26"]})
    np.testing.assert_allclose(values(own), values(named)[..., 0], rtol=1e-12)


def test_observed_grids_have_no_combination_that_the_data_lack(bacteria: bm.Posterior) -> None:
    grid = bm.datagrid(bacteria, {"ID": "all", "trt": "all"}, grid="observed")
    seen = bacteria.design.data[["ID", "trt"]].drop_duplicates()
    assert set(map(tuple, grid[["ID", "trt"]].astype(str).values)) == set(map(tuple, seen.astype(str).values))
    with pytest.raises(bm.EstimandError, match="No row of the data has a combination"):
        bm.datagrid(bacteria, {"week": [3.5]}, grid="observed")


def test_counterfactual_grids_are_every_row_with_the_values_set(bacteria: bm.Posterior) -> None:
    grid = bm.datagrid(bacteria, {"trt": ["placebo", "drug"]}, grid="counterfactual")
    assert len(grid) == 2 * len(bacteria.design.data)
    by_grid = bm.avg_predictions(bacteria, grid, by="trt", groups="own")
    by_at = bm.avg_predictions(bacteria, at={"trt": ["placebo", "drug"]}, groups="own")
    np.testing.assert_allclose(values(by_grid), values(by_at), rtol=1e-12)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"grid": "mean"}, "grid='mean'; allowed are mean_or_mode, balanced"),
        ({"columns": {"wek": [0]}}, "'wek', and the rows have no such column.*'week'"),
        ({"columns": ["week"]}, "must be a dict of column to values"),
        ({"columns": {"trt": ["drug", "none"]}}, "'none'; the fit knows"),
        ({"columns": {"week": lambda x: 1 / 0}}, "raised ZeroDivisionError"),
        ({"columns": {"week": lambda x: x.to_frame()}}, "a value or a flat list"),
    ],
)
def test_grids_that_make_no_sense_are_refused(bacteria: bm.Posterior, ask: dict[str, Any], said: str) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        bm.datagrid(bacteria, **ask)


@pytest.mark.parametrize(
    ("word", "stands_for"),
    [
        ("sd", lambda x: [x.mean() - x.std() / 2, x.mean() + x.std() / 2]),
        ("2sd", lambda x: [x.mean() - x.std(), x.mean() + x.std()]),
        ("iqr", lambda x: x.quantile([0.25, 0.75])),
        ("minmax", lambda x: [x.min(), x.max()]),
        ("quartiles", lambda x: x.quantile([0.25, 0.5, 0.75])),
        ("mean", lambda x: [x.mean()]),
    ],
)
def test_words_stand_for_values_of_the_data(bacteria: bm.Posterior, word: str, stands_for: Any) -> None:
    expected = np.asarray(stands_for(bacteria.design.data["week"]), dtype=float)
    by_word = bm.avg_predictions(bacteria, at={"week": word})
    np.testing.assert_allclose(by_word["week"], expected, rtol=1e-12)
    np.testing.assert_allclose(values(by_word), values(bm.avg_predictions(bacteria, at={"week": expected})), rtol=1e-12)
    if len(expected) == 2:
        compared = bm.avg_comparisons(bacteria, {"week": word})
        np.testing.assert_allclose(values(compared)[..., 0], np.diff(values(by_word))[..., 0], atol=1e-13)


def test_all_levels_of_a_factor(bacteria: bm.Posterior) -> None:
    assert bm.avg_predictions(bacteria, at={"trt": "all"})["trt"].values.tolist() == ["placebo", "drug", "drug+"]
    with pytest.raises(bm.EstimandError, match="it holds numbers"):
        bm.avg_predictions(bacteria, at={"week": "all"})


@pytest.mark.parametrize("groups", ["new", "own", "existing", "zero"])
def test_derived_columns_are_computed_again_on_every_copy(groups: str) -> None:
    data, post = _centred()
    derive = {"x_within": lambda rows: rows["x"] - rows["x_mean"]}
    got = bm.avg_comparisons(post, {"x": 0.5}, at=derive, groups=groups)
    shifted = data.assign(x_within=data["x"] + 0.5 - data["x_mean"])
    sides = [bm.avg_predictions(post, rows, groups=groups)["estimate"] for rows in (shifted, data)]
    np.testing.assert_allclose(values(got)[..., 0], (sides[0] - sides[1]).values, atol=1e-12)
    assert got["contrast"].values.tolist() == ["x +0.5"]
    assert "with x_within computed again from the other columns" in bm.describe(got)
    assert got.attrs["derived_columns"] == '["x_within"]'


def test_derived_columns_follow_at_and_unit_level_rows() -> None:
    data, post = _centred()
    derive = {"x": [0.0, 1.0], "x_within": lambda rows: rows["x"] - rows["x_mean"]}
    got = bm.predictions(post, at=derive)
    assert got["estimate"].dims == ("chain", "draw", "x", "row")
    for k, x in enumerate(derive["x"]):
        by_hand = bm.predictions(post, data.assign(x_within=x - data["x_mean"]))
        np.testing.assert_allclose(values(got)[:, :, k], values(by_hand), rtol=1e-12)


def test_derived_columns_that_look_at_other_rows_or_fail_are_refused() -> None:
    data, post = _centred()

    def centred_again(rows: pd.DataFrame) -> pd.Series:
        return rows["x"] - rows.groupby("g")["x"].transform("mean")

    with pytest.raises(bm.EstimandError, match="it looks at other rows"):
        bm.avg_comparisons(post, "x", at={"x_within": centred_again})
    with pytest.raises(bm.DataError, match=r"with the columns .* raised KeyError"):
        bm.avg_comparisons(post, "x", at={"x_within": lambda rows: rows["nowhere"]})
    with pytest.raises(bm.DataError, match=r"gave .* of the shape"):
        bm.avg_comparisons(post, "x", at={"x_within": lambda rows: np.zeros(3)})
    with pytest.raises(bm.EstimandError, match="a column of the data that the formula does not read"):
        bm.avg_comparisons(post, "x")
    with pytest.raises(bm.EstimandError, match="a slope differentiates the formula"):
        bm.avg_slopes(post, "x_mean", at={"x_within": lambda rows: rows["x"] - rows["x_mean"]})
    gaps = data.assign(x=data["x"].where(data.index > 3))
    with pytest.raises(bm.DataError, match="computes are missing in 4 rows"):
        bm.avg_predictions(post, gaps, at={"x_within": lambda rows: rows["x"] - rows["x_mean"]})


def test_single_rows_say_where_a_derived_column_is_missing() -> None:
    data, post = _centred()
    gaps = data.assign(x=data["x"].where(data.index > 3))
    with pytest.warns(bm.BayesmarginsWarning, match=r"computes are missing in 4 rows .*'x_within': 4.*are NaN"):
        got = bm.predictions(post, gaps, at={"x_within": lambda rows: rows["x"] - rows["x_mean"]})
    missing = np.isnan(values(got).reshape(-1, len(data)))
    assert (missing == (data.index <= 3)).all()
    with pytest.warns(bm.BayesmarginsWarning, match="computes are missing in 2 rows"):
        got = bm.comparisons(post, {"x_mean": 1}, newdata=data.head(2), at={"x_within": lambda rows: None})
    assert np.isnan(values(got)).all()


def test_by_takes_new_labels_that_join_values(bacteria: bm.Posterior) -> None:
    data = bacteria.design.data
    labels = {"drug+": "any drug", "placebo": "none", "drug": "any drug"}
    got = bm.avg_predictions(bacteria, by={"trt": labels})
    by_hand = bm.avg_predictions(bacteria, data.assign(arm=data["trt"].astype(str).map(labels)), by="arm")
    assert got["trt"].values.tolist() == ["any drug", "none"]  # in the order of the labels given
    np.testing.assert_allclose(values(got), values(by_hand), rtol=1e-13)
    assert "within each trt (any drug: drug+, drug; none: placebo)" in bm.describe(got)
    early = bm.avg_predictions(bacteria, by={"trt": None, "week": lambda week: "early" if week < 4 else "late"})
    assert early["estimate"].sizes["by"] == 6
    assert early["week"].values.tolist()[:2] == ["early", "late"]
    with pytest.raises(bm.EstimandError, match=r"gives no label to .drug\+"):
        bm.avg_predictions(bacteria, by={"trt": {"placebo": "none", "drug": "any"}})
    with pytest.raises(bm.EstimandError, match=r"gives no label to 0, 2, 4, 6, 11; .* A dict goes from value to label"):
        bm.avg_predictions(bacteria, by={"week": {"early": [0, 2, 4], "late": [6, 11]}})
    with pytest.raises(bm.EstimandError, match=r"one value of the column, was called with 0 and raised TypeError"):
        bm.avg_predictions(bacteria, by={"week": lambda rows: rows["week"] < 4})


@pytest.mark.parametrize(
    ("spec", "pairs"),
    [
        ("reference", ["b - a", "c - a"]),
        ("revreference", ["a - b", "a - c"]),
        ("sequential", ["b - a", "c - b"]),
        ("revsequential", ["a - b", "b - c"]),
        ("pairwise", ["b - a", "c - a", "c - b"]),
        ("revpairwise", ["a - b", "a - c", "b - c"]),
        ("all", ["b - a", "c - a", "a - b", "c - b", "a - c", "b - c"]),
        (("c", "b"), ["b - c"]),
    ],
)
def test_pairs_of_levels_are_later_minus_earlier_unless_reversed(spec: Any, pairs: list[str]) -> None:
    post = random_posterior("y ~ x + f + (1 | g)", simulated(f=np.resize(["a", "b", "c"], 80)), "poisson")
    got = bm.avg_comparisons(post, {"f": spec})
    assert got["contrast"].values.tolist() == pairs
    at = bm.avg_predictions(post, at={"f": ["a", "b", "c"]})["estimate"]
    for label in pairs:
        high, low = label.split(" - ")
        difference = at.sel(f=high) - at.sel(f=low)
        np.testing.assert_allclose(got["estimate"].sel(contrast=label), difference, rtol=1e-9, atol=1e-12)


def test_own_functions_compare_the_two_averages(bacteria: bm.Posterior) -> None:
    def relative_risk(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        return high / low

    own = bm.avg_comparisons(bacteria, "trt", comparison=relative_risk)
    np.testing.assert_array_equal(values(own), values(bm.avg_comparisons(bacteria, "trt", comparison="ratio")))
    assert own["contrast"].values.tolist()[0] == "relative_risk(drug, placebo)"
    assert own.attrs["comparison"] == "relative_risk"
    assert own.attrs["scale"] == "relative_risk(high, low) of probability"
    assert bm.describe(own).startswith("relative_risk(high, low) of the average probability of yb (")
    bm.summary(own)
    unit = bm.comparisons(bacteria, "week", comparison=lambda high, low: 100 * (high - low))
    np.testing.assert_allclose(values(unit), 100 * values(bm.comparisons(bacteria, "week")), rtol=1e-12)
    with pytest.raises(bm.EstimandError, match=r"gave float64 of the shape .* one number for each pair"):
        bm.avg_comparisons(bacteria, "trt", comparison=lambda high, low: (high - low).mean())
    with pytest.raises(bm.EstimandError, match="raised TypeError"):
        bm.avg_comparisons(bacteria, "trt", comparison=lambda high: high)


_ASKS_AT_ZERO = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import reference, bayesmargins as bm
post = reference.posterior("b_bacteria")
linear = reference.posterior("d_sleep")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    bm.avg_predictions(post)
    bm.avg_predictions(linear, groups="zero")
    bm.avg_predictions(post, groups="zero", target="link")
    with bm.options(warn_zero=False):
        bm.avg_predictions(post, groups="zero")
    print(len(caught))
    bm.avg_predictions(post, groups="zero")
    bm.avg_comparisons(post, "trt", groups="zero")
    print(len(caught), caught[0].category.__name__, caught[0].message)
"""


def test_the_first_question_at_zero_under_a_curved_link_warns_once() -> None:
    tests = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", _ASKS_AT_ZERO, tests], capture_output=True, text=True, check=True)
    silent, said = done.stdout.splitlines()
    assert silent == "0"
    assert said.startswith("1 BayesmarginsWarning groups='zero' sets b = 0 for ID")
    assert "not the average over groups" in said


@pytest.mark.parametrize("how", ["by", "at", "all"])
def test_weights_post_stratify_every_average(bacteria: bm.Posterior, how: str) -> None:
    rng = np.random.default_rng(4)
    rows = bacteria.design.data.assign(w=rng.integers(0, 4, len(bacteria.design.data)))
    repeated = rows.loc[rows.index.repeat(rows["w"])]
    more = {"by": {"by": "trt"}, "at": {"at": {"week": [0, 6]}}, "all": {}}[how]
    weighted = bm.avg_predictions(bacteria, rows, wts="w", **more)
    np.testing.assert_allclose(values(weighted), values(bm.avg_predictions(bacteria, repeated, **more)), rtol=1e-12)
    compared = bm.avg_comparisons(bacteria, "trt" if how != "by" else "week", newdata=rows, wts="w", **more)
    expected = bm.avg_comparisons(bacteria, "trt" if how != "by" else "week", newdata=repeated, **more)
    np.testing.assert_allclose(values(compared), values(expected), atol=1e-13)
    sloped = bm.avg_slopes(
        bacteria, "week", newdata=rows, wts=rows["w"].to_numpy(), **{k: v for k, v in more.items() if k != "at"}
    )
    expected = bm.avg_slopes(bacteria, "week", newdata=repeated, **{k: v for k, v in more.items() if k != "at"})
    np.testing.assert_allclose(values(sloped), values(expected), atol=1e-13)


def test_variables_that_change_together_say_both_sides_whole(bacteria: bm.Posterior) -> None:
    got = bm.avg_comparisons(bacteria, {"trt": ("placebo", "drug"), "week": (0, 6)}, cross=True)
    assert got["contrast"].values.tolist() == ["(drug, 6) - (placebo, 0)"]
    step = bm.avg_comparisons(bacteria, {"trt": ("placebo", "drug"), "week": 2}, cross=True, comparison="ratio")
    assert step["contrast"].values.tolist() == ["(drug, week +2) / (placebo, week)"]


def test_derived_columns_may_need_each_other_in_any_order_and_themselves_once() -> None:
    data = simulated().assign(x_c=lambda d: d["x"] ** 2)
    post = random_posterior("y ~ x + x_c + w + (1 | g)", data, "bernoulli")
    first = {"x_c": lambda rows: (rows["x"] - 1) ** 2, "x": lambda rows: 2 * rows["x"]}
    by_hand = data.assign(x=2 * data["x"], x_c=(2 * data["x"] - 1) ** 2)
    for at in (first, dict(reversed(first.items()))):
        np.testing.assert_allclose(
            values(bm.predictions(post, at=at)), values(bm.predictions(post, by_hand)), rtol=1e-12
        )
    with pytest.raises(bm.EstimandError, match="from each other in a circle"):
        bm.avg_predictions(post, at={"x": lambda rows: rows["x_c"] + 1, "x_c": lambda rows: rows["x"]})


def test_derived_columns_are_no_labels_weights_or_averages_of_few_rows() -> None:
    data, post = _centred()
    derive = {"x_within": lambda rows: rows["x"] - rows["x_mean"]}
    assert "x_within" not in bm.predictions(post, data.head(3), at=derive).coords
    with pytest.raises(bm.EstimandError, match="by and at both name 'x_within'"):
        bm.avg_predictions(post, at=derive, by="x_within")
    with pytest.raises(bm.EstimandError, match="weights are those of the rows as they are"):
        bm.avg_predictions(post, data.assign(x_within=1.0), at=derive, wts="x_within")
    for n in (1, 2, 5):
        with pytest.raises(bm.EstimandError, match="it looks at other rows"):
            bm.avg_comparisons(post, "x", newdata=data.head(n), at={"x_within": lambda r: r["x"] - r["x"].mean()})
    outside = pd.Series(np.linspace(0, 1, len(data)))
    with pytest.raises(bm.EstimandError, match="it looks at other rows"):
        bm.predictions(post, data.assign(x=1.0), at={"x_within": lambda rows: outside.loc[rows.index]})
    with pytest.raises(bm.EstimandError, match="neither the formula nor what at= computes changes with it"):
        bm.avg_comparisons(post, "e", at=derive)


def test_trials_may_be_computed_where_the_target_counts() -> None:
    post = random_posterior("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    doubled = bm.avg_predictions(post, at={"n": lambda rows: 2 * rows["n"]}, target="count")
    np.testing.assert_allclose(values(doubled), 2 * values(bm.avg_predictions(post, target="count")), rtol=1e-12)
    grid = bm.datagrid(post, {"n": "mean", "e": "iqr"})
    assert grid["n"].tolist() == [post.design.data["n"].mean()] * 2
    assert grid["e"].tolist() == post.design.data["e"].quantile([0.25, 0.75]).tolist()


def test_own_functions_are_never_taken_for_the_word_that_they_are_called_by(bacteria: bm.Posterior) -> None:
    def ratio(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        return high - low

    own = bm.avg_comparisons(bacteria, "trt", comparison=ratio)
    assert own.attrs["scale"] == "own ratio(high, low) of probability"
    bm.summary(own, null=0)
    spread = bm.heterogeneity(bacteria, {"trt": ("placebo", "drug")}, comparison=ratio)
    assert spread["statistic"].values.tolist()[-1] == "share > 0"
    ratio.__name__ = "my {thing}"
    assert bm.avg_comparisons(bacteria, "trt", comparison=ratio)["contrast"].values[0] == "my {thing}(drug, placebo)"
    with pytest.raises(bm.EstimandError, match="gave complex128"):
        bm.avg_comparisons(bacteria, "trt", comparison=lambda high, low: (high - low) * 1j)


def test_targets_of_the_distribution_are_attenuated_and_not_taken_for_means_by_heterogeneity() -> None:
    post = random_posterior("x ~ f + (1 | g)", simulated(), "gaussian")
    side_by_side = bm.attenuation(post, "f", target=bm.exceeds(0.0))
    assert "error_bound" not in side_by_side.attrs
    new = bm.avg_comparisons(post, "f", target=bm.exceeds(0.0))
    np.testing.assert_array_equal(side_by_side["estimate"].sel(groups="new"), new["estimate"])
    with pytest.raises(bm.EstimandError, match="is there for 'mean', 'link' and 'count'"):
        bm.heterogeneity(post, "f", target=bm.exceeds(0.0))
