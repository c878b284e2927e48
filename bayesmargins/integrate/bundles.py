"""E[f(eta + s Z)] of several smooth functions of one eta at once, such as the probabilities of categories.

The trapezoid rule does not mind where its nodes begin. Rows of a draw therefore share theirs, at whole multiples of one
step in eta: the functions are evaluated there once, whatever the rows and outputs, and a row is a sum of these values
with the Gaussian weights of its own eta and s. The step follows from the strip in which the functions are analytic, as
in `rules`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.curve import Bundle
from bayesmargins.family.outcome import Values
from bayesmargins.integrate.engine import Integral, largest_of
from bayesmargins.integrate.rules import EPS, PER_OCTAVE
from bayesmargins.limits import in_threads

__all__ = ["BundleAverages", "bundle_expectation", "bundle_mixture", "values_of"]

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
Parameters = Mapping[str, Array]

_REACH = 12.0  # in z: what lies beyond has probability 4e-33
_WIDEST = 25.0  # lines in z that are looked at
_RADII = np.geomspace(0.02, 0.9, 30)  # of circles for Cauchy's estimate of derivatives, in half-widths
_RELATIVE, _ABSOLUTE = 1e-14, 1e-18  # discretisation errors that steps are chosen for
_RUN = 512.0  # rounding of a weight that follows from 32 others, in units of EPS
_TASK_VALUES = 2**15  # f at so many nodes stays in the processor's cache
_ORDERS = {"mean": 0, "d1": 1, "d2": 2, "d3": 3, "d4": 4}
_TASK_ROWS = 2**12
_NOT_INTEGRATED = np.iinfo(np.int64).min


@dataclass(frozen=True)
class _Rows:
    """Rows of some draws; `mine` says which of them a bucket's rule serves: (draw, 1) or (draw, row), as s."""

    bundle: Bundle
    parameters: Parameters
    eta: Array
    s: Array
    mine: npt.NDArray[np.bool_]
    bucket: int
    order: int

    def take(self, draws: Index) -> _Rows:
        """The same of some of the draws."""
        eta, s, mine = self.eta[draws], self.s[draws], self.mine[draws]
        return replace(self, parameters=self.parameters_of(draws), eta=eta, s=s, mine=mine)

    def parameters_of(self, draws: Index) -> Parameters:
        """What the functions read, of some of the draws."""
        return {name: v[draws] for name, v in self.parameters.items()}


@dataclass(frozen=True)
class BundleAverages:
    """A bundle with draws of the parameters that it reads, (draw, ...): averaged as a link is, by part."""

    bundle: Bundle
    parameters: Parameters

    def take(self, draws: Index | slice) -> BundleAverages:
        """The same for some of the draws."""
        return BundleAverages(self.bundle, {name: v[draws] for name, v in self.parameters.items()})

    def average(self, eta: Array, s2: Array, part: str) -> Integral:
        """Over new groups: `bundle_expectation`."""
        return bundle_expectation(self.bundle, self.parameters, eta, s2, _ORDERS[part])

    def over_groups(self, eta: Array, s2: Array, shifts: Array, weights: Array, part: str) -> Integral:
        """Over fitted groups: `bundle_mixture`."""
        return bundle_mixture(self.bundle, self.parameters, eta, s2, shifts, weights, _ORDERS[part])


class _Rule(NamedTuple):
    """Distance of nodes in z for every s up to that of a bucket, and the error that it makes."""

    step: float
    error: float

    @property
    def nodes(self) -> int:
        return 2 * math.ceil(_REACH / self.step) + 1


def values_of(bundle: Bundle, parameters: Parameters, eta: Array, order: int = 0) -> Array:
    """The functions, or a derivative of them, at eta (draw, row): (output, draw, row)."""
    of_draws = {name: v[:, None] for name, v in parameters.items()}
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(bundle.of(Values(eta=eta, link=bundle.link, **of_draws), order)[order])


