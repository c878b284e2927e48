"""d2X/dx dz, d2z/dx dz, d2 offset/dx dz: exact where the design is a straight line in x or in z, else differenced."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd

from bayesmargins.design.derivative import FIRST_WEIGHTS, derivative_rows, first_node, side_by_side, split
from bayesmargins.design.frozen import Design, Rows
from bayesmargins.errors import DataError
from bayesmargins.values import with_columns

__all__ = ["second_derivative_rows"]

# Weights of the second derivative at node k of five equally spaced nodes (Fornberg 1988, table 3), times 12.
_SECOND_WEIGHTS = np.array(
    [
        [35, -104, 114, -56, 11],
        [11, -20, 6, 4, -1],
        [-1, 16, -30, 16, -1],
        [-1, 4, 6, -20, 11],
        [11, -56, 114, -104, 35],
    ]
)
_NODES = 5
_WIDEST = 2.0**-7  # of the range: rounding of a second difference is then near 1e-12 of value / range^2
_FINER = 4.0
_LEVELS = 14
_AGREED, _USABLE = 1e-8, 1e-4  # relative to the derivative
_FLOOR = 1e-9  # of value / range^2: below it nothing is left but rounding
_SIDE = 2.0**-10  # of the range: two second differences to either side, with six digits of each
_JUMP = 1e-5  # of value / range^2

_Estimate = Callable[[np.ndarray, float], np.ndarray]


def second_derivative_rows(
    design: Design,
    frame: pd.DataFrame,
    first: str,
    second: str,
    z_of: Collection[str] | None = None,
    what: str = "newdata",
    like: Rows | None = None,
) -> Rows:
    """How `derivative_rows` of one variable change with another, or the same one: d2X (row, coef), d2Z, d2 offset.

    Where no transform reads either variable, every column is a straight line in each, and its values at the corners 0
    and 1 of both give the mixed derivative exactly (x:z gives 1; the second derivative in one variable is 0). Where
    only one of them is transformed, the other one's difference is exact and the first derivative is that of
    `derivative_rows`. Otherwise five nodes in each are differenced to fourth order (third at the edge of the range),
    with a step that is refined until two steps agree to 1e-8 of the derivative (at the edge of the range, and where a
    spline has a knot, rounding may stop them at 1e-7 and 1e-4).

    DataError where a row cannot be evaluated near its value, or has no such derivative there: no two steps agree to
    1e-4, or those to the left and to the right differ.
    """
    like = design.rows(frame, z_of, what) if like is None else like
    straight = [v for v in (first, second) if design.is_straight(v, z_of)]
    if first == second and straight:
        return split(np.where(like.complete[:, None], 0.0, np.nan) * np.ones_like(side_by_side(like)), like)
    if straight:
        line, other = straight[0], second if straight[0] == first else first
        low, high = (derivative_rows(design, with_columns(frame, {line: v}), other, z_of, what) for v in (0.0, 1.0))
        change = side_by_side(high) - side_by_side(low)
        return split(np.where(like.complete[:, None], change, np.nan), like)
    differenced = _Differenced(design, frame, first, second, z_of, what)
    unit = np.nanmax(np.abs(side_by_side(like)), axis=0, initial=0.0) / differenced.area
    found = _refined(differenced.at, np.flatnonzero(like.complete), len(frame), unit, differenced.said)
    if first == second:
        differenced.refuse_jumps(unit)
    return split(found, like)


class _Differenced:
    """Differences of all columns of the design in two variables."""

    def __init__(
        self, design: Design, frame: pd.DataFrame, first: str, second: str, z_of: Collection[str] | None, what: str
    ) -> None:
        self.design, self.frame, self.z_of, self.what = design, frame, z_of, what
        self.variables = (first,) if first == second else (first, second)
        self.x = {v: frame[v].to_numpy(dtype=np.float64, na_value=np.nan) for v in self.variables}
        self.extent = {v: self._extent(v) for v in self.variables}
        self.area = self.extent[first] * self.extent[second]
        self.said = f"{' and '.join(map(repr, self.variables))} in"

    def _extent(self, variable: str) -> float:
        column = self.design.columns[variable]
        extent = column.upper - column.lower
        return extent if extent > 0 else max(abs(column.upper), 1.0)

    def values(self, rows: np.ndarray, moved: dict[str, np.ndarray]) -> np.ndarray:
        """All columns of some rows, with a variable moved."""
        return side_by_side(self.design.rows(with_columns(self.frame.iloc[rows], moved), self.z_of, self.what))

    def at(self, rows: np.ndarray, scale: float) -> np.ndarray:
        """The second derivative of all columns in some rows, with steps of this part of the ranges."""
        nodes = [self._nodes(v, rows, scale * self.extent[v]) for v in self.variables]
        area = scale * scale * self.area
        if len(nodes) == 1:
            values, weights = nodes[0][0], _SECOND_WEIGHTS[nodes[0][1]] / 12.0
            terms = (weights[:, j, None] * self.values(rows, {self.variables[0]: values[j]}) for j in range(_NODES))
            return np.asarray(sum(terms) / area)
        (one, k), (two, m) = nodes
        left, right = FIRST_WEIGHTS[k] / 12.0, FIRST_WEIGHTS[m] / 12.0
        terms = (
            (left[:, i] * right[:, j])[:, None]
            * self.values(rows, dict(zip(self.variables, (one[i], two[j]), strict=True)))
            for i in range(_NODES)
            for j in range(_NODES)
        )
        return np.asarray(sum(terms) / area)

    def _nodes(self, variable: str, rows: np.ndarray, step: float) -> tuple[list[np.ndarray], np.ndarray]:
        """Where the five nodes lie, and which of them is x itself."""
        column, x = self.design.columns[variable], self.x[variable][rows]
        first = first_node(x, step, column.lower, column.upper)
        return [x + (j - first) * step for j in range(_NODES)], first

    def refuse_jumps(self, unit: np.ndarray) -> None:
        """Where the second derivatives to either side differ, central steps agree on their mean, which is neither."""
        variable = self.variables[0]
        column, x, step = self.design.columns[variable], self.x[variable], self.extent[variable] * _SIDE
        rows = np.flatnonzero((x - 2 * step >= column.lower) & (x + 2 * step <= column.upper))
        if not len(rows):
            return
        gap, size = self._apart(rows, step)
        wide = (gap > 0.05 * size) & (gap > _JUMP * unit)
        rows, gap = rows[wide.any(axis=1)], gap[wide.any(axis=1)]
        if len(rows):
            finer, size = self._apart(rows, step / 8)
            stays = (finer > 0.05 * size) & (finer > 0.5 * gap) & (finer > _JUMP * unit)
            rows = rows[stays.any(axis=1)]
        if len(rows):
            raise DataError(
                f"The slope of the formula has a kink in {variable!r} at {x[rows[0]]:.6g}, in {len(rows)} rows of "
                f"{self.what}, the first being row {int(rows[0])}: its second derivatives to the left and to the right "
                "differ. Use slopes with at= on either side of it, or rows to one side."
            )

    def _apart(self, rows: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Distance of the two one-sided second derivatives, and the size of the larger, (row, column)."""
        variable = self.variables[0]
        x = self.x[variable][rows]
        a, b, c, d, e = (self.values(rows, {variable: x + k * step}) for k in (-2, -1, 0, 1, 2))
        left, right = (a - 2 * b + c) / step**2, (c - 2 * d + e) / step**2
        return np.abs(right - left), np.maximum(np.abs(left), np.abs(right))


