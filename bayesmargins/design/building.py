"""From formula and data to a frozen design: of the mean, and of a parameter that has a linear predictor of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design.calls import context_of, names_called
from bayesmargins.design.coding import Coding, codings
from bayesmargins.design.columns import Matrix, missing_rows, require_columns
from bayesmargins.design.counted import counted_response, refuse_counts
from bayesmargins.design.dialect import with_quoted_names
from bayesmargins.design.formula import Parts, expression, parse
from bayesmargins.design.formula_reading import python_parts, required_columns
from bayesmargins.design.freezing import freeze, freeze_column, freeze_one
from bayesmargins.design.frozen import Design, Response, given_values, left_side
from bayesmargins.design.group_means import freeze_means
from bayesmargins.design.grouping import freeze_factors
from bayesmargins.design.mean_calls import sources
from bayesmargins.design.monotonic import check_order
from bayesmargins.design.orthonormal import orthonormal_basis
from bayesmargins.design.response_categories import category_response
from bayesmargins.design.stored import check_length, check_stored
from bayesmargins.design.tables_in import to_pandas
from bayesmargins.errors import DataError, FormulaError, listed, warn
from bayesmargins.labelling import labels_of
from bayesmargins.values import functions, with_columns

__all__ = ["build_design", "build_part"]


def build_design(
    formula: str,
    data: Any,
    *,
    missing: str = "error",
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    stored: bool = False,
    invented: bool = False,
    categories: str = "",
    beside: Mapping[str, str] | None = None,
) -> Design:
    """The design that a formula and these data freeze to; rows of a column that is `missing` are refused or dropped.

    `missing` is "error", "drop", or "refuse": an error where the user has no choice, for the rows are those of a fit.
    `namespace` has the user's own functions. `stored`: the formula comes from a file, and only functions on the list
    of `calls` and in `namespace` are evaluated. `invented`: the rows stand for levels and are no data, so columns
    that are sums of others are not warned about, and values need not be finite. `categories` are those of the family
    (`Family.categories`); ordered ones have thresholds in place of an intercept. `beside` has formulas of parameters
    by name, whose columns rows shall have too: `build_part` takes them then.
    """
    if stored:
        check_length(formula)
    frame = to_pandas(data)
    _refuse_taken(formula, frame)
    namespace = functions(namespace)
    context = context_of(frame.columns, namespace)
    parts = parse(formula if not isinstance(formula, str) else with_quoted_names(formula, frame.columns), namespace)
    if not categories:
        refuse_counts(parts.response)
    means = [m.name for m in parts.means]
    for text in (*parts.left, *parts.right) if stored else ():
        check_stored(text, with_columns(frame, dict.fromkeys(means, 0.0)), namespace)
    covariates = set().union(*(required_columns(t, context) for t in parts.right))
    read = covariates.union(parts.group_columns, *(required_columns(t, context) for t in parts.left))
    read = read.difference(means) | sources(parts.means)
    require_columns(frame, sorted(read), "data", f"The formula {formula!r}")
    _refuse_response_on_the_right(parts, covariates | sources(parts.means), formula)
    needed = read - _read_in_some_rows(parts, covariates, context)
    for name, text in (beside or {}).items():
        needed |= _read_by(*_parsed(name, text, frame, namespace), frame, context)[1]
    kept = _complete(frame, needed, missing)
    labels = data.index if isinstance(data, pd.DataFrame) else frame.index
    labels = None if stored or invented else labels.take(kept.index)
    frame = kept.reset_index(drop=True)
    of_kind = (formula, invented, categories)
    response = _of_categories(parts, frame, context, *of_kind) if categories else _response(parts, frame, context)
    design = _frozen(formula, parts, covariates, frame, response, invented)
    if categories == "ordered":
        design = replace(design, fixed=design.fixed.without_constant())
    design = replace(design, row_labels=labels, labels=labels_of(data))
    if not invented:
        _warn_if_dependent(design, design.rows(frame, (), what="data").X)
    return design


def build_part(
    name: str,
    formula: str,
    of: Design,
    *,
    namespace: Mapping[str, Callable[..., Any]] | None = None,
    stored: bool = False,
) -> Design:
    """The design of the linear predictor of a parameter beside the mean, ``"sigma"``, for the same rows.

    The formula is ``"~ x + (1 | g)"``, or has the parameter on its left. Its ``response`` has the words of the mean's
    and no values.

    >>> import pandas as pd
    >>> mean = build_design("y ~ 1", pd.DataFrame({"y": [0.1, 0.2, 0.4], "x": [0.0, 1, 3]}))
    >>> build_part("sigma", "~ x", mean).formula
    'sigma ~ x'
    """
    if of.frame is None:
        raise DataError(f"The formula of {name!r} needs the fitted rows: give data= in place of levels=.")
    if stored:
        check_length(formula)
    namespace = functions(namespace)
    text, parts = _parsed(name, formula, of.data, namespace)
    for piece in parts.right if stored else ():
        check_stored(piece, with_columns(of.data, {m.name: 0.0 for m in parts.means}), namespace)
    if any(b.structure.student for b in parts.blocks):
        raise FormulaError(
            f"{text!r} has Student-t group effects on {name!r}, and they are there for the mean alone. Write (1 | g)."
        )
    context = context_of(of.data.columns, namespace)
    covariates, read = _read_by(text, parts, of.data, context)
    own = covariates | sources(parts.means)
    _refuse_response_on_the_right(replace(parts, response=of.response.text), own, text)
    frame = _complete(of.data, read, "refuse")
    response = Response(of.response.text, np.full(len(frame), np.nan), context=context)
    design = replace(_frozen(text, parts, covariates, frame, response), row_labels=of.row_labels, labels=of.labels)
    _warn_if_dependent(design, design.rows(frame, (), what="data").X)
    return design


def _parsed(
    name: str, formula: str, frame: pd.DataFrame, namespace: Mapping[str, Callable[..., Any]]
) -> tuple[str, Parts]:
    """The formula of a parameter with its name on the left, and taken apart."""
    text = f"{name} {formula.strip()}" if isinstance(formula, str) and formula.lstrip().startswith("~") else formula
    parts = parse(with_quoted_names(text, frame.columns), namespace)
    if parts.response != name or parts.given:
        raise FormulaError(f"The formula of {name!r} is {formula!r}; left of its '~' stands {name!r}, or nothing.")
    return text, parts


def _read_by(text: str, parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Columns that the linear predictor of a parameter is made of, and these with the columns that name groups."""
    covariates = set().union(*(required_columns(t, context) for t in parts.right))
    read = covariates.union(parts.group_columns).difference(m.name for m in parts.means) | sources(parts.means)
    require_columns(frame, sorted(read), "data", f"The formula {text!r}")
    return covariates, read


