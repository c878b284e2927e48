"""The linear predictors of a model: the mean's, and those of parameters that have a formula of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.design import Design
from bayesmargins.family import Link, get_link
from bayesmargins.model.coordinates import FixedPart, of_predictor, own_priors
from bayesmargins.model.scales import Scales

__all__ = ["LinearPredictor"]


@dataclass(frozen=True)
class LinearPredictor:
    """One linear predictor; a model is a list of them, the outcome's first."""

    name: str  # ``"mu"``, or the parameter: ``"sigma"``
    design: Design  # of its formula
    link: Link  # between it and the parameter
    fixed: FixedPart  # coordinates of its fixed part
    scales: Scales  # what its default priors are scaled by
    offset: np.ndarray  # (row,)

    def named(self, what: str) -> str:
        """Of a variable or a prior."""
        return of_predictor(self.name, what)

    def own(self, priors: Mapping[str, Any]) -> Mapping[str, Any]:
        """Priors of this predictor under the names that the mean's have."""
        return own_priors(self.name, priors)

    def of(self, rows: np.ndarray) -> LinearPredictor:
        """Of some rows, along the same directions."""
        fixed = self.fixed
        kept = replace(fixed, R=fixed.R[rows], basis=replace(fixed.basis, M=fixed.basis.M[rows]))
        return replace(self, fixed=kept, offset=self.offset[rows])

    def columns(self) -> list[np.ndarray]:
        """What tells its rows apart, beside their groups."""
        rows = self.design.rows(self.design.data, tuple(self.design.factors), what="data")
        return [*rows.X.T, *(column for Z in rows.Z.values() for column in Z.T), rows.offset]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"link": self.link.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, link=get_link(state["link"]))
