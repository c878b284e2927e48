"""Draws a block at a time: so that b of many draws need not be in memory, whatever it comes from.

A block's numbers depend on its draws and on nothing else, and blocks are the same wherever b lies: in memory, in a file
that dask reads, or on the workers of a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from bayesmargins.draws import in_memory, refuse_large, refuse_not_finite
from bayesmargins.evaluate.asked import Asked
from bayesmargins.posterior import Posterior
from bayesmargins.schema import SAMPLE_DIMS
from bayesmargins.values import chunked

__all__ = ["BLOCK_DRAWS", "DrawBlock", "draw_blocks", "reads_chunks", "without_chunks"]

# Draws that are done together, of all chains, and bytes of their b: the last digits of a number may depend on these.
BLOCK_DRAWS, _BLOCK_BYTES = 2**13, 2**30

A = TypeVar("A", bound=Asked)


@dataclass(frozen=True)
class DrawBlock:
    """Some draws of every chain."""

    draws: slice
    # b of what is in chunks, by linear predictor and factor: dask arrays, or numbers where they were computed
    b: Mapping[tuple[str, str], Any]
    whole: bool  # whether these are all draws

    def of(self, asked: A) -> A:
        """The same question of these draws alone, with the b that it reads in memory."""
        if self.whole and not self.b:
            return asked
        read = _read(asked)
        return _with_posterior(asked, lambda post, name: self._cut(post, name, read.get(name, ())))

    def _cut(self, post: Posterior, name: str, read: Collection[str]) -> Posterior:
        def some(of: Mapping[str, xr.DataArray]) -> dict[str, xr.DataArray]:
            return {key: values.isel(draw=self.draws) for key, values in of.items()}

        b = {f: self._effects(post, name, f) for f in read if f in post.b or (name, f) in self.b}
        return replace(
            post,
            beta=post.beta.isel(draw=self.draws),
            b=b,
            Sigma=some(post.Sigma),
            aux=some(post.aux),
            across=some(post.across),
            smooth_sd=some(post.smooth_sd),
            sample_stats=None,
            origin=None,
        )

    def _effects(self, post: Posterior, name: str, factor: str) -> xr.DataArray:
        computed = self.b.get((name, factor))
        if isinstance(computed, np.ndarray):
            refuse_not_finite(computed, factor)
            return xr.DataArray(computed, dims=(*SAMPLE_DIMS, "level", "term"))
        values = post.b[factor]
        if self.whole and chunked(values):
            refuse_large(values, factor)
        return in_memory(values.isel(draw=self.draws), factor)


def draw_blocks(asked: Asked) -> list[DrawBlock]:
    """All draws, as many at a time as `BLOCK_DRAWS`; at once where new groups are drawn, for all draws together."""
    chains, draws = (asked.post.beta.sizes[d] for d in SAMPLE_DIMS)
    predictors = asked.whole.predictors
    each = [predictors[name].b.get(f) for name, factors in _read(asked).items() for f in factors]
    size = sum(b.nbytes for b in each if b is not None)
    most = max(1, min(BLOCK_DRAWS // chains, _BLOCK_BYTES * draws // max(size, 1)))
    blocks = 1 if asked.policy.by_word["sample"] else -(-draws // most)
    ends = [draws * k // blocks for k in range(blocks + 1)]
    return [_block(asked, slice(*of), blocks == 1) for of in pairwise(ends)]


def _block(asked: Asked, draws: slice, whole: bool) -> DrawBlock:
    return DrawBlock(draws, {key: b.isel(draw=draws).data for key, b in _chunks(asked).items()}, whole)


def reads_chunks(asked: Asked) -> bool:
    """Is b that the question reads in chunks of dask?"""
    return bool(_chunks(asked))


def _chunks(asked: Asked) -> dict[tuple[str, str], xr.DataArray]:
    """Those of its b, by linear predictor and factor."""
    each = {(name, f): asked.whole.predictors[name].b.get(f) for name, factors in _read(asked).items() for f in factors}
    return {key: b for key, b in each.items() if b is not None and chunked(b)}


def _read(asked: Asked) -> dict[str, list[str]]:
    """Factors whose b the question reads, by linear predictor."""
    policy, predictors = asked.policy, asked.whole.predictors
    read = [*policy.by_word["own"], *policy.by_word["existing"], *policy.named]
    own = next((name for name, post in predictors.items() if post is asked.post), asked.whole.first)
    return dict.fromkeys((own, *asked.parts), read)


def without_chunks(asked: A) -> A:
    """The same question with the b alone that it reads and that is in memory."""
    read = _read(asked)

    def lean(post: Posterior, name: str) -> Posterior:
        b = {f: values for f, values in post.b.items() if f in read.get(name, ()) and not chunked(values)}
        return replace(post, b=b, sample_stats=None, origin=None)

    return _with_posterior(asked, lean)


def _with_posterior(asked: A, change: Callable[[Posterior, str], Posterior]) -> A:
    """The same question of another posterior: each of its linear predictors changed, by name."""
    whole, first = asked.whole, asked.whole.first
    parts = {name: change(part, name) for name, part in whole.parts.items()}
    changed = replace(change(whole, first), parts=parts)
    if asked.post is whole:
        return replace(asked, post=changed, whole=changed)
    name = next((name for name, part in whole.parts.items() if part is asked.post), None)
    return replace(asked, post=parts[name] if name else change(asked.post, first), whole=changed)
