"""Contrasts between entries of a result and between results: matrices of other software, NumPy by hand, and words.

`test_reference.py` holds pairwise, reference, ratio and text hypotheses against marginaleffects on identical draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesmargins as bm
from bayesmargins.hypothesis.named import orthonormal

POST = reference.posterior("b_bacteria")
BY_TRT = bm.avg_predictions(POST, by="trt")
with bm.options(warn_zero=False):
    AT_ZERO = bm.avg_predictions(POST, by="trt", groups="zero")
MULTI = bm.avg_predictions(POST, by=["trt", "week"])
CUBE = bm.avg_predictions(POST, at={"trt": ["placebo", "drug", "drug+"], "week": [0.0, 2.0, 6.0]})
EFFECTS = bm.avg_comparisons(POST, "trt", by="week")
CBPP = reference.posterior("c_cbpp")
PERIODS = bm.avg_predictions(CBPP, by="period")


def values(ds: xr.Dataset) -> np.ndarray:
    return ds["estimate"].transpose("chain", "draw", ...).to_numpy()


def made(array: np.ndarray, **coords: Any) -> xr.Dataset:
    """A result by hand, (chain, draw, *coords)."""
    return xr.Dataset({"estimate": (("chain", "draw", *coords), array)}, coords=coords)


# Each row a contrast, as emmeans and R document them: pairwise and its relatives, eff, del.eff, consec, contr.helmert.
MATRICES = {
    "pairwise": [[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1], [0, -1, 1, 0], [0, -1, 0, 1], [0, 0, -1, 1]],
    "revpairwise": [[1, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1], [0, 1, -1, 0], [0, 1, 0, -1], [0, 0, 1, -1]],
    "reference": [[-1, 1, 0, 0], [-1, 0, 1, 0], [-1, 0, 0, 1]],
    "revreference": [[1, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1]],
    "sequential": [[-1, 1, 0, 0], [0, -1, 1, 0], [0, 0, -1, 1]],
    "meandev": np.eye(4) - 0.25,
    "meanotherdev": (np.eye(4) - 0.25) * 4 / 3,
    "helmert": np.array([[-1, 1, 0, 0], [-1, -1, 2, 0], [-1, -1, -1, 3]]) / [[1], [2], [3]],
    "poly": np.array([[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]) / np.sqrt([[20], [4], [20]]),
}


@pytest.mark.parametrize("spec", MATRICES)
def test_named_contrasts_are_the_matrices_of_r_and_emmeans(spec: str) -> None:
    expected = values(PERIODS) @ np.array(MATRICES[spec], dtype=float).T
    np.testing.assert_allclose(values(bm.hypotheses(PERIODS, spec)), expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(values(bm.hypotheses(PERIODS, np.transpose(MATRICES[spec]))), expected, atol=1e-15)


def test_polynomials_are_those_of_r() -> None:
    """What R prints for contr.poly(3); the fourth of emmeans' tables stands among the matrices above."""
    three = [[-0.7071068, 0, 0.7071068], [0.4082483, -0.8164966, 0.4082483]]
    np.testing.assert_allclose(orthonormal(np.arange(3.0)).T, three, atol=5e-8)
    assert bm.hypotheses(BY_TRT, "poly")["contrast"].values.tolist() == ["linear", "quadratic"]


@pytest.mark.parametrize("x", [[0, 2, 4, 6, 11], [3, 1, 2], [-2.5, 0.1, 0.2, 7], [1e6, 1e6 + 1, 1e6 + 3]])
def test_polynomials_of_uneven_points_are_the_qr_of_their_vandermonde_matrix(x: list[float]) -> None:
    points = np.asarray(x, dtype=float)
    vander = np.polynomial.polynomial.polyvander((points - points.min()) / np.ptp(points), len(x) - 1)
    Q, R = np.linalg.qr(vander)
    np.testing.assert_allclose(orthonormal(points), (Q * np.sign(np.diag(R)))[:, 1:], atol=1e-10)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 60), st.integers(0, 10_000))
def test_polynomials_are_orthonormal_and_take_no_constant(k: int, seed: int) -> None:
    x = np.sort(np.random.default_rng(seed).uniform(-3, 9, k))
    basis = orthonormal(x)
    np.testing.assert_allclose(basis.T @ basis, np.eye(k - 1), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)
    assert float(basis[:, 0] @ x) > 0


def test_linear_contrast_of_numbers_is_the_least_squares_slope_at_their_own_spacing() -> None:
    weeks = np.array([0.0, 2.0, 11.0])
    ds = bm.avg_predictions(POST, at={"week": weeks})
    linear = bm.hypotheses(ds, "poly")
    slope = np.polyfit(weeks, values(ds).reshape(-1, 3).T, 1)[0]
    size = np.sqrt(((weeks - weeks.mean()) ** 2).sum())
    np.testing.assert_allclose(values(linear)[..., 0].ravel(), slope * size, rtol=1e-10)
    assert "spaced as the values of week" in bm.describe(linear)
    assert "equally spaced" in bm.describe(bm.hypotheses(BY_TRT, "poly"))


