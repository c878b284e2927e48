"""Averages block by block: what one block of rows gives (chunk), two together (combine), and the answer (finalise).

A block's averages and total weights depend on its rows and the posterior alone, so that it does not matter where, or
after which others, it is evaluated; blocks are put together in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from bayesmargins.clusters import done_by_workers
from bayesmargins.counterfactuals import Settings
from bayesmargins.errors import BayesmarginsError
from bayesmargins.evaluate.asked import Asked
from bayesmargins.evaluate.blocks import Blocks, Derivative, Impossible
from bayesmargins.evaluate.chunks import Passed
from bayesmargins.evaluate.evaluate import Evaluation
from bayesmargins.grid import Averaging
from bayesmargins.posterior import Posterior
from bayesmargins.streams import BLOCK_ROWS

__all__ = ["Answer", "Part", "Pass", "answer_to", "combined", "part_of"]

Q = TypeVar("Q", bound=Asked)


class Pass(NamedTuple):
    """One pass over the rows of a counterfactual copy: its mean response, or a derivative of it.

    Attributes
    ----------
    settings : tuple of Setting
        What is set on all rows.
    of : Derivative or None
        Which derivative, if it is one.
    parts : tuple of {"mean", "complement"}
        The mean, or 1 - mean.
    tails : bool
        Whether values that are too small to be divided by are needed as logarithms too.
    """

    settings: Settings
    of: Derivative | None = None
    parts: tuple[str, ...] = ("mean",)
    tails: bool = False


@dataclass(frozen=True)
class Part:
    """What a block of rows gives, or several together.

    Attributes
    ----------
    averaging : Averaging
        Its cells, with their total weights.
    passed : list of Passed
        One a pass: averages of each cell.
    impossible : Impossible or None
        What was seen of values that a parameter should not have.
    """

    averaging: Averaging
    passed: list[Passed]
    impossible: Impossible | None


@dataclass(frozen=True)
class Answer(Generic[Q]):
    """What was asked, with the cells of all rows, and what the draws say to it.

    Attributes
    ----------
    asked : Asked
    passed : list of Passed
        Of every pass, in order.
    found : dict of Passed
        The same by pass.
    """

    asked: Q
    passed: list[Passed]
    found: dict[Pass, Passed]

    def slopes(self, settings: Settings, of: Derivative) -> np.ndarray:
        """(draw, [output], group x row or cell)."""
        return self.found[Pass(settings, of)].values[of.part]


def answer_to(asked: Q, passes: Sequence[Pass], fits: Callable[[int], None]) -> Answer[Q]:
    """What do the draws say in these passes? All rows go through once, a block at a time.

    Parameters
    ----------
    asked : Asked
    passes : sequence of Pass
        Different ones.
    fits : callable
        ``fits(cells)`` refuses a result that has too many.

    Raises
    ------
    BayesmarginsError
        Rows that the design, the groups or an average cannot take.
    """
    total: Part | None = None
    with Evaluation(asked, sum([len(p.parts) for p in passes])) as evaluation:
        for part in _parts(asked, evaluation, passes, fits):
            if total is None:
                total = part
            else:
                total = combined(asked, total, part)
                fits(total.averaging.cells.n)
            if asked.stream is not None:
                evaluation.progress.rows(total.averaging.rows)
        assert total is not None
        if not total.averaging.totals.all():
            asked.scheme.refuse_empty(total.averaging)
        evaluation.impossible = total.impossible
    return Answer(asked.answered(total.averaging), total.passed, dict(zip(passes, total.passed, strict=True)))


def _parts(asked: Asked, evaluation: Evaluation, passes: Sequence[Pass], fits: Callable[[int], None]) -> Iterator[Part]:
    """Of each block of rows, in their order."""
    if asked.stream is not None and asked.stream.pieces is not None:
        fits(asked.averaging.cells.n)  # of the first block: its like are made elsewhere
        yield from done_by_workers(asked.stream.pieces, OnWorkers.of(asked, passes), BLOCK_ROWS)
        return
    for start, block in asked.blocks():
        try:
            fits(block.averaging.cells.n)
            part = part_of(evaluation, block, passes)
        except BayesmarginsError:
            if block is not asked:
                _refuse(asked, passes, start, block)
            raise
        yield part


@dataclass(frozen=True)
class OnWorkers:
    """What workers of a cluster do with a block of rows; tables of integrals are made once a worker."""

    asked: Asked
    passes: Sequence[Pass]

    @classmethod
    def of(cls, asked: Asked, passes: Sequence[Pass]) -> OnWorkers:
        """The question without what a block needs nothing of: other rows, and b of groups that are averaged over."""
        assert asked.stream is not None
        idle = frozenset(asked.policy.factors("new") + asked.policy.factors("zero"))
        post = _lean(asked.post, idle)
        whole = post if asked.whole is asked.post else _lean(asked.whole, idle)
        stream = replace(asked.stream, frames=iter(()), pieces=None)
        return cls(replace(asked, post=post, whole=whole, frame=asked.frame.head(1), stream=stream), passes)

    def begin(self) -> Evaluation:
        """What makes tables, and keeps them from block to block."""
        return Evaluation(self.asked, len(self.passes))

    def step(self, kept: Evaluation, start: int, frame: pd.DataFrame) -> Part:
        """What one block gives."""
        block = self.asked.of_block(start, self.asked.prepared(frame))
        try:
            return part_of(kept, block, self.passes)
        except BayesmarginsError:
            _refuse(self.asked, self.passes, start, block)
            raise


def _lean(post: Posterior, idle: frozenset[str]) -> Posterior:
    parts = {name: _lean(part, idle) for name, part in post.parts.items()}
    b = {name: values for name, values in post.b.items() if name not in idle}
    return replace(post, b=b, parts=parts, sample_stats=None, origin=None)


def part_of(evaluation: Evaluation, block: Asked, passes: Sequence[Pass]) -> Part:
    """What does one block give? `evaluation` keeps tables from block to block, which change no digit of it."""
    if block is not evaluation.asked:
        evaluation.turn_to(block)
    passed = [
        evaluation.values(p.settings, p.parts, p.tails) if p.of is None else evaluation.slopes(p.settings, p.of)
        for p in passes
    ]
    return Part(block.averaging, passed, evaluation.impossible)


def combined(asked: Asked, one: Part, other: Part) -> Part:
    """Two parts as one: averages of averages, by their total weights."""
    averaging, *places = asked.scheme.together(one.averaging, other.averaging)
    groups, n = asked.named_groups, averaging.cells.n
    weight = np.where(averaging.totals > 0.0, averaging.totals, 1.0)
    each = []
    for part, place in zip((one, other), places, strict=True):
        shares = np.zeros(n)
        shares[place] = part.averaging.totals / weight[place]
        where = (np.arange(groups)[:, None] * n + place).ravel()
        each.append((np.tile(shares, groups), where))
    passed = [_together(a, b, *each) for a, b in zip(one.passed, other.passed, strict=True)]
    impossible = one.impossible and other.impossible and one.impossible + other.impossible
    return Part(averaging, passed, impossible)


Share = tuple[np.ndarray, np.ndarray]  # of each cell of both, and where the cells of one are among them


def _together(one: Passed, other: Passed, own: Share, others: Share) -> Passed:
    estimated = one.error_estimate is not None or other.error_estimate is not None
    out = Passed(
        {name: _spread(one.values[name], *own) + _spread(other.values[name], *others) for name in one.values},
        error_bound=max(one.error_bound, other.error_bound),
        methods=one.methods | other.methods,
        nodes=max(one.nodes, other.nodes),
        error_estimate=max(one.wrong, other.wrong) if estimated else None,
        relative_bound=max(one.relative_bound, other.relative_bound),
        multiplied=max(one.multiplied, other.multiplied),
        log_bound=max(one.log_bound, other.log_bound),
    )
    for name in one.logs | other.logs:
        _add_logs(out, name, ((one, *own), (other, *others)))
    return out


def _spread(values: np.ndarray, shares: np.ndarray, where: np.ndarray) -> np.ndarray:
    """What values (..., cell) of some cells count for among all: 0 where there are none."""
    out = np.zeros((*values.shape[:-1], len(shares)))
    out[..., where] = values * shares[where]
    return out


def _add_logs(out: Passed, name: str, each: Sequence[tuple[Passed, np.ndarray, np.ndarray]]) -> None:
    """Logarithms where one of the two is too small to be divided by; the other one may be known less well."""
    total = np.full(out.values[name].shape, -np.inf)
    rare = np.zeros(total.shape, dtype=bool)
    for passed, shares, where in each:
        with np.errstate(divide="ignore"):
            total[..., where] = np.logaddexp(total[..., where], passed.log_of(name) + np.log(shares[where]))
        rare[..., where] |= ~np.isnan(passed.logs.get(name, np.nan))
    for passed, _, where in each:
        error = passed.relative(name)[rare[..., where]]
        out.log_bound = max(out.log_bound, float(np.max(error, where=np.isfinite(error), initial=0.0)))
    out.logs[name] = np.where(rare, total, np.nan)


def _refuse(asked: Asked, passes: Sequence[Pass], start: int, block: Asked) -> None:
    """Say again what is wrong with a block: of all rows where they are in memory, else with the number of the row."""
    if asked.stream is None:
        _look(asked, passes)
        return
    # with the columns that were not read, so that a message knows them
    frame = block.frame.reindex(columns=list(dict.fromkeys([*block.frame, *asked.stream.columns])))

    def wrong(first: int, last: int) -> BayesmarginsError | None:
        try:
            _look(asked.of_block(start + first, frame.iloc[first:last]), passes)
        except BayesmarginsError as found:
            return found
        return None

    error, none, some = wrong(0, len(frame)), 0, len(frame)
    if error is None:  # in evaluation itself
        return
    if all(str(wrong(k, k + 1)) == str(error) for k in (0, len(frame) - 1)):  # a column, not a row
        raise error from None
    while some - none > 1:
        middle = (none + some) // 2
        none, some = (none, middle) if wrong(0, middle) else (middle, some)
    raise type(error)(
        f"{error} What is counted here are rows {start:,} to {start + len(frame) - 1:,} of {asked.what}; the first "
        f"that is refused is row {start + some - 1:,}, counted from 0. Later rows were not read."
    ) from None


def _look(asked: Asked, passes: Sequence[Pass]) -> None:
    """Go through the rows as the passes will, and evaluate nothing."""
    blocks = Blocks(asked)
    for p in passes:
        for _ in blocks.copy(p.settings, p.of):
            pass
