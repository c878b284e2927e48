"""Sums of averages of curves: each goes through a predictor of its own, and their values are put together.

A bundle of curves goes through one predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.bundled import BundlePredictor
from bayesmargins.evaluate.category_passes import SharesPredictor
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.evaluate.views import Seen
from bayesmargins.family.curve import Bundle, Curve, Quantity
from bayesmargins.family.outcome import Values
from bayesmargins.progress import shared

__all__ = ["CombinedPredictor", "predictor_of"]


class CombinedPredictor:
    """What do these draws say of a sum of averages, with b treated as planned and rows averaged?

    Chunks are gone through once for each curve: give what can be iterated over again.
    """

    def __init__(self, draws: Draws, quantity: Quantity, tick: Callable[[int], None]) -> None:
        self.draws, self.quantity = draws, quantity
        told = shared(tick, max(len(quantity.curves), 1))
        self._each = [Predictor(_moved(draws, c), c.link, told) for c in quantity.curves]
        self._bundled: BundlePredictor | SharesPredictor | None = None
        if quantity.bundle is not None:
            bundled = isinstance(quantity.bundle, Bundle)
            self._bundled = (BundlePredictor if bundled else SharesPredictor)(draws, quantity.bundle, tick)  # type: ignore[arg-type]

    def values(
        self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",), careful: bool = False
    ) -> Passed:
        """As of `Predictor`: values (draw, [category], cell) by part; `careful` where they are divided by."""
        needs = self.quantity.needs(parts, careful)
        if self._bundled is not None:
            out = self._bundled.values(chunks, rows, cells)
            averages, out = dict(out.values), _together([out], self._size)
        else:
            found = [p.values(seen, rows, cells, needs) for p, seen in self._seen(chunks)]
            averages = {part: self._scaled([passed.values[part] for passed in found], part) for part in needs}
            out = _together(found, self._size)
        if self.quantity.only is not None:
            out.values, out.relative_bound = {part: averages[part][0] for part in parts}, found[0].relative_bound
        else:
            combined = {part: self.quantity.combined(averages, part) for part in parts}
            out.values = {part: self._shaped(values + self._beside(part)) for part, values in combined.items()}
        return out

    def add_tails(self, passed: Passed, chunks: Iterable[Chunk]) -> None:
        """As of `Predictor`, where the quantity is the average of one curve; other values go without logarithms."""
        curve = self.quantity.only
        if curve is None:
            return
        self._each[0].add_tails(passed, Seen(chunks, curve))
        for part, logs in passed.logs.items() if curve.factor is not None else ():
            passed.logs[part] = self._scaled_logs(curve, logs, part)
            rare = ~np.isnan(logs)
            with np.errstate(over="ignore"):
                passed.values[part][rare] = np.exp(passed.logs[part][rare])

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        if self._bundled is not None:
            return self._changed("slope", [self._bundled.slopes(chunks, rows, cells)])
        return self._changed("slope", [p.slopes(seen, rows, cells) for p, seen in self._seen(chunks)])

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        if self._bundled is not None:
            return self._changed("second", [self._bundled.second_derivatives(chunks, rows, cells)])
        return self._changed("second", [p.second_derivatives(seen, rows, cells) for p, seen in self._seen(chunks)])

    def relative_slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`, for the average of one curve."""
        predictor, seen = self._seen(chunks)[0]
        return predictor.relative_slopes(seen, rows, cells)

    def _seen(self, chunks: Iterable[Chunk]) -> list[tuple[Predictor, Seen]]:
        return [(p, Seen(chunks, curve)) for p, curve in zip(self._each, self.quantity.curves, strict=True)]

    @property
    def _size(self) -> float:
        """By how much more than an average an output can be wrong."""
        return float(np.abs(self.quantity.weights).sum(axis=1).max())

    def _changed(self, part: str, found: list[Passed]) -> Passed:
        out, averages = _together(found, self._size), [passed.values[part] for passed in found]
        derivatives = averages[0] if self._bundled is not None else self._scaled(averages, "mean")
        out.values = {part: self._shaped(self.quantity.changes(derivatives))}
        return out

    def _scaled(self, averages: list[np.ndarray], part: str) -> np.ndarray:
        """Averages of the curves, (curve, draw, cell), from those of their inverse links."""
        p = Values(**{name: values[:, None] for name, values in self.draws.aux.items()})
        return np.stack([c.scaled(found, p, part) for c, found in zip(self.quantity.curves, averages, strict=True)])

    def _scaled_logs(self, curve: Curve, logs: np.ndarray, part: str) -> np.ndarray:
        """The same of logarithms (draw, cell)."""
        factor = np.asarray(curve.times(Values(**{name: values[:, None] for name, values in self.draws.aux.items()})))
        with np.errstate(divide="ignore"):
            moved = logs + np.log(factor)
            return moved if part == "mean" else np.logaddexp(np.log1p(-factor), moved)

    def _beside(self, part: str) -> np.ndarray | float:
        """What the curves have beside their inverse links: (draw, output, 1)."""
        if all(curve.added is None for curve in self.quantity.curves):
            return 0.0
        p, sign, n = Values(**self.draws.aux), 1.0 if part == "mean" else -1.0, len(self.draws.beta)
        each = np.stack([np.broadcast_to(curve.beside(p), n) for curve in self.quantity.curves], axis=1)
        return sign * (each @ self.quantity.weights.T)[..., None]

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values if self.quantity.categories is not None else values[:, 0]


def predictor_of(draws: Draws, quantity: Quantity, tick: Callable[[int], None]) -> Predictor | CombinedPredictor:
    """What predicts this quantity where b is normal: nearly always the average of h(eta) itself."""
    if quantity.plain:
        return Predictor(draws, quantity.curves[0].link, tick)
    return CombinedPredictor(draws, quantity, tick)


def _moved(draws: Draws, curve: Curve) -> Draws:
    """The draws with what is added to eta as the coefficient of one more column, that of ones."""
    if curve.shift is None:
        return draws
    shift = np.broadcast_to(curve.shift(Values(**draws.aux)), len(draws.beta))
    return replace(draws, beta=np.column_stack([draws.beta, shift]))


def _together(found: Sequence[Passed], size: float) -> Passed:
    """Methods and bounds of a sum whose weights have this sum of sizes."""
    estimates = [passed.error_estimate for passed in found if passed.error_estimate is not None]
    return Passed(
        {},
        error_estimate=size * max(estimates) if estimates else None,
        error_bound=size * max(passed.error_bound for passed in found),
        methods=set().union(*(passed.methods for passed in found)),
        nodes=max(passed.nodes for passed in found),
        relative_bound=np.inf,
        multiplied=max(passed.multiplied for passed in found),
    )
