"""Draws of a brms fit as a table: frames and files of `as_draws_df()`, CSV files of CmdStan, Datasets of ArviZ."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.adapters.sources_of_draws import read_posterior
from bayesmargins.design import to_pandas
from bayesmargins.errors import PosteriorError, listed, shown, warn
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.stacks import groups_of

__all__ = ["divergences", "in_order", "read_draws"]

_FILES = "a .csv, .csv.gz or .parquet file of as_draws_df(fit), or the CSV files that CmdStan wrote"

# As CmdStan's files call it.
_DIVERGENT = "divergent__"

# brms's older posterior_samples(add_chain = TRUE) has the second names.
_CHAIN, _ITERATION = (".chain", "chain"), (".iteration", "iter", ".draw")


def read_draws(draws: Any) -> pd.DataFrame:
    """The table of draws: a row a draw, columns ``b[1]``, ``r_g[level,coef]``, ``.chain`` as brms has them."""
    if isinstance(draws, str | os.PathLike):
        return _of_dataset(*read_posterior(draws)) if _is_of_arviz(Path(draws)) else _of_files([draws])
    if isinstance(draws, list | tuple) and draws and all(isinstance(d, str | os.PathLike) for d in draws):
        return _of_files(draws)
    if isinstance(draws, xr.Dataset | xr.DataTree) or groups_of(draws) is not None:
        return _of_dataset(*read_posterior(draws))
    return _checked(to_pandas(draws, "draws"))


def _is_of_arviz(path: Path) -> bool:
    return path.suffix in (".nc", ".zarr") or path.is_dir()


def _of_files(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    files = [Path(p) for p in paths]
    for path in files:
        if not path.is_file():
            raise PosteriorError(f"There is no file {str(path)!r}; draws is a frame, or {_FILES}.")
    stan = [_is_of_cmdstan(path) for path in files]
    if all(stan):
        return pd.concat([_of_cmdstan(path, k) for k, path in enumerate(files, 1)], ignore_index=True)
    if len(files) > 1:
        raise PosteriorError(
            f"{listed(str(p) for p, of in zip(files, stan, strict=True) if not of)}: a list of files is one of CSV "
            "files that CmdStan wrote, one a chain; as_draws_df(fit) is one file with the column .chain."
        )
    return _checked(_of_file(files[0]))


def _of_file(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return pd.read_csv(path, low_memory=False)
    raise PosteriorError(f"{path.name!r} is none of {_FILES}: in R, write.csv(as_draws_df(fit), ...).")


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """R's ways to spoil names on the way."""
    names = [str(c) for c in frame.columns]
    if names and names[0].count(";") > 1:
        raise PosteriorError(
            "The file of draws has semicolons between columns, as write.csv2 writes; write it with write.csv."
        )
    changed = [n for n in names if re.fullmatch(r"r_\w.*\.\w+\.", n)]
    if changed and not any(n.startswith("r_") and n.endswith("]") for n in names):
        raise PosteriorError(
            f"R has changed the names of the draws: {listed(changed, 3)} was r_group[level,coef]. data.frame() and "
            "read.csv() do that unless told check.names = FALSE; write as_draws_df(fit) itself."
        )
    return frame


def _is_of_cmdstan(path: Path) -> bool:
    if path.suffix == ".parquet":
        return False
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return file.read(1) == b"#"


