"""Rows that need not fit in memory: parquet, Arrow, polars, iterators of frames, as pandas frames a block at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayesmargins.clusters import Pieces, pieces_of, running_client
from bayesmargins.design import Design, to_pandas
from bayesmargins.errors import BayesmarginsError, DataError, listed, shown
from bayesmargins.values import is_word, with_columns

__all__ = ["BLOCK_ROWS", "Stream", "goes_by_blocks", "goes_once", "in_memory", "kind_of", "require_files", "stream_of"]

BLOCK_ROWS = 2**16  # rows that are averaged together, counted from the first: the last digits of averages depend on it

_BUFFER = 2**20  # bytes of a column of a file that are read at a time


class Lacking(NamedTuple):
    """Rows of a file that has not all of the columns that other files have."""

    first: int
    stop: int
    file: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Stream:
    """Rows that are gone through once."""

    kind: str  # what they come from, for messages
    frames: Iterator[pd.DataFrame]  # `BLOCK_ROWS` rows each, but for the last: whatever pieces the source has
    columns: list[str]  # all of the source, read or not
    rows: int | None  # how many there are, where the source knows
    pieces: Pieces | None = None  # of a dask DataFrame, where a cluster goes through the rows in place of `frames`
    lacking: tuple[Lacking, ...] = ()  # files that lack columns: their rows have missing values there

    def why_missing(self, row: int, said: str) -> str:
        """A sentence where the file of this row lacks columns that a message names; else empty."""
        for of in self.lacking:
            names = [n for n in sorted(of.columns) if of.first <= row < of.stop and repr(n) in said]
            if names:
                return f" The file {of.file} has no column {listed(names)}, which other files of {self.kind} have."
        return ""


@dataclass(frozen=True)
class _Source:
    """What rows come from: its name, columns and number of rows, if it knows, and how to get frames of columns."""

    kind: str
    columns: list[str]
    rows: int | None
    read: Callable[[list[str]], Iterator[Any]]
    pieces: Callable[[list[str]], Pieces | None] = lambda names: None
    lacking: tuple[Lacking, ...] = ()


def goes_by_blocks(newdata: Any, design: Design) -> bool:
    """Are these rows read block by block? A text that names a column is none that names a file."""
    known = design.columns if design.frame is None else design.frame
    return _opener(newdata) is not None and not is_word(newdata, known)


def require_files(newdata: Any, what: str) -> None:
    """Refuse a path where nothing is, before anything is said of how its rows are read."""
    for path in [newdata] if _names_a_file(newdata) else newdata if _are_paths(newdata) else []:
        if not os.path.exists(os.path.expanduser(path)):
            raise DataError(
                f"{what}={shown(str(path))}: there is no such file or folder. A text names a parquet file of this "
                "machine, or a folder of them; files elsewhere are pyarrow.dataset.dataset(...), and rows in memory a "
                "table."
            )


def in_memory(newdata: Any) -> bool:
    """Are all of these rows there, so that a question can have them at once too?"""
    return type(newdata).__module__.partition(".")[0] == "pyarrow" and type(newdata).__name__ == "Table"


def kind_of(newdata: Any) -> str:
    """What these rows come from, for messages."""
    if isinstance(newdata, str | Path):
        return f"the path {shown(str(newdata))}"
    if _are_paths(newdata):
        return "a list of paths"
    several = "a list of frames" if isinstance(newdata, list | tuple) else "an iterator"
    library = type(newdata).__module__.partition(".")[0]
    return f"a {library} {type(newdata).__name__}" if library in ("dask", "pyarrow", "polars") else several


def goes_once(newdata: Any) -> bool:
    """Is this used up once it has been gone through?"""
    return isinstance(newdata, Iterator) or type(newdata).__name__ == "RecordBatchReader"


def stream_of(newdata: Any, names: Collection[str] | None, what: str) -> tuple[pd.DataFrame, Stream]:
    """The first block of rows, and all of them; of the source's columns those that are named, or all."""
    opener = _opener(newdata)
    assert opener is not None
    with _said(f"{what}, {kind_of(newdata)}, cannot be opened"):
        source = opener(newdata, what)
    read = [n for n in source.columns if names is None or n in names] or source.columns[:1]
    frames = _cut((to_pandas(piece, what) for piece in _pieces(source, read, what) if len(piece)), BLOCK_ROWS)
    first = next(frames, None)
    if first is None:
        used = " An iterator is used up once its rows were read: make it anew." if goes_once(newdata) else ""
        raise DataError(f"{what}, {source.kind}, has no rows. It needs one at least.{used}")
    with _said(f"The rows of {what}, {source.kind}, cannot be counted"):
        pieces = source.pieces(read)
    rows = source.rows if pieces is None else sum(pieces.rows)
    return first, Stream(source.kind, chain([first], frames), source.columns, rows, pieces, source.lacking)


