"""One covariance of a factor's effects on several linear predictors, as it is given: kept whole, and taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import PosteriorError, listed
from bayesmargins.predictors import acting
from bayesmargins.schema import SAMPLE_DIMS, stem

__all__ = ["taken_apart"]

Terms = Mapping[str, Sequence[str]]


def taken_apart(Sigma: Any, parts: Any, designs: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Sigma of the mean, the other predictors with theirs, and by factor what is over several of them.

    `designs` are those of all linear predictors, the first of which is that of Sigma itself. What is no covariance over
    several is left as it is.
    """
    if not isinstance(Sigma, Mapping):
        return Sigma, parts, {}
    joint, own, others = {}, dict(Sigma), {name: dict(given) for name, given in (parts or {}).items()}
    for factor, values in Sigma.items():
        terms = acting(designs, factor) if isinstance(factor, str) else {}
        if len(terms) < 2 or _size(values) != sum(map(len, terms.values())):
            continue
        joint[factor] = whole = _in_order(values, factor, terms)
        del own[factor]
        start = 0
        for name, of in terms.items():
            block = whole[..., start : start + len(of), start : start + len(of)]
            start += len(of)
            if name == next(iter(designs)):
                own[factor] = block
            else:
                others[name]["Sigma"] = _with(others[name].get("Sigma"), factor, block, name)
    return own, others, joint


def _with(given: Any, factor: str, block: Any, name: str) -> Any:
    if given is not None and not isinstance(given, Mapping):
        return given
    if factor in (given or {}):
        raise PosteriorError(
            f"Sigma[{factor!r}] is over all linear predictors, and parts[{name!r}]['Sigma'] has {factor!r} too: leave "
            "the one of the two out."
        )
    return {**(given or {}), factor: block}


def _size(values: Any) -> int:
    """How many effects is it of? 0 where it is no array (chain, draw, effect, effect)."""
    if isinstance(values, xr.DataArray):
        return values.shape[-1] if values.ndim == 4 and values.dims[-1] not in SAMPLE_DIMS else 0
    try:
        shape = np.shape(values)
    except ValueError:
        return 0
    return shape[-1] if len(shape) == 4 else 0


def _in_order(values: Any, factor: str, terms: Terms) -> Any:
    """Effects in the order of the designs, by linear predictor and term where they are labelled."""
    if not isinstance(values, xr.DataArray):
        return np.asarray(values)
    if not set(SAMPLE_DIMS) <= set(values.dims):
        raise PosteriorError(f"Sigma[{factor!r}] has the dims {values.dims}; 'chain' and 'draw' must be among them.")
    values = values.transpose(*SAMPLE_DIMS, ...)
    for number, dim in zip(("", "2"), values.dims[2:], strict=True):
        if dim in values.coords:
            of = values.coords.get(f"{stem(factor)}_predictor{number}")
            values = values.isel({dim: _positions(values[dim], of, factor, terms)})
    return values.to_numpy()


def _positions(labels: xr.DataArray, of: xr.DataArray | None, factor: str, terms: Terms) -> list[int]:
    wanted = [(name, str(term)) for name, own in terms.items() for term in own]
    have = [str(v) for v in labels.to_numpy()]
    if of is None and have == [term for _, term in wanted]:
        return list(range(len(have)))
    pairs = [] if of is None else [(str(p), t) for p, t in zip(of.to_numpy(), have, strict=True)]
    if sorted(pairs) != sorted(wanted):
        said = [f"{name}: {term}" for name, term in wanted]
        raise PosteriorError(
            f"Sigma[{factor!r}] is labelled {listed(have)}, and over all linear predictors its effects are "
            f"{listed(said)}. Name the predictor of each by a coordinate '{stem(factor)}_predictor', or give them in "
            "this order without labels."
        )
    return [pairs.index(pair) for pair in wanted]
