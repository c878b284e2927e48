"""The data sets of the package: complete, labelled in the documented order, and described."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesmargins.datasets import list_datasets, load_dataset
from bayesmargins.datasets.catalogue import CATALOGUE
from bayesmargins.errors import DataError

NAMES = sorted(CATALOGUE)

# Row counts as documented in the R packages MASS, HSAUR3, brms, lme4 and mlmRev; of cbpp_brms, as drawn.
ROWS = {
    "bacteria": 220,
    "toenail": 1908,
    "epilepsy": 236,
    "epil": 236,
    "sleepstudy": 180,
    "cbpp": 56,
    "cbpp_brms": 200,
    "contraception": 1934,
    "inhaler": 572,
    "kidney": 76,
    "grouseticks": 403,
    "verbagg": 7584,
}

LEVELS = {
    ("bacteria", "trt"): ["placebo", "drug", "drug+"],
    ("toenail", "treatment"): ["itraconazole", "terbinafine"],
    ("toenail", "outcome"): ["none or mild", "moderate or severe"],
    ("cbpp", "period"): ["1", "2", "3", "4"],
    ("cbpp", "herd"): [str(herd) for herd in range(1, 16)],
    ("contraception", "livch"): ["0", "1", "2", "3+"],
    ("epil", "trt"): ["placebo", "progabide"],
    ("epilepsy", "Trt"): ["0", "1"],
    ("grouseticks", "YEAR"): ["95", "96", "97"],
    ("inhaler", "subject"): [str(subject) for subject in range(1, 287)],
    ("kidney", "patient"): [str(patient) for patient in range(1, 39)],
    ("verbagg", "resp"): ["no", "perhaps", "yes"],
}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_there_and_nothing_is_missing(name: str) -> None:
    frame = load_dataset(name)
    assert len(frame) == ROWS[name] == CATALOGUE[name].rows
    assert not frame.isna().any(axis=None)
    assert list(frame.index) == list(range(ROWS[name]))


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_explained_and_derived_ones_come_last(name: str) -> None:
    entry = CATALOGUE[name]
    frame = load_dataset(name)
    assert list(frame.columns) == [*entry.columns, *entry.derived]
    lines = [line.split() for line in frame.attrs["description"].splitlines()]
    assert [line[0] for line in lines if line and line[0] in frame.columns] == list(frame.columns)
    assert frame.attrs["name"] == name
    assert frame.attrs["source"] in frame.attrs["description"]
    assert set(frame.attrs) == {"name", "source", "description"}


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_unordered_categories_of_text_without_unused_levels(name: str) -> None:
    frame = load_dataset(name)
    for column in [*CATALOGUE[name].levels, *CATALOGUE[name].numbered]:
        labels = frame[column].cat
        assert not labels.ordered
        assert all(isinstance(level, str) for level in labels.categories)
        assert set(labels.categories) == set(frame[column])
    text = frame.columns[[not isinstance(t, pd.CategoricalDtype) and t.kind not in "if" for t in frame.dtypes]]
    assert list(text) == []


@pytest.mark.parametrize(("name", "column"), LEVELS)
def test_levels_stand_in_the_documented_order(name: str, column: str) -> None:
    assert list(load_dataset(name)[column].cat.categories) == LEVELS[name, column]


def test_numbered_labels_stand_in_order_of_size() -> None:
    patients = load_dataset("toenail")["patientID"].cat.categories.astype(int)
    assert patients[0] == 1
    assert patients[-1] == 383
    assert len(patients) == 294
    assert patients.is_monotonic_increasing


def test_derived_columns_follow_their_definition() -> None:
    bacteria, toenail, verbagg = load_dataset("bacteria"), load_dataset("toenail"), load_dataset("verbagg")
    contraception, grouse, epil = load_dataset("contraception"), load_dataset("grouseticks"), load_dataset("epil")
    for derived, expected in [
        (bacteria["yb"], bacteria["y"] == "y"),
        (toenail["bad"], toenail["outcome"] == "moderate or severe"),
        (contraception["use01"], contraception["use"] == "Y"),
        (verbagg["yes"], verbagg["resp"] != "no"),
    ]:
        assert derived.dtype == np.int64
        np.testing.assert_array_equal(derived, expected.astype(int))
    np.testing.assert_array_equal(contraception["age10"], contraception["age"] / 10)
    np.testing.assert_array_equal(grouse["cH10"], grouse["cHEIGHT"] / 10)
    assert sorted(epil["per"].unique()) == [-1.5, -0.5, 0.5, 1.5]


def test_the_draws_of_brms_are_those_of_its_file() -> None:
    file = Path(__file__).parent / "data" / "reference" / "c_cbpp" / "draws.parquet"
    theirs = pd.read_parquet(file)
    draws = load_dataset("cbpp_brms")
    assert list(draws.columns) == list(theirs.columns)
    np.testing.assert_allclose(draws, theirs, rtol=0, atol=5.01e-7)


def test_loading_twice_gives_independent_frames() -> None:
    first = load_dataset("cbpp")
    first.loc[0, "incidence"] = 99
    first.attrs["name"] = "changed"
    assert load_dataset("cbpp").loc[0, "incidence"] == 2
    assert load_dataset("cbpp").attrs["name"] == "cbpp"


def test_the_list_names_every_set_with_rows_and_source() -> None:
    table = list_datasets()
    assert list(table.columns) == ["name", "rows", "source", "description"]
    assert dict(zip(table["name"], table["rows"], strict=True)) == ROWS
    assert (table["source"].str.len() > 0).all()


def test_an_unknown_name_gets_near_ones_and_the_list() -> None:
    with pytest.raises(DataError, match=r"asked for 'bacterial'.*Did you mean 'bacteria'\? Allowed: .*'toenail'"):
        load_dataset("bacterial")
    with pytest.raises(DataError, match=r"asked for None.*list_datasets\(\)"):
        load_dataset(None)  # type: ignore[arg-type]


def test_loading_opens_no_connection() -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from bayesmargins.datasets import list_datasets, load_dataset\n"
        "for name in list_datasets()['name']: load_dataset(name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
