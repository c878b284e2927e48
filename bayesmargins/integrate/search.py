"""Where does an increasing function cross a level: searches for many entries at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["bracketed", "crossing", "smallest_integer"]

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_ITERATIONS = 200
_DOUBLINGS = 1100
_INTEGERS = 2000  # doublings reach the largest float within 1,100
_RESOLUTION = 2.0**-50


def smallest_integer(reached: Callable[[Array, Index], Mask], guess: Array, step: Array, top: Array) -> Array:
    """The smallest whole number from 0, (n,), at which a level is reached; NaN or infinite where the guess is.

    ``reached(c, which)`` says whether it is at the numbers c, for the entries whose positions are `which`; once true
    it stays true for larger numbers. The first move from `guess` goes a `step`, and moves double until the number is
    between two tried ones. At `top`, which may be infinite, it is known to be reached.

    >>> smallest_integer(lambda c, which: c >= 41.5, np.array([3.0]), np.ones(1), np.array([np.inf]))
    array([42.])
    """
    low, high = np.full(len(guess), -1.0), top.astype(np.float64).copy()
    tried_low, tried_high = np.zeros(len(guess), bool), np.zeros(len(guess), bool)
    stride = np.maximum(1.0, np.floor(step))
    out = np.where(np.isfinite(guess), high, guess)
    active = np.flatnonzero(np.isfinite(guess) & (high > 0.0))
    c = np.clip(np.floor(guess), 0.0, np.maximum(high - 1.0, 0.0))
    for _ in range(_INTEGERS):
        if not active.size:
            break
        yes = reached(c[active], active)
        high[active[yes]], low[active[~yes]] = c[active[yes]], c[active[~yes]]
        tried_high[active[yes]] = tried_low[active[~yes]] = True
        out[active] = high[active]
        active = active[high[active] - low[active] > np.maximum(1.0, _RESOLUTION * np.abs(low[active]))]
        c[active] = _next(low[active], high[active], tried_low[active], tried_high[active], stride[active])
        stride[active] *= 2.0
    return out


def _next(low: Array, high: Array, tried_low: Mask, tried_high: Mask, stride: Array) -> Array:
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isinf(high), low + stride, low + np.floor((high - low) / 2.0))
        c = np.where(~tried_high, low + stride, np.where(~tried_low, high - stride, middle))
    return np.where((c > low) & (c < high), c, middle)


def bracketed(function: Callable[[Array, Index], Array], centre: Array, step: Array) -> tuple[Array, Array]:
    """Two numbers (n,) between which an increasing function, as of `crossing`, is 0.

    The first move from `centre` goes a `step`, and moves double. Not finite where the centre is not.

    >>> bracketed(lambda x, which: x - 6.0, np.zeros(1), np.ones(1))
    (array([3.]), array([7.]))
    """
    low, high = centre.astype(np.float64).copy(), centre.astype(np.float64).copy()
    some = np.flatnonzero(np.isfinite(centre))
    below = np.zeros(len(centre), dtype=bool)
    below[some] = function(centre[some], some) < 0.0
    stride, active = step.astype(np.float64).copy(), some
    for _ in range(_DOUBLINGS):
        if not active.size:
            break
        up = below[active]
        low[active], high[active] = (
            np.where(up, high[active], low[active] - stride[active]),
            np.where(up, high[active] + stride[active], low[active]),
        )
        found = function(np.where(up, high[active], low[active]), active)
        active = active[np.where(up, found < 0.0, found > 0.0)]
        stride[active] *= 2.0
    return low, high


def crossing(
    function: Callable[[Array, Index], Array], low: Array, high: Array, tolerance: Array
) -> tuple[Array, Array]:
    """Where an increasing function is 0: the better end of the last bracket, (n,), and its other end.

    ``function(x, which)`` is asked for the entries whose positions are `which`. It is not positive at `low` and not
    negative at `high`; where it is, because it rounds, that end is the answer. An entry is done once its bracket is
    no wider than its tolerance.

    Chandrupatla (1997), Advances in Engineering Software 28: inverse quadratic interpolation where it is safe, else
    bisection.

    >>> x, other = crossing(lambda x, which: x**3 - 2.0, np.zeros(1), np.full(1, 2.0), np.full(1, 1e-13))
    >>> float(x[0].round(12))
    1.259921049895
    """
    x1, x2 = low.astype(np.float64).copy(), high.astype(np.float64).copy()
    everything = np.arange(len(x1))
    f1, f2 = function(x1, everything), function(x2, everything)
    beyond_low = f1 >= 0.0
    beyond_high = ~beyond_low & (f2 <= 0.0)
    x2[beyond_low], x1[beyond_high] = x1[beyond_low], x2[beyond_high]
    x3, f3 = x1.copy(), f1.copy()
    t = np.full(len(x1), 0.5)
    active = everything[np.isfinite(f1) & np.isfinite(f2) & (x1 != x2)]
    for _ in range(_ITERATIONS):
        if not active.size:
            break
        x = x1[active] + t[active] * (x2[active] - x1[active])
        f = function(x, active)
        _narrow(active, x, f, x1, f1, x2, f2, x3, f3)
        width = np.abs(x2[active] - x1[active])
        done = (width <= tolerance[active]) | (f1[active] == 0.0)
        x2[active[f1[active] == 0.0]] = x1[active[f1[active] == 0.0]]
        active, width = active[~done], width[~done]
        shortest = np.minimum(0.25 * tolerance[active] / width, 0.5)
        t[active] = np.clip(_step(active, x1, f1, x2, f2, x3, f3), shortest, 1.0 - shortest)
    better = np.abs(f1) <= np.abs(f2)
    unknown = np.isnan(f1) | np.isnan(f2)
    return np.where(unknown, np.nan, np.where(better, x1, x2)), np.where(better, x2, x1)


def _narrow(
    active: Index, x: Array, f: Array, x1: Array, f1: Array, x2: Array, f2: Array, x3: Array, f3: Array
) -> None:
    """The new point replaces the end on its own side; x3 is the point that was dropped."""
    same = np.sign(f) == np.sign(f1[active])
    kept, crossed = active[same], active[~same]
    x3[kept], f3[kept] = x1[kept], f1[kept]
    x3[crossed], f3[crossed] = x2[crossed], f2[crossed]
    x2[crossed], f2[crossed] = x1[crossed], f1[crossed]
    x1[active], f1[active] = x, f


def _step(active: Index, x1: Array, f1: Array, x2: Array, f2: Array, x3: Array, f3: Array) -> Array:
    """How far from x1 to x2 the next point lies."""
    a, b, c = x1[active], x2[active], x3[active]
    fa, fb, fc = f1[active], f2[active], f3[active]
    with np.errstate(divide="ignore", invalid="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        safe = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
        quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return np.where(safe & np.isfinite(quadratic), quadratic, 0.5)
