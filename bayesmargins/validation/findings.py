"""A check in words: what does not fit, what that means for averages, and what to try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from bayesmargins.errors import listed
from bayesmargins.family import FAMILIES, Family, Outcome, get_link, resolve_link
from bayesmargins.posterior import Posterior
from bayesmargins.validation.binned_predictors import EXPECTED
from bayesmargins.validation.shown import Gathered
from bayesmargins.validation.statistics import LEVEL, Compared, Places

__all__ = ["in_words", "sentences"]

_GOOD_SHARE = 0.1  # of groups at an end, from which on it is said


@dataclass(frozen=True)
class _Told:
    """One finding with what its sentence reads."""

    post: Posterior
    places: Places
    of: Compared

    @property
    def y(self) -> str:
        """The response."""
        return self.post.response_words

    @property
    def expected(self) -> str:
        """``118 to 160 expected``."""
        lower, upper = self.of.expected(0.025, 0.975)
        return f"{_number(lower)} to {_number(upper)} expected"

    @property
    def seen(self) -> str:
        """The observed number."""
        return _number(self.of.seen)

    @property
    def times(self) -> str:
        """How many times as large as expected."""
        return f"{self.of.times:.2g}"

    @property
    def factor(self) -> str:
        """The grouping factor of a statistic of groups."""
        return self.of.about.partition(":")[0] if self.of.about not in self.post.design.factors else self.of.about

    @property
    def groups(self) -> str:
        """Which replicates."""
        return "of new groups" if self.of.groups == "new" else "of the same groups" if self.post.design.factors else ""


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "no number"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def _others(post: Posterior, wider: bool = False, zeros: bool = False) -> str:
    """``family='negbinomial'``: families that y may have, with more parameters; others too where there are none.

    With `wider` only those with more; those that have more zeros only with `zeros`.
    """
    own = post.family

    def alike(family: Family) -> bool:
        if family is own or family.support is None or own.support is None or family.categories != own.categories:
            return False
        if not zeros and family.curve(resolve_link(family, None)).factor is not None:
            return False
        kind = family.support.discrete, family.support.counts_trials
        return kind == (own.support.discrete, own.support.counts_trials) and _takes(family, post)

    every = [(n, len(f.aux) > len(own.aux)) for n, f in FAMILIES.items() if alike(f)]
    more = [n for n, larger in every if larger]
    names = more if more or wider else [n for n, _ in every]
    return listed([f"family={name!r}" for name in names], 5).replace('"', "") if names else ""


def _takes(family: Family, post: Posterior) -> bool:
    assert family.support is not None
    o = Outcome.of(post.design.response)
    supports = np.atleast_1d(family.support.holds(o)).all()
    highest = np.broadcast_to(family.support.highest(o), o.y.shape)
    same_top = post.family.support is not None and np.array_equal(
        highest, np.broadcast_to(post.family.support.highest(o), o.y.shape)
    )
    return bool(supports and same_top)


def _try(*ways: str) -> str:
    known = [way for way in ways if way]
    return f" Try {' or '.join(known)}." if known else ""


def _mean(t: _Told) -> str:
    return (
        f"The mean of {t.y} is {t.seen}, and the mean of rows {t.groups} is not ({t.expected}). Averages over "
        f"groups={t.of.groups!r} are off by as much."
    )


def _zeros(t: _Told) -> str:
    more = "More" if t.of.high else "Fewer"
    wider = _others(t.post, wider=True, zeros=True)
    way = (
        wider
        or "a predictor that tells rows that can only be 0 from the others: no family of this package has more zeros"
        if t.of.high
        else _others(t.post, zeros=True)
    )
    return (
        f"{more} zeros than the model expects: {t.seen} of {len(t.places.replicates.outcome.y):,} rows, {t.expected}. "
        f"The mean of {t.y} may hold; the probability of 0, of large values, and the intervals do not.{_try(way)}"
    )


def _end(t: _Told) -> str:
    side = "largest" if t.of.name == "maximum" else "smallest"
    way = "larger" if t.of.high else "smaller"
    return (
        f"The {side} {t.y} is {t.seen}, {way} than the model expects ({t.expected}). Means over few rows may hang on "
        f"such rows, and probabilities of far values do not hold: look at these rows."
        f"{_try(_others(t.post))}"
    )


def _dispersion(t: _Told) -> str:
    discrete = t.post.family.discrete
    if not t.of.high:
        return (
            f"{t.y} varies less around its mean than the family says: by {t.times} of the variance ({t.expected}). "
            f"Intervals are wider than they need to be.{_try(_others(t.post))}"
        )
    one_each = _one_each(t) if discrete else ""
    return (
        f"{t.y} varies more around its mean than the family says (overdispersion): {t.times} times the variance "
        f"({t.expected}). Averages may hold, and their intervals are too narrow."
        f"{_try(_others(t.post, wider=True), one_each)}"
    )


def _one_each(t: _Told) -> str:
    return "a predictor or a group effect that is missing" if t.post.design.factors else "a group effect"


def _skewness(t: _Told) -> str:
    side = "right" if t.of.high else "left"
    return (
        f"The residuals are more skewed to the {side} than the family says (skewness {t.seen}, {t.expected}): y has "
        f"another shape. Means may hold; quantiles, probabilities and intervals for new {t.y} do not."
        f"{_try(_others(t.post))}"
    )


def _tails(t: _Told) -> str:
    kind = "heavier" if t.of.high else "lighter"
    return (
        f"The residuals have {kind} tails than the family says (kurtosis {t.seen}, {t.expected}). A few rows may "
        f"decide the averages, and intervals for new {t.y} do not hold.{_try(_others(t.post))}"
    )


def _spread(t: _Told) -> str:
    way = "more" if t.of.high else "less"
    return (
        f"The spread of {t.y} grows {way} with its mean than the family says (relative slope {t.seen}, {t.expected}). "
        f"Intervals are too narrow where it is large, and too wide elsewhere.{_try(_others(t.post))}"
    )


def _link(t: _Told) -> str:
    links = [name for name in t.post.family.links if get_link(name) is not t.post.link]
    return (
        f"The mean of {t.y} bends along the linear predictor: residuals are {'above' if t.of.high else 'below'} 0 at "
        f"both of its ends. Averages at extreme values of the predictors are off."
        f"{_try(listed([f'link={name!r}' for name in links], 4).replace(chr(34), ''), 'a curve or an interaction')}"
    )


def _curves(t: _Told) -> str:
    name = t.of.about
    if name == EXPECTED:
        return (
            f"The mean of {t.y} does not follow what the fixed part predicts: in bins of it the residuals are "
            f"{t.times} times as large as expected. Averages at extreme values of the predictors are off. Try curves, "
            "interactions, or another link."
        )
    kind = next((p for p in t.places.predictors if p.name == name), None)
    known = name in t.post.design.variables()
    way = (f"a curve, such as bs({name}, df=4)" if known else name) if kind is not None and kind.number else name
    return (
        f"{t.y} does not follow {name} as the formula says: in its {'bins' if kind and kind.number else 'levels'} the "
        f"residuals are {t.times} times as large as expected. Averages and slopes at values of {name} are off."
        f"{_try(f'{way} in the formula')}"
    )


def _slopes(t: _Told) -> str:
    name, _, factor = t.of.about.rpartition(" by ")
    return (
        f"The effect of {name} differs between the groups of {factor} more than the formula says: {t.times} times as "
        f"much ({t.expected}). The average effect of {name} may hold, and its interval is too narrow. Try "
        f"{_with_slope(t, name, factor)}."
    )


def _with_slope(t: _Told, name: str, factor: str) -> str:
    if t.post.design.factors[factor].terms == ("Intercept",):
        return f"({name} | {factor}) in place of (1 | {factor})"
    return f"{name} among the effects of {factor} too"


def _interactions(t: _Told) -> str:
    a, _, b = t.of.about.partition(" of ")[0].partition(" × ")
    return (
        f"The effect of {a} depends on {b}, and the formula has no such interaction: what they have together is "
        f"{t.times} times as large as expected. An average effect of {a} over these rows may hold; at given values of "
        f"{b} it does not. Try {a}:{b} in the formula."
    )


def _distribution(t: _Told) -> str:
    return (
        f"The distribution of {t.y} is not that of rows {t.groups}: it lies {t.times} times as far from what the model "
        f"expects as its replicates do. Means may hold; probabilities and quantiles do not.{_try(_others(t.post))}"
    )


def _averages(t: _Told) -> str:
    name = "the predicted mean" if t.of.about == EXPECTED else t.of.about
    return (
        f"Averages of {t.y} by {name} are not those of new groups: {t.times} times as far away as expected. "
        f"avg_predictions with groups='new' is off there.{_try(f'a curve or an interaction of {name}')}"
    )


def _at_end(t: _Told) -> str:
    end, total = t.of.name.rpartition(" ")[2], len(t.post.design.factors[t.factor].levels)
    return (
        f"{t.seen} of {total:,} groups of {t.factor} have {t.y} at its {end} in all their rows; {t.expected}. The "
        "normal distribution of the groups' effects, which groups='new' integrates over, does not have such groups as "
        "often as they are. Averages over new groups are off; try a predictor that tells these groups apart, and "
        "compare groups='existing'."
    )


def _spread_of_groups(t: _Told) -> str:
    way = "more" if t.of.high else "less"
    return (
        f"The groups of {t.of.about} differ {way} than the model says (standard deviation of their effects {t.seen}, "
        f"{t.expected} of new groups). Averages over new groups take too {'small' if t.of.high else 'large'} a spread."
    )


def _shape_of_groups(t: _Told) -> str:
    if t.of.name.startswith("skew"):
        kind = f"skewed to the {'right' if t.of.high else 'left'} (skewness {t.seen}, {t.expected})"
    elif t.of.name.startswith("quantiles"):
        kind = f"their quantiles lie {t.times} times as far as expected from those of new groups"
    else:
        kind = f"{'with heavier' if t.of.high else 'with lighter'} tails (kurtosis {t.seen}, {t.expected})"
    return (
        f"The effects of {t.of.about} are not normal: {kind}. groups='new' integrates over a normal distribution, so "
        "averages over new groups may be off, and probabilities that hang on far groups are. Try a predictor that "
        "tells the groups apart, another link, and compare groups='existing'."
    )


_WORDS: dict[str, Callable[[_Told], str]] = {
    "mean": _mean,
    "zeros": _zeros,
    "maximum": _end,
    "minimum": _end,
    "dispersion": _dispersion,
    "skewness": _skewness,
    "tails": _tails,
    "spread": _spread,
    "link": _link,
    "curves": _curves,
    "slopes": _slopes,
    "interactions": _interactions,
    "distribution": _distribution,
    "averages": _averages,
    "groups at the lowest": _at_end,
    "groups at the highest": _at_end,
    "spread of groups": _spread_of_groups,
    "skewness of groups": _shape_of_groups,
    "tails of groups": _shape_of_groups,
    "quantiles of groups": _shape_of_groups,
}


def in_words(post: Posterior, places: Places, found: Sequence[Compared]) -> list[str]:
    """A sentence or two a finding, the one that stands out most first."""
    telling = sorted((c for c in found if c.found), key=lambda c: -c.distance)
    return list(dict.fromkeys(_WORDS[c.name](_Told(post, places, c)) for c in telling))


def sentences(
    post: Posterior,
    places: Places,
    found: Sequence[Compared],
    gathered: Gathered,
    findings: Sequence[str],
    notes: Sequence[str],
    possible: Sequence[str],
) -> str:
    """All that is printed."""
    o = places.replicates.outcome
    of = {"own": "the same groups", "new": "new groups"}
    which = " and ".join(of[w] for w in possible) if post.design.factors else "the same rows"
    first = (
        f"Check of {post.formula} ({post.family.name}): {len(o.y):,} rows against {len(places.replicates.index):,} "
        f"replicates of {which or 'nothing'}{', ' + post.caveat if post.caveat else ''}."
    )
    n = len(found)
    if findings:
        lines = [
            f"{len(findings)} of {n} statistics {'does' if len(findings) == 1 else 'do'} not fit:",
            *(f"- {finding}" for finding in findings),
        ]
    else:
        lines = [f"None of {n} statistics stands out; the smallest p is {min((c.p for c in found), default=1.0):.2g}."]
    return "\n".join([first, *lines, *_of_ends(post, found), *_of_rows(gathered), *notes])


def _of_ends(post: Posterior, found: Sequence[Compared]) -> list[str]:
    """Groups that say of their effect only that it is far out."""
    said = []
    for c in found:
        seen = c.seen
        if not c.name.startswith("groups at") or c.found:
            continue
        total = len(post.design.factors[c.about].levels)
        if seen < _GOOD_SHARE * total:
            continue
        lower, upper = c.expected(0.025, 0.975)
        end = c.name.rpartition(" ")[2]
        said.append(
            f"{seen:,.0f} of {total:,} groups of {c.about} have {post.response_words} at its {end} in all their rows, "
            f"and the model expects {lower:,.0f} to {upper:,.0f} among new groups. Their rows tell only that their "
            f"effects are {'low' if end == 'lowest' else 'high'}. How far out they lie is set mainly by "
            "the assumption of normality, and the average over new groups depends on it."
        )
    return said


def _of_rows(gathered: Gathered) -> list[str]:
    if gathered.left is None:
        return []
    left = gathered.left
    high, n = int((left.khat > left.good).sum()), len(left.khat)
    within = int(((left.pit > 0.05) & (left.pit < 0.95)).sum())
    p = binomtest(within, n, 0.9).pvalue
    said = (
        f"Leave one row out: {within / n:.0%} of rows lie within the central 90 % of what the others predict, which "
        f"{'stands out' if p <= LEVEL else 'does not stand out'} (p {p:.2g}). "
    )
    if not high:
        return [f"{said}Pareto k is at most {left.good:.2g} in every row: no row decides alone what the posterior is."]
    one, these = ("it", "this row") if high == 1 else ("one of them", "these rows")
    return [
        f"{said}Pareto k is above {left.good:.2g} in {high:,} of {n:,} rows: without {one} the posterior would be "
        f"another, and what az.loo says of {these} is rough. bm.logo leaves out whole groups."
    ]
