"""Statistics of `NormalGroups` as one array of numbers and one of whole numbers, and back for compiled loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from bayesmargins.integrate.compiled import APART
from bayesmargins.integrate.effect_pattern import Envelope
from bayesmargins.integrate.envelope_kernels import ENVELOPE
from bayesmargins.integrate.group_rows import Floats, Integers
from bayesmargins.integrate.pointers import FLOATS, INTEGERS, after

if TYPE_CHECKING:
    from bayesmargins.integrate.normal_groups import NormalGroups

__all__ = ["KNOWN", "POINTS", "TASK", "Known", "flat_data", "unpacked"]

TASK, POINTS, _TERMS, _GROUPS, _COORDINATES, _ENTRIES, _SHARED, _USED = range(8)
_LEVELS, _EFFECTS, _FACTORS, _PATCHES, _WIDEST, _MOST, _HEAD = range(8, 15)


class Known(NamedTuple):
    """Statistics of `NormalGroups`, the group last in R, a and B."""

    R: Floats
    a: Floats
    B: Floats
    G: Floats
    J: Floats
    K: Floats
    r: Floats
    E: Floats
    rss: float
    pattern: Envelope
    order: Integers  # (group,), the number of each group that the statistics have one after the other
    terms: int
    groups: int
    coordinates: int
    entries: int  # of K


KNOWN = types.NamedTuple([*[FLOATS] * 8, types.float64, ENVELOPE, INTEGERS, *[types.int64] * 4], Known)


def flat_data(groups: NormalGroups, task: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """All statistics one after the other; what is asked, for how many points, their sizes, and the pattern."""
    of, order, p = groups, groups.pattern.order, groups.pattern.envelope
    last = (np.moveaxis(of.R[order], 0, -1), of.a[order].T, np.moveaxis(of.B[order], 0, -1))
    data = np.concatenate([np.ravel(x) for x in (*last, of.G, of.J, of.K, of.r, of.E, of.rss)])
    *arrays, levels, effects, factors, patches, widest, most = p
    shape = (of.a.shape[1], len(of.a), len(of.G), len(of.K), len(of.E), len(p.used))
    sizes = [task, 1, *shape, levels, effects, factors, patches, widest, most]
    return data, np.concatenate([sizes, *arrays, order]).astype(np.int64)


@njit(**APART)
def unpacked(data: Floats, sizes: Integers) -> Known:
    """Of `flat_data`."""
    q, groups, p, m = sizes[_TERMS], sizes[_GROUPS], sizes[_COORDINATES], sizes[_EFFECTS]
    levels, factors, patches, entries = sizes[_LEVELS], sizes[_FACTORS], sizes[_PATCHES], sizes[_ENTRIES]
    a = after(data, q * q * groups)
    B = after(a, q * groups)
    G = after(B, q * p * groups)
    J = after(G, p * p)
    K = after(J, p * m)
    r = after(K, entries)
    E = after(r, m)
    first = after(sizes, _HEAD)
    factor = after(first, levels + 1)
    reach = after(factor, levels)
    low = after(reach, levels)
    row = after(low, m)
    terms = after(row, m)
    lanes = after(terms, factors)
    begins = after(lanes, patches + 1)
    used = after(begins, patches + 1)
    widest, most = sizes[_WIDEST], sizes[_MOST]
    pattern = Envelope(
        first, factor, reach, low, row, terms, lanes, begins, used, levels, m, factors, patches, widest, most
    )  # fmt: skip
    order, rss = after(used, sizes[_USED]), after(E, sizes[_SHARED])[0]
    return Known(data, a, B, G, J, K, r, E, rss, pattern, order, q, groups, p, entries)
