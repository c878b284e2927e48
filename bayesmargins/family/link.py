"""What a link is: functions of eta, and what averaging them over groups needs. Each link has a file in `links`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bayesmargins.errors import IntegrationError, ModelError, close_matches, listed

__all__ = [
    "CELLS",
    "FLAT",
    "PARTS",
    "Average",
    "Averages",
    "Between",
    "Cells",
    "Link",
    "LogTail",
    "Ratio",
    "Strip",
    "Tensors",
    "as_float",
    "bisected",
    "exponential",
    "normal_density",
]

Array = npt.NDArray[np.float64]
Function = Callable[[npt.ArrayLike], Array]
Panel = tuple[float, int]

PARTS = ("mean", "complement", "d1", "d2", "d3", "d4")
"""What can be averaged: h, 1 - h, and the first to fourth derivative of h."""

_BISECTIONS = 60
FLAT = 40.0  # phi(40) underflows to 0: clipping there turns inf * 0 into the limit, 0


@dataclass(frozen=True, eq=False)  # a link holds the only instance: identity compares and hashes
class Strip:
    """How does h grow off the real line, where its average has no closed form?"""

    half_width: float  # h is analytic for abs(Im w) < half_width
    # `log_growth(part, y)`: log of the K for which abs(f(x + iy)) <= K F(x) at every real x, with f the part asked
    # for and F what `scale` says. Increasing in y
    log_growth: Callable[[str, Array], Array]
    # by part, an upper bound of E[F]. None: F is f itself, so that the error bound is relative to the value
    scale: dict[str, float | None]
    tolerance: dict[str, float]  # by part, the discretisation error that a rule is built for, in units of E[F]
    # raw moments 1 to 4 of the distribution whose cdf is h; used when s is far larger than they are. Empty where it
    # has none
    moments: tuple[float, ...] = ()
    integrated: int = 0  # {0, 1}: 1 where that cdf is h', so that h grows as eta does
    # in place of moments, `wide(eta, s, part)`: E[f(eta + s Z)] to rounding from s = 4096 on
    wide: Callable[[Array, Array, str], Array] | None = None


class Cells(NamedTuple):
    """How finely do tables of averages follow eta?"""

    width: float  # of a cell in eta, a power of two
    # from which s on a row is made from which panels; the bounds of the table say what a choice is worth
    panels: tuple[tuple[float, Panel], ...]


CELLS = Cells(
    0.125,
    (
        *((0.0, (1.0, 32)), (0.1875, (1.0, 28)), (0.34375, (2.0, 44)), (0.40625, (2.0, 40)), (0.5, (2.0, 32))),
        *((0.6875, (2.0, 28)), (0.8125, (4.0, 44)), (1.0, (4.0, 40)), (1.25, (4.0, 36)), (1.5, (4.0, 32))),
        *((2.0, (4.0, 28)), (2.5, (4.0, 24)), (4.0, (8.0, 28)), (5.0, (8.0, 24))),
    ),
)
"""Fine enough for a strip of half-width pi / 2."""


class Ratio(NamedTuple):
    """What is exp() of a difference on the link scale called?"""

    # as the provenance of a coefficient, as a comparison, and in a sentence
    scale: str
    comparison: str
    phrase: str
    median: str = ""  # between two random groups; empty where that has no name


class Tensors(NamedTuple):
    """How does PyTensor write the link? Each takes the module ``pytensor.tensor`` and eta."""

    inverse: Callable[[Any, Any], Any]  # h(eta)
    # log h(eta) and log(1 - h(eta)), both to full relative accuracy; None where h is no probability
    logs: Callable[[Any, Any], tuple[Any, Any]] | None = None
    factors: bool = False  # whether h(v) - h(u) = (1 - exp(u - v)) h(v) (1 - h(u))


@dataclass(frozen=True, eq=False)
class LogTail:
    """psi = log f, f = h or 1 - h: what the logarithm of an average needs where that is too small for a float."""

    # eta -> log f(eta), and its derivative
    psi: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    mode: Callable[[Array, Array], Array]  # `mode(eta, s)`: the z at which z^2 / 2 - psi(eta + s z) is smallest
    # `growth(theta, s, mode)`: log of how f grows off the real line at angles theta = s Im z; None: the strip's,
    # relative to h itself
    growth: Callable[[Array, Array, Array], Array] | None = None


def bisected(slope: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The `mode` where 0 <= psi' <= 1, so that it lies between 0 and s."""

    def mode(eta: Array, s: Array) -> Array:
        low, high = np.zeros_like(s), s.copy()
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            right = middle < s * slope(eta + s * middle)
            low, high = np.where(right, middle, low), np.where(right, high, middle)
        return 0.5 * (low + high)

    return mode


