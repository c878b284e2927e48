"""The verb: what do the draws say to what is asked, counterfactual copy by counterfactual copy?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import numpy as np

from bayesmargins.counterfactuals import Settings
from bayesmargins.draws import Draws
from bayesmargins.errors import EstimandError, GroupsError, listed
from bayesmargins.evaluate.asked import Asked
from bayesmargins.evaluate.blocks import Blocks, Copy, Derivative
from bayesmargins.evaluate.chunks import Passed
from bayesmargins.evaluate.combined import CombinedPredictor
from bayesmargins.evaluate.distribution import DistributionPredictor, part_values
from bayesmargins.evaluate.heavy_tails import ScaledPredictor, scaled
from bayesmargins.evaluate.passes import Predictor
from bayesmargins.evaluate.tilted import TiltedPredictor
from bayesmargins.family import Link
from bayesmargins.family.curve import Quantity
from bayesmargins.family.quantity import Target
from bayesmargins.integrate.student_scales import scales_of
from bayesmargins.posterior import Posterior
from bayesmargins.progress import Progress, shared

__all__ = ["Evaluation", "predictor_of"]

Averages = Predictor | CombinedPredictor | ScaledPredictor


class Evaluation:
    """What do the draws say? To be used in a ``with`` block, which shows progress.

    Parameters
    ----------
    asked : Asked
        Rows, averages, policy, target.
    passes : int
        Passes over the rows that are to come, for the progress bar.

    Attributes
    ----------
    passed : list of Passed
        Every pass so far, for the provenance.
    """

    def __init__(self, asked: Asked, passes: int) -> None:
        rows = len(asked.frame) if asked.stream is None else asked.stream.rows  # None where nobody knows
        draws = len(asked.post.draws.beta)
        self.passed = list[Passed]()
        self.progress = Progress(None if rows is None else rows * draws * passes * asked.policy.combinations)
        self._predictor = _predictor(asked, self.progress.tick)
        self.turn_to(asked)

    def turn_to(self, asked: Asked) -> None:
        """Go on with other rows: tables that were made serve them too, and change no digit of what they give."""
        self.asked, self.blocks = asked, Blocks(asked)
        self.impossible = self.blocks.impossible

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        if kind is None and self.impossible is not None:
            self.impossible.told()

    def values(self, settings: Settings, parts: Sequence[str] = ("mean",), tails: bool = False) -> Passed:
        """What is the mean response of a copy's rows?

        Parameters
        ----------
        settings : tuple of Setting
            What is set on all rows.
        parts : sequence of {"mean", "complement"}
            The mean, or 1 - mean.
        tails : bool
            Whether values that are too small to be divided by are needed as logarithms too.

        Returns
        -------
        Passed
            Values (draw, group x row or cell): those of the second named group follow those of the first.

        Raises
        ------
        DataError
            Missing values in what is averaged; what the design refuses.
        """
        copy = self.blocks.copy(settings)
        careful = tails or not self.asked.scheme.average  # single rows may be small
        passed = self._predictor.values(copy, *copy.distinct.size, parts, careful)
        if tails:
            self._predictor.add_tails(passed, copy)
        return self._kept(copy, passed)

    def slopes(self, settings: Settings, of: Derivative) -> Passed:
        """How does the mean response of a copy's rows change with a variable? ``values[of.part]``, as of `values`.

        Raises
        ------
        DataError
            As for `values`; a row where there is no derivative.
        """
        copy, predictor = self.blocks.copy(settings, of), self._predictor
        if isinstance(predictor, DistributionPredictor):
            slopes = predictor.slopes
        elif of.of_y:
            slopes = predictor.relative_slopes
        else:
            slopes = predictor.second_derivatives if of.second else predictor.slopes
        return self._kept(copy, slopes(copy, *copy.distinct.size))

    def parameters(self, settings: Settings) -> dict[str, np.ndarray]:
        """Values (draw, group x row) of parameters with a linear predictor of their own; NaN where values are missing.

        Raises
        ------
        DataError, GroupsError, PosteriorError
            As for `values`; a parameter that is not above 0.
        """
        shape = len(self.asked.post.draws.beta), self.asked.policy.combinations * self.asked.averaging.cells.n
        values = {name: np.empty(shape) for name in self.asked.parts}
        for chunk in self.blocks.row_by_row(settings) if values else ():
            for part in chunk.parts:
                values[part.name][:, chunk.cells.index] = part_values(part, slice(None))
        return values

    def _kept(self, copy: Copy, passed: Passed) -> Passed:
        every_row = None if self.asked.scheme.average else copy.every_row
        if every_row is not None:
            passed.values = {part: values[..., every_row] for part, values in passed.values.items()}
            passed.logs = {part: values[..., every_row] for part, values in passed.logs.items()}
        self.passed.append(passed)
        return passed


def _predictor(asked: Asked, tick: Callable[[int], None]) -> Averages | TiltedPredictor | DistributionPredictor:
    post, quantity = asked.post, asked.quantity
    heavy = {f: df for f, df in post.design.degrees.items() if asked.policy.by_factor.get(f) == "new"}
    if quantity is not None:
        return _averages(post, quantity, heavy, tick) if heavy else predictor_of(post.draws, quantity, tick)
    if asked.tilted:
        curve = post.family.curve(post.link)
        if heavy:
            _refuse_infinite(curve.link, "mean")
        return TiltedPredictor(post.draws, curve, post.parts[asked.parts[0]].link, tick)
    assert isinstance(asked.target, Target)
    draws, scales = _with_their_variance(post, asked.target, heavy) if heavy else (post.draws, heavy)
    return DistributionPredictor(draws, post.link, post.family, asked.target, tick, scales)


def _averages(post: Posterior, quantity: Quantity, heavy: Mapping[str, str], tick: Callable[[int], None]) -> Averages:
    """What predicts this quantity where b of some factors is Student-t: an average over its scale."""
    links = [curve.link for curve in quantity.curves]
    for link in links:
        _refuse_infinite(link, "mean")
    if all(link.linear for link in links) and links:
        _refuse_without_mean(post.draws, heavy, 1.0, "mean")
        return predictor_of(post.draws, quantity, tick)  # of what is symmetric about eta
    return _over_scales(post.draws, heavy, quantity, tick)


def predictor_of(draws: Draws, quantity: Quantity, tick: Callable[[int], None]) -> Predictor | CombinedPredictor:
    """What predicts this quantity where b is normal: nearly always the average of h(eta) itself."""
    if quantity.plain:
        return Predictor(draws, quantity.curves[0].link, tick)
    return CombinedPredictor(draws, quantity, tick)


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


def _with_their_variance(post: Posterior, target: Target, heavy: Mapping[str, str]) -> tuple[Draws, Mapping[str, str]]:
    """The draws, and factors over whose scale a number of the distribution of y is averaged.

    Under the identity a standard deviation needs of b its variance alone, which is df / (df - 2) times Sigma.
    """
    draws = post.draws
    if target.moment:
        _refuse_infinite(post.link, str(target))
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


def _refuse_infinite(link: Link, what: str) -> None:
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
