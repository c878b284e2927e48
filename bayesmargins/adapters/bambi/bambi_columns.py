"""Which column here is which of Bambi's: found by their values, so that no column can pass for another."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Design, Response
from bayesmargins.errors import BayesmarginsError, PosteriorError, listed

__all__ = ["Places", "check_response", "places_of"]

TOLERANCE = 1e-10
# Rows whose columns were drawn one by one: combinations that the data lack tell apart what their rows do not.
MIXED_ROWS = 200


@dataclass(frozen=True)
class Places:
    """Where Bambi's columns and groups stand in a design of this package."""

    fixed: dict[str, list[int]]  # positions in ``design.coef``, by the name of Bambi's term
    # positions in ``design.factors[...].terms``, by the name of Bambi's group-specific term
    terms: dict[str, list[int]]
    factors: dict[str, str]  # the factor here, by the name of Bambi's group-specific term
    # position of each level's group among Bambi's, by the name of Bambi's group-specific term
    levels: dict[str, np.ndarray]


def places_of(design: Design, theirs: Any, factors: Mapping[str, str]) -> Places:
    """Where does every column and group of Bambi's design (formulae's matrices, of the same rows) stand in this one?"""
    common = {} if theirs.common is None else theirs.common.terms
    group = {} if theirs.group is None else theirs.group.terms
    mixed, usable = _mixed(design.data, [*common.values(), *(t.expr for t in group.values())])
    fitted, also = design.rows(design.data, what="data"), _rows(design, mixed[usable])

    def of(term: Any) -> np.ndarray:
        there = [_columns(term.data)] + ([] if also is None else [_columns(term.eval_new_data(mixed))[usable]])
        return np.concatenate(there)

    def here(values: Any) -> np.ndarray:
        return np.concatenate([values(fitted)] + ([] if also is None else [values(also)]))

    offsets = [of(t)[:, 0] for t in common.values() if t.kind == "offset"]
    _check_offset(here(lambda r: r.offset), offsets)
    X = here(lambda r: r.X)
    plain_terms = {n: t for n, t in common.items() if t.kind != "offset"}
    fixed = _aligned({n: of(t) for n, t in plain_terms.items()}, _labels(plain_terms), X, design.coef, "fixed effects")
    terms: dict[str, list[int]] = {}
    for name, factor in design.factors.items():
        exprs = {n: t.expr for n, t in group.items() if factors[n] == name}
        columns = {n: of(t) for n, t in exprs.items()}
        Z = here(lambda r, name=name: r.Z[name])
        terms |= _aligned(columns, _labels(exprs), Z, factor.terms, f"effects of {name!r}")
    levels = {n: _levels(design, factors[n], t.factor.data, n) for n, t in group.items()}
    return Places(fixed, terms, dict(factors), levels)


