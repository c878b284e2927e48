"""Statistics of `NormalGroups` as one array of numbers and one of whole numbers, and back for compiled loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from bayesmargins.integrate.compiled import APART
from bayesmargins.integrate.envelope_kernels import ENVELOPE, Envelope
from bayesmargins.integrate.group_rows import Floats, Integers
from bayesmargins.integrate.pointers import FLOATS, INTEGERS, after

if TYPE_CHECKING:
    from bayesmargins.integrate.normal_groups import NormalGroups

__all__ = ["KNOWN", "POINTS", "TASK", "Known", "flat_data", "unpacked"]

TASK, POINTS, _TERMS, _GROUPS, _COORDINATES, _EFFECTS, _ENTRIES, _SHARED = range(8)
_LEVELS, _FACTORS, _USED, _PATCHES, _WIDEST, _MOST, _HEAD = range(8, 15)


class Known(NamedTuple):
    """Statistics of `NormalGroups`, the group last in R, a and B; lanes, begins and used are those of its pattern."""

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
    lanes: Integers
    begins: Integers
    used: Integers
    order: Integers  # (group,), the number of each group that the statistics have one after the other
    patches: int
    terms: int
    groups: int
    coordinates: int
    entries: int  # of K
    most: int  # effects of a patch, at most


KNOWN = types.NamedTuple([*[FLOATS] * 8, types.float64, ENVELOPE, *[INTEGERS] * 4, *[types.int64] * 6], Known)


def flat_data(groups: NormalGroups, task: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """All statistics one after the other; what is asked, for how many points, their sizes, and the pattern."""
    of, order, p = groups, groups.pattern.order, groups.pattern.loops
    last = (np.moveaxis(of.R[order], 0, -1), of.a[order].T, np.moveaxis(of.B[order], 0, -1))
    data = np.concatenate([np.ravel(x) for x in (*last, of.G, of.J, of.K, of.r, of.E, of.rss)])
    shape = (of.a.shape[1], len(of.a), len(of.G), len(of.r), len(of.K), len(of.E))
    widest, most = max(p.terms, default=1), max(np.diff(p.begins), default=0)
    sizes = [task, 1, *shape, len(p.factor), len(p.terms), len(p.used), len(p.lanes) - 1, widest, most]
    return data, np.concatenate([sizes, *p, order]).astype(np.int64)


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
    pattern = Envelope(first, factor, reach, low, row, terms, levels, m, factors, sizes[_WIDEST])
    lanes = after(terms, factors)
    begins = after(lanes, patches + 1)
    used = after(begins, patches + 1)
    order, rss, most = after(used, sizes[_USED]), after(E, sizes[_SHARED])[0], sizes[_MOST]
    return Known(
        data, a, B, G, J, K, r, E, rss, pattern, lanes, begins, used, order, patches, q, groups, p, entries, most
    )  # fmt: skip
