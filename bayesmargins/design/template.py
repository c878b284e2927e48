"""A design without rows: the formula and the levels of its factors, where the fitted data are not at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.building import build_design
from bayesmargins.design.calls import context_of
from bayesmargins.design.coding import codings
from bayesmargins.design.columns import Matrix
from bayesmargins.design.formula import Parts, parse
from bayesmargins.design.formula_reading import python_parts, required_columns
from bayesmargins.design.freezing import check_row_by_row
from bayesmargins.design.frozen import Design
from bayesmargins.design.grouping import Factor
from bayesmargins.design.stored import check_length, check_stored
from bayesmargins.errors import DataError, FormulaError, close_matches, listed, shown
from bayesmargins.values import functions, plain_value

__all__ = ["design_from", "template_design"]


# of any size and either sign, in no order
_WIDE = np.random.default_rng(0).permutation(
    np.concatenate([-np.geomspace(0.01, 2e3, 13), np.geomspace(0.01, 3e3, 18)])
)


def design_from(
    formula: str,
    data: Any,
    levels: Mapping[str, Any] | None,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    categories: str = "",
) -> Design:
    """The design of the fitted rows, or of the levels alone: one of `data` and `levels` is None."""
    if (data is None) == (levels is None):
        given = "both data and levels" if levels is not None else "neither data nor levels"
        raise DataError(
            f"There are {given}; give one: data=, the fitted rows, or, without them, levels={{'trt': ['a', 'b']}}, the "
            "levels of every factor in order, all other columns being numbers."
        )
    if levels is None:
        return build_design(formula, data, missing="refuse", namespace=namespace, categories=categories)
    return template_design(formula, levels, namespace=namespace, categories=categories)


def template_design(
    formula: str,
    levels: Mapping[str, Any],
    *,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    stored: bool = False,
    categories: str = "",
) -> Design:
    """The design of a formula, known the levels of its factors and no rows: its `data` raises.

    `levels` has those of each factor in order, the reference first: text, numbers or dates; ``[False, True]`` for a
    truth value. Grouping factors may be among them, as group effects need. Columns that are not named are numbers.
    Terms that remember the data (``poly``, ``scale``, ``bs``) are refused.

    >>> design = template_design("y ~ trt + week + (1 | id)", {"trt": ["placebo", "drug"]})
    >>> design.coef, design.factors["id"].levels
    (('Intercept', 'trt[drug]', 'week'), ())
    """
    if not isinstance(levels, Mapping):
        raise DataError(f"levels is {type(levels).__name__}; give a dict, levels={{'trt': ['placebo', 'drug']}}.")
    if stored:
        check_length(formula)
    namespace = functions(namespace)
    parts = parse(formula, namespace)
    for text in (*parts.left, *parts.right) if stored else ():
        check_stored(text, None, namespace)
    context = context_of(levels, namespace)
    without = [b.structure.by for b in parts.blocks if b.structure.by and b.structure.by not in levels]
    if without:
        raise DataError(
            f"{formula!r} has a covariance for each level of {without[0]!r}, and levels does not have it. Give "
            f"levels={{{without[0]!r}: [...]}}."
        )
    if parts.means:
        raise FormulaError(
            f"{parts.means[0].name} in {formula!r} is a mean of the rows of the fit, and there are none. Give data=, "
            "the fitted rows, in place of levels=."
        )
    _refuse_two_readings(parts, levels, context)
    covariates = frozenset().union(*(required_columns(t, context) for t in (*parts.left, *parts.right)))
    read = covariates | parts.group_columns
    given = {name: _levels_of(name, values, read) for name, values in levels.items()}
    for name in covariates & set(given):
        _refuse_true_first(name, given[name])
    rows = _rows(read, given, parts)
    design = build_design(formula, rows, namespace=namespace, stored=stored, invented=True, categories=categories)
    wide = _with_wide_numbers(rows, design)
    for matrix in (design.fixed, *design.offsets, *(m for f in design.factors.values() for m in f.matrices)):
        _refuse_what_needs_rows(matrix, design, given)
        check_row_by_row(matrix, wide, matrix.evaluate(wide))
    none = np.empty(0)
    labels = given.get(parts.response.strip("`"), design.response.categories) if categories else ()
    beside = dict.fromkeys(design.response.given, none)
    response = replace(design.response, y=none, beside=beside, categories=labels)
    factors = {name: _factor(factor, given) for name, factor in design.factors.items()}
    return replace(design, response=response, factors=factors, frame=None, levels=given)


def _refuse_two_readings(parts: Parts, levels: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    """Beside C(arm) a bare arm is a number; with levels and no rows it would be a factor as well."""
    for name, coding in codings(parts.right, context).items():
        bare = any(factor == name for text in parts.right for factor, _ in python_parts(text))
        if name in levels and bare:
            raise FormulaError(
                f"The formula reads {name!r} as a number and, by {coding.call}, as a factor; levels= says that it is a "
                "factor. Give data=, the fitted rows, in place of levels=."
            )


def _levels_of(name: str, values: Any, read: frozenset[str]) -> tuple[Any, ...]:
    if name not in read:
        raise DataError(
            f"levels names {name!r}, which the formula does not read; it reads {listed(sorted(read))}."
            f"{close_matches(name, read)}"
        )
    if not pd.api.types.is_list_like(values) or isinstance(values, Mapping | set | frozenset):
        raise DataError(
            f"levels[{name!r}] is {shown(values)}; give a list of its levels in order, the reference first."
        )
    found = tuple(plain_value(v) for v in values)
    odd = [v for v in found if pd.api.types.is_list_like(v) or pd.isna(v)]
    if odd:
        raise DataError(
            f"levels[{name!r}] is {shown(values)}, with {shown(odd[0])} among them; a level is one text, number, truth "
            "value or date, and none is missing: give a flat list such as ['placebo', 'drug']."
        )
    if not found or len({str(v) for v in found}) < len(found) or len(set(found)) < len(found):
        raise DataError(f"levels[{name!r}] is {shown(values)}: it names no level, or one twice. Give each once.")
    return found


def _refuse_true_first(name: str, levels: tuple[Any, ...]) -> None:
    """A truth value has no levels to order: its column of the design is 1 where it is true."""
    if all(isinstance(v, bool) for v in levels) and levels == (True, False):
        raise DataError(
            f"levels[{name!r}] is [True, False], True being the reference; the coefficient of a truth value is that of "
            "True against False. Give [False, True] where that is what beta holds, or else text, ['True', 'False'], in "
            "levels and in newdata."
        )


def _rows(read: frozenset[str], given: Mapping[str, Sequence[Any]], parts: Parts) -> pd.DataFrame:
    """Some rows with every level, on which the formula is evaluated once; nobody sees them again."""
    n = max((len(v) for v in given.values()), default=1) + 6
    columns: dict[str, Any] = {}
    for name in sorted(read):
        if name not in given:
            columns[name] = ["group"] * n if name in parts.group_columns else np.linspace(1.0, 2.0, n)
        elif set(given[name]) == {False, True} and all(isinstance(v, bool) for v in given[name]):
            columns[name] = np.resize([False, True], n)
        else:
            columns[name] = pd.Categorical(np.resize(np.asarray(given[name], dtype=object), n), list(given[name]))
    return pd.DataFrame(columns)


def _with_wide_numbers(rows: pd.DataFrame, design: Design) -> pd.DataFrame:
    """The same with numbers of any size and sign: wherever an expression has values, some of these are there."""
    rows = rows.iloc[np.resize(np.arange(len(rows)), max(len(rows), len(_WIDE)))].reset_index(drop=True)
    wide = pd.Series(np.resize(_WIDE, len(rows)))
    columns = {n: c.replay(wide if c.kind == "number" else rows[n]) for n, c in design.columns.items()}
    return pd.DataFrame(columns, index=rows.index)


def _refuse_what_needs_rows(matrix: Matrix, design: Design, given: Mapping[str, Any]) -> None:
    steps = {name for term in matrix.monotonic for name in term.factors}
    by_level = [name for name in steps if required_columns(f"0 + {name}", matrix.context) & set(given)]
    remembered = [call for call in matrix.spec.transform_state if call not in by_level]
    state = matrix.spec.encoder_state
    coded = [e for e, (coding, _) in state.items() if coding.name == "CATEGORICAL" and e not in design.columns]
    coded = [e for e in coded if not required_columns(f"0 + {e}", matrix.context) & set(given)]
    if remembered or coded:
        which = listed(remembered or coded)
        way = "data=, the fitted rows" if remembered else "its levels, levels={'x': [1, 2, 3]}"
        raise FormulaError(
            f"{which} in {design.formula!r} takes its numbers from the rows of the fit, and there are none. Give {way}."
        )


def _factor(factor: Factor, given: Mapping[str, Sequence[Any]]) -> Factor:
    """Groups by name where they were named; each is a combination of its own."""
    known = tuple(given.get(factor.name, ()))
    return replace(factor, levels=known, parts=tuple((str(v),) for v in known), codes=np.arange(len(known)))
