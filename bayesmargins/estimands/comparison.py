"""How two sides can be held against each other, by name, and what is said where a denominator changes its sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesmargins.errors import warn

__all__ = ["COMPARISONS", "VERSUS", "Comparison", "changes_sign", "warn_of_signs"]

Numbers = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """How the high side is held against the low side: by functions of the two means, then of the two complements."""

    label: str  # template of the contrast's label, with {high} and {low}
    compare: Numbers  # `(high, low) -> value`, or `(high, low, 1 - high, 1 - low) -> value` of odds
    # whether 1 - mean is needed too: it is integrated in its own right, so that odds of rare events lose no digits
    odds: bool = False
    of_logs: Numbers | None = None  # the same from their logarithms, for parts that are too small for `compare`
    # `(value, relative) -> error`: how wrong the value can be, with the relative errors of all parts added up
    error: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    # {"", "neutral", "benefit", "harm"}: what one more event is, where a difference of probabilities is told as a
    # number needed to treat
    event: str = ""

    @cached_property
    def subtracts(self) -> bool:
        """Whether the value is the difference of the two means."""
        return self.compare is np.subtract

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What is evaluated on each side."""
        return ("mean", "complement") if self.odds else ("mean",)

    @cached_property
    def divides(self) -> bool:
        """Whether digits of small parts count: a user's function may divide."""
        return self.of_logs is not None or self.error is None


def changes_sign(high: np.ndarray, low: np.ndarray, comparison: str, draws: int | tuple[int, ...] = 0) -> bool:
    """Whether a denominator (or the argument of a logarithm) is positive in some draws of an entry only."""
    sides = (high, low) if comparison == "lnratio" else (low,)
    above = [((s > 0) | np.isnan(s)).all(axis=draws) for s in sides]
    below = [((s < 0) | np.isnan(s)).all(axis=draws) for s in sides]
    return not (np.logical_and.reduce(above) | np.logical_and.reduce(below)).all()


def warn_of_signs(labels: Sequence[str], scale: str) -> None:
    """Of what a denominator changes its sign in."""
    warn(
        f"{scale.capitalize()} of what is 0, or positive in some draws and negative in others: "
        f"{', '.join(labels[:3])}{f' and {len(labels) - 3} more' if len(labels) > 3 else ''}. Such a number jumps from "
        "one infinity to the other and has no useful average or interval; draws that are not finite are counted in "
        "summary. comparison='difference' has no such trouble."
    )


def _log_odds_ratio(high: np.ndarray, low: np.ndarray, not_high: np.ndarray, not_low: np.ndarray) -> np.ndarray:
    return np.log(high / not_high) - np.log(low / not_low)


def _log_odds(high: np.ndarray, low: np.ndarray, not_high: np.ndarray, not_low: np.ndarray) -> np.ndarray:
    return (high - low) - (not_high - not_low)


_DIFFERENCE = Comparison("{high} - {low}", np.subtract, error=lambda value, relative: relative)

COMPARISONS: dict[str, Comparison] = {
    "difference": _DIFFERENCE,
    "ratio": Comparison(
        "{high} / {low}",
        np.divide,
        of_logs=lambda high, low: np.exp(high - low),
        error=lambda value, relative: np.abs(value) * np.expm1(relative),
    ),
    "lift": Comparison(
        "({high} - {low}) / {low}",
        lambda high, low: (high - low) / low,
        of_logs=lambda high, low: np.expm1(high - low),
        error=lambda value, relative: np.abs(1.0 + value) * np.expm1(relative),
    ),
    "lnratio": Comparison(
        "ln({high} / {low})",
        lambda high, low: np.log(high / low),
        of_logs=np.subtract,
        error=lambda value, relative: relative,
    ),
    "lnor": Comparison(
        "ln(odds({high}) / odds({low}))",
        _log_odds_ratio,
        odds=True,
        of_logs=_log_odds,
        error=lambda value, relative: relative,
    ),
    "or": Comparison(
        "odds({high}) / odds({low})",
        lambda *parts: np.exp(_log_odds_ratio(*parts)),
        odds=True,
        of_logs=lambda *logs: np.exp(_log_odds(*logs)),
        error=lambda value, relative: np.abs(value) * np.expm1(relative),
    ),
    # 1 / difference has no mean and no interval of one piece: the draws stay those of the difference.
    "nnt": replace(_DIFFERENCE, event="neutral"),
    "nnt_benefit": replace(_DIFFERENCE, event="benefit"),
    "nnt_harm": replace(_DIFFERENCE, event="harm"),
}
"""Every comparison that has a word, by it."""

VERSUS = replace(_DIFFERENCE, label="{high} vs {low}")
"""How a contrast reads whatever is computed of its sides: results of several comparisons stand side by side by it."""
