"""A quick fit of the posterior's mode, by which the sampler's coordinates are chosen: it decides speed alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy

from bayesmargins.family import Family, Link, Outcome, Parameter, values_at
from bayesmargins.model.coordinates import GroupPart
from bayesmargins.model.scales import Scales

__all__ = ["Pilot", "fixed_pilot", "group_sums", "pilot", "regular"]

LogDensity = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]

_ROUNDS, _EM_STEPS = 12, 8
_NEAR = 0.1
_STEP = 1e-3  # of the numerical derivatives in eta, in its unit
_NODES = ((0.0, 2 / 3), (-(3**0.5), 1 / 6), (3**0.5, 1 / 6))  # of Gauss and Hermite
_LEAST = 1e-3  # information of a row, as a share of the mean
_HALVINGS = 4
_FALL = 1e-6  # of log p, which the change of a penalised mode to an averaged one may bring
_NEVER = -1e10  # in place of an infinite log density, whose differences are no numbers
_WIDER = 2.0  # by how much the logarithm of a parameter may change in a round
_LARGEST = 12.0  # of the logarithm: a precision may have its mode at infinity


@dataclass
class Pilot:
    """Where it stands, and derivatives of the rows' log density there."""

    phi: np.ndarray  # (coordinate,): coefficients of the fixed part's columns
    b: list[np.ndarray]  # (group, term): of each factor, in its coordinates
    Sigma: list[np.ndarray]  # (term, term): the same
    aux: dict[str, np.ndarray]  # the family's parameters beside the mean
    variance: list[np.ndarray]  # (row,): of what each factor adds to the linear predictor, given the data
    # (row,): the linear predictor; the first derivative and minus the second one, on average over that variance
    eta: np.ndarray
    score: np.ndarray = field(default_factory=lambda: np.empty(0))
    information: np.ndarray = field(default_factory=lambda: np.empty(0))

    def differentiate(self, log_density: LogDensity, unit: float) -> None:
        """By central differences."""
        h, sd = _STEP * unit, np.sqrt(sum(self.variance))
        self.score, curvature, squared = (np.zeros(len(self.eta)) for _ in range(3))
        for node, share in _NODES:
            low, middle, high = (log_density(self.eta + node * sd + d, self.aux) for d in (-h, 0.0, h))
            slope = (high - low) / (2.0 * h)
            self.score += share * slope
            squared += share * slope**2
            curvature += share * (2.0 * middle - low - high) / h**2
        least = _LEAST * np.maximum(curvature, 0.0).mean() + np.finfo(np.float64).tiny
        # Where the density is not concave: the square of the slope is as large on average, and never negative.
        self.information = np.where(curvature > least, curvature, np.maximum(squared, least))


def pilot(
    family: Family,
    link: Link,
    outcome: Outcome,
    offset: np.ndarray,
    F: np.ndarray,
    parts: Sequence[GroupPart],
    scales: Scales,
    held: Mapping[str, float] | None = None,
) -> Pilot:
    """Newton steps, the fixed part and one factor at a time; Sigma by the EM algorithm, other parameters by search.

    `held` has the parameters that are no more than a number.
    """
    log_density = _density(family, link, outcome)
    at = Pilot(
        np.linalg.lstsq(F, np.full(len(F), scales.location), rcond=None)[0],
        [np.zeros((len(part.factor.levels), part.W.shape[1])) for part in parts],
        [scales.unit**2 * np.eye(part.W.shape[1]) for part in parts],
        _first_values(family, link, outcome, held or {}),
        [np.zeros(len(F)) for _ in parts],
        offset,
    )
    at.eta = offset + F @ at.phi
    for _ in range(_ROUNDS):
        eta, Sigma = at.eta, list(at.Sigma)
        for k, part in enumerate(parts):
            at.differentiate(log_density, scales.unit)
            _newton(at, k, part, F, log_density)
        _search(at, family, log_density, outcome, held or {})
        if _settled(at, eta, Sigma):
            break
    at.differentiate(log_density, scales.unit)
    return at


