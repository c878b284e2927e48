"""Draws under the names of brms's Stan program, `b[1]` and `r_1_2[7]`, renamed as `as_draws_df()` names them.

Stan numbers what R names, so everything hangs on orders: of coefficients (R's model matrix), of grouping factors (by
name), of groups (R's levels). Where an order depends on the language R was set to, it is refused. From brms's functions
`terms_re`, `frame_re`, `stan_fe`, `stan_re` and `rename_pars` (brms 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from bayesmargins.adapters.brms.r_names import coefficients_of, level_names, r_order
from bayesmargins.design import Design, Factor
from bayesmargins.design.columns import Matrix
from bayesmargins.errors import PosteriorError, listed

__all__ = ["are_of_stan", "check_intercept", "named_as_in_r"]

_NUMBERED = re.compile(r"(b|sd_\d+|r_\d+_\d+)\[\d+(,\d+)?\]")
_WAY_OUT = "In R, as_draws_df(fit) has them by name."

# Digits that CmdStan writes: 6 in older versions.
_WRITTEN = 2e-5


def are_of_stan(frame: pd.DataFrame) -> bool:
    """Are these columns numbered, as Stan has them?

    >>> are_of_stan(pd.DataFrame(columns=["b[1]"])), are_of_stan(pd.DataFrame(columns=["b_x", "r_g[1,x]"]))
    (True, False)
    """
    return any(_NUMBERED.fullmatch(str(c)) for c in frame.columns)


def named_as_in_r(frame: pd.DataFrame, design: Design) -> pd.DataFrame:
    """The draws under brms's names, ``b_x``, ``sd_g__x``, ``cor_g__x__z``, ``r_g[level,x]``; other columns as they are.

    They come as ``b[k]``, ``b_Intercept`` or ``Intercept``, ``sd_1[k]``, ``cor_1[k]``, ``Cor_1[j,k]`` or ``L_1[j,k]``,
    ``r_1_1[j]``.
    """
    _refuse_unsure_levels(design)
    named = _fixed(frame, design)
    blocks = list(_blocks(design))
    for number, (factor, matrix, correlated) in enumerate(blocks, 1):
        named |= _block(frame, number, factor, matrix, correlated, design)
    numbers = "|".join(str(k) for k in range(1, len(blocks) + 1)) or "0"
    used = re.compile(rf"b\[\d+\]|(sd|r|cor|Cor|L|z)_({numbers})(_\d+)?\[.*\]|Intercept|b_Intercept")
    rest = frame[[c for c in frame.columns if not used.fullmatch(str(c))]]
    return pd.concat([pd.DataFrame(named, index=frame.index), rest], axis=1)


def _fixed(frame: pd.DataFrame, design: Design) -> dict[str, np.ndarray]:
    """``b`` leaves the intercept out where the design was centred, and then ``b_Intercept`` is that of the rows."""
    _refuse_unsure_order(design.fixed, design)
    names = [f"b_{names[0]}" for names in coefficients_of(design.fixed, design)]
    b = _vector(frame, "b")
    centred = "b_Intercept" in frame or "Intercept" in frame
    wanted = [n for n in names if not (centred and n == "b_Intercept")]
    if b.shape[1] != len(wanted):
        raise PosteriorError(
            f"The draws have {b.shape[1]} coefficients b, and formula and data give the {len(wanted)} columns "
            f"{listed(wanted, 30)}. Check formula, levels and their reference. {_WAY_OUT}"
        )
    named = dict(zip(wanted, b.T, strict=True))
    return named | {"b_Intercept": _intercept(frame, b, names, design)} if "b_Intercept" in names and centred else named


def _intercept(frame: pd.DataFrame, b: np.ndarray, names: Sequence[str], design: Design) -> np.ndarray:
    """From the intercept at the means of the columns, which also says whether b and the columns are in one order."""
    stored = frame["b_Intercept"].to_numpy(dtype=np.float64) if "b_Intercept" in frame else None
    if "Intercept" not in frame:
        return _the(stored)
    centred = frame["Intercept"].to_numpy(dtype=np.float64)
    at = names.index("b_Intercept")
    if stored is not None:
        values = list(b.T)
        check_intercept(
            centred, dict(zip(design.coef, [*values[:at], stored, *values[at:]], strict=True)), design, hint=_WAY_OUT
        )
        return stored
    return centred - b @ np.delete(design.rows(design.data, (), what="data").X.mean(axis=0), at)


def check_intercept(
    centred: np.ndarray, coefficients: Mapping[str, np.ndarray], design: Design, of: str = "", hint: str = ""
) -> None:
    """Are the columns of these rows those that brms centred?

    `centred` (draw,) is ``Intercept``, at the means of the columns. `coefficients` (draw,) go by the names of the
    design's columns; `of` is the parameter whose formula it is, unless the mean.
    """
    means = dict(zip(design.coef, design.rows(design.data, (), what="data").X.mean(axis=0), strict=True))
    terms = {c: means[c] * draws for c, draws in coefficients.items() if c != "Intercept"}
    none = np.zeros_like(centred)
    off = np.abs(centred - sum(terms.values(), none) - coefficients["Intercept"])
    if (off > _WRITTEN * (np.abs(centred) + sum(map(np.abs, terms.values()), none))).any():
        name = f"{of}_Intercept" if of else "Intercept"
        raise PosteriorError(
            f"b_{name} of the draws is not {f'Intercept_{of}' if of else 'Intercept'} minus the means of the columns "
            f"times b: the columns of formula and data ({listed(design.coef, 30)}) are not those of the fit, or not in "
            f"its order. Give the fitted rows, all of them, and R's order of levels. {hint}".rstrip()
        )


def _the(values: np.ndarray | None) -> np.ndarray:
    if values is None:
        raise PosteriorError(f"The draws have neither b_Intercept nor Intercept. {_WAY_OUT}")
    return values


def _blocks(design: Design) -> Iterator[tuple[Factor, Matrix, bool]]:
    """brms numbers blocks by the names of their factors, those of one factor as the formula has them."""
    names = list(design.factors)
    order = r_order(names)
    if order is None:
        raise PosteriorError(
            f"brms numbers the grouping factors {listed(names)} by the alphabet, and where upper and lower case or "
            f"signs decide, that depends on the language R was set to. {_WAY_OUT}"
        )
    for factor in (design.factors[names[i]] for i in order):
        first = 0
        for matrix in factor.matrices:
            span = tuple(range(first, first + len(matrix.labels)))
            first = span[-1] + 1
            yield factor, matrix, span in factor.blocks and len(span) > 1


def _block(
    frame: pd.DataFrame, number: int, factor: Factor, matrix: Matrix, correlated: bool, design: Design
) -> dict[str, np.ndarray]:
    _refuse_unsure_order(matrix, design)
    terms = [names[0] for names in coefficients_of(matrix, design)]
    sd = _vector(frame, f"sd_{number}")
    if sd.shape[1] != len(terms):
        raise PosteriorError(
            f"The draws have {sd.shape[1]} standard deviations sd_{number}, and block {number}, of {factor.name!r}, "
            f"has the terms {listed(terms)}. Check the formula. {_WAY_OUT}"
        )
    named = {f"sd_{factor.name}__{t}": sd[:, k] for k, t in enumerate(terms)}
    if correlated:
        Cor = _correlations(frame, number, len(terms))
        for j, k in combinations(range(len(terms)), 2):
            named[f"cor_{factor.name}__{terms[j]}__{terms[k]}"] = Cor[:, j, k]
    for k, term in enumerate(terms, 1):
        named |= _effects(_vector(frame, f"r_{number}_{k}"), f"r_{number}_{k}", factor, term, design)
    return named


def _effects(r: np.ndarray, name: str, factor: Factor, term: str, design: Design) -> dict[str, np.ndarray]:
    if not r.shape[1]:
        return {}
    labels = level_names(factor)
    if r.shape[1] != len(labels):
        raise PosteriorError(
            f"The draws have {r.shape[1]} values {name}, and the data have {len(labels)} groups of {factor.name!r}. "
            f"Give the rows of the fit. {_WAY_OUT}"
        )
    order = _order_of_levels(factor, design)
    return {f"r_{factor.name}[{labels[i]},{term}]": r[:, k] for k, i in enumerate(order)}


def _order_of_levels(factor: Factor, design: Design) -> Sequence[int]:
    """A category's order and numbers by size; text by the alphabet, and so is what ``a:b`` pastes together."""
    one = len(factor.columns) == 1
    column = design.data[factor.columns[0]]
    if one and (isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_numeric_dtype(column.dtype)):
        return range(len(factor.levels))
    order = r_order(["_".join(parts) for parts in factor.parts])
    if order is None:
        ways = f"Make {factor.name!r} a pandas categorical in R's order of levels. " if one else ""
        raise PosteriorError(
            f"Stan numbers the groups of {factor.name!r} by the alphabet, and where upper and lower case, accents or "
            f"signs decide, that depends on the language R was set to. {ways}{_WAY_OUT}"
        )
    return order


