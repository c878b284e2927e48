"""Trapezoid rules as the look-up kernels read them, for values outside the cells of a table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError
from bayesmargins.family.link import Link
from bayesmargins.integrate.rules import PER_OCTAVE, WIDE, bucket_of, rule_for

if TYPE_CHECKING:  # numba takes a second to import
    from bayesmargins.integrate.tabulated.kernels import Rules

__all__ = ["make_rules"]

Array = npt.NDArray[np.float64]


def make_rules(link: Link, part: str, s: Array) -> Rules:
    """Trapezoid rules up to the largest s: the finest step and the farthest node that any part asks for."""
    from bayesmargins.integrate.tabulated.kernels import Rules

    if link.strip is None:
        if not link.bounded:
            raise IntegrationError(f"The {link.name} link has a closed form: it needs no table.")
        none = np.zeros(0)
        return Rules(link.tags[part], PER_OCTAVE, 0, none, none.astype(np.int64), none.astype(np.int64), none)
    usable = s[(s > 0.0) & (s <= WIDE)]
    lowest = bucket_of(1e-9)
    highest = bucket_of(float(usable.max())) if usable.size else lowest
    return Rules(link.tags[part], PER_OCTAVE, lowest, *_rule_arrays(link, part, lowest, highest))


@lru_cache(maxsize=32)
def _rule_arrays(
    link: Link, part: str, lowest: int, highest: int
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    """Steps, nodes on each side, offsets and weights of the rules."""
    steps, halves, weights = [], [], []
    for bucket in range(lowest, highest + 1):
        rules = [rule_for(link, 2.0 ** (bucket / PER_OCTAVE), name) for name in (part, "d1", "d2")]
        step = min(rule.step for rule in rules)
        half = int(np.ceil(max(rule.half * rule.step for rule in rules) / step))
        z = step * np.arange(half + 1)
        steps.append(step)
        halves.append(half)
        weights.append(step / np.sqrt(2.0 * np.pi) * np.exp(-0.5 * z * z))
    half_widths = np.array(halves, dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(half_widths + 1)[:-1]]).astype(np.int64)
    return np.array(steps), half_widths, offsets, np.concatenate(weights)
