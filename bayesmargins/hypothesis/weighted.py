"""Contrasts given as weights: an array, or a table with labels."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmargins.errors import EstimandError, close_matches, listed, shown
from bayesmargins.hypothesis.entries import Entries, Made, bracketed, labels_along, shortened, text, weighted_sum
from bayesmargins.values import numbers

__all__ = ["weighted"]


def weighted(entries: Entries, spec: Any) -> Made:
    """Weighted sums of the entries by weights (k,) or (k, contrast), whose labels put them in the entries' order."""
    weights, labels = _table(entries, spec)
    if not np.isfinite(weights).all():
        raise EstimandError(f"spec has weights that are missing or infinite: {shown(weights.tolist())}.")
    empty = np.flatnonzero(~weights.any(axis=0))
    if len(empty) or not weights.shape[1]:
        raise EstimandError("spec has a contrast in which every weight is 0: it compares nothing. Leave it out.")
    entries.check_size(weights.shape[1], "Give fewer contrasts.")
    labels = _readable(entries, weights) if labels is None else labels
    values = np.stack([weighted_sum(entries.draws, column) for column in weights.T])
    said = f"Weighted sums ({shortened(labels)}) of"
    written = weights.T.tolist()
    return Made(values, tuple(labels), said, "weighted sum", json.dumps(written if len(written) > 1 else written[0]))


def _table(entries: Entries, spec: Any) -> tuple[np.ndarray, list[str] | None]:
    """Weights (entry, contrast) in the order of the entries, and the labels of contrasts where there are any."""
    if isinstance(spec, xr.DataArray):
        return _labelled(entries, spec)
    if isinstance(spec, pd.Series | pd.DataFrame):
        dims = [entries.along, "contrast"][: spec.ndim]
        coords = dict(zip(dims, [spec.index, *([spec.columns] if spec.ndim == 2 else [])], strict=True))
        if isinstance(spec.index, pd.RangeIndex) and [text(v) for v in spec.index] != list(entries.labels):
            del coords[entries.along]
        return _labelled(entries, xr.DataArray(_numbers(spec), dims=dims, coords=coords))
    return _by_order(entries, _numbers(spec)), None


def _numbers(spec: Any) -> np.ndarray:
    try:
        return numbers(spec)
    except ValueError as error:
        raise EstimandError(
            f"spec={shown(spec)} is no table of weights: they must be numbers, the same count for every entry."
        ) from error


def _by_order(entries: Entries, weights: np.ndarray) -> np.ndarray:
    k = len(entries.labels)
    if weights.ndim not in (1, 2) or weights.shape[0] != k:
        turned = weights.ndim == 2 and weights.shape[1] == k
        hint = " Turned round (spec.T) it would fit: there is a row for each entry." if turned else ""
        raise EstimandError(
            f"spec has the shape {weights.shape}; along {entries.along!r} there are {k} entries ({entries.listing}), "
            f"so that weights have the shape ({k},), or ({k}, number of contrasts).{hint}"
        )
    return weights.reshape(k, -1)


def _labelled(entries: Entries, spec: xr.DataArray) -> tuple[np.ndarray, list[str] | None]:
    if entries.along not in spec.dims or spec.ndim > 2:
        raise EstimandError(
            f"spec is a DataArray with the dims {listed(spec.dims)}; it needs {entries.along!r}, along which entries "
            "are compared, and may have one more, 'contrast'."
        )
    other = [str(d) for d in spec.dims if d != entries.along]
    spec = spec.transpose(entries.along, ...)
    weights = _by_order(entries, _numbers(spec.to_numpy()))
    if entries.along in spec.coords:
        weights = weights[_order(entries, [text(v) for v in spec[entries.along].to_numpy().tolist()])]
    return weights, labels_along(spec, other[0]) if other and other[0] in spec.coords else None


def _order(entries: Entries, labels: list[str]) -> list[int]:
    unknown = [x for x in labels if x not in entries.labels]
    if unknown or len(set(labels)) < len(labels):
        what = f"names {listed(unknown)}, which is no entry" if unknown else "names an entry twice"
        raise EstimandError(
            f"spec {what}; along {entries.along!r} there are {listed(entries.labels)}."
            f"{close_matches(unknown[0], entries.labels) if unknown else ''}"
        )
    return [labels.index(x) for x in entries.labels]


def _readable(entries: Entries, weights: np.ndarray) -> list[str]:
    """``drug - placebo``, ``0.5 drug + 0.5 drug+ - placebo``; a number where that would be long or the same twice."""
    labels = [_sum(entries, column) for column in weights.T]
    return [x if x and labels.count(x) == 1 else f"contrast {c}" for c, x in enumerate(labels, start=1)]


def _sum(entries: Entries, weights: np.ndarray) -> str:
    order = sorted(np.flatnonzero(weights), key=lambda k: weights[k] < 0)
    if len(order) > 4:
        return ""
    parts = []
    for k in order:
        size = "" if abs(weights[k]) == 1 else f"{abs(weights[k]):.6g} "
        parts += ["-" if weights[k] < 0 else "+", f"{size}{bracketed(entries.labels[k])}"]
    first = "" if parts[0] == "+" else "-"
    return first + " ".join(parts[1:])
