"""What a file keeps: a posterior comes back to the letter, or is refused when it is saved."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_margins import random_posterior, simulated, values

import bayesmargins as bm
from bayesmargins.files.netcdf import Saved, to_netcdf
from bayesmargins.files.tables import frame_to_dataset, to_frame

NAN, SHIFT = float("nan"), [1, 2, 3, 2]

KEPT: dict[str, Any] = {
    "whole numbers": [2**53 + 1, -(2**63), 2**63 - 1],
    "unsigned": np.array([0, 2**64 - 1], dtype="uint64"),
    "small": np.array([-128, 127], dtype="int8"),
    "half precision": np.array([1.5, np.inf, np.nan], dtype="float16"),
    "single precision": np.array([0.1, -0.0, np.nan], dtype="float32"),
    "double precision": [-0.0, np.inf, -np.inf, NAN, 5e-324, 0.1],
    "another NaN": np.array([0x7FF8000000000123, 0], dtype="uint64").view("float64"),
    "truth values": [True, False],
    "nullable whole numbers": pd.array([2**53 + 1, None, -3], dtype="Int64"),
    "nullable unsigned": pd.array([2**64 - 1, None], dtype="UInt64"),
    "nullable numbers": pd.array([1.5, None, -0.0], dtype="Float64"),
    "nullable truth values": pd.array([True, None, False], dtype="boolean"),
    "text": ["a", "", "β", None],
    "NUL": ["a\0b", "\0", "a\0"],
    "half of a pair": pd.Series(["\ud800", "a"], dtype=object),
    "empty beside missing": pd.Series(["", None, NAN, pd.NA, pd.NaT], dtype=object),
    "number and text": pd.Series([1, "1", 1.0, True, "True", None], dtype=object),
    "very large": pd.Series([10**400, -1], dtype=object),
    "nullable text": pd.array(["a", None, ""], dtype="string"),
    "text of arrow": pd.array(["a", None], dtype=pd.StringDtype("pyarrow")),
    "arrow whole numbers": pd.array([1, None, 2**53 + 1], dtype="int64[pyarrow]"),
    "arrow numbers": pd.array([1.5, None], dtype="double[pyarrow]"),
    "arrow truth values": pd.array([True, None], dtype="bool[pyarrow]"),
    "dates": [datetime.date(2020, 1, 1), None],
    "times": pd.to_datetime(["2020-01-01 00:00:00.000001", None]),
    "times by the second": pd.to_datetime(["2020-01-01", None]).astype("datetime64[s]"),
    "times by the nanosecond": pd.to_datetime(["2020-01-01", None]).astype("datetime64[ns]"),
    "times of a zone": pd.to_datetime(["2020-07-01", None]).tz_localize("Europe/Berlin"),
    "times of UTC": pd.to_datetime(["2020-01-01", None]).tz_localize("UTC"),
    "times of an offset": pd.to_datetime(["2020-01-01T00:00+02:00"]),
    "spans": pd.to_timedelta([1, None], unit="D"),
    "months": pd.PeriodIndex(["2020-01", None], freq="M"),
    "weeks": pd.PeriodIndex(["2020-01"], freq="W-SUN"),
    "categories": pd.Categorical(["a", None, "b"], ["b", "a", "unused"], ordered=True),
    "categories of numbers": pd.Categorical([1.5, -0.0]),
    "categories of truth values": pd.Categorical([True, False]),
    "categories of both": pd.Categorical([1, "1"]),
    "categories of times": pd.Categorical(pd.to_datetime(["2020", "2021"])),
    "no category": pd.Categorical([None, None]),
    "decimals": pd.Series([Decimal("1.10"), Decimal("1.1")]),
    "tuples": pd.Series([(1, "a"), (1.0, None)]),
}
REFUSED: dict[str, Any] = {
    "complex": [1j, 2],
    "lists": pd.Series([[1], [2]]),
    "dicts": pd.Series([{"a": 1}]),
    "bytes": pd.Series([b"a"]),
    "objects": pd.Series([uuid.UUID(int=1)]),
    "numpy's own": pd.Series([np.int64(1), 2], dtype=object),
    "too large": pd.Series([10**5000], dtype=object),
    "sparse": pd.arrays.SparseArray([0, 0, 1]),
    "intervals": pd.cut([1, 2, 3], 2),
    "a type of text": pd.Series([type("Own", (str,), {})("a")], dtype=object),
}


def _through_a_file(frame: pd.DataFrame) -> pd.DataFrame:
    return to_frame(Saved(bytes(to_netcdf({"/": xr.Dataset(), "data": frame_to_dataset(frame)}))), "data")


def _identical(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    assert list(found.columns) == list(frame.columns)
    for name in frame.columns:
        a, b = found[name], frame[name]
        assert a.dtype == b.dtype
        assert str(a.dtype) == str(b.dtype)
        if isinstance(a.dtype, np.dtype) and a.dtype.kind == "f":
            assert a.to_numpy().tobytes() == b.to_numpy().tobytes()
        assert [(type(v), repr(v)) for v in a.tolist()] == [(type(v), repr(v)) for v in b.tolist()]
        if isinstance(a.dtype, pd.CategoricalDtype):
            assert list(map(repr, a.cat.categories)) == list(map(repr, b.cat.categories))
            assert a.cat.ordered == b.cat.ordered


@pytest.mark.parametrize("kind", KEPT)
def test_columns_of_this_kind_come_back_to_the_letter(kind: str) -> None:
    frame = pd.DataFrame({"c": KEPT[kind]})
    _identical(_through_a_file(frame), frame)


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_of_this_kind_are_refused_by_name_with_a_way_out(kind: str) -> None:
    frame = pd.DataFrame({"c": REFUSED[kind]})
    with pytest.raises(bm.PosteriorError, match=r"The column 'c' .*\['c'\]\.astype\(str\)"):
        _through_a_file(frame)
    if kind != "too large":  # which Python itself does not write out
        _identical(_through_a_file(frame.astype(str)), frame.astype(str))


TEXT = st.text(st.characters(codec=None), max_size=6)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.dates(), st.sampled_from([pd.NA, pd.NaT]),
    st.decimals(allow_nan=False), st.binary(max_size=2), st.complex_numbers(),
)  # fmt: skip
COLUMNS = st.one_of(
    st.lists(SCALARS, min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype=object)),
    st.lists(st.floats(width=32), min_size=3, max_size=3).map(lambda v: pd.Series(v, dtype="float32")),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=3, max_size=3).map(
        lambda v: pd.Series(v, dtype="Int64")
    ),
    st.lists(st.sampled_from(["a", "b", "", None]), min_size=3, max_size=3).map(
        lambda v: pd.Series(pd.Categorical(v, ["b", "", "a", "z"]))
    ),
    st.lists(st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), min_size=3, max_size=3).map(
        lambda v: pd.Series(pd.to_datetime(v))
    ),
)


@given(st.dictionaries(st.text(max_size=6), COLUMNS, min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_any_frame_comes_back_to_the_letter_or_is_refused(columns: dict[str, pd.Series]) -> None:
    frame = pd.DataFrame(columns)
    try:
        found = _through_a_file(frame)
    except bm.PosteriorError:
        return
    _identical(found, frame)


NAMES = ["g", "Plot/Block", "a b", "obs", "coef", "draw", ".", "β", "x" * 300, "a\0b", "g ", "sigma"]
LABELS = [
    [1, 2, 10], ["b", "a", ""], [1.5, -0.0, 3.0], [True, False], [datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)],
    [1, "1", "b"], ["a\0", "a", "b"], ["\ud800", "\ud801", "b"], ["/", ".", " "], [2**60 + 1, 2**60, 7],
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The group effects")
@given(st.sampled_from(NAMES), st.sampled_from(LABELS), st.sampled_from(NAMES), COLUMNS, st.randoms())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_posteriors_come_back_the_same_or_are_refused(
    tmp_path: Path, group: str, labels: list[Any], other: str, column: pd.Series, random: Any
) -> None:
    data = simulated().head(30).drop(columns=["g"])
    data[group] = pd.Series([random.choice(labels) for _ in range(30)], dtype=object)
    if other not in data.columns:
        data[other] = column.iloc[np.resize([0, 1, 2], 30)].reset_index(drop=True)
    try:
        post = random_posterior(f"y ~ x + f + (1 + x | `{group}`)", data, "bernoulli")
    except bm.BayesmarginsError:
        return  # no model; the law is about files
    try:
        post.save(tmp_path / "fit.nc")
    except bm.PosteriorError:
        return
    again = bm.load(tmp_path / "fit.nc")
    _identical(again.design.data, post.design.data)
    assert again.design.factors[group].levels == post.design.factors[group].levels
    xr.testing.assert_identical(again.parameters, post.parameters)
    for groups in ("own", "new"):
        ask = {group: groups}
        np.testing.assert_array_equal(
            values(bm.predictions(again, groups=ask)), values(bm.predictions(post, groups=ask))
        )
    xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf").close()


@pytest.mark.parametrize("name", NAMES)
def test_a_group_of_any_name_reaches_a_file_that_others_can_read(name: str, tmp_path: Path) -> None:
    import arviz as az

    data = simulated().rename(columns={"g": name})
    post = random_posterior(f"y ~ x + (1 + x | `{name}`)", data, "bernoulli")
    post.save(tmp_path / "fit.nc")
    xr.testing.assert_identical(bm.load(tmp_path / "fit.nc").parameters, post.parameters)
    found = az.from_netcdf(tmp_path / "fit.nc")
    np.testing.assert_array_equal(np.asarray(found["posterior"]["beta"]), post.beta)


@pytest.mark.usefixtures("uncompiled")
def test_a_slash_in_a_group_works_from_the_model_to_the_file(tmp_path: Path) -> None:
    data = simulated().rename(columns={"g": "Plot/Block"})
    model = bm.GLMM("y ~ x + (1 + x | `Plot/Block`)", data, "bernoulli")
    prior = model.prior(draws=20, random_seed=1)
    assert {"sd_Plot_Block", "b_Plot_Block", "cor_Plot_Block"} <= set(prior.parameters)
    named = bm.avg_predictions(prior, groups={"Plot/Block": ["g1", "g2"]})
    assert named["Plot_Block"].values.tolist() == ["g1", "g2"]
    named.to_netcdf(BytesIO(), engine="h5netcdf")
    prior.save(tmp_path / "prior.nc")
    xr.testing.assert_identical(bm.load(tmp_path / "prior.nc").parameters, prior.parameters)


def test_groups_that_a_slash_alone_keeps_apart_are_refused() -> None:
    data = simulated().rename(columns={"g": "a/b", "h": "a_b"})
    with pytest.raises(bm.FormulaError, match="Rename its column"):
        bm.GLMM("y ~ x + (1 | `a/b`) + (1 | a_b)", data, "bernoulli")
    with pytest.raises(bm.FormulaError, match=r"name holds ':'.*Rename the column"):
        bm.GLMM("y ~ x + (1 | `a:b`)", data, "bernoulli")


def test_columns_that_netcdf_would_call_the_same_stay_apart(tmp_path: Path) -> None:
    data = simulated(**{"a/b": 1.0, "a_b": 2.0, "draw": 3.0, "data_draw": 4.0})
    post = random_posterior("y ~ x + (1 | g)", data, "bernoulli")
    post.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(bm.load(tmp_path / "fit.nc").design.data, post.design.data)
    assert len(xr.open_dataset(tmp_path / "fit.nc", group="constant_data", engine="h5netcdf")) == len(data.columns) - 1
