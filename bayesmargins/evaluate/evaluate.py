"""The verb: what do the draws say to what is asked? Its rows go through block by block, copy by copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from bayesmargins.clusters import Task, done_by_workers, running_client
from bayesmargins.copies import Settings
from bayesmargins.errors import BayesmarginsError
from bayesmargins.evaluate.asked import Asked
from bayesmargins.evaluate.averages import Part, combined, side_by_side
from bayesmargins.evaluate.blocks import Blocks, Copy, Derivative
from bayesmargins.evaluate.chunks import Passed
from bayesmargins.evaluate.combined import CombinedPredictor
from bayesmargins.evaluate.distribution import DistributionPredictor, part_values
from bayesmargins.evaluate.draw_blocks import DrawBlock, draw_blocks, reads_chunks, without_chunks
from bayesmargins.evaluate.heavy_tails import Averages, averages_over_scales, refuse_infinite, with_their_variance
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.evaluate.tilted import TiltedPredictor
from bayesmargins.family.quantity import Target
from bayesmargins.progress import Progress
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.streams import BLOCK_ROWS

__all__ = ["Answer", "Evaluation", "Pass", "answer_to"]

Q = TypeVar("Q", bound=Asked)


class Pass(NamedTuple):
    """One pass over the rows of a counterfactual copy: its mean response, or a derivative of it."""

    settings: Settings  # what is set on all rows
    of: Derivative | None = None  # which derivative, if it is one
    parts: tuple[str, ...] = ("mean",)  # the mean, or 1 - mean
    tails: bool = False  # whether values that are too small to be divided by are needed as logarithms too


@dataclass(frozen=True)
class Answer(Generic[Q]):
    """What was asked, with the cells of all rows, and what the draws say to it."""

    asked: Q
    passed: list[Passed]  # of every pass, in order
    found: dict[Pass, Passed]  # the same by pass

    def slopes(self, settings: Settings, of: Derivative) -> np.ndarray:
        """(draw, [output], group x row or cell)."""
        return self.found[Pass(settings, of)].values[of.part]


def answer_to(asked: Q, passes: Sequence[Pass], fits: Callable[[int], None]) -> Answer[Q]:
    """What do the draws say in these passes? All rows go through once, a block at a time.

    ``fits(cells)`` refuses a result that has too many.
    """
    total: Part | None = None
    with Evaluation(asked, sum([len(p.parts) for p in passes])) as evaluation:
        for part in _parts(asked, evaluation, passes, fits):  # of each block of rows, in their order
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
    """What each block of rows gives, in their order."""
    draws, pieces = draw_blocks(asked), None if asked.stream is None else asked.stream.pieces
    client = pieces.client if pieces is not None else running_client() if reads_chunks(asked) else None
    found = (
        _here(asked, evaluation, passes, fits, draws)
        if client is None
        else _on_workers(asked, passes, fits, draws, client)
    )
    if len(draws) == 1:
        yield from (part for _, part in found)
        return
    sizes = [asked.post.beta.sizes[d] for d in SAMPLE_DIMS]
    for first in found:
        yield side_by_side(chain([first], islice(found, len(draws) - 1)), *sizes)


Some = tuple[slice, Part]  # which draws of every chain, and what they give


def _here(
    asked: Asked,
    evaluation: Evaluation,
    passes: Sequence[Pass],
    fits: Callable[[int], None],
    draws: Sequence[DrawBlock],
) -> Iterator[Some]:
    """By this process: each block of draws of each block of rows."""
    if len(draws) == 1:
        asked = draws[0].of(asked)
    for start, block in asked.blocks():
        for some in draws:
            of_some = block if len(draws) == 1 else replace(some.of(block), total=block.averaging)
            try:
                fits(block.averaging.cells.n)
                part = part_of(evaluation, of_some, passes)
            except BayesmarginsError:
                if block is not asked:
                    _refuse(some.of(asked), passes, start, of_some)
                raise
            yield some.draws, part


def _on_workers(
    asked: Asked, passes: Sequence[Pass], fits: Callable[[int], None], draws: Sequence[DrawBlock], client: Any
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
        return cls(without_chunks(asked), passes)

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
        try:
            return part_of(kept, block, self.passes)
        except BayesmarginsError:
            _refuse(some.of(self.asked), self.passes, start, block)
            raise


class Evaluation:
    """What do the draws say? To be used in a ``with`` block, which shows progress of so many passes over the rows."""

    def __init__(self, asked: Asked, passes: int) -> None:
        rows = len(asked.frame) if asked.stream is None else asked.stream.rows  # None where nobody knows
        draws = len(asked.post.draws.beta)
        self.passed = list[Passed]()  # every pass so far, for the provenance
        self.progress = Progress(None if rows is None else rows * draws * passes * asked.policy.combinations)
        self._predictor = _predictor(asked, self.progress.tick)
        self._said = set[str]()
        self.asked = asked
        self.turn_to(asked)

    def turn_to(self, asked: Asked) -> None:
        """Go on with other rows: tables that were made serve them too, and change no digit; or with other draws."""
        if asked.post is not self.asked.post:
            self._predictor = _predictor(asked, self.progress.tick)
        self.asked, self.blocks = asked, Blocks(asked, self._said)
        self.impossible = self.blocks.impossible

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        if kind is None and self.impossible is not None:
            self.impossible.told()

    def values(self, settings: Settings, parts: Sequence[str] = ("mean",), tails: bool = False) -> Passed:
        """The mean response of a copy's rows, or 1 less it, by part: (draw, group x row or cell), group after group.

        `tails`: values that are too small to be divided by are needed as logarithms too.
        """
        copy = self.blocks.copy(settings)
        careful = tails or not self.asked.scheme.average  # single rows may be small
        passed = self._predictor.values(copy, *copy.size, parts, careful)
        if tails:
            self._predictor.add_tails(passed, copy)
        return self._kept(copy, passed)

    def slopes(self, settings: Settings, of: Derivative) -> Passed:
        """How does the mean response of a copy's rows change with a variable? ``values[of.part]``, as of `values`."""
        copy, predictor = self.blocks.copy(settings, of), self._predictor
        if isinstance(predictor, DistributionPredictor):
            slopes = predictor.slopes
        elif of.of_y:
            slopes = predictor.relative_slopes
        else:
            slopes = predictor.second_derivatives if of.second else predictor.slopes
        return self._kept(copy, slopes(copy, *copy.size))

    def parameters(self, settings: Settings) -> dict[str, np.ndarray]:
        """(draw, group x row) of parameters with a linear predictor of their own; NaN where values are missing."""
        shape = len(self.asked.post.draws.beta), self.asked.policy.combinations * self.asked.averaging.cells.n
        values = {name: np.empty(shape) for name in self.asked.parts}
        for chunk in self.blocks.row_by_row(settings) if values else ():
            for part in chunk.parts:
                values[part.name][:, chunk.cells.index] = part_values(part, slice(None))
        return values

    def _kept(self, copy: Copy, passed: Passed) -> Passed:
        every_row = None if self.asked.scheme.average else copy.every_row
        if every_row is not None:
            passed.values = {part: values[..., every_row] for part, values in passed.values.items()}
            passed.logs = {part: values[..., every_row] for part, values in passed.logs.items()}
        self.passed.append(passed)
        return passed


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


