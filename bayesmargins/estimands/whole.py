"""Rows of a question as design rows, all at once, repeated ones once: for what is fitted to them or summed up."""

from __future__ import annotations

import numpy as np

from bayesmargins.design import Rows, missing_rows, require_columns
from bayesmargins.errors import DataError
from bayesmargins.estimands.parts import part_rows, part_variables
from bayesmargins.estimands.question import Question
from bayesmargins.evaluate import PartRows
from bayesmargins.grid import repeated_rows

__all__ = ["distinct_rows"]


def distinct_rows(question: Question) -> tuple[Rows, np.ndarray, tuple[PartRows, ...]]:
    """Which different rows does the question have, and what does each count for?

    Parameters
    ----------
    question : Question
        Averaged over rows.

    Returns
    -------
    rows : Rows
        Of the design, z of every factor.
    weights : ndarray, shape (row,)
        Weights of equal rows added up; sum 1.
    parts : tuple of PartRows
        The same rows of parameters with a linear predictor of their own, where the question depends on them.

    Raises
    ------
    DataError
        Missing columns or values, or values that the design cannot take.
    """
    design, frame, what = question.post.design, question.frame, question.what
    of_parts = question.post, question.parts, question.policy
    names = sorted(design.variables() | part_variables(*of_parts))
    require_columns(frame, names, what)
    missing, counts = missing_rows(frame, names)
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} of {len(frame)} rows of {what} have missing values, by column: {counts}. An answer "
            "from the others would be of other rows: fill them, or drop them."
        )
    first, _, cells = repeated_rows(frame, names, question.averaging.cells)
    try:
        some = frame if first is None else frame.iloc[first]
        return design.rows(some, what=what), cells.share, part_rows(*of_parts, some, None, what)
    except DataError:
        design.rows(frame, what=what)  # the message shall count and number the user's own rows
        raise
