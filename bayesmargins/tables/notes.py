"""What stands above a table and beneath it: a short caption, and a note that says all once."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from bayesmargins.labelling import joined
from bayesmargins.provenance import is_original, provenance_of
from bayesmargins.tables.arguments import KINDS, MIXED, POINTS
from bayesmargins.tables.describing import SEVERAL, scale_of, scales_along
from bayesmargins.tables.intervals import intervals_of
from bayesmargins.tables.needed import event_of, legend_of_needed
from bayesmargins.tables.unchanged import is_changed, said_of, scale_said

__all__ = [
    "capital",
    "caption",
    "event_told",
    "legend",
    "note",
    "noun_of",
    "poor",
    "sentences",
]

_WITHIN = "p_rope_hdi"
_IMPUTED = (
    "Share of imputation: of the variance of the draws, that between imputations; chains are judged within imputations"
)
_UNKNOWN = "The estimand is not known: the table was put together from several."


def noun_of(ds: xr.Dataset) -> str:
    """What the numbers of a result are, as a noun: ``"difference in probability"``."""
    if event_of(ds):
        return "number needed to treat"
    scale, kind = scale_of(ds), provenance_of(ds).kind
    if SEVERAL not in scale:
        return scale
    if kind in MIXED and is_original(ds):
        return f"{kind} of {provenance_of(ds).scale}"
    _, scales = scales_along(ds) or ("", [scale])
    return joined(list(dict.fromkeys(map(str, scales))))


def caption(frame: pd.DataFrame) -> str:
    """What a table shows, in a few words: ``"Risk difference for bad, drug - placebo, averaged over new groups"``."""
    if "caption" in frame.attrs:
        return str(frame.attrs["caption"])
    scale = str(scale_said(frame))
    return capital(scale if is_changed(frame) else ", ".join(frame.attrs.get("clause", (scale,))))


def note(frame: pd.DataFrame) -> str:
    """What stands beneath a table: its point and intervals, its region, its estimand, and draws that are too few."""
    if "note" in frame.attrs:
        return str(frame.attrs["note"])
    return " ".join([*legend(frame), *sentences(frame)])


def legend(frame: pd.DataFrame) -> list[str]:
    """Sentences on the columns: ``Posterior median and 89% equal-tailed interval.``"""
    said, event = _summarised(frame), event_told(frame)
    parts = [capital(f"{said} of the difference, inverted" if event and said else said)] if said else []
    parts += [legend_of_needed(event)] if event else []
    rope = frame.attrs.get("rope")
    if rope is not None and "p_rope" in frame:
        within = next((str(c)[len(_WITHIN) :] for c in frame.columns if str(c).startswith(_WITHIN)), None)
        rule = f"; decided by the {within}% HDI (Kruschke 2018)" if within and "decision" in frame else ""
        parts.append(f"ROPE: {rope[0]:g} to {rope[1]:g}{rule}")
    parts += [_IMPUTED] if "imputation_share" in frame else []
    return [f"{part}." for part in parts]


def event_told(frame: pd.DataFrame) -> str:
    """What one more event is, where these numbers are told as numbers needed to treat; empty where they are not."""
    return "" if is_changed(frame) else str(frame.attrs.get("event", ""))


def capital(text: str) -> str:
    """The first letter as that of a sentence."""
    return f"{text[:1].upper()}{text[1:]}"


def sentences(frame: pd.DataFrame) -> list[str]:
    """The estimand, and what is wrong with the draws where the columns that would show it are left out."""
    return [said_of(frame, _UNKNOWN), *poor(frame)]


def poor(frame: pd.DataFrame) -> list[str]:
    """What is wrong with the draws, where the columns that would show it are left out."""
    return [] if "r_hat" in frame else list(frame.attrs.get("poor", []))


def _summarised(summary: pd.DataFrame) -> str:
    """``posterior median and 89% equal-tailed interval``; of draws that are neither, what they are."""
    point = next((p for p in POINTS if p in summary.columns), None)
    kinds: dict[str, list[str]] = {}
    for name in intervals_of(summary):
        prob, kind = name.split()
        kinds.setdefault(kind.lower(), []).append(prob)
    said = [f"{joined(probs)} {KINDS[kind]} interval{'s' if len(probs) > 1 else ''}" for kind, probs in kinds.items()]
    of = summary.attrs.get("draws_of", "posterior")
    whose = of in ("posterior", "prior")
    text = " and ".join([*([f"{of} {point}" if whose else point] if point else []), *said])
    return text if whose or not text else f"{text} of draws ({of})"
