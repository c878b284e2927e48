"""Which level of each factor do its coefficients compare the others with?"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmargins.design.frozen import Design

__all__ = ["reference_levels"]


def reference_levels(design: Design) -> dict[str, Any]:
    """By column: the one level at which all columns of X that the factor moves are 0; those that have none left out.

    So it is under treatment coding, whatever the level is called; sums, polynomials and a factor without an intercept
    have no such level.
    """
    found = {}
    for name, column in design.columns.items():
        levels = (False, True) if column.kind == "logical" else column.levels
        if name not in design.fixed.variables or len(levels) < 2:
            continue
        rows = design.data.iloc[[0] * len(levels)].reset_index(drop=True)
        rows[name] = list(levels)
        X = design.rows(rows, (), what="data").X
        moved = X[:, np.ptp(X, axis=0) > 0]
        at_zero = np.flatnonzero(~moved.any(axis=1))
        if len(at_zero) == 1:
            found[name] = levels[at_zero[0]]
    return found
