"""The tables that a question looks up: made when first needed, kept for its further chunks and sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.sources import Source, key_of
from bayesmargins.family.link import Link
from bayesmargins.integrate import rule_for
from bayesmargins.integrate.tabulated.curves import REACH

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.curves import Curves
    from bayesmargins.integrate.tabulated.surfaces import Surface

__all__ = ["Found", "Lookups"]

_KEPT_BYTES = 2**28  # tables are kept for the next chunk while they are no larger
_STRETCH = 8.0  # tables are made for so much more of eta at a time, so that the next chunk finds them
_WIDEST = 16.0  # the largest s that a surface is made for


class Found(NamedTuple):
    """What a compiled pass looks up."""

    integrand: Any  # for the kernels
    bounds: tuple[float, float, float]  # no value, first or second derivative in eta is further from the truth
    method: str  # as the provenance names it
    nodes: int  # of the rule that the table was made with


@dataclass
class Lookups:
    """Which tables are there? Made once for a question."""

    draws: Draws  # posterior draws
    link: Link  # between linear predictor and the target
    _kept: dict[Any, Curves | Surface] = field(default_factory=dict, repr=False)

    def found(self, source: Source, chunk: Chunk, part: str, lines: np.ndarray, reach: float) -> Found:
        """What do some draws (line,) look up, where no abs(eta) is larger than `reach`?"""
        part = _looked_up(part, chunk)
        if source.kind == "bare":
            from bayesmargins.evaluate.integrands import Bare

            method = "closed form" if chunk.plan.integrated else "plug-in"
            return Found(Bare(self.link.tags[part]), (0.0, 0.0, 0.0), method, 0)
        assert source.s is not None
        largest_s = float(source.s[lines].max(initial=0.0))
        nodes = rule_for(self.link, largest_s).nodes if self.link.strip is not None and largest_s > 0 else 0
        method = "table of the trapezoid rule" if nodes else "table"
        table: Curves | Surface
        if source.kind == "surface":
            assert source.spread is not None
            table = self._surface(source.spread.low, largest_s, part, reach)
        else:
            table = self._curves(source, chunk, part, lines, reach)
        bounds = (table.error_bound, table.error_bound_d1, table.error_bound_d2)
        return Found(table.arrays, bounds, method, nodes)

    def _surface(self, low: float, high: float, part: str, farthest: float) -> Surface:
        """For a range of s in whole halves, so that the next chunk finds it."""
        low, high = np.floor(2.0 * low) / 2.0, min(np.ceil(2.0 * high + 1e-9) / 2.0, _WIDEST)
        reach = _stretched(farthest)
        return self._keep(("surface", part, low, high, reach), lambda: _surface(self.link, low, high, part, reach))

    def _curves(self, source: Source, chunk: Chunk, part: str, lines: np.ndarray, farthest: float) -> Curves:
        from bayesmargins.evaluate.terms import group_shifts
        from bayesmargins.integrate.tabulated.curves import curves
        from bayesmargins.integrate.tabulated.group_curves import mixture_curves

        assert source.s is not None
        s = source.s[lines]
        reach = _stretched(farthest)
        if source.z is None:
            alone = np.zeros((len(s), 1)), np.ones(1)
            return self._keep(
                ("new", part, reach, s.tobytes()),
                lambda: (
                    mixture_curves(self.link, s, *alone, part, reach)
                    if self.link.normal
                    else curves(self.link, s, part, reach)
                ),
            )
        mixture, z = chunk.plan.mixture, source.z
        assert mixture is not None

        def made() -> Curves:
            shifts = group_shifts(self.draws, lines, z, mixture)
            return mixture_curves(self.link, s, shifts, mixture.weights, part, reach)

        # The same z and draws have the same groups: their b, which may be large, is not read again to know it.
        return self._keep(("existing", part, reach, s.tobytes(), key_of(z), lines.tobytes()), made)

    def _keep(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            made = make()
            if sum(t.arrays.coef.nbytes for t in self._kept.values()) + made.arrays.coef.nbytes > _KEPT_BYTES:
                return made
            self._kept[key] = made
        return self._kept[key]


@lru_cache(maxsize=2)
def _surface(link: Link, low: float, high: float, part: str, reach: float) -> Surface:
    """Those of the last questions are kept: the next one is often about the same draws."""
    from bayesmargins.integrate.tabulated.surfaces import surface

    return surface(link, low, high, part, reach)


def _stretched(farthest: float) -> float:
    return min(float(_STRETCH * np.ceil(max(farthest, 1.0) / _STRETCH)), REACH)


def _looked_up(part: str, chunk: Chunk) -> str:
    """Slopes are those of the mean, whatever is averaged."""
    return part if part == "complement" else "mean" if part == "slope" else chunk.looked_up
