"""Rows put into groups whose b is given, many groups at a time: what an effect is within each of them.

The groups go through the predictor as if they were levels of the factor that the posterior had draws for, so that
every other factor keeps its policy, and tables, threads and weights are those of every other question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bayesmargins.counterfactuals import Settings
from bayesmargins.design import require_columns
from bayesmargins.draws import Draws
from bayesmargins.errors import GroupsError
from bayesmargins.estimands.effects import Effect
from bayesmargins.estimands.evaluation import Derivative, Evaluation
from bayesmargins.estimands.question import Question, Scenario
from bayesmargins.evaluate import Chunk, Passed, in_named_groups, predictor_of
from bayesmargins.groups import Gather

__all__ = ["GroupsOf", "Within"]


class Within(Evaluation):
    """What do the draws say to this question within groups of one factor?

    Parameters
    ----------
    question : Question
        Averaged over rows; the factor's policy is ``"new"``.
    over : str
        The factor.
    passes : int
        Evaluations of all rows that are to come, for the progress bar.
    """

    def __init__(self, question: Question, over: str, passes: int) -> None:
        super().__init__(question, passes)
        self.over = over

    def chunks(self, scenario: Scenario, settings: Settings, variable: str | None = None) -> list[Chunk]:
        """All rows of a side, with the factor neither integrated nor looked up yet.

        Parameters
        ----------
        scenario : Scenario
            Values of `at`, named groups of other factors.
        settings : tuple of Setting
            Set besides.
        variable : str, optional
            Of a slope: the rows then have derivatives.

        Returns
        -------
        list of Chunk

        Raises
        ------
        DataError
            Missing values in what is averaged; what the design refuses.
        """
        settings = (*scenario.settings, *settings)
        names = sorted(self._depends(scenario, settings))
        require_columns(self.question.frame, names, self.question.what)
        self._refuse_missing(scenario, settings)
        first, _, cells = self._repeated(names)
        of = None if variable is None else Derivative(variable)
        chunks = self._chunks(scenario, settings, first, cells, of)
        return [replace(c, plan=replace(c.plan, integrated=self._others(c.plan.integrated))) for c in chunks]

    def refuse_two_strata(self, sides: Sequence[Sequence[Chunk]]) -> None:
        """A group is in one stratum: what it would be in another is not known beside what it is.

        Raises
        ------
        GroupsError
            The rows of one group, on all sides together, are in several strata.
        """
        strata = self.question.post.design.factors[self.over].strata
        if strata is None:
            return
        chunks = [chunk for side in sides for chunk in side]
        seen = np.zeros((chunks[0].cells.n, len(strata.labels)), dtype=bool)
        for chunk in chunks:
            z = np.abs(chunk.rows.Z[self.over])[:, strata.twins].sum(axis=1) > 0.0  # (row, stratum)
            np.logical_or.at(seen, chunk.cells.index % len(seen), z)
        if (seen.sum(axis=1) > 1).any():
            raise GroupsError(
                f"The effect within a group of {self.over!r} is asked for over rows of several {strata.by!r}, and each "
                f"group has one: how its effect in one goes with that in another the model does not say. Ask within "
                f"each, by={strata.by!r} or at={{{strata.by!r}: [...]}}, of other variables; avg_comparisons compares "
                "the averages over groups."
            )

    def _others(self, factors: Sequence[str]) -> tuple[str, ...]:
        return tuple(f for f in factors if f != self.over)


class GroupsOf:
    """Averages of rows within groups, for some of the draws.

    Parameters
    ----------
    within : Within
        The question.
    which : ndarray of int
        Positions of the draws.
    """

    def __init__(self, within: Within, which: np.ndarray) -> None:
        self.within, self.which = within, which
        draws = within.question.post.draws
        self.draws = Draws(
            beta=draws.beta[which],
            b={f: b[which] for f, b in draws.b.items() if f != within.over},
            Sigma={f: Sigma[which] for f, Sigma in draws.Sigma.items()},
            aux={k: v[which] for k, v in draws.aux.items()},
        )
        quantity = within.question.quantity
        assert quantity is not None
        self._predictor = predictor_of(self.draws, quantity, within.progress.tick)

    def values(self, chunks: Sequence[Chunk], b: np.ndarray, effect: Effect) -> Passed:
        """Averages of the rows within groups whose b is (draw, group, term): values of shape (draw, group, cell)."""
        cells, groups = chunks[0].cells.n, b.shape[1]
        rows = sum(len(c.rows.X) for c in chunks) * groups

        def tiled() -> Iterator[Chunk]:
            return (tile for chunk in chunks for tile in in_named_groups(self._named(chunk, b)))

        if effect.variable is not None:
            passed = self._predictor.slopes(tiled(), rows, groups * cells)
        else:
            passed = self._predictor.values(tiled(), rows, groups * cells, effect.parts)
            if effect.how.divides:
                self._predictor.add_tails(passed, tiled)
        self.within.passed.append(passed)
        values, logs = (
            {k: v.reshape(len(v), groups, cells) for k, v in of.items()} for of in (passed.values, passed.logs)
        )
        return replace(passed, values=values, logs=logs)

    def _named(self, chunk: Chunk, b: np.ndarray) -> Chunk:
        """The groups as if they were named levels of the factor, for these draws."""
        gathers = tuple(replace(g, b=g.b[self.which]) for g in chunk.plan.gathers)
        named = (Gather(self.within.over, b, np.arange(b.shape[1])),)
        return replace(chunk, plan=replace(chunk.plan, gathers=gathers, named=named))
