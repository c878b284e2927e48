"""Correlations of brms between a group's effects on several parameters: ``cor_g__Intercept__sigma_Intercept``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from bayesmargins.adapters.brms.r_names import terms_of
from bayesmargins.design import Design

__all__ = ["join_across"]


def join_across(
    table: Any, mean: dict[str, Any], parts: Mapping[str, dict[str, Any]], designs: Mapping[str, Design]
) -> None:
    """Put one covariance over all parameters in the place of several, wherever the draws have its correlations.

    `designs` are those of the mean and of the parts, in their order, by what brms writes before a term.
    """
    every = dict(zip(designs, (mean, *parts.values()), strict=True))
    for factor in dict.fromkeys(f for design in designs.values() for f in design.factors):
        of = {prefix: design for prefix, design in designs.items() if factor in design.factors}
        Sigma = _joint(table, factor, {p: every[p]["Sigma"][factor] for p in of}, of)
        if Sigma is None:
            continue
        for prefix in of:
            del every[prefix]["Sigma"][factor]
            every[prefix]["correlated"] = [f for f in every[prefix].get("correlated", ()) if f != factor]
        mean["Sigma"][factor] = Sigma
    mean.pop("correlated", None)


def _joint(table: Any, factor: str, blocks: Mapping[str, np.ndarray], of: Mapping[str, Design]) -> np.ndarray | None:
    """(chain, draw, term, term), 0 where brms has no correlation; None where it has none over parameters."""
    ends = np.cumsum([0, *(block.shape[-1] for block in blocks.values())]).tolist()
    Sigma = np.zeros((*table.shape, ends[-1], ends[-1]))
    for (first, last), block in zip(pairwise(ends), blocks.values(), strict=True):
        Sigma[..., first:last, first:last] = block
    names = {prefix: terms_of(design.factors[factor], design) for prefix, design in of.items()}
    starts, found = dict(zip(of, ends, strict=False)), False
    for a, b in combinations(of, 2):
        for i, first in enumerate(names[a]):
            for j, second in enumerate(names[b]):
                pairs = [f"{a}{x}__{b}{y}" for x in first for y in second]
                pairs += [f"{b}{y}__{a}{x}" for x in first for y in second]
                column = table.named(f"cor_{factor}__", pairs)
                if column is not None:
                    found = True
                    r, c = starts[a] + i, starts[b] + j
                    sd = np.sqrt(Sigma[..., r, r] * Sigma[..., c, c])
                    Sigma[..., r, c] = Sigma[..., c, r] = table.exact(column) * sd
    return Sigma if found else None
