"""What is sampled where group effects are: rows alike as one row, group effects in coordinates that suit the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.family import Family, Link, Outcome
from bayesmargins.model.build import Observed, build_pymc
from bayesmargins.model.coordinates import FixedPart, GroupPart
from bayesmargins.model.information import information
from bayesmargins.model.integrated import largest_first
from bayesmargins.model.merging import merged
from bayesmargins.model.pilot import pilot
from bayesmargins.model.priors import Scales

__all__ = ["NON_CENTRED", "STANDARDISED", "SampledModel", "sampled_model"]

STANDARDISED, NON_CENTRED = "standardised", "non-centred"
_MOST_TERMS = 4  # of a factor: the coordinates' matrices are written out entry by entry


@dataclass(frozen=True)
class SampledModel:
    """A model with its group effects, and how it differs from ``GLMM.pymc``.

    Attributes
    ----------
    pymc : pymc.Model
    rows : int
        Of its likelihood.
    parametrisation : {"standardised", "non-centred"}
    """

    pymc: Any
    rows: int
    parametrisation: str

    @property
    def info(self) -> dict[str, Any]:
        """For `Posterior.info`."""
        return {"rows_sampled": self.rows, "parametrisation": self.parametrisation}


def sampled_model(
    design: Design,
    family: Family,
    link: Link,
    priors: Mapping[str, Any],
    fixed: FixedPart,
    parts: Mapping[str, GroupPart],
    outcome: Outcome,
    scales: Scales,
    parametrisation: str,
) -> SampledModel:
    """The posterior of ``GLMM.pymc``, its variables ``z_<factor>`` apart."""
    rows = design.rows(design.data, tuple(parts), what="data")
    offset, constant = rows.offset, 0.0
    columns = [*rows.X.T, *(column for Z in rows.Z.values() for column in Z.T), offset]
    fewer = merged(columns, [part.factor.codes for part in parts.values()], outcome, family)
    if fewer is not None:
        family, outcome, constant = fewer.family, fewer.outcome, fewer.constant
        offset, fixed = offset[fewer.kept], _rows_of(fixed, fewer.kept)
        parts = {name: _group_rows(part, fewer.kept) for name, part in parts.items()}
    if outcome.rate is not None:
        offset, outcome = offset + np.log(outcome.rate), replace(outcome, rate=None)
    observed = Observed(outcome, offset, constant)
    if any(part.W.shape[1] > _MOST_TERMS for part in parts.values()):
        parametrisation = NON_CENTRED
    if parametrisation == STANDARDISED and parts:
        observed = _standardised(observed, family, link, fixed, parts, scales)
    model = build_pymc(design, family, link, priors, fixed, parts, observed)
    return SampledModel(model, len(offset), parametrisation)


def _standardised(
    observed: Observed, family: Family, link: Link, fixed: FixedPart, parts: Mapping[str, GroupPart], scales: Scales
) -> Observed:
    ordered = largest_first(parts)
    F = fixed.columns
    free = F[:, 1:] if family.ordinal else F  # thresholds are the constant
    at = pilot(family, link, observed.outcome, observed.offset, free, ordered, scales)
    found = information(at, ordered, F, observed.offset)
    thresholds = at.aux.get("thresholds", np.empty(0))
    return replace(observed, found=dict(reversed(found.items())), thresholds=thresholds)


def _rows_of(fixed: FixedPart, kept: np.ndarray) -> FixedPart:
    return replace(fixed, R=fixed.R[kept], basis=replace(fixed.basis, M=fixed.basis.M[kept]))


def _group_rows(part: GroupPart, kept: np.ndarray) -> GroupPart:
    return replace(part, W=part.W[kept], factor=replace(part.factor, codes=part.factor.codes[kept]))