@pytest.mark.parametrize("comparison", ["difference", "ratio", "lift", "lnratio"])
def test_contrasts_of_counterfactual_averages_are_the_comparisons(comparison: str) -> None:
    averages = bm.avg_predictions(POST, at={"trt": ["placebo", "drug", "drug+"]})
    found = bm.hypotheses(averages, "pairwise", comparison=comparison)
    expected = bm.avg_comparisons(POST, {"trt": "pairwise"}, comparison=comparison).sel(contrast=found["contrast"])
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-10, atol=1e-14)
    assert found.attrs["scale"] == expected.attrs["scale"]
    assert found["term"].values.tolist() == expected["term"].values.tolist()


def test_ratios_to_means_are_ratios_and_not_means_of_ratios() -> None:
    found = values(bm.hypotheses(PERIODS, "meandev", comparison="ratio"))
    p = values(PERIODS)
    np.testing.assert_allclose(found, p / p.mean(axis=-1, keepdims=True), rtol=1e-13)
    before = values(bm.hypotheses(PERIODS, "helmert", comparison="lnratio"))[..., -1]
    np.testing.assert_allclose(before, np.log(p[..., 3] / p[..., :3].mean(axis=-1)), rtol=1e-12)


def test_order_of_entries_turns_the_sign_alone() -> None:
    turned = bm.hypotheses(PERIODS.isel(period=[3, 2, 1, 0]), "pairwise")
    straight = bm.hypotheses(PERIODS, "revpairwise").sel(contrast=turned["contrast"])
    np.testing.assert_array_equal(values(turned), values(straight))


def test_draws_are_taken_one_by_one() -> None:
    whole = bm.hypotheses(CUBE, "helmert", along="trt")
    part = bm.hypotheses(CUBE.isel(draw=slice(3, 9), chain=[1]), "helmert", along="trt")
    np.testing.assert_array_equal(values(whole)[1:2, 3:9], values(part))
    assert part["draw"].values.tolist() == list(range(3, 9))


def test_labels_read_well() -> None:
    both = bm.hypotheses(MULTI, "reference")
    assert both["contrast"].values[:1].tolist() == ["placebo, 2 - placebo, 0"]
    assert set(both["term"].values.tolist()) == {"trt, week"}
    weeks = bm.hypotheses(bm.avg_predictions(POST, at={"week": [-2.0, 0.5]}))
    assert weeks["contrast"].values.tolist() == ["0.5 - (-2)"]
    nested = bm.hypotheses(EFFECTS, along="contrast")
    assert nested["contrast"].values.tolist() == ["(drug+ - placebo) - (drug - placebo)"]
    assert nested["term"].values.tolist() == ["trt"]
    slopes = bm.hypotheses(bm.avg_slopes(POST, "week", by="trt"), along="trt")
    assert slopes["contrast"].values.tolist() == ["drug - placebo", "drug+ - placebo", "drug+ - drug"]
    means = bm.hypotheses(BY_TRT, "helmert")["contrast"].values.tolist()
    assert means == ["drug - placebo", "drug+ - mean of earlier"]
    stacked = bm.hypotheses(CUBE.stack(z=["trt", "week"]), "reference")
    assert stacked["contrast"].values[:1].tolist() == ["placebo, 2 - placebo, 0"]
    twice = xr.concat([BY_TRT, BY_TRT], "trt")
    assert bm.hypotheses(twice, "revreference")["contrast"].values[2].tolist() == "placebo (b1) - placebo (b4)"
    assert bm.hypotheses(BY_TRT.drop_vars("trt"), "sequential")["contrast"].values.tolist() == ["b2 - b1", "b3 - b2"]


def test_shape_is_chain_draw_what_else_varies_and_contrast() -> None:
    ds = bm.hypotheses(CUBE, along="trt")
    assert ds["estimate"].dims == ("chain", "draw", "week", "contrast")
    assert ds["week"].values.tolist() == [0.0, 2.0, 6.0]
    np.testing.assert_array_equal(values(ds)[..., 0], values(CUBE)[..., 1, :] - values(CUBE)[..., 0, :])
    assert bm.hypotheses(CUBE.transpose("week", "draw", "trt", "chain"), along="trt").equals(ds)