def fixed_pilot(
    family: Family,
    link: Link,
    outcome: Outcome,
    offset: np.ndarray,
    F: np.ndarray,
    scales: Scales,
    held: Mapping[str, float],
) -> Pilot:
    """The same without group effects."""
    log_density = _density(family, link, outcome)
    phi = np.linalg.lstsq(F, np.full(len(F), scales.location), rcond=None)[0]
    first = _first_values(family, link, outcome, held)
    at = Pilot(phi, [], [], first, [np.zeros(len(F))], offset + F @ phi)
    for _ in range(_ROUNDS):
        at.differentiate(log_density, scales.unit)
        A = F.T @ (F * at.information[:, None])
        step = np.linalg.lstsq(A, F.T @ at.score, rcond=1e-10)[0]
        size, before = 1.0, log_density(at.eta, at.aux).sum()
        while log_density(at.eta + size * (F @ step), at.aux).sum() < before and size > 0.5**_HALVINGS:
            size *= 0.5
        at.phi, at.eta = at.phi + size * step, at.eta + size * (F @ step)
        _search(at, family, log_density, outcome, held)
    at.differentiate(log_density, scales.unit)
    return at


def _density(family: Family, link: Link, outcome: Outcome) -> LogDensity:
    def log_density(eta: np.ndarray, aux: Mapping[str, np.ndarray]) -> np.ndarray:
        with np.errstate(all="ignore"):
            value = family.log_likelihood(values_at(link, eta, family.of_rows(aux, outcome)), outcome)
        return np.where(np.isfinite(value), value, _NEVER)

    return log_density


def _settled(at: Pilot, eta: np.ndarray, Sigma: list[np.ndarray]) -> bool:
    """Has a round moved effects by less than a tenth of their uncertainty, and variances by less than a twentieth?"""
    moved = float((at.information * (at.eta - eta) ** 2).sum()) / sum(b.size for b in at.b)
    changes = (np.abs(np.diag(new) / np.diag(old) - 1.0).max() for new, old in zip(at.Sigma, Sigma, strict=True))
    return moved < _NEAR**2 and max(changes) < _NEAR / 2.0


def _first_values(family: Family, link: Link, outcome: Outcome, held: Mapping[str, float]) -> dict[str, np.ndarray]:
    """A parameter of the scale of its prior, or amid what it lies between; thresholds of the categories' shares."""
    found = {}
    for parameter in family.estimated(outcome.known_error):
        given, line = _default(parameter, outcome), _Line.of(parameter, outcome)
        if parameter.along:
            found[parameter.name] = np.asarray(link.link(outcome.reached()))
        else:
            scale = line.value(0.0) if "scale" not in given else np.array(float(given["scale"]))
            found[parameter.name] = np.array(float(held.get(parameter.name, scale)))
    return found


def _default(parameter: Parameter, outcome: Outcome) -> Mapping[str, Any]:
    """Arguments of its default prior."""
    prior = None if parameter.prior is None else parameter.prior(outcome)
    return prior[1] if isinstance(prior, tuple) else {}


class _Line(NamedTuple):
    """Where a parameter lies, as the real line: by its logarithm, its log odds between two numbers, or as it is."""

    low: float
    high: float

    @classmethod
    def of(cls, parameter: Parameter, outcome: Outcome) -> _Line:
        (low, high), given = parameter.between, _default(parameter, outcome)
        return cls(max(low, given.get("lower", low)), min(high, given.get("upper", high)))

    def value(self, u: float) -> np.ndarray:
        if np.isfinite(self.high):
            return np.asarray(self.low + (self.high - self.low) * scipy.special.expit(u))
        return np.asarray(self.low + np.exp(min(u, _LARGEST)) if np.isfinite(self.low) else u)

    def place(self, value: np.ndarray) -> float:
        if np.isfinite(self.high):
            return float(scipy.special.logit((value - self.low) / (self.high - self.low)))
        return float(np.log(value - self.low) if np.isfinite(self.low) else value)


