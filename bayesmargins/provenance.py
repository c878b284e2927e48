"""What a result says of itself: one record, and one way to the attributes of a Dataset and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import xarray as xr

from bayesmargins.values import plain_value

__all__ = ["Provenance", "provenance_of"]


def _json() -> Any:
    """A field that stands in the attributes as JSON."""
    return field(default=None, metadata={"json": True})


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The attributes of a result by name; None is not written.

    Attributes
    ----------
    estimand : str
        The sentence.
    noun, reading
        What is predicted, ``"probability of bad"``, and what an average over groups makes of it.
    kind, of : str
        What made it, and what that was made of: ``attenuation`` of ``comparisons``.
    scale, scales, nulls, no_mean
        Of all entries; along a dimension, of entries that have another one, or another null; why no mean over draws.
    formula, family, link, parts, target
        The model, and what was asked of it.
    comparison, slope, second, versus, hypothesis, along, over, null
        What was compared, and how; `versus` has other words for the labels of contrasts.
    groups, group_weights, random_seed
        The policy of each factor.
    rows, rows_averaged, by, by_labels, at, factors, derived_columns, weights, labels
        Rows, and how columns of the data are called.
    integration_method, integration_nodes, error_bound, error_estimate, error_estimates, group_points, left_out
        How averages over groups were taken, and how wrong they can be.
    source, draws, posterior, divergences, max_rhat, bayesmargins_version
        Where the draws are from.
    values, fingerprint, entries
        The seal.
    others : dict
        What other software or a user wrote beside.
    """

    estimand: str | None = None
    noun: str | None = None
    reading: str | None = None
    kind: str | None = None
    of: str | None = None
    scale: str | None = None
    formula: str | None = None
    family: str | None = None
    link: str | None = None
    target: str | None = None
    parts: Mapping[str, str] | None = _json()
    comparison: str | None = None
    slope: str | None = None
    second: str | None = None
    hypothesis: str | None = None
    along: str | None = None
    versus: Mapping[str, str] | None = _json()
    over: str | None = None
    null: float | None = None
    groups: Mapping[str, Any] | None = _json()
    group_weights: str | None = None
    rows: int | None = None
    rows_averaged: int | None = None
    by: Sequence[str] | None = _json()
    by_labels: Mapping[str, Any] | None = _json()
    at: Mapping[str, Any] | None = _json()
    factors: Sequence[str] | None = _json()
    derived_columns: Sequence[str] | None = _json()
    weights: str | None = None
    labels: Mapping[str, str] | None = _json()
    integration_method: str | None = None
    integration_nodes: int | None = None
    error_bound: float | None = None
    error_estimate: float | None = None
    error_estimates: Mapping[str, float] | None = _json()
    group_points: int | None = None
    left_out: str | None = None
    nulls: Mapping[str, Any] | None = _json()
    scales: Mapping[str, Any] | None = _json()
    no_mean: str | None = None
    random_seed: int | None = None
    source: str | None = None
    draws: str | None = None
    posterior: str | None = None
    divergences: int | None = None
    max_rhat: float | None = None
    bayesmargins_version: str | None = None
    values: int | None = None
    fingerprint: str | None = None
    entries: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    def to_attrs(self) -> dict[str, str | int | float]:
        """Texts and numbers, as netCDF stores them."""
        said = {name: value for name, value in vars(self).items() if name in _FIELDS and value is not None}
        return {k: json.dumps(v) if _FIELDS[k] else v for k, v in said.items()} | dict(self.others)

    @classmethod
    def from_attrs(cls, attrs: Mapping[Any, Any]) -> Provenance:
        """Of any version; a text in the place of JSON is somebody else's."""
        known: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for name, value in attrs.items():
            if name not in _FIELDS:
                others[name] = _plain(value)
                continue
            try:
                known[name] = json.loads(str(value)) if _FIELDS[name] else _plain(value)
            except ValueError:
                others[name] = _plain(value)
        return cls(**known, others=others)


_FIELDS: dict[str, bool] = {f.name: bool(f.metadata) for f in fields(Provenance) if f.name != "others"}
"""By name, whether it is JSON."""


def provenance_of(ds: xr.Dataset) -> Provenance:
    """What a result, or arithmetic on one that kept its attributes, says of itself."""
    return Provenance.from_attrs(ds.attrs)


def _plain(value: Any) -> str | int | float:
    value = plain_value(value)
    return value if isinstance(value, str | int | float) else str(value)