def _columns(values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def _labels(terms: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    return {n: ["Intercept"] if t.kind == "intercept" else t.labels for n, t in terms.items()}


def _mixed(data: pd.DataFrame, terms: Sequence[Any]) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of values of the fit, each column drawn by itself; and in which of them every term has a value."""
    rng = np.random.default_rng(0)
    drawn = {c: data[c].iloc[rng.integers(0, len(data), MIXED_ROWS)].reset_index(drop=True) for c in data}
    frame = pd.DataFrame(drawn)
    usable = np.ones(MIXED_ROWS, dtype=bool)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            for term in terms:
                usable &= np.isfinite(_columns(term.eval_new_data(frame))).all(axis=1)
        except (ValueError, ArithmeticError):  # a function of the user's that has no value for such rows
            usable[:] = False
    return frame, usable


def _rows(design: Design, frame: pd.DataFrame) -> Any:
    try:
        return design.rows(frame) if len(frame) else None
    except BayesmarginsError:  # such as an expression of two columns that leaves the range of a spline
        return None


def _check_offset(here: np.ndarray, theirs: Sequence[np.ndarray]) -> None:
    total = sum(theirs) if theirs else np.zeros_like(here)
    if not _same(here[:, None], np.asarray(total)[:, None]).all():
        raise PosteriorError(
            f"The offset that Bambi holds differs from the one here by up to {np.abs(here - total).max():.3g}. Make a "
            "column of it beforehand: offset(column)."
        )


def _same(here: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """For each column, whether it is this one of theirs: (column,) bool."""
    scale = np.maximum(1.0, np.abs(theirs).max(axis=0, initial=0.0))
    return np.asarray((np.abs(here - theirs) <= TOLERANCE * scale).all(axis=0))


def _aligned(
    theirs: Mapping[str, np.ndarray],
    labels: Mapping[str, Sequence[str]],
    here: np.ndarray,
    names: Sequence[str],
    what: str,
) -> dict[str, list[int]]:
    left = list(range(here.shape[1]))
    places: dict[str, list[int]] = {}
    for term, columns in theirs.items():
        places[term] = []
        for k in range(columns.shape[1]):
            found = [left[j] for j in np.flatnonzero(_same(here[:, left], columns[:, [k]]))]
            label = str(labels[term][k])
            named = [j for j in found if names[j] == label]
            if len(found) != 1 and len(named) != 1:
                raise PosteriorError(_unlike(label, what, here, columns[:, k], names, found))
            places[term].append((named or found)[0])
            left.remove(places[term][-1])
    if left:
        raise PosteriorError(
            f"The {what} here also have the columns {listed(names[j] for j in left)}, which Bambi's design leaves out: "
            "it codes an interaction without its main effects in another way. Fit with the main effects as well, or "
            "with columns made beforehand."
        )
    return places


def _unlike(
    label: str, what: str, here: np.ndarray, column: np.ndarray, names: Sequence[str], found: Sequence[int]
) -> str:
    if found:
        return (
            f"Bambi's column {label!r} of the {what} equals {len(found)} columns here, "
            f"{listed(names[j] for j in found)}: its draws cannot be told from theirs. Leave one of them out."
        )
    near = names.index(label) if label in names else None
    said = "no column here has its values"
    if near is not None:
        gap = np.abs(here[:, near] - column)
        said = f"the column {names[near]!r} here differs by up to {gap.max():.3g}, first in row {int(gap.argmax())}"
    return (
        f"Bambi's column {label!r} of the {what} cannot be made here: {said} (columns here: {listed(names)}). Make a "
        "column of it beforehand and name that in the formula."
    )


def _levels(design: Design, name: str, grouper: Any, term: str) -> np.ndarray:
    """Bambi's group of each level here: one for one, or the groups are not the same."""
    factor = design.factors[name]
    theirs = np.asarray(grouper).argmax(axis=1)
    first = np.unique(factor.codes, return_index=True)[1]
    places = theirs[first]
    if len(set(places)) < len(places) or (places[factor.codes] != theirs).any():
        row = int((places[factor.codes] != theirs).argmax())
        raise PosteriorError(
            f"The groups of {term!r} in the Bambi model are not those of {name!r} here: row {row} is of another group."
        )
    return np.asarray(places)


def check_response(design: Design, theirs: np.ndarray) -> None:
    """Does the response hold what Bambi modelled: (row,), or (row, field) with trials or statuses beside y?"""
    response = design.response
    there = np.asarray(theirs, dtype=np.float64)
    if "counts" in response.beside:
        response = replace(response, y=response.beside["counts"], beside={})
    here = response.y if not response.beside else np.column_stack([response.y, *_beside(response, there.shape[-1])])
    if here.shape != there.shape or not np.allclose(here, there, rtol=TOLERANCE, atol=0.0):
        raise PosteriorError(
            f"The response {response.text!r} is not the one that Bambi modelled. Make a column of it beforehand."
        )


def _beside(response: Response, columns: int) -> list[np.ndarray]:
    """In Bambi's order; of two bounds one may be infinite there."""
    given = dict(response.beside)
    if columns == 3 and ("lb" in given or "ub" in given):
        none = np.full(len(response.y), np.inf)
        return [given.get("lb", -none), given.get("ub", none)]
    return [given[name] for name in ("y2", "trials", "weights", "cens") if name in given]
