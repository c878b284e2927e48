"""What may be asked of a table: point estimates, intervals, nulls and regions, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayesmargins.errors import ResultError, close_matches, shown, warn, written
from bayesmargins.family.links import grows
from bayesmargins.limits import options
from bayesmargins.provenance import is_original, provenance_of
from bayesmargins.schema import ESTIMATE
from bayesmargins.values import is_infinite, is_number, is_word, one_of, plain_value, value_list

__all__ = [
    "INTERVALS",
    "KINDS",
    "MIXED",
    "POINTS",
    "Asked",
    "check_arguments",
    "check_null",
    "held_against",
    "in_words",
    "interval_name",
    "interval_of",
    "read",
]

POINTS = ("median", "mean", "mode")
KINDS = {"eti": "equal-tailed", "hdi": "highest-density"}
INTERVALS = tuple(KINDS)
_EXPONENTIAL = ("mean", "count", "sd()")  # targets that grow as exp(s2 / 2) under a log link
MIXED = ("attenuation", "heterogeneity")  # kinds of result with ratios beside differences
_KRUSCHKE = 0.95  # probability of the interval in the rule of equivalence, where none was asked for


@dataclass(frozen=True)
class Asked:
    """What a table shall hold."""

    point: str  # point estimate
    probs: tuple[float, ...]  # probabilities of the intervals, in the user's order
    kind: str  # kind of all of them
    null: float | None  # effects are held against it
    rope: tuple[float, float] | None  # region of practical equivalence
    rope_prob: float  # probability of the highest-density interval that the region is held against


def read(ds: xr.Dataset, point: Any, ci_prob: Any, ci_kind: Any, null: Any, rope: Any) -> Asked:
    """What was asked for by the arguments of `summary`, or ArviZ's settings where nothing was?"""
    given = value_list(ci_prob)
    if given is not None and not given:
        raise ResultError(f"ci_prob={shown(ci_prob)}; name at least one probability, such as 0.95 or [0.5, 0.89].")
    pairs = [interval_of(prob, ci_kind) for prob in ([ci_prob] if given is None else given)]
    names = [interval_name(*pair) for pair in pairs]
    if len(set(names)) < len(names):
        raise ResultError(f"ci_prob={shown(given)} names the columns {', '.join(names)}; name each interval once.")
    region = rope_of(rope)
    check_arguments(ds, point, null)
    probs = tuple(prob for prob, _ in pairs)
    return Asked(point, probs, pairs[0][1], null, region, _KRUSCHKE if ci_prob is None else max(probs))


def interval_name(prob: float, kind: str) -> str:
    """How is an interval called in ArviZ 1.x, and so in columns here?

    >>> interval_name(0.89, "eti"), interval_name(0.975, "hdi")
    ('eti89', 'hdi97.5')
    """
    return f"{kind}{100 * prob:g}"


def interval_of(prob: Any, kind: Any) -> tuple[float, str]:
    """The interval that was asked for, or else that of the session, or ArviZ's own."""
    from arviz_base import rcParams

    prob, kind = options.ci_prob if prob is None else prob, options.ci_kind if kind is None else kind
    prob = float(rcParams["stats.ci_prob"]) if prob is None else prob
    kind = str(rcParams["stats.ci_kind"]) if kind is None else kind
    if not is_word(kind, INTERVALS):
        word = {"hpd": "hdi", "hpdi": "hdi", "quantile": "eti", "equal-tailed": "eti"}.get(written(kind).lower())
        hint = f" Here it is called {word!r}." if word else close_matches(kind, INTERVALS)
        raise ResultError(f"ci_kind={shown(kind)}; allowed are {', '.join(INTERVALS)}.{hint}")
    if not is_number(prob) or not 0 < prob < 1:
        percent = is_number(prob) and 1 < prob < 100
        hint = f" {prob:g} % is ci_prob={prob / 100:g}." if percent else ""
        raise ResultError(f"ci_prob={shown(prob)}; it must lie between 0 and 1, such as 0.95.{hint}")
    return float(prob), kind


def in_words(point: str, prob: Any, kind: Any) -> str:
    """Point estimate and interval as a picture says them.

    >>> in_words("median", None, None)
    'median and 89% equal-tailed interval'
    """
    prob, kind = interval_of(prob, kind)
    return f"{point} and {100 * prob:g}% {KINDS[kind]} interval"


def check_null(null: Any) -> None:
    """Refuse what an effect cannot be held against."""
    if null is not None and not is_number(null):
        raise ResultError(f"null={shown(null)}; it must be a number, such as 0 for a difference or 1 for a ratio.")


def rope_of(rope: Any) -> tuple[float, float] | None:
    """The region of practical equivalence as two numbers, the lower first; either may be infinite."""
    if rope is None:
        return None
    pair = value_list(rope)
    numbers = pair is not None and all(is_number(v) or is_infinite(v) for v in pair)
    if pair is None or not numbers or len(pair) != 2 or not pair[0] < pair[1]:
        width = plain_value(rope)
        hint = f" Around 0 that is rope=({-width:g}, {width:g})." if is_number(width) and width > 0 else ""
        raise ResultError(f"rope={shown(rope)}; it must be two numbers, the lower first, such as (-0.1, 0.1).{hint}")
    return pair[0], pair[1]


def held_against(ds: xr.Dataset, dims: Sequence[str], null: float) -> np.ndarray:
    """Which entries, (entry,) bool, can be held against this null? A share cannot, nor a difference against 1.

    The attribute ``nulls`` says which null an entry has, if it is not for the user to say.
    """
    shape = [ds.sizes[d] for d in dims]
    known = provenance_of(ds).nulls or {}
    of, along = known.get("of", {}), str(known.get("along", ""))
    if along not in dims:
        return np.ones(int(np.prod(shape)), dtype=bool)
    held = np.array([of[label] == null if label in of else True for label in ds[along].to_numpy().astype(str)])
    if not held.any():
        own = sorted({f"{v:g}" for v in of.values() if v is not None})
        said = f"their null is {' or '.join(own)}" if own else "they are shares, spreads and the like"
        raise ResultError(f"null={null:g}: no entry of this result can be held against it; {said}.")
    place = list(dims).index(along)
    return np.broadcast_to(held.reshape([-1 if k == place else 1 for k in range(len(dims))]), shape).ravel()


def check_arguments(ds: xr.Dataset, point: str, null: float | None) -> None:
    """Refuse point estimates and nulls that this result cannot have."""
    one_of("point", point, POINTS, ResultError)
    check_null(null)
    about = provenance_of(ds)
    ratio = about.comparison in ("ratio", "or") and is_original(ds) and not (ds[ESTIMATE] <= 0).any()
    if null is not None and null <= 0 and ratio and about.kind not in MIXED:
        raise ResultError(
            f"null={shown(null)} for a {about.scale}, which is always above 0: no effect is null=1. "
            "(Differences, slopes and logarithms have null=0.)"
        )
    if point == "mean" and about.no_mean is not None:
        warn(about.no_mean)
    policies = (about.groups or {}).values()
    integrated = any(p in ("new", "sample") for p in policies if isinstance(p, str))
    growing = (*_EXPONENTIAL, *(about.parts or {}))
    if point == "mean" and integrated and grows(about.link) and about.target in growing:
        warn(
            "Under a log link the average over new groups grows as exp(s2 / 2), and its mean over posterior draws may "
            "not exist: the more draws, the larger it can get. The median does; point='median' is the default."
        )
