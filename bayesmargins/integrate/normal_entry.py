"""The likelihood of normal group effects, and their draws, as functions that compiled models call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import njit

from bayesmargins.integrate.by_name import address_of, with_globals
from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.normal_draw_kernels import draw_groups, draw_small
from bayesmargins.integrate.normal_group_kernels import group_marginal, name_of_small_effects
from bayesmargins.integrate.normal_groups import GRADIENT
from bayesmargins.integrate.normal_model import POINTS, TASK, unpacked
from bayesmargins.integrate.pointers import after

__all__ = ["draws_entry", "normal_entry", "small_draws_entry"]

# Where the function of small effects lies: see `normal_entry`.
_small: Any = None


def _entry(x: Any, data: Any, sizes: Any, out: Any) -> None:
    """Reads x, which has c, L, t and the roots one after the other; out is the value and its derivatives in x."""
    of = unpacked(data, sizes)
    size = of.coordinates + of.terms**2 + 1 + of.pattern.factors * of.pattern.widest**2
    for k in range(sizes[POINTS]):
        group_marginal(after(x, k * size), of, sizes[TASK] == GRADIENT, _small(), after(out, k * (size + 1)))


@njit(**INNER)
def _nowhere() -> int:
    return 0


@lru_cache(maxsize=2)
def normal_entry(small: bool) -> Entry:
    """That of all models with small effects, or of all without, which need not wait for their code."""
    label = f"normal_marginal_{'several' if small else 'one'}"
    where = address_of(name_of_small_effects()) if small else _nowhere
    return entry(label, with_globals(_entry, label, {**globals(), "_small": where}))


@lru_cache(maxsize=1)
def draws_entry() -> Entry:
    """Draws of the effects of the largest factor."""
    return entry("normal_draws", draw_groups)


@lru_cache(maxsize=1)
def small_draws_entry() -> Entry:
    """Draws of the small effects, without those of the largest factor."""
    return entry("normal_small_draws", draw_small)
