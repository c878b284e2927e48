"""The entries that are held against each other: their draws, their labels, and what else varies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.labelling import named
from bayesmargins.limits import options, too_large
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS, check_result
from bayesmargins.tables import describe, draws_of
from bayesmargins.tables.captions import what_of
from bayesmargins.values import is_word, plain_value, value_list

__all__ = [
    "Entries",
    "Made",
    "bracketed",
    "entries_of",
    "labels_along",
    "renamed",
    "shortened",
    "text",
    "weighted_sum",
    "without_levels",
]


@dataclass(frozen=True)
class Entries:
    """What is compared, in order."""

    source: xr.Dataset  # the result, with its coordinates
    along: str  # the dimension of the entries
    others: tuple[str, ...]  # what varies beside them
    draws: np.ndarray  # (entry, chain, draw, *others)
    labels: tuple[str, ...]  # one an entry, all different
    term: str  # what the entries are values of
    origin: str  # ``"the entries along trt of: Average probability ..."``, for sentences
    names: dict[str, int]  # names that expressions may use without backticks, beside b1 and so on
    what: str = ""  # the quantity, as a caption has it; empty of results that do not share one

    @property
    def array(self) -> xr.DataArray:
        """The draws with their labels, (chain, draw, *others, along)."""
        values: xr.DataArray = self.source[ESTIMATE].transpose(*SAMPLE_DIMS, *self.others, self.along)
        return values.astype(np.float64)

    @property
    def positions(self) -> np.ndarray | None:
        """The entries as numbers, where their coordinate is numeric."""
        if self.along not in self.source.coords:
            return None
        values = self.source[self.along].to_numpy()
        return values.astype(np.float64) if values.dtype.kind in "iuf" else None

    @property
    def listing(self) -> str:
        """``"b1 = placebo, b2 = drug"``, for messages."""
        said = [f"b{k} = {label}" for k, label in enumerate(self.labels, start=1)]
        return ", ".join(said[:8]) + (f" and {len(said) - 8} more" if len(said) > 8 else "")

    def check_size(self, contrasts: int, way_out: str) -> None:
        """Refuse contrasts that would not fit in memory."""
        draws = self.draws[0].size
        if draws * contrasts * 8 > options.bytes:
            raise too_large(draws, contrasts, way_out)


@dataclass(frozen=True)
class Made:
    """Contrasts that were computed."""

    values: np.ndarray  # (contrast, chain, draw, *others)
    labels: tuple[str, ...]  # one a contrast
    said: str  # what was done, before the origin of the entries: ``"Weighted sums of"``
    scale: str  # what was done to the scale: ``"difference"``, ``"function"``
    spec: str  # as it was asked
    comparison: str | None = None  # ``"difference"``, ``"ratio"`` and the like, where it is one of them
    subtracted: tuple[str, ...] = ()  # labels of contrasts whose right-hand side was subtracted: their null is 0
    versus: tuple[str, ...] = ()  # how contrasts read whatever is computed of their sides, where they have two


def entries_of(ds: Any, along: str | None) -> Entries:
    """Which entries of this result are compared? Along the only dimension that varies, where None."""
    ds = check_result(ds)
    origin = describe(ds)
    draws_of(ds)
    ds = without_levels(ds)
    if "by" in ds[ESTIMATE].dims and is_word(along, _columns(ds, "by")):
        ds = _cube(ds, _columns(ds, "by"), str(along))
    dims = tuple(str(d) for d in ds[ESTIMATE].dims if d not in SAMPLE_DIMS)
    along = _dimension(ds, dims, along)
    others = tuple(d for d in dims if d != along)
    values = ds[ESTIMATE].transpose(along, *SAMPLE_DIMS, *others).to_numpy().astype(np.float64)
    return Entries(
        source=ds,
        along=along,
        others=others,
        draws=values,
        labels=tuple(_different(labels_along(ds, along))),
        term=_term(ds, along),
        origin=f"the entries along {named(ds, along)} of: {origin}",
        names={},
        what=what_of(ds),
    )


def renamed(entries: Entries, origin: str, names: Sequence[str]) -> Entries:
    """Entries with another origin, whose labels are names that expressions may use as they are."""
    return replace(entries, origin=origin, names={n: k for k, n in enumerate(names)})


def labels_along(source: xr.Dataset | xr.DataArray, dim: str) -> list[str]:
    """How do the entries of a dimension read? Combinations as ``"placebo, 0"``, what has no name as ``b1``."""
    columns = _columns(source, dim)
    if columns and (dim == "by" or dim not in source.coords):
        of_column = [_texts(source[c].to_numpy()) for c in columns]
        return [", ".join(values) for values in zip(*of_column, strict=True)]
    if dim in source.coords:
        return _texts(source[dim].to_numpy())
    return [f"b{k}" for k in range(1, source.sizes[dim] + 1)]


def weighted_sum(draws: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over entries (first axis), in which an entry of weight 0 has no part, be it infinite.

    Examples
    --------
    >>> weighted_sum(np.array([[1.0], [np.inf], [3.0]]), np.array([-1.0, 0.0, 1.0]))
    array([2.])
    """
    out = np.zeros(draws.shape[1:])
    with np.errstate(over="ignore", invalid="ignore"):  # draws that are not finite are counted by summaries
        for k in np.flatnonzero(weights):
            out += weights[k] * draws[k]
    return out


