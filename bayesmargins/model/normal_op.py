"""The compiled likelihood of `integrate.normal_group_kernels` as an operation of PyTensor, with its gradient.

One operation in place of a graph of some hundred: it compiles in the time of one, and costs what the kernel costs. Not
imported with the package, because PyTensor is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesmargins.integrate.compiled import digest
from bayesmargins.integrate.normal_group_kernels import group_marginal

__all__ = ["GroupMarginal"]


class GroupMarginal(Op):
    """The arguments of `group_marginal` -> its value, and its derivatives in c, L, t and roots."""

    __props__ = ()

    def make_node(self, c: Any, L: Any, t: Any, roots: Any, *data: Any) -> Apply:
        """Inputs as tensors; the value, and the shapes of c, L, t and roots."""
        variables = [pt.as_tensor(x, dtype="float64") for x in (c, L, t, roots)]
        results = [pt.dscalar(), pt.dvector(), pt.dmatrix(), pt.dscalar(), pt.dtensor3()]
        return Apply(self, [*variables, *map(pt.as_tensor, data)], results)

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        """By the kernel, called from Python."""
        c, L, t, roots, R, a, B, G, r, rss, layout = inputs
        variables = (np.ascontiguousarray(c), np.ascontiguousarray(L), float(t), np.ascontiguousarray(roots))
        values = group_marginal(*variables, R, a, B, G, r, float(rss), layout)
        for storage, value in zip(outputs, values, strict=True):
            storage[0] = np.asarray(value)

    def infer_shape(self, *arguments: Any) -> list[Any]:
        """Those of the inputs, which the last argument has."""
        shapes = arguments[-1]
        return [(), *shapes[:4]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """The derivatives are outputs already, so value and gradient cost one pass."""
        derivatives = [cotangents[0] * d for d in outputs[1:]]
        return derivatives + [grad_undefined(self, k, inputs[k]) for k in range(4, len(inputs))]

    L_op = pullback  # its name before PyTensor 3


@register_funcify_default_op_cache_key(GroupMarginal)
def _compiled(op: GroupMarginal, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_njit
    def marginal(
        c: Any, L: Any, t: Any, roots: Any, R: Any, a: Any, B: Any, G: Any, r: Any, rss: Any, layout: Any
    ) -> Any:
        c, L, roots = np.ascontiguousarray(c), np.ascontiguousarray(L), np.ascontiguousarray(roots)
        value, dc, dL, dt, d_roots = group_marginal(c, L, t.item(), roots, R, a, B, G, r, rss.item(), layout)
        return np.asarray(value), dc, dL, np.asarray(dt), d_roots

    return marginal, int(digest(), 16)  # PyTensor keeps on disk what it compiles: until any of our files changes
