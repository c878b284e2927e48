"""Memory that a task frees and asks for again: kept from the first to the last array of it, then given back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["freed_memory_kept"]

_TRIM, _MAP = "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"  # which glibc reads when a process starts
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_MAPPED = 2**17  # from so many bytes on glibc maps an array, where nothing else is said
_LARGEST = 2**25  # the most that it comes to by itself, as arrays of that size are freed; it then trims at twice that


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """In a process that is told to give freed memory back at once, it waits in here for the next array.

    dask tells its workers so, for their limits of memory count what the process has. glibc then maps each array of more
    than 128 KiB afresh, and the system clears its pages again: 15,000 for a block of rows, of which no more than 5,000
    are in use at a time. In here, glibc has the thresholds that it would find itself. They belong to the whole process,
    so they are set for one task only, and what is free at its end goes back. Elsewhere nothing is changed: where nobody
    has set a threshold (a call would stop glibc from finding it), and where the allocator is another.
    """
    trim, mapped = _set_to(_TRIM, None), _set_to(_MAP, _MAPPED)
    libc = None if trim is None or mapped is None else _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_M_MMAP_THRESHOLD, max(mapped, _LARGEST))
    libc.mallopt(_M_TRIM_THRESHOLD, max(trim, 2 * _LARGEST))
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_THRESHOLD, mapped)
        libc.mallopt(_M_TRIM_THRESHOLD, trim)
        libc.malloc_trim(0)


def _set_to(variable: str, otherwise: int | None) -> int | None:
    """A threshold of the environment; None where it is no number, which glibc ignores or reads in ways of its own."""
    said = os.environ.get(variable)
    if said is None:
        return otherwise
    return int(said) if said.isascii() and said.isdigit() else None


def _glibc() -> Any:
    """The C library of this process if it has both calls: glibc has, musl and those of macOS and Windows have not."""
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
