"""The shape of the package itself: import direction, a light import, file sizes, documented errors."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bayesmargins

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bayesmargins"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Each takes long to import, and most questions asked of a stored result need none of them.
HEAVY = [
    "pymc",
    "pytensor",
    "arviz",
    "arviz_base",
    "arviz_stats",
    "arviz_plots",
    "matplotlib.pyplot",
    "numba",
    "nutpie",
    "jax",
    "numpyro",
]


def _public_functions() -> list[tuple[str, Callable[..., object]]]:
    """The exported functions; classes explain themselves in their own docstrings."""
    exported = [(name, getattr(bayesmargins, name)) for name in sorted(bayesmargins.__all__)]
    return [(name, thing) for name, thing in exported if inspect.isfunction(thing)]


def test_imports_run_downward_only() -> None:
    # The contracts stand in pyproject.toml.
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, bayesmargins; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_exported_name_equals_a_submodule() -> None:
    # `from bayesmargins import x` would mean the function or the module, depending on what was imported before.
    submodules = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    assert submodules.isdisjoint(bayesmargins.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_outgrows_a_reader(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.parametrize(("name", "function"), _public_functions())
def test_every_public_function_says_what_it_raises(name: str, function: Callable[..., object]) -> None:
    docstring = inspect.getdoc(function) or ""
    assert "\nRaises\n------\n" in docstring, f"bayesmargins.{name} has no Raises section"
