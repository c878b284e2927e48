"""dX/dx, dz/dx and d offset/dx: the only thing that is differenced numerically, and exact for straight lines."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd

from bayesmargins.design.frozen import Design, Rows
from bayesmargins.errors import DataError
from bayesmargins.values import with_columns

__all__ = ["FIRST_WEIGHTS", "derivative_rows", "first_node", "side_by_side", "split"]

# Weights of the fourth-order first derivative at node k of five equally spaced nodes (Fornberg 1988, table 3).
FIRST_WEIGHTS = np.array(
    [[-25, 48, -36, 16, -3], [-3, -10, 18, -6, 1], [1, -8, 0, 8, -1], [-1, 6, -18, 10, 3], [3, -16, 36, -48, 25]]
)
_NODES = 5
_WIDE = 2.0**-3
_FIRST = 2.0**-11  # of the range: truncation and rounding are both near 1e-12 for a function as smooth as the range
_FINER = 8.0
_LEVELS = 10
_SIDE = 2.0**-20  # of the range: near enough that only a kink has two slopes, far enough for ten digits of each
_AGREED = 1e-9
_USABLE = 1e-4

_Slope = Callable[[np.ndarray, float], tuple[np.ndarray, list[np.ndarray]]]


def derivative_rows(
    design: Design,
    frame: pd.DataFrame,
    variable: str,
    z_of: Collection[str] | None = None,
    what: str = "newdata",
    like: Rows | None = None,
) -> Rows:
    """How X, z and the offset of every row change with a numeric variable: dX (row, coef), dZ a factor, d offset.

    Where no transform reads the variable, all columns are straight lines, and their values at 0 and at 1 differ by
    the slope. Otherwise those that turn out to be straight (interactions) are differenced over a wide step, exactly;
    the others (splines, logarithms, powers) to fourth order with a step of each row's own: it is refined until two
    steps agree, and its nodes stay inside the variable's range at the fit wherever the row does.

    `like` are the design rows of the frame, where they are known already. DataError where a row cannot be evaluated
    near its value, or has no derivative there: no two steps agree to 1e-4.
    """
    if design.is_straight(variable, z_of):
        low, high = (design.rows(with_columns(frame, {variable: value}), z_of, what) for value in (0.0, 1.0))
        like = design.rows(frame, z_of, what) if like is None else like
        change = np.where(like.complete[:, None], side_by_side(high) - side_by_side(low), np.nan)
        return split(change, like)
    column = design.columns[variable]
    x = frame[variable].to_numpy(dtype=np.float64, na_value=np.nan)
    extent = column.upper - column.lower
    extent = extent if extent > 0 else max(abs(column.upper), 1.0)

    def slope(rows: np.ndarray, step: float) -> tuple[np.ndarray, list[np.ndarray]]:
        """Fourth-order derivative of all columns in some rows, and the values at the nodes."""
        first = first_node(x[rows], step, column.lower, column.upper)
        part = frame.iloc[rows]
        nodes = [
            side_by_side(design.rows(with_columns(part, {variable: x[rows] + (j - first) * step}), z_of, what))
            for j in range(_NODES)
        ]
        weights = FIRST_WEIGHTS[first] / 12.0
        return sum(weights[:, j, None] * nodes[j] for j in range(_NODES)) / step, nodes

    everything = np.arange(len(frame))
    best, nodes = slope(everything, extent * _FIRST)
    size = np.maximum(np.abs(nodes[0]), np.abs(nodes[-1]))
    straight = np.zeros(best.shape[1], dtype=bool)
    try:
        line, wide = _wide_line(slope, everything, extent)
        straight = _straight(wide, line, best, size / extent)
        best = np.where(straight, line, best)
    except DataError:
        pass  # wide nodes outside the domain of a transform: only the exact treatment of straight lines is lost
    _refine(best, ~straight, slope, extent, variable, what)
    if not straight.all():
        _refuse_kinks(design, frame, variable, z_of, what, extent)
    return split(best, design.rows(frame, z_of, what) if like is None else like)


def _wide_line(slope: _Slope, rows: np.ndarray, extent: float) -> tuple[np.ndarray, list[np.ndarray]]:
    _, nodes = slope(rows, extent * _WIDE)
    return (nodes[-1] - nodes[0]) / ((_NODES - 1) * extent * _WIDE), nodes


def _refine(best: np.ndarray, curved: np.ndarray, slope: _Slope, extent: float, variable: str, what: str) -> None:
    """Replace curved columns, in place, by the step whose derivative agrees best with the next finer one."""
    columns = np.flatnonzero(curved)
    active = np.flatnonzero(np.isfinite(best).all(axis=1)) if len(columns) else np.empty(0, dtype=np.intp)
    coarse = best[active][:, columns]
    gap = np.full((len(best), len(columns)), np.inf)  # between the best derivative and the one it was held against
    step = extent * _FIRST
    for _ in range(_LEVELS):
        if not len(active):
            break
        step /= _FINER
        fine = slope(active, step)[0][:, columns]
        now = np.abs(fine - coarse)
        better = now < gap[active]
        row, k = np.nonzero(better)
        best[active[row], columns[k]] = fine[row, k]
        gap[active[row], k] = now[row, k]
        # Rounding grows as the step falls: once the gap widens, the best has been seen.
        open_ = ~_within(gap[active], best[active][:, columns], _AGREED, 1e-6)
        going = (
            open_ & ((now <= 4 * gap[active]) | ~_within(gap[active], best[active][:, columns], _USABLE, 1e-3))
        ).any(axis=1)
        active, coarse = active[going], fine[going]
    tried = np.isfinite(gap).all(axis=1)
    bad = np.flatnonzero(tried & ~_within(gap, best[:, columns], _USABLE, 1e-3).all(axis=1))
    if len(bad):
        raise DataError(
            f"The formula has no derivative with respect to {variable!r} in {len(bad)} rows of {what}, the first being "
            f"row {int(bad[0])}: no two steps agree there. Use avg_comparisons over a step that matters instead."
        )


def _refuse_kinks(
    design: Design, frame: pd.DataFrame, variable: str, z_of: Collection[str] | None, what: str, extent: float
) -> None:
    """Where the slopes to the left and to the right differ, central steps agree on their mean, which is neither.

    Of a smooth function the two sides come together as the step falls; at a kink they stay apart.
    """
    column = design.columns[variable]
    x = frame[variable].to_numpy(dtype=np.float64, na_value=np.nan)

    def apart(rows: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Distance of the two one-sided slopes, and the size of the larger, (row, column)."""
        part = frame.iloc[rows]
        below, here, above = (
            side_by_side(design.rows(with_columns(part, {variable: x[rows] + k * step}), z_of, what))
            for k in (-1, 0, 1)
        )
        left, right = (here - below) / step, (above - here) / step
        size = np.maximum(np.abs(left), np.abs(right))
        return np.abs(right - left), size + 1e-3 * np.nanmax(size, axis=0, initial=0.0)

    step = extent * _SIDE
    rows = np.flatnonzero((x - step >= column.lower) & (x + step <= column.upper))
    gap, size = apart(rows, step)
    wide = gap > 0.05 * size
    rows, gap = rows[wide.any(axis=1)], gap[wide.any(axis=1)]
    if len(rows):
        finer, size = apart(rows, step / 16)
        rows = rows[((finer > 0.05 * size) & (finer > 0.5 * gap)).any(axis=1)]
    if len(rows):
        raise DataError(
            f"The formula has a kink in {variable!r} at {x[rows[0]]:.6g}, in {len(rows)} rows of {what}, the first "
            f"being row {int(rows[0])}: its slopes to the left and to the right differ. Use avg_comparisons over a "
            "step that matters, or rows to one side of it."
        )


