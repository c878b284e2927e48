"""In which coordinates a sampler sees the bent part of a spline: distances from where the rows expect it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmargins.family import Family, Outcome
from bayesmargins.model.coordinates import FixedPart, KnownBend
from bayesmargins.model.linear import LinearPredictor
from bayesmargins.model.pilot import fixed_pilot

__all__ = ["with_known_bends"]


def with_known_bends(mean: LinearPredictor, family: Family, outcome: Outcome, priors: Mapping[str, Any]) -> FixedPart:
    """The same, with what a quick fit without groups knows of each bend; as it was where that finds no mode.

    Given its standard deviation a bend is nearly normal, its precision that of the rows and of the prior together: in
    distances from that distribution's mean, in its standard deviations, neither few rows nor many make a funnel.
    """
    design, fixed = mean.design, mean.fixed
    if not design.fixed.penalised:
        return fixed
    held = {n: p for n, p in priors.items() if n in family.numbers and isinstance(p, int | float)}
    first = int(fixed.constant and family.ordinal)  # thresholds are the constant
    F = fixed.columns[:, first:]
    try:
        with np.errstate(all="ignore"):
            at = fixed_pilot(family, mean.link, outcome, mean.offset, F, mean.scales, held)
            known = {t.name: _known(fixed, t.columns, at.phi, at.information, first) for t in design.fixed.penalised}
    except (np.linalg.LinAlgError, ValueError):  # of numbers that are not finite
        return fixed
    finite = all(np.isfinite(v).all() for k in known.values() for v in (k.turn, k.precision, k.mode))
    return replace(fixed, bends=known) if finite else fixed


def _known(
    fixed: FixedPart, columns: tuple[str, ...], phi: np.ndarray, information: np.ndarray, first: int
) -> KnownBend:
    own = [fixed.names[j] for j in fixed.own]
    at = [own.index(name) for name in columns]
    R = fixed.R[:, at]
    precision, turn = np.linalg.eigh((R * information[:, None]).T @ R)
    mode = phi[np.array(at) + int(fixed.constant) - first]
    return KnownBend(turn, np.maximum(precision, 0.0), turn.T @ mode)
