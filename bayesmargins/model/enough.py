"""How long a fit goes on: the draws that its diagnostics ask for, and the most that it may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayesmargins.convergence import MAX_RHAT
from bayesmargins.errors import FitError
from bayesmargins.limits import options
from bayesmargins.values import whole_number

__all__ = ["Goal", "goal"]

_MOST = 5  # times `draws`
_SPARE = 1.2  # draws beyond those that the effective sample size so far asks for


@dataclass(frozen=True)
class Goal:
    """When draws are enough."""

    ess: int | None  # effective draws that every parameter needs; None takes `draws`
    # of each chain: the first look, and no further; `most` is None for what memory holds up to 5 times `draws`
    draws: int
    most: int | None

    def next(self, found: Mapping[str, Any], draws: int, bytes_a_draw: int) -> int:
        """Draws a chain for the next look; `draws` where those that are there are enough, or none may follow."""
        if self.ess is None or not found.get("min_ess", 0) > 0:  # nothing to judge: one chain, or very few draws
            return draws
        short, apart = self.ess / found["min_ess"], found["max_rhat"] > MAX_RHAT
        if short <= 1.0 and not apart:
            return draws
        wanted = draws * max(_SPARE * short if short > 1.0 else 1.0, 2.0 if apart else 1.0)
        return max(draws, min(math.ceil(wanted / self.draws) * self.draws, self._most(bytes_a_draw)))

    def _most(self, bytes_a_draw: int) -> int:
        return self.most or min(_MOST * self.draws, options.bytes // bytes_a_draw)


def goal(ess: int | None, draws: int, most: int | None) -> Goal:
    """The goal, checked: FitError where these are no whole numbers, or `most` is below `draws`."""
    if ess is not None:
        whole_number("ess", ess, 1, FitError, ", or None for exactly `draws`")
    whole_number("draws", draws, 1, FitError)
    if most is not None and whole_number("max_draws", most, 1, FitError, ", or None") < draws:
        raise FitError(f"max_draws={most} is below draws={draws}, the draws that every fit takes; raise it.")
    return Goal(ess, draws, most)
