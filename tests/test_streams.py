"""Rows that come block by block: the same bits whatever the source and its pieces; refusals, memory, Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import xarray as xr

import bayesmargins as bm
from bayesmargins import progress, streams
from bayesmargins.estimands.given import Given
from bayesmargins.estimands.question import ask
from bayesmargins.evaluate import Pass, passes
from bayesmargins.evaluate.averages import combined
from bayesmargins.evaluate.evaluate import Evaluation, part_of
from bayesmargins.integrate.tabulated.rows import row_table

DRAWS, N, BLOCK = 6, 300, 64
RNG = np.random.default_rng(7)
DATA = pd.DataFrame(
    {
        "y": RNG.integers(0, 2, 60),
        "n": RNG.integers(0, 9, 60),
        "grade": pd.Categorical(RNG.choice(["low", "mid", "top"], 60), ["low", "mid", "top"], ordered=True),
        "x": RNG.normal(size=60),
        "t": RNG.choice(["a", "b", "c"], 60),
        "g": RNG.choice(list("pqrs"), 60),
        "idle": 0.5,
    }
)
ROWS = pd.DataFrame(
    {
        "x": RNG.normal(size=N).round(1),
        "t": RNG.choice(["a", "b", "c"], N),
        "g": RNG.choice(list("pqrs"), N),
        "region": RNG.choice(["north", "east", "south"], N),
        "k": RNG.integers(0, 4, N),
        "w": RNG.uniform(0.0, 2.0, N),
        "idle": 1.0,
    }
)


def posterior(formula: str = "y ~ x * t + (1 + x | g)", family: str = "bernoulli") -> bm.Posterior:
    rng, q = np.random.default_rng(8), 2 if "x | g" in formula else 1
    root = rng.normal(size=(1, DRAWS, q, q))
    return bm.from_draws(
        formula,
        DATA,
        family=family,
        beta=rng.normal(size=(1, DRAWS, 6)) * 0.5,
        b={"g": rng.normal(size=(1, DRAWS, 4, q))},
        Sigma={"g": root @ root.swapaxes(-1, -2) + 0.1 * np.eye(q)},
    )


SLOPE, INTERCEPT = posterior(), posterior("y ~ x * t + (1 | g)")
COUNT = posterior("n ~ x * t + (1 + x | g)", "poisson")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_ROWS", BLOCK)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are."""
    monkeypatch.setattr(passes, "MANY_ROWS", 1)
    monkeypatch.setattr(passes, "MANY_VALUES", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, and the same rows in a folder of files; row groups and files end anywhere."""
    folder = tmp_path_factory.mktemp("rows")
    table = pa.Table.from_pandas(ROWS)
    pq.write_table(table, folder / "rows.parquet", row_group_size=77)
    (folder / "parts").mkdir()
    for k, start in enumerate(range(0, N, 50)):
        pq.write_table(table.slice(start, 50), folder / "parts" / f"{k:03d}.parquet", row_group_size=31)
    return folder


def pieces(frame: pd.DataFrame = ROWS, size: int = 23) -> Iterator[pd.DataFrame]:
    return (frame.iloc[start : start + size] for start in range(0, len(frame), size))


SOURCES: dict[str, Callable[[Path], Any]] = {
    "arrow": lambda folder: pa.Table.from_pandas(ROWS),
    "reader": lambda folder: pa.Table.from_pandas(ROWS).to_reader(max_chunksize=41),
    "file": lambda folder: str(folder / "rows.parquet"),
    "folder": lambda folder: folder / "parts",
    "paths": lambda folder: [str(path) for path in sorted((folder / "parts").iterdir())],
    "paths of a folder": lambda folder: [folder / "parts"],
    "dataset": lambda folder: pyarrow.dataset.dataset(folder / "parts"),
    "lazy": lambda folder: pl.scan_parquet(folder / "rows.parquet"),
    "polars": lambda folder: pl.from_pandas(ROWS),
    "iterator": lambda folder: pieces(),
    "rows one by one": lambda folder: pieces(size=1),
    "list": lambda folder: [*pieces(size=130)],
    "arrow pieces": lambda folder: (pa.Table.from_pandas(piece) for piece in pieces(size=99)),
}
QUESTIONS: dict[str, Callable[[Any], xr.Dataset]] = {
    "mean": lambda rows: bm.avg_predictions(SLOPE, rows),
    "weights": lambda rows: bm.avg_predictions(SLOPE, rows, by="region", wts="w"),
    "at, by two": lambda rows: bm.predictions(SLOPE, rows, by=["t", "k"], at={"x": [0, 1]}),
    "labels": lambda rows: bm.avg_predictions(SLOPE, rows, by={"t": {"c": "one", "a": "other", "b": "other"}}),
    "own": lambda rows: bm.avg_predictions(SLOPE, rows, groups="own", by="g"),
    "zero": lambda rows: bm.avg_predictions(SLOPE, rows, groups="zero"),
    "named": lambda rows: bm.avg_comparisons(SLOPE, "t", newdata=rows, groups={"g": ["q", "s"]}, by="k"),
    "existing": lambda rows: bm.avg_comparisons(SLOPE, "x", newdata=rows, groups="existing", by="region"),
    "difference": lambda rows: bm.avg_comparisons(INTERCEPT, "t", newdata=rows, by="region"),
    "ratio": lambda rows: bm.comparisons(COUNT, "x", newdata=rows, comparison="ratio", by="k", wts="w"),
    "odds": lambda rows: bm.avg_comparisons(SLOPE, {"x": (-300, -299)}, newdata=rows, comparison="lnor"),
    "slopes": lambda rows: bm.avg_slopes(SLOPE, newdata=rows, by="t"),
    "elasticity": lambda rows: bm.avg_slopes(COUNT, "x", newdata=rows, slope="eyex"),
    "second": lambda rows: bm.avg_slopes(SLOPE, "x", newdata=rows, second="t"),
    "tail": lambda rows: bm.avg_predictions(COUNT, rows, target=bm.exceeds(2), by="region"),
    "computed": lambda rows: bm.avg_comparisons(SLOPE, "idle", newdata=rows, at={"x": lambda of: of["idle"] * 2}),
}


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    np.testing.assert_array_equal(one["estimate"].to_numpy(), other["estimate"].to_numpy())
    assert one.coords.equals(other.coords)
    assert one.attrs == other.attrs


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_source_gives_the_same_bits(question: str, folder: Path) -> None:
    frame = QUESTIONS[question](ROWS)
    names = [*SOURCES] if question == "weights" else ["reader", "folder", "iterator"]
    for name in names:
        same(QUESTIONS[question](SOURCES[name](folder)), frame)


@pytest.mark.parametrize("question", ["weights", "difference", "slopes", "existing"])
def test_tables_give_every_source_the_same_bits(question: str, folder: Path, tables: None) -> None:
    frame = QUESTIONS[question](ROWS)
    assert "table" in frame.attrs["integration_method"]
    for name in ("file", "lazy", "iterator"):
        same(QUESTIONS[question](SOURCES[name](folder)), frame)


def test_new_groups_are_drawn_by_label_whatever_the_block(folder: Path) -> None:
    def ask(rows: Any) -> xr.Dataset:
        return bm.avg_predictions(SLOPE, rows, groups="sample", random_seed=4, by="g")

    frame, file = ask(ROWS), ask(folder / "rows.parquet")
    np.testing.assert_array_equal(frame["estimate"].to_numpy(), file["estimate"].to_numpy())
    assert "4 new groups of g, one for each label, drawn" in bm.describe(frame)
    assert "new groups of g, one for each label of the rows, drawn" in bm.describe(file)


@pytest.mark.parametrize("question", QUESTIONS)
def test_blocks_change_last_digits_only(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = QUESTIONS[question](ROWS)
    monkeypatch.setattr(streams, "BLOCK_ROWS", N)
    whole = QUESTIONS[question](ROWS)
    np.testing.assert_allclose(blocks["estimate"], whole["estimate"], rtol=1e-12, atol=1e-15)
    for bound in ("error_bound", "error_estimate"):
        if bound in whole.attrs:
            assert blocks.attrs[bound] <= 1.01 * whole.attrs[bound] + 1e-15


def test_averages_are_the_weighted_means_of_predictions_row_by_row(folder: Path) -> None:
    each = bm.predictions(SLOPE, ROWS)["estimate"].to_numpy()[0]
    found = bm.avg_predictions(SLOPE, folder / "parts", by=["region", "k"], wts="w")
    assert found.sizes["by"] == 12
    for cell in found["by"].values:
        of = found.sel(by=cell)
        here = ((ROWS["region"] == of["region"].item()) & (ROWS["k"] == of["k"].item())).to_numpy()
        w = ROWS["w"].to_numpy()[here]
        np.testing.assert_allclose(of["estimate"].to_numpy()[0], each[:, here] @ w / w.sum(), rtol=1e-12)


def test_relative_slopes_are_means_of_quotients(folder: Path) -> None:
    each = bm.slopes(COUNT, "x", newdata=ROWS, slope="eyex")["estimate"].to_numpy()[0, :, 0]
    found = bm.avg_slopes(COUNT, "x", newdata=folder / "parts", slope="eyex")["estimate"].to_numpy()[0, :, 0]
    np.testing.assert_allclose(found, each.mean(axis=1), rtol=1e-12)


def test_frames_beyond_a_block_of_the_true_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK_ROWS", 2**16)
    frame = ROWS.sample(70_000, replace=True, random_state=1, ignore_index=True)
    each = bm.predictions(INTERCEPT, frame[["x", "t"]])["estimate"].to_numpy()[0]
    found = bm.avg_predictions(INTERCEPT, frame, wts=frame["w"])
    weights = frame["w"].to_numpy()
    np.testing.assert_allclose(found["estimate"].to_numpy()[0], each @ weights / weights.sum(), rtol=1e-12)
    assert found.attrs["rows"] == 70_000
    assert "the 70,000 rows of newdata" in bm.describe(found)
    same(bm.avg_predictions(INTERCEPT, pieces(frame, 10_007)), bm.avg_predictions(INTERCEPT, frame))


def test_categories_have_the_order_of_the_frame(folder: Path) -> None:
    ordered = ROWS.assign(region=pd.Categorical(ROWS["region"], ["south", "north", "east"]))
    pq.write_table(pa.Table.from_pandas(ordered), folder / "ordered.parquet", row_group_size=100)
    frame = bm.avg_predictions(SLOPE, ordered, by="region")
    assert frame["region"].values.tolist() == ["south", "north", "east"]
    for rows in (folder / "ordered.parquet", pieces(ordered)):
        same(bm.avg_predictions(SLOPE, rows, by="region"), frame)


def test_cells_that_only_some_blocks_have(folder: Path) -> None:
    late = ROWS.sort_values("region", ignore_index=True)
    same(bm.avg_predictions(SLOPE, pieces(late), by="region"), bm.avg_predictions(SLOPE, late, by="region"))
    weightless = late.assign(w=np.where(late.index < BLOCK, 0.0, late["w"]))
    counted = weightless[weightless["w"] > 0]
    found = bm.avg_predictions(SLOPE, pieces(weightless), wts="w")["estimate"]
    np.testing.assert_allclose(found, bm.avg_predictions(SLOPE, counted, wts="w")["estimate"], rtol=1e-12)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("post", [SLOPE, INTERCEPT], ids=["surface", "curves"])
def test_what_a_block_gives_depends_on_no_other(post: bm.Posterior) -> None:
    wide = ROWS.assign(x=ROWS["x"] * np.linspace(0.1, 9.0, N))  # each block has another range
    question = ask(post, Given(wide, by="region"), average=True)
    asked = [Pass(()), Pass((), None, ("mean", "complement"), True)]
    blocks = [block for _, block in question.blocks()]
    one = Evaluation(question, 1)
    backwards = [part_of(one, block, asked) for block in reversed(blocks)][::-1]
    row_table.cache_clear()
    for block, part in [*zip(blocks, backwards, strict=True)][1:4:2]:
        alone = part_of(Evaluation(question, 1), block, asked)
        for mine, its in zip(alone.passed, part.passed, strict=True):
            for name in mine.values:
                np.testing.assert_array_equal(mine.values[name], its.values[name])


def test_parts_of_rare_values_keep_their_logarithms() -> None:
    """As the one block of all rows has them: values that are too small for a sum on fixed nodes, and for a float."""
    question = ask(INTERCEPT, Given(ROWS.assign(x=-2000.0 + ROWS["x"])), average=True)
    asked = [Pass((), None, ("mean", "complement"), True)]
    evaluation = Evaluation(question, 1)
    whole = part_of(evaluation, question, asked).passed[0]
    parts = [part_of(evaluation, block, asked) for _, block in question.blocks()]
    total = parts[0]
    for part in parts[1:]:
        total = combined(question, total, part)
    assert whole.logs
    for name in whole.values:
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(total.passed[0].log_of(name), whole.log_of(name), rtol=1e-11, atol=1e-15)


def broken(row: int, **values: Any) -> pd.DataFrame:
    frame = ROWS.copy()
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(
    ("values", "asked", "said"),
    [
        ({"x": np.nan}, {}, "missing values, by column: {'x': 1}"),
        ({"t": "d"}, {}, "'t' has the levels 'd' that the fit has not seen"),
        ({"g": "z"}, {"groups": "own"}, "groups that the fit has not seen: 'z'"),
        ({"w": -1.0}, {"wts": "w"}, "negative or not finite: 1 of 64, such as -1"),
        ({"region": None}, {"by": "region"}, "by=['region']: newdata has missing values"),
        ({"k": 9}, {"by": {"k": {0: "a", 1: "a", 2: "b", 3: "b"}}}, "gives no label to 9"),
    ],
)
def test_a_row_that_is_refused_has_its_number_in_the_source(
    values: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    frame = broken(215, **values)
    with pytest.raises(bm.BayesmarginsError) as error:
        bm.avg_predictions(SLOPE, pieces(frame), **asked)
    assert said in str(error.value)
    assert "rows 192 to 255 of newdata; the first that is refused is row 215, counted from 0" in str(error.value)
    with pytest.raises(type(error.value)) as in_memory:
        bm.avg_predictions(SLOPE, frame, **asked)
    assert "row 215" not in str(in_memory.value)  # all rows are there, and counted


def test_frames_in_memory_count_all_rows() -> None:
    frame = broken(215, x=np.nan)
    frame.loc[3, "x"] = np.nan
    with pytest.raises(bm.DataError, match=r"^2 of 300 rows of newdata have missing values, by column: \{'x': 2\}"):
        bm.avg_predictions(SLOPE, frame)


def test_weights_of_nothing_are_refused_once_all_rows_were_seen() -> None:
    nothing = ROWS.assign(w=np.where(ROWS["region"] == "east", 0.0, 1.0))
    for rows in (nothing, pieces(nothing)):
        with pytest.raises(bm.EstimandError, match="wts='w' add up to 0 in 1 of 3 averages"):
            bm.avg_predictions(SLOPE, rows, by="region", wts="w")


def test_a_missing_column_is_named_beside_those_that_are_there(folder: Path) -> None:
    pq.write_table(pa.Table.from_pandas(ROWS.rename(columns={"t": "T"})), folder / "other.parquet")
    with pytest.raises(bm.DataError, match=r"needs the column 't'.*Did you mean 'T'\?") as error:
        bm.avg_predictions(SLOPE, folder / "other.parquet")
    assert "row 0" not in str(error.value)


@pytest.mark.parametrize("source", ["arrow", "reader", "file", "dataset", "lazy", "iterator"])
@pytest.mark.parametrize(("asked", "meant"), [({"by": "regio"}, "region"), ({"wts": "ww"}, "w")])
def test_a_misspelt_name_is_told_all_columns_of_the_source(
    source: str, asked: dict[str, Any], meant: str, folder: Path
) -> None:
    with pytest.raises(bm.DataError) as error:
        bm.avg_predictions(SLOPE, SOURCES[source](folder), **asked)
    assert f"newdata does not have. Did you mean {meant!r}?" in str(error.value)
    assert {f"{n!r}" for n in ROWS} <= {*str(error.value).partition("It has ")[2].removesuffix(".").split(", ")}


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "row by row": (lambda: bm.predictions(SLOPE, pieces()), "this question needs all of them at once"),
    "shares": (lambda: bm.variance_partition(SLOPE, pieces()), "this question needs all of them at once"),
    "observations": (lambda: bm.posterior_predictive(SLOPE, pieces()), "this question needs all of them at once"),
    "weights": (
        lambda: bm.avg_predictions(SLOPE, pieces(), wts=[1.0] * N),
        r"^wts is list; .* names a column of them\. .* wts='w'\.$",
    ),
    "labels": (lambda: bm.avg_predictions(SLOPE, pieces(), by={"k": str}), "give a dict of value to label"),
    "no path": (lambda: bm.avg_predictions(SLOPE, "nowhere.parquet"), "there is no such file or folder"),
    "no path of several": (
        lambda: bm.avg_predictions(SLOPE, [Path("nowhere.parquet"), "x.parquet"]),
        "newdata='nowhere.parquet': there is no such file or folder",
    ),
    "paths row by row": (lambda: bm.predictions(SLOPE, [__file__]), "newdata is a list of paths, whose rows"),
    "no path row by row": (lambda: bm.predictions(SLOPE, "nowhere.parquet"), "there is no such file or folder"),
    "no path of several row by row": (
        lambda: bm.posterior_predictive(SLOPE, [__file__, "nowhere.parquet"]),
        "newdata='nowhere.parquet': there is no such file or folder",
    ),
    "no frames": (lambda: bm.avg_predictions(SLOPE, iter([])), "has no rows"),
    "numbers": (lambda: bm.avg_predictions(SLOPE, iter([1, 2])), "frame 1 of newdata is int"),
    "columns": (
        lambda: bm.avg_predictions(SLOPE, [ROWS, ROWS.drop(columns="k")]),
        "number 2 and the first differ in 'k'",
    ),
    "twice": (lambda: bm.attenuation(SLOPE, "x", newdata=pieces()), "can be gone through once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_stream_cannot_answer_is_refused_with_the_way_out(case: str) -> None:
    call, said = REFUSED[case]
    with pytest.raises(bm.BayesmarginsError, match=said):
        call()


def test_partitions_of_a_folder_are_columns(folder: Path) -> None:
    ordered = ROWS.sort_values(["region", "k"], kind="stable", ignore_index=True)
    dataset, hive = pa.Table.from_pandas(ordered, preserve_index=False), folder / "hive"
    pyarrow.dataset.write_dataset(
        dataset, hive, format="parquet", partitioning=["region", "k"], partitioning_flavor="hive"
    )
    frame = bm.avg_predictions(SLOPE, ordered, by=["region", "k"], wts="w")
    same(bm.avg_predictions(SLOPE, hive, by=["region", "k"], wts="w"), frame)


def test_a_filtered_dataset_keeps_its_filter(folder: Path) -> None:
    pq.write_table(pa.Table.from_pandas(ROWS, preserve_index=False), folder / "all.parquet")
    dataset = pyarrow.dataset.dataset(folder / "all.parquet")
    some = dataset.filter(pyarrow.dataset.field("x") > 0.0)
    kept = ROWS[ROWS["x"] > 0.0].reset_index(drop=True)
    same(bm.avg_predictions(SLOPE, some, by="t", wts="w"), bm.avg_predictions(SLOPE, kept, by="t", wts="w"))


def test_files_of_other_types_are_read_as_one_type(tmp_path: Path) -> None:
    """Arrow alone reads all files with the types and the columns of the first."""
    whole = ROWS.assign(x=ROWS["x"].where(ROWS.index >= 100, ROWS["x"].round()))
    first, second = whole.iloc[:100], whole.iloc[100:]
    pq.write_table(pa.Table.from_pandas(first.astype({"x": int}).drop(columns="k")), tmp_path / "0.parquet")
    pq.write_table(pa.Table.from_pandas(second.astype({"w": "float32"})), tmp_path / "1.parquet")
    same(bm.avg_predictions(SLOPE, tmp_path, by="t"), bm.avg_predictions(SLOPE, whole, by="t"))
    with pytest.raises(bm.DataError, match=r"missing values, by column: \{'k': 64\}.*row 0, counted from 0"):
        bm.avg_predictions(SLOPE, tmp_path, by="k")


def test_a_file_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    """A missing value in a file that has the column is that alone."""
    first = broken(20, k=None).iloc[:100]
    pq.write_table(pa.Table.from_pandas(first), tmp_path / "0.parquet")
    pq.write_table(pa.Table.from_pandas(ROWS.iloc[100:].drop(columns=["k", "x"])), tmp_path / "1.parquet")
    dataset, paths = pyarrow.dataset.dataset(tmp_path), [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for rows, kind in ((tmp_path, "the parquet folder"), (paths, "the parquet files"), (dataset, "a pyarrow Dataset")):
        with pytest.raises(bm.DataError) as error:
            bm.avg_predictions(SLOPE, rows, by="t")
        assert f"The file 1.parquet has no column 'x', which other files of {kind}" in str(error.value)
        assert "is refused is row 100, counted from 0" in str(error.value)
        with pytest.raises(bm.DataError, match=r"\{'k': 1\}.*is refused is row 20, counted") as error:
            bm.avg_predictions(SLOPE, rows, by="k", at={"x": 0.0})
        assert "The file" not in str(error.value)


@pytest.mark.parametrize("text", [215, 0, 64])
def test_text_among_numbers_is_named_with_its_row(text: int) -> None:
    frame = ROWS.astype({"x": object})
    frame.loc[text, "x"] = "abc"
    said = "starting with 'abc'" if text % BLOCK == 0 else "among them 'abc'"
    halves = [frame.iloc[:100].infer_objects(), frame.iloc[100:].infer_objects()]
    for rows in ((piece.infer_objects() for piece in pieces(frame)), halves):
        with pytest.raises(bm.DataError, match=rf"held numbers at the fit .*{said}.* is row {text}, counted from 0"):
            bm.avg_predictions(SLOPE, rows)


def test_text_in_a_piece_of_csv_is_named_with_its_row(tmp_path: Path) -> None:
    """pandas makes text of all numbers of a piece that holds some."""
    ROWS.assign(x=ROWS["x"].astype(object).where(ROWS.index != 215, "abc")).to_csv(tmp_path / "rows.csv", index=False)
    with (
        pd.read_csv(tmp_path / "rows.csv", chunksize=23) as rows,
        pytest.raises(bm.DataError, match=r"among them 'abc'.* is row 215, counted from 0"),
    ):
        bm.avg_predictions(SLOPE, rows)
    with pytest.raises(bm.DataError, match=r"starting with '-1\.7'.* Convert it with pandas\.to_numeric\..* is row 0,"):
        bm.avg_predictions(SLOPE, pieces(ROWS.astype({"x": str})))


def test_columns_that_pandas_wrote_as_an_index_are_columns(folder: Path) -> None:
    table = pa.Table.from_pandas(ROWS.set_index(["t", "g"]))
    pq.write_table(table, folder / "index.parquet")
    frame = bm.avg_predictions(SLOPE, ROWS, by="t", groups="own")
    for rows in (table, folder / "index.parquet"):
        same(bm.avg_predictions(SLOPE, rows, by="t", groups="own"), frame)
    each = bm.predictions(SLOPE, ROWS, groups="own")
    np.testing.assert_array_equal(bm.predictions(SLOPE, table, groups="own")["estimate"], each["estimate"])


def _broken_off() -> Iterator[pd.DataFrame]:
    yield ROWS
    raise OSError("the network is gone")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (_broken_off, "an iterator of frames, broke off after 300 rows: OSError, the network is gone"),
        (lambda: pl.from_pandas(ROWS).lazy().filter(pl.col("none") > 1), "cannot be opened: ColumnNotFoundError"),
        (lambda: pl.from_pandas(ROWS).lazy().with_columns(x=pl.col("t").cast(int)), "broke off after 0 rows: Invalid"),
        (lambda: "~nobody_of_this_name/rows.parquet", "there is no such file or folder"),
        (lambda: "a" * 300 + ".parquet", "there is no such file or folder"),
        (lambda: "s3://bucket/rows.parquet", "newdata='s3://bucket/rows.parquet': there is no such file"),
        (lambda: iter(()), "An iterator is used up once its rows were read"),
    ],
)
def test_a_source_that_fails_is_named_with_its_reason(rows: Callable[[], Any], said: str) -> None:
    with pytest.raises(bm.DataError) as error:
        bm.avg_predictions(SLOPE, rows())
    assert said in str(error.value)


def test_steps_of_splines_need_all_rows() -> None:
    rng = np.random.default_rng(1)
    post = bm.from_draws("y ~ bs(x, df=4)", DATA, family="bernoulli", beta=rng.normal(size=(1, DRAWS, 5)))
    inside = ROWS.assign(x=0.5 * ROWS["x"].clip(-1, 1))
    with pytest.raises(bm.EstimandError, match=r"give a pair of values, \{'x': \(low, high\)\}"):
        bm.avg_comparisons(post, "x", newdata=pieces(inside))
    asked = {"x": (-0.2, 0.2)}
    same(bm.avg_comparisons(post, asked, newdata=pieces(inside)), bm.avg_comparisons(post, asked, newdata=inside))


def test_a_table_of_arrow_answers_other_questions_as_a_frame() -> None:
    table = pa.Table.from_pandas(ROWS)
    same(bm.predictions(SLOPE, table), bm.predictions(SLOPE, ROWS))
    same(bm.avg_predictions(SLOPE, table, wts=[1.0] * N), bm.avg_predictions(SLOPE, ROWS, wts=[1.0] * N))


def test_attenuation_goes_through_a_file_once_a_policy(folder: Path) -> None:
    frame, file = (bm.attenuation(SLOPE, "x", newdata=rows) for rows in (ROWS, folder / "rows.parquet"))
    np.testing.assert_array_equal(frame["estimate"].to_numpy(), file["estimate"].to_numpy())


def test_only_columns_of_the_question_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    cut = streams._cut

    def noted(frames: Iterator[pd.DataFrame], size: int) -> Iterator[pd.DataFrame]:
        for frame in cut(frames, size):
            read.append(sorted(frame.columns))
            assert len(frame) <= BLOCK
            yield frame

    monkeypatch.setattr(streams, "_cut", noted)
    bm.avg_predictions(SLOPE, folder / "rows.parquet", by="region")
    assert read == [["g", "region", "t", "x"]] * 5


def test_a_result_that_does_not_fit_is_refused_at_the_block_that_makes_it_too_large() -> None:
    seen: list[int] = []

    def counted() -> Iterator[pd.DataFrame]:
        for k, piece in enumerate(pieces(ROWS.assign(k=np.arange(N)), BLOCK)):
            seen.append(k)
            yield piece

    with (
        bm.options(memory=DRAWS * 8 * 100),
        pytest.raises(bm.EstimandError, match=r"6 draws x 128 values, .*options\.memory allows 4800"),
    ):
        bm.avg_predictions(SLOPE, counted(), by="k")
    assert seen == [0, 1]


def test_ctrl_c_ends_the_rows_and_closes_them() -> None:
    closed: list[bool] = []

    def interrupted() -> Iterator[pd.DataFrame]:
        try:
            yield ROWS
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        bm.avg_predictions(SLOPE, interrupted())
    assert closed == [True]


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Interrupts raise, also in a process of pytest-xdist, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("tables", "interrupts")
@pytest.mark.parametrize("when", [1, 2, 3, 7])
@pytest.mark.parametrize("question", ["difference", "existing"])
def test_ctrl_c_while_threads_average_leaves_nothing_half_done(
    question: str, when: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes to one thread while others work; asked again, the same bits come from tables that are whole."""
    whole, threads = QUESTIONS[question](ROWS), {*threading.enumerate()}
    row_table.cache_clear()
    tick, ticks = progress.Progress.tick, list[int]()

    def interrupted(bar: progress.Progress, values: int) -> None:
        ticks.append(values)
        if len(ticks) == when:
            signal.raise_signal(signal.SIGINT)
        tick(bar, values)

    with monkeypatch.context() as patch, bm.options(threads=3):
        patch.setattr(progress.Progress, "tick", interrupted)
        with pytest.raises(KeyboardInterrupt):
            QUESTIONS[question](folder / "parts")
    assert len(ticks) >= when
    assert {*threading.enumerate()} <= threads
    with bm.options(threads=3):
        same(QUESTIONS[question](folder / "parts"), whole)


def test_the_bar_counts_rows_where_nobody_knows_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int | None, str]] = []
    rows = progress.Progress.rows

    def noted(bar: progress.Progress, done: int) -> None:
        rows(bar, done)
        said.append((bar.total, bar.said))

    monkeypatch.setattr(progress.Progress, "rows", noted)
    bm.avg_predictions(SLOPE, pieces())
    assert said[0] == (None, "averaging over groups: 64 rows done")
    assert said[-1] == (None, "averaging over groups: 300 rows done")
    said.clear()
    bm.avg_predictions(SLOPE, [*pieces()])
    assert {total for total, _ in said} == {N * DRAWS}


def test_a_missing_library_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, *rest: Any) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(streams, "import_module", without)
    with pytest.raises(bm.DataError, match=r"pip install 'bayesmargins\[large\]'"):
        bm.avg_predictions(SLOPE, folder / "rows.parquet")
