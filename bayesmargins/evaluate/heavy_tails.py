"""New groups with Student-t effects: passes and distributions given a scale of Sigma, averaged over the scale.

Given the scale, effects are normal, and everything goes its usual way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.errors import EstimandError, GroupsError, listed
from bayesmargins.evaluate.asked import Passed
from bayesmargins.evaluate.chunks import Chunk
from bayesmargins.evaluate.combined import CombinedPredictor, predictor_of
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.family import Link
from bayesmargins.family.compound import Compound
from bayesmargins.family.curve import Quantity
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.quantity import Target
from bayesmargins.integrate.student_scales import Scales, scales_of
from bayesmargins.posterior import Posterior
from bayesmargins.progress import shared

__all__ = [
    "METHOD",
    "Averages",
    "Scaled",
    "ScaledPredictor",
    "averages_over_scales",
    "refuse_infinite",
    "scaled",
    "with_their_variance",
]

METHOD = "trapezoid over the scale of Student-t effects"


def scaled(draws: Draws, factor: str, by: np.ndarray) -> Draws:
    """The draws with Sigma of a factor times a number each (draw,)."""
    return replace(draws, Sigma={**draws.Sigma, factor: draws.Sigma[factor] * by[:, None, None]})


class ScaledPredictor:
    """What do these draws predict, with b of a factor Student-t over new groups? One predictor each scale of Sigma."""

    def __init__(self, scales: Scales, each: Sequence[Any]) -> None:
        self.scales, self._each = scales, each

    def values(
        self, chunks: Iterable[Chunk], rows: int, cells: int, parts: Sequence[str] = ("mean",), careful: bool = False
    ) -> Passed:
        """As of `Predictor`."""
        return self._averaged(lambda p: p.values(chunks, rows, cells, parts, careful))

    def slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        return self._averaged(lambda p: p.slopes(chunks, rows, cells))

    def second_derivatives(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """As of `Predictor`."""
        return self._averaged(lambda p: p.second_derivatives(chunks, rows, cells))

    def relative_slopes(self, chunks: Iterable[Chunk], rows: int, cells: int) -> Passed:
        """Refused: a quotient of averages in each row."""
        raise EstimandError(
            "Slopes relative to the mean (slope='eyex', 'eydx') divide two averages in each row, and under Student-t "
            "effects each is an average over scales: that is not there. slope='dydx' is, and so is the ratio of two "
            "average predictions, comparison='ratio'."
        )

    def add_tails(self, passed: Passed, chunks: Iterable[Chunk]) -> None:
        """Tails of Student-t effects are never too small to be divided by."""

    def _averaged(self, found: Callable[[Any], Passed]) -> Passed:
        """The weighted sum over scales, with the estimate of its error."""
        fine: dict[str, np.ndarray] = {}
        coarse: dict[str, np.ndarray] = {}
        out, inner, methods = Passed({}), 0.0, set[str]()
        for predictor, w, v in zip(self._each, self.scales.weights, self.scales.coarse, strict=True):
            one = found(predictor)
            for part, values in one.values.items():
                fine[part] = fine.get(part, 0.0) + w * values
                coarse[part] = coarse.get(part, 0.0) + v * values
            inner = max(inner, one.wrong)
            methods |= one.methods
            out.nodes = max(out.nodes, one.nodes)
            out.multiplied = max(out.multiplied, one.multiplied)
        out.methods = {f"{METHOD} ({', '.join(sorted(methods))})"}
        out.values, out.relative_bound = fine, np.inf
        errors = [self.scales.error(fine[part], coarse[part]) for part in fine]
        outer = max((float(np.nanmax(e, initial=0.0)) for e in errors), default=0.0)
        out.error_estimate = inner + outer
        return out


Averages = Predictor | CombinedPredictor | ScaledPredictor


@dataclass(frozen=True)
class Scaled:
    """How is y distributed over b, where b is Student-t?"""

    each: tuple[Mixture, ...]  # given the scale of each node
    scales: Scales  # weights of the nodes

    @property
    def s(self) -> np.ndarray:
        """(n,): that of the first node."""
        return self.each[0].s

    def take(self, which: slice) -> Scaled:
        """The same for some of the pairs."""
        return replace(self, each=tuple(y.take(which) for y in self.each))

    def found(self, target: Target, part: str) -> Number:
        """Values of a target, (n,), with an estimate of the error where the target is an average."""
        fine = self._of(target, self.scales.weights, part)
        if not target.probability:
            return replace(fine, method=f"{METHOD} ({fine.method})")
        coarse = self._of(target, self.scales.coarse, part)
        error = self.scales.error(fine.value, coarse.value) + fine.error
        return replace(fine, error=error, method=f"{METHOD} ({fine.method})")

    def _of(self, target: Target, weights: np.ndarray, part: str) -> Number:
        kept = np.flatnonzero(weights)
        y: Any = Compound(tuple(self.each[k] for k in kept), tuple(weights[k : k + 1] for k in kept))
        return target.found(y, part)


def averages_over_scales(
    post: Posterior, quantity: Quantity, heavy: Mapping[str, str], tick: Callable[[int], None]
) -> Averages:
    """What predicts this quantity where b of some factors is Student-t: an average over its scale."""
    links = [curve.link for curve in quantity.curves]
    for link in links:
        refuse_infinite(link, "mean")
    if all(link.linear for link in links) and links:
        _refuse_without_mean(post.draws, heavy, 1.0, "mean")
        return predictor_of(post.draws, quantity, tick)  # of what is symmetric about eta
    return _over_scales(post.draws, heavy, quantity, tick)


def _over_scales(draws: Draws, heavy: Mapping[str, str], quantity: Quantity, tick: Callable[[int], None]) -> Averages:
    """The same, averaged over the scale of every factor with Student-t effects."""
    if not heavy:
        return predictor_of(draws, quantity, tick)
    (factor, df), *others = heavy.items()
    scales = scales_of(draws.aux[df])
    nodes = scales.values.T
    told = shared(tick, len(nodes))
    each = [_over_scales(scaled(draws, factor, by), dict(others), quantity, told) for by in nodes]
    return ScaledPredictor(scales, each)


def with_their_variance(post: Posterior, target: Target, heavy: Mapping[str, str]) -> tuple[Draws, Mapping[str, str]]:
    """The draws, and factors over whose scale a number of the distribution of y is averaged.

    Under the identity a standard deviation needs of b its variance alone, which is df / (df - 2) times Sigma.
    """
    draws = post.draws
    if target.moment:
        refuse_infinite(post.link, str(target))
    if target.moment and post.link.linear:
        _refuse_without_mean(draws, heavy, 2.0, str(target))
        for factor, df in heavy.items():
            draws = scaled(draws, factor, draws.aux[df] / (draws.aux[df] - 2.0))
        return draws, {}
    if len(heavy) > 1:
        raise GroupsError(
            f"{listed(heavy)} have Student-t effects, and this target is averaged over new groups of one such factor. "
            "Ask for 'own', 'existing' or 'zero' of the others."
        )
    return draws, heavy


def refuse_infinite(link: Link, what: str) -> None:
    """EstimandError where the average of an inverse link over Student-t effects is infinite, or may be."""
    if link.bounded or link.linear:
        return
    if link.exponential:
        raise EstimandError(
            f"The {what} over new groups with Student-t effects is infinite under the {link.name} link: exp(b) has no "
            "finite mean, whatever the degrees of freedom. Medians, other quantiles and probabilities exist "
            "(target=bm.quantile(0.5), bm.exceeds(c)), groups='own' and 'existing' have a mean, and so have normal "
            "effects, (1 | g)."
        )
    raise EstimandError(
        f"The {what} over new groups with Student-t effects is not there under the {link.name} link, which has no "
        "bound: its tails decide it. Quantiles and probabilities are (target=bm.quantile(0.5), bm.exceeds(c)), and "
        "'own' and 'existing'."
    )


def _refuse_without_mean(draws: Draws, heavy: Mapping[str, str], least: float, what: str) -> None:
    for factor, df in heavy.items():
        bad = int(np.sum(draws.aux[df] <= least))
        if bad:
            raise EstimandError(
                f"The {what} over new groups of {factor!r} does not exist in {bad} of {len(draws.beta)} draws, where "
                f"its effects have {least:g} degrees of freedom or fewer. Quantiles and probabilities do "
                "(target=bm.quantile(0.5), bm.exceeds(c)), and groups='own' and 'existing' have all of them."
            )
