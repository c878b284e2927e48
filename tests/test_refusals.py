"""Questions that cannot be answered are refused with what was asked, the value got, what is allowed and what to do."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from test_margins import random_posterior, simulated

import bayesmargins as bm

POST = reference.posterior("b_bacteria")
NESTED = random_posterior("y ~ x + (1 | g/h)", simulated(), "bernoulli")
PLAIN = random_posterior("y ~ x", simulated(), "bernoulli")
ROW = POST.design.data.head(1)


@pytest.mark.parametrize("groups", ["population", None, "NA", "marginal", "fixed"])
def test_old_words_for_groups_are_answered_with_the_right_one(groups: Any) -> None:
    with pytest.raises(
        bm.GroupsError, match=r"is no policy; allowed are 'new'.*'(new|zero)' (is|averages|integrates|uses)"
    ):
        bm.avg_predictions(POST, groups=groups)


REFUSED: list[tuple[type[bm.BayesmarginsError], str, Callable[[], Any]]] = [
    (bm.GroupsError, "Did you mean 'existing'", lambda: bm.avg_predictions(POST, groups="existin")),
    (bm.GroupsError, r"leaves out 'g:h'", lambda: bm.avg_predictions(NESTED, groups={"g": "new"})),
    (bm.GroupsError, r"names 'id', which is no grouping.*'ID'", lambda: bm.avg_predictions(POST, groups={"id": "new"})),
    (bm.GroupsError, "is nested in", lambda: bm.avg_predictions(NESTED, groups={"g": "new", "g:h": "own"})),
    (bm.GroupsError, "has not seen.*'sample'", lambda: bm.predictions(POST, ROW.assign(ID="nobody"), groups="own")),
    (bm.GroupsError, "levels 'X99'.*Did you mean 'X", lambda: bm.avg_predictions(POST, groups={"ID": ["X99"]})),
    (bm.GroupsError, r"draw\. The model has no grouping factor: leave groups out\.", lambda: (
        bm.avg_predictions(PLAIN, groups="nonsense"))),
    (bm.GroupsError, "names no level", lambda: bm.avg_predictions(POST, groups={"ID": []})),
    (bm.GroupsError, "allowed are 'equal' and 'rows'", lambda: bm.avg_predictions(POST, group_weights="size")),
    (bm.EstimandError, "Did you mean 'mean'", lambda: bm.avg_predictions(POST, target="means")),
    (bm.EstimandError, r"bm.sd\(\). Did you mean 'sigma'\?$", lambda: bm.avg_predictions(
        reference.posterior("d_sleep"), target="Sigma")),
    (bm.EstimandError, "'shape' is no parameter of family='gaussian'", lambda: bm.avg_predictions(
        reference.posterior("d_sleep"), target="Shape")),
    (bm.EstimandError, "has none", lambda: bm.avg_predictions(POST, target="count")),
    (bm.EstimandError, "Did you mean 'ratio'", lambda: bm.avg_comparisons(POST, "trt", comparison="ration")),
    (bm.EstimandError, "odds, which only a probability has", lambda: bm.avg_comparisons(
        reference.posterior("d_sleep"), "Days", comparison="or")),
    (bm.EstimandError, "Did you mean 'week'", lambda: bm.avg_comparisons(POST, "wek")),
    (bm.EstimandError, "a grouping factor; say groups=", lambda: bm.avg_comparisons(POST, "ID")),
    (bm.EstimandError, "variables is empty", lambda: bm.avg_comparisons(POST, [])),
    (bm.EstimandError, r"variables=<DataFrame of the shape \(1, .*Rows are newdata=\.$", lambda: bm.avg_comparisons(
        POST, ROW)),
    (bm.EstimandError, "the response: it is what is predicted", lambda: bm.avg_comparisons(POST, "yb")),
    (bm.EstimandError, "a factor takes", lambda: bm.avg_comparisons(POST, {"trt": 1})),
    (bm.EstimandError, "the fit knows 'placebo'", lambda: bm.avg_comparisons(POST, {"trt": ("placebo", "drugs")})),
    (bm.EstimandError, "a number takes a step", lambda: bm.avg_comparisons(POST, {"week": "quartile"})),
    (bm.EstimandError, "a number takes a step", lambda: bm.avg_comparisons(POST, {"week": 0})),
    (bm.EstimandError, "cross=True changes several", lambda: bm.avg_comparisons(POST, "trt", cross=True)),
    (bm.EstimandError, "at fixes it", lambda: bm.avg_comparisons(POST, "trt", at={"trt": ["drug"]})),
    (bm.EstimandError, "has no slope. Use", lambda: bm.avg_slopes(POST, "trt")),
    (bm.EstimandError, "allowed are 'dydx'", lambda: bm.avg_slopes(POST, "week", slope="eyez")),
    (bm.EstimandError, "without a specification", lambda: bm.avg_slopes(POST, {"week": 1})),
    (bm.EstimandError, "to 'drugg'.*Did you mean 'drug'", lambda: bm.avg_predictions(POST, at={"trt": "drugg"})),
    (bm.EstimandError, "give a finite number", lambda: bm.avg_predictions(POST, at={"week": ["two"]})),
    (bm.EstimandError, "names no value, or one twice", lambda: bm.avg_predictions(POST, at={"week": [1, 1]})),
    (bm.EstimandError, "must be a dict", lambda: bm.avg_predictions(POST, at="week")),
    (bm.EstimandError, "by and at both name", lambda: bm.avg_predictions(POST, at={"week": 1}, by="week")),
    (bm.EstimandError, "nothing is averaged here", lambda: bm.predictions(POST, wts="week")),
    (bm.EstimandError, "one weight each is needed", lambda: bm.avg_predictions(POST, wts=[1.0, 2.0])),
    (bm.EstimandError, "negative or not finite", lambda: bm.avg_predictions(POST, wts=-np.ones(220))),
    (bm.EstimandError, "add up to 0", lambda: bm.avg_predictions(POST, wts=np.zeros(220))),
    (bm.DataError, "by=.* needs the column 'sex'", lambda: bm.avg_predictions(POST, by="sex")),
    (bm.DataError, "needs the column 'trt', which newdata", lambda: bm.predictions(POST, pd.DataFrame({"week": [1]}))),
    (bm.DataError, "newdata has no rows", lambda: bm.predictions(POST, ROW.iloc[:0])),
    (bm.DataError, "newdata is int", lambda: bm.predictions(POST, 3)),
    (bm.DataError, r"newdata is str, 'rows.csv', and there is no such file.*first, .*read_csv\('rows.csv'\)", lambda: (
        bm.predictions(POST, "rows.csv"))),
    (bm.DataError, r"newdata is str, 'data/nothere', and there is no such file.*a parquet file, or", lambda: (
        bm.predictions(POST, "data/nothere"))),
    (bm.DataError, r"data is \w+Path, 'a.parquet'.*first, .*read_parquet\('a.parquet'\)", lambda: bm.from_brms(
        ROW, "y ~ x", Path("a.parquet"), family="bernoulli")),
    (bm.DataError, r"bm.datagrid\(post, grid='balanced'\)", lambda: bm.predictions(POST, "balanced")),
    (bm.DataError, r"newdata='trt' names a column;.*by='trt'\).*at=\{'trt': \[\.\.\.\]\}", lambda: bm.avg_predictions(
        POST, "trt")),
    (bm.DataError, r"names columns;.*by=\['trt', 'week'\]", lambda: bm.avg_predictions(POST, ["trt", "week"])),
    (bm.PosteriorError, r"\(.X01., .X02. and 48 more\)\. Its axes fit .*: array\.transpose\(0, 1, 3, 2\)\.", lambda: (
        bm.from_draws(POST.formula, POST.design.data, family="bernoulli", beta=POST.beta, Sigma=POST.Sigma,
                      b={"ID": POST.b["ID"].to_numpy().swapaxes(2, 3)}))),
    (bm.PosteriorError, "is dict; a Posterior is needed", lambda: bm.avg_predictions({})),
    (bm.ResultError, "got DataFrame", lambda: bm.summary(ROW)),
    (bm.ResultError, "Keep both dims", lambda: bm.summary(bm.avg_predictions(POST).mean("draw"))),
    (bm.ResultError, "it must lie between 0 and 1", lambda: bm.summary(bm.avg_predictions(POST), ci_prob=95)),
    (bm.ResultError, "allowed are eti, hdi", lambda: bm.summary(bm.avg_predictions(POST), ci_kind="hpd")),
    (bm.ResultError, "allowed are median, mean, mode", lambda: bm.summary(bm.avg_predictions(POST), point="map")),
    (bm.ResultError, "the lower first", lambda: bm.summary(bm.avg_predictions(POST), rope=(1, 0))),
    (bm.ResultError, "null='zero'", lambda: bm.summary(bm.avg_predictions(POST), null="zero")),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "ask"), REFUSED, ids=[said for _, said, _ in REFUSED])
def test_question_is_refused_with_what_to_do(error: type[Exception], said: str, ask: Callable[[], Any]) -> None:
    with pytest.raises(error, match=said):
        ask()


def test_offset_and_trials_absent_from_newdata_are_errors() -> None:
    rate = random_posterior("k ~ x + offset(log(e)) + (1 | g)", simulated(), "poisson")
    with pytest.raises(bm.DataError, match="needs the column 'e'"):
        bm.avg_predictions(rate, simulated().drop(columns="e"))
    share = random_posterior("k | trials(n) ~ x + (1 | g)", simulated(), "binomial")
    with pytest.raises(bm.DataError, match="needs the column 'n'"):
        bm.avg_predictions(share, simulated().drop(columns="n"), target="count")
    bm.avg_predictions(share, simulated().drop(columns="n"))


def test_result_beyond_memory_is_refused_before_it_is_computed() -> None:
    with bm.options(memory="10kB"):
        with pytest.raises(bm.EstimandError, match=r"200 draws x 660 values.*memory allows 10kB.*avg_predictions"):
            bm.comparisons(POST, {"trt": "pairwise"})
        bm.avg_comparisons(POST, "trt")


def test_new_and_zero_need_no_draws_of_b() -> None:
    bare = bm.from_draws(POST.formula, POST.design.data, family="bernoulli", beta=POST.beta, Sigma=POST.Sigma)
    for groups in ("new", "zero"):
        np.testing.assert_array_equal(
            bm.avg_predictions(bare, groups=groups)["estimate"], bm.avg_predictions(POST, groups=groups)["estimate"]
        )
    for groups in ("own", "existing"):
        with pytest.raises(bm.PosteriorError, match="has no draws of b for 'ID'"):
            bm.avg_predictions(bare, groups=groups)


UNIT = bm.avg_comparisons(POST, "trt")
SET = "has no order"

STRANGE: list[tuple[type[bm.BayesmarginsError], str, Callable[[], Any]]] = [
    (bm.EstimandError, f"'week'.*{SET}: give a list", lambda: bm.avg_predictions(POST, at={"week": {1, 2}})),
    (bm.EstimandError, "Several values are a flat list", lambda: bm.avg_predictions(POST, at={"week": [[1, 2]]})),
    (bm.EstimandError, "Several values are a flat list", lambda: bm.avg_predictions(POST, at={"trt": ROW})),
    (bm.EstimandError, r"to '\(0, 1\]'; it holds numbers", lambda: bm.avg_predictions(
        POST, at={"week": pd.Interval(0, 1)})),
    (bm.EstimandError, "to '2020.*'; it holds numbers", lambda: bm.avg_predictions(
        POST, at={"week": pd.Timestamp("2020")})),
    (bm.EstimandError, "finite number", lambda: bm.avg_predictions(POST, at={"week": 10**400})),
    (bm.EstimandError, "finite number", lambda: bm.avg_predictions(POST, at={"week": 1j})),
    (bm.EstimandError, "the fit knows 'placebo'", lambda: bm.avg_predictions(POST, at={"trt": pd.NA})),
    (bm.EstimandError, "names None, which is no variable", lambda: bm.avg_predictions(POST, at={None: 1})),
    (bm.EstimandError, "allowed are difference", lambda: bm.avg_comparisons(POST, "trt", comparison=["ratio"])),
    (bm.EstimandError, "allowed are mean", lambda: bm.avg_predictions(POST, target=ROW)),
    (bm.EstimandError, "Here it is called 'mean'", lambda: bm.avg_predictions(POST, target="response")),
    (bm.EstimandError, "allowed are 'dydx'", lambda: bm.avg_slopes(POST, "week", slope=np.ones(2))),
    (bm.EstimandError, "it must be True .* or False", lambda: bm.avg_comparisons(POST, ["trt", "week"], cross="yes")),
    (bm.EstimandError, "name of a column, or a list", lambda: bm.avg_predictions(POST, by={"trt"})),
    (bm.EstimandError, "name of a column, or a list", lambda: bm.avg_predictions(POST, by=pd.NA)),
    (bm.EstimandError, "variables is empty", lambda: bm.heterogeneity(POST, None)),
    (bm.EstimandError, "a name, a list of names, or a dict", lambda: bm.avg_comparisons(POST, 3)),
    (bm.EstimandError, SET, lambda: bm.avg_comparisons(POST, {"trt"} | {"week"})),
    (bm.EstimandError, "names a variable twice", lambda: bm.avg_comparisons(POST, ["trt", "trt"])),
    (bm.EstimandError, "3 values are no pair", lambda: bm.avg_comparisons(POST, {"week": [0, 1, 2]})),
    (bm.EstimandError, f"{SET}: write the pair", lambda: bm.avg_comparisons(POST, {"week": {0, 1}})),
    (bm.EstimandError, "whole number from 0", lambda: bm.avg_predictions(POST, random_seed="a")),
    (bm.EstimandError, "one number a row", lambda: bm.avg_predictions(POST, wts=["a"] * 220)),
    (bm.EstimandError, "such as nan. A weight is", lambda: bm.avg_predictions(POST, wts=[np.nan] * 220)),
    (bm.GroupsError, "Weights of rows in an average are wts=", lambda: bm.avg_predictions(POST, group_weights=[1, 2])),
    (bm.GroupsError, r"say their factor: groups=\{'ID': \['X01'\]\}", lambda: bm.avg_predictions(POST, groups=["X01"])),
    (bm.GroupsError, "'ID' is a grouping factor", lambda: bm.avg_predictions(POST, groups="ID")),
    (bm.GroupsError, f"{SET}: name the levels in a list", lambda: bm.avg_predictions(POST, groups={"ID": {"X01"}})),
    (bm.GroupsError, "allowed are 'new'", lambda: bm.avg_predictions(POST, groups={"ID": [["X01"]]})),
    (bm.DataError, "lengths {'trt': 1, 'week': 2}", lambda: bm.predictions(POST, {"trt": ["drug"], "week": [1, 2]})),
    (bm.DataError, r"is frame.iloc\[\[0\]\]", lambda: bm.predictions(POST, POST.design.data.iloc[0])),
    (bm.DataError, "newdata has no columns", lambda: bm.predictions(POST, pd.DataFrame())),
    (bm.DataError, "repeat or .*: 'week', 'week'", lambda: bm.predictions(POST, ROW[["trt", "week", "week"]])),
    (bm.DataError, "A MultiIndex is made flat", lambda: bm.predictions(POST, pd.concat({"a": ROW}, axis=1))),
    (bm.DataError, "to_dataframe", lambda: bm.predictions(POST, UNIT)),
    (bm.DataError, "holds a list in each row", lambda: bm.predictions(POST, ROW.assign(trt=[["drug"]]))),
    (bm.DataError, "numbers are real", lambda: bm.predictions(POST, ROW.assign(week=1j))),
    (bm.DataError, "infinite in 1 of 1 rows, the first", lambda: bm.predictions(POST, ROW.assign(week=np.inf))),
    (bm.DataError, "count from a start", lambda: bm.predictions(POST, ROW.assign(week=pd.Timestamp("2020")))),
    (bm.ResultError, "95 % is ci_prob=0.95", lambda: bm.summary(UNIT, ci_prob=95)),
    (bm.ResultError, "between 0 and 1", lambda: bm.summary(UNIT, ci_prob="0.9")),
    (bm.ResultError, "Here it is called 'hdi'", lambda: bm.summary(UNIT, ci_kind="HPD")),
    (bm.ResultError, "allowed are median", lambda: bm.summary(UNIT, point=["mean"])),
    (bm.ResultError, r"Around 0 that is rope=\(-0.1, 0.1\)", lambda: bm.summary(UNIT, rope=0.1)),
    (bm.ResultError, "two numbers, the lower first", lambda: bm.summary(UNIT, rope=(0.1,))),
    (bm.ResultError, "must be a number", lambda: bm.summary(UNIT, null=np.nan)),
    (bm.ResultError, "must be a number", lambda: bm.plot_forest(UNIT, null="a")),
    (bm.ResultError, "no entries left", lambda: bm.summary(UNIT.isel(contrast=[]))),
    (bm.ResultError, "no entries left", lambda: bm.plot_forest(UNIT.isel(draw=[]))),
    (bm.ResultError, "must be real numbers", lambda: bm.summary(UNIT * 1j)),
    (bm.ResultError, "dict of results is empty", lambda: bm.plot_forest({})),
    (bm.ResultError, "one matplotlib Axes", lambda: bm.plot_forest(UNIT, ax=3)),
    (bm.ResultError, r"The result has no \['a'\]", lambda: bm.plot_predictions(
        bm.avg_predictions(POST, by="trt"), x=["a"])),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "ask"), STRANGE, ids=[f"{k}: {s[1]}" for k, s in enumerate(STRANGE)])
def test_values_of_a_strange_kind_are_refused_by_name(
    error: type[Exception], said: str, ask: Callable[[], Any]
) -> None:
    with pytest.raises(error, match=said):
        ask()


def test_spread_that_compares_a_value_with_itself_is_refused() -> None:
    rare = random_posterior("y ~ x + (1 | g)", simulated(x=np.repeat([0.0, 5.0], [72, 8])), "bernoulli")
    bm.avg_comparisons(rare, {"x": "sd"})
    with pytest.raises(bm.EstimandError, match=r"'iqr' of 'x' stands for 0, 0 in the 80 rows.*a step"):
        bm.avg_comparisons(rare, {"x": "iqr"})
    constant = random_posterior("y ~ 0 + x + (1 | g)", simulated(x=2.5), "bernoulli")
    for spread in ("sd", "iqr", "minmax"):
        with pytest.raises(bm.EstimandError, match=r"stands for 2.5, 2.5"):
            bm.avg_comparisons(constant, {"x": spread})


def test_one_row_and_one_level_work_or_say_why() -> None:
    row = simulated(f="a", g="only").head(1)
    with pytest.warns(bm.BayesmarginsWarning, match="have rank 1"):
        post = bm.from_draws("y ~ x + f", row, family="bernoulli", beta=np.zeros((2, 5, 2)))
    bm.summary(bm.avg_predictions(post, by="f"))
    with pytest.raises(bm.EstimandError, match="'f' has the single level 'a'"):
        bm.avg_comparisons(post, "f")
    with pytest.raises(bm.EstimandError, match="values that are the same"):
        bm.avg_comparisons(post, {"x": "sd"})
    with pytest.raises(bm.ModelError, match=r"single level 'only'.*fixed effect"):
        bm.GLMM("y ~ 0 + x + (1 | g)", row, "bernoulli")
    many = random_posterior("y ~ x + f + (1 | g)", simulated(), "bernoulli")
    assert bm.predictions(many, simulated().head(1), groups="own").sizes["row"] == 1


BETA, SIGMA = np.zeros((2, 3, 4)), np.ones((2, 3, 1, 1))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"beta": np.zeros((2, 3, 5))}, r"beta has the shape \(2, 3, 5\).*'trt\[drug\]'"),
        ({"beta": np.zeros((3, 4))}, "values\\[None\\]"),
        ({"Sigma": {}}, "Sigma leaves out 'ID'"),
        ({"Sigma": {"id": SIGMA}}, "Sigma names 'id'"),
        ({"Sigma": {"ID": -SIGMA}}, "no covariance in 6 draws"),
        ({"b": {"ID": np.zeros((2, 3, 4, 1))}}, r"b\['ID'\] has the shape"),
        ({"beta": BETA * np.nan}, "24 values that are NaN"),
        ({"aux": {"sigma": np.ones((2, 3))}}, "aux names 'sigma'"),
    ],
)
def test_draws_that_do_not_fit_the_design_are_named(changed: dict[str, Any], said: str) -> None:
    arguments: dict[str, Any] = {"family": "bernoulli", "beta": BETA, "Sigma": {"ID": SIGMA}} | changed
    with pytest.raises(bm.PosteriorError, match=said):
        bm.from_draws(POST.formula, POST.design.data, **arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"family": "binary"}, "Here it is called 'bernoulli'"),
        ({"family": "bernoulli", "link": "log"}, "does not take link='log'; allowed are logit, probit, cloglog"),
        ({"family": "poisson", "formula": "x ~ 1 + (1 | g)"}, "values that family='poisson' cannot have"),
        ({"family": "bernoulli", "formula": "k ~ 1 + (1 | g)"}, "allowed are 0 and 1"),
        ({"family": "binomial", "formula": "k ~ 1"}, "needs 'successes . trials"),
        ({"family": "bernoulli", "formula": "k | trials(n) ~ 1"}, "takes no trials"),
        ({"family": "binomial", "formula": "n | trials(k) ~ 1"}, "0 to the trials of the row"),
        ({"family": "bernoulli", "formula": "y ~ x + (1 | one)"}, "has the single level 'same'"),
        ({"family": "bernoulli", "priors": {"bta": 1}}, "Did you mean 'beta'"),
        ({"family": "bernoulli", "priors": {"beta": 2.5}}, "pm.Normal.dist"),
    ],
)
def test_models_that_do_not_go_together_are_refused(arguments: dict[str, Any], said: str) -> None:
    data = simulated(one="same")
    with pytest.raises(bm.ModelError, match=said):
        bm.GLMM(**{"formula": "y ~ x + (1 | g)", "data": data} | arguments)


def test_sampler_arguments_are_checked_before_anything_is_compiled() -> None:
    model = bm.GLMM("y ~ x + (1 | g)", simulated(), "bernoulli")
    for options, said in [
        ({"sampler": "stan"}, "allowed are nutpie, pymc, numpyro"),
        ({"draws": 0}, "draws=0"),
        ({"chains": 1.5}, "whole number"),
    ]:
        with pytest.raises(bm.FitError, match=said):
            model.fit(**options)


@pytest.mark.parametrize(("column", "groups"), [("week", "new"), ("ID", "own")])
def test_cells_that_hold_several_values_are_refused_before_rows_are_compared(column: str, groups: str) -> None:
    data = POST.design.data
    with pytest.raises(bm.DataError, match=f"reads the column '{column}', and newdata holds a list in each row"):
        bm.avg_predictions(POST, data.assign(**{column: [[1]] * len(data)}), groups=groups)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="week"), "needs the column 'week', which newdata does not have"),
        (lambda d: d.assign(week="two"), "Column 'week' held numbers at the fit .*starting with 'two'.* Convert"),
    ],
    ids=["missing", "text"],
)
def test_a_step_of_what_is_no_column_of_numbers_is_refused(change, message):
    post = reference.posterior("b_bacteria")
    assert "week" in post.design.columns
    with pytest.raises(bm.DataError, match=message):
        bm.avg_comparisons(post, "week", newdata=change(post.design.data))


def test_an_integer_beyond_64_bits_is_a_number_and_a_signalling_decimal_is_none() -> None:
    assert bm.equals(2**64) == bm.equals(2.0**64)
    with pytest.raises(bm.PosteriorError, match="beta holds values that no float stands for"):
        bm.from_draws("y ~ 1 + (1 | g)", levels={"g": ["a"]}, family="poisson",
                      beta=np.array([[[decimal.Decimal("sNaN")]]]), Sigma={"g": np.ones((1, 1, 1, 1))})  # fmt: skip
