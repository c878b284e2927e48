"""Files: trees of Datasets written in one piece, data frames as Datasets; no pickle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.design import Design, build_design, template_design
from bayesmargins.errors import PosteriorError, listed, shown
from bayesmargins.schema import factor_dim, plain

__all__ = [
    "check_rows",
    "design_groups",
    "frame_to_dataset",
    "in_design_order",
    "read_tree",
    "refuse_another_design",
    "stored_design",
    "to_frame",
    "writable",
    "write_tree",
]

FORMAT = 1


def write_tree(groups: Mapping[str, xr.Dataset], path: str | os.PathLike[str]) -> None:
    """How is a file written so that a reader never finds half of it?

    Under a temporary name beside the target, flushed to the disk, then renamed.

    Parameters
    ----------
    groups : mapping of str to Dataset
        ``"/"`` is the root.
    path : str or Path
        netCDF file.

    Returns
    -------
    None

    Raises
    ------
    PosteriorError
        The folder does not exist or may not be written to, or the path is that of a folder.
    """
    target = _file_name(path)
    if os.path.isdir(target):
        raise PosteriorError(f"Cannot write {str(target)!r}: it is a folder. Name a file in it, such as 'fit.nc'.")
    if not target.parent.is_dir():
        raise PosteriorError(
            f"Cannot write {str(target)!r}: the folder {str(target.parent)!r} does not exist. Make it first."
        )
    try:
        _replace(groups, target)
    except OSError as error:
        raise PosteriorError(
            f"Cannot write {str(target)!r}: {error.strerror or error}. Choose a folder that you may write to, with "
            "room on its disk; an older file of this name is left as it was."
        ) from error


def _file_name(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise PosteriorError(f"The path is {shown(path)}; it must be the name of a file, as text or a Path.")
    return Path(path)


def _replace(groups: Mapping[str, xr.Dataset], target: Path) -> None:
    root = groups["/"].assign_attrs(bayesmargins_format=FORMAT)
    tree = xr.DataTree.from_dict({**groups, "/": root})
    handle, temporary = tempfile.mkstemp(suffix=".nc", prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        tree.to_netcdf(temporary, engine="h5netcdf")
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_tree(path: str | os.PathLike[str]) -> xr.DataTree:
    """What does a file of `write_tree` hold?

    Parameters
    ----------
    path : str or Path
        netCDF file.

    Returns
    -------
    DataTree
        In memory.

    Raises
    ------
    PosteriorError
        No such file, or one that `write_tree` did not write.
    """
    name = str(_file_name(path))
    if not os.path.isfile(name):
        said = f"{name!r} is a folder" if os.path.isdir(name) else f"There is no file {name!r}"
        raise PosteriorError(f"{said}. Give the path that post.save(path) was given.")
    try:
        with xr.open_datatree(name, engine="h5netcdf") as file:
            tree: xr.DataTree = file.load()
    except (OSError, ValueError) as error:
        raise PosteriorError(
            f"{name!r} is no netCDF file that can be read: {error}. Give the path that post.save(path) was given."
        ) from error
    if tree.attrs.get("bayesmargins_format") != FORMAT:
        raise PosteriorError(
            f"{name!r} is no posterior of bayesmargins (its format is {tree.attrs.get('bayesmargins_format')!r}, "
            f"{FORMAT} is read). Results are read with xarray.open_dataset."
        )
    return tree


def frame_to_dataset(data: pd.DataFrame) -> xr.Dataset:
    """How is a data frame stored: columns by position, so that any name can be, levels of categoricals as attributes.

    Parameters
    ----------
    data : DataFrame
        Any.

    Returns
    -------
    Dataset
        ``column_0``, ``column_1``, ... along ``row``.

    Raises
    ------
    Nothing.
    """
    variables = {}
    for j, name in enumerate(data.columns):
        series = data[name].infer_objects()
        attrs: dict[str, Any] = {"name": name, "missing": int(series.isna().any())}
        if isinstance(series.dtype, pd.CategoricalDtype):
            levels = [getattr(c, "item", lambda c=c: c)() for c in series.cat.categories]
            attrs["levels"] = json.dumps([c if isinstance(c, str | int | float | bool) else str(c) for c in levels])
            variables[f"column_{j}"] = xr.Variable("row", series.cat.codes.to_numpy().astype(np.int32), attrs)
        else:
            attrs |= _time_type(series)
            variables[f"column_{j}"] = xr.Variable("row", plain(series), attrs)
    return xr.Dataset(variables)


def _time_type(series: pd.Series) -> dict[str, str]:
    """Times are stored as text, which sorts and compares otherwise: what they were is kept beside them."""
    kinds = (pd.DatetimeTZDtype, pd.PeriodDtype)
    if isinstance(series.dtype, kinds) or (isinstance(series.dtype, np.dtype) and series.dtype.kind in "mM"):
        return {"time": str(series.dtype)}
    return {"time": "date"} if pd.api.types.infer_dtype(series, skipna=True) == "date" else {}


def _times(values: Any, kind: str) -> pd.Series:
    text = pd.Series(values, dtype=object).replace("", None)
    if kind == "date":
        return pd.to_datetime(text).dt.date.astype(object)
    if kind.startswith("timedelta"):
        return pd.to_timedelta(text).astype(kind)
    if kind.startswith("period"):
        return pd.Series(pd.PeriodIndex(text, dtype=kind))
    return pd.to_datetime(text, format="ISO8601").astype(kind)


def to_frame(stored: xr.Dataset) -> pd.DataFrame:
    """Which data frame was stored?

    Parameters
    ----------
    stored : Dataset
        From `frame_to_dataset`.

    Returns
    -------
    DataFrame

    Raises
    ------
    Nothing.
    """
    columns: dict[str, Any] = {}
    for j in range(len(stored.data_vars)):
        variable = stored[f"column_{j}"]
        values: Any = variable.to_numpy()
        if "levels" in variable.attrs:
            values = pd.Categorical.from_codes(values, json.loads(variable.attrs["levels"]))
        elif variable.attrs["missing"] and values.dtype.kind not in "fiu":
            values = pd.Series(values).replace("", None)
        if "time" in variable.attrs:
            values = _times(values, variable.attrs["time"])
        columns[variable.attrs["name"]] = values
    return pd.DataFrame(columns)


def writable(stats: xr.Dataset) -> xr.Dataset:
    """Samplers put objects and None among their statistics, which netCDF does not hold: they become text.

    Raises
    ------
    Nothing.
    """
    return stats.map(lambda v: v.astype(str) if v.dtype == object else v, keep_attrs=True).assign_attrs(
        {k: v for k, v in stats.attrs.items() if isinstance(v, str | int | float)}
    )


def check_rows(design: Design) -> xr.Dataset:
    """Some rows of X, z and the offset: what the design that is rebuilt from a file is held against.

    Raises
    ------
    Nothing.
    """
    data = design.data
    some = np.unique(np.linspace(0, len(data) - 1, 50).astype(int))
    rows = design.rows(data.iloc[some], what="data")
    sides = {"X": rows.X, **{f"Z_{k}": z for k, z in enumerate(rows.Z.values())}, "offset": rows.offset[:, None]}
    return xr.Dataset({name: (("check_row", f"{name}_column"), values) for name, values in sides.items()})


def design_groups(design: Design) -> dict[str, xr.Dataset]:
    """What of a design goes into a file: its rows, and some of X to check them by, or the levels that stand for rows.

    Raises
    ------
    Nothing.
    """
    if design.levels is not None:
        levels = json.dumps({name: list(values) for name, values in design.levels.items()})
        return {"levels": xr.Dataset(attrs={"levels": levels})}
    return {"data": frame_to_dataset(design.data), "check": check_rows(design)}


def stored_design(tree: xr.DataTree, namespace: Mapping[str, Callable[..., Any]] | None) -> Design:
    """Which design does a file hold?

    Raises
    ------
    FormulaError
        The formula calls a function that is neither on the list nor in `namespace`.
    """
    formula = tree.attrs["formula"]
    if "levels" in tree.children:
        levels = json.loads(tree["levels"].attrs["levels"])
        return template_design(formula, levels, namespace=namespace, stored=True)
    return build_design(formula, to_frame(tree["data"].to_dataset()), namespace=namespace, stored=True)


def refuse_another_design(stored: xr.Dataset | None, design: Design) -> None:
    """Is the design that a file's formula and data give that of the fit?

    Raises
    ------
    PosteriorError
        Some of its rows are others.
    """
    if stored is None:
        return
    found = check_rows(design)
    for name, values in stored.data_vars.items():
        now = found[str(name)]
        if now.shape != values.shape or not np.allclose(now, values, rtol=1e-8, atol=1e-12):
            raise PosteriorError(
                f"The design that this file's formula and data give is not the one of the fit ({name} differs): a "
                "function in namespace= is another one than at the fit, or a library has changed its transforms. Pass "
                "the same functions."
            )


def in_design_order(draws: xr.Dataset, design: Design) -> xr.Dataset:
    """Levels and coefficients by label: a type that a file does not hold comes back as text, and sorts otherwise.

    Raises
    ------
    PosteriorError
        The labels are others.
    """
    wanted = {"coef": plain(design.coef)}
    wanted |= {factor_dim(f): plain(factor.levels) for f, factor in design.factors.items()}
    for dim, labels in wanted.items():
        if dim not in draws.dims:
            continue
        stored = draws[dim].to_numpy().astype(str).tolist()
        if sorted(stored) != sorted(labels.astype(str).tolist()):
            raise PosteriorError(
                f"The file's labels of {dim!r} ({listed(stored)}) are not those that its formula and data give "
                f"({listed(labels)}): it was changed, or its columns have a type that a file does not hold."
            )
        draws = draws.isel({dim: [stored.index(label) for label in labels.astype(str)]}).assign_coords({dim: labels})
    return draws
