"""numba, fetched on a thread of its own as soon as there is a posterior: the first question then need not wait for it.

The package itself is imported without numba, which takes half a second with its registries: plots and tables of stored
results need none.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading

__all__ = ["await_fetch", "fetch_ahead"]

_lock = threading.Lock()
_fetching: list[threading.Thread] = []


def fetch_ahead() -> None:
    """Begin to import numba in the background, once a process.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Notes
    -----
    What goes wrong here is left to the import that needs it, which will say so. A fork waits for the thread: the child
    would have a module that is imported by halves.

    Examples
    --------
    >>> fetch_ahead()
    """
    with _lock:
        if _fetching or "numba" in sys.modules:
            return
        _fetching.append(threading.Thread(target=_fetch, name="bayesmargins: import numba"))
    _fetching[0].start()


def _fetch() -> None:
    with contextlib.suppress(Exception):
        from numba.core.registry import cpu_target

        cpu_target.target_context.refresh()  # what numba itself does before it compiles, or loads, its first function


def await_fetch() -> None:
    """Let the thread finish before anything is compiled: numba's registries are not made to be filled by two threads.

    Returns
    -------
    None

    Raises
    ------
    Nothing.

    Notes
    -----
    Filled by two at once, a compilation may find them by halves: ``Unknown attribute 'shape' of type array(float64)``.

    Examples
    --------
    >>> await_fetch()
    """
    for thread in _fetching:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=await_fetch)
