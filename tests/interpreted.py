"""PyTensor without a compiler: compiling a graph takes longer than all that a test computes with it."""

from __future__ import annotations

from typing import Any


def interpreted() -> Any:
    """The mode of a function whose graph is rewritten as for a user, and whose operations are NumPy's, one by one."""
    from pytensor.compile.mode import Mode

    return Mode("py", "fast_run").excluding("fusion")


def uncompiled() -> Any:
    """A context where functions that ask for no mode are plain Python."""
    import pytensor

    return pytensor.config.change_flags(mode="FAST_COMPILE", cxx="")
