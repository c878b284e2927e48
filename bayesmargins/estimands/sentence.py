"""The estimand in one plain sentence, put together from the parts that were computed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmargins.design import Design, combinations
from bayesmargins.design.strata import Strata
from bayesmargins.family.quantity import Target
from bayesmargins.groups import Policy
from bayesmargins.labelling import worded

__all__ = [
    "NO_GROUPS",
    "POPULATION",
    "Scope",
    "Slope",
    "compose",
    "factors_worded",
    "group_phrases",
    "quantity",
    "rows_worded",
    "scale_name",
]


@dataclass(frozen=True)
class Scope:
    """What a sentence says beside the quantity itself."""

    rows: str  # "the 220 rows of the data"
    averaged: bool  # whether rows are averaged
    groups: Sequence[str]  # one phrase a grouping factor
    weights: str = ""  # name of the weights; empty where rows count the same
    further: str = ""  # what `rows_worded` says of them


@dataclass(frozen=True)
class Slope:
    """Which slope?"""

    # {"dydx", "eyex", "eydx", "dyex", "second", "difference"}: a derivative, an elasticity, the derivative of a
    # slope, or the difference of slopes between levels
    how: str = "dydx"
    variables: tuple[str, ...] = ()  # of the slopes that change with `second`
    second: str = ""  # what they change with; empty without
    between: tuple[str, ...] = ()  # pairs of its levels, where it is a factor
    # differences between levels that stand beside the slopes of `variables`, for factors have none
    beside: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What the user calls it: ``slope=``."""
        return "dydx" if self.second else self.how


def quantity(family_noun: str, response: str, target: str | Target, link: str, averaged: bool = False) -> str:
    """What is E[y], or the target in its place, called: ``"probability of bad"``?

    Examples
    --------
    >>> quantity("probability", "bad", "link", "logit")
    'linear predictor (logit scale) of bad'
    """
    if isinstance(target, Target):
        return target.noun(response, averaged)
    if target == "link":
        return f"linear predictor ({link} scale) of {response}"
    return f"expected number of {response}" if target == "count" else f"{family_noun} of {response}"


def scale_name(kind: str, target: str | Target, family_noun: str, link: str, how: str | Slope | None) -> str:
    """On which scale are the numbers of a table?

    Examples
    --------
    >>> scale_name("comparisons", "mean", "probability", "logit", "difference")
    'difference in probability'
    """
    if kind == "observations":
        return "response"
    words = {"mean": family_noun, "link": f"linear predictor ({link})", "count": "expected count"}
    base = target.scale if isinstance(target, Target) else words[target]
    if kind == "slopes" or isinstance(how, Slope):
        return f"{_SLOPE_SCALES[how.how if isinstance(how, Slope) else 'dydx']} {base}"
    if kind == "predictions" or how is None:
        return base
    return {
        "difference": f"difference in {base}",
        "ratio": f"ratio of {base}",
        "lift": f"relative change of {base}",
        "lnratio": f"log ratio of {base}",
        "lnor": "log odds ratio",
        "or": "odds ratio",
        **dict.fromkeys(("nnt", "nnt_benefit", "nnt_harm"), f"difference in {base}"),
    }.get(how, f"{how}(high, low) of {base}")


_SLOPE_SCALES = {
    "dydx": "slope of",
    "eyex": "elasticity of",
    "eydx": "relative slope (eydx) of",
    "dyex": "slope per relative change (dyex) of",
    "second": "second derivative of",
    "difference": "difference in slope of",
}

_COMPARED = {
    "difference": "Difference in",
    "ratio": "Ratio of",
    "lift": "Relative change in",
    "lnratio": "Log ratio of",
    "lnor": "Log odds ratio of",
    "or": "Odds ratio of",
    "nnt": "Difference (told as number needed to treat, 1 / difference) in",
    "nnt_benefit": "Difference (told as number needed to treat, 1 / difference, where one more is a benefit) in",
    "nnt_harm": "Difference (told as number needed to treat, 1 / difference, where one more is a harm) in",
}


