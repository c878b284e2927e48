"""Work on the workers of a running `distributed.Client`: blocks of rows and draws, in order.

Where a worker is lost, dask runs its tasks again elsewhere; results of memory that runs short are spilled by dask.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol
from uuid import uuid4

import pandas as pd

from bayesmargins.design import to_pandas
from bayesmargins.errors import BayesmarginsError, BayesmarginsWarning, shown, warn
from bayesmargins.freed_memory import freed_memory_kept
from bayesmargins.limits import options

__all__ = ["Pieces", "Task", "Work", "checked_client", "done_by_workers", "pieces_of", "running_client"]

_ATTEMPTS = 5  # times that what all workers share is sent anew, where no worker was there or all that had it were lost
_AT_WORK: dict[str, Any] = {}  # in a worker: what it keeps from block to block
_KEPT = 2  # of these, the latest
_ONE_AT_A_TIME = threading.Lock()  # in a worker: a block has all of its threads


class Work(Protocol):
    """What is done with every block: sent to each worker once."""

    def begin(self) -> Any:
        """What a worker makes once, and keeps from block to block."""

    def step(self, kept: Any, start: int, frame: pd.DataFrame | None, *given: Any) -> Any:
        """What a task gives; its first row has the number `start`."""


@dataclass(frozen=True)
class Task:
    """A block of rows, and what else of dask's is computed for it."""

    start: int  # number of the first row
    frames: Sequence[Any] = ()  # delayed partitions that it takes rows of; none where the rows do not come with it
    takes: Sequence[tuple[int, int]] = ()  # which rows of each
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Pieces:
    """Rows of a dask DataFrame: a delayed frame a partition, and how many rows each has."""

    client: Any
    frames: Sequence[Any]
    rows: Sequence[int]

    def tasks(self, size: int) -> list[Task]:
        """A block of rows each, in their order."""
        return [
            Task(start, [self.frames[k] for k, *_ in takes], [(low, high) for _, low, high in takes])
            for start, takes in self.blocks(size)
        ]

    def blocks(self, size: int) -> list[tuple[int, list[tuple[int, int, int]]]]:
        """The first row of each block, and of which partitions it takes which rows."""
        ends = list(accumulate(self.rows))
        starts, total, first = [0, *ends[:-1]], ends[-1], 0
        blocks = []
        for start in range(0, total, size):
            stop = min(start + size, total)
            while ends[first] <= start:
                first += 1
            k, takes = first, []
            while k < len(ends) and starts[k] < stop:
                if self.rows[k]:
                    takes.append((k, max(start - starts[k], 0), min(stop, ends[k]) - starts[k]))
                k += 1
            blocks.append((start, takes))
        return blocks


def checked_client(client: Any, refused: type[BayesmarginsError]) -> Any:
    """A client of dask's that waits for its results; None stays None."""
    if client is None:
        return None
    try:
        from distributed import Client
    except ImportError:
        raise refused(
            "client= needs the package distributed, which is not installed: pip install 'bayesmargins[large]'."
        ) from None
    if not isinstance(client, Client) or client.asynchronous:
        what = "an asynchronous client" if isinstance(client, Client) else shown(client)
        raise refused(f"client is {what}; it must be a distributed.Client, such as Client(n_workers=4), or None.")
    if client.status in ("closing", "closed"):
        raise refused(
            "client is closed, or its cluster is: make it anew, distributed.Client(...), or leave client= out."
        )
    return client


def running_client() -> Any:
    """The client that dask's own collections would use; None where there is none, or this is a worker."""
    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        client = default_client()
    except ValueError:
        return None
    return None if client.asynchronous else client


def pieces_of(client: Any, frame: Any) -> Pieces:
    """A dask DataFrame as its partitions, of which a column is read once to count their rows."""
    from dask.delayed import delayed

    count = delayed(len, pure=False)
    rows = client.compute([count(piece) for piece in frame[[frame.columns[0]]].to_delayed()])
    return Pieces(client, frame.to_delayed(), client.gather(rows))


def done_by_workers(client: Any, work: Work, tasks: Sequence[Task]) -> Iterator[Any]:
    """What each task gives, in their order; what a block was refused for is raised here."""
    from distributed import CancelledError

    told = set[str]()
    done, attempts = 0, 0
    while done < len(tasks):
        before = done
        try:
            for found, said in _results(client, work, tasks[done:]):
                for message in said:
                    _tell(message, told)
                if isinstance(found, BaseException):
                    raise found
                done += 1
                yield found
        except CancelledError:  # data are gone that no task can make again
            attempts = 1 if done > before else attempts + 1
            if attempts > _ATTEMPTS:
                raise


def _results(client: Any, work: Work, tasks: Sequence[Task]) -> Iterator[tuple[Any, list[str]]]:
    from dask.delayed import delayed

    token = uuid4().hex
    shared = _shared(client, work)
    step = delayed(_step, pure=False)
    each = [(task.start, [*task.frames], [*task.takes], [*task.given]) for task in tasks]
    futures = client.compute([step(shared, token, *of) for of in each])
    try:
        for k, future in enumerate(futures):
            yield future.result()
            futures[k] = None  # dask may forget it
            future.release()
    finally:
        client.cancel([future for future in futures if future is not None])


def _shared(client: Any, work: Work) -> Any:
    """What all workers share; where all were lost, dask starts others, and a busy machine takes its time for that."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(TimeoutError):  # no worker in half a minute, the setting distributed.comm.timeouts.connect
            return client.scatter(work, broadcast=True, hash=False)
    return client.scatter(work, broadcast=True, hash=False)


def _step(
    work: Work,
    token: str,
    start: int,
    frames: Sequence[Any],
    takes: Sequence[tuple[int, int]],
    given: Sequence[Any],
) -> Any:
    """On a worker: what a task gives, or what it was refused for, and what was warned of."""
    from distributed import get_worker

    threads = int(get_worker().state.nthreads)
    with (
        _ONE_AT_A_TIME,
        freed_memory_kept(),
        options(threads=threads, progress=False),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always", BayesmarginsWarning)
        try:
            rows = [to_pandas(frame.iloc[low:high]) for frame, (low, high) in zip(frames, takes, strict=True)]
            frame = pd.concat(rows, ignore_index=True) if rows else None
            found = work.step(_kept(work, token), start, frame, *given)
        except Exception as error:  # it would be refused again
            found = error
    return found, [str(w.message) for w in caught if issubclass(w.category, BayesmarginsWarning)]


def _kept(work: Work, token: str) -> Any:
    if token not in _AT_WORK:
        for old in list(_AT_WORK)[: len(_AT_WORK) + 1 - _KEPT]:
            del _AT_WORK[old]
        _AT_WORK[token] = work.begin()
    return _AT_WORK[token]


def _tell(message: str, told: set[str]) -> None:
    if message not in told:
        told.add(message)
        warn(message)