def test_a_single_dimension_that_varies_need_not_be_named() -> None:
    one = bm.avg_comparisons(POST, {"trt": ("placebo", "drug")}, by="week")
    assert bm.hypotheses(one).equals(bm.hypotheses(one, along="week"))
    with pytest.raises(bm.EstimandError, match=r"along 'trt' \(3\), 'week' \(3\); say along which.*along='trt'"):
        bm.hypotheses(CUBE)


def test_entries_of_all_dimensions_stacked_are_in_the_order_of_the_table() -> None:
    across = bm.hypotheses(CUBE.stack(entry=["trt", "week"]), "b9 - b1")
    np.testing.assert_array_equal(values(across)[..., 0], values(CUBE)[:, :, 2, 2] - values(CUBE)[:, :, 0, 0])
    assert bm.summary(CUBE).index[8] == ("drug+", 6.0)
    assert "b1 is placebo, 0, b9 is drug+, 6" in bm.describe(across)


def test_one_of_several_columns_is_compared_within_each_of_the_others() -> None:
    within = bm.hypotheses(MULTI, along="trt")
    assert within["estimate"].dims == ("chain", "draw", "week", "contrast")
    assert within["contrast"].values.tolist() == bm.hypotheses(BY_TRT)["contrast"].values.tolist()
    by_hand = values(MULTI).reshape(4, 50, 3, 5)
    np.testing.assert_array_equal(values(within)[..., 1], by_hand[:, :, 2] - by_hand[:, :, 0])
    assert within["week"].values.tolist() == MULTI["week"].values[:5].tolist()
    assert bm.describe(within).endswith(f"along trt of: {bm.describe(MULTI)}")
    shuffled = MULTI.isel(by=[*range(1, 15), 0]).set_index(by=["trt", "week"])
    again = bm.hypotheses(shuffled, along="trt").sel(week=within["week"])
    np.testing.assert_array_equal(
        values(again.sel(contrast="drug+ - drug")), values(within.sel(contrast="drug+ - drug"))
    )


def test_both_contrasts_survive_each_other() -> None:
    weeks = bm.hypotheses(EFFECTS, "sequential", along="week")
    assert weeks["estimate"].dims == ("chain", "draw", "contrast_1", "contrast")
    assert weeks["contrast_1"].values.tolist() == EFFECTS["contrast"].values.tolist()
    assert weeks["term_1"].values.tolist() == ["trt", "trt"]
    one_way = bm.hypotheses(weeks, along="contrast_1")
    other_way = bm.hypotheses(bm.hypotheses(EFFECTS, along="contrast"), "sequential", along="week")
    np.testing.assert_allclose(values(one_way)[..., 0], values(other_way)[..., 0, :], atol=1e-15)
    assert one_way["contrast_1"].values.tolist() == other_way["contrast"].values.tolist()
    thrice = bm.hypotheses(bm.hypotheses(CUBE, along="trt").expand_dims(contrast_1=["x", "y"]), along="week")
    assert set(thrice["estimate"].dims) == {"chain", "draw", "contrast", "contrast_1", "contrast_2"}
    selected = bm.hypotheses(EFFECTS.isel(contrast=0))
    assert str(selected["contrast_1"].values) == "drug - placebo"
    assert len(bm.summary(selected)) == 10


def test_provenance_is_kept_and_the_sentence_says_what_was_done() -> None:
    ds = bm.hypotheses(BY_TRT)
    said = "Pairwise differences (later minus earlier) between the entries along trt of: "
    assert bm.describe(ds) == said + bm.describe(BY_TRT)
    assert (ds.attrs["kind"], ds.attrs["hypothesis"], ds.attrs["along"]) == ("hypotheses", "pairwise", "trt")
    for key in ("formula", "family", "link", "groups", "posterior", "error_bound", "bayesmargins_version"):
        assert ds.attrs[key] == BY_TRT.attrs[key]
    again = bm.hypotheses(ds, "sequential")
    assert bm.describe(again).startswith("Sequential differences (each minus the one before) between the entries along")
    assert bm.describe(again).endswith(bm.describe(ds))
    assert again.attrs["scale"] == "difference of difference in probability"
    derived = bm.hypotheses(BY_TRT * 100)
    assert "of: Derived (selected, combined or transformed" in bm.describe(derived)
    assert derived.attrs["scale"] == "difference of values derived from probability"
    assert bm.describe(ds * 2).startswith("Derived")
    assert "of: Draws without provenance" in bm.describe(bm.hypotheses(made(values(BY_TRT), trt=["a", "b", "c"])))


