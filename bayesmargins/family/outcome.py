"""What was observed, and which values it may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "AMOUNTS",
    "BINARY",
    "CATEGORIES",
    "COUNTS",
    "OF_ROWS",
    "ORDERED",
    "POSITIVE",
    "REAL",
    "SUCCESSES",
    "Flags",
    "Outcome",
    "Support",
    "Values",
]

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

OF_ROWS = ("trials", "se", "rate")
"""Fields of an outcome that the distribution of an unseen y depends on."""


class Values(SimpleNamespace):
    """The parameters of y in some rows, each under its own name: ``p.mu``, ``p.sigma``.

    ``p.complement`` is 1 - mu to full relative accuracy where mu is a probability; ``p.eta`` is the linear predictor of
    mu, ``p.link`` its link. In a model of PyMC all but the link are tensors.
    """


@dataclass(frozen=True)
class Outcome:
    """What a left-hand side says of every row: one value a row, or None where it does not say it."""

    # (row,) float: the response; empty where nothing was observed yet
    y: Array = field(default_factory=lambda: np.empty(0))
    trials: Array | None = None  # (row,) float: out of how many trials, for successes
    weights: Array | None = None  # (row,) float: how much each row's log density counts for
    se: Array | None = None  # (row,) float: known standard error of y
    rate: Array | None = None  # (row,) float: the time, or space, in which y was counted
    # (row,) float: -1, 0, 1, 2 for left, not, right and interval censored, and the other end of the interval
    cens: Array | None = None
    y2: Array | None = None
    # (row,) float: between which values y was observed at all
    lb: Array | None = None
    ub: Array | None = None
    # (row, category) float: how often each category was seen, where y says how often all of them
    counts: Array | None = None
    known_error: bool = False  # whether `se` is all the error that y has, and no parameter adds to it

    @classmethod
    def of(cls, response: Any) -> Outcome:
        """What the left-hand side of a design says; the other end of what is no interval is y itself."""
        given = dict(response.beside)
        if "y2" in given and "cens" in given:
            given["y2"] = np.where(given["cens"] == 2.0, given["y2"], response.y)
        return cls(response.y, **given, known_error=response.known_error)

    def events(self) -> Outcome:
        """As compiled rows take it: in place of trials 1 where y is known, and 0 where it is known to be exceeded."""
        return self if self.cens is None else replace(self, trials=1.0 - self.cens, cens=None, y2=None)

    def take(self, which: Any) -> Outcome:
        """The same of some rows."""
        return self._each(lambda values: values[which])

    def tiled(self, times: int) -> Outcome:
        """The same rows, one time after another."""
        return self._each(lambda values: np.tile(values, (times, *[1] * (values.ndim - 1))))

    def _each(self, of: Callable[[Array], Array]) -> Outcome:
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "known_error"}
        made: dict[str, Any] = {k: of(v) for k, v in given.items() if v is not None and np.size(v)}
        return replace(self, **made)

    @property
    def bounded(self) -> bool:
        """Whether y was observed between bounds only."""
        return self.lb is not None or self.ub is not None

    @property
    def partial(self) -> bool:
        """Whether rows say less, or more, than the density of y."""
        return self.cens is not None or self.bounded

    def bounds(self, support: Support) -> tuple[Array, Array]:
        """What y lies above, and what it does not exceed: (row,), infinite where that says nothing."""
        none = np.full(len(self.y), np.inf)
        lb = -none if self.lb is None else self.lb
        low = np.ceil(lb) - 1.0 if support.discrete else lb
        return np.where(lb <= support.lowest, -np.inf, low), none if self.ub is None else self.ub

    def number(self) -> Array | float:
        """Trials; 1 where there are none."""
        return 1.0 if self.trials is None else self.trials

    def reached(self) -> Array:
        """Of an ordered y: the share of rows at or below each category but the last."""
        counts = np.bincount(self.y.astype(np.int64), self.weights)[1:]
        return np.cumsum(counts)[:-1] / counts.sum()


@dataclass(frozen=True)
class Support:
    """Which values may y have?

    Attributes
    ----------
    allowed : str
        In the words of a message.
    holds : callable
        Outcome -> which rows have such a value.
    discrete : bool
        Whether y is a whole number from 0.
    counts_trials : bool
        Whether y counts successes out of trials, and E[y] is trials times mu.
    highest : callable
        Outcome -> the largest value; infinite by default.
    lowest : float
        Below all values of a continuous y; the smallest of a discrete one.
    atoms : tuple of float
        Single values that a continuous y has with a probability above 0.
    """

    allowed: str
    holds: Callable[[Outcome], Flags]
    discrete: bool = False
    counts_trials: bool = False
    highest: Callable[[Outcome], Array | float] = lambda o: np.inf
    lowest: float = -np.inf
    atoms: tuple[float, ...] = ()


def _whole(y: Array) -> Flags:
    return (y >= 0) & (y == np.floor(y)) & np.isfinite(y)


def _successes(o: Outcome) -> Flags:
    n = o.number()
    return _whole(o.y) & (o.y <= n) & (n >= 1) & (n == np.floor(n))


REAL = Support("finite numbers", lambda o: np.isfinite(o.y))
POSITIVE = Support("finite numbers above 0", lambda o: np.isfinite(o.y) & (o.y > 0), lowest=0.0)
AMOUNTS = Support("finite numbers from 0", lambda o: np.isfinite(o.y) & (o.y >= 0), atoms=(0.0,))
BINARY = Support("0 and 1 (or False and True)", lambda o: (o.y == 0) | (o.y == 1), discrete=True, highest=lambda o: 1.0)
SUCCESSES = Support(
    "whole numbers from 0 to the trials of the row, which are at least 1",
    _successes,
    discrete=True,
    counts_trials=True,
    highest=lambda o: o.number(),
)
ORDERED = Support("ordered categories", lambda o: _whole(o.y) & (o.y >= 1.0), discrete=True)
CATEGORIES = Support("categories", ORDERED.holds, discrete=True)
COUNTS = Support("whole numbers from 0", lambda o: _whole(o.y), discrete=True, lowest=0.0)
