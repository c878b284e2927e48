"""What an entry of `names=` is taken from: a user's variable or a part of it, its dims in a known order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.adapters.pymc.roles import Role, split_top, stem_of
from bayesmargins.draws import in_the_order_of, real_numbers
from bayesmargins.errors import PosteriorError, close_matches, listed, shown
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import called, chunked

__all__ = ["along_parts", "labels_of", "own_order", "positions", "rest_of", "take", "with_shape"]

_PART = re.compile(r"(.+?)\[(.*)\]", re.DOTALL)


def take(draws: xr.Dataset, role: Role, source: Any, *, later: bool = False) -> xr.DataArray:
    """The values (chain, draw, ...) that the user means by a name, pair, function of the Dataset, array or number.

    ``"beta"``, ``"beta[x]"``, ``"ab[:, 0]"``, ``("beta", "x")`` and ``("ab", {"term": "x"})`` are such names and pairs.
    `later`: chunks of dask may stay what they are; they are finite or not once they are read.
    """
    if callable(source):
        source = _called(draws, role, source)
    if isinstance(source, int | float | np.number) and not isinstance(source, bool):
        shape = tuple(draws.sizes[d] for d in SAMPLE_DIMS)
        return xr.DataArray(np.full(shape, float(source)), dims=SAMPLE_DIMS)
    values = source if isinstance(source, xr.DataArray) else _of_text(draws, role, source)
    if not set(SAMPLE_DIMS) <= set(values.dims) or any(values.sizes[d] != draws.sizes[d] for d in SAMPLE_DIMS):
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(values)}; the dims chain ({draws.sizes['chain']}) "
            f"and draw ({draws.sizes['draw']}) must be among theirs."
        )
    values = in_the_order_of(values, draws, f"What {role.text!r} is taken from", "the other draws")
    values = values.transpose(*SAMPLE_DIMS, ...)
    later = later and chunked(values)
    given = values.data if later else values.to_numpy()
    values = values.copy(data=real_numbers(given, f"What {role.text!r} is taken from"))
    if not later:
        _refuse_missing(values, role, source)
    return values


def _called(draws: xr.Dataset, role: Role, source: Any) -> Any:
    """What the user's function makes of the draws."""
    what = f"names takes {role.text!r} from a function of the draws ({_listing(draws)}), which"
    return called(what, source, draws, refused=PosteriorError)


def _listing(draws: xr.Dataset) -> str:
    return ", ".join(f"{n} {with_shape(v)}" for n, v in list(draws.data_vars.items())[:30])


def _of_text(draws: xr.Dataset, role: Role, source: Any) -> xr.DataArray:
    if isinstance(source, str) and source not in draws and (match := _PART.fullmatch(source)):
        source = (match[1], *split_top(match[2], ","))
    name, *index = source if isinstance(source, tuple) and source else (source,)
    if not isinstance(name, str):
        raise PosteriorError(
            f"names takes {role.text!r} from {shown(source)}; allowed are the name of a variable, 'beta[x]' or "
            "('beta', 0) for a part of one, a function of the draws, a DataArray, a number."
        )
    if name not in draws.data_vars:
        raise PosteriorError(
            f"names takes {role.text!r} from {name!r}, which is no variable of the draws."
            f"{close_matches(name, draws.data_vars)} The draws have {_listing(draws)}."
        )
    values = draws[name].transpose(*SAMPLE_DIMS, ...)
    if len(index) == 1 and isinstance(index[0], dict):
        pairs = list(index[0].items())
    else:
        pairs = list(zip(rest_of(values), index, strict=False))
    unknown = [d for d, _ in pairs if d not in rest_of(values)]
    if unknown or len(index) > max(len(rest_of(values)), 1) or (index and not rest_of(values)):
        raise PosteriorError(
            f"names takes {role.text!r} from {shown(source)}, and {name!r} has {with_shape(values)} for each draw."
        )
    for dim, item in pairs:
        values = _pick(values, dim, item, name)
    return values


def _pick(values: xr.DataArray, dim: Any, item: Any, name: str) -> xr.DataArray:
    """By label; by position where the labels are no numbers."""
    if item in (":", "...") or item is Ellipsis or item == slice(None):
        return values
    labels = _texts(values, dim)
    if str(item) in labels:
        return values.isel({dim: labels.index(str(item))})
    whole = isinstance(item, int | np.integer) or re.fullmatch(r"-?\d+", str(item))
    by_number = labels_of(values, dim) is not None and all(re.fullmatch(r"-?\d+", n) for n in labels)
    if whole and not by_number and -len(labels) <= int(item) < len(labels):
        return values.isel({dim: int(item)})
    raise PosteriorError(
        f"{name!r} has no {item!r} along {dim!r}; there are {listed(labels)}.{close_matches(item, labels)}"
    )


