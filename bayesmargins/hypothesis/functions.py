"""Contrasts by a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import EstimandError, listed
from bayesmargins.hypothesis.entries import Entries, Made, labels_along
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import called

__all__ = ["computed"]


def computed(entries: Entries, function: Callable[[xr.DataArray], Any]) -> Made:
    """What a function of the entries gives, within each draw.

    It takes the draws as a DataArray (chain, draw, others, along), and gives one number a draw, or several along one
    more dimension.
    """
    name = getattr(function, "__name__", type(function).__name__)
    said = "A function" if name == "<lambda>" else f"The function {name!r}"
    name = "function" if name == "<lambda>" else name
    array = entries.array
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = _as_array(entries, array, called(said, function, array), name)
    new = [str(d) for d in values.dims if d not in array.dims or d == entries.along]
    labels = _labels(entries, values, new[0], name) if new else [name]
    kept = [d for d in array.dims if d != entries.along]
    shape = [len(labels), *(array.sizes[d] for d in kept)]
    stacked = values.transpose(*new, *kept).to_numpy().astype(np.float64).reshape(shape)
    return Made(stacked, tuple(labels), f"{said}, within each draw, of", "function", name)


def _as_array(entries: Entries, array: xr.DataArray, given: Any, name: str) -> xr.DataArray:
    kept = [str(d) for d in array.dims if d != entries.along]
    shape = tuple(array.sizes[d] for d in kept)
    if isinstance(given, np.ndarray) and given.shape[: len(shape)] == shape and given.ndim <= len(shape) + 1:
        dims = [*kept, *(["contrast" if "contrast" not in kept else "_new"] if given.ndim > len(shape) else [])]
        given = xr.DataArray(given, dims=dims, coords={d: array[d] for d in kept if d in array.coords})
    if not isinstance(given, xr.DataArray):
        what = f"an array of shape {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
        raise EstimandError(f"{_asked(entries, name, shape)} It gave {what}.")
    if given.dtype.kind not in "fiub":
        raise EstimandError(f"{_asked(entries, name, shape)} It gave values of type {given.dtype}.")
    lost = [d for d in kept if d not in given.dims]
    new = [str(d) for d in given.dims if d not in kept]
    if lost or len(new) > 1:
        within = " It has averaged over draws; leave that to summary." if set(lost) & set(SAMPLE_DIMS) else ""
        raise EstimandError(f"{_asked(entries, name, shape)} It gave the dims {listed(given.dims)}.{within}")
    return _aligned(entries, array, given, name, shape)


def _aligned(entries: Entries, array: xr.DataArray, given: xr.DataArray, name: str, shape: Any) -> xr.DataArray:
    """The same draws and entries of what else varies, in the same order."""
    for dim in (d for d in array.dims if d != entries.along):
        if dim in array.indexes and dim in given.indexes and set(array.indexes[dim]) == set(given.indexes[dim]):
            given = given.sel({dim: array.indexes[dim]}) if array.indexes[dim].is_unique else given
        elif given.sizes[dim] != array.sizes[dim] or (dim in array.indexes and dim in given.indexes):
            raise EstimandError(f"{_asked(entries, name, shape)} It gave another {dim!r} than it got.")
    return given


def _asked(entries: Entries, name: str, shape: tuple[int, ...]) -> str:
    dims = ", ".join([*SAMPLE_DIMS, *entries.others])
    return (
        f"The function {name!r} gets a DataArray with the dims {dims}, {entries.along} and must give a DataArray or an "
        f"array with {dims} (shape {shape}): one number for every draw, or several along one more dimension."
    )


def _labels(entries: Entries, values: xr.DataArray, dim: str, name: str) -> list[str]:
    m = values.sizes[dim]
    if m == 0:
        raise EstimandError(f"The function {name!r} gave no values.")
    if dim in values.coords or dim == "by":
        labels = labels_along(values, dim)
    else:
        labels = [f"{name} {c}" for c in range(1, m + 1)]
    if dim == entries.along and (dim not in values.coords or labels == labels_along(entries.source, dim)):
        return list(entries.labels) if m == len(entries.labels) else labels
    return [f"{x} ({c})" if labels.count(x) > 1 else x for c, x in enumerate(labels, start=1)]
