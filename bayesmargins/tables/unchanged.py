"""Whether the numbers of a summary are still those that were summarised: pandas keeps words through arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["MARKS", "is_changed", "marks", "said_of", "scale_said"]

MARKS = "values"  # in the attributes, by column


def marks(summary: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What tells later whether numbers of these columns were changed: by column 8 hexadecimal digits a row, as text.

    >>> marks(pd.DataFrame({"median": [0.0]}))
    {'values': {'median': '00000000'}}
    """
    return {MARKS: {str(n): _digest(summary[n]).tobytes().hex() for n in summary if _is_number(summary[n])}}


def scale_said(frame: pd.DataFrame) -> str:
    """On which scale are the numbers of a summary, or of rows of one, or what were they derived from?"""
    scale = str(frame.columns.name or "estimate")
    return f"derived from {scale}" if is_changed(frame) and not scale.startswith("derived from") else scale


def said_of(frame: pd.DataFrame, unknown: str) -> str:
    """The estimand, or what the numbers were derived from; `unknown` where there is none."""
    said = str(frame.attrs.get("estimand", unknown))
    return f"Derived (numbers of the summary were changed) from: {said}" if is_changed(frame) else said


def is_changed(frame: pd.DataFrame) -> bool:
    """Whether numbers of a summary are no longer those that were summarised."""
    known: dict[str, str] = frame.attrs.get(MARKS, {})
    return any(name in frame and not _all_known(frame[name], digest) for name, digest in known.items())


def _all_known(series: Any, digest: str) -> bool:
    if not isinstance(series, pd.Series) or not _is_number(series):
        return False
    return bool(np.isin(_digest(series), np.frombuffer(bytes.fromhex(digest), dtype=np.uint32)).all())


def _is_number(series: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)


def _digest(series: pd.Series) -> np.ndarray:
    """32 bits of each number's 64, all of which matter."""
    bits = (series.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0).view(np.uint64)
    return ((bits * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)).astype(np.uint32)
