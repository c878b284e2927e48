"""Where draws come from: ArviZ's objects of either generation, Datasets, files, dicts of arrays, samplers' objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.draws import real_numbers
from bayesmargins.errors import PosteriorError, close_matches, listed, shown
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.stacks import group_of, groups_of
from bayesmargins.values import array_of, one_of

__all__ = ["read_posterior"]

_ACCEPTED = (
    "an InferenceData or DataTree of ArviZ, an xarray Dataset with the dims chain and draw, the path of a netCDF file "
    "or zarr folder that ArviZ wrote, a dict of arrays (chain, draw, ...), or NumPyro's MCMC"
)


def read_posterior(source: Any, group: str = "posterior") -> tuple[xr.Dataset, xr.Dataset | None]:
    """Draws (chain, draw, ...) in memory, and what the sampler said of them, from any object or file that holds them.

    InferenceData, DataTree, Dataset, a netCDF file or zarr folder, a dict of arrays by name or nested by group, or a
    numpyro MCMC; `group` is ``"posterior"`` or ``"prior"``.

    >>> draws, stats = read_posterior({"beta": np.zeros((4, 100, 3))})
    >>> draws["beta"].dims, stats
    (('chain', 'draw', 'beta_dim_0'), None)
    """
    one_of("group", group, ("posterior", "prior"), PosteriorError)
    stats_name = "sample_stats" if group == "posterior" else f"sample_stats_{group}"
    if isinstance(source, str | os.PathLike):
        with _open(Path(source)) as tree:
            draws, stats = _from_tree(tree, group, stats_name)
            draws, stats = draws.load(), None if stats is None else stats.load()
    elif isinstance(source, xr.Dataset):
        draws, stats = source, None
    elif isinstance(source, xr.DataTree) or groups_of(source) is not None:
        draws, stats = _from_tree(source, group, stats_name)
    elif isinstance(source, Mapping):
        draws, stats = _from_dict(source, group, stats_name)
    elif hasattr(source, "get_samples") and hasattr(source, "get_extra_fields"):
        draws, stats = _from_tree(_from_numpyro(source), group, stats_name)
    else:
        raise PosteriorError(f"Draws came as {type(source).__name__}; they are read from {_ACCEPTED}.")
    return _checked(draws), stats


def _open(path: Path) -> xr.DataTree:
    """xarray alone reads the files of both generations of ArviZ."""
    if not os.path.exists(path):
        raise PosteriorError(f"There is no file {str(path)!r}; give {_ACCEPTED}.")
    engine = "zarr" if path.is_dir() or ".zarr" in path.suffixes else "h5netcdf"
    try:
        tree = xr.open_datatree(path, engine=engine)
    except Exception as error:
        advice = " Reading zarr needs: pip install 'bayesmargins[sources]'." if engine == "zarr" else ""
        raise PosteriorError(
            f"{str(path)!r} cannot be read as {'zarr' if engine == 'zarr' else 'netCDF'} ({error}). ArviZ writes such "
            f"files: idata.to_netcdf('draws.nc').{advice}"
        ) from error
    if "bayesmargins_format" in tree.attrs:
        tree.close()
        raise PosteriorError(f"{str(path)!r} is a saved Posterior: bm.load({str(path)!r}) reads it, names and all.")
    return tree


def _from_tree(idata: Any, group: str, stats: str) -> tuple[xr.Dataset, xr.Dataset | None]:
    found = group_of(idata, group)
    if found is not None:
        return found, group_of(idata, stats)
    alone = isinstance(idata, xr.DataTree) and set(SAMPLE_DIMS) <= set(idata.dims) and not idata.children
    if alone:
        return idata.to_dataset(), None
    there = groups_of(idata) or []
    other = next((g for g in ("posterior", "prior") if g in there), None)
    advice = f" Pass group={other!r} for the draws there." if other else ""
    raise PosteriorError(f"There is no group {group!r} among {listed(there) or 'none'}.{advice}")


def _from_dict(arrays: Mapping[Any, Any], group: str, stats: str) -> tuple[xr.Dataset, xr.Dataset | None]:
    nested = [name for name, values in arrays.items() if isinstance(values, Mapping)]
    if not nested:
        return _dataset(arrays), None
    if group not in nested:
        raise PosteriorError(f"There is no group {group!r} among {listed(arrays)}.{close_matches(group, arrays)}")
    return _dataset(arrays[group]), _dataset(arrays[stats]) if stats in nested else None


def _dataset(arrays: Mapping[Any, Any]) -> xr.Dataset:
    """Dimensions are called as ArviZ calls them."""
    if isinstance(arrays, xr.Dataset):
        return arrays
    variables = {}
    for name, values in arrays.items():
        if isinstance(values, xr.DataArray):
            variables[str(name)] = values
            continue
        masked = np.ma.isMaskedArray(values)
        array = real_numbers(values, shown(name)) if masked else array_of(shown(name), values, PosteriorError)
        if array.ndim < 2 or not np.issubdtype(array.dtype, np.number):
            raise PosteriorError(
                f"{name!r} is an array of {array.dtype} with the shape {array.shape}; draws are numbers with the shape "
                "(chain, draw, ...). A single chain still has that dimension: values[None]."
            )
        variables[str(name)] = xr.DataArray(
            array, dims=(*SAMPLE_DIMS, *(f"{name}_dim_{k}" for k in range(array.ndim - 2)))
        )
    sizes = {name: v.shape[:2] for name, v in variables.items()}
    if len(set(sizes.values())) > 1:
        raise PosteriorError(f"Arrays differ in (chain, draw): {shown(sizes, 200)}; all must have the same.")
    return xr.Dataset(variables)


def _from_numpyro(mcmc: Any) -> Any:
    import arviz as az

    return az.from_numpyro(mcmc, log_likelihood=False)


def _checked(draws: xr.Dataset) -> xr.Dataset:
    if "sample" in draws.dims:
        raise PosteriorError(
            "The draws have the dim 'sample', chains and draws in one: give them with chain and draw, as "
            "az.extract(..., combined=False) or .unstack('sample') do."
        )
    absent = [d for d in SAMPLE_DIMS if d not in draws.dims]
    if absent:
        raise PosteriorError(
            f"The draws have the dims {listed(draws.dims)}, and {listed(absent)} must be among them. A single chain "
            "still has that dimension: draws.expand_dims('chain')."
        )
    coords = {d: np.arange(draws.sizes[d]) for d in SAMPLE_DIMS if d not in draws.coords}
    return draws.assign_coords(coords)
