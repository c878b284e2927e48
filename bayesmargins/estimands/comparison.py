"""How two sides are held against each other, and how wrong what comes out can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesmargins.errors import warn
from bayesmargins.evaluate import Passed

__all__ = ["COMPARISONS", "VERSUS", "Comparison", "changes_sign", "compared", "warn_of_signs"]

Side = Mapping[str, np.ndarray]
Pair = Callable[[Side, Side], np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """How the high side is held against the low side."""

    label: str  # template of the contrast's label, with {high} and {low}
    compare: Pair  # `(high, low) -> value`; a side is a mapping of `mean` and, where odds are needed, `complement`
    # whether 1 - mean is needed too: it is integrated in its own right, so that odds of rare events lose no digits
    odds: bool = False
    of_logs: Pair | None = None  # the same from logarithms of the parts, for parts that are too small for `compare`
    # `(value, relative) -> error`: how wrong the value can be, with the relative errors of all parts added up
    error: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    # {"", "neutral", "benefit", "harm"}: what one more event is, where a difference of probabilities is told as a
    # number needed to treat
    event: str = ""

    @cached_property
    def subtracts(self) -> bool:
        """Whether the value is the difference of the two means."""
        return self.compare is _minus

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What is evaluated on each side."""
        return ("mean", "complement") if self.odds else ("mean",)

    @cached_property
    def divides(self) -> bool:
        """Whether digits of small parts count: a user's function may divide."""
        return self.of_logs is not None or self.error is None

    def bound(self, value: np.ndarray, high: Passed, low: Passed) -> float:
        """How wrong can these values be at most? Of a user's function, what each side can be wrong by."""
        if self.error is None:
            return max(side.wrong for side in (high, low))
        if self.of_logs is None:
            return high.wrong + low.wrong
        relative = sum(side.relative(part) for side in (high, low) for part in self.parts)
        with np.errstate(invalid="ignore", over="ignore"):
            error = self.error(value, np.asarray(relative))
        return float(np.max(error, where=np.isfinite(value) & ~np.isnan(error), initial=0.0))


def compared(how: Comparison, high: Passed, low: Passed) -> np.ndarray:
    """The values of a comparison, in logarithms where a part is too small to be divided by."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.asarray(how.compare(high.values, low.values))
        if how.of_logs is None or not (high.logs or low.logs):
            return value
        rare = np.logical_or.reduce([~np.isnan(logs) for side in (high, low) for logs in side.logs.values()])
        sides = ({part: side.log_of(part) for part in how.parts} for side in (high, low))
        return np.where(rare, how.of_logs(*sides), value)


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


def _minus(high: Side, low: Side) -> np.ndarray:
    return high["mean"] - low["mean"]


def _log_odds_ratio(high: Side, low: Side) -> np.ndarray:
    return np.log(high["mean"] / high["complement"]) - np.log(low["mean"] / low["complement"])


def _log_ratio(high: Side, low: Side) -> np.ndarray:
    return high["mean"] - low["mean"]


def _log_odds(high: Side, low: Side) -> np.ndarray:
    return (high["mean"] - low["mean"]) - (high["complement"] - low["complement"])


_DIFFERENCE = Comparison("{high} - {low}", _minus, error=lambda value, relative: relative)

COMPARISONS: dict[str, Comparison] = {
    "difference": _DIFFERENCE,
    "ratio": Comparison(
        "{high} / {low}",
        lambda h, low: h["mean"] / low["mean"],
        of_logs=lambda h, low: np.exp(_log_ratio(h, low)),
        error=lambda value, relative: np.abs(value) * np.expm1(relative),
    ),
    "lift": Comparison(
        "({high} - {low}) / {low}",
        lambda h, low: (h["mean"] - low["mean"]) / low["mean"],
        of_logs=lambda h, low: np.expm1(_log_ratio(h, low)),
        error=lambda value, relative: np.abs(1.0 + value) * np.expm1(relative),
    ),
    "lnratio": Comparison(
        "ln({high} / {low})",
        lambda h, low: np.log(h["mean"] / low["mean"]),
        of_logs=_log_ratio,
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
        lambda h, low: np.exp(_log_odds_ratio(h, low)),
        odds=True,
        of_logs=lambda h, low: np.exp(_log_odds(h, low)),
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