def _of_cmdstan(path: Path, chain: int) -> pd.DataFrame:
    """One chain; a warm-up that was saved is left out."""
    said = _settings(path)
    if said.get("method", "sample") != "sample":
        raise PosteriorError(f"{str(path)!r} holds the output of method={said['method']}; draws of a sampler are read.")
    frame = pd.read_csv(path, comment="#")
    if said.get("save_warmup", "0") in ("1", "true"):
        thin = int(said.get("thin", "1"))
        frame = frame.iloc[-(-int(said.get("num_warmup", "1000")) // thin) :]
    if not len(frame):
        raise PosteriorError(f"{str(path)!r} holds no draws after the warm-up.")
    names = {c: re.sub(r"((?:\.\d+)+)$", lambda m: f"[{m[1][1:].replace('.', ',')}]", c) for c in frame.columns}
    of = pd.DataFrame({".chain": chain, ".iteration": np.arange(len(frame))}, index=frame.index)
    return pd.concat([frame.rename(columns=names), of], axis=1)


def _settings(path: Path) -> dict[str, str]:
    """What CmdStan notes above its table: ``#     save_warmup = 0 (Default)``."""
    said: dict[str, str] = {}
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                break
            note = re.match(r"#\s*(\w+)\s*=\s*(\S+)", line)
            if note:
                said.setdefault(note[1], note[2])
    return said


def _of_dataset(posterior: xr.Dataset, stats: xr.Dataset | None) -> pd.DataFrame:
    """Entries of arrays by their position, from 1 as Stan counts."""
    sizes = {d: posterior.sizes[d] for d in SAMPLE_DIMS}
    columns: dict[str, np.ndarray] = {}
    for name, values in posterior.data_vars.items():
        if not set(SAMPLE_DIMS) <= set(values.dims):
            continue
        array = values.transpose(*SAMPLE_DIMS, ...).to_numpy()
        flat = array.reshape((sizes["chain"] * sizes["draw"], *array.shape[2:]))
        for index in np.ndindex(flat.shape[1:]):
            columns[f"{name}[{','.join(str(i + 1) for i in index)}]" if index else str(name)] = flat[
                (slice(None), *index)
            ]
    if stats is not None and "diverging" in stats:
        columns[_DIVERGENT] = stats["diverging"].transpose(*SAMPLE_DIMS).to_numpy().ravel()
    columns[".chain"] = np.repeat(np.arange(sizes["chain"]), sizes["draw"])
    columns[".iteration"] = np.tile(np.arange(sizes["draw"]), sizes["chain"])
    return pd.DataFrame(columns)


def divergences(frame: pd.DataFrame, shape: tuple[int, int]) -> xr.Dataset | None:
    """Which draws diverged? None where the table does not say it, as that of `as_draws_df()` does not."""
    if _DIVERGENT not in frame:
        return None
    values = frame[_DIVERGENT].to_numpy(dtype=np.float64) > 0.0
    coords = {d: np.arange(n) for d, n in zip(SAMPLE_DIMS, shape, strict=True)}
    return xr.Dataset({"diverging": (SAMPLE_DIMS, values.reshape(shape))}, coords)


def in_order(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[int, int]]:
    """The rows by chain and iteration, and how many chains and draws a chain there are; without chains they are one."""
    chains = _numbers(frame, _CHAIN)
    if chains is None:
        warn(
            f"The draws have no column .chain: their {len(frame):,} rows are read as one chain, and r-hat cannot "
            "compare chains. as_draws_df(fit) has it."
        )
    of = np.zeros(len(frame)) if chains is None else chains
    within = _numbers(frame, _ITERATION)
    sizes = pd.Series(of).astype(int).value_counts().sort_index()
    if sizes.nunique() > 1:
        raise PosteriorError(
            f"Chains have different numbers of draws, {sizes.to_dict()}; give as many of each, in their order."
        )
    if chains is not None and within is not None and pd.DataFrame({"c": of, "i": within}).duplicated().any():
        twice = int(pd.DataFrame({"c": of, "i": within}).duplicated().sum())
        raise PosteriorError(
            f"{twice} rows of the draws repeat a chain and iteration: perhaps two files, or one file twice. Give each "
            "draw once; chains of different runs need different numbers."
        )
    order = np.lexsort((np.arange(len(frame)) if within is None else within, of))
    return frame.iloc[order], (len(sizes), int(sizes.iloc[0]))


def _numbers(frame: pd.DataFrame, names: Iterable[str]) -> np.ndarray | None:
    name = next((n for n in names if n in frame), None)
    if name is None:
        return None
    real = pd.to_numeric(frame[name], errors="coerce")
    values = np.full(len(real), np.nan) if np.iscomplexobj(real) else real.to_numpy(dtype=np.float64)
    odd = ~(np.isfinite(values) & (values == np.rint(values)))
    if odd.any():
        first = frame[name].iloc[int(np.flatnonzero(odd)[0])]
        raise PosteriorError(
            f"The column {name!r} of the draws holds {int(odd.sum())} values that are no whole numbers, such as "
            f"{shown(first)}; it numbers chains or iterations."
        )
    return values
