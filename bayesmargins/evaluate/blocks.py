"""The rows of what is asked, as design rows with b planned: copy by copy, some at a time, repeated ones once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from bayesmargins.copies import Settings, apply_settings
from bayesmargins.design import Design, Rows, derivative_rows, missing_rows, require_columns, second_derivative_rows
from bayesmargins.draws import Draws
from bayesmargins.errors import DataError, GroupsError, warn
from bayesmargins.evaluate.asked import Asked, Derivative
from bayesmargins.evaluate.chunks import Chunk, PartRows, Second, pieces
from bayesmargins.evaluate.exact import linear_blocks
from bayesmargins.grid import Cells, Distinct, repeated_rows
from bayesmargins.groups import Policy, plan_groups
from bayesmargins.posterior import Posterior
from bayesmargins.predictors import acting, joint_covariance

__all__ = ["Blocks", "Copy", "across_of", "distinct_rows"]

_CHUNK_ROWS = 2**16
_CHUNK_LABELS = 2**23  # under "sample" every label of a chunk has a b in every draw


class Blocks:
    """Rows of what is asked, counterfactual copy by copy; what is wrong with them is said once."""

    def __init__(self, asked: Asked, said: set[str] | None = None) -> None:
        post = asked.post
        free = post.is_part and post.link.linear and post.family.parameters[0].between[0] == 0.0
        # what is seen of a parameter that is the target, where it can have values that it should not
        self.asked, self.impossible = asked, Impossible(post.family.name) if free else None
        self.said = set[str]() if said is None else said  # of which the user was told
        self._last: tuple[frozenset[str], Distinct] | None = None

    def copy(self, settings: Settings, of: Derivative | None = None) -> Copy:
        """The rows with variables set, and their derivatives, if one is asked for."""
        asked = self.asked
        if asked.of_rows:
            asked.observing(apply_settings(asked.frame, settings), asked.of_rows)
        read = self._read if of is None or not of.of_x else self._read | {of.variable} & {*asked.frame.columns}
        distinct = self._distinct(read - {s.variable for s in settings if s.step is None})
        if asked.derived:
            self._look_at_computed(apply_settings(asked.frame, settings))
        return Copy(asked, settings, of, distinct, self.impossible)

    def row_by_row(self, settings: Settings) -> Copy:
        """The same with equal rows one by one."""
        return Copy(self.asked, settings, None, Distinct(None, None, self.asked.averaging.cells), self.impossible)

    @cached_property
    def _read(self) -> frozenset[str]:
        """Columns of the frame whose values an answer depends on, where none is set."""
        asked, policy, columns = self.asked, self.asked.policy, self.asked.frame.columns
        design, factors = asked.post.design, asked.post.design.factors
        active = [f for f in policy.active if f in factors]
        names = {*design.variables(active)}
        names |= design.response.variables(asked.of_rows) if asked.of_rows else set()
        names |= _part_variables(asked) if asked.parts else set()
        for factor in [asked.design.factors[f] for f in (*policy.by_word["own"], *policy.by_word["sample"])]:
            names |= set(factor.columns) if all([c in columns for c in factor.columns]) else set()
        return frozenset(names.union(*[factors[f].beside for f in active]).intersection(columns))

    def _distinct(self, read: frozenset[str]) -> Distinct:
        """Once for the copies that read the same columns; with many rows it is large, so the last is kept alone."""
        if self._last is None or self._last[0] != read:
            asked = self.asked
            # what derived columns are computed from nobody knows: every column
            names = sorted(asked.frame.columns if asked.derived else read)
            require_columns(asked.frame, names, asked.what)
            said_apart = asked.post.design.response.variables(asked.of_rows) if asked.of_rows else frozenset()
            mask, counts = missing_rows(asked.frame, sorted(read - said_apart))
            if counts:
                self._refuse_missing(mask, counts)
            self._last = read, repeated_rows(asked.frame, names, asked.averaging.cells)
        return self._last[1]

    def _refuse_missing(self, mask: np.ndarray, counts: dict[str, int]) -> None:
        """An average refuses rows with missing values, a unit-level result keeps them as NaN and says so once."""
        said = f"{int(mask.sum())} of {len(mask)} rows of {self.asked.what} have missing values, by column: {counts}."
        if self.asked.scheme.average:
            raise DataError(f"{said} An average over the others would be of other rows: fill them, or drop them.")
        self._say(said)

    def _look_at_computed(self, frame: pd.DataFrame) -> None:
        """The same of columns that `at` computes: a function without a result gives missing values."""
        mask, counts = missing_rows(frame, [s.variable for s in self.asked.derived])
        if not counts:
            return
        many, what = int(mask.sum()), self.asked.what
        said = f"Columns that at= computes are missing in {many} rows of {what}, by column: {counts}."
        if self.asked.scheme.average:
            way_out = "fill what they are computed from."
            raise DataError(f"{said} An average over the others would be of other rows: {way_out}")
        self._say(said)

    def _say(self, said: str) -> None:
        """Warn of missing values, once."""
        if said not in self.said:
            self.said.add(said)
            warn(f"{said} Their estimates are NaN.")


@dataclass(frozen=True)
class Copy:
    """The different rows of one counterfactual copy: going through it makes chunks of them, afresh each time."""

    asked: Asked
    settings: Settings  # what is set
    of: Derivative | None  # which derivatives the chunks have
    distinct: Distinct  # which rows are different, and their cells
    impossible: Impossible | None  # is shown every chunk

    @property
    def every_row(self) -> np.ndarray | None:
        """Where the value of every row is among those of the different ones, (group x row); None where they are."""
        _, position, cells = self.distinct
        if position is None or not cells.unit:
            return None
        return np.ravel(position + cells.n * np.arange(self.asked.policy.combinations)[:, None])

    def __iter__(self) -> Iterator[Chunk]:
        (first, _, cells), asked = self.distinct, self.asked
        n, size = len(cells.index), _CHUNK_ROWS
        whole = not (asked.policy.named or asked.policy.by_word["existing"])
        if asked.policy.by_word["sample"]:
            size = max(1, min(size, _CHUNK_LABELS // len(asked.post.draws.beta)))
        for start in range(0, n, size):
            block = slice(start, min(start + size, n))
            frame = asked.frame.iloc[block if first is None else first[block]]
            part = replace(cells, index=cells.index[block], share=cells.share[block])
            try:
                chunk = self._chunk(frame, part)
            except (DataError, GroupsError):
                if size < n or first is not None:  # the message shall count and number the user's own rows
                    self._chunk(asked.frame, part)
                raise
            for piece in (chunk,) if whole else pieces(chunk):
                if self.impossible is not None:
                    self.impossible.count(asked.post.draws, piece)
                yield piece

    def _chunk(self, frame: pd.DataFrame, cells: Cells) -> Chunk:
        asked, post = self.asked, self.asked.post
        frame = apply_settings(frame, self.settings)
        beside = (post.first, *asked.parts) if asked.parts else ()
        rows = post.design.rows(frame, asked.policy.active, asked.what)
        plan = plan_groups(asked.policy, post, frame, asked.seed, asked.what, asked.whole, beside)
        multiplier = asked.trials(frame) if asked.target == "count" else None
        outcome = asked.outcome(frame) if asked.of_rows else None
        parts = _part_rows(asked, frame) if asked.parts else ()
        complete = rows.complete & ~plan.missing
        for part in parts:
            complete &= part.rows.complete & ~part.plan.missing
        chunk = Chunk(
            rows=rows,
            plan=plan,
            cells=cells,
            multiplier=multiplier,
            outcome=outcome,
            parts=parts,
            across=across_of(post, asked.parts, asked.policy) if asked.parts else {},
            complete=None if complete.all() else complete,
        )
        return chunk if self.of is None else self._with_derivatives(chunk, frame, self.of)

    def _with_derivatives(self, chunk: Chunk, frame: pd.DataFrame, of: Derivative) -> Chunk:
        d_rows, second = self._derivatives(self.asked.post.design, frame, of, chunk.rows)
        parts = []
        for part in chunk.parts:
            changes, again = self._derivatives(self.asked.post.parts[part.name].design, frame, of, part.rows)
            parts.append(replace(part, d_rows=changes, second=again))
        multiplier = _multiplier(of, frame, chunk.multiplier)
        return replace(chunk, multiplier=multiplier, d_rows=d_rows, second=second, parts=tuple(parts))

    def _derivatives(
        self, design: Design, frame: pd.DataFrame, of: Derivative, rows: Rows
    ) -> tuple[Rows, Second | None]:
        """Derivatives of the design rows of a linear predictor."""
        rest = self.asked.policy.of(design.factors).active, self.asked.what, rows
        d_rows = derivative_rows(design, frame, of.variable, *rest)
        if not of.second:
            return d_rows, None
        changes = derivative_rows(design, frame, of.second, *rest)
        return d_rows, Second(changes, second_derivative_rows(design, frame, of.variable, of.second, *rest))


@dataclass
class Impossible:
    """How often does a parameter that is the target have values that it cannot have, as under an identity link?"""

    name: str  # the parameter
    # pairs, impossible: pairs of a draw and a row that were seen, and those with such values
    pairs: int = 0
    impossible: int = 0
    least: float = 0.0  # the lowest of the values

    def count(self, draws: Draws, chunk: Chunk) -> None:
        """Look at the parameter in these rows, at b = 0 of every factor that is averaged over."""
        for values in linear_blocks(draws, chunk.rows, chunk.plan):
            bad = values <= 0.0
            self.pairs += int(np.isfinite(values).sum())
            self.impossible += int(bad.sum())
            self.least = min(self.least, float(values[bad].min(initial=0.0)))

    def __add__(self, other: Impossible) -> Impossible:
        pairs, impossible = self.pairs + other.pairs, self.impossible + other.impossible
        return Impossible(self.name, pairs, impossible, min(self.least, other.least))

    def told(self) -> None:
        """Warn of it, where there was any."""
        if self.impossible:
            warn(
                f"{self.name!r} has the identity link and is not above 0 in {self.impossible:,} of {self.pairs:,} "
                f"pairs of a draw and a row, down to {self.least:.4g}: y has no distribution there, and these numbers "
                "count as they are. Ask about rows nearer to those of the fit; a log link keeps it above 0."
            )


def distinct_rows(asked: Asked) -> tuple[Rows, np.ndarray, tuple[PartRows, ...]]:
    """All different rows, with z of every factor; what each counts for (row,), sum 1; those of the parameters read."""
    design, frame, what = asked.post.design, asked.frame, asked.what
    names = sorted(design.variables() | _part_variables(asked))
    require_columns(frame, names, what)
    missing, counts = missing_rows(frame, names)
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} of {len(frame)} rows of {what} have missing values, by column: {counts}. An answer "
            "from the others would be of other rows: fill them, or drop them."
        )
    first, _, cells = repeated_rows(frame, names, asked.averaging.cells)
    try:
        some = frame if first is None else frame.iloc[first]
        return design.rows(some, what=what), cells.share, _part_rows(replace(asked, seed=None), some)
    except DataError:
        design.rows(frame, what=what)  # the message shall count and number the user's own rows
        raise


def across_of(post: Posterior, parts: Sequence[str], policy: Policy) -> dict[str, np.ndarray]:
    """Covariances (sample, term, term) over the linear predictors that are read, of factors that are integrated.

    Only where effects on several of them are correlated; terms are those of the mean, then of the parts in order.
    """
    designs = {name: post.predictors[name].design for name in (post.first, *parts)}
    found = {}
    for factor in policy.by_word["new"]:
        names = list(acting(designs, factor))
        if factor in post.across and len(names) > 1:
            found[factor] = joint_covariance(post, factor, names)
    return found


def _part_variables(asked: Asked) -> frozenset[str]:
    """Columns that the parameters read that have a linear predictor of their own."""
    designs = [asked.post.parts[name].design for name in asked.parts]
    return frozenset().union(*[design.variables(asked.policy.of(design.factors).active) for design in designs])


def _part_rows(asked: Asked, frame: pd.DataFrame) -> tuple[PartRows, ...]:
    """What their linear predictors need of these rows."""
    post, policy, what, found = asked.post, asked.policy, asked.what, []
    for name in asked.parts:
        part = post.parts[name]
        active = policy.of(part.design.factors).active
        require_columns(frame, sorted(part.design.variables(active)), what, repr(part.formula))
        rows = part.design.rows(frame, active, what)
        plan = plan_groups(policy, part, frame, asked.seed, what, post, (post.first, *asked.parts))
        found.append(PartRows(post.family.parameter(name), part.draws, part.link, rows, plan))
    return tuple(found)


def _multiplier(of: Derivative, frame: pd.DataFrame, trials: np.ndarray | None) -> np.ndarray | None:
    """What the derivative of a row is multiplied by: the variable, and trials, which cancel where the mean divides."""
    x = frame[of.variable].to_numpy(dtype=np.float64, na_value=np.nan) if of.of_x else None
    if trials is None:
        return x
    factor = np.where(trials == 0, np.nan, 1.0) if of.of_y else trials  # of a count of 0 nothing is a share
    return factor if x is None else x * factor