def _within(gap: np.ndarray, slope: np.ndarray, tolerance: float, floor: float) -> np.ndarray:
    """Is the gap small against the slope, or against the largest of the column where the slope itself is near 0?

    A column that does not move at any of these rows (a basis function elsewhere) is held against the other columns.
    """
    size = np.abs(slope)
    largest = np.nanmax(size, axis=0, initial=0.0)
    return gap <= tolerance * (size + floor * (largest + 1e-6 * np.max(largest, initial=0.0)))


def side_by_side(rows: Rows) -> np.ndarray:
    """X, every z and the offset as columns of one array."""
    return np.hstack([rows.X, *rows.Z.values(), rows.offset[:, None]])


def split(values: np.ndarray, like: Rows) -> Rows:
    """Columns of one array as X, every z and the offset again."""
    widths = [like.X.shape[1], *(z.shape[1] for z in like.Z.values())]
    X, *Z, offset = np.split(values, np.cumsum(widths), axis=1)
    return Rows(X, dict(zip(like.Z, Z, strict=True)), offset[:, 0], like.complete)


def first_node(x: np.ndarray, step: float, lower: float, upper: float) -> np.ndarray:
    """Which of the five nodes is x itself: the middle one, unless the outer nodes would leave [lower, upper]?"""
    below = np.floor((x - lower) / step * (1 + 1e-12))
    above = np.floor((upper - x) / step * (1 + 1e-12))
    node = np.where(below < 2, below, np.where(above < 2, _NODES - 1 - above, 2))
    inside = (x >= lower) & (x <= upper) & (upper - lower >= (_NODES - 1) * step)
    return np.where(inside, np.clip(np.nan_to_num(node, nan=2), 0, _NODES - 1), 2).astype(np.intp)


def _straight(nodes: list[np.ndarray], line: np.ndarray, narrow: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Per column: no bend over the wide nodes beyond rounding, and the same slope over the narrow ones.

    The second condition sees what repeats itself at the wide nodes, such as a sine.
    """
    bend = np.max([np.abs(a - 2 * b + c) for a, b, c in zip(nodes, nodes[1:], nodes[2:], strict=False)], axis=0)
    size = np.max([np.abs(n) for n in nodes], axis=0)
    flat = np.nanmax(bend, axis=0, initial=0.0) <= 1e-12 * np.nanmax(size, axis=0, initial=0.0)
    same = np.abs(line - narrow) <= 1e-7 * (np.abs(line) + unit)
    return flat & (same | np.isnan(narrow)).all(axis=0)
