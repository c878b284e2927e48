"""The one place that knows two ArviZ generations: InferenceData (0.23, Python 3.11) and DataTree (1.x)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import xarray as xr

__all__ = ["add_group", "elpd_class", "group_of", "groups_of", "make_elpd", "make_idata"]


def make_idata(groups: Mapping[str, xr.Dataset]) -> Any:
    """Groups by name as ArviZ of this stack takes them: InferenceData (0.23) or DataTree (1.x)."""
    import arviz as az

    if int(az.__version__.split(".")[0]) < 1:
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict(dict(groups))


def group_of(idata: Any, name: str) -> xr.Dataset | None:
    """A group of an InferenceData or DataTree; None where there is no such group."""
    if isinstance(idata, xr.DataTree):
        return idata[name].to_dataset() if name in idata.children else None
    return getattr(idata, name, None)


def groups_of(idata: Any) -> list[str] | None:
    """The groups of an InferenceData or DataTree; None for anything else."""
    if isinstance(idata, xr.DataTree):
        return [str(name) for name in idata.children]
    if type(idata).__name__ != "InferenceData":  # asked without importing ArviZ
        return None
    return [str(name) for name in idata.groups()]


def add_group(idata: Any, name: str, data: xr.Dataset) -> None:
    """Put a group into an InferenceData or DataTree, in place of one that is there already."""
    if isinstance(idata, xr.DataTree):
        idata[name] = xr.DataTree(data)
        return
    if name in idata.groups():
        delattr(idata, name)
    idata.add_groups({name: data})


def elpd_class() -> Any:
    """The class of what ``az.compare`` of this stack takes."""
    import arviz as az

    if int(az.__version__.split(".")[0]) < 1:
        return az.stats.stats.ELPDData
    from arviz_stats import utils

    return getattr(utils, "ELPDDataLOO", utils.ELPDData)


def make_elpd(kind: Any, known: Mapping[str, Any], also: Mapping[str, Any]) -> Any:
    """An object of `kind`, a subclass of `elpd_class`; `known` has ArviZ 1.x's names, `also` what is said beside."""
    names = {f.name for f in fields(kind)} if is_dataclass(kind) else set()
    if names:
        made = kind(**{k: v for k, v in {"kind": "loo", **known}.items() if k in names})
        for name, value in also.items():
            made[name] = value
        return made
    older = {"elpd": "elpd_loo", "p": "p_loo", "elpd_i": "loo_i"}
    # It tells what it is by the name of its first number, and prints the first three.
    order = ["elpd", "se", "p", *(k for k in known if k not in ("elpd", "se", "p"))]
    values = {older.get(k, k): known[k] for k in order}
    return kind(data=[*values.values(), *also.values()], index=[*values, *also])
