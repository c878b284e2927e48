"""Columns and values of every kind: where their meaning is plain they work, else they are refused by name."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import os
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from test_margins import random_posterior, simulated, values

import bayesmargins as bm

POST = reference.posterior("b_bacteria")
DATA = simulated()
COLOUR = enum.Enum("COLOUR", "red blue")

LABELS: dict[str, pd.Series] = {
    "cut": pd.cut(DATA.x, 3),
    "cut at whole numbers": pd.cut(DATA.n, [0, 3, 6, 9]),
    "intervals": pd.Series(pd.cut(DATA.x, 3).array.astype("interval")),
    "intervals as objects": pd.cut(DATA.x, 3).astype(object),
    "category of periods": pd.Series(pd.Categorical(pd.PeriodIndex(["2020-01", "2020-02"] * 40, freq="M"))),
    "category of times": pd.Series(pd.Categorical(pd.to_datetime(["2020-03-01", "2021-03-01"] * 40))),
    "category of numbers": pd.Series(pd.Categorical([1, 2] * 40)),
    "category of truth values": pd.Series(pd.Categorical([True, False] * 40)),
    "uuid": pd.Series([uuid.UUID(int=k % 3) for k in range(80)]),
    "enum": pd.Series(list(COLOUR) * 40),
    "nullable text": pd.Series(["a", "b"] * 40, dtype="string"),
    "arrow text": pd.Series(["a", "b"] * 40, dtype="string[pyarrow]"),
    "ordered, one level unused": pd.Series(pd.Categorical(["lo", "hi"] * 40, ["lo", "mid", "hi"], ordered=True)),
}
GROUPS = LABELS | {
    "times": pd.Series(pd.to_datetime(["2020-03-01", "2021-03-01"] * 40)),
    "times of a zone": pd.Series(pd.to_datetime(["2020-03-01", "2021-03-01"] * 40, utc=True)),
    "periods": pd.Series(pd.PeriodIndex(["2020-01", "2020-02"] * 40, freq="M")),
    "spans": pd.Series(pd.to_timedelta([1, 2] * 40, unit="D")),
    "dates": pd.Series([datetime.date(2020, 1, 1 + k % 2) for k in range(80)]),
    "nullable integers": pd.Series([1, 2] * 40, dtype="Int64"),
    "arrow integers": pd.Series([1, 2] * 40, dtype="int64[pyarrow]"),
    "decimals": pd.Series([decimal.Decimal(k % 2) for k in range(80)]),
}
NUMBERS: dict[str, pd.Series] = {
    "Int64": pd.Series([1, 2] * 40, dtype="Int64"),
    "Float64": pd.Series([1.5, 2.0] * 40, dtype="Float64"),
    "arrow integer": pd.Series([1, 2] * 40, dtype="int64[pyarrow]"),
    "arrow double": pd.Series([1.5, 2.0] * 40, dtype="double[pyarrow]"),
    "decimal": pd.Series([decimal.Decimal("1.5"), decimal.Decimal(2)] * 40),
    "fraction": pd.Series([fractions.Fraction(3, 2), fractions.Fraction(2)] * 40),
    "boolean": pd.Series([True, False] * 40, dtype="boolean"),
    "arrow bool": pd.Series([True, False] * 40, dtype="bool[pyarrow]"),
    "truth values as objects": pd.Series([True, False] * 40, dtype=object),
    "uint8": pd.Series([1, 2] * 40, dtype="uint8"),
}


def _reloaded(post: bm.Posterior, folder: Path) -> bm.Posterior:
    post.save(folder / "fit.nc")
    return bm.load(folder / "fit.nc")


@pytest.mark.parametrize("kind", LABELS)
def test_factor_of_any_label_is_named_by_its_value_or_its_text(kind: str, tmp_path: Path) -> None:
    data = DATA.assign(z=LABELS[kind].set_axis(DATA.index))
    post = random_posterior("y ~ x + z + (1 | g)", data, "bernoulli")
    levels = post.design.columns["z"].levels
    for p in (post, _reloaded(post, tmp_path)):
        assert p.design.columns["z"].levels == levels
        ds = bm.avg_predictions(p, at={"z": data["z"].unique()})
        assert sorted(map(str, ds["z"].values)) == sorted(map(str, levels))
        np.testing.assert_array_equal(
            values(bm.avg_predictions(p, at={"z": data["z"].iloc[0]})),
            values(ds.isel(z=[0])),
        )
        ds.to_netcdf(tmp_path / "ds.nc", engine="h5netcdf")
        np.testing.assert_array_equal(values(bm.predictions(p, data)), values(bm.predictions(p)))
        assert bm.avg_predictions(p, by="z")["z"].values.tolist() == list(levels)
    bm.avg_comparisons(post, {"z": (levels[1], levels[0])})


@pytest.mark.parametrize("kind", GROUPS)
def test_groups_of_any_label_are_named_by_their_value(kind: str, tmp_path: Path) -> None:
    data = DATA.assign(z=GROUPS[kind].set_axis(DATA.index))
    post = random_posterior("y ~ x + (1 | z)", data, "bernoulli")
    named = bm.avg_predictions(post, groups={"z": data["z"].unique()})
    named.to_netcdf(tmp_path / "named.nc", engine="h5netcdf")
    again = _reloaded(post, tmp_path)
    for p in (post, again):
        np.testing.assert_array_equal(values(bm.avg_predictions(p, groups={"z": data["z"].unique()})), values(named))
        np.testing.assert_array_equal(
            values(bm.predictions(p, data, groups="own")), values(bm.predictions(post, groups="own"))
        )


@pytest.mark.parametrize("kind", ["times", "periods", "dates", "cut"])
def test_groups_that_are_objects_are_named_by_their_text_too(kind: str) -> None:
    data = DATA.assign(z=GROUPS[kind].set_axis(DATA.index))
    post = random_posterior("y ~ x + (1 | z)", data, "bernoulli")
    value = data["z"].iloc[0]
    a, b = (values(bm.avg_predictions(post, groups={"z": [v]})) for v in (value, str(value)))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_any_storage_give_the_same_numbers(kind: str, tmp_path: Path) -> None:
    post, plain = (
        random_posterior("y ~ x + z + (1 | g)", DATA.assign(z=z), "bernoulli")
        for z in (NUMBERS[kind].set_axis(DATA.index), NUMBERS[kind].astype(float).to_numpy())
    )
    for p in (post, _reloaded(post, tmp_path)):
        np.testing.assert_array_equal(values(bm.predictions(p)), values(bm.predictions(plain)))
        bm.avg_predictions(p, at={"z": NUMBERS[kind].iloc[0]})


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pd.to_datetime(["2020", "2021"] * 40), "count from a start"),
        (pd.PeriodIndex(["2020", "2021"] * 40, freq="Y"), "count from a start"),
        ([datetime.date(2020, 1, 1)] * 80, r"types \['date'\]; a factor holds text"),
        ([1, "a"] * 40, r"types \['int', 'str'\]"),
        ([["a"]] * 80, "holds a list in each row"),
        (np.array([1j, 2] * 40), "numbers are real"),
        (pd.Categorical([1, "1"] * 40), "read the same as text"),
        (np.array([1.0, np.inf] * 40), "infinite in 40 of 80 rows, the first being row 1"),
    ],
)
def test_covariates_without_a_plain_meaning_are_refused(column: Any, said: str) -> None:
    data = DATA.assign(z=pd.Series(column).set_axis(DATA.index))
    with pytest.raises(bm.DataError, match=said):
        bm.GLMM("y ~ x + z + (1 | g)", data, "bernoulli")


def test_objects_beside_none_are_named_alike_at_the_fit_and_in_newdata() -> None:
    """By the types of what is there, never as `object`."""
    whole, mixed = ([1, None, 2, 3] * 20, [1, None, "a", 3] * 20)
    post = random_posterior("y ~ x + z + (1 | g)", DATA.assign(z=np.arange(80.0)), "bernoulli")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.BayesmarginsWarning)  # of rows dropped, and of estimates that are NaN
        for column, said in ((whole, r"types \['int'\]"), (mixed, r"types \['int', 'str'\]")):
            data = DATA.assign(z=pd.Series(column, dtype=object).set_axis(DATA.index))
            with pytest.raises(bm.DataError, match=f"Column 'z' holds values of the {said}"):
                bm.GLMM("y ~ x + z + (1 | g)", data, "bernoulli", missing="drop")
            with pytest.raises(bm.DataError, match=f"holds values of the {said} here"):
                bm.predictions(post, data)


def test_groups_in_lists_are_refused() -> None:
    with pytest.raises(bm.DataError, match="holds a list in each row"):
        bm.GLMM("y ~ x + (1 | z)", DATA.assign(z=[["a"]] * 80), "bernoulli")


@pytest.mark.parametrize(
    "weeks",
    [
        (0, 6),
        range(0, 7, 6),
        np.array([0, 6]),
        pd.Series([0, 6]),
        pd.Index([0, 6]),
        pd.Categorical([0, 6]),
        pd.array([0, 6], dtype="Int64"),
        {0: None, 6: None}.keys(),
        [np.int64(0), decimal.Decimal(6)],
        [fractions.Fraction(0), np.array(6)],
    ],
)
def test_values_of_at_may_come_in_any_ordered_collection(weeks: Any) -> None:
    expected = bm.avg_predictions(POST, at={"week": [0, 6]})
    found = bm.avg_predictions(POST, at={"week": weeks})
    np.testing.assert_array_equal(values(found), values(expected))
    assert bm.describe(found) == bm.describe(expected)


def test_generators_are_read_once_and_in_full() -> None:
    ds = bm.avg_predictions(POST, at={"week": (w for w in [0, 6])}, by=(c for c in ["trt"]))
    assert ds["estimate"].dims[2:] == ("week", "trt")
    assert bm.avg_comparisons(POST, (v for v in ["trt", "week"]))["term"].values.tolist() == ["trt", "trt", "week"]
    np.testing.assert_array_equal(
        values(bm.avg_predictions(POST, wts=(w for w in POST.design.data["week"]))),
        values(bm.avg_predictions(POST, wts="week")),
    )


@pytest.mark.parametrize("rows", [{"trt": "drug", "week": 2}, [{"trt": "drug", "week": 2}]])
def test_one_row_may_be_a_dict(rows: Any) -> None:
    frame = pd.DataFrame({"trt": ["drug"], "week": [2]})
    np.testing.assert_array_equal(values(bm.predictions(POST, rows)), values(bm.predictions(POST, frame)))


def test_a_claim_about_draws_is_summarised_as_a_probability() -> None:
    ds = bm.avg_comparisons(POST, "trt")
    np.testing.assert_allclose(bm.summary(ds > 0, point="mean")["mean"], bm.summary(ds, null=0)["p_gt_0"])


def test_paths_that_cannot_be_written_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, said in [
        (tmp_path, "it is a folder. Name a file in it"),
        (tmp_path / "no" / "fit.nc", "does not exist. Make it first"),
        (tmp_path / ("x" * 300), "Choose a folder that you may write to"),
        (3, "must be the name of a file"),
        (None, "must be the name of a file"),
    ]:
        with pytest.raises(bm.PosteriorError, match=said):
            POST.save(path)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(bm.PosteriorError, match=r"fit.nc' \(0\.. MB\): Permission denied. Choose a folder"):
        POST.save(tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("text")
    bm.avg_predictions(POST).to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    for path, said in [
        (tmp_path, "is a folder. Give the path"),
        (tmp_path / "none.nc", "There is no file"),
        ("x" * 300, "There is no file"),
        (tmp_path / "text.nc", "is no netCDF file"),
        (tmp_path / "result.nc", "Results are read with xarray"),
        (3, "must be the name of a file"),
    ]:
        with pytest.raises(bm.PosteriorError, match=said):
            bm.load(path)
