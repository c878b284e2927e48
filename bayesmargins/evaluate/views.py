"""Chunks as others see them: a curve, or the one linear predictor that is made of two.

E[exp(eta) f(zeta)] = exp(m + v / 2) E[f(zeta + c)], with eta normal about m with variance v, and c its covariance with
zeta: the density of b times exp(eta) is that of b moved by the covariance. m + v / 2 and zeta + c are linear predictors
too, whose further columns are products of z and whose coefficients are entries of Sigma.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk, PartRows, Scale, Second
from bayesmargins.family.curve import Curve
from bayesmargins.family.outcome import Values

__all__ = ["Seen", "Tilt"]

Product = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Seen:
    """Chunks as a curve sees them, turned round and with a column of ones; afresh whenever they are gone through."""

    chunks: Iterable[Chunk]
    curve: Curve

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self.chunks:
            d_rows = None if chunk.d_rows is None else self._of(chunk.d_rows, 0.0)
            second = chunk.second and Second(self._of(chunk.second.d_rows, 0.0), self._of(chunk.second.dd_rows, 0.0))
            yield replace(chunk, rows=self._of(chunk.rows, 1.0), d_rows=d_rows, second=second)

    def _of(self, rows: Rows, constant: float) -> Rows:
        sign, ones = self.curve.sign, 0 if self.curve.shift is None else 1
        X = np.column_stack([sign * rows.X, np.full((len(rows.X), ones), constant)])
        return replace(rows, X=X, Z={f: sign * z for f, z in rows.Z.items()}, offset=sign * rows.offset)


class Tilt:
    """How chunks with a parameter of their own become those of its linear predictor zeta + c, times exp(m + v / 2)."""

    def __init__(self, draws: Draws, curve: Curve) -> None:
        self.draws, self.curve = draws, curve
        self.scaled, self.tilted = draws, draws
        self._key: object = None

    def of(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks as those of the other parameter, with their scale."""
        for chunk in chunks:
            (part,) = chunk.parts
            self._move(chunk, part)
            mean = _Side(chunk.rows, chunk.d_rows, chunk.second)
            other = _Side(part.rows, part.d_rows, part.second)
            tilted = other.with_products(mean, other, _correlated(chunk, part), 0)
            scaled = mean.with_products(mean, mean, chunk.plan.integrated, int(self.curve.shift is not None))
            yield replace(
                chunk,
                rows=tilted.rows,
                plan=part.plan,
                d_rows=tilted.d_rows,
                second=tilted.second,
                parts=(),
                across={},
                scale=Scale(self.scaled, scaled.rows, chunk.plan, scaled.d_rows, scaled.second),
            )

    def _move(self, chunk: Chunk, part: PartRows) -> None:
        key = chunk.plan.integrated, part.plan.integrated, tuple(chunk.across)
        if self._key == key:
            return
        n = len(self.draws.beta)
        sizes = {f: chunk.rows.Z[f].shape[1] for f in chunk.plan.integrated}
        cross = [chunk.across[f][:, : sizes[f], sizes[f] :].reshape(n, -1) for f in _correlated(chunk, part)]
        own = [0.5 * self.draws.Sigma[f].reshape(n, -1) for f in chunk.plan.integrated]
        if self.curve.shift is not None:
            own.append(np.broadcast_to(self.curve.shift(Values(**self.draws.aux)), n)[:, None])
        self._key, self.tilted = key, replace(part.draws, beta=np.hstack([part.draws.beta, *cross]))
        self.scaled = replace(self.draws, beta=np.hstack([self.draws.beta, *own]))


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