RESULTS: dict[str, Callable[[], xr.Dataset]] = {
    "pairwise": lambda: bm.hypotheses(BY_TRT),
    "by two": lambda: bm.hypotheses(MULTI, "sequential"),
    "cube": lambda: bm.hypotheses(CUBE, "poly", along="week"),
    "of contrasts": lambda: bm.hypotheses(EFFECTS, "reference", along="week"),
    "of hypotheses": lambda: bm.hypotheses(bm.hypotheses(CUBE, along="trt"), "meandev", along="week"),
    "text": lambda: bm.hypotheses(BY_TRT, ["b2 - b1 = 0", "log(b3 / b1)"]),
    "weights": lambda: bm.hypotheses(BY_TRT, [-1, 0.5, 0.5]),
    "function": lambda: bm.hypotheses(BY_TRT, lambda e: e == e.max("trt")),
    "results": lambda: bm.hypotheses({"new": BY_TRT, "zero": AT_ZERO}, "zero - new"),
    "named": lambda: bm.hypotheses(CUBE, {"gain": "b2 - b1", "mean": [1 / 3] * 3}, along="trt"),
    "rows": lambda: bm.hypotheses(bm.comparisons(POST, "trt", newdata=POST.design.data.head(3)), along="contrast"),
    "derived": lambda: bm.hypotheses(BY_TRT * 100, comparison="ratio"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_reported_written_and_read_like_any_other(name: str, tmp_path: Path) -> None:
    import arviz as az

    ds = RESULTS[name]()
    ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "ds.nc", engine="h5netcdf") as again:
        xr.testing.assert_identical(again.load(), ds)
        assert bm.describe(again) == bm.describe(ds) == ds.attrs["estimand"]
        table = bm.summary(again)
        once_more = bm.hypotheses(again, "b1 - 0.1", along="contrast")
        assert bm.describe(once_more).endswith(bm.describe(ds))
    assert all(c.dtype.kind in "Uifb" for c in ds.coords.values())
    np.testing.assert_allclose(table["median"], np.median(values(ds).reshape(200, -1), axis=0))
    assert len(az.summary(ds)) == len(table)
    bm.plot_forest(ds)
    assert ds.margins.describe() == bm.describe(ds)


def test_accessor_asks_the_same() -> None:
    xr.testing.assert_identical(BY_TRT.margins.hypotheses("reference"), bm.hypotheses(BY_TRT, "reference"))
    with pytest.raises(bm.EstimandError, match=r"hypotheses does not take dim='trt'\. Here it is called 'along'"):
        BY_TRT.margins.hypotheses(dim="trt")


TEXTS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "b2 - b1": lambda a, b, c: b - a,
    "b2 - b1 = 0": lambda a, b, c: b - a,
    "b3 / b1 = 1": lambda a, b, c: c / a - 1,
    "b3 == b1": lambda a, b, c: c - a,
    "`drug+` - `placebo`": lambda a, b, c: c - a,
    "`drug+`-`drug`*2": lambda a, b, c: c - 2 * b,
    "(b1 + b2 + b3) / 3": lambda a, b, c: (a + b + c) / 3,
    "-b1 ** 2 + 1e-3": lambda a, b, c: -(a**2) + 1e-3,
    "b1^2 * b2": lambda a, b, c: a**2 * b,
    "exp(log(b2 / (1 - b2)) - log(b1 / (1 - b1)))": lambda a, b, c: (b / (1 - b)) / (a / (1 - a)),
    "sqrt(abs(b2 - b1))": lambda a, b, c: np.sqrt(np.abs(b - a)),
    "b1 - 0.5": lambda a, b, c: a - 0.5,
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_arithmetic_on_the_entries(text: str) -> None:
    expected = TEXTS[text](*np.moveaxis(values(BY_TRT), -1, 0))
    np.testing.assert_allclose(values(bm.hypotheses(BY_TRT, text))[..., 0], expected, rtol=1e-13)


def test_several_texts_give_several_contrasts_with_readable_labels() -> None:
    ds = bm.hypotheses(BY_TRT, ["b2 - b1", "`drug+` - `drug`"])
    assert ds["contrast"].values.tolist() == ["b2 - b1", "drug+ - drug"]
    assert ds.attrs["scale"] == "difference in probability"
    assert "(b1 is placebo, b2 is drug" in bm.describe(ds)
    nested = bm.hypotheses(EFFECTS, "`drug+ - placebo` / `drug - placebo`", along="contrast")
    assert nested["contrast"].values.tolist() == ["(drug+ - placebo) / (drug - placebo)"]
    assert nested.attrs["scale"] == "ratio of difference in probability"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "b1.__class__",
        "b1[0]",
        "[b1, b2]",
        "lambda: 0",
        "b1 if b2 else b3",
        "b1 and b2",
        "not b1",
        "b1 @ b2",
        "b1 // b2",
        "b1 % b2",
        "np.exp(b1)",
        "exp(b1, b2)",
        "exp(x=b1)",
        "exp(*b1)",
        "eval('1')",
        "open('x')",
        "exp",
        "'b1'",
        "True + b1",
        "1j * b1",
        "None",
        "POST",
        "f'{b1}'",
        "b1; b2",
        "b1\x00",
        "~b1",
        "",
        "=",
        "b1 = ",
        "b1 = b2 = b3",
        "b1 +",
        "(b1",
        "(" * 300 + "b1" + ")" * 300,
        "+" * 50_000 + "b1",
        "b1" + "+b1" * 20_000,
        "9" * 400 + "* b1",
        "b1 # - b2",
    ],
)
def test_text_that_is_no_arithmetic_is_refused_and_never_evaluated(text: str) -> None:
    with pytest.raises(bm.EstimandError, match=r"^spec="):
        bm.hypotheses(BY_TRT, text)


