"""What ArviZ reads: a posterior with all that was asked of it, and results, on both of its generations."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr

import bayesmargins as bm
from bayesmargins.stacks import group_of, groups_of

mpl.use("Agg")
az = pytest.importorskip("arviz")
ARVIZ_1 = hasattr(az, "plot_ppc_dist")
WHOLE = {"b_bacteria": True, "k_epil": True, "c_cbpp": True, "d_sleep": False}
CHECKS = {"b_bacteria": "plot_ppc_pava", "d_sleep": "plot_ppc_dist"}  # in place of a rootogram
POLICIES = ("own", "sample", "zero")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(params=WHOLE)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


_own = cache(reference.posterior.__wrapped__)  # what joins these, no other file's tests meet


def asked(name: str) -> bm.Posterior:
    """A posterior of which everything was asked that joins `idata`."""
    post = _own(name)
    post.log_likelihood()
    for seed, policy in enumerate(POLICIES):
        bm.posterior_predictive(post, groups=policy, random_seed=seed)
    bm.posterior_predictive(post, post.design.data.head(5), random_seed=9)
    post.add_prior(_prior_like(post))
    return post


def _prior_like(post: bm.Posterior) -> bm.Posterior:
    """Draws that pass for those of the prior: twice as wide as the posterior."""
    beta = post.beta.mean(["chain", "draw"]) + 2 * (post.beta - post.beta.mean(["chain", "draw"]))
    draws = {"b": {f: v.values for f, v in post.b.items()}, "Sigma": {f: v.values for f, v in post.Sigma.items()}}
    made = bm.from_draws(
        post.formula,
        post.design.data,
        family=post.family,
        link=post.link.name,
        beta=beta.transpose("chain", "draw", "coef").values,
        aux={k: v.values for k, v in post.aux.items()},
        **draws,
    )
    made.info["draws"] = "prior"
    return made


def only(group: xr.Dataset | None) -> xr.DataArray:
    assert group is not None
    (name,) = group.data_vars
    return group[name]


# Types and groups


def test_what_counts_is_stored_as_integers(case: str) -> None:
    post = asked(case)
    kind = "i" if WHOLE[case] else "f"
    names = ["observed_data", "posterior_predictive", "posterior_predictive_zero", "predictions"]
    assert [only(group_of(post.idata, name)).dtype.kind for name in names] == [kind] * 4
    assert bm.posterior_predictive(post, random_seed=1)["estimate"].dtype.kind == kind
    np.testing.assert_array_equal(only(group_of(post.idata, "observed_data")), post.design.response.y)


def made(formula: str, family: str, y: list[int], **aux: Any) -> bm.Posterior:
    """Draws of a model of a few rows with the factors f and g, whose group effects are all 0."""
    data = pd.DataFrame({"y": y, "f": list("aabb") * 3, "g": list("uvw") * 4})
    b = {f: np.zeros((1, 3, data[f].nunique(), 1)) for f in ("f", "g")}
    Sigma = {f: np.ones((1, 3, 1, 1)) for f in ("f", "g")}
    beta = np.zeros((1, 3, 0 if aux else 1))  # thresholds stand in place of the constant
    return bm.from_draws(formula, data, family=family, beta=beta, b=b, Sigma=Sigma, aux=aux)


def test_ordered_categories_that_are_numbers_are_integers_too() -> None:
    thresholds = np.tile([-1.0, 1.0], (1, 3, 1))
    post = made("y ~ 1 + (1 | f) + (1 | g)", "cumulative", [2, 3, 5] * 4, thresholds=thresholds)
    observed = only(group_of(post.idata, "observed_data"))
    drawn = bm.posterior_predictive(post, random_seed=1)["estimate"]
    assert observed.dtype == drawn.dtype == np.int64
    assert set(np.unique(observed)) == {2, 3, 5} >= set(np.unique(drawn))


def test_rows_with_a_missing_value_keep_nan() -> None:
    post = reference.posterior("k_epil")
    rows = post.design.data.head(3).assign(lage=[np.nan, 0.0, 0.0])
    with pytest.warns(bm.BayesmarginsWarning, match="missing"):
        drawn = bm.posterior_predictive(post, rows, random_seed=1)["estimate"]
    assert drawn.dtype.kind == "f"
    assert np.isnan(drawn.isel(row=0)).all()
    assert np.isfinite(drawn.isel(row=[1, 2])).all()


def test_each_policy_has_its_group_and_own_is_the_one_that_arviz_takes() -> None:
    post = asked("k_epil")
    for seed, policy in enumerate(POLICIES):
        group = group_of(post.idata, f"posterior_predictive{'' if policy == 'own' else '_' + policy}")
        assert group is not None
        assert group.attrs["groups"] == f'{{"subject": "{policy}"}}'
        fresh = bm.posterior_predictive(reference.posterior("k_epil"), groups=policy, random_seed=seed)
        np.testing.assert_array_equal(only(group), fresh["estimate"])


def test_new_rows_have_groups_of_their_own_and_those_of_the_fit_stay() -> None:
    post = asked("k_epil")
    before = only(group_of(post.idata, "posterior_predictive")).copy()
    rows = post.design.data.iloc[[7, 3]]
    drawn = bm.posterior_predictive(post, rows, groups="sample", random_seed=4)
    np.testing.assert_array_equal(only(group_of(post.idata, "predictions_sample")), drawn["estimate"])
    beside = group_of(post.idata, "predictions_sample_constant_data")
    assert beside is not None
    np.testing.assert_array_equal(beside["lage"], rows["lage"])
    np.testing.assert_array_equal(only(group_of(post.idata, "posterior_predictive")), before)
    assert only(group_of(post.idata, "predictions")).sizes["obs"] == 5


def test_factors_with_different_policies_are_told_apart() -> None:
    post = made("y ~ 1 + (1 | f) + (1 | g)", "poisson", [0, 1, 2] * 4)
    bm.posterior_predictive(post, groups={"f": "own", "g": "sample"}, random_seed=1)
    bm.posterior_predictive(post, groups={"f": "sample", "g": "own"}, random_seed=1)
    names = ["posterior_predictive_f_own_g_sample", "posterior_predictive_f_sample_g_own"]
    assert [n for n in groups_of(post.idata) or [] if "predictive" in n] == names


def test_every_group_says_which_software_made_it_and_when(case: str) -> None:
    post = asked(case)
    for name in groups_of(post.idata) or []:
        group = group_of(post.idata, name)
        assert group is not None
        assert group.attrs["creation_library"] == "bayesmargins"
        assert group.attrs["creation_library_version"] == bm.__version__
        assert pd.Timestamp(group.attrs["created_at"]).tzinfo is not None
        assert "inference_library" in group.attrs


# Files


def test_a_file_opens_in_arviz_and_here_with_all_that_was_asked(case: str, tmp_path: Path) -> None:
    post = asked(case)
    post.save(tmp_path / "fit.nc")
    found, again = az.from_netcdf(tmp_path / "fit.nc"), bm.load(tmp_path / "fit.nc")
    wanted = set(groups_of(post.idata) or [])
    assert wanted >= {"posterior", "prior", "log_likelihood", "posterior_predictive", "predictions"}
    assert wanted <= set(groups_of(found) or [])
    assert wanted == set(groups_of(again.idata) or [])
    for name in wanted:
        ours, read = group_of(post.idata, name), group_of(again.idata, name)
        assert ours is not None
        assert read is not None
        xr.testing.assert_equal(ours, read)


# Functions of ArviZ


def test_functions_of_arviz_take_the_posterior(case: str) -> None:
    idata = asked(case).idata
    assert len(az.summary(idata, var_names=["beta"])) == idata["posterior"].sizes["coef"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pareto k of a few hundred draws
        assert np.isfinite(az.loo(idata).elpd if ARVIZ_1 else az.loo(idata).elpd_loo)
    az.plot_forest(idata, var_names=["beta"])
    if ARVIZ_1:
        az.plot_prior_posterior(idata, var_names=["beta"])
        at = float(idata["posterior"]["beta"].median())  # where draws are
        az.plot_bf(idata, var_names=["beta"], ref_val=at)
        getattr(az, CHECKS.get(case, "plot_ppc_rootogram"))(idata)
    else:
        az.plot_dist_comparison(idata, var_names=["beta"], coords={"coef": ["Intercept"]})
        first = idata.isel(coef=0)
        az.plot_bf(first, var_name="beta", ref_val=float(first["posterior"]["beta"].median()))
        az.plot_ppc(idata, num_pp_samples=10)


@pytest.mark.skipif(not ARVIZ_1, reason="ArviZ 0.23 has no rootogram")
def test_rootogram_shows_the_counts_that_were_observed() -> None:
    post = asked("k_epil")
    shown = az.plot_ppc_rootogram(post.idata)
    largest = int(post.design.response.y.max())
    ax = np.ravel(shown.viz["plot"].to_dataset().to_array().values)[0]
    assert ax.dataLim.x1 >= largest  # bars over whole numbers, up to the largest


# Results in trees


def _trees(ds: xr.Dataset, folder: Path) -> Iterator[Any]:
    yield az.convert_to_datatree(ds) if ARVIZ_1 else az.convert_to_inference_data(ds)
    yield xr.DataTree(ds)
    ds.to_netcdf(folder / "result.nc")
    if ARVIZ_1:  # ArviZ 0.23 reads groups alone, and a result lies at the root
        yield az.from_netcdf(folder / "result.nc")


def test_a_result_in_a_tree_is_that_result(tmp_path: Path) -> None:
    post = reference.posterior("b_bacteria")
    ds = bm.avg_predictions(post, by="trt")
    for tree in _trees(ds, tmp_path):
        pd.testing.assert_frame_equal(bm.summary(tree), bm.summary(ds))
        pd.testing.assert_frame_equal(bm.table(tree), bm.table(ds))
        assert bm.describe(tree) == bm.describe(ds)
        xr.testing.assert_identical(bm.hypotheses(tree), bm.hypotheses(ds))
        xr.testing.assert_identical(
            bm.hypotheses({"a": tree, "b": tree}, "b - a"), bm.hypotheses({"a": ds, "b": ds}, "b - a")
        )
        pd.testing.assert_frame_equal(bm.table({"a": tree, "b": ds}), bm.table({"a": ds, "b": ds}))
        for plot in (bm.plot_predictions, bm.plot_forest, bm.plot_densities):
            plot(tree)
        bm.plot_forest({"a": tree, "b": ds})
    pd.testing.assert_frame_equal(xr.DataTree(ds).margins.summary(), ds.margins.summary())
    xr.DataTree(ds).margins.plot()


def test_a_tree_without_a_result_is_refused_with_the_way_out() -> None:
    post = reference.posterior("b_bacteria")
    for report in (bm.summary, bm.describe, bm.table, bm.hypotheses, bm.plot_forest, bm.plot_predictions):
        with pytest.raises(bm.ResultError, match=r"has the groups .*'posterior'.*bayesmargins.load"):
            report(post.idata)
        with pytest.raises(bm.ResultError, match=r"DataTree has no groups"):
            report(xr.DataTree())


def test_entries_read_well_in_arviz() -> None:
    post = reference.posterior("b_bacteria")
    by = bm.avg_predictions(post, by=["trt", "week"])
    rows = bm.predictions(post, bm.datagrid(post, {"trt": "all", "week": [0, 2]}))
    for ds in (by, rows):
        told = ds.margins.to_idata()
        table = az.summary(told)
        assert table.index[1] == "estimate[placebo, week 2]"
        np.testing.assert_allclose(
            group_of(told, "posterior")["estimate"].mean(["chain", "draw"]), ds["estimate"].mean(["chain", "draw"])
        )
        assert bm.describe(told) == bm.describe(ds)
        az.plot_forest(told)
    contrasts = bm.avg_comparisons(post).margins.to_idata()
    assert az.summary(contrasts).index.tolist() == [
        "estimate[drug - placebo]",
        "estimate[drug+ - placebo]",
        "estimate[week +1]",
    ]
    assert groups_of(bm.avg_predictions(_prior_like(post)).margins.to_idata()) == ["prior"]


def test_the_variable_says_what_it_is_and_on_which_scale(tmp_path: Path) -> None:
    post = reference.posterior("b_bacteria")
    ds = bm.avg_comparisons(post, "trt")
    said = {"long_name": "comparison", "units": "difference in probability"}
    assert ds["estimate"].attrs == said
    ds.to_netcdf(tmp_path / "r.nc")
    assert xr.load_dataset(tmp_path / "r.nc")["estimate"].attrs == said
    mixed = bm.attenuation(post, "trt")["estimate"].attrs
    assert "units" not in mixed  # a ratio stands beside differences


# The prior beside the posterior


def test_only_the_prior_of_the_same_model_joins() -> None:
    post = reference.posterior("b_bacteria")
    with pytest.raises(bm.PosteriorError, match="'posterior'"):
        post.add_prior(post)
    with pytest.raises(bm.PosteriorError, match="Dataset"):
        post.add_prior(post.parameters)
    with pytest.raises(bm.PosteriorError, match="same model"):
        post.add_prior(_prior_like(reference.posterior("k_epil")))


# The parameters in a table


def test_summary_of_a_posterior_has_the_numbers_of_arviz(case: str) -> None:
    post = reference.posterior(case)
    table = bm.summary(post, point="mean", diagnostics=True)
    variables = [n for n in post.parameters.data_vars if not str(n).startswith("b_")]
    theirs = az.summary(post.parameters[variables], round_to="none")
    np.testing.assert_allclose(table["mean"], theirs["mean"], rtol=1e-10)
    np.testing.assert_allclose(table["sd"], theirs["sd"], rtol=1e-10)
    np.testing.assert_allclose(table["ess_bulk"], theirs["ess_bulk"], rtol=1e-6)
    assert [f"{p}[{n}]" if n else p for p, n in table.index] == theirs.index.tolist()
    assert bm.table(post).shape == (len(table), 1)


def test_exponentiated_coefficients_are_ratios() -> None:
    post = reference.posterior("k_epil")
    plain, ratios = bm.summary(post), bm.summary(post, exponentiate=True)
    n = post.beta.sizes["coef"]
    assert set(ratios.index.get_level_values("parameter")[:n]) == {"exp(beta)"}
    for column in ("eti89_lb", "eti89_ub"):  # quantiles between two draws are only nearly those of the logarithm
        np.testing.assert_allclose(ratios[column][:n], np.exp(plain[column][:n]), rtol=0.01)
    np.testing.assert_array_equal(ratios["median"][n:], plain["median"][n:])
    assert "ratios of means" in ratios.attrs["estimand"]
    with pytest.raises(bm.ResultError, match="identity link"):
        bm.summary(reference.posterior("d_sleep"), exponentiate=True)
    with pytest.raises(bm.ResultError, match=r"summary\(post\)"):
        bm.summary(bm.avg_predictions(post), exponentiate=True)


# Displays


def test_notebooks_show_what_an_object_is() -> None:
    post = reference.posterior("b_bacteria")
    model = bm.GLMM(post.formula, post.design.data, family="bernoulli")
    assert "reference levels: trt placebo" in str(model)
    for thing in (model, post):
        lines = [line.strip() for line in repr(thing).splitlines()]
        shown = thing._repr_html_()
        assert shown.count("<li>") == len(lines) - 1
        assert all(line.replace("'", "&#x27;") in shown for line in lines)
    assert "max r-hat" in repr(post)
    ds = bm.avg_predictions(post, by="trt")
    shown = ds.margins._repr_html_()
    assert shown.index(bm.describe(ds)) < shown.index("<table") < shown.index('src="data:image/svg+xml;base64,')
    assert "placebo" in repr(ds.margins)
    assert "220 entries" in repr(bm.predictions(post).margins)
    assert "<img" not in bm.predictions(post).margins._repr_html_()
    assert "a result has a variable 'estimate'" in repr(ds.rename(estimate="x").margins)


def test_a_display_leaves_no_figure_open() -> None:
    import matplotlib.pyplot as plt

    bm.avg_predictions(reference.posterior("b_bacteria"), by="trt").margins._repr_html_()
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("coding", "expected"),
    [("trt", ["trt placebo"]), ("C(trt, contr.treatment('drug'))", ["trt drug"]), ("C(trt, contr.sum)", [])],
)
def test_reference_levels_are_those_that_the_coding_has(coding: str, expected: list[str]) -> None:
    data = bm.load_dataset("bacteria")
    said = str(bm.GLMM(f"yb ~ {coding} * week + (1 | ID)", data, family="bernoulli")).splitlines()
    assert [x.removeprefix("reference levels: ") for x in said if x.startswith("reference")] == expected
