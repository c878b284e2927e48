"""What a result is: names of dimensions, plain coordinates, provenance, and the check of all three."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed, written
from bayesmargins.provenance import Provenance, provenance_of
from bayesmargins.reserved import PARAMETERS, VARIABLES
from bayesmargins.seals import is_sealed, sealed

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
    "is_original",
    "make_result",
    "plain",
    "public_name",
    "public_names",
    "seal",
    "selected",
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

_NOUNS = {"hypotheses": "hypothesis"}
_UNITS_OF_TIME = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
_DRAWN = ("posterior", "prior")  # groups of a tree, where ArviZ looks for draws

_SAID = ("estimand", "kind", "of", "scale", "scales", "target", "groups", "comparison", "slope", "draws")

# A dimension of a user's data so named would be taken for ours, or for ArviZ's own.
_OURS = (
    *("chain", "draw", "row", "contrast", "term", "category", "by", "groups", "statistic", "estimate"),
    IMPUTATION,
)
_ARVIZ = ("variable", "label", "summary", "ci_bound", "column", "metric", "model", "hdi")
RESERVED = frozenset((*_OURS, *_ARVIZ))


def public_name(name: str, also: Iterable[str] = ()) -> str:
    """What is a user's column called inside a result?

    Parameters
    ----------
    name : str
        Column of the data.
    also : iterable of str
        Names that are taken besides.

    Returns
    -------
    str
        The name itself, or ``data_<name>`` where this package or ArviZ uses the name; a column ``data_draw`` is
        ``data_data_draw``, so that no two columns become one.

    Examples
    --------
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
    """What is the dimension of a grouping factor's levels called beside those of coefficients and observations?

    Parameters
    ----------
    name : str
        Grouping factor.

    Returns
    -------
    str
        The name itself, or ``data_<name>`` where a posterior uses the name.

    Examples
    --------
    >>> factor_dim("id"), factor_dim("obs")
    ('id', 'data_obs')
    """
    return public_name(name, VARIABLES | PARAMETERS)


def plain(values: Any) -> np.ndarray:
    """How are labels or covariates stored so that netCDF gives them back the same?

    Parameters
    ----------
    values : array_like, shape (n,)
        Any pandas or NumPy column, or a sequence of labels.

    Returns
    -------
    ndarray, shape (n,)
        str, int64, float64 or bool; a missing number is NaN, a missing text ``""``.

    Examples
    --------
    >>> plain(["b", "a"]).dtype.kind
    'U'
    """
    series = pd.Series(values) if not isinstance(values, pd.Series) else values
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=bool)
    wraps = pd.api.types.is_unsigned_integer_dtype(series.dtype) and series.max() > np.iinfo(np.int64).max
    if wraps:
        return np.array([str(v) for v in series], dtype=str)
    if pd.api.types.is_integer_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=np.int64)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array(["" if pd.api.types.is_scalar(v) and pd.isna(v) else written(v) for v in series], dtype=str)


def whole(y: np.ndarray) -> np.ndarray:
    """As int64 where every one is a whole number that int64 holds; as they are otherwise."""
    fits = np.isfinite(y).all() and (np.abs(y) < 2.0**63).all() and (y == np.floor(y)).all()
    return y.astype(np.int64) if fits else y


def seal(ds: xr.Dataset) -> dict[str, Any]:
    """Attributes by which it is seen later whether entries, or what is said of them, were changed or put together."""
    return sealed(ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...), _words(ds.attrs))


def is_original(ds: xr.Dataset) -> bool:
    """Whether values, labels and words are those that were sealed, of all entries or of those that were selected.

    Of results of more than 4,096 entries a selection is not known again, and neither are some of the draws.
    """
    return is_sealed(ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...), provenance_of(ds), _words(ds.attrs))


def selected(ds: xr.Dataset) -> dict[str, Any]:
    """What was selected: the labels left where there were several, by coordinate."""
    known = json.loads(provenance_of(ds).entries or "{}")
    return {n: ds.coords[n].item() for n in known.get("by", ()) if n in ds.coords and ds.coords[n].ndim == 0}


def _words(attrs: Mapping[str, Any]) -> str:
    """To the letter, whatever version wrote them."""
    return json.dumps([str(attrs.get(name, "")) for name in _SAID])


def make_result(
    values: np.ndarray,
    dims: Iterable[str],
    coords: Mapping[str, Any],
    provenance: Provenance,
    sample_coords: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """How do numbers become a result?

    Parameters
    ----------
    values : ndarray, shape (chain * draw, ...)
        Draws first, chains one after the other; then one axis for each of `dims`.
    dims : iterable of str
        What varies, in order.
    coords : mapping
        Coordinates of `dims` and along them, as for `xarray.Dataset`.
    provenance : Provenance
        What the attributes say.
    sample_coords : mapping
        Coordinates ``chain`` and ``draw``.

    Returns
    -------
    xarray.Dataset
        The variable ``estimate`` with dims ``chain, draw, *dims`` and the attributes ``long_name`` and ``units``.

    Examples
    --------
    >>> make_result(np.zeros((2, 3)), ["row"], {}, Provenance(), {"chain": [0], "draw": [0, 1]})["estimate"].dims
    ('chain', 'draw', 'row')
    """
    n_sample = len(sample_coords["chain"]), len(sample_coords["draw"])
    cube = np.ascontiguousarray(values.reshape(n_sample + values.shape[1:]))
    variable = xr.Variable((*SAMPLE_DIMS, *dims), cube, _axis(provenance))
    made = xr.Dataset({ESTIMATE: variable}, coords={**sample_coords, **coords}, attrs=provenance.to_attrs())
    return made.assign_attrs(seal(made))


def _axis(about: Provenance) -> dict[str, str]:
    """What the axis of a picture by xarray says: a noun and a scale.

    Of entries on several scales none is said, and none that a file would be read as times for.
    """
    kind, units = about.kind or "", about.scale or ""
    said = {"long_name": _NOUNS.get(kind, kind.removesuffix("s")), "units": units}
    if about.scales is not None or "since" in units or units in _UNITS_OF_TIME:
        del said["units"]
    return {name: text for name, text in said.items() if text}


def check_result(ds: object) -> xr.Dataset:
    """Is this a result of this package?

    Parameters
    ----------
    ds : object
        What a reporting function was given: a Dataset, or a tree (`az.from_netcdf`) that has it at its root or as its
        group ``posterior`` or ``prior``.

    Returns
    -------
    xarray.Dataset
        The same Dataset, out of its tree.

    Raises
    ------
    ResultError
        When it is no Dataset, or lacks real numbers ``estimate`` with the dims ``chain`` and ``draw``.

    Examples
    --------
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