def part_of(evaluation: Evaluation, block: Asked, passes: Sequence[Pass]) -> Part:
    """What does one block give? `evaluation` keeps tables from block to block, which change no digit of it."""
    if block is not evaluation.asked:
        evaluation.turn_to(block)
    passed = [
        evaluation.values(p.settings, p.parts, p.tails) if p.of is None else evaluation.slopes(p.settings, p.of)
        for p in passes
    ]
    return Part(block.averaging, passed, evaluation.impossible)


def _refuse(asked: Asked, passes: Sequence[Pass], start: int, block: Asked) -> None:
    """Say again what is wrong with a block: of all rows where they are in memory, else with the number of the row."""
    if asked.stream is None:
        _look(asked, passes)
        return
    # with the columns that were not read, so that a message knows them
    frame = block.frame.reindex(columns=list(dict.fromkeys([*block.frame, *asked.stream.columns])))

    def wrong(first: int, last: int) -> BayesmarginsError | None:
        rows = frame.iloc[first:last]
        try:
            _look(
                asked.of_block(start + first, _with_numbers(asked, rows) if among_text else rows.infer_objects()),
                passes,
            )
        except BayesmarginsError as found:
            return found
        return None

    among_text = True
    if (error := wrong(0, len(frame))) is None:
        among_text = False
        error = wrong(0, len(frame))
    none, some = 0, len(frame)
    if error is None:  # in evaluation itself
        return
    if all(str(wrong(k, k + 1)) == str(error) for k in (0, len(frame) - 1)):  # a column, not a row
        raise error from None
    while some - none > 1:
        middle = (none + some) // 2
        none, some = (none, middle) if wrong(0, middle) else (middle, some)
    row = start + some - 1
    raise type(error)(
        f"{error}{asked.stream.why_missing(row, str(error))} What is counted here are rows {start:,} to "
        f"{start + len(frame) - 1:,} of {asked.what}; the first "
        f"that is refused is row {row:,}, counted from 0. Later rows were not read."
    ) from None


def _with_numbers(asked: Asked, frame: pd.DataFrame) -> pd.DataFrame:
    """These rows with numbers that are held as text only because other rows of the piece hold text."""
    texts = frame.select_dtypes(["object", "string"]).columns
    numbers = [name for name, column in asked.design.columns.items() if name in texts and column.kind == "number"]
    read = {name: pd.to_numeric(frame[name], errors="coerce") for name in numbers}
    return frame.assign(**{n: values for n, values in read.items() if (values.notna() | frame[n].isna()).all()})


def _look(asked: Asked, passes: Sequence[Pass]) -> None:
    """Go through the rows as the passes will, and evaluate nothing."""
    blocks = Blocks(asked)
    for p in passes:
        for _ in blocks.copy(p.settings, p.of):
            pass
