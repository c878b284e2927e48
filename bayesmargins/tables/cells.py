"""Numbers of a summary as cells of text: ``0.13 [0.06, 0.20]``, with the digits that the intervals' widths support."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.tables.arguments import POINTS
from bayesmargins.tables.digits import aligned, decimals, fixed, in_columns, share
from bayesmargins.tables.intervals import intervals_of, located
from bayesmargins.tables.needed import interval_needed, needed
from bayesmargins.tables.notes import event_told

__all__ = ["cells", "in_line", "labels", "rounded", "scales_of"]

_WITHIN = "p_rope_hdi"


def cells(summary: pd.DataFrame, digits: int | None = None, diagnostics: bool = False) -> pd.DataFrame:
    """A summary, or rows of it, as a few columns of text with the same index.

    `digits` are decimals of point and limits, by default from the widths of the intervals. `diagnostics` adds the
    smaller of the two effective sample sizes, and r-hat.
    """
    text = _located_text(summary, digits)
    for name in summary.columns:
        header, worded = _share_column(str(name), summary)
        if worded is not None:
            text[header] = [worded(v) for v in summary[name]]
    if "n_not_finite" in summary:
        text["not finite"] = [f"{v:.0f}" for v in summary["n_not_finite"]]
    if diagnostics and {"ess_bulk", "ess_tail", "r_hat"} <= set(summary.columns):
        text["ESS"] = [fixed(v, 0) for v in summary[["ess_bulk", "ess_tail"]].min(axis=1, skipna=False)]
        text["r-hat"] = [fixed(v, 2) for v in summary["r_hat"]]
    frame = pd.DataFrame(text, index=summary.index)
    frame.columns.name = summary.columns.name
    return frame


def rounded(summary: pd.DataFrame, pad: str = " ") -> pd.DataFrame:
    """The numbers of a summary as on a screen: all columns, as text, without digits that mean nothing.

    Columns that were added stay as they are. `pad` fills numbers up that are narrower than others of their column.
    """
    limits = [c for pair in intervals_of(summary).values() for c in pair]
    out = pd.DataFrame(summary)
    if limits:
        # One more than in a table for readers, so that a limit near a border is seen to lie on one side.
        places = decimals(summary[limits].to_numpy(dtype=np.float64), None, scales_of(summary)) + 1
        for name in [c for c in (*POINTS, "sd", *limits) if c in out]:
            out[name] = [fixed(v, d) for v, d in zip(summary[name], places, strict=True)]
    for name in out.columns:
        shown_as = _screen_format(str(name))
        if shown_as is not None:
            out[name] = [shown_as(v) for v in summary[name]]
    if "mcse" in out:
        out["mcse"] = _small(summary["mcse"].to_numpy(dtype=np.float64), scales_of(summary))
    return in_line(out, scales_of(summary), pad)


def in_line(text: pd.DataFrame, scales: np.ndarray | None, pad: str) -> pd.DataFrame:
    """The same to be seen: numbers of a column aligned at their decimal points, each scale by itself."""
    out = pd.DataFrame(text)
    groups = np.zeros(len(out)) if scales is None else scales
    for k in range(out.shape[1]):
        column = out.iloc[:, k].to_numpy(dtype=object)
        if all(isinstance(v, str) for v in column):
            for group in np.unique(groups):
                column[groups == group] = aligned(list(column[groups == group]), pad)
            out.isetitem(k, column)
    out.columns.name = None  # the caption says it
    return out


def labels(index: pd.Index) -> list[list[str]]:
    """Labels of every row as text, one for each level of the index."""
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    return [[_label(v) for v in row] for row in zip(*levels, strict=True)]


def _label(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def scales_of(summary: pd.DataFrame) -> np.ndarray | None:
    """The scale of every row, where they differ."""
    level = summary.attrs.get("scale_level")
    return summary.index.get_level_values(level).to_numpy() if level in summary.index.names else None


def _located_text(summary: pd.DataFrame, digits: int | None) -> dict[str, list[str]]:
    """Point and interval in one cell; beside each other where there are several intervals."""
    point, intervals = located(summary)
    columns = [point, *(c for pair in intervals.values() for c in pair)]
    values = summary[columns].to_numpy(dtype=np.float64)
    event = event_told(summary)
    if event:
        points = [needed(row[0], event, digits) for row in values]
        limits = {
            name: [f"[{interval_needed(row[0], row[2 * k + 1], row[2 * k + 2], event, digits)}]" for row in values]
            for k, name in enumerate(intervals)
        }
        return _in_cells("NNT", points, limits)
    places = decimals(values[:, 1:], digits, scales_of(summary))
    rows = [[fixed(v, d) for v in row] for row, d in zip(values, places, strict=True)]
    limits = {name: [f"[{row[2 * k + 1]}, {row[2 * k + 2]}]" for row in rows] for k, name in enumerate(intervals)}
    return _in_cells(point, [row[0] for row in rows], limits)


def _in_cells(point: str, points: list[str], limits: dict[str, list[str]]) -> dict[str, list[str]]:
    if len(limits) > 1:
        return {point: points, **limits}
    name, both = next(iter(limits.items()))
    return {f"{point} [{name}]": [f"{p} {limit}" for p, limit in zip(points, both, strict=True)]}


def _share_column(name: str, summary: pd.DataFrame) -> tuple[str, Callable[[Any], str] | None]:
    """Header and wording of a column of shares or decisions; `pd` and the share within the interval add nothing."""
    n = summary.attrs.get("draws", 1000)
    if name.startswith("p_gt_"):
        return f"P(> {name[len('p_gt_') :]})", lambda v: share(v, n)
    if name == "p_rope":
        return "P(in ROPE)", lambda v: share(v, n)
    if name == "p_harm":
        return "P(harm)", lambda v: share(v, n)
    if name == "imputation_share":
        return "share of imputation", lambda v: fixed(v, 2)
    if name == "decision":
        return "decision", lambda v: v if isinstance(v, str) else "NaN"
    return name, None


def _screen_format(name: str) -> Callable[[float], str] | None:
    if name in ("ess_bulk", "ess_tail"):
        return lambda v: fixed(v, 0)
    if name in ("r_hat", "pd", "p_rope", "p_harm", "imputation_share") or name.startswith(("p_gt_", _WITHIN)):
        return lambda v: fixed(v, 3)
    return None


def _small(values: np.ndarray, scales: np.ndarray | None) -> list[str]:
    """Two significant digits of the smallest."""
    sizes = [v if v > 0 else math.nan for v in values]
    own = np.array([0 if math.isnan(v) else max(1 - math.floor(math.log10(v)), 0) for v in sizes], dtype=int)
    places = in_columns(own, ~np.isnan(sizes), np.zeros(len(own), dtype=int), scales)
    return [fixed(v, d) for v, d in zip(values, places, strict=True)]
