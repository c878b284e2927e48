"""Freed memory: kept for the length of a task where a process gives it back at once, and only there."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import pytest

from bayesmargins.freed_memory import freed_memory_kept

TRIM, MAP = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"

# New pages for 100 arrays of 1 MiB, one after the other: before, inside, after.
COUNTED = """
import resource
import numpy as np
from bayesmargins.freed_memory import freed_memory_kept

def pages():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(2**17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

before = pages()
with freed_memory_kept():
    inside = pages()
print(before, inside, pages())
"""


class Library:
    """Stands in for glibc, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, ...]] = []

    def mallopt(self, option: int, value: int) -> int:
        self.told.append((option, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.told.append((pad,))
        return 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: found)
    monkeypatch.delenv(TRIM, raising=False)
    monkeypatch.delenv(MAP, raising=False)
    return found


def test_arrays_inside_take_the_pages_of_those_before_them() -> None:
    if not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("another allocator than glibc's")
    environ = {**os.environ, TRIM: "65536"}
    said = subprocess.run([sys.executable, "-c", COUNTED], env=environ, capture_output=True, text=True, check=True)
    before, inside, after = map(int, said.stdout.split())
    # A hundred arrays against one and what is around it; how many pages the system hands out at a time is its own.
    assert 10 * inside < min(before, after)


def test_what_a_process_was_told_holds_again_when_a_task_is_refused(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRIM, "65536")
    monkeypatch.setenv(MAP, "200000")

    def refused() -> None:
        with freed_memory_kept():
            assert library.told == [(-3, 2**25), (-1, 2**26)]
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        refused()
    assert library.told[2:] == [(-3, 200_000), (-1, 65_536), (0,)]


@pytest.mark.parametrize("said", [None, "", "no number", "1000000000"])
def test_a_process_that_need_not_give_memory_back_early_is_left_alone(
    said: str | None, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    if said is not None:
        monkeypatch.setenv(TRIM, said)
    with freed_memory_kept():
        pass
    assert library.told == []


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_other_allocators_are_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """musl and macOS have no such functions, and Windows opens no library without a name."""

    def opened(name: Any) -> Any:
        if error is AttributeError:
            return object()
        raise error("none")

    monkeypatch.setenv(TRIM, "65536")
    monkeypatch.setattr(ctypes, "CDLL", opened)
    with freed_memory_kept():
        done = True
    assert done
