"""What is wrong with a block of rows, said again as of all rows: with their count, or the number of the row."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bayesmargins.errors import BayesmarginsError
from bayesmargins.evaluate.asked import Asked, Pass
from bayesmargins.evaluate.blocks import Blocks

__all__ = ["refuse_again"]


def refuse_again(asked: Asked, passes: Sequence[Pass], start: int, block: Asked) -> None:
    """Say again what is wrong with a block: of all rows where they are in memory, else with the number of the row."""
    if asked.stream is None:
        _look(asked, passes)
        return
    # with the columns that were not read, so that a message knows them
    frame = block.frame.reindex(columns=list(dict.fromkeys([*block.frame, *asked.stream.columns])))

    def wrong(first: int, last: int) -> BayesmarginsError | None:
        rows = frame.iloc[first:last]
        try:
            _look(
                asked.of_block(start + first, _with_numbers(asked, rows) if among_text else rows.infer_objects()),
                passes,
            )
        except BayesmarginsError as found:
            return found
        return None

    among_text = True
    if (error := wrong(0, len(frame))) is None:
        among_text = False
        error = wrong(0, len(frame))
    none, some = 0, len(frame)
    if error is None:  # in evaluation itself
        return
    if all(str(wrong(k, k + 1)) == str(error) for k in (0, len(frame) - 1)):  # a column, not a row
        raise error from None
    while some - none > 1:
        middle = (none + some) // 2
        none, some = (none, middle) if wrong(0, middle) else (middle, some)
    row = start + some - 1
    raise type(error)(
        f"{error}{asked.stream.why_missing(row, str(error))} What is counted here are rows {start:,} to "
        f"{start + len(frame) - 1:,} of {asked.what}; the first "
        f"that is refused is row {row:,}, counted from 0. Later rows were not read."
    ) from None


def _with_numbers(asked: Asked, frame: pd.DataFrame) -> pd.DataFrame:
    """These rows with numbers that are held as text only because other rows of the piece hold text."""
    texts = frame.select_dtypes(["object", "string"]).columns
    numbers = [name for name, column in asked.design.columns.items() if name in texts and column.kind == "number"]
    read = {name: pd.to_numeric(frame[name], errors="coerce") for name in numbers}
    return frame.assign(**{n: values for n, values in read.items() if (values.notna() | frame[n].isna()).all()})


def _look(asked: Asked, passes: Sequence[Pass]) -> None:
    """Go through the rows as the passes will, and evaluate nothing."""
    blocks = Blocks(asked)
    for p in passes:
        for _ in blocks.copy(p.settings, p.of):
            pass
