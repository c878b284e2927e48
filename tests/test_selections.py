"""Selections and changes of a result in xarray: a selection keeps the estimand and its scale, a change does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from reference import posterior

import bayesmargins as bm
from bayesmargins import provenance
from bayesmargins.provenance import Provenance, is_original, make_result
from bayesmargins.tables import scale_of


@cache
def post() -> bm.Posterior:
    return posterior("b_bacteria")


RESULTS: dict[str, Callable[[], xr.Dataset]] = {
    "by": lambda: bm.avg_predictions(post(), by="trt"),
    "by two": lambda: bm.avg_predictions(post(), by=["trt", "week"]),
    "at": lambda: bm.avg_predictions(post(), at={"week": [0, 2.5, 11], "trt": ["placebo", "drug"]}),
    "rows": lambda: bm.predictions(post(), post().design.data.iloc[:7]),
    "grid": lambda: bm.predictions(post(), bm.datagrid(post(), {"trt": ["placebo", "drug"], "week": [0, 1]})),
    "groups": lambda: bm.avg_predictions(post(), groups={"ID": ["X01", "X02", "X03"]}),
    "comparisons": lambda: bm.avg_comparisons(post(), ["trt", "week"], by="week"),
    "ratios": lambda: bm.avg_comparisons(post(), "trt", comparison="ratio"),
    "slopes": lambda: bm.slopes(post(), "week", newdata=post().design.data.iloc[:3]),
    "slopes of all": lambda: bm.avg_slopes(post()),
    "attenuation": lambda: bm.attenuation(post(), "trt"),
    "heterogeneity": lambda: bm.heterogeneity(post(), "week", quantiles=[0.1, 0.9]),
    "hypotheses": lambda: bm.hypotheses(bm.avg_predictions(post(), by=["trt", "week"]), along="by"),
    "coefficients": lambda: bm.marginal_coefficients(post()),
    "partition": lambda: bm.variance_partition(post()),
    "observations": lambda: bm.posterior_predictive(post(), random_seed=1),
    "linear predictors": lambda: bm.avg_predictions(post(), by="trt", target="link"),
}


@cache
def result(name: str) -> xr.Dataset:
    return RESULTS[name]()


def entries(ds: xr.Dataset) -> list[str]:
    return [str(d) for d in ds["estimate"].dims if d not in ("chain", "draw")]


def own_scales(ds: xr.Dataset) -> list[str]:
    frame = bm.summary(ds).reset_index()
    name = next((n for n in ("its scale", "scale") if n in frame), None)
    return frame[name].tolist() if name is not None else [scale_of(ds)] * len(frame)


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_selection_of_any_coordinate_keeps_the_estimand_and_its_scale(name: str) -> None:
    ds = result(name)
    said, scales = ds.attrs["estimand"].removesuffix("."), np.array(own_scales(ds))
    shape = [ds.sizes[d] for d in entries(ds)]
    for dim in entries(ds):
        at, axis = ds.sizes[dim] - 1, entries(ds).index(dim)
        ends = list(dict.fromkeys([at, 0]))
        one, some = ds.isel({dim: at}), ds.isel({dim: ends})
        assert is_original(one)
        assert bm.describe(one).startswith(said)
        assert bm.describe(some) == ds.attrs["estimand"]
        assert own_scales(one) == scales.reshape(shape).take(at, axis).ravel().tolist()
        assert own_scales(some) == scales.reshape(shape).take(ends, axis).ravel().tolist()


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_change_of_values_is_derived(name: str) -> None:
    ds = result(name)
    last = entries(ds)[-1]
    flipped = ds["estimate"].copy()
    flipped[{d: 0 for d in flipped.dims}] += 1 if flipped.dtype.kind == "i" else 1e-9
    changed = {
        "times": ds["estimate"] * 2,
        "sign": -ds["estimate"],
        "one draw of one entry": flipped,
        "mean": ds["estimate"].mean(last),
        "max": ds["estimate"].max(last),
        "shifted against the labels": ds["estimate"].roll({last: 1}),
        "single precision": ds["estimate"].astype(np.float32),
        "draws in another order": ds["estimate"].isel(draw=slice(None, None, -1)),
    }
    if name == "observations":  # 0 and 1 are the same in single precision
        del changed["single precision"]
    for what, values in changed.items():
        if ds.sizes[last] > 1 or what not in ("mean", "max", "shifted against the labels"):
            derived = xr.Dataset({"estimate": values}, attrs=ds.attrs)
            assert not is_original(derived), what
            assert bm.describe(derived).startswith("Derived (selected, combined or transformed"), what
            assert not derived.sizes["draw"] or scale_of(derived).startswith("derived from"), what


def test_arithmetic_that_changes_nothing_is_no_change() -> None:
    ds = result("by")
    for same in (ds * 1.0, abs(ds), ds + 0.0, ds.transpose(..., "chain"), ds.rename(trt="arm"), ds.copy(deep=True)):
        assert is_original(same.assign_attrs(ds.attrs))


def test_the_sentence_says_which_entry_was_selected() -> None:
    said = result("by").attrs["estimand"].removesuffix(".")
    assert bm.describe(result("by").sel(trt="drug+")) == f"{said}; of which trt = drug+."
    at = result("at")
    assert bm.describe(at.sel(trt="drug", week=2.5)).endswith("; of which week = 2.5, trt = drug.")
    assert bm.describe(at.sel(trt="drug")).endswith("; of which trt = drug.")
    assert bm.describe(result("rows").isel(row=3)).endswith("; of which row = 3.")
    assert bm.describe(result("by two").isel(by=0)).endswith("; of which trt = placebo, week = 0.")
    contrast = bm.describe(result("comparisons").isel(contrast=0, week=0))
    assert contrast.endswith("; of which contrast = drug - placebo, term = trt, week = 0.")
    one = bm.avg_comparisons(post(), "week")
    assert bm.describe(one.isel(contrast=0)) == bm.describe(one) == bm.describe(one.squeeze(drop=True))


def test_a_selection_without_its_label_says_nothing_that_it_cannot_know() -> None:
    assert bm.describe(result("by").isel(trt=1, drop=True)).startswith("Derived")
    swapped = result("by").isel(trt=[0, 1]).assign_coords(trt=["drug", "placebo"])
    assert bm.describe(swapped).startswith("Derived")


def test_columns_of_by_as_dimensions_with_gaps_are_a_selection() -> None:
    flat = bm.predictions(post(), post().design.data.iloc[:40], by=["ID", "week"], groups="own")
    cube = flat.set_index(by=["ID", "week"]).unstack("by")
    assert np.isnan(cube["estimate"]).any()
    assert bm.describe(cube) == flat.attrs["estimand"]
    assert bm.describe(cube.sel(week=0)) == f"{flat.attrs['estimand'].removesuffix('.')}; of which week = 0."
    assert not is_original(cube.where(cube["week"] > 99))
    assert is_original(flat.where(flat["week"] > 2))


def test_several_results_are_several_and_pieces_of_one_are_one() -> None:
    ds = result("by")
    pieces = xr.concat([ds.sel(trt=[t]) for t in ds["trt"].values[::-1]], "trt")
    assert bm.describe(pieces) == ds.attrs["estimand"]
    other = bm.avg_predictions(post(), by="trt", groups="existing")
    for both in (xr.concat([ds, other], "policy"), xr.concat([ds, other], "policy", combine_attrs="override")):
        assert bm.describe(both).startswith("Derived: there are more numbers than one result has")
    mixed = xr.concat([ds.sel(trt=["drug"]), other.sel(trt=["placebo"])], "trt", combine_attrs="override")
    assert bm.describe(mixed).startswith("Derived")


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_file_gives_back_the_original_and_its_selections(name: str, tmp_path: Path) -> None:
    ds = result(name)
    ds.to_netcdf(tmp_path / "whole.nc")
    last = entries(ds)[-1]
    ds.isel({last: -1}).to_netcdf(tmp_path / "one.nc")
    for file, kept in (("whole.nc", ds), ("one.nc", ds.isel({last: -1}))):
        again = xr.load_dataset(tmp_path / file)
        assert is_original(again)
        assert bm.describe(again) == bm.describe(kept)
    again = xr.load_dataset(tmp_path / "whole.nc")
    assert bm.describe(again.isel({last: 0})) == bm.describe(ds.isel({last: 0}))


def test_rows_of_a_summary_and_a_selection_of_the_result_agree() -> None:
    for name in ("by", "at", "comparisons", "ratios"):
        ds = result(name)
        last = entries(ds)[-1]
        kept = ds.isel({last: [0]})
        rows, summary = bm.summary(ds, diagnostics=True), bm.summary(kept, diagnostics=True)
        table, of_kept = bm.table(rows.loc[rows.index.isin(summary.index)]), bm.table(summary)
        assert table.columns.name == of_kept.columns.name == scale_of(ds)
        assert table.attrs["note"] == of_kept.attrs["note"]
        assert table["median [89% ETI]"].tolist() == of_kept["median [89% ETI]"].tolist()


def test_a_selection_has_the_null_and_the_warnings_of_the_whole() -> None:
    ratios = result("ratios")
    with pytest.raises(bm.ResultError, match="null=1"):
        bm.summary(ratios.isel(contrast=[0]), null=0)
    assert bm.hypotheses(result("by two").isel(by=[0, 1])).attrs["scale"] == "difference in probability"


def of_entries(n: int) -> xr.Dataset:
    values = np.random.default_rng(n).normal(size=(6, n))
    sample = {"chain": np.arange(2), "draw": np.arange(3)}
    return make_result(values, ["row"], {"row": np.arange(n)}, Provenance(estimand="Said.", scale="x"), sample)


def test_digests_fit_into_a_file_and_larger_results_are_known_as_a_whole(tmp_path: Path) -> None:
    most, more = of_entries(provenance.MOST), of_entries(provenance.MOST + 1)
    assert len(most.attrs["entries"]) < 2**16 - 2**10
    for ds in (most, more):
        ds.to_netcdf(tmp_path / "large.nc")
        assert is_original(xr.load_dataset(tmp_path / "large.nc"))
    assert is_original(most.isel(row=slice(7, 3000)))
    assert not is_original(more.isel(row=slice(7, 3000)))
    assert not is_original(most.isel(row=[7]) * 2)


def test_results_of_earlier_versions_are_known_as_a_whole() -> None:
    ds = of_entries(5)
    said = "".join(['["Said.", "", "", "x"', ', ""' * 6, "]"])
    old = {"estimand": "Said.", "scale": "x", "values": 30}
    old["fingerprint"] = provenance.fingerprint(ds["estimate"].to_numpy(), said)
    ds.attrs = old
    assert bm.describe(ds) == "Said."
    assert bm.describe(ds.isel(row=0)).startswith("Derived")
    ds.attrs = {"estimand": "Said.", "fingerprint": provenance.fingerprint(ds["estimate"].to_numpy())}
    assert bm.describe(ds) == "Said."


def test_digests_tell_changes_apart_that_touch_few_bits() -> None:
    """Signs, exponents, single draws and exchanged draws of many small results: none goes unnoticed."""
    rng, dims = np.random.default_rng(3), ("chain", "draw", "row")
    for draws in (1, 2, 3, 50, 1001):
        values = rng.normal(size=(1, draws, 300))
        attrs = provenance.seal(xr.Dataset({"estimate": (dims, values)}))
        swapped = values[:, np.r_[1:draws, 0]] if draws > 1 else values + 1
        last = np.nextafter(values, 9)
        for changed in (-values, values * 2, values / 4, values * 2.0**-30, swapped, last):
            alone = [is_original(xr.Dataset({"estimate": (dims, changed[..., [k]])}, attrs=attrs)) for k in range(300)]
            assert not any(alone)
