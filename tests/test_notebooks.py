"""`notebooks/run.py`, on notebooks made here: it fails where it should, and keeps only what a reader should see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "notebooks" / "run.py"
CELLS = {
    "error": ["x = 1", "assert x == 2, 'x is not two'"],
    "leaves": ["open('left.txt', 'w').close()"],
    "paths": ["print('/home/' + 'someone')"],
    "fine": [
        "import matplotlib.pyplot as plt, uuid\nname = uuid.uuid4()\nprint(name, uuid.uuid4(), name)",
        "plt.plot([1, 2])\nplt.show()",
    ],
}


def _write(folder: Path, name: str, cells: list[str]) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    stale = {"execution_count": 9, "metadata": {"execution": {"iopub.status.busy": "2020-01-01T00:00:00Z"}}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell, **stale) for cell in cells]), folder / f"{name}.ipynb")


def _call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), "--folder", str(folder), "--copies", str(folder / "copies"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "agg"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebooks")
    for name, cells in CELLS.items():
        _write(folder, name, cells)
    (folder / "copies").mkdir()
    return folder


@pytest.fixture(scope="module")
def before(folder: Path) -> dict[str, str]:
    return {name: (folder / f"{name}.ipynb").read_text(encoding="utf-8") for name in CELLS}


@pytest.fixture(scope="module")
def kept(folder: Path, before: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return _call(folder, "--keep")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error", "AssertionError: x is not two"),
        ("leaves", "it leaves files behind: left.txt"),
        ("paths", "its outputs were not stored, because they show a path of this machine"),
    ],
)
def test_a_notebook_that_fails_is_named_and_its_file_left_alone(
    name: str, message: str, folder: Path, before: dict[str, str], kept: subprocess.CompletedProcess[str]
) -> None:
    assert kept.returncode == 1
    assert f"{name}.ipynb:" in kept.stdout
    assert message in kept.stderr
    assert "3 of 4 failed: error.ipynb, leaves.ipynb, paths.ipynb" in kept.stderr
    assert (folder / f"{name}.ipynb").read_text(encoding="utf-8") == before[name]


def test_stored_outputs_hold_the_picture_and_neither_times_nor_random_names(
    folder: Path, kept: subprocess.CompletedProcess[str]
) -> None:
    stored = json.loads((folder / "fine.ipynb").read_text(encoding="utf-8"))
    assert stored["metadata"]["language_info"] == {"name": "python"}
    assert [cell["execution_count"] for cell in stored["cells"]] == [1, 2]
    assert [cell["metadata"] for cell in stored["cells"]] == [{}, {}]
    printed = "".join(stored["cells"][0]["outputs"][0]["text"]).split()
    assert [name[-1] for name in printed] == ["0", "1", "0"]
    assert "image/png" in stored["cells"][1]["outputs"][-1]["data"]


def test_without_keep_the_copy_has_the_outputs_and_the_file_stays(tmp_path: Path) -> None:
    _write(tmp_path, "one", ["print(1 + 1)"])
    (tmp_path / "copies").mkdir()
    text = (tmp_path / "one.ipynb").read_text(encoding="utf-8")
    done = _call(tmp_path, "one")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "one.ipynb").read_text(encoding="utf-8") == text
    assert json.loads((tmp_path / "copies" / "one.ipynb").read_text())["cells"][0]["outputs"][0]["text"] == ["2\n"]


def test_a_notebook_that_is_not_there_is_refused_with_those_that_are(folder: Path) -> None:
    done = _call(folder, "nine")
    assert done.returncode == 1
    assert "No notebook nine in" in done.stderr
    assert "error, fine, leaves, paths" in done.stderr
