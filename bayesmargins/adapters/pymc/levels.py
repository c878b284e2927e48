"""Which value of a user's variable belongs to which group: by label, or by an order that is beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins.adapters.pymc.pymc_variables import labels_of
from bayesmargins.adapters.pymc.roles import Role
from bayesmargins.design import Factor
from bayesmargins.errors import PosteriorError, listed

__all__ = ["level_order"]


def level_order(
    values: xr.DataArray, dim: str, role: Role, factor: Factor, order: Sequence[Any] | None, checked: bool
) -> list[int]:
    """At which position does a variable hold each group of the design?

    `order` has labels in the variable's order where its own are not the levels; `checked`: a wrong order would be found
    out.

    Without labels, groups were numbered as sorted, as they first occur (``pd.factorize``) or, where they are 0, 1, 2,
    ... themselves, by these numbers. Nothing in the draws tells which, so they are asked for wherever they differ.
    """
    wanted = [str(level) for level in factor.levels]
    labels = _labels(values, dim)
    if order is not None and (labels is None or sorted(labels) != sorted(wanted)):
        labels = [str(label) for label in order]
    if labels is not None:
        return _by_label(labels, wanted, values.sizes[dim], role, factor)
    if values.sizes[dim] != len(wanted):
        raise PosteriorError(
            f"{role.text!r} is taken from {values.sizes[dim]} values along {dim!r}; {factor.name!r} has {len(wanted)} "
            f"levels in the data: {listed(wanted)}. Give the rows that the model was fitted to."
        )
    usual = _usual_orders(factor, wanted)
    if not checked and any(other != usual[0] for other in usual):
        _ask(dim, role, factor, len(usual) > 2)
    return usual[-1]


def _labels(values: xr.DataArray, dim: str) -> list[str] | None:
    """Text that counts 0, 1, 2, ... was put there by someone; whole numbers that do are ArviZ's for want of labels."""
    index = values[dim].to_index() if dim in values.coords else None
    if index is not None and all(isinstance(label, str) for label in index):
        return [str(label) for label in index]
    return labels_of(values, dim)


def _usual_orders(factor: Factor, wanted: list[str]) -> list[list[int]]:
    """Where each level stands by the levels' own order, by the order of the rows and, of 0, 1, 2, ..., by number."""
    n = len(wanted)
    first = {int(code): k for k, code in enumerate(pd.unique(pd.Series(factor.codes)))}
    orders = [list(range(n)), [first.get(k, -1) for k in range(n)]]
    numbers = [str(k) for k in range(n)]
    if sorted(wanted) == sorted(numbers):
        return [*orders, [numbers.index(level) for level in wanted]]
    return [orders[1], orders[0]]


def _by_label(labels: list[str], wanted: list[str], size: int, role: Role, factor: Factor) -> list[int]:
    absent, surplus = [w for w in wanted if w not in labels], [n for n in labels if n not in wanted]
    if absent or surplus or len(labels) != len(set(labels)) or len(labels) != size:
        lacking = f" The data's levels {listed(absent)} are not there." if absent else ""
        lacking += f" The data have no rows of {listed(surplus)}." if surplus else ""
        raise PosteriorError(
            f"{role.text!r} is taken from {size} values for {listed(labels)}; {factor.name!r} has the {len(wanted)} "
            f"levels {listed(wanted)}.{lacking} Give the rows and the labels that the model was fitted to."
        )
    return [labels.index(w) for w in wanted]


def _ask(dim: str, role: Role, factor: Factor, numbered: bool) -> None:
    column, n = factor.columns[0], len(factor.levels)
    by_number = (
        f"levels={{{factor.name!r}: range({n})}} where they index the variable as they are, b[data[{column!r}]]; "
        if numbered
        else ""
    )
    ways = (
        f"levels={{{factor.name!r}: pd.factorize(data[{column!r}])[1]}} where they were numbered in the order of the "
        f"rows, levels={{{factor.name!r}: np.unique(data[{column!r}])}} where they were sorted first (of a "
        f"categorical, data[{column!r}].cat.categories)"
        if len(factor.columns) == 1
        else f"levels={{{factor.name!r}: [...]}} with labels such as {factor.levels[0]!r} in their order"
    )
    raise PosteriorError(
        f"{role.text!r} is taken from values without labels along {dim!r}, and which is whose is in doubt: sorted, the "
        f"levels of {factor.name!r} are {listed(factor.levels, 4)}, and in the rows of the data they come in another "
        f"order{', or their numbers are one' if numbered else ''}. Say it: {by_number}{ways}. Or name the model's own "
        f"predictor, 'eta' or 'mean', to have the {'order by number' if numbered else 'sorted order'} checked against "
        "it."
    )