def _refined(estimate: _Estimate, rows: np.ndarray, n: int, unit: np.ndarray, said: str) -> np.ndarray:
    """Row by row and column by column the step whose derivative agrees best with the next finer one; NaN elsewhere."""
    best, gap = np.full((n, len(unit)), np.nan), np.full((n, len(unit)), np.inf)
    coarse, refused = None, None
    for level in range(_LEVELS):
        if not len(rows):
            break
        try:
            fine = estimate(rows, _WIDEST / _FINER**level)
        except DataError as error:  # nodes outside the domain of a transform: nearer ones are inside
            coarse, refused = None, error
            continue
        if coarse is not None:
            now = np.abs(fine - coarse)
            at = rows[:, None], np.arange(len(unit))[None, :]
            # What two steps have agreed on stays: a still finer one would only add rounding.
            better = (now < gap[at]) & (gap[at] > _AGREED * np.abs(np.nan_to_num(best[at])) + _FLOOR * unit)
            best[at] = np.where(better, fine, best[at])
            gap[at] = np.where(better, now, gap[at])
            size = np.abs(best[at])
            open_ = gap[at] > _AGREED * size + _FLOOR * unit
            # Rounding grows as the step falls: once the gap widens, the best has been seen.
            going = (open_ & ((now <= 4 * gap[at]) | (gap[at] > _USABLE * size + _FLOOR * unit))).any(axis=1)
            rows, fine = rows[going], fine[going]
        coarse = fine
    seen = np.isfinite(best).all(axis=1)
    if refused is not None and not seen.any():
        raise refused
    bad = np.flatnonzero(((gap > _USABLE * np.abs(best) + _FLOOR * unit) & np.isfinite(best)).any(axis=1))
    if len(bad):
        raise DataError(
            f"The second derivative of the formula could not be computed with respect to {said} {len(bad)} rows, "
            f"the first being row {int(bad[0])}: no two steps agree there. Use slopes with at= at values "
            "that matter instead."
        )
    return best
