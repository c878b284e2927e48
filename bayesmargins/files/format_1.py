"""Files of the first format, which have no seal: a nested tree, columns with their types as attributes."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins.files.contents import Contents, Predictor
from bayesmargins.reserved import VARIABLES
from bayesmargins.schema import SAMPLE_DIMS, public_name

__all__ = ["contents_of_format_1"]

_TIMES = re.compile(r"date|(datetime64|timedelta64)\[\w+\]|datetime64\[\w+, (?!dateutil)[\w/+:-]+\]|period\[[\w-]+\]")
_PARAMETERS = ("sigma", "shape")  # that a family had then
_TAKEN = VARIABLES | set(_PARAMETERS)


def contents_of_format_1(tree: xr.DataTree) -> Contents:
    """What lies in a file of the first format?"""
    draws = tree["draws"].to_dataset()
    check = tree["check"].to_dataset() if "check" in tree.children else None
    parts = tree["parts"].children if "parts" in tree.children else {}
    return Contents(
        family=str(tree.attrs["family"]),
        mean=_predictor(draws, check, tree.attrs),
        parts={name: _predictor(p.to_dataset(), p["check"].to_dataset(), p.attrs) for name, p in parts.items()},
        aux={name: draws[name].to_numpy() for name in _PARAMETERS if name in draws},
        data=_frame(tree["data"].to_dataset()) if "data" in tree.children else None,
        levels=json.loads(tree.attrs["levels"]) if "levels" in tree.attrs else None,
        sample_coords={d: draws[d].to_numpy() for d in SAMPLE_DIMS},
        sample_stats=tree["sample_stats"].to_dataset() if "sample_stats" in tree.children else None,
        sealed=False,
    )


def _predictor(draws: xr.Dataset, check: xr.Dataset | None, attrs: Any) -> Predictor:
    factors = [str(n).removeprefix("Sigma_") for n in draws.data_vars if str(n).startswith("Sigma_")]
    return Predictor(
        formula=attrs["formula"],
        link=str(attrs["link"]),
        info=json.loads(attrs["info"]),
        coef=draws["coef"].to_numpy().tolist(),
        levels={f: draws[public_name(f, _TAKEN)].to_numpy().tolist() for f in factors if f"b_{f}" in draws},
        terms={f: draws[f"{f}_term"].to_numpy().tolist() for f in factors},
        beta=draws["beta"].to_numpy(),
        b={f: draws[f"b_{f}"].to_numpy() for f in factors if f"b_{f}" in draws},
        Sigma={f: draws[f"Sigma_{f}"].to_numpy() for f in factors},
        rows={str(n): v.to_numpy() for n, v in check.data_vars.items()} if check is not None else {},
    )


def _frame(stored: xr.Dataset) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for j in range(len(stored.data_vars)):
        variable = stored[f"column_{j}"]
        values: Any = variable.to_numpy()
        if "levels" in variable.attrs:
            values = pd.Categorical.from_codes(values, json.loads(variable.attrs["levels"]))
        elif variable.attrs["missing"] and values.dtype.kind not in "fiu":
            values = pd.Series(values).replace("", None)
        if "time" in variable.attrs:
            values = _times(values, str(variable.attrs["time"]))
        columns[str(variable.attrs["name"])] = values
    return pd.DataFrame(columns)


def _times(values: Any, kind: str) -> pd.Series:
    text = pd.Series(values, dtype=object).replace("", None)
    if not _TIMES.fullmatch(kind):
        raise ValueError(f"its data are of a type that files do not hold: {kind!r}")
    if kind == "date":
        return pd.to_datetime(text).dt.date.astype(object)
    if kind.startswith("timedelta"):
        return pd.to_timedelta(text).astype(kind)
    if kind.startswith("period"):
        return pd.Series(pd.PeriodIndex(text, dtype=kind))
    return pd.to_datetime(text, format="ISO8601").astype(kind)
