"""What is sampled where group effects are: rows alike as one row, group effects in coordinates that suit the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import FitError, close_matches, listed, shown
from bayesmargins.family import Family, Outcome
from bayesmargins.integrate.group_quadrature import GroupQuadrature, group_quadrature
from bayesmargins.integrate.normal_groups import Effects
from bayesmargins.model.across import on_predictor
from bayesmargins.model.bends import with_known_bends
from bayesmargins.model.build import Observed, build_pymc
from bayesmargins.model.coordinates import GroupPart
from bayesmargins.model.information import information, widened
from bayesmargins.model.linear import LinearPredictor
from bayesmargins.model.marginal import largest_first
from bayesmargins.model.merging import merged
from bayesmargins.model.pilot import pilot
from bayesmargins.schema import MEAN
from bayesmargins.values import is_word

__all__ = ["Parametrisation", "SampledModel", "parametrised", "sampled_model"]

_STANDARDISED, _NON_CENTRED = "standardised", "non-centred"
_ASKED = ("auto", _STANDARDISED, _NON_CENTRED)
_MOST_TERMS = 4  # of a factor: its matrices are written out entry by entry


@dataclass(frozen=True)
class Parametrisation:
    """How the sampler sees group effects, and why: both stand in the posterior's ``info``."""

    how: str  # {"standardised", "non-centred"}
    why: str  # a clause

    def __str__(self) -> str:
        return f"the sampler sees them {self.how}: {self.why}"


def parametrised(asked: str, formula: str, parts: Mapping[str, GroupPart]) -> Parametrisation:
    """What does ``parametrisation=asked`` mean here? FitError where a factor has too many terms for it."""
    if not is_word(asked, _ASKED):
        raise FitError(
            f"parametrisation={shown(asked)} is not known; allowed are {listed(_ASKED)}.{close_matches(asked, _ASKED)}"
        )
    if asked == _NON_CENTRED:
        return Parametrisation(_NON_CENTRED, "as asked")
    special = _special(parts)
    if special and asked == _STANDARDISED:
        raise FitError(
            f"parametrisation='standardised' is not possible for {formula!r}: {special}. Use 'non-centred', or "
            "'auto', which chooses."
        )
    if special:
        return Parametrisation(_NON_CENTRED, special)
    many = [name for name, part in parts.items() if part.W.shape[1] > _MOST_TERMS]
    several = any([m.predictor for m in part.members] != [MEAN] for part in parts.values())
    if several and asked != _STANDARDISED:
        return Parametrisation(_NON_CENTRED, "they act on parameters beside the mean, which a pilot fit does not know")
    of_mean = [name for name, part in parts.items() if on_predictor(part, MEAN) is not None]
    if not many and (of_mean or not parts):
        of = "" if all(len(p.members) == 1 for p in parts.values()) else ", of those on the mean"
        return Parametrisation(_STANDARDISED, f"by what a pilot fit expects of each group given beta and Sigma{of}")
    why = f"{listed(many)} has more than {_MOST_TERMS} terms, whose matrices cost more than they gain"
    if not many:
        why = "none of them act on the mean, and a pilot fit knows no others"
    if asked == _STANDARDISED:
        raise FitError(
            f"parametrisation='standardised' is not possible for {formula!r}: {why}. Use 'non-centred', or "
            "'auto', which chooses."
        )
    return Parametrisation(_NON_CENTRED, why)


@dataclass(frozen=True)
class SampledModel:
    """A model with its group effects: the posterior of ``GLMM.pymc``, its variables ``z_<factor>`` apart."""

    pymc: Any
    rows: int  # of its likelihood
    coordinates: Parametrisation

    def with_effects(self, trace: xr.Dataset, random_seed: int | None) -> xr.Dataset:
        """Draws as they are: they hold b."""
        return trace

    def info(self, trace: xr.Dataset) -> dict[str, Any]:
        """For `Posterior.info`."""
        words = {"parametrisation": self.coordinates.how, "parametrisation_why": self.coordinates.why}
        return {"rows_sampled": self.rows, **words}


def _special(parts: Mapping[str, GroupPart]) -> str:
    """Why what the data say of each group by itself is no coordinate of its effects; empty where it is one."""
    factors = {name: part.factor for name, part in parts.items()}
    said = {
        "effects of {} are Student-t": [name for name, factor in factors.items() if factor.student],
        "groups of {} are related": [name for name, factor in factors.items() if factor.relation is not None],
        "rows belong to several groups of {}": [name for name, factor in factors.items() if factor.members],
        "groups of {} have effects of one stratum alone": [name for name, factor in factors.items() if factor.strata],
    }
    return next((words.format(listed(names)) for words, names in said.items() if names), "")