def text(value: Any) -> str:
    """A coordinate's value as it reads in a label.

    Examples
    --------
    >>> text(2.0), text("drug+")
    ('2', 'drug+')
    """
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def bracketed(label: str) -> str:
    """A label in brackets where it would run into an operator beside it.

    Examples
    --------
    >>> bracketed("drug+"), bracketed("drug - placebo"), bracketed("-2")
    ('drug+', '(drug - placebo)', '(-2)')
    """
    return f"({label})" if re.search(r"\s[-+/*]", label) or re.match(r"-[\d.]", label) else label


def shortened(items: Iterable[str]) -> str:
    """Some of many labels, for a sentence.

    Examples
    --------
    >>> shortened("abcdef")
    'a, b, ..., f'
    """
    items = list(items)
    return ", ".join(items if len(items) <= 4 else [*items[:2], "...", items[-1]])


def _texts(values: np.ndarray) -> list[str]:
    return [text(plain_value(v)) for v in values]


def without_levels(ds: xr.Dataset) -> xr.Dataset:
    """Levels of a MultiIndex as plain coordinates, as results have them."""
    several = [d for d in ds.dims if d in ds.indexes and isinstance(ds.indexes[d], pd.MultiIndex)]
    return ds.reset_index(several) if several else ds


def _cube(ds: xr.Dataset, columns: list[str], along: str) -> xr.Dataset:
    """Combinations of columns as a dimension each, where all of them occur."""
    values = {c: list(dict.fromkeys(ds[c].to_numpy().tolist())) for c in columns}
    found = {v: k for k, v in enumerate(zip(*(ds[c].to_numpy().tolist() for c in columns), strict=True))}
    wanted = list(product(*values.values()))
    missing = [", ".join(map(text, v)) for v in wanted if v not in found]
    if missing or len(wanted) < ds.sizes["by"]:
        raise EstimandError(
            f"along={along!r} compares within each {' and '.join(c for c in columns if c != along)}, and "
            f"{len(missing)} of {len(wanted)} combinations do not occur ({shortened(missing) or 'some occur twice'}). "
            "along='by' compares the combinations that there are; at= in place of by= makes them all."
        )
    array = ds[ESTIMATE].transpose(..., "by").isel(by=[found[v] for v in wanted])
    cube = array.to_numpy().reshape(*array.shape[:-1], *map(len, values.values()))
    coords = {n: c for n, c in ds.coords.items() if "by" not in c.dims} | values
    return xr.Dataset({ESTIMATE: ((*array.dims[:-1], *columns), cube)}, coords, ds.attrs)


def _dimension(ds: xr.Dataset, dims: Sequence[str], along: Any) -> str:
    if along is None:
        varying = [d for d in dims if ds.sizes[d] > 1] or list(dims)
        if not varying:
            raise EstimandError(
                "The result is a single number a draw: it has one entry only, and nothing to be compared with. Against "
                "a value, that is bm.summary(ds, null=0.5); against another result, hypotheses({'a': ds, 'b': other}, "
                "'a - b')."
            )
        if len(varying) > 1:
            sizes = ", ".join(f"{d!r} ({ds.sizes[d]})" for d in varying)
            raise EstimandError(
                f"The result varies along {sizes}; say along which entries are compared, such as along={varying[0]!r}. "
                f"The others stay. {_across(varying)}"
            )
        return varying[0]
    if is_word(along, dims):
        return str(along)
    hint = close_matches(along, dims)
    if value_list(along) is not None:
        hint = f" Give one name, as text, such as along={dims[-1]!r}." if dims else ""
        hint += f" {_across(dims)}" if len(dims) > 1 else ""
    raise EstimandError(f"along={shown(along)}; the result varies along {listed(dims) or 'nothing'}.{hint}")


def _across(dims: Sequence[str]) -> str:
    """What to write where entries of several dimensions are held against each other."""
    first, second = dims[:2]
    return (
        f"Contrasts of contrasts: hypotheses(hypotheses(ds, along={first!r}), along={second!r}). b1, b2, ... over all "
        f"entries, in the order of the table: hypotheses(ds.stack(entry={[*dims]}), 'b2 - b1')."
    )


def _columns(source: xr.Dataset | xr.DataArray, dim: str) -> list[str]:
    return [str(n) for n, c in source.coords.items() if c.dims == (dim,) and n != dim]


def _different(labels: list[str]) -> list[str]:
    """Entries that read the same are told apart by their position."""
    counts = Counter(labels)
    return [f"{x} (b{k})" if counts[x] > 1 else x for k, x in enumerate(labels, start=1)]


def _term(ds: xr.Dataset, along: str) -> str:
    """What the entries are values of: of contrasts the variable that changes, where it is one."""
    if along == "by":
        return ", ".join(_columns(ds, along)) or along
    name = along.replace("contrast", "term", 1)
    terms = set(ds[name].to_numpy().tolist()) if name != along and name in ds.coords else set()
    return str(terms.pop()) if len(terms) == 1 else along
