"""The compiled likelihood of `integrate.normal_group_kernels` as an operation of PyTensor, with its gradient.

One operation in place of a graph of some hundred: it compiles in the time of one, and costs what the kernel costs. Not
imported with the package, because PyTensor is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesmargins.integrate.compiled import digest
from bayesmargins.integrate.normal_group_kernels import group_marginal

__all__ = ["GroupMarginal"]


class GroupMarginal(Op):
    """c, L, t, R, a, B -> sum over groups of log det P + v' P^-1 v, and its derivatives in c, L and t."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        """Inputs as tensors; the value, and the shapes of c, L and t."""
        tensors = [pt.as_tensor(x, dtype="float64") for x in inputs]
        return Apply(self, tensors, [pt.dscalar(), pt.dvector(), pt.dmatrix(), pt.dscalar()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        """By the kernel, called from Python."""
        for storage, value in zip(outputs, group_marginal(*_plain(inputs)), strict=True):
            storage[0] = np.asarray(value)

    def infer_shape(self, *arguments: Any) -> list[Any]:
        """Those of the inputs; the first argument is none of them."""
        shapes = arguments[-1]
        return [(), shapes[0], shapes[1], ()]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """The derivatives are outputs already, so value and gradient cost one pass."""
        from pytensor.gradient import grad_undefined

        derivatives = [cotangents[0] * d for d in outputs[1:]]
        return derivatives + [grad_undefined(self, k, inputs[k]) for k in (3, 4, 5)]

    L_op = pullback  # its name before PyTensor 3


def _plain(inputs: Any) -> list[Any]:
    c, L, t, *constants = inputs
    return [np.ascontiguousarray(c), np.ascontiguousarray(L), float(t), *constants]


@register_funcify_default_op_cache_key(GroupMarginal)
def _compiled(op: GroupMarginal, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_njit
    def marginal(c: Any, L: Any, t: Any, R: Any, a: Any, B: Any) -> Any:
        value, dc, dL, dt = group_marginal(np.ascontiguousarray(c), np.ascontiguousarray(L), t.item(), R, a, B)
        return np.asarray(value), dc, dL, np.asarray(dt)

    return marginal, int(digest(), 16)  # PyTensor keeps on disk what it compiles: until any of our files changes
