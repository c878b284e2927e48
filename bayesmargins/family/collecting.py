"""What the files of a folder define: a link or a family is one file there, and stands in no list."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

__all__ = ["collected"]

Kind = TypeVar("Kind")


def collected(package: str, path: Iterable[str], kind: type[Kind]) -> dict[str, Kind]:
    """By name, the objects of this kind that the modules of a package define."""
    modules = [import_module(f"{package}.{found.name}") for found in iter_modules(path)]
    defined = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {thing.name: thing for thing in defined.values() if isinstance(thing, kind)}  # type: ignore[attr-defined]
