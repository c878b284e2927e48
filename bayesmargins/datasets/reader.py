"""From a name to a DataFrame: read the CSV file, set the levels, add the derived columns, attach the description."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources

import pandas as pd

from bayesmargins.datasets.catalogue import CATALOGUE, Dataset
from bayesmargins.errors import DataError, close_matches, listed, shown
from bayesmargins.habits import taught_as

__all__ = ["list_datasets", "load_dataset"]


@taught_as(DataError)
def load_dataset(name: str) -> pd.DataFrame:
    """Which real data can I try this on?

    You get one of the data sets that come with the package; nothing is downloaded. All rows are there, and columns
    have the names of their source. Columns that were computed here come last, and the description says so.

    Parameters
    ----------
    name : str
        One of the names in `list_datasets`, in lower case.

    Returns
    -------
    pandas.DataFrame
        Labels are plain unordered categories with string levels, the reference level first. ``df.attrs`` holds
        ``name``, ``source`` and ``description`` (every column with its unit) as plain text.

    Raises
    ------
    DataError
        If there is no data set of that name.

    Examples
    --------
    >>> bacteria = load_dataset("bacteria")
    >>> bacteria.shape
    (220, 7)
    >>> list(bacteria["trt"].cat.categories)
    ['placebo', 'drug', 'drug+']
    """
    entry = CATALOGUE.get(name) if isinstance(name, str) else None
    if entry is None:
        raise DataError(
            f"load_dataset was asked for {shown(name)}, which is not in the package.{close_matches(name, CATALOGUE)} "
            f"Allowed: {listed(CATALOGUE)}; list_datasets() says what each one is."
        )
    frame = _read(entry)
    for column, derived in entry.derived.items():
        frame[column] = derived.compute(frame)
    frame.attrs = {"name": name, "source": entry.source, "description": _description(name, entry)}
    return frame


def list_datasets() -> pd.DataFrame:
    """Which data sets come with the package?

    Returns
    -------
    pandas.DataFrame
        One row a data set: ``name``, ``rows``, ``source``, ``description``.

    Raises
    ------
    TypeError
        An argument: it takes none.

    Examples
    --------
    >>> list_datasets().loc[:2, ["name", "rows"]]
             name  rows
    0    bacteria   220
    1     toenail  1908
    2    epilepsy   236
    """
    return pd.DataFrame(
        [(name, entry.rows, entry.source, entry.title) for name, entry in CATALOGUE.items()],
        columns=["name", "rows", "source", "description"],
    )


def _read(entry: Dataset) -> pd.DataFrame:
    """The file as it is, its labels read as text and given their order of levels."""
    labels = [*entry.levels, *entry.numbered]
    with resources.files(__package__).joinpath(entry.file).open(encoding="utf-8") as file:
        # No file has missing values, and "NA" may be a label one day.
        frame = pd.read_csv(file, dtype=dict.fromkeys(labels, str), keep_default_na=False)
    for column in labels:
        levels = entry.levels.get(column) or _natural_order(frame[column])
        frame[column] = pd.Categorical(frame[column], categories=list(levels), ordered=False)
    return frame


def _natural_order(labels: Iterable[str]) -> list[str]:
    """Numbers by size ("9" before "10"), anything else after them by spelling."""
    return sorted(set(labels), key=lambda label: (0, int(label), label) if label.isdigit() else (1, 0, label))


def _description(name: str, entry: Dataset) -> str:
    """What a reader needs to know before using the columns, as plain text."""
    derived = {column: f"{item.text} (computed on loading)" for column, item in entry.derived.items()}
    explained = {**entry.columns, **derived}
    width = max(map(len, explained))
    lines = [f"  {column:<{width}}  {text}" for column, text in explained.items()]
    return "\n".join([f"{name}: {entry.title}.", "", *lines, "", f"Source: {entry.source}."])