def _refuse_missing(values: xr.DataArray, role: Role, source: Any) -> None:
    bad = ~np.isfinite(values.to_numpy())
    if not bad.any():
        return
    chain, draw = np.argwhere(bad.reshape(*bad.shape[:2], -1).any(axis=2))[0]
    raise PosteriorError(
        f"{role.text!r}, taken from {shown(source)}, holds {int(bad.sum())} values that are NaN or infinite, the first "
        f"in chain {chain}, draw {draw}. Chains of different lengths are filled up with NaN: cut all to the shortest, "
        "idata.sel(draw=slice(...))."
    )


def rest_of(values: xr.DataArray) -> list[str]:
    """Dims beside chain and draw."""
    return [str(d) for d in values.dims if d not in SAMPLE_DIMS]


def with_shape(values: xr.DataArray) -> str:
    """``(county: 85)``."""
    return f"({', '.join(f'{d}: {values.sizes[d]}' for d in rest_of(values))})"


def labels_of(values: xr.DataArray, dim: str) -> list[str] | None:
    """Labels along a dim as text; None where they only count 0, 1, 2, ..., as ArviZ does for want of labels."""
    if dim not in values.coords:
        return None
    labels = _texts(values, dim)
    return None if labels == [str(k) for k in range(len(labels))] else labels


def _texts(values: xr.DataArray, dim: str) -> list[str]:
    """As pandas prints them: zarr gives text in a type that NumPy does not cast, and times print in several ways."""
    return [str(v) for v in values[dim].to_index()]


def positions(labels: Sequence[str], wanted: Sequence[Any]) -> list[int] | None:
    """Where each of the wanted labels stands; None unless they are the same set."""
    spellings = [_spellings(str(w)) for w in wanted]
    if len({str(stem_of(str(w))) for w in wanted}) > 1:
        spellings = [s[:-1] if stem_of(s[0]) else s for s in spellings]
    found = [[k for k, label in enumerate(labels) if label in names] for names in spellings]
    if len(labels) != len(wanted) or any(len(f) != 1 for f in found) or len({f[0] for f in found}) < len(labels):
        return None
    return [f[0] for f in found]


def _spellings(label: str) -> list[str]:
    if label == "Intercept":
        return ["Intercept", "intercept", "1", "(Intercept)"]
    stem = stem_of(label)
    return [label] if stem is None else [label, label[len(stem) + 1 : -1]]


def own_order(values: xr.DataArray, dim: str, role: Role) -> tuple[str, ...]:
    """The parts of a role in the order in which the values along a dim hold them."""
    n = len(role.parts)
    if values.sizes[dim] != n:
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(values)}; {n} along {dim!r} are needed: "
            f"{listed(role.parts)}."
        )
    labels = labels_of(values, dim)
    if labels is None:
        return role.parts
    places = positions(labels, role.parts)
    if places is not None:
        return tuple(part for _, part in sorted(zip(places, role.parts, strict=True)))
    if role.spelt_out:
        return role.parts
    written = f"'{role.kind}({', '.join(role.parts)}|{role.factor})'" if role.factor else str(role.parts)
    raise PosteriorError(
        f"{role.text!r} is taken from values labelled {listed(labels)} along {dim!r}, and its parts are "
        f"{listed(role.parts)}. List them in the order of the values, as the role {written}, or name each by itself, "
        f"as in {role.parts[0]!r}: 'variable[{labels[0]}]'."
    )


def along_parts(values: xr.DataArray, role: Role) -> dict[str, np.ndarray]:
    """Values of each part of a role, where at most one dim is left: (chain, draw) each."""
    dims = rest_of(values)
    if not dims and len(role.parts) == 1:
        return {role.parts[0]: values.to_numpy()}
    if len(dims) != 1:
        needed = f"one dim with {len(role.parts)} values ({listed(role.parts)})" if len(role.parts) > 1 else "no dim"
        raise PosteriorError(
            f"{role.text!r} is taken from values with {with_shape(values)}; {needed} beside chain and draw is needed. "
            "A part of a variable is written 'beta[x]' or ('beta', 0)."
        )
    order = own_order(values, dims[0], role)
    return {part: values.isel({dims[0]: k}).to_numpy() for k, part in enumerate(order)}
