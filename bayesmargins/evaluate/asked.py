"""What is asked, every argument of it checked: draws, rows, what is done with b, the number; and what a pass gives."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from bayesmargins import streams
from bayesmargins.copies import Setting, Settings
from bayesmargins.design import Design, Response
from bayesmargins.errors import DataError
from bayesmargins.family import OF_ROWS, Link, Outcome, Quantity
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import Target, mean_of, quantity_of
from bayesmargins.grid import Averaging, Scheme, completed
from bayesmargins.groups import Policy
from bayesmargins.integrate import Integral
from bayesmargins.posterior import Posterior
from bayesmargins.values import with_columns

__all__ = ["Asked", "Derivative", "Pass", "Passed", "fields_of"]

Self = TypeVar("Self", bound="Asked")


def fields_of(target: Any, response: Response) -> tuple[str, ...]:
    """What of a left-hand side, by field, a target reads row by row."""
    if isinstance(target, Target):
        return tuple([name for name in target.rows if name in response.given]) if target.of_response else ()
    return ("trials",) if target == "count" else ()


@dataclass(frozen=True)
class Asked:
    """Draws, rows, policy and target."""

    post: Posterior
    frame: pd.DataFrame  # rows the question is about; the first of them where they come from a stream
    stream: streams.Stream | None  # where all rows come from, if they are not in memory
    what: str  # how messages call them
    at: dict[str, list[Any]]  # values by variable
    derived: Settings  # columns that are computed again on every counterfactual copy
    scheme: Scheme  # how rows become the last dimension
    total: Averaging | None  # of all rows, once they were gone through block by block
    policy: Policy  # what is done with b
    target: str | Target  # {"mean", "link", "count"} or Target, what is asked of y; `quantity` has it in averages
    seed: int | None  # of ``"sample"``
    whole: Posterior  # what the user asked: `post` itself, or that of which `post` is a part
    parts: tuple[str, ...]  # parameters with a linear predictor of their own that the numbers depend on beside the mean
    design: Design  # columns and grouping factors of every linear predictor that the numbers depend on
    # which averages over b the target is a sum of; None where it is a number of the distribution of y
    quantity: Quantity | None = field(init=False, repr=False, compare=False)
    # between the linear predictor and the target, where that is the average of one curve
    link: Link = field(init=False, repr=False, compare=False)
    # what of the left-hand side, by field, the numbers depend on row by row
    of_rows: tuple[str, ...] = field(init=False, repr=False, compare=False)
    # a dimension of the result and its labels, where the target is several numbers
    outputs: tuple[str, tuple[Any, ...]] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        post, target = self.post, self.target
        mean = target == "mean"
        quantity = (
            mean_of(post.family, post.link) if mean else quantity_of(target, post.family, post.link, post.categories)
        )
        object.__setattr__(self, "quantity", quantity)
        object.__setattr__(self, "link", post.link if quantity is None else quantity.link)
        object.__setattr__(self, "of_rows", () if mean else fields_of(target, post.design.response))
        labels = None if quantity is None else quantity.categories
        along = target.along if isinstance(target, Target) else None
        object.__setattr__(self, "outputs", along or (None if labels is None else ("category", labels)))

    @cached_property
    def tilted(self) -> bool:
        """Whether it is a mean whose average over new groups of two linear predictors is one over a single one."""
        family, policy = self.post.family, self.policy
        if self.quantity is not None or not isinstance(self.target, ResponseMean) or len(self.parts) != 1:
            return False
        curve, (name,) = family.curve(self.post.link), self.parts
        if family.rest is not None or curve.thinned != name or policy.by_word["existing"]:
            return False
        return curve.tilts(self.post.parts[name].link)

    @cached_property
    def averaging(self) -> Averaging:
        """Cells of the rows: of those in memory, or all of them once they were gone through."""
        return self.scheme.of(self.frame) if self.total is None else self.total

    def blocks(self: Self) -> Iterator[tuple[int, Self]]:
        """The same of a block of rows at a time, and which row is the first; of all at once without an average."""
        if self.stream is None and (not self.scheme.average or len(self.frame) <= streams.BLOCK_ROWS):
            yield 0, self
            return
        start = 0
        for frame in self._frames():
            yield start, self.of_block(start, frame)
            start += len(frame)

    def of_block(self: Self, start: int, frame: pd.DataFrame) -> Self:
        """The same of some rows in memory, of which the first has this number."""
        return replace(self, frame=frame, stream=None, scheme=self.scheme.rows(start, start + len(frame)))

    def _frames(self) -> Iterator[pd.DataFrame]:
        if self.stream is not None:
            yield from (self.prepared(frame) for frame in self.stream.frames)
            return
        for start in range(0, len(self.frame), streams.BLOCK_ROWS):
            yield self.frame.iloc[start : start + streams.BLOCK_ROWS]

    def prepared(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of a stream with the means of their groups, and with columns that `at` stands in for."""
        frame = completed(self.design, frame, self.what)
        return with_columns(frame, {n: v[0] for n, v in self.at.items() if n not in frame.columns})

    @cached_property
    def copies(self) -> list[Settings]:
        """What each combination of `at` values sets, and what is computed again then."""
        each = product(*self.at.values())
        return [(*[Setting(n, v) for n, v in zip(self.at, values, strict=True)], *self.derived) for values in each]

    def laid_out(self, found: list[np.ndarray]) -> np.ndarray:
        """The values of all copies, each (draw, k, [category], group x row or cell), as one array.

        Its axes are draw, k, [category], at..., named groups..., [row or cell].
        """
        shape = [len(v) for v in (*self.at.values(), *self.policy.named.values())]
        stacked = found[0][..., None, :] if len(found) == 1 else np.stack(found, axis=-2)
        stacked = stacked.reshape(*stacked.shape[:-2], *shape, stacked.shape[-1] // self.policy.combinations)
        return stacked if self.averaging.dims else stacked[..., 0]

    def outcome(self, frame: pd.DataFrame) -> Outcome | None:
        """The same of every row where the target is a number of the distribution of y."""
        if not self.of_rows or self.target == "count":
            return None
        return self.observing(frame, self.of_rows)

    def observing(self, frame: pd.DataFrame, fields: Collection[str]) -> Outcome:
        """What the left-hand side says of rows of the frame, by field."""
        read, others = self.post.design.given, [name for name in fields if name != "trials"]
        given: dict[str, Any] = {name: self._possible(name, read(name, frame, self.what)) for name in others}
        return Outcome(**given, trials=self.trials(frame) if "trials" in fields else None)

    def _possible(self, name: str, values: np.ndarray) -> np.ndarray:
        """Known errors and rates of rows; a missing one stops an average."""
        missing = np.isnan(values)
        bad = ~missing & ~((values > 0.0) & np.isfinite(values)) & (name in OF_ROWS)
        if bad.any():
            raise DataError(
                f"{int(bad.sum())} rows of {self.what} have an impossible {name}() such as {values[bad][0]:g}; it is a "
                "finite number above 0."
            )
        self._refuse_unknown(name, missing)
        return values

    def _refuse_unknown(self, name: str, missing: np.ndarray) -> None:
        if missing.any() and self.scheme.average:
            raise DataError(
                f"{int(missing.sum())} of {len(missing)} rows of {self.what} have missing {name}. Fill or drop them."
            )

    def trials(self, frame: pd.DataFrame) -> np.ndarray:
        """Trials of every row: whole numbers; a missing one stops an average."""
        n = self.post.design.trials(frame, self.what)
        missing = np.isnan(n)
        bad = ~missing & ~((n >= 0) & np.isfinite(n) & (n == np.floor(n)))
        if bad.any():
            raise DataError(f"{int(bad.sum())} rows of {self.what} have impossible trials, such as {n[bad][0]:g}.")
        self._refuse_unknown("trials", missing)
        return n


@dataclass(frozen=True)
class Derivative:
    """Which derivative of the mean response?"""

    variable: str  # the variable
    # {"dydx", "eyex", "eydx", "dyex"}, relative to what: an "e" stands for a change relative to the response, or to the
    # variable
    slope: str = "dydx"
    second: str = ""  # the variable of a further derivative; empty without

    @property
    def of_y(self) -> bool:
        """Is the slope divided by the mean response?"""
        return self.slope[0] == "e"

    @property
    def part(self) -> str:
        """What values of it are called."""
        return "second" if self.second else "slope"

    @property
    def of_x(self) -> bool:
        """Is it multiplied by the variable?"""
        return self.slope[2] == "e"


class Pass(NamedTuple):
    """One pass over the rows of a counterfactual copy: its mean response, or a derivative of it."""

    settings: Settings  # what is set on all rows
    of: Derivative | None = None  # which derivative, if it is one
    parts: tuple[str, ...] = ("mean",)  # the mean, or 1 - mean
    tails: bool = False  # whether values that are too small to be divided by are needed as logarithms too


@dataclass
class Passed:
    """What one pass over the rows gives."""

    # (draw, cell): by part of the integrand: ``mean``, ``complement``, ``slope``, ``second``
    values: dict[str, np.ndarray]
    error_bound: float = 0.0  # absolute, of every value before rows are averaged (an average errs by no more)
    methods: set[str] = field(default_factory=set)  # engines that were used
    nodes: int = 0  # most nodes of a rule that were used
    error_estimate: float | None = None  # in place of the bound, where an error is estimated
    # no average of positive values is further than this times itself from the truth; infinite where nobody knows
    relative_bound: float = 0.0
    multiplied: float = 1.0  # the largest number that values were multiplied by
    # (draw, cell): logarithms of values that are too small to be divided by; NaN for the others
    logs: dict[str, np.ndarray] = field(default_factory=dict)
    log_bound: float = 0.0  # of the error of `logs`

    def record(self, integral: Integral, factor: float = 1.0) -> np.ndarray:
        """The values of an integral, with its method and bound put on record (times what they are multiplied by)."""
        self.note(integral.method, integral.error_bound * factor, integral.nodes, integral.relative_bound)
        return integral.value

    def record_log(self, integral: Integral) -> np.ndarray:
        """The same of logarithms."""
        self.note(integral.method, 0.0, integral.nodes)
        self.log_bound = max(self.log_bound, integral.error_bound)
        return integral.value

    def note(self, method: str, error_bound: float, nodes: int = 0, relative_bound: float = np.inf) -> None:
        """Put an engine and the bounds of its error on record."""
        self.error_bound = max(self.error_bound, error_bound)
        if error_bound > 0.0:
            self.relative_bound = max(self.relative_bound, relative_bound)
        self.methods.add(method)
        self.nodes = max(self.nodes, nodes)

    @property
    def wrong(self) -> float:
        """How wrong can a value be? A bound, or an estimate where that is what there is."""
        return self.error_bound if self.error_estimate is None else self.error_estimate

    def log_of(self, part: str) -> np.ndarray:
        """The logarithms of all values of a part."""
        values, logs = np.log(self.values[part]), self.logs.get(part)
        return values if logs is None else np.where(np.isnan(logs), values, logs)

    def relative(self, part: str) -> np.ndarray:
        """How wrong can the values of a part be, relative to themselves?"""
        size = np.abs(self.values[part])
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(size > self.wrong, self.wrong / (size - self.wrong), np.inf)
        if self.error_estimate is None:
            error = np.minimum(error, self.relative_bound)
        logs = self.logs.get(part)
        return error if logs is None else np.where(np.isnan(logs), error, self.log_bound)