def sampled_model(
    predictors: Sequence[LinearPredictor],
    family: Family,
    priors: Mapping[str, Any],
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
    coordinates: Parametrisation,
    compiled: bool = True,
) -> SampledModel:
    """Merged where that pays; standardised where that was chosen and the pilot fit finds a mode.

    `compiled`: the sampler can run a likelihood that is no graph of PyTensor.
    """
    mean = predictors[0]
    predictors = [replace(mean, fixed=with_known_bends(mean, family, outcome, priors)), *predictors[1:]]
    observed, columns = Observed(outcome), [column for p in predictors for column in p.columns()]
    # Parameters of sums are those of the rows, or change with their number, where they are the same in all rows.
    codes = [of for part in parts.values() for of in part.factor.codes_by_lookup.values()]
    fewer = merged(columns, codes, outcome, family, len(predictors) == 1)
    if fewer is not None:
        family, kept = fewer.family, fewer.kept
        observed = Observed(fewer.outcome, fewer.constant)
        predictors = [p.of(kept) for p in predictors]
        if fewer.rate is not None:
            predictors[0] = replace(predictors[0], offset=predictors[0].offset + np.log(fewer.rate))
        parts = {name: _rows_of(part, kept) for name, part in parts.items()}
    if coordinates.how == _STANDARDISED and parts:
        observed, coordinates = _standardised(observed, family, predictors[0], parts, priors, coordinates)
    if compiled and len(predictors) == 1:
        observed = replace(observed, compiled=_in_one_pass(observed.outcome, family, mean))
    model = build_pymc(predictors, family, priors, parts, observed)
    return SampledModel(model, len(predictors[0].offset), coordinates)


def _in_one_pass(outcome: Outcome, family: Family, mean: LinearPredictor) -> GroupQuadrature | None:
    """The rows as one group; None where there is no compiled density of them."""
    tag = family.compiled_rows(mean.link)
    if tag is None or family.not_integrated(outcome, mean.link):
        return None
    n = len(outcome.y)
    thresholds = len(outcome.reached()) if family.ordinal else 0
    one = Effects(np.ones((n, 1)), np.zeros(n, dtype=np.int64), 1)
    return group_quadrature(tag, family.aux, outcome.events(), np.empty((n, 0)), one, np.zeros(n), thresholds)


def _rows_of(part: GroupPart, kept: np.ndarray) -> GroupPart:
    return replace(part, W=part.W[kept], factor=part.factor.of_rows(kept))


def _standardised(
    observed: Observed,
    family: Family,
    mean: LinearPredictor,
    parts: Mapping[str, GroupPart],
    priors: Mapping[str, Any],
    coordinates: Parametrisation,
) -> tuple[Observed, Parametrisation]:
    of_mean = {name: own for name, part in parts.items() if (own := on_predictor(part, mean.name)) is not None}
    ordered, F, offset = largest_first(of_mean), mean.fixed.columns, mean.offset
    if any(len(parts[own.factor.name].members) > 1 for own in ordered[1:]):
        why = "smaller factors than the largest act on several parameters, and their effects would need the largest's"
        return observed, Parametrisation(_NON_CENTRED, why)
    free = F[:, 1:] if family.ordinal else F  # thresholds are the constant
    held = {name: prior for name, prior in priors.items() if name in family.numbers and isinstance(prior, int | float)}
    try:
        with np.errstate(all="ignore"):
            at = pilot(family, mean.link, observed.outcome, offset, free, ordered, mean.scales, held)
            found = information(at, ordered, F, offset)
    except (np.linalg.LinAlgError, ValueError):  # of numbers that are not finite
        return observed, Parametrisation(_NON_CENTRED, "the pilot fit found no mode")
    if not all(entry.finite for entry in found.values()):
        return observed, Parametrisation(_NON_CENTRED, "the pilot fit found no mode")
    name, q = ordered[0].factor.name, ordered[0].W.shape[1]
    if (effects := parts[name].W.shape[1]) > q:
        found[name] = widened(found[name], q, effects)
    thresholds = at.aux.get("thresholds", np.empty(0))
    return replace(observed, found=dict(reversed(found.items())), thresholds=thresholds), coordinates
