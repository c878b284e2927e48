"""What pictures of a check show, gathered block by block and put into one Dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.schema import SAMPLE_DIMS, public_name
from bayesmargins.validation.rows_left_out import Found
from bayesmargins.validation.statistics import Compared, Places
from bayesmargins.validation.tallies import DISTRIBUTION, Tally
from bayesmargins.values import plain

__all__ = ["Gathered", "as_dataset"]

_OWN = ("obs", "statistic", DISTRIBUTION)


@dataclass
class Gathered:
    """Sums of the observed y and of each replicate."""

    tallies: list[Tally]  # which sums
    left: Found | None = None  # of rows left out one by one
    seen: dict[str, np.ndarray] = field(default_factory=dict)
    drawn: dict[tuple[str, str, str], list[np.ndarray]] = field(default_factory=dict)
    modes: tuple[list[np.ndarray], list[list[np.ndarray]]] = field(default_factory=lambda: ([], []))

    def add(self, policy: str, seen: np.ndarray, drawn: np.ndarray) -> None:
        """A block of replicates (replicate, row) beside the observed y (1, row)."""
        for tally in self.tallies:
            key = f"{tally.kind} {tally.name}"
            if key not in self.seen:
                self.seen[key] = tally(seen)
            self.drawn.setdefault((tally.kind, tally.name, policy), []).append(tally(drawn))

    def add_modes(self, seen: list[np.ndarray], drawn: list[np.ndarray]) -> None:
        """Of the groups' effects: (1, group), and (replicate, group)."""
        self.modes = seen, [*self.modes[1], drawn]

    def observed(self, tally: Tally) -> np.ndarray:
        """(1, entry)."""
        return self.seen[f"{tally.kind} {tally.name}"]

    def predicted(self, tally: Tally, policy: str) -> np.ndarray:
        """(replicate, entry)."""
        return np.concatenate(self.drawn[tally.kind, tally.name, policy])

    def policies(self, tally: Tally) -> list[str]:
        """Whose replicates there are."""
        return [policy for kind, name, policy in self.drawn if (kind, name) == (tally.kind, tally.name)]

    def modes_of(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Observed (group,) and replicated (replicate, group) effects of the k-th term."""
        return self.modes[0][k][0], np.concatenate([block[k] for block in self.modes[1]])


def as_dataset(places: Places, found: list[Compared], gathered: Gathered, seed: int) -> xr.Dataset:
    """Variables ``<entry>_observed``, ``<entry>_own``, ``<entry>_new`` along a dimension ``<entry>``."""
    post = places.replicates.post
    arrays: dict[str, Any] = {}
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(len(places.replicates.index))}
    kinds: dict[str, str] = {}
    for tally in gathered.tallies:
        dim = tally.name if tally.kind in ("bars", "ecdf") else _free(public_name(tally.name, _OWN), coords, arrays)
        kinds[dim] = tally.kind
        coords[dim] = plain(tally.labels)
        arrays[f"{dim}_observed"] = (dim, gathered.observed(tally)[0])
        if tally.kind in ("mean", "groups"):
            arrays[f"{dim}_n"] = (dim, tally.sizes)
        for policy in gathered.policies(tally):
            arrays[f"{dim}_{policy}"] = ((*SAMPLE_DIMS, dim), gathered.predicted(tally, policy)[None])
    for k, modes in enumerate(places.modes if gathered.modes[1] else []):
        term = modes.factor.terms[modes.term]
        dim = _free(f"effect {public_name(modes.factor.name)} {term}", coords, arrays)
        kinds[dim] = "effects"
        coords[dim] = plain(modes.levels)
        seen, drawn = gathered.modes_of(k)
        arrays[f"{dim}_observed"], arrays[f"{dim}_new"] = (dim, seen), ((*SAMPLE_DIMS, dim), drawn[None])
    if gathered.left is not None:
        arrays |= {"pareto_k": ("obs", gathered.left.khat), "loo_pit": ("obs", gathered.left.pit)}
    coords["statistic"] = [f"{c.name}, {c.groups} groups" for c in found]
    for side in ("observed", "predicted"):
        values = np.array([getattr(c, side) for c in found]).T
        arrays[f"statistic_{side}"] = ((*SAMPLE_DIMS, "statistic"), values[None])
    attrs = {"formula": post.formula, "family": post.family.name, "response": post.response_words, "random_seed": seed,
             "kinds": [f"{kind}: {dim}" for dim, kind in kinds.items()]}  # fmt: skip
    return xr.Dataset(arrays, coords, attrs)


def _free(name: str, *taken: dict[str, Any]) -> str:
    """A column may be a predictor and a grouping factor, or be called as a variable is."""
    ends = ("", "_observed", "_n", "_own", "_new")
    while any(f"{name}{end}" in names for names in taken for end in ends):
        name = f"{name}_"
    return name
