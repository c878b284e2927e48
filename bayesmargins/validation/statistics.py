"""What observed rows and replicated ones are compared by: a table, an entry a statistic.

A statistic is a function of one side, T(y) or T(y, parameters), taken alike of the observed y and of a replicate in
every draw (Gelman, Meng and Stern 1996). What may differ in many places (a column, a pair of columns, a factor) is one
statistic with an entry a place; the entry that stands out most speaks for it, and is compared with the one that stands
out most in each replicate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesmargins.design import Factor
from bayesmargins.validation.binned_predictors import EXPECTED, Predictor, beyond, pairs
from bayesmargins.validation.group_modes import Modes, by_group, modes_of
from bayesmargins.validation.replicates import Replicates
from bayesmargins.validation.residuals import Residuals

__all__ = ["LEVEL", "STATISTICS", "Compared", "Places", "Side", "Statistic", "compared", "terms_of"]

_SOME = 200  # draws that weights are averaged over

LEVEL = 0.0015
"""At or below which p a statistic is a finding: there are some twenty, so one of thirty right models is expected to."""


@dataclass(frozen=True)
class Side:
    """Observed or replicated."""

    y: np.ndarray  # (replicate, row): the response; one row of the observed one
    r: np.ndarray = field(default_factory=lambda: np.empty((1, 0)))  # (replicate, row): residuals
    # (replicate, row): scores: residuals times what a change of eta does to them, over its average
    u: np.ndarray = field(default_factory=lambda: np.empty((1, 0)))
    eta: np.ndarray = field(default_factory=lambda: np.empty((1, 0)))  # (replicate, row): the linear predictor
    modes: tuple[np.ndarray, ...] = ()  # (replicate, group): of the effects of the groups


@dataclass(frozen=True, eq=False)
class Places:
    """Where statistics of several entries look: directions in the rows, or in the groups."""

    replicates: Replicates
    predictors: list[Predictor]
    residuals: Residuals

    @cached_property
    def root_weights(self) -> np.ndarray:
        """What a change of eta does to a residual, its root mean square over some draws: (row,)."""
        some = replace(self.replicates, index=self.replicates.index[:: max(1, len(self.replicates.index) // _SOME)])
        squares = [self.residuals.weights(some.parameters(block, "own")) ** 2 for block in some.blocks]
        return np.asarray(np.sqrt(np.concatenate(squares).mean(axis=0)))

    @cached_property
    def known(self) -> np.ndarray:
        """Directions that the fixed part has fitted: (row, column)."""
        X = self.replicates.rows.X
        return np.column_stack([np.ones(len(X)), X]) * self.root_weights[:, None]

    @property
    def factors(self) -> list[Factor]:
        """Grouping factors."""
        return [f for f in self.replicates.post.design.factors.values() if f.members is None]

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """By predictor, its bins beyond what was fitted: orthonormal (row, direction)."""
        w = self.root_weights[:, None]
        found = {p.name: beyond(p.indicators * w, self.known) for p in self.predictors}
        return {name: Q for name, Q in found.items() if Q.shape[1]}

    @cached_property
    def within(self) -> dict[str, np.ndarray]:
        """By pair of predictors, their product within groups: orthonormal (row, direction)."""
        w, X = self.root_weights[:, None], self.replicates.rows.X
        fixed = np.column_stack([np.ones(len(X)), X])
        known = np.column_stack([self.known, self._centred(X) * w])
        found = {}
        for name, columns in pairs(self.predictors):
            inner = self._centred(columns)
            if beyond(columns, fixed).shape[1] and np.abs(inner).max() > 1e-6 * np.abs(columns).max():
                found[name] = beyond(inner * w, known)
        return {name: Q for name, Q in found.items() if Q.shape[1]}

    @cached_property
    def slopes(self) -> dict[str, list[np.ndarray]]:
        """By predictor and factor, its columns within the groups, weighed: (row,) each."""
        found = {}
        for factor in self.factors:
            for p in self.predictors:
                if p.name == EXPECTED or p.name in factor.variables:
                    continue
                columns = _within(p.basis, factor, self.root_weights**2) * self.root_weights[:, None]
                if np.abs(columns).max() > 1e-6:
                    found[f"{p.name} by {factor.name}"] = list(columns.T)
        return found

    @cached_property
    def modes(self) -> list[Modes]:
        """Of the groups' effects."""
        return modes_of(self.replicates)

    @cached_property
    def between(self) -> dict[str, tuple[int, np.ndarray]]:
        """By product, which modes it is compared with, and orthonormal directions: (group, direction)."""
        found: dict[str, tuple[int, np.ndarray]] = {}
        for k, modes in enumerate(self.modes):
            for name, columns in self._between(modes):
                if columns.shape[1] and len(modes.groups) >= columns.shape[1] + 5:
                    found[name if name not in found else f"{name} of {modes.factor.name}"] = (k, columns)
        return found

    def _between(self, modes: Modes) -> list[tuple[str, np.ndarray]]:
        codes, factor = modes.factor.codes, modes.factor
        constant = [p for p in self.predictors if p.name != EXPECTED and p.constant_within(codes)]
        first = np.unique(codes, return_index=True)[1][modes.groups]
        z = self.replicates.rows.Z[factor.name][:, modes.term]
        if np.ptp(z) == 0.0:
            known = np.column_stack([np.ones(len(first)), self.replicates.rows.X[first]])
            return [(name, beyond(columns[first], known)) for name, columns in pairs(constant)]
        along = next((p.name for p in self.predictors if p.basis.shape[1] == 1 and _straight(p.basis[:, 0], z)), None)
        if along is None:
            return []
        one = np.ones((len(first), 1))
        return [(f"{along} × {p.name}", beyond(p.basis[first], one)) for p in constant]

    def _centred(self, columns: np.ndarray) -> np.ndarray:
        """Within the groups of all factors, whose sums are taken out in turn."""
        for _ in range(1 if len(self.factors) < 2 else 4):
            for factor in self.factors:
                columns = _within(columns, factor, self.root_weights**2)
        return columns


