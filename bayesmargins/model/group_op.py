"""A compiled likelihood as an operation of PyTensor, with its gradient: without group effects, or of rows given them.

One operation in place of a graph of some hundred. Not imported with the package, because PyTensor is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numba import types
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesmargins.integrate.compiled import digest
from bayesmargins.integrate.entry import SIGNATURE, Entry
from bayesmargins.integrate.group_entry import group_entry
from bayesmargins.integrate.group_quadrature import GroupQuadrature
from bayesmargins.integrate.normal_entry import normal_entry
from bayesmargins.integrate.normal_groups import NormalGroups
from bayesmargins.integrate.row_entry import flat_columns, row_entry

__all__ = ["GroupMarginal", "log_marginal", "log_of_rows"]


class GroupMarginal(Op):
    """x, data and sizes of an `Entry` -> value, derivatives in x.

    `tag` is of the rows of a family, None for normal ones. `terms` are the effects of a group: 0 where none are
    integrated and rows have their linear predictors; of normal rows, how many factors there are beside the largest.
    """

    __props__ = ("kind", "tag", "terms")

    def __init__(self, tag: Any = None, terms: int = 0) -> None:
        self.kind, self.tag, self.terms = type(tag).__name__, tag, terms  # tuples of other types are equal

    @property
    def entry(self) -> Entry:
        """The compiled function; another process makes it anew."""
        if self.tag is None:
            return normal_entry(self.terms > 0)
        return group_entry(self.tag, self.terms) if self.terms else row_entry(self.tag)

    def make_node(self, x: Any, data: Any, sizes: Any) -> Apply:
        """Inputs as tensors."""
        return Apply(self, [*map(pt.as_tensor, (x, data, sizes))], [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        """From Python."""
        found = self.entry(*inputs)
        outputs[0][0], outputs[1][0] = np.asarray(found[0]), found[1:]

    def infer_shape(self, *arguments: Any) -> list[Any]:
        """The derivatives have the shape of x; the last argument has those of the inputs."""
        return [(), arguments[-1][0]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """The derivatives are an output already, so value and gradient cost one pass."""
        return [cotangents[0] * outputs[1], *(grad_undefined(self, k, inputs[k]) for k in (1, 2))]

    L_op = pullback  # its name before PyTensor 3


@register_funcify_default_op_cache_key(GroupMarginal)
def _compiled(op: GroupMarginal, node: Apply, **_: Any) -> tuple[Any, int]:
    by_name: Any = types.ExternalFunction(op.entry.name, SIGNATURE)

    @numba_njit
    def marginal(x: Any, data: Any, sizes: Any) -> Any:
        x, data, sizes = np.ascontiguousarray(x), np.ascontiguousarray(data), np.ascontiguousarray(sizes)
        out = np.empty(x.size + 1)
        by_name(x.ctypes, data.ctypes, sizes.ctypes, out.ctypes)
        return np.asarray(out[0]), out[1:]

    return marginal, int(digest(), 16)  # PyTensor keeps on disk what it compiles: until any of our files changes


def log_marginal(
    likelihood: NormalGroups | GroupQuadrature, phi: Any, roots: Sequence[Any], aux: Mapping[str, Any]
) -> Any:
    """log p(y | phi, roots, aux) as a tensor; roots are lower triangles, that of the largest factor first."""
    if isinstance(likelihood, NormalGroups):
        return _normal(likelihood, phi, roots[0], roots[1:], aux.get(likelihood.sd, pt.as_tensor(1.0)))
    x = pt.concatenate([phi, roots[0].ravel(), *(pt.atleast_1d(aux[name]) for name in likelihood.names)])
    return GroupMarginal(likelihood.tag, likelihood.terms)(x, *likelihood.flat)[0] + likelihood.constant


def log_of_rows(rows: GroupQuadrature, eta: Any, aux: Mapping[str, Any]) -> Any:
    """log p(y | eta, aux) of all rows together as a tensor."""
    x = pt.concatenate([eta, *(pt.atleast_1d(aux[name]) for name in rows.names)])
    return GroupMarginal(rows.tag)(x, *flat_columns(rows))[0] + rows.constant


def _normal(groups: NormalGroups, phi: Any, L: Any, others: Sequence[Any], sigma: Any) -> Any:
    t, terms = 1.0 / sigma, [terms for _, terms in groups.shapes]
    q = max(terms, default=1)
    padded = [pt.set_subtensor(pt.zeros((q, q))[:k, :k], root) for root, k in zip(others, terms, strict=True)]
    small = pt.stack(padded).ravel() * t if padded else pt.zeros(0)
    x = pt.concatenate([(phi - groups.centre) * t, L.ravel() * t, t[None], small])
    value = GroupMarginal(None, len(groups.shapes))(x, *groups.flat)[0]
    return groups.constant - 0.5 * (groups.count * pt.log(2.0 * np.pi * sigma**2) + value)
