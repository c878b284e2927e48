"""What a Bambi model holds, whatever its version calls it, and the rows that it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.adapters.bambi.bambi_names import categoric_variables
from bayesmargins.errors import DataError, PosteriorError, listed, shown
from bayesmargins.family import get_family, known_as, link_known_as, resolve_link

__all__ = ["BambiModel", "common_terms", "group_terms"]


@dataclass(frozen=True)
class BambiModel:
    """A model of Bambi 0.17 or newer, read in one way."""

    model: Any  # the model itself

    @classmethod
    def of(cls, model: Any) -> BambiModel:
        """The model, if it is one of Bambi's."""
        if not type(model).__module__.startswith("bambi."):
            raise PosteriorError(
                f"model is {type(model).__name__}, {shown(model)}; a bambi.Model is needed: from_bambi(model, idata)."
            )
        return cls(model)

    @property
    def parent(self) -> str:
        """Bambi's name of the mean: ``"mu"``, ``"p"``."""
        return str(self.model.family.likelihood.parent)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """Components of the model by parameter, whichever name the version has for the attribute."""
        newer = hasattr(type(self.model), "parameters")
        return dict(self.model.parameters if newer else self.model.components)

    @property
    def component(self) -> Any:
        """The mean's component."""
        return self.parameters[self.parent]

    @property
    def design(self) -> Any:
        """The mean's formulae DesignMatrices."""
        return self.component.design

    @property
    def response(self) -> Any:
        """Bambi's response term."""
        newer = hasattr(type(self.model), "response_term")
        return self.model.response_term if newer else self.model.response_component.term

    @property
    def y(self) -> np.ndarray:
        """The numbers that were modelled; successes and trials for a binomial response, categories from 1."""
        values = np.asarray(np.squeeze(self.response.data))
        if self.categories in ("", "counted"):
            return values
        return (values if values.ndim == 1 else values.argmax(axis=1)) + 1

    @property
    def categories(self) -> str:
        """Which kind of categories the response has: "ordered", "unordered", "counted", or none: ""."""
        return get_family(self.family).categories

    @property
    def family(self) -> str:
        """The family by its name here."""
        family = known_as("bambi", str(self.model.family.name))
        resolve_link(family, self.link)
        return family.name

    @property
    def link(self) -> str:
        """Name of the mean's link."""
        return self.link_of(self.component)

    def link_of(self, component: Any) -> str:
        """Name of the link of a linear predictor; softmax is that of log odds."""
        if self.model.family.link[component.name].name == "softmax":
            return "logit"
        return link_known_as("bambi", str(self.model.family.link[component.name].name))

    @property
    def constants(self) -> dict[str, Any]:
        """Components of the family's parameters that are the same for all rows, by their names here."""
        return {ours: c for ours, c in self._beside.items() if not hasattr(c, "design")}

    @property
    def parts(self) -> dict[str, Any]:
        """Components of the family's parameters that have a formula of their own, by their names here."""
        return {ours: c for ours, c in self._beside.items() if hasattr(c, "design")}

    @property
    def _beside(self) -> dict[str, Any]:
        return {p.name: self.parameters[p.named("bambi")] for p in get_family(self.family).parameters[1:]}

    @property
    def success(self) -> Any:
        """The level of a response of text or categories that counts as 1; None for numbers and categories."""
        if self.categories:
            return None
        component = self.design.response.term.term.components[0]
        if hasattr(component, "call"):
            return component.name if component.call.callee in ("B", "binary") else None
        return self.response.success if component.kind == "categoric" else None

    @cached_property
    def data(self) -> pd.DataFrame:
        """The rows of the fit: factors with the levels that Bambi gave them, a response of two levels as 0 and 1."""
        data = self.model.data
        used = [c for c in self.design.data.columns if c in data]
        frame = data[~data[used].isna().any(axis=1)].reset_index(drop=True)
        for name, levels in categoric_variables(self._terms).items():
            absent = [v for v in levels if not (frame[name] == v).any()]
            if absent:
                raise DataError(
                    f"The factor {name!r} of the Bambi model has the levels {listed(absent)}, without rows: "
                    "their coefficients are draws of the prior. Fit without them: "
                    f"data[{name!r}].cat.remove_unused_categories()."
                )
            frame[name] = pd.Categorical(frame[name], categories=levels)
        if self.categories in ("ordered", "unordered"):
            name = self.design.response.term.term.components[0].name
            levels = list(self.response.levels)
            frame[name] = pd.Categorical(frame[name].astype(str), list(map(str, levels)), ordered=True)
            if self.categories == "ordered" or pd.api.types.is_numeric_dtype(data[name].dtype):
                with suppress(ValueError, TypeError):  # whole numbers, as the data had them
                    frame[name] = frame[name].astype(str).astype(int)
        if self.success is not None:
            frame[next(iter(self.design.response.term.term.var_names))] = self.y.astype(np.int64)
        return frame

    @property
    def _terms(self) -> list[Any]:
        every = (self.component, *self.parts.values())
        return [t for c in every for t in (*common_terms(c), *(t.expr for t in group_terms(c).values()))]


def common_terms(component: Any) -> list[Any]:
    """formulae's common terms of a linear predictor, offsets too."""
    return [] if component.design.common is None else list(component.design.common.terms.values())


def group_terms(component: Any) -> dict[str, Any]:
    """formulae's group-specific terms of a linear predictor by name."""
    return {} if component.design.group is None else dict(component.design.group.terms)
