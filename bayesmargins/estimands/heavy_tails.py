"""New groups with Student-t effects: which questions have an answer, and what answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bayesmargins.draws import Draws
from bayesmargins.errors import EstimandError, GroupsError, listed
from bayesmargins.evaluate import CombinedPredictor, Predictor, ScaledPredictor, predictor_of, scaled
from bayesmargins.family import Link
from bayesmargins.family.curve import Quantity
from bayesmargins.family.quantity import Target
from bayesmargins.groups import Policy
from bayesmargins.posterior import Posterior

__all__ = [
    "heavy_in",
    "predictor_over",
    "refuse_heavy",
    "refuse_infinite",
    "refuse_several",
    "with_their_variance",
]


def heavy_in(policy: Policy, post: Posterior) -> dict[str, str]:
    """Factors with Student-t effects that are integrated, and what their degrees of freedom are called."""
    return {f: df for f, df in post.design.degrees.items() if policy.by_factor.get(f) == "new"}


def refuse_heavy(post: Posterior, what: str, way_out: str) -> None:
    """Refuse what is in closed form for normal effects alone.

    Raises
    ------
    GroupsError
        The posterior has Student-t effects.
    """
    if post.design.degrees:
        raise GroupsError(
            f"{what} takes group effects to be normal, and those of {listed(post.design.degrees)} are Student-t in "
            f"{post.formula!r}: it is not there. {way_out}"
        )


def refuse_several(post: Posterior, factor: str) -> None:
    """Refuse what is asked within a group where a row belongs to several.

    Raises
    ------
    GroupsError
        It does.
    """
    if post.design.factors[factor].members is not None:
        raise GroupsError(
            f"Each row belongs to several groups of {factor!r}, so there is no effect within one of them. "
            "avg_comparisons has the effect over new groups, and with groups='own' over those of each row."
        )


def predictor_over(
    post: Posterior, quantity: Quantity, heavy: Mapping[str, str], tick: Callable[[int], None]
) -> Predictor | CombinedPredictor | ScaledPredictor:
    """What predicts this quantity: where b is Student-t, an average over its scale.

    Raises
    ------
    EstimandError
        The average over new groups is infinite, or nobody knows that it is not.
    """
    links = [curve.link for curve in quantity.curves]
    if not heavy:
        return predictor_of(post.draws, quantity, tick)
    for link in links:
        refuse_infinite(link, "mean")
    if all(link.linear for link in links) and links:
        _refuse_without_mean(post.draws, heavy, 1.0, "mean")
        return predictor_of(post.draws, quantity, tick)  # of what is symmetric about eta
    return ScaledPredictor(post.draws, heavy, lambda draws, told: predictor_of(draws, quantity, told), tick)


def with_their_variance(post: Posterior, target: Target, heavy: Mapping[str, str]) -> tuple[Draws, Mapping[str, str]]:
    """The draws, and factors over whose scale a number of the distribution of y is averaged.

    Under the identity a standard deviation needs of b its variance alone, which is df / (df - 2) times Sigma.

    Raises
    ------
    EstimandError, GroupsError
        As of `predictor_over`; two factors at once.
    """
    draws = post.draws
    if not target.moment:
        return draws, _only(heavy)
    refuse_infinite(post.link, str(target))
    if not post.link.linear:
        return draws, _only(heavy)
    _refuse_without_mean(draws, heavy, 2.0, str(target))
    for factor, df in heavy.items():
        draws = scaled(draws, factor, draws.aux[df] / (draws.aux[df] - 2.0))
    return draws, {}


def _only(heavy: Mapping[str, str]) -> Mapping[str, str]:
    if len(heavy) > 1:
        raise GroupsError(
            f"{listed(heavy)} have Student-t effects, and this target is averaged over new groups of one such factor. "
            "Ask for 'own', 'existing' or 'zero' of the others."
        )
    return heavy


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