class Between(NamedTuple):
    """A variance between groups in closed form, (draw, row), with a bound on its error, its method and its nodes."""

    value: Array
    error_bound: float
    method: str
    nodes: int


class Average(Protocol):
    """An average over groups, as `integrate` gives it."""

    @property
    def value(self) -> Array:
        """The average, (draw, row)."""

    @property
    def error_bound(self) -> float:
        """How wrong it can be."""


class Averages(Protocol):
    """Averages of h and 1 - h over normal group effects, and what is known of their errors."""

    @property
    def mean(self) -> Average:
        """E[h]."""

    @property
    def complement(self) -> Average:
        """E[1 - h]."""

    @property
    def farthest(self) -> float:
        """How far from 0 eta + s z gets."""

    def relative(self, part: str) -> float:
        """Error of an average in units of itself."""

    def rules(self, part: str) -> tuple[float, float, int]:
        """Relative bound, absolute bound and nodes over the rules that were used."""


@dataclass(frozen=True, eq=False)  # `LINKS` holds the only instance: identity compares and hashes
class Link:
    """What does a linear predictor eta mean on the response scale?

    >>> from bayesmargins.family import get_link
    >>> float(get_link("logit").inverse(0.0))
    0.5
    """

    name: str  # its name in `LINKS`
    link: Function  # mu -> eta
    # eta -> h(eta), h'(eta), h''(eta)
    inverse: Function
    derivative: Function
    second: Function
    # eta -> h'''(eta) and h''''(eta), for derivatives of slopes; empty where a link has none
    higher: tuple[Function, ...] = field(repr=False)
    tensors: Tensors = field(repr=False)  # for samplers
    # eta -> 1 - h(eta) to full relative accuracy; None where h is not a probability
    complement: Function | None = None
    bounded: bool = False  # whether h lies in [0, 1]
    # standard deviation of the latent error whose cdf is h (1 where there is none); a scale for priors
    latent_sd: float = 1.0
    latent_variance: str = ""  # its square as a sentence has it; empty where there is none
    # whether h is the identity, exp but for a constant, or the standard normal cdf: averages over groups are known to
    # the last digit
    linear: bool = False
    exponential: bool = False
    normal: bool = False
    symmetric: bool = False  # whether h(-eta) = 1 - h(eta)
    steep: tuple[str, ...] = ()  # parts that fall so steeply that small values of tables lose digits
    # `closed_form(eta, s2, part)`: E[f(eta + s Z)]; None where it is computed numerically
    closed_form: Callable[[Array, Array, str], Array] | None = None
    # `closed_linked(eta, s2)`: the eta whose h is that average
    closed_linked: Callable[[Array, Array], Array] | None = None
    # `closed_between(eta, s2, rest)`: the variance over Z of E[h(eta + s Z + r U) given Z]
    closed_between: Callable[[Array, Array, Array], Between] | None = None
    # `closed_log(eta, s2, part)`: log E[h(eta + s Z)] or log E[1 - h(eta + s Z)]
    closed_log: Callable[[Array, Array, str], Array] | None = None
    # without a closed form, the same by part
    log_tails: Mapping[str, LogTail] = field(default_factory=dict, repr=False)
    strip: Strip | None = field(default=None, repr=False)  # growth off the real line; None with a closed form
    # without a closed form, the eta whose h is the average, and a bound on its error, from `Averages`
    linked: Callable[[Averages], tuple[Array, float]] | None = None
    # without a closed form, Var(h(eta + s Z)) from averages: `between(average, mean, complement)` with `average(part,
    # shift)`; also the error that the further averages add. None: no identity is known
    between: Callable[[Callable[..., Any], Average, Average], tuple[Array, float]] | None = None
    no_average: str = ""  # why E[h(eta + s Z)] does not exist, for any s above 0; empty where it does
    # sup of abs(h^(n)) for n = 0, 1, ..., rounded up in the fourth digit
    steepest: tuple[float, ...] = field(default=(), repr=False)
    steeper: Callable[[int], float] | None = None  # an upper bound of it for larger n; None: Cauchy's, from the strip
    cells: Cells = field(default=CELLS, repr=False)  # of its tables
    # the number of a part -> what compiled code knows of it: a tuple that begins with that number, whose type has
    # plain functions that `integrate` compiles. The second is for the third and fourth derivative
    kernels: Any = field(default=None, repr=False)
    higher_kernels: Any = field(default=None, repr=False)
    names: Mapping[str, str] = field(default_factory=dict, repr=False)  # what other packages call it, by package
    # words for exp() of a difference in eta; None where that is no ratio
    ratio: Ratio | None = field(default=None, repr=False)

    @cached_property
    def parts(self) -> Mapping[str, Function]:
        """What can be averaged, by its name in `PARTS`."""
        named = zip(PARTS, (self.inverse, self.complement, self.derivative, self.second, *self.higher), strict=False)
        return {name: function for name, function in named if function is not None}

    def part(self, name: str) -> Function:
        """h ("mean"), 1 - h ("complement") or a derivative of h ("d1" to "d4"); refuses what the link has not."""
        found = self.parts.get(name)
        if found is None:
            raise ModelError(self.without(name))
        return found

    def without(self, name: str) -> str:
        """The message about a part that there is not."""
        hint = close_matches(name, self.parts)
        return f"part={name!r} of the {self.name} link: allowed are {listed(self.parts)}.{hint}"

    def check_average(self, s2: Array | float) -> None:
        """Refuse averages over normal group effects where there are none: IntegrationError."""
        if self.no_average and np.any(np.asarray(s2) > 0.0):
            raise IntegrationError(
                f"Averages over new groups, b ~ N(0, Sigma), do not exist under the {self.name} link: "
                f"{self.no_average}. groups='own' (each row with its own group), 'existing' (averaged over the fitted "
                "groups, exactly) and 'zero' (b = 0) work, and so does target='link'; a log link has the average."
            )

    @cached_property
    def tags(self) -> Mapping[str, Any]:
        """How compiled code is told which function of the link it averages, by its name in `PARTS`."""
        kinds = dict.fromkeys(PARTS, self.kernels) | dict.fromkeys(("d3", "d4"), self.higher_kernels)
        return {name: kind(number) for number, (name, kind) in enumerate(kinds.items()) if kind is not None}

    @property
    def tabled(self) -> bool:
        """Whether tables can hold its averages: it is bounded, or a strip says how it grows."""
        return self.bounded or self.strip is not None

    @property
    def separable(self) -> bool:
        """Whether h turns sums into sums or products, so that groups shift an average and do nothing else to it."""
        return self.linear or self.exponential

    def size(self, reach: float) -> float:
        """How large abs(h) gets up to this distance from 0, at least 1: rounding errors are in units of it."""
        return 1.0 if self.bounded else max(1.0, *np.abs(self.inverse([-reach, reach])).tolist())

    def supremum(self, n: int) -> float:
        """An upper bound of abs(h^(n)) over the real line; Cauchy's is n! sup abs(h) / a^n for any a in the strip."""
        if n < len(self.steepest):
            return self.steepest[n]
        if self.steeper is not None:
            return self.steeper(n)
        if self.strip is None:
            return math.inf
        a = self.strip.half_width * np.linspace(0.02, 0.999, 400)
        growth = np.minimum(self.strip.log_growth("mean", a), self.strip.log_growth("complement", a) + math.log(2.0))
        return math.exp(float(np.min(math.lgamma(n + 1.0) + growth - n * np.log(a))))


def as_float(x: npt.ArrayLike) -> Array:
    """An array of floats."""
    return np.asarray(x, dtype=np.float64)


def exponential(eta: npt.ArrayLike) -> Array:
    """exp(eta), infinite in silence."""
    with np.errstate(over="ignore"):
        return np.exp(as_float(eta))


def normal_density(x: Array) -> Array:
    """The standard normal density."""
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)
