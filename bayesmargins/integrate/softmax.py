"""E[softmax] of several linear predictors that are jointly normal: probabilities of categories over new groups.

Along each of the standard normal numbers the integrand is analytic while the phases of exp(eta_k) and of 1, that of the
first category, lie within pi of each other: with w half the distance between the largest and the smallest of the moves
and 0, for abs(Im z) < a = pi / (2 w), and there abs(p_k(x + iy)) <= p_k(x) / cos(w y). So the trapezoid rule has a
step for a tolerance and a bound on its error, relative to the probability itself, as in `rules`. In one and two
dimensions nodes are those of a grid. In more, independent effects leave one dimension (`race_kernels`); others have a
grid in three dimensions where its nodes are few enough, and else scrambled Sobol points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy

from bayesmargins.integrate.engine import largest_finite
from bayesmargins.integrate.rules import EPS, PER_OCTAVE
from bayesmargins.limits import in_threads

__all__ = ["Averages", "softmax_averages"]

Array = npt.NDArray[np.float64]

_TOLERANCE = {1: 1e-13, 2: 1e-12, 3: 1e-10}
# In z: beyond lies what counts for 1e-14, and rare categories lie up to their moves further.
_REACH, _WIDEST = 8.0, 12.0
_GRIDDED = 2  # dimensions in which there is always a grid
_MOST = 2e9  # nodes of all pairs of a draw and a row, in three dimensions
_SCRAMBLINGS, _POINTS = 8, (512, 2048, 8192)  # of each
_RACE_TOLERANCE = 1e-12
_TABLED_ROWS, _CELLS = 24, 2**14
_OF_TABLES = 2e-12
_ENOUGH = 1e-6  # standard error
_MOST_POINTS = 4e9
_STANDARD_ERRORS = 4.0
_SEED = 20112


@dataclass(frozen=True)
class Averages:
    """Values (category, draw, row), how wrong they are, and whether that is a bound; the method, and its nodes."""

    value: Array
    error: float
    bounded: bool
    method: str
    nodes: int


def softmax_averages(
    etas: Array, moves: Array, d_etas: Array | None = None, d_V: Array | None = None, points: bool = False
) -> Averages:
    """Average probabilities of the categories at etas (predictor, draw, row), of all but the first, at b = 0.

    moves (draw, 1 or row, predictor, dimension) is what a unit of each standard normal number adds to them. Where
    d_etas (predictor, draw, row), their derivatives, and d_V (draw, 1 or row, predictor, predictor), those of their
    covariance, are given: how the averages change. `points` asks for Sobol points in more than two dimensions,
    however few nodes a grid has.
    """
    moved = np.flatnonzero(np.abs(moves).max(axis=(0, 1, 2), initial=0.0) > 0.0)
    moves = np.ascontiguousarray(moves[..., moved])
    changes = None if d_etas is None else (np.ascontiguousarray(d_etas), np.ascontiguousarray(d_V, dtype=np.float64))
    size = 1.0 if changes is None else 2.0 * largest_finite(changes[0]) + 3.0 * largest_finite(changes[1])
    task = _Task(np.ascontiguousarray(etas), moves, changes)
    if not len(moved):
        value = task.over(np.arange(etas.shape[1]), np.zeros((0, 1)), np.ones(1))
        return Averages(value, 8.0 * EPS * size, True, "plug-in", 0)
    rules = _rules_of(moves, 1.0 if changes is None else 3.0)
    across = changes is not None and bool((changes[1] * (1.0 - np.eye(len(etas)))).any())
    sds = None if len(moved) <= _GRIDDED or points or across else _independent(moves)
    if sds is not None and _work_of_race(task, sds) <= _MOST:
        return _raced(task, sds, size)
    gridded = len(moved) <= _GRIDDED or (len(moved) == 3 and not points and _work(rules, task) <= _MOST)
    return _on_grids(task, rules, size) if gridded else _over_points(task, len(moved))


@dataclass(frozen=True)
class _Task:
    """What is averaged: over any nodes, for some of the draws."""

    etas: Array
    moves: Array
    changes: tuple[Array, Array] | None

    @property
    def pairs(self) -> int:
        return self.etas.shape[1] * self.etas.shape[2]

    def over(self, draws: npt.NDArray[np.intp], points: Array, weights: Array) -> Array:
        """(category, draw, row) from nodes (dimension, node) and their weights."""
        from bayesmargins.integrate.softmax_kernels import softmax_changes, softmax_means  # numba takes a second

        whole = len(draws) == self.etas.shape[1]
        etas, moves = (self.etas, self.moves) if whole else (self.etas[:, draws], self.moves[draws])
        out = np.empty((len(etas) + 1, *etas.shape[1:]))
        nodes = np.ascontiguousarray(points), np.ascontiguousarray(weights)
        if self.changes is None:
            in_threads(softmax_means, len(draws), etas, moves, *nodes, out)
        else:
            d_etas, d_V = self.changes if whole else (self.changes[0][:, draws], self.changes[1][draws])
            in_threads(softmax_changes, len(draws), etas, moves, *nodes, d_etas, d_V, out)
        return out


@dataclass(frozen=True)
class _Rule:
    """Steps and reach by dimension, for the draws that it serves, and the relative error that it makes."""

    draws: npt.NDArray[np.intp]
    steps: tuple[float, ...]
    reaches: tuple[float, ...]
    error: float

    @property
    def nodes(self) -> float:
        """About how many there are in the ellipsoid."""
        n = len(self.steps)
        ball = math.pi ** (n / 2.0) / math.gamma(n / 2.0 + 1.0)
        return ball * math.prod(r / h for r, h in zip(self.reaches, self.steps, strict=True))


def _rules_of(moves: Array, power: float) -> list[_Rule]:
    """A rule for each group of draws whose moves are about as wide."""
    wide = np.maximum(moves.max(axis=2), 0.0) - np.minimum(moves.min(axis=2), 0.0)
    widths = 0.5 * wide.max(axis=1)  # (draw, dimension)
    buckets = np.ceil(PER_OCTAVE * np.log2(np.maximum(widths, 2.0**-5))).astype(np.int64)
    kinds, of_draw = np.unique(buckets, axis=0, return_inverse=True)
    tolerance = _TOLERANCE[min(len(kinds[0]), 3)]
    rules = []
    for k, kind in enumerate(kinds):
        widest = 2.0 ** (kind / PER_OCTAVE) * (1.0 + 1e-12)
        steps = tuple(_step(float(w), power, tolerance) for w in widest)
        reaches = tuple(_REACH + min(2.0 * float(w), _WIDEST) for w in widest)
        rules.append(_Rule(np.flatnonzero(of_draw.ravel() == k), steps, reaches, 1.01 * tolerance * len(steps)))
    return rules


@lru_cache(maxsize=1024)
def _step(w: float, power: float, tolerance: float) -> float:
    """The largest step of a dimension whose error some line of the strip bounds by the tolerance."""
    a = np.linspace(1e-3, 1.0 - 1e-6, 4000) * min(math.pi / (2.0 * w), 12.0)
    log_sup = 0.5 * a * a - power * np.log(np.cos(w * a))
    return float(np.max(2.0 * np.pi * a / (math.log(2.0 / tolerance) + log_sup)))


def _independent(moves: Array) -> Array | None:
    """Standard deviations (draw, 1 or row, predictor) of moves of one predictor each; None where one is shared."""
    own = np.zeros((*moves.shape[:2], moves.shape[2]))
    for j in range(moves.shape[3]):
        k = int(np.abs(moves[..., j]).max(axis=(0, 1)).argmax())
        if np.delete(moves[..., j], k, axis=2).any() or own[..., k].any():
            return None
        own[..., k] = np.abs(moves[..., k, j])
    return own


def _race_rule(sds: Array) -> tuple[float, Array, Array]:
    """The step in log time, and nodes and weights for the effects of each category.

    exp(-exp(v)) is at most 1 where abs(Im v) < pi / 2, and its derivatives bounded by the cosine of that.
    """
    y = np.linspace(0.5, 1.0 - 1e-3, 500) * 0.5 * math.pi
    log = math.log(1.0 / _RACE_TOLERANCE)
    step = float(np.max(2.0 * math.pi * y / (log + np.log(4.0 / np.cos(y)))))
    widest = max(float(sds.max()), 1e-3)
    a = np.minimum(y[:, None], 12.0 * widest) / widest * np.linspace(0.05, 1.0, 60)
    h = float(np.max(2.0 * math.pi * a / (log + 0.5 * a * a + np.log(4.0 / np.cos(widest * a)) * 3.0)))
    z = h * np.arange(-math.ceil(_REACH / h), math.ceil(_REACH / h) + 1.0)
    weights = np.exp(-0.5 * z * z)
    return step, z, weights / weights.sum()


def _work_of_race(task: _Task, sds: Array) -> float:
    """As nodes of a grid: an exponential costs as much as two, a look-up as eight."""
    step, z, _ = _race_rule(sds)
    moments = (40.0 + 8.0 * float(sds.max())) / step * len(task.etas)
    if _tabled(task, sds):
        return moments * (8.0 * task.pairs + 32.0 * step * 4.0 * len(z) * task.etas.shape[1])
    return moments * 4.0 * len(z) * task.pairs


def _tabled(task: _Task, sds: Array) -> bool:
    return sds.shape[1] == 1 and task.etas.shape[2] >= _TABLED_ROWS


def _raced(task: _Task, sds: Array, size: float) -> Averages:
    """Independent effects: one dimension, the time of a race, in place of one a linear predictor."""
    from bayesmargins.integrate.race_kernels import softmax_races  # numba takes a second

    step, z, weights = _race_rule(sds)
    d_etas, d_V = np.empty((len(task.etas), 0, 0)), np.empty((0, 0, len(task.etas)))
    if task.changes is not None:
        d_etas, d_V = task.changes[0], np.ascontiguousarray(np.einsum("drkk->drk", task.changes[1]))
    out = np.empty((len(task.etas) + 1, *task.etas.shape[1:]))
    left = math.log(1.0 / _RACE_TOLERANCE) + 4.0
    given = sds, step, left, z, weights, _CELLS if _tabled(task, sds) else 0, d_etas, d_V
    in_threads(softmax_races, task.etas.shape[1], task.etas, *given, out)
    error = (_RACE_TOLERANCE + _OF_TABLES * _tabled(task, sds)) * (2.0 + len(task.etas) * left) + EPS * 500.0
    return Averages(out, size * error, True, f"trapezoid in 1 dimension of {sds.shape[2]}", len(z))


def _work(rules: list[_Rule], task: _Task) -> float:
    return sum(rule.nodes * len(rule.draws) * task.etas.shape[2] for rule in rules)


def _on_grids(task: _Task, rules: list[_Rule], size: float) -> Averages:
    categories, draws, rows = len(task.etas) + 1, *task.etas.shape[1:]
    value, most, wrong = np.empty((categories, draws, rows)), 0, 0.0
    for rule in rules:
        points, weights = _grid(rule.steps, rule.reaches)
        value[:, rule.draws] = task.over(rule.draws, points, weights)
        most = max(most, len(weights))
        wrong = max(wrong, rule.error + EPS * (32.0 + len(weights)))
    dimensions = len(rules[0].steps)
    return Averages(value, size * wrong, True, f"trapezoid in {_dimensions(dimensions)}", most)


def _dimensions(n: int) -> str:
    return f"{n} dimension{'s' * (n > 1)}"


@lru_cache(maxsize=64)
def _grid(steps: tuple[float, ...], reaches: tuple[float, ...]) -> tuple[Array, Array]:
    """Nodes (dimension, node) within an ellipsoid, and their weights, which sum to 1."""
    along = [h * np.arange(-np.floor(r / h), np.floor(r / h) + 1.0) for h, r in zip(steps, reaches, strict=True)]
    points = np.stack(np.meshgrid(*along, indexing="ij")).reshape(len(steps), -1)
    inside = ((points / np.array(reaches)[:, None]) ** 2).sum(axis=0) <= 1.0
    points = points[:, inside]
    weights = np.exp(-0.5 * (points**2).sum(axis=0))
    return np.ascontiguousarray(points), weights / weights.sum()


def _over_points(task: _Task, dimensions: int) -> Averages:
    """The mean over scrambled Sobol points, the same for all rows, and four standard errors of the scramblings."""
    everything = np.arange(task.etas.shape[1])
    for size in _POINTS:
        even = np.full(size, 1.0 / size)
        mean, square = np.zeros(1), np.zeros(1)
        for k in range(_SCRAMBLINGS):
            found = task.over(everything, _scrambled(size, dimensions, k), even)
            step = found - mean
            mean = mean + step / (k + 1.0)
            square = square + step * (found - mean)
        error = np.sqrt(float(np.nanmax(square, initial=0.0)) / (_SCRAMBLINGS * (_SCRAMBLINGS - 1.0)))
        if error <= _ENOUGH or 4.0 * size * _SCRAMBLINGS * task.pairs > _MOST_POINTS:
            break
    said = f"Sobol points in {_dimensions(dimensions)}, {_SCRAMBLINGS} scramblings"
    return Averages(mean, _STANDARD_ERRORS * error, False, said, size * _SCRAMBLINGS)


@lru_cache(maxsize=64)
def _scrambled(size: int, dimensions: int, k: int) -> Array:
    """Standard normal numbers (dimension, point)."""
    from scipy.stats import qmc  # half a second

    uniform = qmc.Sobol(dimensions, seed=np.random.default_rng([_SEED, k])).random(size)
    return np.ascontiguousarray(scipy.special.ndtri(np.clip(uniform, 2.0**-40, 1.0 - 2.0**-40)).T)
