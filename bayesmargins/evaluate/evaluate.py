"""The verb: what do the draws say to what is asked? Its rows go through block by block, copy by copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from bayesmargins.clusters import Task, done_by_workers, running_client
from bayesmargins.copies import Settings
from bayesmargins.errors import BayesmarginsError
from bayesmargins.evaluate import draw_blocks
from bayesmargins.evaluate.asked import Asked, Derivative, Pass, Passed
from bayesmargins.evaluate.averages import Part, beside, combined
from bayesmargins.evaluate.blocks import Blocks, Copy
from bayesmargins.evaluate.combined import CombinedPredictor
from bayesmargins.evaluate.distribution import DistributionPredictor, part_values
from bayesmargins.evaluate.draw_blocks import DrawBlock
from bayesmargins.evaluate.heavy_tails import Averages, averages_over_scales, refuse_infinite, with_their_variance
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.evaluate.refused_rows import refuse_again
from bayesmargins.evaluate.tilted import TiltedPredictor
from bayesmargins.family.quantity import Target
from bayesmargins.progress import Progress
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.streams import BLOCK_ROWS

__all__ = ["Answer", "Evaluation", "answer_to"]

Q = TypeVar("Q", bound=Asked)
Fits = Callable[[int], None]  # refuses a result of so many cells, where that is too many


@dataclass(frozen=True)
class Answer(Generic[Q]):
    """What was asked, with the cells of all rows, and what the draws say to it."""

    asked: Q
    passed: list[Passed]  # of every pass, in order
    found: dict[Pass, Passed]  # the same by pass

    def slopes(self, settings: Settings, of: Derivative) -> np.ndarray:
        """(draw, [output], group x row or cell)."""
        return self.found[Pass(settings, of)].values[of.part]


def answer_to(asked: Q, passes: Sequence[Pass], fits: Fits) -> Answer[Q]:
    """What do the draws say in these passes? All rows go through once, a block at a time."""
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
    if vars(asked).get("averaging") is not total.averaging:  # rows were read by blocks: nobody looks at all at once
        asked = replace(asked, total=total.averaging)
    return Answer(asked, total.passed, dict(zip(passes, total.passed, strict=True)))


def _parts(asked: Asked, evaluation: Evaluation, passes: Sequence[Pass], fits: Fits) -> Iterator[Part]:
    """What each block of rows gives, in their order: by this process in all draws at once, where they are few."""
    reads_b = asked.policy.named or asked.policy.by_word["own"] or asked.policy.by_word["existing"]
    elsewhere = asked.stream is not None and asked.stream.pieces is not None
    if elsewhere or reads_b or len(asked.post.draws.beta) > draw_blocks.BLOCK_DRAWS:
        yield from _by_draws(asked, evaluation, passes, fits)
        return
    for start, block in asked.blocks():
        again = None if block is asked else partial(refuse_again, asked, passes, start, block)
        yield part_of(evaluation, block, passes, fits, again)


def part_of(
    evaluation: Evaluation,
    block: Asked,
    passes: Sequence[Pass],
    fits: Fits = lambda cells: None,
    again: Callable[[], None] | None = None,
) -> Part:
    """What does one block give? `evaluation` keeps tables from block to block, which change no digit of it.

    `again` says what is wrong with the block as of all rows.
    """
    try:
        fits(block.averaging.cells.n)
        if block is not evaluation.asked:
            evaluation.turn_to(block)
        return Part(block.averaging, [evaluation.run(p) for p in passes], evaluation.impossible)
    except BayesmarginsError:
        if again is not None:
            again()
        raise


def _by_draws(asked: Asked, evaluation: Evaluation, passes: Sequence[Pass], fits: Fits) -> Iterator[Part]:
    """The same some draws at a time, put side by side; by the workers of a client, where rows or b come from dask."""
    draws, pieces = draw_blocks.draw_blocks(asked), None if asked.stream is None else asked.stream.pieces
    client = pieces.client if pieces is not None else running_client() if draw_blocks.reads_chunks(asked) else None
    found = (
        _here(asked, evaluation, passes, fits, draws)
        if client is None
        else _on_workers(asked, passes, fits, draws, client)
    )
    if len(draws) == 1:
        yield from (part for _, part in found)
        return
    sizes = [asked.post.beta.sizes[d] for d in SAMPLE_DIMS]
    whole: Part | None = None
    for done, (some, part) in enumerate(found, 1):
        whole = beside(whole, some, part, *sizes)
        if done % len(draws) == 0:  # all draws of these rows
            yield whole
            whole = None


Some = tuple[slice, Part]  # which draws of every chain, and what they give


def _here(
    asked: Asked, evaluation: Evaluation, passes: Sequence[Pass], fits: Fits, draws: Sequence[DrawBlock]
) -> Iterator[Some]:
    """By this process: each block of draws of each block of rows."""
    if len(draws) == 1:
        asked = draws[0].of(asked)
    for start, block in asked.blocks():
        for some in draws:
            of_some = block if len(draws) == 1 else replace(some.of(block), total=block.averaging)
            again = None if block is asked else partial(_again, some, asked, passes, start, of_some)
            yield some.draws, part_of(evaluation, of_some, passes, fits, again)


def _again(some: DrawBlock, asked: Asked, passes: Sequence[Pass], start: int, block: Asked) -> None:
    refuse_again(some.of(asked), passes, start, block)


def _on_workers(
    asked: Asked, passes: Sequence[Pass], fits: Fits, draws: Sequence[DrawBlock], client: Any
) -> Iterator[Some]:
    """By the workers of a client, the same."""
    fits(asked.averaging.cells.n)  # of the first block: its like are made elsewhere
    pieces = None if asked.stream is None else asked.stream.pieces
    rows = [Task(start) for start, _ in asked.blocks()] if pieces is None else pieces.tasks(BLOCK_ROWS)
    tasks = [replace(task, given=(some.draws, [*some.b], [*some.b.values()])) for task in rows for some in draws]
    for task, part in zip(tasks, done_by_workers(client, OnWorkers.of(asked, passes), tasks), strict=True):
        yield task.given[0], part


@dataclass(frozen=True)
class OnWorkers:
    """What workers of a cluster do with a block of rows and draws; tables of integrals are made once a worker."""

    asked: Asked
    passes: Sequence[Pass]

    @classmethod
    def of(cls, asked: Asked, passes: Sequence[Pass]) -> OnWorkers:
        """The question without what a block needs nothing of: other rows, b that is not read or comes with a task."""
        stream = asked.stream
        if stream is not None:
            asked = replace(asked, frame=asked.frame.head(1), stream=replace(stream, frames=iter(()), pieces=None))
        return cls(draw_blocks.without_chunks(asked), passes)

    def begin(self) -> Evaluation:
        """What makes tables, and keeps them from block to block."""
        return Evaluation(self.asked, len(self.passes))

    def step(
        self,
        kept: Evaluation,
        start: int,
        frame: pd.DataFrame | None,
        draws: slice,
        of: Sequence[tuple[str, str]],
        b: Sequence[np.ndarray],
    ) -> Part:
        """What one block gives: of rows that came with the task, or of those of the question from `start` on."""
        whole = draws == slice(0, self.asked.post.beta.sizes["draw"])
        some = DrawBlock(draws, dict(zip(of, b, strict=True)), whole)
        if frame is not None:
            block = self.asked.of_block(start, self.asked.prepared(frame))
        else:
            block = next(of for first, of in self.asked.blocks() if first == start)
        block = some.of(block)
        return part_of(kept, block, self.passes, again=partial(_again, some, self.asked, self.passes, start, block))


class Evaluation(AbstractContextManager["Evaluation"]):
    """What do the draws say? To be used in a ``with`` block, which shows progress of so many passes over the rows."""

    def __init__(self, asked: Asked, passes: int) -> None:
        rows = len(asked.frame) if asked.stream is None else asked.stream.rows  # None where nobody knows
        draws = len(asked.post.draws.beta)
        self.passed = list[Passed]()  # every pass so far, for the provenance
        self.progress = Progress(None if rows is None else rows * draws * passes * asked.policy.combinations)
        self._predictor = _predictor(asked, self.progress.tick)
        self.asked, self.blocks = asked, Blocks(asked)
        self.impossible = self.blocks.impossible

    def turn_to(self, asked: Asked) -> None:
        """Go on with other rows: tables that were made serve them too, and change no digit; or with other draws."""
        if asked.post is not self.asked.post:
            self._predictor = _predictor(asked, self.progress.tick)
        self.asked, self.blocks = asked, Blocks(asked, self.blocks.said)
        self.impossible = self.blocks.impossible

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress.bar is not None:
            self.progress.bar.stop()
        if kind is None and self.impossible is not None:
            self.impossible.told()

    def run(self, p: Pass) -> Passed:
        """One pass over the rows of a copy: values (draw, group x row or cell) by part, group after group."""
        asked, copy = self.asked, self.blocks.copy(p.settings, p.of)
        cells, groups = copy.distinct.cells, asked.policy.combinations
        size = len(cells.index) * groups, cells.n * groups
        if p.of is None:
            careful = p.tails or not asked.scheme.average  # single rows may be small
            passed = self._predictor.values(copy, *size, p.parts, careful)
        else:
            passed = self._slopes(copy, *size, p.of)
        if p.tails:
            self._predictor.add_tails(passed, copy)
        every_row = None if asked.scheme.average else copy.every_row
        if every_row is not None:
            passed.values = {part: values[..., every_row] for part, values in passed.values.items()}
            passed.logs = {part: values[..., every_row] for part, values in passed.logs.items()}
        self.passed.append(passed)
        return passed

    def _slopes(self, copy: Copy, rows: int, cells: int, of: Derivative) -> Passed:
        """How does the mean response of a copy's rows change with a variable? ``values[of.part]``."""
        predictor = self._predictor
        if isinstance(predictor, DistributionPredictor):
            return predictor.slopes(copy, rows, cells)
        if of.of_y:
            return predictor.relative_slopes(copy, rows, cells)
        return (predictor.second_derivatives if of.second else predictor.slopes)(copy, rows, cells)

    def parameters(self, settings: Settings) -> dict[str, np.ndarray]:
        """(draw, group x row) of parameters with a linear predictor of their own; NaN where values are missing."""
        shape = len(self.asked.post.draws.beta), self.asked.policy.combinations * self.asked.averaging.cells.n
        values = {name: np.empty(shape) for name in self.asked.parts}
        for chunk in self.blocks.row_by_row(settings) if values else ():
            for part in chunk.parts:
                values[part.name][:, chunk.cells.index] = part_values(part, slice(None))
        return values


def _predictor(asked: Asked, tick: Callable[[int], None]) -> Averages | TiltedPredictor | DistributionPredictor:
    post, quantity = asked.post, asked.quantity
    heavy = {f: df for f, df in post.design.degrees.items() if asked.policy.by_factor.get(f) == "new"}
    if quantity is not None:
        if heavy:
            return averages_over_scales(post, quantity, heavy, tick)
        if quantity.plain:  # nearly always: the average of h(eta) itself
            return Predictor(post.draws, quantity.curves[0].link, tick)
        return CombinedPredictor(post.draws, quantity, tick)
    if asked.tilted:
        curve = post.family.curve(post.link)
        if heavy:
            refuse_infinite(curve.link, "mean")
        return TiltedPredictor(post.draws, curve, post.parts[asked.parts[0]].link, tick)
    assert isinstance(asked.target, Target)
    draws, scales = with_their_variance(post, asked.target, heavy) if heavy else (post.draws, heavy)
    return DistributionPredictor(draws, post.link, post.family, asked.target, tick, scales)
