"""A result as ArviZ takes it, with labels that its tables and forests can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.parameters import creation, now
from bayesmargins.provenance import is_original, provenance_of, seal
from bayesmargins.schema import SAMPLE_DIMS, check_result
from bayesmargins.stacks import make_idata
from bayesmargins.tables.tidy_draws import labels_along

__all__ = ["to_idata"]


def to_idata(ds: xr.Dataset) -> Any:
    """The result in a group ``posterior`` or ``prior`` of an InferenceData or DataTree."""
    ds = check_result(ds)
    texts = {dim: _texts(dim, labels_along(ds, dim)) for dim in map(str, ds.sizes) if dim not in SAMPLE_DIMS}
    told = ds.drop_indexes([d for d, t in texts.items() if t is not None and d in ds.xindexes]).assign_coords(
        {dim: (dim, text) for dim, text in texts.items() if text is not None}
    )
    if is_original(ds):
        told = told.assign_attrs(seal(told))
    group = "prior" if provenance_of(ds).draws == "prior" else "posterior"
    return make_idata({group: told.assign_attrs(creation(now()))})


def _texts(dim: str, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """One text an entry, of those columns that vary; None where the dimension's own labels say it already."""
    if set(labels) <= {dim} or pd.Index(labels.get(dim, ["", ""])).is_unique:
        return None
    vary = {name: values for name, values in labels.items() if len(pd.unique(values)) > 1} or labels
    columns = [[_text(name, value) for value in values.tolist()] for name, values in vary.items()]
    return np.array([", ".join(entry) for entry in zip(*columns, strict=True)], dtype=str)


def _text(name: str, value: Any) -> str:
    """A number is nothing without its column."""
    if isinstance(value, str) and not value[:1].isdigit():
        return value
    return f"{name} {value:.12g}" if isinstance(value, float) else f"{name} {value}"
