"""Whether numbers are still those that were computed: as a whole, and entry by entry, so that a selection is no change.

An entry is known by 32 bits of its draws in their order, of its labels and of what is said of the result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import written
from bayesmargins.provenance import Provenance

__all__ = ["MOST", "count", "fingerprint", "is_sealed", "sealed", "telling"]

MOST = 4096  # entries with digests: 32 kB of text, and an attribute of HDF5 holds 64
_BLOCK = 2**16  # numbers: what a processor keeps close
_ODD = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def fingerprint(values: np.ndarray, said: str = "") -> str:
    """Are these still the numbers that the provenance describes?

    Parameters
    ----------
    values : ndarray
        The estimates.
    said : str
        What is said of them.

    Returns
    -------
    str
        16 hexadecimal digits that change with any value, with the shape, or with what is said.

    Examples
    --------
    >>> fingerprint(np.zeros(2)) == fingerprint(np.zeros(2))
    True
    """
    return _hashed(repr(np.shape(values)), np.ascontiguousarray(values, dtype=np.float64).data, said)


def count(values: np.ndarray) -> int:
    """How many numbers are there? Gaps, as those of a cube that lacks combinations, do not count."""
    return int(np.count_nonzero(~np.isnan(values)))


def sealed(estimate: xr.DataArray, said: str) -> dict[str, Any]:
    """The fields of `Provenance` by which changes are seen later, from (chain, draw, ...) with its coordinates.

    Results of more than `MOST` entries are known as a whole only.
    """
    values = estimate.to_numpy()
    bits, names = _of_draws(values), telling(estimate)
    known = {"by": names, "digests": _digests(bits, estimate, names, said).tobytes().hex()} if bits.size <= MOST else {}
    return {"values": count(values), "fingerprint": _whole(bits, values.shape, said), "entries": json.dumps(known)}


def is_sealed(estimate: xr.DataArray, about: Provenance, said: str) -> bool:
    """Whether each entry has the values, the labels and the words that were sealed; fewer of them do not matter."""
    values = estimate.to_numpy()
    if about.entries is None:  # results saved by earlier versions
        return fingerprint(values, said if about.values is not None else "") == about.fingerprint
    bits, known = _of_draws(values), json.loads(about.entries)
    if _whole(bits, values.shape, said) == about.fingerprint:
        return True
    if not known or not set(known["by"]) <= set(estimate.coords):
        return False
    gaps = np.isnan(values).all(axis=(0, 1))
    found = np.frombuffer(bytes.fromhex(known["digests"]), dtype="<u4")
    return bool(not gaps.all() and (np.isin(_digests(bits, estimate, known["by"], said), found) | gaps.ravel()).all())


def telling(estimate: xr.DataArray) -> list[str]:
    """Names of the coordinates that tell entries apart. Those of ``by`` have columns, and rows their number."""
    names: list[str] = []
    for dim in (d for d in estimate.dims[2:] if estimate.sizes[d] > 1):
        along = [n for n, c in estimate.coords.items() if c.dims == (dim,) and n != dim and _varies(c.variable)]
        own = [dim] if dim in estimate.coords and not (dim == "by" and along) else []
        names += map(str, own if dim == "row" and own else [*own, *along])
    return names


def _varies(coordinate: xr.Variable) -> bool:
    return len(set(_texts(coordinate))) > 1


def _texts(coordinate: xr.Variable) -> Iterable[str]:
    """Labels as text, numbers alike whatever their type: files and pandas may change it."""
    values = coordinate.to_numpy().ravel().tolist()
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


def _whole(bits: np.ndarray, shape: tuple[int, ...], said: str) -> str:
    return _hashed(repr(shape), bits.astype("<u8").data, said)


def _hashed(*pieces: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for piece in pieces:
        digest.update(piece.encode() if isinstance(piece, str) else piece)
    return digest.hexdigest()