def _frozen(
    formula: str,
    parts: Parts,
    covariates: set[str],
    frame: pd.DataFrame,
    response: Response,
    invented: bool = False,
) -> Design:
    context = response.context
    means = freeze_means(parts.means, frame)
    frame = with_columns(frame, {m.of.name: m.checked(frame) for m in means})
    _refuse_two_meanings(parts, covariates, formula)
    made = codings(parts.right, context)
    for name, words in parts.made_factors.items():
        if name not in made and not pd.api.types.is_bool_dtype(frame[name].dtype):
            made[name] = Coding(words)
    for name, coding in made.items():
        if coding.ordered and not invented:
            check_order(name, frame[name], coding.call)
    columns = {
        n: freeze_column(frame[n], n, made[n].call, made[n].levels) if n in made else freeze_column(frame[n], n)
        for n in sorted(covariates)
    }
    # nothing but what the formula reads: a column called like a function would be called
    coded = pd.DataFrame({n: c.replay(frame[n]) for n, c in columns.items()}, index=frame.index)
    fixed = freeze(parts.fixed, coded, context, invented=invented)
    twice = [label for label, times in Counter(fixed.labels).items() if times > 1]
    if twice:
        raise FormulaError(
            f"Two columns of the design of {formula!r} are called {twice[0]!r}, and coefficients go by their names: a "
            "column of the data has the name of another term. Rename it."
        )
    factors = freeze_factors(parts.blocks, coded, frame, context, invented=invented)
    for factor in factors.values():
        _refuse_in_blocks(factor.name, factor.matrices)
    return Design(
        formula=formula,
        response=response,
        columns=columns,
        fixed=fixed,
        factors=factors,
        offsets=tuple(freeze_one(o, coded, context, invented=invented) for o in parts.offsets),
        frame=frame,
        means=means,
    )


def _refuse_in_blocks(factor: str, matrices: tuple[Matrix, ...]) -> None:
    """A group's own multiple of shares that are estimated with it is no normal effect; nor is its own bend one."""
    bent = next(((m.text, t.name) for m in matrices for t in m.penalised), None)
    if bent:
        raise FormulaError(
            f"({bent[0]} | {factor}) lets a smooth vary by group, and group effects have one covariance: their bend "
            "would be as free as their mean. A spline of fixed size can vary, (cs(x, df=4, constraints='center') | g); "
            "s(x) stands in the fixed part."
        )
    found = next(((m.text, t.name) for m in matrices for t in m.monotonic), None)
    if found:
        raise FormulaError(
            f"({found[0]} | {factor}) lets {found[1]} vary by group: each group would have its own multiple of shares "
            f"that are estimated with it, and such effects are not normal. Write {found[1]} in the fixed part, and in "
            "the block the number itself, (1 + x | g), or (1 | g)."
        )