def test_weights_go_by_their_labels_and_arrays_by_order() -> None:
    expected = values(BY_TRT) @ np.array([-1.0, 0.25, 0.75])
    order = ["drug+", "placebo", "drug"]
    weights = [0.75, -1.0, 0.25]
    for spec in (
        [-1, 0.25, 0.75],
        np.array([[-1], [0.25], [0.75]]),
        xr.DataArray(weights, dims="trt", coords={"trt": order}),
        xr.DataArray([weights], dims=("contrast", "trt"), coords={"trt": order, "contrast": ["x"]}),
        pd.Series(weights, index=order),
        pd.DataFrame({"x": weights}, index=order),
        pd.Series([-1, 0.25, 0.75]),
    ):
        ds = bm.hypotheses(BY_TRT, spec)
        np.testing.assert_allclose(values(ds)[..., 0], expected, rtol=1e-12)
        readable = "0.25 drug + 0.75 drug+ - placebo"
        assert ds["contrast"].values.tolist() == (["x"] if getattr(spec, "ndim", 1) == 2 and not isinstance(
            spec, np.ndarray) else [readable])  # fmt: skip


def test_an_infinite_entry_stays_out_of_contrasts_in_which_it_has_no_part() -> None:
    ds = made(np.array([[[np.inf, 1.0, 3.0]] * 4]), x=["a", "b", "c"])
    for spec in ("pairwise", np.array([[-1.0, -1, 0], [1, 0, -1], [0, 1, 1]]), ["b2 - b1", "b3 - b1", "b3 - b2"]):
        found = values(bm.hypotheses(ds, spec))[0, 0]
        assert found.tolist() == [-np.inf, -np.inf, 2.0]
    with pytest.warns(bm.BayesmarginsWarning, match="8 of 12 draws are not finite"):
        assert bm.summary(bm.hypotheses(ds))["n_not_finite"].tolist() == [4, 4, 0]


def test_functions_get_labels_and_give_one_number_or_several() -> None:
    spread = bm.hypotheses(CUBE, lambda e: e.max("trt") - e.min("trt"), along="trt")
    np.testing.assert_allclose(values(spread)[..., 0], np.ptp(values(CUBE), axis=2))
    assert spread["estimate"].dims == ("chain", "draw", "week", "contrast")

    def gain(e: xr.DataArray) -> xr.DataArray:
        return e.sel(trt="drug") / e.sel(trt="placebo")

    named = bm.hypotheses(CUBE, gain, along="trt")
    assert named["contrast"].values.tolist() == ["gain"]
    assert bm.describe(named).startswith("The function 'gain', within each draw, of the entries along trt of: ")
    best = bm.hypotheses(BY_TRT, lambda e: e == e.max("trt"))
    assert best["contrast"].values.tolist() == ["placebo", "drug", "drug+"]
    np.testing.assert_array_equal(values(best).argmax(axis=-1), values(BY_TRT).argmax(axis=-1))
    arrays = bm.hypotheses(CUBE, lambda e: e.to_numpy()[..., 1:] - e.to_numpy()[..., :1], along="trt")
    np.testing.assert_array_equal(values(arrays), values(bm.hypotheses(CUBE, "reference", along="trt")))
    one = bm.hypotheses(BY_TRT, lambda e: e.to_numpy()[..., 0])
    np.testing.assert_array_equal(values(one)[..., 0], values(BY_TRT)[..., 0])
    turned = bm.hypotheses(CUBE, lambda e: e.sortby("week", ascending=False).sum("trt"), along="trt")
    np.testing.assert_allclose(values(turned)[..., 0], values(CUBE).sum(axis=2))


def test_a_dict_names_contrasts() -> None:
    ds = bm.hypotheses(BY_TRT, {"gain": "b2 - b1", "drugs": [-1, 0.5, 0.5], "top": lambda e: e.max("trt")})
    assert ds["contrast"].values.tolist() == ["gain", "drugs", "top"]
    a, b, c = np.moveaxis(values(BY_TRT), -1, 0)
    np.testing.assert_allclose(values(ds), np.stack([b - a, (b + c) / 2 - a, np.maximum(np.maximum(a, b), c)], -1))


