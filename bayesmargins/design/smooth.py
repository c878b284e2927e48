"""``s(x)`` and ``t2(x, z)``: splines whose bend is penalised, as columns of the mixed model that says the same.

A natural cubic spline with knots t has second derivatives that are hat functions between the knots, with coefficients
m, and the penalty, the integral of their square, is m' B m with the tridiagonal B of the hats' products (Green &
Silverman 1994, section 2.1). With B = L L' the coefficients L' m have the penalty of their squares: they are normal
with one standard deviation, and the straight line beside them is free. Beyond the knots the spline is straight.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import DataError, FormulaError, listed, shown

__all__ = ["Penalised", "is_smooth", "penalised_terms", "s", "t2"]

_DEFAULT, _DEFAULT_EACH, _MOST = 10, 5, 100


@dataclass(frozen=True)
class Penalised:
    """Coefficients that are normal about 0 with one standard deviation."""

    name: str  # "s(x)", "s(x, by=f)[a]", "t2(x, z)[1]"
    columns: tuple[str, ...]  # coefficients


def s(x: Any, *more: Any, k: Any = None, bs: Any = "cr", by: Any = None, _state: Any = None, **other: Any) -> Any:
    """A smooth function of x, of x in each level of a factor, or of x times a number."""
    state = {} if _state is None else _state
    unknown = [name for name in other if not name.startswith("_")]
    if more or unknown or bs != "cr":
        said = "several variables" if more else f"{unknown[0]}=" if unknown else f"bs={shown(bs)}"
        raise FormulaError(
            f"s() with {said} is not there: s(x, k=10, by=z) is a cubic regression spline (mgcv's bs='cr') of one "
            "variable, with a penalty on its bend. t2(x, z) is a smooth surface of two; cc(x, df=4) is cyclic and has "
            "no penalty."
        )
    values = _numbers(x, "s")
    if "line" not in state:
        state |= _Line.of(values, k, "s", _DEFAULT).state()
    line = _Line.from_state(state)
    straight, bent = line.columns(values)
    fields = {"linear": straight, **{str(j + 1): bent[:, j] for j in range(bent.shape[1])}}
    return _columns(fields if by is None else _times(fields, by))


def t2(x: Any, z: Any = None, *more: Any, k: Any = None, _state: Any = None, **other: Any) -> Any:
    """A smooth surface of x and z, each with a straight part and a bent one."""
    state = {} if _state is None else _state
    unknown = [name for name in other if not name.startswith("_")]
    if more or unknown or z is None:
        said = "more than two variables" if more else f"{unknown[0]}=" if unknown else "one variable"
        raise FormulaError(f"t2() with {said} is not there: t2(x, z, k=5) is a smooth surface of two variables.")
    values = _numbers(x, "t2"), _numbers(z, "t2")
    if "first" not in state:
        for name, v in zip(("first", "second"), values, strict=True):
            state[name] = _Line.of(v, k, "t2", _DEFAULT_EACH).state()
    (u, U), (v, V) = (_Line.from_state(state[n]).columns(x) for n, x in zip(("first", "second"), values, strict=True))
    straight = np.column_stack([np.ones(len(u)), u, v, u * v])
    blocks = [_product(U, straight[:, [0, 2]]), _product(V, straight[:, [0, 1]]), _product(U, V)]
    if "blocks" not in state:
        state["blocks"] = [_apart(block, straight) for block in blocks]
    fields = {"first": u, "second": v, "product": u * v}
    for number, (block, (away, size)) in enumerate(zip(blocks, state["blocks"], strict=True), 1):
        bent = (block - straight @ away) / size
        fields |= {f"{number}.{j + 1}": bent[:, j] for j in range(bent.shape[1])}
    return _columns(fields)


for _call in (s, t2):
    _call.__is_stateful_transform__ = True  # type: ignore[attr-defined]
    _call.get_required_variables = lambda *args, **kwargs: ()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Line:
    """A spline of one variable: its knots on the unit interval, and the turn from hats to penalised columns.

    The columns are less their regression on the straight line at the fit, and their squares add up to 1 on average.
    """

    start: float
    length: float
    middle: float
    spread: float
    knots: np.ndarray
    turn: np.ndarray  # (hat, column)
    away: np.ndarray  # (2, column)

    @classmethod
    def of(cls, x: np.ndarray, k: Any, call: str, default: int) -> _Line:
        """At the fit: (row,)."""
        distinct = np.unique(x)
        k = _size(k, len(distinct), call, default)
        start, length = float(distinct[0]), float(distinct[-1] - distinct[0])
        knots = np.quantile((distinct - start) / length, np.linspace(0.0, 1.0, k))
        u = (x - start) / length
        middle, spread = float(u.mean()), float(u.std())
        h = np.diff(knots)
        B = np.diag((h[:-1] + h[1:]) / 3.0) + np.diag(h[1:-1] / 6.0, 1) + np.diag(h[1:-1] / 6.0, -1)
        turn = np.linalg.inv(np.linalg.cholesky(B)).T
        straight = np.column_stack([np.ones(len(u)), (u - middle) / spread])
        away, size = _apart(_hats(u, knots) @ turn, straight)
        return cls(start, length, middle, spread, knots, turn / size, away / size)

    def state(self) -> dict[str, Any]:
        """What formulaic keeps."""
        return {"line": self}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> _Line:
        """What it kept."""
        line: _Line = state["line"]
        return line

    def columns(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The straight line (row,), standardised at the fit, and the bent columns (row, column)."""
        u = (x - self.start) / self.length
        line = (u - self.middle) / self.spread
        bent = _hats(u, self.knots) @ self.turn - np.column_stack([np.ones(len(u)), line]) @ self.away
        return line, bent


