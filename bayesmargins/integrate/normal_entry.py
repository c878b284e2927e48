"""The likelihood of normal group effects, and their draws, as functions that compiled models call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from numba import njit

from bayesmargins.integrate.by_name import address_of, with_globals
from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.normal_draw_kernels import draw_groups, draw_small
from bayesmargins.integrate.normal_group_kernels import Small, group_marginal, names_of_small

__all__ = ["draws_entry", "normal_entry", "small_draws_entry"]


@lru_cache(maxsize=2)
def normal_entry(small: bool) -> Entry:
    """That of all models with small effects, or of all without, which need not wait for their code."""
    return _entry("normal_marginal", group_marginal, small)


@lru_cache(maxsize=2)
def draws_entry(small: bool) -> Entry:
    """The same of draws of the largest factor's effects."""
    return _entry("normal_draws", draw_groups, small)


@lru_cache(maxsize=1)
def small_draws_entry() -> Entry:
    """Draws of the small effects, without those of the largest factor."""
    return entry("normal_small_draws", draw_small)


def _entry(name: str, function: Callable[..., None], small: bool) -> Entry:
    label = f"{name}_{'several' if small else 'one'}"
    own = {**function.__globals__, "small_ones": _small_ones() if small else _none}
    return entry(label, with_globals(function, label, own))


@njit(**INNER)
def _none() -> Small:
    return Small(0, 0, 0)


@lru_cache(maxsize=1)
def _small_ones() -> Any:
    effects, less, shared = map(address_of, names_of_small())

    @njit(**INNER)
    def small_ones() -> Small:
        return Small(effects(), less(), shared())

    return small_ones
