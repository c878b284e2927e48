"""What is evaluated: draws, rows, what is done with b, and the number that is asked for. Every argument is checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bayesmargins import streams
from bayesmargins.copies import Setting, Settings
from bayesmargins.design import Design, Response
from bayesmargins.errors import DataError
from bayesmargins.family import OF_ROWS, Link, Outcome, Quantity
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import Target, quantity_of
from bayesmargins.grid import Averaging, Scheme, completed
from bayesmargins.groups import Policy
from bayesmargins.posterior import Posterior
from bayesmargins.values import with_columns

__all__ = ["Asked", "fields_of"]

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

    @cached_property
    def quantity(self) -> Quantity | None:
        """Which averages over b the target is a sum of; None where it is a number of the distribution of y."""
        return quantity_of(self.target, self.post.family, self.post.link, self.post.categories)

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
    def link(self) -> Link:
        """Link between the linear predictor and the target, where that is the average of one curve."""
        return self.post.link if self.quantity is None else self.quantity.link

    @cached_property
    def averaging(self) -> Averaging:
        """Cells of the rows: of those in memory, or all of them once they were gone through."""
        return self.scheme.of(self.frame) if self.total is None else self.total

    def answered(self: Self, averaging: Averaging) -> Self:
        """The same with the cells of all rows; those of all at once are not looked for where blocks have them."""
        return self if vars(self).get("averaging") is averaging else replace(self, total=averaging)

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

    @cached_property
    def of_rows(self) -> tuple[str, ...]:
        """What of the left-hand side, by field, the numbers depend on row by row."""
        return fields_of(self.target, self.post.design.response)

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
