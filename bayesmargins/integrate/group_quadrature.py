"""Group effects of a response that is not normal: one factor's, integrated group by group, and their exact draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family import Outcome
from bayesmargins.integrate.normal_groups import Effects
from bayesmargins.integrate.threads import in_threads

__all__ = ["GroupQuadrature", "group_quadrature"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_WHOLE = 1e-3  # error of the log likelihood that is aimed at, over all groups


@dataclass(frozen=True)
class GroupQuadrature:
    """log p(y | phi, L, aux) = sum over groups of log of the integral of p(y_g | F phi + W L z) N(z; 0, I) over z.

    Each integral is a trapezoid sum around the peak of its integrand (`group_nodes`). Rows are sorted by group.

    Attributes
    ----------
    tag : tuple
        The family's `rows` under its link.
    names : tuple of str
        The family's parameters that it reads, in order.
    order : (row,) int
        Where each of the rows stood.
    starts : (group + 1,) int
    y, n, weights, offset : (row,) float
    W : (term, row) float
    F : (coordinate, row) float
    reads : (2, row) int
        Which of the parameters are u and v; the number of parameters for one far below, the next for one far above.
    """

    tag: Any
    names: tuple[str, ...]
    order: Integers
    starts: Integers
    y: Array
    n: Array
    weights: Array
    offset: Array
    W: Array
    F: Array
    reads: Integers

    @property
    def groups(self) -> int:
        """How many."""
        return len(self.starts) - 1

    @property
    def tolerance(self) -> float:
        """Of a group's integral, relative."""
        return float(np.clip(_WHOLE / max(self.groups, 1), 1e-8, 1e-5))

    @cached_property
    def widest(self) -> Array:
        """Largest W of each group: (group,)."""
        sizes = np.append(np.abs(self.W).max(axis=0), 0.0)
        widest: Array = np.maximum.reduceat(sizes, self.starts[:-1])
        return np.where(np.diff(self.starts) > 0, widest, 0.0)

    @cached_property
    def kinds(self) -> tuple[Integers, Integers]:
        """Which rows have the same y, n and parameters: kind of each row, one row of each kind."""
        keys = np.column_stack([self.y, self.n, self.reads.T])
        _, samples, kinds = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return kinds.ravel().astype(np.int64), samples.astype(np.int64)

    @cached_property
    def model(self) -> Any:
        """As compiled loops take it."""
        from bayesmargins.integrate.group_quadrature_kernels import Model
        from bayesmargins.integrate.group_rows import Rows

        rows = Rows(self.y, self.n, self.weights, self.W, self.starts, *self.kinds)
        return Model(rows, self.F, self.offset, self.reads, self.widest, self.tolerance)

    def _point(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> tuple[Array, Array, Array]:
        columns = [np.asarray(aux[name]).reshape(len(phi), -1) for name in self.names]
        own = np.concatenate([*columns, np.empty((len(phi), 0))], axis=1)
        return np.ascontiguousarray(phi), np.ascontiguousarray(roots[0]), np.ascontiguousarray(own)

    def by_group(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> tuple[Array, Array]:
        """log likelihood of each group's rows, (draw, group), and the estimated error of their sum, (draw,)."""
        from bayesmargins.integrate.group_quadrature_kernels import group_values

        values, error = np.empty((len(phi), self.groups)), np.empty(len(phi))
        in_threads(group_values, len(phi), self.tag, self.model, *self._point(phi, roots, aux), values, error)
        return values, error

    def log_likelihood(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p(y | phi, roots, aux): (draw,)."""
        total: Array = self.by_group(phi, roots, aux)[0].sum(axis=1)
        return total

    def derivatives(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]
    ) -> tuple[Array, Array, list[Array], dict[str, Array]]:
        """The log likelihood (draw,), and its derivatives in phi, the roots and the parameters, each of its shape."""
        from bayesmargins.integrate.group_quadrature_kernels import derivatives

        point = self._point(phi, roots, aux)
        value, d_phi, d_root, d_own = np.empty(len(phi)), *(np.empty_like(x) for x in point)
        in_threads(derivatives, len(phi), self.tag, self.model, *point, value, d_phi, d_root, d_own)
        shapes = [np.asarray(aux[name]) for name in self.names]
        pieces = np.split(d_own, np.cumsum([x[0].size for x in shapes])[:-1], axis=1) if shapes else []
        return value, d_phi, [d_root], {n: p.reshape(x.shape) for n, p, x in zip(self.names, pieces, shapes, strict=True)}

    def draw_effects(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array], rng: np.random.Generator
    ) -> list[Array]:
        """Draws of b, (draw, group, term), from their exact distribution given the rest."""
        from bayesmargins.integrate.group_quadrature_kernels import draw_effects

        b = rng.random((len(phi), self.groups, len(self.W)))
        in_threads(draw_effects, len(phi), self.tag, self.model, *self._point(phi, roots, aux), b)
        return [b]


def group_quadrature(
    tag: Any, names: Sequence[str], outcome: Outcome, F: Array, effects: Effects, offset: Array, thresholds: int = 0
) -> GroupQuadrature:
    """Rows of `outcome`, F (row, coordinate), effects and offset (row,), sorted by group.

    `names` are the family's parameters beside the mean, `thresholds` how many of them there are where y is a category.
    """
    order = np.argsort(effects.codes, kind="stable")
    starts = np.searchsorted(effects.codes[order], np.arange(effects.levels + 1))
    y = outcome.y[order]
    reads = np.zeros((2, len(y)), dtype=np.int64)
    if tag.reads == 2:
        k = y.astype(np.int64)
        reads[0] = np.where(k == 1, thresholds, k - 2)
        reads[1] = np.where(k == thresholds + 1, thresholds + 1, k - 1)
    n = np.broadcast_to(np.asarray(outcome.number(), dtype=np.float64), y.shape)
    weights = np.ones(len(y)) if outcome.weights is None else outcome.weights[order]
    columns = (np.ascontiguousarray(part[order].T) for part in (effects.W, F))
    n = np.ascontiguousarray(n[order] if n.size else n)
    offset = np.broadcast_to(offset, y.shape)[order]
    return GroupQuadrature(tag, tuple(names), order, starts, y, n, weights, offset, *columns, reads)
