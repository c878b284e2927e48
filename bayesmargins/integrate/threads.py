"""Compiled kernels on several threads: each call takes a range of tasks, and tasks know nothing of each other.

numba's own parallel loops would compile two to three times as long, need a threading layer that is safe to enter from
one thread at a time, and set the number of threads for the whole process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from bayesmargins.limits import options

__all__ = ["in_threads"]

_RANGES = 8  # a thread: so that none waits long for the last one


def in_threads(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Run tasks 0, ..., tasks - 1 of a kernel on as many threads as ``bayesmargins.options.threads`` allows.

    ``kernel(first, last, *arguments)`` does the tasks from first to before last, without the interpreter's lock. A
    task writes what no other task reads or writes: results do not depend on the number of threads. What the kernel
    raises first is raised; ranges that nobody has begun are dropped.

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
    ranges = deque((first, min(first + size, tasks)) for first in range(0, tasks, size))

    def work() -> None:
        try:
            while True:
                try:
                    first, last = ranges.popleft()
                except IndexError:
                    return
                kernel(first, last, *arguments)
        except BaseException:
            ranges.clear()
            raise

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(copy_context().run, work) for _ in range(threads - 1)]  # options as here
        work()
    for other in others:
        other.result()
