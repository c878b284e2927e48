"""Several results in one picture: on one scale, with a column that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import ResultError, listed
from bayesmargins.plots.picture_cells import Cells
from bayesmargins.schema import check_result
from bayesmargins.tables import check_same_rows, on_one_scale, scale_of

__all__ = ["RESULT", "common_scale", "rows_of", "together"]

RESULT = ""
"""The column that tells the results of a dict apart: no column of data has that name."""


def rows_of(ds: Any, how: Mapping[str, Any]) -> tuple[Cells, str | None]:
    """The entries of one or several results, and the column that tells the results apart where they share rows."""
    if not isinstance(ds, dict):
        return Cells.of(ds, **how), None
    ds = {name: check_result(of) for name, of in ds.items()}
    scale = common_scale(ds)
    each = [Cells.of(of, **how) for of in ds.values()]
    names = [str(name) for name in ds]
    if len(each) == 1:
        return each[0], None
    single = all(len(cells) == 1 for cells in each)
    if not single:
        ones = [on_one_scale(of)[0] for of in ds.values()]
        for (name0, first), (name, other) in combinations(zip(names, ones, strict=True), 2):
            check_same_rows(name0, first, name, other)
    whole = together(names, each)
    varies = (RESULT,) if single else tuple(dict.fromkeys(c for cells in each for c in cells.varies))
    return replace(whole, varies=varies, scale=scale), None if single else RESULT


def together(names: Sequence[str], each: Sequence[Cells]) -> Cells:
    """Entries of all results, one result after the other, with a column for its name."""
    columns = pd.concat([c.columns.assign(**{RESULT: n}) for n, c in zip(names, each, strict=True)], ignore_index=True)
    longest = max(len(c.draws) for c in each)
    draws = [np.pad(c.draws, ((0, longest - len(c.draws)), (0, 0)), constant_values=np.nan) for c in each]
    return replace(
        each[0],
        said=_said(names, each),
        columns=columns,
        numbers=frozenset.union(*(c.numbers for c in each)),
        point=np.concatenate([c.point for c in each]),
        limits=tuple(
            (np.concatenate([p[0] for p in pair]), np.concatenate([p[1] for p in pair]))
            for pair in zip(*(c.limits for c in each), strict=True)
        ),
        draws=np.concatenate(draws, axis=1),
        left_out=tuple(dict.fromkeys(o for c in each for o in c.left_out)),
        names={k: v for c in reversed(each) for k, v in c.names.items()},
    )


def _said(names: Sequence[str], each: Sequence[Cells]) -> str:
    """What is drawn; where only some results are of several imputations, which ones."""
    pooled = {name: cells.pooled.removesuffix(": ") for name, cells in zip(names, each, strict=True)}
    if len(set(pooled.values())) < 2:
        return each[0].said
    of = [f"{name}: {said}" for name, said in pooled.items() if said]
    return "; ".join([each[0].said.removeprefix(each[0].pooled), *of])


def common_scale(results: Mapping[str, xr.Dataset]) -> str:
    """The scale that all results share."""
    if not results:
        raise ResultError("The dict of results is empty; give at least one, such as {'new': ds}.")
    scales = list(dict.fromkeys(scale_of(on_one_scale(d)[0]) for d in results.values()))
    if len(scales) > 1:
        raise ResultError(f"The results are on the scales {listed(scales)}; one axis shows one scale. Plot them apart.")
    derived = len(results) > 1 and scales[0].startswith("derived from")
    return f"{scales[0]} (each in its own way)" if derived else scales[0]