def _hats(u: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Functions whose second derivatives are the hats at the inner knots, 0 up to the first knot: (row, hat)."""
    h = np.diff(knots)
    inside = np.clip(u, knots[0], knots[-1])[:, None]
    above = np.maximum(inside - knots, 0.0)
    weights = np.zeros((len(knots), len(h) - 1))
    j = np.arange(len(h) - 1)
    weights[j, j], weights[j + 1, j], weights[j + 2, j] = 1 / h[:-1], -1 / h[:-1] - 1 / h[1:], 1 / h[1:]
    slope_at_end = 0.5 * (h[:-1] + h[1:])  # the area of a hat
    return (above**3 / 6.0) @ weights + np.maximum(u - knots[-1], 0.0)[:, None] * slope_at_end


def _apart(bent: np.ndarray, straight: np.ndarray) -> tuple[np.ndarray, float]:
    """The regression of bent columns on straight ones, and the size of what it leaves: root mean square of a row."""
    away = np.linalg.lstsq(straight, bent, rcond=None)[0]
    size = float(np.sqrt(((bent - straight @ away) ** 2).sum(axis=1).mean()))
    return away, size or 1.0


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one[:, :, None] * other[:, None, :]).reshape(len(one), -1)


def _times(fields: Mapping[str, np.ndarray], by: Any) -> dict[str, np.ndarray]:
    """One smooth a level of a factor; of a number the smooth times it, which has a constant too."""
    series = pd.Series(by)
    if isinstance(series.dtype, pd.CategoricalDtype):
        at = {str(level): (series.cat.codes == code).to_numpy() for code, level in enumerate(series.cat.categories)}
        return {f"{level}.{field}": v * rows for level, rows in at.items() for field, v in fields.items()}
    number = series.to_numpy(dtype=np.float64)
    return {field: v * number for field, v in {"constant": np.ones(len(number)), **fields}.items()}


def _columns(fields: Mapping[str, np.ndarray]) -> Any:
    from formulaic.materializers.types import FactorValues

    return FactorValues(dict(fields), kind="numerical", spans_intercept=False, format="{name}[{field}]", encoded=False)


def _numbers(x: Any, call: str) -> np.ndarray:
    series = pd.Series(x)
    if isinstance(series.dtype, pd.CategoricalDtype):
        raise FormulaError(
            f"{call}() takes numbers, and was given the factor {series.name!r}. A smooth for each level is "
            f"s(x, by={series.name}), and {series.name} itself is a term of its own."
        )
    return series.to_numpy(dtype=np.float64)


def _size(k: Any, distinct: int, call: str, default: int) -> int:
    if distinct < 4:
        raise DataError(
            f"{call}() bends between the different values of a column, and needs 4 of them; this one has {distinct}. "
            "Take it as a number, or as a factor, C(x)."
        )
    if k is None:
        return min(default, distinct)
    whole = isinstance(k, int | float) and not isinstance(k, bool) and float(k).is_integer()
    if not whole or not 4 <= k <= min(_MOST, distinct):
        raise FormulaError(
            f"{call}(k={shown(k)}): k is the number of knots, a whole number from 4 to {min(_MOST, distinct)} here: up "
            "to 100, and no more than the column has different values."
        )
    return int(k)


def is_smooth(tree: ast.AST | None, context: Mapping[str, Any]) -> bool:
    """Is this part of a formula a call of ``s()`` or ``t2()``, and not of a function of the user's?"""
    call = tree.body if isinstance(tree, ast.Expression) else tree
    name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
    return name in _SMOOTHS and context.get(name) is _SMOOTHS[name]


_SMOOTHS = {"s": s, "t2": t2}


def penalised_terms(structure: Any, calls: Collection[str], label: Callable[[str], str]) -> tuple[Penalised, ...]:
    """Of formulaic's structure of a formula that has these calls.

    FormulaError where a smooth is multiplied with something.
    """
    found: dict[str, list[str]] = {}
    for part in structure if calls else ():
        names = [str(f.expr) for f in part.term.factors if f.eval_method.value != "literal"]
        own = next((name for name in names if name in calls), None)
        if own is None:
            continue
        if len(names) > 1:
            others = [name for name in names if name != own]
            raise FormulaError(
                f"{':'.join(names)} multiplies a smooth with {listed(others)}. Write the other inside it: "
                f"{own[:-1]}, by={others[0]})."
            )
        for column in map(str, part.columns):
            block, _, last = column[len(own) + 1 : -1].rpartition(".")
            if last.isdigit():
                name = f"{own}[{block}]" if block else own
                found.setdefault(name, []).append(label(column))
    return tuple(Penalised(name, tuple(columns)) for name, columns in found.items())
