"""Results, and what they say of themselves: one record, to attributes and back, under a seal.

The seal tells whether numbers are still those that were computed: as a whole, and entry by entry, so that a selection
is no change. An entry is known by 32 bits of its draws in their order, of its labels and of what is said of the result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import written
from bayesmargins.schema import ESTIMATE, SAMPLE_DIMS
from bayesmargins.values import plain_value

__all__ = [
    "MOST",
    "Provenance",
    "fingerprint",
    "is_original",
    "make_result",
    "of_several",
    "provenance_of",
    "seal",
    "selected",
]

_NOUNS = {"hypotheses": "hypothesis"}
_UNITS_OF_TIME = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
_SAID = ("estimand", "kind", "of", "scale", "scales", "target", "groups", "comparison", "slope", "draws")

MOST = 4096  # entries with digests: 32 kB of text, and an attribute of HDF5 holds 64
_BLOCK = 2**16  # numbers: what a processor keeps close
_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def _json() -> Any:
    """A field that stands in the attributes as JSON."""
    return field(default=None, metadata={"json": True})


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The attributes of a result by name; None is not written."""

    # the sentence; what made it, and what that was made of: "attenuation" of "comparisons"
    estimand: str | None = None
    noun: str | None = None
    reading: str | None = None
    kind: str | None = None
    of: str | None = None
    scale: str | None = None
    # the model, and what was asked of it
    formula: str | None = None
    family: str | None = None
    link: str | None = None
    target: str | None = None
    parts: Mapping[str, str] | None = _json()
    # what was compared, and how; `versus` has other words for the labels of contrasts
    comparison: str | None = None
    slope: str | None = None
    second: str | None = None
    hypothesis: str | None = None
    along: str | None = None
    versus: Mapping[str, str] | None = _json()
    over: str | None = None
    null: float | None = None
    # the policy of each factor
    groups: Mapping[str, Any] | None = _json()
    group_weights: str | None = None
    # rows, and how columns of the data are called
    rows: int | None = None
    rows_averaged: int | None = None
    by: Sequence[str] | None = _json()
    by_labels: Mapping[str, Any] | None = _json()
    at: Mapping[str, Any] | None = _json()
    factors: Sequence[str] | None = _json()
    derived_columns: Sequence[str] | None = _json()
    weights: str | None = None
    labels: Mapping[str, str] | None = _json()
    # how averages over groups were taken, and how wrong they can be
    integration_method: str | None = None
    integration_nodes: int | None = None
    error_bound: float | None = None
    error_estimate: float | None = None
    error_estimates: Mapping[str, float] | None = _json()
    group_points: int | None = None
    left_out: str | None = None
    # along a dimension, of entries that have another null or scale; why there is no mean over draws
    nulls: Mapping[str, Any] | None = _json()
    scales: Mapping[str, Any] | None = _json()
    no_mean: str | None = None
    # the seed of groups that are drawn, and where the draws are from
    random_seed: int | None = None
    source: str | None = None
    draws: str | None = None
    posterior: str | None = None
    imputations: int | None = None
    divergences: int | None = None
    max_rhat: float | None = None
    bayesmargins_version: str | None = None
    # the seal
    values: int | None = None  # how many: gaps, as those of a cube that lacks combinations, do not count
    fingerprint: str | None = None
    entries: str | None = None
    # what other software or a user wrote beside
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


def make_result(
    values: np.ndarray,
    dims: Iterable[str],
    coords: Mapping[str, Any],
    provenance: Provenance,
    sample_coords: Mapping[str, np.ndarray],
) -> xr.Dataset:
    """The Dataset of values (chain x draw, *dims), chains one after the other: ``estimate`` (chain, draw, *dims).

    Examples
    --------
    >>> make_result(np.zeros((2, 3)), ["row"], {}, Provenance(), {"chain": [0], "draw": [0, 1]})["estimate"].dims
    ('chain', 'draw', 'row')
    """
    n_sample = len(sample_coords["chain"]), len(sample_coords["draw"])
    cube = np.ascontiguousarray(values.reshape(n_sample + values.shape[1:]))
    kind, units = provenance.kind or "", provenance.scale or ""
    # of a picture by xarray; entries on several scales have none, and a file is read as times by some
    unsaid = provenance.scales is not None or "since" in units or units in _UNITS_OF_TIME
    axis = {"long_name": _NOUNS.get(kind, kind.removesuffix("s")), "units": "" if unsaid else units}
    variable = xr.Variable((*SAMPLE_DIMS, *dims), cube, {name: text for name, text in axis.items() if text})
    made = xr.Dataset({ESTIMATE: variable}, coords={**sample_coords, **coords}, attrs=provenance.to_attrs())
    made.attrs |= seal(made)
    return made


def seal(ds: xr.Dataset) -> dict[str, Any]:
    """Attributes by which it is seen later whether entries, or what is said of them, were changed or put together.

    Results of more than `MOST` entries are known as a whole only.
    """
    estimate, said, bits, whole = _read(ds)
    known: dict[str, Any] = {}
    if bits.size <= MOST:
        names = _telling(estimate)
        known = {"by": names, "digests": _digests(bits, estimate, names, said).tobytes().hex()}
    return {"values": int(estimate.count()), "fingerprint": whole, "entries": json.dumps(known)}


