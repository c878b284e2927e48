"""The one place that knows two ArviZ generations: InferenceData (0.23, Python 3.11) and DataTree (1.x)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import xarray as xr

__all__ = ["add_group", "elpd_class", "group_of", "groups_of", "make_elpd", "make_idata"]


def make_idata(groups: Mapping[str, xr.Dataset]) -> Any:
    """What does ArviZ of this stack take as posterior, stats and data together?

    Parameters
    ----------
    groups : mapping of str to Dataset
        ``posterior``, ``sample_stats``, ``observed_data``, ...

    Returns
    -------
    InferenceData or DataTree
        InferenceData on ArviZ 0.23, DataTree on ArviZ 1.x.
    """
    import arviz as az

    if int(az.__version__.split(".")[0]) < 1:
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict(dict(groups))


def group_of(idata: Any, name: str) -> xr.Dataset | None:
    """What does this group of an InferenceData or DataTree hold?

    Parameters
    ----------
    idata : InferenceData or DataTree
        As a sampler returned it.
    name : str
        Group.

    Returns
    -------
    Dataset or None
        None where there is no such group.
    """
    if isinstance(idata, xr.DataTree):
        return idata[name].to_dataset() if name in idata.children else None
    return getattr(idata, name, None)


def groups_of(idata: Any) -> list[str] | None:
    """Which groups does an InferenceData or DataTree have?

    Parameters
    ----------
    idata : object
        Perhaps one of the two.

    Returns
    -------
    list of str or None
        None for anything else.
    """
    if isinstance(idata, xr.DataTree):
        return [str(name) for name in idata.children]
    if type(idata).__name__ != "InferenceData":  # asked without importing ArviZ
        return None
    return [str(name) for name in idata.groups()]


def add_group(idata: Any, name: str, data: xr.Dataset) -> None:
    """Put a group into an InferenceData or DataTree, in place of one that is there already.

    Parameters
    ----------
    idata : InferenceData or DataTree
        Changed in place.
    name : str
        Group.
    data : Dataset
        What it shall hold.
    """
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