def compose(
    kind: str,
    noun: str,
    scope: Scope,
    labels: Sequence[str] = (),
    comparison: str = "difference",
    slope: Slope | None = None,
) -> str:
    """What is this number? Rows, counterfactuals, groups and averages in the order in which they were done."""
    q = f"average {noun}" if scope.averaged else noun
    if kind == "observations":
        head = f"New observations of {noun}"
    elif kind == "predictions":
        head = q[0].upper() + q[1:]
    elif kind == "slopes" and (slope is None or not slope.between):
        head = _slope(noun, slope.variables if slope and slope.beside else labels, slope or Slope())
        head = f"Average {head}" if scope.averaged else f"{head[0].upper()}{head[1:]}"
        head += f", and difference in the {q} ({_listing(slope.beside)})" if slope and slope.beside else ""
    else:
        compared = _COMPARED.get(comparison, f"{comparison}(high, low) of")
        what = f"{compared} the {q} ({_listing(labels)})"
        if slope is not None:
            of = f"average slope of the {noun}" if scope.averaged else f"slope of the {noun}"
            pairs = f"{slope.second}: {_listing(slope.between)}"
            what = f"Difference in the {of} with respect to {_listing(slope.variables)} ({pairs})"
        rows = scope.rows if scope.averaged or scope.rows.startswith("the one") else f"each of {scope.rows}"
        head = f"{what} between counterfactual copies of {rows}"
        return f"{head}{scope.further}; {'; '.join(scope.groups)}."
    each = "for" if scope.rows.startswith("the one") else "for each of"
    rows = f"over {scope.rows}" if scope.averaged else f"{each} {scope.rows}"
    return f"{head}, {rows}{scope.further}; {'; '.join(scope.groups)}."


def _slope(noun: str, labels: Sequence[str], slope: Slope) -> str:
    """``elasticity of the probability of bad with respect to week (relative change in ... of week)``."""
    if slope.second:
        others = [v for v in slope.variables if v != slope.second]
        then = f", then {slope.second}" if others else ""
        return f"second derivative of the {noun} with respect to {_listing(slope.variables)}{then}"
    x = _listing(labels)
    one = x if len(labels) == 1 else "each"
    what, change = {
        "dydx": ("slope", ""),
        "eyex": ("elasticity", f" (relative change in the {noun} per relative change of {one})"),
        "eydx": ("relative slope", f" (relative change in the {noun} per unit of {one})"),
        "dyex": ("slope", f" per relative change of {one}"),
    }[slope.how]
    return f"{what} of the {noun} with respect to {x}{change}"


def rows_worded(
    by: Mapping[str, Mapping[Any, str]], weights: str, at: Mapping[str, Sequence[Any]], derived: Sequence[str]
) -> str:
    """What is done with the rows: averaged within values that may have new labels, weighed, set, computed again."""
    within = f", within each {' and '.join([_relabelled(*column) for column in by.items()])}" if by else ""
    settings = [f"{name} set to {_one_of([_value(v) for v in values])}" for name, values in at.items()]
    set_to = f", with {' and '.join(settings)}" if settings else ""
    again = f", with {' and '.join(derived)} computed again from the other columns" if derived else ""
    return f"{within}{f', weighted by {weights}' if weights else ''}{set_to}{again}"


def _relabelled(column: str, labels: Mapping[Any, str]) -> str:
    """A column of `by`, with the values that its labels stand for, where it has such."""
    joined: dict[str, list[str]] = {}
    for value, label in labels.items():
        joined.setdefault(label, []).append(_value(value))
    said = "; ".join(f"{label}: {_listing(values)}" for label, values in joined.items())
    return f"{column} ({said})" if said else column


