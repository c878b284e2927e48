"""Rows of which less is known than y: censored ones, and those that were observed between two bounds only.

A row says P(Y > y) where it is right censored, P(Y <= y) where it is left censored, P(y < Y <= y2) where it is known to
lie in between; and every density is divided by P(lb <= Y <= ub) where nothing else could be observed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bayesmargins.family.outcome import Outcome, Support, Values

__all__ = ["Density", "Tails", "log_between", "log_likelihood", "mass", "tensor_log_likelihood"]

Array = npt.NDArray[np.float64]
Tail = Callable[[Array, Values, Outcome], Array]

_LEFT, _NONE, _RIGHT, _BETWEEN = -1.0, 0.0, 1.0, 2.0


class Tails(NamedTuple):
    """What PyMC is told of rows whose y is not known, or bounded."""

    # `(pm, y, **parameters of the distribution in PyMC)`: log P(Y <= y) and log P(Y > y)
    logs: Callable[..., tuple[Any, Any]]
    support: Support  # of y


class Density(NamedTuple):
    """What is known of a distribution: log p, P(Y > y), P(Y <= y) and the support."""

    log_density: Callable[[Values, Outcome], Array]
    above: Tail | None
    below: Tail | None
    support: Support


def log_likelihood(of: Density, p: Values, o: Outcome) -> Array:
    """What each row says, times its weight: (row,), broadcasting against p."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = of.log_density(p, o)
        if o.cens is not None:
            assert of.above is not None
            assert of.below is not None
            value = np.where(o.cens == _RIGHT, np.log(of.above(o.y, p, o)), value)
            value = np.where(o.cens == _LEFT, np.log(of.below(o.y, p, o)), value)
            if o.y2 is not None:
                between = o.cens == _BETWEEN
                ends = np.where(between, o.y, 0.0), np.where(between, o.y2, 1.0)
                value = np.where(between, np.log(mass(of.above, of.below, *ends, p, o)), value)
        if o.bounded:
            value = value - np.log(mass(of.above, of.below, *o.bounds(of.support), p, o))
    return value if o.weights is None else o.weights * value


def mass(above: Tail | None, below: Tail | None, low: Array, high: Array, p: Values, o: Outcome) -> Array:
    """P(low < Y <= high) from the smaller tails; either end may be infinite."""

    def of_end(tail: Tail | None, end: Array, infinite: float) -> Array:
        assert tail is not None
        known = np.isfinite(end)
        return np.where(known, tail(np.where(known, end, 0.0), p, o), infinite)

    under = of_end(below, low, 0.0)
    from_below = of_end(below, high, 1.0) - under
    return np.where(under > 0.5, of_end(above, low, 1.0) - of_end(above, high, 0.0), from_below)


def tensor_log_likelihood(
    pt: Any, o: Outcome, y: Any, given: list[Any], density: Callable[..., Any], tails: Callable[..., Any], support: Any
) -> Any:
    """The same of tensors: ``density(y, *given)`` is log p, ``tails(y, *given)`` log P(Y <= y) and log P(Y > y).

    Rows of each kind are computed by themselves, so that what is infinite for one kind is asked of no other.
    """
    cens = np.zeros(len(o.y)) if o.cens is None else o.cens
    parts = {_NONE: density, _LEFT: lambda y, *g: tails(y, *g)[0], _RIGHT: lambda y, *g: tails(y, *g)[1]}
    certain = (o.y < support.lowest) if support.discrete else (o.y <= support.lowest)  # to be exceeded
    value = pt.zeros(len(o.y))
    for kind, of in parts.items():
        rows = np.flatnonzero((cens == kind) & ~((kind == _RIGHT) & certain))
        if len(rows):
            value = pt.set_subtensor(value[rows], of(y[rows], *_of_rows(given, rows)))
    between = np.flatnonzero(cens == _BETWEEN)
    if len(between):
        assert o.y2 is not None
        low = np.where(certain, -np.inf, o.y)[between]
        part = _tensor_mass(pt, tails, low, o.y2[between], _of_rows(given, between))
        value = pt.set_subtensor(value[between], part)
    if o.bounded:
        value = value - _tensor_mass(pt, tails, *o.bounds(support), given)
    return value if o.weights is None else o.weights * value


def _of_rows(given: list[Any], rows: npt.NDArray[np.intp]) -> list[Any]:
    return [g[rows] if getattr(g, "ndim", 0) else g for g in given]


def _tensor_mass(pt: Any, tails: Callable[..., Any], low: Array, high: Array, given: list[Any]) -> Any:
    """log P(low < Y <= high) of rows, each from the tails at its finite ends."""
    value = pt.zeros(len(low))
    from_low, to_high = np.isfinite(low), np.isfinite(high)
    for ends in ((True, False), (False, True), (True, True)):
        rows = np.flatnonzero((from_low == ends[0]) & (to_high == ends[1]))
        if not len(rows):
            continue
        g = _of_rows(given, rows)
        at = [tails(pt.constant(end[rows]), *g) for end, finite in zip((low, high), ends, strict=True) if finite]
        part = log_between(pt, *at) if all(ends) else at[0][int(ends[0])]
        value = pt.set_subtensor(value[rows], part)
    return value


def log_between(pt: Any, low: tuple[Any, Any], high: tuple[Any, Any]) -> Any:
    """log P of what lies between two ends, from log of the tails of each: of two differences that of smaller numbers.

    Each is told of the other's rows that its argument is 1, so that no infinite derivative is multiplied by 0.
    """
    above = pt.gt(low[0], np.log(0.5))
    below = high[0] + pt.log1mexp(pt.switch(above, -1.0, low[0] - high[0]))
    return pt.switch(above, low[1] + pt.log1mexp(pt.switch(above, high[1] - low[1], -1.0)), below)
