"""One or two effects a group of a response that is not normal: one factor's, integrated, and their exact draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.outcome import Outcome
from bayesmargins.integrate.group_tasks import COLUMNS, DRAW, GRADIENT, PILOT, POINTS, TASK, VALUES, WIDTH
from bayesmargins.integrate.normal_groups import Effects
from bayesmargins.limits import in_threads

__all__ = ["GroupQuadrature", "group_quadrature", "has_planes"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Of the log likelihood, over all groups, at most; and of a group. Nodes move with the parameters, and an error that
# changes with them is worth some ten times as much in the gradient. Less does to find a mode.
_WHOLE, _LARGEST, _COARSE = 1e-4, 1e-8, 1e-6
_PLANES = 10.0  # times as much of two effects, whose nodes are ten times as many
_WRONG = 0.01  # error of a draw beyond which its groups' likelihoods are not told
_TRIALS = 10  # a row, on average, that take less time as factors than one logarithm for all of them
_MANY = 1_000  # trials, from which on code for many points at once takes less time to load than it saves
_FEW = 20_000  # rows of all points: fewer take less time than threads take to begin


@dataclass(frozen=True)
class GroupQuadrature:
    """log p(y | phi, root, aux) = sum over groups of log of the integral of p(y_g | F phi + W root z) N(z; 0, I).

    z has one entry, or two. Each integral is a trapezoid sum around the peak of its integrand (`group_nodes`,
    `group_planes`). Rows are sorted by group.
    """

    tag: Any  # the family's `rows` under its link
    names: tuple[str, ...]  # the family's parameters that it reads, in order
    starts: Integers  # (group + 1,)
    y: Array  # (row,), as the next three
    n: Array
    weights: Array
    offset: Array
    W: Array  # (term, row); the first of two is 1 in all rows
    F: Array  # (coordinate, row)
    # (2, row), which of the parameters are u and v; their number for one far below, the next for one far above
    reads: Integers
    kinds: Integers  # (row,), of which kind it is: rows of a kind have the same y, n and parameters
    samples: Integers  # (kind,), one row of it
    rest: Array  # (group, column), what `at_rest` found; zeros where nothing is known yet
    constant: float = 0.0  # added to the log likelihood of all groups together
    largest: float = _LARGEST  # error of a group's integral, relative, at most
    pilot: Array = field(default_factory=lambda: np.empty(0))  # (variable,), of `at_rest`; empty where there was none

    @property
    def parameters(self) -> int:
        """How many numbers the family's parameters are."""
        return len(self.names) if self.tag.reads < 2 else int(self.reads.max(initial=1)) - 1

    @property
    def terms(self) -> int:
        """Effects of a group."""
        return len(self.W)

    @property
    def groups(self) -> int:
        """How many."""
        return len(self.starts) - 1

    @property
    def tolerance(self) -> float:
        """Of a group's integral, relative."""
        share = min(_WHOLE / max(self.groups, 1), self.largest)
        return float(share if self.terms == 1 else share * _PLANES)

    @cached_property
    def widest(self) -> Array:
        """Largest W of each group: (group,)."""
        sizes = np.append(np.abs(self.W[0]), 0.0)
        widest: Array = np.maximum.reduceat(sizes, self.starts[:-1])
        return np.where(np.diff(self.starts) > 0, widest, 0.0)

    def _points(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        columns = [phi, *roots, *(aux[name] for name in self.names)]
        flat = [np.asarray(c, dtype=np.float64).reshape(len(phi), -1) for c in columns]
        return np.ascontiguousarray(np.concatenate(flat, axis=1))  # columns side by side may lie column by column

    @cached_property
    def flat(self) -> tuple[Array, Integers]:
        """`flat_rows`, made once."""
        from bayesmargins.integrate.group_model import flat_rows

        return flat_rows(self)

    def _run(self, task: int, x: Array, out: Array) -> Array:
        """The compiled function at points x (draw, variable): out (draw, value)."""
        from bayesmargins.integrate.group_entry import group_entry, together_entry

        together = task in (VALUES, DRAW) and len(x) >= WIDTH and self._multiplied
        entry = together_entry(self.tag) if together else group_entry(self.tag, self.terms)
        (data, sizes), each = self.flat, WIDTH if together else 1

        def some(begin: int, end: int) -> None:
            asked, own = sizes.copy(), slice(each * begin, each * end)
            asked[TASK], asked[POINTS] = task, len(x[own])
            entry.into(x[own], data, asked, out[own])

        tasks = -(-len(x) // each)
        if len(x) * len(self.y) < _FEW:
            some(0, tasks)
        else:
            in_threads(some, tasks)
        return out

    @cached_property
    def _multiplied(self) -> bool:
        """Are there many trials, a few in each row, and is it known where nodes lie?"""
        if self.terms > 1 or not len(self.pilot) or not hasattr(self.tag, "multiplies"):
            return False
        trials = self.weights * self.n
        many = _MANY <= trials.sum() <= _TRIALS * len(trials)
        return bool(many and (trials == np.floor(trials)).all() and (self.W == 1.0).all())

    def by_group(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log likelihood of each group's rows: (draw, group)."""
        values = self._values(phi, roots, aux)
        wrong = values[:, -1] > _WRONG
        if self.terms > 1 and wrong.any():
            raise IntegrationError(
                f"The sum over two effects of each group does not reach far enough in {int(wrong.sum())} of {len(phi)} "
                f"draws: its error is {values[wrong, -1].max():.2g} in log likelihood. The group effects of these "
                "draws change the linear predictor by thousands: centre or rescale the variable whose effect varies."
            )
        return values[:, :-1]

    def error(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """The estimated error of the log likelihood: (draw,)."""
        return self._values(phi, roots, aux)[:, -1]

    def _values(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        return self._run(VALUES, self._points(phi, roots, aux), np.empty((len(phi), self.groups + 1)))

    def log_likelihood(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> Array:
        """log p(y | phi, roots, aux): (draw,)."""
        total: Array = self._values(phi, roots, aux)[:, :-1].sum(axis=1) + self.constant
        return total

    def derivatives(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]
    ) -> tuple[Array, Array, list[Array], dict[str, Array]]:
        """The log likelihood (draw,), and its derivatives in phi, the roots and the parameters, each of its shape."""
        x = self._points(phi, roots, aux)
        found = self._run(GRADIENT, x, np.empty((len(x), x.shape[1] + 1)))
        given = [phi, *roots, *(np.asarray(aux[name]) for name in self.names)]
        ends = np.cumsum([g[0].size for g in given])[:-1]
        pieces = [d.reshape(g.shape) for d, g in zip(np.split(found[:, 1:], ends, axis=1), given, strict=True)]
        own = pieces[1 + len(roots) :]
        return (
            found[:, 0] + self.constant,
            pieces[0],
            pieces[1 : 1 + len(roots)],
            dict(zip(self.names, own, strict=True)),
        )

    def draw_effects(
        self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array], rng: np.random.Generator
    ) -> list[Array]:
        """Draws of b, (draw, group, term), from their exact distribution given the rest."""
        uniform = rng.random((len(phi), self.groups * self.terms))
        return [self._run(DRAW, self._points(phi, roots, aux), uniform).reshape(len(phi), self.groups, self.terms)]

    def at_rest(self, phi: Array, roots: Sequence[Array], aux: Mapping[str, Array]) -> GroupQuadrature:
        """The same, whose nodes are placed by what this point (one draw) says, where that is near enough.

        Those of two effects are placed afresh each time.
        """
        return self._resting(self._points(phi, roots, aux)[0]) if self.terms == 1 else self

    def coarser(self) -> GroupQuadrature:
        """The same for who asks for values: all groups together err by as much, each by more and with fewer nodes."""
        coarse = replace(self, largest=_COARSE)
        return coarse._resting(self.pilot) if len(self.pilot) else coarse

    def _resting(self, pilot: Array) -> GroupQuadrature:
        afresh = replace(self, rest=np.zeros_like(self.rest))
        (rest,) = afresh._run(PILOT, pilot[None], np.empty((1, self.rest.size)))
        return replace(self, rest=np.nan_to_num(rest).reshape(self.rest.shape), pilot=pilot)


def group_quadrature(
    tag: Any,
    names: Sequence[str],
    outcome: Outcome,
    F: Array,
    effects: Effects,
    offset: Array,
    thresholds: int = 0,
    constant: float = 0.0,
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
    W, columns = (np.ascontiguousarray(part[order].T) for part in (effects.W, F))
    n = np.ascontiguousarray(n[order] if n.size else n)
    offset = np.broadcast_to(offset, y.shape)[order]
    rest = np.zeros((effects.levels, COLUMNS))
    kinds = (reads, *_kinds([y, n, *reads]))
    return GroupQuadrature(tag, tuple(names), starts, y, n, weights, offset, W, columns, *kinds, rest, constant)


def has_planes(tag: Any) -> bool:
    """Are there sums over two effects of rows with this tag?"""
    return hasattr(tag, "parts") or hasattr(tag, "multiplies")


def _kinds(columns: Sequence[npt.NDArray[Any]]) -> tuple[Integers, Integers]:
    """Number of each row's combination of values, and a row of each combination."""
    kinds = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, place = np.unique(column, return_inverse=True)
        _, samples, kinds = np.unique(kinds * len(values) + place, return_index=True, return_inverse=True)
    return kinds.astype(np.int64), samples.astype(np.int64)
