"""Ctrl-C. A sampler that is interrupted returns the draws that it has; a command must not go on with these."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "stop_if_interrupted", "watch_for_interrupts"]

INTERRUPTED = 130  # the exit code of what Ctrl-C ends
_AGAIN = 1.0  # seconds
_seen = threading.Event()


@contextmanager
def watch_for_interrupts() -> Iterator[None]:
    """Remember Ctrl-C, and repeat it until it ends the block: a compiler that calls back into Python swallows it."""
    _seen.clear()
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as in the background, or under nohup
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def again() -> None:
        if not over.wait(_AGAIN):
            _interrupt_main()

    def remember(signum: int, frame: FrameType | None) -> None:
        _seen.set()
        threading.Thread(target=again, daemon=True).start()
        signal.default_int_handler(signum, frame)

    before, told = signal.signal(signal.SIGINT, remember), sys.unraisablehook

    def quietly(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            told(unraisable)

    sys.unraisablehook = quietly
    try:
        yield
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = told


def _interrupt_main() -> None:
    """A signal wakes what sleeps, where a thread can be sent one."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def stop_if_interrupted() -> None:
    """End the command where Ctrl-C was pressed since it began."""
    if _seen.is_set():
        raise KeyboardInterrupt