def _refuse_unsure_levels(design: Design) -> None:
    """Nothing in b[1] says which level it belongs to."""
    for name, column in design.columns.items():
        ordered = isinstance(design.data[name].dtype, pd.CategoricalDtype)
        if (
            column.kind == "factor"
            and not (ordered or column.coded)
            and r_order([str(v) for v in column.levels]) is None
        ):
            raise PosteriorError(
                f"The levels {listed(column.levels)} of {name!r} are in no order that R is sure to have given them: "
                f"make it a pandas categorical in R's order. {_WAY_OUT}"
            )


def _refuse_unsure_order(matrix: Matrix, design: Design) -> None:
    """R takes the factors of an interaction in the order in which the formula first names them."""
    first: list[str] = []
    for part in matrix.spec.structure:
        factors = [str(f.expr) for f in part.term.factors if f.eval_method.value != "literal"]
        first += [f for f in factors if f not in first]
        if len(part.columns) > 1 and factors != sorted(factors, key=first.index):
            raise PosteriorError(
                f"Stan numbers the columns of {':'.join(factors)} as R orders them, with {first[0]!r} before others; "
                f"write the interaction in the order of its main effects. {_WAY_OUT}"
            )


def _correlations(frame: pd.DataFrame, number: int, n: int) -> np.ndarray:
    """``Cor`` itself, its upper triangle by columns, or its Cholesky factor: (row, term, term)."""
    Cor = np.tile(np.eye(n), (len(frame), 1, 1))
    pairs = [(j, k) for k in range(n) for j in range(k)]
    if f"Cor_{number}[1,2]" in frame:
        for j, k in pairs:
            Cor[:, j, k] = Cor[:, k, j] = frame[f"Cor_{number}[{j + 1},{k + 1}]"]
        return Cor
    upper = _vector(frame, f"cor_{number}")
    if upper.shape[1] == len(pairs):
        for at, (j, k) in enumerate(pairs):
            Cor[:, j, k] = Cor[:, k, j] = upper[:, at]
        return Cor
    if f"L_{number}[2,1]" not in frame:
        raise PosteriorError(
            f"The draws have no correlations Cor_{number}, cor_{number} or L_{number} of the {n} terms of block "
            f"{number}. Where they are independent, write (x || g). {_WAY_OUT}"
        )
    L = np.zeros_like(Cor)
    for j in range(n):
        for k in range(j + 1):
            L[:, j, k] = frame[f"L_{number}[{j + 1},{k + 1}]"]
    return np.asarray(L @ np.swapaxes(L, 1, 2))


def _vector(frame: pd.DataFrame, name: str) -> np.ndarray:
    """``name[1]``, ``name[2]`` and so on side by side: (row, entry)."""
    columns: list[str] = []
    while f"{name}[{len(columns) + 1}]" in frame:
        columns.append(f"{name}[{len(columns) + 1}]")
    return frame[columns].to_numpy(dtype=np.float64).reshape(len(frame), len(columns))
