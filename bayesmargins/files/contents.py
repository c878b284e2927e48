"""What the file of a posterior holds, whichever format it has: plain arrays and labels, nothing rebuilt yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.errors import PosteriorError, listed

__all__ = ["Contents", "Predictor", "check_rows", "positions", "refuse_another_design"]


@dataclass(frozen=True)
class Predictor:
    """One linear predictor."""

    formula: str
    link: str
    info: dict[str, Any]  # where the draws come from
    coef: list[str]
    levels: dict[str, list[str]]  # labels a factor
    terms: dict[str, list[str]]
    beta: np.ndarray  # (chain, draw, coef)
    b: dict[str, np.ndarray]  # (chain, draw, level, term)
    Sigma: dict[str, np.ndarray]  # (chain, draw, term, term)
    rows: dict[str, np.ndarray]  # from `check_rows`; empty without data
    smooth_sd: dict[str, np.ndarray] = field(default_factory=dict)  # (chain, draw), a smooth


@dataclass(frozen=True)
class Contents:
    """A posterior as it lies in a file."""

    family: str
    mean: Predictor
    parts: dict[str, Predictor]  # of parameters that have a linear predictor
    aux: dict[str, np.ndarray]  # (chain, draw), of those that have none
    data: pd.DataFrame | None  # the fitted rows
    levels: dict[str, Any] | None  # in their place
    sample_coords: dict[str, np.ndarray]  # labels of chains and draws
    sample_stats: xr.Dataset | None
    labels: dict[str, str] | None = None  # of columns, for readers
    joined: dict[str, xr.Dataset] = field(default_factory=dict)  # groups for ArviZ that were asked for
    # by factor: linear predictor and term of each effect, and their covariance (chain, draw, effect, effect)
    across: dict[str, tuple[list[list[str]], np.ndarray]] = field(default_factory=dict)
    sealed: bool = True  # whether a checksum was there, and right


def check_rows(design: Design) -> dict[str, np.ndarray]:
    """Some rows of X, z and the offset, (row, column): what the design that is rebuilt is held against."""
    data = design.data
    some = np.unique(np.linspace(0, len(data) - 1, 50).astype(int))
    rows = design.rows(data.iloc[some], what="data")
    return {"X": rows.X, **{f"Z_{k}": rows.Z[f] for k, f in enumerate(design.factors)}, "offset": rows.offset[:, None]}


def refuse_another_design(stored: Mapping[str, np.ndarray], design: Design) -> None:
    """Is the design that a file's formula and data give that of the fit?"""
    for name, now in check_rows(design).items():
        then = stored.get(name)
        if then is None or now.shape != then.shape or not np.allclose(now, then, rtol=1e-8, atol=1e-12):
            raise PosteriorError(
                f"The design that this file's formula and data give is not the one of the fit ({name} differs): a "
                "function in namespace= is another one than at the fit, or a library has changed its transforms. Pass "
                "the same functions."
            )


def positions(stored: Sequence[Any], wanted: Iterable[Any], what: str) -> slice | list[int]:
    """Where the labels of a design stand in the file, in the design's order; all of them where that is the file's."""
    then, now = [str(s) for s in stored], [str(w) for w in wanted]
    if then == now:
        return slice(None)
    if len(set(then)) < len(then) or sorted(then) != sorted(now):
        raise PosteriorError(
            f"The file's labels of {what!r} ({listed(then)}) are not those that its formula and data give "
            f"({listed(now)}): it was changed, or its columns have a type that a file does not hold."
        )
    where = {label: k for k, label in enumerate(then)}
    return [where[label] for label in now]
