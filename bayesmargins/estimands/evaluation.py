"""A question's rows on their way through the predictor: chunk by chunk, repeated rows once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesmargins.counterfactuals import Settings, apply_settings
from bayesmargins.design import Rows, derivative_rows, missing_rows, require_columns, second_derivative_rows
from bayesmargins.errors import DataError, GroupsError, warn
from bayesmargins.estimands.heavy_tails import heavy_in, predictor_over, refuse_infinite, with_their_variance
from bayesmargins.estimands.parts import OfParameter, across_of, part_rows, part_variables
from bayesmargins.estimands.question import Question, Scenario
from bayesmargins.family.quantity import Target
from bayesmargins.grid import Cells, repeated_rows
from bayesmargins.groups import plan_groups
from bayesmargins.posterior import Posterior
from bayesmargins.predictor import (
    Chunk,
    CombinedPredictor,
    DistributionPredictor,
    PartRows,
    Passed,
    Predictor,
    ScaledPredictor,
    Second,
    TiltedPredictor,
    in_named_groups,
    in_strata,
    part_values,
)
from bayesmargins.progress import Progress

__all__ = ["Derivative", "Evaluation"]

_CHUNK_ROWS = 2**16
_CHUNK_LABELS = 2**23  # under "sample" every label of a chunk has a b in every draw


@dataclass(frozen=True)
class Derivative:
    """Which derivative of the mean response?

    Attributes
    ----------
    variable : str
        The variable.
    slope : {"dydx", "eyex", "eydx", "dyex"}
        Relative to what: an "e" stands for a change relative to the response, or to the variable.
    second : str
        The variable of a further derivative; empty without.
    """

    variable: str
    slope: str = "dydx"
    second: str = ""

    @property
    def of_y(self) -> bool:
        """Is the slope divided by the mean response?"""
        return self.slope[0] == "e"

    @property
    def of_x(self) -> bool:
        """Is it multiplied by the variable?"""
        return self.slope[2] == "e"


class Evaluation:
    """What do the draws say to this question, scenario by scenario?

    Parameters
    ----------
    question : Question
        Rows, averages, policy, target.
    passes : int
        Passes a scenario, for the progress bar.

    Attributes
    ----------
    passed : list of Passed
        Every pass so far, for the provenance.
    """

    def __init__(self, question: Question, passes: int) -> None:
        self.question = question
        self.passed: list[Passed] = []
        rows, draws = len(question.frame), len(question.post.draws.beta)
        self.progress = Progress(rows * draws * passes * question.scenarios)
        self._predictor = _predictor(question, self.progress.tick)
        self._said: set[str] = set()
        self._parameter = OfParameter(question.post)
        self._sets: dict[tuple[str, ...], tuple[np.ndarray | None, np.ndarray | None, Cells]] = {}

    def run(self, value: Callable[[Scenario], np.ndarray]) -> np.ndarray:
        """Values of every scenario: (draw, k, [category], at..., named groups..., [row or cell]).

        Parameters
        ----------
        value : callable
            Gives (draw, k, [category], group x row or cell) of one scenario.

        Returns
        -------
        ndarray

        Warns
        -----
        BayesmarginsWarning
            The target is a parameter, and it has values that it cannot have.
        """
        with self.progress:
            values = self.question.over_scenarios(value)
        self._parameter.warn_if_impossible()
        return values

    def values(
        self, scenario: Scenario, settings: Settings = (), parts: Sequence[str] = ("mean",), tails: bool = False
    ) -> Passed:
        """What is the mean response of a scenario's rows, with more variables set?

        Parameters
        ----------
        scenario : Scenario
            Values of `at`, named groups.
        settings : tuple of Setting
            Set besides.
        parts : sequence of {"mean", "complement"}
            The mean, or 1 - mean.
        tails : bool
            Whether values that are too small to be divided by are needed as logarithms too.

        Returns
        -------
        Passed
            Values (draw, group x row or cell): those of the second named group follow those of the first.

        Raises
        ------
        DataError
            Missing values in what is averaged; what the design refuses.
        """
        return self._pass(scenario, settings, parts, tails=tails)

    def parameters(self, scenario: Scenario) -> dict[str, np.ndarray]:
        """Which values have the parameters with a linear predictor of their own in a scenario's rows?

        Parameters
        ----------
        scenario : Scenario
            Values of `at`, named groups.

        Returns
        -------
        dict of ndarray, shape (draw, group x row)
            NaN in rows with missing values.

        Raises
        ------
        DataError, GroupsError, PosteriorError
            As for `values`; a parameter that is not above 0.
        """
        cells = self.question.averaging.cells
        shape = len(self.question.post.draws.beta), self.question.named_groups * cells.n
        values = {name: np.empty(shape) for name in self.question.parts}
        for chunk in self._chunks(scenario, scenario.settings, None, cells) if values else ():
            for part in chunk.parts:
                values[part.name][:, chunk.cells.index] = part_values(part, slice(None))
        return values

    def slopes(self, scenario: Scenario, of: Derivative, settings: Settings = ()) -> np.ndarray:
        """How does the mean response of a scenario's rows change with a variable?

        Parameters
        ----------
        scenario : Scenario
            Values of `at`, named groups.
        of : Derivative
            Which derivative, and relative to what.
        settings : tuple of Setting
            Set besides.

        Returns
        -------
        ndarray, shape (draw, group x row or cell)

        Raises
        ------
        DataError
            As for `values`; a row where there is no derivative.
        """
        part = "second" if of.second else "slope"
        return self._pass(scenario, settings, (part,), of).values[part]

    def _pass(
        self,
        scenario: Scenario,
        settings: Settings,
        parts: Sequence[str],
        of: Derivative | None = None,
        tails: bool = False,
    ) -> Passed:
        settings = (*scenario.settings, *settings)
        names = sorted(self._depends(scenario, settings, of))
        require_columns(self.question.frame, names, self.question.what)
        self._refuse_missing(scenario, settings, of)
        cells = self.question.averaging.cells
        first, position, distinct = self._repeated(names)
        chunks = _Chunks(lambda: self._chunks(scenario, settings, first, distinct, of))
        groups = self.question.named_groups
        size = len(distinct.index) * groups, distinct.n * groups
        passed = self._values(chunks, *size, parts, tails) if of is None else self._slopes_by(of)(chunks, *size)
        if cells.unit and position is not None:
            position = (position + distinct.n * np.arange(groups)[:, None]).ravel()
            passed.values = {part: values[..., position] for part, values in passed.values.items()}
            passed.logs = {part: values[..., position] for part, values in passed.logs.items()}
        self.passed.append(passed)
        return passed

    def _slopes_by(self, of: Derivative) -> Callable[..., Passed]:
        if isinstance(self._predictor, DistributionPredictor):
            return self._predictor.slopes
        if of.of_y:
            return self._predictor.relative_slopes
        return self._predictor.second_derivatives if of.second else self._predictor.slopes

    def _values(self, chunks: _Chunks, rows: int, cells: int, parts: Sequence[str], tails: bool) -> Passed:
        """Of one pass, or of one a curve; `tails` where small values are divided by."""
        if isinstance(self._predictor, CombinedPredictor | ScaledPredictor):
            careful = tails or self.question.averaging.cells.unit  # single rows may be small
            passed = self._predictor.values(chunks, rows, cells, parts, careful)
        else:
            passed = self._predictor.values(chunks, rows, cells, parts)
        if tails and not isinstance(self._predictor, DistributionPredictor | TiltedPredictor):
            self._predictor.add_tails(passed, lambda: chunks)
        return passed

    def _repeated(self, names: list[str]) -> tuple[np.ndarray | None, np.ndarray | None, Cells]:
        """`repeated_rows`, once for the sides and scenarios that read the same columns."""
        key = tuple(names)
        if key not in self._sets:
            self._sets.clear()  # with many rows these are large
            self._sets[key] = repeated_rows(self.question.frame, names, self.question.averaging.cells)
        return self._sets[key]

    def _chunks(
        self,
        scenario: Scenario,
        settings: Settings,
        first: np.ndarray | None,
        cells: Cells,
        of: Derivative | None = None,
    ) -> Iterator[Chunk]:
        n = len(cells.index)
        for start in range(0, n, size := self._chunk_rows(scenario)):
            block = slice(start, min(start + size, n))
            frame = self.question.frame.iloc[block if first is None else first[block]]
            part = replace(cells, index=cells.index[block], share=cells.share[block])
            try:
                chunk = self._chunk(scenario, frame, settings, part, of)
            except (DataError, GroupsError):
                if size < n or first is not None:  # the message shall count and number the user's own rows
                    self._chunk(scenario, self.question.frame, settings, part, of)
                raise
            for tile in (tile for some in in_strata(chunk) for tile in in_named_groups(some)):
                self._parameter.count(tile.rows, tile.plan)
                yield tile

    def _chunk_rows(self, scenario: Scenario) -> int:
        if scenario.policy.factors("sample"):
            return max(1, min(_CHUNK_ROWS, _CHUNK_LABELS // len(self.question.post.draws.beta)))
        return _CHUNK_ROWS

    def _chunk(
        self,
        scenario: Scenario,
        frame: pd.DataFrame,
        settings: Settings,
        cells: Cells,
        of: Derivative | None,
    ) -> Chunk:
        question = self.question
        frame = apply_settings(frame, settings)
        self._refuse_missing_derived(frame)
        rows = question.post.design.rows(frame, scenario.policy.active, question.what)
        d_rows, second = self._derivatives(question.post, scenario, frame, of, rows)
        beside = (question.post.first, *question.parts) if question.parts else ()
        rest = (question.seed, question.what, question.whole, beside)
        plan = plan_groups(scenario.policy, question.post, frame, *rest)
        across = across_of(question.post, question.parts, scenario.policy) if question.parts else {}
        parts = part_rows(question.post, question.parts, scenario.policy, frame, question.seed, question.what)
        parts = tuple(self._with_derivatives(part, scenario, frame, of) for part in parts)
        multiplier = question.multiplier(frame)
        if of is not None:
            multiplier = _multiplier(of, frame, multiplier)
        return Chunk(rows, plan, cells, multiplier, d_rows, question.outcome(frame), second, parts, across)

    def _derivatives(
        self, post: Posterior, scenario: Scenario, frame: pd.DataFrame, of: Derivative | None, rows: Rows
    ) -> tuple[Rows | None, Second | None]:
        """Derivatives of the design rows of a linear predictor."""
        if of is None:
            return None, None
        design = post.design
        rest = scenario.policy.of(design.factors).active, self.question.what, rows
        d_rows = derivative_rows(design, frame, of.variable, *rest)
        if not of.second:
            return d_rows, None
        changes = derivative_rows(design, frame, of.second, *rest)
        return d_rows, Second(changes, second_derivative_rows(design, frame, of.variable, of.second, *rest))

    def _with_derivatives(
        self, part: PartRows, scenario: Scenario, frame: pd.DataFrame, of: Derivative | None
    ) -> PartRows:
        d_rows, second = self._derivatives(self.question.post.parts[part.name], scenario, frame, of, part.rows)
        return replace(part, d_rows=d_rows, second=second)

    def _read(self, scenario: Scenario, settings: Settings, of: Derivative | None = None) -> set[str]:
        """Columns of the frame whose values an answer depends on."""
        question, design = self.question, self.question.post.design
        names = set(design.variables(scenario.policy.of(design.factors).active)) | set(self._group_columns(scenario))
        names |= {n for f in scenario.policy.active if f in design.factors for n in design.factors[f].beside}
        names |= part_variables(question.post, question.parts, scenario.policy)
        if of is not None and of.of_x:
            names.add(of.variable)
        names |= design.response.variables(question.of_rows)
        constant = {s.variable for s in settings if s.step is None}
        return {n for n in names - constant if n in question.frame.columns}

    def _depends(self, scenario: Scenario, settings: Settings, of: Derivative | None = None) -> set[str]:
        """The same with what derived columns are computed from, which nobody knows: every column."""
        if self.question.derived:
            return set(self.question.frame.columns)
        return self._read(scenario, settings, of)

    def _refuse_missing_derived(self, frame: pd.DataFrame) -> None:
        question = self.question
        mask, counts = missing_rows(frame, [s.variable for s in question.derived])
        if mask.any() and question.averaged:
            raise DataError(
                f"Columns that at= computes are missing in {int(mask.sum())} rows of {question.what}, by column: "
                f"{counts}. An average over the others would be of other rows: fill what they are computed from."
            )

    def _group_columns(self, scenario: Scenario) -> Iterator[str]:
        design, columns = self.question.design, self.question.frame.columns
        for factor in (*scenario.policy.factors("own"), *scenario.policy.factors("sample")):
            if all(c in columns for c in design.factors[factor].columns):
                yield from design.factors[factor].columns

    def _refuse_missing(self, scenario: Scenario, settings: Settings, of: Derivative | None = None) -> None:
        """An average refuses rows with missing values, a unit-level result keeps them as NaN and says so once."""
        question, frame = self.question, self.question.frame
        fields = question.of_rows
        if fields:
            question.observing(apply_settings(frame, settings), fields)
        said_apart = question.post.design.response.variables(fields)
        mask, counts = missing_rows(frame, sorted(self._read(scenario, settings, of) - said_apart))
        if not mask.any():
            return
        said = f"{int(mask.sum())} of {len(frame)} rows of {question.what} have missing values, by column: {counts}."
        if question.averaged:
            raise DataError(f"{said} An average over the others would be of other rows: fill them, or drop them.")
        if said not in self._said:
            self._said.add(said)
            warn(f"{said} Their estimates are NaN.")


@dataclass(frozen=True)
class _Chunks:
    """The chunks of a pass, made afresh whenever they are gone through."""

    made: Callable[[], Iterator[Chunk]]

    def __iter__(self) -> Iterator[Chunk]:
        return self.made()


def _predictor(
    question: Question, tick: Callable[[int], None]
) -> Predictor | CombinedPredictor | ScaledPredictor | TiltedPredictor | DistributionPredictor:
    post, heavy = question.post, heavy_in(question.policy, question.post)
    if question.quantity is not None:
        return predictor_over(post, question.quantity, heavy, tick)
    if question.tilted:
        curve = post.family.curve(post.link)
        if heavy:
            refuse_infinite(curve.link, "mean")
        return TiltedPredictor(post.draws, curve, post.parts[question.parts[0]].link, tick)
    assert isinstance(question.target, Target)
    draws, scales = with_their_variance(post, question.target, heavy) if heavy else (post.draws, heavy)
    return DistributionPredictor(draws, post.link, post.family, question.target, tick, scales)


def _multiplier(of: Derivative, frame: pd.DataFrame, trials: np.ndarray | None) -> np.ndarray | None:
    """What the derivative of a row is multiplied by: the variable, and trials, which cancel where the mean divides."""
    x = frame[of.variable].to_numpy(dtype=np.float64, na_value=np.nan) if of.of_x else None
    if trials is None:
        return x
    factor = np.where(trials == 0, np.nan, 1.0) if of.of_y else trials  # of a count of 0 nothing is a share
    return factor if x is None else x * factor
