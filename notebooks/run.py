"""`make notebooks`: does every notebook still run from top to bottom, in a fresh kernel?

An error or a failed assertion in any cell ends it with status 1, after all notebooks were tried. Executed copies go to
build/notebooks/, and the stored files stay as they are. `make notebooks KEEP=1` writes the outputs into the stored
files: without times, names of kernels and versions, or random identifiers, and not at all if one shows a path of this
machine. Names as arguments choose notebooks: `python notebooks/run.py 00_first_look`.

Two run at a time, for most of a fit is compiled on one core. Each runs in an empty folder: it may read no file of this
one, and what it leaves behind is its fault alone.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
COPIES = HERE.parent / "build" / "notebooks"
CELL_SECONDS = 600
OF_THE_MACHINE = re.compile(r"/home/|/Users/|/root/|/tmp/|site-packages|\\\\Users")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def main(arguments: list[str] | None = None) -> int:
    """Runs the notebooks, prints a line for each, and returns the exit status: 0 if all ran, 1 if any did not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which notebooks, all by default")
    parser.add_argument("--keep", action="store_true", help="write the outputs into the stored files")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the notebooks lie")
    parser.add_argument("--copies", type=Path, default=COPIES, help="where executed copies go")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at a time")
    options = parser.parse_args(arguments)
    paths = _chosen(options.folder, options.names)
    options.copies.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        ran = pool.map(lambda path: _run(path, options.copies, keep=options.keep), paths)
    failed = [path.name for path, well in zip(paths, ran, strict=True) if not well]
    if failed:
        print(f"{len(failed)} of {len(paths)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _chosen(folder: Path, names: list[str]) -> list[Path]:
    found = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    unknown = [name for name in names if Path(name).stem not in found]
    if unknown or not found:
        sys.exit(f"No notebook {', '.join(unknown)} in {folder}, which has: {', '.join(found) or 'none'}.")
    return [found[Path(name).stem] for name in names] or list(found.values())


def _run(path: Path, copies: Path, *, keep: bool) -> bool:
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        problem = _execute(notebook, Path(folder))
        left = sorted({entry.name for entry in Path(folder).iterdir()} - {"__pycache__"})
    seconds = time.perf_counter() - start
    nbformat.write(notebook, copies / path.name)
    if not problem and left:
        problem = f"it leaves files behind: {', '.join(left)}"
    if not problem and keep:
        problem = _store(notebook, path)
    print(f"{path.name}: {seconds:.0f} s{', FAILED' if problem else ''}", flush=True)
    if problem:
        print(f"{problem}\nThe executed copy is {copies / path.name}", file=sys.stderr, flush=True)
    return not problem


def _execute(notebook: nbformat.NotebookNode, folder: Path) -> str:
    """Fills in the outputs; what went wrong, or an empty text."""
    # No kernel that the user registered: the one of this interpreter.
    kernels = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels),
        extra_arguments=["--log-level=ERROR"],  # or the kernel tells of its local sockets
        timeout=CELL_SECONDS,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    try:
        client.execute()
    except CellExecutionError as error:
        return COLOUR.sub("", str(error)).rstrip()
    except Exception as error:  # the kernel died, or a cell took too long
        return f"{type(error).__name__}: {error}"
    return ""


def _store(notebook: nbformat.NotebookNode, path: Path) -> str:
    """Writes the cleaned notebook, or says what of this machine its outputs show."""
    clean(notebook)
    text = nbformat.writes(notebook)
    outputs = "\n".join(str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code")
    if found := OF_THE_MACHINE.search(outputs):
        around = outputs[max(found.start() - 60, 0) : found.end() + 60]
        return f"its outputs were not stored, because they show a path of this machine: ...{around}..."
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return ""


def clean(notebook: nbformat.NotebookNode) -> None:
    """Takes out of an executed notebook, in place, what differs between machines and runs."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    numbers: dict[str, int] = {}
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [_renumbered(output, numbers) for output in cell.outputs]


def _renumbered(value: Any, numbers: dict[str, int]) -> Any:
    """The same with xarray's random identifiers counted instead, so that a run that changes nothing shows no change."""
    if isinstance(value, dict):
        return nbformat.from_dict({key: _renumbered(entry, numbers) for key, entry in value.items()})
    if isinstance(value, list):
        return [_renumbered(entry, numbers) for entry in value]
    if isinstance(value, str):
        return UUID.sub(lambda m: f"00000000-0000-4000-8000-{numbers.setdefault(m[0], len(numbers)):012x}", value)
    return value


if __name__ == "__main__":
    os.environ.pop("MPLBACKEND", None)  # the kernel shows pictures, whatever the Makefile sets for scripts
    sys.exit(main())