def group_sums(codes: np.ndarray, levels: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sums of left right' over the rows of each group: (group, column, column)."""
    pairs = [[np.bincount(codes, a * b, minlength=levels) for b in right.T] for a in left.T]
    return np.moveaxis(np.array(pairs).reshape(left.shape[1], right.shape[1], levels), -1, 0)


def _newton(at: Pilot, k: int, part: GroupPart, F: np.ndarray, log_density: LogDensity) -> None:
    """A step in phi and the k-th factor's effects, and the Sigma that these have on average."""
    codes, W, weighted = part.factor.codes, part.W, part.W * at.information[:, None]
    levels = len(at.b[k])
    K, C = group_sums(codes, levels, weighted, W), group_sums(codes, levels, weighted, F)
    A, of_phi = F.T @ (F * at.information[:, None]), F.T @ at.score
    of_b = group_sums(codes, levels, W, at.score[:, None])[..., 0]
    for _ in range(_EM_STEPS):  # Sigma is slow to settle, and these read no row
        P = np.linalg.inv(regular(at.Sigma[k]))
        V, slope = np.linalg.inv(K + P), of_b - at.b[k] @ P
        VC = V @ C
        reduced = A - np.tensordot(C, VC, axes=([0, 1], [0, 1]))
        phi = np.linalg.lstsq(reduced, of_phi - np.tensordot(VC, slope, axes=([0, 1], [0, 1])), rcond=1e-10)[0]
        b = (V @ (slope - C @ phi)[..., None])[..., 0]
        at.Sigma[k] = _covariance(part, at.b[k] + b, V)
    size = _damped(at, k, F @ phi + (W * b[codes]).sum(axis=1), b, P, log_density)
    at.phi, at.b[k] = at.phi + size * phi, at.b[k] + size * b
    at.variance[k] = ((W[:, None, :] @ V[codes])[:, 0] * W).sum(axis=1)


def _covariance(part: GroupPart, b: np.ndarray, V: np.ndarray) -> np.ndarray:
    """The mean of b b' where b has these means and covariances; 0 between blocks."""
    Sigma = (b.T @ b + V.sum(axis=0)) / len(b)
    together = np.zeros(Sigma.shape)
    for block in part.blocks:
        together[np.ix_(block.terms, block.terms)] = 1.0
    return together * Sigma


def _damped(at: Pilot, k: int, step: np.ndarray, b: np.ndarray, P: np.ndarray, log_density: LogDensity) -> float:
    """How much of the step is taken, and takes it in eta: half and half again while log p falls, in the end none."""

    def penalised(size: float) -> float:
        moved = at.b[k] + size * b
        return float(log_density(at.eta + size * step, at.aux).sum() - 0.5 * ((moved @ P) * moved).sum())

    size, before = 1.0, penalised(0.0)
    while penalised(size) < before - _FALL * abs(before) and size > 0.5**_HALVINGS:
        size *= 0.5
    if penalised(size) < before - _FALL * abs(before):  # from where the density is not concave a step may lead anywhere
        size = 0.0
    at.eta = at.eta + size * step
    return size


def regular(Sigma: np.ndarray) -> np.ndarray:
    """With an inverse, where effects are perfectly correlated."""
    return Sigma + 1e-10 * np.trace(Sigma) * np.eye(len(Sigma))


def _search(at: Pilot, family: Family, log_density: LogDensity, outcome: Outcome, held: Mapping[str, float]) -> None:
    """The family's own parameters, at this linear predictor."""
    for name in (name for name in family.numbers if name in at.aux and name not in held):
        line = _Line.of(family.parameter(name), outcome)
        here = line.place(at.aux[name])

        def loss(u: float, name: str = name, line: _Line = line) -> float:
            return -float(log_density(at.eta, at.aux | {name: line.value(u)}).sum())

        bounds = (here - _WIDER, here + _WIDER)
        found = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"maxiter": 10})
        at.aux[name] = line.value(float(found.x))
    if family.ordinal:

        def of_thresholds(theta: np.ndarray) -> float:
            return -float(log_density(at.eta, at.aux | {"thresholds": theta}).sum())

        theta = at.aux["thresholds"]
        options = {"maxfev": 30 * len(theta)}
        at.aux["thresholds"] = scipy.optimize.minimize(of_thresholds, theta, method="Nelder-Mead", options=options).x
