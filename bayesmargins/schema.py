"""What a result is: the names of its variable and dimensions, and the check that something is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.reserved import PARAMETERS, VARIABLES

__all__ = [
    "ASYMPTOTIC",
    "CAVEATS",
    "ESTIMATE",
    "IMPUTATION",
    "MEAN",
    "RESERVED",
    "SAMPLE_DIMS",
    "are_several",
    "check_result",
    "factor_dim",
    "public_name",
    "public_names",
    "stem",
    "whole",
]

ESTIMATE = "estimate"
SAMPLE_DIMS = ("chain", "draw")

IMPUTATION = "imputation"
"""Along chains of results that mix several imputations: which one each chain is of."""

MEAN = "mu"
"""What the first linear predictor of a model is called."""

ASYMPTOTIC = "asymptotic normal, not a posterior"
"""The attribute ``draws`` of results whose draws stand for the sampling distribution of estimates."""

CAVEATS = {
    "posterior": "",
    "prior": "under the prior, before any data",
    ASYMPTOTIC: (
        "over draws of the estimates' asymptotic normal distribution, not of a posterior, with the variances held at "
        "their estimates"
    ),
}
"""By kind of draws, what every sentence about them says beside the estimand."""

_DRAWN = ("posterior", "prior")  # groups of a tree, where ArviZ looks for draws

# A dimension of a user's data so named would be taken for ours, or for ArviZ's own.
_OURS = (
    *("chain", "draw", "row", "contrast", "term", "category", "by", "groups", "statistic", "estimate"),
    IMPUTATION,
)
_ARVIZ = ("variable", "label", "summary", "ci_bound", "column", "metric", "model", "hdi")
RESERVED = frozenset((*_OURS, *_ARVIZ))


def public_name(name: str, also: Iterable[str] = ()) -> str:
    """A user's column in a result: ``data_<name>`` where this package or ArviZ uses the name, or `also` has it.

    A column ``data_draw`` is ``data_data_draw``, so that no two columns become one.

    >>> public_name("week"), public_name("draw")
    ('week', 'data_draw')
    """
    name = bare = stem(name)
    while bare.startswith("data_"):
        bare = bare.removeprefix("data_")
    return f"data_{name}" if bare in RESERVED or bare in also else name


def public_names(names: Iterable[str], also: Iterable[str] = ()) -> dict[str, str]:
    """`public_name` of each; ResultError where two would be called the same."""
    found: dict[str, str] = {}
    for name in names:
        public = public_name(name, also)
        if public in found.values():
            other = next(n for n, p in found.items() if p == public)
            raise ResultError(f"The columns {other!r} and {name!r} would both be called {public!r} here: rename one.")
        found[name] = public
    return found


def stem(name: str) -> str:
    """What a column or factor is called within names of variables: netCDF reads a slash as a path."""
    return name.replace("/", "_")


def factor_dim(name: str) -> str:
    """The dimension of a factor's levels in a posterior: ``data_<name>`` where that uses the name itself.

    >>> factor_dim("id"), factor_dim("obs")
    ('id', 'data_obs')
    """
    return public_name(name, VARIABLES | PARAMETERS)


def whole(y: np.ndarray) -> np.ndarray:
    """As int64 where every one is a whole number that int64 holds; as they are otherwise."""
    fits = np.isfinite(y).all() and (np.abs(y) < 2.0**63).all() and (y == np.floor(y)).all()
    return y.astype(np.int64) if fits else y


def check_result(ds: object) -> xr.Dataset:
    """The result that a reporting function was given, out of its tree; ResultError where it is none.

    A tree (`az.from_netcdf`) has it at its root, or as its group ``posterior`` or ``prior``. A result has real
    numbers ``estimate`` with the dims ``chain`` and ``draw``.

    >>> check_result(xr.Dataset({"estimate": (("chain", "draw"), np.zeros((1, 2)))})).sizes["draw"]
    2
    """
    ds = _out_of_tree(ds)
    if isinstance(ds, xr.DataArray):
        raise ResultError("A DataArray has left its provenance behind; pass the Dataset itself, without ['estimate'].")
    if not isinstance(ds, xr.Dataset):
        raise ResultError(
            f"A result of bayesmargins (an xarray.Dataset) is needed here, got {type(ds).__name__}. "
            "Pass what predictions, comparisons or slopes returned."
        )
    if ESTIMATE not in ds.data_vars or not set(SAMPLE_DIMS) <= set(ds[ESTIMATE].dims):
        raise ResultError(
            f"The Dataset has the variables {list(ds.data_vars)} and dims {list(ds.dims)}; a result has a variable "
            "'estimate' with the dims 'chain' and 'draw'. Keep both dims until you call summary: it averages last."
        )
    if ds[ESTIMATE].dtype.kind not in "fiub":
        raise ResultError(
            f"The estimates are {ds[ESTIMATE].dtype}; they must be real numbers. Keep 'estimate' as the question gave "
            "it, or as arithmetic on it."
        )
    return ds


def are_several(given: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether these are results by name: Datasets and trees of ArviZ are mappings too, and one result."""
    return isinstance(given, Mapping) and not isinstance(given, xr.Dataset | xr.DataTree) and not _is_idata(given)


def _is_idata(given: object) -> bool:
    return type(given).__name__ == "InferenceData"  # asked without importing ArviZ


def _out_of_tree(given: object) -> object:
    """The first Dataset of a tree that holds estimates; anything else as it is."""
    if isinstance(given, xr.DataTree):
        places = [given, *(given.children[name] for name in _DRAWN if name in given.children)]
        found, groups = [place.to_dataset() for place in places], list(given.children)
    elif _is_idata(given):
        groups = list(given.groups())  # type: ignore[attr-defined]
        found = [given[name] for name in _DRAWN if name in groups]  # type: ignore[index]
    else:
        return given
    for ds in found:
        if ESTIMATE in ds.data_vars:
            return ds
    said = f"the groups {listed(groups)}" if groups else "no groups"
    raise ResultError(
        f"The {type(given).__name__} has {said}, and neither its root nor its group 'posterior' is a result, "
        "with a variable 'estimate'. A fit is read by bayesmargins.load(path), a result that was written by "
        "ds.to_netcdf(path) by xarray.load_dataset(path), and by ArviZ from version 1 on."
    )
