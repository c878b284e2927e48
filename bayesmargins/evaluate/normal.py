"""Rows as the normal variables that they are over new groups: eta + z'b, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.draws import Draws
from bayesmargins.evaluate.exact import blocks, constant_row

__all__ = ["normal_blocks"]


def normal_blocks(draws: Draws, rows: Rows) -> Iterator[tuple[slice, np.ndarray, dict[str, np.ndarray]]]:
    """Blocks of rows with mean and variance of eta over new groups: (draw, row), and (draw, row or 1) by factor."""
    Z = {f: constant_row(rows.Z[f]) for f in draws.Sigma}
    for block in blocks(len(rows.X), len(draws.beta)):
        eta = draws.beta @ rows.X[block].T + rows.offset[block]
        yield block, eta, {f: _quadratic(draws.Sigma[f], z if len(z) == 1 else z[block]) for f, z in Z.items()}


def _quadratic(Sigma: np.ndarray, z: np.ndarray) -> np.ndarray:
    """z' Sigma z, never below 0 by rounding."""
    outer = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
    return np.asarray(np.maximum(Sigma.reshape(len(Sigma), -1) @ outer.T, 0.0))
