"""What made a posterior's draws: its model, to fit again without some rows, and the variables that have priors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesmargins.errors import PosteriorError, listed
from bayesmargins.family import Outcome
from bayesmargins.model.log_posterior import stated_by_block
from bayesmargins.model.root_maps import Stated
from bayesmargins.model.treatment import INTEGRATED
from bayesmargins.schema import MEAN, SAMPLE_DIMS

__all__ = ["Origin", "origin_of", "origin_with"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Origin:
    """Of a posterior of `GLMM.fit`."""

    model: Any  # without what it has compiled
    blocks: dict[str, list[Stated]]  # variables with a prior, by the name that the prior has in ``priors=``
    variables: dict[str, Array]  # (sample, entry): their draws

    @property
    def formula(self) -> Any:
        """As the user wrote it: text, or a dict with those of parameters."""
        return self.model.formula

    def prior_lines(self) -> list[str]:
        """The priors, and what they imply, as ``print(model)`` has them."""
        return list(self.model.prior_lines())

    def given_priors(self) -> dict[str, Any]:
        """Those that the user named."""
        return dict(self.model.given)

    def log_prior(self) -> dict[str, Array]:
        """By block the log density of the prior: (sample,)."""
        return {
            block: np.sum([_log_density(prior, shape, self.variables[name]) for name, prior, shape in stated], axis=0)
            for block, stated in self.blocks.items()
        }

    def not_refitted(self) -> str:
        """Why the model is not fitted again without rows; empty where it is."""
        plan = self.model.treatment("auto")
        return "" if plan.how == INTEGRATED else plan.why

    def without(self, kept: npt.NDArray[np.bool_]) -> Any:
        """The model of some rows: the same priors, stated along the same directions; groups may have no rows left."""
        again = _bare(self.model)
        design = again.design
        left, response = kept.nonzero()[0], design.response
        beside = {name: values[kept] for name, values in response.beside.items()}
        kept_design = replace(
            design,
            frame=design.data.iloc[left],
            response=replace(response, y=response.y[kept], beside=beside),
            factors={name: f.of_rows(left) for name, f in design.factors.items()},
            row_labels=None if design.row_labels is None else design.row_labels[left],
        )
        missing = set(np.unique(response.y)) - set(np.unique(response.y[kept])) if response.categories else set()
        if missing:
            names = listed([response.categories[int(k) - 1] for k in sorted(missing)])
            raise PosteriorError(f"Without these rows no response is {names}, whose threshold they alone tell.")
        again.outcome = Outcome.of(kept_design.response)
        again.predictors = {MEAN: replace(again.first.of(left), design=kept_design)}
        again.groups = {
            name: replace(part, W=part.W[kept], factor=kept_design.factors[name]) for name, part in again.groups.items()
        }
        return again


def origin_of(model: Any, trace: xr.Dataset) -> Origin | None:
    """From a `GLMM` and draws of its variables; None where the sampler did not keep one of them."""
    names = [name for stated in _blocks(model).values() for name, _, _ in stated]
    if not set(names) <= {str(name) for name in trace}:
        return None
    variables = {name: trace[name].transpose(*SAMPLE_DIMS, ...).to_numpy() for name in names}
    flat = {k: np.asarray(v, dtype=np.float64).reshape(v.shape[0] * v.shape[1], -1) for k, v in variables.items()}
    return origin_with(model, flat)


def origin_with(model: Any, variables: dict[str, Array]) -> Origin:
    """From a `GLMM` and what an origin keeps of the draws, as another process sends it."""
    return Origin(_bare(model), _blocks(model), variables)


def _blocks(model: Any) -> dict[str, list[Stated]]:
    return stated_by_block(list(model.predictors.values()), model.family, model.priors, model.groups)


def _bare(model: Any) -> Any:
    """A copy without PyMC models and likelihoods, which are made again where they are asked for."""
    again = object.__new__(type(model))
    again.__setstate__(model.__getstate__())
    return again


def _log_density(prior: Any, shape: tuple[int, ...], values: Array) -> Array:
    """Of (sample, entry) under the prior of one variable, which has this shape: (sample,)."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt
    from pymc.distributions.shape_utils import change_dist_size
    from pytensor.compile.mode import Mode
    from pytensor.graph.replace import vectorize_graph

    dist = prior if hasattr(prior, "owner") else prior.dist()
    if tuple(dist.type.shape) != shape:
        dist = change_dist_size(dist, shape, expand=False)
    x = pt.tensor("x", dtype="float64", shape=shape)
    many = pt.tensor("many", dtype="float64", shape=(None, *shape))
    density = vectorize_graph(pm.logp(dist, x).sum(), replace={x: many})
    # Not compiled: few numbers for many draws at once, which NumPy takes as they are.
    of = pytensor.function([many], density, mode=Mode("py", "fast_compile"))
    found: Array = np.asarray(of(values.reshape(len(values), *shape)), dtype=np.float64)
    return found