def bundle_expectation(bundle: Bundle, parameters: Parameters, eta: Array, s2: Array, order: int = 0) -> Integral:
    """Averages over new groups of these functions, or of a derivative: (output, draw, row), with a bound.

    `parameters` (draw, ...) are what the functions read; eta is (draw, row), and s2, the variance of z'b, (draw, 1)
    or (draw, row). The order of the derivative is 4 at most. NaN where eta or s2 is.
    """
    s = np.sqrt(s2)
    bucket = _buckets(s)
    value = (
        values_of(bundle, parameters, eta, order) if _any_bare(eta, bucket) else np.empty((bundle.outputs, *eta.shape))
    )
    present = [int(b) for b in np.unique(bucket) if b != _NOT_INTEGRATED]
    if not present:
        return Integral(value, 0.0, "plug-in", 0)
    bound, relative, nodes = 0.0, 0.0, 0
    for own in present:
        rule = _rule(bundle, own, order)
        which = np.flatnonzero((bucket == own).any(axis=1))
        _fill(_Rows(bundle, parameters, eta, s, bucket == own, own, order).take(which), rule, value, which)
        errors = _errors(bundle, rule, float(s[bucket == own].max()), eta, order)
        bound, relative, nodes = max(bound, errors[0]), max(relative, errors[1]), max(nodes, rule.nodes)
    return Integral(value, bound * max(1.0, largest_of(value)), "trapezoid", nodes, relative)


def bundle_mixture(
    bundle: Bundle, parameters: Parameters, eta: Array, s2: Array, shifts: Array, weights: Array, order: int = 0
) -> Integral:
    """The same over fitted groups too: sums over groups of weight times the average at eta + shift (draw, group)."""
    value = np.zeros((bundle.outputs, *eta.shape))
    bound, relative, nodes, method = 0.0, 0.0, 0, ""
    for shift, weight in zip(shifts.T, weights, strict=True):
        term = bundle_expectation(bundle, parameters, eta + shift[:, None], s2, order)
        value += weight * term.value
        bound, relative = max(bound, term.error_bound), max(relative, term.relative_bound)
        nodes, method = max(nodes, term.nodes), term.method
    return Integral(value, bound + EPS * len(weights), method, nodes, relative + EPS * len(weights))


def _buckets(s: Array) -> Integers:
    """Which rule serves each s; a number of its own where nothing is integrated, or s is not known."""
    integrated = np.isfinite(s) & (s > 0.0)
    number = np.ceil(PER_OCTAVE * np.log2(np.where(integrated, s, 1.0))).astype(np.int64)
    return np.where(integrated, number, _NOT_INTEGRATED)


def _any_bare(eta: Array, bucket: Integers) -> bool:
    return bool((bucket == _NOT_INTEGRATED).any() or not np.isfinite(eta).all())


@lru_cache(maxsize=1024)
def _rule(bundle: Bundle, bucket: int, order: int) -> _Rule:
    """The largest step whose error some line of the strip bounds by what is allowed."""
    s = 2.0 ** (bucket / PER_OCTAVE) * (1.0 + 1e-12)
    error = _RELATIVE if bundle.relative and not order else _ABSOLUTE
    half_width = min(bundle.half_width, _WIDEST * max(s, 1.0))
    steps = []
    for r in _RADII * min(half_width, 2.0) if order else np.zeros(1):
        a = min((half_width - r) / s, _WIDEST) * np.linspace(5e-4, 1.0 - 1e-9, 2000)
        log_sup = 0.5 * a * a + bundle.growth(s * a + r)
        if order:  # Cauchy: n! / r^n times what abs(f) is on a circle
            log_sup = log_sup + math.lgamma(order + 1.0) - order * math.log(r)
        steps.append(np.max(2.0 * np.pi * a / (math.log(2.0 / error) + log_sup)))
    return _Rule(float(max(steps)), 1.01 * error)