def _within(columns: np.ndarray, factor: Factor, weights: np.ndarray) -> np.ndarray:
    """Columns less their weighted mean by group."""
    G = len(factor.levels)
    total = np.maximum(np.bincount(factor.codes, weights, G), 1e-300)
    means = [np.bincount(factor.codes, weights * c, G) / total for c in columns.T]
    return np.asarray(columns - np.array(means).T[factor.codes])


def _straight(x: np.ndarray, z: np.ndarray) -> bool:
    return bool(np.ptp(x) > 0.0 and abs(np.corrcoef(x, z)[0, 1]) > 1.0 - 1e-9)


Of = Callable[[Side, Places], np.ndarray]


@dataclass(frozen=True)
class Statistic:
    """One of them."""

    name: str  # in the table
    groups: str  # {"own", "new"}: whether replicates are of the same groups or of new ones
    of: Of = field(repr=False)  # ``(side, places) -> (replicate, entry)``
    # places -> names of its entries; empty where it does not apply
    entries: Callable[[Places], list[str]] = field(default=lambda places: [""], repr=False)
    above: bool = False  # whether only a large value says that something does not fit


def _moment(power: int) -> Of:
    def of(side: Side, places: Places) -> np.ndarray:
        centred = side.r - side.r.mean(axis=1, keepdims=True)
        square = centred * centred
        last = centred if power == 3 else square
        moment = np.einsum("sr,sr->s", square, last) / centred.shape[1]
        return np.asarray(moment / np.maximum(square.mean(axis=1), 1e-300) ** (power / 2))[:, None]

    return of


def _dispersion(side: Side, places: Places) -> np.ndarray:
    return np.asarray((side.r**2).mean(axis=1))[:, None]


def _centred_eta(side: Side) -> np.ndarray:
    c = side.eta - side.eta.mean(axis=1, keepdims=True)
    return np.asarray(c / np.maximum(np.sqrt(np.einsum("sr,sr->s", c, c) / c.shape[1]), 1e-300)[:, None])


def _spread(side: Side, places: Places) -> np.ndarray:
    """Covariance of squared residuals with eta, relative to their mean."""
    square = side.r**2
    return np.asarray(np.einsum("sr,sr->s", square, _centred_eta(side)) / np.maximum(square.sum(axis=1), 1e-300))[
        :, None
    ]


def _link(side: Side, places: Places) -> np.ndarray:
    """Covariance of scores with the square of eta, what is straight in eta taken out."""
    c = _centred_eta(side)
    square = c * c
    skew = np.einsum("sr,sr->s", square, c) / c.shape[1]
    bend = square - 1.0 - skew[:, None] * c
    size = np.sqrt(np.maximum(np.einsum("sr,sr->s", bend, bend), 1e-300))
    return np.asarray(np.einsum("sr,sr->s", side.u, bend) / size)[:, None]


