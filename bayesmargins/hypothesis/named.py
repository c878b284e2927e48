"""Contrasts that have a name: pairs, references, deviations from means, polynomials."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations, pairwise

import numpy as np

from bayesmargins.errors import EstimandError, close_matches, shown
from bayesmargins.estimands.comparison import COMPARISONS, VERSUS, changes_sign, warn_of_signs
from bayesmargins.hypothesis.entries import Entries, Made, bracketed, text, weighted_sum
from bayesmargins.values import is_word

__all__ = ["NAMED", "OTHER_NAMES", "check_comparison", "named", "orthonormal"]


@dataclass(frozen=True)
class Side:
    """One entry, or the mean of several."""

    of: tuple[int, ...]  # which
    name: str = ""  # of a mean; empty for one entry, which has its label


@dataclass(frozen=True)
class Pairs:
    """A named family of contrasts between two sides."""

    sides: Callable[[int], Iterable[tuple[Side, Side]]]  # ``(k) -> pairs (high, low)`` for k entries
    said: str  # template with {nouns} ("differences") and {against} ("minus")


def _one(k: int) -> Side:
    return Side((k,))


def _others(j: int, k: int) -> tuple[int, ...]:
    return tuple(i for i in range(k) if i != j)


def _before(j: int) -> Side:
    return Side(tuple(range(j)), "mean of earlier")


NAMED: dict[str, Pairs] = {
    "pairwise": Pairs(
        lambda k: ((_one(j), _one(i)) for i, j in combinations(range(k), 2)),
        "Pairwise {nouns} (later {against} earlier)",
    ),
    "revpairwise": Pairs(
        lambda k: ((_one(i), _one(j)) for i, j in combinations(range(k), 2)),
        "Pairwise {nouns} (earlier {against} later)",
    ),
    "reference": Pairs(
        lambda k: ((_one(j), _one(0)) for j in range(1, k)),
        "Reference {nouns} (each {against} the first)",
    ),
    "revreference": Pairs(
        lambda k: ((_one(0), _one(j)) for j in range(1, k)),
        "Reference {nouns} (the first {against} each)",
    ),
    "sequential": Pairs(
        lambda k: ((_one(j), _one(i)) for i, j in pairwise(range(k))),
        "Sequential {nouns} (each {against} the one before)",
    ),
    "meandev": Pairs(
        lambda k: ((_one(j), Side(tuple(range(k)), "mean")) for j in range(k)),
        "{Nouns} (each {against} the mean of all)",
    ),
    "meanotherdev": Pairs(
        lambda k: ((_one(j), Side(_others(j, k), "mean of others")) for j in range(k)),
        "{Nouns} (each {against} the mean of the others)",
    ),
    "helmert": Pairs(
        lambda k: ((_one(j), _before(j)) for j in range(1, k)),
        "Helmert {nouns} (each {against} the mean of those before it)",
    ),
}

# Of other packages, for the error that names ours.
OTHER_NAMES = {
    "tukey": "pairwise",
    "pairs": "pairwise",
    "all": "pairwise",
    "consec": "sequential",
    "consecutive": "sequential",
    "dunnett": "reference",
    "trt.vs.ctrl": "reference",
    "trt_vs_ctrl": "reference",
    "treatment": "reference",
    "eff": "meandev",
    "sum": "meandev",
    "del.eff": "meanotherdev",
    "polynomial": "poly",
}

_DEGREES = ("linear", "quadratic", "cubic", "quartic")

# How each comparison reads: several of them, what stands between the sides, the scale.
_WORDS = {
    "difference": ("differences", "minus", "difference"),
    "ratio": ("ratios", "over", "ratio"),
    "lift": ("relative changes", "relative to", "relative change"),
    "lnratio": ("log ratios", "over", "log ratio"),
}


def check_comparison(comparison: str) -> None:
    """Refuse a comparison that entries of a result cannot have."""
    if is_word(comparison, _WORDS):
        return
    if is_word(comparison, COMPARISONS) and COMPARISONS[comparison].event:
        raise EstimandError(
            f"comparison={comparison!r} tells a difference of two probabilities as a number needed to treat. Ask for "
            f"it where these are compared: avg_comparisons(..., comparison={comparison!r}). Here {', '.join(_WORDS)} "
            "are allowed."
        )
    if is_word(comparison, COMPARISONS):
        raise EstimandError(
            f"comparison={comparison!r} needs 1 - mean, integrated in its own right, and a result holds means only. "
            f"Ask for it where the means are computed: avg_comparisons(..., comparison={comparison!r}). Here "
            f"{', '.join(_WORDS)} are allowed."
        )
    raise EstimandError(
        f"comparison={shown(comparison)}; allowed are {', '.join(_WORDS)}.{close_matches(comparison, _WORDS)}"
    )


def named(entries: Entries, spec: str, comparison: str) -> Made:
    """Contrasts of a named family: one of `NAMED`, or ``"poly"``."""
    k = len(entries.labels)
    if k < 2:
        raise EstimandError(
            f"spec={spec!r} compares entries along {entries.along!r}, which has one entry only "
            f"({entries.labels[0] if k else 'none'}). Ask for several, or compare with a value: bm.summary(ds, null=0)."
        )
    if spec == "poly":
        return _polynomials(entries, comparison)
    pairs = list(NAMED[spec].sides(k))
    entries.check_size(len(pairs), "Select entries first, or use spec='reference' or 'sequential'.")
    how = COMPARISONS[comparison]
    nouns, against, scale = _WORDS[comparison]
    values = np.empty((len(pairs), *entries.draws.shape[1:]))
    labels, versus, doubtful = [], [], []
    value = cache(partial(_value, entries))
    for c, (high, low) in enumerate(pairs):
        upper, lower = value(high), value(low)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values[c] = how.compare(upper, lower)
        names = {"high": _name(entries, high), "low": _name(entries, low)}
        labels.append(how.label.format(**names))
        versus.append(VERSUS.label.format(**names))
        doubtful += (
            [labels[-1]] if comparison != "difference" and changes_sign(upper, lower, comparison, (0, 1)) else []
        )
    if doubtful:
        warn_of_signs(doubtful, scale)
    said = NAMED[spec].said.format(nouns=nouns, Nouns=nouns.capitalize(), against=against)
    return Made(values, tuple(labels), f"{said} between", scale, spec, comparison, versus=tuple(versus))


def _value(entries: Entries, side: Side) -> np.ndarray:
    values: np.ndarray = entries.draws[side.of[0]] if len(side.of) == 1 else entries.draws[list(side.of)].mean(axis=0)
    return values


def _name(entries: Entries, side: Side) -> str:
    return side.name if len(side.of) > 1 else bracketed(entries.labels[side.of[0]])


def _polynomials(entries: Entries, comparison: str) -> Made:
    if comparison != "difference":
        raise EstimandError(f"spec='poly' gives weighted sums of all entries, which have no {comparison!r}.")
    k = len(entries.labels)
    positions = entries.positions
    x = np.arange(k, dtype=np.float64) if positions is None else positions
    if not np.isfinite(x).all() or len(np.unique(x)) < k:
        raise EstimandError(
            f"spec='poly' needs {k} different finite values along {entries.along!r}; they are "
            f"{', '.join(text(v) for v in x.tolist()[:12])}."
        )
    entries.check_size(k - 1, "Select entries first.")
    weights = orthonormal(x)
    equal = positions is None or np.allclose(np.diff(x), x[1] - x[0])
    spaced = "equally spaced" if equal else f"spaced as the values of {entries.along}"
    labels = [_DEGREES[d] if d < len(_DEGREES) else f"degree {d + 1}" for d in range(k - 1)]
    values = np.stack([weighted_sum(entries.draws, column) for column in weights.T])
    said = f"Orthonormal polynomial contrasts (entries {spaced}) of"
    return Made(values, tuple(labels), said, "polynomial contrast", "poly")


def orthonormal(x: np.ndarray) -> np.ndarray:
    """Polynomials (k, k - 1) of degree 1 to k - 1, orthonormal over k points, leading coefficients positive.

    Notes
    -----
    Each is x times the one before, made orthogonal to all before (Arnoldi: Brubeck, Nakatsukasa & Trefethen, 2021, SIAM
    Review 63), twice, which keeps them orthonormal to rounding whatever k is. For x = 1, ..., k they are R's
    ``contr.poly(k)``, else ``contr.poly(k, scores = x)``.

    Examples
    --------
    >>> orthonormal(np.array([1.0, 2.0, 3.0])).round(7)[:, 0].tolist()
    [-0.7071068, 0.0, 0.7071068]
    """
    k = len(x)
    centred = (x - x.mean()) / np.ptp(x)
    basis = np.full((k, k), k**-0.5)
    for degree in range(1, k):
        column = centred * basis[:, degree - 1]
        for _ in range(2):
            column = column - basis[:, :degree] @ (basis[:, :degree].T @ column)
        basis[:, degree] = column / np.linalg.norm(column)
    return np.where(np.abs(basis[:, 1:]) < 1e-14, 0.0, basis[:, 1:])
