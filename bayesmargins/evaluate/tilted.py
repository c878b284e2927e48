"""Means that are exp(eta) times 1 less a parameter, over groups that move both: as averages over one linear predictor.

Rows are seen as those of the parameter, moved (`views.Tilt`), and pass through the engines and tables for one linear
predictor, each value times an exponential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.evaluate.views import Tilt
from bayesmargins.family.curve import Curve
from bayesmargins.family.link import Link

__all__ = ["TiltedPredictor"]

_METHOD = "moved by exp(eta)"


class TiltedPredictor:
    """What do these draws say of such a mean, with b of both linear predictors treated as planned and rows averaged?

    No factor is averaged over its fitted groups.
    """

    def __init__(self, draws: Draws, curve: Curve, link: Link, tick: Callable[[int], None]) -> None:
        self.draws, self.link, self.tick = draws, link, tick
        self._tilt, self._made = Tilt(draws, curve), Predictor(draws, link, tick)

    def values(
        self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",), careful: bool = False
    ) -> Passed:
        """As of `Predictor`."""
        return self._asked(chunks, lambda by, seen: by.values(seen, rows, cells, parts), parts, cells)

    def add_tails(self, passed: Passed, chunks: Iterable[Chunk]) -> None:
        """No logarithms: of these values none is too small."""

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        return self._asked(chunks, lambda by, seen: by.slopes(seen, rows, cells), ("slope",), cells)

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        return self._asked(chunks, lambda by, seen: by.second_derivatives(seen, rows, cells), ("second",), cells)

    def relative_slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        return self._asked(chunks, lambda by, seen: by.relative_slopes(seen, rows, cells), ("slope",), cells)

    def _asked(
        self,
        chunks: Iterable[Chunk],
        ask: Callable[[Predictor, Iterable[Chunk]], Passed],
        parts: Sequence[str],
        cells: int,
    ) -> Passed:
        seen = self._tilt.of(chunks)
        first = next(seen, None)  # says what is integrated, and with it the draws
        if first is None:
            return Passed({part: np.zeros((len(self.draws.beta), cells)) for part in parts})
        return _named(ask(self._predictor(), chain([first], seen)))

    def _predictor(self) -> Predictor:
        """Made once for the chunks of a question: it keeps tables."""
        if self._made.draws is not self._tilt.tilted:
            self._made = Predictor(self._tilt.tilted, self.link, self.tick)
        return self._made


def _named(passed: Passed) -> Passed:
    passed.methods = {f"{_METHOD}, {method}" for method in passed.methods}
    return passed
