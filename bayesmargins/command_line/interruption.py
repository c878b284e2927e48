"""Ctrl-C. A sampler that is interrupted returns the draws that it has; a command must not go on with these."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "Interrupted", "stop_if_interrupted", "watch_for_interrupts"]

INTERRUPTED = 130  # the exit code of what Ctrl-C ends
_seen = threading.Event()


class Interrupted(BaseException):
    """Ctrl-C was pressed while something ran that took it for its own."""


@contextmanager
def watch_for_interrupts() -> Iterator[None]:
    """Remember Ctrl-C, whoever catches its KeyboardInterrupt; signals are the main thread's alone."""

    def remember(signum: int, frame: FrameType | None) -> None:
        _seen.set()
        signal.default_int_handler(signum, frame)

    _seen.clear()
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as in the background, or under nohup
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop_if_interrupted() -> None:
    """Raise what ends the command where Ctrl-C was pressed since it began."""
    if _seen.is_set():
        raise Interrupted
