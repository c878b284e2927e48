"""One pass over the rows of a question for several functions of one eta at once: values (output, draw, cell)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.family.curve import Bundle
from bayesmargins.integrate import BundleAverages
from bayesmargins.predictor import exact
from bayesmargins.predictor.chunks import Chunk, Passed
from bayesmargins.predictor.passes import complete

__all__ = ["BundlePredictor"]


class BundlePredictor:
    """What do these draws say of the functions of a bundle, with b treated as planned and rows averaged?

    Parameters
    ----------
    draws : Draws
        Posterior draws.
    bundle : Bundle
        The functions.
    tick : callable
        Told how many values were done, from time to time.
    """

    def __init__(self, draws: Draws, bundle: Bundle, tick: Callable[[int], None]) -> None:
        self.draws, self.tick = draws, tick
        self.averages = BundleAverages(bundle, {name: draws.aux[name] for name in bundle.reads})

    def values(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["mean"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "mean", exact.values)

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["slope"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "slope", exact.slopes)

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, with ``values["second"]`` (output, draw, cell)."""
        return self._pass(chunks, cells, "second", exact.second_derivatives)

    def _pass(self, chunks: Iterable[Chunk], cells: int, part: str, engine: Callable[..., Iterable[tuple[slice, np.ndarray]]]) -> Passed:
        out = np.zeros((self.averages.bundle.outputs, len(self.draws.beta), cells))
        passed = Passed({part: out})
        for whole in chunks:
            chunk = complete(whole, passed)
            if not len(chunk.cells.index):
                continue
            for block, values in engine(self.draws, self.averages, chunk, part, passed):
                for total, of_output in zip(out, values, strict=True):
                    chunk.cells.add(total, of_output, block)
                self.tick(values[0].size)
        return passed
