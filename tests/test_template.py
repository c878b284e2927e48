"""Posteriors without the fitted rows: what beta and Sigma give is that of the rows, and what needs rows is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference

import bayesmargins as bm

LEVELS = {"trt": ["placebo", "drug", "drug+"]}
FORMULA = "yb ~ trt + week + (1 | ID)"
GRID = pd.DataFrame({"trt": ["drug", "placebo", "drug+"], "week": [0, 2.5, 6], "ID": ["X01", "Y01", "Z26"]})


def _without_rows(levels: dict[str, Any]) -> bm.Posterior:
    draws = reference.HERE / "b_bacteria" / "draws.parquet"
    return bm.from_brms(draws, FORMULA, family="bernoulli", levels=levels)


def _groups() -> dict[str, Any]:
    return LEVELS | {"ID": list(reference.posterior("b_bacteria").design.factors["ID"].levels)}


@pytest.mark.parametrize("groups", ["new", "zero", "sample"])
def test_beta_and_sigma_alone_give_the_numbers_of_the_rows(groups: str) -> None:
    seed = {"random_seed": 1} if groups == "sample" else {}
    asked = {
        "predictions": lambda p: bm.predictions(p, GRID, groups=groups, **seed),
        "comparisons": lambda p: bm.avg_comparisons(p, {"trt": "pairwise"}, newdata=GRID, groups=groups, **seed),
        "slopes": lambda p: bm.avg_slopes(p, "week", newdata=GRID, groups=groups, **seed),
        "at": lambda p: bm.avg_predictions(p, GRID, at={"week": [0, 6]}, groups=groups, **seed),
    }
    full, bare = reference.posterior("b_bacteria"), _without_rows(LEVELS)
    for name, question in asked.items():
        np.testing.assert_allclose(question(bare)["estimate"], question(full)["estimate"], rtol=1e-12, err_msg=name)


def test_named_groups_bring_their_own_effects() -> None:
    full, named = reference.posterior("b_bacteria"), _without_rows(_groups())
    np.testing.assert_array_equal(named.draws.b["ID"], full.draws.b["ID"])
    for groups in ("own", "existing", {"ID": ["X01", "Z26"]}):
        found, expected = (bm.predictions(p, GRID, groups=groups) for p in (named, full))
        np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-12)
        assert found.attrs["estimand"] == expected.attrs["estimand"]


@pytest.mark.parametrize(
    "question",
    [
        lambda p: bm.attenuation(p, "trt", newdata=GRID),
        lambda p: bm.variance_partition(p, newdata=GRID),
        lambda p: bm.avg_predictions(p, GRID, target=bm.sd()),
    ],
)
def test_whole_questions_take_rows_instead_of_those_of_the_fit(question: Any) -> None:
    full, named = question(reference.posterior("b_bacteria")), question(_without_rows(_groups()))
    np.testing.assert_allclose(named["estimate"], full["estimate"], rtol=1e-12)


def test_attenuation_without_group_effects_compares_zero_and_new() -> None:
    with pytest.warns(bm.BayesmarginsWarning, match="left out of this attenuation"):
        found = bm.attenuation(_without_rows(LEVELS), "trt", newdata=GRID)
    full = bm.attenuation(reference.posterior("b_bacteria"), "trt", newdata=GRID)
    kept = found["groups"].to_numpy().tolist()
    assert "own" not in kept
    assert "existing" not in kept
    np.testing.assert_allclose(found["estimate"], full["estimate"].sel(groups=kept), rtol=1e-12)


@pytest.mark.parametrize(
    "question",
    [
        lambda p: bm.avg_predictions(p),
        lambda p: bm.avg_predictions(p, GRID, at={"week": "sd"}),
        lambda p: bm.avg_comparisons(p, {"week": "iqr"}, newdata=GRID),
        lambda p: bm.avg_slopes(p, "week"),
        lambda p: bm.datagrid(p, {"week": [0]}, grid="counterfactual"),
        lambda p: bm.attenuation(p, "trt"),
        lambda p: bm.marginal_coefficients(p),
        lambda p: bm.variance_partition(p),
        lambda p: bm.posterior_predictive(p, groups="zero"),
        lambda p: p.log_likelihood(),
        lambda p: p.linear_predictor(),
    ],
)
def test_what_needs_the_rows_says_so(question: Any) -> None:
    with pytest.raises(bm.DataError, match=r"asks for the fitted rows, and the posterior has none: .* newdata="):
        question(_without_rows(_groups()))


@pytest.mark.parametrize("groups", ["own", "existing"])
def test_group_effects_that_are_not_there_are_said_not_to_be(groups: str) -> None:
    with pytest.raises(bm.PosteriorError, match="no draws of b for 'ID'"):
        bm.predictions(_without_rows(LEVELS), GRID, groups=groups)
    with pytest.raises(bm.GroupsError, match="asks which groups occur together, or how often"):
        bm.predictions(_without_rows(_groups()), GRID, groups="existing", group_weights="rows")


def test_new_observations_need_rows_only() -> None:
    full, bare = reference.posterior("b_bacteria"), _without_rows(_groups())
    drawn = [bm.posterior_predictive(p, GRID, groups="own", random_seed=3) for p in (full, bare)]
    for name in drawn[0].data_vars:
        np.testing.assert_array_equal(drawn[1][name], drawn[0][name])


def test_a_posterior_without_rows_is_saved_and_shown(tmp_path: Path) -> None:
    post = _without_rows(_groups())
    assert "levels, no rows, 50 ID; 4 chains x 50 draws" in repr(post)
    assert "levels, no rows, groups of ID not named; 4 chains x 50 draws" in repr(_without_rows(LEVELS))
    post.save(tmp_path / "bare.nc")
    again = bm.load(tmp_path / "bare.nc")
    np.testing.assert_array_equal(*(bm.predictions(p, GRID, groups="own")["estimate"] for p in (again, post)))
    assert again.design.levels == post.design.levels
    assert set(post.idata.children if hasattr(post.idata, "children") else post.idata.groups()) == {"posterior"}


def test_truth_values_numbers_as_factors_and_unseen_levels() -> None:
    made: dict[str, Any] = {"beta": np.ones((1, 4, 5)), "Sigma": {}, "family": "bernoulli"}
    post = bm.from_draws("y ~ old + C(k) + x", levels={"old": [False, True], "k": [1, 2, 3]}, **made)
    assert post.design.coef == ("Intercept", "old", "C(k)[2]", "C(k)[3]", "x")
    assert post.design.columns["old"].kind == "logical"
    with pytest.raises(bm.DataError, match=r"levels 4 that the fit has not seen; it knows 1, 2, 3"):
        bm.predictions(post, {"old": [True], "k": [4], "x": [0.0]})


@pytest.mark.parametrize(
    ("formula", "given", "error", "said"),
    [
        ("y ~ poly(x, 2)", {"levels": {}}, bm.FormulaError, r"'poly\(x, 2\)' in .* takes its numbers from the rows"),
        ("y ~ C(k)", {"levels": {}}, bm.FormulaError, r"'C\(k\)' in .* Give its levels"),
        ("y ~ f", {"levels": {"g": ["a"]}}, bm.DataError, "levels names 'g', which the formula does not read"),
        ("y ~ f", {"levels": {"f": "ab"}}, bm.DataError, "levels\\['f'\\] is 'ab'; give a list"),
        ("y ~ f", {"levels": {"f": ["a", "a"]}}, bm.DataError, "no level, or one twice"),
        ("y ~ f", {"levels": {"f": [1, 1.0]}}, bm.DataError, "no level, or one twice"),
        ("y ~ f", {"levels": {"f": [np.nan, "a"]}}, bm.DataError, "nan among them; a level is one text, number"),
        ("y ~ f", {"levels": {"f": [None, "a"]}}, bm.DataError, "None among them; .* none is missing"),
        ("y ~ f", {"levels": {"f": [["a"], ["b"]]}}, bm.DataError, r"\['a'\] among them; .* give a flat list"),
        ("y ~ f", {"levels": {"f": [("a", 1), ("b", 2)]}}, bm.DataError, r"\('a', 1\) among them"),
        ("y ~ f", {"levels": {"f": [True, False]}}, bm.DataError, "True against False. Give \\[False, True\\]"),
        ("y ~ I(x - np.mean(x))", {"levels": {}}, bm.FormulaError, "other values for the same rows"),
        ("y ~ log(x - np.mean(x) - 5)", {"levels": {}}, bm.FormulaError, "other values for the same rows"),
        ("y ~ f", {"levels": ["f"]}, bm.DataError, "levels is list; give a dict"),
        ("y ~ f", {}, bm.DataError, "neither data nor levels; give one"),
        ("y ~ f", {"levels": {}, "data": GRID}, bm.DataError, "both data and levels"),
        ("y ~ f", {"levels": {"f": ["a", "b", "c"]}}, bm.PosteriorError, "'f\\[b\\]', 'f\\[c\\]'"),
    ],
)
def test_what_levels_cannot_say_is_refused(formula: str, given: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        bm.from_draws(formula, family="bernoulli", beta=np.ones((1, 4, 2)), **given)


def test_effects_of_groups_without_names_are_refused() -> None:
    made: dict[str, Any] = {"beta": np.ones((1, 4, 2)), "Sigma": {"g": np.ones((1, 4, 1, 1))}}
    with pytest.raises(bm.PosteriorError, match=r"groups of 'g' are not: name them in order, levels=\{'g'"):
        bm.from_draws("y ~ x + (1 | g)", levels={}, family="bernoulli", b={"g": np.ones((1, 4, 3, 1))}, **made)


@pytest.mark.parametrize("levels", [[False, True], [1, 0], ["True", "False"], ["b", "a"]])
def test_the_first_level_is_the_reference(levels: list[Any]) -> None:
    made: dict[str, Any] = {"beta": np.tile([0.0, 2.0], (1, 4, 1)), "family": "bernoulli"}
    post = bm.from_draws("y ~ f", levels={"f": levels}, **made)
    found = bm.predictions(post, {"f": levels})["estimate"]
    np.testing.assert_allclose(found[0, 0], [0.5, 1 / (1 + np.exp(-2.0))], rtol=1e-15)


def test_truth_values_that_name_groups_keep_their_order() -> None:
    b = {"g": np.tile([[1.0], [-1.0]], (1, 4, 1, 1))}
    made: dict[str, Any] = {"beta": np.zeros((1, 4, 1)), "Sigma": {"g": np.ones((1, 4, 1, 1))}, "b": b}
    post = bm.from_draws("y ~ 1 + (1 | g)", levels={"g": [True, False]}, family="poisson", **made)
    assert bm.predictions(post, {"g": [True, False]}, groups="own", target="link")["estimate"][
        0, 0
    ].to_numpy().tolist() == [1, -1]


@pytest.mark.parametrize(
    ("term", "function", "inside", "outside"),
    [
        ("log(x - 5)", lambda x: np.log(x - 5), [5.5, 9.0], 5.0),
        ("log(1 - x)", lambda x: np.log(1 - x), [-4.0, 0.5], 1.5),
        ("sqrt(x - 10)", lambda x: np.sqrt(x - 10), [10.0, 14.0], 3.0),
        ("np.arcsin(x)", np.arcsin, [-0.5, 1.0], 1.5),
    ],
)
def test_expressions_are_asked_of_the_users_rows_alone(
    term: str, function: Any, inside: list[float], outside: float, tmp_path: Path
) -> None:
    post = bm.from_draws(f"y ~ {term}", levels={}, family="bernoulli", beta=np.tile([0.0, 1.0], (1, 4, 1)))
    post.save(tmp_path / "bare.nc")
    for p in (post, bm.load(tmp_path / "bare.nc")):
        found = bm.predictions(p, {"x": inside}, target="link")["estimate"][0, 0]
        np.testing.assert_allclose(found, function(np.array(inside)), rtol=1e-15)
        with pytest.raises(bm.DataError, match="no finite value in 1 rows of newdata, the first being row 1"):
            bm.predictions(p, {"x": [inside[0], outside]})


@pytest.mark.parametrize("question", [bm.avg_comparisons, bm.heterogeneity])
def test_a_number_without_a_specification_says_which_one_does(question: Any) -> None:
    post = _without_rows(LEVELS)
    with pytest.raises(bm.DataError, match=r"variables=\{'week': 1\} adds 1, \{'week': \(0, 1\)\} compares 1 with 0"):
        question(post, "week", newdata=GRID)
    for spec in (1, (0, 1)):
        found, full = (question(p, {"week": spec}, newdata=GRID) for p in (post, reference.posterior("b_bacteria")))
        np.testing.assert_allclose(found["estimate"], full["estimate"], rtol=1e-12)


def test_a_grid_of_named_values_needs_no_rows() -> None:
    full, bare = reference.posterior("b_bacteria"), _without_rows(LEVELS)
    for columns in ({"week": [0, 2.5], "trt": "all"}, {"trt": "drug", "week": 1, "ID": ["X01", "Z26"]}):
        assert bm.datagrid(bare, columns).to_dict("list") == bm.datagrid(full, columns).to_dict("list")
    assert bm.datagrid(bare, {"week": 3}, grid="balanced")["trt"].tolist() == LEVELS["trt"]
    rows = bm.datagrid(bare, newdata=GRID)
    assert rows["week"].tolist() == [GRID["week"].mean()]
    for columns, grid, said in [
        (
            {"week": 1},
            "mean_or_mode",
            "leaves out 'trt': name the values of every variable of the model, 'trt', 'week'",
        ),
        (None, "mean_or_mode", "leaves out 'trt', 'week': .* or give rows as newdata="),
        ({"trt": "drug"}, "balanced", "leaves out 'week'"),
        ({"trt": "drug", "week": np.median}, "mean_or_mode", "asks for values of 'week' in the rows"),
        ({"trt": "drug", "week": 1, "ID": "all"}, "mean_or_mode", "asks for values of 'ID' in the rows"),
        ({"trt": "drug", "week": 1}, "observed", "asks for values of 'trt', 'week' in the rows"),
    ]:
        with pytest.raises(bm.DataError, match=said):
            bm.datagrid(bare, columns, grid=grid)
