"""numba, fetched on a thread of its own as soon as there is a posterior: the first question then need not wait for it.

The package itself is imported without numba, which takes half a second with its registries: plots and tables of stored
results need none.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading

__all__ = ["fetch_ahead"]

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
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.registry import cpu_target

        # What numba itself does before it compiles, or loads, its first function. Under its lock: a compilation that
        # began meanwhile would find half of what it knows ("Unknown attribute 'shape' of type array").
        with global_compiler_lock:
            cpu_target.target_context.refresh()


def _wait() -> None:
    for thread in _fetching:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait)