def _value(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _listing(items: Sequence[str]) -> str:
    shown = list(items) if len(items) <= 4 else [*items[:2], "...", items[-1]]
    return ", ".join(shown)


def _one_of(items: Sequence[str]) -> str:
    """``0, 2 or 6``: each copy of the rows has one of them."""
    return f"{', '.join(items[:-1])} or {items[-1]}" if 1 < len(items) <= 4 else _listing(items)


def group_phrases(policy: Policy, design: Design, frame: pd.DataFrame | None, kind: str, scale: str) -> list[str]:
    """What was done with b of every factor, one phrase each?

    `frame` has the rows where all are in memory, `kind` says what the draws are of. `scale` is "curved" (response scale
    under a nonlinear link), "linear" (identity link), "link" (the linear predictor under a nonlinear link), "marginal"
    (a number of the marginal distribution of y) or "constant" (the same in all groups).
    """
    phrases = [_of_factor(f, p, design, frame, kind, scale) for f, p in policy.by_factor.items() if p not in _JOINT]
    existing = policy.by_word["existing"]
    if existing:
        combos = len(combinations(np.column_stack([design.factors[f].codes for f in existing]))[0])
        counted = "by its rows" if policy.group_weights == "rows" else "equally"
        over = "of the distribution over" if scale == "marginal" else "averaged over"
        strata = [s for f in existing if (s := design.factors[f].strata) is not None]
        own = _of_strata(", each row over those of its own", strata, design) if strata else ""
        phrases.append(
            f"{over} the {combos:,} fitted groups of {factors_worded(existing, design)}{own}, each counted {counted}"
        )
    new = policy.by_word["new"]
    if new:
        over = "of the marginal distribution over" if scale == "marginal" else "integrated over"
        strata = [s for f in new if (s := design.factors[f].strata) is not None]
        own = _of_strata(" with the covariance of the row's", strata, design) if strata else ""
        related = [f for f in new if design.factors[f].cov]
        own += ", unrelated to the fitted ones" if related else ""
        heavy = [f for f in new if design.factors[f].student]
        own += f" with Student-t effects{f' of {factors_worded(heavy, design)}' * (len(new) > 1)}" if heavy else ""
        every = set(policy.by_factor.values()) == {"new"}
        what = _NO_POPULATION.get(scale, POPULATION if every else "")
        phrases.append(f"{over} new groups of {factors_worded(new, design)}{own}{what}")
    return phrases or [NO_GROUPS]


def factors_worded(factors: Iterable[str], design: Design) -> str:
    """``"clinic and patient"``: grouping factors as readers know them."""
    return " and ".join([design.factor_words[name] for name in factors])


def _of_strata(said: str, strata: Iterable[Strata], design: Design) -> str:
    """Of which columns the strata are that groups are in."""
    by = dict.fromkeys([worded(s.by, design.labels) for s in strata])
    return f"{said} {' and '.join(by)}"


NO_GROUPS = "the model has no groups"
POPULATION = ", which makes it a population average"
_JOINT = ("new", "existing")

# By scale, what an average over new groups is there that is no population average.
_NO_POPULATION = {
    "link": ", which on the link scale is the value at b = 0 and not the link of an average",
    "constant": ", which changes nothing: it is the same in all groups",
    "marginal": ", which is no average of the groups' own",
}


def _of_factor(
    factor: str,
    policy: str | tuple[Any, ...],
    design: Design,
    frame: pd.DataFrame | None,
    kind: str,
    scale: str,
) -> str:
    name = design.factor_words[factor]
    if isinstance(policy, tuple):
        more = f" and {len(policy) - 5} more" if len(policy) > 5 else ""
        return f"for the named groups of {name}: {', '.join(map(str, policy[:5]))}{more}"
    if policy == "own":
        return f"each row with the b of its own {name}"
    if policy == "sample":
        of = f"{kind} " if kind in ("posterior", "prior") else ""
        return f"with {_sampled(factor, design, frame)}, drawn for each {of}draw"
    caution = {
        "curved": ", which is not an average over groups (groups='new' is)",
        "marginal": ", which leaves out how groups differ (groups='new' has it)",
    }.get(scale, "")
    return f"at b = 0 for {name}, a group at the centre of the distribution{caution}"


def _sampled(factor: str, design: Design, frame: pd.DataFrame | None) -> str:
    of, name = design.factors[factor], design.factor_words[factor]
    if frame is None:
        return f"new groups of {name}, one for each label of the rows"
    if not all(c in frame.columns for c in of.columns):
        return f"one new group of {name}, shared by all rows"
    n = of.labels(frame).nunique()
    return f"one new group of {name}" if n == 1 else f"{n:,} new groups of {name}, one for each label"
