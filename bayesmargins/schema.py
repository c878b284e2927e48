"""What a result is: names of dimensions, plain coordinates, provenance, and the check of all three."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError

__all__ = [
    "ASYMPTOTIC",
    "CAVEATS",
    "ESTIMATE",
    "RESERVED",
    "SAMPLE_DIMS",
    "check_result",
    "factor_dim",
    "fingerprint",
    "make_result",
    "plain",
    "public_name",
    "stem",
]

ESTIMATE = "estimate"
SAMPLE_DIMS = ("chain", "draw")

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

# A dimension of a user's data so named would be taken for ours, or for ArviZ's own.
_OURS = ("chain", "draw", "row", "contrast", "term", "category", "by", "groups", "statistic", "estimate")
_ARVIZ = ("variable", "label", "summary", "ci_bound", "column", "metric", "model", "hdi")
RESERVED = frozenset((*_OURS, *_ARVIZ))


def public_name(name: str) -> str:
    """What is a user's column called inside a result?

    Parameters
    ----------
    name : str
        Column of the data.

    Returns
    -------
    str
        The name itself, or ``data_<name>`` where this package or ArviZ uses the name.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> public_name("week"), public_name("draw")
    ('week', 'data_draw')
    """
    name = stem(name)
    return f"data_{name}" if name in RESERVED else name


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

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> factor_dim("id"), factor_dim("obs")
    ('id', 'data_obs')
    """
    return f"data_{name}" if name in ("coef", "obs", "beta", "sigma", "shape", "slopes") else public_name(name)


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

    Raises
    ------
    Nothing.

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
    return np.array(["" if pd.isna(v) else str(v) for v in series], dtype=str)


def fingerprint(values: np.ndarray) -> str:
    """Are these still the numbers that the provenance describes?

    Parameters
    ----------
    values : ndarray
        The estimates.

    Returns
    -------
    str
        16 hexadecimal digits that change with any value, or with the shape.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> fingerprint(np.zeros(2)) == fingerprint(np.zeros(2))
    True
    """
    array = np.ascontiguousarray(values, dtype=np.float64)
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=8)
    digest.update(array.data)
    return digest.hexdigest()


def make_result(
    values: np.ndarray,
    dims: Iterable[str],
    coords: Mapping[str, Any],
    attrs: Mapping[str, Any],
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
    attrs : mapping
        Provenance; what is not text or a number is stored as JSON.
    sample_coords : mapping
        Coordinates ``chain`` and ``draw``.

    Returns
    -------
    xarray.Dataset
        The variable ``estimate`` with dims ``chain, draw, *dims``.

    Raises
    ------
    Nothing.

    Examples
    --------
    >>> make_result(np.zeros((2, 3)), ["row"], {}, {}, {"chain": [0], "draw": [0, 1]})["estimate"].dims
    ('chain', 'draw', 'row')
    """
    n_sample = tuple(len(sample_coords[d]) for d in SAMPLE_DIMS)
    cube = np.ascontiguousarray(values.reshape(n_sample + values.shape[1:]))
    text = {k: v if isinstance(v, str | int | float) else json.dumps(v) for k, v in attrs.items() if v is not None}
    text["fingerprint"] = fingerprint(cube)
    variable = xr.Variable((*SAMPLE_DIMS, *dims), cube)
    return xr.Dataset({ESTIMATE: variable}, coords={**sample_coords, **coords}, attrs=text)


def check_result(ds: object) -> xr.Dataset:
    """Is this a result of this package?

    Parameters
    ----------
    ds : object
        What a reporting function was given.

    Returns
    -------
    xarray.Dataset
        The same Dataset.

    Raises
    ------
    ResultError
        When it is no Dataset, or lacks ``estimate`` with the dims ``chain`` and ``draw``.

    Examples
    --------
    >>> check_result(xr.Dataset({"estimate": (("chain", "draw"), np.zeros((1, 2)))})).sizes["draw"]
    2
    """
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
    return ds
