"""Numbers of a summary as cells of text: ``0.13 [0.06, 0.20]``, with the digits that the interval's width supports."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.errors import ResultError, listed
from bayesmargins.tables.arguments import KINDS, POINTS
from bayesmargins.tables.digits import decimals, fixed, share
from bayesmargins.tables.unchanged import said_of, scale_said

__all__ = ["cells", "labels", "note", "rounded"]

_INTERVAL = re.compile(r"(eti|hdi)([\d.e+-]+)_lb")
_WITHIN = "p_rope_hdi"


def cells(summary: pd.DataFrame, digits: int | None = None, diagnostics: bool = False) -> pd.DataFrame:
    """Which few columns of text say what a summary holds?

    Parameters
    ----------
    summary : DataFrame
        From `bayesmargins.summary`, or rows of it.
    digits : int, optional
        Decimals of point and limits; from the width of the interval by default.
    diagnostics : bool
        Adds the smaller of the two effective sample sizes, and r-hat.

    Returns
    -------
    DataFrame
        Text, with the same index.

    Raises
    ------
    ResultError
        No point estimate, or no interval.
    """
    point, intervals = _located(summary)
    text = _located_text(summary, point, intervals, digits)
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


def rounded(summary: pd.DataFrame) -> pd.DataFrame:
    """How are the numbers of a summary shown on a screen: all columns, without digits that mean nothing?

    Parameters
    ----------
    summary : DataFrame
        From `bayesmargins.summary`; columns that were added are left as they are.

    Returns
    -------
    DataFrame
        Text.
    """
    limits = [c for pair in _intervals(summary).values() for c in pair]
    out = pd.DataFrame(summary)
    if limits:
        # One more than in a table for readers, so that a limit near a border is seen to lie on one side.
        places = decimals(summary[limits].to_numpy(dtype=np.float64)) + 1
        for name in [c for c in (*POINTS, "sd", *limits) if c in out]:
            out[name] = [fixed(v, d) for v, d in zip(summary[name], places, strict=True)]
    for name in out.columns:
        shown_as = _screen_format(str(name))
        if shown_as is not None:
            out[name] = [shown_as(v) for v in summary[name]]
    out.columns.name = scale_said(summary) if summary.columns.name is not None else None
    return out


def note(frame: pd.DataFrame) -> str:
    """What stands beneath a table: what its numbers are, on which scale, and of which estimand.

    Parameters
    ----------
    frame : DataFrame
        A summary, or a table made of it.

    Returns
    -------
    str
    """
    if "note" in frame.attrs:
        return str(frame.attrs["note"])
    scale, said = scale_said(frame), _legend(frame)
    parts = [f"{scale[:1].upper()}{scale[1:]}{f', {said}' if said else ''}."]
    rope = frame.attrs.get("rope")
    if rope is not None and "p_rope" in frame:
        within = next((str(c)[len(_WITHIN) :] for c in frame.columns if str(c).startswith(_WITHIN)), None)
        rule = f"; decided by the {within}% HDI (Kruschke 2018)" if within and "decision" in frame else ""
        parts.append(f"ROPE: {rope[0]:g} to {rope[1]:g}{rule}.")
    unknown = "The estimand is not known: the table was put together from several."
    return " ".join([*parts, said_of(frame, unknown)])


def labels(index: pd.Index) -> list[list[str]]:
    """Labels of every row as text, one for each level of the index."""
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    return [[_label(v) for v in row] for row in zip(*levels, strict=True)]


def _label(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _intervals(summary: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """``89% ETI`` -> its two columns."""
    found = [(m, str(c)) for c in summary.columns if (m := _INTERVAL.fullmatch(str(c)))]
    return {
        f"{m[2]}% {m[1].upper()}": (name, f"{name[:-2]}ub") for m, name in found if f"{name[:-2]}ub" in summary.columns
    }


def _located(summary: pd.DataFrame) -> tuple[str, dict[str, tuple[str, str]]]:
    point = next((p for p in POINTS if p in summary.columns), None)
    intervals = _intervals(summary)
    if point is None or not intervals:
        raise ResultError(
            f"A table needs a point estimate ({', '.join(POINTS)}) and an interval (eti89_lb, eti89_ub), and the "
            f"columns are {listed(summary.columns)}. Give it what bayesmargins.summary returned, or rows of it."
        )
    return point, intervals


def _located_text(
    summary: pd.DataFrame, point: str, intervals: dict[str, tuple[str, str]], digits: int | None
) -> dict[str, list[str]]:
    """Point and interval in one cell; beside each other where there are several intervals."""
    columns = [point, *(c for pair in intervals.values() for c in pair)]
    values = summary[columns].to_numpy(dtype=np.float64)
    places = decimals(values[:, 1:], digits)
    rows = [[fixed(v, d) for v in row] for row, d in zip(values, places, strict=True)]
    points = [row[0] for row in rows]
    limits = {name: [f"[{row[2 * k + 1]}, {row[2 * k + 2]}]" for row in rows] for k, name in enumerate(intervals)}
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
    if name == "decision":
        return "decision", lambda v: v if isinstance(v, str) else "NaN"
    return name, None


def _screen_format(name: str) -> Callable[[float], str] | None:
    if name in ("ess_bulk", "ess_tail"):
        return lambda v: fixed(v, 0)
    if name in ("r_hat", "pd", "p_rope") or name.startswith(("p_gt_", _WITHIN)):
        return lambda v: fixed(v, 3)
    return (lambda v: "NaN" if math.isnan(v) else f"{v:.2g}") if name == "mcse" else None


def _legend(summary: pd.DataFrame) -> str:
    """``posterior median and 89% equal-tailed interval``; of draws that are neither, what they are."""
    point = next((p for p in POINTS if p in summary.columns), None)
    kinds: dict[str, list[str]] = {}
    for name in _intervals(summary):
        prob, kind = name.split()
        kinds.setdefault(kind.lower(), []).append(prob)
    said = [_joined(probs, KINDS[kind]) for kind, probs in kinds.items()]
    of = summary.attrs.get("draws_of", "posterior")
    whose = of in ("posterior", "prior")
    legend = " and ".join([*([f"{of} {point}" if whose else point] if point else []), *said])
    return legend if whose else f"{legend} of draws ({of})"


def _joined(probs: Sequence[str], kind: str) -> str:
    return f"{' and '.join(probs)} {kind} interval{'s' if len(probs) > 1 else ''}"
