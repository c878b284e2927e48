"""What may be observed of a family: y itself, and what else a left-hand side says of its rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmargins.errors import ModelError, listed, warn
from bayesmargins.family.families import FAMILIES
from bayesmargins.family.family import Family
from bayesmargins.family.link import Array, Link
from bayesmargins.family.outcome import Flags, Outcome, Support

__all__ = ["check_outcome", "warn_of_other_families"]

_SAID = {"y2": "The other end in cens(c, y2)", "ub": "trunc()"}


def check_outcome(family: Family, outcome: Outcome, text: str, link: Link | None = None) -> None:
    """Refuse what cannot be a response of this family; `text` is the left-hand side.

    ModelError for values outside the support, trials missing or out of place, and for what else the left-hand side
    says where the family cannot have it, or where it is no possible value. Warns of a continuous response that is 0 or
    1 in every row.
    """
    support, y = family.support, outcome.y
    assert support is not None
    if (outcome.trials is None) == support.counts_trials:
        need = "needs 'successes | trials(n)'" if outcome.trials is None else "takes no trials()"
        raise ModelError(
            f"family={family.name!r} {need}, and the left-hand side is {text!r}. A 0/1 response is 'bernoulli', "
            "successes out of trials are 'binomial'."
        )
    _refuse_calls(family, outcome, link)
    for name, holds, allowed in _rules(outcome):
        _refuse_values(
            f"{_SAID.get(name, f'{name}()')} of the response {text!r}", getattr(outcome, name), holds, allowed
        )
    if outcome.weights is not None and not outcome.weights.any():
        raise ModelError(f"The weights of the response {text!r} are 0 in every row: nothing would be fitted.")
    holds = _held(support, outcome)
    if not holds.all():
        first = int(np.flatnonzero(~holds)[0])
        shown = f"{y[first]:g}" if outcome.counts is None else ", ".join(f"{c:g}" for c in outcome.counts[first])
        raise ModelError(
            f"The response {text!r} has {int((~holds).sum())} values that family={family.name!r} cannot have, such as "
            f"{shown} in row {first}; allowed are {support.allowed}."
        )
    _refuse_outside(outcome, text)
    if not support.discrete and np.isin(y, (0.0, 1.0)).all():
        warn(f"The response {text!r} is 0 or 1 and family={family.name!r}: did you mean family='bernoulli'?")


def _held(support: Support, o: Outcome) -> Flags:
    """Which rows have a possible y? One that is known to be larger may be at the lower end."""
    holds = support.holds(o)
    return holds if o.cens is None else holds | ((o.y == support.lowest) & (o.cens >= 1.0))


def _refuse_calls(family: Family, o: Outcome, link: Link | None) -> None:
    """What a family cannot be asked for."""
    asked = {"cens": o.cens is not None, "trunc": o.bounded, "se": o.se is not None, "rate": o.rate is not None}
    takes = {
        "cens": lambda f: f.tails is not None,
        "trunc": lambda f: f.tails is not None,
        "se": lambda f: bool(f.known_error),
        "rate": lambda f: f.rate is not None,
    }
    for name in (name for name, is_asked in asked.items() if is_asked):
        if not takes[name](family):
            others = [other.name for other in FAMILIES.values() if takes[name](other)]
            raise ModelError(f"family={family.name!r} takes no {name}(); {listed(others, 20)} do.")
    if o.rate is not None and link is not None and not link.exponential:
        raise ModelError(f"rate() multiplies what is expected under a log link, and the link is {link.name!r}.")


def _rules(o: Outcome) -> Iterator[tuple[str, Flags, str]]:
    """Field, which of its values are possible, and what these are."""
    if o.weights is not None:
        yield "weights", np.isfinite(o.weights) & (o.weights >= 0.0), "finite numbers from 0"
    if o.se is not None:
        yield "se", np.isfinite(o.se) & (o.se > 0.0), "finite numbers above 0"
    if o.cens is not None:
        known = np.isin(o.cens, (-1.0, 0.0, 1.0) if o.y2 is None else (-1.0, 0.0, 1.0, 2.0))
        ends = "'interval' or 2" if o.y2 is not None else "'interval' (2) in cens(c, y2), which says the other end"
        yield "cens", known, f"'left' or -1, 'none' or 0, 'right' or 1, and {ends}"
    if o.y2 is not None and o.cens is not None:
        yield "y2", (o.cens != 2.0) | (o.y2 > o.y), "numbers above y in rows with an interval, infinite ones among them"
    if o.lb is not None and o.ub is not None:
        yield "ub", o.ub > o.lb, "bounds with lb below ub"


def _refuse_values(what: str, values: Array, holds: Flags, allowed: str) -> None:
    if not holds.all():
        bad = ~holds
        raise ModelError(
            f"{what} has {int(bad.sum())} values such as {values[bad][0]:g}, in row {int(np.flatnonzero(bad)[0])}; "
            f"allowed are {allowed}."
        )


def _refuse_outside(o: Outcome, text: str) -> None:
    """Values that trunc() says could not be observed."""
    lb, ub = -np.inf if o.lb is None else o.lb, np.inf if o.ub is None else o.ub
    outside = (o.y < lb) | (o.y > ub)
    if outside.any():
        raise ModelError(
            f"The response {text!r} has {int(outside.sum())} values outside the bounds of trunc(), such as "
            f"{o.y[outside][0]:g} in row {int(np.flatnonzero(outside)[0])}: rows that could not be observed."
        )


_TOLD: set[str] = set()  # what is said once a process


def warn_of_other_families(family: Family, outcome: Outcome, text: str) -> None:
    """Of values that another family is made for, once for each response."""
    found = "" if family.looks_like is None else family.looks_like(outcome)
    said = f"The response {text!r} {found}. family={family.name!r} gives every number a chance. (Said once.)"
    if found and said not in _TOLD:
        _TOLD.add(said)
        warn(said)
