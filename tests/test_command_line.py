"""The command line: it asks what the API asks, writes whole files, and tells a mistake in one line."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
import test_docs
import xarray as xr
from click.testing import CliRunner, Result

import bayesmargins as bm
from bayesmargins.command_line import main
from bayesmargins.command_line import margins as margins_command
from bayesmargins.command_line.named_files import Source
from bayesmargins.command_line.typed import groups_of, items, priors_of, target_of
from bayesmargins.errors import warn

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "command_line.md"
BACTERIA = "yb ~ trt + week + (1 | ID)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, post: bm.Posterior) -> Path:
    """A folder with the saved reference draws and their data."""
    path = tmp_path_factory.mktemp("typed")
    post.save(path / "fit.nc")
    bm.load_dataset("bacteria").to_csv(path / "rows.csv", index=False)
    bm.load_dataset("bacteria").to_csv(path / "semicolons.csv", index=False, sep=";")
    (path / "broken.csv").write_bytes(bytes(range(128, 256)))
    (path / "empty.csv").write_bytes(b"")
    (path / "broken.parquet").write_bytes(b"PAR1 and no more")
    return path


@pytest.fixture
def typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Result]:
    """Runs a line in that folder, in this process."""
    monkeypatch.chdir(folder)

    def run(line: str) -> Result:
        return CliRunner().invoke(main, shlex.split(line))

    return run


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def run_python(*args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, **kwargs)


ASKED: dict[str, Callable[[bm.Posterior], xr.Dataset]] = {
    "comparisons trt": lambda post: bm.avg_comparisons(post, "trt"),
    "comparisons": lambda post: bm.avg_comparisons(post),
    "comparisons trt=pairwise week=0,6": lambda post: bm.avg_comparisons(post, {"trt": "pairwise", "week": (0, 6)}),
    "comparisons trt --by week --groups zero": lambda post: bm.avg_comparisons(post, "trt", by="week", groups="zero"),
    "comparisons trt --comparison ratio --groups existing": lambda post: bm.avg_comparisons(
        post, "trt", comparison="ratio", groups="existing"
    ),
    "comparisons trt --newdata rows.csv --weights week": lambda post: bm.avg_comparisons(
        post, "trt", newdata=pd.read_csv("rows.csv"), wts="week"
    ),
    "predictions --at week=0,2.5 --at trt=all": lambda post: bm.avg_predictions(
        post, at={"week": [0, 2.5], "trt": "all"}
    ),
    "predictions --groups ID=X01,X02 --target 'exceeds(0)'": lambda post: bm.avg_predictions(
        post, groups={"ID": ["X01", "X02"]}, target=bm.exceeds(0)
    ),
    "predictions --rows --groups own": lambda post: bm.predictions(post, groups="own"),
    "predictions --groups sample --seed 3": lambda post: bm.avg_predictions(post, groups="sample", random_seed=3),
    "slopes week --slope eyex --by trt,week": lambda post: bm.avg_slopes(
        post, "week", slope="eyex", by=["trt", "week"]
    ),
    "attenuation trt": lambda post: bm.attenuation(post, "trt"),
    "heterogeneity week=6": lambda post: bm.heterogeneity(post, {"week": 6}),
}


@pytest.mark.filterwarnings("ignore::bayesmargins.BayesmarginsWarning")
@pytest.mark.parametrize("line", ASKED)
def test_a_table_has_the_numbers_of_the_same_call_in_python(
    line: str, typed: Callable[[str], Result], post: bm.Posterior
) -> None:
    printed = done(typed(f"margins fit.nc {line} --csv --ci 0.8 --null 0.1 --point mean --diagnostics")).stdout
    expected = bm.summary(ASKED[line](post), "mean", 0.8, null=0.1, diagnostics=True)
    assert printed == pd.DataFrame(expected).to_csv(lineterminator="\n")


def test_without_csv_the_table_reads_as_in_python(typed: Callable[[str], Result], post: bm.Posterior) -> None:
    assert done(typed("margins fit.nc slopes week")).stdout == f"{bm.summary(bm.avg_slopes(post, 'week'))}\n"


def test_each_ending_is_written_as_what_it_says(
    typed: Callable[[str], Result], post: bm.Posterior, tmp_path: Path
) -> None:
    endings = ("nc", "csv", "md", "html", "tex", "png", "svg")
    outs = {ending: tmp_path / f"result.{ending}" for ending in endings}
    outs["csv"].write_text("older")
    result = done(typed("margins fit.nc comparisons trt --digits 3 " + " ".join(f"--out {p}" for p in outs.values())))
    ds = bm.avg_comparisons(post, "trt")
    table = bm.table(ds, digits=3)
    xr.testing.assert_identical(xr.load_dataset(outs["nc"], engine="h5netcdf")["estimate"], ds["estimate"])
    assert bm.describe(xr.load_dataset(outs["nc"], engine="h5netcdf")) == bm.describe(ds)
    assert outs["csv"].read_text() == pd.DataFrame(bm.summary(ds)).to_csv(lineterminator="\n")
    written = {"md": table.to_markdown(), "html": table.to_html(), "tex": table.to_latex()}
    assert {ending: outs[ending].read_text() for ending in written} == {k: f"{v}\n" for k, v in written.items()}
    assert outs["png"].read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in outs["svg"].read_text()
    assert result.stderr.splitlines() == [f"Written: {path}" for path in outs.values()]
    assert sorted(tmp_path.iterdir()) == sorted(outs.values())


def test_a_fit_that_was_typed_is_the_fit_of_the_same_call(typed: Callable[[str], Result], tmp_path: Path) -> None:
    out = tmp_path / "typed.nc"
    line = f"fit rows.csv '{BACTERIA}' --family bernoulli --levels trt=drug,placebo,drug+ --label 'week=weeks of drug'"
    result = done(typed(f"{line} --sampler independent --draws 50 --tune 20 --chains 2 --seed 4 --out {out}"))
    rows = bm.load_dataset("bacteria").assign(
        trt=lambda d: d["trt"].cat.reorder_categories(["drug", "placebo", "drug+"])
    )
    model = bm.GLMM(BACTERIA, bm.label(rows, {"week": "weeks of drug"}), family="bernoulli")
    expected = model.fit(50, 20, 2, 4, "independent", progressbar=False)
    found = bm.load(out)
    xr.testing.assert_equal(found.beta, expected.beta)
    assert dict(found.labels) == {"week": "weeks of drug"}
    assert result.stdout == f"{bm.summary(expected)}\n"
    said = result.stderr.splitlines()
    assert (said[0], said[-1]) == (f"GLMM {BACTERIA}", f"Written: {out}")
    assert not any("\r" in line or "\x1b" in line for line in said)  # no bar where nobody looks


def test_a_fit_replaces_no_file_that_was_not_named(
    typed: Callable[[str], Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bm.GLMM, "fit", test_docs._stored_fit)
    before = (folder / "fit.nc").read_bytes()
    result = typed(f"fit bacteria '{BACTERIA}' --family bernoulli")
    assert (result.exit_code, (folder / "fit.nc").read_bytes()) == (2, before)
    assert "--out fit.nc" in result.stderr


MISTAKES = {
    "fti": "Did you mean 'fit'?",
    "fit": "Missing argument 'DATA'",
    "fit rows.csv": "Missing argument 'FORMULA'",
    "fit nothere.csv 'y ~ x' --out a.nc": "There is no file 'nothere.csv'",
    "fit toenali 'y ~ x' --out a.nc": "Did you mean 'toenail'?",
    "fit . 'y ~ x' --out a.nc": "'.' is a folder",
    "fit fit.nc 'y ~ x' --out a.nc": "ends in '.nc'",
    "fit broken.csv 'y ~ x' --out a.nc": "'broken.csv' cannot be read as a table",
    "fit empty.csv 'y ~ x' --out a.nc": "'empty.csv' cannot be read as a table: No columns",
    "fit broken.parquet 'y ~ x' --out a.nc": "'broken.parquet' cannot be read as a table",
    "fit semicolons.csv 'y ~ x' --out a.nc": "--separator ';'",
    "fit rows.csv 'yb ~ trtt + (1 | ID)' --out a.nc": "Did you mean 'trt'",
    "fit rows.csv 'yb ~ trt + (1 | ID' --out a.nc": "left open",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --family bernouli --out a.nc": "Did you mean 'bernoulli'?",
    "fit rows.csv 'week ~ trt + (1 | ID)' --family bernoulli --out a.nc": "week",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --draws many --out a.nc": "'many' is not a valid integer",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --draws 0 --out a.nc": "0 is not in the range",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --seed -1 --out a.nc": "-1 is not in the range",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --sampler gibbs --out a.nc": "'gibbs' is not one of",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --chain 3 --out a.nc": "--chains",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --as-category wek --out a.nc": "Did you mean 'week'?",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --levels trt=drug --out a.nc": "'drug', 'drug+', 'placebo'",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --levels trt --out a.nc": "is no NAME=VALUE",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --label wek=weeks --out a.nc": "wek",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --prior 'beta=Normal(0, x)' --out a.nc": "numbers, or texts in quotes",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --prior beta=wide --out a.nc": "neither a number nor a distribution",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --out missing/a.nc": "the folder 'missing' does not exist",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --out rows.csv/a.nc": "the folder 'rows.csv' does not exist",
    "fit rows.csv 'yb ~ trt + (1 | ID)' --out a.txt": "ends in '.txt'",
    "margins": "Missing argument 'FIT'",
    "margins nothere.nc comparisons": "bayesmargins fit DATA FORMULA --out nothere.nc",
    "margins rows.csv comparisons": "is data and no saved fit",
    "margins toenail comparisons": "is data and no saved fit",
    "margins . comparisons": "'.' is a folder",
    "margins fit.nc comparson": "Did you mean 'comparisons'?",
    "margins fit.nc comparisons trtt": "Did you mean 'trt'?",
    "margins fit.nc comparisons trt week=6": "give each its change",
    "margins fit.nc comparisons trt=1 trt=2": "names 'trt' twice",
    "margins fit.nc comparisons trt --groups nwe": "Did you mean 'new'?",
    "margins fit.nc comparisons trt --groups ID=X0": "'X0'",
    "margins fit.nc comparisons trt --ci 89": "89",
    "margins fit.nc comparisons trt --ci wide": "'wide' is not a valid float",
    "margins fit.nc comparisons trt --by sx": "'sx'",
    "margins fit.nc comparisons trt --slope eyex": "--slope does not go with comparisons",
    "margins fit.nc attenuation trt --groups new": "--groups does not go with attenuation",
    "margins fit.nc attenuation trt --rows": "--rows does not go with attenuation",
    "margins fit.nc heterogeneity": "needs a variable",
    "margins fit.nc predictions week": "--at week=1,2",
    "margins fit.nc predictions --at week": "is no NAME=VALUE",
    "margins fit.nc predictions --target 'exceds(2)'": "Did you mean 'exceeds'?",
    "margins fit.nc predictions --target 'exceeds(x)'": "numbers, or texts in quotes",
    "margins fit.nc predictions --newdata nothere.csv": "There is no file 'nothere.csv'",
    "margins fit.nc predictions --out a.xls": "ends in '.xls'",
    "margins fit.nc predictions --out missing/a.csv": "the folder 'missing' does not exist",
    "check nothere.nc": "There is no file 'nothere.nc'",
    "check fit.nc --out a.md": "ends in '.md'",
    "report nothere.nc": "There is no file 'nothere.nc'",
    "report rows.csv": "no FORMULA follows",
    "report fit.nc --family poisson --draws 7": "--family, --draws would come too late",
    "report fit.nc --effects trtt": "Did you mean 'trt'?",
    "report fit.nc --out a.pdf": "ends in '.pdf'",
    "report fit.nc --out missing/a.html": "the folder 'missing' does not exist",
    f"report bacteria '{BACTERIA}' --family bernoulli --effects trtt": "Did you mean 'trt'?",
    "datasets toenali": "Did you mean 'toenail'?",
    "datasets --out a.csv": "without the NAME",
    "datasets toenail --out a.xls": "ends in '.xls'",
    "demo --folder rows.csv/demo --draws 0": "0 is not in the range",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(line: str, typed: Callable[[str], Result], folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = typed(line)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert MISTAKES[line] in result.stderr
    assert sorted(folder.iterdir()) == before


def test_parquet_without_pyarrow_names_the_package(
    typed: Callable[[str], Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for line in (f"fit broken.parquet '{BACTERIA}' --out a.nc", "datasets epil --out a.parquet"):
        result = typed(line)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "pip install pyarrow" in result.stderr
    assert not (folder / "a.parquet").exists()


def test_a_fault_of_the_program_is_no_mistake_of_the_user(
    typed: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setitem(margins_command._AVERAGED, "predictions", fault)
    result = typed("margins fit.nc predictions")
    assert isinstance(result.exception, RuntimeError)
    assert result.exit_code == 1


def test_a_warning_is_one_line_beside_the_table(
    typed: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warning(post: bm.Posterior) -> xr.Dataset:
        warn("mind\n   this")
        return bm.avg_predictions(post)

    monkeypatch.setitem(margins_command._AVERAGED, "predictions", warning)
    result = done(typed("margins fit.nc predictions"))
    assert result.stderr == "Warning: mind this\n"
    assert result.stdout.startswith("Probability")


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C reaches this process, as in a terminal; what starts tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("swallowed", [False, True])
def test_an_interrupted_command_writes_nothing(
    swallowed: bool, typed: Callable[[str], Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(post: bm.Posterior) -> xr.Dataset:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if not swallowed:
                raise
        return bm.avg_predictions(post)

    monkeypatch.setitem(margins_command._AVERAGED, "predictions", interrupted)
    before = signal.getsignal(signal.SIGINT)
    result = typed("margins fit.nc predictions --out a.csv")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Interrupted.\n")
    assert not (folder / "a.csv").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interruption_that_is_ignored_stays_so(
    typed: Callable[[str], Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(post: bm.Posterior) -> xr.Dataset:
        signal.raise_signal(signal.SIGINT)
        return bm.avg_predictions(post)

    monkeypatch.setitem(margins_command._AVERAGED, "predictions", interrupted)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert typed("margins fit.nc predictions --out a.csv").exit_code == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert (folder / "a.csv").exists()


@pytest.mark.usefixtures("heard")
def test_an_interruption_that_is_lost_comes_again(
    typed: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(post: bm.Posterior) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            time.sleep(60)

    monkeypatch.setattr("bayesmargins.command_line.interruption._AGAIN", 0.05)
    monkeypatch.setitem(margins_command._AVERAGED, "predictions", deaf)
    start = time.monotonic()
    assert typed("margins fit.nc predictions").exit_code == 130
    assert time.monotonic() - start < 30


def test_strict_checks_say_by_their_exit_code_whether_something_was_found(
    typed: Callable[[str], Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found(SimpleNamespace):
        def __str__(self) -> str:
            return "sentences"

    for findings, strict, code in ((["a"], "--strict", 3), (["a"], "", 0), ([], "--strict", 0)):
        asked: dict[str, Any] = {}

        def check(post: bm.Posterior, findings: list[str] = findings, **given: Any) -> Found:
            asked.update(given)  # noqa: B023
            return Found(findings=findings)

        monkeypatch.setattr(bm, "check", check)
        result = typed(f"check fit.nc --by trt --seed 5 {strict}")
        assert (result.exit_code, result.stdout) == (code, "sentences\n")
        assert asked == {"by": ["trt"], "random_seed": 5}


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet"])
def test_data_of_each_ending_are_the_same_rows(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{ending}"
    expected = bm.load_dataset("epilepsy")
    if ending == "csv.gz":
        expected.to_csv(path, index=False)
    else:
        done(CliRunner().invoke(main, ["datasets", "epilepsy", "--out", str(path)]))
    typed = Source(str(path), as_category=("Trt",), levels=("visit=4,3,2,1",))
    frame = typed.read()
    np.testing.assert_array_equal(frame["count"], expected["count"])
    np.testing.assert_allclose(frame["zBase"], expected["zBase"], rtol=1e-15)
    assert frame["Trt"].cat.categories.tolist() == ["0", "1"]
    assert frame["visit"].cat.categories.tolist() == ["4", "3", "2", "1"]
    assert frame["visit"].tolist() == expected["visit"].tolist()
    pd.testing.assert_frame_equal(eval(typed.code(frame), {"pd": pd, "bm": bm}), frame)


def test_codes_beside_missing_ones_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("ward;x\n10;0,5\n;1,5\n9;2\n")
    frame = Source(str(path), separator=";", decimal=",", as_category=("ward",)).read()
    assert frame["ward"].tolist()[::2] == ["10", "9"]
    assert frame["ward"].cat.categories.tolist() == ["9", "10"]
    assert (frame["ward"].isna().tolist(), frame["x"].tolist()) == ([False, True, False], [0.5, 1.5, 2.0])


def test_what_is_typed_becomes_what_python_takes() -> None:
    assert items('a, "b, c",d') == ["a", "b, c", "d"]
    assert groups_of(("new",)) == "new"
    assert groups_of(("item=own", "id=A,B", "site=C")) == {"item": "own", "id": ["A", "B"], "site": ["C"]}
    assert (target_of("sigma"), target_of(None)) == ("sigma", None)
    assert repr(target_of("quantile(q=0.9)")) == repr(bm.quantile(0.9))


def test_priors_that_were_typed_are_those_of_pymc(uncompiled: None) -> None:
    priors = priors_of(["beta=Normal(0, sigma=1.5)", "sd=HalfNormal(2)"])
    said = str(bm.GLMM(BACTERIA, bm.load_dataset("bacteria"), family="bernoulli", priors=priors))
    assert re.search(r"beta ~ Normal\(mu=0, sigma=1\.5\)", said)
    assert re.search(r"sd_ID ~ HalfNormal\(sigma=2\)", said)
    assert priors_of(["cor=2"]) == {"cor": 2}
    for text, words in (("Normall(0)", "Did you mean 'Normal'"), ("Normal(0, 1, 2, 3)", "PyMC says")):
        with pytest.raises(click.UsageError, match=re.escape(words)):
            priors_of([f"beta={text}"])


def test_data_sets_are_listed_and_described() -> None:
    listed = done(CliRunner().invoke(main, ["datasets"])).stdout
    assert [line.split()[0] for line in listed.splitlines() if line[0] != " "] == bm.list_datasets()["name"].tolist()
    described = done(CliRunner().invoke(main, ["datasets", "kidney"])).stdout
    assert described == bm.load_dataset("kidney").attrs["description"] + "\n"


# -- what is shown as an example -----------------------------------------------------------------------------------


def parsed(line: str) -> click.Context:
    """A line, read as far as it can be without running it."""
    name, *rest = shlex.split(line.split(" > ")[0].split(" && ")[0])
    assert name == "bayesmargins", line
    command = main.commands[rest[0]]
    return command.make_context(rest[0], rest[1:])


HELP = {name: re.sub(r"\\\n\s*", "", str(command.epilog)) for name, command in main.commands.items()}
EXAMPLES = [line.strip() for text in (HELP | {"": str(main.epilog)}).values() for line in text.splitlines()]
EXAMPLES = [line for line in EXAMPLES if line.startswith("bayesmargins ")]
SHOWN = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_each_command_has_examples_in_its_help() -> None:
    for name in main.commands:
        text = done(CliRunner().invoke(main, [name, "--help"])).stdout
        assert f"bayesmargins {name}" in text.split("Examples:")[1]


@pytest.mark.parametrize("line", [*EXAMPLES, *SHOWN])
def test_an_example_can_be_typed(line: str) -> None:
    assert parsed(line).params


@pytest.mark.usefixtures("_user_machine")
def test_the_lines_of_the_page_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def stored(self: bm.GLMM, *args: Any, **kwargs: Any) -> bm.Posterior:
        return test_docs._stored_fit(self)

    monkeypatch.setattr(bm.GLMM, "fit", stored)
    for line in SHOWN:
        typed = shlex.split(line.split(" > ")[0])[1:]
        done(CliRunner().invoke(main, typed))
        written = [typed[k + 1] for k, word in enumerate(typed) if word in ("--out", "--save-fit")]
        assert all(Path(path).stat().st_size for path in written), line


_user_machine = test_docs._user_machine


# -- in a process of their own -------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = """
        import sys
        from bayesmargins.command_line import main
        for args in ([], ["--help"], ["--version"], ["fit", "--help"], ["margins", "--help"], ["report", "--help"]):
            try:
                main(args)
            except SystemExit as end:
                assert end.code == 0, args
        print(*[m for m in ("pymc", "numba", "matplotlib.pyplot", "arviz", "nutpie", "h5py") if m in sys.modules])
    """
    done = run_python("-c", textwrap.dedent(code))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ""


def test_the_module_runs_as_the_command_does(folder: Path) -> None:
    done = run_python("-m", "bayesmargins", "margins", "fit.nc", "predictions", "--csv", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(",median,eti89_lb,eti89_ub\n")
    wrong = run_python("-m", "bayesmargins", "margins", "nothere.nc", "predictions", cwd=folder)
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)


def test_a_reader_who_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        command = [sys.executable, "-m", "bayesmargins", "datasets"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_killed_while_it_writes_it_leaves_the_older_file(folder: Path, tmp_path: Path) -> None:
    # fsync comes last before a file gets its name: at that point all of it is written, elsewhere.
    code = """
        import os, sys, time
        from bayesmargins.command_line import main

        def stopped(descriptor):
            print(os.fstat(descriptor).st_size, file=sys.__stderr__, flush=True)
            time.sleep(600)

        os.fsync = stopped
        main(sys.argv[1:])
    """
    older, newer = tmp_path / "older.nc", tmp_path / "newer.csv"
    older.write_bytes(b"older")
    for path in (older, newer):
        command = [sys.executable, "-c", textwrap.dedent(code), "margins", "fit.nc", "predictions", "--out", str(path)]
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        with process.stderr as said:
            assert int(said.readline()) > 0
            process.kill()
        assert process.wait() == -signal.SIGKILL
    assert older.read_bytes() == b"older"
    assert not newer.exists()
    for path in (older, newer):  # and the next one takes away what was left behind
        done(CliRunner().invoke(main, ["margins", str(folder / "fit.nc"), "predictions", "--out", str(path)]))
    assert sorted(tmp_path.iterdir()) == [newer, older]
