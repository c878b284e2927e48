"""How many threads the compiled kernels use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bayesmargins.limits import options

__all__ = ["limited_threads"]


@contextmanager
def limited_threads() -> Iterator[None]:
    """Use as many threads as ``bayesmargins.options.threads`` says, and leave numba's own setting as it was.

    Returns
    -------
    context manager

    Raises
    ------
    Nothing.
    """
    if options.threads is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(options.threads, vars(numba.config)["NUMBA_NUM_THREADS"]))
    try:
        yield
    finally:
        numba.set_num_threads(before)
