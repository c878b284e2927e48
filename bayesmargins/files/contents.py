"""What the file of a posterior holds, whichever format it has: plain arrays and labels, nothing rebuilt yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.errors import PosteriorError, listed

__all__ = ["Contents", "Predictor", "check_rows", "positions", "refuse_another_design"]


@dataclass(frozen=True)
class Predictor:
    """One linear predictor.

    Attributes
    ----------
    formula, link : str
    info : dict
        Where the draws come from.
    coef : list of str
        Labels of `beta`.
    levels, terms : dict of list of str
        Labels of `b` and `Sigma`, a factor.
    beta : ndarray, shape (chain, draw, coef)
    b : dict of ndarray, shape (chain, draw, level, term)
    Sigma : dict of ndarray, shape (chain, draw, term, term)
    rows : dict of ndarray
        From `check_rows`; empty without data.
    """

    formula: str
    link: str
    info: dict[str, Any]
    coef: list[str]
    levels: dict[str, list[str]]
    terms: dict[str, list[str]]
    beta: np.ndarray
    b: dict[str, np.ndarray]
    Sigma: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]


@dataclass(frozen=True)
class Contents:
    """A posterior as it lies in a file.

    Attributes
    ----------
    family : str
    mean : Predictor
    parts : dict of Predictor
        Of parameters.
    aux : dict of ndarray, shape (chain, draw)
        Parameters without a linear predictor.
    data : DataFrame or None
        The fitted rows.
    levels : dict or None
        In their place.
    sample_coords : dict of ndarray
        Labels of chains and draws.
    sample_stats : Dataset or None
    """

    family: str
    mean: Predictor
    parts: dict[str, Predictor]
    aux: dict[str, np.ndarray]
    data: pd.DataFrame | None
    levels: dict[str, Any] | None
    sample_coords: dict[str, np.ndarray]
    sample_stats: xr.Dataset | None


def check_rows(design: Design) -> dict[str, np.ndarray]:
    """Some rows of X, z and the offset, (row, column): what the design that is rebuilt is held against."""
    data = design.data
    some = np.unique(np.linspace(0, len(data) - 1, 50).astype(int))
    rows = design.rows(data.iloc[some], what="data")
    return {"X": rows.X, **{f"Z_{k}": z for k, z in enumerate(rows.Z.values())}, "offset": rows.offset[:, None]}


def refuse_another_design(stored: Mapping[str, np.ndarray], design: Design) -> None:
    """Is the design that a file's formula and data give that of the fit?

    Raises
    ------
    PosteriorError
        Some of its rows are others.
    """
    for name, now in check_rows(design).items():
        then = stored.get(name)
        if then is None or now.shape != then.shape or not np.allclose(now, then, rtol=1e-8, atol=1e-12):
            raise PosteriorError(
                f"The design that this file's formula and data give is not the one of the fit ({name} differs): a "
                "function in namespace= is another one than at the fit, or a library has changed its transforms. Pass "
                "the same functions."
            )


def positions(stored: Sequence[Any], wanted: Iterable[Any], what: str) -> slice | list[int]:
    """Where the labels of a design stand in the file, in the design's order; all of them where that is the file's.

    Raises
    ------
    PosteriorError
        The labels are others.
    """
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
