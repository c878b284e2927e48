"""Draws of the linear predictors of categories, given together along a dimension ``category``, taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.design import Design
from bayesmargins.draws import real_numbers
from bayesmargins.errors import PosteriorError, listed
from bayesmargins.schema import SAMPLE_DIMS

__all__ = ["predictors_apart"]

_AFTER = {"beta": ("coef",), "b": ("level", "term"), "Sigma": ("term", "term")}


def predictors_apart(
    designs: Mapping[str, Design], beta: Any, b: Any, Sigma: Any, parts: Any
) -> tuple[Any, Any, Any, dict[str, dict[str, Any]]]:
    """beta, b and Sigma of the first of these linear predictors, and `parts` as `from_draws` takes them of the others.

    Sigma (chain, draw, effect, effect) of all effects, those of one category after those of another, stays as it is.
    """
    if parts is not None:
        raise PosteriorError(
            f"parts is given, and the linear predictors here are those of the categories {listed(_labels(designs))}: "
            "beta (chain, draw, category, coef) has the draws of all of them, and so have b and Sigma."
        )
    names, joint = list(designs), _all_effects(Sigma, designs)
    of_all = {"beta": beta, "b": b or {}, "Sigma": {f: v for f, v in (Sigma or {}).items() if f not in joint}}
    each = [{key: _of(values, k, key, designs) for key, values in of_all.items()} for k in range(len(names))]
    others = {n: {"formula": designs[n].formula, **of} for n, of in zip(names[1:], each[1:], strict=True)}
    return each[0]["beta"], each[0]["b"] if b is not None else None, each[0]["Sigma"] | joint, others


def _labels(designs: Mapping[str, Design]) -> Sequence[Any]:
    return next(iter(designs.values())).response.categories[1:]


def _all_effects(Sigma: Any, designs: Mapping[str, Design]) -> dict[str, Any]:
    """Covariances that are over all linear predictors: four dimensions in place of five."""
    if not isinstance(Sigma, Mapping):
        return {}
    sizes = {f: len(designs) * len(factor.terms) for f, factor in next(iter(designs.values())).factors.items()}
    shapes = {f: np.shape(v) for f, v in Sigma.items()}
    return {f: Sigma[f] for f, shape in shapes.items() if len(shape) == 4 and sizes.get(f, shape[-1]) == shape[-1]}


def _of(values: Any, k: int, what: str, designs: Mapping[str, Design]) -> Any:
    """The draws of the k-th linear predictor."""
    if isinstance(values, Mapping) and not isinstance(values, xr.Dataset):
        return {name: _of_array(v, k, f"{what}[{name!r}]", what, designs) for name, v in values.items()}
    return _of_array(values, k, what, what, designs) if what == "beta" else values


def _of_array(values: Any, k: int, name: str, what: str, designs: Mapping[str, Design]) -> Any:
    labels, after = _labels(designs), _AFTER[what]
    if isinstance(values, xr.DataArray) and "category" in values.dims:
        have = [str(v) for v in values.get_index("category")] if "category" in values.coords else []
        if have and sorted(have) != sorted(map(str, labels)):
            raise PosteriorError(
                f"{name} is labelled {listed(have)} along 'category'; the categories but the first are "
                f"{listed(labels)}."
            )
        return values.isel(category=have.index(str(labels[k])) if have else k, drop=True)
    array = values.to_numpy() if isinstance(values, xr.DataArray) else real_numbers(values, name)
    if array.ndim != 3 + len(after) or array.shape[2] != len(labels):
        together = "; or four, (chain, draw, effect, effect), of the effects on all of them" if what == "Sigma" else ""
        raise PosteriorError(
            f"{name} has the shape {array.shape}; {3 + len(after)} dimensions are needed, "
            f"({', '.join((*SAMPLE_DIMS, 'category', *after))}), with the {len(labels)} categories but the first "
            f"({listed(labels)}){together}."
        )
    return array[:, :, k]
