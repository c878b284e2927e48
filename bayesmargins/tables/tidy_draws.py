"""The draws behind a table: every entry, what varies over entries, and the tidy table of draws."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, shown
from bayesmargins.provenance import provenance_of
from bayesmargins.schema import ESTIMATE, IMPUTATION, SAMPLE_DIMS, check_result
from bayesmargins.tables.describing import scales_along
from bayesmargins.values import plain_value

__all__ = ["check_same_rows", "draws_of", "index_of", "labels_along", "scale_level", "to_frame"]

_FEW = 4  # columns of a grid that still read as labels


def draws_of(ds: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Draws of every entry, (chain, draw, entry), and what varies over entries; truth values count as 0 and 1.

    ResultError where xarray has joined draws of several posteriors.
    """
    _refuse_unpaired(ds)
    estimate = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...)
    dims = [str(d) for d in estimate.dims[2:]]
    if estimate.size == 0:
        raise ResultError(
            f"The result has no entries left (sizes {dict(ds[ESTIMATE].sizes)}); there is nothing to report. Check "
            "what was selected from it."
        )
    return estimate.to_numpy().astype(np.float64).reshape(*estimate.shape[:2], -1), dims


def _refuse_unpaired(ds: xr.Dataset) -> None:
    """Of two results' attributes xarray keeps what they share, and of their chains and draws the labels."""
    about = provenance_of(ds)
    if about.bayesmargins_version is None or about.fingerprint is not None or about.posterior is not None:
        return
    sizes = " x ".join(f"{ds.sizes[d]} {d}s" for d in SAMPLE_DIMS)
    imputations = ", or one of them of several imputations" if about.imputations or IMPUTATION in ds.coords else ""
    raise ResultError(
        f"These are numbers of results of different posteriors{imputations}. xarray pairs draws by their labels and "
        f"leaves out those that only one result has ({sizes} are left), but draws of different posteriors are no "
        "pairs. Compare results of one fit. If the fits have nothing to do with each other (other data, other "
        "parameters): bm.hypotheses({'a': ds, 'b': other}, 'b - a', independent=True)."
    )


def to_frame(ds: xr.Dataset) -> pd.DataFrame:
    """The draws as a tidy table, one row a draw: chain, draw, what varies with its coordinates, ``estimate``.

    >>> to_frame(avg_slopes(post, "week")).columns.tolist()
    ['chain', 'draw', 'contrast', 'term', 'estimate']
    """
    frame: pd.DataFrame = check_result(ds)[ESTIMATE].to_dataframe().reset_index()
    return frame[[c for c in frame.columns if c != ESTIMATE] + [ESTIMATE]]


def index_of(ds: xr.Dataset, dims: list[str]) -> pd.Index:
    """What varies, in the user's own words; where scales differ, each entry's scale too."""
    if not dims:
        return pd.Index([ESTIMATE])
    sizes = [ds.sizes[d] for d in dims]
    positions = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    columns: dict[str, np.ndarray] = {}
    mixed_dim, scales = scales_along(ds) or ("", np.array([]))
    for dim, position in zip(dims, positions, strict=True):
        if dim == mixed_dim:
            columns[scale_level(ds, dims)] = scales[position]
        columns |= {name: values[position] for name, values in labels_along(ds, dim).items()}
    return (
        pd.MultiIndex.from_arrays(list(columns.values()), names=list(columns))
        if len(columns) > 1
        else pd.Index(next(iter(columns.values())), name=next(iter(columns)))
    )


def scale_level(ds: xr.Dataset, dims: list[str]) -> str:
    """The level of the index that has each entry's own scale; empty where all are on one."""
    return "" if scales_along(ds) is None else "its scale" if "scale" in dims else "scale"


def labels_along(ds: xr.Dataset, dim: str) -> dict[str, np.ndarray]:
    """What tells the entries along a dimension apart, by name."""
    along = {str(n): c.to_numpy() for n, c in ds.coords.items() if c.dims == (dim,) and n != dim}
    if dim == "by":
        return along
    if dim == "row":
        return _of_rows(ds, along)
    own = {dim: ds[dim].to_numpy()}
    return {"term": along["term"], **own} if dim == "contrast" and "term" in along else own


def _of_rows(ds: xr.Dataset, along: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of a grid by the few columns that vary in it; observed rows, and those of many columns, by their number."""
    number = {"row": ds["row"].to_numpy() if "row" in ds.coords else np.arange(ds.sizes["row"])}
    response = (provenance_of(ds).formula or "").partition("~")[0]
    varying = {name: values for name, values in along.items() if len(pd.unique(values)) > 1}
    if not 0 < len(varying) <= _FEW or set(re.findall(r"\w+", response)) & set(along):
        return number
    return number | varying if pd.DataFrame(varying).duplicated().any() else varying


def check_same_rows(name0: str, first: xr.Dataset, name: str, other: xr.Dataset) -> None:
    """Refuse rows that read the same and are others: a row's number says nothing of what is in it."""
    frames = [_columns_of_rows(ds) for ds in (first, other)]
    if any(f.empty for f in frames):
        return
    both = frames[0].index.intersection(frames[1].index)
    one, two = (f.loc[both] for f in frames)
    for column in (c for c in one if c in two):
        differ = np.flatnonzero(~_equal(one[column], two[column]))
        if len(differ):
            k = int(differ[0])
            label = both[k] if isinstance(both[k], tuple) else (both[k],)
            where = ", ".join(f"{n} {v}" for n, v in zip(both.names, label, strict=True))
            values = " and ".join(shown(plain_value(of[column].iloc[k])) for of in (one, two))
            raise ResultError(
                f"The rows of {name0!r} and {name!r} differ in {column!r}: at {where} these are {values}. Results side "
                "by side are of the same rows in the same order: ask both of the same newdata, or show each alone."
            )


def _columns_of_rows(ds: xr.Dataset) -> pd.DataFrame:
    """What the rows of a result hold, by the labels of its entries."""
    dims = [str(d) for d in ds[ESTIMATE].dims if d not in SAMPLE_DIMS]
    if "row" not in dims:
        return pd.DataFrame()
    sizes = [ds.sizes[d] for d in dims]
    position = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)[dims.index("row")]
    along = {str(n): c.to_numpy()[position] for n, c in ds.coords.items() if c.dims == ("row",) and n != "row"}
    frame = pd.DataFrame(along, index=index_of(ds, dims))
    return frame[~frame.index.duplicated()]


def _equal(a: pd.Series, b: pd.Series) -> np.ndarray:
    same = a.to_numpy() == b.to_numpy() if a.dtype.kind == b.dtype.kind else a.astype(str) == b.astype(str)
    return np.asarray(same) | (a.isna() & b.isna()).to_numpy()
