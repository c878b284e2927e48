"""Memory that a task frees and asks for again: kept until the task ends, then given back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["freed_memory_kept"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_MAPPED = 2**17  # glibc maps an array of so many bytes or more, where nothing else is said
_LARGEST = 2**25  # to which glibc would raise that, as arrays are freed; it would keep twice as much


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """In here, what is freed waits for the next array, in a process that is told to give all back at once.

    dask tells its workers so, by MALLOC_TRIM_THRESHOLD_, because it limits the memory that they have. glibc then stops
    to adapt itself: it maps each array of 128 KiB or more and unmaps it, and the system hands out cleared pages each
    time. A block of rows asks for 15,000 pages in that way, and has no more than 5,000 at a time. In here glibc has the
    thresholds that it would come to by itself. They hold for all of the process, so they are set for one task, and at
    its end what is free goes back. Nothing is done where no variable is set, for glibc never adapts itself again once
    it was told a threshold, nor where the allocator is another.
    """
    trim, mapped = _told("MALLOC_TRIM_THRESHOLD_", 2 * _LARGEST), _told("MALLOC_MMAP_THRESHOLD_", _MAPPED)
    libc = _glibc() if trim < 2 * _LARGEST else None
    if libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_THRESHOLD, max(mapped, _LARGEST))
    libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_THRESHOLD, mapped)
        libc.mallopt(_M_TRIM_THRESHOLD, trim)
        libc.malloc_trim(0)


def _told(variable: str, otherwise: int) -> int:
    """Bytes that the environment says; `otherwise` where it says none."""
    said = os.environ.get(variable, "")
    return int(said) if said.isascii() and said.isdigit() else otherwise


def _glibc() -> Any:
    """The C library, where it has both calls: glibc has; musl, macOS and Windows have not."""
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
