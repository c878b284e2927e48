"""What a session may use and is told: memory, threads, progress, the caution about b = 0, and its usual interval."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from bayesmargins.errors import EstimandError, close_matches, shown, written
from bayesmargins.values import is_number, one_of, switch, whole_number

__all__ = ["Options", "in_threads", "options", "too_large"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_ENOUGH = 10**18  # bytes: more than any machine has
_RANGES = 8  # a thread: so that none waits long for the last one


# What the innermost `with` block of this thread has set; None outside of any.
_INSIDE: ContextVar[Mapping[str, Any] | None] = ContextVar("bayesmargins.options", default=None)


class _Option:
    """Reads one option, as this thread sees it."""

    def __init__(self, default: Any) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, options: Options | None, owner: type) -> Any:
        if options is None:
            return self
        inside = _INSIDE.get()
        return inside[self.name] if inside is not None and self.name in inside else options._outside[self.name]


class Options:
    """What holds for the whole session: memory, threads, the sampler, and the interval of tables and pictures?

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
    sampler : {"nutpie", "pymc", "numpyro", "independent"}
        What ``model.fit()`` samples with where it is not told.
    ci_prob : float or None
        Probability of the intervals of tables and pictures that are asked for none, such as 0.95. None, the default,
        is ArviZ's setting, ``arviz_base.rcParams["stats.ci_prob"]`` (0.89).
    ci_kind : {"eti", "hdi"} or None
        Whether they are equal-tailed or highest-density. None is ArviZ's setting (eti).

    Raises
    ------
    EstimandError
        An unknown option, or a value that it cannot have.

    Notes
    -----
    An option that is set holds for the whole process. What a ``with`` block sets, or what is set inside of one, holds
    for the thread (of asyncio the task) that is in the block: no other thread sees it.

    Examples
    --------
    >>> import bayesmargins as bm
    >>> bm.options.memory
    '4GiB'
    >>> with bm.options(threads=1, ci_prob=0.95):
    ...     bm.options.threads, bm.summary(bm.avg_predictions(post)).columns.tolist()
    (1, ['median', 'eti95_lb', 'eti95_ub'])
    """

    __slots__ = ("_lock", "_outside", "_set", "_undecided")
    _lock: threading.Lock
    _set: dict[str, Any]  # for good
    _undecided: list[tuple[weakref.ref[_Block], dict[str, Any]]]  # for good, unless a `with` block enters it
    _outside: Mapping[str, Any]  # both, as any thread sees them that is in no block
    memory = _Option("4GiB")
    bytes = _Option(4 * 2**30)  # of `memory`
    threads = _Option(None)
    progress = _Option(True)
    warn_zero = _Option(True)
    sampler = _Option("nutpie")
    ci_prob = _Option(None)
    ci_kind = _Option(None)

    def __init__(self) -> None:
        object.__setattr__(self, "_lock", threading.Lock())
        object.__setattr__(self, "_set", {name: vars(Options)[name].default for name in (*_CHECKS, "bytes")})
        object.__setattr__(self, "_undecided", [])
        object.__setattr__(self, "_outside", dict(self._set))

    def __setattr__(self, name: str, value: Any) -> None:
        self(**{name: value})

    def __call__(self, **changed: Any) -> _Block:
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
        for name, value in changed.items():
            if name not in _CHECKS:
                raise EstimandError(
                    f"There is no option {name!r}; there are {', '.join(_CHECKS)}.{close_matches(name, _CHECKS)}"
                )
            _CHECKS[name](value)
        if "memory" in changed:
            changed["bytes"] = _bytes(changed["memory"])
        inside = _INSIDE.get()
        block = _Block(self, changed, inside)
        if inside is not None:
            _INSIDE.set({**inside, **changed})
        else:
            with self._lock:
                self._undecided.append((weakref.ref(block), changed))
                self._put_together()
        return block

    def _put_together(self) -> None:
        """What holds outside of blocks, after a change."""
        while self._undecided and self._undecided[0][0]() is None:  # dropped, and never entered: for good
            self._set.update(self._undecided.pop(0)[1])
        undecided = {name: value for _, changed in self._undecided for name, value in changed.items()}
        object.__setattr__(self, "_outside", {**self._set, **undecided})

    def _withdraw(self, block: _Block) -> None:
        """A change that turns out to be that of a block is none of the process."""
        with self._lock:
            self._undecided[:] = [(ref, changed) for ref, changed in self._undecided if ref() is not block]
            self._put_together()

    @property
    def n_threads(self) -> int:
        """`threads`, or else the number of cores that this process may use."""
        if self.threads is not None:
            return self.threads
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed is not None else os.cpu_count() or 1

    def __repr__(self) -> str:
        now = {**self._outside, **(_INSIDE.get() or {})}
        return f"Options({', '.join(f'{name}={now[name]!r}' for name in _CHECKS)})"


@dataclass(frozen=True, eq=False)
class _Block:
    """Options of this thread between its beginning and its end."""

    options: Options
    changed: Mapping[str, Any]
    around: Mapping[str, Any] | None  # what the block around it, if any, had set

    def __enter__(self) -> Options:
        self.options._withdraw(self)
        _INSIDE.set({**(self.around or {}), **self.changed})
        return self.options

    def __exit__(self, *error: object) -> None:
        _INSIDE.set(self.around)


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


def _probability(value: Any) -> None:
    if value is not None and not (is_number(value) and 0 < value < 1):
        raise EstimandError(
            f"ci_prob={shown(value)}; it must lie between 0 and 1, such as 0.95, or be None for ArviZ's."
        )


def _kind(value: Any) -> None:
    if value is not None:
        one_of("ci_kind", value, ("eti", "hdi"))


_CHECKS: dict[str, Callable[[Any], object]] = {
    "memory": _bytes,
    "threads": _threads,
    "progress": partial(switch, "progress"),
    "warn_zero": partial(switch, "warn_zero"),
    "sampler": partial(one_of, "sampler", allowed=("nutpie", "pymc", "numpyro", "independent")),
    "ci_prob": _probability,
    "ci_kind": _kind,
}

options = Options()


def too_large(n_draws: int, n_values: int, way_out: str) -> EstimandError:
    """The refusal of a result that would not fit into memory, with the way out."""
    return EstimandError(
        f"The result would hold {n_draws:,} draws x {n_values:,} values, {n_draws * n_values * 8 / 2**30:.2g} GiB; "
        f"bayesmargins.options.memory allows {options.memory}. {way_out} "
        "Or raise the limit (bayesmargins.options.memory = '8GiB'), or ask for some rows at a time."
    )


def in_threads(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Run tasks 0, ..., tasks - 1 of a kernel on as many threads as ``bayesmargins.options.threads`` allows.

    ``kernel(first, last, *arguments)`` does the tasks from first to before last, without the interpreter's lock. A
    task writes what no other task reads or writes: results do not depend on the number of threads. What the kernel
    raises first is raised; ranges that nobody has begun are dropped. numba's own parallel loops would compile two to
    three times as long, need a threading layer that is safe to enter from one thread at a time, and set the number of
    threads for the whole process.

    >>> done = [0] * 5
    >>> in_threads(lambda first, last, out: out.__setitem__(slice(first, last), range(first, last)), 5, done)
    >>> done
    [0, 1, 2, 3, 4]
    """
    threads = min(options.n_threads, tasks)
    if threads <= 1:
        if tasks > 0:
            kernel(0, tasks, *arguments)
        return
    size = max(1, tasks // (threads * _RANGES))
    ranges = deque(range(0, tasks, size))

    def work() -> None:
        try:
            while True:
                try:
                    first = ranges.popleft()
                except IndexError:
                    return
                kernel(first, min(first + size, tasks), *arguments)
        except BaseException:
            ranges.clear()
            raise

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(copy_context().run, work) for _ in range(threads - 1)]  # options as here
        work()
    for other in others:
        other.result()
