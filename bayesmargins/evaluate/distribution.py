"""Rows through a target of the distribution of y: block by block, as arrays of draws x rows.

The neighbour of `passes` for targets other than the mean: a target sees eta, s, the parameters of the family and the
trials of some pairs of a draw and a row, and gives their values; which rows these are, and into which cells they go, is
the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.errors import IntegrationError
from bayesmargins.evaluate import exact
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk, PartRows
from bayesmargins.evaluate.heavy_tails import METHOD, Scaled, scaled
from bayesmargins.evaluate.joint import SOBOL, Jointly, are_joint, jointly, known
from bayesmargins.evaluate.passes import complete
from bayesmargins.evaluate.sloped import sloped
from bayesmargins.family import Family, Link, Outcome, parameter_values
from bayesmargins.family.mixture_of_y import Mixture, Number, mixture
from bayesmargins.family.quantity import Target
from bayesmargins.integrate.student_scales import scales_of
from bayesmargins.limits import in_threads

__all__ = ["DistributionPredictor", "part_values"]

# A block holds eta of every fitted group: 32 MiB. Values of a task stay in the processor's cache.
BLOCK_VALUES = 2**22
TASK_VALUES = 2**13
_WORST = 1e-6


class DistributionPredictor:
    """What do these draws say of a number of the distribution of y, with b treated as planned and rows averaged?

    `heavy` has the factors that are integrated whose effects are Student-t, with the names of their degrees of freedom.
    """

    def __init__(
        self,
        draws: Draws,
        link: Link,
        family: Family,
        target: Target,
        tick: Callable[[int], None],
        heavy: Mapping[str, str] | None = None,
    ) -> None:
        self.draws, self.link, self.family, self.target, self.tick = draws, link, family, target, tick
        self._scales, self._each = None, [draws]
        for factor, df in (heavy or {}).items():
            self._scales = scales_of(draws.aux[df])
            self._each = [scaled(draws, factor, by) for by in self._scales.values.T]

    def values(
        self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",), careful: bool = False
    ) -> Passed:
        """The target of these rows, or 1 less it, by part: (draw, [output], cell), with an estimate of the error."""
        each, draws = self.target.each(), len(self.draws.beta)
        passed = Passed({part: np.zeros((draws, len(each), cells)) for part in parts}, error_estimate=0.0)
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            if not self.target.of_response:
                self._add_constant(chunk, passed)
                continue
            for block, y in self._blocks(chunk):
                for part, (k, one) in product(parts, enumerate(each)):
                    values = self._found(one, y, part, passed).reshape(draws, block.stop - block.start)
                    chunk.cells.add(passed.values[part][:, k], values, block)
                    self.tick(values.size)
        if self.target.along is None:
            passed.values.update({part: values[:, 0] for part, values in passed.values.items()})
        return passed

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """How a target that is a mean of several linear predictors changes: ``values["slope"]``, (draw, cell)."""
        draws = len(self.draws.beta)
        passed = Passed({"slope": np.zeros((draws, cells))}, error_estimate=0.0)
        for whole in chunks:
            chunk = whole if whole.complete is None else complete(whole, passed)
            if are_joint(chunk):
                self._refuse_both()
            for block in self._spans(chunk):
                each = [sloped(of, self.link, self.family, chunk, block) for of in self._each]
                found = [self._found(self.target, y, "slope", passed) for y in each]
                values = self._over_scales(found, passed).reshape(draws, block.stop - block.start)
                if chunk.multiplier is not None:
                    values = values * chunk.multiplier[block]
                chunk.cells.add(passed.values["slope"], values, block)
                self.tick(values.size)
        return passed

    def numbers(
        self, chunk: Chunk, targets: Sequence[Target], passed: Passed
    ) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """Numbers of the distribution of y over groups that move several linear predictors: (draw, row), by block."""
        shape = len(self.draws.beta), -1
        for block in self._spans(chunk):
            y = jointly(self.draws, self.link, self.family, chunk, block, True)  # E[y | b] shall be told from y
            yield block, [self._found(target, y, "mean", passed).reshape(shape) for target in targets]

    def add_tails(self, passed: Passed, chunks: Iterable[Chunk]) -> None:
        """No logarithms: of these values none is too small."""

    def _add_constant(self, chunk: Chunk, passed: Passed) -> None:
        value = self.target.constant(self.draws.aux)[:, None]
        for block in exact.blocks(len(chunk.cells.index), len(value)):
            values = np.broadcast_to(value, (len(value), block.stop - block.start))
            chunk.cells.add(passed.values["mean"][:, 0], values, block)
            self.tick(values.size)
        passed.note("draws as they are", 0.0)

    def _blocks(self, chunk: Chunk) -> Iterator[tuple[slice, Mixture | Scaled | Jointly]]:
        """Rows of the chunk and the distribution of y there, draws x rows as one axis."""
        if are_joint(chunk):
            self._refuse_both()
            yield from self._joint_blocks(chunk)
            return
        groups = 1 if chunk.plan.mixture is None else len(chunk.plan.mixture.weights)
        size = max(1, BLOCK_VALUES // (len(self.draws.beta) * groups * len(self._each)))
        for start in range(0, len(chunk.rows.X), size):
            block = slice(start, min(start + size, len(chunk.rows.X)))
            each = tuple(self._mixture(draws, chunk, block) for draws in self._each)
            yield block, each[0] if self._scales is None else Scaled(each, self._scales)

    def _over_scales(self, found: Sequence[np.ndarray], passed: Passed) -> np.ndarray:
        """The average of values (n,) at each scale of Student-t effects, with the estimate of its error."""
        if self._scales is None:
            return found[0]
        fine, coarse = (np.tensordot(w, np.stack(found), 1) for w in (self._scales.weights, self._scales.coarse))
        error = float(np.nanmax(self._scales.error(fine, coarse), initial=0.0))
        passed.error_estimate = (passed.error_estimate or 0.0) + error
        passed.methods = {f"{METHOD} ({', '.join(sorted(passed.methods))})"}
        return np.asarray(fine)

    def _refuse_both(self) -> None:
        if self._scales is not None:
            raise IntegrationError(
                f"target={self.target} is averaged over new groups with Student-t effects, and over effects on other "
                "parameters at once: that is not there. Ask for 'own', 'existing' or 'zero' of one of them."
            )

    def _mixture(self, draws: Draws, chunk: Chunk, block: slice) -> Mixture:
        """The distribution of y in a block, where b is normal or fitted."""
        rows, plan, n_draws = chunk.rows, chunk.plan, len(draws.beta)
        groups = plan.mixture
        weights = np.ones(1) if groups is None else groups.weights
        etas, size = known(draws, rows, plan, block), block.stop - block.start
        s = np.sqrt(np.broadcast_to(exact.variance(draws, rows, plan, block), (n_draws, size))).ravel()
        aux = {k: np.repeat(v, size, axis=0) for k, v in draws.aux.items()}
        aux |= {part.name: part_values(part, block).ravel() for part in chunk.parts}
        o = Outcome() if chunk.outcome is None else chunk.outcome.take(block).tiled(n_draws)
        trials, own = np.ones(len(s)) if o.trials is None else o.trials, self.family.of_rows(aux, o)
        return mixture(self.family, self.link, etas, weights, s, own, trials, o, self.target.given_b)

    def _joint_blocks(self, chunk: Chunk) -> Iterator[tuple[slice, Jointly]]:
        """The same where parameters are averaged over groups too."""
        for block in self._spans(chunk):
            yield block, jointly(self.draws, self.link, self.family, chunk, block, self.target.given_b)

    def _spans(self, chunk: Chunk) -> Iterator[slice]:
        """Rows at a time."""
        plans = [chunk.plan, *(part.plan for part in chunk.parts)]
        groups = max(1 if plan.mixture is None else len(plan.mixture.weights) for plan in plans)
        size = max(1, BLOCK_VALUES // (len(self.draws.beta) * groups * len(plans)))
        for start in range(0, len(chunk.rows.X), size):
            yield slice(start, min(start + size, len(chunk.rows.X)))

    def _found(self, target: Target, y: Mixture | Scaled | Jointly, part: str, passed: Passed) -> np.ndarray:
        value, worst = np.empty(len(y.s)), 0.0

        def task(first: int, last: int) -> None:
            for start in range(first * TASK_VALUES, min(last * TASK_VALUES, len(value)), TASK_VALUES):
                which = slice(start, min(start + TASK_VALUES, len(value)))
                some = y.take(which)
                found = target.found(some, part) if isinstance(some, Mixture) else some.found(target, part)
                value[which] = found.value
                notes.append(found)

        notes: list[Number] = []
        in_threads(task, -(-len(value) // TASK_VALUES))
        for found in notes:
            finite = np.isfinite(found.value) & np.isfinite(found.error)
            worst = float(np.max(found.error[finite], initial=0.0))
            self._refuse_inexact(found, finite)
            passed.note(found.method, 0.0, found.nodes)
            passed.error_estimate = max(passed.error_estimate or 0.0, worst)
        return value

    def _refuse_inexact(self, found: Number, finite: np.ndarray) -> None:
        if not self.target.probability or found.method.startswith(SOBOL):
            return
        worst = float(np.max(found.error[finite], initial=0.0))
        if worst > _WORST:
            raise IntegrationError(
                f"target={self.target} changes so steeply with the group effects that its average over new groups is "
                f"known to {worst:.1g} only; 1e-6 is the least. A value of c nearer to the bulk of y is easier, and "
                "groups='zero' or 'own' needs no integral."
            )


def part_values(part: PartRows, block: slice) -> np.ndarray:
    """(draw, row of the block): values of a parameter with a linear predictor of its own, or PosteriorError."""
    return parameter_values(part.parameter, part.link, exact.linear(part.draws, part.rows, part.plan, block))
