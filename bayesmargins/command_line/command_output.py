"""What a command writes: files, whole or not at all; tables on stdout; everything else on stderr."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pandas as pd

from bayesmargins.errors import DataError, close_matches, listed, shown
from bayesmargins.files import check_place, put

__all__ = ["check_outputs", "csv_text", "frame_bytes", "one_line", "picture_bytes", "say", "write"]

PICTURES = (".png", ".svg", ".pdf")


def say(text: str) -> None:
    """A line on stderr, which leaves stdout to tables."""
    click.echo(text, err=True)


def one_line(text: str) -> str:
    """A message without its line breaks."""
    return " ".join(text.split())


def check_outputs(paths: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Refuse, before any work, a file that could not be written, or whose ending says nothing."""
    for path in paths:
        suffix = Path(path).suffix.lower()
        if suffix not in allowed:
            near = close_matches(suffix, allowed) if suffix else ""
            raise click.UsageError(
                f"{path!r} ends in {shown(suffix)}; its ending says what is written: {listed(allowed)}.{near}"
            )
        check_place(path, f"result{suffix}")


def write(path: str, content: bytes) -> None:
    """A file in one piece, and a line that says so."""
    put([memoryview(content)], path, "")
    say(f"Written: {path}")


def csv_text(table: pd.DataFrame) -> str:
    """Numbers in full, labels in columns of their own."""
    return str(pd.DataFrame(table).to_csv(lineterminator="\n"))


def picture_bytes(draw: Callable[[], Any], path: str) -> bytes:
    """The picture that a call draws, as the ending of the path says."""
    import matplotlib.pyplot as plt

    with plt.rc_context({"backend": "agg"}):
        draw()
        buffer = io.BytesIO()
        plt.gcf().savefig(buffer, format=Path(path).suffix[1:].lower(), dpi=160, bbox_inches="tight")
        plt.close("all")
    return buffer.getvalue()


def frame_bytes(frame: pd.DataFrame, path: str) -> bytes:
    """A data frame as a file of rows without an index."""
    return _FRAMES[Path(path).suffix.lower()](frame)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        raise DataError("Parquet files need the package pyarrow: pip install pyarrow, or write a .csv.") from None
    return buffer.getvalue()


_FRAMES: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    ".csv": lambda frame: frame.to_csv(index=False, lineterminator="\n").encode(),
    ".tsv": lambda frame: frame.to_csv(index=False, sep="\t", lineterminator="\n").encode(),
    ".parquet": _parquet,
}
FRAMES = tuple(_FRAMES)
