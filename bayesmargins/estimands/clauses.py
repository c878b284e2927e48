"""The estimand as a clause for captions: ``risk difference for bad, drug - placebo, averaged over new groups of ID``.

What depends on the entries (contrasts, columns, selections) is said by `tables.captions` when the clause is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bayesmargins.design import Design
from bayesmargins.estimands.sentence import Slope, factors_worded
from bayesmargins.groups import Policy

__all__ = ["CONTRAST", "compared", "groups_clause", "sloped"]

_FEW = 3  # named groups that are written out
CONTRAST, TERM = "contrast", "with respect to"
"""What is said of the entries: their labels, or these words before their variables."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "probability": {
        "difference": "risk difference for",
        "ratio": "risk ratio for",
        "lnratio": "log risk ratio for",
        "or": "odds ratio for",
        "lnor": "log odds ratio for",
    },
    "expected value": {"difference": "mean difference in", "ratio": "ratio of means of"},
}
_NEEDED = ("nnt", "nnt_benefit", "nnt_harm")
_COMPARED = {
    "difference": "difference in the",
    "ratio": "ratio of the",
    "lift": "relative change in the",
    "lnratio": "log ratio of the",
    "or": "odds ratio of the",
    "lnor": "log odds ratio of the",
}


def compared(noun: str, response: str, comparison: str) -> str:
    """A comparison of two sides, in the words of the field where it has some.

    Examples
    --------
    >>> compared("probability of bad", "bad", "difference")
    'risk difference for bad'
    >>> compared("expected count of ticks", "ticks", "lift")
    'relative change in the expected count of ticks'
    """
    mean = noun.removesuffix(f" of {response}")
    if comparison in _NEEDED:
        return f"number needed to treat for {response if mean == 'probability' else noun}"
    if comparison in _WORDS.get(mean, {}):
        return f"{_WORDS[mean][comparison]} {response}"
    return f"{_COMPARED.get(comparison, f'{comparison}(high, low) of the')} {noun}"


def sloped(noun: str, slope: Slope) -> tuple[str, str]:
    """A slope, and what is said of its entries.

    Examples
    --------
    >>> sloped("probability of bad", Slope("eyex"))
    ('elasticity of the probability of bad', 'with respect to')
    """
    if slope.between:
        over = f"with respect to {' and '.join(slope.variables)} between levels of {slope.second}"
        return f"difference in the slope of the {noun} {over}", CONTRAST
    if slope.second:
        others = [v for v in slope.variables if v != slope.second]
        then = f", then {slope.second}" if others else ""
        return f"second derivative of the {noun} with respect to {' and '.join(slope.variables)}{then}", ""
    if slope.beside:
        return f"slope of, or difference in, the {noun}", "for"
    how = {"eyex": "elasticity", "eydx": "relative slope"}.get(slope.how, "slope")
    return f"{how} of the {noun}", "per relative change in" if slope.how == "dyex" else TERM


def groups_clause(policy: Policy, design: Design, marginal: bool) -> str:
    """What is done with b of every factor, in a few words; empty where there are no groups.

    `marginal` is a number of the distribution of y over groups, which is no average of the groups' own.
    """
    said = []
    for word in dict.fromkeys(p for p in policy.by_factor.values() if isinstance(p, str)):
        over = "over" if marginal and word in ("new", "existing") else _GROUPS[word][0]
        said.append(f"{over} {_GROUPS[word][1]} {factors_worded(policy.factors(word), design)}")
    return ", ".join([*said, *(_named(f, levels, design) for f, levels in policy.named.items())])


_GROUPS = {
    "new": ("averaged over", "new groups of"),
    "existing": ("averaged over", "the fitted groups of"),
    "own": ("with", "each row's own"),
    "zero": ("at", "b = 0 for"),
    "sample": ("in", "drawn groups of"),
}


def _named(factor: str, levels: Sequence[object], design: Design) -> str:
    name = factors_worded([factor], design)
    if len(levels) > _FEW:
        return f"in {len(levels)} named groups of {name}"
    return f"in {' and '.join(map(str, levels))} of {name}"
