"""What a session may use and what it is told: memory, threads, progress, and the caution about b = 0."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bayesmargins.checks import switch, whole_number
from bayesmargins.errors import EstimandError, close_matches, shown, written

__all__ = ["Options", "options"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_ENOUGH = 10**18  # bytes: more than any machine has


class Options:
    """How much memory and how many threads may a computation take?

    Attributes
    ----------
    memory : str or int
        Largest result, as ``"4GiB"`` or a number of bytes; a larger one is refused before it is computed.
    threads : int or None
        Threads of the numerical kernels; as many as this process may use cores where None. Results do not depend on it.
    progress : bool
        Whether work of more than two seconds shows a progress bar.
    warn_zero : bool
        Whether the first question at b = 0 under a nonlinear link warns that it is no average over groups.

    Raises
    ------
    EstimandError
        An unknown option, or a value that it cannot have.

    Examples
    --------
    >>> import bayesmargins as bm
    >>> bm.options.memory
    '4GiB'
    >>> with bm.options(threads=1):
    ...     bm.options.threads
    1
    """

    __slots__ = ("memory", "progress", "threads", "warn_zero")
    memory: str | int
    progress: bool
    threads: int | None
    warn_zero: bool

    def __init__(self) -> None:
        super().__setattr__("memory", "4GiB")
        super().__setattr__("threads", None)
        super().__setattr__("progress", True)
        super().__setattr__("warn_zero", True)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__slots__:
            raise EstimandError(
                f"There is no option {name!r}; there are {', '.join(self.__slots__)}."
                f"{close_matches(name, self.__slots__)}"
            )
        _CHECKS[name](value)
        super().__setattr__(name, value)

    def __call__(self, **changed: Any) -> _Restored:
        """Change options: for good, or in a ``with`` block until its end.

        Parameters
        ----------
        **changed
            Options and their values.

        Returns
        -------
        context manager

        Raises
        ------
        EstimandError
            As for setting them one by one; then none is changed.
        """
        before = {name: getattr(self, name) for name in self.__slots__}
        restored = _Restored(self, before)
        try:
            for name, value in changed.items():
                setattr(self, name, value)
        except BaseException:
            restored.__exit__()
            raise
        return restored

    @property
    def bytes(self) -> int:
        """`memory` as a number of bytes."""
        return _bytes(self.memory)

    @property
    def n_threads(self) -> int:
        """`threads`, or else the number of cores that this process may use."""
        if self.threads is not None:
            return self.threads
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed is not None else os.cpu_count() or 1

    def __repr__(self) -> str:
        names = ("memory", "threads", "progress", "warn_zero")
        return f"Options({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


@dataclass(frozen=True)
class _Restored:
    """Puts options back at the end of a block."""

    options: Options
    before: Mapping[str, Any]

    def __enter__(self) -> Options:
        return self.options

    def __exit__(self, *error: object) -> None:
        for name, value in self.before.items():
            setattr(self.options, name, value)


def _bytes(memory: Any) -> int:
    if isinstance(memory, int) and not isinstance(memory, bool) and 0 < memory < _ENOUGH:
        return memory
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]i?)?b?\s*", written(memory).lower())
    size = 0.0 if match is None or isinstance(memory, bool) else float(match[1]) * _UNITS[match[2] or ""]
    if not 1 <= size < _ENOUGH:
        raise EstimandError(
            f"memory={shown(memory)}; it must be a size such as '4GiB' or '500MB', or a number of bytes, "
            "below an exabyte."
        )
    return int(size)


def _threads(value: Any) -> None:
    if value is not None:
        whole_number("threads", value, 1, rest=", or None for all")


_CHECKS: dict[str, Callable[[Any], object]] = {
    "memory": _bytes,
    "threads": _threads,
    "progress": partial(switch, "progress"),
    "warn_zero": partial(switch, "warn_zero"),
}

options = Options()