def _pieces(source: _Source, names: list[str], what: str) -> Iterator[Any]:
    """What the source has, piece by piece; where it breaks off is said."""
    rows = 0
    with _said(f"{what}, {source.kind}, cannot be read"):
        pieces = source.read(names)
    while True:
        with _said(f"{what}, {source.kind}, broke off after {rows:,} rows"):
            piece = next(pieces, None)
        if piece is None:
            return
        rows += len(piece)
        yield piece


@contextmanager
def _said(what: str) -> Iterator[None]:
    """Errors of a source as the package's: no argument is wrong, what it reads is."""
    try:
        yield
    except BayesmarginsError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "without a reason").removesuffix(".")
        raise DataError(
            f"{what}: {type(error).__name__}, {reason}. Go through it without this package, and mend what stops it."
        ) from error


def _opener(newdata: Any) -> Callable[[Any, str], _Source] | None:
    """What knows how to read this; None of what is a frame in memory, and of what is none."""
    if _names_a_file(newdata):
        return lambda path, what: _paths([path], what)
    if _are_paths(newdata):
        return _paths
    library, kind = type(newdata).__module__.partition(".")[0], type(newdata).__name__
    if library == "pyarrow":
        batches = kind in ("RecordBatchReader", "RecordBatch", "Table")
        return _batches if batches else _dataset if kind.endswith("Dataset") else None
    if (library, kind) == ("polars", "LazyFrame"):
        return _lazy
    if (library, kind) == ("dask", "DataFrame"):
        return _partitions
    if isinstance(newdata, Iterator):
        return _frames
    several = isinstance(newdata, list | tuple) and len(newdata) > 0
    return _frames if several and all(map(_is_frame, newdata)) else None


def _names_a_file(given: Any) -> bool:
    if isinstance(given, Path):
        return True
    return isinstance(given, str) and (given.endswith(".parquet") or os.path.exists(os.path.expanduser(given)))


def _are_paths(given: Any) -> bool:
    """A list of texts, of which some may be misspelt, names files where one of them does."""
    several = isinstance(given, list | tuple) and all(isinstance(path, str | Path) for path in given)
    return several and any(map(_names_a_file, given))


def _is_frame(piece: Any) -> bool:
    return hasattr(type(piece), "columns") and hasattr(type(piece), "__len__")


def _arrow(what: str, name: str = "pyarrow.dataset") -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            f"{what} is read with pyarrow, which is not installed ({error}): pip install 'bayesmargins[large]'."
        ) from None


def _paths(given: Sequence[str | Path], what: str) -> _Source:
    """Parquet files, and folders of them, one after the other."""
    arrow, dataset = _arrow(what), _widened([_opened(path, what) for path in given])
    parquet, schema = _arrow(what, "pyarrow.parquet"), _arrow(what, "pyarrow").schema

    def read(names: list[str]) -> Iterator[Any]:
        """File by file: a scan of the dataset would hold ten times as much, whole row groups and those ahead."""
        for fragment in dataset.get_fragments():
            keys = arrow.get_partition_keys(fragment.partition_expression)
            with parquet.ParquetFile(fragment.path, pre_buffer=False, buffer_size=_BUFFER) as file:
                there = file.schema_arrow.names
                for batch in file.iter_batches(BLOCK_ROWS, columns=[n for n in names if n in there] or there[:1]):
                    of_all = schema([dataset.schema.field(n) for n in batch.schema.names])
                    rows = batch.cast(of_all).to_pandas(ignore_metadata=True)
                    yield with_columns(rows, keys).reindex(columns=names)

    names = [Path(os.path.expanduser(path)).name for path in given]
    one = f"the parquet {'folder' if os.path.isdir(os.path.expanduser(given[0])) else 'file'} {names[0]}"
    kind = one if len(given) == 1 else f"the parquet files {listed(names, 3)}"
    return _Source(kind, list(dataset.schema.names), dataset.count_rows(), read, lacking=_lacking(dataset))


def _opened(given: str | Path, what: str) -> Any:
    """A file, or a folder of them, as a dataset of Arrow."""
    path, arrow = os.path.expanduser(given), _arrow(what)
    try:
        return arrow.dataset(path, format="parquet", partitioning="hive")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{what}={shown(path)} is read as parquet, and is none ({str(error).splitlines()[0]}). Other files: "
            "pandas.read_csv(path, chunksize=65536) reads some rows at a time, and newdata takes that too."
        ) from None


def _dataset(dataset: Any, what: str) -> _Source:
    """Any dataset of pyarrow, with its filter."""
    dataset = _widened([dataset])

    def read(names: list[str]) -> Iterator[Any]:
        # little is read ahead: what waits in memory is part of what this promises to bound
        scanner = dataset.scanner(columns=names, batch_size=BLOCK_ROWS, batch_readahead=0, fragment_readahead=0)
        return (batch.to_pandas(ignore_metadata=True) for batch in scanner.to_batches() if batch.num_rows)

    known = _lacking(dataset)
    return _Source("a pyarrow Dataset", list(dataset.schema.names), dataset.count_rows(), read, lacking=known)


