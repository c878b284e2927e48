"""Targets of a waiting time: who still waits, how long on average up to a limit, and at which rate waiting ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bayesmargins.errors import EstimandError, listed, shown
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.quantity import Target
from bayesmargins.habits import taught
from bayesmargins.values import is_number, plain_value, value_list

__all__ = ["Hazard", "Rmst", "Survival", "hazard", "rmst", "survival"]


@dataclass(frozen=True, repr=False)
class _OfTime(Target):
    """A number of a waiting time at one point in time, or at several, along a dimension ``time``."""

    times: tuple[float, ...]
    several: bool = False
    needs: ClassVar[tuple[str, ...]] = ("above", "below", "variance", "limited")

    @property
    def along(self) -> tuple[str, tuple[float, ...]] | None:
        """As for `Target`."""
        return ("time", self.times) if self.several else None

    def each(self) -> Sequence[Target]:
        """As for `Target`."""
        return [type(self)((t,)) for t in self.times]

    @property
    def _said(self) -> str:
        return listed([f"{t:.12g}" for t in self.times], 8).replace("'", "")

    def __repr__(self) -> str:
        said = f"[{', '.join(f'{t:.12g}' for t in self.times)}]" if self.several else f"{self.times[0]:.12g}"
        return f"{type(self).__name__.lower()}({said})"


@dataclass(frozen=True, repr=False)
class Survival(_OfTime):
    """P(y > t), from `survival`."""

    reading = "curved"
    probability = True

    @property
    def instead(self) -> str:
        """As for `Target`."""
        return f"bm.exceeds({self.times[0]:.12g}) is that probability of other responses"

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"probability that {response} exceeds {self._said}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"S({self._said})" if not self.several else "S(time)"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        tail = y.tail("above" if part == "mean" else "below", np.full(len(y.s), self.times[0]))
        return Number(tail.value, tail.error, y.method, tail.nodes)


@dataclass(frozen=True, repr=False)
class Rmst(_OfTime):
    """E[min(y, tau)], from `rmst`."""

    reading = "curved"

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"expected {response} up to {self._said}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"mean up to {self._said}" if not self.several else "mean up to time"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`: in units of tau, the most that it can be."""
        tau = self.times[0]
        share = y.smooth("limited", np.full(len(y.s), tau), 1.0 / tau)
        return Number(tau * share.value, tau * share.error, y.method, share.nodes)


@dataclass(frozen=True, repr=False)
class Hazard(_OfTime):
    """E_b[f(t)] / E_b[S(t)], from `hazard`."""

    def noun(self, response: str, averaged: bool) -> str:
        """As for `Target`."""
        return f"hazard of {response} at {self._said}{' taken row by row' if averaged else ''}"

    @property
    def scale(self) -> str:
        """As for `Target`."""
        return f"hazard at {self._said}" if not self.several else "hazard at time"

    def found(self, y: Mixture, part: str) -> Number:
        """As for `Target`."""
        t = np.full(len(y.s), self.times[0])
        ends, waits = y.density(t, self.times[0]), y.tail("above", t)  # t f(t) has no unit
        with np.errstate(divide="ignore", invalid="ignore"):
            value = ends.value / waits.value / t
            error = (ends.error / t + value * waits.error) / waits.value
        return Number(value, error, y.method, max(ends.nodes, waits.nodes))


@taught
def survival(t: Any) -> Target:
    """Who is still waiting at a time? A target: ``avg_predictions(post, target=survival([6, 12]))``.

    Parameters
    ----------
    t : float or list of float
        Times, in units of the response. Of several the result has a dimension ``time``.

    Returns
    -------
    Target
        P(y > t), of positive continuous responses; censoring in the fit changes nothing of what y is.

    Raises
    ------
    EstimandError
        No finite times from 0, or one twice.

    Notes
    -----
    With ``groups="new"`` it is E_b[S(t given b)], the survival curve of the population under shared frailty, and not
    the curve of a typical group.

    Examples
    --------
    >>> survival([6, 12])
    survival([6, 12])
    """
    return Survival(*_times("survival", "t", t, 0.0))


@taught
def rmst(tau: Any) -> Target:
    """How long is the wait on average, up to a limit? A target: ``avg_comparisons(post, "trt", target=rmst(24))``.

    Parameters
    ----------
    tau : float or list of float
        Limits, in units of the response. Of several the result has a dimension ``time``.

    Returns
    -------
    Target
        E[min(y, tau)], the restricted mean survival time: the area under the survival curve up to tau.

    Raises
    ------
    EstimandError
        No finite limits above 0, or one twice.

    Examples
    --------
    >>> rmst(24)
    rmst(24)
    """
    return Rmst(*_times("rmst", "tau", tau))


@taught
def hazard(t: Any) -> Target:
    """At which rate does waiting end at a time? A target, and with ``comparison="ratio"`` a hazard ratio.

    Parameters
    ----------
    t : float or list of float
        Times, in units of the response. Of several the result has a dimension ``time``.

    Returns
    -------
    Target
        f(t) / S(t); with ``groups="new"`` E_b[f(t given b)] / E_b[S(t given b)], the hazard that a population shows.

    Raises
    ------
    EstimandError
        No finite times above 0, or one twice.

    Notes
    -----
    Given b a Weibull hazard ratio is the same at all times; that of the population is not, since those with high
    hazards leave first. Rows are averaged after that, one by one.

    Examples
    --------
    >>> hazard(6)
    hazard(6)
    """
    return Hazard(*_times("hazard", "t", t))


def _times(function: str, name: str, t: Any, least: float = np.inf) -> tuple[tuple[float, ...], bool]:
    """The times, above 0 or this, and whether they are several."""
    value = plain_value(t)
    found = [value] if is_number(value) else value_list(t)
    known = bool(found) and all(is_number(v) and (0.0 < v < np.inf or v == least) for v in found or [])
    if found is None or not known or len(set(found)) < len(found):
        raise EstimandError(
            f"{function}({name}={shown(t)}); give a finite number {'from' if least == 0.0 else 'above'} 0, in units of "
            "the response, or a list of different ones."
        )
    return tuple(map(float, found)), not is_number(value)
