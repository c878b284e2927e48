"""Results: plain Datasets that say what they are, that ArviZ, xarray and netCDF take as they are, and their tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from test_margins import random_posterior, simulated

import bayesmargins as bm

TRT = ["placebo", "drug", "drug+"]
QUESTIONS: dict[str, Callable[[bm.Posterior], xr.Dataset]] = {
    "one number": lambda p: bm.avg_predictions(p),
    "by one column": lambda p: bm.avg_predictions(p, by="trt"),
    "by two columns": lambda p: bm.avg_predictions(p, by=["trt", "week"], groups="own"),
    "cube": lambda p: bm.avg_predictions(p, at={"week": [0.0, 2.0, 6.0], "trt": TRT}),
    "named groups": lambda p: bm.avg_predictions(p, groups={"ID": ["X01", "X02"]}),
    "contrasts": lambda p: bm.avg_comparisons(p, ["trt", "week"], groups="existing"),
    "ratio by": lambda p: bm.avg_comparisons(p, "trt", by="week", comparison="ratio"),
    "slopes": lambda p: bm.avg_slopes(p, "week", by="trt"),
    "rows": lambda p: bm.predictions(p, p.design.data.head(4), groups="zero"),
    "contrasts of rows": lambda p: bm.comparisons(p, "trt", newdata=p.design.data.head(3)),
    "slopes of rows": lambda p: bm.slopes(p, "week", newdata=p.design.data.head(3), at={"trt": TRT[:2]}),
    "marginal coefficients": lambda p: bm.marginal_coefficients(p),
    "marginal odds ratios": lambda p: bm.marginal_coefficients(p, exponentiate=True),
    "shares of variance": lambda p: bm.variance_partition(p),
    "median odds ratio": lambda p: bm.variance_partition(p, measure="median_ratio"),
    "observations": lambda p: bm.posterior_predictive(p, p.design.data.head(3), random_seed=1),
}


@pytest.fixture(params=QUESTIONS, ids=str)
def result(request: pytest.FixtureRequest, post: bm.Posterior) -> xr.Dataset:
    return QUESTIONS[request.param](post)


def test_result_has_the_shape_that_was_promised(result: xr.Dataset) -> None:
    assert list(result.data_vars) == ["estimate"]
    assert result["estimate"].dims[:2] == ("chain", "draw")
    assert "variable" not in result.dims
    assert all(c.dtype.kind in "Uifb" for c in result.coords.values())
    assert all(isinstance(v, str | int | float) for v in result.attrs.values())


def test_arviz_takes_results_as_they_are(result: xr.Dataset) -> None:
    import arviz as az

    table = az.summary(result)
    assert len(table) == result["estimate"][0, 0].size
    az.plot_forest(result)


def test_results_come_back_from_netcdf_the_same(result: xr.Dataset, tmp_path: Path) -> None:
    result.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "ds.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, result)
    assert bm.describe(again) == bm.describe(result) == result.attrs["estimand"]


def test_accessor_gives_the_same_as_the_functions(result: xr.Dataset) -> None:
    pd.testing.assert_frame_equal(result.margins.summary(null=0.5), bm.summary(result, null=0.5))
    assert result.margins.describe() == bm.describe(result)
    assert len(result.margins.to_frame()) == result["estimate"].size
    assert result.margins.plot() is not None


def test_summary_is_that_of_numpy_and_arviz(result: xr.Dataset) -> None:
    import arviz_stats as azs

    table = bm.summary(result, ci_prob=0.9, null=0.1, rope=(0.0, 0.5), diagnostics=True)
    short = bm.summary(result, ci_prob=0.9, null=0.1, rope=(0.0, 0.5))
    pd.testing.assert_frame_equal(short, table.drop(columns=["sd", "ess_bulk", "ess_tail", "r_hat", "mcse"]))
    draws = result["estimate"].transpose("chain", "draw", ...).to_numpy()
    flat = draws.reshape(-1, int(np.prod(draws.shape[2:])))
    np.testing.assert_allclose(table["median"], np.median(flat, axis=0))
    np.testing.assert_allclose(table["sd"], flat.std(axis=0, ddof=1))
    np.testing.assert_allclose(table["eti90_lb"], np.quantile(flat, 0.05, axis=0))
    np.testing.assert_allclose(table["eti90_ub"], np.quantile(flat, 0.95, axis=0))
    np.testing.assert_allclose(table["p_gt_0.1"], (flat > 0.1).mean(axis=0))
    np.testing.assert_allclose(table["p_rope"], ((flat >= 0) & (flat <= 0.5)).mean(axis=0))
    np.testing.assert_allclose(table["pd"], np.maximum((flat > 0.1).mean(axis=0), (flat < 0.1).mean(axis=0)))
    ess = np.asarray(azs.ess(result)["estimate"]).ravel()
    np.testing.assert_allclose(table["ess_bulk"], ess, rtol=1e-6)


def test_summary_defaults_are_arviz_1s_on_both_stacks(post: bm.Posterior) -> None:
    table = bm.summary(bm.avg_predictions(post))
    assert list(table.columns) == ["median", "eti89_lb", "eti89_ub"]
    full = bm.summary(bm.avg_predictions(post), diagnostics=True)
    assert list(full.columns) == ["median", "sd", "eti89_lb", "eti89_ub", "ess_bulk", "ess_tail", "r_hat", "mcse"]
    assert table.columns.name == "probability"
    assert "hdi95_lb" in bm.summary(bm.avg_predictions(post), ci_prob=0.95, ci_kind="hdi")


def test_index_of_the_table_says_what_varies(post: bm.Posterior) -> None:
    assert bm.summary(bm.avg_predictions(post, by=["trt", "week"])).index.names == ["trt", "week"]
    assert bm.summary(bm.avg_comparisons(post, "trt")).index.tolist() == [
        ("trt", "drug - placebo"),
        ("trt", "drug+ - placebo"),
    ]
    assert bm.summary(bm.avg_predictions(post, by="trt")).index.tolist() == TRT


def test_by_several_columns_unstacks_to_a_cube(post: bm.Posterior) -> None:
    flat = bm.avg_predictions(post, by=["trt", "week"])
    cube = flat.set_index(by=["trt", "week"]).unstack("by")
    assert set(cube["estimate"].dims) == {"chain", "draw", "trt", "week"}


def test_columns_named_like_dimensions_are_renamed(post: bm.Posterior) -> None:
    data = post.design.data.head(3).assign(draw=1.0, term="a", model="m")
    ds = bm.predictions(post, data)
    assert {"data_draw", "data_term", "data_model"} <= set(ds.coords)
    by = bm.avg_predictions(post, data, by="term")
    assert by["estimate"].dims == ("chain", "draw", "data_term")


def test_derived_values_are_described_as_derived(post: bm.Posterior) -> None:
    ds = bm.avg_predictions(post, by="trt")
    for derived in (ds * 100, ds.isel(trt=0, drop=True), ds - ds.isel(trt=0)):
        derived = derived.assign_attrs(ds.attrs)
        assert bm.describe(derived).startswith("Derived (selected, combined or transformed")
        assert len(bm.summary(derived)) == derived["estimate"][0, 0].size
    assert "not made by bayesmargins" in bm.describe(ds.drop_attrs())


def put_together(zero: xr.Dataset, new: xr.Dataset) -> dict[str, xr.Dataset]:
    return {
        "concat": xr.concat([zero, new], "policy"),
        "override": xr.concat([zero, new], pd.Index(["zero", "new"], name="policy"), combine_attrs="override"),
        "along draws": xr.concat([zero, new.assign_coords(draw=new.draw + 10_000)], "draw"),
        "along a dim that is there": xr.concat([zero, new], "trt"),
        "nested": xr.combine_nested([zero, new], "policy", combine_attrs="override"),
        "by coords": xr.combine_by_coords(
            [d.expand_dims(policy=[k]) for k, d in enumerate((zero, new))], combine_attrs="override"
        ),
    }


@pytest.mark.parametrize(
    "name", ["concat", "override", "along draws", "along a dim that is there", "nested", "by coords"]
)
def test_results_put_side_by_side_do_not_say_of_all_what_holds_for_one(post: bm.Posterior, name: str) -> None:
    with bm.options(warn_zero=False):
        both = put_together(bm.predictions(post, by="trt", groups="zero"), bm.predictions(post, by="trt"))[name]
    said = bm.describe(both)
    assert said.startswith("Derived: there are more numbers than one result has")
    assert "was said of the first alone: Average probability" in said
    assert bm.summary(both).columns.name == "several results"


@pytest.mark.parametrize("name", ["estimand", "scale", "groups", "kind"])
def test_words_of_another_result_are_noticed(post: bm.Posterior, name: str) -> None:
    with bm.options(warn_zero=False):
        zero, new = bm.avg_predictions(post, groups="zero"), bm.avg_predictions(post)
    other = bm.avg_comparisons(post, "week") if name in ("scale", "kind") else zero
    assert bm.describe(new.assign_attrs(other.attrs)).startswith("Derived")
    assert bm.describe(new.assign_attrs({name: other.attrs[name]})).startswith("Derived")
    assert bm.describe(zero.assign(estimate=new["estimate"])).startswith("Derived")
    assert bm.describe(xr.merge([new, zero.rename(estimate="other")], combine_attrs="override")) == bm.describe(new)


def test_a_cube_with_gaps_is_one_result(post: bm.Posterior) -> None:
    rows = post.design.data.iloc[:40]
    cube = bm.predictions(post, rows, by=["ID", "week"], groups="own").set_index(by=["ID", "week"]).unstack("by")
    assert np.isnan(cube["estimate"]).any()
    assert "there are more numbers" not in bm.describe(cube)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("new", "integrated over new groups of ID, which makes it a population average"),
        ("existing", "averaged over the 50 fitted groups of ID, each counted equally"),
        ("own", "each row with the b of its own ID"),
        ("zero", "at b = 0 for ID, a group at the centre of the distribution, which is not an average over groups"),
        ("sample", "with 50 new groups of ID, one for each label, drawn for each posterior draw"),
        ({"ID": ["X01"]}, "for the named groups of ID: X01"),
    ],
)
def test_sentence_says_what_was_done_with_the_groups(post: bm.Posterior, groups: object, said: str) -> None:
    assert said in bm.describe(bm.avg_predictions(post, groups=groups, random_seed=1))


def test_only_an_average_over_all_factors_on_the_response_scale_is_called_one() -> None:
    nested = random_posterior("y ~ x + (1 | g/h)", simulated(), "bernoulli")
    both = bm.describe(bm.avg_predictions(nested))
    assert "integrated over new groups of g and g:h, which makes it a population average" in both
    for groups in ({"g": "own", "g:h": "new"}, {"g": ["g1"], "g:h": "new"}):
        assert "population average" not in bm.describe(bm.avg_predictions(nested, groups=groups))
    on_link = bm.describe(bm.avg_predictions(nested, target="link"))
    assert "which on the link scale is the value at b = 0 and not the link of an average" in on_link


def test_groups_that_do_not_get_their_own_b_are_said_where_by_names_them(post: bm.Posterior) -> None:
    with pytest.warns(bm.BayesmarginsWarning, match=r"groups='new' uses the b of none of them.*groups='own'"):
        bm.avg_predictions(post, by="ID")
    bm.avg_predictions(post, by="ID", groups="own")


def test_sentence_names_rows_variables_and_scale(post: bm.Posterior) -> None:
    sentence = bm.describe(bm.avg_comparisons(post, "trt", by="week", at=None, comparison="ratio"))
    for part in (
        "Ratio",
        "average probability of yb",
        "trt: drug / placebo",
        "the 220 rows of the data",
        "within each week",
    ):
        assert part in sentence
    assert "with respect to week" in bm.describe(bm.avg_slopes(post, "week"))
    assert "with week set to 0 or 6" in bm.describe(bm.avg_predictions(post, at={"week": [0, 6]}))
    assert "linear predictor (logit scale)" in bm.describe(bm.avg_predictions(post, target="link"))
    assert "weighted by week" in bm.describe(bm.avg_predictions(post, wts="week"))


def test_provenance_records_method_bound_policy_and_diagnostics(post: bm.Posterior) -> None:
    attrs = bm.avg_predictions(post).attrs
    assert attrs["integration_method"] == "trapezoid"
    assert 0 < attrs["error_bound"] < 1e-10
    assert attrs["groups"] == '{"ID": "new"}'
    assert attrs["formula"] == "yb ~ trt + week + (1 | ID)"
    assert attrs["bayesmargins_version"] == bm.__version__


def test_draws_that_are_not_finite_are_counted_and_left_out(post: bm.Posterior) -> None:
    ds = bm.avg_predictions(post, by="trt")
    ds["estimate"][0, :3, 1] = np.inf
    with pytest.warns(bm.BayesmarginsWarning, match="3 of 600 draws are not finite"):
        table = bm.summary(ds, point="mean")
    assert table["n_not_finite"].tolist() == [0, 3, 0]
    assert np.isfinite(table["mean"]).all()


def test_mean_over_draws_under_a_log_link_says_that_it_may_not_exist() -> None:
    ds = bm.avg_predictions(reference.posterior("k_epil"))
    with pytest.warns(bm.BayesmarginsWarning, match="may not exist"):
        bm.summary(ds, point="mean")
    bm.summary(bm.avg_predictions(reference.posterior("k_epil"), groups="own"), point="mean")


def test_missing_values_keep_their_rows_and_stop_averages(post: bm.Posterior) -> None:
    data = post.design.data.head(4).assign(week=[0.0, np.nan, 2.0, 4.0])
    with pytest.warns(bm.BayesmarginsWarning, match="1 of 4 rows of newdata have missing values"):
        ds = bm.predictions(post, data)
    assert np.isnan(ds["estimate"].to_numpy()[..., 1]).all()
    assert np.isfinite(ds["estimate"].to_numpy()[..., [0, 2, 3]]).all()
    with pytest.raises(bm.DataError, match=r"1 of 4 rows .* by column: \{'week': 1\}"):
        bm.avg_predictions(post, data)


def test_posterior_survives_a_file(tmp_path: Path) -> None:
    for name in reference.CASES:
        post = reference.posterior(name)
        post.save(tmp_path / "fit.nc")
        again = bm.load(tmp_path / "fit.nc")
        xr.testing.assert_identical(again.parameters, post.parameters)
        pd.testing.assert_frame_equal(again.design.data, post.design.data)
        for groups in ("new", "own", "existing"):
            xr.testing.assert_identical(bm.predictions(again, groups=groups), bm.predictions(post, groups=groups))
    assert [f.name for f in tmp_path.iterdir()] == ["fit.nc"]


def test_files_that_are_no_posterior_are_refused(tmp_path: Path, post: bm.Posterior) -> None:
    bm.avg_predictions(post).to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    (tmp_path / "text.nc").write_text("nothing")
    for path, said in [
        ("none.nc", "There is no file"),
        ("result.nc", "no posterior of bayesmargins"),
        ("text.nc", "no netCDF"),
    ]:
        with pytest.raises(bm.PosteriorError, match=said):
            bm.load(tmp_path / path)
    with pytest.raises(bm.PosteriorError, match="does not exist"):
        post.save(tmp_path / "nowhere" / "fit.nc")


def test_idata_holds_what_loo_and_predictive_checks_need() -> None:
    import arviz as az

    post = reference.posterior("c_cbpp")
    post.log_likelihood()
    bm.posterior_predictive(post, random_seed=1)
    groups = set(post.idata.children) if isinstance(post.idata, xr.DataTree) else set(post.idata.groups())
    assert {"posterior", "observed_data", "constant_data", "log_likelihood", "posterior_predictive"} <= groups
    (az.plot_ppc if hasattr(az, "plot_ppc") else az.plot_ppc_rootogram)(post.idata)
    drawn = post.idata["posterior_predictive"]["incidence"]
    assert (np.asarray(drawn).reshape(-1, 56) <= post.design.response.n).all()


def test_log_likelihood_is_that_of_scipy_by_hand() -> None:
    from scipy import stats

    post = reference.posterior("k_epil")
    rows = post.design.rows(post.design.data)
    factor = post.design.factors["subject"]
    eta = post.draws.beta[3] @ rows.X.T + (post.draws.b["subject"][3][factor.codes] * rows.Z["subject"]).sum(axis=1)
    expected = stats.poisson(np.exp(eta)).logpmf(post.design.data["y"])
    found = post.log_likelihood()["y"].to_numpy().reshape(200, -1)[3]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_observations_of_new_groups_have_the_mean_that_integration_gives() -> None:
    post = reference.posterior("h_bactprobit")
    row = pd.concat([post.design.data.head(1)] * 400).assign(ID=[f"new{k}" for k in range(400)])
    drawn = float(bm.posterior_predictive(post, row, groups="sample", random_seed=5)["estimate"].mean())
    assert drawn == pytest.approx(float(bm.avg_predictions(post, row)["estimate"].mean()), abs=0.01)
    with pytest.raises(bm.GroupsError, match="an observation comes from one group"):
        bm.posterior_predictive(post, row, groups="new")


def test_observations_depend_on_seed_row_and_label_alone() -> None:
    post = reference.posterior("k_epil")
    data = post.design.data
    whole = bm.posterior_predictive(post, data, random_seed=3)["estimate"].to_numpy()
    first = bm.posterior_predictive(post, data.head(5), random_seed=3)["estimate"].to_numpy()
    np.testing.assert_array_equal(whole[..., :5], first)
    assert not np.array_equal(whole, bm.posterior_predictive(post, data, random_seed=4)["estimate"].to_numpy())
    twins = pd.concat([data.head(1)] * 2).assign(subject="new")
    a, b = np.moveaxis(
        bm.posterior_predictive(post, twins, groups="sample", random_seed=3)["estimate"].to_numpy(), -1, 0
    )
    assert not np.array_equal(a, b)


def test_pictures_show_the_numbers_of_the_table(post: bm.Posterior) -> None:
    ds = bm.avg_predictions(post, at={"week": [0.0, 2.0, 6.0], "trt": TRT})
    ax = bm.plot_predictions(ds, ci_prob=0.9)
    table = bm.summary(ds, ci_prob=0.9)["median"].unstack("trt")
    assert {t.get_text() for t in ax.get_legend().get_texts()} == set(TRT)
    for line in ax.get_lines():
        np.testing.assert_allclose(line.get_ydata(), table[line.get_label()])
    forest = bm.plot_forest(bm.avg_comparisons(post, "trt"))
    assert [t.get_text() for t in forest.get_yticklabels()] == ["drug - placebo", "drug+ - placebo"]
    assert forest.get_xlabel() == "difference in probability"


def test_pictures_refuse_what_they_cannot_show(post: bm.Posterior) -> None:
    with pytest.raises(bm.ResultError, match="220 rows of data, and a picture needs to know"):
        bm.plot_predictions(bm.predictions(post))
    with pytest.raises(bm.ResultError, match=r"has no 'wek'; it has .* Did you mean 'week'"):
        bm.plot_predictions(bm.avg_predictions(post, by="week"), x="wek")
    with pytest.raises(bm.ResultError, match="one axis shows one scale"):
        bm.plot_forest({"a": bm.avg_comparisons(post, "trt"), "b": bm.avg_comparisons(post, "trt", comparison="or")})


def test_data_with_columns_named_like_dimensions_of_a_posterior_still_makes_an_idata() -> None:
    """brms's epilepsy data have a column `obs`."""
    data = bm.load_dataset("epilepsy").assign(coef=1.0, draw=2.0)
    beta, Sigma = np.zeros((2, 10, 1)), {"obs": np.ones((2, 10, 1, 1))}
    post = bm.from_draws("count ~ 1 + (1 | obs)", data, family="poisson", beta=beta, Sigma=Sigma,
                         b={"obs": np.zeros((2, 10, len(data), 1))})  # fmt: skip
    assert post.log_likelihood()["count"].shape == (2, 10, len(data))
    assert {"data_obs", "coef", "data_draw"} <= set(post.idata["constant_data"].data_vars)


