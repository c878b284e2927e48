"""Arrays as a formula over named columns, so that a model of matrices answers everything that one of a frame does."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import to_pandas
from bayesmargins.errors import ModelError, close_matches, listed, shown
from bayesmargins.values import array_of, by_row_labels, entries, plain, value_list

__all__ = ["formula_of_arrays"]

_ONE = "Intercept"


def formula_of_arrays(
    y: Any,
    X: Any,
    groups: Mapping[str, Any] | None = None,
    Z: Mapping[str, Any] | None = None,
    *,
    names: Sequence[str] | None = None,
    trials: Any = None,
    offset: Any = None,
) -> tuple[str, pd.DataFrame]:
    """Which formula and which data frame say what these arrays say? They are those of `GLMM.from_arrays`.

    Arrays are paired by position, Series and DataFrames with each other by their index. ModelError where shapes do not
    fit, names occur twice, or a factor of `Z` is not in `groups`.

    >>> import numpy as np
    >>> X = np.column_stack([np.ones(4), [0.0, 1, 2, 3]])
    >>> formula, frame = formula_of_arrays([0, 1, 1, 0], X, {"id": [1, 1, 2, 2]}, {"id": X})
    >>> formula
    'y ~ 1 + x1 + (1 + x1 | id)'
    """
    y, X, groups, Z, trials, offset, labels = _matched(y, X, groups, Z, trials, offset)
    response = _vector(y, "y", None)
    n = len(response)
    fixed, intercept = _fixed(X, names, n)
    columns = {_name_of(y): response}
    _add(columns, {str(k): v for k, v in fixed.items()}, "X")
    codes = {f: _vector(v, f"groups[{f!r}]", n) for f, v in _factors(groups).items()}
    _add(columns, codes, "groups")
    Z = entries("Z", Z, "'id': array", ModelError)
    unknown = [f for f in Z if f not in codes]
    if unknown:
        raise ModelError(f"Z names {listed(unknown)}; groups has {listed(codes) or 'none'}. A Z needs its groups.")
    left, right = _quoted(_name_of(y)), [_side(intercept, fixed)]
    for factor in codes:
        terms, own = _block(factor, Z.get(factor, [_ONE]), codes[factor], fixed, n)
        _add(columns, own, f"Z[{factor!r}]")
        right.append(f"({terms} | {_quoted(factor)})")
    if trials is not None:
        _add(columns, {"trials": _vector(trials, "trials", n)}, "trials")
        left += " | trials(trials)"
    if offset is not None:
        _add(columns, {"offset": _vector(offset, "offset", n)}, "offset")
        right.append("offset(offset)")
    frame = to_pandas(columns, "What the arrays hold")
    return f"{left} ~ {' + '.join(right)}", frame if labels is None else frame.set_axis(labels)


def _matched(y: Any, X: Any, groups: Any, Z: Any, trials: Any, offset: Any) -> tuple[Any, ...]:
    """What pandas labels in the order of the first that it labels, and these labels; the rest is paired by position."""
    first: list[tuple[str, pd.Index]] = []

    def ordered(values: Any, what: str) -> Any:
        if not isinstance(values, pd.Series | pd.DataFrame):
            return values
        if not first:
            first.append((what, values.index))
        matched, refusal = by_row_labels(values, first[0][1], what, first[0][0])
        if refusal:
            raise ModelError(refusal)
        return matched

    def each(given: Any, what: str) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {k: ordered(v, f"{what}[{k!r}]") for k, v in given.items()}

    found = ordered(y, "y"), ordered(X, "X"), each(groups, "groups"), each(Z, "Z")
    return *found, ordered(trials, "trials"), ordered(offset, "offset"), first[0][1] if first else None


def _factors(groups: Mapping[str, Any] | None) -> Mapping[str, Any]:
    groups = entries("groups", groups, "'id': codes", ModelError)
    joined = [f for f in groups if not isinstance(f, str) or set(f) & set(":/|`")]
    if joined:
        raise ModelError(
            f"groups names {listed(joined)}; a factor is named by text without ':', '/' and '|'. For nested factors "
            "make a DataFrame and write the formula: GLMM('y ~ x + (1 | a/b)', data)."
        )
    return groups


def _vector(values: Any, what: str, n: int | None) -> np.ndarray:
    array = plain(values) if isinstance(values, pd.Series) else array_of(what, values, ModelError)
    if array.ndim != 1 or (n is not None and len(array) != n):
        needed = "one value a row" if n is None else f"({n},), one value a row of y"
        raise ModelError(f"{what} has the shape {array.shape}; {needed} is needed.")
    return array


def _table(values: Any, what: str, n: int, names: Sequence[str] | None, stem: str) -> dict[str, np.ndarray]:
    """Columns by name."""
    array = array_of(what, values, ModelError)
    array = array[:, None] if array.ndim == 1 and len(array) == n else array
    if array.ndim != 2 or len(array) != n or array.dtype.kind not in "fiub":
        raise ModelError(f"{what} has the shape {array.shape} of {array.dtype}; ({n}, columns) of numbers is needed.")
    found = value_list(names) if names is not None else getattr(values, "columns", None)
    if names is not None and found is None:
        raise ModelError(f"names={shown(names)}; it must be a list of names, one a column of X.")
    varying = [j for j in range(array.shape[1]) if not (array[:, j] == 1).all()]
    if len(varying) < array.shape[1] - 1:
        ones = array.shape[1] - len(varying)
        raise ModelError(f"{what} has {ones} columns of ones; at most one, the intercept, is needed.")
    default = {j: f"{stem}{k + 1}" for k, j in enumerate(varying)}
    labels = [default.get(j, _ONE) for j in range(array.shape[1])] if found is None else [str(c) for c in found]
    if len(labels) != array.shape[1] or len(set(labels)) < len(labels):
        raise ModelError(
            f"{what} has {array.shape[1]} columns and the names {listed(labels)}: one different name each."
        )
    return {label: array[:, j] for j, label in enumerate(labels)}


def _fixed(X: Any, names: Sequence[str] | None, n: int) -> tuple[dict[str, np.ndarray], bool]:
    """Columns of X other than the ones, and whether there are ones."""
    table = _table(X, "X", n, names, "x")
    ones = [name for name, column in table.items() if (column == 1).all()]
    return {name: column for name, column in table.items() if name not in ones}, bool(ones)


def _block(
    factor: str, Z: Any, codes: np.ndarray, fixed: Mapping[str, np.ndarray], n: int
) -> tuple[str, dict[str, np.ndarray]]:
    """Terms of one factor, and those of its columns that X does not have."""
    if isinstance(Z, str) or (isinstance(Z, Sequence) and all(isinstance(c, str) for c in Z)):
        wanted = [Z] if isinstance(Z, str) else list(Z)
        unknown = [c for c in wanted if c not in (_ONE, *fixed)]
        if unknown:
            hint = close_matches(unknown[0], fixed)
            raise ModelError(f"Z[{factor!r}] names {listed(unknown)}; X has {listed([_ONE, *fixed])}.{hint}")
        return _side(_ONE in wanted, [c for c in wanted if c != _ONE]), {}
    _refuse_indicators(factor, Z, codes, n)
    intercept, terms = False, []
    own: dict[str, np.ndarray] = {}
    for label, column in _table(Z, f"Z[{factor!r}]", n, None, f"{factor}_z").items():
        same = next((name for name, x in fixed.items() if np.array_equal(x, column)), None)
        if (column == 1).all():
            intercept = True
        else:
            terms.append(same or label)
            own |= {} if same else {label: column}
    return _side(intercept, terms), own


def _refuse_indicators(factor: str, Z: Any, codes: np.ndarray, n: int) -> None:
    """One column a group is lme4's finished Z; here each row holds its z, and the codes say whose it is."""
    array = array_of(f"Z[{factor!r}]", Z, ModelError)
    groups = pd.factorize(codes)[0]
    if array.shape != (n, groups.max() + 1) or array.shape[1] < 3:
        return
    if all(len(np.unique(groups[array[:, j] != 0])) <= 1 for j in range(array.shape[1])):
        raise ModelError(
            f"Z[{factor!r}] has the shape {array.shape}, a column for each group: that is an indicator matrix. Z holds "
            "what varies by group, (row, term), and groups= says which group a row belongs to. Leave Z out for a "
            "random intercept."
        )


def _side(intercept: bool, names: Any) -> str:
    return " + ".join(["1" if intercept else "0", *map(_quoted, names)])


def _quoted(name: str) -> str:
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def _name_of(y: Any) -> str:
    return str(getattr(y, "name", None) or "y")


def _add(columns: dict[str, np.ndarray], more: Mapping[str, np.ndarray], what: str) -> None:
    twice = [c for c in more if c in columns]
    if twice:
        raise ModelError(f"{what} has {listed(twice)}, a name that is taken; {listed(columns)} are. Give another.")
    columns |= more
