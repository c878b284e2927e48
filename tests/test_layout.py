"""The shape of the package itself: import direction, a light import, file sizes, documented errors."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

import bayesmargins
from bayesmargins.family import FAMILIES, LINKS

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
    "jinja2",
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


def test_a_file_name_says_where_it_is() -> None:
    """Twice there may be compiled loops of a folder, and one file by which each source of posteriors is entered."""
    names = Counter(path.name for path in SOURCES)
    assert {name for name, n in names.items() if n > 1} == {"__init__.py", "kernels.py", "adapter.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_outgrows_a_reader(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


@pytest.mark.parametrize(("name", "function"), _public_functions())
def test_every_public_function_says_what_it_raises(name: str, function: Callable[..., object]) -> None:
    docstring = inspect.getdoc(function) or ""
    assert "\nRaises\n------\n" in docstring, f"bayesmargins.{name} has no Raises section"


# What a user can reach: what is exported, and the classes of what that gives.
REACHED = {*bayesmargins.__all__, "Check", "Logo", "Margins", "Options", "_Written"}


def long_docstrings(source: str) -> Iterator[str]:
    """What has a docstring with headed sections, which only a user needs, who sees neither its name nor its code."""
    inner: list[ast.AST] = [ast.parse(source)]
    while inner:
        node = inner.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if node.name in REACHED:
                continue
            if re.search(r"^-{4,}$", ast.get_docstring(node) or "", re.MULTILINE):
                yield node.name
        inner += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_no_user_reaches_is_explained_in_a_line_with_shapes(path: Path) -> None:
    assert list(long_docstrings(path.read_text(encoding="utf-8"))) == []


def test_the_test_of_docstrings_sees_a_section() -> None:
    assert list(long_docstrings('def f(x):\n    """What?\n\n    Returns\n    -------\n    int\n    """\n')) == ["f"]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _named_in(tree: ast.Module) -> set[str]:
    """Private names that the classes of a module define, on themselves or on their objects."""
    functions = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return functions | stored | {n.attr for n in ast.walk(tree) if _is_of_self(n) and isinstance(n.ctx, ast.Store)}


def _is_of_self(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls")


# A named tuple's own method, and what numba, Bambi and Python have no public name for.
OF_OTHERS = {"_replace", "_intermediate_data", "_getframe"}
OF_OTHERS |= {"_cache", "_cache_file", "_cache_path", "_impl", "_final_module", "_reload_init"}
OF_OTHERS |= {"_analysis", "_codegen", "_lookup_global", "_tm"}


def private_names_reached(source: str) -> Iterator[str]:
    """Where a text imports, or asks an object for, a private name that another module made."""
    tree = ast.parse(source)
    known = _named_in(tree) | OF_OTHERS
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in known:
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if _is_private(alias.name))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_name_of_another_module_is_reached_into(path: Path) -> None:
    assert list(private_names_reached(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source", ["other._x", "class A(B):\n    def f(self): return self._of_b", "from a import _x", "self.model._x = 1"]
)
def test_the_test_of_private_names_sees_each_way_to_reach(source: str) -> None:
    assert list(private_names_reached(source))


# These are names of functions, coordinates, coefficients and comparisons too; where they are those of one, `.name`
# shows it.
NAMES = {*FAMILIES, *LINKS} - {"log", "identity", "beta", "sequential", "sqrt", "inverse"}


def _constants(node: ast.AST) -> set[object]:
    return {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)}


def _is_name_of_one(node: ast.AST) -> bool:
    """link.name, post.family.name, self.link.code, ..."""
    return any(
        isinstance(inner, ast.Attribute)
        and inner.attr in ("name", "code", "links")
        and ast.unparse(inner.value).split(".")[-1].strip("_") in ("link", "family", "kind", "fam")
        for inner in ast.walk(node)
    )


def names_compared(source: str) -> Iterator[str]:
    """Where a text compares the name of a family or a link, or looks something up by it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
            if any(_is_name_of_one(part) or _constants(part) & NAMES for part in asked):
                yield ast.unparse(node)
        elif isinstance(node, ast.Subscript):
            table = ast.unparse(node.value) in ("LINKS", "FAMILIES")
            if table or _is_name_of_one(node.slice) or _constants(node.slice) & NAMES:
                yield ast.unparse(node)
        elif isinstance(node, ast.Dict):
            if any(_constants(key) & NAMES for key in node.keys if key is not None):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            if any(_is_name_of_one(argument) for argument in node.args):
                yield ast.unparse(node)
        elif isinstance(node, ast.match_case) and (_constants(node.pattern) & NAMES):
            yield ast.unparse(node.pattern)


ELSEWHERE = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0] != "family"]


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_outside_family_asks_for_the_name_of_a_family_or_a_link(path: Path) -> None:
    # Annotations such as Literal["logit"] would be subscripts too; the package has none.
    assert list(names_compared(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        'link.name == "other"',
        'self.link.name in ("identity", "log")',
        'x = {"gaussian": 1}',
        "TABLE[post.family.name]",
        "TABLE.get(link.name, OTHER)",
        'name == "probit"',
        "LINKS[text]",
        "integrand.link.code == 0",
        '(link.name, part) != ("cloglog", "mean")',
    ],
)
def test_the_test_of_names_sees_each_way_to_ask(source: str) -> None:
    assert list(names_compared(source))