def test_named_groups_and_by_of_the_same_factor_are_refused(post: bm.Posterior) -> None:
    with pytest.raises(bm.EstimandError, match="the dimension would be there twice"):
        bm.avg_predictions(post, by="ID", groups={"ID": ["X01"]})


def test_difference_of_two_policies_is_described_as_derived(post: bm.Posterior) -> None:
    difference = bm.avg_predictions(post) - bm.avg_predictions(post, groups="zero")
    assert bm.describe(difference).startswith("Derived by arithmetic from results that differ in what they ask")


def test_a_ratio_is_not_held_against_zero(post: bm.Posterior) -> None:
    with pytest.raises(bm.ResultError, match="no effect is null=1"):
        bm.summary(bm.avg_comparisons(post, "trt", comparison="or"), null=0)


@pytest.mark.parametrize("dtype", [str, object, complex, "datetime64[ns]"])
@pytest.mark.parametrize("ask", [bm.summary, bm.describe, bm.table, bm.plot_forest, bm.hypotheses])
def test_result_of_other_than_real_numbers_is_refused(ask: Any, dtype: Any) -> None:
    ds = xr.Dataset({"estimate": (("chain", "draw"), np.zeros((1, 4)))}).astype(dtype)
    with pytest.raises(bm.ResultError, match=r"The estimates are .*; they must be real numbers"):
        ask(ds)
