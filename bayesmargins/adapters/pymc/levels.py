"""Which value of a user's variable belongs to which group: by label, by number, or by an order that is beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins.adapters.pymc.roles import Role
from bayesmargins.adapters.pymc.variables import labels_of
from bayesmargins.design import Factor
from bayesmargins.errors import PosteriorError, listed

__all__ = ["level_order"]


def level_order(
    values: xr.DataArray, dim: str, role: Role, factor: Factor, order: Sequence[Any] | None, checked: bool
) -> list[int]:
    """At which positions does a variable hold the groups of the design?

    Parameters
    ----------
    values : DataArray
        The variable.
    dim : str
        Its dim over groups.
    role : Role
        What it is for, for messages.
    factor : Factor
        The design's levels.
    order : sequence or None
        Labels in the variable's order where its own are not the levels, if the user gave them.
    checked : bool
        A wrong order would be found out.

    Returns
    -------
    list of int
        One position a level of the design, in its order.

    Raises
    ------
    PosteriorError
        Labels that are not the levels, another number of them, or an order that is in doubt.
    """
    wanted = [str(level) for level in factor.levels]
    labels = labels_of(values, dim)
    if order is not None and (labels is None or sorted(labels) != sorted(wanted)):
        labels = [str(label) for label in order]
    if labels is None and sorted(wanted) == sorted(str(k) for k in range(len(wanted))):
        labels = [str(k) for k in range(values.sizes[dim])]  # groups that are numbers from 0 index the variable
    if labels is not None:
        return _by_label(labels, wanted, values.sizes[dim], role, factor)
    if values.sizes[dim] != len(wanted):
        raise PosteriorError(
            f"{role.text!r} is taken from {values.sizes[dim]} values along {dim!r}; {factor.name!r} has {len(wanted)} "
            f"levels in the data: {listed(wanted)}. Give the rows that the model was fitted to."
        )
    if not checked and not _in_order_of_rows(factor):
        _ask(dim, role, factor)
    return list(range(len(wanted)))


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


def _in_order_of_rows(factor: Factor) -> bool:
    """Numbered as sorted or as they first occur, the groups have the same numbers."""
    first = pd.unique(pd.Series(factor.codes))
    return bool((first == range(len(first))).all())


def _ask(dim: str, role: Role, factor: Factor) -> None:
    column = factor.columns[0]
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
        f"order. Say it: {ways}. Or name the model's own predictor, 'eta' or 'mean', to have the sorted order checked "
        "against it."
    )
