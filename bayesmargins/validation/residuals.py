"""How far an observation lies from its distribution in a draw, in units of its spread.

Of a whole number it is the distance from the mean over the standard deviation. Of a continuous y it is the normal
score: the quantile of N(0, 1) at P(Y <= y). Of a row that is known in part, or between bounds, it is such a score at a
probability drawn from those that what is known leaves (Dunn and Smyth 1996). Scores of the model's own y are N(0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from bayesmargins.family import Link, Outcome, Values, values_at
from bayesmargins.family.family import Family

__all__ = ["Residuals", "mean_and_variance"]

_LEAST = 1e-15
_STEP = 1e-4  # of eta, for a slope


@dataclass(frozen=True)
class Residuals:
    """Of a family and an outcome."""

    family: Family
    link: Link
    outcome: Outcome

    @property
    def scores(self) -> bool:
        """Whether they are normal scores."""
        tails = self.family.below is not None and self.family.above is not None
        return self.outcome.partial or bool(self.family.normal_sd) or (tails and not self.family.discrete)

    def __call__(self, p: Values, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(replicate, row)."""
        if self.outcome.partial:
            return self._of_interval(p, rng)
        if self.family.normal_sd:
            return np.asarray((self.measured(y) - p.mu) / getattr(p, self.family.normal_sd))
        if self.scores:
            assert self.family.below is not None
            assert self.family.above is not None
            below, above = self.family.below(y, p, self.outcome), self.family.above(y, p, self.outcome)
            return np.where(below < above, _score(below), -_score(above))
        mean, variance = mean_and_variance(self.family, self.link, p, self.outcome)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (y - mean) / np.sqrt(variance)
        return np.where(variance > 0.0, found, 0.0)

    def weights(self, p: Values) -> np.ndarray:
        """What a small change of eta does to the mean of a residual: (replicate, row), 1 of scores."""
        if self.scores:
            return np.ones(np.shape(p.eta))
        aux = {k: v for k, v in vars(p).items() if k not in ("mu", "complement", "eta", "link")}
        high, low = (_mean(self.family, self.link, values_at(self.link, p.eta + h, aux), self.outcome)
                     for h in (_STEP, -_STEP))  # fmt: skip
        variance = mean_and_variance(self.family, self.link, p, self.outcome)[1]
        return np.asarray((high - low) / (2.0 * _STEP) / np.sqrt(np.maximum(variance, 1e-300)))

    def measured(self, y: np.ndarray) -> np.ndarray:
        """y on the scale on which it is normal, or as it is."""
        return y if self.family.measured is None or not self.family.normal_sd else self.family.measured(y)

    def _of_interval(self, p: Values, rng: np.random.Generator) -> np.ndarray:
        o = self.outcome
        below = self.family.need("below", "check of rows that are known in part")
        cens = np.zeros(len(o.y)) if o.cens is None else o.cens
        at = below(o.y, p, o)
        low = below(o.y - 1.0, p, o) if self.family.discrete else at  # of y itself
        low = np.where(cens == -1.0, 0.0, np.where(cens > 0.0, at, low))
        last = below(np.where(cens == 2.0, o.y if o.y2 is None else o.y2, o.y), p, o)
        high = np.where(cens == 1.0, 1.0, last)
        if o.bounded:
            assert self.family.support is not None
            start, end = (
                below(c, p, o) for c in (np.where(np.isinf(b), o.y, b) for b in o.bounds(self.family.support))
            )
            lb, ub = o.bounds(self.family.support)
            start, end = np.where(np.isinf(lb), 0.0, start), np.where(np.isinf(ub), 1.0, end)
            low, high = ((np.clip(u, start, end) - start) / np.maximum(end - start, _LEAST) for u in (low, high))
        return np.asarray(ndtri(np.clip(low + rng.uniform(size=low.shape) * (high - low), _LEAST, 1.0 - 1e-15)))


def _score(u: np.ndarray) -> np.ndarray:
    return np.asarray(ndtri(np.maximum(u, 1e-300)))


def mean_and_variance(family: Family, link: Link, p: Values, o: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """E[y] and Var(y) given the parameters; of an ordered y those of its category's number."""
    mean = _mean(family, link, p, o)
    if family.ordinal:
        K, reached = p.thresholds.shape[-1] + 1, _reached(family, link, p)
        square = float(K**2) - sum((2 * k + 1) * share for k, share in enumerate(reached, 1))
        return mean, np.maximum(square - mean**2, 0.0)
    variance = family.need("variance", "check")
    curve = family.curve(link)
    m = np.asarray(curve.link.inverse(curve.of(p.eta, p)))
    total, power = np.zeros(m.shape), np.ones(m.shape)
    for coefficient in variance(p, o):
        total, power = total + coefficient * power, power * m
    return mean, np.maximum(total, 0.0)


def _mean(family: Family, link: Link, p: Values, o: Outcome) -> np.ndarray:
    if family.ordinal:
        return np.asarray(p.thresholds.shape[-1] + 1.0 - sum(_reached(family, link, p)))
    curve = family.curve(link)
    times = o.number() if family.support is not None and family.support.counts_trials else 1.0
    return np.asarray(times * (curve.link.inverse(curve.of(p.eta, p)) + curve.beside(p)))


def _reached(family: Family, link: Link, p: Values) -> list[np.ndarray]:
    """P(y <= k) of all categories but the last."""
    K = p.thresholds.shape[-1] + 1
    if family.at_most is not None and not family.scales_latent(vars(p)):
        curves = [family.at_most(link, k) for k in range(1, K)]
        return [np.asarray(c.link.inverse(c.of(p.eta, p))) for c in curves]
    density = family.need("log_density", "check")
    n = np.shape(p.eta)[-1]
    shares = [np.exp(density(p, Outcome(np.full(n, float(k))))) for k in range(1, K)]
    return list(np.cumsum(shares, axis=0))