def _refuse_taken(formula: Any, frame: pd.DataFrame) -> None:
    """Columns that are called as the constant is: each would be taken for it."""
    if not isinstance(formula, str):
        return
    if "`1`" in formula:
        raise FormulaError(f"{formula!r} names a column '1', which reads as the constant. Rename the column.")
    named = "Intercept" in frame.columns and re.search(r"\bIntercept\b", formula)
    if named and not (frame["Intercept"] == 1).all():
        raise FormulaError(
            f"{formula!r} reads a column 'Intercept' that is not 1 throughout, and the constant is called so: priors "
            "and draws of the one would be taken for those of the other. Rename the column."
        )


def _refuse_two_meanings(parts: Parts, covariates: set[str], formula: str) -> None:
    trees = (tree for text in parts.right for _, tree in python_parts(text) if tree is not None)
    both = sorted(covariates & set().union(*map(names_called, trees)))
    if both:
        raise FormulaError(
            f"{formula!r} reads the column {both[0]!r} and calls the function {both[0]!r}: rename the column, or "
            "compute one of the two beforehand."
        )


def _refuse_response_on_the_right(parts: Parts, covariates: set[str], formula: str) -> None:
    name = parts.response.strip("`")
    places = {"the right-hand side": covariates, "a grouping factor": parts.group_columns}
    where = next((place for place, names in places.items() if name in names), None)
    if where:
        raise FormulaError(f"The response {name!r} is also in {where} of {formula!r}: it would explain itself.")


def _read_in_some_rows(parts: Parts, covariates: set[str], context: Mapping[str, Any]) -> set[str]:
    """Columns that only rows with censored intervals are asked for: others may lack them."""
    if "y2" not in parts.given:
        return set()
    others = covariates.union(parts.group_columns, *(required_columns(expression(text), context) for text in (
        parts.response, *(text for name, text in parts.given.items() if name != "y2"))))  # fmt: skip
    return set(required_columns(expression(parts.given["y2"]), context)) - others


def _complete(frame: pd.DataFrame, read: set[str], missing: str) -> pd.DataFrame:
    mask, counts = missing_rows(frame, sorted(read))
    if not mask.any():
        return frame
    if missing != "drop":
        way = (
            "Fill them, drop them, or pass missing='drop' to have them dropped and counted."
            if missing == "error"
            else "The data are the rows that were fitted: drop these rows first, as the fit did."
        )
        raise DataError(f"{int(mask.sum())} of {len(frame)} rows have missing values, by column: {counts}. {way}")
    if mask.all():
        raise DataError(f"Every one of the {len(frame)} rows has a missing value, by column: {counts}.")
    warn(f"{int(mask.sum())} of {len(frame)} rows with missing values were dropped, by column: {counts}.")
    return frame[~mask]


def _response(parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any]) -> Response:
    y = left_side(parts.response, frame, "data", context)
    return Response(parts.response, y, parts.given, _beside(parts, frame, context), parts.known_error, context)


def _beside(parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any]) -> dict[str, np.ndarray]:
    found = {name: given_values(name, text, frame, "data", context) for name, text in parts.given.items()}
    if "rate" in found and not (known := (found["rate"] > 0.0) & np.isfinite(found["rate"])).all():
        raise DataError(
            f"rate({parts.given['rate']}) has {int((~known).sum())} values that are not finite numbers above 0, such "
            f"as {found['rate'][~known][0]:g}: nothing can be counted in no time."
        )
    return found


def _of_categories(
    parts: Parts, frame: pd.DataFrame, context: Mapping[str, Any], formula: str, invented: bool, categories: str
) -> Response:
    counted = categories == "counted"
    others = [name for name in parts.given if name != ("trials" if counted else "weights")]
    if others:
        raise FormulaError(f"{formula!r} has {listed(others)} on its left, and a response of categories has none.")
    if counted:
        return counted_response(parts, frame, context, formula, invented)
    if invented:
        return Response(parts.response, np.full(len(frame), np.nan), parts.given, context=context)
    y, labels = category_response(parts.response, frame, formula, categories == "ordered")
    return Response(parts.response, y, parts.given, _beside(parts, frame, context), False, context, labels)


def _warn_if_dependent(design: Design, X: np.ndarray) -> None:
    bent = {name for term in design.fixed.penalised for name in term.columns}  # what the data do not tell is at 0
    free = [name for name in design.coef if name not in bent]
    X = X[:, [design.coef.index(name) for name in free]]
    X = X if design.fixed.constant else np.column_stack([np.ones(len(X)), X])  # the thresholds' column
    rank = orthonormal_basis(X).rank
    if rank < X.shape[1]:
        warn(
            f"The {X.shape[1]} fixed columns {listed(free)} have rank {rank}: some are sums of others, and the "
            f"data cannot tell them apart. {_way_out(design)}"
        )


def _way_out(design: Design) -> str:
    spline = next((m[0] for c in design.coef if (m := re.match(r"(cs|cr|cc)\(.*\)", c))), None)
    if spline is None or "Intercept" not in design.coef:
        return "Leave one out."
    return f"The columns of {spline} add up to the intercept: write {spline[:-1]}, constraints='center')."
