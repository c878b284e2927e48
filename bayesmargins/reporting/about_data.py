"""Which rows, columns and groups the model was fitted to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesmargins.design import Column, reference_levels
from bayesmargins.labelling import worded
from bayesmargins.posterior import Posterior
from bayesmargins.reporting.page_blocks import Block, Grid, Mono, Notice, Section, said
from bayesmargins.reporting.wording import counted, listing

__all__ = ["data_section", "size_words"]

_SHOWN = 12  # levels, or values, that are counted one by one


def data_section(post: Posterior) -> Section:
    """Rows, response, columns and groups."""
    if post.design.frame is None:
        said_so = "This posterior came without its rows: nothing can be said of the data but what the formula names."
        return Section("Data", "data", (Notice((said_so,)),))
    return Section("Data", "data", tuple(_blocks(post)))


def _blocks(post: Posterior) -> Iterator[Block]:
    design = post.design
    yield said(f"{size_words(post)}. The response is ", Mono(design.response.text), f": {_response(post)}.")
    if design.columns:
        references = reference_levels(design)
        rows = [
            [worded(name, design.labels), *_described(column, design.data[name], references.get(name))]
            for name, column in design.columns.items()
        ]
        yield Grid("Columns on the right of the formula", ["column", "kind", "values"], rows, words=True)
    if design.factors:
        rows = [[worded(name, design.labels), *_sizes(f.codes, len(f.levels))] for name, f in design.factors.items()]
        header = ["grouping factor", "groups", "fewest rows", "median", "most rows"]
        yield Grid("Groups, and their rows", header, rows)


def size_words(post: Posterior) -> str:
    """``1,908 rows, in 294 groups of patientID``."""
    design = post.design
    groups = [
        f"{counted(len(f.levels), 'group')} of {worded(name, design.labels)}" for name, f in design.factors.items()
    ]
    return f"{counted(len(design.data), 'row')}{f', in {listing(groups)}' if groups else ''}"


def _response(post: Posterior) -> str:
    """``1,500 rows with 0 and 408 rows with 1``, or mean, standard deviation and range."""
    response = post.design.response
    y = response.y[np.isfinite(response.y)]
    if (seen := response.beside.get("counts")) is not None:
        each = zip(seen.sum(axis=0), response.categories, strict=True)
        return f"{seen.sum():,.0f} in all, {listing([f'{n:,.0f} {name}' for n, name in each])}"
    values, counts = np.unique(y, return_counts=True)
    said = f" out of trials that sum to {response.n.sum():,.0f}" if response.n is not None else ""
    if response.categories:
        names = [str(c) for c in response.categories]
        by = dict(zip(values.astype(int), counts, strict=True))
        return f"{_counts(names, [by.get(k + 1, 0) for k in range(len(names))])}"
    if len(values) <= 2:
        return f"{_counts([f'{v:g}' for v in values], counts)}{said}"
    return f"mean {y.mean():.3g}, standard deviation {y.std(ddof=1):.3g}, from {y.min():g} to {y.max():g}{said}"


def _counts(names: list[str], counts: list[int] | np.ndarray) -> str:
    return listing([f"{counted(int(n), 'row')} with {name}" for name, n in zip(names, counts, strict=True)])


def _described(column: Column, values: pd.Series, reference: object) -> list[str]:
    """What a column is, and what it holds."""
    if column.kind == "number":
        return ["number", f"{column.lower:g} to {column.upper:g}"]
    counts = values.value_counts()
    levels = column.levels or (False, True)
    shown = [f"{level}{' (reference)' if level == reference else ''}: {counts.get(level, 0):,}" for level in levels]
    more = len(shown) - _SHOWN
    kind = "logical" if column.kind == "logical" else f"factor of {counted(len(levels), 'level')}"
    return [kind, "; ".join(shown[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")]


def _sizes(codes: np.ndarray, groups: int) -> list[str]:
    sizes = np.bincount(codes, minlength=groups)
    return [f"{groups:,}", f"{sizes.min():,}", f"{np.median(sizes):,.4g}", f"{sizes.max():,}"]
