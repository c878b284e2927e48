"""A progress bar for work that takes longer than anybody waits for without wondering."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from bayesmargins.limits import options

__all__ = ["Progress", "shared"]

_PATIENCE = 2.0  # seconds


@dataclass(eq=False)
class Progress(AbstractContextManager["Progress"]):
    """How much of the work is done? Shown on stderr once it has taken two seconds."""

    total: int | None  # values; None where nobody knows
    what: str = "averaging over groups"
    said: str = ""  # in place of that, once more is known
    done: int = 0
    start: float = field(default_factory=time.monotonic)
    bar: Any = None  # once it is shown

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def tick(self, values: int) -> None:
        """So many more values are done."""
        self.done += values
        if self.bar is None and time.monotonic() - self.start > _PATIENCE and options.progress:
            self.bar = self._shown()
        if self.bar is not None:
            done = self.done if self.total is None else min(self.done, self.total)
            self.bar.update(self.bar.task_ids[0], completed=done, description=self.said or self.what)

    def rows(self, done: int) -> None:
        """So many rows are done: the bar says so where the total is not known."""
        if self.total is None:
            self.said = f"{self.what}: {done:,} rows done"

    def _shown(self) -> Any:
        from rich.console import Console
        from rich.progress import Progress as Bar

        console = Console(file=sys.stderr)
        # Without ipywidgets rich draws nothing in a notebook, and warns of it.
        drawn = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        bar = Bar(console=console, transient=True, disable=not drawn)
        bar.add_task(self.what, total=self.total)
        bar.start()
        return bar


def shared(tick: Callable[[int], None], times: int) -> Callable[[int], None]:
    """What is told of work that is done so many times over: a value counts once all of them are done."""
    left = 0

    def told(values: int) -> None:
        nonlocal left
        done, left = divmod(left + values, times)
        tick(done)

    return told
