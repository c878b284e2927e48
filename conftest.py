"""What every doctest and test may use: a stored posterior under the name `post`, and pictures without a screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "tests"))


def pytest_configure() -> None:
    """The caution about b = 0 is said once a process, and which test would hear it depends on their order."""
    import bayesmargins as bm

    bm.options.warn_zero = False


@pytest.fixture(autouse=True)
def _names_of_doctests(request: pytest.FixtureRequest, doctest_namespace: dict[str, object]) -> None:
    if request.node.__class__.__name__ != "DoctestItem":
        return
    import bayesmargins as bm

    doctest_namespace.update({name: getattr(bm, name) for name in bm.__all__} | {"bm": bm})
    doctest_namespace["post"] = _of_doctests()


@cache
def _of_doctests() -> Any:
    """A copy of their own: what joins it (a prior), no test meets."""
    import reference

    return reference.posterior.__wrapped__("b_bacteria")


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Draws of a prior and the like come from plain Python."""
    from interpreted import uncompiled

    with uncompiled():
        yield


@pytest.fixture(autouse=True)
def _pictures_are_closed() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        import matplotlib.pyplot as plt

        plt.close("all")