def test_results_are_compared_draw_by_draw_and_by_label() -> None:
    zero = bm.avg_predictions(POST, at={"week": [6.0, 0.0, 2.0], "trt": ["drug+", "placebo", "drug"]}, groups="zero")
    ds = bm.hypotheses({"new": CUBE, "zero": zero}, "zero - new")
    expected = zero["estimate"].sel(trt=CUBE["trt"], week=CUBE["week"]).transpose(*CUBE["estimate"].dims)
    np.testing.assert_array_equal(values(ds)[..., 0], expected.to_numpy() - values(CUBE))
    assert ds["estimate"].dims == ("chain", "draw", "trt", "week", "contrast")
    assert ds["contrast"].values.tolist() == ["zero - new"]
    assert ds.attrs["scale"] == "difference in probability"
    assert f"new: {bm.describe(CUBE)} zero: {bm.describe(zero)}" in bm.describe(ds)
    assert "groups" not in ds.attrs
    pairwise = bm.hypotheses({"new": CUBE, "zero": zero}, "pairwise")
    np.testing.assert_array_equal(values(pairwise), values(ds))
    odd = bm.hypotheses({"at b = 0": zero, "new": CUBE}, "`at b = 0` - `new`")
    same = odd.sel(trt=CUBE["trt"], week=CUBE["week"]).transpose(..., "trt", "week", "contrast")
    np.testing.assert_array_equal(values(same)[..., 0], values(ds)[..., 0])


def test_results_by_several_columns_are_matched_by_their_combinations() -> None:
    turned = MULTI.isel(by=slice(None, None, -1))
    for other in (turned, turned.set_index(by=["trt", "week"])):
        ds = bm.hypotheses({"a": MULTI, "b": other}, "a - b")
        assert not values(ds).any()
        assert {"trt", "week"} <= set(ds.coords)


def test_results_on_different_scales_say_so() -> None:
    ds = bm.hypotheses({"p": BY_TRT, "eta": bm.avg_predictions(POST, by="trt", target="link")}, "eta - p")
    assert ds.attrs["scale"] == "difference of different scales ('probability', 'linear predictor (logit)')"


def test_results_of_different_fits_are_not_paired_in_silence() -> None:
    probit = bm.avg_predictions(reference.posterior("h_bactprobit"), by="trt")
    with pytest.raises(bm.EstimandError, match=r"different posteriors \(a: yb .*not paired.*independent=True"):
        bm.hypotheses({"a": BY_TRT, "b": probit}, "a - b")
    ds = bm.hypotheses({"a": BY_TRT, "b": probit}, "a - b", independent=True)
    assert "of different fits, taken as independent of each other" in bm.describe(ds)
    assert ds.attrs["posterior"] not in (BY_TRT.attrs["posterior"], probit.attrs["posterior"])
    with pytest.raises(bm.EstimandError, match="nothing in these says that they are"):
        bm.hypotheses({"a": BY_TRT, "b": BY_TRT}, "a - b", independent=True)
    unknown = bm.hypotheses({"a": BY_TRT, "b": BY_TRT.drop_attrs()}, "a - b")
    assert "(that all are of one fit is not recorded)" in bm.describe(unknown)


def test_the_same_draws_from_a_file_are_the_same_posterior(tmp_path: Path) -> None:
    POST.save(tmp_path / "fit.nc")
    again = bm.avg_predictions(bm.load(tmp_path / "fit.nc"), by="trt")
    assert not values(bm.hypotheses({"a": BY_TRT, "b": again}, "a - b")).any()


def test_ratios_of_what_changes_sign_are_said_and_their_draws_counted() -> None:
    ds = made(np.array([[[1.0, 2.0], [-1.0, 2.0], [0.0, 2.0]]]), x=["a", "b"])
    with pytest.warns(bm.BayesmarginsWarning, match="Ratio of what is 0, or positive in some draws.*b / a"):
        found = bm.hypotheses(ds, comparison="ratio")
    assert values(found)[0, :, 0].tolist() == [2.0, -2.0, np.inf]
    with pytest.warns(bm.BayesmarginsWarning, match="1 of 3 draws are not finite"):
        assert bm.summary(found, null=0)["n_not_finite"].tolist() == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bm.hypotheses(bm.avg_predictions(CBPP, by="period"), comparison="lnratio")


def test_no_effect_is_one_for_ratios_and_zero_for_differences() -> None:
    ratio = bm.hypotheses(BY_TRT, comparison="ratio")
    with pytest.raises(bm.ResultError, match="no effect is null=1"):
        bm.summary(ratio, null=0)
    assert bm.plot_forest(ratio).get_lines()[-1].get_xdata()[0] == 1.0
    assert bm.plot_forest(bm.hypotheses(BY_TRT)).get_lines()[-1].get_xdata()[0] == 0.0