def _squares(directions: Callable[[Places], dict[str, np.ndarray]]) -> Of:
    def of(side: Side, places: Places) -> np.ndarray:
        return np.stack([((side.u @ Q) ** 2).mean(axis=1) for Q in directions(places).values()], axis=1)

    return of


def _slopes(side: Side, places: Places) -> np.ndarray:
    found = []
    factors = {f.name: f for f in places.factors}
    for name, columns in places.slopes.items():
        factor = factors[name.rpartition(" by ")[2]]
        total = sum((by_group(side.u * column, factor) ** 2).sum(axis=1) for column in columns)
        found.append(total / sum(float((c**2).sum()) for c in columns))
    return np.stack(found, axis=1)


def _modes(number: Callable[[np.ndarray], np.ndarray]) -> Of:
    return lambda side, places: np.stack([number(b) for b in side.modes], axis=1)


def _shape(power: int) -> Callable[[np.ndarray], np.ndarray]:
    def of(b: np.ndarray) -> np.ndarray:
        centred = b - b.mean(axis=1, keepdims=True)
        return np.asarray((centred**power).mean(axis=1) / np.maximum((centred**2).mean(axis=1), 1e-300) ** (power / 2))

    return of


def _between(side: Side, places: Places) -> np.ndarray:
    return np.stack([((side.modes[k] @ Q) ** 2).mean(axis=1) for k, Q in places.between.values()], axis=1)


def _all_at(end: str) -> Of:
    """Number of groups whose rows are all at the lowest, or the highest, value."""

    def of(side: Side, places: Places) -> np.ndarray:
        target = np.zeros(side.y.shape[1]) if end == "lowest" else _highest(places)
        other = (side.y != target).astype(np.float64)
        return np.stack([(by_group(other, f) == 0.0).sum(axis=1) for f in places.factors], axis=1).astype(np.float64)

    return of


def _highest(places: Places) -> np.ndarray:
    post = places.replicates.post
    assert post.family.support is not None
    return np.broadcast_to(post.family.support.highest(places.replicates.outcome), places.replicates.outcome.y.shape)


def _binary(places: Places) -> bool:
    return bool((_highest(places) == 1.0).all())


def _if(condition: Callable[[Places], bool]) -> Callable[[Places], list[str]]:
    return lambda places: [""] if condition(places) else []


def _whole_y(places: Places) -> bool:
    return not places.replicates.outcome.partial


def _graded(places: Places) -> bool:
    """Whether y has more than two values, which are numbers."""
    return not _binary(places) and not places.replicates.post.family.ordinal


def _counted(places: Places) -> bool:
    return places.replicates.post.family.discrete and _graded(places) and _whole_y(places)


def _ends(places: Places) -> list[str]:
    """Factors whose groups have several observations."""
    if not places.replicates.post.family.discrete or places.replicates.post.family.ordinal:
        return []
    return [f.name for f in places.factors]


def _tops(places: Places) -> list[str]:
    return _ends(places) if np.isfinite(_highest(places)).all() else []


def terms_of(places: Places) -> list[str]:
    """Names of the effects of groups."""
    return [m.factor.name if len(m.factor.terms) == 1 else f"{m.factor.name}: {m.factor.terms[m.term]}"
            for m in places.modes]  # fmt: skip


