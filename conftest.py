"""What every doctest and test may use: a stored posterior under the name `post`, and pictures without a screen."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "tests"))


def pytest_configure() -> None:
    """The caution about b = 0 is said once a process, and which test would hear it depends on their order."""
    # Models and compiled loops are many objects that live long. By default a sixth of the time goes into looking
    # through them for garbage.
    gc.set_threshold(20_000, 20, 20)
    import bayesmargins as bm

    bm.options.warn_zero = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that fit first, then those of many tests, doctests last: no process is left with a long file at the end."""
    count = Counter(item.path for item in items)
    samples = {item.path for item in items if item.get_closest_marker("sampling")}
    items.sort(key=lambda item: (isinstance(item, pytest.DoctestItem), item.path not in samples, -count[item.path]))


def pytest_collection_finish() -> None:
    """What is there now stays to the end: it need not be looked through again."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def post() -> Any:
    """The stored draws of bacteria, unless a file has a `post` of its own."""
    import reference

    return reference.posterior("b_bacteria")


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
