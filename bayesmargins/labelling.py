"""Names of columns for readers: ``label`` gives them, and results carry them to sentences, tables and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayesmargins.errors import DataError, close_matches, listed, shown, warn
from bayesmargins.habits import taught_as
from bayesmargins.provenance import provenance_of
from bayesmargins.values import entries

__all__ = [
    "LABELS",
    "index_for_readers",
    "joined",
    "label",
    "labels_of",
    "named",
    "names_of",
    "steps_worded",
    "terms_worded",
    "worded",
]

LABELS = "labels"  # in the attributes of a DataFrame (a dict) and of a result (JSON)
_LONGEST = 200  # characters: what stands on an axis, and many of which an attribute of a file must hold
_WAY = "bm.label(data, {'trt': 'treatment'})"


@taught_as(DataError)
def label(data: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """What shall readers see in place of the names of these columns?

    Parameters
    ----------
    data : DataFrame
        pandas; frames of other libraries hold no attributes, so convert them first, ``frame.to_pandas()``.
    labels : dict of str
        By column, what sentences, tables and pictures call it, with its unit where it has one: ``"age (years)"``. They
        join those that the data have already; a column's own name takes its label away.

    Returns
    -------
    DataFrame
        The same columns (a shallow copy: the frame given keeps its own attributes) with ``attrs["labels"]``, which
        may be written by hand as well. Posteriors that are made of it have them as ``post.labels``.

    Raises
    ------
    DataError
        A column that the data do not have; a label that is no text on one line of 1 to 200 characters, that two columns
        share, or that is the name of another column; a frame of another library.

    Notes
    -----
    Labels are words. No number depends on them, and code goes on with the names of columns: in formulas, in arguments,
    and as dims and coordinates of results, ``ds.sel(trt="drug")``.

    Examples
    --------
    >>> data = label(load_dataset("bacteria"), {"yb": "bacteria", "trt": "treatment"})
    >>> data.attrs["labels"]
    {'yb': 'bacteria', 'trt': 'treatment'}
    """
    if not isinstance(data, pd.DataFrame):
        raise DataError(
            f"data is {type(data).__name__}; labels stand in the attributes of a pandas DataFrame, which frames "
            "of other libraries do not have. Convert it, bm.label(data.to_pandas(), {...})."
        )
    given = entries("labels", labels, "'trt': 'treatment'", DataError)
    _refuse_unknown(given, data.columns)
    known = {c: text for c, text in _read(data).items() if c in data.columns}
    checked = _checked({**known, **given}, data.columns)
    made = data.copy(deep=False)
    made.attrs = {**data.attrs, LABELS: checked}
    return made


def labels_of(data: Any) -> dict[str, str]:
    """The labels that a frame has for its columns; those of columns that it lacks are left out, with a warning."""
    if not isinstance(data, pd.DataFrame) or LABELS not in data.attrs:
        return {}
    found = _read(data)
    gone = [c for c in found if c not in data.columns]
    if gone:
        hints = "".join(close_matches(c, data.columns) for c in gone)
        warn(
            f"data.attrs['labels'] labels {listed(gone)}, which data does not have; these labels are left out.{hints} "
            "bm.label(data, {}) leaves out labels of columns that are gone."
        )
    return _checked({c: text for c, text in found.items() if c in data.columns}, data.columns)


def _read(data: pd.DataFrame) -> dict[Any, Any]:
    found = data.attrs.get(LABELS, {})
    if not isinstance(found, Mapping):
        raise DataError(
            f"data.attrs['labels'] is {shown(found)}; it holds a dict of column to label, as from {_WAY}. Delete what "
            "stands there for another purpose."
        )
    return dict(found)


def _refuse_unknown(labels: Mapping[Any, Any], columns: Iterable[Any]) -> None:
    known = list(columns)
    unknown = [c for c in labels if not (isinstance(c, str) and c in known)]
    if unknown:
        hints = "".join(close_matches(c, known) for c in unknown)
        raise DataError(
            f"labels names {listed(unknown)}, which data does not have.{hints} Its columns are {listed(known, 30)}."
        )


def _checked(labels: Mapping[Any, Any], columns: Iterable[Any]) -> dict[str, str]:
    """One line of text each, and no two columns that read alike."""
    for column, text in labels.items():
        plain = isinstance(text, str) and text.strip() == text and 0 < len(text) <= _LONGEST and text.isprintable()
        if not plain:
            raise DataError(
                f"The label of {shown(column)} is {shown(text)}; it must be text on one line, 1 to {_LONGEST} "
                f"characters without blanks at its ends, as in {_WAY}."
            )
    seen: dict[str, Any] = {}
    for column in columns:
        said = str(labels.get(column, column)) if isinstance(column, str) else str(column)
        if said in seen and (column in labels or seen[said] in labels):
            raise DataError(
                f"The columns {shown(seen[said])} and {shown(column)} would both read {said!r}. Give each a "
                "label of its own."
            )
        seen[said] = column
    return {str(column): str(text) for column, text in labels.items() if column != text}


def worded(name: str, labels: Mapping[str, str]) -> str:
    """What a column or grouping factor is called for readers; of a nested factor each column by its own label.

    >>> worded("a:b", {"b": "clinic"}), worded("x", {})
    ('a:clinic', 'x')
    """
    bare = name.strip("`")
    return labels.get(bare) or ":".join(labels.get(piece, piece) for piece in bare.split(":")) if labels else name


def joined(texts: Sequence[str]) -> str:
    """Texts as a sentence lists them.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def terms_worded(term: str, labels: Mapping[str, str]) -> str:
    """A column as `worded`; of several, as crossed contrasts have them, each."""
    return ", ".join([worded(name, labels) for name in term.split(", ")])


