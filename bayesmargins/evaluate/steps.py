"""Contrasts that move eta by the same amount in all rows: one look-up then serves both sides."""

from __future__ import annotations

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk, Scale

__all__ = ["step_between"]

_ROUNDING = 4e-13  # in eta; where steps differ by more than this, they are not the same
_STEEPEST = 20.0  # of the logarithm of a rise: beyond, one side is all there is


def step_between(draws: Draws, low: Chunk, high: Chunk) -> tuple[np.ndarray, np.ndarray] | None:
    """How much larger is eta on the high side, in each draw, and how many times as large the scale?

    Parameters
    ----------
    draws : Draws
        Give beta.
    low, high : Chunk
        The same rows on both sides of a contrast.

    Returns
    -------
    tuple of two ndarray, shape (draw,), or None
        None where it differs between rows (a variable in an interaction, say), or where more than eta differs.
    """
    if not (_same_but_for_X(low, high) and np.array_equal(low.weights, high.weights)):
        return None
    step = _of_eta(draws, low.rows.X, high.rows.X)
    if low.scale is None or high.scale is None or step is None:
        return None if step is None else (step, np.ones_like(step))
    rise = _of_eta(low.scale.draws, low.scale.rows.X, high.scale.rows.X)
    if rise is None or not _same_but_for_X(low.scale, high.scale) or not (rise < _STEEPEST).all():
        return None
    return step, np.exp(rise)


def _of_eta(draws: Draws, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """X beta (row,) on the high side less that on the low side; None where rows differ."""
    change = high - low
    # x + 1 less x is 1 but for rounding, and least rounded where x is smallest
    step = change[np.argmin(np.abs(low), axis=0), np.arange(change.shape[1])]
    apart = np.abs(change - step).max(axis=0)
    if not np.abs(draws.beta).max(axis=0) @ apart <= _ROUNDING:
        return None
    return np.asarray(draws.beta @ step)


def _same_but_for_X(low: Chunk | Scale, high: Chunk | Scale) -> bool:
    sides = zip(low.plan.gathers, high.plan.gathers, strict=True)
    return (
        np.array_equal(low.rows.offset, high.rows.offset)
        and all(np.array_equal(z, high.rows.Z[f]) for f, z in low.rows.Z.items())
        and all(_same_effects(one.b, other.b) and np.array_equal(one.codes, other.codes) for one, other in sides)
    )


def _same_effects(b: np.ndarray, other: np.ndarray) -> bool:
    """Only b of named groups is ever a copy on each side."""
    return b.__array_interface__ == other.__array_interface__ or np.array_equal(b, other)
