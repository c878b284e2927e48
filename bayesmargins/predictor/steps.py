"""Contrasts that move eta by the same amount in all rows: one look-up then serves both sides."""

from __future__ import annotations

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.predictor.chunks import Chunk

__all__ = ["step_between"]

_ROUNDING = 4e-13  # in eta; where steps differ by more than this, they are not the same


def step_between(draws: Draws, low: Chunk, high: Chunk) -> np.ndarray | None:
    """How much larger is eta on the high side, in each draw?

    Parameters
    ----------
    draws : Draws
        Give beta.
    low, high : Chunk
        The same rows on both sides of a contrast.

    Returns
    -------
    ndarray, shape (draw,), or None
        None where it differs between rows (a variable in an interaction, say), or where more than eta differs.
    """
    if not _same_but_for_X(low, high):
        return None
    change = high.rows.X - low.rows.X
    # x + 1 less x is 1 but for rounding, and least rounded where x is smallest
    step = change[np.argmin(np.abs(low.rows.X), axis=0), np.arange(change.shape[1])]
    apart = np.abs(change - step).max(axis=0)
    if not np.abs(draws.beta).max(axis=0) @ apart <= _ROUNDING:
        return None
    return np.asarray(draws.beta @ step)


def _same_but_for_X(low: Chunk, high: Chunk) -> bool:
    sides = zip(low.plan.gathers, high.plan.gathers, strict=True)
    return (
        np.array_equal(low.rows.offset, high.rows.offset)
        and all(np.array_equal(z, high.rows.Z[f]) for f, z in low.rows.Z.items())
        and all(_same_effects(one.b, other.b) and np.array_equal(one.codes, other.codes) for one, other in sides)
        and np.array_equal(low.weights, high.weights)
    )


def _same_effects(b: np.ndarray, other: np.ndarray) -> bool:
    """Only b of named groups is ever a copy on each side."""
    return b.__array_interface__ == other.__array_interface__ or np.array_equal(b, other)