def steps_worded(contrast: str, term: str, labels: Mapping[str, str]) -> str:
    """A contrast whose steps name their variable as readers know it; levels, and ``dY/dage``, stay as they are.

    >>> steps_worded("ratio(age +1)", "age", {"age": "age (years)"})
    'ratio(age (years) +1)'
    """
    for name in term.split(", "):
        column = rf"(?:^|(?<=\()|(?<=, )){re.escape(name)}"
        without = r"|[,)]" if re.search(rf"{column} [+-]\d", contrast) else ""  # the other side of crossed steps
        contrast = worded(name, labels).join(re.split(rf"{column}(?= [+-]\d|: {without})", contrast))
    return contrast


def names_of(ds: xr.Dataset | pd.DataFrame) -> dict[str, str]:
    """The labels of a result, or of its summary, by the names of its dims and coordinates; empty without any.

    >>> names_of(xr.Dataset(attrs={"labels": '{"trt": "treatment"}'}))
    {'trt': 'treatment'}
    """
    return dict(provenance_of(ds).labels or {})


def named(ds: xr.Dataset | pd.DataFrame, column: str) -> str:
    """What is this dimension, coordinate or value of ``term`` called for readers?

    >>> ds = xr.Dataset(attrs={"labels": '{"trt": "treatment"}'})
    >>> named(ds, "trt"), named(ds, "week")
    ('treatment', 'week')
    """
    return worded(column, names_of(ds))


def index_for_readers(index: pd.Index, ds: xr.Dataset | pd.DataFrame) -> pd.Index:
    """An index whose level names, and the columns that its levels ``term`` and ``contrast`` name, are for readers."""
    labels = names_of(ds)
    if not labels:
        return index
    arrays: list[Any] = [index.get_level_values(k) for k in range(index.nlevels)]
    at = {name: k for k, name in enumerate(index.names)}
    if {"term", "contrast"} <= set(at):
        terms = [str(term) for term in arrays[at["term"]]]
        contrasts = zip(arrays[at["contrast"]], terms, strict=True)
        arrays[at["contrast"]] = [steps_worded(str(contrast), term, labels) for contrast, term in contrasts]
        arrays[at["term"]] = [terms_worded(term, labels) for term in terms]
    names = [None if name is None else worded(str(name), labels) for name in index.names]
    names = names if len(set(names)) == len(names) else list(index.names)  # a label that is a level's name already
    return pd.MultiIndex.from_arrays(arrays, names=names) if len(arrays) > 1 else pd.Index(arrays[0], name=names[0])
