"""The likelihood of `group_quadrature` as a function that compiled models call, one for each family and link.

Loops that a model does not need are not imported: numba takes a third of a millisecond for each function that it could
compile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import njit

from bayesmargins.integrate.by_name import address_of, with_globals
from bayesmargins.integrate.compiled import INNER
from bayesmargins.integrate.entry import Entry, entry
from bayesmargins.integrate.group_loops import Loops, names_of, names_of_planes
from bayesmargins.integrate.group_nodes import name_of_search
from bayesmargins.integrate.group_quadrature_kernels import call_answer, name_of_answer
from bayesmargins.integrate.group_rows import has_product

__all__ = ["group_entry", "together_entry"]

# Each family's rows have their own: see `group_entry`.
_call: Any = None
_answer_at: Any = None
_loops: Any = None
_parts: Any = None
_product: Any = None


def _run(x: Any, data: Any, sizes: Any, out: Any) -> None:
    _call(_answer_at(), (x, data, sizes, out, _loops()))


def _run_planes(x: Any, data: Any, sizes: Any, out: Any) -> None:
    _call(_answer_at(), (x, data, sizes, out, _loops(), _parts(), _product))


@lru_cache(maxsize=None, typed=True)  # tuples of other types are equal
def group_entry(tag: Any, terms: int = 1) -> Entry:
    """That of the rows with this tag: all families share the loops over groups and hand them those over rows."""
    if terms == 2:
        return _of_planes(tag)
    return _of_one_effect(tag, f"group_marginal_{type(tag).__name__}", call_answer, name_of_answer())


@lru_cache(maxsize=None, typed=True)
def together_entry(tag: Any) -> Entry:
    """The same of one effect at many points, for rows of a few trials each."""
    from bayesmargins.integrate.group_together import call_together, name_of_together

    return _of_one_effect(tag, f"group_together_{type(tag).__name__}", call_together, name_of_together())


def _of_one_effect(tag: Any, label: str, call: Any, answer_name: str) -> Entry:
    reads, sign = tag.reads, tag.sign
    names = [answer_name, name_of_search(), *names_of(tag)]
    answer, search, log_densities, averages, slopes, base = map(address_of, names)

    @njit(**INNER)
    def loops() -> Loops:
        return Loops((reads, sign), search(), log_densities(), averages(), slopes(), base())

    own = {"_call": call, "_answer_at": answer, "_loops": loops}
    return entry(label, with_globals(_run, label, {**globals(), **own}))


def _of_planes(tag: Any) -> Entry:
    from bayesmargins.integrate.group_planes import call_planes, name_of_planes

    reads, sign = tag.reads, tag.sign
    label = f"group_planes_{type(tag).__name__}"
    answer, parts, base = map(address_of, (name_of_planes(), *names_of_planes(tag)))

    @njit(**INNER)
    def few() -> Loops:
        return Loops((reads, sign), 0, 0, 0, 0, base())

    own = {"_call": call_planes, "_answer_at": answer, "_loops": few, "_parts": parts, "_product": has_product(tag)}
    return entry(label, with_globals(_run_planes, label, {**globals(), **own}))
