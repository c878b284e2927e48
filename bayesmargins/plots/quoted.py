"""Numbers that a picture says in words: ``0.83 [0.71, 0.93]``, as tables write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.plots.picture_cells import all_columns
from bayesmargins.tables import draws_of, interval, point_estimate
from bayesmargins.tables.digits import decimals, fixed, share
from bayesmargins.values import value_list

__all__ = ["quoted", "share_of", "text_of"]


def quoted(ds: xr.Dataset, how: Mapping[str, Any]) -> pd.DataFrame:
    """Of every entry, on whatever scale: its columns, ``point``, ``lower`` and ``upper`` of the widest interval."""
    draws, _ = draws_of(ds)
    flat = draws.reshape(-1, draws.shape[-1])
    probs = value_list(how["ci_prob"])
    prob = how["ci_prob"] if probs is None else max(probs)
    lower, upper = interval(np.where(np.isfinite(flat), flat, np.nan), prob, how["ci_kind"])
    points = np.atleast_1d(point_estimate(ds, how["point"]).to_numpy().astype(np.float64).ravel())
    return all_columns(ds).assign(point=points, lower=lower, upper=upper)


def text_of(point: float, lower: float, upper: float) -> str:
    """Point and interval, with the digits that the width of the interval supports; no line ends within."""
    places = int(decimals(np.array([[lower, upper]]))[0]) if np.isfinite([lower, upper]).all() else 2
    return f"{fixed(point, places)}\u00a0[{fixed(lower, places)},\u00a0{fixed(upper, places)}]"


def share_of(point: float, lower: float, upper: float) -> str:
    """A share and its interval; 0 or 1 only where it is that exactly."""
    first, second, third = (f"{v:.0f}" if v in (0.0, 1.0) else share(v, 100) for v in (point, lower, upper))
    return f"{first}\u00a0[{second},\u00a0{third}]"