STATISTICS: tuple[Statistic, ...] = (
    Statistic("mean", "own", lambda side, places: side.y.mean(axis=1)[:, None], _if(_whole_y)),
    Statistic("mean", "new", lambda side, places: side.y.mean(axis=1)[:, None], _if(_whole_y)),
    Statistic("zeros", "own", lambda side, places: (side.y == 0.0).sum(axis=1)[:, None].astype(float), _if(_counted)),
    Statistic("maximum", "own", lambda side, places: side.y.max(axis=1)[:, None],
              _if(lambda places: _graded(places) and _whole_y(places))),
    Statistic("minimum", "own", lambda side, places: side.y.min(axis=1)[:, None],
              _if(lambda places: not places.replicates.post.family.discrete and _whole_y(places))),
    Statistic("dispersion", "own", _dispersion, _if(lambda places: not _binary(places))),
    Statistic("skewness", "own", _moment(3), _if(_graded)),
    Statistic("tails", "own", _moment(4), _if(_graded)),
    Statistic("spread", "own", _spread, _if(lambda places: not _binary(places))),
    Statistic("link", "own", _link),
    Statistic("curves", "own", _squares(lambda places: places.curves), lambda places: list(places.curves), above=True),
    Statistic("slopes", "own", _slopes, lambda places: list(places.slopes), above=True),
    Statistic("interactions", "own", _squares(lambda places: places.within), lambda places: list(places.within),
              above=True),
    Statistic("interactions", "new", _between, lambda places: list(places.between), above=True),
    Statistic("groups at the lowest", "new", _all_at("lowest"), _ends),
    Statistic("groups at the highest", "new", _all_at("highest"), _tops),
    Statistic("spread of groups", "new", _modes(lambda b: b.std(axis=1)), terms_of),
    Statistic("skewness of groups", "new", _modes(_shape(3)), terms_of),
    Statistic("tails of groups", "new", _modes(_shape(4)), terms_of),
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """A statistic of the observed rows against its replicates."""

    name: str  # of the statistic
    groups: str  # of the statistic
    about: str  # the entry that stands out most
    # (replicate,): of that entry; one number again and again where it does not depend on parameters
    observed: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)  # (replicate,): of the replicates
    p: float  # how often a replicate lies as far out; of all entries together

    @property
    def found(self) -> bool:
        """Whether it is a finding."""
        return self.p <= LEVEL

    @property
    def high(self) -> bool:
        """Whether the observed one is the larger."""
        return self.seen > self.expected(0.5)[0]

    @property
    def distance(self) -> float:
        """Between the medians, in standard deviations of the replicates."""
        spread = float(self._predicted.std()) if self._predicted.size else 1.0
        return abs(self.seen - self.expected(0.5)[0]) / max(spread, 1e-12)

    @property
    def seen(self) -> float:
        """Median of the observed one over draws; NaN where it has no value in any."""
        finite = self.observed[np.isfinite(self.observed)]
        return float(np.median(finite)) if finite.size else float("nan")

    def expected(self, *probs: float) -> tuple[float, ...]:
        """Quantiles of the replicates that have a value."""
        if not self._predicted.size:
            return (float("nan"),) * len(probs)
        return tuple(np.quantile(self._predicted, probs).tolist())

    @property
    def times(self) -> float:
        """The observed one over the mean of the replicates."""
        return self.seen / max(float(self._predicted.mean()), 1e-300) if self._predicted.size else float("nan")

    @property
    def _predicted(self) -> np.ndarray:
        return self.predicted[np.isfinite(self.predicted)]


def compared(
    name: str, groups: str, entries: list[str], observed: np.ndarray, predicted: np.ndarray, above: bool
) -> Compared:
    """From (replicate, entry) of both sides. A replicate without a value speaks for neither side.

    Of several entries one that lacks a value in any replicate is left out.
    """
    observed = np.broadcast_to(observed, predicted.shape)
    n = len(predicted)
    if predicted.shape[1] == 1:
        place, seen, drawn = 0, observed[:, 0], predicted[:, 0]
    else:
        a, b = (np.cbrt(v) if above else v for v in (observed, predicted))
        known = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
        a, b = (np.where(known, v, 0.0) for v in (a, b))
        middle, spread = b.mean(axis=0), np.where(b.std(axis=0) > 0.0, b.std(axis=0), np.inf)
        a, b = (a - middle) / spread, (b - middle) / spread
        a, b = (a, b) if above else (np.abs(a), np.abs(b))
        place = int(np.median(a, axis=0).argmax())
        seen, drawn = a.max(axis=1), b.max(axis=1)
        above = True
    unknown = np.isnan(seen) | np.isnan(drawn)
    with np.errstate(invalid="ignore"):
        slack = np.nan_to_num(1e-12 * np.maximum(np.abs(seen), np.abs(drawn)), posinf=0.0)
        upper = (1 + int(((drawn >= seen - slack) | unknown).sum())) / (n + 1)
        lower = (1 + int(((drawn <= seen + slack) | unknown).sum())) / (n + 1)
    p = upper if above else min(1.0, 2.0 * min(upper, lower))
    return Compared(name, groups, entries[place], observed[:, place], predicted[:, place], p)
