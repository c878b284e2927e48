"""Moments of the response over new groups and rows: its mean, its variance, and what of it each factor makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from bayesmargins.design import Rows
from bayesmargins.evaluate import Chunk, DistributionPredictor, PartRows, Passed, normal_blocks, part_values
from bayesmargins.family import Link, Outcome, Values
from bayesmargins.family.compound import Compound
from bayesmargins.family.mixture_of_y import Mixture, Number
from bayesmargins.family.parameter_targets import ResponseMean
from bayesmargins.family.quantity import sd
from bayesmargins.integrate import between, cubed, expectation
from bayesmargins.posterior import Posterior

__all__ = ["Moments", "joint_moments", "response_moments"]


@dataclass(frozen=True, repr=False)
class _Between(ResponseMean):
    """The variance over b of E[y given b]."""

    moment: ClassVar[str] = "sd"

    def found(self, y: Mixture | Compound, part: str) -> Number:
        """That of components, and of how far their means are apart."""
        return y.between()


@dataclass
class Moments:
    """Per draw, averaged over rows; response scale."""

    mean: np.ndarray  # (draw,): E[y] over rows and new groups
    fixed: np.ndarray  # (draw,): variance over rows of E[y], each integrated over new groups
    groups: dict[str, np.ndarray]  # (draw,): by factor, the mean over rows of Var(E[y given b of the factor])
    between: np.ndarray  # (draw,): of all factors together
    variance: np.ndarray  # (draw,): mean over rows of Var(y) at the row's covariates
    # methods, nodes, and the largest error of a variance of a row
    passed: Passed = field(default_factory=lambda: Passed({}))

    @property
    def error_of_shares(self) -> float:
        """How wrong may a share be, in the draw with the median variance? Its two sides may both be."""
        finite = self.variance[np.isfinite(self.variance) & (self.variance > 0.0)]
        return 2.0 * self.passed.error_bound / float(np.median(finite)) if finite.size else 0.0


def response_moments(post: Posterior, rows: Rows, weights: np.ndarray, parts: tuple[PartRows, ...] = ()) -> Moments:
    """Mean and variance of the response over these rows and new groups, and where the variance comes from.

    Weights (row,) sum to 1. `parts` are the same rows of parameters with a linear predictor of their own, without group
    effects.
    """
    zero = np.zeros(len(post.draws.beta))
    out = Moments(zero.copy(), zero.copy(), {f: zero.copy() for f in post.design.factors}, zero.copy(), zero.copy())
    origin = None
    with np.errstate(over="ignore", invalid="ignore"):
        for block, eta, s2 in normal_blocks(post.draws, rows):
            aux = {name: values[:, None] for name, values in post.draws.aux.items()}
            aux |= {part.name: part_values(part, block) for part in parts}
            mean = _add(out, post, eta, s2, aux, weights[block])
            # the variance over rows about a value among them: subtracting squares would cost the digits of a small one
            origin = mean[:, :1] if origin is None else origin
            out.mean += (mean - origin) @ weights[block]
            out.fixed += (mean - origin) ** 2 @ weights[block]
        assert origin is not None
        out.fixed = np.maximum(out.fixed - out.mean**2, 0.0)
        out.mean += origin[:, 0]
    return out


def joint_moments(post: Posterior, chunk: Chunk, factor: str) -> Moments:
    """The same where one factor, the only one, moves several linear predictors: by their joint distribution."""
    predictor = DistributionPredictor(post.draws, post.link, post.family, sd(), lambda done: None)
    word, passed, weights = post.family.noun, Passed({}, error_estimate=0.0), chunk.cells.share
    of_rows = []
    for block, (mean, scatter, between_) in predictor.numbers(
        chunk, (ResponseMean(word), sd(), _Between(word)), passed
    ):
        of_rows.append((mean, scatter**2 @ weights[block], between_ @ weights[block]))
    mean = np.concatenate([of for of, _, _ in of_rows], axis=1)
    variance, total = (np.sum([one[k] for one in of_rows], axis=0) for k in (1, 2))
    fixed = (mean - mean[:, :1]) ** 2 @ weights - ((mean - mean[:, :1]) @ weights) ** 2
    largest = float(np.max(np.sqrt(variance), where=np.isfinite(variance), initial=1.0))
    passed.error_bound = 2.0 * largest * (passed.error_estimate or 0.0)
    return Moments(mean @ weights, np.maximum(fixed, 0.0), {factor: total}, total, variance, passed)


def _add(
    out: Moments,
    post: Posterior,
    eta: np.ndarray,
    s2: dict[str, np.ndarray],
    aux: dict[str, np.ndarray],
    weights: np.ndarray,
) -> np.ndarray:
    """Add a block of rows to the variances; gives E[y], (draw, row)."""
    total = sum(s2.values(), np.zeros((len(eta), 1)))
    curve = post.family.curve(post.link)
    p = Values(**aux)
    link, eta, square = curve.link, curve.of(eta, p), np.asarray(curve.times(p)) ** 2
    mean = out.passed.record(expectation(link, eta, total))
    together = out.passed.record(between(link, eta, total))
    out.between += (square * together) @ weights
    for factor, own in s2.items():
        alone = len(s2) == 1
        rest = sum((of for other, of in s2.items() if other != factor), np.zeros((len(eta), 1)))
        of = together if alone else out.passed.record(between(link, eta, own, rest))
        out.groups[factor] += (square * of) @ weights
    out.variance += _variance(post, link, eta, total, aux, mean, together) @ weights
    return np.asarray(curve.scaled(mean, p) + curve.beside(p))


def _variance(
    post: Posterior,
    link: Link,
    eta: np.ndarray,
    s2: np.ndarray,
    aux: dict[str, np.ndarray],
    mean: np.ndarray,
    together: np.ndarray,
) -> np.ndarray:
    """Var(y) of a single trial at the row's covariates: between groups, and E of Var(y given b), (draw, row).

    With m the inverse link in E[y given b], f its factor there, and Var(y given b) = v0 + v1 m + v2 m^2 these are
    averages of m and its square, which 1 - mean keeps exact where m is a probability; where there is a v3, of its cube
    too.
    """
    square = np.asarray(post.family.curve(post.link).times(Values(**aux))) ** 2
    v0, v1, v2, *v3 = post.family.need("variance", "variance_partition")(Values(**aux), Outcome())
    if link.bounded:
        complement = expectation(link, eta, s2, "complement").value
        return np.asarray(v0 + v1 * mean * complement + (v1 + v2) * mean**2 + (square + v2) * together)
    cubic = v3[0] * cubed(link, eta, s2) if v3 else 0.0
    return np.asarray(square * together + (v0 + v1 * mean + v2 * (together + mean**2)) + cubic)
