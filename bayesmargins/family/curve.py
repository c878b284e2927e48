"""What is averaged over b: inverse links of a linear predictor that was moved or turned, and sums of their averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import Values

__all__ = ["Bundle", "Curve", "Quantity", "Shares"]


@dataclass(frozen=True)
class Curve:
    """factor h(sign * eta + shift) + added: of an inverse link, whose averages over b the engines give."""

    link: Link  # its inverse is h
    # parameters of the family -> what is added, broadcasting; None adds nothing
    shift: Callable[[Values], Array] | None = None
    sign: float = 1.0  # {1.0, -1.0}: of eta
    # parameters of the family -> what is added to h, broadcasting; None adds nothing
    added: Callable[[Values], Array] | None = None
    reads: tuple[str, ...] = ()  # the parameters that `shift`, `added` and `factor` read
    # parameters of the family -> what h is multiplied by, from 0 to 1, broadcasting; None is 1
    factor: Callable[[Values], Array] | None = field(default=None, kw_only=True)
    # the parameter that `factor` is 1 less; empty where it is something else
    thinned: str = field(default="", kw_only=True)
    # parameters in which it rises so steeply that over normal effects on them it has no finite average
    endless: tuple[str, ...] = field(default=(), kw_only=True)

    @cached_property
    def plain(self) -> bool:
        """Whether it is h(eta) itself."""
        return self.shift is None and self.added is None and self.factor is None and self.sign == 1.0

    def tilts(self, link: Link) -> bool:
        """Is it exp(eta) times 1 less the parameter that it is thinned by, whose link this is?"""
        alone = self.link.exponential and self.added is None and self.sign == 1.0
        return bool(self.thinned and alone and link.bounded)

    def of(self, eta: Array, p: Values) -> Array:
        """What h is taken of, broadcasting."""
        turned = eta if self.sign == 1.0 else -eta
        return turned if self.shift is None else turned + self.shift(p)

    def beside(self, p: Values) -> Array | float:
        """What is added to h, broadcasting."""
        return 0.0 if self.added is None else self.added(p)

    def times(self, p: Values) -> Array | float:
        """What h is multiplied by, broadcasting."""
        return 1.0 if self.factor is None else self.factor(p)

    def scaled(self, average: Array, p: Values, part: str = "mean") -> Array:
        """The average of factor h from that of h; of 1 less it ("complement") from that of 1 - h, broadcasting."""
        if self.factor is None:
            return average
        factor = self.factor(p)
        return np.asarray(factor * average if part == "mean" else (1.0 - factor) + factor * average)


@dataclass(frozen=True, eq=False)  # compared and hashed by identity
class Bundle:
    """Several smooth functions of one eta that are averaged over b together, such as the probabilities of categories.

    The functions lie between 0 and 1 on the real line.
    """

    link: Link  # of the model
    outputs: int  # how many functions there are
    # `(p, order) -> (order + 1, output, ...)`: their values at `p.eta` and derivatives in it up to an order, 4 at
    # most, with full relative accuracy; `p` is as in `Values`, broadcasting
    of: Callable[[Values, int], Array]
    half_width: float  # they are analytic for abs(Im eta) < half_width, which may be infinite
    # `growth(y)`: log of the K for which abs(f(x + iy)) <= K f(x) at every real x (or <= K, where not `relative`).
    # Increasing in y
    growth: Callable[[Array], Array]
    relative: bool = True  # whether `growth` is relative to the function itself
    reads: tuple[str, ...] = ()  # the parameters of the family that they read


@dataclass(frozen=True)
class Shares:
    """Probabilities of categories that several linear predictors move together."""

    link: Link  # of the model
    # how many categories there are. Category k has exp(eta_k) / (1 + sum_j exp(eta_j)), where eta of the first is 0
    # and the others have a linear predictor each
    outputs: int


@dataclass(frozen=True)
class Quantity:
    """Numbers of the response that are sums of averages: constants + weights @ averages of curves."""

    curves: tuple[Curve, ...]  # what is averaged; empty where a `bundle` is
    constants: Array  # (output,)
    weights: Array  # (output, curve)
    probability: bool = False  # whether every output lies between 0 and 1
    # labels of the outputs, where they are an axis of the result; None where there is one output and no axis
    categories: tuple[object, ...] | None = None
    # what is averaged in place of curves: probabilities that sum to 1. The constants are 0
    bundle: Bundle | Shares | None = None

    @classmethod
    def single(cls, curve: Curve) -> Quantity:
        """The average of one curve."""
        return cls((curve,), np.zeros(1), np.ones((1, 1)), curve.link.bounded and curve.added is None)

    @cached_property
    def plain(self) -> bool:
        """Whether it is the average of h(eta) itself, as nearly every mean is."""
        return self.only is not None and self.only.plain

    @cached_property
    def only(self) -> Curve | None:
        """The curve whose average it is, if that is of one inverse link, or a share of it, with nothing added."""
        one = self.categories is None and len(self.curves) == 1 and self.curves[0].added is None
        return self.curves[0] if one and self.constants[0] == 0.0 and self.weights[0, 0] == 1.0 else None

    @cached_property
    def link(self) -> Link:
        """Of what is averaged, of the first where these are several."""
        return self.curves[0].link if self.bundle is None else self.bundle.link

    @cached_property
    def linear(self) -> bool:
        """Whether averaging over b leaves b = 0."""
        return self.bundle is None and all([curve.link.linear for curve in self.curves])

    @cached_property
    def signed(self) -> bool:
        """Whether it may be negative."""
        return not self.probability and self.linear

    def needs(self, parts: Sequence[str], careful: bool) -> tuple[str, ...]:
        """Which averages of each curve are read for these parts of the outputs?

        `careful` where small values are to keep their relative accuracy: that of a difference of averages is better
        kept by the difference of their complements where both are near 1.
        """
        if self.only is not None:
            return tuple(parts)
        if self.bundle is not None:
            return ("mean",)
        return ("mean", "complement") if self.probability and (careful or len(self.weights) == 1) else ("mean",)

    def combined(self, averages: Mapping[str, Array], part: str = "mean") -> Array:
        """The outputs: (draw, output, cell), from averages by part, (curve, draw, cell)."""
        if self.bundle is not None:  # 1 less some of the probabilities is the sum of the others
            return self.changes(averages["mean"], self.weights if part == "mean" else 1.0 - self.weights)
        sign, base = (1.0, self.constants) if part == "mean" else (-1.0, 1.0 - self.constants)
        outputs = [_summed(averages, t, sign * w) for t, w in zip(base, self.weights, strict=True)]
        values = np.stack(outputs, axis=1)
        return np.clip(values, 0.0, 1.0) if self.probability else values

    def changes(self, derivatives: Array, weights: Array | None = None) -> Array:
        """Derivatives of the outputs: (draw, output, cell), from those of the averages, (curve, draw, cell)."""
        return np.einsum("oc,cdn->don", self.weights if weights is None else weights, derivatives)


def _summed(averages: Mapping[str, Array], constant: float, weights: Array) -> Array:
    """constant + weights @ averages, (draw, cell), in the form that cancels least.

    A falling term w c is also w - w (1 - c). Where that makes the constant vanish nothing cancels; else there are the
    sum of averages and that of complements, and the one with the smaller terms is exact to more digits.
    """
    means, complements = averages["mean"], averages.get("complement")
    if complements is None:
        return constant + np.tensordot(weights, means, axes=1)
    rising, falling = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
    if constant == falling.sum():
        return np.tensordot(rising, means, axes=1) + np.tensordot(falling, complements, axes=1)
    low = constant + np.tensordot(weights, means, axes=1)
    high = constant + weights.sum() - np.tensordot(weights, complements, axes=1)
    size = np.abs(weights)
    smaller = np.tensordot(size, means, axes=1) + abs(constant)
    other = np.tensordot(size, complements, axes=1) + abs(constant + weights.sum())
    return np.where(smaller <= other, low, high)
