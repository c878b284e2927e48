"""What is sampled where group effects are: rows alike as one row, group effects in coordinates that suit the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.errors import FitError, close_matches, listed, shown
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.model.build import Observed, build_pymc
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.information import information
from bayesmargins.model.marginal import largest_first
from bayesmargins.model.merging import merged
from bayesmargins.model.pilot import pilot
from bayesmargins.model.priors import Scales
from bayesmargins.values import is_word

__all__ = ["Parametrisation", "SampledModel", "parametrised", "sampled_model"]

_STANDARDISED, _NON_CENTRED = "standardised", "non-centred"
_ASKED = ("auto", _STANDARDISED, _NON_CENTRED)
_MOST_TERMS = 4  # of a factor: its matrices are written out entry by entry


@dataclass(frozen=True)
class Parametrisation:
    """How the sampler sees group effects, and why: both stand in the posterior's ``info``.

    Attributes
    ----------
    how : {"standardised", "non-centred"}
    why : str
        A clause.
    """

    how: str
    why: str

    def __str__(self) -> str:
        return f"the sampler sees them {self.how}: {self.why}"


def parametrised(asked: str, design: Design) -> Parametrisation:
    """What does ``parametrisation=asked`` mean for this model?

    Raises
    ------
    FitError
        No such word; a factor has too many terms for the one asked for.
    """
    if not is_word(asked, _ASKED):
        raise FitError(
            f"parametrisation={shown(asked)} is not known; allowed are {listed(_ASKED)}.{close_matches(asked, _ASKED)}"
        )
    if asked == _NON_CENTRED:
        return Parametrisation(_NON_CENTRED, "as asked")
    own = _structure(design)
    if own and asked == _STANDARDISED:
        raise FitError(
            f"parametrisation='standardised' is not possible for {design.formula!r}: {own}. Use 'non-centred', or "
            "'auto', which chooses."
        )
    if own:
        return Parametrisation(_NON_CENTRED, own)
    many = [name for name, factor in design.factors.items() if len(factor.terms) > _MOST_TERMS]
    if not many:
        return Parametrisation(_STANDARDISED, "by what a pilot fit expects of each group given beta and Sigma")
    why = f"{listed(many)} has more than {_MOST_TERMS} terms, whose matrices cost more than they gain"
    if asked == _STANDARDISED:
        raise FitError(
            f"parametrisation='standardised' is not possible for {design.formula!r}: {why}. Use 'non-centred', or "
            "'auto', which chooses."
        )
    return Parametrisation(_NON_CENTRED, why)


def _structure(design: Design) -> str:
    """Why what the data say of each group by itself is no coordinate of its effects; empty where it is one."""
    several = [name for name, factor in design.factors.items() if factor.members]
    strata = [name for name, factor in design.factors.items() if factor.strata]
    said = {
        "effects of {} are Student-t": list(design.degrees),
        "groups of {} are related": design.related,
        "rows belong to several groups of {}": several,
        "groups of {} have effects of one stratum alone": strata,
    }
    return next((words.format(listed(names)) for words, names in said.items() if names), "")


@dataclass(frozen=True)
class SampledModel:
    """A model with its group effects: the posterior of ``GLMM.pymc``, its variables ``z_<factor>`` apart.

    Attributes
    ----------
    pymc : pymc.Model
    rows : int
        Of its likelihood.
    coordinates : Parametrisation
    """

    pymc: Any
    rows: int
    coordinates: Parametrisation

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws as they are: they hold b."""
        return trace

    def info(self, trace: xr.Dataset) -> dict[str, Any]:
        """For `Posterior.info`."""
        words = {"parametrisation": self.coordinates.how, "parametrisation_why": self.coordinates.why}
        return {"rows_sampled": self.rows, **words}


def sampled_model(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
    scales: Scales,
    coordinates: Parametrisation,
) -> SampledModel:
    """Merged where that pays; standardised where that was chosen and the pilot fit finds a mode."""
    rows = design.rows(design.data, tuple(parts), what="data")
    observed = Observed(outcome, rows.offset)
    columns = [*rows.X.T, *(column for Z in rows.Z.values() for column in Z.T), rows.offset]
    codes = [of for part in parts.values() for of in part.factor.codes_by_lookup.values()]
    fewer = merged(columns, codes, outcome, family)
    if fewer is not None:
        family, kept = fewer.family, fewer.kept
        more = 0.0 if fewer.rate is None else np.log(fewer.rate)
        observed = Observed(fewer.outcome, rows.offset[kept] + more, fewer.constant)
        fixed = replace(fixed, R=fixed.R[kept], basis=replace(fixed.basis, M=fixed.basis.M[kept]))
        parts = {name: _rows_of(part, kept) for name, part in parts.items()}
    if coordinates.how == _STANDARDISED and parts:
        observed, coordinates = _standardised(observed, family, link, fixed, parts, scales, priors, coordinates)
    model = build_pymc(design, family, link, priors, fixed, parts, observed)
    return SampledModel(model, len(observed.offset), coordinates)


def _rows_of(part: GroupPart, kept: np.ndarray) -> GroupPart:
    return replace(part, W=part.W[kept], factor=part.factor.of_rows(kept))


def _standardised(
    observed: Observed,
    family: Family,
    link: Link,
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    scales: Scales,
    priors: Mapping[str, Any],
    coordinates: Parametrisation,
) -> tuple[Observed, Parametrisation]:
    ordered, F = largest_first(parts), fixed.columns
    free = F[:, 1:] if family.ordinal else F  # thresholds are the constant
    held = {name: prior for name, prior in priors.items() if name in family.numbers and isinstance(prior, int | float)}
    try:
        with np.errstate(all="ignore"):
            at = pilot(family, link, observed.outcome, observed.offset, free, ordered, scales, held)
            found = information(at, ordered, F, observed.offset)
    except (np.linalg.LinAlgError, ValueError):  # of numbers that are not finite
        return observed, Parametrisation(_NON_CENTRED, "the pilot fit found no mode")
    if not all(entry.finite for entry in found.values()):
        return observed, Parametrisation(_NON_CENTRED, "the pilot fit found no mode")
    thresholds = at.aux.get("thresholds", np.empty(0))
    return replace(observed, found=dict(reversed(found.items())), thresholds=thresholds), coordinates