def _widened(datasets: Sequence[Any]) -> Any:
    """One with the columns of all files, and types that hold what each file has: Arrow takes those of the first."""
    arrow, (dataset, *_) = import_module("pyarrow"), datasets
    parts = [part for of in datasets for part in _files_of(of)]
    if not parts:
        return dataset
    fields: dict[str, dict[Any, None]] = {}
    for schema in (*(of.schema for of in datasets), *(part.physical_schema for part in parts)):
        for field in schema.remove_metadata():
            fields.setdefault(field.name, {})[field.remove_metadata()] = None

    def together(same: list[Any]) -> Any:
        try:
            return arrow.unify_schemas([arrow.schema([field]) for field in same], promote_options="permissive").field(0)
        except arrow.ArrowException:  # read as the first, where its values can be
            return same[0]

    schema = arrow.schema([together([*same]) for same in fields.values()])
    return type(dataset)(parts, schema, dataset.format, dataset.filesystem)


def _files_of(dataset: Any) -> list[Any]:
    """Of a dataset that is made of files, and shows them: a filtered one does not."""
    if not isinstance(dataset, import_module("pyarrow.dataset").FileSystemDataset):
        return []
    try:
        return list(dataset.get_fragments())
    except ValueError:
        return []


def _lacking(dataset: Any) -> tuple[Lacking, ...]:
    """Files without some of the columns, and the numbers of their rows."""
    arrow, found, first = import_module("pyarrow.dataset"), list[Lacking](), 0
    for part in _files_of(dataset):
        there = {*part.physical_schema.names, *arrow.get_partition_keys(part.partition_expression)}
        stop = first + part.count_rows()
        if lacks := frozenset(dataset.schema.names) - there:
            found.append(Lacking(first, stop, os.path.basename(part.path), lacks))
        first = stop
    return tuple(found)


def _batches(table: Any, what: str) -> _Source:
    """A table, a batch, or a reader of batches of Arrow."""
    kind = type(table).__name__

    def read(names: list[str]) -> Iterator[Any]:
        batches = [table] if kind == "RecordBatch" else table.to_batches() if kind == "Table" else table
        for batch in batches:
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                yield batch.select(names).slice(start, BLOCK_ROWS).to_pandas(ignore_metadata=True)

    rows = None if kind == "RecordBatchReader" else table.num_rows
    return _Source(f"a pyarrow {kind}", list(table.schema.names), rows, read)


def _lazy(frame: Any, what: str) -> _Source:
    if not hasattr(frame, "collect_batches"):
        raise DataError(
            f"{what} is a LazyFrame, and this version of polars cannot go through one batch by batch: install polars "
            "1.34 or later, or write it first: frame.sink_parquet('rows.parquet')."
        )

    def read(names: list[str]) -> Iterator[Any]:
        return iter(frame.select(names).collect_batches(chunk_size=BLOCK_ROWS, maintain_order=True))

    return _Source("a polars LazyFrame", frame.collect_schema().names(), None, read)


def _partitions(frame: Any, what: str) -> _Source:
    """A dask DataFrame: by the workers of a client that is running, else a partition at a time in this process."""

    def read(names: list[str]) -> Iterator[Any]:
        return (frame[names].partitions[k].compute() for k in range(frame.npartitions))

    def pieces(names: list[str]) -> Pieces | None:
        client = running_client()
        return None if client is None else pieces_of(client, frame[names])

    return _Source("a dask DataFrame", list(frame.columns), None, read, pieces)


def _frames(pieces: Iterable[Any], what: str) -> _Source:
    """Frames of any library, one after the other, all with the same columns."""
    several = isinstance(pieces, list | tuple)
    given = (
        to_pandas(piece, f"frame {k} of {what}")
        for k, piece in enumerate(pieces, 1)
        if not (_is_frame(piece) and len(piece) == 0)
    )
    first = next(given, None)
    columns = [] if first is None else list(first.columns)

    def read(names: list[str]) -> Iterator[Any]:
        for k, frame in enumerate(given if first is None else chain([first], given), 1):
            if set(frame.columns) != set(columns):
                odd = sorted(set(columns) ^ set(frame.columns))
                raise DataError(
                    f"Frames of {what} have different columns: number {k} and the first differ in {listed(odd)}. All "
                    "of them need the same ones."
                )
            yield frame[names]

    rows = sum(len(piece) for piece in pieces) if several else None
    return _Source("a list of frames" if several else "an iterator of frames", columns, rows, read)


def _cut(pieces: Iterator[pd.DataFrame], size: int) -> Iterator[pd.DataFrame]:
    """The same rows in blocks of one size, the last one of what is left.

    Text in a piece makes no text of numbers that another piece has in the same column.
    """
    held: list[pd.DataFrame] = []
    n = 0
    for piece in pieces:
        held.append(piece)
        n += len(piece)
        while n >= size:
            whole = held[0] if len(held) == 1 else pd.concat(held, ignore_index=True)
            yield whole.iloc[:size].reset_index(drop=True).infer_objects()
            n -= size
            held = [whole.iloc[size:]] if n else []
    if held:
        whole = pd.concat(held, ignore_index=True) if len(held) > 1 else held[0].reset_index(drop=True)
        yield whole.infer_objects()
