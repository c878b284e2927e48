"""dX/dx, dz/dx and d offset/dx: the only thing that is differenced numerically, and exact for straight lines."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from bayesmargins.design.frozen import Design, Rows
from bayesmargins.errors import DataError

__all__ = ["derivative_rows"]

# Weights of the fourth-order first derivative at node k of five equally spaced nodes (Fornberg 1988, table 3).
_WEIGHTS = (
    np.array(
        [[-25, 48, -36, 16, -3], [-3, -10, 18, -6, 1], [1, -8, 0, 8, -1], [-1, 6, -18, 10, 3], [3, -16, 36, -48, 25]]
    )
    / 12.0
)
_NODES = 5
# Truncation h^4 / 5 and rounding 10 eps / h are both near 1e-12 at this fraction of the range.
_NARROW = 2.0**-11
_WIDE = 2.0**-3


def derivative_rows(
    design: Design, frame: pd.DataFrame, variable: str, z_of: Collection[str] | None = None, what: str = "newdata"
) -> Rows:
    """How do X, z and the offset of every row change with a variable?

    Columns that are straight lines in the variable (itself, interactions) are differenced over a wide step, exactly;
    the others (splines, logarithms, powers) to fourth order, with nodes that stay inside the variable's range at the
    fit wherever the row does, so that no transform is evaluated where it is not defined.

    Parameters
    ----------
    design : Design
        Frozen design.
    frame : DataFrame
        Rows where the derivative is taken.
    variable : str
        A numeric column that the formula reads.
    z_of : collection of str, optional
        Factors whose z is needed.
    what : str
        How messages call the frame.

    Returns
    -------
    Rows
        dX (row, coef), dZ a factor, d offset, in units of 1 / unit of the variable.

    Raises
    ------
    DataError
        A row cannot be evaluated near its value.
    """
    column = design.columns[variable]
    x = frame[variable].to_numpy(dtype=np.float64, na_value=np.nan)
    extent = column.upper - column.lower
    extent = extent if extent > 0 else max(abs(column.upper), 1.0)

    def stacked(step: float) -> tuple[list[Rows], np.ndarray]:
        first = _first_node(x, step, column.lower, column.upper)
        nodes = [frame.assign(**{variable: x + (j - first) * step}) for j in range(_NODES)]
        return [design.rows(n, z_of, what) for n in nodes], first

    narrow, first = stacked(extent * _NARROW)
    try:
        wide, _ = stacked(extent * _WIDE)
    except DataError:
        wide = None  # only the exact treatment of straight lines is lost

    def derivative(pick: Collection[str] | str) -> np.ndarray:
        fine = [_part(r, pick) for r in narrow]
        weights = _WEIGHTS[first]
        slope = sum(weights[:, j, None] * fine[j] for j in range(_NODES)) / (extent * _NARROW)
        if wide is None:
            return slope
        coarse = [_part(r, pick) for r in wide]
        line = (coarse[-1] - coarse[0]) / ((_NODES - 1) * extent * _WIDE)
        return np.where(_straight(coarse), line, slope)

    Z = {f: derivative((f,)) for f in narrow[0].Z}
    return Rows(derivative("X"), Z, derivative("offset")[:, 0], narrow[0].complete)


def _part(rows: Rows, pick: Collection[str] | str) -> np.ndarray:
    if isinstance(pick, str):
        return rows.X if pick == "X" else rows.offset[:, None]
    (factor,) = pick
    return rows.Z[factor]


def _first_node(x: np.ndarray, step: float, lower: float, upper: float) -> np.ndarray:
    """Which of the five nodes is x itself: the middle one, unless the outer nodes would leave [lower, upper]."""
    below = np.floor((x - lower) / step * (1 + 1e-12))
    above = np.floor((upper - x) / step * (1 + 1e-12))
    node = np.where(below < 2, below, np.where(above < 2, _NODES - 1 - above, 2))
    inside = (x >= lower) & (x <= upper) & (upper - lower >= (_NODES - 1) * step)
    return np.where(inside, np.clip(np.nan_to_num(node, nan=2), 0, _NODES - 1), 2).astype(np.intp)


def _straight(nodes: list[np.ndarray]) -> np.ndarray:
    """Per column: no second difference beyond rounding in any row."""
    bend = np.max([np.abs(a - 2 * b + c) for a, b, c in zip(nodes, nodes[1:], nodes[2:], strict=False)], axis=0)
    size = np.max([np.abs(n) for n in nodes], axis=0)
    return np.nanmax(bend, axis=0, initial=0.0) <= 1e-12 * np.nanmax(size, axis=0, initial=0.0)
