"""numba, imported when there is a posterior: who fits or loads one expects to wait, who asks a question does not.

The package itself is imported without numba, which takes half a second with its registries: plots and tables of stored
results need none. A fit has imported it already.
"""

from __future__ import annotations

import contextlib
import sys

__all__ = ["fetch_ahead"]


def fetch_ahead() -> None:
    """Import numba and what it imports itself before its first function, once a process.

    On the caller's thread: numba's modules import each other in circles, and two threads inside them at a time may
    each see half of what the other has done.

    >>> fetch_ahead()
    """
    if "numba.np.arrayobj" in sys.modules:  # numba alone says little: other packages import it and compile nothing
        return
    import numba  # noqa: F401

    # numba's own business, which it may change, and nothing that a caller has asked for: what is really wrong with it
    # shows at the first function, with its own message.
    with contextlib.suppress(Exception):
        from numba.core.registry import cpu_target

        cpu_target.target_context.refresh()