ONE = bm.avg_predictions(POST)
OTHER = bm.avg_predictions(POST, by="week")
LABELLED = xr.DataArray([1.0, -1.0, 0.0], dims="trt", coords={"trt": ["placebo", "drg", "drug+"]})

REFUSED: list[tuple[str, Callable[[], Any]]] = [
    ("along='tr'; the result varies along 'trt'. Did you mean 'trt'", lambda: bm.hypotheses(BY_TRT, along="tr")),
    ("varies along nothing", lambda: bm.hypotheses(ONE, along="trt")),
    (r"along=\['trt'\].*Give one name, as text, such as along='week'", lambda: bm.hypotheses(CUBE, along=["trt"])),
    (r"one name.*along='trt'\), along='week'\).*stack\(entry=\['trt', 'week'\]\)", lambda: bm.hypotheses(
        CUBE, along=["trt", "week"])),
    (r"say along which.*stack\(entry=\['trt', 'week'\]\), 'b2 - b1'", lambda: bm.hypotheses(CUBE, "b4 - b1")),
    (r"names b4.*those along 'trt' alone.*stack\(entry=\['trt', 'week'\]\), 'b4 - b1'", lambda: bm.hypotheses(
        CUBE, "b4 - b1", along="trt")),
    (r"names b14.*along='by'\)", lambda: bm.hypotheses(MULTI, "b14 - b1", along="trt")),
    (r"names b99. Entries are [^.]*\.$", lambda: bm.hypotheses(CUBE, "b99 - b1", along="trt")),
    (r"within each week, and 1 of 15 combinations do not occur \(placebo, 11\)", lambda: bm.hypotheses(
        MULTI.isel(by=[k for k in range(15) if k != 4]), along="trt")),
    (r"one entry only, and nothing to be compared with.*null=0.5", lambda: bm.hypotheses(ONE)),
    (r"along 'trt', which has one entry only \(drug\)", lambda: bm.hypotheses(BY_TRT.isel(trt=[1]))),
    (r"shape \(2,\); along 'trt' there are 3 entries \(b1 = placebo", lambda: bm.hypotheses(BY_TRT, [1, -1])),
    (r"shape \(2, 3\).*Turned round", lambda: bm.hypotheses(BY_TRT, np.ones((2, 3)))),
    (r"shape \(3, 1, 1\)", lambda: bm.hypotheses(BY_TRT, np.ones((3, 1, 1)))),
    ("names 'drg', which is no entry.*Did you mean 'drug'", lambda: bm.hypotheses(BY_TRT, LABELLED)),
    ("the dims 'week'; it needs 'trt'", lambda: bm.hypotheses(BY_TRT, LABELLED.rename(trt="week"))),
    ("names an entry twice", lambda: bm.hypotheses(BY_TRT, pd.Series([1, 1, -1], index=["drug", "drug", "placebo"]))),
    ("no table of weights", lambda: bm.hypotheses(BY_TRT, [1, "x", 2])),
    ("no table of weights", lambda: bm.hypotheses(BY_TRT, [[1, 0], [0], [-1, -1]])),
    ("every weight is 0", lambda: bm.hypotheses(BY_TRT, [0, 0, 0])),
    ("missing or infinite", lambda: bm.hypotheses(BY_TRT, [np.nan, 1, -1])),
    (r"names b7. Entries are b1 = placebo, b2 = drug, b3 = drug\+", lambda: bm.hypotheses(BY_TRT, "b7 - b1")),
    ("names b0", lambda: bm.hypotheses(BY_TRT, "b1 - b0")),
    ("names drug without backticks. Write `drug`, or its position, b2", lambda: bm.hypotheses(BY_TRT, "drug - b1")),
    (r"drug without backticks", lambda: bm.hypotheses(BY_TRT, "drug+ - placebo")),
    ("names `drgu`.*Did you mean 'drug'", lambda: bm.hypotheses(BY_TRT, "`drgu` - b1")),
    ("a backtick without its partner", lambda: bm.hypotheses(BY_TRT, "`drug - b1")),
    ("cannot be read .*Allowed are b1, b2", lambda: bm.hypotheses(BY_TRT, "b1 -")),
    ("calls mean.*Allowed are", lambda: bm.hypotheses(BY_TRT, "mean(b1)")),
    ("asks for a truth value.*null=0", lambda: bm.hypotheses(BY_TRT, "b1 > b2")),
    ("names no entry", lambda: bm.hypotheses(BY_TRT, "1 + 2")),
    ("more than one =", lambda: bm.hypotheses(BY_TRT, "b1 = b2 = b3")),
    ("names 'b1 - b2' twice", lambda: bm.hypotheses(BY_TRT, ["b1 - b2", "b1  - b2"])),
    ("Did you mean 'pairwise'", lambda: bm.hypotheses(BY_TRT, "pairwize")),
    ("Here it is called 'pairwise'", lambda: bm.hypotheses(BY_TRT, "tukey")),
    ("is a family of contrasts; it is asked for alone", lambda: bm.hypotheses(BY_TRT, ["pairwise", "b1 - b2"])),
    ("looks like a formula of marginaleffects", lambda: bm.hypotheses(BY_TRT, "difference ~ pairwise")),
    ("spec=0.5; it is a name .*null=", lambda: bm.hypotheses(BY_TRT, 0.5)),
    ("spec=None; it is a name", lambda: bm.hypotheses(BY_TRT, None)),
    ("a dict gives each contrast a label", lambda: bm.hypotheses(BY_TRT, {1: "b1 - b2"})),
    ("gives 2 contrasts; under a label stands one", lambda: bm.hypotheses(BY_TRT, {"x": ["b1", "b2"]})),
    ("Did you mean 'ratio'", lambda: bm.hypotheses(BY_TRT, comparison="ration")),
    ("needs 1 - mean, integrated", lambda: bm.hypotheses(BY_TRT, comparison="or")),
    ("is for contrasts with a name.*'b2 / b1'", lambda: bm.hypotheses(BY_TRT, "b1 - b2", comparison="ratio")),
    ("spec='poly' gives weighted sums", lambda: bm.hypotheses(BY_TRT, "poly", comparison="ratio")),
    ("different finite values along 'week'", lambda: bm.hypotheses(
        made(np.ones((1, 2, 2)), week=[1.0, 1.0]), "poly")),
    (r"one number for every draw.*It gave float", lambda: bm.hypotheses(BY_TRT, lambda e: 1.0)),
    (r"It gave the dims 'trt'. It has averaged over draws", lambda: bm.hypotheses(
        BY_TRT, lambda e: e.mean(["chain", "draw"]))),
    (r"It gave an array of shape \(3,\)", lambda: bm.hypotheses(BY_TRT, lambda e: e.to_numpy().mean((0, 1)))),
    (r"It gave another 'week'", lambda: bm.hypotheses(CUBE, lambda e: e.isel(week=[0]).sum("trt"), along="trt")),
    (r"It gave values of type object", lambda: bm.hypotheses(BY_TRT, lambda e: e.idxmax("trt"))),
    (r"It gave the dims 'x', 'chain', 'draw', 'trt'", lambda: bm.hypotheses(BY_TRT, lambda e: e.expand_dims(x=2))),
    ("a dict of results: the results are compared", lambda: bm.hypotheses({"a": BY_TRT, "b": BY_TRT}, along="trt")),
    (r"'a' varies along \['trt'\], 'b' along \['week'\]", lambda: bm.hypotheses({"a": BY_TRT, "b": OTHER}, "a - b")),
    ("only 'a' has 'drug'", lambda: bm.hypotheses({"a": BY_TRT, "b": BY_TRT.isel(trt=[0, 2])}, "a - b")),
    (r"do not have the same draws in the same order \(50: 0, 1, ..., 49; 49: 1, 2", lambda: bm.hypotheses(
        {"a": BY_TRT, "b": BY_TRT.isel(draw=slice(1, None))}, "a - b")),
    ("each needs a name", lambda: bm.hypotheses({1: BY_TRT}, "b1")),
    ("each needs a name", lambda: bm.hypotheses({}, "b1")),
    ("names c. Entries are b1 = a, b2 = b", lambda: bm.hypotheses({"a": BY_TRT, "b": BY_TRT}, "a - c")),
    ("here is one result", lambda: bm.hypotheses(BY_TRT, independent=True)),
]  # fmt: skip


@pytest.mark.parametrize(("said", "asked"), REFUSED, ids=[said for said, _ in REFUSED])
def test_what_cannot_be_compared_is_refused_in_words(said: str, asked: Callable[[], Any]) -> None:
    with pytest.raises(bm.EstimandError, match=said):
        asked()


@pytest.mark.parametrize("ds", [None, 1.0, BY_TRT["estimate"], xr.Dataset({"x": 1}), {"a": 1.0}])
def test_what_is_no_result_is_refused(ds: Any) -> None:
    with pytest.raises(bm.ResultError):
        bm.hypotheses(ds, "b1")


def test_contrasts_too_many_for_memory_are_refused_beforehand() -> None:
    rows = bm.predictions(POST)
    with bm.options(memory="10MB"), pytest.raises(bm.EstimandError, match=r"200 draws x 24,090 values.*Select entries"):
        bm.hypotheses(rows, "pairwise")
