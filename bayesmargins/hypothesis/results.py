"""Several results side by side, as entries that can be compared draw by draw."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import EstimandError, listed, shown
from bayesmargins.hypothesis.entries import Entries, entries_of, labels_along, renamed, shortened, without_levels
from bayesmargins.labelling import joined
from bayesmargins.provenance import of_several, provenance_of
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import describe, draws_of, scale_of
from bayesmargins.tables.captions import what_of

__all__ = ["side_by_side"]


def side_by_side(results: Mapping[str, Any], independent: bool) -> Entries:
    """Results with the same draws and entries as the entries of one.

    `independent`: the posteriors may differ, their parameters being independent of each other.
    """
    names = list(results)
    if not names or not all(isinstance(n, str) and n.strip() == n and n for n in names):
        raise EstimandError(f"The results are called {listed(names) or 'nothing'}; each needs a name, such as 'a'.")
    said = " ".join(f"{name}: {describe(ds)}" for name, ds in results.items())
    found = {name: without_levels(check_result(ds)) for name, ds in results.items()}
    for ds in found.values():
        draws_of(ds)
    fits = _fits(found, independent)
    name0, first = next(iter(found.items()))
    arrays = [_matched(name, ds, name0, first) for name, ds in found.items()]
    dim = "result" if "result" not in first.dims else "result_of"
    stacked = xr.Dataset({ESTIMATE: (("_", *arrays[0].dims), np.stack([a.to_numpy() for a in arrays]))})
    stacked = stacked.rename({"_": dim}).assign_coords(_shared_coords(list(found.values()), arrays[0].dims))
    entries = entries_of(stacked.assign_coords({dim: names}).assign_attrs(_shared_attrs(list(found.values()))), dim)
    whats = {what_of(ds) for ds in found.values()}
    entries = replace(entries, what=whats.pop() if len(whats) == 1 else "")
    plain = all(n.isidentifier() and not keyword.iskeyword(n) for n in names)
    return renamed(entries, f"the results {joined(names)}{fits}. {said}", names if plain else [])


def scales(results: Mapping[str, xr.Dataset]) -> list[str]:
    """The scales of these results, each once."""
    return list(dict.fromkeys(scale_of(ds) for ds in results.values()))


def _fits(results: Mapping[str, xr.Dataset], independent: bool) -> str:
    """Whether the draws are of one posterior, in words; refused where they are not and nothing is said about it."""
    known = {name: p for name, ds in results.items() if (p := provenance_of(ds).posterior) is not None}
    if len(set(known.values())) > 1:
        if independent:
            return ", of different fits, taken as independent of each other"
        formulas = ", ".join(f"{n}: {provenance_of(results[n]).formula or 'unknown'}" for n in known)
        raise EstimandError(
            f"The results come from different posteriors ({formulas}): their draws are not paired, so that draw by "
            "draw they have no joint distribution. Compare results of one fit. Only of fits whose parameters have "
            "nothing to do with each other (other data, other parameters) may the draws be combined in any order: then "
            "pass independent=True."
        )
    if independent:
        raise EstimandError(
            "independent=True is for results of different fits; nothing in these says that they are. Leave it out."
        )
    return "" if len(known) == len(results) else " (that all are of one fit is not recorded)"


def _matched(name: str, ds: xr.Dataset, name0: str, first: xr.Dataset) -> xr.DataArray:
    """The estimates of a result with the draws, dimensions and order of labels of the first."""
    array, wanted = ds[ESTIMATE].astype(np.float64), first[ESTIMATE]
    if set(array.dims) != set(wanted.dims):
        raise EstimandError(
            f"{name0!r} varies along {_dims(wanted)}, {name!r} along {_dims(array)}; results that are compared entry "
            "by entry vary along the same. Select or average what only one of them has."
        )
    array = array.transpose(*wanted.dims)
    for dim in wanted.dims:
        array = array.isel({dim: _order(name, ds, name0, first, str(dim))})
    return array


def _order(name: str, ds: xr.Dataset, name0: str, first: xr.Dataset, dim: str) -> list[int]:
    """Positions in `ds` of the labels of `first`."""
    labels, wanted = labels_along(ds, dim), labels_along(first, dim)
    if labels == wanted:
        return list(range(len(wanted)))
    if dim in SAMPLE_DIMS:
        raise EstimandError(
            f"{name0!r} and {name!r} do not have the same {dim}s in the same order ({first.sizes[dim]}: "
            f"{shortened(wanted)}; {ds.sizes[dim]}: {shortened(labels)}), and draws are compared one by one. Take the "
            "same of both, such as ds.isel(draw=slice(500))."
        )
    if sorted(labels) != sorted(wanted) or len(set(labels)) < len(labels):
        only = [x for x in wanted if x not in labels], [x for x in labels if x not in wanted]
        said = [f"only {n!r} has {listed(x, 6)}" for n, x in zip((name0, name), only, strict=True) if x]
        what = "; ".join(said) or "some are there more than once"
        raise EstimandError(f"The entries along {dim!r} do not match: {what}. Select those that both have.")
    return [labels.index(x) for x in wanted]


def _dims(array: xr.DataArray) -> str:
    return shown([str(d) for d in array.dims if d not in SAMPLE_DIMS]) if array.ndim > 2 else "nothing"


def _shared_coords(results: list[xr.Dataset], dims: tuple[Any, ...]) -> dict[str, Any]:
    """Coordinates of the first; those along a dimension that are not the same in all are left out."""
    first = results[0]
    own = {str(n): c for n, c in first.coords.items() if set(c.dims) <= set(dims)}
    return {
        n: (c.dims, c.to_numpy())
        for n, c in own.items()
        if n in dims or all(n in ds.coords and _same(ds.coords[n], c) for ds in results)
    }


def _same(a: xr.DataArray, b: xr.DataArray) -> bool:
    return a.shape == b.shape and sorted(map(str, a.to_numpy().ravel())) == sorted(map(str, b.to_numpy().ravel()))


def _shared_attrs(results: list[xr.Dataset]) -> dict[str, Any]:
    first, *rest = (ds.attrs for ds in results)
    shared = {k: v for k, v in first.items() if all(k in a and str(a[k]) == str(v) for a in rest)}
    each = [provenance_of(ds) for ds in results]
    return ({} if None in [of.posterior for of in each] else {"posterior": of_several(each)}) | shared
