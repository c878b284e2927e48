"""Means that are exp(eta) times 1 less a parameter, over groups that move both: as averages over one linear predictor.

E[exp(eta) f(zeta)] = exp(m + v / 2) E[f(zeta + c)], with eta normal about m with variance v, and c its covariance with
zeta: the density of b times exp(eta) is that of b moved by the covariance. m + v / 2 and zeta + c are linear predictors
too, whose further columns are products of z and whose coefficients are entries of Sigma. So rows pass through the
engines and tables for one linear predictor, each value times an exponential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.family.curve import Curve
from bayesmargins.family.link import Link
from bayesmargins.family.outcome import Values
from bayesmargins.predictor.chunks import Chunk, PartRows, Passed, Scale, Second
from bayesmargins.predictor.passes import Predictor

__all__ = ["TiltedPredictor"]

Product = tuple[np.ndarray, np.ndarray]
_METHOD = "moved by exp(eta)"


class TiltedPredictor:
    """What do these draws say of such a mean, with b of both linear predictors treated as planned and rows averaged?

    No factor is averaged over its fitted groups.

    Parameters
    ----------
    draws : Draws
        Of mu and of parameters that are one number a draw.
    curve : Curve
        The mean.
    link : Link
        Of the other parameter.
    tick : callable
        Told how many values were done, from time to time.
    """

    def __init__(self, draws: Draws, curve: Curve, link: Link, tick: Callable[[int], None]) -> None:
        self.draws, self.curve, self.link, self.tick = draws, curve, link, tick
        self._made: tuple[object, Draws, Predictor] | None = None

    def values(self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",)) -> Passed:
        """As of `Predictor`."""
        return self._asked(chunks, lambda by, seen: by.values(seen, rows, cells, parts), parts, cells)

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
        ask: Callable[[Predictor, Iterator[Chunk]], Passed],
        parts: Sequence[str],
        cells: int,
    ) -> Passed:
        seen = (self._tilted(chunk) for chunk in chunks)
        first = next(seen, None)
        if first is None:
            return Passed({part: np.zeros((len(self.draws.beta), cells)) for part in parts})

        return _named(ask(first[1], (tilted for tilted, _ in chain([first], seen))))

    def _tilted(self, chunk: Chunk) -> tuple[Chunk, Predictor]:
        """The chunk as one of the other parameter, with its scale, and what its draws are asked by."""
        (part,) = chunk.parts
        of_scale, predictor = self._predictor(chunk, part)
        mean = _Side(chunk.rows, chunk.d_rows, chunk.second)
        other = _Side(part.rows, part.d_rows, part.second)
        tilted = other.with_products(mean, other, _correlated(chunk, part), 0)
        scaled = mean.with_products(mean, mean, chunk.plan.integrated, int(self.curve.shift is not None))
        scale = Scale(of_scale, scaled.rows, chunk.plan, scaled.d_rows, scaled.second)
        moved = replace(
            chunk,
            rows=replace(tilted.rows, complete=chunk.complete),
            plan=replace(part.plan, missing=np.zeros_like(part.plan.missing)),
            d_rows=tilted.d_rows,
            second=tilted.second,
            parts=(),
            across={},
            scale=scale,
        )
        return moved, predictor

    def _predictor(self, chunk: Chunk, part: PartRows) -> tuple[Draws, Predictor]:
        """Draws of m + v / 2, and what asks those of zeta + c; made once for the chunks of a question."""
        key = chunk.plan.integrated, part.plan.integrated, tuple(chunk.across)
        if self._made is None or self._made[0] != key:
            n = len(self.draws.beta)
            sizes = {f: chunk.rows.Z[f].shape[1] for f in chunk.plan.integrated}
            cross = [chunk.across[f][:, : sizes[f], sizes[f] :].reshape(n, -1) for f in _correlated(chunk, part)]
            own = [0.5 * self.draws.Sigma[f].reshape(n, -1) for f in chunk.plan.integrated]
            if self.curve.shift is not None:
                own.append(np.broadcast_to(self.curve.shift(Values(**self.draws.aux)), n)[:, None])
            tilted = replace(part.draws, beta=np.hstack([part.draws.beta, *cross]))
            scaled = replace(self.draws, beta=np.hstack([self.draws.beta, *own]))
            self._made = key, scaled, Predictor(tilted, self.link, self.tick)
        return self._made[1:]


class _Side:
    """Rows of a linear predictor with their derivatives."""

    def __init__(self, rows: Rows, d_rows: Rows | None, second: Second | None) -> None:
        self.rows, self.d_rows, self.second = rows, d_rows, second

    def with_products(self, one: _Side, other: _Side, factors: Sequence[str], ones: int) -> _Side:
        """The same with columns z_a w_b of factors after the others, and then some of ones."""

        def columns(*of: tuple[Rows, Rows]) -> list[np.ndarray]:
            return [_products(*[(left.Z[f], right.Z[f]) for left, right in of]) for f in factors]

        def more(rows: Rows, added: list[np.ndarray], constant: float) -> Rows:
            return replace(rows, X=np.hstack([rows.X, *added, np.full((len(rows.X), ones), constant)]))

        rows = more(self.rows, columns((one.rows, other.rows)), 1.0)
        if self.d_rows is None or one.d_rows is None or other.d_rows is None:
            return _Side(rows, None, None)
        d_rows = more(self.d_rows, columns((one.d_rows, other.rows), (one.rows, other.d_rows)), 0.0)
        if self.second is None or one.second is None or other.second is None:
            return _Side(rows, d_rows, None)
        z, w = one.d_rows, other.d_rows
        (zd, zdd), (wd, wdd) = ((s.d_rows, s.dd_rows) for s in (one.second, other.second))
        by_second = more(self.second.d_rows, columns((zd, other.rows), (one.rows, wd)), 0.0)
        twice = columns((zdd, other.rows), (z, wd), (zd, w), (one.rows, wdd))
        return _Side(rows, d_rows, Second(by_second, more(self.second.dd_rows, twice, 0.0)))


def _correlated(chunk: Chunk, part: PartRows) -> list[str]:
    """Factors whose effects on the two are correlated, and integrated."""
    return [f for f in chunk.across if f in chunk.plan.integrated and f in part.plan.integrated]


def _products(*pairs: Product) -> np.ndarray:
    """The sum over pairs of z_a w_b, (row, a x b)."""
    return np.asarray(sum((z[:, :, None] * w[:, None, :]).reshape(len(z), -1) for z, w in pairs))


def _named(passed: Passed) -> Passed:
    passed.methods = {f"{_METHOD}, {method}" for method in passed.methods}
    return passed
