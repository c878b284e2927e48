"""Priors that a user wrote as PyMC distributions: PyMC's own density and transform, in a graph of that prior alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesmargins.model.variables import register

__all__ = ["Written", "written"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Written:
    """A `Density` by PyMC."""

    size: int  # entries of the variable on the real line
    model: Any  # of this variable alone

    def values(self, u: Array) -> Array:
        """See `Density`."""
        return self._forward(u)[0]

    def log_density(self, u: Array) -> Array:
        """See `Density`."""
        return self._forward(u)[1]

    def gradient(self, u: Array, d_x: Array) -> Array:
        """See `Density`."""
        derivatives: Array = self._backward(u, d_x)
        return derivatives

    @cached_property
    def _batch(self) -> tuple[Any, Any, Any]:
        """u (draw, entry), x (draw, entry) and log density (draw,) as tensors."""
        import pytensor.tensor as pt
        from pytensor.graph.replace import vectorize_graph

        (value,), (variable,) = self.model.value_vars, self.model.free_RVs
        (x,) = self.model.replace_rvs_by_values([variable])
        u = pt.matrix("u", dtype=value.dtype, shape=(None, self.size))
        many = u if value.ndim else u[:, 0]
        x, density = vectorize_graph([x, self.model.logp()], replace={value: many})
        return u, x if value.ndim else x[:, None], density

    @cached_property
    def _forward(self) -> Any:
        u, x, density = self._batch
        return _function([u], [x, density])

    @cached_property
    def _backward(self) -> Any:
        import pytensor
        import pytensor.tensor as pt

        u, x, density = self._batch
        d_x = pt.matrix("d_x", shape=(None, self.size))
        return _function([u, d_x], pytensor.grad(density.sum() + (x * d_x).sum(), u))


def _function(inputs: list[Any], outputs: Any) -> Any:
    """Not compiled: few numbers for many draws at once, which NumPy takes as they are."""
    import pytensor
    from pytensor.compile.mode import Mode

    return pytensor.function(inputs, outputs, mode=Mode("py", "fast_compile"), on_unused_input="ignore")


def written(name: str, prior: Any, shape: tuple[int, ...], ordered: bool) -> tuple[Written, Array]:
    """The prior's density, and where PyMC begins with its variable, on the real line."""
    import pymc as pm

    options: dict[str, Any] = {}
    if ordered:
        begin = np.linspace(-1.0, 1.0, shape[0]) if shape[0] > 1 else np.zeros(1)
        options = {"transform": pm.distributions.transforms.ordered, "initval": begin}
    with pm.Model() as model:
        register(name, prior, shape, **options)
    (start,) = model.initial_point().values()
    return Written(int(np.prod(shape)), model), np.ravel(start)
