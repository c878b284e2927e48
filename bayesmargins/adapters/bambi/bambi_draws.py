"""The variables of Bambi's idata by the terms of its model: coefficients, group effects, their spread, the rest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.adapters.bambi.bambi_columns import Places
from bayesmargins.adapters.bambi.model import BambiModel
from bayesmargins.draws import real_numbers
from bayesmargins.errors import ModelError, PosteriorError, close_matches, listed
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.stacks import group_of

__all__ = ["Drawn"]


@dataclass(frozen=True)
class Drawn:
    """Draws of a Bambi model by the names of its terms."""

    there: BambiModel  # whose draws they are
    kind: str  # {"posterior", "prior"}: the group that they come from
    variables: xr.Dataset  # the group
    stats: xr.Dataset | None  # what the sampler said
    used: set[str] = field(default_factory=set)  # names that were asked for

    @classmethod
    def of(cls, idata: Any, there: BambiModel) -> Drawn:
        """The draws in idata, if they can be those of this model and these data."""
        groups = {k: g for k in ("posterior", "prior") if (g := group_of(idata, k)) is not None}
        if not groups:
            raise PosteriorError(
                f"idata is {type(idata).__name__} without the groups 'posterior' and 'prior'; what model.fit() gave is "
                "needed. Variational fits give an approximation: approximation.sample(1000)."
            )
        kind = next(iter(groups))
        if not set(SAMPLE_DIMS) <= set(groups[kind].dims):
            raise PosteriorError(
                f"The group {kind!r} of idata has the dims {listed(groups[kind].dims)}; 'chain' and 'draw' must be "
                "among them."
            )
        _check_observed(group_of(idata, "observed_data"), there)
        stats = group_of(idata, "sample_stats") if kind == "posterior" else None
        return cls(there, kind, groups[kind], stats)

    def of_category(self, k: int) -> Drawn:
        """Those of the linear predictor of one category, counted from 0 for the second."""
        dim = f"{_name(self.there.response)}_reduced_dim"
        return replace(self, variables=self.variables.isel({dim: k}, drop=True, missing_dims="ignore"))

    def fixed(self, component: Any, places: Places, size: int) -> np.ndarray:
        """Coefficients on the columns of the design here: (chain, draw, coef), the intercept as it was drawn."""
        beta = np.zeros((*self._sample, size))
        for name, at in places.fixed.items():
            term = component.terms[name]
            beta[..., at] = self._of_term(term, list(term.coords.values()))
        return beta

    def uncentred(self, component: Any, places: Places, beta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Coefficients whose intercept is turned back from centred to real predictors, where Bambi centres them."""
        if not (component.intercept_term and component.common_terms and self.there.model.center_predictors):
            return beta
        slopes = [j for name, at in places.fixed.items() if name != "Intercept" for j in at]
        real = beta.copy()
        real[..., places.fixed["Intercept"][0]] -= beta[..., slopes] @ X[:, slopes].mean(axis=0)
        return real

    def effects(self, component: Any, name: str, places: Places) -> np.ndarray | None:
        """Group effects of a group-specific term, (chain, draw, level, column); None where idata has none of it."""
        term = component.terms[name]
        if _name(term) not in self.variables:
            return None
        values = self._of_term(term, list(term.coords.values()), later=True)
        values = values if len(term.coords) > 1 else values[..., None]
        return values[:, :, places.levels[name], :]

    def spread(self, component: Any, name: str, columns: int) -> np.ndarray:
        """Standard deviations of a group-specific term's effects, (chain, draw, column)."""
        term = component.terms[name]
        prior = term.prior
        if prior.name != "Normal" or not _is_zero(prior.args.get("mu", 0.0)) or "sigma" not in prior.args:
            raise ModelError(
                f"The effects {name!r} of the Bambi model have the prior {prior}; integrating them out needs "
                "Normal(mu=0, sigma=...)."
            )
        sigma = prior.args["sigma"]
        if not hasattr(sigma, "args"):
            return np.broadcast_to(np.asarray(sigma, dtype=np.float64), (*self._sample, columns))
        values = self._values(f"{_name(term)}_{term.hyperprior_alias.get('sigma', 'sigma')}")
        return np.broadcast_to(values if values.ndim == 3 else values[..., None], (*self._sample, columns))

    def constant(self, component: Any) -> np.ndarray:
        """A parameter of the family that is the same for all rows: (chain, draw)."""
        if isinstance(component.prior, int | float):
            return np.full(self._sample, float(component.prior))
        return self._values(_name(component))

    def of_rows(self, component: Any) -> np.ndarray | None:
        """Draws of a parameter at every fitted row, (chain, draw, row), where idata happens to hold them."""
        name = _name(component)
        values = self._values(name) if name in self.variables else None
        return values if values is not None and values.shape[2:] == (len(self.there.data),) else None

    def turned_back(self) -> bool:
        """Did Bambi itself turn the intercept back from centred to real predictors? It does so in ``fit`` alone."""
        return self.kind == "posterior" and self.variables.attrs.get("modeling_interface") == "bambi"

    def refuse_the_rest(self) -> None:
        """Draws of terms that the model does not have are those of another model."""
        beside = {*map(_name, self.there.parameters.values()), *self.there.model.family.likelihood.params}
        ends = ("_offset", "__")  # of the non-centred parametrisation, and what samplers keep of transformed values
        others = [n for n in map(str, self.variables) if n not in self.used | beside and not n.endswith(ends)]
        if others:
            raise PosteriorError(
                f"idata holds the variables {listed(others)}, which the model {str(self.there.model.formula.main)!r} "
                f"does not have; it has {listed(sorted(self.used))}. Give the model that was fitted."
            )

    @property
    def _sample(self) -> tuple[int, ...]:
        return tuple(self.variables.sizes[d] for d in SAMPLE_DIMS)

    def _variable(self, name: str) -> xr.DataArray:
        if name not in self.variables:
            raise PosteriorError(
                f"idata has no variable {name!r} in its group {self.kind!r}.{close_matches(name, self.variables)} It "
                f"has {listed(self.variables, 30)}. Give the idata of this model's own fit, with all its parameters."
            )
        self.used.add(name)
        return self.variables[name].transpose(*SAMPLE_DIMS, ...)

    def _values(self, name: str) -> np.ndarray:
        return real_numbers(self._variable(name).to_numpy(), f"The variable {name!r} of idata")

    def _of_term(self, term: Any, labels: list[Any], later: bool = False) -> np.ndarray:
        """Values with one axis for each set of labels, in their order; a term of one column has an axis of its own.

        `later`: chunks of dask may stay what they are.
        """
        variable = self._variable(_name(term))
        if variable.ndim - 2 != len(labels):
            raise PosteriorError(
                f"The variable {_name(term)!r} of idata has the dims {listed(variable.dims)}; the model's term has "
                f"{len(labels)} besides chain and draw. Give the model that was fitted."
            )
        dims = sorted(variable.dims[2:], key=lambda d: str(d).endswith("__expr_dim"))  # the groups first
        variable = variable.transpose(*SAMPLE_DIMS, *dims)
        for dim, wanted in zip(dims, labels, strict=True):
            have, need = [str(v) for v in variable[dim].to_numpy()], [str(v) for v in wanted]
            if have != need:
                raise PosteriorError(
                    f"{_name(term)!r} of idata has {listed(have)} along {dim!r}; the model has {listed(need)}. Give "
                    "the model and the idata of one fit."
                )
        given = variable.data if later else variable.to_numpy()
        values = real_numbers(given, f"The variable {_name(term)!r} of idata")
        return values if labels else values[..., None]


def _name(part: Any) -> str:
    """Bambi's variable of a term or parameter: its alias, where one was set."""
    return str(part.alias or part.name)


def _is_zero(value: Any) -> bool:
    return not hasattr(value, "args") and bool((np.asarray(value, dtype=np.float64) == 0.0).all())


def _check_observed(observed: xr.Dataset | None, there: BambiModel) -> None:
    name = _name(there.response)
    if observed is None or not len(observed.data_vars):
        return
    if name not in observed:
        raise PosteriorError(
            f"idata was fitted to the response {listed(observed.data_vars)}, and the model's is {name!r}. Give the "
            "model and the idata of one fit."
        )
    y = there.y if there.y.ndim == 1 or there.categories == "counted" else there.y[:, 0]
    y = y - 1 if there.categories in ("ordered", "unordered") else y  # Bambi counts categories from 0
    values = np.asarray(observed[name].to_numpy(), dtype=np.float64)
    if values.shape != y.shape or not np.allclose(values, y, rtol=1e-10, atol=0.0):
        raise PosteriorError(
            f"idata was fitted to other values of {name!r} ({values.size} of them) than the model holds ({y.size}). "
            "Give the model and the idata of one fit."
        )