def _errors(bundle: Bundle, rule: _Rule, s: float, eta: Array, order: int) -> tuple[float, float]:
    """Bounds on the error of values of size 1 at most, and of positive values relative to themselves."""
    argument = float(np.abs(eta[np.isfinite(eta)]).max(initial=0.0)) + s * _REACH
    rounding = EPS * (_RUN + rule.nodes + bundle.outputs * (16.0 + argument))
    relative = bundle.relative and not order
    return rule.error + rounding * 4.0**order, rule.error + rounding if relative else np.inf


def _fill(rows: _Rows, rule: _Rule, out: Array, draws: Index) -> None:
    """Values of a bucket's rows: on a lattice that they share, or with nodes of their own where these are fewer."""
    step = rule.step * 2.0 ** ((rows.bucket - 1) / PER_OCTAVE)
    beyond = _REACH * 2.0 ** (rows.bucket / PER_OCTAVE) * (1.0 + 1e-9) + 2.0 * step
    mine = rows.mine & np.isfinite(rows.eta)
    low, high = (f(np.where(mine, rows.eta, -sign * np.inf), axis=1) for f, sign in ((np.min, -1.0), (np.max, 1.0)))
    points = (high - low + 2.0 * beyond) / step
    shared = points <= rule.nodes * mine.sum(axis=1)

    def on_lattice(first: int, last: int, which: Index, size: int) -> None:
        for start in range(first * size, min(last * size, len(which)), size):
            some = which[start : start + size]
            found = _on_lattice(rows.take(some), step, (low[some] - beyond, high[some] + beyond))
            for o in range(len(out)):
                out[o, draws[some]] = np.where(mine[some], found[o], out[o, draws[some]])

    def one_by_one(first: int, last: int, draw: Index, row: Index) -> None:
        for start in range(first * _TASK_ROWS, min(last * _TASK_ROWS, len(draw)), _TASK_ROWS):
            d, r = draw[start : start + _TASK_ROWS], row[start : start + _TASK_ROWS]
            out[:, draws[d], r] = _one_by_one(rows, rule.step, d, r)

    which = np.flatnonzero(shared)
    if which.size:
        size = max(1, int(_TASK_VALUES / points[which].max()))
        in_threads(on_lattice, -(-len(which) // size), which, size)
    draw, row = np.nonzero(mine & ~shared[:, None])
    in_threads(one_by_one, -(-len(draw) // _TASK_ROWS), draw, row)


def _on_lattice(rows: _Rows, step: float, ends: tuple[Array, Array]) -> Array:
    """The functions once at the multiples of a step between the ends of each draw, and sums of them: as `out`."""
    from bayesmargins.integrate.lattice_kernels import lattice_sums  # numba takes a second to import

    left = np.floor(ends[0] / step).astype(np.int64)
    nodes = int((np.ceil(ends[1] / step) - left).max()) + 1
    at = np.asarray((left[:, None] + np.arange(nodes)) * step, dtype=np.float64)
    values = values_of(rows.bundle, rows.parameters, at, rows.order)
    found = np.empty((len(values), *rows.eta.shape))
    lattice_sums(np.ascontiguousarray(values.swapaxes(0, 1)), left, step, rows.eta, rows.s, rows.mine, _REACH, found)
    return found


def _one_by_one(rows: _Rows, step: float, draw: Index, row: Index) -> Array:
    """Nodes at eta + k step s of some rows, each with its own: (output, row)."""
    at = partial(values_of, rows.bundle, rows.parameters_of(draw), order=rows.order)
    eta = rows.eta[draw, row][:, None]
    s = np.broadcast_to(rows.s, rows.eta.shape)[draw, row][:, None]
    total = step / np.sqrt(2.0 * np.pi) * at(eta)
    for k in range(1, math.ceil(_REACH / step) + 1):
        z = k * step
        weight = step / np.sqrt(2.0 * np.pi) * math.exp(-0.5 * z * z)
        total += weight * (at(eta - s * z) + at(eta + s * z))
    return total[..., 0]