def is_original(ds: xr.Dataset) -> bool:
    """Whether values, labels and words are those that were sealed, of all entries or of those that were selected.

    Of results of more than `MOST` entries a selection is not known again, and neither are some of the draws.
    """
    about, (estimate, said, bits, whole) = provenance_of(ds), _read(ds)
    values = estimate.to_numpy()
    if about.entries is None:  # results saved by earlier versions
        return fingerprint(values, said if about.values is not None else "") == about.fingerprint
    if whole == about.fingerprint:
        return True
    known = json.loads(about.entries)
    if not known or not set(known["by"]) <= set(estimate.coords):
        return False
    gaps = np.isnan(values).all(axis=(0, 1))
    found = np.frombuffer(bytes.fromhex(known["digests"]), dtype="<u4")
    return bool(not gaps.all() and (np.isin(_digests(bits, estimate, known["by"], said), found) | gaps.ravel()).all())


def selected(ds: xr.Dataset) -> dict[str, Any]:
    """What was selected: the labels left where there were several, by coordinate."""
    known = json.loads(provenance_of(ds).entries or "{}")
    return {n: ds.coords[n].item() for n in known.get("by", ()) if n in ds.coords and ds.coords[n].ndim == 0}


def _read(ds: xr.Dataset) -> tuple[xr.DataArray, str, np.ndarray, str]:
    """The estimate, what is said of it to the letter, 64 bits an entry, and the fingerprint of all together."""
    estimate = ds[ESTIMATE].transpose(*SAMPLE_DIMS, ...)
    said = json.dumps([str(ds.attrs.get(name, "")) for name in _SAID])
    bits = _of_draws(estimate.to_numpy())
    return estimate, said, bits, _hashed(repr(estimate.shape), bits.astype("<u8").data, said)


def fingerprint(values: np.ndarray, said: str = "") -> str:
    """16 hexadecimal digits that change with any value, with the shape, or with what is said of them.

    Examples
    --------
    >>> fingerprint(np.zeros(2)) == fingerprint(np.zeros(2))
    True
    """
    return _hashed(repr(np.shape(values)), np.ascontiguousarray(values, dtype=np.float64).data, said)


def of_several(each: Iterable[Provenance]) -> str:
    """What stands for the posterior of results that draws of several posteriors were put into."""
    return fingerprint(np.empty(0), " ".join(str(about.posterior) for about in each))


def _telling(estimate: xr.DataArray) -> list[str]:
    """Names of the coordinates that tell entries apart. Those of ``by`` have columns, and rows their number."""
    names: list[str] = []
    for dim in [d for d in estimate.dims[2:] if estimate.sizes[d] > 1]:
        beside = {n: c.variable for n, c in estimate.coords.items() if c.dims == (dim,) and n != dim}
        along = [n for n, labels in beside.items() if len(set(_texts(labels))) > 1]
        own = [dim] if dim in estimate.coords and not (dim == "by" and along) else []
        names += map(str, own if dim == "row" and own else [*own, *along])
    return names


def _texts(coordinate: xr.Variable) -> list[str]:
    """Labels as text, numbers alike whatever their type: files and pandas may change it."""
    values = coordinate.to_numpy().ravel().tolist()
    if all([isinstance(v, str) for v in values]):
        return values
    return [repr(float(v)) if isinstance(v, int | float) else written(v) for v in values]


def _digests(bits: np.ndarray, estimate: xr.DataArray, names: Iterable[str], said: str) -> np.ndarray:
    """(entry,) of 32 bits: values, labels and words."""
    labels = np.full(estimate.shape[2:], int(_hashed(said), 16), dtype=np.uint64)
    for name in names:
        of = estimate.coords[name].variable.transpose(*estimate.dims[2:], missing_dims="ignore")
        hashed = np.array([int(_hashed(name, "=", text), 16) for text in _texts(of)], dtype=np.uint64)
        labels += hashed.reshape(
            [n if d in of.dims else 1 for d, n in zip(estimate.dims, estimate.shape, strict=True)][2:]
        )
    return (_mixed(bits ^ _mixed(labels.ravel())) >> _HALF).astype("<u4")


def _of_draws(values: np.ndarray) -> np.ndarray:
    """(entry,) of 64 bits that any draw changes, and their order: a sum of mixed bits times an odd number a draw."""
    draws = values.reshape(values.shape[0] * values.shape[1], math.prod(values.shape[2:]))
    weights = _mixed(np.arange(1, len(draws) + 1, dtype=np.uint64) * _ODD) | np.uint64(1)
    total = np.zeros(draws.shape[1], dtype=np.uint64)
    step = max(1, _BLOCK // max(1, draws.shape[1]))
    for first in range(0, len(draws), step):
        block = draws[first : first + step].astype(np.float64)
        block += 0.0  # -0 is 0
        bits = block.view(np.uint64)
        bits *= _ODD
        bits ^= bits >> _HALF  # without it a change of all signs or exponents could cancel
        bits *= weights[first : first + step, None]
        total += bits.sum(axis=0, dtype=np.uint64)
    return _mixed(total)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> _HALF)) * _ODD
    return np.asarray(bits ^ (bits >> _HALF))


def _hashed(*pieces: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for piece in pieces:
        digest.update(piece.encode() if isinstance(piece, str) else piece)
    return digest.hexdigest()
