"""Quantiles of y over b where they are searched for by its tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.family.link import exponential
from bayesmargins.family.outcome import Outcome
from bayesmargins.integrate.search import bracketed, crossing, smallest_integer

__all__ = [
    "RESOLUTION",
    "Number",
    "quantile_of_ordered",
    "sd_of_ordered",
    "searched_quantile",
    "whole_quantile",
]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

RESOLUTION = 1e-13
_TIE = 1e-12


@dataclass(frozen=True)
class Number:
    """A number for every pair of a draw and a row."""

    value: Array  # (n,) float
    error: Array  # (n,) float: estimate of its absolute error
    method: str  # engine that was used
    nodes: int = 0  # most nodes of a rule


def sd_of_ordered(below: Sequence[Number], above: Sequence[Number], numbers: Sequence[float]) -> Number:
    """That of an ordered y whose categories count as these numbers, from P(y <= k) and P(y > k) of all k but the last.

    Var(y) = sum over j, k of d_j d_k P(y <= min(j, k)) P(y > max(j, k)), with d_k how far the number after the k-th is
    from it: no difference of large numbers.
    """
    gaps = np.diff(numbers)
    P, Q = (gaps[:, None] * np.stack([tail.value for tail in tails]) for tails in (below, above))
    variance = np.sum(Q * (2.0 * np.cumsum(P, axis=0) - P), axis=0)
    value = np.sqrt(np.maximum(variance, 0.0))
    wrong = 2.0 * np.abs(gaps).sum() ** 2 * max(tail.error.max() for tail in (*below, *above))
    error = np.where(value > 0.0, wrong / np.maximum(value, np.sqrt(wrong) + 1e-300), np.sqrt(wrong))
    return Number(value, error, above[0].method, max(tail.nodes for tail in (*below, *above)))


def quantile_of_ordered(above: Sequence[Number], q: float, numbers: Sequence[float]) -> Number:
    """The number, of these, of the first category k with P(y > k) <= 1 - q."""
    over = np.stack([tail.value - (1.0 - q) for tail in above])
    slack = _TIE + max(tail.error.max() for tail in above)
    value = np.asarray(numbers, dtype=np.float64)[(over > slack).sum(axis=0)]
    undecided = (np.abs(over) <= slack).any(axis=0)
    return Number(value, undecided.astype(np.float64), above[0].method, max(tail.nodes for tail in above))


def whole_quantile(y: Any, q: float, guess: Array, step: Array) -> Number:
    """Of a discrete `Mixture`, from a guess (n,) on; with the error 1 where P(y <= value) cannot be told from q."""
    side, level = ("above", 1.0 - q) if q >= 0.5 else ("below", q)
    undecided, nodes = np.zeros(len(y.s), bool), [0]

    def reached(c: Array, which: Index) -> npt.NDArray[np.bool_]:
        found = y.tail(side, c, which, level)
        nodes[0] = max(nodes[0], found.nodes)
        slack = np.maximum(found.error, _TIE * level)  # a tie is reached, whatever its last digit
        undecided[which] |= np.abs(found.value - level) <= slack
        return np.asarray(found.value <= level + slack if side == "above" else found.value >= level - slack)

    top = np.broadcast_to(y.family.support.highest(Outcome(trials=y.trials)), y.s.shape)
    value = smallest_integer(reached, guess, step, np.where(np.isnan(top), 0.0, top))
    return Number(value, undecided.astype(np.float64), y.method, nodes[0])


def searched_quantile(y: Any, q: float, start: Array, scatter: Array) -> Number:
    """The root of P(y <= x) = q in x, or in log x where y is above 0; `start` and `scatter` (n,) say where to begin."""
    side, level = ("above", 1.0 - q) if q >= 0.5 else ("below", q)
    rising, nodes = y.family.support.lowest == 0.0, [0]

    def at(t: Array) -> Array:
        return exponential(t) if rising else t

    def excess(t: Array, which: Index) -> Array:
        found = y.tail(side, at(t), which)
        nodes[0] = max(nodes[0], found.nodes)
        return np.asarray(level - found.value if side == "above" else found.value - level)

    known = np.where(np.isfinite(scatter) & (scatter > 0.0), scatter, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, step = (np.log(start), np.ones(len(start))) if rising else (start, known)
    low, high = bracketed(excess, centre, step)
    t, other = crossing(excess, low, high, RESOLUTION * np.maximum(np.abs(low), np.abs(high)))
    value = at(t)
    return Number(value, np.abs(at(other) - value), f"{y.method}, root", nodes[0])
